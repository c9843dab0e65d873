"""A1, A2: a decorated function is still the function that its author wrote."""

import asyncio
import inspect
import pickle
from typing import Any

import cloudpickle
import pytest

from promissory import dynamic, task, workflow
from promissory.typesys import OpaqueWarning, UntypedWarning


def documented(first: int, /, second: str = "b", *, third: float = 1.0) -> list[int]:
    """What it does."""
    return [first]


@task
def remember(item: int, into: list[int] = [], *, also: dict[str, int] = {}) -> list[int]:
    into.append(item)
    also["n"] = also.get("n", 0) + 1
    return [*into, also["n"]]


@task
def halve(x: float) -> float:
    return x / 2


@pytest.mark.parametrize(
    "decorator", [task, workflow, dynamic, task(strict=True), workflow(strict=True), dynamic(max_depth=3)]
)
def test_A1_name_docstring_and_signature_are_kept(decorator):
    made = decorator(documented)
    assert (made.__name__, made.__qualname__, made.__doc__) == ("documented", "documented", "What it does.")
    assert made.__module__ == documented.__module__
    assert made.__wrapped__ is documented
    assert inspect.signature(made) == inspect.signature(documented)


def test_A1_repr_says_what_it_is_and_what_it_takes():
    assert repr(halve) == f"<task {__name__}:halve(x: float) -> float>"


def test_A2_outside_a_trace_a_task_is_its_function():
    assert halve(3.0) == 1.5


def test_A2_inputs_are_checked_to_the_last_element():
    @task
    def total(rows: dict[str, list[int]]) -> int:
        return sum(map(sum, rows.values()))

    with pytest.raises(TypeError) as caught:
        total({"a": [1, 2], "b": [3, "4"]})
    assert str(caught.value) == "total(rows=…)['b'][1]: expected int, got str"


def test_A3_in_a_tasks_body_another_task_is_an_ordinary_function():
    @task
    def quarter(x: float) -> float:
        return halve(halve(x))

    assert quarter(8.0) == 2.0


def test_A3_a_workflow_called_in_a_tasks_body_is_refused_also_in_a_plain_call():
    @workflow
    def inner(x: float) -> float:
        return halve(x)

    @task
    def outer(x: float) -> float:
        return inner(x)

    with pytest.raises(RuntimeError, match="make outer @dynamic"):
        outer(1.0)


def test_A10_a_mutable_default_is_fresh_for_each_call():
    assert remember(1) == [1, 1]
    assert remember(2) == [2, 1]


def test_A10_a_default_that_the_author_changes_later_stays_as_it_was_at_decoration():
    shared = [1]

    def read(xs: list[int] = shared) -> list[int]:
        return xs

    made = task(read)
    shared.append(2)
    assert made() == [1]


def test_A10_a_closure_is_a_task():
    def make(k: int):
        @task
        def plus(x: int) -> int:
            return x + k

        return plus

    assert [make(k)(1) for k in (1, 2)] == [2, 3]


@task
async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


def test_A10_an_async_task_is_run_on_an_event_loop():
    assert later(1) == 2


def test_A10_on_an_event_loop_an_async_task_is_awaited_as_its_function_is():
    async def body():
        return await later(1)

    assert asyncio.run(body()) == 2


def test_A10_a_missing_annotation_is_Any_with_one_warning():
    with pytest.warns(UntypedWarning) as caught:

        @task
        def loose(a, b: int, c=3):
            return a

    message = "task loose: parameters a, c and the result have no annotation and will be Any: nothing is checked there"
    assert [str(warning.message) for warning in caught] == [message]
    assert caught[0].filename == __file__
    assert str(loose.signature.interface) == "(a: Any, b: int, c: Any = …) -> Any"
    assert loose(object, 1) is object


def test_A10_a_class_without_wire_form_is_named_with_its_parameter():
    class Model:
        pass

    with pytest.warns(OpaqueWarning) as caught:

        @task
        def predict(model: Model, rows: list[Model]) -> Any:
            return model

    assert [str(warning.message).partition(":")[0] for warning in caught] == [
        f"predict({parameter}) is a {Model.__qualname__}, which has no wire form of its own and travels as a pickle"
        for parameter in ("model", "rows")
    ]


def test_A1_a_task_at_module_level_is_pickled_by_name():
    assert pickle.loads(pickle.dumps(halve)) is halve


def test_A10_a_task_in_a_function_is_pickled_by_value_with_what_it_captured():
    def make(k: int):
        @task
        def plus(x: int) -> int:
            """What it does."""
            return x + k

        return plus

    plus = make(5)
    again = cloudpickle.loads(cloudpickle.dumps(plus))
    assert again is not plus
    assert (again(1), again.__name__, again.__doc__) == (6, "plus", "What it does.")
    assert str(again.signature.interface) == "(x: int) -> int"


def test_A11_a_task_that_was_pickled_by_value_is_known_by_the_name_and_digest_it_had():
    @dynamic(max_depth=3)
    def local(x: int) -> int:
        return x

    again = cloudpickle.loads(cloudpickle.dumps(local))
    assert again.callee() == local.callee()


def test_A1_a_task_in_a_function_has_no_name_for_plain_pickle():
    @task
    def local(x: int) -> int:
        return x

    with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
        pickle.dumps(local)


def test_A1_a_task_kept_in_a_class_is_no_method():
    class Kept:
        half = halve

    assert Kept().half(4.0) == 2.0
