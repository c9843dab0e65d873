"""Replay: rebuilds a run's state from its journal, whose events go through the functions that made them. Pure.

Each resume forgets the failures that nothing handled: the failed nodes are tried again, with their whole budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from promissory.executor.protocol.events import (
    CHOSEN,
    COLLAPSED,
    DONE,
    EXPANDED,
    FAILED,
    GATED,
    ITEMS,
    LOOPED,
    OPENED,
    RESUMED,
    RETRIED,
    SIGNALLED,
    SKIPPED,
    STOPPED_BY,
    Event,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import completion, gates
from promissory.executor.scheduler import expansion as opening
from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.calls import Sleeping, Tries
from promissory.executor.scheduler.event_fit import refuse_misfit
from promissory.executor.scheduler.frame import FAILED as FAILED_STATE
from promissory.executor.scheduler.frame import OPEN, PENDING
from promissory.executor.scheduler.recursion import may_expand
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.model import MAP, RESCUE

if TYPE_CHECKING:
    from promissory.executor.scheduler.frame import Frame

_RESETTLED: Final = 1_000
"""The number of outcomes that a replay gives to the cache again, since a crash may have come before the cache did."""

_OUTCOMES: Final = frozenset((DONE, EXPANDED, LOOPED, SKIPPED, CHOSEN, ITEMS, SIGNALLED, RETRIED))

TOLD: Final = frozenset(
    (
        DONE,
        EXPANDED,
        OPENED,
        FAILED,
        RETRIED,
        LOOPED,
        SKIPPED,
        STOPPED_BY,
        CHOSEN,
        ITEMS,
        GATED,
        COLLAPSED,
        SIGNALLED,
        RESUMED,
    )
)
"""The events that a scheduler is told of."""


def replay(scheduler: Scheduler, event: Event) -> None:
    """Take an event of the journal as if it happened now. An impossible event raises `DoesNotFit` or `FormatError`."""
    refuse_misfit(scheduler, event)
    scheduler.replaying = True
    _take(scheduler, event)
    scheduler.log.clear()
    if len(scheduler.settled) > 2 * _RESETTLED:
        del scheduler.settled[:_RESETTLED]  # the cache kept these outcomes long ago
    scheduler.replaying = False


def _take(scheduler: Scheduler, event: Event) -> None:
    kind = event[0]
    if (
        (scheduler.failing or scheduler.maps)
        and kind in _OUTCOMES
        and event[1] in scheduler.frames
        and scheduler.frames[event[1]].state(event[2]) == FAILED_STATE
    ):
        failing.forgive(scheduler)  # an executor that was taken over went on at the last moment
    if kind == DONE:
        if (event[1], event[2]) in scheduler.waiting:  # a gate's answer
            waiting = scheduler.waiting.pop((event[1], event[2]))
            completion.complete(scheduler, waiting.frame, waiting.node, event[3], False)
        else:
            scheduler.done(event[1], event[2], event[3], event[4])
    elif kind == RESUMED:
        failing.forgive(scheduler)
    elif kind == COLLAPSED:
        if event[1] in scheduler.frames:
            failing.collapse(scheduler, scheduler.frames[event[1]])
    elif event[1] in scheduler.frames:
        _take_of_node(scheduler, scheduler.frames[event[1]], event[2], event)


def _take_of_node(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    kind = event[0]
    if kind == EXPANDED:
        _remember_repeat(scheduler, frame, index)
        scheduler.expanded(frame.id, index, event[4], event[6], child=event[3], loops=event[5])
    elif kind == OPENED:
        _open(scheduler, frame, index, event[3])
    elif kind == RETRIED:
        _retry(scheduler, frame, event)
    elif kind == FAILED:
        _fail(scheduler, frame, index, event)
    elif kind == LOOPED:
        scheduler.looped(frame.id, index, event[4], event[5])
    elif kind == SKIPPED:
        scheduler.skipped(frame.id, index, event[3], event[4])
    elif kind == STOPPED_BY:
        scheduler.cancelled_by(frame.id, index, event[3], event[4])
    elif kind == CHOSEN:
        scheduler.chosen(frame.id, index, event[3], event[5], child=event[4])
    elif kind == ITEMS:
        scheduler.spread(frame.id, index, event[3], event[4])
    elif kind == GATED:
        gates.wait(scheduler, frame, index, event[3])
        if event[3]:
            scheduler.sleeping.append(
                Sleeping(0.0, len(scheduler.sleeping), frame, index, _delay_of(scheduler, frame, index), event[3])
            )
    elif kind == SIGNALLED:
        if event[3][0] == "futures":
            _remember_repeat(scheduler, frame, index)
        scheduler.signalled(frame.id, index, event[3], event[4], event[6], child=event[5] if event[5] >= 0 else None)


def _remember_repeat(scheduler: Scheduler, frame: Frame, index: int) -> None:
    _, repeat = may_expand(scheduler.limits, frame, index)
    scheduler.begin_call(frame, index, repeat)


def _delay_of(scheduler: Scheduler, frame: Frame, index: int) -> float:
    """The longest wait of a gate: never longer than its first wait, even if the calendar has changed since."""
    waiting = scheduler.waiting[frame.id, index]
    if waiting.spec.timeout is not None:
        return waiting.spec.timeout
    return gates.duration(frame, index)


def _open(scheduler: Scheduler, frame: Frame, index: int, child: int) -> None:
    kind = frame.topology.kind(index)
    if kind == MAP:
        if (frame.id, index) in scheduler.maps:
            mapped.open_next(scheduler, frame, index, child)
    elif frame.state(index) != PENDING:
        return
    elif kind == RESCUE:
        opening.open_fallback(scheduler, frame, index, child)
    else:
        opening.open_nested(scheduler, frame, index, child)


def _fail(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    scheduler.sleeping = [one for one in scheduler.sleeping if (one.frame.id, one.node) != (frame.id, index)]
    if frame.state(index) in (PENDING, OPEN):
        endings.fail(scheduler, frame, index, Failure.from_tree(event[3]), event[4])


def _retry(scheduler: Scheduler, frame: Frame, event: Event) -> None:
    _, id, index, _, meta, delay, calendar = event
    if frame.state(index) != PENDING:
        return
    retries = scheduler.tries.get((id, index), Tries()).retries + 1
    scheduler.tries[id, index] = Tries(meta[3], retries)
    scheduler.sleeping = [one for one in scheduler.sleeping if (one.frame.id, one.node) != (id, index)]
    scheduler.sleeping.append(Sleeping(0.0, len(scheduler.sleeping), frame, index, delay, calendar))


def replayed(scheduler: Scheduler, now: float = 0.0, calendar: float = 0.0) -> None:
    """Finish a replay after its last event: forget failures that nothing handled, and find the ready nodes.

    A node is ready if it has not ended, waits for no other node, and does not sleep.
    """
    failing.forgive(scheduler)
    frames = scheduler.frames
    asleep = [
        one
        for one in scheduler.sleeping
        if one.frame.id in frames and (_waits(scheduler, one) or one.frame.state(one.node) == PENDING)
    ]
    scheduler.sleeping = []
    for one in asleep:  # a wait never gets longer than its first length, even if the calendar has changed
        scheduler.sleep(
            one.frame, one.node, now + max(0.0, min(one.delay, one.calendar - calendar)), one.delay, one.calendar
        )
    find_ready(scheduler, {(one.frame.id, one.node) for one in asleep})
    if scheduler.terminated is not None:
        scheduler.stopping = True


def _waits(scheduler: Scheduler, one: Sleeping) -> bool:
    return (one.frame.id, one.node) in scheduler.waiting


def find_ready(scheduler: Scheduler, asleep: set[tuple[int, int]]) -> None:
    """Rebuild the stack of ready nodes."""
    scheduler.ready.clear()
    scheduler.gates_ready.clear()
    for mapping in scheduler.maps.values():
        mapping.queue.clear()
        mapping.under_way.clear()
    for frame in scheduler.frames.values():
        if frame.part is not None:
            mapped.find_under_way(scheduler, frame, asleep)
    for id, frame in scheduler.frames.items():
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
            mapped.items_are_ready(scheduler, frame, found)
        else:
            scheduler.make_ready(frame, reversed(found))
    for (id, index), mapping in scheduler.maps.items():
        if mapping.next < len(mapping.chunks) and not mapping.queue:
            scheduler.ready.append((scheduler.frames[id], index))
