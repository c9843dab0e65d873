"""A cycle under way: its rounds, and what later rounds may take of earlier ones (rules C1 to C4). Pure.

Each round is a frame. A node of an earlier round stands in a later round's graph as a node of the kind EARLIER, whose
value is taken over when the source is done: at once, or when it comes. A frame of a round keeps the values of all its
nodes, since the graphs of later rounds are not known yet. When the round has finished, its values move into `past`,
and leave it when no round that is still to come can reach them.
"""

from __future__ import annotations

from typing import NamedTuple

from promissory.executor.protocol.messages import CLOSING
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.node_state import NodeState
from promissory.planner.plan.model import Value
from promissory.planner.plan.policy import Policy
from promissory.planner.plan.specs import Earlier

STOPPED, FULFILLED, EXHAUSTED = "stop", "until", "points"
"""Why a cycle has ended: it was to go no further, its condition holds, or it has no further points."""


class Ended(NamedTuple):
    """A node of a round that has finished: its state, its value if it has one, and why it failed if it did."""

    state: NodeState
    value: Value | None
    failed: FailedNode | None = None


class Cycling:
    """A cycle under way.

    Attributes:
        frame, index: the node.
        next: the round to be traced next, from 1.
        stop: the number that the cycle does not go beyond; None for no end.
        whole: the first round of which all values are kept.
        back: how many rounds back any round so far has reached.
        open: the frames of rounds that have not finished, by round.
        past: the nodes of finished rounds by name, by round, as far as they may be taken.
        held: the rounds that have a node held under a name, and the node's own name, as far as they may be taken.
        waiting: the nodes of later rounds that wait for a node, by (round, node).
        undecided: the round whose condition is not known yet; 0 for none.
        over: why no further round begins; "" while there may be one.
        closes: whether anything is to run after the last round.
        closing: the last round, once what runs after it is traced; else 0. The frame of that has the next round's
            number.
        result: the latest finished round, and its result; None for a result that was skipped.
        failed: the failures of rounds, by round.
        counted: the nodes of each open round that the run counts.
    """

    def __init__(self, frame: Frame, index: int, policy: Policy) -> None:
        assert policy.cycle is not None
        self.frame = frame
        self.index = index
        self.start, self.stop, self.step, self.max_active, _ = policy.cycle
        self.next = 1
        self.back = 1
        self.whole = 1
        self.open: dict[int, Frame] = {}
        self.past: dict[int, dict[str, Ended]] = {}
        self.held: dict[str, list[tuple[int, str]]] = {}
        self.waiting: dict[tuple[int, int], list[tuple[Frame, int]]] = {}
        self.undecided = 0
        self.over = ""
        self.closes = False
        self.closing = 0
        self.result: tuple[int, Value | None] = (0, None)
        self.failed: dict[int, FailedNode] = {}
        self.counted: dict[int, int] = {}

    @property
    def iteration(self) -> int:
        """The number under which what is traced next counts."""
        return CLOSING + self.closing if self.closing else self.next

    def number(self, ordinal: int) -> int:
        """The number of a round, as paths have it."""
        return self.start + (ordinal - 1) * self.step

    @property
    def is_stopped(self) -> bool:
        """Whether the next round would go too far."""
        return self.stop is not None and self.number(self.next) > self.stop

    @property
    def has_room(self) -> bool:
        """Whether another round may be unfinished at one time with those that are."""
        return self.next - min(self.open, default=self.next) < self.max_active

    def source(self, ordinal: int, spec: Earlier) -> tuple[int, str] | None:
        """The round and the name of the node that a node of a round stands for; None if there is no such round."""
        if spec.distance:
            return (ordinal - spec.distance, spec.name) if ordinal > spec.distance else None
        return next((one for one in reversed(self.held.get(spec.name, ())) if one[0] < ordinal), None)

    def ended(self, ordinal: int, name: str) -> Ended | None:
        """A node of a round that has finished, as far as it may be taken."""
        return self.past.get(ordinal, {}).get(name)

    def forget(self) -> None:
        """Forget the values that no round which is still to come can reach."""
        earliest = min(self.open, default=self.next)
        reachable = self.whole = max(self.whole, earliest - self.back)
        held: dict[int, set[str]] = {}
        for under, rounds in self.held.items():
            before = [one for one in rounds if one[0] < earliest]
            self.held[under] = rounds = rounds[len(before) - 1 :] if before else rounds
            for ordinal, name in rounds:
                held.setdefault(ordinal, set()).add(name)
        for ordinal in [ordinal for ordinal in self.past if ordinal < reachable]:
            left = {name: one for name, one in self.past[ordinal].items() if name in held.get(ordinal, ())}
            if left:
                self.past[ordinal] = left
            else:
                del self.past[ordinal]


Cycles = dict[Key, Cycling]


def cycling_of(cycles: Cycles, frame: Frame) -> Cycling:
    """The cycle that a round belongs to."""
    assert frame.parent is not None
    return cycles[frame.parent.id, frame.slot]
