"""How a run stands while it goes on, in numbers: what its executor tells others in its beats, and whoever looks on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands.

    Attributes:
        done, nodes: nodes that are done, and known, of all frames so far.
        waiting: calls that are ready and wait for a pool or for memory.
        lost: calls that are sent again because their worker was lost.
        retrying: calls that wait for another attempt.
        paused: nothing new starts for the time being.
        gates: gates that wait.
        items_done, items: items of the maps that are under way: that have ended, and all.
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
    """What is committed of a run, for progress bars: a `Standing`, and what is told to nobody else.

    Attributes:
        expanded: futures files so far.
        running: what workers do at this moment: (worker, path, since when in µs since the epoch).
    """

    expanded: int = 0
    running: tuple[tuple[str, str, int], ...] = ()
