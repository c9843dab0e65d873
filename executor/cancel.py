"""Ending a run for good from outside: its executor is told to; where it has none, the end is written in its place."""

from __future__ import annotations

from contextlib import suppress

from executor.clock import SystemClock
from executor.errors import RunIsNotLive
from executor.events import ENDED
from executor.execution import resumed_event
from executor.inbox import tell
from executor.journal import Journal, LostRace
from executor.manifest import read_manifest
from executor.recovery import next_epoch, recover
from executor.store import Store
from executor.summary import ending


def cancel_run(store: Store, run_id: str, reason: str) -> str:
    """Cancel a run; the state in which it has ended.

    Raises `RunNotFound`, `JournalError`, `StoreError`, `TimeoutError` (its executor does not answer), `Fenced` (another executor took it over just now).
    """
    manifest = read_manifest(store, run_id)
    with suppress(RunIsNotLive):
        tell(store, run_id, "cancel", reason)
    while (ended := ending(store, run_id)) is None:  # it had no executor, or lost it
        recovered = recover(store, manifest, SystemClock())
        epoch = next_epoch(recovered)
        journal = Journal(store, run_id, epoch, recovered.tail, True, lambda events: None)
        try:
            journal.claim((resumed_event(epoch, recovered.scheduler.limits), (ENDED, "CANCELLED", reason, None)))
        except LostRace:
            continue
    return ended[0]
