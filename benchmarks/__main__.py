"""`python -m benchmarks [--write]`: measure everything in one run, and print µs a unit and the ratio to promissory."""

from __future__ import annotations

import importlib
import platform
import re
import sys
import time
from pathlib import Path

from benchmarks import ours
from benchmarks.clock import Measure

PAGE = Path(__file__).with_name("README.md")


def main() -> None:
    """Measure, print, and with `--write` put the table into the page."""
    found: list[Measure] = []
    for name in (
        "benchmarks.ours",
        "benchmarks.with_flytekit",
        "benchmarks.with_dask",
        "benchmarks.with_process_pool",
        "benchmarks.with_ray",
    ):
        try:
            workloads = importlib.import_module(name)
        except ModuleNotFoundError as missing:
            print(f"{missing.name} is not installed", file=sys.stderr)
            continue
        for one in workloads.measures():
            found.append(one)
            print(f"{one.workload:22} {one.system:22} {one.median:10.1f} µs a {one.unit}", file=sys.stderr)
    table = render(found)
    print(table)
    if "--write" in sys.argv:
        text = PAGE.read_text()
        PAGE.write_text(
            re.sub(r"(<!-- table -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{table}\n{m[2]}", text, flags=re.DOTALL)
        )


def render(found: list[Measure]) -> str:
    """The measures as a table in Markdown, each peer with its ratio to ours."""
    base = {one.workload: one.median for one in found if one.system == ours.SYSTEM}
    lines = [
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, "
        f"{time.strftime('%Y-%m-%d')}.",
        "",
        "| workload | system | µs | a | n | spread | × promissory | |",
        "|---|---|---:|---|---:|---:|---:|---|",
    ]
    for one in sorted(found, key=lambda one: (list(base).index(one.workload), one.system != ours.SYSTEM, one.system)):
        ratio = f"{one.median / base[one.workload]:.1f}"
        spread = f"{one.lowest:.1f}–{one.highest:.1f}"
        lines.append(
            f"| {one.workload} | {one.system} | {one.median:.1f} | {one.unit} | {one.count:,} | {spread} | "
            f"{ratio} | {one.note} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
