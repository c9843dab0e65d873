"""Fair timing: the median of a few runs, after a warm-up, with the garbage collector as users have it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """A workload done by one system: µs a unit, the median and the spread of the runs."""

    workload: str
    system: str
    unit: str
    count: int
    median: float
    lowest: float
    highest: float
    note: str = ""


def measure(
    workload: str,
    system: str,
    unit: str,
    count: int,
    body: Callable[[], object],
    *,
    runs: int = 3,
    warm_up: bool = True,
    note: str = "",
) -> Measure:
    """Time a body that does `count` units of work. Gives µs a unit."""
    if warm_up:
        body()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        body()
        times.append((time.perf_counter() - begun) / count * 1e6)
    return Measure(workload, system, unit, count, statistics.median(times), min(times), max(times), note)
