"""The states of nodes as people see them (rule X8). Pure: both who has the whole history of a run and who has only what
is open of it ask here, so they can't tell it otherwise."""

from __future__ import annotations

from typing import Final, Protocol

from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import CANCELLED, DONE, FAILED, OPEN, PENDING, SKIPPED, UPSTREAM_FAILED
from promissory.planner.plan.model import GATE

NAMES: Final[dict[int, str]] = {
    DONE: "SUCCEEDED",
    FAILED: "FAILED",
    UPSTREAM_FAILED: "UPSTREAM_FAILED",
    SKIPPED: "SKIPPED",
    CANCELLED: "CANCELLED",
}
"""The states in which nodes have ended."""
OVER: Final = frozenset(("FAILED", "CANCELLED", "TERMINATED"))
"""The ends of a run after which what has not ended is CANCELLED."""


class Look(Protocol):
    """What has to be known of a run to tell the state of a node."""

    def is_over(self) -> bool:
        """Whether the run has ended in a state of `OVER`."""
        ...

    def has_end(self) -> bool:
        """Whether the run has ended."""
        ...

    def is_open(self, frame: Frame) -> bool:
        """Whether a frame has not ended."""
        ...

    def is_stopped(self, key: Key) -> bool:
        """Whether the body of a node cancelled the run."""
        ...

    def is_expanded(self, key: Key) -> bool:
        """Whether a node has handed its place on to a frame that has not ended."""
        ...

    def has_ended(self, key: Key) -> bool:
        """Whether a node is a cycle that has ended, and that a resume may tell to go on."""
        ...

    def is_running(self, key: Key) -> bool:
        """Whether a body of a node runs."""
        ...

    def was_tried(self, key: Key) -> bool:
        """Whether an attempt of a node was followed by another one, or by a resume."""
        ...

    def has_looped(self, key: Key) -> bool:
        """Whether an iteration of a node, or a round, has begun another one."""
        ...


def state_of(look: Look, frame: Frame, index: int) -> str:
    """The state of a node."""
    key, state = (frame.id, index), frame.state(index)
    if look.is_stopped(key):
        return "CANCELLED"
    if state == DONE and look.is_expanded(key):
        return "EXPANDED"
    if state in NAMES:
        return NAMES[state]
    if look.has_ended(key):
        return "SUCCEEDED"
    if state == OPEN:
        if frame.failures and index in frame.failures:
            return "FAILED"
        if look.is_over() or not look.is_open(frame):
            return "CANCELLED"
        return "WAITING" if frame.topology.kind(index) == GATE else "EXPANDED"
    assert state == PENDING
    if index == frame.topology.graph.on_failure and (not look.is_open(frame) or look.has_end()):
        return "SKIPPED"  # there was no failure to handle
    if look.is_running(key):
        return "RUNNING"
    if look.is_over() or not look.is_open(frame):
        return "CANCELLED"
    if look.was_tried(key):
        return "RETRYING"
    if look.has_looped(key):
        return "EXPANDED" if frame.topology.is_cycle(index) else "LOOPING"
    return "READY" if not frame.cells[index] and frame.counts(index) else "PENDING"
