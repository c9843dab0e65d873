"""`commit="each"`: what follows a node starts only when its result is stored for good, so that no crash runs it again
after that.
"""

import os
import signal
from collections import Counter

import pytest

from promissory import dynamic, task, workflow
from promissory.errors import DecorationError
from promissory.executor import Store, resume, run
from promissory.executor.history.history import History
from promissory.executor.journal import writer as journal
from promissory.executor.journal.reader import find_end, newest_snapshot
from promissory.testing import Crashed, Fault, FaultyStore, MockClock, always_replay, crash_at

ENGINES = ["inline", "threads", "processes"]
RUN = "each"


def note(diary, *what):
    """A line, whole even if other processes write at the same time; gives how often it stands there."""
    line = " ".join(map(str, what))
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (line + "\n").encode())
    os.close(descriptor)
    return diary.read_text().splitlines().count(line)


def noted(diary):
    """How often each line stands there."""
    return Counter(diary.read_text().splitlines()) if diary.exists() else Counter()


def committed(url, *paths):
    """Whether each of these nodes is stored as succeeded, as anybody outside sees it."""
    states = {row.path: row.state for row in History(Store(url), RUN).nodes()}
    return [states.get(path) == "SUCCEEDED" for path in paths]


def kept(target, store, inputs=None, **options):
    return run(target, inputs, store=store, run_id=RUN, echo=False, **options)


@task(commit="each")
def paid(x: int) -> int:
    return x + 1


# --- what is held back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_commit_each_holds_what_takes_the_value_until_it_is_committed(store, engine):
    @task
    def sees(x: int, url: str) -> list[bool]:
        return committed(url, "main/paid")

    @workflow
    def flow(url: str) -> list[bool]:
        return sees(paid(1), url)

    assert kept(flow, store, {"url": store.url}, engine=engine).result == [True]


def test_commit_each_holds_what_only_comes_after_it(store):
    @task
    def sees(url: str) -> list[bool]:
        return committed(url, "main/paid", "main/paid~2")

    @workflow
    def flow(url: str) -> list[bool]:
        last = sees(url)
        [paid(1), paid(2)] >> last
        return last

    assert kept(flow, store, {"url": store.url}).result == [True, True]


def test_commit_each_holds_what_takes_a_part_of_the_value_in_a_list_or_elsewhere(store):
    @task(commit="each")
    def pair(x: int) -> tuple[int, int]:
        return x, x + 1

    @task
    def sees(xs: list[float], url: str) -> list[bool]:
        return committed(url, "main/pair", "main/inner/pair")

    @workflow
    def inner(x: int) -> tuple[int, int]:
        return pair(x)

    @workflow
    def flow(url: str) -> list[bool]:
        return sees([pair(1)[1], inner(2)[0]], url)

    assert kept(flow, store, {"url": store.url}).result == [True, True]


def test_commit_each_may_be_a_nodes_own(store):
    @task
    def plain(x: int) -> int:
        return x

    @task
    def sees(x: int, url: str) -> list[bool]:
        return committed(url, "main/plain")

    @workflow
    def flow(url: str) -> list[bool]:
        return sees(plain(1).with_overrides(commit="each"), url)

    assert kept(flow, store, {"url": store.url}).result == [True]


def test_commit_each_holds_large_values_too(store):
    @task(commit="each")
    def large(n: int) -> bytes:
        return b"x" * n

    @task
    def sees(data: bytes, url: str) -> tuple[int, list[bool]]:
        return len(data), committed(url, "main/large")

    @workflow
    def flow(url: str) -> tuple[int, list[bool]]:
        return sees(large(200_000), url)

    assert kept(flow, store, {"url": store.url}, engine="processes").result == (200_000, [True])


def test_commit_each_of_a_dynamic_holds_what_it_emitted_until_its_futures_file_is_committed(store):
    @task
    def sees(url: str) -> list[bool]:
        return [row.state == "EXPANDED" for row in History(Store(url), RUN).nodes() if row.path == "main/grows"]

    @dynamic(commit="each")
    def grows(url: str) -> list[bool]:
        return sees(url)

    assert kept(grows, store, {"url": store.url}).result == [True]


def test_commit_each_of_a_dynamic_that_emits_nothing_holds_what_follows(store):
    @task
    def sees(x: int, url: str) -> list[bool]:
        return committed(url, "main/grows")

    @dynamic(commit="each")
    def grows(x: int) -> int:
        return x

    @workflow
    def flow(url: str) -> list[bool]:
        return sees(grows(1), url)

    assert kept(flow, store, {"url": store.url}).result == [True]


def test_commit_each_of_a_dynamic_holds_what_follows_until_its_result_is_committed(store):
    @task
    def inc(x: int) -> int:
        return x + 1

    @task
    def sees(x: int, url: str) -> list[bool]:
        return committed(url, "main/grows/inc", "main/grows")

    @dynamic(commit="each")
    def grows(x: int) -> int:
        return inc(x)

    @workflow
    def flow(url: str) -> list[bool]:
        return sees(grows(1), url)

    assert kept(flow, store, {"url": store.url}).result == [True, True]


def test_commit_each_holds_nothing_that_does_not_follow(tmp_path, diary):
    """The commit takes long; what stands beside it does not wait."""
    slow = FaultyStore(tmp_path / "slow", [Fault("delay", verbs=["put_new"], keys="runs/*/journal/*", seconds=0.3)])

    @task(commit="each")
    def held(x: int) -> int:
        return note(diary, "held") and x

    @task
    def free(x: int) -> int:
        note(diary, "free", x)
        return x + 1

    @task
    def follows(x: int) -> int:
        return note(diary, "follows") and x

    @workflow
    def flow() -> list[int]:
        return [follows(held(1)), free(free(free(0)))]

    assert kept(flow, slow).result == [1, 3]
    assert diary.read_text().splitlines() == ["held", "free 0", "free 1", "free 2", "follows"]


def test_commit_each_holds_what_follows_a_cached_outcome_and_runs_it(store, diary):
    @task(commit="each", cache=True)
    def known(x: int) -> int:
        return note(diary, "known") and x

    @task
    def then(x: int) -> int:
        return note(diary, "then") and x

    @dynamic(commit="each", cache=True)
    def grows(x: int) -> int:
        note(diary, "grows")
        return then(x)

    @workflow
    def flow() -> int:
        return grows(known(1))

    assert [run(flow, store=store, echo=False).result for _ in range(2)] == [1, 1]
    assert noted(diary) == {"known": 1, "grows": 1, "then": 1}


def test_commit_each_is_about_the_attempt_that_succeeds(store, diary):
    @task(commit="each", retries=3, retry_delay=1)
    def flaky(x: int) -> int:
        if note(diary, "flaky") < 3:
            raise OSError("busy")
        return x

    @task
    def sees(x: int, url: str) -> list[bool]:
        return committed(url, "main/flaky")

    @workflow
    def flow(url: str) -> list[bool]:
        return sees(flaky(1), url)

    ended = kept(flow, store, {"url": store.url}, clock=MockClock())
    assert (ended.result, noted(diary)) == ([True], {"flaky": 3})
    assert ended.nodes()[0].attempts == 3


def test_commit_each_lets_a_run_fail_elsewhere_and_keeps_what_was_held(store, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task(commit="each")
    def held(x: int) -> int:
        return note(diary, "held") and x

    @task
    def broken(x: int) -> int:
        if not repaired.exists():
            raise OSError("no")
        return x

    @workflow
    def flow() -> list[int]:
        return [held(1), broken(2)]

    assert kept(flow, store).error.path == "main/broken"
    repaired.touch()
    assert resume(RUN, store=store, echo=False).result == [1, 2]
    assert noted(diary) == {"held": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_commit_each_gives_the_same_results(engine):
    @dynamic(commit="each")
    def fib(n: int) -> int:
        return paid(n - 1) if n < 2 else add(fib(n - 1), fib(n - 2))

    @task(commit="each")
    def add(a: int, b: int) -> int:
        return a + b

    ended = run(
        fib, {"n": 5}, store=f"memory://each-{engine}-{os.getpid()}", engine=engine, max_parallelism=2, echo=False
    )
    assert ended.result == 5


@pytest.mark.parametrize("wrong", ["all", "", None, True, ["each"], 1], ids=repr)
def test_commit_each_or_group_and_nothing_else(wrong):
    with pytest.raises(DecorationError, match='commit must be "group" or "each"'):

        @task(commit=wrong)
        def held(x: int) -> int:
            return x


# --- crashes ----------------------------------------------------------------------------------------------------------


def journey(diary):
    @task(commit="each")
    def pays(x: int) -> int:
        note(diary, "pays", x)
        return x + 1

    @task
    def sends(x: int) -> int:
        note(diary, "sends", x)
        return x + 1

    @dynamic(commit="each")
    def chooses(x: int) -> int:
        note(diary, "chooses")
        return sends(pays(x))

    @workflow
    def flow() -> int:
        return chooses(sends(pays(0)))

    return flow


FOLLOWED = [
    ("sends 1", "pays 0"),
    ("chooses", "pays 0"),
    ("pays 2", "chooses"),
    ("sends 3", "pays 2"),
    ("sends 3", "chooses"),
]
"""What starts from what is committed each: once the first has begun, the second never begins again."""
POINTS = [f"journal.{one}" for one in ("objects-synced", "segment-written", "committed")]
POINTS += [f"worker.{one}" for one in ("before-body", "after-body", "value-stored")]


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("point", POINTS)
def test_J1_what_something_has_started_from_never_begins_again_wherever_the_executor_dies(tmp_path, point):
    for occurrence in range(1, 30):
        diary, store = tmp_path / f"diary {occurrence}", Store(tmp_path / f"store {occurrence}")
        flow = journey(diary)
        died = False
        with crash_at(point, occurrence):
            try:
                kept(flow, store)
            except Crashed:
                died = True
        begun = noted(diary)
        assert resume(RUN, store=store, target=flow, echo=False).result == 4
        again = noted(diary) - begun
        assert [(first, then) for then, first in FOLLOWED if begun[then] and again[first]] == [], (
            f"at occurrence {occurrence}"
        )
        if not died:
            break
    assert occurrence > 3


KILLED = """
    import os, signal
    from promissory import task, workflow

    def note(what):
        with open("begun", "a") as file:
            file.write(what + "\\n")

    @task(commit="each")
    def pays(x: int) -> int:
        note("pays")
        return x + 1

    @task
    def dies(x: int, executor: int) -> int:
        note("dies")
        if not os.path.exists("died"):
            open("died", "w").close()
            os.kill(executor, signal.SIGKILL)
            signal.pause()
        return x + 1

    @workflow
    def flow(executor: int) -> int:
        return dies(pays(1), executor)
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_J1_killed_by_what_follows_the_run_goes_on_there(project, engine):
    project.write("killed.py", KILLED)
    call = f"run(flow, {{'executor': os.getpid()}}, run_id='k', engine={engine!r})"
    process = project.spawn("-c", f"import os; from promissory import run; from killed import flow; {call}")
    project.finish(process)
    assert process.returncode == -signal.SIGKILL
    assert project.code("from promissory import resume; print(resume('k').result)").split() == ["3"]
    assert project.lines("begun") == ["pays", "dies", "dies"]


def test_J1_what_follows_never_begins_where_the_commit_fails(tmp_path, diary):
    def full():
        return OSError(28, "No space left on device")

    broken = FaultyStore(
        tmp_path / "store", [Fault("fail", verbs=["put_new"], keys="runs/*/journal/*", error=full)], patience=0.1
    )

    @task
    def follows(x: int) -> int:
        return note(diary, "follows") and x

    @workflow
    def flow() -> int:
        return follows(paid(1))

    with pytest.raises(OSError, match="No space left"):
        kept(flow, broken)
    assert noted(diary) == {}
    assert resume(RUN, store=Store(tmp_path / "store"), target=flow, echo=False).result == 2


def test_J1_the_journal_tells_all_of_a_run_that_commits_each(store, diary):
    with always_replay():
        assert kept(journey(diary), store).result == 4


# --- what it costs ----------------------------------------------------------------------------------------------------


@workflow
def chain() -> int:
    found = paid(0)
    for _ in range(24):
        found = paid(found)
    return found


def test_commit_each_leaves_snapshots_so_that_a_resume_costs_the_frontier(store, monkeypatch):
    monkeypatch.setattr(journal, "SNAPSHOT_EVENTS", 5)
    assert kept(chain, store, durability="process").result == 25
    assert newest_snapshot(store, RUN, find_end(store, RUN)) > 0


def test_commit_each_takes_no_time_of_a_mock_clock(store):
    clock = MockClock()
    assert kept(chain, store, durability="process", clock=clock).result == 25
    assert clock.monotonic() == 0
