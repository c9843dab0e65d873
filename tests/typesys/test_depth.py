"""How deep a value may be is one number, whatever writes it down, and one sentence says so."""

import json
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple, NotRequired, TypedDict

import pytest

from promissory import type_of
from promissory.errors import FormatError, ParseError, TypeMismatch
from promissory.planner.body.payload import decoded_payload, encoded_payload
from promissory.typesys import codec_of
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack
from promissory.typesys.checking import check
from promissory.typesys.depth import DEEPEST, TOO_DEEP
from promissory.typesys.parse import parse_json, parse_text


@dataclass(eq=False)
class Node:
    below: "Node | int"


@dataclass(eq=False)
class Tree:
    below: list["Tree"]


class Link(NamedTuple):
    below: "Link | None"
    label: str


class Table(TypedDict):
    below: NotRequired["dict[str, Table | int]"]


class Holds(NamedTuple):
    what: Any


def nested(step, depth, bottom=1):
    value = bottom
    for _ in range(depth):
        value = step(value)
    return value


SHAPES = {
    "lists": (Any, lambda one: [one], 1),
    "tuples": (Any, lambda one: (one, 2), 1),
    "dicts": (Any, lambda one: {"key": one}, 1),
    "records of Any": (Any, Holds, 1),
    "sets": (Any, lambda one: frozenset([one]), 1),
    "keys": (Any, lambda one: (one,), 1),
    "a list type": (list[Any], lambda one: [one], 1),
    "a dict type": (dict[str, Any], lambda one: {"key": one}, 1),
    "records": (Node, Node, 1),
    "named tuples": (Link, lambda one: Link(one, "a"), None),
    "records in lists": (Tree, None, None),
    "typed dicts": (Table, None, None),
}


def value_of(shape, depth):
    _, step, bottom = SHAPES[shape]
    if shape == "records in lists":  # a record and a list are two levels
        return nested(lambda one: Tree([one]), depth // 2 - 1, Tree([])) if depth % 2 == 0 else None
    if shape == "typed dicts":
        return nested(lambda one: {"below": {"a": one}}, depth // 2, 1) if depth % 2 == 0 else None
    return nested(step, depth, bottom)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_has_at_most_a_hundred_levels_in_any_encoding(shape):
    codec = codec_of(SHAPES[shape][0])
    deepest = value_of(shape, DEEPEST)
    data = codec.encode(deepest)
    assert codec.encode(codec.decode(data)) == data
    check(deepest, SHAPES[shape][0])
    # A record with an empty list has a level that holds nothing.
    deeper = value_of(shape, DEEPEST + 2) if shape != "records in lists" else value_of(shape, DEEPEST + 4)
    for ask in (codec.encode, lambda value: check(value, SHAPES[shape][0])):
        with pytest.raises(TypeMismatch) as told:
            ask(deeper)
        assert told.value.problem == TOO_DEEP
        assert told.value.path.endswith("…")


def test_the_message_names_the_path_and_the_limit():
    with pytest.raises(TypeMismatch) as told:
        codec_of(Any).encode({"rows": [1, {"cell": nested(lambda one: [one], 100)}]})
    assert told.value.at("x") == (
        "x['rows'][1]['cell']…: is nested more than 100 levels deep, or contains itself: give it as a flat list or dict"
    )


@pytest.mark.parametrize("shape", ["lists", "tuples", "dicts", "records of Any", "sets"])
def test_a_payload_has_at_most_as_many_levels(shape):
    data = encoded_payload(value_of(shape, DEEPEST), "Loop(…)")
    assert encoded_payload(decoded_payload(data), "Loop(…)") == data
    for depth in (DEEPEST + 1, 400, 5000):
        with pytest.raises(TypeError, match=r"Loop\(…\): the value.*…: is nested more than 100 levels deep"):
            encoded_payload(value_of(shape, depth), "Loop(…)")


@pytest.mark.parametrize("hold", [lambda one: one.append(one), lambda one: one.extend([one, [one], {"a": one}])])
def test_a_value_that_contains_itself_is_told_in_the_same_words(hold):
    value = []
    hold(value)
    for ask in (codec_of(Any).encode, codec_of(list[Any]).encode, lambda one: encoded_payload(one, "x")):
        with pytest.raises(TypeError, match="or contains itself"):
            ask(value)


def test_what_is_wide_or_shared_is_not_deep():
    shared = nested(lambda one: [one, one], 15)
    wide = [[number] for number in range(1000)]
    for value in (shared, wide, {"a": wide, "b": shared}):
        assert codec_of(Any).decode(codec_of(Any).encode(value)) == value


def test_where_the_stack_is_used_up_that_is_what_is_told():
    def call(depth):
        return call(depth - 1) if depth else codec_of(Any).encode(value_of("lists", 90))

    frames = 0
    frame = sys._getframe()
    while frame is not None:
        frames, frame = frames + 1, frame.f_back
    with pytest.raises(TypeMismatch, match="Python's stack is nearly used up"):
        call(sys.getrecursionlimit() - frames - 100)


def test_json_has_at_most_as_many_levels():
    for type in (type_of(Any), type_of(list[Any])):
        deepest = value_of("lists", DEEPEST)
        tree = parse_json(deepest, type)
        assert to_json(tree, type) == deepest
        for depth in (DEEPEST + 1, 700, 100_000):
            with pytest.raises(ParseError, match="is nested more than 100 levels deep"):
                parse_text("[" * depth + "]" * depth, type) if depth > 1000 else parse_json(
                    value_of("lists", depth), type
                )
    assert json.dumps(deepest)


@pytest.mark.parametrize("depth", [600, 100_000])
def test_T1_bytes_that_are_nested_more_deeply_are_refused_as_bytes(depth):
    data = b"\x92\x00\x91" * depth + pack(1)
    with pytest.raises(FormatError):
        codec_of(Any).decode(data)
