"""P4: at run time every input and result is checked to its last element; what is wrong names the task and the path to
it.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from promissory import dynamic, run, task, workflow
from promissory.errors import RunFailed, TaskTypeError


@dataclass
class Row:
    name: str
    price: float


@task
def anything(x: Any) -> Any:
    return x


@task
def wants_int(x: int) -> int:
    return x


@task
def wants_rows(rows: list[Row]) -> int:
    return len(rows)


def failure_of(target, inputs, store):
    ended = run(target, inputs, store=store)
    assert ended.state == "FAILED"
    error = ended.error
    assert isinstance(error, RunFailed)
    return error


def test_P4_a_wrong_result_names_the_task_and_the_path(store):
    @task
    def rows(count: int) -> dict[str, list[Row]]:
        made = [Row("a", 1.0) for _ in range(count)]
        made[-1].price = "much"
        return {"rows": made}

    @workflow
    def listed(count: int) -> dict[str, list[Row]]:
        return rows(count)

    error = failure_of(listed, {"count": 18}, store)
    assert isinstance(error.__cause__, TaskTypeError)
    assert (
        str(error.__cause__)
        == "rows() returned something else than it declares: result['rows'][17].price: expected float, got str"
    )
    assert error.path == "main/rows"


def test_P4_a_wrong_any_input_names_the_task_and_the_path(store):
    @workflow
    def passed(x: str) -> int:
        return wants_int(anything(x))

    error = failure_of(passed, {"x": "text"}, store)
    assert isinstance(error.__cause__, TaskTypeError)
    assert str(error.__cause__).startswith("wants_int(x=…): expected int, got str")
    assert error.path == "main/wants_int"


def test_P4_a_wrong_any_input_names_the_element(store):
    @task
    def loose(x: int) -> Any:
        return [Row("a", 1.0), Row("b", 2.0), "c"]

    @workflow
    def passed(x: int) -> int:
        return wants_rows(loose(x))

    error = failure_of(passed, {"x": 1}, store)
    assert isinstance(error.__cause__, TaskTypeError)
    assert "wants_rows(rows=…)[2]" in str(error.__cause__)


def test_P4_a_right_any_input_goes_through(store):
    @workflow
    def passed(x: int) -> int:
        return wants_int(anything(anything(x)))

    assert run(passed, {"x": 3}, store=store).result == 3


def test_P4_a_wrong_any_result_of_a_workflow_names_it(store):
    @workflow
    def passed(x: str) -> list[int]:
        return [wants_int(1), anything(x)]

    error = failure_of(passed, {"x": "text"}, store)
    assert isinstance(error.__cause__, TaskTypeError)
    assert "[1]" in str(error.__cause__)
    assert "expected int, got str" in str(error.__cause__)


def test_P4_a_dynamic_whose_plain_result_is_wrong_names_it(store):
    @dynamic
    def wrong(x: int) -> int:
        return "no"

    error = failure_of(wrong, {"x": 1}, store)
    assert isinstance(error.__cause__, TaskTypeError)
    assert "wrong() returned something else than it declares" in str(error.__cause__)


def test_P4_a_missing_item_of_a_value_is_a_failure_with_its_path(store):
    @task
    def table(x: int) -> dict[str, list[int]]:
        return {"a": [x]}

    @workflow
    def read(x: int) -> int:
        return wants_int(table(x)["a"][4])

    error = failure_of(read, {"x": 1}, store)
    assert error.path == "main/wants_int"
    assert isinstance(error.__cause__, TaskTypeError)
    assert "wants_int(x=…)" in str(error.__cause__)


def test_P4_true_is_no_int_and_an_int_is_a_float(store):
    @task
    def truth(x: int) -> int:
        return True

    @task
    def whole(x: int) -> float:
        return x

    assert "expected int, got bool" in str(failure_of(truth, {"x": 1}, store).__cause__)
    assert type(run(whole, {"x": 1}, store=store).result) is float


@pytest.mark.parametrize("make", [lambda: (one for one in ()), lambda: open, lambda: object])
def test_P4_a_result_without_wire_form_names_the_task(store, make):
    @task
    def odd(x: int) -> list[int]:
        return make()

    error = failure_of(odd, {"x": 1}, store)
    assert isinstance(error.__cause__, TaskTypeError)
    assert "odd() returned something else than it declares: result: expected list[int]" in str(error.__cause__)
