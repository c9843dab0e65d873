"""What users' bodies do wrong: values that can't be stored, floods of output, children that outlive them.

The run is not hurt, on any engine.
"""

import os
import signal
import threading

import pytest

from promissory import Store, resume, run, start, task
from promissory.errors import RunFailed
from promissory.executor.history.history import History

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])

MODULE = """
import os, socket, subprocess, sys, threading
from typing import Any
from promissory import dynamic, task, workflow

class Strange:
    pass

class Refuses:
    def __reduce__(self):
        raise RuntimeError("I can't be kept")

@task(retries=3)
def lying(kind: str) -> int:
    with open("attempts", "a") as file:
        file.write(kind + "\\n")
    values = {"object": Strange(), "lock": threading.Lock(), "function": lambda: 1, "text": "7", "none": None}
    return {**values, "generator": (n for n in [1])}[kind]

@task
def nested(kind: str) -> list[dict[str, int]]:
    return [{"a": 1}, {"b": {"lock": threading.Lock(), "text": "seven"}[kind]}]

@task
def anything(kind: str) -> Any:
    return {"object": Strange(), "lock": threading.Lock(), "refuses": Refuses(), "huge": 1 << 5000}[kind]

@task
def endless(n: int) -> list[Any]:
    turning: list[Any] = []
    turning.append(turning)
    return turning

@task
def good(n: int) -> int:
    return n + 1

@task
def flood(megabytes: int) -> int:
    line = "x" * 1023
    for _ in range(megabytes):
        for _ in range(1024):
            print(line)
    return megabytes

@task
def one_line(megabytes: int) -> int:
    sys.stdout.write("y" * (megabytes << 20))
    sys.stderr.buffer.write(b"\\xff\\xfe not text\\n") if hasattr(sys.stderr, "buffer") else None
    return megabytes

@task
def leaves_children(n: int) -> int:
    for _ in range(n):
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        with open("children", "a") as file:
            file.write(f"{child.pid}\\n")
    return n

@task
def forks(n: int) -> int:
    if os.fork() == 0:
        with open("children", "a") as file:
            file.write(f"{os.getpid()}\\n")
        os.execvp("sleep", ["sleep", "300"])
    return n

@task
def leaves_a_thread(n: int) -> int:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return n

@task
def careless(n: int) -> int:
    sys.stdout.close()
    os.chdir("/")
    return n

@workflow
def beside(kind: str) -> list[int]:
    first = good(1)
    bad = lying(kind)
    first >> bad
    return [first, bad, good(good(5))]

@workflow
def after(n: int) -> int:
    return good(leaves_children(n))

@workflow
def after_fork(n: int) -> int:
    return good(forks(n))

@workflow
def flooded(n: int) -> int:
    return good(flood(n))
"""

GO = """
import json, sys
import promissory, users
if __name__ == "__main__":
    name, inputs, engine, run_id = sys.argv[1:]
    how = {"run_id": run_id, "engine": engine, "echo": False, "durability": "process"}
    ended = promissory.run(getattr(users, name), json.loads(inputs), **how)
    with open(f"said {run_id}", "w") as file:
        file.write(ended.state if ended.error is None else str(ended.error).splitlines()[0])
"""


@pytest.fixture
def users(project):
    """A function (target, inputs as JSON, engine) → what its run ends with, in a process of its own."""
    project.write("users.py", MODULE)
    project.write("go.py", GO)

    def ended(target, inputs, engine="inline", run_id="r"):
        process = project.spawn("go.py", target, inputs, engine, run_id)
        assert process.wait(60) == 0  # its output may stay open for longer: children have it
        return "\n".join(project.lines(f"said {run_id}"))

    yield ended
    for pid in project.lines("children"):
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.mark.full(keep=2)
@ENGINES
@pytest.mark.parametrize("kind", ["object", "lock", "function", "text", "none", "generator"])
def test_P4_a_result_that_is_not_what_was_declared_fails_its_node_once_and_is_told(users, project, kind, engine):
    said = users("beside", f'{{"kind": "{kind}"}}', engine)
    assert "lying() returned something else than it declares: result" in said
    assert "expected int" in said
    assert project.lines("attempts") == [kind], "a violation is never retried"
    states = {row.path: row.state for row in History(project.store, "r").nodes()}
    assert (states["main/good"], states["main/lying"]) == ("SUCCEEDED", "FAILED")


@pytest.mark.parametrize(("kind", "found"), [("lock", "lock"), ("text", "str")])
def test_P4_the_path_to_what_can_not_be_stored_is_told(users, kind, found):
    said = users("nested", f'{{"kind": "{kind}"}}')
    assert "result[1]['b']" in said
    assert f"got {found}" in said


@ENGINES
@pytest.mark.parametrize("kind", ["lock", "refuses"])
def test_P4_a_value_of_any_type_that_can_not_be_stored_is_a_failure_of_its_node(users, project, kind, engine):
    said = users("anything", f'{{"kind": "{kind}"}}', engine)
    assert "anything" in said
    assert "Traceback" not in said
    assert [row.state for row in History(project.store, "r").nodes()] == ["FAILED"]


@ENGINES
def test_P4_a_value_that_holds_itself_ends_nothing_but_its_node(users, project, engine):
    said = users("endless", '{"n": 1}', engine)
    assert "endless" in said
    assert History(project.store, "r").state == "FAILED"


@ENGINES
def test_R6_a_run_whose_task_gave_what_can_not_be_stored_goes_on_after_a_repair(users, project, engine):
    users("beside", '{"kind": "lock"}', engine)
    project.write("users.py", MODULE.replace('"lock": threading.Lock(), "function"', '"lock": 9, "function"'))
    project.write("again.py", RESUME)
    assert project.python("again.py", engine).strip() == "[2, 9, 7]"


RESUME = """
import sys
import promissory
if __name__ == "__main__":
    print(promissory.resume("r", engine=sys.argv[1], echo=False).result)
"""


@ENGINES
def test_X5_a_task_that_prints_a_hundred_megabytes_is_a_task_like_any_other(users, project, engine):
    megabytes = 100 if engine == "inline" else 30
    assert users("flooded", f'{{"n": {megabytes}}}', engine) == "SUCCEEDED"
    row = next(row for row in History(project.store, "r").nodes() if row.path == "main/flood")
    assert row.log[2] == megabytes << 20
    assert project.store.get_range(row.log[0], row.log[1], row.log[1] + 4) == b"xxxx"


def test_X5_a_flood_takes_no_memory(project):
    project.write("users.py", MODULE)
    peak = """
    import resource, promissory, users
    promissory.run(users.flood, {"megabytes": 2}, echo=False, durability="process")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    promissory.run(users.flood, {"megabytes": 60}, echo=False, durability="process")
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
    """
    assert int(project.code(peak)) < 20


@ENGINES
def test_X5_one_line_of_ten_megabytes_and_bytes_that_are_no_text(users, engine):
    assert users("one_line", '{"megabytes": 10}', engine) == "SUCCEEDED"


@ENGINES
def test_X10_children_that_a_task_leaves_behind_keep_no_run_from_ending(users, project, engine, eventually):
    """They end with the run where the process is not the user's own."""
    assert users("after", '{"n": 3}', engine) == "SUCCEEDED"
    children = [int(pid) for pid in project.lines("children")]
    assert len(children) == 3
    if engine == "processes":
        eventually(lambda: not any(map(is_there, children)), "the end of the children")
    else:
        assert all(map(is_there, children))


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@ENGINES
def test_X10_a_fork_that_becomes_another_program_keeps_no_run_from_ending(users, project, engine):
    assert users("after_fork", '{"n": 3}', engine) == "SUCCEEDED"
    assert History(project.store, "r").state == "SUCCEEDED"


@ENGINES
def test_X10_a_thread_that_a_task_leaves_behind_keeps_no_run_from_ending(users, engine):
    assert users("leaves_a_thread", '{"n": 3}', engine) == "SUCCEEDED"


@pytest.mark.parametrize("engine", ["processes"])
def test_X10_a_task_that_closes_its_output_and_leaves_its_folder_hurts_nobody(users, engine):
    assert users("careless", '{"n": 1}', engine) == "SUCCEEDED"


# --- two runs on one store ---


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_J3_two_runs_of_one_workflow_on_one_store_never_meet(project, engine):
    project.write("users.py", MODULE)
    project.write("go.py", GO)
    both = [project.spawn("go.py", "flooded", f'{{"n": {number}}}', engine, f"run{number}") for number in (1, 2, 3)]
    for process in both:
        _, errors = project.finish(process)
        assert process.returncode == 0, errors
    for number in (1, 2, 3):
        history = History(project.store, f"run{number}")
        assert [row.state for row in history.nodes()] == ["SUCCEEDED"] * 2
        assert resume(f"run{number}", store=project.store).result == number + 1
        row = next(row for row in history.nodes() if row.path == "main/flood")
        assert row.log[0].startswith(f"runs/run{number}/")


def test_J3_what_one_run_does_wrong_is_no_other_runs_business(tmp_path):
    entered, leave = threading.Event(), threading.Event()

    @task
    def waits(x: int) -> int:
        entered.set()
        leave.wait(60)
        return x

    @task
    def fails(x: int) -> int:
        raise ValueError("broken")

    going = start(waits, {"x": 1}, store=Store(tmp_path), run_id="going", echo=False, durability="process")
    assert entered.wait(60)
    with pytest.raises(RunFailed):
        _ = run(fails, {"x": 1}, store=Store(tmp_path), run_id="failing", echo=False, durability="process").result
    leave.set()
    assert going.wait(60).result == 1
    assert History(Store(tmp_path), "failing").state == "FAILED"
