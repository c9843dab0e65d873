"""Unions: a value keeps its own class, whatever else the union holds."""

import enum
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal, NamedTuple, Optional

import pytest

from promissory.typesys import TypeMismatch, codec_of
from promissory.typesys.canonical import unpack


class Level(enum.IntEnum):
    LOW = 1


class Color(enum.StrEnum):
    RED = "r"


class Pair(NamedTuple):
    a: int
    b: int


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


UNIONS = [
    (Optional[int], [None, 0, 5]),  # noqa: UP045
    (int | float | bool | str, [1, 1.0, True, False, 0, 0.0, "1", ""]),
    (bytes | str | None, [b"a", "a", None]),
    (list[int] | dict[str, int] | None, [[], {}, None, [1], {"a": 1}]),
    (tuple[int, int] | Pair, [(1, 2), Pair(1, 2)]),
    (tuple[int, ...] | list[int], [(1,), [1], (), []]),
    (set[int] | frozenset[int], [{1}, frozenset({1})]),
    (Cat | Dog, [Cat("a"), Dog("a")]),
    (date | datetime | str, [date(2024, 1, 1), datetime(2024, 1, 1), "2024-01-01"]),
    (Path | str, [Path("a"), "a"]),
    (Literal["a"] | int, ["a", 5]),
    (list[int | None] | None, [None, [None, 1]]),
    (tuple[int | str, ...], [(1, "a")]),
]


@pytest.mark.parametrize(("annotation", "values"), UNIONS, ids=[f"{i}-{a}" for i, (a, _) in enumerate(UNIONS)])
def test_a_value_of_a_union_comes_back_equal_and_of_its_class(annotation, values):
    for value in values:
        again = travel(value, annotation)
        assert again == value
        assert type(again) is type(value)
        assert repr(again) == repr(value)


def test_a_value_of_a_union_is_tagged_with_the_position_of_its_arm():
    codec = codec_of(str | int | None)
    assert [unpack(codec.encode(value)) for value in (7, "a", None)] == [[0, 7], [1, "a"], [2, None]]


def test_a_list_of_ints_stays_one_where_a_list_of_floats_is_allowed_too():
    again = travel([2**53 + 1], list[int] | list[float])
    assert again == [2**53 + 1]
    assert type(again[0]) is int


def test_values_of_a_dict_stay_ints_where_floats_are_allowed_too():
    again = travel({"a": 2**53 + 1}, dict[str, int] | dict[str, float])
    assert again == {"a": 2**53 + 1}


def test_an_int_enum_stays_a_member_where_an_int_is_allowed_too():
    assert travel(Level.LOW, int | Level) is Level.LOW
    assert travel(1, int | Level) is not Level.LOW


def test_a_str_enum_stays_a_member_where_a_str_is_allowed_too():
    assert travel(Color.RED, str | Color) is Color.RED


def test_a_literal_int_stays_an_int_where_a_float_is_allowed_too():
    assert type(travel(1, float | Literal[1])) is int


def test_P4_a_value_that_no_arm_takes_is_refused():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(int | str | None).encode(1.5)
    assert str(caught.value) == "expected int | str | None, got float"


def test_P4_of_several_arms_the_one_that_went_deepest_is_blamed():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(list[int] | dict[str, list[int]] | None).encode({"a": [1, "x"]})
    assert str(caught.value) == "['a'][1]: expected int, got str"
