"""The workloads on dask.delayed: with its synchronous scheduler, and over processes on a local cluster of
`distributed`. dask keeps nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.metadata import version

import dask

from benchmarks.clock import Measure, measure

SYSTEM = f"dask {version('dask')}"
COUNT = 1_000


@dask.delayed
def inc(x: int) -> int:
    return x + 1


@dask.delayed
def total(xs: list[int]) -> int:
    return sum(xs)


def build_chain():
    x = 0
    for _ in range(COUNT):
        x = inc(x)
    return x


def build_wide():
    return total([inc(0) for _ in range(COUNT)])


def measures() -> Iterator[Measure]:
    """Every workload that dask has a spelling for."""
    sys.setrecursionlimit(100_000)
    chain, wide = build_chain(), build_wide()
    yield measure(
        "compile", SYSTEM, "node", COUNT, build_chain, note="a graph in memory, not a plan that can be stored"
    )
    yield measure("chain", SYSTEM, "task", COUNT, lambda: chain.compute(scheduler="synchronous"), note="nothing kept")
    yield measure(
        "independent", SYSTEM, "task", COUNT, lambda: wide.compute(scheduler="synchronous"), note="nothing kept"
    )
    yield from over_processes()


def over_processes() -> Iterator[Measure]:
    """The same on a cluster of this machine.

    Its optimiser would make one task of a chain, so the optimiser is turned off. The cluster knows the results of a
    graph that it has seen, so each run has a graph of its own, made before.
    """
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"optimization.fuse.active": False}),
        LocalCluster(n_workers=os.cpu_count(), threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for name, build in (("chain, processes", build_chain), ("independent, processes", build_wide)):
            graphs = [build() for _ in range(4)]
            yield measure(
                name,
                SYSTEM,
                "task",
                COUNT,
                lambda graphs=graphs: client.compute(graphs.pop(), optimize_graph=False).result(),
                note="in memory",
            )
