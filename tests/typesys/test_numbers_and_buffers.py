"""Decimals, fractions, complex numbers, UUIDs, ranges and buffers of bytes."""

import math
from array import array
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid5

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
from promissory.typesys.canonical import pack, unpack_canonical
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY
from promissory.typesys.wire import codec_for

ID = UUID("12345678-1234-5678-1234-567812345678")


class Money(Decimal):
    pass


class Window(bytearray):
    pass


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


VALUES = [
    (Decimal, Decimal("0")),
    (Decimal, Decimal("-0")),
    (Decimal, Decimal("0E+5")),
    (Decimal, Decimal("1.0")),
    (Decimal, Decimal("1.00")),
    (Decimal, Decimal("-12345678901234567890.123456789")),
    (Decimal, Decimal("1E+999999")),
    (Decimal, Decimal("1E-999999")),
    (Decimal, Decimal("Infinity")),
    (Decimal, Decimal("-Infinity")),
    (Fraction, Fraction(0)),
    (Fraction, Fraction(7)),
    (Fraction, Fraction(-1, 3)),
    (Fraction, Fraction(2**70, 3**50)),
    (complex, 0j),
    (complex, 1.5 - 2j),
    (complex, complex(math.inf, -math.inf)),
    (UUID, ID),
    (UUID, uuid5(ID, "x")),
    (UUID, UUID(int=0)),
    (range, range(0)),
    (range, range(5)),
    (range, range(10, -10, -3)),
    (range, range(2**70, 2**71, 2**69)),
    (bytearray, bytearray()),
    (bytearray, bytearray(b"\x00\xff")),
    (memoryview, memoryview(b"")),
    (memoryview, memoryview(b"\x00\xff")),
]
IDS = [f"{i}-{a.__name__}" for i, (a, _) in enumerate(VALUES)]


def the_same(again, value):
    same_sign = not isinstance(value, complex) or repr(again) == repr(value)
    exact = not isinstance(value, Decimal) or again.as_tuple() == value.as_tuple()
    bounds = not isinstance(value, range) or repr(again) == repr(value)
    return type(again) is type(value) and again == value and same_sign and exact and bounds


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_and_of_its_class(annotation, value):
    assert the_same(travel(value, annotation), value)
    assert the_same(travel(value, Any), value)
    assert the_same(travel(value, annotation | None), value)
    assert the_same(travel([value, value], list[annotation])[1], value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_goes_to_any_and_back_without_its_class(annotation, value):
    codec = codec_of(annotation)
    there = transcode(codec.lower(value), codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_is_shown_as_json_and_read_back(annotation, value):
    codec = codec_of(annotation)
    assert pack(parse_json(to_json(codec.lower(value), codec.type), codec.type)) == codec.encode(value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_is_checked_and_canonical_and_fits_its_type(annotation, value):
    check(value, annotation)
    assert fits(unpack_canonical(codec_of(annotation).encode(value), "a value"), type_of(annotation))


FAMILIES = sorted({annotation for annotation, _ in VALUES}, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("annotation", FAMILIES, ids=[cls.__name__ for cls in FAMILIES])
def test_a_type_is_printed_as_its_class_and_read_back_from_its_bytes(annotation):
    type_ = type_of(annotation)
    assert str(type_) == annotation.__name__
    assert type_from_bytes(type_bytes(type_)) == type_
    assert codec_for(type_from_bytes(type_bytes(type_))).type == type_


GOLDEN_TYPES = [
    (Decimal, "9315af" + b"decimal.Decimal".hex() + "05"),
    (Fraction, "9315b2" + b"fractions.Fraction".hex() + "05"),
    (complex, "9315a7" + b"complex".hex() + "920c920404"),
    (UUID, "9315a9" + b"uuid.UUID".hex() + "05"),
    (range, "9315a5" + b"range".hex() + "920c93030303"),
    (bytearray, "9315a9" + b"bytearray".hex() + "06"),
    (memoryview, "9315aa" + b"memoryview".hex() + "06"),
]


@pytest.mark.parametrize(("annotation", "expected"), GOLDEN_TYPES, ids=[cls.__name__ for cls, _ in GOLDEN_TYPES])
def test_a_type_has_these_bytes_and_no_others(annotation, expected):
    assert type_bytes(type_of(annotation)).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_of(annotation)


VECTORS = [
    (Decimal, Decimal("1.0"), "a3" + b"1.0".hex()),
    (Decimal, Decimal("1.00"), "a4" + b"1.00".hex()),
    (Decimal, Decimal("-0"), "a2" + b"-0".hex()),
    (Decimal, Decimal("NaN"), "a3" + b"NaN".hex()),
    (Decimal, Decimal("-sNaN12"), "a7" + b"-sNaN12".hex()),
    (Decimal, Decimal("-Infinity"), "a9" + b"-Infinity".hex()),
    (Decimal, Decimal("1e10"), "a5" + b"1E+10".hex()),
    (Fraction, Fraction(2, -4), "a4" + b"-1/2".hex()),
    (Fraction, Fraction(7), "a1" + b"7".hex()),
    (complex, 1 - 2j, "92cb3ff0000000000000cbc000000000000000"),
    (complex, complex(math.nan, -0.0), "92cb7ff8000000000000cb8000000000000000"),
    (UUID, ID, "d924" + b"12345678-1234-5678-1234-567812345678".hex()),
    (range, range(5), "93000501"),
    (range, range(10, -1, -2), "930afffe"),
    (bytearray, bytearray(b"\x00\xff"), "c40200ff"),
    (memoryview, memoryview(b"\x00\xff"), "c40200ff"),
    (dict[Decimal, range], {Decimal("0.5"): range(1)}, "9192a3" + b"0.5".hex() + "93000101"),
    (set[UUID], {ID}, "91d924" + b"12345678-1234-5678-1234-567812345678".hex()),
    (frozenset[Fraction], frozenset({Fraction(1, 2), Fraction(1, 3)}), "92a3" + b"1/2".hex() + "a3" + b"1/3".hex()),
    (int | Decimal, Decimal(5), "9201a135"),
    (Any, Decimal("1.5"), "9305af" + b"decimal.Decimal".hex() + "a3" + b"1.5".hex()),
    (Any, 1j, "9305a7" + b"complex".hex() + "920192cb0000000000000000cb3ff0000000000000"),
    (Any, range(3), "9305a5" + b"range".hex() + "920193000301"),
    (Any, bytearray(b"a"), "9305a9" + b"bytearray".hex() + "c40161"),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), VECTORS, ids=range(len(VECTORS)))
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


# --- what is the same, and what is not --------------------------------------------------------------------------------


def test_a_decimal_keeps_its_exponent():
    codec = codec_of(Decimal)
    assert codec.encode(Decimal("1.0")) != codec.encode(Decimal("1.00"))
    assert codec.encode(Decimal("1.0")) == codec.encode(Decimal((0, (1, 0), -1)))


def test_a_decimal_that_is_no_number_keeps_what_it_says():
    for text in ("NaN", "-NaN", "NaN123", "sNaN", "-sNaN7"):
        assert travel(Decimal(text), Decimal).as_tuple() == Decimal(text).as_tuple()


def test_equal_fractions_have_equal_bytes():
    assert codec_of(Fraction).encode(Fraction(2, 4)) == codec_of(Fraction).encode(Fraction("0.5"))


def test_every_nan_in_a_complex_number_is_the_same():
    codec = codec_of(complex)
    assert codec.encode(complex(-math.nan, 1)) == codec.encode(complex(math.nan, 1))
    assert math.isnan(travel(complex(math.nan, 1), complex).real)


def test_a_uuid_has_one_text():
    codec = codec_of(UUID)
    for spelling in (str(ID).upper(), f"{{{ID}}}", f"urn:uuid:{ID}", ID.hex):
        assert codec.encode(UUID(spelling)) == codec.encode(ID)
        assert parse_json(spelling, codec.type) == str(ID)


def test_a_range_keeps_its_bounds_though_python_calls_it_equal_to_others():
    assert range(0, 3, 2) == range(0, 4, 2)
    assert repr(travel(range(0, 4, 2), range)) == "range(0, 4, 2)"


def test_X1_each_consumer_gets_a_bytearray_of_its_own_that_can_be_written():
    codec = codec_of(bytearray)
    mine = bytearray(b"abc")
    data = codec.encode(mine)
    first, second = codec.decode(data), codec.decode(data)
    first[0] = 0
    assert (bytes(second), bytes(mine), data) == (b"abc", b"abc", codec.encode(mine))


def test_a_memoryview_of_a_part_is_written_as_that_part():
    whole = memoryview(b"0123456789")
    assert bytes(travel(whole[2:8:3], memoryview)) == b"25"


def test_a_memoryview_of_other_items_than_bytes_comes_back_equal_or_is_refused():
    view = memoryview(array("i", [1, 2]))
    try:
        again = travel(view, memoryview)
    except TypeMismatch:
        return
    assert again == view


# --- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (1, Decimal, "expected Decimal, got int"),
        (1.5, Decimal, "expected Decimal, got float"),
        ("1.5", Decimal, "expected Decimal, got str"),
        (Money("1.5"), Decimal, "expected Decimal, got Money"),
        (Decimal(1), Fraction, "expected Fraction, got Decimal"),
        (Decimal(1), float, "expected float, got Decimal"),
        (Fraction(1), float, "expected float, got Fraction"),
        (1.0, complex, "expected complex, got float"),
        (str(ID), UUID, "expected UUID, got str"),
        ([0, 1, 2], range, "expected range, got list"),
        (range(3), list[int], "expected list[int], got range"),
        (b"a", bytearray, "expected bytearray, got bytes"),
        (bytearray(b"a"), bytes, "expected bytes, got bytearray"),
        (Window(b"a"), bytearray, "expected bytearray, got Window"),
        (b"a", memoryview, "expected memoryview, got bytes"),
        ([Decimal(1), 2], list[Decimal], "[1]: expected Decimal, got int"),
        ({"price": [1.5]}, dict[str, list[Decimal]], "['price'][0]: expected Decimal, got float"),
        ({Decimal(1): 1, 2: 1}, dict[Decimal, int], "key 2: expected Decimal, got int"),
        (None, Decimal | int, "expected int | Decimal, got None"),
    ],
)
def test_P4_another_class_is_refused_with_its_path(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence
    with pytest.raises(TypeMismatch):
        check(value, annotation)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (int, Decimal, "int is not Decimal"),
        (Decimal, float, "Decimal is not float"),
        (float, complex, "float is not complex"),
        (Fraction, Decimal, "Fraction is not Decimal"),
        (str, UUID, "str is not UUID"),
        (range, list[int], "range is not list[int]"),
        (bytes, bytearray, "bytes is not bytearray"),
        (bytearray, bytes, "bytearray is not bytes"),
        (Decimal | None, Decimal, "it may be None"),
        (list[Decimal], list[Fraction], "its items: Decimal is not Fraction"),
    ],
)
def test_P3_what_may_not_be_passed_and_why(source, target, reason):
    assert why_not(type_of(source), type_of(target)) == reason


@pytest.mark.parametrize("annotation", FAMILIES, ids=[cls.__name__ for cls in FAMILIES])
def test_P3_each_may_be_passed_as_itself_as_any_and_as_optional(annotation):
    for target in (annotation, Any, annotation | None, annotation | str):
        assert assignable(type_of(annotation), type_of(target))
        assert assignable(type_of(list[annotation]), type_of(list[target]))


@pytest.mark.parametrize("annotation", FAMILIES, ids=[cls.__name__ for cls in FAMILIES])
def test_what_python_can_hash_may_be_a_key_and_the_rest_is_refused(annotation):
    if not issubclass(annotation, Hashable):
        for container in (
            set[annotation],
            dict[annotation, int],
            frozenset[tuple[int, annotation]],
            dict[annotation | None, int],
        ):
            with pytest.raises(
                AnnotationError, match="bytearray can't be a key or a member of a set, it is not hashable"
            ):
                type_of(container)
        return
    values = [value for cls, value in VALUES if cls is annotation]
    assert travel(set(values), set[annotation]) == set(values)
    assert travel(dict.fromkeys(values, 1), dict[annotation, int]) == dict.fromkeys(values, 1)
    assert travel({(1, value) for value in values}, set[tuple[int, annotation]]) == {(1, value) for value in values}


def test_in_a_union_a_value_takes_the_arm_of_its_class():
    annotation = bool | int | float | complex | Decimal | Fraction | str | bytes | bytearray | UUID | range | None
    for value in (True, 1, 1.0, 1j, Decimal(1), Fraction(1), "1", b"1", bytearray(b"1"), ID, range(1), None):
        again = travel(value, annotation)
        assert (again, type(again)) == (value, type(value))
        tree = transcode(codec_of(Any).lower(value), ANY, type_of(annotation))
        assert pack(tree) == codec_of(annotation).encode(value)


# --- text and JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("1.50", Decimal, Decimal("1.50")),
        ("-1e3", Decimal, Decimal("-1E+3")),
        ("Infinity", Decimal, Decimal("Infinity")),
        ("1/3", Fraction, Fraction(1, 3)),
        ("-7", Fraction, Fraction(-7)),
        (str(ID), UUID, ID),
        ("[0, 10, 2]", range, range(0, 10, 2)),
        ("[1, -2.5]", complex, 1 - 2.5j),
        ("1.5", Decimal | str, Decimal("1.5")),
        ("", Decimal | None, None),
    ],
)
def test_a_text_is_read_as_its_type(text, annotation, value):
    codec = codec_of(annotation)
    again = codec.lift_tree(parse_text(text, codec.type))
    assert (again, type(again), str(again)) == (value, type(value), str(value))


def test_a_text_is_written_as_the_encoder_writes_its_value():
    for text, annotation, tree in (
        (" 1.0 ", Decimal, "1.0"),
        ("1e5", Decimal, "1E+5"),
        ("2/4", Fraction, "1/2"),
        ("0.5", Fraction, "1/2"),
    ):
        assert parse_text(text, type_of(annotation)) == tree


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        ("x", Fraction, "value: 'x' is not a Fraction: Invalid literal for Fraction: 'x'"),
        ("x", UUID, "value: 'x' is not a UUID: badly formed hexadecimal UUID string"),
        ([0, 1, 0], range, "value: [0, 1, 0] is not a range: range() arg 3 must not be zero"),
        ([0, 1], range, "value: [0, 1] is not a range"),
        ([0, "1", 1], range, "value: [0, '1', 1] is not a range"),
        ([1], complex, "value: [1] is not a complex"),
        (1.5, Decimal, "value: 1.5 is not a Decimal"),
        ("!", bytearray, "value: '!' is not a bytearray"),
        ({"a": ["x"]}, dict[str, list[UUID]], "['a'][0]: 'x' is not a UUID: badly formed hexadecimal UUID string"),
    ],
)
def test_a_json_value_that_does_not_fit_is_refused_with_the_reason(value, annotation, sentence):
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(annotation))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "annotation"), [("abc", Decimal), ("", Decimal), ("1.5.5", Decimal), ("1/0", Fraction), ("", Fraction)]
)
def test_a_text_that_is_no_number_is_a_parse_error(text, annotation):
    for read in (parse_text, parse_json):
        with pytest.raises(ParseError) as caught:
            read(text, type_of(annotation))
        assert str(caught.value).startswith(f"value: {text!r} is not a {annotation.__name__}")


def test_a_text_that_is_no_number_is_the_other_arm_of_a_union():
    codec = codec_of(Decimal | str)
    assert codec.lift_tree(parse_text("abc", codec.type)) == "abc"
    assert codec.lift_tree(parse_text("1.0", codec.type)) == Decimal("1.0")


# --- bytes that are no value ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "tree"),
    [
        (Decimal, "abc"),
        (Decimal, None),
        (Decimal, [1, 2, 3]),
        (Fraction, "1/0"),
        (Fraction, "x"),
        (complex, [1.0]),
        (complex, ["1", 2.0]),
        (complex, 5),
        (UUID, "x"),
        (UUID, b"x"),
        (range, [0, 1, 0]),
        (range, [0, 1]),
        (range, ["a", "b", "c"]),
        (bytearray, [300]),
        (bytearray, "text"),
        (memoryview, 5),
    ],
)
def test_T1_a_tree_that_is_no_value_is_a_format_error(annotation, tree):
    with pytest.raises(FormatError):
        codec_of(annotation).decode(pack(tree))
    with pytest.raises(FormatError):
        codec_of(list[annotation]).decode(pack([tree]))


def test_T1_no_few_bytes_become_a_large_buffer():
    for annotation, tree in ((bytearray, 10**6), (Any, [5, "bytearray", 10**6])):
        with pytest.raises(FormatError):
            codec_of(annotation).decode(pack(tree))
    with pytest.raises(FormatError):
        codec_for(type_from_bytes(pack([21, "bytearray", 3]))).decode(pack(10**6))


def test_T1_no_few_bytes_become_a_large_number():
    for annotation, tree in ((Fraction, "1e5000"), (Any, [5, "fractions.Fraction", "1e5000"])):
        with pytest.raises(FormatError):
            codec_of(annotation).decode(pack(tree))
    with pytest.raises(ParseError):
        parse_json("1e5000", type_of(Fraction))
