"""The agenda: the steps that one event of a run still has to cause, the oldest first.

Completing, ending and leaving cause each other, through frames that are nested as deep as a recursion goes. So no
function of the scheduler calls the next one: each notes a step here, and one loop takes the steps
(`promissory.executor.scheduler.consequences`). A step that has to wait for its node's commit waits as the same tuple.

========== =============================================================================================================
COMPLETE   frame, index, value, fresh: a node has its value; `fresh` says whether a body made the value just now
END        frame, index, state, failed node, frame below: a node has failed, or is skipped or cancelled; the frame below
           is the failing frame that the node stands for, if the frame fails just now
ITEM       frame, index: an item of a map has ended
LEAVE      frame: all nodes of a frame have ended
ITERATE    frame, index, payload: a call begins its next iteration
SPLICE     frame, index, id, plan, header, repeat, loops: the frame of an expansion opens
FOLLOW     request: what a body asked of its run is carried out
CONCLUDE   request: the body's own outcome counts, after what it asked
SETTLED    frame, index: a node of a cycle's round, or of an async dynamic's segment, has ended
BROKEN     frame, failed node: such a round or segment has failed, and nothing of it goes on
READY      frame, nodes: nodes are ready; items of a map only as far as its concurrency allows. The first runs first
========== =============================================================================================================
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Any, Final

from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.node_state import FAILED, NodeState
from promissory.planner.plan.model import Value


class StepKind(IntEnum):
    """See the table at the top of the file."""

    COMPLETE = 0
    END = 1
    ITEM = 2
    LEAVE = 3
    ITERATE = 4
    SPLICE = 5
    FOLLOW = 6
    CONCLUDE = 7
    READY = 8
    SETTLED = 9
    BROKEN = 10


COMPLETE: Final = StepKind.COMPLETE
END: Final = StepKind.END
ITEM: Final = StepKind.ITEM
LEAVE: Final = StepKind.LEAVE
ITERATE: Final = StepKind.ITERATE
SPLICE: Final = StepKind.SPLICE
FOLLOW: Final = StepKind.FOLLOW
CONCLUDE: Final = StepKind.CONCLUDE
READY: Final = StepKind.READY
SETTLED: Final = StepKind.SETTLED
BROKEN: Final = StepKind.BROKEN

Step = tuple[Any, ...]
"""The kind of a step, and its arguments. A plain tuple: a recursion makes several for each of its frames."""


class Agenda(deque[Step]):
    """The steps that are still to be taken."""

    def complete(self, frame: Frame, index: int, value: Value, fresh: bool) -> None:
        """A node has its value."""
        self.append((COMPLETE, frame, index, value, fresh))

    def end(self, frame: Frame, index: int, state: NodeState) -> None:
        """A node is SKIPPED or CANCELLED."""
        self.append((END, frame, index, state, None, None))

    def fail(self, frame: Frame, index: int, failed: FailedNode, below: Frame | None = None) -> None:
        """A node has failed, by itself or because the frame `below`, which it stands for, has failed."""
        self.append((END, frame, index, FAILED, failed, below))

    def leave(self, frame: Frame) -> None:
        """All nodes of a frame have ended."""
        self.append((LEAVE, frame))
