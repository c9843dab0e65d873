"""The rounds of a run's cycles: how long their nodes took, what bounds them, and how fast they came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from promissory.executor.history.history import History
from promissory.executor.scheduler.calls import Key
from promissory.planner.plan.circuits import Circuit, edges_of, slowest_circuit

_LOOKED_AT: Final = 200
"""Rounds that are looked at, the newest ones."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a cycle.

    Attributes:
        path: the path of the cycle's node.
        rounds: how many rounds have begun.
        max_active: how many may be unfinished at one time.
        takes: how long each node took in the middle (the median), in seconds, by name.
        slowest: the circuit that bounds the pace; None if no node needs an earlier round.
        window: seconds a round below which `max_active` lets none come: how long a round takes, by their number.
        reached: seconds from the end of a round to the next one's, in the middle; None before there are two.
    """

    path: str
    rounds: int
    max_active: int
    takes: dict[str, float]
    slowest: Circuit | None
    window: float
    reached: float | None


def paces(history: History) -> Iterator[Pace]:
    """List the paces of a run's cycles."""
    keys = dict.fromkeys(history.parents[id] for id in history.rounds)
    for key in keys:
        yield _pace(history, key)


def _pace(history: History, key: Key) -> Pace:
    frame, index = history.opened[key[0]], key[1]
    policy = frame.topology.policy(index).cycle
    assert policy is not None
    ids = [id for id in history.children[key] if history.rounds.get(id, "last") != "last"]
    spans: list[tuple[float, float]] = []
    took = defaultdict[str, list[float]](list)
    for id in ids[-_LOOKED_AT:]:
        ends: list[tuple[float, float]] = []
        topology = history.opened[id].topology
        for at in range(topology.count):
            span = _span(history, id, at)
            if span is not None:
                ends.append(span)
                took[topology.name(at)].append(span[1] - span[0])
        if ends:
            spans.append((min(begin for begin, _ in ends), max(end for _, end in ends)))
    takes = {name: median(each) for name, each in took.items()}
    typical = max(ids, key=lambda id: len(history.opened[id].topology.earlier))
    lasts = sorted(end for _, end in spans)
    return Pace(
        history.path(*key),
        len(ids),
        policy[3],
        takes,
        slowest_circuit(edges_of(history.opened[typical].topology.shape), takes),
        median(end - begin for begin, end in spans) / policy[3] if spans else 0.0,
        median(after - before for before, after in pairwise(lasts)) if len(lasts) > 1 else None,
    )


def _span(history: History, id: int, index: int) -> tuple[float, float] | None:
    """When a node, with all that it stands for, began and ended, in seconds since the run's creation."""
    rows = [history.row(id, index), *(history.inside(id, index) if (id, index) in history.children else ())]
    times = [(row.started, row.started + row.duration) for row in rows if row.started]
    return (min(one for one, _ in times) / 1e6, max(end for _, end in times) / 1e6) if times else None
