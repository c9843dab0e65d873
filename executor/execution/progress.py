"""The standing of a scheduler's run, in numbers."""

from __future__ import annotations

from promissory.executor.records.progress import Standing
from promissory.executor.scheduler.scheduler import Scheduler


def standing_of(scheduler: Scheduler) -> Standing:
    """How the run of a scheduler stands. From any thread."""
    tries, sleeping, maps = list(scheduler.tries.values()), list(scheduler.sleeping), list(scheduler.maps.values())
    return Standing(
        done=scheduler.done_nodes,
        nodes=scheduler.known_nodes,
        waiting=scheduler.admission.waiting,
        lost=sum(1 for one in tries if one.lost),
        retrying=sum(1 for one in sleeping if (one.frame.id, one.node) not in scheduler.waiting),
        paused=scheduler.paused,
        gates=len(scheduler.waiting),
        items_done=sum(one.ended for one in maps),
        items=sum(one.total for one in maps),
    )
