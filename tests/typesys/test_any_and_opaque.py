"""`Any` says itself what it is; what nothing knows travels as a pickle."""

import enum
import threading
import typing
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypedDict

import pytest

from promissory.typesys import FormatError, Opaque, TypeMismatch, check, codec_of
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.self_describing import ENUM, RECORD, holds_opaque, lower_any


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass(frozen=True)
class Row:
    price: float
    note: Any = None


class Plain:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.__dict__ == other.__dict__


class HasSize(Protocol):
    def size(self) -> int: ...


class Sized:
    def size(self) -> int:
        return 1


class Movie(TypedDict):
    title: str
    year: int


def travel(value, annotation=Any):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


ANYTHING = [
    None,
    True,
    0,
    2**70,
    -(2**70),
    1.5,
    "\ud800",
    b"\xff",
    [],
    (),
    {},
    set(),
    frozenset(),
    [1, (2.0, {"a": {3}}), frozenset({b"x"})],
    {1: "int", "1": "str", b"1": "bytes", None: 0, (1, "a"): [], frozenset({1}): {}, 2.5: 1},
    [True, 1, 1.0, "1"],
    Color.RED,
    Level.LOW,
    Access.READ | Access.WRITE,
    Pair(1, [Pair(2, None)]),
    Row(1.5, Row(2.5)),
    date(2024, 1, 1),
    datetime(2024, 1, 1, fold=1),
    Path("a/b"),
    Fraction(1, 3),
    {"a": [Fraction(1, 3)]},
    Plain(5),
    {Color.RED: Row(1.0, {Path("a"): date(2024, 1, 1)})},
]


@pytest.mark.parametrize("value", ANYTHING, ids=range(len(ANYTHING)))
def test_any_value_comes_back_equal_and_of_its_class(value):
    again = travel(value)
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value) or isinstance(value, Plain | frozenset | set)


def test_a_dict_of_any_keeps_its_order():
    assert list(travel({"z": 1, 5: 2, "a": 3})) == ["z", 5, "a"]


def test_numbers_of_any_stay_what_they_are():
    assert [type(one) for one in travel([True, 1, 1.0])] == [bool, int, float]


def test_scalars_of_any_stand_as_they_are_and_the_rest_begins_with_its_kind():
    assert lower_any(5) == 5
    assert unpack(codec_of(Any).encode([1, (2,)])) == [0, [1, [1, [2]]]]
    assert lower_any(Row(1.0)) == [RECORD, f"{__name__}:Row", ["price", "note"], [1.0, None]]
    assert lower_any(Color.RED) == [ENUM, f"{__name__}:Color", "RED"]


def test_an_opaque_value_comes_back():
    assert travel(Plain(1), Plain) == Plain(1)
    assert travel([Plain(1)], list[Opaque[Plain]]) == [Plain(1)]


def test_an_opaque_function_made_here_comes_back():
    n = 3
    assert travel(lambda x: x + n, typing.Callable[[int], int])(4) == 7


def test_P4_an_opaque_value_is_checked_to_its_last_item():
    with pytest.raises(TypeMismatch):
        codec_of(Opaque[typing.Sequence[int]]).encode([1, 2, "a"])
    with pytest.raises(TypeMismatch):
        codec_of(Plain).encode(0.5)
    assert travel([1, 2], Opaque[typing.Sequence[int]]) == [1, 2]


def test_P4_a_protocol_is_checked_by_its_members():
    assert travel(Sized(), HasSize).size() == 1
    with pytest.raises(TypeMismatch):
        check(5, HasSize)


def test_P4_a_typed_dict_is_checked_by_its_keys():
    check({"title": "M", "year": 1931}, Movie)
    with pytest.raises(TypeMismatch):
        check({"title": "M"}, Movie)


def test_P4_a_value_that_cannot_be_pickled_is_a_mismatch():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(Any).encode(threading.Lock())
    assert str(caught.value).startswith("a lock can't be written down: TypeError: ")


def test_P4_inside_any_the_path_leads_to_the_bad_element():
    bad = threading.Lock()
    for value, path in (
        ([1, bad], "[1]"),
        ((bad,), "[0]"),
        ({"a": [bad]}, "['a'][0]"),
        (Row(1.0, {"k": bad}), ".note['k']"),
        ([Pair(1, bad)], "[0].b"),
    ):
        with pytest.raises(TypeMismatch) as caught:
            codec_of(Any).encode(value)
        assert caught.value.path == path


def test_bytes_nested_too_deeply_are_a_format_error():
    for levels in (300, 511, 520, 5000):
        for annotation in (Any, list[Any]):
            try:
                codec_of(annotation).decode(b"\x92\x00\x91" * levels + b"\x01")
            except FormatError:
                pass


@pytest.mark.parametrize(
    "tree", [[], [99, 1], [-1], [0], [0, 5], [2, [[1]]], [3, [[0, []]]], [5, "no.such", 1], [8, "text"], [None], [[1]]]
)
def test_a_tree_that_is_no_value_of_any_is_a_format_error(tree):
    with pytest.raises(FormatError):
        codec_of(Any).decode(pack(tree))


@pytest.mark.parametrize(
    "tree",
    [[ENUM, "os:environ", "PATH"], [ENUM, "string:ascii_letters", 0], [RECORD, "fractions:Fraction", ["a"], [1]]],
)
def test_T1_a_name_on_the_wire_reaches_only_what_it_says_it_is(tree):
    with pytest.raises(FormatError):
        codec_of(Any).decode(pack(tree))


def test_a_tree_says_whether_it_holds_a_pickle():
    assert holds_opaque(lower_any({"a": [1, (Plain(1),)]}))
    for value in (None, b"x", [1, b"x"], {"a": (1, b"x")}, Row(1.0, Color.RED)):
        assert not holds_opaque(lower_any(value))


def test_a_number_and_bytes_side_by_side_are_no_pickle():
    for number in range(20):
        assert not holds_opaque(lower_any([number, b"x"]))
        assert not holds_opaque(lower_any({number: b"x"}))
