"""V1, X8, J4: a run at a glance costs what is open of it, and tells what its whole history tells."""

import json

import pytest

from promissory import (
    FailurePolicy,
    Loop,
    NodeFailure,
    Store,
    current_context,
    dynamic,
    map_task,
    resume,
    run,
    start,
    task,
    workflow,
)
from promissory.executor.history import at_a_glance, recovery
from promissory.executor.history.at_a_glance import TROUBLED, overview, stored_overview, summaries
from promissory.executor.history.history import History
from promissory.executor.history.overview import Overview
from promissory.executor.journal import writer
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.journal.segment import GENESIS, Segment, segment_digest, segment_to_bytes
from promissory.executor.protocol.events import SNAPSHOT
from promissory.executor.scheduler import snapshot, tally
from promissory.executor.store.keys import run_key, segment_key
from promissory.executor.testing.workloads import WORKLOADS


def of_the_history(store, run_id="a"):
    """What the whole history tells: the nodes by state, what they call, and what is to be told one by one."""
    history = History(store, run_id)
    calls = {}
    for row in history.nodes():
        count = calls.setdefault((row.kind, row.called), [0, 0, 0])
        count[0] += 1
        count[1] += row.state == "SUCCEEDED"
        count[2] += row.spent or row.duration
    return history.counts, calls, one_by_one(history.nodes()), history.state


def told(seen):
    calls = {(one.kind, one.called): [one.nodes, one.succeeded, one.spent] for one in seen.calls}
    return seen.counts, calls, one_by_one(seen.troubled), seen.summary.state


def one_by_one(rows):
    found = [row for row in rows if row.state in TROUBLED]
    return sorted((one.path, one.state, one.why, one.attempts * (one.why != ""), one.rounds) for one in found)


def one_event_a_segment(store, run_id="a"):
    """Write the journal anew, so that it can be cut behind each event. Gives the number of its events."""
    events = [
        (one, event) for one, _ in read_segments(store, run_id, 0, find_end(store, run_id)) for event in one.events
    ]
    for key in store.list(run_key(run_id, "journal")):
        store.delete(key)
    previous, newest = GENESIS, -1
    for number, (one, event) in enumerate(events):
        newest = number if event[0] == SNAPSHOT else newest
        data = segment_to_bytes(Segment(number, one.epoch, one.nonce, previous, newest, one.time, (event,)))
        store.put_new(segment_key(run_id, number), data)
        previous = segment_digest(data)
    for name in ("summary", "beat"):
        store.delete(run_key(run_id, name))
    return len(events)


@pytest.mark.parametrize("events", [7, pytest.param(1 << 40, marks=pytest.mark.full)])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_V1_the_overview_of_every_prefix_of_a_journal_is_that_of_the_whole_replay(
    workload, events, tmp_path, monkeypatch
):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", events)
    run(workload.target, dict(workload.inputs), store=str(tmp_path), run_id="a", engine="threads", echo=False)
    store = Store(str(tmp_path))
    assert told(stored_overview(store, "a")) == of_the_history(store)
    for number in reversed(range(one_event_a_segment(store))):
        assert told(overview(store, "a")) == of_the_history(store), f"behind event {number}"
        store.delete(segment_key("a", number))


@task
def leaf(n: int) -> int:
    return n


@task
def fails_at(n: int, bad: int) -> int:
    if n == bad and current_context().attempt < 3:
        raise ValueError(f"not {n}")
    return n


@task(retries=2)
def stubborn(n: int) -> int:
    raise OSError("never")


@task
def three_times() -> int:
    if current_context().loop_index < 2:
        raise Loop(None)
    return 0


@task
def total(ns: list[int]) -> int:
    return sum(ns)


@dynamic
def tree(n: int) -> int:
    return leaf(n) if n < 2 else total([tree(n // 2), tree(n - n // 2)])


@workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def ends_badly() -> int:
    return total([tree(9), stubborn(1), three_times(), fails_at(leaf(4), 4)])


@workflow
def ends_well() -> int:
    return total([tree(20), total(map_task(leaf)(n=[1, 2, 3])), three_times()])


@workflow
def ends_long() -> int:
    return tree(200)


def test_V1_of_a_run_that_failed_and_was_resumed(tmp_path):
    failed = run(ends_badly, store=str(tmp_path), run_id="a", engine="threads", echo=False)
    assert failed.state == "FAILED"
    store = Store(str(tmp_path))
    assert told(stored_overview(store, "a")) == of_the_history(store)
    store.delete(run_key("a", "summary"))
    seen = overview(store, "a")
    assert told(seen) == of_the_history(store)
    assert {row.path: (row.attempts, row.why) for row in seen.troubled} == {
        "main/stubborn": (3, "OSError: never"),
        "main/fails_at": (1, "ValueError: not 4"),
    }
    resume("a", store=str(tmp_path), engine="threads", echo=False)
    assert overview(store, "a").resumes == 1
    assert told(stored_overview(store, "a")) == of_the_history(store)


@task
def bad(n: int) -> int:
    raise ValueError(n)


@task
def note(err: NodeFailure) -> None:
    return


@workflow(on_failure=note)
def guarded(n: int) -> int:
    return fails_at(leaf(n), 4)


@dynamic
def doomed(n: int) -> int:
    return total([leaf(leaf(leaf(n))), bad(n), tree(3)])


@workflow
def handled_all() -> int:
    return total([guarded(3), guarded(4).on_error(0), doomed(1).on_error(0), tree(2)])


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_X6_of_frames_that_failed_and_of_handlers_that_had_nothing_to_handle(engine, tmp_path):
    run(handled_all, store=str(tmp_path), run_id="a", engine=engine, echo=False)
    store = Store(str(tmp_path))
    assert told(stored_overview(store, "a")) == of_the_history(store)
    for number in reversed(range(one_event_a_segment(store))):
        assert told(overview(store, "a")) == of_the_history(store), f"behind event {number}"
        store.delete(segment_key("a", number))


def test_V1_an_overview_counts_no_more_once_the_run_has_gone_on(tmp_path):
    run(ends_badly, store=str(tmp_path), run_id="a", engine="threads", echo=False)
    store = Store(str(tmp_path))
    before = store.get(run_key("a", "summary"))
    resume("a", store=str(tmp_path), engine="threads", echo=False)
    store.put(run_key("a", "summary"), before)  # as if the executor had died before it stored another
    assert stored_overview(store, "a") is None
    assert overview(store, "a").resumes == 1


@pytest.mark.parametrize(
    "broken",
    [b"", b"\xff", b"[]", b"{}", b'{"version": 2}', b"[" * 100_000]
    + [b'{"version": 1, "summary": {}}', b'{"version": 1, "summary": 1, "calls": 2, "troubled": 3}'],
)
def test_V1_an_overview_that_is_none_is_told_anew(broken, tmp_path):
    run(ends_well, store=str(tmp_path), run_id="a", engine="inline")
    store = Store(str(tmp_path))
    stored = stored_overview(store, "a")
    store.put(run_key("a", "summary"), broken)
    assert stored_overview(store, "a") is None
    assert told(overview(store, "a")) == told(stored)
    assert [one.state for one in summaries(store)] == ["SUCCEEDED"]


def test_V1_an_overview_of_fields_of_other_types_is_none(tmp_path):
    run(ends_well, store=str(tmp_path), run_id="a", engine="inline")
    store = Store(str(tmp_path))
    good = json.loads(store.get(run_key("a", "summary")))
    for name in good:
        for wrong in (None, 1.5, "x", [[]], {"a": "b"}):
            if wrong == good[name] or (name in ("reason", "segment") and isinstance(wrong, type(good[name]))):
                continue
            store.put(run_key("a", "summary"), json.dumps({**good, name: wrong}).encode())
            assert stored_overview(store, "a") is None, (name, wrong)


def test_V1_it_is_written_and_read_as_json(tmp_path):
    run(ends_well, store=str(tmp_path), run_id="a", engine="inline")
    seen = overview(Store(str(tmp_path)), "a")
    assert Overview.from_bytes(seen.to_bytes()) == seen


def test_J4_damage_of_the_segment_that_ended_the_run_is_not_passed_over(tmp_path):
    run(ends_well, store=str(tmp_path), run_id="a", engine="inline")
    store = Store(str(tmp_path))
    key = store.list(run_key("a", "journal"))[-1]
    data = store.get(key)
    store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    assert [one.state for one in summaries(store)] == ["DAMAGED"]


def test_V1_a_snapshot_of_a_version_without_tallies_costs_a_whole_replay_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 7)
    monkeypatch.setattr(snapshot.Tally, "to_tree", lambda self: None)
    dump = snapshot._more

    def without(scheduler):
        kept, scheduler.tally = scheduler.tally, None
        try:
            return dump(scheduler)
        finally:
            scheduler.tally = kept

    monkeypatch.setattr(snapshot, "_more", without)
    run(ends_well, store=str(tmp_path), run_id="a", engine="threads", echo=False)
    store = Store(str(tmp_path))
    store.delete(run_key("a", "summary"))
    assert told(overview(store, "a")) == of_the_history(store)


def test_V1_what_is_behind_a_run_is_not_replayed(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 20)
    run(ends_long, store=str(tmp_path), run_id="a", engine="threads", echo=False)
    store = Store(str(tmp_path))
    store.delete(run_key("a", "summary"))
    taken = []
    take = recovery._take
    monkeypatch.setattr(recovery, "_take", lambda *given: (taken.append(given), take(*given)))
    overview(store, "a")
    events = sum(len(one.events) for one, _ in read_segments(store, "a", 0, find_end(store, "a")))
    assert events > 500
    assert len(taken) < events / 2


@dynamic
def handled(n: int) -> int:
    return bad(n).on_error(0)


@workflow
def many() -> int:
    return total([handled(n) for n in range(5)])


def test_V1_only_so_many_failed_nodes_of_ended_frames_are_told_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tally, "KEPT", 3)
    run(many, store=str(tmp_path), run_id="a", engine="inline")
    seen = overview(Store(str(tmp_path)), "a")
    assert [row.state for row in seen.troubled] == ["FAILED"] * 3
    assert (seen.more, seen.counts["FAILED"]) == (2, 5)
    assert told(seen)[:2] == of_the_history(Store(str(tmp_path)))[:2]


def test_V1_only_so_many_failed_nodes_of_a_run_are_told_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(at_a_glance, "_SHOWN", 1)
    run(ends_badly, store=str(tmp_path), run_id="a", engine="threads", echo=False)
    seen = overview(Store(str(tmp_path)), "a")
    assert (len(seen.troubled), seen.more) == (1, 1)


@task
def waits(folder: str) -> int:
    """Says that it runs, and ends when it is told to."""
    import time
    from pathlib import Path

    (Path(folder) / "begun").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return 1


@workflow
def long(folder: str) -> int:
    return total([tree(5), waits(folder)])


def test_X8_a_run_that_goes_on_is_told_from_its_journal_and_its_beat(tmp_path, eventually):
    store, folder = Store(str(tmp_path / "store")), tmp_path
    going = start(long, {"folder": str(folder)}, store=store.url, run_id="a", engine="threads", echo=False)
    try:
        wanted = {"RUNNING": 1, "PENDING": 1, "SUCCEEDED": 18}
        seen = eventually(lambda: (now := overview(store, "a")).counts == wanted and now, "the tree's end")
    finally:
        (folder / "go").touch()
    assert [(row.path, row.state, row.attempts) for row in seen.troubled] == [("main/waits", "RUNNING", 1)]
    assert seen.summary.state == "RUNNING"
    assert going.result == 6
    assert overview(store, "a").counts == {"SUCCEEDED": 20}
