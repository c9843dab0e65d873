"""Dates, times, durations and paths."""

from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from promissory.typesys import FormatError, TypeMismatch, codec_of, type_of
from promissory.typesys.canonical import unpack
from promissory.typesys.parse import parse_json

BERLIN = ZoneInfo("Europe/Berlin")


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


def said(value):
    return repr(value), getattr(value, "fold", None)


VALUES = [
    (datetime, datetime(2024, 2, 29, 12, 30, 15, 123456)),
    (datetime, datetime.min),
    (datetime, datetime.max),
    (datetime, datetime(2024, 10, 27, 2, 30, fold=1)),
    (datetime, datetime(2024, 1, 1, tzinfo=timezone.utc)),  # noqa: UP017
    (datetime, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))),
    (datetime, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1, minutes=2, seconds=3, microseconds=4)))),
    (datetime, datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)),
    (datetime, datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)),
    (datetime, datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN)),  # a time that the clock jumped over
    (datetime, datetime(1880, 1, 1, tzinfo=BERLIN)),  # local mean time, an offset with seconds
    (datetime, datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))),
    (date, date(2024, 2, 29)),
    (date, date.min),
    (date, date.max),
    (time, time(23, 59, 59, 999999)),
    (time, time.min),
    (time, time(2, 30, fold=1)),
    (time, time(2, 30, tzinfo=timezone(timedelta(hours=2)))),
    (time, time(2, 30, tzinfo=BERLIN)),
    (timedelta, timedelta(0)),
    (timedelta, timedelta.min),
    (timedelta, timedelta.max),
    (timedelta, timedelta(microseconds=-1)),
    (timedelta, timedelta(days=-1, seconds=1, microseconds=1)),
    (Path, Path("a/b.txt")),
    (Path, Path("/")),
    (Path, Path(".")),
    (Path, Path("a\udcff b/ü")),
    (PurePath, PurePath("x/../y")),
]


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=[f"{i}-{a.__name__}" for i, (a, _) in enumerate(VALUES)])
def test_a_time_or_path_comes_back_as_it_was(annotation, value):
    assert said(travel(value, annotation)) == said(value)
    assert said(travel(value, Any)) == said(value)
    assert said(travel({value: value}, dict[annotation, annotation])[value]) == said(value)


def test_a_time_is_written_as_iso_text_with_its_zone():
    codec = codec_of(datetime)
    moment = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)
    assert unpack(codec.encode(moment)) == "2024-10-27T02:30:00+01:00[Europe/Berlin][fold=1]"
    assert unpack(codec_of(timedelta).encode(timedelta(minutes=1))) == 60_000_000


def test_a_zone_comes_back_as_that_zone_and_not_as_its_offset():
    assert travel(datetime(2024, 7, 1, tzinfo=BERLIN), datetime).tzinfo is BERLIN


@pytest.mark.parametrize(
    ("annotation", "value", "sentence"),
    [
        (date, datetime(2024, 1, 1), "expected date, got datetime"),
        (datetime, date(2024, 1, 1), "expected datetime, got date"),
        (datetime, "2024-01-01", "expected datetime, got str"),
        (timedelta, 5, "expected timedelta, got int"),
        (Path, "a/b", "expected Path, got str"),
    ],
)
def test_P4_another_class_is_refused(annotation, value, sentence):
    with pytest.raises(TypeMismatch) as caught:
        codec_of(annotation).encode(value)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("annotation", [datetime, date, time])
@pytest.mark.parametrize(
    "text", ["", "soon", "2024-13-01", "25:00", "2024-01-01T00:00:00[Nowhere/At_All]", "[", "[fold=1]"]
)
def test_a_text_that_is_no_time_is_a_format_error(annotation, text):
    with pytest.raises(FormatError):
        codec_of(annotation).decode(codec_of(str).encode(text))


def test_a_duration_too_long_for_python_is_a_format_error():
    with pytest.raises(FormatError):
        codec_of(timedelta).decode(codec_of(int).encode(2**80))


def test_a_typed_time_means_the_instant_that_its_offset_says():
    # 02:30 is there twice on this night; the offset says that the second one is meant (RFC 9557)
    text = parse_json("2024-10-27T02:30:00+01:00[Europe/Berlin]", type_of(datetime))
    moment = codec_of(datetime).lift_tree(text)
    assert moment.utcoffset() == timedelta(hours=1)


def test_a_typed_time_whose_zone_contradicts_its_offset_does_not_change_its_instant():
    from promissory.typesys import ParseError

    try:
        text = parse_json("2024-06-01T12:00:00+00:00[Europe/Berlin]", type_of(datetime))
    except ParseError:
        return  # refusing it is as good
    moment = codec_of(datetime).lift_tree(text)
    assert moment == datetime(2024, 6, 1, 12, tzinfo=timezone.utc)  # noqa: UP017


@pytest.mark.parametrize("path", [PureWindowsPath("a\\b"), PurePosixPath("a\\b")])
def test_a_path_of_another_system_is_kept_or_refused_but_never_changed(path):
    try:
        again = travel(path, PurePath)
    except TypeMismatch:
        return
    assert again == path
    assert again.parts == path.parts
