"""The states of a node or joint, and every transition between them, each with its cause.

`TRANSITIONS` is the only list: the table in the documentation is made from it, and the tests refuse any other
transition (`promissory.executor.scheduler.invariants`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class NodeState(IntEnum):
    """The states of a node or joint. Their numbers stand in snapshots."""

    PENDING = 0
    DONE = 1
    OPEN = 2
    FAILED = 3
    UPSTREAM_FAILED = 4
    SKIPPED = 5
    CANCELLED = 6


PENDING: Final = NodeState.PENDING
DONE: Final = NodeState.DONE
OPEN: Final = NodeState.OPEN
FAILED: Final = NodeState.FAILED
UPSTREAM_FAILED: Final = NodeState.UPSTREAM_FAILED
SKIPPED: Final = NodeState.SKIPPED
CANCELLED: Final = NodeState.CANCELLED

ENDED: Final = frozenset((DONE, FAILED, UPSTREAM_FAILED, SKIPPED, CANCELLED))
BADLY: Final = frozenset((FAILED, UPSTREAM_FAILED, CANCELLED))


class Transition(NamedTuple):
    """A step of a node from one state to another, and what causes the step."""

    before: NodeState
    after: NodeState
    cause: str


TRANSITIONS: Final = (
    Transition(PENDING, DONE, "a body, the cache or a condition gave the node's value"),
    Transition(
        PENDING,
        OPEN,
        "a frame was opened for the node, a gate began to wait, a map's lists were cut, an earlier round or segment is "
        "awaited, or the body of an async dynamic waits",
    ),
    Transition(PENDING, FAILED, "the last attempt failed, or the node may not start at all"),
    Transition(PENDING, UPSTREAM_FAILED, "a node before it failed, and the node can't run after a failure"),
    Transition(PENDING, SKIPPED, "its body said so, a node before it was skipped, or nothing leads to it any more"),
    Transition(PENDING, CANCELLED, "its frame fails, or its run was cancelled by its own body"),
    Transition(
        OPEN,
        PENDING,
        "an iteration has ended, the next round of a cycle may begin, the lists of a map's chunks are to be joined, or "
        "the body of an async dynamic is to be told of what it awaits",
    ),
    Transition(OPEN, DONE, "the frame gave its output, or the gate was answered"),
    Transition(OPEN, FAILED, "the frame failed, the gate was late or rejected, or too many items failed"),
    Transition(OPEN, SKIPPED, "the output of the frame was skipped"),
    Transition(OPEN, CANCELLED, "its frame fails"),
    Transition(DONE, PENDING, "a resume begins the `on_failure` handler of a frame anew"),
    Transition(FAILED, PENDING, "a resume tries the node again"),
    Transition(FAILED, OPEN, "a resume goes on inside the node's frame, or with the failed items of a map"),
    Transition(UPSTREAM_FAILED, PENDING, "a resume tries the node before it again"),
    Transition(SKIPPED, PENDING, "a resume begins the `on_failure` handler of a frame anew"),
    Transition(CANCELLED, PENDING, "a resume goes on with the frame"),
)


def table() -> str:
    """The transitions as a table in Markdown, as the documentation shows them.

    >>> print(table().splitlines()[2])
    | PENDING | DONE | a body, the cache or a condition gave the node's value |
    """
    rows = [f"| {one.before.name} | {one.after.name} | {one.cause} |" for one in TRANSITIONS]
    return "\n".join(["| from | to | cause |", "|---|---|---|", *rows])
