"""deque, OrderedDict, Counter and MappingProxyType: generic families, each over a container that is simpler."""

import enum
import typing
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from promissory.typesys import (
    AnnotationError,
    FormatError,
    Opaque,
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
from promissory.typesys.infer import Inference, mentions_opaque
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY, INT, NONE, EnumType, ListType, NamedType, TupleType
from promissory.typesys.unions import union
from promissory.typesys.wire import codec_for


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: float


class Model:
    """A class that nothing knows."""


@dataclass
class Queue:
    waiting: deque[int] = field(default_factory=deque)
    counts: Counter[str] = field(default_factory=Counter)
    inner: "OrderedDict[str, Queue] | None" = None


class Line(deque):
    pass


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


VALUES = [
    (deque, deque([1, "a", (2.5,)]), "deque[Any]"),
    (deque[int], deque(), "deque[int]"),
    (deque[int], deque([1, 2**70]), "deque[int]"),
    (deque[int], deque([1, 2], maxlen=2), "deque[int]"),
    (deque[int], deque(maxlen=0), "deque[int]"),
    (deque[deque[Color]], deque([deque([Color.RED]), deque(maxlen=3)]), "deque[deque[Color]]"),
    (deque[Point | None], deque([Point(1, 2.0), None]), "deque[Point | None]"),
    (deque[Decimal], deque([Decimal("1.00")]), "deque[Decimal]"),
    (OrderedDict, OrderedDict([("b", 1), (2, "a")]), "OrderedDict[Any, Any]"),
    (OrderedDict[str, int], OrderedDict(), "OrderedDict[str, int]"),
    (OrderedDict[str, int], OrderedDict([("b", 1), ("a", 2)]), "OrderedDict[str, int]"),
    (OrderedDict[Point, list[Color]], OrderedDict({Point(1, 2.0): [Color.BLUE]}), "OrderedDict[Point, list[Color]]"),
    (Counter, Counter({"a": 2, 5: 1}), "Counter[Any]"),
    (Counter[str], Counter(), "Counter[str]"),
    (Counter[str], Counter("abca"), "Counter[str]"),
    (Counter[str], Counter({"a": -1, "b": 0, "c": 2**70}), "Counter[str]"),
    (Counter[tuple[int, str]], Counter([(1, "a"), (1, "a")]), "Counter[tuple[int, str]]"),
    (MappingProxyType, MappingProxyType({"a": [1]}), "MappingProxyType[Any, Any]"),
    (MappingProxyType[str, int], MappingProxyType({}), "MappingProxyType[str, int]"),
    (MappingProxyType[str, float], MappingProxyType({"b": 1.5, "a": 2.5}), "MappingProxyType[str, float]"),
    (Queue, Queue(deque([1]), Counter("ab"), OrderedDict(x=Queue())), "Queue"),
    (list[deque[int]], [deque([1]), deque()], "list[deque[int]]"),
    (dict[str, Counter[int]], {"a": Counter([1, 1])}, "dict[str, Counter[int]]"),
    (
        tuple[deque[int], OrderedDict[str, int]],
        (deque([1]), OrderedDict(a=1)),
        "tuple[deque[int], OrderedDict[str, int]]",
    ),
    (deque[int] | list[int] | None, deque([1]), "deque[int] | list[int] | None"),
]
IDS = [f"{i}-{text}" for i, (_, _, text) in enumerate(VALUES)]


def the_same(again, value):
    if type(again) is not type(value) or again != value or repr(again) != repr(value):
        return False
    return list(again) == list(value) if isinstance(value, dict | MappingProxyType) else True


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_and_of_its_class(annotation, value, text):
    assert the_same(travel(value, annotation), value)
    assert the_same(travel(value, Any), value)
    assert the_same(travel(value, annotation | None), value)
    assert the_same(travel((value, 1), tuple[annotation, int])[0], value)
    check(value, annotation)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_type_is_printed_with_its_arguments_and_read_back_from_its_bytes(annotation, value, text):
    type_ = type_of(annotation)
    assert str(type_) == text
    assert type_from_bytes(type_bytes(type_)) == type_
    again = codec_for(type_from_bytes(type_bytes(type_)))
    assert again.encode(value) == codec_of(annotation).encode(value)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_goes_to_any_and_back_without_its_class(annotation, value, text):
    codec = codec_of(annotation)
    there = transcode(codec.lower(value), codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value", "text"), VALUES, ids=IDS)
def test_a_value_is_shown_as_json_and_read_back_and_fits_its_type(annotation, value, text):
    codec = codec_of(annotation)
    assert fits(unpack(codec.encode(value)), codec.type)
    if "Any" not in text:
        assert pack(parse_json(to_json(codec.lower(value), codec.type), codec.type)) == codec.encode(value)


GOLDEN_TYPES = [
    (deque[int], "9315b1" + b"collections.deque".hex() + "920c92920a039210920301"),
    (OrderedDict[str, int], "9315b7" + b"collections.OrderedDict".hex() + "930b0503"),
    (Counter[str], "9315b3" + b"collections.Counter".hex() + "930b0503"),
    (MappingProxyType[str, float], "9315b6" + b"types.MappingProxyType".hex() + "930b0504"),
]


@pytest.mark.parametrize(("annotation", "expected"), GOLDEN_TYPES, ids=[str(type_of(a)) for a, _ in GOLDEN_TYPES])
def test_a_type_has_these_bytes_and_no_others(annotation, expected):
    assert type_bytes(type_of(annotation)).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_of(annotation)


VECTORS = [
    (deque[int], deque([1, 2]), "92920102" + "9201c0"),
    (deque[int], deque([1, 2], 5), "92920102" + "920005"),
    (OrderedDict[str, int], OrderedDict(b=1, a=2), "9292a1620192a16102"),
    (Counter[str], Counter("aba"), "9292a1610292a16201"),
    (MappingProxyType[str, int], MappingProxyType({"a": 1}), "9192a16101"),
    (Any, deque([1]), "9305b1" + b"collections.deque".hex() + "920192" + "92009101" + "c0"),
    (Any, OrderedDict(a=1), "9305b7" + b"collections.OrderedDict".hex() + "92029192a16101"),
    (Any, Counter("a"), "9305b3" + b"collections.Counter".hex() + "92029192a16101"),
    (Any, MappingProxyType({"a": 1}), "9305b6" + b"types.MappingProxyType".hex() + "92029192a16101"),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), VECTORS, ids=range(len(VECTORS)))
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


# --- annotations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "same"),
    [
        (typing.Deque[int], deque[int]),  # noqa: UP006
        (typing.Deque, deque),  # noqa: UP006
        (typing.OrderedDict[str, int], OrderedDict[str, int]),
        (typing.OrderedDict, OrderedDict),
        (typing.Counter[str], Counter[str]),
        (deque[Any], deque),
        (Counter[Any], Counter),
        (MappingProxyType[Any, Any], MappingProxyType),
    ],
)
def test_a_container_of_typing_or_without_arguments_is_the_same(annotation, same):
    assert type_of(annotation) is type_of(same)


def test_the_classes_inside_are_kept_and_those_that_nothing_knows_reported():
    inference = Inference()
    assert str(inference.infer(deque[dict[str, Color | Model]])) == "deque[dict[str, Color | Opaque[Model]]]"
    assert inference.classes == {f"{__name__}:Color": Color, f"{__name__}:Model": Model}
    assert inference.unknown == [Model]
    assert mentions_opaque(type_of(deque[Opaque[Model]]))


@pytest.mark.parametrize(
    "inner", [deque[int], OrderedDict[str, int], Counter[str], MappingProxyType[str, int]], ids=str
)
def test_none_of_them_can_be_a_key_or_a_member_of_a_set(inner):
    for annotation in (
        set[inner],
        dict[inner, int],
        frozenset[tuple[int, inner]],
        Counter[inner],
        OrderedDict[inner, int],
    ):
        with pytest.raises(AnnotationError, match=r"can't be a key or a member of a set, it is not hashable"):
            type_of(annotation)


def test_what_cannot_be_hashed_is_no_key_of_them_either():
    for annotation in (Counter[list[int]], OrderedDict[dict[str, int], int], MappingProxyType[set[int], int]):
        with pytest.raises(AnnotationError, match=r"can't be a key or a member of a set, it is not hashable"):
            type_of(annotation)


# --- values -----------------------------------------------------------------------------------------------------------


def test_each_consumer_gets_a_container_of_its_own():
    codec = codec_of(MappingProxyType[str, list[int]])
    inner = {"a": [1]}
    view = codec.decode(codec.encode(MappingProxyType(inner)))
    inner["a"].append(2)
    assert view == {"a": [1]}
    with pytest.raises(TypeError):
        view["b"] = []


def test_a_bounded_deque_still_forgets():
    again = travel(deque([1, 2], maxlen=2), deque[int])
    again.append(3)
    assert list(again) == [2, 3]


def test_a_counter_still_counts():
    again = travel(Counter("ab"), Counter[str])
    again.update("a")
    assert again.most_common(1) == [("a", 2)]


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        ([1], deque[int], "expected deque[int], got list"),
        (deque([1]), list[int], "expected list[int], got deque"),
        (Line([1]), deque[int], "expected deque[int], got Line"),
        ({"a": 1}, OrderedDict[str, int], "expected OrderedDict[str, int], got dict"),
        ({"a": 1}, Counter[str], "expected Counter[str], got dict"),
        ({"a": 1}, MappingProxyType[str, int], "expected MappingProxyType[str, int], got dict"),
        (MappingProxyType({}), dict[str, int], "expected dict[str, int], got mappingproxy"),
        (OrderedDict(a=1, b="x"), OrderedDict[str, int], "['b']: expected int, got str"),
        (OrderedDict({5: 1}), OrderedDict[str, int], "key 5: expected str, got int"),
        (Counter({"a": 1.5}), Counter[str], "['a']: expected int, got float"),
        (Counter({5: 1}), Counter[str], "key 5: expected str, got int"),
        (MappingProxyType({"a": [1, None]}), MappingProxyType[str, list[int]], "['a'][1]: expected int, got None"),
        ({"q": Queue(counts=Counter({"a": None}))}, dict[str, Queue], "['q'].counts['a']: expected int, got None"),
    ],
)
def test_P4_a_mismatch_says_where_and_what(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (deque([1, "a"]), deque[int], "[1]: expected int, got str"),
        ([deque([1, 2, [None]])], list[deque[int]], "[0][2]: expected int, got list"),
        (Queue(deque([None])), Queue, "waiting[0]: expected int, got None"),
        (deque([deque([1, "a"])]), deque[deque[int]], "[0][1]: expected int, got str"),
    ],
)
def test_P4_the_path_into_a_deque_is_that_of_its_items(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (deque([1]), list[int], "expected list[int], got deque"),
        ([1], deque[int], "expected deque[int], got list"),
        (OrderedDict(a="x"), OrderedDict[str, int], "['a']: expected int, got str"),
        (Counter("a"), OrderedDict[str, int], "expected OrderedDict[str, int], got Counter"),
    ],
)
def test_P4_a_value_of_any_that_is_something_else_is_refused(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        transcode(codec_of(Any).lower(value), ANY, type_of(annotation))
    assert str(caught.value) == sentence


def test_in_a_union_a_value_takes_the_arm_that_has_its_items():
    codec = codec_of(deque[int] | deque[str] | list[int] | OrderedDict[str, int] | Counter[str] | dict[str, int])
    for value in (deque([1]), deque(["a"]), [1], OrderedDict(a=1), Counter("a"), {"a": 1}):
        assert the_same(codec.decode(codec.encode(value)), value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (deque[int] | deque[float], deque([1])),
        (deque[int] | deque[float], deque([1.5])),
        (OrderedDict[str, float] | OrderedDict[str, int], OrderedDict(a=1)),
        (MappingProxyType[str, float | None] | MappingProxyType[str, int], MappingProxyType({"a": 1})),
    ],
    ids=str,
)
def test_in_a_union_nothing_is_converted_if_an_arm_fits_exactly(annotation, value):
    assert repr(travel(value, annotation)) == repr(value)
    tree = transcode(codec_of(Any).lower(value), ANY, type_of(annotation))
    assert pack(tree) == codec_of(annotation).encode(value)


# --- what may go where ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (deque[int], list[int], "deque[int] is not list[int]"),
        (list[int], deque[int], "list[int] is not deque[int]"),
        (dict[str, int], OrderedDict[str, int], "dict[str, int] is not OrderedDict[str, int]"),
        (Counter[str], OrderedDict[str, int], "Counter[str] is not OrderedDict[str, int]"),
        (deque[int] | None, deque[int], "it may be None"),
    ],
)
def test_P3_what_may_not_be_passed_and_why(source, target, reason):
    assert why_not(type_of(source), type_of(target)) == reason


@pytest.mark.parametrize(
    ("source", "target"),
    [(deque[str], deque[int]), (Counter[int], Counter[str]), (OrderedDict[str, int], OrderedDict[str, str])],
    ids=str,
)
def test_P3_containers_of_other_items_may_not_be_passed(source, target):
    assert not assignable(type_of(source), type_of(target))


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        (deque[int], deque[int] | None, deque([1])),
        (deque[int], deque[float], deque([1])),
        (deque[int], deque, deque([1], 2)),
        (deque, deque[int], deque([1])),
        (deque[int], deque[int | None], deque([1])),
        (OrderedDict[str, int], OrderedDict[str, float], OrderedDict(a=1)),
        (OrderedDict[str, int], OrderedDict, OrderedDict(a=1)),
        (Counter[str], Counter, Counter("a")),
        (MappingProxyType[str, int], MappingProxyType[str, Any], MappingProxyType({"a": 1})),
    ],
    ids=str,
)
def test_P3_containers_go_where_their_items_go(source, target, value):
    given, wanted = codec_of(source), codec_of(target)
    assert why_not(given.type, wanted.type) is None
    assert pack(transcode(given.lower(value), given.type, wanted.type)) == wanted.encode(value)


# --- text, JSON, and what others wrote --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ('{"b": 1, "a": 2}', OrderedDict[str, int], OrderedDict(b=1, a=2)),
        ('{"a": 2}', Counter[str], Counter("aa")),
        ('{"a": 2}', MappingProxyType[str, float], MappingProxyType({"a": 2.0})),
        ("[[[1, 2], 5]]", OrderedDict[tuple[int, int], int], OrderedDict({(1, 2): 5})),
    ],
)
def test_a_text_is_read_as_its_type(text, annotation, value):
    codec = codec_of(annotation)
    assert the_same(codec.lift_tree(parse_text(text, codec.type)), value)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ({"a": "x"}, Counter[str]),
        ({"a": 1.5}, Counter[str]),
        ([1], OrderedDict[str, int]),
        ({"a": 1}, deque[int]),
        (5, deque[int]),
        (None, MappingProxyType[str, int]),
    ],
)
def test_a_json_value_that_does_not_fit_is_a_parse_error(value, annotation):
    with pytest.raises(ParseError):
        parse_json(value, type_of(annotation))


def test_T1_reading_and_showing_need_none_of_the_authors_classes():
    color = EnumType("no_such_module:Color", (("RED", "r"), ("BLUE", 2)))
    queue = NamedType("collections.deque", TupleType((ListType(color), union([INT, NONE]))))
    assert str(queue) == "deque[Color]"
    tree = [["RED"], [1, None]]
    assert parse_json(to_json(tree, queue), queue) == tree


@pytest.mark.parametrize(
    ("annotation", "tree"),
    [
        (deque[int], 5),
        (deque[int], [1, 2, 3]),
        (deque[int], [[1], [0, "a"]]),
        (deque[int], [[1], [0, -1]]),
        (deque[int], [[1], [9, None]]),
        (deque[int], [[1]]),
        (OrderedDict[str, int], 5),
        (OrderedDict[str, int], [["a"]]),
        (OrderedDict[str, int], [[["a"], 1]]),
        (Counter[str], [1]),
        (MappingProxyType[str, int], "ab"),
        (Any, [5, "collections.deque", 5]),
        (Any, [5, "collections.deque", [1, [[0, [1]], -1]]]),
        (Any, [5, "collections.Counter", [0, [1]]]),
        (Any, [5, "types.MappingProxyType", None]),
    ],
)
def test_T1_a_tree_that_is_no_value_is_a_format_error(annotation, tree):
    with pytest.raises(FormatError):
        codec_of(annotation).decode(pack(tree))


@pytest.mark.parametrize(
    "name",
    ["collections.deque", "collections.OrderedDict", "collections.Counter", "types.MappingProxyType", "re.Pattern"],
)
def test_T1_a_family_over_another_type_than_its_own_is_refused_or_can_be_printed(name):
    for wire in (3, 0, [10, 3], [12, []], [12, [3]], [11, 3, 5]):
        try:
            type_ = type_from_bytes(pack([21, name, wire]))
        except FormatError:
            continue
        assert str(type_)
        assert not assignable(type_, INT)


@pytest.mark.parametrize("annotation", [a for a, _ in GOLDEN_TYPES], ids=[str(type_of(a)) for a, _ in GOLDEN_TYPES])
def test_T1_a_type_with_a_byte_changed_is_another_type_or_a_format_error(annotation):
    whole = type_bytes(type_of(annotation))
    for at in range(len(whole)):
        for byte in (0x00, 0x03, 0x0A, 0x15, 0x90, 0x91, 0x92, 0xA1, 0xC0, 0xFF):
            try:
                found = type_from_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            except FormatError:
                continue
            assert str(found)
