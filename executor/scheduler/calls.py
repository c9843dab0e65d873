"""What a scheduler says of calls: the instruction to have a node run, how often it was begun, what it waits for, what may be cached of it. Pure."""

from __future__ import annotations

from typing import NamedTuple

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
        iteration: which iteration of a loop it is, from 0.
        payload: what the iteration before gave.
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


class Tries(NamedTuple):
    """How often a call was begun without success: in all, of these by its own failures that were charged to its retries, and because workers were lost."""

    begun: int = 0
    retries: int = 0
    lost: int = 0


class Sleeping(NamedTuple):
    """A call that waits: until when (the run's clock), how long in all, and until when as the calendar has it (seconds since the epoch)."""

    due: float
    number: int
    frame: Frame
    node: int
    delay: float
    calendar: float


class Settled(NamedTuple):
    """An outcome for the cache: what was called, and the value that it gave or the futures file that it emitted."""

    fields: Fields
    path: str
    value: Value | None
    futures: bytes | None
    once: bool
