"""Records of calls: the instruction to run a node, its attempts, its wait, and its outcome for the cache. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from promissory.executor.protocol.events import Meta
from promissory.executor.scheduler.cache_key import Fields
from promissory.executor.scheduler.frame import Frame
from promissory.planner.plan.model import Value

Key = tuple[int, int]
"""Frame id and index."""


class Call(NamedTuple):
    """An instruction: have a worker run this node (or joint) of this frame.

    Attributes:
        attempt: how often its body has been begun, this time too.
        timeout: seconds that the body may take.
        cached: whether an equal call's outcome will do.
        alone: whether it is to run on a fresh worker, beside nothing else, because its last one was lost.
        iteration: the number of the loop's iteration, from 0.
        payload: the payload that the iteration before gave.
        round: of a round of a cycle: the number that the cycle does not go beyond, whether what runs after the last
            round is to be traced, the time (seconds since the epoch), and the names under which nodes are held; None
            for any other call.
        wake: of an async dynamic: what its body is to be told (`promissory.executor.scheduler.awaiting.Wake`); None for
            any other call.
        joins: the lists that a map's chunks gave, to be made one; None for any other call.
    """

    frame: Frame
    node: int
    attempt: int = 1
    timeout: float | None = None
    cached: bool = False
    alone: bool = False
    iteration: int = 0
    payload: Value | None = None
    joins: tuple[Value | None, ...] | None = None
    round: tuple[int | None, bool, float, tuple[str, ...]] | None = None
    wake: Any = None


class Tries(NamedTuple):
    """The unsuccessful attempts of a call.

    Attributes:
        begun: those that count, because the body ended by itself or was stopped.
        retries: those of them that were charged to the call's retries.
        lost: beside these, those whose worker was lost.
        last: the error of the last of them in a line, and when its body ran; None if none is known.
    """

    begun: int = 0
    retries: int = 0
    lost: int = 0
    last: tuple[str, Meta] | None = None

    def to_tree(self) -> list[Any]:
        """The attempts as they stand in a snapshot."""
        last = [] if self.last is None else [self.last[0], list(self.last[1])]
        return [self.begun, self.retries, self.lost, *last]


class Sleeping(NamedTuple):
    """A call or gate that waits for a moment.

    Attributes:
        due: the moment by the run's clock.
        delay: the whole wait, in seconds.
        calendar: the moment by the calendar, in seconds since the epoch.
    """

    due: float
    number: int
    frame: Frame
    node: int
    delay: float
    calendar: float


class Settled(NamedTuple):
    """An outcome for the cache: the fields of a call, and the value or the futures file that the call gave."""

    fields: Fields
    path: str
    value: Value | None
    futures: bytes | None
    once: bool
