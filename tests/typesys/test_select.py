"""Following a path into a value: `p.rows[17]["k"]`."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from promissory.typesys import TypeMismatch, codec_of, type_of
from promissory.typesys.canonical import pack
from promissory.typesys.transcode import transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.value_paths import select, step_type
from promissory.typesys.wire import codec_for


class Point(NamedTuple):
    x: int
    y: str


@dataclass
class Row:
    price: float
    where: Point


@dataclass
class Table:
    rows: list[Row]
    by_name: dict[str, Row]


@dataclass
class Tree:
    value: int
    left: "Tree | None" = None
    parts: "dict[str, tuple[Tree, ...]]" = field(default_factory=dict)


@dataclass
class Folder:
    name: str
    entry: "Entry"


@dataclass
class Entry:
    size: int
    folders: "list[Folder]" = field(default_factory=list)


@dataclass
class Node:
    next: "Node | Zone | None" = None


@dataclass
class Zone:
    x: int = 0


TABLE = Table([Row(1.5, Point(1, "a")), Row(2.5, Point(2, "b"))], {"k": Row(3.5, Point(3, "c"))})


@pytest.mark.parametrize(
    ("path", "value", "type_"),
    [
        ([], TABLE, Table),
        (["rows"], TABLE.rows, list[Row]),
        (["rows", 1], TABLE.rows[1], Row),
        (["rows", -1, "price"], 2.5, float),
        (["rows", 0, "where", "y"], "a", str),
        (["rows", 0, "where", 1], "a", str),
        (["rows", 0, "where", -2], 1, int),
        (["by_name", ["k"], "where"], Point(3, "c"), Point),
    ],
)
def test_a_path_leads_to_the_element_and_its_type(path, value, type_):
    codec = codec_of(Table)
    tree, found = select(codec.lower(TABLE), codec.type, path)
    assert found == type_of(type_)
    assert codec_of(type_).lift_tree(tree) == value if codec_of(type_).lift else tree == value


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (["rows", 2], "rows: has no item 2: it has 2 items"),
        (["rows", -3], "rows: has no item -3: it has 2 items"),
        (["by_name", ["z"]], "by_name: has no key 'z'; it has 'k'"),
    ],
)
def test_P4_an_element_that_is_not_there_is_a_mismatch(path, sentence):
    codec = codec_of(Table)
    with pytest.raises(TypeMismatch) as caught:
        select(codec.lower(TABLE), codec.type, path)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("annotation", "step", "text"),
    [
        (list[int], 5, "int"),
        (tuple[int, ...], -1, "int"),
        (tuple[int, str], 1, "str"),
        (tuple[int, str], -2, "int"),
        (tuple[int, str], 2, None),
        (tuple[int, str], -3, None),
        (Point, "y", "str"),
        (Point, 0, "int"),
        (Point, 2, None),
        (Row, 0, None),
        (Row, "weight", None),
        (dict[str, int], ["a"], "int"),
        (dict[str, int], "a", None),
        (set[int], 0, None),
        (int, 0, None),
        (str, 0, None),
        (list[int] | None, 0, None),
        (Any, "a", None),
    ],
)
def test_a_type_says_what_is_at_a_step(annotation, step, text):
    found = step_type(type_of(annotation), step)
    assert (found and str(found)) == text


def test_an_integer_key_and_a_boolean_one_are_not_mixed_up():
    codec = codec_of(dict[int, str])
    tree = codec.lower({1: "a"})
    with pytest.raises(TypeMismatch):
        select(tree, codec.type, [[True]])


def test_a_record_inside_itself_is_seen_from_outside_as_itself():
    tree_type = type_of(Tree)
    assert step_type(tree_type, "left") == type_of(Tree | None)
    assert step_type(tree_type, "parts") == type_of(dict[str, tuple[Tree, ...]])
    inner, found = select(
        codec_of(Tree).lower(Tree(1, None, {"a": (Tree(2),)})), tree_type, ["parts", ["a"], 0, "value"]
    )
    assert (inner, str(found)) == (2, "int")


def test_records_that_mention_each_other_are_seen_from_inside_as_from_outside():
    value = Folder("a", Entry(1, [Folder("b", Entry(2))]))
    codec = codec_of(Folder)
    tree, found = select(codec.lower(value), codec.type, ["entry"])
    assert codec_for(found).lift_tree(tree) == value.entry
    tree, found = select(codec.lower(value), codec.type, ["entry", "folders", 0, "entry", "size"])
    assert (tree, str(found)) == (2, "int")


def test_an_element_of_records_that_mention_each_other_can_be_written_as_any():
    value = Folder("a", Entry(1, [Folder("b", Entry(2))]))
    codec = codec_of(Folder)
    tree, found = select(codec.lower(value), codec.type, ["entry"])
    assert pack(transcode(tree, found, type_of(Any))) == codec_of(Any).encode(value.entry)


def test_the_type_of_an_element_has_bytes_of_its_own():
    for record in (Tree, Folder, Node):
        record_type = type_of(record)
        for one in record_type.fields:
            found = step_type(record_type, one.name)
            assert type_from_bytes(type_bytes(found)) == found


def test_the_type_of_an_element_is_that_of_its_annotation():
    assert step_type(type_of(Node), "next") == type_of(Node | Zone | None)
    assert step_type(type_of(Folder), "entry") == type_of(Entry)
