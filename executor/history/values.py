"""The values of a run: what each node was given and what it gave, as the journal tells it (rule V1). Reads, never
writes; runs no code of the author's.

A scheduler drops a value when nobody needs it any more. So the journal is replayed from the beginning, and the wanted
value is taken when it comes by.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from promissory.executor.errors import DoesNotFit, JournalError, NoValue
from promissory.executor.history.history import History
from promissory.executor.history.paths import round_frame
from promissory.executor.history.recovery import at_the_beginning
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.events import LOOPED, OF_NODES, RESUMED, SIGNALLED, Event, value_of
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import ENDED, PENDING
from promissory.executor.scheduler.replay import TOLD, replay, take_ends
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.keys import segment_key
from promissory.planner.plan.bindings import assemble
from promissory.planner.plan.interfaces import target_interface
from promissory.planner.plan.model import NODE, Binding, Large, Parameter, Value
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.types import ANY, Type


class Typed(NamedTuple):
    """A value with its type, as bytes."""

    data: bytes
    type: Type


class Given(NamedTuple):
    """The inputs of a node, by name; None for an input that had no value."""

    path: str
    inputs: dict[str, Typed | None]


def value_at(history: History, path: str) -> Typed:
    """The value that a node gave; of an iteration that another one followed, the data that it handed on.

    Raises:
        RunNotFound: there is no such node.
        NoValue: the node gave no value; the message says how it stands.
    """
    round = round_frame(history, path)
    if round is not None:
        return _of_round(history, round)
    id, index, iteration = history.find_iteration(path)
    last = history.iterations.get((id, index), 0)
    looking = _Looking(history, (id, index))
    if iteration is not None and iteration < last:
        for event, at in looking.events():
            if at == iteration and event[0] in (LOOPED, SIGNALLED):
                return Typed(history.store.get_value(_payload(event)), ANY)
    else:
        for _ in looking.events():
            pass
        while looking.value is None and history.row(*looking.key).state == "SUCCEEDED" and looking.key[0] > 0:
            # A tail call hands its place on: its value is that of the node around it.
            looking = _Looking(history, history.parents[looking.key[0]])
            for _ in looking.events():
                pass
        if looking.value is not None:
            return Typed(history.store.get_value(looking.value), _result_type(history.opened[id], index))
    row = history.row(id, index)
    why = f": {row.why}" if row.why else ""
    gave = "gave no value" if history.opened[id].state(index) in ENDED else "has given no value yet"
    raise NoValue(f"{row.path} is {row.state} and {gave}{why}")


def _of_round(history: History, id: int) -> Typed:
    """The result of a round of a cycle."""
    frame = history.opened[id]
    outputs = frame.topology.graph.outputs
    if not outputs:
        raise NoValue(f"{history.frame_path(id)} is what runs after the last round, and gives no value")
    binding = frame.topology.outputs[0]
    if binding.__class__ is not int or binding < 0:
        return Typed(history.store.get_value(frame.value(binding)), outputs[0].type)
    looking = _Looking(history, (id, binding))
    for _ in looking.events():
        pass
    if looking.value is None:
        raise NoValue(f"{history.frame_path(id)} has given no value yet")
    return Typed(history.store.get_value(looking.value), outputs[0].type)


def inputs_at(history: History, path: str) -> Given:
    """The inputs that a node was given, or has been given so far.

    Raises:
        RunNotFound: there is no such node.
        NoValue: not all of its inputs are there.
    """
    id, index, iteration = history.find_iteration(path)
    looking = _Looking(history, (id, index))
    found = None
    for _, at in looking.events():
        if found is None and (iteration is None or at == iteration):
            found = _inputs(history, looking.scheduler.frames[id], index)
    if found is None:
        frame = looking.scheduler.frames.get(id)
        if frame is None or frame.state(index) != PENDING or frame.cells[index]:
            row = history.row(id, index)
            raise NoValue(f"{row.path} is {row.state}, and has not had all its inputs")
        found = _inputs(history, frame, index)
    return Given(history.path(id, index), found)


class _Pinned(Scheduler):
    """A scheduler that keeps the value of one node for good, as if another node still had to take it."""

    frame: Frame | None = None

    def __init__(self, limits: Limits, key: Key) -> None:
        super().__init__(limits)
        self.key = key

    def add_frame(self, frame: Frame) -> None:
        if frame.id == self.key[0]:
            self.frame = frame
            self.pin()
        super().add_frame(frame)

    def pin(self) -> None:
        """Count one taker more."""
        if self.frame is not None:
            if not isinstance(self.frame.cells, array):
                self.frame.cells = array("I", list(self.frame.cells))
            self.frame.cells[self.frame.topology.size + self.key[1]] += 1

    @property
    def pinned(self) -> Value | None:
        """The value of the node, once it has one."""
        return None if self.frame is None or self.frame.values is None else self.frame.values.get(self.key[1])


class _Looking:
    """A replay that stops at the events of one node.

    Attributes:
        key: the node's frame and index.
        value: the value that it gave; None as long as it has none.
        scheduler: the state before the event in hand.
    """

    def __init__(self, history: History, key: Key) -> None:
        self.key = key
        self.value: Value | None = None
        self._history = history
        manifest = history.manifest
        self.scheduler, self._first = at_the_beginning(history.store, manifest, history.plan, partial(_Pinned, key=key))
        if self.scheduler.frame is None:
            self.scheduler.frame = self.scheduler.frames.get(key[0])
        self.scheduler.pin()

    def events(self) -> Iterator[tuple[Event, int]]:
        """The events of the node, each before it is replayed, with the iteration that the node is in."""
        store, run_id = self._history.store, self._history.manifest.run_id
        iteration = 0
        for segment, _ in read_segments(store, run_id, self._first, find_end(store, run_id)):
            for event in segment.events:
                if event[0] in OF_NODES and event[1:3] == self.key:
                    yield event, iteration
                    iteration += _is_looped(event)
                if event[0] in TOLD or event[0] == RESUMED:
                    self._replay(event, segment_key(run_id, segment.number))
        take_ends(self.scheduler)
        self.value = self.scheduler.pinned or self.value

    def _replay(self, event: Event, key: str) -> None:
        try:
            replay(self.scheduler, event)
        except DoesNotFit as error:
            raise JournalError(key, f"has an event that does not fit the run: {error}") from None
        if event[0] == RESUMED:  # the counts were rebuilt
            self.scheduler.pin()
        self.value = self.scheduler.pinned or self.value
        self.scheduler.ready.clear()
        self.scheduler.gates_ready.clear()
        self.scheduler.settled.clear()


def _is_looped(event: Event) -> bool:
    return bool(event[0] == LOOPED or (event[0] == SIGNALLED and event[3][0] == "loop"))


def _payload(event: Event) -> Value:
    if event[0] == LOOPED:
        _, _, _, _, payload, _ = event
        return payload if isinstance(payload, bytes | Large) else value_of(payload)
    _, _, _, (_, payload), _, _, _ = event
    return payload if isinstance(payload, bytes | Large) else value_of(payload)


def _result_type(frame: Frame, index: int) -> Type:
    topology = frame.topology
    return target_interface(topology.shape, topology.graph, index).result


def _inputs(history: History, frame: Frame, index: int) -> dict[str, Typed | None]:
    topology = frame.topology
    bindings = topology.plan_inputs.get(index) or topology.graph.bindings_of(index)
    return {
        parameter.name: _input(history, frame, binding, parameter)
        for parameter, binding in zip(topology.parameters(index), bindings, strict=True)
    }


def _input(history: History, frame: Frame, binding: Binding, parameter: Parameter) -> Typed | None:
    if binding is None:
        return None if parameter.default is None else Typed(parameter.default, parameter.type)
    if frame.misses(binding):
        return None

    def leaf(one: Any, target: Type) -> tuple[Any, Type]:
        plain = one if one.__class__ is int else one[:2]
        whole = plain[1] if plain.__class__ is list and plain[0] == NODE else plain
        tree = unpack(history.store.get_value(frame.value(whole)), parts=history.store)
        return tree, frame.topology.leaf_type(plain) or target

    try:
        return Typed(pack(assemble(binding, parameter.type, leaf)), parameter.type)
    except TypeMismatch as mismatch:
        raise NoValue(f"the input {parameter.name} does not fit: {mismatch}") from None
