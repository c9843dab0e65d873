"""V1: `promissory events` prints what happens in a run, for people and for programs, live and long over."""

import json

import pytest

FLOW = """
from promissory import Context, Loop, NodeFailure, Skip
from promissory import current_context, map_task, promise, task, wait_for_input, workflow

@task
def inc(x: int) -> int:
    return x + 1

@task(cache=True, cache_version="1")
def square(x: int) -> int:
    return x * x

@task(retries=1)
def second_time() -> int:
    if current_context().attempt == 1:
        raise ValueError("not yet")
    return 1

@task
def skipped() -> int:
    raise Skip("not today")

@task
def twice(ctx: Context) -> int:
    if ctx.loop_index < 1:
        raise Loop(1)
    return 2

@task
def broken() -> int:
    raise KeyError("it")

@task
def instead(err: NodeFailure) -> int:
    return 0

@workflow
def flow(n: int) -> int:
    map_task(inc)([1, 2, 3])
    square(second_time())
    skipped()
    twice()
    promise(broken()).on_error(instead)
    return inc(n)

@workflow
def asks() -> int:
    return inc(wait_for_input("more", type=int))
"""


@pytest.fixture
def seen(shell, cli):
    shell.write("flow.py", FLOW)
    for name in ("first", "seen"):
        assert cli("run", "--engine", "inline", "--run-id", name, "flow.py", "flow", "--n", "1")[0] == 0
    return cli


def test_V1_events_are_told_in_words(seen):
    code, out, err = seen("events", "seen")
    assert (code, err) == (0, "")
    said = [line.partition("  ")[2] for line in out.splitlines()]
    assert said[0] == "main  RUNNING"
    assert said[-1] == "main  SUCCEEDED"
    assert "main/inc  3 of 3 items" in said
    assert "main/second_time  attempt 1 failed: ValueError: not yet" in said
    assert "main/square  SUCCEEDED from the cache" in said
    assert any(line.startswith("main/skipped  SKIPPED") and line.endswith(": not today") for line in said)
    assert any(line.startswith("main/twice  LOOPING iteration 1 follows") for line in said)
    assert any(line.startswith("main/broken  FAILED") and line.endswith(": KeyError: 'it'") for line in said)


def test_V1_events_are_lines_of_json_and_go_on_at_a_cursor(seen):
    code, out, err = seen("events", "--json", "seen")
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err, events[0]["kind"], events[-1]["state"]) == (0, "", "run", "SUCCEEDED")
    code, out, err = seen("events", "--json", "--since", events[4]["cursor"], "seen")
    assert [json.loads(line) for line in out.splitlines()] == events[5:]
    code, out, _ = seen("events", "--json", "--items", "seen")
    assert {"main/inc[0]", "main/inc[2]"} < {json.loads(line)["path"] for line in out.splitlines()}


def test_V1_a_gate_is_told_and_following_ends_with_the_run(shell, cli, eventually):
    shell.write("flow.py", FLOW)
    going = shell.start("run", "--run-id", "one", "flow.py", "asks")
    eventually(lambda: "WAITING: input (int)" in cli("events", "one")[1], "the gate")
    following = shell.start("events", "-f", "one")
    assert cli("answer", "one", "more", "4")[0] == 0
    out, err = following.communicate(timeout=60)
    assert (following.returncode, err) == (0, "")
    assert out.splitlines()[-1].endswith("main  SUCCEEDED")
    assert going.wait(60) == 0


@pytest.mark.parametrize("cursor", ["", "now", "3"])
def test_V1_a_wrong_cursor_is_told(seen, cursor):
    code, out, err = seen("events", "--since", cursor, "seen")
    assert (code, out) == (2, "")
    assert "is no cursor: it is taken from an event, and looks like 12.3" in err


def test_V1_a_run_that_is_not_there_is_told(seen):
    code, out, err = seen("events", "nothing")
    assert (code, out) == (2, "")
    assert "nothing" in err
