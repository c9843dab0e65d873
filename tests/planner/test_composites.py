"""P1, P3: lists, tuples, dicts, dataclasses and NamedTuples with promises in them, anywhere a value may stand."""

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from promissory import task, workflow
from promissory.errors import ArgumentValueError, EdgeTypeError


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    a: int
    b: str = "-"


@dataclass
class Leaf:
    n: float
    color: Color = Color.RED


@dataclass
class Row:
    leaf: Leaf
    names: list[str]
    by_name: dict[str, Leaf] = field(default_factory=dict)
    parent: "Row | None" = None


@dataclass(frozen=True)
class Frozen:
    n: int


@task
def number() -> int:
    return 1


@task
def text() -> str:
    return "a"


def shown(wanted, make):
    """How a plan shows the argument that a body built for a parameter."""

    @task
    def take(x: wanted) -> int:
        return 1

    @workflow
    def flow(given: int) -> int:
        return take(make(given))

    plan = flow.compile()
    plan.verify()
    assert type(plan).from_bytes(plan.to_bytes()).digest == plan.digest
    line = next(line for line in str(plan).splitlines() if "= task take(" in line)
    return line.partition("take(x=")[2].removesuffix(")")


COMPOSITES = [
    (list[int], lambda x: [number(), x, 3], "[number, given, 3]"),
    (list[float], lambda x: [number(), x, 3], "[number, given, 3.0]"),
    (tuple[int, str], lambda x: (number(), text()), "(number, text)"),
    (tuple[int, ...], lambda x: (1, number(), x), "(1, number, given)"),
    (dict[str, int], lambda x: {"a": number(), "b": 2}, "{'a': number, 'b': 2}"),
    (dict[int, list[str]], lambda x: {1: [text()], 2: []}, "{1: [text], 2: []}"),
    (Leaf, lambda x: Leaf(number()), "Leaf(n=number, color=Color.RED)"),
    (Pair, lambda x: Pair(number(), b=text()), "Pair(a=number, b=text)"),
    (tuple[int, str], lambda x: Pair(number()), "(number, '-')"),
    (Frozen, lambda x: Frozen(x), "Frozen(n=given)"),
    (
        Row,
        lambda x: Row(Leaf(x), [text(), "b"], {"k": Leaf(2, Color.BLUE)}),
        "Row(leaf=Leaf(n=given, color=Color.RED), names=[text, 'b'], by_name={'k': Leaf(n=2.0, "
        "color=Color.BLUE)}, parent=None)",
    ),
    (list[list[dict[str, tuple[int, ...]]]], lambda x: [[{"a": (x,)}], []], "[[{'a': (given,)}], []]"),
    (list[int] | None, lambda x: [number()], "[number]"),
    (dict[str, int] | list[int], lambda x: [number()], "[number]"),
    (list[str] | list[int], lambda x: [number()], "[number]"),
    (int | list[int | None], lambda x: [None, x], "[None, given]"),
    (Leaf | Pair | None, lambda x: Pair(x), "Pair(a=given, b='-')"),
]

INTO_ANY = [
    (lambda x: [number(), "a", None], "[number, 'a', None]"),
    (lambda x: {"a": {"b": (x, 1.5)}}, "{'a': {'b': (given, 1.5)}}"),
    (lambda x: Leaf(number()), "Leaf(n=number, color=Color.RED)"),
    (lambda x: [Pair(x)], "[Pair(a=given, b='-')]"),
    (lambda x: {Color.RED: x}, None),
]

REFUSED = [
    (list[int], lambda x: [1, text()], "(at [1]) wants int, but text() gives str"),
    (list[list[int]], lambda x: [[1], [2, text()]], "(at [1][1]) wants int, but text() gives str"),
    (dict[str, list[int]], lambda x: {"a": [text()]}, "(at ['a'][0]) wants int, but text() gives str"),
    (Row, lambda x: Row(Leaf(text()), []), "(at .leaf.n) wants float, but text() gives str"),
    (Row, lambda x: Row(Leaf(x), [text(), x]), "(at .names[1]) wants str, but input given is int"),
    (tuple[int, str], lambda x: (x, text(), 1), "wants tuple[int, str], but a tuple of 3 was given"),
    (Leaf, lambda x: Pair(x), "wants Leaf, but a Pair was given"),
    (dict[str, int], lambda x: [x], "wants dict[str, int], but list with promises in it was given"),
    (int, lambda x: [x], "wants int, but list with promises in it was given"),
    (list[str] | None, lambda x: [x], "wants list[str] | None, but list with promises in it was given"),
]


@pytest.mark.parametrize(("wanted", "make", "text"), COMPOSITES, ids=range(len(COMPOSITES)))
def test_P1_promises_may_stand_inside_literals(wanted, make, text):
    assert shown(wanted, make) == text


@pytest.mark.parametrize(("make", "text"), INTO_ANY, ids=range(len(INTO_ANY)))
def test_P1_promises_may_stand_inside_literals_for_Any(make, text):
    assert text is None or shown(Any, make) == text


@pytest.mark.parametrize(("wanted", "make", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_P3_the_place_inside_a_literal_is_named(problem_of, wanted, make, sentence):
    @task
    def take(x: wanted) -> int:
        return 1

    @workflow
    def flow(given: int) -> int:
        return take(make(given))

    error = problem_of(flow)
    assert isinstance(error, EdgeTypeError)
    assert error.message == f"take(x=…) {sentence}"


def test_P3_a_literal_beside_a_promise_is_checked_too(problem_of):
    @task
    def take(x: list[Leaf]) -> int:
        return 1

    @workflow
    def flow() -> int:
        return take([Leaf(number()), Leaf("a")])

    assert problem_of(flow).message == "take(x=…) (at [1].n): expected float, got str"


@pytest.mark.parametrize("keys", [{3: 1}, {"a": 1, None: 2}])
def test_P3_the_keys_of_a_dict_with_promises_are_checked(problem_of, keys):
    @task
    def take(x: dict[str, int]) -> int:
        return 1

    @workflow
    def flow() -> int:
        return take({**keys, "p": number()})

    assert isinstance(problem_of(flow), EdgeTypeError)


def test_P1_composites_may_be_returned_and_checked_against_the_result(problem_of):
    @workflow
    def good() -> dict[str, list[float]]:
        return {"a": [number(), 2]}

    @workflow
    def bad() -> dict[str, list[float]]:
        return {"a": [number(), text()]}

    assert str(good.compile()).endswith("return {'a': [number, 2.0]}")
    assert problem_of(bad).message == "the result of bad() (at ['a'][1]) wants float, but text() gives str"


def test_P3_a_tried_and_rejected_arm_of_a_union_leaves_no_literals_behind():
    @task
    def take(x: list[tuple[int, int]] | list[tuple[int, str]]) -> int:
        return 1

    @workflow
    def flow() -> int:
        return take([(7, text())])

    assert len(flow.compile().literals) == 1


def test_P2_a_promise_hidden_in_an_object_is_refused_with_the_authors_line(problem_of):
    class Box:
        def __init__(self, inside):
            self.inside = inside

    @task
    def take(x: Any) -> int:
        return 1

    @workflow
    def flow() -> int:
        return take(Box(number()))

    error = problem_of(flow)
    assert isinstance(error, TypeError)
    assert (error.where.file, error.where.line) == (__file__, flow.function.__code__.co_firstlineno + 2)


def test_P1_a_list_that_contains_itself_is_an_error_and_not_a_hang(problem_of):
    @task
    def take(x: Any) -> int:
        return 1

    @workflow
    def flow() -> int:
        around: list[Any] = [number()]
        around.append(around)
        return take(around)

    assert isinstance(problem_of(flow), ArgumentValueError | EdgeTypeError)
