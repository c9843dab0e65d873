"""JSON → tree, and tree → JSON."""

import enum
import json
import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from promissory.typesys import Opaque, ParseError, codec_of, type_of
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack
from promissory.typesys.parse import parse_json
from promissory.typesys.types import ANY, INT, Definition, EnumType, Field, ListType, RecordType, SetType


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


class Swapped(enum.Enum):
    LEFT = "RIGHT"
    RIGHT = "LEFT"


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Row:
    price: float
    tags: list[str] = field(default_factory=list)


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


ROUND_TRIPS = [
    (int, [0, 2**70]),
    (float, [1.5, -0.0, math.inf, -math.inf]),
    (bool, [True, False]),
    (str, ["", "é", "NaN"]),
    (None, [None]),
    (bytes, [b"", b"\xff\0"]),
    (list[int], [[], [1, 2]]),
    (tuple[int, str], [(1, "a")]),
    (tuple[bytes, ...], [(), (b"a",)]),
    (set[int], [set(), {300, -1}]),
    (frozenset[Color], [frozenset({Color.RED})]),
    (dict[str, int], [{}, {"b": 1, "a": 2}]),
    (dict[int, str], [{}, {-1: "a", 2**70: "b"}]),
    (dict[float, int], [{1.5: 1, math.inf: 2}]),
    (dict[bool, int], [{True: 1}]),
    (dict[bytes, int], [{b"ab": 1}]),
    (dict[None, int], [{None: 1}]),
    (dict[date, int], [{date(2024, 1, 1): 1}]),
    (dict[timedelta, int], [{timedelta(1): 1}]),
    (dict[Color, int], [{Color.BLUE: 1}]),
    (dict[Path, int], [{Path("a"): 1}]),
    (dict[tuple[int, int], str], [{}, {(1, 2): "a"}]),
    (dict[Point, int], [{Point(1, 2.0): 1}]),
    (dict[int | str, int], [{1: 1, "1": 2}, {"5": 1}, {"x": 1}]),
    (dict[str | None, int], [{"null": 1}, {None: 1}, {"": 2}]),
    (dict[Literal["a", 1], int], [{"a": 1, 1: 2}]),
    (Color, [Color.RED, Color.BLUE]),
    (Swapped, [Swapped.LEFT, Swapped.RIGHT]),
    (Literal["a", 1, True, None], ["a", 1, True, None]),
    (Literal[b"a"], [b"a"]),
    (int | None, [1, None]),
    (int | float | bool | str | None, [1, 1.5, True, "a", None]),
    (list[int] | dict[str, int], [[1], {"a": 1}]),
    (Row, [Row(1.5, ["a"])]),
    (Point, [Point(1, 2.5)]),
    (Tree, [Tree(1, [Tree(2, [Tree(3)])])]),
    (Folder, [Folder("a", [Entry(1, Folder("b", [Entry(2)]))])]),
    (Entry, [Entry(1, Folder("b", [Entry(2, Folder("c"))]))]),
    (datetime, [datetime(2024, 1, 1, 12, 30, fold=1)]),
    (date, [date(2024, 1, 1)]),
    (timedelta, [timedelta(days=-1, microseconds=1)]),
    (Path, [Path("a/b")]),
    (Any, [None, 1, 1.5, "a", [1, [2]], {"a": [1]}]),
]


@pytest.mark.parametrize(
    ("annotation", "values"), ROUND_TRIPS, ids=[f"{i}-{type_of(a)}" for i, (a, _) in enumerate(ROUND_TRIPS)]
)
def test_what_is_shown_as_json_is_read_back(annotation, values):
    codec = codec_of(annotation)
    for value in values:
        shown = json.dumps(to_json(codec.lower(value), codec.type))
        assert pack(parse_json(json.loads(shown), codec.type)) == codec.encode(value)


def test_a_nan_is_shown_and_read_back():
    codec = codec_of(list[float])
    assert to_json(codec.lower([math.nan]), codec.type) == ["NaN"]
    assert math.isnan(parse_json(["NaN"], codec.type)[0])


def test_what_has_no_json_is_shown_as_people_can_read_it():
    shown = [
        (Opaque[Color], Color.RED, f"<{__name__}:Color: a pickle of "),
        (Any, len, "<a pickle of "),
    ]
    for annotation, value, beginning in shown:
        codec = codec_of(annotation)
        assert to_json(codec.lower(value), codec.type).startswith(beginning)


def test_any_is_shown_by_what_it_holds():
    codec = codec_of(Any)
    value = [(1, b"a"), {1: 2}, Row(1.5), Color.RED, date(2024, 1, 1), math.inf]
    shown = [[1, "YQ=="], [[1, 2]], {"price": 1.5, "tags": []}, "RED", "2024-01-01", "Infinity"]
    assert to_json(codec.lower(value), codec.type) == shown


def test_a_value_of_any_keeps_the_order_of_its_keys():
    assert list(to_json(codec_of(Any).lower({"z": 1, "a": 2}), ANY)) == ["z", "a"]


BAD = [
    (1, str, "value: expected str, got int"),
    ("1", int, "value: expected int, got str"),
    (True, int, "value: expected int, got bool"),
    (True, float, "value: expected float, got bool"),
    (1.0, int, "value: expected int, got float"),
    (None, int, "value: expected int, got null"),
    (10**400, float, "value: too large for a float"),
    ("!", bytes, "value: bytes are written in JSON as base64, and this isn't"),
    ([1, "a"], list[int], "[1]: expected int, got str"),
    ({"a": [1, None]}, dict[str, list[int]], "['a'][1]: expected int, got null"),
    ([1], tuple[int, int], "value: expected tuple[int, int], got a list"),
    ({}, list[int], "value: expected list[int], got an object"),
    ("GREEN", Color, "value: 'GREEN' is not one of RED, BLUE"),
    ("c", Literal["a"], "value: 'c' is not one of 'a'"),
    (1, Literal[True], "value: 1 is not one of True"),
    ({"price": 1, "weight": 2}, Row, "value: Row has no field 'weight'; it has price, tags"),
    ({"x": 1}, dict[int, int], "['x']: 'x' is not an int"),
    ([], int | str, "value: expected int | str, got a list"),
]


@pytest.mark.parametrize(("value", "annotation", "sentence"), BAD, ids=range(len(BAD)))
def test_a_json_value_that_does_not_fit_is_refused_with_the_reason(value, annotation, sentence):
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(annotation))
    assert str(caught.value) == sentence


def test_a_missing_field_is_named():
    with pytest.raises(ParseError) as caught:
        parse_json({"tags": []}, type_of(Row))
    assert str(caught.value) == "value: Row needs the field 'price'"


def test_a_missing_field_with_a_default_says_why_it_must_be_written():
    with pytest.raises(ParseError) as caught:
        parse_json({"price": 1}, type_of(Row))
    assert (
        str(caught.value)
        == "value: Row needs the field 'tags' (its class has a default, which is not known here: write it out)"
    )


def test_a_time_of_another_kind_is_refused_in_one_sentence():
    with pytest.raises(ParseError) as caught:
        parse_json(5, type_of(date))
    assert str(caught.value).count("value:") == 1


def test_a_mismatch_inside_a_record_begins_with_its_field_as_elsewhere():
    with pytest.raises(ParseError) as caught:
        parse_json({"price": "x", "tags": []}, type_of(Row))
    assert str(caught.value) == "price: expected float, got str"


def test_a_set_that_holds_what_is_not_hashable_is_refused():
    with pytest.raises(ParseError):
        parse_json([[1]], SetType(ANY))


def test_a_key_given_twice_is_refused_or_the_last_one_counts():
    try:
        tree = parse_json({"1": 10, "+1": 20}, type_of(dict[int, int]))
    except ParseError:
        return
    assert tree == [[1, 20]]


def test_T1_reading_and_showing_need_none_of_the_authors_classes():
    color = EnumType("no_such_module:Color", (("RED", "r"), ("BLUE", 2)))
    fields = (Field("n", INT), Field("colors", ListType(color)))
    row = RecordType("no_such_module:Row", (Definition("no_such_module:Row", "dataclass", fields),))
    tree = parse_json({"n": 1, "colors": ["r", "BLUE"]}, row)
    assert tree == [1, ["RED", "BLUE"]]
    assert to_json(tree, row) == {"n": 1, "colors": ["RED", "BLUE"]}


def test_T1_reading_a_set_needs_none_of_the_authors_classes():
    color = EnumType("no_such_module:Color", (("RED", "r"), ("BLUE", 2)))
    assert parse_json(["r", "BLUE", "RED"], SetType(color)) == ["RED", "BLUE"]


def test_a_json_value_nested_too_deeply_is_refused():
    value = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(ParseError):
        parse_json(value, ANY)
