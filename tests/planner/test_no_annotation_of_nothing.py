"""A10: a body without `return value` needs no `-> None`."""

import functools
import warnings

import pytest

from promissory import dynamic, run, task, workflow
from promissory.errors import UntypedWarning


def plain(x: int):
    print(x)


def early(x: int):
    if x:
        return
    print(x)


def explicit(x: int):
    return None


def tries(x: int):
    try:
        return
    finally:
        print(x)


def within(x: int):
    with open("/dev/null") as file:
        for _ in range(x):
            file.read()
            return


def inner(x: int):
    def twice(y):
        return 2 * y

    twice(x)


def raises(x: int):
    raise ValueError(x)


async def later(x: int):
    print(x)


def value(x: int):
    return x


def one_end(x: int):  # noqa: RET503
    if x:
        return x
    print(x)


def falsy(x: int):
    return 0


async def later_value(x: int):
    return x


@functools.wraps(plain)
def decorated(*args, **kwargs):
    return 5


@pytest.mark.parametrize("function", [plain, early, explicit, tries, within, inner, raises, later])
def test_A10_a_body_without_a_result_is_known_to_give_none(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(task(function).signature.interface.result) == "None"


@pytest.mark.parametrize("function", [value, one_end, falsy, later_value])
def test_A10_a_body_that_may_give_a_result_is_any_and_warned_of(function):
    with pytest.warns(UntypedWarning, match="the result has no annotation"):
        assert str(task(function).signature.interface.result) == "Any"


def test_A10_what_a_decorator_gives_is_not_known():
    with pytest.warns(UntypedWarning):
        assert str(task(decorated).signature.interface.result) == "Any"


def test_A10_workflows_and_dynamics_neither():
    says = task(plain)

    @dynamic
    def grows(n: int):
        says(n)

    @workflow
    def flow(x: int):
        says(x) >> grows(x)

    assert run(flow, {"x": 1}, store="memory://nothing", echo=False).result is None


def test_A10_strict_takes_it_too():
    assert str(task(strict=True)(plain).signature.interface.result) == "None"
