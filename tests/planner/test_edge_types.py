"""P3: the type of every edge is checked while tracing; the message is what a colleague would say."""

import enum
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

import pytest

from promissory import Opaque, task, workflow
from promissory.errors import ArgumentValueError, EdgeTypeError


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    a: int
    b: str


class Model:
    def __reduce__(self):
        raise RuntimeError("not me")


@dataclass
class Row:
    price: float
    tags: list[str]


@dataclass
class Other:
    price: float
    tags: list[str]


# what the producer gives, what the consumer wants, and the rest of the sentence after `take(x=…) ` (None: it fits)
EDGES = [
    (int, int, None),
    (int, float, None),
    (float, int, "wants int, but give() gives float"),
    (bool, int, "wants int, but give() gives bool"),
    (int, bool, "wants bool, but give() gives int"),
    (list[int], list[float], None),
    (list[float], float, "wants float, but give() gives list[float]"),
    (list[str], list[int], "wants list[int], but give() gives list[str]: its items: str is not int"),
    (
        list[list[str]],
        list[list[int]],
        "wants list[list[int]], but give() gives list[list[str]]: its items: its items: str is not int",
    ),
    (dict[str, int], dict[str, float], None),
    (dict[str, int], dict[int, int], "wants dict[int, int], but give() gives dict[str, int]: its keys: str is not int"),
    (
        dict[str, str],
        dict[str, int],
        "wants dict[str, int], but give() gives dict[str, str]: its values: str is not int",
    ),
    (
        tuple[int, str],
        tuple[int, int],
        "wants tuple[int, int], but give() gives tuple[int, str]: item 1: str is not int",
    ),
    (
        tuple[int, int, int],
        tuple[int, int],
        "wants tuple[int, int], but give() gives tuple[int, int, int]: it has 3 items, not 2",
    ),
    (tuple[int, int], tuple[float, ...], None),
    (tuple[int, ...], tuple[int, int], "wants tuple[int, int], but give() gives tuple[int, ...]"),
    (list[int], tuple[int, ...], "wants tuple[int, ...], but give() gives list[int]"),
    (Pair, tuple[int, str], None),
    (tuple[int, str], Pair, "wants Pair, but give() gives tuple[int, str]"),
    (int, int | None, None),
    (int | None, int, "wants int, but give() gives int | None: it may be None"),
    (int | str, str | int | None, None),
    (int | bytes, str | int, "wants int | str, but give() gives int | bytes: bytes is not int | str"),
    (Any, int, None),
    (Row, Any, None),
    (Row, Other, "wants Other, but give() gives Row"),
    (Row, Row, None),
    (Row, dict[str, int], "wants dict[str, int], but give() gives Row"),
    (Color, Color, None),
    (Color, Literal[Color.RED], "wants Color, but give() gives Color: BLUE is not allowed there"),
    (Literal[Color.RED], Color, None),
    (Literal["a"], str, None),
    (str, Literal["a"], "wants Literal['a'], but give() gives str"),
    (
        Literal["a", "b"],
        Literal["a"],
        "wants Literal['a'], but give() gives Literal['a', 'b']: 'b' is not among Literal['a']",
    ),
    (date, str, "wants str, but give() gives date"),
    (None, int, "wants int, but give() gives None"),
    (None, int | None, None),
    (set[int], frozenset[int], "wants frozenset[int], but give() gives set[int]"),
]

LITERALS = [
    (1, int, None),
    (1, float, None),
    (1.0, int, "expected int, got float"),
    (True, int, "expected int, got bool"),
    (None, int, "expected int, got None"),
    ("a", list[str], "expected list[str], got str"),
    ([1, "a"], list[int], "expected int, got str", "[1]"),
    ({"a": [1, None]}, dict[str, list[int]], "expected int, got None", "['a'][1]"),
    (Row(1.0, ["a"]), Row, None),
    (Row(1.0, ["a", 2]), Row, "expected str, got int", ".tags[1]"),
    (Other(1.0, []), Row, "expected Row, got Other"),
    ((1, 2), tuple[int, str], "expected str, got int", "[1]"),
    (Color.RED, Color, None),
    ("RED", Color, "expected Color, got str"),
    ("c", Literal["a", "b"], "expected Literal['a', 'b'], got 'c'"),
    (10**400, float, "expected float, got an int too large for one"),
]


def make(given, wanted):
    @task
    def give() -> given:
        raise NotImplementedError

    @task
    def take(x: wanted) -> int:
        return 1

    return give, take


@pytest.mark.parametrize(("given", "wanted", "sentence"), EDGES, ids=range(len(EDGES)))
def test_P3_a_promise_is_checked_against_the_parameter(problem_of, given, wanted, sentence):
    give, take = make(given, wanted)

    @workflow
    def flow() -> int:
        return take(give())

    if sentence is None:
        assert len(flow.compile()) == 2
    else:
        error = problem_of(flow)
        assert isinstance(error, EdgeTypeError)
        assert error.message == f"take(x=…) {sentence}"
        assert (error.where.file, error.where.line) == (__file__, flow.function.__code__.co_firstlineno + 2)


@pytest.mark.parametrize("case", LITERALS, ids=range(len(LITERALS)))
def test_P3_a_literal_is_checked_against_the_parameter(problem_of, case):
    value, wanted, sentence, path = (*case, "")[:4]
    _, take = make(int, wanted)

    @workflow
    def flow() -> int:
        return take(value)

    if sentence is None:
        assert len(flow.compile().literals) == 1
    else:
        at = f" (at {path})" if path else ""
        assert problem_of(flow).message == f"take(x=…){at}: {sentence}"


@pytest.mark.parametrize(("given", "wanted", "sentence"), EDGES, ids=range(len(EDGES)))
def test_P3_a_returned_promise_is_checked_against_the_declared_result(problem_of, given, wanted, sentence):
    give, _ = make(given, int)

    @workflow
    def flow() -> wanted:
        return give()

    if sentence is None:
        assert str(flow.compile().outputs[0].type) == str(make(given, wanted)[1].signature.interface.parameters[0].type)
    else:
        assert problem_of(flow).message == f"the result of flow() {sentence}"


def test_P3_an_input_is_named_as_one(problem_of):
    _, take = make(int, int)

    @workflow
    def flow(text: str) -> int:
        return take(text)

    assert problem_of(flow).message == "take(x=…) wants int, but input text is str"


def test_P3_a_part_of_a_value_is_named_by_its_path(problem_of):
    give, take = make(Row, int)

    @workflow
    def flow() -> int:
        return take(give().tags[0])

    assert problem_of(flow).message == "take(x=…) wants int, but give().tags[0] gives str"


def test_P3_a_workflow_that_forgot_to_return_is_told(problem_of):
    give, _ = make(int, int)

    @workflow
    def flow() -> int:
        give()

    assert problem_of(flow).message == "the result of flow(): expected int, got None"


def test_P3_a_value_that_cannot_be_written_down_is_an_argument_error(problem_of):
    _, take = make(int, Opaque[Model])

    @workflow
    def flow() -> int:
        return take(Model())

    error = problem_of(flow)
    assert isinstance(error, ArgumentValueError)
    assert error.message == "take(x=…): the value: a Model can't be written down: RuntimeError: not me"
    assert error.way_out == "pass plain data"


def test_P3_literals_may_be_returned():
    @workflow
    def flow(x: int) -> tuple[float, list[str], int]:
        return 1, ["a"], x

    assert str(flow.compile()).endswith("return (1.0, ['a'], x)")
