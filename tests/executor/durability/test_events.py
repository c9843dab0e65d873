"""Events as trees: rows of neighbours and back, and a segment's bytes and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory.executor.journal.segment import Segment, segment_from_bytes, segment_to_bytes
from promissory.executor.protocol.event_decoding import spread
from promissory.executor.protocol.events import DONE_ROW, ENDED, EXPANDED, NODE_DONE, NODE_FAILED, OPENED, compact
from promissory.planner.plan.model import Large

QUICK = settings(max_examples=200, deadline=None, database=None, derandomize=True)

numbers = st.integers(0, 2**40)
values = st.binary(max_size=6) | st.builds(Large, st.binary(min_size=32, max_size=32), st.integers(4097, 2**40))
logs = st.none() | st.tuples(st.sampled_from(["runs/r/logs/w", "runs/other/logs/v"]), numbers, numbers).map(list)
short = st.text(max_size=5)
failures = st.tuples(
    short, short, short, short, st.none() | st.binary(max_size=5), st.lists(short, max_size=2), st.none() | st.just(0.5)
).map(list)
metas = st.tuples(
    numbers, numbers, st.sampled_from(["w", "v"]), st.sampled_from([1, 1, 1, 2]), logs | st.none() | st.none()
)
done = st.tuples(st.just(NODE_DONE), st.integers(0, 2), st.integers(0, 5), values, metas)
neighbours = st.tuples(st.integers(0, 2), st.integers(0, 5), st.lists(st.tuples(values, numbers), max_size=5)).map(
    lambda row: [
        (NODE_DONE, row[0], row[1] + i, value, (number, 1, "w", 1, None)) for i, (value, number) in enumerate(row[2])
    ]
)
others = st.one_of(
    st.tuples(st.just(EXPANDED), numbers, numbers, numbers, st.binary(max_size=5), st.booleans(), metas),
    st.tuples(st.just(OPENED), numbers, numbers, numbers),
    st.tuples(st.just(NODE_FAILED), numbers, numbers, failures, metas),
    st.tuples(st.just(ENDED), st.text(max_size=5), st.text(max_size=5), st.none()),
)
histories = st.lists(st.lists(done | others, max_size=4) | neighbours, max_size=6).map(
    lambda parts: [one for part in parts for one in part]
)


@QUICK
@given(histories)
def test_J1_events_come_back_from_their_rows(events):
    assert list(spread(compact(events))) == events


@pytest.mark.full
@QUICK
@given(histories)
def test_J1_events_come_back_from_a_segment(events):
    segment = Segment(7, 2, bytes(16), bytes(32), -1, 123, tuple(events))
    data = segment_to_bytes(segment)
    assert segment_from_bytes(data, "key") == segment
    assert segment_to_bytes(segment_from_bytes(data, "key")) == data


def plain(frame, index, worker="w", attempt=1, log=None):
    return (NODE_DONE, frame, index, b"v", (10, 1, worker, attempt, log))


def test_J1_neighbours_become_one_row():
    rows = compact([plain(1, index) for index in range(1000)])
    assert len(rows) == 1
    assert rows[0][0] == DONE_ROW


def test_J1_a_row_ends_where_something_else_begins():
    events = [
        plain(1, 0),
        plain(1, 2),
        plain(2, 3),
        plain(2, 4, worker="v"),
        plain(2, 5, attempt=2),
        plain(2, 6, log=["runs/r/logs/k", 0, 1]),
        plain(2, 7),
    ]
    assert [tree[0] for tree in compact(events)] == [
        DONE_ROW,
        DONE_ROW,
        DONE_ROW,
        DONE_ROW,
        NODE_DONE,
        NODE_DONE,
        DONE_ROW,
    ]
    assert list(spread(compact(events))) == events


def test_J1_a_row_costs_few_bytes_a_node():
    events = tuple((NODE_DONE, 1, index, b"\x05", (1000 + index, 3, "inline-1", 1, None)) for index in range(1000))
    assert len(segment_to_bytes(Segment(0, 1, bytes(16), bytes(32), -1, 0, events))) < 1000 * 8
