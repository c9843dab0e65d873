"""The bytes that `docs/journal-format.md` shows are the bytes that are written: other languages may check theirs
against them.
"""

import re
from pathlib import Path

import pytest

from promissory.executor.cache.entries import Entry, entry_from_bytes, entry_to_bytes
from promissory.executor.journal.segment import (
    GENESIS,
    NO_SNAPSHOT,
    Segment,
    segment_digest,
    segment_from_bytes,
    segment_to_bytes,
)
from promissory.executor.protocol.events import (
    AWAITED,
    CHOSEN,
    CODE,
    COLLAPSED,
    CYCLE_ENDED,
    CYCLES_STOP,
    ENDED,
    GATED,
    ITEMS,
    LOOPED,
    NODE_DONE,
    NODE_FAILED,
    NODE_SKIPPED,
    OPENED,
    PAUSED,
    RESUMED,
    RETRIED,
    SIGNALLED,
    STOPPED_BY,
    UNPAUSED,
)
from promissory.executor.records.inbox import Command, command_from_bytes, command_to_bytes
from promissory.planner.plan.model import Large

PAGE = (Path(__file__).parents[3] / "docs" / "journal-format.md").read_text()
MOMENT = 1_700_000_000_000_000
NONCE = bytes(range(16))
FAILURE = [
    "exception",
    "OSError",
    "busy",
    "",
    None,
    ["builtins:OSError", "builtins:Exception", "builtins:BaseException"],
    None,
]


def shown(name):
    """The bytes that the page has under a name."""
    found = re.search(rf"^{name}:\n\n```\n(.*?)\n```", PAGE, re.MULTILINE | re.DOTALL)
    assert found, name
    return bytes.fromhex(found[1].replace("\n", ""))


def first():
    meta = (1500, 20, "process-1-1", 1, None)
    begins = (RESUMED, 1, "host", 42, [100, 1_000_000, 256 << 20], MOMENT)
    events = (begins, (NODE_DONE, 0, 0, b"\x03", meta), (NODE_DONE, 0, 1, b"\x04", meta), (OPENED, 0, 2, 1))
    return Segment(0, 1, NONCE, GENESIS, NO_SNAPSHOT, MOMENT, events)


def second():
    events = (
        (NODE_DONE, 1, 0, Large(bytes(32), 5000), (1600, 20, "process-1-1", 2, ["runs/r/logs/process-1-1", 0, 6])),
        (RETRIED, 1, 1, FAILURE, (1700, 5, "process-1-2", 1, None), 0.5, 1_700_000_000.75),
        (PAUSED, "lunch", MOMENT + 50_000),
        (UNPAUSED, MOMENT + 60_000),
        (NODE_FAILED, 1, 1, FAILURE, (1800, 5, "process-1-2", 2, None)),
        (CODE, "flow:f", bytes(32), b"\x01" * 32),
        (ENDED, "FAILED", "main/f: OSError: busy", None),
    )
    return Segment(1, 1, NONCE, segment_digest(segment_to_bytes(first())), NO_SNAPSHOT, MOMENT + 100_000, events)


def third():
    meta = (1900, 20, "process-2-1", 1, None)
    events = (
        (RESUMED, 2, "host", 43, [100, 1_000_000, 256 << 20], MOMENT + 200_000),
        (LOOPED, 1, 1, 0, b"\x05", meta),
        (NODE_SKIPPED, 1, 2, "not today", meta),
        (CHOSEN, 1, 3, 1, 2, meta),
        (ITEMS, 1, 4, [[2, [b"\x92\x01\x02"]]], meta),
        (GATED, 1, 5, 1_700_000_060.0),
        (SIGNALLED, 1, 6, ("value", b"\x06"), {"next": [["tidy", -1, 8]], "writes": [["add", "n", b"\x01"]]}, -1, meta),
        (COLLAPSED, 2),
        (STOPPED_BY, 1, 7, "enough", meta),
        (ENDED, "TERMINATED", "early", [b"\x03", None]),
    )
    return Segment(2, 2, NONCE, segment_digest(segment_to_bytes(second())), NO_SNAPSHOT, MOMENT + 300_000, events)


def fourth():
    events = (
        (CYCLE_ENDED, 0, 1, "stop"),
        (ENDED, "SUCCEEDED", "", [b"\x03"]),
        (RESUMED, 3, "host", 44, [100, 1_000_000, 268_435_456], MOMENT + 350_000),
        (CYCLES_STOP, 9),
    )
    return Segment(3, 3, NONCE, segment_digest(segment_to_bytes(third())), NO_SNAPSHOT, MOMENT + 400_000, events)


def fifth():
    meta = (2000, 20, "process-4-1", 1, None)
    moments = (1_700_000_000.5, 1_700_000_001.5, 1_700_000_002.5)
    events = (
        (RESUMED, 4, "host", 45, [100, 1_000_000, 268_435_456], MOMENT + 450_000),
        (AWAITED, 0, 2, moments[0], [], 5, b"futures", False, [[1, 0]], None, b"\x02" * 32, meta),
        (AWAITED, 0, 2, moments[1], [[1, 0]], -1, None, False, [], moments[2], None, meta),
        (AWAITED, 0, 2, moments[2], [], 6, b"futures", True, [], None, None, meta),
    )
    return Segment(4, 4, NONCE, segment_digest(segment_to_bytes(fourth())), NO_SNAPSHOT, MOMENT + 500_000, events)


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("segment 0", first()),
        ("segment 1", second()),
        ("segment 2", third()),
        ("segment 3", fourth()),
        ("segment 4", fifth()),
    ],
    ids=["0", "1", "2", "3", "4"],
)
def test_J4_a_segment_has_the_bytes_that_the_page_shows(name, segment):
    assert segment_to_bytes(segment) == shown(name)
    assert segment_from_bytes(shown(name), name) == segment


def test_J4_a_segment_is_followed_by_one_that_holds_its_digest():
    assert segment_digest(shown("segment 0")) == shown("digest of segment 0") == second().previous


def test_J3_a_command_has_the_bytes_that_the_page_shows():
    command = Command("pause", "lunch", "ann on host, process 7", MOMENT)
    assert command_to_bytes(command) == shown("command")
    assert command_from_bytes(shown("command"), "a command") == command


def test_G1_an_answer_has_the_bytes_that_the_page_shows():
    command = Command("answer", "", "ann on host, process 7", MOMENT, "main/copies#0.3", b"\x03")
    assert command_to_bytes(command) == shown("answer")
    assert command_from_bytes(shown("answer"), "a command") == command


def test_R3_a_cache_entry_has_the_bytes_that_the_page_shows():
    fields = (("task", b"flow:f"), ("version", b"1"), ("interface", bytes(32)), ("input x", b"\x02" * 32))
    entry = Entry(fields, b"\x03", None, "r", "main/f", MOMENT)
    assert entry_to_bytes(entry) == shown("cache entry")
    assert entry_from_bytes(shown("cache entry"), "an entry") == entry
