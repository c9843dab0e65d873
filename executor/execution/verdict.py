"""The verdict on a run whose loop has ended: its state (rule X8), the reason, and the outputs as the journal will hold
them."""

from __future__ import annotations

from typing import Any

from promissory.executor.execution.commands import Commands
from promissory.executor.execution.early_outputs import early_outputs
from promissory.executor.protocol.events import tree_of
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.store import Store


def verdict(
    store: Store, scheduler: Scheduler, commands: Commands, timeout: float | None
) -> tuple[str, str, list[Any] | None]:
    """The state, the reason and the outputs of a run that has nothing left to do, was told to end, or has used up its
    time.

    Of several ends the first of these counts: a task's cancel, a termination, success, a cancel from outside, a
    failure, a stop, the time-out.
    """
    if scheduler.cancelled is not None:
        return "CANCELLED", scheduler.cancelled[1], None
    if scheduler.terminated is not None:
        outputs, problem = early_outputs(store, scheduler)
        return "TERMINATED", "; ".join(one for one in (scheduler.terminated[0], problem) if one), outputs
    if scheduler.outputs is not None:
        return "SUCCEEDED", "", [None if value is None else tree_of(value) for value in scheduler.outputs]
    if commands.cancelled is not None:
        return "CANCELLED", commands.cancelled, None
    if scheduler.dead and scheduler.failure is not None:
        return "FAILED", f"{scheduler.failure.path}: {scheduler.failure.failure}", None
    if commands.stopped is not None:
        return "INTERRUPTED", commands.stopped, None
    assert timeout is not None  # nothing else ends the loop early
    return "FAILED", f"it was stopped after {timeout:g} s, which is its time-out", None
