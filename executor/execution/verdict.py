"""The verdict on a run whose loop has ended: its state (rule X8), the reason, and the outputs as the journal will hold
them."""

from __future__ import annotations

from typing import Any

from promissory.executor.execution.commands import Commands
from promissory.executor.execution.early_outputs import early_outputs
from promissory.executor.protocol.events import tree_of
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.standing import standing
from promissory.executor.store.store import Store


def verdict(
    store: Store, scheduler: Scheduler, commands: Commands, timeout: float | None
) -> tuple[str, str, list[Any] | None]:
    """The state, the reason and the outputs of a run that has nothing left to do, was told to end, or has used up its
    time.

    A cancel from outside counts before everything but the end that came before it; else see
    `promissory.executor.scheduler.standing`.
    """
    ended = standing(scheduler)
    if commands.cancelled is not None and scheduler.outputs is None and scheduler.cancelled is None:
        return "CANCELLED", commands.cancelled, None
    if ended is not None:
        state, reason = ended
        if state == "TERMINATED":
            outputs, problem = early_outputs(store, scheduler)
            return state, "; ".join(one for one in (reason, problem) if one), outputs
        if state == "SUCCEEDED":
            assert scheduler.outputs is not None
            return state, reason, [None if value is None else tree_of(value) for value in scheduler.outputs]
        return state, reason, None
    if commands.stopped is not None:
        return "INTERRUPTED", commands.stopped, None
    assert timeout is not None  # nothing else ends the loop early
    return "FAILED", f"it was stopped after {timeout:g} s, which is its time-out", None
