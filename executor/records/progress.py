"""The standing of a run while it goes on, in numbers: its executor tells other processes in its beats, and the
caller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands.

    Attributes:
        done, nodes: how many nodes are done, and how many are known, over all frames so far.
        waiting: calls that are ready and wait for a pool or for memory.
        lost: calls that are sent again because their worker was lost.
        retrying: calls that wait for another attempt.
        paused: whether the run is paused, so that nothing new starts.
        gates: gates that wait.
        items_done, items: how many items of the maps under way have ended, and how many there are.
    """

    done: int = 0
    nodes: int = 0
    waiting: int = 0
    lost: int = 0
    retrying: int = 0
    paused: bool = False
    gates: int = 0
    items_done: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Standing):
    """The committed progress of a run, for progress bars: a `Standing`, and figures that only the caller is told.

    Attributes:
        expanded: futures files so far.
        running: the running bodies: (worker, path, beginning in µs since the epoch).
    """

    expanded: int = 0
    running: tuple[tuple[str, str, int], ...] = ()
