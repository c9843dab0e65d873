"""What a person types where a union is wanted goes to the type that a person would expect, on the command line as in
JSON."""

import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Literal
from uuid import UUID

import pytest

from promissory.typesys import ParseError, codec_of, type_of
from promissory.typesys.as_json import to_json
from promissory.typesys.parse import parse_json, parse_text


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Inner:
    a: int


@dataclass
class Outer:
    inner: Inner | None


@dataclass
class Other:
    b: str


KEY = UUID("12345678-1234-5678-1234-567812345678")
TYPED = [
    # beside str, a number or a bool is what JSON writes as one
    ("5", int | str, 5),
    ("-5", str | int, -5),
    ("x", int | str, "x"),
    ("007", int | str, "007"),
    ("1_000", int | str, "1_000"),
    (" 5", int | str, " 5"),
    ("٣", int | str, "٣"),
    ("5.0", int | str, "5.0"),
    ("5", float | int | str, 5),
    ("5.0", float | int | str, 5.0),
    (".5", float | str, 0.5),
    ("1e3", float | int | str, 1000.0),
    ("inf", float | str, float("inf")),
    ("Nan", float | str, "Nan"),
    ("true", bool | str, True),
    ("False", bool | str, False),
    ("no", bool | str, "no"),
    ("1", bool | str, "1"),
    ("on", bool | None, True),
    ("1", bool | int, 1),
    ("007", int | None, 7),
    ("5", int | float, 5),
    ("5", float | None, 5.0),
    # null, and the empty text
    ("null", str | None, None),
    ("None", int | str | None, None),
    ("", str | None, ""),
    ("", bytes | None, b""),
    ("", int | None, None),
    ("", Path | None, None),
    ("", int | str | None, ""),
    ("nothing", str | None, "nothing"),
    ("none", Literal["none", "all"] | None, "none"),
    # what is listed goes first
    ("auto", Literal["auto"] | int, "auto"),
    ("4", Literal["auto"] | int, 4),
    ("auto", Literal["auto"] | str, "auto"),
    ("1", Literal["1"] | int, "1"),
    ("RED", Color | str, Color.RED),
    ("r", Color | str, Color.RED),
    ("GREEN", Color | str, "GREEN"),
    ("2", Color | int, 2),
    ("LOW", Level | int, Level.LOW),
    ("1", Level | int, 1),
    ("READ|WRITE", Access | None, Access.READ | Access.WRITE),
    # what has a form of its own
    ("2024-01-01", date | str, date(2024, 1, 1)),
    ("2024-01-01", date | datetime, date(2024, 1, 1)),
    ("2024-01-01T10:00", date | datetime | str, datetime(2024, 1, 1, 10)),
    ("10:30", time | str, time(10, 30)),
    ("12", time | str, "12"),
    ("20240101", date | int, 20240101),
    ("20240101", date | str, "20240101"),
    ("soon", date | str, "soon"),
    (str(KEY), UUID | str, KEY),
    ("1.50", Decimal | str, Decimal("1.50")),
    ("007", Decimal | str, "007"),
    ("5", Decimal | int, 5),
    ("1h", timedelta | str, timedelta(hours=1)),
    ("5", timedelta | int, 5),
    ("PT1H", timedelta | int, timedelta(hours=1)),
    # what takes any text goes last
    ("abc", str | bytes | None, "abc"),
    ("null", str | bytes | None, None),
    ("a", str | Path, "a"),
    ("a", Path | None, Path("a")),
    ("5", Path | int, 5),
    ("a/b", Path | int, Path("a/b")),
    ("a", PurePath | str, "a"),
    # JSON
    ("[1]", list[int] | int, [1]),
    ("5", list[int] | int, 5),
    ("[1]", list[int] | str, [1]),
    ("[x", list[int] | str, "[x"),
    ('{"a": 1}', Inner | str, Inner(1)),
    ('{"a": 1}', Inner | None, Inner(1)),
    ('{"inner": null}', Outer | Inner | None, Outer(None)),
    ("null", Inner | None, None),
    ("5", int | list[int | str] | None, 5),
]


def shown(annotation):
    return str(type_of(annotation))


def read(tree, codec):
    return codec.lift_tree(tree)


def same(one, other):
    assert one == other
    assert type(one) is type(other)


@pytest.mark.parametrize(("text", "annotation", "value"), TYPED, ids=[f"{shown(a)}-{t}" for t, a, _ in TYPED])
def test_a_text_goes_to_the_type_of_a_union_that_a_person_would_expect(text, annotation, value):
    codec = codec_of(annotation)
    same(codec.lift_tree(parse_text(text, codec.type)), value)


ONE_ANSWER = [row for row in TYPED if not isinstance(row[2], int | float | list | None | Inner | Outer | bytes)]


@pytest.mark.parametrize(("text", "annotation", "value"), ONE_ANSWER, ids=[f"{shown(a)}-{t}" for t, a, _ in ONE_ANSWER])
def test_a_json_string_is_for_the_arm_that_the_text_is_for(text, annotation, value):
    codec = codec_of(annotation)
    same(codec.lift_tree(parse_json(text, codec.type)), value)


def test_a_json_string_stays_a_string_where_it_looks_like_a_number_or_null():
    for text in ("5", "true", "null"):
        same(codec_of(int | bool | str | None).lift_tree(parse_json(text, type_of(int | bool | str | None))), text)


WRONG = [
    ({"inner": {"a": "1"}}, Outer, "inner.a: expected int, got str"),
    ({"inner": {"b": 1}}, Outer, "inner: Inner has no field 'b'; it has a"),
    ({"inner": 5}, Outer, "inner: expected Inner | None, got int"),
    ({"a": "1"}, Inner | Other | None, "a: expected int, got str"),
    ({"c": 1}, Inner | Other, "value: expected Inner | Other, got an object"),
    ([1, "a"], list[int] | int | None, "[1]: expected int, got str"),
    ([[1, "a"]], list[list[int] | None], "[0][1]: expected int, got str"),
    ("x", int | float, "value: expected int | float, got str"),
]


@pytest.mark.parametrize(("value", "annotation", "sentence"), WRONG, ids=range(len(WRONG)))
def test_what_fits_no_arm_is_blamed_on_the_arm_that_was_meant(value, annotation, sentence):
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(annotation))
    assert str(caught.value) == sentence


DURATIONS = [
    timedelta(),
    timedelta.max,
    timedelta.min,
    timedelta(microseconds=-1),
    timedelta(days=1, hours=2, seconds=3.25),
]


@pytest.mark.parametrize("value", DURATIONS, ids=str)
def test_a_duration_is_shown_as_iso_and_read_back(value):
    codec = codec_of(timedelta)
    text = to_json(codec.lower(value), codec.type)
    assert "P" in text
    assert codec.lift_tree(parse_json(text, codec.type)) == value


def test_a_duration_in_json_may_be_seconds():
    codec = codec_of(timedelta)
    assert codec.lift_tree(parse_json(90, codec.type)) == timedelta(seconds=90)
    with pytest.raises(ParseError):
        parse_json(True, codec.type)
