"""Flags: any of their members together, written as the integer of those that are set."""

import enum
import re
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from promissory.typesys import (
    AnnotationError,
    FormatError,
    ParseError,
    TypeMismatch,
    assignable,
    check,
    codec_of,
    type_of,
    why_not,
)
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.infer import Inference
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.spelling import full_name
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY, FlagType
from promissory.typesys.wire import codec_for


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    ALL = 3  # what two others make up
    LOOK = 1  # an alias


class Mode(enum.IntFlag):
    NONE = 0
    A = 1
    C = 4
    BIG = 2**70


class Kept(enum.IntFlag, boundary=enum.KEEP):
    A = 1
    C = 4


class Named(enum.Flag):
    ONE = enum.auto()
    TWO = enum.auto()


class Whole(enum.IntFlag):
    A = 1
    B = 2
    ANY = -1


@dataclass(frozen=True)
class File:
    access: Access
    mode: Mode | None = None


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


VALUES = [
    (Access, Access(0)),
    (Access, Access.READ),
    (Access, Access.READ | Access.WRITE),
    (Access, ~Access.READ),
    (Access, Access.LOOK),
    (Mode, Mode.NONE),
    (Mode, Mode.A | Mode.C),
    (Mode, Mode.A | Mode.BIG),
    (Mode, Mode(8)),
    (Mode, ~Mode.A),
    (Mode, Mode(-1)),
    (Kept, Kept(-1)),
    (Kept, Kept(-9)),
    (Kept, Kept(64) | Kept.A),
    (Kept, ~Kept.A),
    (Whole, Whole.ANY),
    (Whole, Whole.A),
    (re.RegexFlag, re.IGNORECASE | re.MULTILINE),
    (Access | None, Access.WRITE),
    (list[Access], [Access.READ, Access(0)]),
    (dict[Access, Mode], {Access.READ: Mode.A, Access.ALL: Mode.C}),
    (set[Mode], {Mode.A, Mode.NONE, Mode.A | Mode.C}),
    (frozenset[Access | int], frozenset({Access.READ, 1})),
    (File, File(Access.ALL, Mode.A)),
    (dict[File, int], {File(Access.ALL): 1}),
]
IDS = [f"{i}-{type_of(a)}" for i, (a, _) in enumerate(VALUES)]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_and_of_its_class(annotation, value):
    for wanted in (annotation, annotation | None, Any):
        again = travel(value, wanted)
        assert again == value
        assert (type(again), repr(again)) == (type(value), repr(value)) or isinstance(value, set | frozenset)
    check(value, annotation)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_goes_to_any_and_back_and_to_json_and_back(annotation, value):
    codec = codec_of(annotation)
    tree = codec.lower(value)
    there = transcode(tree, codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)
    assert fits(unpack(pack(tree)), codec.type)
    assert pack(parse_json(to_json(tree, codec.type), codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_type_from_a_plan_reads_and_writes_the_same(annotation, value):
    type_ = type_of(annotation)
    again = type_from_bytes(type_bytes(type_))
    assert again == type_
    assert codec_for(again).encode(value) == codec_of(annotation).encode(value)


def test_a_flag_has_all_its_members_aliases_too():
    assert type_of(Access) == FlagType(f"{__name__}:Access", (("READ", 1), ("WRITE", 2), ("ALL", 3), ("LOOK", 1)))
    assert type_of(Mode).members == (("NONE", 0), ("A", 1), ("C", 4), ("BIG", 2**70))
    assert type_of(Named).members == (("ONE", 1), ("TWO", 2))
    assert (str(type_of(Access)), full_name(type_of(Access))) == ("Access", f"{__name__}:Access")


def test_the_class_is_kept_by_name_and_is_no_pickle():
    inference = Inference()
    inference.infer(list[Access])
    assert (inference.classes, inference.unknown) == ({f"{__name__}:Access": Access}, [])


def test_equal_flags_are_one_however_they_were_made():
    codec = codec_of(Access)
    assert codec.encode(Access.ALL) == codec.encode(Access.READ | Access.WRITE) == codec.encode(~Access(0))
    assert codec.encode(Access.LOOK) == codec.encode(Access.READ)
    assert travel(Access.READ | Access.WRITE, Access) is Access.ALL


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (FlagType("m:F", (("A", 1), ("B", 2))), "9317a3" + b"m:F".hex() + "9292a1410192a14202"),
        (FlagType("m:F", ()), "9317a3" + b"m:F".hex() + "90"),
        (FlagType("m:F", (("ALL", -1),)), "9317a3" + b"m:F".hex() + "9192a3" + b"ALL".hex() + "ff"),
    ],
    ids=range(3),
)
def test_a_type_has_these_bytes_and_no_others(type_, expected):
    assert type_bytes(type_).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Access, Access(0), "00"),
        (Access, Access.READ | Access.WRITE, "03"),
        (Mode, Mode.BIG, "c70901400000000000000000"),
        (Mode, Mode(300), "cd012c"),
        (Whole, Whole.ANY, "ff"),
        (Access | None, Access.READ, "920001"),
        (int | Access, Access.READ, "920101"),
        (set[Access], {Access.WRITE, Access.READ}, "920102"),
        (Any, re.IGNORECASE, "9306ac" + b"re:RegexFlag".hex() + "02"),
    ],
)
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


# --- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (1, Access, "expected Access, got int"),
        ("READ", Access, "expected Access, got str"),
        (Mode.A, Access, "expected Access, got Mode"),
        (None, Access, "expected Access, got None"),
        ([Access.READ, 2], list[Access], "[1]: expected Access, got int"),
        (File(Access.READ, 5), File, "mode: expected Mode | None, got int"),
        ({"READ": Mode.A}, dict[Access, Mode], "key 'READ': expected Access, got str"),
    ],
)
def test_P4_a_mismatch_says_where_and_what(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(1, "expected Access, got int"), (Mode.A, "expected Access, got Mode"), ("READ", "expected Access, got str")],
)
def test_P4_a_value_of_any_that_is_something_else_is_refused(value, sentence):
    with pytest.raises(TypeMismatch) as caught:
        transcode(codec_of(Any).lower(value), ANY, type_of(Access))
    assert str(caught.value) == sentence


def test_in_a_union_a_flag_is_not_mixed_up_with_its_number():
    annotation = int | Access | Mode | None
    for value in (1, Access.READ, Mode.A, None):
        assert type(travel(value, annotation)) is type(value)
        tree = transcode(codec_of(Any).lower(value), ANY, type_of(annotation))
        assert pack(tree) == codec_of(annotation).encode(value)


def test_a_literal_of_a_flag_is_that_flag_or_refused_with_the_reason():
    try:
        type_ = type_of(Literal[Access.READ])
    except AnnotationError:
        return
    assert str(type_).startswith("Access")
    assert codec_for(type_).encode(Access.READ) == codec_of(Access).encode(Access.READ)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (Access, Mode, "Access is not Mode"),
        (Mode, str, "Mode is not str"),
        (int, Mode, "int is not Mode"),
        (Access | None, Access, "it may be None"),
        (list[Access], list[Mode], "its items: Access is not Mode"),
    ],
)
def test_P3_what_may_not_be_passed_and_why(source, target, reason):
    assert why_not(type_of(source), type_of(target)) == reason


def test_P3_a_flag_may_be_passed_as_itself_as_any_and_as_optional():
    for target in (Access, Any, Access | None, Access | int):
        assert assignable(type_of(Access), type_of(target))


def test_two_classes_of_one_name_in_one_annotation_are_refused():
    def make(bit):
        class Made(enum.Flag):
            ON = bit

        return Made

    first, second = make(1), make(2)
    assert travel(first.ON, first) is first.ON
    assert travel(second.ON, second) is second.ON
    with pytest.raises(AnnotationError, match="two classes are both called"):
        type_of(tuple[first, second])


# --- text and JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("READ", Access, Access.READ),
        ("READ|WRITE", Access, Access.ALL),
        (" READ | WRITE ", Access, Access.ALL),
        ("ALL", Access, Access.ALL),
        ("LOOK", Access, Access.READ),
        ("3", Access, Access.ALL),
        ("0", Access, Access(0)),
        ("NONE", Mode, Mode.NONE),
        ("BIG|A", Mode, Mode.BIG | Mode.A),
        ("8", Mode, Mode(8)),
        ("READ", Access | None, Access.READ),
    ],
)
def test_a_text_is_read_as_its_members_or_its_number(text, annotation, value):
    codec = codec_of(annotation)
    again = codec.lift_tree(parse_text(text, codec.type))
    assert (again, type(again)) == (value, type(value))
    assert codec.lift_tree(parse_json(text, codec.type)) == value


def test_a_flag_is_shown_by_its_members_if_they_make_it_up():
    assert to_json(1, type_of(Named)) == "ONE"
    assert to_json(3, type_of(Named)) == "ONE|TWO"
    assert to_json(0, type_of(Named)) == 0
    assert to_json(8, type_of(Mode)) == 8


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("EXECUTE", "value: 'EXECUTE' is not one of READ, WRITE, ALL, LOOK"),
        ("READ|", "value: '' is not one of READ, WRITE, ALL, LOOK"),
        ("READ WRITE", "value: 'READ WRITE' is not one of READ, WRITE, ALL, LOOK"),
        (True, "value: expected Access, got bool"),
        (1.0, "value: expected Access, got float"),
        (None, "value: expected Access, got null"),
        (["READ"], "value: expected Access, got a list"),
    ],
)
def test_a_json_value_that_does_not_fit_is_refused_with_the_reason(value, sentence):
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(Access))
    assert str(caught.value) == sentence


def test_T1_reading_and_showing_need_none_of_the_authors_classes():
    flag = FlagType("no_such_module:F", (("A", 1), ("B", 2)))
    assert parse_json("A|B", flag) == 3
    assert to_json(3, flag) == "A|B"
    assert transcode(3, flag, ANY) == [6, "no_such_module:F", 3]


# --- what others wrote ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", ["READ", None, True, 1.0, [1], 99, -99, b"\1"], ids=repr)
def test_T1_a_tree_that_is_no_value_is_a_format_error_or_at_least_a_member(tree):
    if type(tree) is not int:
        assert not fits(tree, type_of(Access))
    try:
        found = codec_of(Access).decode(pack(tree))
    except FormatError:
        return
    assert found in Access


@pytest.mark.parametrize(
    "tree",
    [[6, "re:RegexFlag", "I"], [6, "re:RegexFlag", None], [6, "re:RegexFlag", [1]], [6, "re:Pattern", 1]],
    ids=str,
)
def test_T1_a_value_of_any_that_is_no_flag_is_a_format_error(tree):
    with pytest.raises(FormatError):
        codec_of(Any).decode(pack(tree))


@pytest.mark.parametrize(
    "tree",
    [
        [23],
        [23, "m:F"],
        [23, 5, []],
        [23, "m:F", 5],
        [23, "m:F", [["A"]]],
        [23, "m:F", [["A", 1, 2]]],
        [23, "m:F", [[1, 1]]],
        [23, "m:F", [["A", "1"]]],
        [23, "m:F", [["A", None]]],
        [23, "m:F", [["A", True]]],
        [23, "m:F", [["A", 1.0]]],
        [23, "m:F", [["A", 1], ["A", 2]]],
        [23, "m:F", [], 1],
        [24, "m:F", []],
    ],
    ids=str,
)
def test_T1_a_tree_that_is_no_type_is_a_format_error(tree):
    with pytest.raises(FormatError):
        type_from_bytes(pack(tree))
