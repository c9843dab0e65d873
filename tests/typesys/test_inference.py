"""Annotation → type: a table of examples, and the classes that become records and enums."""

import enum
import typing
from collections import abc
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path, PurePath
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NewType, Optional, Union

import pytest

from promissory import Opaque, type_of
from promissory.typesys.infer import Inference, mentions_opaque
from promissory.typesys.types import (
    INT,
    Definition,
    EnumType,
    Field,
    ListType,
    LiteralType,
    RecordType,
    RefType,
    UnionType,
)

UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "r"
    GREEN = 2
    BLUE = (0, 0, 255)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2
    TOP = 2  # an alias is no member of its own


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


@dataclass
class Row:
    price: float
    tags: list[str] = field(default_factory=list)
    count: int = 0
    kind: ClassVar[str] = "row"
    scale: InitVar[int] = 1


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)


class Model:
    """A class that nothing knows."""


@dataclass
class Folder:
    entries: "list[Entry]"


@dataclass
class Entry:
    folder: "Folder | None"


EXAMPLES = [
    (int, "int"),
    (bool, "bool"),
    (float, "float"),
    (str, "str"),
    (bytes, "bytes"),
    (None, "None"),
    (type(None), "None"),
    (Any, "Any"),
    (object, "Any"),
    (list, "list[Any]"),
    (dict, "dict[Any, Any]"),
    (tuple, "tuple[Any, ...]"),
    (set, "set[Any]"),
    (frozenset, "frozenset[Any]"),
    (list[int], "list[int]"),
    (typing.List[int], "list[int]"),  # noqa: UP006
    (dict[str, list[bool]], "dict[str, list[bool]]"),
    (typing.Dict[str, int], "dict[str, int]"),  # noqa: UP006
    (tuple[int, str], "tuple[int, str]"),
    (tuple[int, ...], "tuple[int, ...]"),
    (tuple[()], "tuple[()]"),
    (set[int], "set[int]"),
    (frozenset[tuple[int, str]], "frozenset[tuple[int, str]]"),
    (dict[tuple[int, int], str], "dict[tuple[int, int], str]"),
    (Optional[int], "int | None"),  # noqa: UP045
    (Union[str, int], "int | str"),  # noqa: UP007
    (None | str | int, "int | str | None"),
    (float | int | bool | str, "bool | int | float | str"),
    (int | Any, "Any"),
    (list[int] | None | dict[str, int], "list[int] | dict[str, int] | None"),
    (Literal["b", "a"], "Literal['a', 'b']"),
    (Literal[True, 1, "1", b"1", None], "Literal[None, True, b'1', 1, '1']"),
    (Literal[Color.RED], "Color"),
    (Color, "Color"),
    (Level | None, "Level | None"),
    (Annotated[int, "minutes"], "int"),
    (Annotated[list[int], ["unhashable"]], "list[int]"),
    (UserId, "int"),
    (list[UserId], "list[int]"),
    (datetime, "datetime"),
    (date, "date"),
    (time, "time"),
    (timedelta, "timedelta"),
    (Path, "Path"),
    (PurePath, "PurePath"),
    (Row, "Row"),
    (Point, "Point"),
    (Tree, "Tree"),
    (dict[str, Row | None], "dict[str, Row | None]"),
    (Model, "Opaque[Model]"),
    (Opaque[Model], "Opaque[Model]"),
    (Opaque[int], "Opaque[int]"),
    (Opaque[object], "Opaque[object]"),
    (Access, "Access"),
]


@pytest.mark.parametrize(("annotation", "text"), EXAMPLES, ids=[f"{i}-{text}" for i, (_, text) in enumerate(EXAMPLES)])
def test_an_annotation_has_the_type_that_its_text_says(annotation, text):
    assert str(type_of(annotation)) == text


BARE = [
    (typing.List, "list[Any]"),  # noqa: UP006
    (typing.Dict, "dict[Any, Any]"),  # noqa: UP006
    (typing.Tuple, "tuple[Any, ...]"),  # noqa: UP006
    (typing.Set, "set[Any]"),  # noqa: UP006
    (typing.FrozenSet, "frozenset[Any]"),  # noqa: UP006
]


@pytest.mark.parametrize(("annotation", "text"), BARE, ids=[text for _, text in BARE])
def test_a_container_of_typing_without_items_is_one_of_any(annotation, text):
    assert str(type_of(annotation)) == text


ABSTRACT = [
    (abc.Sequence[int], "tuple[int, ...] | list[int]"),
    (abc.Collection[int], "tuple[int, ...] | list[int]"),
    (abc.Iterable[int], "tuple[int, ...] | list[int]"),
    (abc.MutableSequence[int], "list[int]"),
    (abc.Set[int], "set[int] | frozenset[int]"),
    (abc.MutableSet[int], "set[int]"),
    (abc.Mapping[str, int], "dict[str, int]"),
    (abc.MutableMapping[str, int], "dict[str, int]"),
    (typing.Sequence[int], "tuple[int, ...] | list[int]"),
    (typing.AbstractSet[int], "set[int] | frozenset[int]"),
    (typing.Mapping[str, int], "dict[str, int]"),
    (abc.Mapping[str, abc.Sequence[Row]], "dict[str, tuple[Row, ...] | list[Row]]"),
    (abc.Sequence[int] | list[int] | None, "tuple[int, ...] | list[int] | None"),
]


@pytest.mark.parametrize(("annotation", "text"), ABSTRACT, ids=[f"{i}-{text}" for i, (_, text) in enumerate(ABSTRACT)])
def test_an_abstract_collection_stands_for_those_that_its_value_may_be(annotation, text):
    assert str(type_of(annotation)) == text


def test_equal_annotations_give_one_object():
    assert type_of(dict[str, list[int]]) is type_of(typing.Dict[str, typing.List[int]])  # noqa: UP006


def test_a_union_is_the_same_however_it_was_written():
    assert type_of(int | None | str) == type_of(str | int | None)
    assert type_of(int | None | str) == type_of(Optional[Union[str, int]])  # noqa: UP007, UP045


def test_a_union_is_flat_and_holds_each_arm_once():
    assert type_of(Annotated[int | str, "x"] | str | UserId) == UnionType((INT, type_of(str)))


def test_literals_that_python_calls_equal_are_other_types():
    assert type_of(Literal[1]) != type_of(Literal[True])
    assert len({LiteralType((1,)), LiteralType((True,))}) == 2


def test_an_enum_has_its_members_and_their_plain_values_but_no_aliases():
    assert type_of(Color) == EnumType(f"{__name__}:Color", (("RED", "r"), ("GREEN", 2), ("BLUE", None)))
    assert type_of(Level).members == (("LOW", 1), ("HIGH", 2))


def test_a_literal_of_enum_members_is_that_enum_with_fewer_members():
    assert type_of(Literal[Color.BLUE, Color.RED]).members == (("RED", "r"), ("BLUE", None))


def test_a_dataclass_is_a_record_of_its_fields_alone():
    fields = (Field("price", type_of(float)), Field("tags", type_of(list[str]), False), Field("count", INT, False))
    assert type_of(Row) == RecordType(f"{__name__}:Row", (Definition(f"{__name__}:Row", "dataclass", fields),))
    assert (type_of(Row).kind, type_of(Row).fields) == ("dataclass", fields)


def test_a_named_tuple_is_a_record():
    fields = (Field("x", INT), Field("y", type_of(float), False))
    assert type_of(Point) == RecordType(f"{__name__}:Point", (Definition(f"{__name__}:Point", "namedtuple", fields),))


def test_a_record_that_mentions_itself_does_so_by_name_in_its_definition():
    (definition,) = type_of(Tree).definitions
    assert definition.fields[1].type == ListType(RefType(f"{__name__}:Tree"))


def test_a_field_that_mentions_its_own_record_has_that_record_as_its_type():
    assert type_of(Tree).fields[1].type == ListType(type_of(Tree))


def test_records_that_mention_each_other_hold_the_same_definitions_in_order_of_their_names():
    assert type_of(Folder).definitions == type_of(Entry).definitions
    assert [one.name for one in type_of(Folder).definitions] == [f"{__name__}:Entry", f"{__name__}:Folder"]


def test_a_record_is_the_same_from_wherever_it_is_reached():
    assert type_of(Folder).fields[0].type.item == type_of(Entry)
    assert type_of(tuple[Folder, Entry]).items == (type_of(Folder), type_of(Entry))
    assert type_of(tuple[Entry, Folder]).items == (type_of(Entry), type_of(Folder))


def test_the_classes_that_an_annotation_mentions_are_kept_by_name():
    inference = Inference()
    inference.infer(dict[str, Row | Color])
    assert inference.classes == {f"{__name__}:Row": Row, f"{__name__}:Color": Color}


def test_a_class_that_nothing_knows_is_reported_unless_it_is_meant_to_be_opaque():
    inference = Inference()
    inference.infer(tuple[Model, Opaque[complex]])
    assert inference.unknown == [Model]


def test_a_type_says_whether_it_may_hold_a_pickle():
    assert mentions_opaque(type_of(dict[str, list[Model]]))
    assert not mentions_opaque(type_of(Row))


def test_an_opaque_generic_is_printed_as_it_was_written():
    assert str(type_of(Callable[[timedelta], int])).endswith("Callable[[datetime.timedelta], int]]")
