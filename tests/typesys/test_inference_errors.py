"""Annotations that have no type: the exact sentence for each."""

import enum
import sys
import typing
from dataclasses import dataclass, make_dataclass
from typing import Literal

import pytest

from promissory.typesys import AnnotationError, type_of
from promissory.typesys.families.registry import Family, declare, family_named, named
from promissory.typesys.types import STR


class Color(enum.Enum):
    RED = 1


class Shape(enum.Enum):
    ROUND = 1


@dataclass
class Lost:
    other: "Nowhere"  # noqa: F821


ERRORS = [
    ("Later", "the name in annotation 'Later' is not known where it is used"),
    (list["Later"], "the name in annotation 'Later' is not known where it is used"),  # noqa: F821
    (typing.ForwardRef("Later"), "the name in annotation ForwardRef('Later') is not known where it is used"),
    (Literal[1.5], "typing.Literal[1.5]: Literal takes bool, int, str, bytes, None and members of an enum"),
    (
        Literal[Color.RED, "red"],
        "typing.Literal[<Color.RED: 1>, 'red'] mixes members of an enum with other values; split it into a union",
    ),
    (
        Literal[Color.RED, Shape.ROUND],
        "typing.Literal[<Color.RED: 1>, <Shape.ROUND: 1>] mixes members of an enum with other values; "
        "split it into a union",
    ),
    (set[list[int]], "set[list[int]]: list[int] can't be a key or a member of a set, it is not hashable"),
    (frozenset[set[int]], "frozenset[set[int]]: set[int] can't be a key or a member of a set, it is not hashable"),
    (
        dict[dict[str, int], int],
        "dict[dict[str, int], int]: dict[str, int] can't be a key or a member of a set, it is not hashable",
    ),
    (set[int | list[int]], "set[int | list[int]]: list[int] can't be a key or a member of a set, it is not hashable"),
    (Lost, "a field of Lost is annotated with a name that is not known: name 'Nowhere' is not defined"),
]


@pytest.mark.parametrize(("annotation", "sentence"), ERRORS, ids=range(len(ERRORS)))
def test_an_annotation_without_a_type_is_refused_with_the_reason(annotation, sentence):
    with pytest.raises(AnnotationError) as caught:
        type_of(annotation)
    assert str(caught.value) == sentence


def test_a_value_where_an_annotation_belongs_is_refused():
    with pytest.raises(AnnotationError):
        type_of(5)


def test_a_container_inside_a_tuple_is_no_key_either():
    with pytest.raises(AnnotationError):
        type_of(dict[tuple[list[int], int], str])


def test_an_annotation_nested_too_deeply_is_refused():
    annotation = int
    for _ in range(70):
        annotation = list[annotation]
    with pytest.raises(AnnotationError) as caught:
        type_of(annotation)
    assert str(caught.value) == "it is nested more than 64 deep; use a record that mentions itself by name"


def test_records_nested_too_deeply_are_refused_with_the_way_out():
    innermost = make_dataclass("Level0", [("x", int)])
    for depth in range(1, 70):
        innermost = make_dataclass(f"Level{depth}", [("inner", innermost)])
    with pytest.raises(AnnotationError) as caught:
        type_of(innermost)
    assert str(caught.value) == "it is nested more than 64 deep; use a record that mentions itself by name"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is Python 3.12's")
def test_a_type_alias_stands_for_what_it_names():
    namespace = {}
    exec("type Ids = list[int] | None", namespace)
    assert type_of(namespace["Ids"]) == type_of(list[int] | None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is Python 3.12's")
def test_a_type_alias_that_mentions_itself_is_refused_as_an_annotation():
    namespace = {}
    exec("type Json = dict[str, Json] | list[Json] | str | None", namespace)
    with pytest.raises(AnnotationError):
        type_of(namespace["Json"])


def test_a_second_codec_for_a_class_or_a_name_is_refused():
    class Mine:
        pass

    with pytest.raises(AnnotationError) as caught:
        declare(Family(Mine, named("pathlib.Path", STR), str, str))
    assert str(caught.value).endswith("Mine (pathlib.Path) is there already")


def test_a_named_type_that_this_process_does_not_know_is_an_error_that_names_it():
    with pytest.raises(AnnotationError) as caught:
        family_named("shop.Money")
    assert str(caught.value).startswith(
        "no codec is registered for the type 'shop.Money'; the module that calls register_codec has to be imported"
    )
