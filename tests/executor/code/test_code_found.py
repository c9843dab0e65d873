"""A11, A5: a worker finds the code by name, proves it by digest, and says what is wrong otherwise."""

import json
import threading

import pytest

from promissory import dynamic, run, task, workflow

FLOW = """
from dataclasses import dataclass
from promissory import dynamic, task, workflow

@dataclass
class Point:
    x: int
    y: int

@task
def shift(p: Point, by: int = 1) -> Point:
    return Point(p.x + by, p.y)

@dynamic
def again(p: Point, n: int) -> Point:
    return again(shift(p), n - 1) if n else p

@workflow
def flow(x: int) -> Point:
    return again(shift(Point(x=x, y=0)), 2)
"""

COMPILE = "from flow import flow; flow.compile().save('flow.plan')"

RUN_PLAN = """
import json, sys
from promissory import run
from promissory import Plan
ended = run(Plan.load("flow.plan"), {"x": 1})
if ended.state == "SUCCEEDED":
    said = repr(ended.result)
else:
    said = [type(ended.error.__cause__).__name__, ended.error.path, str(ended.error.__cause__)]
print(json.dumps([ended.state, said]))
"""


@pytest.fixture
def compiled(project):
    """A project whose plan was compiled by a process that has ended."""
    project.write("flow.py", FLOW)
    project.code(COMPILE)
    return project


def run_plan(project):
    return json.loads(project.code(RUN_PLAN))


def test_A11_a_plan_of_one_process_runs_in_another_that_only_imports(compiled):
    assert run_plan(compiled) == ["SUCCEEDED", "Point(x=4, y=0)"]


def test_A11_other_code_under_the_same_name_is_a_mismatch_that_names_both(compiled):
    compiled.write("flow.py", FLOW.replace("p.x + by", "p.x - by"))
    state, (kind, path, message) = run_plan(compiled)
    assert (state, kind, path) == ("FAILED", "CodeMismatch", "main/shift")
    digests = [
        word.strip(",.")
        for word in message.split()
        if len(word.strip(",.")) == 12 and set(word.strip(",.")) <= set("0123456789abcdef")
    ]
    assert len(set(digests)) == 2
    assert "flow:shift is not the code that the plan was made of" in message


def test_A11_other_layout_is_the_same_code(compiled):
    compiled.write("flow.py", "# moved\n\n" + FLOW.replace("p.x + by, p.y", "p.x + by,  # right\n        p.y"))
    assert run_plan(compiled)[0] == "SUCCEEDED"


def test_A11_a_missing_module_or_name_is_told(compiled):
    compiled.write("flow.py", FLOW.replace("shift", "renamed"))
    _, (kind, path, message) = run_plan(compiled)
    assert (kind, path) == ("CodeNotFound", "main/shift")
    assert "module 'flow' has no 'shift'" in message
    (compiled.folder / "flow.py").unlink()
    _, (kind, _, message) = run_plan(compiled)
    assert kind == "CodeNotFound"
    assert "cannot import module 'flow'" in message
    assert "has to be importable where the plan runs" in message


def test_A11_what_became_something_else_is_told(compiled):
    compiled.write("flow.py", FLOW.replace("@task", "@dynamic"))
    assert run_plan(compiled)[1][0] == "CodeNotFound"
    compiled.write("flow.py", FLOW.replace("@task\n", ""))
    assert run_plan(compiled)[1][0] == "CodeNotFound"


def test_A11_a_module_that_fails_to_import_fails_the_node_and_not_the_executor(compiled):
    compiled.write("flow.py", FLOW + "\nraise RuntimeError('at import')\n")
    state, (_, path, message) = run_plan(compiled)
    assert (state, path) == ("FAILED", "main/shift")
    assert "at import" in message


def scaled(k):
    @task
    def times(x: int) -> int:
        return x * k

    return times


def test_A11_tasks_of_a_factory_are_two_callables_of_one_name(store):
    two, three = scaled(2), scaled(3)

    @dynamic
    def both(x: int) -> int:
        return three(two(x))

    @workflow
    def flow(x: int) -> list[int]:
        return [two(x), three(x), both(x)]

    assert run(flow, {"x": 1}, store=store).result == [2, 3, 6]


def test_A11_a_task_that_only_the_plan_holds_runs(store):
    """It was made in the workflow's body, and nobody but the plan refers to it: whoever carries the run has to
    keep it.
    """

    @workflow
    def flow(x: int) -> list[int]:
        return [scaled(5)(x), scaled(7)(x)]

    assert run(flow, {"x": 1}, store=store).result == [5, 7]
    assert flow(2) == [10, 14]


def test_A11_a_dynamic_may_make_tasks_while_it_runs(store):
    @dynamic
    def makes(n: int) -> list[int]:
        def made(k):
            @task
            def plus(x: int) -> int:
                return x + k

            return plus

        return [made(k)(100) for k in range(n)]

    assert run(makes, {"n": 5}, store=store).result == [100, 101, 102, 103, 104]


def test_A11_a_closure_over_what_has_no_bytes_runs_where_it_was_compiled(store):
    lock, seen = threading.Lock(), []

    @task
    def guarded(x: int) -> int:
        with lock:
            seen.append(x)
        return x

    @dynamic
    def twice(x: int) -> int:
        with lock:
            return guarded(guarded(x))

    assert run(twice, {"x": 4}, store=store).result == 4
    assert seen == [4, 4]


def test_A5_a_script_runs_as_main_and_its_plan_where_it_is_imported(project):
    project.write(
        "flow.py",
        FLOW + "\n"
        "if __name__ == '__main__':\n"
        "    from promissory import run\n"
        "    print(run(flow, {'x': 1}).result)\n"
        "    flow.compile().save('flow.plan')\n",
    )
    assert project.python("flow.py").strip() == "Point(x=4, y=0)"
    assert run_plan(project) == ["SUCCEEDED", "Point(x=4, y=0)"]


def test_A5_a_run_of_a_script_is_resumed_by_a_process_that_imports_it(project):
    broken = FLOW.replace(
        "return Point(p.x + by",
        "import os\n    if 'BROKEN' in os.environ:\n        raise ValueError\n    return Point(p.x + by",
    )
    project.write(
        "flow.py",
        broken + "\n"
        "if __name__ == '__main__':\n"
        "    from promissory import run\n"
        "    print(run(flow, {'x': 1}, run_id='script').state)\n",
    )
    assert project.python("flow.py", BROKEN="yes").strip() == "FAILED"
    assert project.code("from promissory import resume; print(resume('script').result)").strip() == "Point(x=4, y=0)"


def test_A5_a_file_in_a_package_with_relative_imports(project):
    project.write("pkg/__init__.py", "")
    project.write(
        "pkg/helpers.py", "from promissory import task\n\n@task\ndef double(x: int) -> int:\n    return 2 * x\n"
    )
    project.write(
        "pkg/flow.py",
        "from promissory import workflow\n"
        "from .helpers import double\n\n"
        "@workflow\n"
        "def flow(x: int) -> int:\n"
        "    return double(double(x))\n\n"
        "if __name__ == '__main__':\n"
        "    from promissory import run\n"
        "    print(run(flow, {'x': 1}).result)\n"
        "    flow.compile().save('flow.plan')\n",
    )
    assert project.python("-m", "pkg.flow").split() == ["4"]
    assert run_plan(project) == ["SUCCEEDED", "4"]
