"""Regular expressions, time zones and offsets."""

import re
import typing
import zoneinfo
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any, AnyStr
from zoneinfo import ZoneInfo

import pytest

from promissory.typesys import FormatError, ParseError, TypeMismatch, check, codec_of, type_of, why_not
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.parse import parse_json, parse_text
from promissory.typesys.transcode import fits, transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import ANY

BERLIN = ZoneInfo("Europe/Berlin")


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


VALUES = [
    (re.Pattern, re.compile("")),
    (re.Pattern, re.compile(r"(?P<year>\d+)-\d", re.IGNORECASE | re.MULTILINE)),
    (re.Pattern, re.compile(rb"\xff", re.DOTALL)),
    (re.Pattern[str], re.compile("a", re.ASCII)),
    (re.Pattern[str], re.compile("(?ix) a ")),
    (re.Pattern[bytes], re.compile(rb"\xff\d", re.LOCALE)),
    (ZoneInfo, BERLIN),
    (ZoneInfo, ZoneInfo("UTC")),
    (timezone, UTC),
    (timezone, timezone(timedelta(0), "UTC")),
    (timezone, timezone(timedelta(hours=-5, minutes=-30))),
    (timezone, timezone(timedelta(hours=1), "CET")),
    (timezone, timezone(timedelta(hours=1, minutes=2, seconds=3, microseconds=4))),
    (timezone, timezone.min),
    (timezone, timezone.max),
]
IDS = [f"{i}-{type_of(a)}" for i, (a, _) in enumerate(VALUES)]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_comes_back_equal_and_of_its_class(annotation, value):
    for wanted in (annotation, Any, annotation | None):
        again = travel(value, wanted)
        assert again == value
        assert (type(again), repr(again)) == (type(value), repr(value))
    assert travel({value: value}, dict[annotation, annotation]) == {value: value}
    assert travel({value}, set[annotation]) == {value}


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=IDS)
def test_a_value_goes_to_any_and_back_and_to_json_and_back(annotation, value):
    codec = codec_of(annotation)
    tree = codec.lower(value)
    there = transcode(tree, codec.type, ANY)
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, ANY, codec.type)) == codec.encode(value)
    if (
        annotation is not re.Pattern
    ):  # in JSON text and bytes look alike: the type has to say which of them the pattern is of
        assert pack(parse_json(to_json(tree, codec.type), codec.type)) == codec.encode(value)
    assert fits(unpack(pack(tree)), codec.type)
    check(value, annotation)


GOLDEN_TYPES = [
    (re.Pattern, "Pattern[str | bytes]", "9315aa" + b"re.Pattern".hex() + "920c9292109205" + "06" + "03"),
    (re.Pattern[str], "Pattern[str]", "9315aa" + b"re.Pattern".hex() + "920c920503"),
    (re.Pattern[bytes], "Pattern[bytes]", "9315aa" + b"re.Pattern".hex() + "920c920603"),
    (ZoneInfo, "ZoneInfo", "9315b1" + b"zoneinfo.ZoneInfo".hex() + "05"),
    (timezone, "timezone", "9315b1" + b"datetime.timezone".hex() + "920c920392109205" + "01"),
]


@pytest.mark.parametrize(("annotation", "text", "expected"), GOLDEN_TYPES, ids=[text for _, text, _ in GOLDEN_TYPES])
def test_a_type_has_this_text_and_these_bytes_and_no_others(annotation, text, expected):
    assert str(type_of(annotation)) == text
    assert type_bytes(type_of(annotation)).hex() == expected
    assert type_from_bytes(bytes.fromhex(expected)) == type_of(annotation)


VECTORS = [
    (re.Pattern, re.compile("a", re.IGNORECASE), "929200a16122"),
    (re.Pattern, re.compile(b"a"), "929201c4016100"),
    (re.Pattern[str], re.compile("a"), "92a16120"),
    (ZoneInfo, BERLIN, "ad" + b"Europe/Berlin".hex()),
    (timezone, UTC, "92009201c0"),
    (timezone, timezone(timedelta(seconds=1), "X"), "92ce000f42409200a158"),
    (timezone, timezone(timedelta(seconds=-1)), "92d2fff0bdc09201c0"),
    (Any, BERLIN, "9305b1" + b"zoneinfo.ZoneInfo".hex() + "ad" + b"Europe/Berlin".hex()),
    (Any, UTC, "9305b1" + b"datetime.timezone".hex() + "92019200c0"),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), VECTORS, ids=range(len(VECTORS)))
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    assert codec.encode(codec.decode(bytes.fromhex(expected))).hex() == expected


def test_a_pattern_of_typing_is_the_same():
    assert type_of(typing.Pattern[str]) == type_of(re.Pattern[str])
    assert type_of(re.Pattern[AnyStr]) == type_of(re.Pattern[Any]) == type_of(re.Pattern)


def test_equal_patterns_have_equal_bytes_and_other_flags_other_bytes():
    codec = codec_of(re.Pattern)
    assert codec.encode(re.compile("a")) == codec.encode(re.compile("a", re.UNICODE))
    assert codec.encode(re.compile("a")) != codec.encode(re.compile("a", re.ASCII))
    assert codec.encode(re.compile("a")) != codec.encode(re.compile(b"a"))


def test_a_zone_comes_back_as_that_zone():
    assert travel(BERLIN, ZoneInfo) is BERLIN
    assert travel(UTC, timezone) is UTC


def test_a_zone_made_of_a_file_is_refused():
    found = [path for folder in zoneinfo.TZPATH if (path := Path(folder) / "Europe" / "Berlin").exists()]
    if not found:
        pytest.skip("this system has no files of time zones")
    with found[0].open("rb") as file:
        nameless = ZoneInfo.from_file(file)
    for annotation in (ZoneInfo, Any):
        with pytest.raises(TypeMismatch) as caught:
            codec_of(annotation).encode(nameless)
        assert str(caught.value) == "a ZoneInfo that was made of a file has no key to travel by"


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        ("a", re.Pattern, "expected Pattern[str | bytes], got str"),
        ("a", re.Pattern[str], "expected Pattern[str], got str"),
        ("Europe/Berlin", ZoneInfo, "expected ZoneInfo, got str"),
        (UTC, ZoneInfo, "expected ZoneInfo, got timezone"),
        (BERLIN, timezone, "expected timezone, got ZoneInfo"),
        ([UTC, None], list[timezone], "[1]: expected timezone, got None"),
    ],
)
def test_P4_another_class_is_refused(value, annotation, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


def test_P4_a_pattern_of_bytes_is_no_pattern_of_text():
    with pytest.raises(TypeMismatch, match="expected str, got bytes"):
        codec_of(re.Pattern[str]).encode(re.compile(b"a"))
    assert why_not(type_of(re.Pattern[bytes]), type_of(re.Pattern[str])) is not None


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("Europe/Berlin", ZoneInfo, BERLIN),
        ("[3600000000, null]", timezone, timezone(timedelta(hours=1))),
        ('[3600000000, "CET"]', timezone, timezone(timedelta(hours=1), "CET")),
        ('["a+", 0]', re.Pattern, re.compile("a+")),
        ('["a+", 2]', re.Pattern[str], re.compile("a+", re.IGNORECASE)),
    ],
)
def test_a_text_is_read_as_its_type(text, annotation, value):
    codec = codec_of(annotation)
    assert codec.lift_tree(parse_text(text, codec.type)) == value


def test_what_was_typed_is_written_as_the_encoder_writes_its_value():
    assert parse_json(["a", 0], type_of(re.Pattern[str])) == ["a", 32]


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ("Nowhere/At_All", ZoneInfo),
        ("../etc/passwd", ZoneInfo),
        ("/etc/passwd", ZoneInfo),
        ("", ZoneInfo),
        ("Europe", ZoneInfo),
        (5, ZoneInfo),
        ([10**20, None], timezone),
        ([86_400_000_000, None], timezone),
        ([0], timezone),
        (["(", 0], re.Pattern),
        (["a", 10**30], re.Pattern),
        (["a"], re.Pattern),
        (["a", None], re.Pattern),
    ],
)
def test_a_json_value_that_does_not_fit_is_a_parse_error(value, annotation):
    with pytest.raises(ParseError):
        parse_json(value, type_of(annotation))
    with pytest.raises(ParseError):
        parse_json([value], type_of(list[annotation]))


@pytest.mark.parametrize(
    ("annotation", "tree"),
    [
        (ZoneInfo, "Nowhere/At_All"),
        (ZoneInfo, "../x"),
        (ZoneInfo, "Europe"),
        (ZoneInfo, 5),
        (timezone, [10**20, [1, None]]),
        (timezone, [0]),
        (timezone, ["a", [1, None]]),
        (re.Pattern[str], ["(", 0]),
        (re.Pattern[str], ["a", 2**40]),
        (re.Pattern[str], [5, 0]),
        (re.Pattern, [[0, "a"]]),
        (re.Pattern, [[7, "a"], 0]),
    ],
)
def test_T1_a_tree_that_is_no_value_is_a_format_error(annotation, tree):
    with pytest.raises(FormatError):
        codec_of(annotation).decode(pack(tree))
