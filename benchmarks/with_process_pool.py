"""The workloads over processes on `concurrent.futures.ProcessPoolExecutor`.

A pool keeps nothing and knows no dependencies: a chain waits for each task.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from platform import python_version

from benchmarks.clock import Measure, measure

SYSTEM = f"ProcessPoolExecutor {python_version()}"
COUNT = 5_000


def inc(x: int) -> int:
    return x + 1


def chain(pool: ProcessPoolExecutor) -> int:
    x = 0
    for _ in range(COUNT):
        x = pool.submit(inc, x).result()
    return x


def independent(pool: ProcessPoolExecutor) -> int:
    return sum(future.result() for future in [pool.submit(inc, 0) for _ in range(COUNT)])


def measures() -> Iterator[Measure]:
    """Every workload that a pool has a spelling for."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield measure("chain, processes", SYSTEM, "task", COUNT, lambda: chain(pool), note="nothing kept, no graph")
        yield measure(
            "independent, processes", SYSTEM, "task", COUNT, lambda: independent(pool), note="nothing kept, no graph"
        )
