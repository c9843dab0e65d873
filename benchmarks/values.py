"""`python -m benchmarks.values [--write]`: large values through worker processes, and small ones through codecs.

Each peer that is installed does the same in the same run: two worker processes that are there already, values that are
made, passed and read in the workers. promissory keeps every value in its store (written to disk; synced unless the row
says otherwise), the peers keep them in memory.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from benchmarks.clock import Measure, measure
from promissory import map_task, run, task, workflow
from promissory.typesys import codec_of

PAGE = Path(__file__).with_name("README.md")
_MIB = 1 << 20
_ROUNDS = 3
_TIMES = 1000


@task
def make(mebibytes: int, salt: int) -> np.ndarray:
    return np.full(mebibytes * _MIB // 8, float(salt))


@task
def changed(array: np.ndarray) -> np.ndarray:
    return array + 1


@task
def same(array: np.ndarray) -> np.ndarray:
    return array


@task
def last(array: np.ndarray) -> float:
    return float(array[-1])


@workflow
def new_each_hop(mebibytes: int, salt: int) -> float:
    return last(changed(changed(make(mebibytes, salt))))


@workflow
def handed_on(mebibytes: int, salt: int) -> float:
    return last(same(same(make(mebibytes, salt))))


@task
def frame(mebibytes: int, salt: int) -> pd.DataFrame:
    rows = mebibytes * _MIB // 80
    return pd.DataFrame({f"c{i}": np.full(rows, float(salt + i)) for i in range(10)})


@task
def read(table: pd.DataFrame, column: int) -> float:
    return float(table[f"c{column % 10}"].sum())


@workflow
def readers(mebibytes: int, salt: int) -> list[float]:
    table = frame(mebibytes, salt)
    return [read(table, i) for i in range(16)]


@task
def half(x: int) -> float:
    return x / 2


@workflow
def joined(xs: list[int]) -> list[float]:
    return map_task(half)(xs)


def timed(action: Callable[[int], object]) -> list[float]:
    """Seconds of each round; each round makes other values."""
    found = []
    for salt in range(_ROUNDS):
        begun = time.perf_counter()
        action(salt)
        found.append(time.perf_counter() - begun)
    return found


def ours() -> Iterator[tuple[str, str, list[float]]]:
    """Workload, system and seconds of promissory."""
    folder = tempfile.mkdtemp(prefix="promissory-bench-")
    try:
        for durability, system in (("disk", "promissory, synced"), ("process", "promissory")):

            def go(target: object, salt: int, mebibytes: int, durability: str = durability) -> object:
                return run(  # type: ignore[call-overload]
                    target,
                    {"mebibytes": mebibytes, "salt": salt + 100 * (durability == "disk")},
                    store=folder,
                    engine="processes",
                    max_parallelism=2,
                    durability=durability,
                ).result

            go(readers, 7, 1)  # the workers are there, and have imported what they need
            yield "256 MiB, new at each of 4 tasks", system, timed(lambda salt, go=go: go(new_each_hop, salt, 256))
            yield "256 MiB, handed on by 4 tasks", system, timed(lambda salt, go=go: go(handed_on, salt + 10, 256))
            yield "100 MiB frame, 16 readers", system, timed(lambda salt, go=go: go(readers, salt + 20, 100))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def dask() -> Iterator[tuple[str, str, list[float]]]:
    """The same, of dask's distributed."""
    import dask as library
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        name = f"dask {library.__version__}"

        def chain(step: Callable[..., object], salt: int) -> object:
            value = client.submit(make.function, 256, salt, pure=False)
            for _ in range(2):
                value = client.submit(step, value, pure=False)
            return client.submit(last.function, value, pure=False).result()

        def wide(salt: int) -> object:
            table = client.submit(frame.function, 100, salt, pure=False)
            return client.gather([client.submit(read.function, table, i, pure=False) for i in range(16)])

        chain(same.function, 1)
        yield "256 MiB, new at each of 4 tasks", name, timed(lambda salt: chain(changed.function, salt))
        yield "256 MiB, handed on by 4 tasks", name, timed(lambda salt: chain(same.function, salt))
        yield "100 MiB frame, 16 readers", name, timed(wide)


def ray() -> Iterator[tuple[str, str, list[float]]]:
    """The same, of ray."""
    import ray as library

    library.init(num_cpus=2, include_dashboard=False, logging_level="error", object_store_memory=4 << 30)
    try:
        name = f"ray {library.__version__}"
        of = {one: library.remote(one.function) for one in (make, changed, same, last, frame, read)}

        def chain(step: object, salt: int) -> object:
            value = of[make].remote(256, salt)
            for _ in range(2):
                value = of[step].remote(value)
            return library.get(of[last].remote(value))

        def wide(salt: int) -> object:
            table = of[frame].remote(100, salt)
            return library.get([of[read].remote(table, i) for i in range(16)])

        chain(same, 1)
        yield "256 MiB, new at each of 4 tasks", name, timed(lambda salt: chain(changed, salt))
        yield "256 MiB, handed on by 4 tasks", name, timed(lambda salt: chain(same, salt))
        yield "100 MiB frame, 16 readers", name, timed(wide)
    finally:
        library.shutdown()


def large() -> str:
    """The table of large values."""
    found: dict[str, list[tuple[str, float]]] = {}
    for system in (ours, dask, ray):
        try:
            for workload, name, seconds in system():
                found.setdefault(workload, []).append((name, median(seconds)))
                print(f"{workload:32} {name:22} {median(seconds):6.2f} s", file=sys.stderr)
        except ModuleNotFoundError as missing:
            print(f"{missing.name} is not installed", file=sys.stderr)
    lines = ["| workload | system | s | × promissory |", "|---|---|---:|---:|"]
    for workload, rows in found.items():
        base = dict(rows)["promissory"]
        lines += [f"| {workload} | {name} | {seconds:.2f} | {seconds / base:.1f} |" for name, seconds in rows]
    return "\n".join(lines)


def small() -> Iterator[Measure]:
    """Encoding with its check, and decoding, of small values."""
    for name, annotation, value in (
        ("int", int, 5),
        ("1,000 ints", list[int], list(range(1000))),
        ("array of 1,000", np.ndarray, np.arange(1000.0)),
        ("frame of 1,000 rows", pd.DataFrame, pd.DataFrame({"a": np.arange(1000), "b": np.arange(1000.0)})),
    ):
        codec = codec_of(annotation)
        data = codec.encode(value)
        yield measure(f"encode {name}", "promissory", "value", _TIMES, lambda c=codec, v=value: _often(c.encode, v))
        yield measure(f"decode {name}", "promissory", "value", _TIMES, lambda c=codec, d=data: _often(c.decode, d))


def _often(action: Callable[[object], object], value: object) -> None:
    for _ in range(_TIMES):
        action(value)


def main() -> None:
    """Measure, print, and with `--write` put the tables into the page."""
    lines = ["| codec | µs |", "|---|---:|"]
    lines += [f"| {one.workload} | {one.median:.1f} |" for one in small()]
    table = f"{time.strftime('%Y-%m-%d')}.\n\n{large()}\n\n" + "\n".join(lines)
    print(table)
    if "--write" in sys.argv:
        text = PAGE.read_text()
        PAGE.write_text(
            re.sub(
                r"(<!-- values -->\n).*?(<!-- end of values -->)",
                lambda m: f"{m[1]}\n{table}\n{m[2]}",
                text,
                flags=re.DOTALL,
            )
        )


if __name__ == "__main__":
    main()
