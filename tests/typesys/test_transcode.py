"""A tree of one type written as another, without the author's classes."""

import enum
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from promissory.typesys import Opaque, TypeMismatch, assignable, codec_of, type_of
from promissory.typesys.canonical import pack
from promissory.typesys.transcode import transcode


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Row:
    price: float
    tag: Any = None


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)


@dataclass
class Folder:
    name: str
    entries: "list[Entry]" = field(default_factory=list)


@dataclass
class Entry:
    size: int
    folder: "Folder | None" = None


SAMPLES = [
    (int, [0, -5, 2**40]),
    (float, [1.5, -0.0]),
    (bool, [True]),
    (str, ["", "a"]),
    (None, [None]),
    (int | None, [1, None]),
    (float | None, [1.5, None]),
    (int | str, [1, "a"]),
    (int | float | bool | str | None, [1, 1.0, True, "1", None]),
    (Literal["a"], ["a"]),
    (Literal["a", "b"], ["a", "b"]),
    (Literal[1, 2], [1, 2]),
    (Literal[1, "a"], [1, "a"]),
    (list[int], [[], [1, 2]]),
    (list[float], [[], [1.5]]),
    (list[int | None], [[1, None]]),
    (list[Any], [[], [1], ["a"], [[1]]]),
    (list[int] | None, [[1], None]),
    (list[int] | list[str], [[1], ["a"]]),
    (list[str] | dict[str, int], [["a"], {"a": 1}]),
    (tuple[int, int], [(1, 2)]),
    (tuple[int, ...], [(), (1, 2)]),
    (tuple[float, ...], [(1.5,)]),
    (tuple[Any, int], [(1, 2), ("a", 2)]),
    (tuple[int, int] | None, [(1, 2), None]),
    (Point, [Point(1, 2)]),
    (set[int], [set(), {1, 300}]),
    (set[float], [{1.5, -1.0}]),
    (frozenset[int | str], [frozenset({1, "a"})]),
    (dict[str, int], [{}, {"b": 1, "a": 2}]),
    (dict[str, float], [{"a": 1.5}]),
    (dict[str, Any], [{"a": 1}, {"a": "x"}, {"a": [Point(1, 2)]}]),
    (dict[int, str], [{1: "a"}]),
    (dict[Any, Any], [{1: "a", "b": 2}]),
    (Color, [Color.RED, Color.BLUE]),
    (Literal[Color.RED], [Color.RED]),
    (Color | None, [Color.BLUE, None]),
    (Row, [Row(1.5, [1])]),
    (Row | Point, [Row(1.5), Point(1, 2)]),
    (Tree, [Tree(1, [Tree(2), Tree(3, [Tree(4)])])]),
    (list[Tree | None], [[Tree(1, [Tree(2)]), None]]),
    (Folder, [Folder("a", [Entry(1, Folder("b", [Entry(2)]))])]),
    (Entry, [Entry(1, Folder("b", [Entry(2)]))]),
    (date, [date(2024, 1, 1)]),
    (Path, [Path("a/b")]),
    (Path | str, [Path("a"), "a"]),
    (
        Any,
        [1, 1.5, "a", None, [1], ("a",), {"a": 1}, {1, 2}, Color.RED, Row(1.0), date(2024, 1, 1), Tree(1, [Tree(2)])],
    ),
]


@pytest.mark.parametrize(("source", "values"), SAMPLES, ids=[f"{i}-{type_of(a)}" for i, (a, _) in enumerate(SAMPLES)])
def test_what_is_assignable_can_be_written_as_the_target_and_is_an_equal_value(source, values):
    given = codec_of(source)
    for target, _ in SAMPLES:
        wanted = codec_of(target)
        if not assignable(given.type, wanted.type):
            continue
        for value in values:
            try:
                wanted.encode(value)
            except TypeMismatch:
                assert "Any" in f"{given.type}", (
                    f"{value!r} of {given.type} is assignable to {wanted.type} but does not fit"
                )
                with pytest.raises(TypeMismatch):
                    transcode(given.lower(value), given.type, wanted.type)
                continue
            tree = transcode(given.lower(value), given.type, wanted.type)
            assert wanted.decode(pack(tree)) == value, f"{value!r} of {given.type} as {wanted.type}"


@pytest.mark.parametrize(("source", "values"), SAMPLES, ids=[f"{i}-{type_of(a)}" for i, (a, _) in enumerate(SAMPLES)])
def test_a_tree_written_as_any_is_what_the_value_itself_gives(source, values):
    codec = codec_of(source)
    for value in values:
        assert pack(transcode(codec.lower(value), codec.type, type_of(Any))) == codec_of(Any).encode(value)


@pytest.mark.parametrize(
    ("annotation", "values"), SAMPLES, ids=[f"{i}-{type_of(a)}" for i, (a, _) in enumerate(SAMPLES)]
)
def test_a_value_of_any_becomes_its_own_type_with_the_same_bytes(annotation, values):
    codec = codec_of(annotation)
    for value in values:
        tree = transcode(codec_of(Any).lower(value), type_of(Any), codec.type)
        assert pack(tree) == codec.encode(value)


def test_ints_become_floats_on_the_way():
    assert repr(transcode([1, 2], type_of(list[int]), type_of(list[float]))) == "[1.0, 2.0]"


def test_a_set_is_sorted_anew_by_the_bytes_of_its_new_items():
    ints, floats = codec_of(set[int]), codec_of(set[float])
    value = {-1, 5, 300}
    assert pack(transcode(ints.lower(value), ints.type, floats.type)) == floats.encode(value)


def test_a_set_written_as_another_holds_each_item_once():
    ints, floats = codec_of(set[int]), codec_of(set[float])
    tree = transcode(ints.lower({2**53, 2**53 + 1}), ints.type, floats.type)
    assert pack(tree) == floats.encode({float(2**53)})


@pytest.mark.parametrize("source", [dict[int, str], dict[Any, str], Any])
def test_a_dict_two_of_whose_keys_become_one_float_is_refused(source):
    given = codec_of(source)
    with pytest.raises(TypeMismatch) as caught:
        transcode(given.lower({2**53: "a", 2**53 + 1: "b"}), given.type, type_of(dict[float, str]))
    assert str(caught.value) == "two of its keys are the same in the wanted type"


def test_a_named_tuple_becomes_a_plain_tuple():
    assert transcode([1, 2], type_of(Point), type_of(tuple[float, ...])) == [1.0, 2.0]


def test_a_value_of_any_becomes_the_arm_that_it_is():
    source, target = codec_of(list[Any]), codec_of(list[int] | list[str])
    assert target.lift(transcode(source.lower(["a"]), source.type, target.type)) == ["a"]


def test_an_opaque_value_keeps_its_bytes():
    codec = codec_of(Opaque[Row])
    tree = codec.lower(Row(1.0))
    there = transcode(tree, codec.type, type_of(Any))
    assert transcode(there, type_of(Any), codec.type) == tree


@pytest.mark.parametrize(
    ("value", "source", "target", "path", "problem"),
    [
        ("a", Any, int, "", "expected int, got str"),
        (True, Any, int, "", "expected int, got bool"),
        (True, Any, float, "", "expected float, got bool"),
        (10**400, Any, float, "", "expected float, got an int too large for one"),
        (10**400, int, float, "", "expected float, got an int too large for one"),
        ([1, "a"], Any, list[int], "[1]", "expected int, got str"),
        ([1, "a"], list[Any], list[int], "[1]", "expected int, got str"),
        ((1, "a"), tuple[Any, ...], tuple[int, ...], "[1]", "expected int, got str"),
        ((1, "a"), tuple[Any, Any], tuple[int, int], "[1]", "expected int, got str"),
        ((1, "a"), tuple[Any, Any], tuple[int, ...], "[1]", "expected int, got str"),
        ((1, "a"), Any, tuple[int, int], "[1]", "expected int, got str"),
        ({"a": "x"}, Any, dict[str, int], "['a']", "expected int, got str"),
        ({"a": "x"}, dict[str, Any], dict[str, int], "['a']", "expected int, got str"),
        (
            {"a": [{"b": "x"}]},
            dict[str, Any],
            dict[str, list[dict[str, int]]],
            "['a'][0]['b']",
            "expected int, got str",
        ),
        ([10**400], list[int], list[float], "[0]", "expected float, got an int too large for one"),
        (Row("x"), Any, Row, ".price", "expected float, got str"),
        ((1,), Any, list[int], "", "expected list[int], got tuple"),
        ((1, 2, 3), Any, tuple[int, int], "", "expected tuple[int, int], got tuple"),
        (Color.RED, Any, Literal[Color.BLUE], "", "expected Color, got Color"),
        (Point(1, 2), Any, Row, "", "expected Row, got Point"),
        (date(2024, 1, 1), Any, Path, "", "expected Path, got date"),
        (None, Any, int | str, "", "expected int | str, got None"),
        (len, Any, int, "", "expected int, got an opaque value"),
        (Fraction(1), Any, int, "", "expected int, got Fraction"),
    ],
)
def test_P4_a_value_of_any_that_is_something_else_is_refused_with_its_path(value, source, target, path, problem):
    given = codec_of(source)
    with pytest.raises(TypeMismatch) as caught:
        transcode(given.lower(value), given.type, type_of(target))
    assert (caught.value.path, caught.value.problem) == (path, problem)
