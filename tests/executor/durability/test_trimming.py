"""C5: a run that was told to keep only so many rounds of its cycles trims its journal behind a snapshot."""

import errno
import warnings

import pytest

from promissory import Cycle, Store, cycle, every, prev, rerun, resume, run, task
from promissory.errors import Fenced, InputError, JournalError, RunExists, RunNotFound
from promissory.executor.execution.first_events import resumed_event
from promissory.executor.history import recovery
from promissory.executor.history.history import History
from promissory.executor.journal import writer
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import Tail, find_end, newest_snapshot, read_segments
from promissory.executor.journal.writer import Journal
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import export
from promissory.executor.protocol.limits import Limits
from promissory.executor.store.keys import base_key, run_key, segment_key
from promissory.testing import Crashed, Fault, FaultyStore, always_replay

KEPT = 5
LIMITS = Limits(1 << 62, 1 << 62, 1 << 62)


@task
def counted(before: int, number: int) -> int:
    return before + number


@task
def text(number: int) -> str:
    return f"{number}" + "." * 3000  # so that a snapshot is an object of its own


@cycle
def sums(c: Cycle) -> int:
    value = counted(prev(counted, default=0), c.number)
    every(3)(text)(c.number)
    return value


@pytest.fixture(autouse=True)
def snapshots_soon(monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 10)
    monkeypatch.setattr(writer, "COMMIT_INTERVAL", 0.0)


def numbers(store):
    return sorted(int(key.rpartition("/")[2]) for key in store.list(run_key("r", "journal")))


def begun(store, stop, **options):
    return run(sums, store=store, run_id="r", stop=stop, keep_cycles=KEPT, echo=False, durability="process", **options)


def test_C5_a_journal_begins_at_a_base_and_what_came_before_it_is_gone_but_for_the_first_segment(store):
    done = begun(store, 60)
    assert done.result == 60 * 61 // 2
    base = first_segment(store, "r")
    assert base > 0
    assert numbers(store) == [0, *range(base, find_end(store, "r"))]
    assert [key.rpartition("/")[2] for key in store.list(run_key("r", "base"))] == [f"{base:020d}"]
    rounds = [int(name) for name in History(store, "r").rounds.values()]
    assert rounds[-1] == 60
    assert KEPT <= len(rounds) < 40


def test_C5_without_being_told_to_nothing_is_trimmed(store):
    run(sums, store=store, run_id="r", stop=60, echo=False, durability="process")
    assert first_segment(store, "r") == 0
    assert numbers(store)[0] == 0
    assert store.list(run_key("r", "base")) == []


def test_C5_what_was_trimmed_is_said_not_to_be_kept(store):
    done = begun(store, 60)
    assert done.value("main/sums@60/counted") == 60 * 61 // 2
    for ask in (done.value, done.logs, done.inputs_of):
        with pytest.raises(RunNotFound, match=r"no round 1 of main/sums .* earlier ones were not kept"):
            ask("main/sums@1/counted")
    with pytest.raises(RunNotFound, match="the beginning of run r was not kept"):
        rerun("r", "main/sums@60/counted", store=store)


def test_C5_a_trimmed_run_goes_on(store):
    begun(store, 60)
    done = resume("r", store=store, stop=90, keep_cycles=KEPT, echo=False, durability="process")
    assert done.result == 90 * 91 // 2
    assert int(next(iter(History(store, "r").rounds.values()))) > 50
    assert resume("r", store=store, stop=91).result == 91 * 92 // 2


def test_C5_the_journal_says_all_while_it_is_trimmed(store):
    with always_replay():
        assert begun(store, 40).result == 40 * 41 // 2


def test_C5_a_trimmed_run_is_whole_is_exported_and_goes_on_there(store, tmp_path):
    begun(store, 60)
    assert [finding.severity for finding in examine(store, "r")] == ["note"]
    other = Store(tmp_path / "other")
    export(store, "r", other)
    assert [finding.severity for finding in examine(other, "r")] == ["note"]
    assert resume("r", store=other, stop=61).result == 61 * 62 // 2
    export(store, "r", Store(tmp_path / "third"))


def test_C5_a_run_with_a_base_and_no_first_segment_is_there(store):
    begun(store, 60)
    with pytest.raises(RunExists):
        run(counted, {"before": 1, "number": 2}, store=store, run_id="r", echo=False)


def test_C5_a_base_whose_segment_is_gone_is_damage(store):
    begun(store, 60)
    base = first_segment(store, "r")
    store.delete(segment_key("r", base))
    with pytest.raises(JournalError, match=f"{base:020d} is missing"):
        History(store, "r")
    with pytest.raises(JournalError):
        resume("r", store=store, stop=61)
    assert "error" in {finding.severity for finding in examine(store, "r")}


def test_C5_a_base_that_is_no_base_is_damage(store):
    begun(store, 60)
    store.put(base_key("r", first_segment(store, "r") + 1), b"nonsense")
    with pytest.raises(JournalError, match="base"):
        History(store, "r")


def test_C5_a_run_that_is_resumed_again_and_again_is_trimmed_too(store, monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 100)
    begun(store, 10)
    for stop in range(20, 200, 10):
        resume("r", store=store, stop=stop, keep_cycles=KEPT, echo=False, durability="process")
    assert first_segment(store, "r") > 0
    assert len(History(store, "r").rounds) < 120
    assert resume("r", store=store, stop=200).result == 200 * 201 // 2


@cycle
def wide(c: Cycle) -> int:
    value = counted(prev(counted, default=0), c.number)
    for _ in range(30):
        text(c.number)
    return value


def test_C5_the_snapshot_that_a_journal_begins_with_stays_where_no_more_is_trimmed(store):
    run(wide, store=store, run_id="r", stop=20, keep_cycles=KEPT, echo=False, durability="process")
    base = first_segment(store, "r")
    assert base > 0
    assert resume("r", store=store, stop=60, echo=False, durability="process").result == 60 * 61 // 2
    assert first_segment(store, "r") == base
    assert int(next(reversed(History(store, "r").rounds.values()))) == 60
    assert "error" not in {finding.severity for finding in examine(store, "r")}


def test_C3_a_run_that_is_resumed_again_and_again_is_resumed_from_a_snapshot(store, monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 100)
    run(sums, store=store, run_id="r", stop=10, echo=False)
    for stop in range(20, 200, 10):
        resume("r", store=store, stop=stop, echo=False)
    end = find_end(store, "r")
    assert end - newest_snapshot(store, "r", end) < 30


def test_C5_the_newest_base_counts_also_while_older_segments_are_there(store):
    begun(store, 60)
    base, end = first_segment(store, "r"), find_end(store, "r")
    kept = {number: store.get(segment_key("r", number)) for number in range(base, end)}
    resume("r", store=store, stop=90, keep_cycles=KEPT, echo=False, durability="process")
    for number, data in kept.items():
        store.put(segment_key("r", number), data)
    assert first_segment(store, "r") > base
    assert resume("r", store=store, stop=91).result == 91 * 92 // 2


@pytest.mark.parametrize("verb, keys", [("put_new", "base"), ("delete", "journal"), ("delete", "base")])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_C5_a_store_that_fails_once_in_a_trim_harms_nothing(verb, keys, at):
    url = f"memory://failing-{verb}-{keys}-{at}"
    fault = Fault("fail", at=at, verbs=(verb,), keys=f"runs/r/{keys}/*", error=lambda: OSError(errno.EIO, "I/O error"))
    failing = FaultyStore(url, [fault])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert begun(failing, 60).result == 60 * 61 // 2
    store = Store(url)
    assert "error" not in {finding.severity for finding in examine(store, "r")}
    assert resume("r", store=store, stop=61).result == 61 * 62 // 2


@pytest.mark.parametrize("scheme", ["memory", "single+memory"])
def test_C5_an_executor_that_was_taken_over_is_fenced_also_after_a_trim(scheme):
    store = Store(f"{scheme}://late-{scheme.partition('+')[0]}")
    begun(store, 10)
    *_, (segment, data) = read_segments(store, "r", first_segment(store, "r"), find_end(store, "r"))
    late = Journal(store, "r", segment.epoch, Tail.of(segment, data), False, lambda events: None)
    resume("r", store=store, stop=60, keep_cycles=KEPT, echo=False, durability="process")
    assert first_segment(store, "r") > segment.number + 1
    before = numbers(store)
    with pytest.raises(Fenced):
        late.look_for_successor()
    with pytest.raises(Fenced):
        late.claim((resumed_event(1, LIMITS),))
    assert numbers(store) == before


def test_C5_an_executor_that_comes_late_to_its_first_segment_is_fenced(store):
    late = Journal(store, "r", 1, None, False, lambda events: None)
    begun(store, 60)
    with pytest.raises(Fenced):
        late.claim((resumed_event(1, LIMITS),))
    assert resume("r", store=store, stop=61).result == 61 * 62 // 2


def test_C5_a_trimmed_run_is_not_exported_over_a_copy_that_it_has_left_behind(store, tmp_path):
    begun(store, 4)
    other = Store(tmp_path / "other")
    export(store, "r", other)
    resume("r", store=store, stop=80, keep_cycles=KEPT, echo=False, durability="process")
    with pytest.raises(RunExists, match="was trimmed since it was exported"):
        export(store, "r", other)
    assert resume("r", store=other, stop=81).result == 81 * 82 // 2


def test_C5_a_history_in_hand_is_read_anew_where_its_segments_were_trimmed(store):
    begun(store, 20)
    history = History(store, "r")
    resume("r", store=store, stop=90, keep_cycles=KEPT, echo=False, durability="process")
    history.update()
    assert int(next(reversed(history.rounds.values()))) == 90
    assert history.rounds == History(store, "r").rounds


def test_C5_a_take_over_that_a_trim_overtakes_reads_again(store, monkeypatch):
    begun(store, 20)
    replay = recovery._replay

    def overtaken(*arguments):
        monkeypatch.setattr(recovery, "_replay", replay)
        resume("r", store=store, stop=90, keep_cycles=KEPT, echo=False, durability="process")
        return replay(*arguments)

    monkeypatch.setattr(recovery, "_replay", overtaken)
    assert resume("r", store=store, stop=95, echo=False, durability="process").result == 95 * 96 // 2


def test_C5_what_a_base_names_is_durable_before_it(tmp_path):
    operations = FaultyStore(f"file://{tmp_path}/store")
    begun(operations, 60)
    seen = set()
    for operation in operations.operations:
        verb, key = operation[0], operation[1]
        if verb == "sync":
            seen.add(key)
        elif verb == "put_new" and "/base/" in key:
            assert key.replace("/base/", "/journal/") in seen


@pytest.mark.parametrize("keep", [0, -1, 1.5, True])
def test_C5_how_many_are_kept_is_a_number(store, keep):
    with pytest.raises(InputError, match="keep_cycles"):
        run(sums, store=store, stop=3, keep_cycles=keep)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("verb", ["put_new", "delete", "sync"])
def test_C5_a_death_at_any_moment_of_trimming_loses_nothing(how, verb, tmp_path, whole):
    deaths = 0
    for number in range(1, 40, 2 if whole else 9):
        url = f"memory://trimmed-{how}-{verb}-{number}"
        fault = Fault("crash", at=number, verbs=(verb,), keys="runs/r/[bj]*", when=how)
        try:
            begun(FaultyStore(url, [fault]), 60)
        except Crashed:
            deaths += 1
        store = Store(url)
        done = resume("r", store=store, stop=62, keep_cycles=KEPT, echo=False, durability="process")
        assert done.result == 62 * 63 // 2
        assert {row.state for row in done.nodes()} == {"SUCCEEDED"}
        assert "error" not in {finding.severity for finding in examine(store, "r")}
    assert deaths > (3 if whole else 1) or verb != "put_new"  # deletions are made beside the run
