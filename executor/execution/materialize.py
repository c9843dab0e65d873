"""Calls of the scheduler → batches for workers: bindings become the values of a node's inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from promissory.executor.code.resolver import code_keys, stored_code
from promissory.executor.engines.engine import Batch
from promissory.executor.protocol.messages import ASSEMBLE, CUT, DECIDE, ITEM, JOIN, JOINT, VALUE, value_argument
from promissory.executor.records.checkpoints import newest
from promissory.executor.scheduler.calls import Call
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_path import exact, joined
from promissory.executor.scheduler.topology import Topology
from promissory.executor.store.store import Store
from promissory.planner.functions.by_value import PYTHON
from promissory.planner.plan.model import BRANCH, CALL, INPUT, MAP, NODE, Binding, Large, Parameter, Value, leaves
from promissory.planner.plan.specs import Branch, Map
from promissory.typesys.canonical import has_parts, pack
from promissory.typesys.type_format import type_bytes
from promissory.typesys.types import NONE, ListType, Type
from promissory.typesys.wire import codec_for

_BATCH_SECONDS: Final = 0.005
_LARGEST_BATCH: Final = 256


class BatchSize:
    """The number of calls in a batch: as many as take about 5 ms, so that a crash loses little, and moving batches
    takes little time.

    >>> size = BatchSize()
    >>> size.measure(0.001, 1)
    >>> size.calls
    2
    """

    def __init__(self) -> None:
        self.calls = 1

    def measure(self, seconds: float, count: int) -> None:
        """Note that `count` outcomes came after some seconds. A batch grows twofold at most."""
        if count:
            self.calls = max(1, min(_LARGEST_BATCH, 2 * self.calls, int(_BATCH_SECONDS * count / max(seconds, 1e-9))))


def batch_of(
    calls: Sequence[Call],
    carry_from: Store | None = None,
    run_id: str = "",
    channel: Mapping[str, bytes] | None = None,
    sure: float = math.inf,
    remote: bool = False,
) -> Batch:
    """A batch of calls.

    Args:
        calls: the calls, in order.
        carry_from: the executor's store, if workers can't reach it: the objects that they would read there go along
            (rule J5).
        run_id: the run.
        channel: the run's channel, as bodies see it.
        sure: when the executor was last sure that the run is its own, in seconds since boot.
        remote: whether the worker is another process.
    """
    definitions: dict[bytes, int] = {}
    carried: dict[str, bytes] = {}
    parcel = _Parcel(carry_from is not None)
    invocations: list[list[Any]] = []
    for call in calls:
        frame, index, attempt, timeout, _, _, iteration, payload, _, round, wake = call
        topology = frame.topology
        loop = None
        if index < topology.count and topology.graph.kinds[index] == CALL:
            code = topology.code
            definition = definitions.setdefault(code.definitions[topology.graph.targets[index]], len(definitions))
            arguments = _arguments(frame, index, parcel)
            allowed = topology.policy(index).max_iterations if code.limits_loops else None
            if iteration or allowed is not None:
                loop = [iteration, None if payload is None else parcel.argument(payload), allowed, *(round or ())]
            if wake is not None:
                if wake.definition is not None:
                    definition = definitions.setdefault(wake.definition, len(definitions))
                # A worker in another process that has not the body says so, and is then told what the body was told.
                history = None if remote and wake.holder else wake.history
                loop = [wake.number, wake.now, wake.told, history]
                if carry_from is not None:
                    parcel.take_told(wake.told, *(stretch.told for stretch in history or ()))
        else:
            definition, arguments = _hidden(call, parcel)
        if carry_from is not None:
            _carry_code(frame, index, carried, carry_from, run_id)
            carried.update(newest(carry_from, run_id, frame.identity_of(index, iteration)))
        if iteration or frame.part is not None:
            path, place = frame.path_of(index, iteration), list(frame.slot_of(index, iteration))
        else:
            path, place = joined(frame.path, topology.name(index)), [frame.identity, index]
            if "/…/" in path:
                path = exact(path, frame.id, index)
        invocations.append(
            [definition, frame.id, index, arguments, path, place, frame.depth + 1, attempt, timeout, loop]
        )
    if carry_from is not None:
        values: list[Value] = [*parcel.objects.values(), *parcel.in_parts]
        for value in values:
            carried.update((key, carry_from.get(key)) for key in carry_from.keys_of(value) if key not in carried)
    content = [
        list(definitions),
        invocations,
        list(carried.items()),
        parcel.shared,
        [[key, value] for key, value in channel.items()] if channel else [],
    ]
    first = calls[0]
    return Batch(
        content,
        tuple([(call.frame.id, call.node, call.attempt) for call in calls]),
        sure,
        invocations[0][4],
        first.timeout,
        first.alone,
        first.frame.topology.overlaps(first.node) and first.wake is None,
        None if first.wake is None else first.wake.holder,
        first.wake is not None and first.wake.is_older,
    )


class _Parcel:
    """The baggage of a batch, beside its invocations: lists that several of them use, the names of all objects, and,
    if the worker has not the store in which they lie, the small values that have parts."""

    __slots__ = ("_numbers", "in_parts", "notes_parts", "objects", "shared")

    def __init__(self, notes_parts: bool) -> None:
        self.notes_parts = notes_parts
        self.in_parts: list[bytes] = []
        self.shared: list[Any] = []
        self.objects: dict[bytes, Large] = {}
        self._numbers: dict[tuple[int, int], int] = {}

    def argument(self, value: Value) -> Any:
        """A value as it stands in an argument."""
        if isinstance(value, bytes):
            if self.notes_parts and has_parts(value):
                self.in_parts.append(value)
            return value
        self.objects[value.digest] = value
        return value_argument(value)

    def take_told(self, *told: list[list[Any]]) -> None:
        """Take along the objects in what the body of an async dynamic is told."""
        for trees in told:
            for tree in trees:
                if tree[2] == VALUE and tree[3].__class__ is bytes:
                    self.argument(tree[3])
                elif tree[2] == VALUE:
                    _, digest, *rest = tree[3]
                    self.objects[digest] = Large(digest, *rest)

    def number(self, frame: Frame, at: int) -> int:
        """The number under which a frame's input stands among the shared values."""
        key = (frame.id, at)
        if key not in self._numbers:
            self._numbers[key] = len(self.shared)
            self.shared.append(self.argument(frame.inputs[at]))
        return self._numbers[key]


def _arguments(frame: Frame, index: int, parcel: _Parcel) -> list[Any]:
    """The arguments of a call of the author's code."""
    topology = frame.topology
    simple = topology.simple[index]
    if not frame.mixed and frame.part is None:
        bindings = topology.graph.bindings_of(index)
        if simple:
            values = [None if binding is None else frame.value(binding) for binding in bindings]
            if parcel.notes_parts:
                return [None if value is None else parcel.argument(value) for value in values]
            return [value if value.__class__ is bytes or value is None else parcel.argument(value) for value in values]
        return [_argument(frame, binding, False, parcel) for binding in bindings]
    bindings = topology.plan_inputs.get(index) or topology.graph.bindings_of(index)
    parameters = topology.callee(index).interface.parameters
    return [
        _careful_argument(frame, binding, bool(simple), parameter, parcel)
        for binding, parameter in zip(bindings, parameters, strict=True)
    ]


def _argument(frame: Frame, binding: Any, simple: bool, parcel: _Parcel) -> Any:
    if binding is None:
        return None
    if simple:
        return parcel.argument(frame.value(binding))
    return assembled_argument(binding, frame.topology, frame.value, parcel.argument)


def _careful_argument(frame: Frame, binding: Any, simple: bool, parameter: Parameter, parcel: _Parcel) -> Any:
    """An argument in a frame where a value may be missing: an item of a map, or the value of a node that failed."""
    if frame.part is not None and binding.__class__ is list and binding[0] == INPUT:
        return (
            _item(frame, binding, parameter.type, parcel)
            if len(binding) == 3
            else parcel.argument(frame.value(binding))
        )
    if frame.misses(binding):
        return None if parameter.default is not None else codec_for(parameter.type).encode(None)
    return _argument(frame, binding, simple, parcel)


def _item(frame: Frame, binding: Binding, wanted: Type, parcel: _Parcel) -> list[Any]:
    """An item of a list that is mapped."""
    given = frame.topology.graph.inputs[binding[1]].type
    assert isinstance(given, ListType)
    return [
        ITEM,
        parcel.number(frame, binding[1]),
        binding[2][0],
        None if given.item == wanted else type_bytes(given.item),
    ]


def _hidden(call: Call, parcel: _Parcel) -> tuple[int, list[Any]]:
    """The definition and arguments of an invocation that runs no code of the author's."""
    frame, index, topology = call.frame, call.node, call.frame.topology
    kind = topology.kind(index)
    if kind == BRANCH:
        spec = topology.graph.specs[index]
        assert isinstance(spec, Branch)
        given = [
            [parcel.argument(frame.value(binding)), type_bytes(parameter.type)]
            for binding, parameter in zip(topology.plan_inputs[index], spec.inputs, strict=True)
        ]
        return DECIDE, [[arm.condition for arm in spec.arms], given]
    if kind == MAP and call.joins is not None:
        return JOIN, [parcel.argument(value) for value in call.joins if value is not None]
    if kind == MAP:
        spec = topology.graph.specs[index]
        assert isinstance(spec, Map)
        names = [parameter.name for parameter in topology.parameters(index)]
        bindings = topology.plan_inputs[index]
        return CUT, [
            [[parcel.argument(frame.value(bindings[at])), names[at], at in spec.flat] for at in spec.mapped],
            spec.shortest,
        ]
    binding, wanted = topology.joints[index - topology.count]
    if frame.part is not None and binding.__class__ is list and binding[0] == INPUT:
        return JOINT, [_item(frame, binding, wanted, parcel), type_bytes(wanted)]
    return JOINT, [
        assembled_argument(binding, topology, lambda leaf: _value_or_none(frame, leaf), parcel.argument),
        type_bytes(wanted),
    ]


def _value_or_none(frame: Frame, leaf: Binding) -> Value | None:
    """A leaf's value; None for an item of a map that did not succeed."""
    return None if frame.part is not None and frame.misses(leaf) else frame.value(leaf)


def _carry_code(frame: Frame, index: int, carried: dict[str, bytes], store: Store, run_id: str) -> None:
    """Carry the code of a call, if no import reaches that code."""
    if not frame.topology.is_call(index):
        return
    callee = frame.topology.callee(index)
    key = code_keys(run_id, callee, PYTHON)[0]
    if key not in carried and (data := stored_code(store, run_id, callee)) is not None:
        carried[key] = data


def assembled_argument(
    binding: Binding, topology: Topology, value_of: Any, argument: Callable[[Value], Any] = value_argument
) -> Any:
    """A binding with all its leaves' values, to be assembled where the call runs. `value_of` gives a plain binding's
    value; `argument` makes an argument of the value."""
    sources = []
    for leaf in leaves(binding):
        plain = _without_path(leaf)
        type = topology.leaf_type(leaf)
        found = value_of(_whole(plain))
        if found is None:  # an item of a map that did not succeed
            found, type = _NOTHING, NONE
        sources.append([plain, argument(found), None if type is None else type_bytes(type)])
    return [ASSEMBLE, binding, sources]


def _without_path(leaf: Binding) -> Binding:
    return leaf if leaf.__class__ is int else leaf[:2]


def _whole(plain: Binding) -> Binding:
    return plain[1] if plain.__class__ is list and plain[0] == NODE else plain


_NOTHING: Final = pack(None)
