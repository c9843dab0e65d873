"""V1: results and inputs of nodes of every kind: in branches, workflows, dynamics and rescues, skipped, cached."""

import json

import pytest

FLOW = """
from promissory import NodeFailure, Skip, conditional, dynamic, promise, task, workflow

@task(cache=True, cache_version="1")
def square(x: int) -> int:
    return x * x

@task
def total(xs: list[int]) -> int:
    return sum(xs)

@task
def broken(x: int) -> int:
    raise KeyError(f"no {x}")

@task
def instead(err: NodeFailure) -> int:
    return -1

@task
def skipped() -> int:
    raise Skip("not today")

@workflow
def part(x: int) -> int:
    return square(x)

@dynamic
def nested(n: int) -> int:
    return total(square.map([1, n])) if n == 3 else total([nested(n + 1), 0])

@workflow
def flow(n: int = 2) -> tuple[int, int, int]:
    square(skipped())
    a = nested(n)
    b = promise(broken(n)).on_error(instead)
    c = conditional("size").if_(a > 3).then(part(4)).else_().then(part(5))
    return a, b, c
"""


@pytest.fixture
def seen(shell, cli):
    shell.write("flow.py", FLOW)
    for run in ("first", "seen"):
        assert cli("run", "--engine", "inline", "--run-id", run, "flow.py", "flow")[0] == 0
    return cli


@pytest.mark.parametrize(
    ("node", "result", "inputs"),
    [
        ("main/nested", 10, {"n": 2}),
        ("main/nested/nested/square", [1, 9], {"x": [1, 3]}),
        ("main/nested/nested/square[1]", 9, {"x": 3}),
        ("main/nested/nested/total", 10, {"xs": [1, 9]}),
        ("main/size/part", 16, {"x": 4}),
        ("main/size/part/square", 16, {"x": 4}),
        ("size/part/square", 16, {"x": 4}),
    ],
)
def test_V1_values_of_nodes_inside_nodes_are_there(seen, node, result, inputs):
    for command, value in (("result", result), ("inputs", inputs)):
        code, out, err = seen(command, "--json", "seen", node)
        assert (code, json.loads(out), err) == (0, value, "")


@pytest.mark.parametrize(("node", "result"), [("main/size", 16), ("main/rescue", -1), ("main/rescue/instead", -1)])
def test_V1_a_branch_and_a_rescue_gave_what_came_of_them(seen, node, result):
    assert seen("result", "--json", "seen", node) == (0, f"{result}\n", "")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("main/skipped", "main/skipped is SKIPPED and gave no value: not today"),
        ("main/square", "main/square is SKIPPED and gave no value: main/skipped was skipped"),
        ("main/broken", "main/broken is FAILED and gave no value: KeyError: 'no 2'"),
    ],
)
def test_V1_a_node_without_a_value_says_why(seen, node, said):
    code, out, err = seen("result", "seen", node)
    assert (code, out) == (1, "")
    assert said in err


def test_V1_the_error_of_a_rescued_node_can_be_seen(seen):
    for command in (("status", "--errors", "seen"), ("logs", "seen"), ("explain", "seen", "main/broken")):
        code, out, _ = seen(*command)
        assert code == 0
        assert out.count('raise KeyError(f"no {x}")') == 1


def test_R4_a_node_of_a_branch_that_was_cached_names_the_call_that_made_it(seen):
    code, out, _ = seen("explain", "seen", "main/size/part/square")
    assert code == 0
    assert "SUCCEEDED (cached)" in out
    assert "main/size/part/square of run first" in out
