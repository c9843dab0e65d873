"""Cancelling a run from outside: its executor is told to end it. For a run without an executor the end is written
here."""

from __future__ import annotations

from contextlib import suppress

from promissory.executor.clock import SystemClock
from promissory.executor.errors import RunIsNotLive
from promissory.executor.execution.first_events import resumed_event
from promissory.executor.history.recovery import next_epoch, recover
from promissory.executor.history.summary import ending
from promissory.executor.journal.writer import Journal, LostRace
from promissory.executor.protocol.events import ENDED
from promissory.executor.records.inbox import tell
from promissory.executor.records.manifest import read_manifest
from promissory.executor.store.store import Store


def cancel_run(store: Store, run_id: str, reason: str) -> str:
    """Cancel a run. Returns the state in which it has ended.

    Raises `RunNotFound`, `JournalError`, `StoreError`, `TimeoutError` (its executor does not answer), `Fenced` (another
    executor took it over just now).
    """
    manifest = read_manifest(store, run_id)
    with suppress(RunIsNotLive):
        tell(store, run_id, "cancel", reason)
    while (ended := ending(store, run_id)) is None:  # the run had no executor, or lost it
        recovered = recover(store, manifest, SystemClock())
        epoch = next_epoch(recovered)
        journal = Journal(store, run_id, epoch, recovered.tail, True, lambda events: None)
        try:
            journal.claim((resumed_event(epoch, recovered.scheduler.limits), (ENDED, "CANCELLED", reason, None)))
        except LostRace:
            continue
    return ended[0]
