"""Outcomes that came back from workers → events of the scheduler."""

from __future__ import annotations

from typing import Any, Final

from promissory.executor.protocol.event_decoding import check_asked
from promissory.executor.protocol.events import Meta, value_of
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.messages import (
    ARM,
    AWAITS,
    CANCEL,
    ENDED,
    FAILURE,
    FUTURES,
    GONE,
    ITEMS,
    ITERATION,
    LOOP,
    LOST,
    NOT_YET,
    OVER,
    SKIP,
    VALUE,
)
from promissory.executor.scheduler.scheduler import Scheduler

_KINDS: Final = {VALUE: "value", FUTURES: "futures", LOOP: "loop", SKIP: "skip", ENDED: "ended"}


def apply(scheduler: Scheduler, outcome: list[Any], now: float, calendar: float) -> None:
    """Tell the scheduler of an outcome (a tree, as `promissory.executor.protocol.messages` has it) of a call that was
    begun.

    Args:
        now: the moment of the run's clock.
        calendar: the moment in seconds since the epoch.
    """
    frame, index, status, payload, started, duration, worker, attempt, log, _, asked = outcome
    meta: Meta = (started, duration, worker, attempt, log)
    if asked is not None:
        result = value_of(payload) if status in (VALUE, LOOP) else payload
        at = asked.pop("at", "")  # the author's line, for an error: the journal has no place for it
        scheduler.signalled(frame, index, (_KINDS[status], result), check_asked(asked), meta, at=at)
    elif status == VALUE:
        scheduler.done(frame, index, value_of(payload), meta)
    elif status in (FUTURES, ITERATION):
        scheduler.expanded(frame, index, payload, meta, loops=status == ITERATION)
    elif status == FAILURE:
        scheduler.failed(frame, index, Failure.from_tree(payload), meta, now, calendar)
    elif status == LOST:
        scheduler.lost(frame, index, payload, meta)
    elif status == LOOP:
        scheduler.looped(frame, index, value_of(payload), meta)
    elif status == ARM:
        scheduler.chosen(frame, index, payload, meta)
    elif status == ITEMS:
        scheduler.spread(frame, index, payload, meta)
    elif status == OVER:
        scheduler.exhausted(frame, index)
    elif status == AWAITS:
        scheduler.stretched(frame, index, payload, meta, now, calendar)
    elif status == GONE:
        scheduler.gone(frame, index)
    elif status == NOT_YET:
        scheduler.not_yet(frame, index, payload, now, calendar)
    elif status == SKIP:
        scheduler.skipped(frame, index, payload, meta)
    else:
        assert status == CANCEL
        scheduler.cancelled_by(frame, index, payload, meta)
