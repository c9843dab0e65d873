"""A2: a workflow that is called runs in this process and gives what the function would have given."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import pytest

from promissory import Workflow, dynamic, run, task, workflow
from promissory.errors import WrongCall


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    left: int
    right: str


@dataclass
class Report:
    title: str
    scores: list[float]
    note: str | None = None


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def both(x: int) -> tuple[int, str]:
    return x, str(x)


@task
def pair(x: int) -> Pair:
    return Pair(x, str(x))


@task
def report(title: str) -> Report:
    return Report(title, [1.0, 2.5])


@task
def half(x: float) -> float:
    return x / 2


@task
def other(colour: Colour) -> Colour:
    return Colour.BLUE if colour is Colour.RED else Colour.RED


@task
def positive(x: int) -> int | None:
    return x if x > 0 else None


@task
def anything(x: Any) -> Any:
    return [x, x]


@task
def length(text: str) -> int:
    return len(text)


def test_A2_a_workflow_that_is_called_gives_its_native_result():
    @workflow
    def letters(s1: str, s2: str) -> int:
        return add(length(s1), length(s2))

    assert letters(s1="Pear", s2="Earth") == 9
    assert letters("Pear", "Earth") == 9


def test_A2_a_dynamic_that_is_called_gives_its_native_result():
    @dynamic
    def fib(n: int) -> int:
        return n if n < 2 else add(fib(n - 1), fib(n - 2))

    assert [fib(n) for n in range(10)] == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]


def test_A2_a_workflow_without_calls_gives_its_input():
    @workflow
    def same(x: int) -> int:
        return x

    assert same(5) == 5


def test_A2_a_workflow_without_result_gives_none():
    done = []

    @task
    def note(x: int) -> None:
        done.append(x)

    @workflow
    def noted(x: int) -> None:
        note(x)

    assert noted(3) is None
    assert done == [3]


def test_A2_tuples_are_unpacked_and_indexed():
    @workflow
    def unpacked(x: int) -> tuple[str, int]:
        number, _ = both(x)
        left, right = pair(number)
        return right, add(left, both(x)[0])

    assert unpacked(4) == ("4", 8)


def test_A2_fields_and_items_of_results_are_passed_on():
    @workflow
    def fields(title: str) -> list[float]:
        made = report(title)
        return [half(made.scores[0]), half(made.scores[1])]

    @workflow
    def left(x: int) -> int:
        return pair(x).left

    assert fields("t") == [0.5, 1.25]
    assert left(7) == 7


def test_A2_composites_of_promises_are_built():
    @workflow
    def listed(x: int) -> list[int]:
        return [add(x, 1), x, 3]

    @workflow
    def keyed(x: int) -> dict[str, list[int]]:
        return {"a": [add(x, 1)], "b": []}

    @workflow
    def recorded(x: int) -> Report:
        return Report(title=both(x)[1], scores=[half(2.0), 1.0])

    assert listed(1) == [2, 1, 3]
    assert keyed(1) == {"a": [2], "b": []}
    assert recorded(1) == Report("1", [1.0, 1.0], None)


def test_A2_an_int_goes_where_a_float_is_wanted():
    @workflow
    def halves(x: int) -> float:
        return half(add(x, 1))

    @workflow
    def as_float(x: int) -> float:
        return add(x, 1)

    assert halves(2) == 1.5
    assert (as_float(2), type(as_float(2))) == (3.0, float)


def test_A2_an_enum_none_optional_and_any_come_back_as_they_are():
    @workflow
    def turned(colour: Colour) -> Colour:
        return other(colour)

    @workflow
    def maybe(x: int) -> int | None:
        return positive(x)

    @workflow
    def whatever(x: int) -> Any:
        return anything(add(x, 1))

    assert turned(Colour.RED) is Colour.BLUE
    assert (maybe(1), maybe(-1)) == (1, None)
    assert whatever(1) == [2, 2]


def test_A2_none_reaches_a_task_that_takes_it():
    @task
    def is_none(x: int | None) -> bool:
        return x is None

    @workflow
    def asked(x: int) -> bool:
        return is_none(positive(x))

    assert (asked(1), asked(0)) == (False, True)


def test_A2_defaults_keywords_and_positional_only():
    @task
    def spread(a: int, /, b: int = 10, *, c: list[int] = [1]) -> list[int]:
        c.append(a + b)
        return c

    @workflow
    def calls(x: int, /, y: int = 2) -> list[list[int]]:
        return [spread(x), spread(x, y), spread(x, c=[y]), spread(x, b=y, c=[])]

    assert calls(1) == [[1, 11], [1, 3], [2, 11], [3]]
    assert calls(1) == calls(1, y=2)
    with pytest.raises(WrongCall):
        calls(x=1)


def test_A2_a_run_gives_several_outputs_by_name(store):
    with Workflow("two") as two:
        x = two.add_workflow_input("x", int)
        two.add_workflow_output("sum", add(x, 1))
        two.add_workflow_output("colour", other(Colour.RED))
        two.add_workflow_output("input", x)

    ended = run(two, {"x": 1}, store=store)
    assert ended.result == ended.outputs == {"sum": 2, "colour": Colour.BLUE, "input": 1}
    assert two.run(x=2) == {"sum": 3, "colour": Colour.BLUE, "input": 2}


def test_A2_a_run_of_a_task_alone_and_of_a_compiled_plan(store):
    @workflow
    def twice(x: int, by: int = 1) -> int:
        return add(add(x, by), by)

    assert run(add, {"a": 1, "b": 2}, store=store).result == 3
    assert run(twice.compile(), {"x": 1}, store=store).result == 3


def test_A10_an_async_task_runs_to_its_end():
    @task
    async def later(x: int) -> int:
        return x + 1

    @workflow
    def twice(x: int) -> int:
        return later(later(x))

    assert twice(1) == 3
