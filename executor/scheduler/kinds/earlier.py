"""Nodes that stand for a node of an earlier round of a cycle, or of an earlier segment of an async dynamic: they take
over its state and its value. Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import NO_META
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler.agenda import END
from promissory.executor.scheduler.awaiting import Awaiting, awaiting_of
from promissory.executor.scheduler.cycling import Cycling, Ended, cycling_of
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.kind import Kind
from promissory.executor.scheduler.node_state import (
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    OPEN,
    SKIPPED,
    NodeState,
)
from promissory.executor.scheduler.state import State
from promissory.planner.plan.model import Value
from promissory.planner.plan.specs import Earlier


def resolve(state: State, frame: Frame, index: int) -> None:
    """Take over what the source is, or wait for it."""
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Earlier)
    grown = awaiting_of(state.awaits, frame) if frame.is_segment else cycling_of(state.cycles, frame)
    source = grown.source(frame.stage, spec)
    if source is None:
        state.agenda.end(frame, index, SKIPPED)
        return
    ordinal, name = source
    there = grown.open.get(ordinal)
    if there is None:
        ended = grown.ended(ordinal, name)
        if ended is None:
            _refuse(state, grown, frame, index, ordinal, name)
        else:
            _take_over(state, frame, index, ended)
        return
    known = there.topology.known_as.get(name, ())
    at = next((one for one in known if there.topology.name(one) == name), None)
    if at is None:
        _refuse(state, grown, frame, index, ordinal, name)
    elif there.state(at) in ENDED:
        take_over(state, frame, index, there, at)
    else:
        frame.set_state(index, OPEN)
        grown.waiting.setdefault((ordinal, at), []).append((frame, index))


def take_over(state: State, frame: Frame, index: int, source: Frame, at: int) -> None:
    """The source, a node of an open round, has ended."""
    failed = (source.failures or {}).get(at, source.failing)
    value = (source.values or {}).get(at)
    _take_over(state, frame, index, Ended(NodeState(source.state(at)), value, failed))


def _take_over(state: State, frame: Frame, index: int, ended: Ended) -> None:
    failed = ended.failed
    if ended.state == DONE:
        value: Value | None = ended.value
        assert value is not None
        state.agenda.complete(frame, index, value, True)
    elif ended.state == SKIPPED or failed is None:
        state.agenda.end(frame, index, SKIPPED if ended.state == SKIPPED else CANCELLED)
    else:
        state.agenda.append((END, frame, index, FAILED, failed, None))


def _refuse(state: State, cycling: Cycling | Awaiting, frame: Frame, index: int, ordinal: int, name: str) -> None:
    """Fail a node that stands for a node which is not there."""
    if isinstance(cycling, Awaiting):
        raise DoesNotFit(f"segment {ordinal} of {frame.path} has no node {name}")
    number = cycling.number(ordinal)
    if ordinal in cycling.open or ordinal >= cycling.whole:
        problem = (
            f"round {number} has no node {name}: it is not called in each round, or not by the code of then. Say "
            "prev(…) only in rounds after one that calls it"
        )
    else:
        problem = (
            f"it reaches {frame.cycle - ordinal} rounds back, to {name} of round {number}, which is not kept: no round "
            "before had reached so far. Call prev(…) in each round"
        )
    failure = Failure.of_executor("CycleError", problem)
    state.agenda.append(state.failing_step(frame, index, failure, NO_META))


def _begin(state: State, frame: Frame, index: int, now: float, calendar: float) -> None:
    resolve(state, frame, index)


EARLIERS: Final = Kind(events={}, begin=_begin)
