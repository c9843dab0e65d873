"""May A go where B is wanted: a table of pairs, with the sentence for each refusal."""

import enum
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from promissory.typesys import assignable, type_of, why_not
from promissory.typesys.types import INT, STR, Definition, EnumType, Field, RecordType


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Row:
    price: float


@dataclass
class Tree:
    children: "list[Tree]" = field(default_factory=list)


ALLOWED = [
    (int, int),
    (int, float),
    (list[int], list[float]),
    (dict[str, int], dict[str, float]),
    (dict[int, int], dict[float, float]),
    (tuple[int, int], tuple[float, int]),
    (tuple[int, int], tuple[float, ...]),
    (tuple[()], tuple[int, ...]),
    (tuple[int, ...], tuple[float, ...]),
    (set[int], set[float]),
    (frozenset[int], frozenset[float]),
    (int, int | None),
    (int, float | None),
    (None, int | None),
    (int | None, int | str | None),
    (int | float, float),
    (list[int], list[int | None]),
    (list[int] | None, list[float] | None),
    (int, Any),
    (Any, int),
    (list[Any], list[int]),
    (list[int], list[Any]),
    (list[int], Any),
    (Any, Row),
    (Literal[1], int),
    (Literal[1], float),
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (Literal[1, "a"], int | str),
    (Literal[True], bool),
    (Literal[None], None),
    (Literal[1], Literal[1] | Literal["a"]),
    (Literal[1, "a"], Literal[1] | Literal["a"]),
    (Literal[Color.RED], Color),
    (Color, Color | None),
    (Point, Point),
    (Point, tuple[int, int]),
    (Point, tuple[float, ...]),
    (Point, tuple[int, int] | None),
    (Row, Row | Point),
    (Tree, Tree | None),
    (date, date | datetime),
    (Fraction, Fraction),
]

REFUSED = [
    (bool, int, "bool is not int"),
    (bool, float, "bool is not float"),
    (float, int, "float is not int"),
    (int, str, "int is not str"),
    (int, bool, "int is not bool"),
    (str, bytes, "str is not bytes"),
    (None, int, "None is not int"),
    (list[int], list[str], "its items: int is not str"),
    (list[list[int]], list[list[str]], "its items: its items: int is not str"),
    (list[bool], list[int], "its items: bool is not int"),
    (list[int], tuple[int, ...], "list[int] is not tuple[int, ...]"),
    (tuple[int, ...], list[int], "tuple[int, ...] is not list[int]"),
    (tuple[int, ...], tuple[int, int], "tuple[int, ...] is not tuple[int, int]"),
    (tuple[int, int], tuple[int], "it has 2 items, not 1"),
    (tuple[int, str], tuple[int, int], "item 1: str is not int"),
    (tuple[int, str], tuple[int, ...], "item 1: str is not int"),
    (tuple[int, ...], tuple[str, ...], "its items: int is not str"),
    (set[int], frozenset[int], "set[int] is not frozenset[int]"),
    (set[str], set[int], "its items: str is not int"),
    (dict[str, int], dict[int, int], "its keys: str is not int"),
    (dict[str, int], dict[str, str], "its values: int is not str"),
    (int | None, int, "it may be None"),
    (int | str, float, "it may be str"),
    (int | str, int | None, "str is not int | None"),
    (int, str | None, "int is not str | None"),
    (list[int | None], list[int], "its items: it may be None"),
    (Literal["a"], int, "str is not int"),
    (Literal["a", "c"], Literal["a", "b"], "'c' is not among Literal['a', 'b']"),
    (Literal[True], Literal[1], "True is not among Literal[1]"),
    (Literal[True], int, "bool is not int"),
    (str, Literal["a"], "str is not Literal['a']"),
    (Color, Literal[Color.RED], "BLUE is not allowed there"),
    (Color, int, "Color is not int"),
    (Row, Point, "Row is not Point"),
    (tuple[int, int], Point, "tuple[int, int] is not Point"),
    (Point, tuple[int, int, int], "it has 2 items, not 3"),
    (Point, tuple[str, int], "item 0: int is not str"),
    (date, datetime, "date is not datetime"),
    (datetime, date, "datetime is not date"),
    (str, Path, "str is not Path"),
    (dict[str, list[int]], dict[str, list[bool]], "its values: its items: int is not bool"),
]


@pytest.mark.parametrize(
    ("source", "target"), ALLOWED, ids=[f"{i}-{type_of(a)} to {type_of(b)}" for i, (a, b) in enumerate(ALLOWED)]
)
def test_P3_what_may_be_passed(source, target):
    assert why_not(type_of(source), type_of(target)) is None
    assert assignable(type_of(source), type_of(target))


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    REFUSED,
    ids=[f"{i}-{type_of(a)} to {type_of(b)}" for i, (a, b, _) in enumerate(REFUSED)],
)
def test_P3_what_may_not_be_passed_and_why(source, target, reason):
    assert why_not(type_of(source), type_of(target)) == reason
    assert not assignable(type_of(source), type_of(target))


def test_every_type_may_be_passed_as_itself_as_any_and_as_optional():
    for annotation, _ in ALLOWED:
        own = type_of(annotation)
        assert assignable(own, own)
        assert assignable(own, type_of(Any))
        assert assignable(own, type_of(annotation | None if annotation is not None else None))


def test_assignability_is_transitive_where_any_has_no_part():
    types = {type_of(a) for pair in ALLOWED for a in pair if "Any" not in str(type_of(a))}
    for a in types:
        for b in types:
            for c in types:
                if assignable(a, b) and assignable(b, c):
                    assert assignable(a, c), f"{a} to {b} to {c}"


def record(name, *fields):
    return RecordType(name, (Definition(name, "dataclass", fields),))


def test_a_record_goes_by_name():
    whole = record("m:Row", Field("x", INT))
    assert assignable(whole, record("m:Row", Field("x", INT)))
    assert assignable(whole, record("m:Row", Field("x", INT, False)))
    assert why_not(whole, record("n:Row", Field("y", INT))) == "Row is not Row"
    assert assignable(whole, record("n:Row", Field("x", INT))), (
        "of classes that are not loaded only the fields are known"
    )


def test_a_record_of_another_version_is_refused_with_both_lists_of_fields():
    old = record("m:Row", Field("x", INT))
    new = record("m:Row", Field("x", INT), Field("y", STR))
    assert why_not(old, new) == "the two Row have other fields: x and x, y"


def test_an_enum_of_another_name_is_another_type():
    assert why_not(EnumType("m:Color", (("RED", 1),)), EnumType("m:Paint", (("RED", 1),))) == "Color is not Paint"


def test_a_list_goes_where_an_abstract_sequence_is_wanted():
    from collections.abc import Sequence

    assert assignable(type_of(list[int]), type_of(Sequence[int]))


def test_a_path_is_passed_where_a_pure_path_is_wanted_and_not_the_other_way():
    from pathlib import PurePath

    assert why_not(type_of(Path), type_of(PurePath)) is None
    assert why_not(type_of(PurePath), type_of(Path)) == "PurePath is not Path"
