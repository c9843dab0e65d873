"""`python -m benchmarks.durability [--write]`: the costs of durability, the costs of a resume as a run grows, and the
number of requests that a run makes of an object store.

Ratios are against ourselves, measured in one run. Requests are counted at the store's own border, where each verb is
one request or, for a log, the few that its parts take.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import promissory
from benchmarks.clock import Measure, measure
from promissory import Plan, Workflow, task
from promissory.errors import RunFailed
from promissory.testing import FaultyStore

PAGE = Path(__file__).with_name("README.md")


@task
def inc(x: int) -> int:
    return x + 1


@task
def stop_here(x: int, marker: str) -> int:
    if not Path(marker).exists():
        raise RuntimeError("the run is to stop here")
    return x


def layers(width: int, count: int) -> Plan:
    """A plan of `count` tasks of which `width` can be in flight at one time: so many chains beside each other."""
    with Workflow("layers") as made:
        heads = [inc(0) for _ in range(width)]
        for _ in range(count // width - 1):
            heads = [inc(head) for head in heads]
    made.add_workflow_output("last", heads[-1], int)
    return made.compile()


def stopped(length: int) -> Plan:
    """A chain that stops at its last task."""
    with Workflow("stopped") as made:
        marker = made.add_workflow_input("marker", str)
        head = inc(0)
        for _ in range(length - 1):
            head = inc(head)
        end = stop_here(head, marker)
    made.add_workflow_output("last", end, int)
    return made.compile()


def durabilities() -> list[Measure]:
    """µs a task with each durability, at three widths, over worker processes."""
    found = []
    for width in (1, 100, 10_000):
        plan = layers(width, 10_000)
        for durability in ("disk", "process"):

            def body(plan: Plan = plan, durability: str = durability) -> None:
                with tempfile.TemporaryDirectory() as folder:
                    assert (
                        promissory.run(plan, store=folder, engine="processes", durability=durability, echo=False).state
                        == "SUCCEEDED"
                    )

            found.append(measure(f"{width:,} in flight", durability, "task", 10_000, body))
    return found


def resumes() -> list[Measure]:
    """ms of a resume (one unit: the whole) after so many finished nodes."""
    found = []
    for length in (1_000, 10_000, 30_000, 100_000):
        plan = stopped(length)
        with tempfile.TemporaryDirectory() as folder:
            times = []
            for number in range(3):
                marker = Path(folder) / f"marker {number}"
                run = promissory.run(plan, {"marker": str(marker)}, store=folder, echo=False, durability="process")
                assert isinstance(run.error, RunFailed)
                marker.touch()
                begun = time.perf_counter()
                assert promissory.resume(run.id, store=folder, echo=False).result == length
                times.append((time.perf_counter() - begun) * 1e3)
        found.append(
            Measure(
                "resume",
                "promissory",
                f"run of {length:,} finished nodes",
                length,
                sorted(times)[1],
                min(times),
                max(times),
            )
        )
    return found


def requests() -> list[tuple[int, int, dict[str, int]]]:
    """(tasks, requests, by verb) of runs on a store where each verb takes the 20 ms of a request."""
    from promissory.testing import Fault

    found = []
    for count in (100, 1_000, 5_000):
        plan = layers(count // 10, count)
        with tempfile.TemporaryDirectory() as folder:
            store = FaultyStore(folder, [Fault("delay", seconds=0.02)])
            store._backend.near = False
            assert promissory.run(plan, store=store, echo=False).state == "SUCCEEDED"
            verbs: dict[str, int] = {}
            for verb, _ in store.operations:
                # A server that answers for the bytes it took needs no request for this verb.
                if verb != "sync":
                    verbs[verb] = verbs.get(verb, 0) + 1
        found.append((count, sum(verbs.values()), verbs))
    return found


def render() -> str:
    """The three tables in Markdown."""
    costs = durabilities()
    lines = ["| tasks | `disk`, µs a task | `process`, µs a task | ratio |", "|---|---:|---:|---:|"]
    for disk, process in zip(costs[::2], costs[1::2], strict=True):
        lines.append(
            f"| {disk.workload} | {disk.median:.1f} | {process.median:.1f} | {disk.median / process.median:.2f} |"
        )
    lines += ["", "| resume after | ms | spread |", "|---|---:|---:|"]
    lines += [
        f"| {one.count:,} finished nodes | {one.median:.0f} | {one.lowest:.0f}–{one.highest:.0f} |" for one in resumes()
    ]
    lines += ["", "| tasks of a run | requests | a task | which |", "|---:|---:|---:|---|"]
    for count, total, verbs in requests():
        said = ", ".join(f"{number} {verb}" for verb, number in sorted(verbs.items(), key=lambda one: -one[1]))
        lines.append(f"| {count:,} | {total} | {total / count:.3f} | {said} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and with `--write` put the tables into the page."""
    tables = render()
    print(tables)
    if "--write" in sys.argv:
        text = PAGE.read_text()
        PAGE.write_text(
            re.sub(
                r"(<!-- durability -->\n).*?(<!-- end of durability -->)",
                lambda m: f"{m[1]}\n{tables}\n\n{m[2]}",
                text,
                flags=re.DOTALL,
            )
        )


if __name__ == "__main__":
    main()
