"""Properties that hold for every type and every value of it."""

import copy
import enum
import re
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, Generic, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from promissory.typesys import FormatError, TypeMismatch, assignable, check, codec_of, type_of
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import pack, unpack_canonical
from promissory.typesys.parse import parse_json
from promissory.typesys.transcode import transcode
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.wire import codec_for

QUICK = settings(max_examples=150, deadline=None, database=None, derandomize=True)


class Point(NamedTuple):
    x: int
    y: float


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2
    ALL = 3
    MORE = 8


T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Key(Generic[T]):
    part: T


@dataclass
class Both(Generic[T, U]):
    left: T
    right: U | None = None


class Page(TypedDict, Generic[T]):
    items: list[T]
    next: NotRequired[T]


def page(items, rest):
    return {"items": items, "next": rest[0]} if rest else {"items": items}


text = st.text(st.characters(exclude_categories=()), max_size=5)
integers = st.integers() | st.integers(-(2**200), 2**200)
floats = st.floats(allow_nan=False).map(lambda number: number + 0.0)  # 0.0 == -0.0, and they have other bytes
paths = st.text("ab/.", max_size=6).map(PurePosixPath)
hashable = [
    (bool, st.booleans()),
    (int, integers),
    (float, floats),
    (str, text),
    (bytes, st.binary(max_size=5)),
    (date, st.dates()),
    (timedelta, st.timedeltas()),
    (int | float | bool | str, integers | floats | st.booleans() | text),
    (tuple[int, str], st.tuples(integers, text)),
    (Point, st.builds(Point, integers, floats)),
    (Decimal, st.decimals(allow_nan=False)),
    (Fraction, st.fractions()),
    (complex, st.builds(complex, floats, floats)),
    (UUID, st.uuids()),
    (range, st.builds(range, integers, integers, integers.filter(bool))),
    (Access, st.integers(0, 15).map(Access)),
    (timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)),
    (Key[int], st.builds(Key, integers)),
    (
        int | Decimal | Access | UUID,
        integers | st.decimals(allow_nan=False) | st.integers(0, 15).map(Access) | st.uuids(),
    ),
]
patterns = st.builds(re.compile, st.text("ab.|", max_size=4), st.sampled_from([0, re.IGNORECASE]))
leaves = [*hashable, (None, st.none()), (datetime, st.datetimes()), (time, st.times()), (re.Pattern[str], patterns)]


def containers(inner):
    keys = st.sampled_from(hashable)
    return st.one_of(
        inner.map(lambda p: (list[p[0]], st.lists(p[1], max_size=4))),
        inner.map(lambda p: (tuple[p[0], ...], st.lists(p[1], max_size=4).map(tuple))),
        st.tuples(inner, inner).map(lambda ps: (tuple[ps[0][0], ps[1][0]], st.tuples(ps[0][1], ps[1][1]))),
        st.tuples(keys, inner).map(
            lambda ps: (dict[ps[0][0], ps[1][0]], st.dictionaries(ps[0][1], ps[1][1], max_size=4))
        ),
        keys.map(lambda p: (set[p[0]], st.sets(p[1], max_size=4))),
        keys.map(lambda p: (frozenset[p[0]], st.frozensets(p[1], max_size=4))),
        inner.map(lambda p: (p[0] | None if p[0] is not None else None, st.none() | p[1])),
        inner.map(lambda p: (deque[p[0]], st.builds(deque, st.lists(p[1], max_size=4), st.none() | st.integers(0, 5)))),
        st.tuples(keys, inner).map(
            lambda ps: (
                OrderedDict[ps[0][0], ps[1][0]],
                st.dictionaries(ps[0][1], ps[1][1], max_size=4).map(OrderedDict),
            )
        ),
        keys.map(lambda p: (Counter[p[0]], st.dictionaries(p[1], integers, max_size=4).map(Counter))),
        st.tuples(inner, inner).map(
            lambda ps: (Both[ps[0][0], ps[1][0]], st.builds(Both, ps[0][1], st.none() | ps[1][1]))
        ),
        inner.map(lambda p: (Page[p[0]], st.builds(page, st.lists(p[1], max_size=3), st.lists(p[1], max_size=1)))),
        keys.map(lambda p: (Key[p[0]], st.builds(Key, p[1]))),
    )


annotations = st.recursive(st.sampled_from(leaves), containers, max_leaves=6)
examples = annotations.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1]))


@QUICK
@given(examples)
def test_a_decoded_value_equals_the_encoded_one(example):
    annotation, value = example
    codec = codec_of(annotation)
    again = codec.decode(codec.encode(value))
    assert again == value
    assert type(again) is type(value)


@QUICK
@given(examples)
def test_equal_values_have_equal_bytes(example):
    annotation, value = example
    codec = codec_of(annotation)
    data = codec.encode(value)
    assert codec.encode(copy.deepcopy(value)) == data
    assert codec.encode(codec.decode(data)) == data


@QUICK
@given(annotations.flatmap(lambda pair: st.tuples(st.just(pair[0]), pair[1], pair[1])))
def test_different_values_have_different_bytes(example):
    annotation, one, other = example
    codec = codec_of(annotation)
    if one != other:
        assert codec.encode(one) != codec.encode(other)


@QUICK
@given(examples)
def test_what_the_encoder_writes_is_canonical_and_passes_the_check(example):
    annotation, value = example
    unpack_canonical(codec_of(annotation).encode(value), "a value")
    check(value, annotation)


@QUICK
@given(examples)
def test_a_value_of_any_comes_back_equal_with_the_same_bytes(example):
    _, value = example
    codec = codec_of(Any)
    data = codec.encode(value)
    assert codec.decode(data) == value
    assert codec.encode(codec.decode(data)) == data


@QUICK
@given(examples)
def test_a_value_goes_to_any_and_back_without_its_class(example):
    annotation, value = example
    codec = codec_of(annotation)
    there = transcode(codec.lower(value), codec.type, type_of(Any))
    assert pack(there) == codec_of(Any).encode(value)
    assert pack(transcode(there, type_of(Any), codec.type)) == codec.encode(value)


@QUICK
@given(examples)
def test_a_type_from_a_plan_writes_the_same_bytes(example):
    annotation, value = example
    codec = codec_of(annotation)
    again = codec_for(type_from_bytes(type_bytes(codec.type)))
    assert again.type == codec.type
    assert again.encode(value) == codec.encode(value)


@QUICK
@given(examples, annotations)
def test_a_value_fits_wherever_its_type_is_assignable(example, other):
    annotation, value = example
    source, target = codec_of(annotation), codec_of(other[0])
    if assignable(source.type, target.type):
        try:
            tree = transcode(source.lower(value), source.type, target.type)
        except TypeMismatch as mismatch:
            assert "too large" in str(mismatch)
            return
        target.decode(pack(tree))


@QUICK
@given(examples, st.data())
def test_T1_changed_bytes_are_a_value_or_a_format_error(example, data):
    annotation, value = example
    codec = codec_of(annotation)
    whole = codec.encode(value)
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(at + 3, len(whole))))
    try:
        codec.decode(whole[:at] + data.draw(st.binary(max_size=4)) + whole[end:])
    except FormatError:
        pass


@QUICK
@given(examples)
def test_T1_a_value_cut_short_or_continued_is_a_format_error(example):
    annotation, value = example
    codec = codec_of(annotation)
    whole = codec.encode(value)
    for end in range(len(whole)):
        try:
            codec.decode(whole[:end])
        except FormatError:
            continue
        raise AssertionError(f"{end} of {len(whole)} bytes were read as a value")
    try:
        codec.decode(whole + b"\0")
    except FormatError:
        return
    raise AssertionError("a byte too many was read")


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(plain_json)
def test_json_of_any_is_read_and_shown_as_it_was(value):
    assert to_json(parse_json(value, type_of(Any)), type_of(Any)) == value
