"""The table of kinds: the rules of each kind of node, by the number that the plan gives the kind. Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.scheduler.kinds.branch import BRANCHES
from promissory.executor.scheduler.kinds.call import CALLS, JOINTS
from promissory.executor.scheduler.kinds.earlier import EARLIERS
from promissory.executor.scheduler.kinds.gate import GATES
from promissory.executor.scheduler.kinds.kind import Kind
from promissory.executor.scheduler.kinds.map import MAPS
from promissory.executor.scheduler.kinds.merge import MERGES
from promissory.executor.scheduler.kinds.plan import PLANS
from promissory.executor.scheduler.kinds.rescue import RESCUES
from promissory.executor.scheduler.topology import JOINT
from promissory.planner.plan.model import BRANCH, CALL, EARLIER, GATE, MAP, MERGE, PLAN, RESCUE

KINDS: Final[dict[int, Kind]] = {
    CALL: CALLS,
    PLAN: PLANS,
    MAP: MAPS,
    BRANCH: BRANCHES,
    GATE: GATES,
    RESCUE: RESCUES,
    MERGE: MERGES,
    EARLIER: EARLIERS,
    JOINT: JOINTS,
}

WITH_ROWS: Final = (CALLS, MAPS, GATES)
"""The kinds that keep rows in a snapshot, in the order of the snapshot's fields."""
