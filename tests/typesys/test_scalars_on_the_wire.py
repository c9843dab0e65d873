"""Scalars, enums and literals: what goes in comes out, of the same class."""

import enum
import math
import struct
from typing import Literal

import pytest

from promissory.typesys import FormatError, TypeMismatch, codec_of


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Color(enum.StrEnum):
    RED = "r"
    ALSO_RED = "r"


class Money(enum.Enum):
    EURO = (1, "€")


class Meters(int):
    pass


class Name(str):
    pass


class Blob(bytes):
    pass


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


SCALARS = [
    (bool, [True, False]),
    (int, [0, -1, 127, 128, 255, 256, -32, -33, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]),
    (int, [2**64, -(2**63) - 1, 2**70, -(2**70), 2**127, -(2**127), 2**128 - 1, 10**5000, -(10**5000)]),
    (float, [0.0, 1.5, -1.5, math.inf, -math.inf, 5e-324, 1.7976931348623157e308]),
    (str, ["", "a", "é", "\U0001f600", "\ud800", "a\udfffb", "\0", "x" * 70000]),
    (bytes, [b"", b"\0", b"\xff" * 70000]),
    (type(None), [None]),
]


@pytest.mark.parametrize(
    ("annotation", "values"), SCALARS, ids=[f"{i}-{a.__name__}" for i, (a, _) in enumerate(SCALARS)]
)
def test_a_scalar_comes_back_equal_and_of_its_class(annotation, values):
    for value in values:
        again = travel(value, annotation)
        assert again == value
        assert type(again) is annotation


def test_minus_zero_stays_minus_zero():
    assert math.copysign(1, travel(-0.0, float)) == -1
    assert math.copysign(1, travel([-0.0], list[float])[0]) == -1


def test_every_nan_has_the_same_bytes():
    negative = struct.unpack(">d", bytes.fromhex("fff8000000000000"))[0]
    payload = struct.unpack(">d", bytes.fromhex("7ff8000000001234"))[0]
    for wrap, annotation in (
        (lambda x: x, float),
        (lambda x: [x], list[float]),
        (lambda x: {"k": x}, dict[str, float]),
    ):
        codec = codec_of(annotation)
        assert codec.encode(wrap(negative)) == codec.encode(wrap(payload)) == codec.encode(wrap(math.nan))
    assert math.isnan(travel(payload, float))


def test_every_nan_has_the_same_bytes_as_a_key_in_a_set_and_in_any():
    from typing import Any

    payload = struct.unpack(">d", bytes.fromhex("7ff8000000001234"))[0]
    for wrap, annotation in (
        (lambda x: {x: 1}, dict[float, int]),
        (lambda x: {x}, set[float]),
        (lambda x: (x, 1), tuple[float, int]),
        (lambda x: x, Any),
        (lambda x: [x], list[Any]),
        (lambda x: x, float | None),
    ):
        assert codec_of(annotation).encode(wrap(payload)) == codec_of(annotation).encode(wrap(math.nan))


def test_an_int_where_a_float_is_wanted_becomes_that_float():
    assert codec_of(float).encode(3) == codec_of(float).encode(3.0)
    assert type(travel(3, float)) is float
    assert type(travel([1, 2.0], list[float])[0]) is float


def test_an_int_too_large_for_a_float_is_refused():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(float).encode(10**400)
    assert str(caught.value) == "expected float, got an int too large for one"


def test_an_instance_of_a_subclass_travels_as_the_plain_class():
    assert type(travel(Meters(5), int)) is int
    assert type(travel(Name("n"), str)) is str
    assert type(travel(Blob(b"b"), bytes)) is bytes
    assert travel([Meters(5), Meters(2**70)], list[int]) == [5, 2**70]


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (int, True, "expected int, got bool"),
        (int, 1.0, "expected int, got float"),
        (int, "1", "expected int, got str"),
        (int, None, "expected int, got None"),
        (float, True, "expected float, got bool"),
        (float, "1.0", "expected float, got str"),
        (bool, 1, "expected bool, got int"),
        (str, b"a", "expected str, got bytes"),
        (bytes, "a", "expected bytes, got str"),
        (bytes, bytearray(b"a"), "expected bytes, got bytearray"),
        (type(None), 0, "expected None, got int"),
        (Literal["a", "b"], "c", "expected Literal['a', 'b'], got 'c'"),
        (Literal[1], True, "expected Literal[1], got True"),
        (Literal[True], 1, "expected Literal[True], got 1"),
        (Literal[1], 1.0, "expected Literal[1], got 1.0"),
        (Literal["a"], ["a"], "expected Literal['a'], got ['a']"),
        (Level, 1, "expected Level, got int"),
        (Level, Money.EURO, "expected Level, got Money"),
        (Literal[Level.LOW], Level.HIGH, "expected one of LOW, got HIGH"),
    ],
)
def test_P4_a_scalar_of_another_class_is_refused(annotation, value, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


def test_a_literal_comes_back_of_its_own_class():
    for value in (1, True, "1", b"1", None):
        again = travel(value, Literal[1, True, "1", b"1", None])
        assert again == value
        assert type(again) is type(value)


def test_an_enum_member_travels_by_name_and_comes_back_the_same_object():
    for member in (*Level, *Color, *Money):
        assert travel(member, type(member)) is member
    assert travel(Color.ALSO_RED, Color) is Color.RED


def test_a_member_that_the_enum_no_longer_has_is_a_format_error():
    with pytest.raises(FormatError):
        codec_of(Level).decode(codec_of(str).encode("MIDDLE"))
