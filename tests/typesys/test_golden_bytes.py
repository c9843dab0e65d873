"""The bytes of a fixed set of values. A change here is a change of format."""

import math
import os
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal
from uuid import SafeUUID
from zoneinfo import ZoneInfo

import pytest

import promissory
from promissory.typesys import codec_of
from promissory.typesys.canonical import digest, pack
from promissory.typesys.transcode import transcode
from promissory.typesys.types import ANY, INT, NONE, Definition, EnumType, Field, RecordType, RefType
from promissory.typesys.unions import union
from promissory.typesys.wire import codec_for

ROOT = Path(promissory.__file__).parent.parent

VECTORS = [
    (None, None, "c0"),
    (bool, True, "c3"),
    (bool, False, "c2"),
    (int, 0, "00"),
    (int, -1, "ff"),
    (int, 1000, "cd03e8"),
    (int, 2**63, "cf8000000000000000"),
    (int, 2**64, "c70901010000000000000000"),
    (int, -(2**70), "c70901c00000000000000000"),
    (float, 1.0, "cb3ff0000000000000"),
    (float, -0.0, "cb8000000000000000"),
    (float, math.nan, "cb7ff8000000000000"),
    (float, -math.inf, "cbfff0000000000000"),
    (float, 1, "cb3ff0000000000000"),
    (str, "", "a0"),
    (str, "aé", "a361c3a9"),
    (str, "\ud800", "a3eda080"),
    (bytes, b"", "c400"),
    (bytes, b"\x00\xff", "c40200ff"),
    (list[int], [], "90"),
    (list[int], [1, 2], "920102"),
    (list[float], [1, 2.0], "92cb3ff0000000000000cb4000000000000000"),
    (tuple[()], (), "90"),
    (tuple[int, str], (1, "a"), "9201a161"),
    (tuple[int, ...], (1, 2), "920102"),
    (dict[str, int], {}, "90"),
    (dict[str, int], {"b": 1, "a": 2}, "9292a1620192a16102"),
    (dict[tuple[int, int], bool], {(1, 2): True}, "9192920102c3"),
    (set[int], {300, -1, 5}, "9305cd012cff"),
    (frozenset[str], frozenset({"b", "a", ""}), "93a0a161a162"),
    (int | None, 5, "920005"),
    (int | None, None, "9201c0"),
    (bool | int | float | str, 1.0, "9202cb3ff0000000000000"),
    (Literal["a", 1], "a", "a161"),
    (date, date(2024, 2, 29), "aa323032342d30322d3239"),
    (datetime, datetime(2024, 2, 29, 1, 2, 3), "b3" + b"2024-02-29T01:02:03".hex()),
    (datetime, datetime(2024, 1, 1, tzinfo=timezone.utc), "b9" + b"2024-01-01T00:00:00+00:00".hex()),  # noqa: UP017
    (
        datetime,
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        "d930" + b"2024-10-27T02:30:00+01:00[Europe/Berlin][fold=1]".hex(),
    ),
    (timedelta, timedelta(seconds=-1), "d2fff0bdc0"),
    (Path, Path("a/b"), "a3612f62"),
    (Any, None, "c0"),
    (Any, 2.5, "cb4004000000000000"),
    (Any, [1, (2,)], "9200920192019102"),
    (Any, {"a": {1}}, "92029192a161" + "92039101"),
    (Any, frozenset(), "920490"),
    (Any, date(2024, 2, 29), "9305ad" + b"datetime.date".hex() + "aa" + b"2024-02-29".hex()),
    (Any, Path("a"), "9305ac" + b"pathlib.Path".hex() + "a161"),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), VECTORS, ids=range(len(VECTORS)))
def test_a_value_has_these_bytes_and_no_others(annotation, value, expected):
    codec = codec_of(annotation)
    assert codec.encode(value).hex() == expected
    again = codec.decode(bytes.fromhex(expected))
    assert codec.encode(again).hex() == expected


def test_an_enum_has_these_bytes():
    safe = EnumType("uuid:SafeUUID", (("safe", 0), ("unsafe", -1), ("unknown", None)))
    assert codec_for(safe).encode(SafeUUID.safe).hex() == "a473616665"
    assert codec_of(Any).encode(SafeUUID.safe).hex() == "9306ad" + b"uuid:SafeUUID".hex() + "a473616665"


def test_a_record_that_mentions_itself_has_these_bytes():
    fields = (Field("value", INT), Field("next", union([RefType("m:Node"), NONE])))
    node = RecordType("m:Node", (Definition("m:Node", "dataclass", fields),))
    tree = [1, [0, [2, [1, None]]]]
    assert pack(tree).hex() == "9201" + "9200" + "9202" + "9201c0"
    begin = "9407" + "a6" + b"m:Node".hex() + "92" + "a5" + b"value".hex() + "a4" + b"next".hex() + "92"
    assert pack(transcode(tree, node, ANY)).hex() == begin + "01" + begin + "02" + "c0"


def test_a_value_has_this_digest():
    data = codec_of(dict[str, list[int]]).encode({"a": [1, 2]})
    assert digest("value", data).hex() == DIGEST


DIGEST = "d5a6fbe5223c658c53b473b19bae6cfc20dd487f4e483ed07a6d57c8223c662b"

PROGRAM = """
from dataclasses import dataclass
from collections import deque
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar
from promissory.typesys import codec_of, type_of
from promissory.typesys.type_format import type_bytes

@dataclass(frozen=True)
class Row:
    name: str
    tags: frozenset[str]
    more: Any = None

class Color(Enum):
    RED = 1
    BLUE = "b"

class Access(Flag):
    READ = 1
    WRITE = 2

T = TypeVar("T")

@dataclass(frozen=True)
class Key(Generic[T]):
    part: T

class Note(TypedDict, Generic[T]):
    tags: set[T]
    more: NotRequired[deque[T]]

words = [f"word{i}" for i in range(50)]
annotations = [set[str], Row, Any, dict[str, set[str | int]], Literal["b", "a", 1] | Color | Row | None, frozenset[Row],
    set[Access | Decimal | Fraction | Key[str] | None], Note[str], list[Note[Key[int]] | Note[int]]]
values = [
    set(words), Row("r", frozenset(words)), [set(words), {Row("a", frozenset("xy")): Color.RED}, frozenset(words)],
    {"k": {1, "1", *words}}, Color.BLUE,
    frozenset({Row("a", frozenset("ab")), Row("b", frozenset("cd"), (1, frozenset(words)))}),
    {Access.READ, Access.WRITE, Decimal("1.50"), Fraction(1, 3), None, *map(Key, words)},
    {"tags": set(words), "more": deque(words)},
    [{"tags": {Key(1), Key(2)}}, {"tags": {1, 2, 300}}],
]
for annotation, value in zip(annotations, values):
    print(type_bytes(type_of(annotation)).hex(), codec_of(annotation).encode(value).hex())
"""


def test_A5_values_and_types_have_the_same_bytes_under_every_hash_seed():
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "42", "1234567", "random")
    ]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 5
    assert len(said) == 1
    assert len(next(iter(said)).splitlines()) == 9
