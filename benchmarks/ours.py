"""The workloads on promissory. Every run keeps its journal on disk, synced, unless its name says otherwise."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import promissory
from benchmarks.clock import Measure, measure
from promissory import Plan, dynamic, task, workflow
from promissory.planner.plan.shape_format import shape_from_bytes

SYSTEM = "promissory"


@task
def inc(x: int) -> int:
    return x + 1


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def stop_here(x: int, marker: str) -> int:
    if not Path(marker).exists():
        raise RuntimeError("the run is to stop here")
    return x


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@dynamic
def ten(n: int) -> int:
    for _ in range(10):
        n = inc(n)
    return n


LENGTH = 10_000


@workflow
def chain(x: int) -> int:
    for _ in range(LENGTH):
        x = inc(x)
    return x


@workflow
def independent(x: int) -> int:
    return total([inc(x) for _ in range(LENGTH)])


@workflow
def chain_then_stop(marker: str) -> int:
    x = 0
    for _ in range(100_000):
        x = inc(x)
    return stop_here(x, marker)


@workflow
def frames_then_stop(marker: str) -> int:
    return stop_here(total([ten(n) for n in range(10_000)]), marker)


def read(data: bytes) -> Plan:
    """Read a plan whose shape was not met before."""
    shape_from_bytes.cache_clear()
    return Plan.from_bytes(data)


@contextmanager
def store() -> Iterator[Path]:
    """A folder for one run."""
    folder = Path(tempfile.mkdtemp(prefix="promissory-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run(target: object, inputs: dict[str, object], **options: object) -> object:
    """Run on disk, in a fresh store."""
    with store() as folder:
        return promissory.run(target, inputs, store=folder, echo=False, **options).result  # type: ignore[arg-type]


def measures() -> Iterator[Measure]:
    """Every workload."""
    plan = chain.compile()
    yield measure("compile", SYSTEM, "node", LENGTH, chain.compile)
    data = plan.to_bytes()
    size = f"{len(data) / LENGTH:.1f} bytes a node"
    yield measure("compile to bytes", SYSTEM, "node", LENGTH, lambda: chain.compile().to_bytes(), note=size)
    yield measure("plan from bytes", SYSTEM, "node", LENGTH, lambda: read(data), note="verified")
    yield measure("chain", SYSTEM, "task", LENGTH, lambda: run(plan, {"x": 0}), note="journal on disk, synced")
    wide = independent.compile()
    yield measure("independent", SYSTEM, "task", LENGTH, lambda: run(wide, {"x": 0}), note="journal on disk, synced")
    processes = {"engine": "processes"}
    yield measure(
        "chain, processes",
        SYSTEM,
        "task",
        LENGTH,
        lambda: run(plan, {"x": 0}, **processes),
        note="journal on disk, synced",
    )
    yield measure(
        "independent, processes",
        SYSTEM,
        "task",
        LENGTH,
        lambda: run(wide, {"x": 0}, **processes),
        note="journal on disk, synced",
    )
    yield measure(
        "fib",
        SYSTEM,
        "call",
        calls(15),
        lambda: run(fib, {"n": 15}),
        note="a futures file a call, journal on disk, synced",
    )
    yield resume("resume a chain", chain_then_stop, 100_000)
    yield resume("resume 10,000 frames", frames_then_stop, 100_000)


def calls(n: int) -> int:
    """Count the calls that a recursive fib makes."""
    return 1 if n < 2 else 1 + calls(n - 1) + calls(n - 2)


def resume(name: str, target: object, finished: int) -> Measure:
    """Resume a run that stopped after so many finished nodes.

    Each run can be resumed once only, so each is made anew.
    """
    import time

    times = []
    for _ in range(3):
        with store() as folder:
            marker = folder / "marker"
            ended = promissory.run(target, {"marker": str(marker)}, store=folder, echo=False)  # type: ignore[arg-type]
            assert ended.state == "FAILED"
            marker.touch()
            begun = time.perf_counter()
            assert promissory.resume(ended.id, store=folder, echo=False).state == "SUCCEEDED"
            times.append((time.perf_counter() - begun) / finished * 1e6)
    times.sort()
    return Measure(
        name,
        SYSTEM,
        "finished node",
        finished,
        times[1],
        times[0],
        times[2],
        f"{times[1] * finished / 1e6:.2f} s in all",
    )
