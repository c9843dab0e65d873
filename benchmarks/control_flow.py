"""`python -m benchmarks.control_flow [--write] [--large]`: the costs of a loop's iteration and of a map's item, in time
and in memory, beside a loop of Python and peers' maps in the same run.

Each measure has a process of its own, so that its memory is its own. The memory told is the growth of the process's
peak above that after everything was imported and a small run was over.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).with_name("README.md")
COUNTS = (10_000, 100_000)
LARGE = 1_000_000


def peak() -> float:
    """The largest memory that this process has had, in MiB."""
    return (
        next(
            int(line.split()[1])
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        / 1024
    )


def ours(what: str, count: int, engine: str) -> dict[str, float]:
    """Seconds, MiB, and bytes of the plan."""
    import promissory
    from promissory import Context, Loop, map_task, task, workflow

    @task
    def numbers(n: int) -> list[int]:
        return list(range(n))

    @task
    def inc(x: int) -> int:
        return x + 1

    @task
    def total(xs: list[int]) -> int:
        return sum(xs)

    @task
    def climb(ctx: Context, n: int) -> int:
        if ctx.loop_index == n:
            return ctx.loop_index
        raise Loop(ctx.loop_index)

    @workflow
    def loop(n: int) -> int:
        return climb(n)

    @workflow
    def mapped(n: int) -> int:
        return total(map_task(inc)(x=numbers(n)))

    target = loop if what == "loop" else mapped
    plan = target.compile()
    with tempfile.TemporaryDirectory() as folder:
        promissory.run(plan, {"n": 10}, store=folder, engine=engine, echo=False).result  # noqa: B018 - a warm-up
        before, begun = peak(), time.perf_counter()
        result = promissory.run(plan, {"n": count}, store=folder, engine=engine, echo=False).result
        assert result == (count if what == "loop" else count * (count + 1) // 2)
        return {"seconds": time.perf_counter() - begun, "memory": peak() - before, "plan": len(plan.to_bytes())}


def theirs(system: str, count: int) -> dict[str, float]:
    """Seconds and MiB of a peer's map."""
    if system == "dask":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.gather(client.map(_inc, range(10)))
            before, begun = peak(), time.perf_counter()
            assert sum(client.gather(client.map(_inc, range(20, 20 + count)))) > 0
            return {"seconds": time.perf_counter() - begun, "memory": peak() - before}
    from flytekit import map_task

    from benchmarks.with_flytekit import inc

    mapped = map_task(inc)
    mapped(x=[1, 2])
    before, begun = peak(), time.perf_counter()
    assert sum(mapped(x=list(range(count)))) > 0
    return {"seconds": time.perf_counter() - begun, "memory": peak() - before}


def _inc(x: int) -> int:
    return x + 1


def measured(*arguments: object) -> dict[str, float] | None:
    """One measure, in a process of its own; None if the peer is not installed."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.control_flow", "--one", *map(str, arguments)], capture_output=True, text=True
    )
    if ran.returncode:
        print(ran.stderr.strip().splitlines()[-1], file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def render(counts: tuple[int, ...]) -> str:
    """The table in Markdown."""
    lines = [
        "| what | system | count | µs each | memory, MiB | plan, bytes | × promissory |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for what, engine in (("loop", "inline"), ("map", "inline"), ("map", "processes")):
        for count in counts:
            found = measured("ours", what, count, engine)
            assert found is not None
            lines.append(
                f"| {what} | promissory, {engine} | {count:,} | {found['seconds'] / count * 1e6:.1f} | "
                f"{found['memory']:.0f} | {found['plan']:.0f} | 1.0 |"
            )
            if what == "map" and count == counts[0]:
                for system, among in (("dask", "processes"), ("flytekit", "inline")):
                    other = measured("theirs", system, count) if among == engine else None
                    if other is not None:
                        ratio = other["seconds"] / found["seconds"]
                        lines.append(
                            f"| {what} | {system} | {count:,} | {other['seconds'] / count * 1e6:.1f} | "
                            f"{other['memory']:.0f} | | {ratio:.1f} |"
                        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and with `--write` put the table into the page."""
    if "--one" in sys.argv:
        kind, *arguments = sys.argv[sys.argv.index("--one") + 1 :]
        print(
            json.dumps(
                ours(arguments[0], int(arguments[1]), arguments[2])
                if kind == "ours"
                else theirs(arguments[0], int(arguments[1]))
            )
        )
        return
    table = render((*COUNTS, LARGE) if "--large" in sys.argv else COUNTS)
    print(table)
    if "--write" in sys.argv:
        text = PAGE.read_text()
        PAGE.write_text(
            re.sub(
                r"(<!-- control flow -->\n).*?(<!-- end of control flow -->)",
                lambda m: f"{m[1]}\n{table}\n\n{m[2]}",
                text,
                flags=re.DOTALL,
            )
        )


if __name__ == "__main__":
    main()
