"""`promissory.testing` does what it says: each fault, the clock, crashes at points, replay after every round.

It is public: our own suite and users' suites rest on it.
"""

import threading
import time
import uuid
from itertools import product

import pytest

import promissory.testing
from promissory import Retry, dynamic, task, workflow
from promissory.errors import NotInStore, StoreError
from promissory.executor import Store, crash_points, resume, run
from promissory.executor.crash_points import POINTS
from promissory.executor.protocol.events import NODE_DONE
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.testing.diary import forget
from promissory.executor.testing.enumeration import undisturbed
from promissory.executor.testing.workloads import WORKLOADS
from promissory.testing import Crashed, Fault, FaultyStore, MockClock, NotReplayable, always_replay, crash_at


def lasting():
    return OSError(30, "Read-only file system")


@pytest.fixture
def url():
    """URL of an empty store in memory."""
    return f"memory://{uuid.uuid4()}"


@pytest.fixture(params=["memory", "file"])
def any_url(request, tmp_path):
    """URL of an empty store, of each kind that is near."""
    return f"memory://{uuid.uuid4()}" if request.param == "memory" else str(tmp_path)


@pytest.fixture
def memory():
    return Store(f"memory://{uuid.uuid4()}")


@task
def added(x: int) -> int:
    return x + 1


@workflow
def added_thrice(x: int) -> int:
    return added(added(added(x)))


def test_every_public_name_is_documented():
    for name in promissory.testing.__all__:
        assert (getattr(promissory.testing, name).__doc__ or "").strip()


# --- FaultyStore ---


def test_a_store_without_faults_is_a_store_that_remembers_what_it_was_asked(any_url):
    store = FaultyStore(any_url)
    assert store.put_new("a/b", b"1")
    assert not store.put_new("a/b", b"2")
    assert store.get("a/b") == b"1"
    assert (store.exists("a/b"), store.exists("c")) == (True, False)
    assert store.list("a") == ["a/b"]
    assert store.get_range("a/b", 0, 1) == b"1"
    assert store.append("log", b"xy") == 0
    store.put("a/b", b"3")
    store.sync(["a/b"])
    store.delete("a/b")
    assert [verb for verb, _ in store.operations] == [
        *("put_new", "put_new", "get", "exists", "exists", "list", "get_range", "append", "put", "sync", "delete")
    ]
    assert store.url == Store(any_url).url


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
def test_fail_raises_before_or_after_it_took_effect(any_url, when, there):
    store = FaultyStore(any_url, [Fault("fail", at=1, verbs=["put"], when=when, error=lasting)])
    with pytest.raises(StoreError, match=r"can't write key in the store .*Read-only file system"):
        store.put("key", b"1")
    assert Store(any_url).exists("key") is there


def test_fail_with_an_error_that_passes_is_tried_again(any_url):
    store = FaultyStore(any_url, [Fault("fail", at=1)])
    store.put("key", b"1")
    assert store.operations == [("put", "key"), ("put", "key")]
    assert store.get("key") == b"1"


def test_fail_with_an_error_that_passes_and_does_not_is_raised_when_patience_ends(url):
    store = FaultyStore(url, [Fault("fail")], patience=0.05)
    with pytest.raises(StoreError, match=r"can't read key in the store .*the connection was lost"):
        store.get("key")


def test_a_creation_whose_answer_is_lost_is_still_ones_own(any_url):
    store = FaultyStore(any_url, [Fault("fail", at=1, when="after", verbs=["put_new"])])
    assert store.put_new("key", b"mine")


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
def test_crash_kills_before_or_after_it_took_effect_and_what_is_dead_writes_no_more(any_url, when, there):
    store = FaultyStore(any_url, [Fault("crash", at=1, verbs=["put"], when=when)])
    with pytest.raises(Crashed):
        store.put("key", b"1")
    assert Store(any_url).exists("key") is there
    for action in (lambda: store.put("other", b"1"), lambda: store.get("key"), lambda: store.list("")):
        with pytest.raises(Crashed):
            action()
    assert not Store(any_url).exists("other")


@pytest.mark.parametrize("when", ["before", "after"])
def test_delay_takes_longer_and_does_all_the_same(any_url, when):
    store = FaultyStore(any_url, [Fault("delay", seconds=0.05, verbs=["put"], when=when)])
    begun = time.monotonic()
    store.put("key", b"1")
    assert time.monotonic() - begun >= 0.05
    assert store.get("key") == b"1"


@pytest.mark.parametrize("verb", ["put_new", "put", "append"])
def test_tear_writes_the_first_half_and_raises(any_url, verb):
    store = FaultyStore(any_url, [Fault("tear", at=1, verbs=[verb], error=lasting)])
    with pytest.raises(StoreError):
        getattr(store, verb)("key", b"12345678")
    assert Store(any_url).get("key") == b"1234"


def test_lie_answers_the_opposite_of_what_was_done(any_url):
    store = FaultyStore(any_url, [Fault("lie")])
    assert not store.put_new("key", b"1")
    assert Store(any_url).get("key") == b"1"
    assert store.put_new("key", b"2")
    assert Store(any_url).get("key") == b"1"
    assert store.exists("nobody")
    assert not store.exists("key")


def test_lie_flips_a_bit_of_what_is_read_and_not_of_what_is_there(any_url):
    store = FaultyStore(any_url, [Fault("lie", verbs=["get", "get_range"])])
    store.put("key", b"0123456789")
    lies = store.get("key")
    assert len(lies) == 10
    assert sum((a ^ b).bit_count() for a, b in zip(lies, b"0123456789", strict=True)) == 1
    assert store.get_range("key", 2, 4) != b"23"
    assert Store(any_url).get("key") == b"0123456789"


def test_drop_answers_as_if_it_had_been_done(any_url):
    store = FaultyStore(any_url, [Fault("drop", verbs=["put_new", "put", "delete", "append"])])
    assert store.put_new("a", b"1")
    store.put("b", b"1")
    store.append("c", b"1")
    Store(any_url).put("d", b"1")
    store.delete("d")
    assert [Store(any_url).exists(key) for key in "abcd"] == [False, False, False, True]


def test_drop_of_a_read_gives_what_is_there_or_says_that_it_is_not(any_url):
    Store(any_url).put("a", b"1")
    store = FaultyStore(any_url, [Fault("drop", verbs=["exists", "list"])])
    assert not store.exists("a")
    assert store.list("") == []


@pytest.mark.parametrize("verb", ["put", "append"])
def test_duplicate_does_it_twice(any_url, verb):
    store = FaultyStore(any_url, [Fault("duplicate", verbs=[verb])])
    getattr(store, verb)("key", b"ab")
    assert store.get("key") == (b"ab" if verb == "put" else b"abab")


def test_duplicate_gives_the_second_answer(any_url):
    assert not FaultyStore(any_url, [Fault("duplicate")]).put_new("key", b"1")


def test_a_fault_counts_only_the_operations_that_it_is_about(url):
    store = FaultyStore(url, [Fault("fail", at=2, verbs=["put"], keys="a/*", error=lasting)])
    store.put("a/1", b"")
    store.put("b/1", b"")
    store.put_new("a/2", b"")
    store.exists("a/1")
    with pytest.raises(StoreError, match="a/3"):
        store.put("a/3", b"")
    store.put("a/4", b"")


def test_of_several_faults_the_first_one_that_strikes_acts(url):
    store = FaultyStore(url, [Fault("fail", at=2, error=lasting), Fault("drop", verbs=["put"])])
    store.put("a", b"")
    with pytest.raises(StoreError):
        store.put("b", b"")
    store.put("c", b"")
    assert Store(url).list("") == []


def _failed(url, seed):
    store, failed = FaultyStore(url, [Fault("fail", rate=0.3, error=lasting)], seed=seed), []
    for number in range(100):
        try:
            store.exists(f"key {number}")
        except StoreError:
            failed.append(number)
    return failed


def test_a_seed_tells_what_is_left_to_chance_again(url):
    assert _failed(url, 7) == _failed(url, 7)
    assert _failed(url, 7) != _failed(url, 8)
    assert 15 < len(_failed(url, 7)) < 45


def test_a_whole_run_on_a_flaky_store_repeats_with_its_seed(url):
    operations = []
    for number in range(2):
        store = FaultyStore(f"{url}{number}", [Fault("fail", rate=0.2, verbs=["put_new"], keys="objects/*")], seed=5)
        for key in range(30):
            store.put_object(bytes([key]) * 32, b"x" * 9)
        operations.append(store.operations)
    assert operations[0] == operations[1]
    assert len(operations[0]) > 30


def test_a_misspelled_fault_is_refused():
    """A fault that never strikes makes a test that proves nothing."""
    with pytest.raises(ValueError, match="fial"):
        FaultyStore(None, [Fault("fial")])  # type: ignore[arg-type]


def test_one_faults_list_serves_one_store_only_by_choice(url):
    """Each fault counts for itself: `seen` says how often it was met."""
    fault = Fault("delay", at=3)
    store = FaultyStore(url, [fault])
    for _ in range(5):
        store.exists("key")
    assert fault.seen == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_a_process_that_crashed_on_its_store_left_can_be_resumed(tmp_path):
    store = FaultyStore(tmp_path, [Fault("crash", at=1, keys="runs/*/journal/*", verbs=["put_new"], when="after")])
    with pytest.raises(Crashed):
        run(added_thrice, {"x": 0}, store=store, run_id="r", echo=False, durability="process", engine="inline")
    assert resume("r", store=tmp_path, echo=False).result == 3


def test_what_is_dead_says_nothing(url, monkeypatch, eventually):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))
    beats = Fault("crash", at=2, verbs=["put"], keys="runs/*/beat")

    @task
    def waits() -> int:
        eventually(lambda: beats.seen >= 2, "the second beat")
        return 1

    with pytest.raises(Crashed):
        run(waits, store=FaultyStore(url, [beats]), echo=False, durability="process")
    assert told == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_death_in_a_workers_thread_is_the_death_of_the_process_and_no_nodes_failure(url, engine):
    @task(retries=3)
    def long(x: int) -> list[int]:
        return list(range(x))

    store = FaultyStore(url, [Fault("crash", keys="objects/*", verbs=["put_new"])])
    with pytest.raises(Crashed):
        run(long, {"x": 9000}, store=store, run_id="r", echo=False, durability="process", engine=engine)
    assert len(resume("r", store=url, echo=False, take_over=True).result) == 9000


def test_a_lying_read_of_an_object_is_found_by_its_digest(memory):
    name = memory.put_value(b"\x01" * 9000)
    liar = FaultyStore(memory.url, [Fault("lie", verbs=["get"], keys="objects/*")])
    with pytest.raises(StoreError, match=r"objects/.* is damaged: its digest does not match its bytes"):
        liar.get_value(name)


def test_a_missing_key_is_not_in_store_with_faults_too(url):
    with pytest.raises(NotInStore):
        FaultyStore(url).get("nothing")


# --- MockClock ---


def test_a_delay_of_hours_is_over_at_once_and_in_order(memory):
    moments = {}

    @task(retries=1, retry_delay=300)
    def late() -> int:
        moments.setdefault("late", []).append(round(clock.monotonic()))
        if len(moments["late"]) == 1:
            raise OSError("again")
        return 1

    @task(retries=1, retry_delay=100)
    def early() -> int:
        moments.setdefault("early", []).append(round(clock.monotonic()))
        if len(moments["early"]) == 1:
            raise OSError("again")
        return 2

    @task
    def both(a: int, b: int) -> int:
        return a + b

    @workflow
    def flow() -> int:
        return both(late(), early())

    clock = MockClock()
    assert run(flow, store=memory, clock=clock, echo=False, durability="process").result == 3
    assert moments == {"late": [0, 300], "early": [0, 100]}


def test_a_skipped_wait_is_one_step_however_long_it_is(memory):
    """What would be waited for is skipped as a whole: a delay of a month costs no more than one of a second."""
    attempts = []

    @task(retries=1, retry_delay=2_592_000)
    def flaky() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("again")
        return 1

    clock = MockClock()
    run(flaky, store=memory, clock=clock, echo=False, durability="process")
    assert round(sum(clock.slept)) == 2_592_000
    assert len(clock.slept) < 10


@pytest.mark.parametrize("jump", [-1e9, -86400, 86400, 1e9])
def test_a_calendar_that_jumps_does_not_move_a_delay_of_the_same_process(memory, jump):
    moments, clock = [], MockClock(2e9)

    @task(retries=2, retry_delay=20)
    def flaky() -> int:
        moments.append(round(clock.monotonic()))
        clock.set_calendar(clock.time() + jump)
        if len(moments) < 3:
            raise OSError("again")
        return 1

    assert run(flaky, store=memory, clock=clock, echo=False, durability="process").result == 1
    assert moments == [0, 20, 40]


def test_the_clock_itself():
    clock = MockClock(start=100.0)
    assert (clock.time(), clock.monotonic()) == (100.0, 0.0)
    clock.advance(5)
    clock.set_calendar(50.0)
    assert (clock.time(), clock.monotonic()) == (50.0, 5.0)
    clock.advance(1)
    assert (clock.time(), clock.monotonic()) == (51.0, 6.0)


def test_a_wait_whose_event_has_happened_skips_nothing():
    clock, happened = MockClock(), threading.Event()
    happened.set()
    clock.wait(happened, 100.0)
    assert (clock.monotonic(), clock.slept) == (0.0, [])


def test_a_whole_runs_timeout_goes_by_the_clock_of_the_test(memory):
    @task(retries=100, retry_delay=10)
    def never() -> int:
        raise Retry("not yet")

    ended = run(never, store=memory, clock=(clock := MockClock()), timeout=45, echo=False, durability="process")
    assert ended.state == "FAILED"
    assert "45 s, which is its time-out" in ended.reason
    assert 45 <= clock.monotonic() < 56


# --- crash_at ---


def test_an_unknown_point_is_refused_with_those_that_are():
    with (
        pytest.raises(ValueError, match=r"no point 'journal.comitted'; there are: run.manifest-written, "),
        crash_at("journal.comitted"),
    ):
        pass


def test_every_point_is_told_in_the_table():
    for point in POINTS:
        assert f"\n{point} " in crash_points.__doc__


def test_after_the_block_nothing_dies_any_more(memory):
    with crash_at("worker.before-body"), pytest.raises(Crashed):
        run(added, {"x": 1}, store=memory, echo=False)
    assert crash_points.watcher is None
    assert run(added, {"x": 1}, store=memory, echo=False).result == 2


def test_a_point_that_is_not_reached_so_often_kills_nothing(memory):
    with crash_at("worker.before-body", 4):
        assert run(added_thrice, {"x": 0}, store=memory, echo=False).result == 3


def test_the_occurrence_is_the_how_many_th(memory):
    bodies = []

    @task
    def counted(x: int) -> int:
        bodies.append(x)
        return x + 1

    @workflow
    def flow() -> int:
        return counted(counted(counted(0)))

    with crash_at("worker.before-body", 3), pytest.raises(Crashed):
        run(flow, store=memory, echo=False)
    assert bodies == [0, 1]


def test_blocks_in_blocks_end_as_they_began():
    with crash_at("run.ended"):
        outer = crash_points.watcher
        with crash_at("run.ended", 2):
            assert crash_points.watcher is not outer
        assert crash_points.watcher is outer
    assert crash_points.watcher is None


def test_nothing_handles_a_crash_not_even_a_body_that_catches_exceptions(memory):
    @task(retries=5, retry_on=(Exception,))
    def careful(x: int) -> int:
        return x

    with crash_at("worker.after-body"), pytest.raises(Crashed):
        run(careful, {"x": 1}, store=memory, echo=False)
    assert not issubclass(Crashed, Exception)


DIES = """
import sys
from promissory import run
from promissory.testing import crash_at
from flows import thrice
if __name__ == "__main__":
    with crash_at(sys.argv[1], int(sys.argv[2]), how="kill"):
        run(thrice, {"x": 0}, run_id="killed", engine=sys.argv[3], echo=False)
    print("alive")
"""

FLOWS = """
from promissory import task, workflow
@task
def added(x: int) -> int:
    with open("bodies", "a") as file:
        file.write(f"{x}\\n")
    return x + 1
@workflow
def thrice(x: int) -> int:
    return added(added(added(x)))
"""


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("point", "occurrence", "engine"),
    [
        ("run.manifest-written", 1, "inline"),
        ("journal.objects-synced", 1, "threads"),
        ("journal.segment-written", 1, "processes"),
        ("worker.after-body", 2, "threads"),
        ("run.ended", 1, "processes"),
    ],
)
def test_kill_ends_the_process_as_kill_9_does(project, point, occurrence, engine):
    project.write("flows.py", FLOWS)
    project.write("dies.py", DIES)
    process = project.spawn("dies.py", point, str(occurrence), engine)
    output, _ = project.finish(process)
    assert (process.returncode, output) == (-9, "")
    assert project.code('import promissory; print(promissory.resume("killed", echo=False).result)').strip() == "3"


# --- always_replay ---


@task
def doubled(x: int) -> int:
    return 2 * x


@task(commit="each")
def kept(x: int) -> int:
    return x + 1


@workflow
def inner(x: int) -> list[int]:
    first = kept(x)
    return [first, doubled(first), x]


@dynamic
def down(n: int) -> int:
    return down(n - 1) if n else doubled(21)


@dynamic(retries=1)
def wide(n: int) -> list[list[int]]:
    return [inner(k) for k in range(n)]


@workflow
def everything(n: int) -> tuple[list[list[int]], int, list[int]]:
    return wide(n), down(n), inner(n)


@pytest.mark.full(keep=6)
@pytest.mark.parametrize(
    ("workload", "engine"),
    [*product(WORKLOADS, ("inline", "threads", "processes"))],
    ids=lambda one: getattr(one, "name", one),
)
def test_the_journal_says_all_after_every_round_of_every_workload(workload, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMISSORY_DIARY", str(tmp_path / "diary"))
    forget()
    with always_replay():
        ended = run(
            workload.target, workload.inputs, store=tmp_path / "store", engine=engine, echo=False, durability="process"
        )
        assert ended.result == workload.result


def test_the_journal_says_all_of_joints_tail_calls_and_nodes_committed_by_themselves(memory):
    with always_replay():
        assert run(everything, {"n": 3}, store=memory, echo=False, durability="process").result == (
            [[1, 2, 0], [2, 4, 1], [3, 6, 2]],
            42,
            [4, 8, 3],
        )


def test_the_journal_says_all_of_attempts_and_delays(memory):
    attempts = []

    @task(retries=3, retry_delay=5, backoff=2, jitter=0.5)
    def flaky(x: int) -> int:
        attempts.append(x)
        if len(attempts) < 4:
            raise OSError("again")
        return x

    with always_replay():
        assert run(flaky, {"x": 1}, store=memory, clock=MockClock(), echo=False, durability="process").result == 1


def test_the_journal_says_all_of_a_run_that_fails_and_of_its_resume(memory):
    broken = [True]

    @task
    def fragile(x: int) -> int:
        if broken:
            raise ValueError("broken")
        return x

    @workflow
    def flow(x: int) -> int:
        return doubled(fragile(kept(x)))

    with always_replay():
        ended = run(flow, {"x": 1}, store=memory, echo=False, durability="process")
        assert ended.state == "FAILED"
        broken.clear()
        assert resume(ended.id, store=memory, echo=False, durability="process").result == 4


def test_the_journal_says_all_of_a_run_that_is_paused(memory, eventually):
    entered, leave = threading.Event(), threading.Event()

    @task
    def held(x: int) -> int:
        entered.set()
        leave.wait(60)
        return x

    @workflow
    def flow(x: int) -> int:
        return doubled(kept(held(x)))

    with always_replay():
        going = promissory.start(flow, {"x": 1}, store=memory, echo=False, durability="process", engine="threads")
        assert entered.wait(60)
        going.pause()
        eventually(lambda: going.state == "PAUSED", "the pause")
        leave.set()
        going.unpause()
        assert going.wait(60).result == 4


def test_a_journal_that_leaves_something_out_is_found(memory, monkeypatch):
    """A scheduler that keeps an event to itself: a resume would run the node again."""
    real = Scheduler.done

    def forgetful(self, frame, index, value, meta):
        real(self, frame, index, value, meta)
        self.log[:] = [event for event in self.log if event[0] != NODE_DONE]

    monkeypatch.setattr(Scheduler, "done", forgetful)
    with always_replay(), pytest.raises(NotReplayable, match=r"(?s)is .* and a resume would begin with "):
        run(added_thrice, {"x": 0}, store=memory, echo=False, durability="process")


def test_a_journal_that_says_another_value_is_found(memory, monkeypatch):
    real = Scheduler.done

    def lying(self, frame, index, value, meta):
        real(self, frame, index, value, meta)
        self.log[:] = [(*event[:3], b"\x63", *event[4:]) if event[0] == NODE_DONE else event for event in self.log]

    monkeypatch.setattr(Scheduler, "done", lying)
    with always_replay(), pytest.raises(NotReplayable):
        run(added_thrice, {"x": 0}, store=memory, echo=False, durability="process")


def test_replay_ends_with_its_block(memory, monkeypatch):
    from promissory.executor.execution import loop as execution

    with pytest.raises(RuntimeError), always_replay():
        assert execution.examine is not None
        raise RuntimeError
    assert execution.examine is None


def test_a_workload_whose_result_is_not_what_it_promises_is_a_violation(url):
    from dataclasses import replace

    from promissory.executor.testing.enumeration import Violation

    with pytest.raises(Violation, match=r"nested gives .*, not 5"):
        undisturbed(replace(WORKLOADS[0], result=5), url)
