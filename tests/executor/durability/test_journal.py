"""The journal's writing end: contiguous numbers, a chain, group commits, snapshots, and one winner of two."""

import os
import threading

import pytest

from promissory import Store, dynamic, resume, run, task, workflow
from promissory.errors import Fenced
from promissory.executor.journal.reader import Tail, find_end, newest_snapshot, read_segments
from promissory.executor.journal.segment import GENESIS, NO_SNAPSHOT, segment_digest
from promissory.executor.journal.writer import SNAPSHOT_EVENTS, Journal
from promissory.executor.protocol.events import NO_META, NODE_DONE, SNAPSHOT
from promissory.executor.store.keys import segment_key


def event(number):
    return (NODE_DONE, 0, number, b"\x01", NO_META)


def quiet(events):
    return None


def segments(store, run_id="r", first=0):
    return [segment for segment, _ in read_segments(store, run_id, first, find_end(store, run_id))]


def journal(store, epoch=1, tail=None, listener=quiet, durable=True):
    return Journal(store, "r", epoch, tail, durable, listener)


def write(store, *batches, epoch=1, tail=None):
    """Commit batches of events, a segment each; gives the tail."""
    writing = journal(store, epoch, tail)
    for batch in batches:
        writing.append([event(number) for number in batch])
        writing.flush()
    writing.close()
    return end_of(store)


def end_of(store):
    *_, (segment, data) = read_segments(store, "r", 0, find_end(store, "r"))
    return Tail.of(segment, data)


def test_J1_segments_have_contiguous_numbers_one_nonce_and_a_chain(store):
    write(store, [1], [2, 3], [4])
    found = list(read_segments(store, "r", 0, 3))
    assert [segment.number for segment, _ in found] == [0, 1, 2]
    assert store.list("runs/r/journal") == [segment_key("r", number) for number in range(3)]
    assert {segment.epoch for segment, _ in found} == {1}
    assert len({segment.nonce for segment, _ in found}) == 1
    assert [segment.previous for segment, _ in found] == [GENESIS, *(segment_digest(data) for _, data in found[:-1])]
    assert [segment.snapshot for segment, _ in found] == [NO_SNAPSHOT] * 3
    assert [one for segment, _ in found for one in segment.events] == [event(number) for number in (1, 2, 3, 4)]


def test_J1_another_executor_goes_on_behind_the_tail_with_a_higher_epoch(store):
    tail = write(store, [1], [2])
    write(store, [3], epoch=2, tail=tail)
    found = segments(store)
    assert [(segment.number, segment.epoch) for segment in found] == [(0, 1), (1, 1), (2, 2)]
    assert found[2].nonce != found[1].nonce


def test_J1_many_events_are_one_commit_and_come_to_the_listener_in_order(store):
    heard, committing = [], threading.Event()

    def listen(events):
        heard.append(events)
        committing.wait(60)

    writing = journal(store, listener=listen)
    for number in range(1000):
        writing.append([event(number)])
    committing.set()
    writing.flush()
    writing.close()
    assert [one for events in heard for one in events] == [event(number) for number in range(1000)]
    assert [segment.events for segment in segments(store)] == heard
    assert len(heard) < 100


def test_J1_what_is_flushed_is_stored_and_what_is_not_is_nobodys(store):
    heard = []
    writing = journal(store, listener=heard.append)
    writing.append([event(1)])
    writing.flush()
    assert (
        [one for segment in segments(store) for one in segment.events]
        == [event(1)]
        == [one for events in heard for one in events]
    )
    writing.close()
    writing.close()


def test_J1_an_error_of_the_listener_reaches_whoever_flushes(store):
    def listen(events):
        raise RuntimeError("listener")

    writing = journal(store, listener=listen)
    writing.append([event(1)])
    with pytest.raises(RuntimeError, match="listener"):
        writing.flush()
    with pytest.raises(RuntimeError, match="listener"):
        writing.append([event(2)])
    writing.close()


def test_J1_an_event_above_the_backlog_does_not_block_for_ever(store):
    writing = journal(store)
    for number in range(8):
        writing.append([(NODE_DONE, 0, number, bytes(1 << 20), NO_META)])
    writing.flush()
    writing.close()
    assert sum(len(segment.events) for segment in segments(store)) == 8


@pytest.mark.parametrize("durable", [True, False], ids=["disk", "process"])
@pytest.mark.parametrize("url", ["folder", "memory"])
@pytest.mark.parametrize("numbers", [[3], list(range(500))], ids=["short", "long"])
def test_J3_of_two_journals_on_one_run_the_loser_is_fenced_and_counts_for_nothing(tmp_path, durable, url, numbers):
    store = Store(tmp_path / "store" if url == "folder" else None)
    tail = write(store, [1])
    old, new = journal(store, 1, tail, durable=durable), journal(store, 2, tail, durable=durable)
    new.append([event(2)])
    new.flush()
    winner = store.get(segment_key("r", 1))
    old.append([event(number) for number in numbers])
    with pytest.raises(Fenced, match="taken over by another executor"):
        old.flush()
    with pytest.raises(Fenced):
        old.append([event(4)])
    old.close()
    assert store.get(segment_key("r", 1)) == winner, "what is stored is never replaced"
    new.append([event(5)])
    new.flush()
    new.close()
    assert [one for segment in segments(store) for one in segment.events] == [event(1), event(2), event(5)]
    assert [segment.epoch for segment in segments(store)] == [1, 2, 2]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 31, 100])
def test_J1_the_end_is_found_from_any_hint(tmp_path, count):
    store = Store(tmp_path / "store")
    for number in range(count):
        store.put_new(segment_key("r", number), b"x")
    assert find_end(store, "r") == count
    for hint in (0, count // 2, max(0, count - 1), count, count + 5):
        assert find_end(store, "r", hint) == count


def test_J1_a_snapshot_stands_alone_and_later_segments_name_it(store):
    writing = journal(store)
    writing.append([event(1), event(2)])
    writing.append_snapshot(b"state")
    writing.append([event(3)])
    writing.flush()
    writing.close()
    found = segments(store)
    assert [segment.events[0][0] for segment in found] == [NODE_DONE, SNAPSHOT, NODE_DONE]
    assert [segment.snapshot for segment in found] == [NO_SNAPSHOT, 1, 1]
    assert [newest_snapshot(store, "r", end) for end in (1, 2, 3)] == [0, 1, 1]


def test_J1_a_snapshot_is_due_after_as_many_events_and_bytes_as_the_last_one_cost(store):
    writing = journal(store)
    writing.append([event(number) for number in range(SNAPSHOT_EVENTS - 1)])
    assert not writing.wants_snapshot()
    writing.append([event(0)])
    assert writing.wants_snapshot()
    writing.append_snapshot(bytes(10_000_000))
    writing.append([event(number) for number in range(SNAPSHOT_EVENTS)])
    assert not writing.wants_snapshot()
    writing.flush()
    writing.close()


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def boom(ready: bool, x: int) -> int:
    if not os.environ.get("REPAIRED"):
        raise ValueError(x)
    return x


@dynamic
def many(n: int) -> list[int]:
    return [add(i, i) for i in range(n)]


@workflow
def three_times(n: int) -> int:
    first, second, third = many(n), many(n), many(n)
    last = boom(True, 1)
    first >> second >> third >> last
    return last


def test_J1_a_resume_reads_only_from_the_newest_snapshot(store, monkeypatch):
    """The segments before it may even be gone."""
    ended = run(three_times, {"n": 5000}, store=store, durability="process")
    assert ended.state == "FAILED"
    end = find_end(store, ended.id)
    newest = newest_snapshot(store, ended.id, end)
    assert 0 < newest < end
    monkeypatch.setenv("REPAIRED", "yes")
    for number in range(1, newest):
        key = segment_key(ended.id, number)
        damaged = bytearray(store.get(key))
        damaged[len(damaged) // 2] ^= 1
        store.put(key, bytes(damaged))
    assert resume(ended.id, store=store, durability="process").result == 1
