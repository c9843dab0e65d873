"""P1: what may be done with a promise: pass on, return, fields and items, compare, order, name, print."""

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from promissory import Promise, task, workflow
from promissory.errors import ArgumentValueError, CompileError, PromiseAttributeError, PromiseError
from promissory.planner.tracing.expression import Expression


class Color(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: int
    right: list[str]


@dataclass
class Inner:
    names: list[str]


@dataclass
class Row:
    price: float
    inner: Inner
    by_color: dict[Color, int]
    maybe: Inner | None = None


@dataclass
class Odd:
    _type: int
    _trace: int


@task
def row() -> Row:
    return Row(1.0, Inner([]), {})


@task
def pair() -> Pair:
    return Pair(1, [])


@task
def table() -> dict[str, list[int]]:
    return {}


@task
def floats() -> dict[float, int]:
    return {}


@task
def anything() -> Any:
    return 1


@task
def use(x: Any) -> int:
    return 1


@task
def log() -> None:
    pass


def traced(body):
    """The promise that a body gives, and the first line of the plan's result."""
    kept = []

    @workflow
    def flow(x: Row) -> Any:
        kept.append(body(x))
        return kept[0] if isinstance(kept[0], Promise) else 0

    plan = flow.compile()
    return kept[0], str(plan).split("  return ")[1].splitlines()[0]


@pytest.mark.parametrize(
    ("body", "type", "path"),
    [
        (lambda x: row().price, "float", "row.price"),
        (lambda x: row().inner.names[3], "str", "row.inner.names[3]"),
        (lambda x: row().inner.names[-1], "str", "row.inner.names[-1]"),
        (lambda x: row().by_color[Color.RED], "int", "row.by_color['RED']"),
        (lambda x: x.inner.names, "list[str]", "x.inner.names"),
        (lambda x: pair().right[0], "str", "pair.right[0]"),
        (lambda x: pair()[1], "list[str]", "pair[1]"),
        (lambda x: table()["a"][2], "int", "table['a'][2]"),
    ],
)
def test_P1_fields_items_and_keys_that_the_type_has_are_taken(body, type, path):
    promised, shown = traced(body)
    assert (str(promised._promissory_type), shown) == (type, path)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: row().prize, "Row has no field 'prize'"),
        (lambda x: row().maybe.names, "row().maybe is Inner | None: .names may not be there"),
        (lambda x: anything().price, "anything() is Any: its fields are not known"),
        (
            lambda x: table().a,
            "table() is a promise of dict[str, list[int]], which has no field 'a'; methods need the value",
        ),
        (lambda x: x.prize, "Row has no field 'prize'"),
    ],
)
def test_P1_a_field_that_the_type_does_not_have_is_refused(body, message):
    with pytest.raises(PromiseAttributeError) as caught:
        traced(body)
    assert caught.value.message == message
    assert caught.value.way_out
    assert caught.value.where.file == __file__


def test_P1_a_field_named_as_something_of_ours_is_not_taken_for_it():
    @task
    def odd() -> Odd:
        return Odd(1, 2)

    promised, shown = traced(lambda x: odd()._type)
    assert (type(promised), shown) == (Promise, "odd._type")


def test_P1_a_misspelt_field_tells_which_there_are():
    with pytest.raises(AttributeError) as caught:
        traced(lambda x: row().prize)
    assert caught.value.way_out == "it has price, inner, by_color, maybe"


@pytest.mark.parametrize(
    "body",
    [
        lambda x: pair()[2],
        lambda x: row()[0],
        lambda x: anything()["a"],
        lambda x: row().inner.names["a"],
        lambda x: row().inner.names[True],
        lambda x: row().inner.names[1.0],
        lambda x: table()[3],
        lambda x: table()[None],
        lambda x: row().by_color["RED"],
        lambda x: table()[("a",)],
    ],
)
def test_P1_an_item_or_key_that_the_type_does_not_have_is_refused(body):
    with pytest.raises(PromiseError) as caught:
        traced(body)
    assert caught.value.where.file == __file__


def test_P1_an_int_key_of_a_dict_of_floats_is_the_float():
    promised, _ = traced(lambda x: floats()[3])
    assert promised._promissory_binding[2] == [[3.0]]
    assert type(promised._promissory_binding[2][0][0]) is float


def test_P2_hasattr_and_getattr_with_a_default_work():
    @workflow
    def flow() -> int:
        p = row()
        assert hasattr(p, "price")
        assert not hasattr(p, "prize")
        assert getattr(p, "prize", 3) == 3
        assert not hasattr(p, "__array__")
        return 1

    assert len(flow.compile()) == 1


def test_P2_print_and_repr_work_and_say_what_it_is(capsys):
    promised, _ = traced(lambda x: row().inner.names[0])
    print(promised, [promised])
    assert capsys.readouterr().out == "‹promise row().inner.names[0]: str› [‹promise row().inner.names[0]: str›]\n"


@pytest.mark.parametrize(
    "make",
    [
        lambda p: str(p),
        lambda p: "x=%s" % p,  # noqa: UP031
        lambda p: [{"a": repr(p)}],
        lambda p: {str(p): 1},
        lambda p: {str(p): p},
        lambda p: [str(p), p],
        lambda p: str(p == 3),
        lambda p: table()[str(p)],
        lambda p: p.with_overrides(name=str(p)),
    ],
)
def test_P2_a_text_made_of_a_promise_is_caught_when_it_is_passed_on(make):
    @workflow
    def flow() -> int:
        return use(make(log()))

    with pytest.raises(CompileError):
        flow.compile()


def test_P2_the_text_of_a_promise_is_an_error_with_a_way_out(problem_of):
    @workflow
    def flow() -> int:
        return use(str(log()))

    error = problem_of(flow)
    assert isinstance(error, ArgumentValueError)
    assert error.message == "a text was made of a promise, whose value is not there before the run"
    assert error.way_out == "build the text in a task"
    assert (error.where.file, error.where.line) == (__file__, flow.function.__code__.co_firstlineno + 2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: p == 3, "(‹promise use(): int› == 3)"),
        (lambda p: p != 3, "(‹promise use(): int› != 3)"),
        (lambda p: p < 3, "(‹promise use(): int› < 3)"),
        (lambda p: p <= 3, "(‹promise use(): int› <= 3)"),
        (lambda p: (p > 3) & (p <= 5), "((‹promise use(): int› > 3) & (‹promise use(): int› <= 5))"),
        (lambda p: (p > 3) | ~(p == 5), "((‹promise use(): int› > 3) | ~(‹promise use(): int› == 5))"),
    ],
)
def test_P1_comparisons_make_conditions(make, text):
    condition, _ = traced(lambda x: make(use(1)))
    assert isinstance(condition, Expression)
    assert repr(condition) == text
