"""An async dynamic under way: the segments that its body has emitted, and what the body was told (rule D8). Pure.

Each segment is a frame. What a later segment takes of an earlier one stands in its graph as a node of the kind EARLIER.
The body itself is in some worker, or in none: told all that it was told before, in the same order, it is where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.cycling import Ended
from promissory.executor.scheduler.frame import FailedNode, Frame, Repeat
from promissory.executor.scheduler.topology import Topology
from promissory.planner.plan.model import Callee, Value
from promissory.planner.plan.specs import Earlier

Ref = tuple[int, int]
"""The number of a segment, from 1, and a node of it."""

Origin = tuple[int, int]
"""The frame and the node where a failure began."""


class Past(NamedTuple):
    """A segment all of whose nodes have ended: the number of its frame, its topology, and its nodes."""

    id: int
    topology: Topology
    nodes: list[Ended]


class Stretch(NamedTuple):
    """What a body was told at one time, and the futures file that it emitted then.

    Attributes:
        now: the moment, in seconds since the epoch.
        told: the nodes that had ended, as trees (`promissory.executor.protocol.messages`).
        futures: the file; None if it emitted none.
        due: the moment for which it then waited, in seconds since the epoch; None for none.
    """

    now: float
    told: list[list[Any]]
    futures: bytes | None
    due: float | None


class Awaiting:
    """An async dynamic whose body has begun to wait.

    Attributes:
        frame, index: the node.
        repeat: what its chain of dynamics remembers (`promissory.executor.scheduler.recursion`).
        next: the number of the segment to be emitted next, from 1.
        open: the frames of segments that have not ended, by number.
        past: the segments that have, by number.
        waiting: the nodes of later segments that wait for a node.
        awaited: the nodes for which the body waits, in the order in which it began to.
        answers: the nodes that have ended and of which the body was not told yet, in the order of their ends.
        history: what the body was told so far.
        told: the origins of failures of which the body was told, each with the number of the segment that was next
            then: in segments before that one they are the body's to handle.
        due: the moment for which the body waits, in seconds since the epoch; None for none.
        alarm: the earliest moment for which the run sleeps on its behalf; None for none.
        is_due: whether that moment has come.
        last: the number of the last segment, once the body has ended; else 0.
        result: the value of the last segment; None for one that was skipped.
        failed: the failures of segments of which nothing goes on, by number.
        counted: the nodes of each open segment that the run counts.
        holder: the worker that has the body.
        used: how long the body has run, in µs.
        callee: the code that the body goes on with, which is that with which it began.
        today: of a body whose code is older than today's: gives the callees of today for those of a segment; else None.
    """

    def __init__(self, frame: Frame, index: int, repeat: Repeat | None) -> None:
        self.frame = frame
        self.index = index
        self.repeat = repeat
        self.next = 1
        self.open: dict[int, Frame] = {}
        self.past: dict[int, Past] = {}
        self.waiting: dict[Ref, list[tuple[Frame, int]]] = {}
        self.awaited: dict[Ref, None] = {}
        self.answers: dict[Ref, None] = {}
        self.history: list[Stretch] = []
        self.told: dict[Origin, int] = {}
        self.due: float | None = None
        self.alarm: float | None = None
        self.is_due = False
        self.last = 0
        self.result: Value | None = None
        self.failed: dict[int, FailedNode] = {}
        self.counted: dict[int, int] = {}
        self.holder = ""
        self.used = 0
        self.callee: Callee = frame.topology.callee(index)
        self.today: Callable[[tuple[Callee, ...]], tuple[Callee, ...]] | None = None

    @property
    def latest(self) -> float:
        """The moment at which the body was last told something, in seconds since the epoch."""
        return self.history[-1].now if self.history else 0.0

    def source(self, ordinal: int, spec: Earlier) -> tuple[int, str] | None:
        """The segment and the name of the node that a node of a segment stands for."""
        return ordinal - spec.distance, spec.name

    def ended(self, ordinal: int, name: str) -> Ended | None:
        """A node of a segment that has ended, by its name."""
        past = self.past.get(ordinal)
        if past is None:
            return None
        at = next((one for one in past.topology.known_as.get(name, ()) if past.topology.name(one) == name), None)
        return None if at is None else past.nodes[at]


class Wake(NamedTuple):
    """What the body of an async dynamic is to be told.

    Attributes:
        number: how often it was told something before.
        now: the moment, in seconds since the epoch.
        told: the nodes that have ended, as trees.
        history: all that it was told before; not to be changed.
        holder: the worker that has the body; "" if none has.
        definition: the callee, if it is another one than the node calls today.
        is_older: whether a worker finds it in the bundle that the run began with.
    """

    number: int
    now: float
    told: list[list[Any]]
    history: list[Stretch]
    holder: str
    definition: bytes | None = None
    is_older: bool = False


Awaits = dict[Key, Awaiting]


def awaiting_of(awaits: Awaits, frame: Frame) -> Awaiting:
    """The async dynamic that a segment belongs to."""
    assert frame.parent is not None
    return awaits[frame.parent.id, frame.slot]
