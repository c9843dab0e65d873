"""A workflow that goes round for ever: `prep` once, then `foo` → `bar` in each round, with `foo` of the next round
running beside `bar` of this one.

    python examples/cyclic_workflow.py
    promissory run --stop 5 examples/cyclic_workflow.py
    promissory show examples/cyclic_workflow.py --cycles

The program shows what such a workflow needs beside a loop: a first round with a task of its own; tasks that are nodes,
with their own state and retries; rounds that overlap; a run that goes on after its process was killed; a drawing of the
rounds, folded and unrolled; and an end.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from promissory import Context, Cycle, attach, cycle, once, prev, resume, run, task

TAKES = 0.05


@task
def prep() -> int:
    """Prepare what every round needs."""
    return 100


@task(retries=2)
def foo(ctx: Context, number: int, before: int, base: int) -> int:
    """Go on from what the round before gave. Fails now and then, as things do."""
    time.sleep(TAKES)
    if number == 2 and ctx.attempt == 1:
        raise OSError("try again")
    return before + base


@task
def bar(value: int) -> str:
    """Publish what `foo` gave, which takes longer."""
    time.sleep(2 * TAKES)
    return f"{value} is out"


@cycle(max_active=3)
def forever(c: Cycle) -> int:
    """One round. Without `--stop` there is no last one."""
    base = once()(prep)()
    value = foo(c.number, prev(foo, default=0), base)
    bar(value)
    return value


def killed_in_the_middle(store: str) -> None:
    """Begin the run in a process of its own, and kill that process when four rounds are done."""
    program = subprocess.Popen([sys.executable, __file__, "begin", store])
    while True:
        time.sleep(TAKES)
        try:
            done = [row.path for row in attach("rounds", store=store).nodes() if row.state == "SUCCEEDED"]
        except LookupError:
            continue  # the run has not begun yet
        if any(path.endswith("@4/bar") for path in done):
            break
    program.send_signal(signal.SIGKILL)
    program.wait()


def main() -> None:
    """Show the six things."""
    os.chdir(tempfile.mkdtemp(prefix="promissory-"))
    store = str(Path("store").resolve())
    killed_in_the_middle(store)
    ended = resume("rounds", store=store, engine="processes", max_parallelism=3, stop=8, echo=False)
    rows = {row.path.removeprefix("main/forever"): row for row in ended.nodes()}

    print("1. the first round has a task of its own:", ", ".join(path for path in rows if path.endswith("prep")))
    print("2. each task of each round is a node:", rows["@2/foo"].state, "in attempt", rows["@2/foo"].attempts)
    overlaps = sum(
        rows[f"@{number + 1}/foo"].started < rows[f"@{number}/bar"].started + rows[f"@{number}/bar"].duration
        for number in range(5, 8)
    )
    print("3. rounds overlap:", "foo began before bar of the round before had ended" if overlaps else "not at all")
    print("4. after kill -9 it went on, and prep ran", sum(path.endswith("prep") for path in rows), "time")
    print("5. folded:")
    template = forever.template()
    assert template is not None
    print(template.show())
    print("   unrolled:", " ".join(path for path in rows if path.startswith(("@1", "@2", "@3"))))
    print("6. it stopped at 8 with", ended.result, end=", ")
    print(
        "and goes on to 9 with",
        resume("rounds", store=store, engine="processes", max_parallelism=3, stop=9, echo=False).result,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["begin"]:
        run(forever, store=sys.argv[2], run_id="rounds", engine="processes", max_parallelism=3, echo=False)
    else:
        main()
