"""J1: killed at any moment and resumed, a run gives the same result, and no committed node's body starts again."""

import random
import signal
from collections import Counter

import pytest

from promissory.executor.history.history import History

MODULE = """
import os
from promissory import dynamic, task, workflow

def began(what):
    descriptor = os.open("started", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task
def block(n: int) -> list[int]:
    began(f"block {n}")
    return list(range(n, n + 3000))

@task
def add(a: int, b: int, name: str) -> int:
    began(f"add {name}")
    return a + b

@task
def total(values: list[int], name: str) -> int:
    began(f"total {name}")
    return sum(values)

@workflow
def weigh(n: int, name: str) -> int:
    return add(total(block(n), name), n, name)

@dynamic
def tree(n: int, name: str) -> int:
    began(f"tree {name}")
    if n == 0:
        return weigh(len(name), name)
    return add(tree(n - 1, name + "l"), tree(n - 1, name + "r"), name)

@workflow
def forest() -> list[int]:
    first = tree(3, "a")
    second = tree(2, "b")
    first >> second
    return [first, second, add(first, second, "top")]
"""

RUN = """
from promissory import run
from crash import forest
run(forest, run_id="crash", echo=False)
"""

RESUME = """
from promissory import resume
print(resume("crash").result)
"""


@pytest.fixture
def straight(project):
    """What a straight run gives, and the bodies it starts."""
    project.write("crash.py", MODULE)
    project.code(RUN.replace('"crash"', '"straight"') + "print(1)")
    lines = project.lines("started")
    (project.folder / "started").unlink()
    return History(project.store, "straight").end[2], Counter(lines)


def body_of(path):
    """What the body of a node writes, by the node's path."""
    steps = path.split("/")
    if len(steps) == 2:
        return {"tree": "tree a", "tree~2": "tree b", "add": "add top"}[steps[1]]
    name = {"tree": "a", "tree~2": "b"}[steps[1]]
    for step in steps[2:-1]:
        name += {"tree": "l", "tree~2": "r", "weigh": ""}[step]
    last = steps[-1]
    if last.startswith("tree"):
        return f"tree {name}{'l' if last == 'tree' else 'r'}"
    return f"block {len(name)}" if last == "block" else f"{last} {name}"


def committed(project):
    """What the bodies of all nodes that are committed wrote, as often as they did."""
    done = [
        row
        for row in History(project.store, "crash").nodes()
        if row.state in ("SUCCEEDED", "EXPANDED") and row.kind != "plan"
    ]
    return Counter(body_of(row.path) for row in done)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("seed", range(3))
def test_J1_killed_at_random_moments_and_resumed_gives_the_same(project, straight, eventually, seed):
    result, bodies = straight
    chance = random.Random(seed)
    done = Counter()
    for source in (RUN, RESUME, RESUME, RESUME, None):
        begun = len(project.lines("started"))
        if source is None:
            assert project.code(RESUME).startswith("[")
        else:
            process = project.spawn("-c", source)
            wanted = begun + chance.randrange(1, 25)
            eventually(
                lambda wanted=wanted, process=process: (
                    len(project.lines("started")) >= wanted or process.poll() is not None
                )
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
        again = Counter(project.lines("started")[begun:])
        assert all(again[body] <= bodies[body] - done[body] for body in again), "what was committed has started again"
        done = committed(project)
    assert History(project.store, "crash").end[2] == result
    assert set(project.lines("started")) == set(bodies), "no node is missing, none is new"
    assert done == bodies
    assert {row.state for row in History(project.store, "crash").nodes()} == {"SUCCEEDED"}


def test_J1_a_run_killed_before_its_first_commit_begins_anew(project, straight):
    result, _ = straight
    source = RUN.replace("run(forest", "import os; run(forest").replace(
        "echo=False", "echo=False, on_progress=lambda progress: os.kill(os.getpid(), 9)"
    )
    process = project.spawn("-c", source)
    project.finish(process)
    assert process.returncode == -9
    project.code(RESUME)
    assert History(project.store, "crash").end[2] == result


SLOW_AFTER_QUICK = """
import os, signal, sys, time
from promissory import resume, run
from promissory import task, workflow

@task
def quick(x: int) -> int:
    return x

@task
def slow(x: int) -> int:
    with open("started", "a") as file:
        file.write(f"{x}\\n")
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
    return x

@task
def last(x: int) -> int:
    if not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return x

@workflow
def work() -> list[int]:
    first = [quick(x) for x in range(600)]
    then = [slow(x) for x in range(20)]
    ended = last(1)
    first >> then[0]
    first[-1] >> then
    first >> ended
    return [*then, ended]

if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(work, run_id="slow")
    else:
        print(len(resume("slow").result))
"""


@pytest.mark.full
def test_J1_bodies_that_turn_slow_are_committed_as_they_end(project):
    """Two seconds of work lie between the first slow body and the kill.

    A commit comes every 20 ms: almost all of it is kept.
    """
    project.write("slow.py", SLOW_AFTER_QUICK)
    process = project.spawn("slow.py", "run")
    project.finish(process)
    assert process.returncode == -9
    before = len(project.lines("started"))
    assert project.python("slow.py", "resume").split() == ["21"]
    assert before == 20
    assert len(project.lines("started")) - before <= 10
