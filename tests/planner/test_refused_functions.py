"""A10: what can't be a task is refused at decoration, with what to write instead; strict mode refuses what else is a
warning.
"""

import functools
from typing import Any

import pytest

from promissory import Opaque, cycle, dynamic, task, workflow
from promissory.errors import ArgumentValueError, DecorationError


class Holder:
    def method(self, x: int) -> int:
        return x

    @classmethod
    def on_class(cls) -> int:
        return 1

    @staticmethod
    def static(x: int) -> int:
        return x


def generator(n: int):
    yield n


async def async_generator(n: int):
    yield n


def starred(*numbers: int) -> int:
    return 0


def double_starred(**options: int) -> int:
    return 0


class Unknown:
    pass


def takes_unknown(x: Unknown) -> int:
    return 0


def gives_unknown(x: int) -> list[Unknown]:
    return []


def bad_default(x: int = "one") -> int:  # type: ignore[assignment]
    return x


def none_default(x: int = None) -> int:  # type: ignore[assignment]  # noqa: RUF013
    return x


def set_of_lists(x: set[list[int]]) -> int:
    return 0


REFUSED = [
    (
        lambda x: x,
        "<lambda> can't be a {}: it is a lambda, which has no name that a plan could call it by",
        "write it with def",
    ),
    (
        generator,
        "generator can't be a {}: it is a generator, which has no result until it is iterated",
        "return a list",
    ),
    (
        async_generator,
        "async_generator can't be a {}: it is a generator, which has no result until it is iterated",
        "return a list",
    ),
    (
        Holder.method,
        "Holder.method can't be a {}: it is a method, whose self would have to travel with each call",
        "write a function that takes what it needs",
    ),
    (starred, "starred can't be a {}: *numbers has no fixed set of typed inputs", "take a list: numbers: list[…]"),
    (
        double_starred,
        "double_starred can't be a {}: **options has no fixed set of typed inputs",
        "take a dict: options: dict[str, …]",
    ),
    (Holder.on_class, "@{} takes a plain function, not a method", "decorate a function at module level"),
    (Holder().method, "@{} takes a plain function, not a method", "decorate a function at module level"),
    (len, "@{} takes a plain function, not a builtin_function_or_method", "decorate a function at module level"),
    (Holder, "@{} takes a plain function, not a type", "decorate a function at module level"),
    (functools.partial(len), "@{} takes a plain function, not a partial", "decorate a function at module level"),
]


@pytest.mark.parametrize("decorator", [task, workflow, dynamic])
@pytest.mark.parametrize(("function", "message", "way_out"), REFUSED, ids=range(len(REFUSED)))
def test_A10_a_function_that_cannot_be_called_by_a_plan_is_refused_with_the_way_out(
    decorator, function, message, way_out
):
    kind = decorator.__name__
    with pytest.raises(DecorationError) as caught:
        decorator(function)
    assert (caught.value.message, caught.value.way_out) == (message.format(kind), way_out)
    assert isinstance(caught.value, TypeError)
    assert caught.value.where.file == __file__


@pytest.mark.parametrize("decorator", [staticmethod, classmethod])
def test_A10_the_descriptors_of_a_class_body_are_refused(decorator):
    with pytest.raises(DecorationError, match=f"takes a plain function, not a {decorator.__name__}"):
        task(decorator(Holder.static))


@pytest.mark.parametrize("decorator", [workflow, cycle])
def test_A10_only_tasks_and_dynamics_may_be_async(decorator):
    async def coroutine() -> int:
        return 1

    with pytest.raises(DecorationError, match="it is async, and only tasks and dynamics may be"):
        decorator(coroutine)


def loose(a, b) -> int:
    return 0


@pytest.mark.parametrize("function", [loose, takes_unknown, gives_unknown])
def test_A10_strict_refuses_what_would_be_a_warning(function):
    with pytest.raises(DecorationError) as caught:
        task(strict=True)(function)
    assert caught.value.way_out is not None
    assert (caught.value.where.file, caught.value.where.line) == (__file__, function.__code__.co_firstlineno)


def test_A10_strict_says_which_parameters_lack_an_annotation():
    with pytest.raises(DecorationError) as caught:
        task(strict=True)(loose)
    assert caught.value.message == "task loose: parameters a, b have no annotation"
    assert caught.value.way_out == "annotate them (`Any` if you mean it)"


def test_A10_strict_names_the_class_that_would_travel_as_a_pickle():
    with pytest.raises(DecorationError) as caught:
        task(strict=True)(takes_unknown)
    assert (
        caught.value.message
        == "takes_unknown(x) is a Unknown, which has no wire form of its own and travels as a pickle"
    )
    assert caught.value.way_out == "make it a dataclass, or say Opaque[Unknown] if you mean it"


def test_A10_the_environment_makes_everything_strict_and_the_decorator_can_undo_it(monkeypatch):
    monkeypatch.setenv("PROMISSORY_STRICT", "1")
    with pytest.raises(DecorationError):
        task(loose)
    with pytest.warns(UserWarning):
        task(strict=False)(loose)


@pytest.mark.parametrize("value", ["", "0"])
def test_A10_an_empty_or_zero_environment_is_not_strict(monkeypatch, value):
    monkeypatch.setenv("PROMISSORY_STRICT", value)
    with pytest.warns(UserWarning):
        task(loose)


def test_A10_strict_allows_Any_and_Opaque_where_they_are_written():
    def meant(x: Any, y: Opaque[Unknown]) -> Opaque[Unknown]:
        return y

    assert task(strict=True)(meant).signature.interface.parameters[1].name == "y"


def test_A10_a_default_of_another_type_is_refused():
    with pytest.raises(ArgumentValueError) as caught:
        task(bad_default)
    assert caught.value.message == "the default of bad_default(x): default: expected int, got str"
    assert caught.value.where.line == bad_default.__code__.co_firstlineno


def test_A10_None_as_the_default_of_an_int_says_what_to_annotate():
    with pytest.raises(ArgumentValueError) as caught:
        task(none_default)
    assert caught.value.message == "none_default(x) has the default None, but is annotated int"
    assert caught.value.way_out == "annotate it int | None"


def test_A10_an_annotation_without_wire_form_is_refused():
    with pytest.raises(DecorationError) as caught:
        task(set_of_lists)
    assert (
        caught.value.message
        == "set_of_lists(x): set[list[int]]: list[int] can't be a key or a member of a set, it is not hashable"
    )


@pytest.mark.parametrize("depth", [0, -1, 1.5, True, "3"])
def test_A10_a_dynamics_limit_is_a_whole_number_of_at_least_one(depth):
    with pytest.raises(DecorationError, match="max_depth must be a whole number of at least 1"):
        dynamic(max_depth=depth)


def test_A10_allow_repeat_is_a_bool():
    with pytest.raises(DecorationError, match="allow_repeat must be True or False"):
        dynamic(allow_repeat=1)
