"""Generic dataclasses, NamedTuples and TypedDicts: one record for each of their arguments; type variables; the syntax
of Python 3.12.
"""

import enum
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    TypeVarTuple,
)

import pytest

from promissory.typesys import AnnotationError, Opaque, TypeMismatch, assignable, check, codec_of, type_of, why_not
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.infer import Inference
from promissory.typesys.parse import parse_json
from promissory.typesys.spelling import full_name
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY, INT, STR, Definition, Field, RecordType, RefType, class_name, short_name
from promissory.typesys.unions import union
from promissory.typesys.value_paths import step_type
from promissory.typesys.wire import codec_for

T = TypeVar("T")
U = TypeVar("U")
N = TypeVar("N", bound=int)
Ts = TypeVarTuple("Ts")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Box(Generic[T]):
    item: T
    more: list[T] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    part: T


@dataclass
class Entry(Generic[T, U]):
    key: T
    values: dict[str, U]
    both: tuple[T, U] | None = None


class Pair(NamedTuple, Generic[T]):
    a: T
    b: Optional[T] = None  # noqa: UP045


class Page(TypedDict, Generic[T]):
    items: list[T]
    next: NotRequired[T]


@dataclass
class Node(Generic[T]):
    value: T
    next: "Node[T] | None" = None


@dataclass
class Nest(Generic[T]):
    value: T
    inner: "Nest[list[T]] | None" = None


@dataclass
class Even(Generic[T]):
    odd: "Odd[T] | None" = None


@dataclass
class Odd(Generic[T]):
    value: T
    even: Even[T] | None = None


@dataclass
class Holder:
    numbers: Box[int]
    names: Box[str]
    any: Box


@dataclass
class Numbers(Generic[N]):
    first: N
    marked: Annotated[N, "marked"]


@dataclass
class Row:
    x: int


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


def fields_of(annotation):
    return [(field.name, str(field.type)) for field in type_of(annotation).fields]


VALUES = [
    (Box[int], Box(1, [2, 3]), "Box[int]"),
    (Box[str | None], Box(None, ["a"]), "Box[str | None]"),
    (Box[list[Row]], Box([Row(1)], [[]]), "Box[list[Row]]"),
    (Box, Box(1, ["a", (2.5,)]), "Box"),
    (Box[Box[int]], Box(Box(1), [Box(2, [3])]), "Box[Box[int]]"),
    (Box[Any], Box([1, "a"]), "Box[Any]"),
    (Box[UserId], Box(UserId(5)), "Box[int]"),
    (Box[Decimal], Box(Decimal("1.00")), "Box[Decimal]"),
    (Box[Literal["a", "b"]], Box("a"), "Box[Literal['a', 'b']]"),
    (Box[Color], Box(Color.RED, [Color.BLUE]), "Box[Color]"),
    (Key[tuple[int, str]], Key((1, "a")), "Key[tuple[int, str]]"),
    (Entry[int, Color], Entry(1, {"a": Color.RED}, (2, Color.BLUE)), "Entry[int, Color]"),
    (Pair[int], Pair(1), "Pair[int]"),
    (Pair[Box[int]], Pair(Box(1), Box(2)), "Pair[Box[int]]"),
    (Page[Row], {"items": [Row(1)], "next": Row(2)}, "Page[Row]"),
    (Node[int], Node(1, Node(2, Node(3))), "Node[int]"),
    (Even[str], Even(Odd("a", Even(Odd("b")))), "Even[str]"),
    (Holder, Holder(Box(1), Box("a"), Box(None)), "Holder"),
    (Numbers[int], Numbers(1, 2), "Numbers[int]"),
    (dict[Key[int], Box[str]], {Key(1): Box("a")}, "dict[Key[int], Box[str]]"),
    (set[Key[str]], {Key("a"), Key("b")}, "set[Key[str]]"),
    (list[Box[int] | Pair[int] | None], [Box(1), Pair(1), None], "list[Box[int] | Pair[int] | None]"),
]
IDS = [f"{i}-{text}" for i, (_, _, text) in enumerate(VALUES)]


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_and_of_its_class(annotation, value, text):
    for wanted in (annotation, annotation | None, Any):
        again = travel(value, wanted)
        assert again == value
        assert (type(again), repr(again)) == (type(value), repr(value)) or isinstance(value, set)
    check(value, annotation)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_type_is_printed_with_its_arguments_and_read_back_from_its_bytes(annotation, value, text):
    type_ = type_of(annotation)
    assert str(type_) == text
    again = type_from_bytes(type_bytes(type_))
    assert again == type_
    assert codec_for(again).encode(value) == codec_of(annotation).encode(value)
    assert codec_for(again).decode(codec_of(annotation).encode(value)) == value


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_goes_to_any_and_back_without_its_class(annotation, value, text):
    codec = codec_of(annotation)
    there = transcode(codec.lower(value), codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_is_shown_as_json_and_read_back_and_fits_its_type(annotation, value, text):
    codec = codec_of(annotation)
    tree = unpack(codec.encode(value))
    assert fits(tree, codec.type)
    if "Any" not in text and text not in ("Box", "Holder"):  # in JSON a tuple of Any is a list
        assert pack(parse_json(to_json(tree, codec.type), codec.type)) == codec.encode(value)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_arguments_are_part_of_the_name_in_full():
    assert type_of(Box[int]).name == f"{__name__}:Box[int]"
    assert type_of(Box[Row]).name == f"{__name__}:Box[{__name__}:Row]"
    assert type_of(Entry[dict[str, Box[int]], None]).name == f"{__name__}:Entry[dict[str, {__name__}:Box[int]], None]"
    assert type_of(Box[Decimal]).name == f"{__name__}:Box[decimal.Decimal]"
    assert type_of(Box).name == f"{__name__}:Box"


def test_equal_arguments_give_one_type_however_they_were_written():
    assert type_of(Box[Optional[int]]) is type_of(Box[None | int])  # noqa: UP045
    assert type_of(Box[UserId]) is type_of(Box[int])
    assert type_of(Box[Annotated[int, "x"]]) is type_of(Box[int])
    assert type_of(Box[int]) != type_of(Box[str])


def test_the_name_of_the_class_and_what_a_reader_says():
    name = full_name(type_of(Entry[Row, Box[Color]]))
    assert class_name(name) == f"{__name__}:Entry"
    assert short_name(name) == "Entry[Row, Box[Color]]"
    assert short_name("m:test.<locals>.Box[m:test.<locals>.Row | None]") == "Box[Row | None]"


def test_one_that_has_no_arguments_is_one_of_any():
    assert fields_of(Box) == [("item", "Any"), ("more", "list[Any]")]


@pytest.mark.parametrize(
    "arguments", [(Color, Literal[Color.RED]), (Row, Opaque[Row]), (Color, Opaque[Color])], ids=str
)
def test_arguments_that_differ_give_types_that_differ(arguments):
    one, other = arguments
    both = type_of(tuple[Box[one], Box[other]]).items
    assert both == (type_of(Box[one]), type_of(Box[other]))
    assert [inner.fields[0].type for inner in both] == [type_of(one), type_of(other)]
    assert both[0] != both[1]


def test_the_classes_that_it_mentions_are_kept_by_the_name_that_a_decoder_asks_for():
    inference = Inference()
    inference.infer(Box[Row] | Pair[Color])
    assert inference.classes[f"{__name__}:Box[{__name__}:Row]"] is Box
    assert inference.classes[f"{__name__}:Pair[{__name__}:Color]"] is Pair
    assert inference.classes[f"{__name__}:Row"] is Row


def test_two_classes_of_one_name_are_refused_as_arguments_too():
    def make(annotation):
        @dataclass
        class Made:
            value: annotation

        return Made

    first, second = make(int), make(str)
    assert travel(Box(first(1)), Box[first]) == Box(first(1))
    with pytest.raises(
        AnnotationError, match=r"two classes are both called .*Made, and a plan tells classes apart by name; rename one"
    ):
        type_of(tuple[Box[first], Box[second]])


def test_two_generic_classes_of_one_name_are_refused():
    def make():
        @dataclass
        class Made(Generic[T]):
            value: T

        return Made

    first, second = make(), make()
    assert travel(second(1), second[int]) == second(1)
    for annotation in (tuple[first[int], second[int]], tuple[first[int], second[str]], tuple[first, second[int]]):
        with pytest.raises(AnnotationError, match="two classes are both called"):
            type_of(annotation)


def test_one_that_mentions_itself_has_one_definition_for_each_of_its_arguments():
    definition = Definition(
        f"{__name__}:Node[int]",
        "dataclass",
        (Field("value", INT), Field("next", type_of(Node[int])._definition.fields[1].type, False)),
    )
    assert type_of(Node[int]).definitions == (definition,)
    assert definition.fields[1].type == union([RefType(f"{__name__}:Node[int]"), type_of(None)])
    assert [one.name for one in type_of(tuple[Node[int], Node[str]]).items[1].definitions] == [f"{__name__}:Node[str]"]
    assert [one.name for one in type_of(Even[int]).definitions] == [f"{__name__}:Even[int]", f"{__name__}:Odd[int]"]
    assert type_of(Even[int]).fields[0].type == type_of(Odd[int] | None)


def test_one_that_mentions_itself_with_ever_larger_arguments_is_refused():
    with pytest.raises(AnnotationError) as caught:
        type_of(Nest[int])
    assert str(caught.value) == "it is nested more than 64 deep; use a record that mentions itself by name"


# --- type variables ---------------------------------------------------------------------------------------------------


def test_a_type_variable_is_its_bound_or_any():
    assert type_of(T) == ANY
    assert type_of(N) == INT
    assert type_of(list[T]) == type_of(list[Any])
    assert type_of(TypeVar("B", bound=Row)) == type_of(Row)
    assert type_of(dict[str, Box[N]]) == type_of(dict[str, Box[int]])


def test_a_type_variable_of_some_classes_takes_values_of_them():
    either = TypeVar("either", int, str)
    for value in (1, "a"):
        assert travel(value, either) == value


def test_a_new_type_is_what_it_wraps():
    boxes = NewType("boxes", Box[int])
    assert type_of(boxes) is type_of(Box[int])
    assert travel(boxes(Box(1)), dict[str, boxes] | boxes) == Box(1)


# --- inheritance ------------------------------------------------------------------------------------------------------


@dataclass
class IntBox(Box[int]):
    name: str = ""


@dataclass
class ListBox(Box[list[U]], Generic[U]):
    other: U | None = None


@dataclass
class SameBox(Box[T]):
    third: T | None = None


@dataclass
class Deep(ListBox[str]):
    pass


@dataclass
class Plain(Box):
    pass


@dataclass
class Swapped(Entry[U, T], Generic[T, U]):
    pass


def test_a_class_that_inherits_one_with_arguments_has_them_in_its_fields():
    assert fields_of(IntBox) == [("item", "int"), ("more", "list[int]"), ("name", "str")]
    assert travel(IntBox(1, [2], "a"), IntBox) == IntBox(1, [2], "a")
    with pytest.raises(TypeMismatch) as caught:
        codec_of(IntBox).encode(IntBox("x"))
    assert str(caught.value) == "item: expected int, got str"


def test_a_class_that_inherits_one_and_is_generic_itself_hands_its_arguments_on():
    assert fields_of(ListBox[int]) == [("item", "list[int]"), ("more", "list[list[int]]"), ("other", "int | None")]
    assert fields_of(SameBox[str]) == [("item", "str"), ("more", "list[str]"), ("third", "str | None")]
    assert fields_of(Deep) == [("item", "list[str]"), ("more", "list[list[str]]"), ("other", "str | None")]
    assert fields_of(Swapped[int, str])[:2] == [("key", "str"), ("values", "dict[str, int]")]


def test_a_class_that_inherits_one_without_arguments_holds_any():
    assert fields_of(Plain) == [("item", "Any"), ("more", "list[Any]")]


def test_P3_a_value_of_a_class_that_inherits_is_a_value_of_the_one_that_it_inherits_and_stays_what_it_is():
    codec = codec_of(Box[int])
    assert codec.decode(codec.encode(IntBox(1))) == IntBox(1)
    with pytest.raises(TypeMismatch) as caught:
        codec_of(Box[str]).encode(IntBox(1))
    assert str(caught.value) == "item: expected str, got int"


def test_as_many_arguments_as_are_given_are_taken_or_the_class_is_refused():
    @dataclass
    class Many(Generic[*Ts]):
        items: tuple[*Ts]

    try:
        type_ = type_of(Many[int, str])
    except AnnotationError:
        return
    assert type_.fields[0].type == type_of(tuple[int, str])


# --- the syntax of Python 3.12 ----------------------------------------------------------------------------------------

NEW_SYNTAX = """
    from dataclasses import dataclass, field
    from typing import NamedTuple, NotRequired, TypedDict

    @dataclass
    class Box[T]:
        item: T
        more: list[T] = field(default_factory=list)
    @dataclass
    class Node[T]:
        value: T
        next: "Node[T] | None" = None

    class Pair[A, B](NamedTuple):
        a: A
        b: B

    class Page[T](TypedDict):
        items: list[T]
        next: NotRequired[T]

    @dataclass
    class Bounded[T: int]:
        item: T

    @dataclass
    class Child[T](Box[list[T]]):
        last: T | None = None

    class Older(Page[int]):
        total: int

    type Ids = list[int] | None
    type Both[T] = tuple[T, T]
    type Boxes[T] = list[Box[T]]
"""
new_syntax = pytest.mark.skipif(sys.version_info < (3, 12), reason="this syntax is Python 3.12's")


@new_syntax
@pytest.mark.parametrize("postponed", ["", "from __future__ import annotations\n"], ids=["", "postponed"])
def test_generic_records_in_the_new_syntax(write_module, postponed):
    module = write_module("new_syntax_records", postponed + "\n".join(line[4:] for line in NEW_SYNTAX.splitlines()))
    Box, Pair, Page = module.Box, module.Pair, module.Page
    assert fields_of(Box[int]) == [("item", "int"), ("more", "list[int]")]
    assert fields_of(Box) == [("item", "Any"), ("more", "list[Any]")]
    assert fields_of(Pair[int, str]) == [("a", "int"), ("b", "str")]
    assert [(f.name, str(f.type), f.required) for f in type_of(Page[str]).fields] == [
        ("items", "list[str]", True),
        ("next", "str", False),
    ]
    assert fields_of(module.Bounded[int]) == [("item", "int")]
    for annotation, value in (
        (Box[int], Box(1, [2])),
        (Pair[int, str], Pair(1, "a")),
        (Page[Box[str]], {"items": [Box("a")]}),
        (module.Bounded[int], module.Bounded(1)),
    ):
        assert travel(value, annotation) == value
        assert type_from_bytes(type_bytes(type_of(annotation))) == type_of(annotation)


@new_syntax
def test_one_that_mentions_itself_in_the_new_syntax(write_module):
    Node = write_module("new_syntax_nodes", NEW_SYNTAX).Node
    assert fields_of(Node[int]) == [("value", "int"), ("next", "Node[int] | None")]
    assert travel(Node(1, Node(2)), Node[int]) == Node(1, Node(2))


@new_syntax
def test_inheritance_in_the_new_syntax(write_module):
    module = write_module("new_syntax_children", NEW_SYNTAX)
    assert fields_of(module.Child[int])[:2] == [("item", "list[int]"), ("more", "list[list[int]]")]
    assert fields_of(module.Child[int])[2] == ("last", "int | None")
    assert fields_of(module.Older) == [("items", "list[int]"), ("next", "int"), ("total", "int")]


@new_syntax
def test_a_type_alias_stands_for_what_it_names_with_its_arguments(write_module):
    module = write_module("new_syntax_aliases", NEW_SYNTAX)
    assert type_of(module.Ids) == type_of(list[int] | None)
    assert type_of(module.Both[int]) == type_of(tuple[int, int])
    assert type_of(module.Boxes[str]) == type_of(list[module.Box[str]])
    assert type_of(dict[str, module.Both[module.Ids]]) == type_of(dict[str, tuple[list[int] | None, list[int] | None]])


POSTPONED = """
    from __future__ import annotations
    from dataclasses import dataclass, field
    from typing import Generic, NamedTuple, TypeVar

    T = TypeVar("T")

    @dataclass
    class Box(Generic[T]):
        item: T
        more: list[T] = field(default_factory=list)
        inner: Box[T] | None = None

    class Pair(NamedTuple, Generic[T]):
        a: T
        later: Later

    @dataclass
    class Later:
        box: Box[int] | None = None
"""


def test_A10_postponed_annotations_say_the_same(write_module):
    module = write_module("postponed_generics", POSTPONED)
    assert fields_of(module.Box[int]) == [("item", "int"), ("more", "list[int]"), ("inner", "Box[int] | None")]
    assert fields_of(module.Pair[str]) == [("a", "str"), ("later", "Later")]
    value = module.Pair("a", module.Later(module.Box(1, [2], module.Box(3))))
    assert travel(value, module.Pair[str]) == value


# --- bytes ------------------------------------------------------------------------------------------------------------

NAME = "m:Box[int]"
BOX = RecordType(NAME, (Definition(NAME, "dataclass", (Field("item", INT),)),))
NODE = RecordType(
    "m:N[m:R]",
    (
        Definition("m:N[m:R]", "namedtuple", (Field("next", RefType("m:N[m:R]")), Field("row", RefType("m:R")))),
        Definition("m:R", "dataclass", ()),
    ),
)


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (BOX, "9313aa" + NAME.encode().hex() + "9193aa" + NAME.encode().hex() + "c29193a4" + b"item".hex() + "03c3"),
        (
            NODE,
            "9313a8"
            + b"m:N[m:R]".hex()
            + "9293a8"
            + b"m:N[m:R]".hex()
            + "c39293a4"
            + b"next".hex()
            + "9214a8"
            + b"m:N[m:R]".hex()
            + "c393a3"
            + b"row".hex()
            + "9214a3"
            + b"m:R".hex()
            + "c393a3"
            + b"m:R".hex()
            + "c290",
        ),
    ],
    ids=["Box[int]", "N[R]"],
)
def test_a_type_has_these_bytes_and_no_others(type_, expected):
    assert type_bytes(type_).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Box[int], Box(1, [2]), "92019102"),
        (Box[float], Box(1), "92cb3ff000000000000090"),
        (Pair[str], Pair("a"), "92a1619201c0"),
        (Node[int], Node(1, Node(2)), "92019200" + "9202" + "9201c0"),
        (Page[int], {"items": [1], "next": 2}, "9291019102"),
    ],
)
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


def test_a_value_of_any_says_its_class_and_not_its_arguments():
    assert unpack(codec_of(Any).encode(Pair(1))) == [7, f"{__name__}:Pair", ["a", "b"], [1, None]]
    codec = codec_of(Pair[int])
    assert transcode(codec.lower(Pair(1)), codec.type, ANY) == [7, f"{__name__}:Pair", ["a", "b"], [1, None]]


# --- what does not fit ------------------------------------------------------------------------------------------------


MISMATCHES = [
    (Box("a"), Box[int], "item: expected int, got str"),
    (Box(1, [2, None]), Box[int], "more[1]: expected int, got None"),
    (Box(Box("a")), Box[Box[int]], "item.item: expected int, got str"),
    (Pair(1, "b"), Pair[int], "b: expected int | None, got str"),
    (Entry(1, {"k": 2}), Entry[int, str], "values['k']: expected str, got int"),
    ({"items": [1], "next": "x"}, Page[int], "['next']: expected int, got str"),
    (Node(1, Node(2, Node("x"))), Node[int], "next.next.value: expected int, got str"),
    ([Holder(Box(1), Box(2), Box(3))], list[Holder], "[0].names.item: expected str, got int"),
    (Row(1), Box[int], "expected Box[int], got Row"),
    (1, Box[int], "expected Box[int], got int"),
]


@pytest.mark.parametrize(("value", "annotation", "sentence"), MISMATCHES, ids=range(len(MISMATCHES)))
def test_P4_a_mismatch_says_where_and_what(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (Box("a"), Box[int], "item: expected int, got str"),
        (Pair(1), Box[int], "expected Box[int], got Pair"),
        (Node(1, Node("x")), Node[int], "next: expected Node[int] | None, got Node"),
    ],
)
def test_P4_a_value_of_any_that_is_something_else_is_refused_with_its_path(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        transcode(codec_of(Any).lower(value), ANY, type_of(annotation))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (Box[int] | Box[str], [Box(1, [2]), Box("a")]),
        (Box[int] | Box[float], [Box(1, [2]), Box(1.5)]),
        (Pair[float] | Pair[int] | None, [Pair(1), Pair(1.0, 2.0), None]),
        (Node[float] | Node[int], [Node(1, Node(2)), Node(1.0)]),
    ],
    ids=str,
)
def test_in_a_union_a_value_takes_the_arm_that_has_its_items(annotation, values):
    codec = codec_of(annotation)
    for value in values:
        assert repr(codec.decode(codec.encode(value))) == repr(value)
        assert pack(transcode(codec_of(Any).lower(value), ANY, codec.type)) == codec.encode(value)


# --- what may go where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"),
    [(Box[int], Box[str]), (Box[str], Pair[str]), (Box[Row], Box[int]), (list[Node[int]], list[Node[str]])],
    ids=str,
)
def test_P3_one_of_other_arguments_may_not_be_passed(source, target):
    assert not assignable(type_of(source), type_of(target))


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        (Box[int], Box[int] | None, Box(1)),
        (Box[int], Any, Box(1)),
        (Any, Box[int], Box(1)),
        (Box[int], Box, Box(1)),
        (Box, Box[int], Box(1)),
        (Box[Any], Box, Box(1)),
        (Box, Box[Any], Box(1)),
        (Box[int], Box[float], Box(1, [2])),
        (Box[int], Box[int | None], Box(1, [2])),
        (Node[int], Node[float], Node(1, Node(2))),
        (Page[int], Page[float], {"items": [1], "next": 2}),
        (list[Pair[int]], list[Pair[Any]], [Pair(1)]),
        (Pair[int], tuple[int, int | None], Pair(1, 2)),
    ],
    ids=str,
)
def test_P3_records_go_where_their_arguments_go(source, target, value):
    given, wanted = codec_of(source), codec_of(target)
    assert why_not(given.type, wanted.type) is None
    assert pack(transcode(given.lower(value), given.type, wanted.type)) == wanted.encode(value)


def test_P3_one_that_has_no_arguments_is_one_of_any_wherever_it_stands():
    assert codec_of(Box).encode(Box(1)) == codec_of(Box[Any]).encode(Box(1))
    assert assignable(type_of(list[Box[int] | None]), type_of(list[Box | None]))


# --- paths, and what others wrote -------------------------------------------------------------------------------------


def test_a_type_says_what_is_at_a_field():
    assert step_type(type_of(Box[int]), "item") == INT
    assert step_type(type_of(Pair[str]), 0) == STR
    assert step_type(type_of(Page[Row]), ["next"]) == type_of(Row)
    assert step_type(type_of(Node[int]), "next") == type_of(Node[int] | None)
    assert step_type(type_of(Holder), "names") == type_of(Box[str])


def test_T1_reading_and_showing_need_none_of_the_authors_classes():
    assert str(BOX) == "Box[int]"
    assert parse_json({"item": 5}, BOX) == [5]
    assert to_json([5], BOX) == {"item": 5}
    assert transcode([5], BOX, ANY) == [7, "m:Box", ["item"], [5]]
