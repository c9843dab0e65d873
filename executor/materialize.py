"""Calls of the scheduler → batches for workers: bindings become the values of a node's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from executor.engines.engine import Batch
from executor.frame import Frame
from executor.invocation import CUT, DECIDE, ITEM, JOIN, JOINT, OBJECT, assembled_argument, value_argument
from executor.layout import code_key, object_key
from executor.scheduler import Call
from executor.store import Store
from planner.by_value import PYTHON
from planner.plan import BRANCH, INPUT, MAP, Binding, Large, Parameter, Value
from planner.specs import Branch, Map
from typesys.canonical import pack
from typesys.type_format import type_bytes
from typesys.types import ListType, Type
from typesys.wire import codec_for


def batch_of(calls: Sequence[Call], carry_from: Store | None = None, run_id: str = "", channel: Mapping[str, bytes] | None = None) -> Batch:
    """A batch of calls.

    Args:
        calls: what to run, in order.
        carry_from: the executor's store, if workers can't reach it: what they would read there goes along (rule J5).
        run_id: the run.
        channel: the run's channel, as bodies see it.
    """
    definitions: dict[bytes, int] = {}
    carried: dict[str, bytes] = {}
    shared = _Shared()
    invocations: list[list[Any]] = []
    for call in calls:
        frame, index, topology = call.frame, call.node, call.frame.topology
        loop = None
        if topology.is_call(index):
            code = topology.code.definitions[topology.graph.targets[index]]
            definition = definitions.setdefault(code, len(definitions))
            arguments = _arguments(frame, index, shared)
            allowed = topology.policy(index).max_iterations if topology.has_loop_limit(index) else None
            if call.iteration or allowed is not None:
                loop = [call.iteration, None if call.payload is None else value_argument(call.payload), allowed]
        else:
            definition, arguments = _hidden(call, shared)
        if carry_from is not None:
            _carry(frame, index, [*arguments, *([loop[1]] if loop else []), *shared.values], carried, carry_from, run_id)
        path = frame.path_of(index, call.iteration)
        place = frame.slot_of(index, call.iteration)
        invocations.append([definition, frame.id, index, arguments, path, list(place), frame.depth + 1, call.attempt, call.timeout, loop])
    data = pack([list(definitions), invocations, list(carried.items()), shared.values, [[key, value] for key, value in (channel or {}).items()]])
    first = calls[0]
    return Batch(data, tuple([(call.frame.id, call.node, call.attempt) for call in calls]), invocations[0][4], first.timeout, first.alone)


class _Shared:
    """The values that several invocations of a batch take an item of."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[tuple[int, int], int] = {}

    def number(self, frame: Frame, at: int) -> int:
        key = (frame.id, at)
        if key not in self._numbers:
            self._numbers[key] = len(self.values)
            self.values.append(value_argument(frame.inputs[at]))
        return self._numbers[key]


def _arguments(frame: Frame, index: int, shared: _Shared) -> list[Any]:
    """The arguments of a call of the author's code."""
    topology = frame.topology
    simple = bool(topology.simple[index])
    bindings = topology.plan_inputs.get(index) or topology.graph.bindings_of(index)
    if not frame.mixed and frame.part is None:
        return [_argument(frame, binding, simple) for binding in bindings]
    parameters = topology.callee(index).interface.parameters
    return [_careful_argument(frame, binding, simple, parameter, shared) for binding, parameter in zip(bindings, parameters, strict=True)]


def _argument(frame: Frame, binding: Any, simple: bool) -> Any:
    if binding is None:
        return None
    if simple:
        return value_argument(frame.value(binding))
    return assembled_argument(binding, frame.topology, frame.value)


def _careful_argument(frame: Frame, binding: Any, simple: bool, parameter: Parameter, shared: _Shared) -> Any:
    """An argument in a frame where something may not be there: an item of a map, or what comes from a node that failed."""
    if frame.part is not None and binding.__class__ is list and binding[0] == INPUT:
        return _item(frame, binding, parameter.type, shared) if len(binding) == 3 else value_argument(frame.value(binding))
    if frame.misses(binding):
        return None if parameter.default is not None else codec_for(parameter.type).encode(None)
    return _argument(frame, binding, simple)


def _item(frame: Frame, binding: Binding, wanted: Type, shared: _Shared) -> list[Any]:
    """An item of a list that is mapped."""
    given = frame.topology.graph.inputs[binding[1]].type
    assert isinstance(given, ListType)
    return [ITEM, shared.number(frame, binding[1]), binding[2][0], None if given.item == wanted else type_bytes(given.item)]


def _hidden(call: Call, shared: _Shared) -> tuple[int, list[Any]]:
    """What runs on a worker and is no code of the author's."""
    frame, index, topology = call.frame, call.node, call.frame.topology
    kind = topology.kind(index)
    if kind == BRANCH:
        spec = topology.graph.specs[index]
        assert isinstance(spec, Branch)
        given = [
            [value_argument(frame.value(binding)), type_bytes(parameter.type)]
            for binding, parameter in zip(topology.plan_inputs[index], spec.inputs, strict=True)
        ]
        return DECIDE, [[arm.condition for arm in spec.arms], given]
    if kind == MAP and call.joins is not None:
        return JOIN, [value_argument(value) for value in call.joins if value is not None]
    if kind == MAP:
        spec = topology.graph.specs[index]
        assert isinstance(spec, Map)
        names = [parameter.name for parameter in topology.parameters(index)]
        bindings = topology.plan_inputs[index]
        return CUT, [[value_argument(frame.value(bindings[at])), names[at]] for at in spec.mapped]
    binding, wanted = topology.joints[index - topology.count]
    if frame.part is not None and binding.__class__ is list and binding[0] == INPUT:
        return JOINT, [_item(frame, binding, wanted, shared), type_bytes(wanted)]
    return JOINT, [assembled_argument(binding, topology, lambda leaf: _value_or_none(frame, leaf)), type_bytes(wanted)]


def _value_or_none(frame: Frame, leaf: Binding) -> Value | None:
    """A leaf's value; None of an item of a map that did not succeed."""
    return None if frame.part is not None and frame.misses(leaf) else frame.value(leaf)


def _carry(frame: Frame, index: int, arguments: list[Any], carried: dict[str, bytes], store: Store, run_id: str) -> None:
    """What a call reads in the store: its arguments that are objects, and its code if no import reaches that."""
    for value in _objects(arguments):
        key = object_key(value.digest)
        if key not in carried:
            carried[key] = store.get_value(value)
    if frame.topology.is_call(index):
        callee = frame.topology.callee(index)
        key = code_key(run_id, callee.name, callee.digest, PYTHON)
        if key not in carried and store.exists(key):
            carried[key] = store.get(key)


def _objects(arguments: list[Any]) -> list[Large]:
    """The objects that arguments name, wherever they stand in them."""
    found: list[Large] = []
    todo = list(arguments)
    while todo:
        one = todo.pop()
        if one.__class__ is not list or not one:
            continue
        if one[0] == OBJECT and len(one) == 3 and one[1].__class__ is bytes:
            found.append(Large(one[1], one[2]))
        else:
            todo.extend(one)
    return found
