"""P4: a value that is not of its type is refused, with the path to the element that isn't."""

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from promissory.typesys import TypeMismatch, check, codec_of


@dataclass
class Row:
    price: float
    tags: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    left: int
    right: "dict[str, int]"


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)


class Color(enum.Enum):
    RED = 1


def sentence(value, annotation, root="result"):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    return caught.value.at(root)


def test_P4_a_mismatch_names_the_path():
    rows = [Row(float(i)) for i in range(20)]
    rows[17].price = "17.0"
    assert sentence({"rows": rows}, dict[str, list[Row]]) == "result['rows'][17].price: expected float, got str"


def test_P4_a_bool_is_no_int_and_no_float():
    assert sentence(True, int) == "result: expected int, got bool"
    assert sentence([1, True], list[int]) == "result[1]: expected int, got bool"
    assert sentence([1.0, True], list[float]) == "result[1]: expected float, got bool"
    assert sentence({"a": False}, dict[str, int]) == "result['a']: expected int, got bool"


PATHS = [
    ([1, "a"], list[int], "[1]", "expected int, got str"),
    ([1] * 999 + [None], list[int], "[999]", "expected int, got None"),
    ((1, "a"), tuple[int, ...], "[1]", "expected int, got str"),
    ((1, 2), tuple[int, str], "[1]", "expected str, got int"),
    ((1, 2), tuple[int], "", "expected a tuple of 1, got one of 2"),
    ([1, 2], tuple[int, int], "", "expected tuple[int, int], got list"),
    ([1, 2], tuple[int, ...], "", "expected tuple[int, ...], got list"),
    ((1, 2), list[int], "", "expected list[int], got tuple"),
    ({1: "a"}, dict[str, str], "", "key 1: expected str, got int"),
    ({"a": {"b": 1}}, dict[str, dict[str, str]], "['a']['b']", "expected str, got int"),
    ({"a": {(1, "x"): 1}}, dict[str, dict[tuple[int, int], int]], "['a']", "key (1, 'x'): expected int, got str"),
    ([("a", 1)], dict[str, int], "", "expected dict[str, int], got list"),
    ({1, "a"}, set[int], "{'a'}", "expected int, got str"),
    (frozenset({1}), set[int], "", "expected set[int], got frozenset"),
    ({1}, frozenset[int], "", "expected frozenset[int], got set"),
    (Row(1, ["a", 5]), Row, ".tags[1]", "expected str, got int"),
    (Row(None), Row, ".price", "expected float, got None"),
    ({"price": 1.0}, Row, "", "expected Row, got dict"),
    (Pair("a", {}), Pair, ".left", "expected int, got str"),
    (Pair(1, {"k": "v"}), Pair, ".right['k']", "expected int, got str"),
    (Tree(1, [Tree(2), Tree(3, [Tree("x")])]), Tree, ".children[1].children[0].value", "expected int, got str"),
    ([Color.RED, 1], list[Color], "[1]", "expected Color, got int"),
    ([None, [1, "a"]], list[list[int] | None], "[1][1]", "expected int, got str"),
    ([1, "a", None], list[int | str], "[2]", "expected int | str, got None"),
    (
        {"a": [1, (2, {3: "x"})]},
        dict[str, list[int | tuple[int, dict[int, int]]]],
        "['a'][1][1][3]",
        "expected int, got str",
    ),
]


@pytest.mark.parametrize(("value", "annotation", "path", "problem"), PATHS, ids=range(len(PATHS)))
def test_P4_a_mismatch_says_where_and_what(value, annotation, path, problem):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert (caught.value.path, caught.value.problem) == (path, problem)


@pytest.mark.parametrize(("value", "annotation", "path", "problem"), PATHS, ids=range(len(PATHS)))
def test_P4_a_check_without_encoding_says_the_same(value, annotation, path, problem):
    with pytest.raises(TypeMismatch) as caught:
        check(value, annotation)
    assert caught.value.at("x") == f"x{path}: {problem}"


def test_P4_what_fits_passes():
    check({"rows": [Row(1.0, ["a"])]}, dict[str, list[Row]])
    check([1, "a", None], list[Any])
    check([1, "a"], Any)


def test_P4_the_first_bad_element_is_named():
    assert sentence([1, "a", "b"], list[int]) == "result[1]: expected int, got str"


def test_a_mismatch_seen_from_further_out_has_a_longer_path():
    mismatch = TypeMismatch("expected int, got str").inside(".a").inside("[3]")
    assert mismatch.path == "[3].a"
    assert mismatch.at("x") == "x[3].a: expected int, got str"
    assert str(mismatch) == "[3].a: expected int, got str"
    assert str(TypeMismatch("expected int, got str").inside(".a")) == "a: expected int, got str"


def test_a_mismatch_survives_being_pickled():
    import pickle

    again = pickle.loads(pickle.dumps(TypeMismatch("expected int, got str", "[1]")))
    assert (again.problem, again.path) == ("expected int, got str", "[1]")


def test_a_format_error_survives_being_pickled():
    import pickle

    from promissory.typesys import FormatError

    again = pickle.loads(pickle.dumps(FormatError("a plan", "is cut short", offset=7)))
    assert str(again) == "a plan is cut short (at byte 7)"
