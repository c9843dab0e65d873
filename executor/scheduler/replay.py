"""Replay: rebuilds a run's state from its journal, whose events go through the functions that made them. Pure.

Each resume forgets the failures that nothing handled: the failed nodes are tried again, with their whole budget.
"""

from __future__ import annotations

from typing import Final

from promissory.executor.protocol.events import (
    AWAITED,
    CHOSEN,
    COLLAPSED,
    CYCLE_ENDED,
    CYCLES_STOP,
    EXPANDED,
    ITEMS,
    LOOPED,
    NODE_DONE,
    NODE_SKIPPED,
    OF_NODES,
    RESUMED,
    RETRIED,
    SIGNALLED,
    Event,
)
from promissory.executor.scheduler.calls import Key, Sleeping
from promissory.executor.scheduler.consequences import work_off
from promissory.executor.scheduler.cycling import STOPPED
from promissory.executor.scheduler.event_fit import refuse_misfit
from promissory.executor.scheduler.forgiveness import forgive
from promissory.executor.scheduler.frame_failure import collapse
from promissory.executor.scheduler.kinds import awaiting
from promissory.executor.scheduler.kinds.cycle import cycling, extend_all, go_on_with_all
from promissory.executor.scheduler.kinds.map import find_under_way, items_are_ready
from promissory.executor.scheduler.kinds.table import KINDS
from promissory.executor.scheduler.node_state import FAILED, PENDING
from promissory.executor.scheduler.state import State

_RESETTLED: Final = 1_000
"""The number of outcomes that a replay gives to the cache again, since a crash may have come before the cache did."""

_OUTCOMES: Final = frozenset((NODE_DONE, EXPANDED, LOOPED, NODE_SKIPPED, CHOSEN, ITEMS, SIGNALLED, RETRIED, AWAITED))

TOLD: Final = frozenset((*OF_NODES, COLLAPSED, RESUMED, CYCLES_STOP))
"""The events that a scheduler is told of."""


def replay(state: State, event: Event) -> None:
    """Take an event of the journal as if it happened now. An impossible event raises `DoesNotFit` or `FormatError`."""
    take_ends(state, event)
    refuse_misfit(state, event)
    state.replaying = True
    if _may_be_taken_back(event):
        state.ends.append(event)
    else:
        _take(state, event)
        work_off(state)
    state.log.clear()
    if len(state.settled) > 2 * _RESETTLED:
        del state.settled[:_RESETTLED]  # the cache kept these outcomes long ago
    state.replaying = False


def _may_be_taken_back(event: Event) -> bool:
    """Whether an event ends a stopped cycle: a resume may tell the cycle to go on."""
    return bool(event[0] == CYCLE_ENDED and event[3] == STOPPED)


def take_ends(state: State, following: Event | None = None) -> None:
    """Take the events that ended stopped cycles, before an event that follows; if that tells a cycle to go on, the
    cycle's end counts no more."""
    if not state.ends or (following is not None and (following[0] == RESUMED or _may_be_taken_back(following))):
        return
    ends, state.ends = state.ends, []
    if following is not None and following[0] == CYCLES_STOP:
        ends = [one for one in ends if not _can_go_on(state, one, following[1])]
    state.replaying = True
    for one in ends:
        _take(state, one)
        work_off(state)
    state.log.clear()
    state.replaying = False


def _can_go_on(state: State, end: Event, stop: int) -> bool:
    """Whether a stopped cycle, which has ended, could go on to a number."""
    frame = state.frames.get(end[1])
    if frame is None:
        return False
    cycle = cycling(state, frame, end[2])
    return cycle.number(cycle.next) <= stop


def extend(state: State, stop: int) -> bool:
    """Before `replayed`: let the cycles go on to a number, also those that were stopped and have ended so. Returns
    whether there are any of the latter."""
    goes_on = any(_can_go_on(state, one, stop) for one in state.ends)
    replay(state, (CYCLES_STOP, stop))
    return goes_on


def _take(state: State, event: Event) -> None:
    kind = event[0]
    if kind == RESUMED:
        forgive(state)
        return
    if kind == CYCLES_STOP:
        extend_all(state, event[1])
        return
    frame = state.frames.get(event[1])
    if frame is None:
        return  # the frame has ended, so an executor that was taken over had told of the node before
    if kind == COLLAPSED:
        collapse(state, frame)
        return
    index = event[2]
    if (state.failing or state.maps) and kind in _OUTCOMES and frame.state(index) == FAILED:
        forgive(state)  # an executor that was taken over went on at the last moment
        work_off(state)
    KINDS[frame.topology.kind(index)].events[kind](state, frame, index, event)


def replayed(state: State, now: float = 0.0, calendar: float = 0.0) -> None:
    """Finish a replay after its last event: forget failures that nothing handled, and find the ready nodes.

    A node is ready if it has not ended, waits for no other node, and does not sleep.
    """
    take_ends(state)
    forgive(state)
    work_off(state)
    frames = state.frames
    asleep = [
        one
        for one in state.sleeping
        if one.frame.id in frames and (_waits(state, one) or one.frame.state(one.node) == PENDING)
    ]
    state.sleeping = []
    for one in asleep:  # a wait never gets longer than its first length, even if the calendar has changed
        state.sleep(
            one.frame, one.node, now + max(0.0, min(one.delay, one.calendar - calendar)), one.delay, one.calendar
        )
    find_ready(state, {(one.frame.id, one.node) for one in asleep})
    go_on_with_all(state)
    awaiting.go_on_with_all(state, now, calendar)
    work_off(state)
    if state.terminated is not None:
        state.stopping = True


def _waits(state: State, one: Sleeping) -> bool:
    return (one.frame.id, one.node) in state.waiting


def find_ready(state: State, asleep: set[Key]) -> None:
    """Rebuild the stack of ready nodes."""
    state.ready.clear()
    state.gates_ready.clear()
    state.overlapping.clear()
    find_under_way(state, asleep)
    unopened: dict[int, list[int]] = {}
    for (id, index), mapping in state.maps.items():
        if mapping.has_more:
            unopened.setdefault(id, []).append(index)
    for id, frame in state.frames.items():
        cells, size = frame.cells, frame.topology.size
        found = [
            index
            for index in range(size)
            if not cells[index]
            and cells[2 * size + index] == PENDING
            and (id, index) not in asleep
            and frame.counts(index)
        ]
        if frame.part is not None:
            items_are_ready(state, frame, found)
        elif frame.cycle:
            state.make_ready_late(frame, (*reversed(found), *unopened.get(id, ())))
        else:
            state.make_ready(frame, (*reversed(found), *unopened.get(id, ())))
