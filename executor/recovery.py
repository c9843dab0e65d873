"""From a journal back to a scheduler: what a resume begins with.

Reads the newest snapshot and what came after it, and writes nothing: a run is taken over by the first segment that the new executor writes
(`executor.journal`).
"""

from __future__ import annotations

from dataclasses import replace

from executor.errors import JournalError
from executor.events import ENDED, EXPANDED, RESUMED, SNAPSHOT, Event
from executor.journal import Tail, find_end, newest_snapshot, read_segments
from executor.layout import plan_key
from executor.limits import Limits
from executor.manifest import Manifest
from executor.scheduler import Scheduler
from executor.segment import GENESIS, NO_SNAPSHOT
from executor.snapshot import load
from executor.store import Store
from planner.plan import Plan
from planner.plan_format import plan_from_bytes


class Recovered:
    """A run as its journal has it.

    Attributes:
        plan: its plan.
        scheduler: its state.
        tail: the newest segment; None if nothing was written.
        ended: how it ended, if it did: (ENDED, state, reason, outputs).
        futures: the futures files named since the newest snapshot, the last of which a crash may have kept from being written behind.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler) -> None:
        self.plan = plan
        self.scheduler = scheduler
        self.tail: Tail | None = None
        self.ended: Event | None = None
        self.futures: list[bytes] = []


def recover(store: Store, manifest: Manifest) -> Recovered:
    """Read a run's journal. Raises `JournalError`, `StoreError`."""
    run_id = manifest.run_id
    plan = plan_from_bytes(store.get(plan_key(manifest.plan)))
    recovered = Recovered(plan, Scheduler(manifest.limits))
    end = find_end(store, run_id)
    first = newest_snapshot(store, run_id, end)
    if first == 0:
        recovered.scheduler.open_root(plan, tuple(manifest.inputs[parameter.name] for parameter in plan.inputs))
    for segment, data in read_segments(store, run_id, first, end):
        recovered.tail = Tail.of(segment, data)
        for event in segment.events:
            _take(store, recovered, event)
    if end and (recovered.tail is None or recovered.tail.number < end - 1):  # the last segment is torn: the next one is written behind it
        last = recovered.tail or Tail(end - 1, 0, NO_SNAPSHOT, GENESIS)
        recovered.tail = replace(last, number=end - 1)
    recovered.scheduler.replayed()
    return recovered


def _take(store: Store, recovered: Recovered, event: Event) -> None:
    kind = event[0]
    if kind == SNAPSHOT:
        recovered.scheduler = load(store.get_value(event[1]))
        recovered.futures.clear()
    elif kind == ENDED:
        recovered.ended = event
    elif kind == RESUMED:
        recovered.ended = None
        recovered.scheduler.limits = Limits(*event[4])
    else:
        if kind == EXPANDED:
            recovered.futures.append(event[4])
        try:
            recovered.scheduler.replay(event)
        except (KeyError, IndexError, AttributeError) as error:
            raise JournalError("the journal", f"has an event that does not fit the run ({error})") from None
