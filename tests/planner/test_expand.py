"""D1: a dynamic's body is traced with values, and what it calls becomes a plan."""

from typing import Any

import pytest

from promissory import Plan, dynamic, expand, task
from promissory.errors import CompileError, EdgeTypeError, LeakedPromise, PromiseError
from promissory.planner.plan.shape_format import shape_bytes


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


def expanded(body, *values):
    """The plan of a body that is given values, each encoded as its annotation says."""
    made = dynamic(body)
    codecs = made.signature.codecs
    return expand(made, list(values), [codec.encode(value) for codec, value in zip(codecs, values, strict=True)])


def test_D1_a_body_without_calls_gives_its_plain_value():
    assert expand(fib, [1]) == 1


def test_D1_a_plain_value_is_the_object_that_the_body_gave():
    given = [1, 2]

    @dynamic
    def same(xs: list[int]) -> list[int]:
        return xs

    assert expand(same, [given]) is given


def test_D1_calls_make_a_plan_of_the_values():
    assert str(expand(fib, [4])) == (
        "plan fib(n: int) -> int\n"
        "  fib   : int = dynamic fib(n=3)\n"
        "  fib~2 : int = dynamic fib(n=2)\n"
        "  add   : int = task add(a=fib, b=fib~2)\n"
        "  return add"
    )


def test_D1_calls_whose_values_are_not_returned_are_in_the_plan():
    def body(n: int) -> int:
        add(n, 1)
        return n

    assert str(expanded(body, 3)) == "plan body(n: int) -> int\n  add : int = task add(a=3, b=1)\n  return 3"


def test_D1_the_plan_is_a_plan_file():
    plan = expand(fib, [5])
    plan.verify()
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest


def test_D1_expanding_twice_gives_the_same_bytes():
    assert expand(fib, [5]).to_bytes() == expand(fib, [5]).to_bytes()


def test_D1_values_that_differ_in_literals_only_share_a_shape():
    one, other = expand(fib, [5]), expand(fib, [1000])
    assert shape_bytes(one.shape) == shape_bytes(other.shape)
    assert one.literals != other.literals
    assert one.digest != other.digest


def test_D1_equal_small_literals_do_not_change_the_shape():
    def body(a: int, b: int) -> int:
        return add(a, b)

    assert shape_bytes(expanded(body, 1, 2).shape) == shape_bytes(expanded(body, 2, 2).shape)


def test_D1_an_exception_of_the_body_is_its_own():
    def body(n: int) -> int:
        add(n, 1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        expanded(body, 1)


@pytest.mark.parametrize("n", [0, 1])
def test_D1_misuse_that_the_body_swallowed_fails_the_expansion(n):
    def body(n: int) -> int:
        try:
            if add(n, 1):
                pass
        except TypeError:
            pass
        return n

    with pytest.raises(PromiseError):
        expanded(body, n)


def test_D1_the_result_is_checked():
    def body(n: int) -> str:
        return add(n, 1)

    with pytest.raises(EdgeTypeError, match=r"the result of body\(\) wants str, but add\(\) gives int"):
        expanded(body, 1)


def test_D1_problems_are_collected_as_in_a_compile():
    def body(n: int) -> int:
        add("a", 1)
        return add(n, "b")

    with pytest.raises(CompileError) as caught:
        expanded(body, 1)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("wrap", [lambda p: p, lambda p: [p]], ids=["itself", "in a list"])
def test_A6_a_promise_of_another_expansion_is_refused(wrap):
    kept = []

    def keeping(n: int) -> int:
        kept.append(add(n, 1))
        return kept[0]

    def leaking(n: int) -> Any:
        return wrap(kept[0])

    expanded(keeping, 1)
    with pytest.raises(LeakedPromise):
        expanded(leaking, 1)


def test_D1_an_expansion_inside_an_expansion_is_a_trace_of_its_own():
    inner = []

    def body(n: int) -> int:
        inner.append(expand(fib, [3]))
        return add(n, 1)

    assert len(expanded(body, 1)) == 1
    assert len(inner[0]) == 3


def test_D1_keyword_only_and_positional_only_parameters_take_their_values():
    def body(a: int, /, b: int, *, c: int) -> int:
        return add(add(a, b), c)

    assert "add   : int = task add(a=1, b=2)" in str(expanded(body, 1, 2, 3))
