"""J1, J2: whatever dies, wherever, and how often: a resume gives the same bytes, begins no committed body again and
leaves no dangling pointer.
"""

import itertools
import threading
import uuid
from pathlib import Path

import pytest

from promissory import dynamic, task, workflow
from promissory.errors import JournalError
from promissory.executor import Store, resume, run, start
from promissory.executor.crash_points import POINTS
from promissory.executor.history.history import History
from promissory.executor.history.recovery import recover
from promissory.executor.journal import writer as journal
from promissory.executor.journal.reader import find_end, newest_snapshot
from promissory.executor.protocol.events import EXPANDED, NODE_DONE, SNAPSHOT
from promissory.executor.records.inbox import send
from promissory.executor.records.manifest import read_manifest
from promissory.executor.store.keys import run_key, segment_key
from promissory.executor.testing.diary import forget, said, say
from promissory.executor.testing.enumeration import (
    HOWS,
    RUN_ID,
    check_resumed,
    crash_at_operations,
    die_at,
    undisturbed,
)
from promissory.executor.testing.workloads import WORKLOADS, Workload
from promissory.planner.plan.model import Large
from promissory.testing import Crashed, Fault, FaultyStore, MockClock, crash_at

by_name = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
NESTED, RETRIED, CACHED = WORKLOADS[:3]

AT_POINTS = {
    "run.manifest-written",
    "journal.segment-written",
    "journal.committed",
    "futures.before-write",
    "run.ended",
}
AT_POINTS |= {"worker.before-body", "worker.after-body", "worker.value-stored"}
IN_WORKLOADS = dict.fromkeys(("nested", "retried", "looped", "mapped", "steered", "cycled", "awaited"), AT_POINTS)
IN_WORKLOADS["cached"] = AT_POINTS | {"cache.before-write", "cache.written"}
IN_WORKLOADS |= dict.fromkeys(("decided", "waited"), AT_POINTS - {"futures.before-write"})
ELSEWHERE = {"inbox.obeyed", "snapshot.written", "resume.claimed", "journal.objects-synced"}
"""Points that have tests of their own below."""


@pytest.fixture
def new_url():
    """A function: URL of an empty store in memory."""
    return lambda: f"memory://{uuid.uuid4()}"


@pytest.fixture
def folders(tmp_path):
    """A function: an empty folder for a store."""
    numbers = itertools.count()
    return lambda: str(tmp_path / f"store{next(numbers)}")


@pytest.fixture(autouse=True)
def silent_threads(monkeypatch):
    """What has died says nothing on its threads either."""
    before = threading.excepthook
    monkeypatch.setattr(
        threading, "excepthook", lambda told: None if issubclass(told.exc_type, Crashed) else before(told)
    )


def begun(workload, store, **options):
    """Whether a workload died."""
    forget()
    return died(
        lambda: run(
            workload.target, workload.inputs, store=store, run_id=RUN_ID, echo=False, durability="process", **options
        )
    )


def resumed(store):
    """Whether a resume died. What was committed before may not begin again in it."""
    committed, before = labels_of_committed(Store(store.url)), said()
    dead = died(lambda: resume(RUN_ID, store=store, echo=False, durability="process", take_over=True))
    again = committed & (said() - before).keys()
    assert not again, f"{again} were committed, and began again"
    return dead


def died(action):
    try:
        action()
    except Crashed:
        return True
    return False


def labels_of_committed(store):
    """What the bodies said that are committed."""
    said = set()
    for row in History(store, RUN_ID).nodes():
        if row.state in ("SUCCEEDED", "EXPANDED") and row.log is not None:
            key, offset, length = row.log
            said.update(store.get_range(key, offset, offset + length).decode().splitlines())
    return said


# --- at every operation, at every point ---


@pytest.fixture
def operations(whole):
    """A function how → the operations at which a run is to die: samples of them, others for each way to die."""
    return lambda how: itertools.count(1) if whole else itertools.count(1 + HOWS.index(how), 9)


@pytest.mark.full(keep=2)
@by_name
@pytest.mark.parametrize("how", ["crash before", "crash after"])
def test_J1_a_run_that_dies_at_any_operation_of_its_store_is_as_if_nothing_had_been(
    workload, how, new_url, operations, whole
):
    assert crash_at_operations(workload, new_url, how, operations(how)) >= (12 if whole else 2)


@pytest.mark.full(keep=1)
@by_name
@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
def test_J4_a_run_whose_writes_are_torn_is_as_if_nothing_had_been(workload, new_url, operations, whole):
    assert crash_at_operations(workload, new_url, "tear", operations("tear")) >= (10 if whole else 2)


@pytest.mark.full(keep=4)
@by_name
@pytest.mark.parametrize(
    "keys", ["objects/*", "plans/*", "cache/*", "leases/*", "manifest", "journal/*", "futures/*", "logs/*", "beat"]
)
def test_J4_a_process_that_dies_over_a_half_written_key_leaves_the_run_whole(workload, keys, new_url, whole):
    """Futures files, cache entries, leases and beats too: their errors stop no run, a death does."""
    expected = undisturbed(workload, new_url())
    pattern = keys if keys.partition("/")[0] in ("objects", "plans", "cache", "leases") else f"runs/*/{keys}"
    for number in itertools.count(1, 3 if whole else 20):
        url = new_url()
        fault = Fault(
            "tear", at=number, verbs=("put_new", "put", "append"), keys=pattern, error=lambda: Crashed("torn")
        )
        if not begun(workload, FaultyStore(url, [fault])):
            break
        check_resumed(workload, url, expected, f"{workload.name}, torn {keys} {number}")
    assert number > 1 or keys in ("objects/*", "cache/*", "leases/*", "futures/*"), "it is met at least once"


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
def test_J1_the_same_holds_on_a_disk(how, folders):
    for workload, first in zip(WORKLOADS, (3, 6, 11, 4, 5, 3, 2, 2, 4, 5), strict=True):
        assert crash_at_operations(workload, folders, how, iter(range(first, 60, 12))) >= 1


@pytest.mark.full(keep=3)
@by_name
def test_J1_a_run_that_dies_at_any_named_point_is_as_if_nothing_had_been(workload, new_url):
    reached = {point for point in POINTS if die_at(workload, new_url, point, 1)}
    assert reached - {"inbox.obeyed"} == IN_WORKLOADS[workload.name]


@pytest.mark.full
@pytest.mark.parametrize(
    "point", ["futures.before-write", "worker.before-body", "worker.after-body", "worker.value-stored"]
)
def test_J1_later_passages_of_a_point_are_as_the_first(point, new_url):
    assert [die_at(NESTED, new_url, point, occurrence) for occurrence in (2, 5, 7)] == [1, 1, 1]


def test_J1_each_named_point_is_met_by_a_workload_or_by_a_test_of_its_own():
    assert AT_POINTS | IN_WORKLOADS["cached"] | ELSEWHERE == set(POINTS)


@pytest.mark.full(keep=2)
@by_name
def test_J2_a_death_between_objects_and_segment_on_disk_leaves_the_run_whole(workload, folders):
    expected = undisturbed(workload, folders())
    for occurrence in itertools.count(1):
        url = folders()
        forget()
        with crash_at("journal.objects-synced", occurrence):
            if not died(
                lambda url=url: run(
                    workload.target, workload.inputs, store=url, run_id=RUN_ID, echo=False, durability="disk"
                )
            ):
                break
        check_resumed(workload, url, expected, f"objects-synced {occurrence}")
    assert occurrence > 1


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("engine", ["threads", "processes"])
@pytest.mark.parametrize("point", ["journal.segment-written", "futures.before-write", "run.ended"])
def test_J1_the_executor_may_die_on_any_engine(point, engine, folders):
    expected, url = undisturbed(NESTED, folders()), folders()
    with crash_at(point):
        assert begun(NESTED, Store(url), engine=engine)
    forget()
    run_of = resume(RUN_ID, store=url, engine=engine, echo=False, durability="process")
    assert run_of.result == expected.result


# --- resumes that die ---


@pytest.mark.full(keep=1)
@by_name
def test_J1_a_resume_that_dies_at_any_operation_is_resumed_as_if_nothing_had_been(workload, new_url, whole):
    expected, deaths = undisturbed(workload, new_url()), 0
    for number in itertools.count(1, 2 if whole else 11):
        url = new_url()
        with crash_at("worker.after-body", 3):
            assert begun(workload, Store(url))
        if not resumed(FaultyStore(url, [Fault("crash", at=number, when="after" if deaths % 2 else "before")])):
            break
        deaths += 1
        check_resumed(workload, url, expected, f"{workload.name}, a resume that died at operation {number}")
    assert deaths >= (4 if whole else 1)


@pytest.mark.full(keep=4)
@by_name
@pytest.mark.parametrize("point", ["resume.claimed", "journal.segment-written", "journal.committed", "run.ended"])
def test_J1_a_resume_that_dies_at_a_named_point_and_the_resume_of_it_too_lose_nothing(workload, point, new_url):
    expected, url = undisturbed(workload, new_url()), new_url()
    with crash_at("worker.value-stored", 3):
        assert begun(workload, Store(url))
    for _ in range(3):
        with crash_at(point):
            dead = resumed(Store(url))
    assert dead or point != "resume.claimed"
    check_resumed(workload, url, expected, f"{workload.name}, resumes that died at {point}")


def test_J1_a_run_every_one_of_whose_resumes_gets_one_body_further_ends(new_url):
    expected, url = undisturbed(NESTED, new_url()), new_url()
    with crash_at("worker.before-body", 2):
        dead = begun(NESTED, Store(url))
    deaths = 0
    while dead:
        deaths += 1
        assert deaths < 100, "no progress is made"
        with crash_at("journal.committed", 2):  # the first one is the claim
            dead = resumed(Store(url))
    check_resumed(NESTED, url, expected, "died again and again")


def test_J1_a_run_that_died_after_its_end_was_committed_runs_nothing_again(new_url):
    url = new_url()
    with crash_at("run.ended"):
        assert begun(CACHED, Store(url))
    before = said()
    assert resume(RUN_ID, store=url, echo=False).result == CACHED.result
    assert said() == before


def test_J1_a_run_that_waits_for_another_attempt_keeps_its_attempts_over_a_death(new_url):
    """Two deaths in the delay between two attempts don't give the task more attempts than it has."""

    @task(retries=2, retry_delay=30)
    def failing() -> int:
        say("failing")
        raise OSError("for good")

    url = new_url()
    forget()
    flow = Workload("failing", failing, None)
    with crash_at("worker.before-body", 2):
        assert begun(flow, Store(url), clock=MockClock())
    ended = resume(RUN_ID, store=url, echo=False, durability="process", clock=MockClock())
    assert ended.state == "FAILED"
    assert said()["failing"] in (3, 4), "an attempt whose failure was not committed may be made again, no other"


def test_D6_a_dynamic_whose_futures_file_is_committed_is_never_traced_again(new_url, events_of):
    url = new_url()
    with crash_at("futures.before-write", 3):
        assert begun(NESTED, Store(url))
    emitted = [event[4] for event in events_of(Store(url), RUN_ID) if event[0] == EXPANDED]
    assert len(emitted) >= 3
    assert not resumed(Store(url))
    again = [event[4] for event in events_of(Store(url), RUN_ID) if event[0] == EXPANDED]
    assert again[: len(emitted)] == emitted


def test_D1_a_futures_file_that_a_crash_kept_from_being_written_is_written_by_the_resume(folders):
    url = folders()
    with crash_at("futures.before-write"):
        assert begun(NESTED, Store(url))
    assert not [*Path(url).rglob("*.futures")]
    resume(RUN_ID, store=url, echo=False, durability="process")
    kept = [*Path(url).rglob("*.futures")]
    assert len(kept) == 7 + 4, "seven trees less those that are leaves, and tail calls"


def test_J3_an_executor_that_dies_over_a_command_leaves_a_run_that_goes_on(new_url):
    entered, leave = threading.Event(), threading.Event()

    @task
    def held(x: int) -> int:
        entered.set()
        leave.wait(60)
        return x + 1

    url = new_url()
    with crash_at("inbox.obeyed"):
        going = start(held, {"x": 1}, store=url, run_id=RUN_ID, engine="threads", echo=False, durability="process")
        assert entered.wait(60)
        send(Store(url), RUN_ID, "pause")
        going._thread.join(5)
        leave.set()
        with pytest.raises(Crashed):
            going.wait(60)
    ended = resume(RUN_ID, store=url, echo=False, durability="process", take_over=True)
    assert ended.result == 2


# --- snapshots ---


def test_J1_a_run_each_of_whose_nodes_is_committed_by_itself_makes_snapshots_too(many_snapshots, new_url, events_of):
    @task(commit="each")
    def incremented(x: int) -> int:
        return x + 1

    @workflow
    def many() -> int:
        x = 0
        for _ in range(30):
            x = incremented(x)
        return x

    store = Store(new_url())
    assert not begun(Workload("many", many, 30), store)
    assert snapshots_of(store, events_of)


@task
def stamped(text: str) -> str:
    say(f"stamped {text[:4]}")
    return f"{int(text[:4]) + 1:04}" + 1500 * "."


@task(commit="each")
def stored(text: str) -> str:
    say(f"stored {text[:4]}")
    return text


@dynamic
def stamps(text: str, n: int) -> str:
    say(f"stamps {text[:4]}")
    for _ in range(n):
        text = stored(stamped(text))
    return text


@workflow
def chain(carried: str, along: str, too: str) -> str:
    return stamps(stamps(stamps("0000", 6), 6), 6)


CARRIED = dict.fromkeys(("carried", "along", "too"), 2000 * ".")
"""Makes each state larger than what a segment holds itself."""
CHAIN = Workload("chain", chain, "0018" + 1500 * ".", CARRIED)


@pytest.fixture
def many_snapshots(monkeypatch):
    """A snapshot after every few events."""
    monkeypatch.setattr(journal, "SNAPSHOT_EVENTS", 3)


def snapshots_of(store, events_of):
    return [event[1] for event in events_of(store, RUN_ID) if event[0] == SNAPSHOT]


def keys_of_snapshots(store):
    return store.list(run_key(RUN_ID, "snapshots"))


@pytest.mark.full
def test_J1_snapshots_are_made_of_a_run_of_many_events_and_only_the_newest_is_kept(many_snapshots, new_url, events_of):
    store = Store(new_url())
    assert not begun(CHAIN, store)
    made = snapshots_of(store, events_of)
    assert len(made) > 2
    assert sum(isinstance(state, Large) for state in made) > 1, "the test has to see large ones"
    assert len(keys_of_snapshots(store)) == 1


@pytest.mark.parametrize("workload", [CHAIN, NESTED], ids=lambda workload: workload.name)
def test_J1_a_run_that_dies_between_a_snapshot_and_its_segment_is_as_if_nothing_had_been(
    many_snapshots, workload, new_url
):
    assert [die_at(workload, new_url, "snapshot.written", occurrence) for occurrence in (1, 2)] == [1, 1]


@pytest.mark.full(keep=1)
@pytest.mark.filterwarnings("ignore:can't write:RuntimeWarning")
@pytest.mark.parametrize("how", HOWS)
def test_J1_a_run_with_snapshots_that_dies_at_any_write_of_one_is_as_if_nothing_had_been(
    many_snapshots, how, new_url, events_of
):
    expected = undisturbed(CHAIN, new_url())
    for number in itertools.count(1, 3):
        url = new_url()
        kind, when = ("tear", "before") if how == "tear" else ("crash", how.removeprefix("crash "))
        fault = Fault(
            kind,
            at=number,
            verbs=("put_new", "delete"),
            keys="runs/*/snapshots/*",
            when=when,
            error=lambda: Crashed("torn"),
        )
        if not begun(CHAIN, FaultyStore(url, [fault])):
            break
        check_resumed(CHAIN, url, expected, f"{how}, snapshot {number}")
    assert number > 3


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("damage", ["gone", "flipped", "cut", "empty"])
def test_J4_a_snapshot_that_is_gone_or_damaged_costs_a_full_replay_and_nothing_else(
    many_snapshots, damage, new_url, events_of
):
    expected, url = undisturbed(CHAIN, new_url()), new_url()
    store = Store(url)
    with crash_at("snapshot.written", 4):
        assert begun(CHAIN, store)
    first = newest_snapshot(store, RUN_ID, find_end(store, RUN_ID))
    assert first > 0
    named = [state for state in snapshots_of(store, events_of) if isinstance(state, Large)][-1]
    key = run_key(RUN_ID, f"snapshots/{named.digest.hex()}")
    data = store.get(key)
    if damage == "gone":
        store.delete(key)
    else:
        store.put(
            key, {"flipped": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], "cut": data[:-1], "empty": b""}[damage]
        )
    check_resumed(CHAIN, url, expected, f"a snapshot that is {damage}")


def test_J4_every_snapshot_may_be_gone(many_snapshots, new_url):
    expected, url = undisturbed(CHAIN, new_url()), new_url()
    store = Store(url)
    with crash_at("snapshot.written", 4):
        assert begun(CHAIN, store)
    for key in keys_of_snapshots(store):
        store.delete(key)
    check_resumed(CHAIN, url, expected, "all snapshots are gone")


def test_J4_where_the_journal_is_damaged_too_the_resume_names_the_segment(many_snapshots, new_url):
    store = Store(new_url())
    with crash_at("snapshot.written", 4):
        assert begun(CHAIN, store)
    for key in keys_of_snapshots(store):
        store.delete(key)
    key = segment_key(RUN_ID, 1)
    data = bytearray(store.get(key))
    data[len(data) // 2] ^= 1
    store.put(key, bytes(data))
    with pytest.raises(JournalError, match=key.rpartition("/")[2]):
        resume(RUN_ID, store=store, echo=False)


def test_J1_damage_before_the_newest_snapshot_does_not_matter_to_a_resume(many_snapshots, new_url):
    """What a resume begins with is the snapshot: it costs the frontier, and not the history."""
    expected, url = undisturbed(CHAIN, new_url()), new_url()
    store = Store(url)
    with crash_at("snapshot.written", 4):
        assert begun(CHAIN, store)
    first = newest_snapshot(store, RUN_ID, find_end(store, RUN_ID))
    watched = FaultyStore(url)
    recover(watched, read_manifest(watched, RUN_ID), MockClock())
    read = {key for verb, key in watched.operations if verb == "get" and "/journal/" in key}
    assert min(read) == segment_key(RUN_ID, first)
    assert resume(RUN_ID, store=store, echo=False, durability="process").result == expected.result


def test_J1_a_resume_makes_snapshots_too_and_drops_those_of_the_executor_before(many_snapshots, new_url, events_of):
    expected, url = undisturbed(CHAIN, new_url()), new_url()
    store = Store(url)
    with crash_at("snapshot.written", 4):
        assert begun(CHAIN, store)
    assert len(keys_of_snapshots(store)) == 2, "one is named, one is not yet"
    before = len(snapshots_of(store, events_of))
    assert resume(RUN_ID, store=store, echo=False, durability="process").result == expected.result
    assert len(snapshots_of(store, events_of)) > before
    assert len(keys_of_snapshots(store)) <= 2


def test_J1_each_node_is_committed_once_however_often_the_run_died(many_snapshots, new_url, events_of):
    url = new_url()
    store, point = Store(url), itertools.cycle(["snapshot.written", "journal.committed", "worker.after-body"])
    with crash_at(next(point), 2):
        dead = begun(CHAIN, store)
    while dead:
        with crash_at(next(point), 3):
            dead = resumed(store)
    ended = [(event[1], event[2]) for event in events_of(store, RUN_ID) if event[0] in (NODE_DONE, EXPANDED)]
    assert len(ended) == len(set(ended))
