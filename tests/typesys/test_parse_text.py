"""What a person types, read as a type."""

import enum
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from promissory.typesys import Opaque, ParseError, codec_of, type_of
from promissory.typesys.parse import parse_text


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


def read(text, annotation):
    codec = codec_of(annotation)
    return codec.lift_tree(parse_text(text, codec.type))


GOOD = [
    ("3", int, 3),
    ("-3", int, -3),
    (str(2**70), int, 2**70),
    ("3", float, 3.0),
    ("1e400", float, float("inf")),
    ("-inf", float, float("-inf")),
    ("3", str, "3"),
    ("", str, ""),
    ("true", str, "true"),
    ("[1]", str, "[1]"),
    ("yes", bool, True),
    ("TRUE", bool, True),
    ("on", bool, True),
    ("1", bool, True),
    ("no", bool, False),
    ("False", bool, False),
    ("0", bool, False),
    ("off", bool, False),
    ("", None, None),
    ("null", None, None),
    ("None", None, None),
    ("abc", bytes, b"abc"),
    ("é", bytes, "é".encode()),
    ("RED", Color, Color.RED),
    ("r", Color, Color.RED),
    ("2", Color, Color.BLUE),
    ("a", Literal["a", "b"], "a"),
    ("2", Literal[1, 2], 2),
    ("2024-02-29", date, date(2024, 2, 29)),
    ("2024-02-29T12:00:00", datetime, datetime(2024, 2, 29, 12)),
    ("1.5", timedelta, timedelta(seconds=1.5)),
    ("90", timedelta, timedelta(seconds=90)),
    ("-90", timedelta, timedelta(seconds=-90)),
    ("1h30m", timedelta, timedelta(hours=1, minutes=30)),
    ("1d 2h", timedelta, timedelta(days=1, hours=2)),
    ("250ms", timedelta, timedelta(milliseconds=250)),
    ("-1.5h", timedelta, timedelta(hours=-1.5)),
    ("PT1H30M", timedelta, timedelta(hours=1, minutes=30)),
    ("P1DT0.5S", timedelta, timedelta(days=1, seconds=0.5)),
    ("-P2W", timedelta, timedelta(weeks=-2)),
    ("2024-02-29T12:00:00Z", datetime, datetime(2024, 2, 29, 12, tzinfo=UTC)),
    ("a/b", Path, Path("a/b")),
    ("5", int | None, 5),
    ("", int | None, None),
    ("null", int | None, None),
    ("5", int | str, 5),
    ("x", int | str, "x"),
    ("1.5", int | float | str, 1.5),
    ("2024-01-01", date | str, date(2024, 1, 1)),
    ("soon", date | str, "soon"),
    ("[3, 1, 2]", list[int], [3, 1, 2]),
    ("[1, 2.5]", list[float], [1.0, 2.5]),
    ('["a"]', tuple[str, ...], ("a",)),
    ("[1, null]", tuple[int, None], (1, None)),
    ("[2, 1, 2]", set[int], {1, 2}),
    ('{"a": [1]}', dict[str, list[int]], {"a": [1]}),
    ('{"1": "a"}', dict[int, str], {1: "a"}),
    ("[1]", list[int] | str, [1]),
    ("[x", list[int] | str, "[x"),
    ('{"a": [1, 2.5, null]}', Any, {"a": [1, 2.5, None]}),
    ("5", Any, 5),
    ("plain words", Any, "plain words"),
]


@pytest.mark.parametrize(
    ("text", "annotation", "value"), GOOD, ids=[f"{i}-{type_of(a)}" for i, (_, a, _) in enumerate(GOOD)]
)
def test_a_text_is_read_as_its_type(text, annotation, value):
    again = read(text, annotation)
    assert again == value
    assert type(again) is type(value)


BAD = [
    ("x", int, "'x' is not an int"),
    ("1.5", int, "'1.5' is not an int"),
    ("", int, "'' is not an int"),
    ("true", int, "'true' is not an int"),
    ("x", float, "'x' is not a float"),
    ("maybe", bool, "'maybe' is not a bool (true, false, yes, no, on, off, 1, 0)"),
    ("c", Literal["a", "b"], "'c' is not one of a, b"),
    ("GREEN", Color, "value: 'GREEN' is not one of RED, BLUE"),
    ("soon", timedelta, "value: 'soon' is not a timedelta: a duration is seconds, 1h30m, or PT1H30M"),
    ("PT", timedelta, "value: 'PT' is not a timedelta: a duration is seconds, 1h30m, or PT1H30M"),
    ("P1DT", timedelta, "value: 'P1DT' is not a timedelta: a duration is seconds, 1h30m, or PT1H30M"),
    ("", timedelta, "value: '' is not a timedelta: a duration is seconds, 1h30m, or PT1H30M"),
    ("nan", timedelta, "value: 'nan' is not a timedelta: a duration is seconds, 1h30m, or PT1H30M"),
    ("x", int | None, "'x' is not int | None"),
    ('{"x": 1}', dict[str, str] | None, "['x']: expected str, got int"),
    ("x", int | float, "'x' is not int | float"),
    ("[1", list[int], "'[1' is not list[int]: it isn't JSON (Expecting ',' delimiter: line 1 column 3 (char 2))"),
    (
        "x" * 100,
        list[int],
        f"'{'x' * 57}…' is not list[int]: it isn't JSON (Expecting value: line 1 column 1 (char 0))",
    ),
    ('{"a": 1}', list[int], "value: expected list[int], got an object"),
    ("[1, true]", list[int], "[1]: expected int, got bool"),
    ("1", Opaque[int], "value: a Opaque[int] travels as a pickle and can't be given as text"),
]


@pytest.mark.parametrize(
    ("text", "annotation", "sentence"), BAD, ids=[f"{i}-{type_of(a)}" for i, (_, a, _) in enumerate(BAD)]
)
def test_a_text_that_does_not_fit_is_refused_with_the_reason(text, annotation, sentence):
    with pytest.raises(ParseError) as caught:
        parse_text(text, type_of(annotation))
    assert str(caught.value) == sentence


@pytest.mark.parametrize("annotation", [list[Any], Any, list[Any] | int, dict[str, Any], timedelta])
def test_T1_a_text_nested_too_deeply_is_refused_or_taken_as_text(annotation):
    try:
        parse_text("[" * 100_000, type_of(annotation))
    except ParseError:
        pass


def test_a_number_stays_a_number_where_a_bool_is_allowed_too():
    assert read("1", int | bool) == 1
    assert type(read("1", int | bool)) is int
    assert read("true", int | bool) is True


def test_a_text_that_has_no_utf8_is_refused_as_bytes():
    with pytest.raises(ParseError) as caught:
        parse_text("\ud800", type_of(bytes))
    assert str(caught.value) == "'\\ud800' has no UTF-8 form"


def test_a_byte_that_the_command_line_could_not_decode_is_that_byte():
    assert parse_text("a\udcff", type_of(bytes)) == b"a\xff"


def test_a_literal_true_is_typed_as_a_bool_is():
    assert read("true", Literal[True]) is True


def test_a_time_that_is_none_says_what_is_wrong():
    with pytest.raises(ParseError) as caught:
        parse_text("soon", type_of(date))
    assert str(caught.value) == "value: 'soon' is not a date: Invalid isoformat string: 'soon'"
