"""J4: a torn tail was never written; damage anywhere else is found and named."""

import pytest

from promissory import resume, run, task, workflow
from promissory.errors import JournalError
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.journal.segment import segment_from_bytes
from promissory.executor.journal.writer import Journal
from promissory.executor.protocol.events import NO_META, NODE_DONE
from promissory.executor.store.keys import run_key, segment_key

ran = []
broken = []


@task
def step(x: int) -> int:
    if x == 5 and broken:
        raise ValueError("broken")
    ran.append(x)
    return x + 1


@workflow
def chain() -> int:
    return step(step(step(step(step(step(step(0)))))))


@pytest.fixture
def failed_run(store):
    """The id of a run that failed after five of seven steps."""
    broken.append(True)
    ended = run(chain, store=store)
    broken.clear()
    ran.clear()
    return ended.id


def write(store, count):
    journal = Journal(store, "r", 1, None, True, lambda events: None)
    for number in range(count):
        journal.append([(NODE_DONE, 0, number, b"\x01", NO_META)])
        journal.flush()
    journal.close()


def numbers(store, run_id="r"):
    return [segment.number for segment, _ in read_segments(store, run_id, 0, find_end(store, run_id))]


def test_J4_a_tail_cut_at_any_length_is_as_if_never_written(store):
    write(store, 3)
    key = segment_key("r", 2)
    whole = store.get(key)
    for length in range(len(whole)):
        store.put(key, whole[:length])
        assert numbers(store) == [0, 1]
    store.put(key, whole)
    assert numbers(store) == [0, 1, 2]


def test_J4_each_flipped_bit_of_a_segment_is_found_and_its_key_is_named(store):
    write(store, 3)
    key = segment_key("r", 1)
    whole = store.get(key)
    for position in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(JournalError) as caught:
            segment_from_bytes(bytes(flipped), key)
        assert key in str(caught.value)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "longer", "other"])
def test_J4_damage_in_the_middle_names_the_key(store, damage):
    write(store, 4)
    key = segment_key("r", 1)
    whole = store.get(key)
    changed = {
        "flip": whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
        "cut": whole[:-1],
        "empty": b"",
        "longer": whole + b"\0",
        "other": store.get(segment_key("r", 2)),
    }
    store.put(key, changed[damage])
    with pytest.raises(JournalError) as caught:
        numbers(store)
    assert key in str(caught.value)


@pytest.mark.parametrize("gone", range(8))
def test_J4_a_segment_that_is_gone_from_the_middle_is_told(store, gone):
    """Taking it for the end would forget what was acknowledged after it, and write over its number."""
    write(store, 9)
    key = segment_key("r", gone)
    store.delete(key)
    with pytest.raises(JournalError) as caught:
        numbers(store)
    assert key in str(caught.value)


def test_J4_a_segment_of_another_journal_is_told(store):
    write(store, 3)
    other = Journal(store, "s", 1, None, True, lambda events: None)
    for _ in range(3):
        other.append([(NODE_DONE, 0, 1, b"\x02", NO_META)])
        other.flush()
    other.close()
    store.put(segment_key("r", 1), store.get(segment_key("s", 1)))
    with pytest.raises(JournalError, match="does not follow the segment before it"):
        numbers(store)


def test_J4_a_run_with_a_torn_tail_goes_on_from_before_it(store, failed_run):
    key = segment_key(failed_run, find_end(store, failed_run) - 1)
    store.put(key, store.get(key)[:-1])
    assert History(store, failed_run).end is None
    assert resume(failed_run, store=store).result == 7
    assert set(ran) >= {5, 6}
    assert History(store, failed_run).end[0] == "SUCCEEDED"


def test_J4_a_run_all_of_whose_segments_are_torn_begins_anew(store, failed_run):
    end = find_end(store, failed_run)
    for number in range(1, end):
        store.delete(segment_key(failed_run, number))
    store.put(segment_key(failed_run, 0), b"PRMJ")
    assert resume(failed_run, store=store).result == 7
    assert ran == [0, 1, 2, 3, 4, 5, 6]


def test_J4_the_last_segment_with_a_flipped_bit_is_told(store):
    """It has its whole length, so it was written whole and may have been acknowledged: it is damaged, not torn."""
    ended = run(chain, store=store)
    key = segment_key(ended.id, find_end(store, ended.id) - 1)
    whole = store.get(key)
    middle = len(whole) // 2
    store.put(key, whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :])
    with pytest.raises(JournalError) as caught:
        resume(ended.id, store=store)
    assert key in str(caught.value)


def test_J4_a_resume_refuses_a_damaged_journal_before_anything_runs(store, failed_run):
    broken.append(True)
    resume(failed_run, store=store)
    broken.clear()
    end = find_end(store, failed_run)
    assert end > 1
    key = segment_key(failed_run, 0)
    whole = store.get(key)
    store.put(key, whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(JournalError) as caught:
        resume(failed_run, store=store)
    assert key in str(caught.value)
    assert ran == []
    assert find_end(store, failed_run) == end


def test_J4_a_damaged_manifest_and_plan_are_named(store, failed_run):
    for key in (
        run_key(failed_run, "manifest"),
        *(key for folder in store.list("plans") for key in store.list(folder)),
    ):
        whole = store.get(key)
        for position in range(0, len(whole), 7):
            store.put(key, whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
            with pytest.raises((JournalError, ValueError)):
                resume(failed_run, store=store)
        store.put(key, whole)
    assert resume(failed_run, store=store).result == 7
