"""TypedDicts: records that are dicts, with keys that must be there and keys that may be missing."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NotRequired, Required, TypedDict, TypeVar

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
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import (
    ANY,
    FLOAT,
    INT,
    STR,
    Definition,
    Field,
    ListType,
    RecordType,
    RefType,
    VarTupleType,
)
from promissory.typesys.value_paths import select, step_type
from promissory.typesys.wire import codec_for

T = TypeVar("T")


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Named(TypedDict):
    name: str


class Loose(Named, total=False):
    note: str
    weight: float


class Strict(Loose):
    last: int
    price: NotRequired[Decimal]


class Mixed(TypedDict, total=False):
    must: Required[int]
    may: NotRequired[int]


class Empty(TypedDict):
    pass


class Tree(TypedDict):
    value: int
    children: NotRequired["list[Tree]"]


class Folder(TypedDict):
    entries: "list[Entry]"


class Entry(TypedDict, total=False):
    folder: "Folder | None"


Odd = TypedDict("Odd", {"in": int, "x-y": str, "": NotRequired[bool], "__z": int})


class Page(TypedDict, Generic[T]):
    items: list[T]
    next: NotRequired[T]


@dataclass
class Shelf:
    movies: list[Movie]
    best: Movie | None = None


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


VALUES = [
    (Movie, {"title": "M"}),
    (Movie, {"title": "M", "year": 1931}),
    (Movie, {"year": 1931, "title": "M"}),
    (Strict, {"name": "a", "last": 1}),
    (Strict, {"name": "a", "note": "n", "weight": 1.5, "last": 1, "price": Decimal("1.0")}),
    (Mixed, {"must": 1}),
    (Mixed, {"must": 1, "may": 2}),
    (Empty, {}),
    (Tree, {"value": 1, "children": [{"value": 2}, {"value": 3, "children": []}]}),
    (Folder, {"entries": [{}, {"folder": None}, {"folder": {"entries": []}}]}),
    (Odd, {"in": 1, "x-y": "a", "": True, "__z": 2}),
    (Page[int], {"items": [1, 2], "next": 3}),
    (Page[Movie], {"items": [{"title": "M"}]}),
    (Page, {"items": [1, "a", {"k": (2,)}]}),
    (Shelf, Shelf([{"title": "M"}], {"title": "N", "year": 1})),
    (list[Movie | None], [{"title": "M"}, None]),
    (dict[str, Movie], {"a": {"title": "M"}}),
    (deque[Movie], deque([{"title": "M"}])),
]
IDS = [f"{i}-{type_of(a)}" for i, (a, _) in enumerate(VALUES)]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_as_a_plain_dict(annotation, value):
    for wanted in (annotation, annotation | None):
        again = travel(value, wanted)
        assert again == value
        assert type(again) is type(value)
    check(value, annotation)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_of_any_becomes_its_own_type_with_the_same_bytes(annotation, value):
    codec = codec_of(annotation)
    assert pack(transcode(codec_of(Any).lower(value), ANY, codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_tree_written_as_any_is_the_dict_with_its_keys_in_order(annotation, value):
    codec = codec_of(annotation)
    there = transcode(codec.lower(value), codec.type, ANY)
    again = codec_of(Any).decode(pack(there))
    assert again == value
    assert pack(there) == codec_of(Any).encode(codec.decode(codec.encode(value)))


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_is_shown_as_json_and_read_back(annotation, value):
    codec = codec_of(annotation)
    tree = unpack(codec.encode(value))
    assert fits(tree, codec.type)
    if annotation is not Page:  # in JSON a tuple of Any is a list
        assert pack(parse_json(to_json(tree, codec.type), codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_type_from_a_plan_reads_and_writes_the_same(annotation, value):
    type_ = type_of(annotation)
    again = type_from_bytes(type_bytes(type_))
    assert again == type_
    assert codec_for(again).encode(value) == codec_of(annotation).encode(value)


def test_the_order_in_which_keys_were_set_is_not_part_of_the_value():
    codec = codec_of(Movie)
    assert codec.encode({"year": 1, "title": "a"}) == codec.encode({"title": "a", "year": 1})
    assert list(codec.decode(codec.encode({"year": 1, "title": "a"}))) == ["title", "year"]


def test_a_key_that_is_missing_is_not_a_key_that_is_none():
    class Note(TypedDict):
        text: NotRequired[str | None]

    codec = codec_of(Note)
    assert codec.encode({}) != codec.encode({"text": None})
    assert codec.decode(codec.encode({"text": None})) == {"text": None}
    assert codec.decode(codec.encode({})) == {}


def test_each_consumer_gets_a_dict_of_its_own():
    value = {"items": [1]}
    again = travel(value, Page[int])
    again["items"].append(2)
    assert value == {"items": [1]}


def test_a_dict_of_a_subclass_comes_back_as_a_plain_one():
    again = travel(OrderedDict(title="M"), Movie)
    assert (again, type(again)) == ({"title": "M"}, dict)


# --- types ------------------------------------------------------------------------------------------------------------


def fields_of(annotation):
    return [(field.name, str(field.type), field.required) for field in type_of(annotation).fields]


def test_a_typed_dict_is_a_record_whose_fields_say_if_they_must_be_there():
    fields = (Field("title", STR), Field("year", INT, False))
    assert type_of(Movie) == RecordType(f"{__name__}:Movie", (Definition(f"{__name__}:Movie", "typeddict", fields),))
    assert (type_of(Movie).kind, str(type_of(Movie))) == ("typeddict", "Movie")
    assert type_of(Movie).parts == (STR, VarTupleType(INT))


def test_inherited_keys_come_first_and_keep_what_their_class_says():
    assert fields_of(Strict) == [
        ("name", "str", True),
        ("note", "str", False),
        ("weight", "float", False),
        ("last", "int", True),
        ("price", "Decimal", False),
    ]


def test_required_and_not_required_stand_over_total():
    assert fields_of(Mixed) == [("must", "int", True), ("may", "int", False)]


def test_the_functional_form_may_have_keys_that_are_no_names():
    assert fields_of(Odd) == [("in", "int", True), ("x-y", "str", True), ("", "bool", False), ("__z", "int", True)]


def test_a_typed_dict_that_is_generic_has_its_arguments_in_its_name():
    assert type_of(Page[int]).name == f"{__name__}:Page[int]"
    assert str(type_of(Page[Movie])) == "Page[Movie]"
    assert fields_of(Page[int]) == [("items", "list[int]", True), ("next", "int", False)]
    assert fields_of(Page) == [("items", "list[Any]", True), ("next", "Any", False)]


def test_a_generic_typed_dict_that_is_inherited_has_the_arguments_that_were_given():
    class Numbers(Page[int]):
        total: int

    assert fields_of(Numbers) == [("items", "list[int]", True), ("next", "int", False), ("total", "int", True)]


def test_a_typed_dict_that_mentions_itself_does_so_by_name():
    (definition,) = type_of(Tree).definitions
    assert definition.fields[1] == Field("children", ListType(RefType(f"{__name__}:Tree")), False)
    assert [one.name for one in type_of(Folder).definitions] == [f"{__name__}:Entry", f"{__name__}:Folder"]


def test_the_classes_that_it_mentions_are_kept_by_name():
    inference = Inference()
    inference.infer(Shelf)
    assert inference.classes == {f"{__name__}:Shelf": Shelf, f"{__name__}:Movie": Movie}
    assert inference.unknown == []


POSTPONED = """
    from __future__ import annotations
    from typing import Generic, NotRequired, Required, TypedDict, TypeVar

    T = TypeVar("T")

    class Movie(TypedDict):
        title: str
        year: NotRequired[int]
        sequel: NotRequired[Movie]

    class Loose(TypedDict, total=False):
        must: Required[int]
        may: str

    class Page(TypedDict, Generic[T]):
        items: list[T]
        next: NotRequired[Page[T]]
"""


def test_A10_postponed_annotations_say_the_same(write_module):
    module = write_module("postponed_typed_dicts", POSTPONED)
    assert fields_of(module.Movie) == [("title", "str", True), ("year", "int", False), ("sequel", "Movie", False)]
    assert fields_of(module.Loose) == [("must", "int", True), ("may", "str", False)]
    assert fields_of(module.Page[int]) == [("items", "list[int]", True), ("next", "Page[int]", False)]
    assert travel({"title": "M"}, module.Movie) == {"title": "M"}


def test_A10_quoted_annotations_say_the_same():
    class Quoted(TypedDict):
        year: "NotRequired[int]"

    class LooselyQuoted(TypedDict, total=False):
        year: "Required[int]"

    assert fields_of(Quoted) == [("year", "int", False)]
    assert fields_of(LooselyQuoted) == [("year", "int", True)]


def test_two_classes_of_one_name_in_one_annotation_are_refused():
    def make(annotation):
        class Made(TypedDict):
            value: annotation

        return Made

    first, second = make(int), make(str)
    assert travel({"value": 1}, first) == {"value": 1}
    assert travel({"value": "a"}, second) == {"value": "a"}
    with pytest.raises(AnnotationError) as caught:
        type_of(tuple[first, second])
    assert (
        str(caught.value)
        == f"two classes are both called {__name__}:{first.__qualname__}, and a plan tells classes apart by "
        "name; rename one"
    )


@pytest.mark.parametrize(
    "annotation", [set[Movie], dict[Movie, int], frozenset[tuple[int, Movie]], dict[Movie | None, int]], ids=str
)
def test_a_typed_dict_cannot_be_a_key_or_a_member_of_a_set(annotation):
    with pytest.raises(AnnotationError) as caught:
        type_of(annotation)
    assert str(caught.value).endswith("Movie can't be a key or a member of a set, it is not hashable")


# --- bytes ------------------------------------------------------------------------------------------------------------

MOVIE = RecordType("m:Movie", (Definition("m:Movie", "typeddict", (Field("title", STR), Field("year", INT, False))),))
NODE = RecordType("m:N", (Definition("m:N", "typeddict", (Field("next", RefType("m:N"), False),)),))


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (
            MOVIE,
            "9313a7"
            + b"m:Movie".hex()
            + "9193a7"
            + b"m:Movie".hex()
            + "02"
            + "92"
            + "93a5"
            + b"title".hex()
            + "05c3"
            + "93a4"
            + b"year".hex()
            + "03c2",
        ),
        (
            NODE,
            "9313a3"
            + b"m:N".hex()
            + "9193a3"
            + b"m:N".hex()
            + "02"
            + "91"
            + "93a4"
            + b"next".hex()
            + "9214a3"
            + b"m:N".hex()
            + "c2",
        ),
    ],
    ids=["Movie", "N"],
)
def test_a_type_has_these_bytes_and_no_others(type_, expected):
    assert type_bytes(type_).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Movie, {"title": "M"}, "92a14d90"),
        (Movie, {"title": "M", "year": 5}, "92a14d9105"),
        (Mixed, {"must": 1, "may": 2}, "92019102"),
        (Empty, {}, "90"),
        (Tree, {"value": 1, "children": [{"value": 2}]}, "9201" + "9191" + "920290"),
        (Page[bool], {"items": [True]}, "9291c390"),
        (Movie | None, {"title": "M"}, "920092a14d90"),
        (Movie | None, None, "9201c0"),
        (list[Movie], [{"title": "M"}], "9192a14d90"),
        (Any, {"title": "M"}, "92029192" + "a5" + b"title".hex() + "a14d"),
    ],
)
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


# --- what does not fit ------------------------------------------------------------------------------------------------


MISMATCHES = [
    ({"title": "M", "year": "1931"}, Movie, "['year']: expected int, got str"),
    ({"title": "M", "year": None}, Movie, "['year']: expected int, got None"),
    ({"title": 5}, Movie, "['title']: expected str, got int"),
    ({"year": 1931}, Movie, "expected Movie, and the key 'title' is missing"),
    ({}, Movie, "expected Movie, and the key 'title' is missing"),
    ({"title": "M", "yaer": 1931}, Movie, "expected Movie, which has no key 'yaer'"),
    ({"title": "M", 5: 1}, Movie, "expected Movie, which has no key 5"),
    ({"a": 1}, Empty, "expected Empty, which has no key 'a'"),
    ([("title", "M")], Movie, "expected Movie, got list"),
    (None, Movie, "expected Movie, got None"),
    (Shelf([]), Movie, "expected Movie, got Shelf"),
    ([{"title": "M"}, {"title": "M", "year": 1.5}], list[Movie], "[1]['year']: expected int, got float"),
    ({"value": 1, "children": [{"value": 2}, {"value": "x"}]}, Tree, "['children'][1]['value']: expected int, got str"),
    ({"items": [1, "a"]}, Page[int], "['items'][1]: expected int, got str"),
    (Shelf([{"title": "M"}, {"title": None}]), Shelf, "movies[1]['title']: expected str, got None"),
    ({"title": "M", "year": "x"}, Movie | None, "['year']: expected int, got str"),
]


@pytest.mark.parametrize(("value", "annotation", "sentence"), MISMATCHES, ids=range(len(MISMATCHES)))
def test_P4_a_mismatch_says_where_and_what(value, annotation, sentence):
    for ask in (codec_of(annotation).encode, lambda value: check(value, annotation)):
        with pytest.raises(TypeMismatch) as caught:
            ask(value)
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"title": "M", "year": "x"}, "['year']: expected int, got str"),
        ({"title": 1}, "['title']: expected str, got int"),
        ({"year": 1}, "expected Movie, and the key 'title' is missing"),
        ({"title": "M", "z": 1}, "expected Movie, which has no key 'z'"),
        ({"title": "M", 1: 1}, "expected Movie, which has no key 1"),
        (5, "expected Movie, got int"),
        ([1], "expected Movie, got list"),
    ],
)
def test_P4_a_value_of_any_that_is_something_else_is_refused_with_its_path(value, sentence):
    with pytest.raises(TypeMismatch) as caught:
        transcode(codec_of(Any).lower(value), ANY, type_of(Movie))
    assert str(caught.value) == sentence


def test_in_a_union_the_arm_is_found_by_the_keys():
    annotation = Movie | Named | Tree | dict[str, int] | None
    codec = codec_of(annotation)
    for value in ({"title": "M"}, {"name": "a"}, {"value": 1}, {"k": 1}, {"title": "M", "year": 2}, {}, None):
        assert codec.decode(codec.encode(value)) == value
        tree = transcode(codec_of(Any).lower(value), ANY, codec.type)
        assert pack(tree) == codec.encode(value)
    arms = [codec.lower(value)[0] for value in ({"title": "M"}, {"name": "a"}, {"value": 1}, {"k": 1})]
    assert [str(codec.type.arms[arm]) for arm in arms] == ["Movie", "Named", "Tree", "dict[str, int]"]


def test_in_a_union_of_generic_ones_nothing_is_converted_if_an_arm_fits_exactly():
    codec = codec_of(Page[float] | Page[int])
    assert repr(codec.decode(codec.encode({"items": [1]}))) == "{'items': [1]}"
    assert repr(codec.decode(codec.encode({"items": [1.0]}))) == "{'items': [1.0]}"


# --- what may go where ------------------------------------------------------------------------------------------------


def test_P3_a_typed_dict_goes_by_name():
    assert assignable(type_of(Movie), type_of(Movie | None))
    assert assignable(type_of(list[Movie]), type_of(list[Any]))
    assert assignable(ANY, type_of(Movie))
    assert why_not(type_of(Movie), type_of(Named)) == "Movie is not Named"
    assert why_not(type_of(dict[str, str]), type_of(Named)) == "dict[str, str] is not Named"
    assert why_not(type_of(Movie | None), type_of(Movie)) == "it may be None"


def test_P3_one_of_another_version_is_refused():
    fields = type_of(Movie).fields

    def movie(kind, *fields):
        return RecordType("m:Movie", (Definition("m:Movie", kind, fields),))

    assert (
        why_not(movie("typeddict", *fields), movie("dataclass", *fields)) == "one is a typeddict, the other a dataclass"
    )
    assert (
        why_not(movie("typeddict", fields[0]), movie("typeddict", *fields))
        == "the two Movie have other fields: title and title, year"
    )


def test_a_key_that_only_one_version_requires_is_refused_or_written_as_the_other():
    def movie(required, type_=INT):
        return RecordType("m:Movie", (Definition("m:Movie", "typeddict", (Field("year", type_, required),)),))

    tree = [[7]]
    if assignable(movie(False), movie(True)):
        assert transcode(tree, movie(False), movie(True)) == [7]
    if assignable(movie(True), movie(False, FLOAT)):
        assert transcode([7], movie(True), movie(False, FLOAT)) == [[7.0]]


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "step", "text"),
    [
        (Movie, ["title"], "str"),
        (Movie, ["year"], "int"),
        (Movie, ["nope"], None),
        (Movie, "title", None),
        (Movie, 0, None),
        (Odd, ["x-y"], "str"),
        (Tree, ["children"], "list[Tree]"),
        (Page[int], ["items"], "list[int]"),
    ],
)
def test_a_type_says_what_is_at_a_key(annotation, step, text):
    found = step_type(type_of(annotation), step)
    assert (found and str(found)) == text


def test_a_path_leads_to_the_value_of_a_key():
    codec = codec_of(Tree)
    tree = codec.lower({"value": 1, "children": [{"value": 2}]})
    assert select(tree, codec.type, [["value"]]) == (1, INT)
    assert select(tree, codec.type, [["children"], 0, ["value"]]) == (2, INT)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ([["children"]], "the value that was passed has no key 'children'; it has 'value'"),
        ([["children"], 0, ["value"]], "the value that was passed has no key 'children'; it has 'value'"),
    ],
)
def test_P4_a_key_that_is_not_there_is_a_mismatch(path, sentence):
    codec = codec_of(Tree)
    with pytest.raises(TypeMismatch) as caught:
        select(codec.lower({"value": 1}), codec.type, path)
    assert str(caught.value) == sentence


def test_P4_a_key_that_is_not_there_further_in_is_named_with_its_path():
    codec = codec_of(Tree)
    with pytest.raises(TypeMismatch) as caught:
        select(codec.lower({"value": 1, "children": [{"value": 2}]}), codec.type, [["children"], 0, ["children"]])
    assert str(caught.value) == "['children'][0]: has no key 'children'; it has 'value'"


# --- text, JSON, and what others wrote --------------------------------------------------------------------------------


def test_a_text_is_read_as_its_type():
    codec = codec_of(Movie)
    assert codec.lift_tree(parse_text('{"year": 1931, "title": "M"}', codec.type)) == {"title": "M", "year": 1931}
    assert codec.lift_tree(parse_text('{"title": "M"}', codec.type)) == {"title": "M"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"year": 1}, "value: Movie needs the field 'title'"),
        ({"title": "M", "z": 1}, "value: Movie has no field 'z'; it has title, year"),
        ({"title": "M", "year": "x"}, "year: expected int, got str"),
        ({"title": "M", "year": None}, "year: expected int, got null"),
        ([], "value: expected Movie, got a list"),
        (None, "value: expected Movie, got null"),
    ],
)
def test_a_json_value_that_does_not_fit_is_refused_with_the_reason(value, sentence):
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(Movie))
    assert str(caught.value) == sentence


def test_T1_reading_and_showing_need_none_of_the_authors_classes():
    assert parse_json({"title": "M"}, MOVIE) == ["M", []]
    assert to_json(["M", [1931]], MOVIE) == {"title": "M", "year": 1931}
    assert pack(transcode(["M", []], MOVIE, ANY)) == codec_of(Any).encode({"title": "M"})
    assert codec_for(MOVIE).decode(pack(["M", [1931]])) == {"title": "M", "year": 1931}


@pytest.mark.parametrize(
    "tree", [[], ["M"], ["M", [], 1], ["M", 5], ["M", None], "ab", 5, None, ["M", ["x", 1]], ["M", [1, 2]]], ids=str
)
def test_T1_a_tree_of_another_shape_does_not_fit(tree):
    assert not fits(tree, type_of(Movie))


@pytest.mark.parametrize("tree", [[], ["M"], ["M", [], 1], ["M", 5], "abc", 5, None, ["M", [1, 2]]], ids=str)
def test_T1_a_tree_of_another_shape_is_a_format_error(tree):
    with pytest.raises(FormatError):
        codec_of(Movie).decode(pack(tree))


@pytest.mark.parametrize(
    "tree",
    [
        [19, "m:M", [["m:M", 3, []]]],
        [19, "m:M", [["m:M", 1, []]]],
        [19, "m:M", [["m:M", 2.0, []]]],
        [19, "m:M", [["m:M", "2", []]]],
        [19, "m:M", [["m:M", None, []]]],
        [19, "m:M", [["m:M", 2, [["a", 3]]]]],
        [19, "m:M", [["m:M", 2, [["a", 3, 0]]]]],
        [19, "m:M", [["m:M", 2, [["a", 3, True], ["a", 3, False]]]]],
        [19, "m:M", [["m:M", 2, [[5, 3, True]]]]],
    ],
    ids=range(9),
)
def test_T1_a_tree_that_is_no_type_is_a_format_error(tree):
    with pytest.raises(FormatError):
        type_from_bytes(pack(tree))


def test_T1_a_type_cut_short_continued_or_changed_is_another_type_or_a_format_error():
    whole = type_bytes(MOVIE)
    for end in range(len(whole)):
        with pytest.raises(FormatError):
            type_from_bytes(whole[:end])
        for byte in range(0, 256, 5):
            try:
                found = type_from_bytes(whole[:end] + bytes([byte]) + whole[end + 1 :])
            except FormatError:
                continue
            assert str(found)
