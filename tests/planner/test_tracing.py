"""A3, A4: a workflow's body runs once a compile; each call in it is a node and gives one promise."""

import random
from typing import NamedTuple

import pytest

import promissory
from promissory import Promise, dynamic, promise, task, workflow
from promissory.errors import PromiseError


class Ends(NamedTuple):
    low: int
    high: float


@task
def inc(x: int) -> int:
    return x + 1


@task
def halves(xs: list[int]) -> tuple[list[int], list[int]]:
    return xs[::2], xs[1::2]


@task
def ends(xs: list[int]) -> Ends:
    return Ends(min(xs), max(xs))


@task
def log(text: str = "-") -> None:
    pass


@dynamic
def deeper(n: int) -> int:
    return deeper(n - 1) if n else 0


def test_A3_a_call_records_a_node_and_gives_one_promise():
    given = []

    @workflow
    def flow(xs: list[int]) -> int:
        given.extend([halves(xs), ends(xs), log(), inc(1)])
        return 0

    assert len(flow.compile()) == 4
    assert [type(one) for one in given] == [Promise] * 4


def test_A3_equal_calls_are_two_nodes():
    @workflow
    def flow() -> list[int]:
        return [inc(1), inc(1)]

    assert [node.name for node in flow.compile().nodes()] == ["inc", "inc~2"]


def test_A3_a_fixed_tuple_is_unpacked_and_indexed():
    @workflow
    def flow(xs: list[int]) -> list[list[int]]:
        both = halves(xs)
        left, right = both
        return [left, right, both[0], both[-1]]

    assert str(flow.compile()).endswith("return [halves[0], halves[1], halves[0], halves[-1]]")


def test_A3_a_named_tuple_is_unpacked_indexed_and_has_fields():
    @workflow
    def flow(xs: list[int]) -> tuple[int, float, int, float]:
        both = ends(xs)
        low, _ = both
        return low, both.high, both[0], both[1]

    assert str(flow.compile()).endswith("return (ends[0], ends.high, ends[0], ends[1])")


def test_A3_an_input_is_unpacked_as_a_result_is():
    @workflow
    def flow(pair: tuple[int, str]) -> str:
        number, text = pair
        inc(number)
        return text

    assert str(flow.compile()).endswith("return pair[1]")


def test_A3_unpacking_into_the_wrong_number_is_pythons_own_error():
    @workflow
    def flow(xs: list[int]) -> list[int]:
        a, b, c = halves(xs)
        return [a, b, c]

    with pytest.raises(ValueError, match="not enough values to unpack"):
        flow.compile()


def test_A3_a_call_of_a_task_that_gives_None_gives_a_promise():
    @workflow
    def flow() -> None:
        assert isinstance(log(), Promise)

    assert str(flow.compile()) == "plan flow() -> None\n  log : None = task log()\n  return None"


def test_A4_calls_that_nothing_consumes_are_in_the_plan():
    @workflow
    def flow(x: int) -> int:
        log("begin")
        inc(x)
        return x

    assert [node.name for node in flow.compile().nodes()] == ["log", "inc"]


def test_A4_the_body_runs_exactly_once_for_each_compile():
    runs = []

    @workflow
    def flow(x: int) -> int:
        runs.append(x)
        return inc(x)

    flow.compile()
    assert len(runs) == 1
    promissory.planner.compile(flow)
    assert len(runs) == 2


def test_A4_a_random_number_in_the_body_is_one_literal_of_the_plan():
    drawn = []

    @workflow
    def flow() -> int:
        drawn.append(random.randrange(10**9))
        return inc(drawn[-1])

    plan = flow.compile()
    assert len(drawn) == 1
    assert f"inc(x={drawn[0]})" in str(plan)


def test_A4_nothing_compiled_is_kept_on_the_function():
    scale = 1

    @workflow
    def flow(x: int) -> int:
        for _ in range(scale):
            x = inc(x)
        return x

    assert len(flow.compile()) == 1
    scale = 3
    assert len(flow.compile()) == 3


def test_A4_a_compile_that_failed_leaves_nothing_behind():
    fail = True

    @workflow
    def flow(x: int) -> int:
        if fail:
            raise KeyError("not yet")
        return inc(x)

    with pytest.raises(KeyError, match="not yet"):
        flow.compile()
    assert inc(1) == 2  # no trace is current
    fail = False
    assert len(flow.compile()) == 1


def test_A4_a_task_is_not_run_by_a_compile():
    ran = []

    @task
    def note(x: int) -> int:
        ran.append(x)
        return x

    @workflow
    def flow(x: int) -> int:
        return note(note(x))

    flow.compile()
    assert ran == []


def test_A3_a_dynamic_is_one_node_and_its_body_is_not_traced():
    @workflow
    def flow(n: int) -> int:
        return deeper(n)

    assert [(node.name, node.kind) for node in flow.compile().nodes()] == [("deeper", "dynamic")]


def test_A3_compile_of_a_task_is_a_plan_of_one_call():
    assert str(promissory.planner.compile(halves)) == (
        "plan halves(xs: list[int]) -> tuple[list[int], list[int]]\n"
        "  halves : tuple[list[int], list[int]] = task halves(xs=xs)\n"
        "  return halves"
    )


def test_A3_compile_of_a_dynamic_is_a_plan_of_one_call():
    assert promissory.planner.compile(deeper).to_bytes() == deeper.compile().to_bytes()
    assert str(deeper.compile()) == "plan deeper(n: int) -> int\n  deeper : int = dynamic deeper(n=n)\n  return deeper"


def test_A3_a_plain_function_in_the_body_traces_as_if_it_stood_there():
    def twice(x: int) -> int:
        return inc(inc(x))

    @workflow
    def flow(x: int) -> int:
        return twice(x)

    assert len(flow.compile()) == 2


def test_P5_promise_is_the_identity_in_a_trace_and_refuses_a_value():
    @workflow
    def flow(x: int) -> int:
        called = inc(x)
        assert promise(called) is called
        return called

    flow.compile()
    with pytest.raises(PromiseError, match=r"promise\(\) was given int"):
        promise(3)


def test_A4_each_node_knows_the_line_of_its_call():
    @workflow
    def flow(x: int) -> int:
        first = inc(x)
        return inc(
            first,
        )

    start = flow.function.__code__.co_firstlineno
    assert [(node.where.file, node.where.line - start) for node in flow.compile().nodes()] == [
        (__file__, 2),
        (__file__, 3),
    ]
