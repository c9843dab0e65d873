"""The workloads over processes on Ray, on a cluster of this machine, which keeps objects in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import ray

from benchmarks.clock import Measure, measure

SYSTEM = f"ray {ray.__version__}"
COUNT = 2_000


@ray.remote
def inc(x: int) -> int:
    return x + 1


def chain() -> int:
    x = 0
    for _ in range(COUNT):
        x = inc.remote(x)
    return ray.get(x)


def independent() -> int:
    return sum(ray.get([inc.remote(0) for _ in range(COUNT)]))


def measures() -> Iterator[Measure]:
    """The workloads over processes."""
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        yield measure("chain, processes", SYSTEM, "task", COUNT, chain, note="in memory")
        yield measure("independent, processes", SYSTEM, "task", COUNT, independent, note="in memory")
    finally:
        ray.shutdown()
