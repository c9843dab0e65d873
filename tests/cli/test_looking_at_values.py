"""V1: what a run keeps can be seen on the command line: results, inputs, errors."""

import json

import pytest

FLOW = """
from dataclasses import dataclass
from promissory import Loop, current_context, dynamic, map_task, task, workflow

@dataclass
class Point:
    x: int
    label: str = "p"

@task
def make(x: int) -> Point:
    return Point(x)

@task
def total(point: Point, xs: list[int], more: int = 4) -> int:
    return point.x + sum(xs) + more

@task(retries=1)
def square(x: int) -> int:
    if x == 3:
        raise ValueError("three is not squared")
    return x * x

@task
def looping(x: int) -> int:
    if current_context().loop_index < 3:
        raise Loop([current_context().loop_index])
    return x

@dynamic
def inner(n: int) -> int:
    return total(make(n), [n, square(n)])

@workflow
def flow(n: int = 2) -> list[int | None]:
    looping(inner(n))
    return map_task(square, min_success_ratio=0.5)(x=[1, 2, 3])

@workflow
def fails(n: int = 3) -> int:
    return looping(square(n))
"""


@pytest.fixture
def seen(shell, cli):
    shell.write("flow.py", FLOW)
    assert cli("run", "--engine", "inline", "--run-id", "seen", "flow.py", "flow")[0] == 0
    return cli


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (None, [1, 4, None]),
        ("main/inner/make", {"x": 2, "label": "p"}),
        ("main/inner", 12),
        ("main/inner/total", 12),
        ("main/square", [1, 4, None]),
        ("main/square[1]", 4),
        ("main/looping[=1]", [1]),
        ("main/looping", 12),
        ("main/looping[=3]", 12),
    ],
)
def test_V1_result_prints_what_a_node_gave(seen, node, value):
    code, out, err = seen("result", "--json", "seen", *([] if node is None else [node]))
    assert (code, json.loads(out), err) == (0, value, "")


@pytest.mark.parametrize(
    ("node", "given"),
    [
        (None, {"n": 2}),
        ("main/inner/total", {"point": {"x": 2, "label": "p"}, "xs": [2, 4], "more": 4}),
        ("main/square", {"x": [1, 2, 3]}),
        ("main/square[2]", {"x": 3}),
        ("main/inner", {"n": 2}),
        ("main/looping[=2]", {"x": 12}),
    ],
)
def test_V1_inputs_prints_what_a_node_was_given(seen, node, given):
    code, out, err = seen("inputs", "--json", "seen", *([] if node is None else [node]))
    assert (code, json.loads(out), err) == (0, given, "")


def test_V1_inputs_are_lines_for_people(seen):
    assert seen("inputs", "last", "main/inner/total")[1].splitlines() == [
        "point = Point(x=2, label='p') : Point",
        "xs = [2, 4] : list[int]",
        "more = 4 : int",
    ]


def test_V1_what_gave_no_value_says_how_it_stands(seen, told):
    code, out, err = seen("result", "seen", "main/square[2]")
    assert (code, out) == (1, "")
    assert told(err) == "main/square[2] is FAILED and gave no value: ValueError: three is not squared"
    code, _, err = seen("result", "seen", "main/nothing")
    assert code == 2
    assert "there is no node 'nothing' in main; there is: " in told(err)


def test_V1_the_result_of_a_run_that_failed_is_its_error(seen, told):
    seen("run", "--engine", "inline", "--run-id", "bad", "flow.py", "fails")
    code, out, err = seen("result", "bad")
    assert (code, out) == (1, "")
    assert "main/square failed: ValueError: three is not squared" in err
    code, _, err = seen("inputs", "bad", "main/looping")
    assert code == 1
    assert told(err) == "main/looping is UPSTREAM_FAILED, and has not had all its inputs"


def test_V1_each_attempt_of_items_too_has_its_traceback(seen):
    out = seen("status", "--errors", "seen")[1]
    assert out.count('raise ValueError("three is not squared")') == 2
    assert out.count("main/square[2]\n") == 2
    assert "attempt 1 failed: ValueError: three is not squared" in out
    assert "attempt 2 failed: ValueError: three is not squared" in out
    tree = json.loads(seen("status", "--errors", "--json", "seen")[1])
    assert [(one["path"], one["attempts"]) for one in tree["nodes"]] == [("main/square[2]", 1), ("main/square[2]", 2)]
    assert all("three is not squared" in one["traceback"] for one in tree["nodes"])
    for command in (("explain", "seen", "main/square[2]"), ("logs", "seen", "main/square[2]")):
        assert seen(*command)[1].count('raise ValueError("three is not squared")') == 2, command


def test_V1_runs_are_filtered_and_told_as_json(seen):
    seen("run", "--engine", "inline", "--run-id", "bad", "flow.py", "fails")
    seen("run", "--engine", "inline", "--run-id", "other", "flow.py", "flow")
    listed = json.loads(seen("runs", "--json")[1])
    assert [one["run"] for one in listed] == ["other", "bad", "seen"]
    assert {tuple(one) for one in listed} == {
        ("run", "workflow", "state", "created", "lasted_seconds", "done", "nodes")
    }
    assert [one["run"] for one in json.loads(seen("runs", "--json", "--state", "failed")[1])] == ["bad"]
    assert [one["run"] for one in json.loads(seen("runs", "--json", "--workflow", "flow", "--limit", "1")[1])] == [
        "other"
    ]
    code, out, err = seen("runs", "--state", "PAUSED")
    assert (code, out) == (0, "")
    assert err.startswith("no such runs in ")


def test_V1_moments_are_iso_with_a_zone(seen):
    from datetime import datetime

    created = json.loads(seen("runs", "--json")[1])[0]["created"]
    assert datetime.fromisoformat(created).tzinfo is not None
    assert f"created  {created} by " in seen("status", "seen")[1]
    row = json.loads(seen("status", "--json", "--nodes", "seen")[1])["nodes"][0]
    assert datetime.fromisoformat(row["started"]).tzinfo is not None
    assert row["duration_seconds"] >= 0


def test_V1_a_copied_store_can_be_looked_at(seen, shell):
    import shutil

    shutil.copytree(shell.folder / ".promissory", shell.folder / "copy")
    shutil.rmtree(shell.folder / ".promissory")
    (shell.folder / "flow.py").unlink()
    assert json.loads(seen("result", "--store", "copy", "--json", "seen", "main/inner/make")[1])["x"] == 2
