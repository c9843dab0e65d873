"""R1: a failed attempt is made again, within a budget that survives the executor's death.

With it D6 (a dynamic's body), R2, R5 and R6.
"""

import asyncio
import math
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promissory import Retry, dynamic, task, workflow
from promissory.errors import DepthExceeded, PromiseError, RunFailed, RunTimeout, TaskTimeout, TaskTypeError, WorkerLost
from promissory.executor import rerun, resume, run, start
from promissory.executor.history.history import History
from promissory.executor.journal import writer as journal
from promissory.executor.protocol.events import RETRIED
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler.retry import retry_delay
from promissory.planner.plan.policy import Policy
from promissory.testing import MockClock, always_replay

ENGINES = ["inline", "threads", "processes"]


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


class HandClock(MockClock):
    """A clock that a test alone puts forward."""

    def wait(self, event, seconds):
        event.wait(0.002)


class Flaky(Exception):
    """Worth another attempt."""


class VeryFlaky(Flaky):
    """One of those."""


class Other(Exception):
    """Not one of those."""


class NotForExcept(BaseException):
    """What an author's `except Exception` lets through."""


class Unpicklable(Exception):
    """Its constructor wants more than its pickle gives it."""

    def __init__(self, left, right):
        super().__init__(f"{left} and {right}")


# --- the budget -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_R1_a_failed_attempt_is_made_again(store, diary, engine):
    @task(retries=2)
    def flaky(x: int) -> int:
        if note(diary, "begun") < 3:
            raise OSError("not yet")
        return x + 1

    ended = run(flaky, {"x": 1}, store=store, engine=engine, echo=False)
    assert ended.result == 2
    assert noted(diary) == {"begun": 3}
    (row,) = ended.nodes()
    assert (row.state, row.attempts, row.cached) == ("SUCCEEDED", 3, False)


@pytest.mark.parametrize("engine", ENGINES)
def test_R1_retries_are_attempts_more_and_the_last_failure_is_the_nodes(store, diary, engine):
    @task(retries=2)
    def broken(x: int) -> int:
        raise OSError(f"number {note(diary, 'begun')}")

    ended = run(broken, {"x": 1}, store=store, engine=engine, echo=False)
    assert noted(diary) == {"begun": 3}
    assert (ended.state, ended.error.path, ended.error.attempt) == ("FAILED", "main/broken", 3)
    assert (type(ended.error.__cause__), str(ended.error.__cause__)) == (OSError, "number 3")
    (row,) = ended.nodes()
    assert (row.state, row.attempts, row.why) == ("FAILED", 3, "OSError: number 3")


def test_R1_without_retries_there_is_one_attempt(store, diary):
    @task
    def broken(x: int) -> int:
        note(diary, "begun")
        raise OSError("no")

    assert run(broken, {"x": 1}, store=store, echo=False).state == "FAILED"
    assert noted(diary) == {"begun": 1}


def test_R1_only_the_failed_call_is_made_again(store, diary):
    @task(retries=1)
    def work(x: int) -> int:
        if note(diary, x) == 1 and x == 3:
            raise OSError("not yet")
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(6)]

    ended = run(flow, store=store, echo=False)
    assert ended.result == list(range(6))
    assert noted(diary) == {**{str(x): 1 for x in range(6)}, "3": 2}
    assert [row.attempts for row in ended.nodes()] == [1, 1, 1, 2, 1, 1]


def test_R1_what_follows_waits_for_the_attempt_that_succeeds(store, diary):
    @task(retries=2)
    def flaky(x: int) -> tuple[int, int]:
        if note(diary, "flaky") < 3:
            raise OSError("not yet")
        return x, x + 1

    @task
    def by_value(x: int) -> int:
        note(diary, "by value")
        return x

    @task
    def by_order() -> None:
        note(diary, "by order")

    @workflow
    def inner(x: int) -> list[int]:
        first = flaky(x)
        first >> by_order()
        return [by_value(first[1]), first[0]]

    @workflow
    def flow() -> list[int]:
        return inner(1)

    assert run(flow, store=store, echo=False).result == [2, 1]
    lines = diary.read_text().splitlines()
    assert (lines[:3], sorted(lines[3:])) == (["flaky"] * 3, ["by order", "by value"])


@pytest.mark.parametrize("engine", ENGINES)
def test_X1_each_attempt_gets_its_own_value(store, diary, engine):
    @task
    def made() -> list[int]:
        return [1]

    @task(retries=2)
    def spoils(xs: list[int], more: list[int] = [10]) -> list[int]:
        xs.append(2)
        more.append(20)
        if note(diary, xs, more) < 3:
            raise OSError("not yet")
        return xs + more

    @workflow
    def flow() -> list[int]:
        return spoils(made())

    assert run(flow, store=store, engine=engine, echo=False).result == [1, 2, 10, 20]
    assert noted(diary) == {"[1, 2] [10, 20]": 3}


def test_R1_a_node_may_have_retries_of_its_own(store, diary):
    @task
    def never(x: int) -> int:
        if note(diary, "never", x) == 1:
            raise OSError("not yet")
        return x

    @task(retries=5)
    def often(x: int) -> int:
        note(diary, "often", x)
        raise OSError("no")

    @workflow
    def raised() -> int:
        return never(1).with_overrides(retries=1)

    @workflow
    def lifted() -> int:
        return often(1).with_overrides(retries=0)

    assert run(raised, store=store, echo=False).result == 1
    assert run(lifted, store=store, echo=False).state == "FAILED"
    assert noted(diary) == {"never 1": 2, "often 1": 1}


def test_R1_a_node_may_have_a_delay_and_a_choice_of_exceptions_of_its_own(store):
    clock, moments = MockClock(), []

    @task(retries=3, retry_delay=50, retry_on=Other)
    def flaky(x: int) -> int:
        moments.append(clock.monotonic())
        if len(moments) < 3:
            raise Flaky("not yet")
        return x

    @workflow
    def flow() -> int:
        return flaky(1).with_overrides(retry_delay=[1, timedelta(seconds=2)], retry_on=(Flaky,))

    assert run(flow, store=store, clock=clock, echo=False).result == 1
    assert [round(later - sooner) for sooner, later in pairwise(moments)] == [1, 2]


def test_R1_an_async_task_is_retried(store, diary):
    @task(retries=1, retry_on=TimeoutError)
    async def waits(x: int) -> int:
        async with asyncio.timeout(0 if note(diary, "begun") == 1 else None):
            await asyncio.sleep(0.001)
        return x

    assert run(waits, {"x": 1}, store=store, echo=False).result == 1
    assert noted(diary) == {"begun": 2}


@pytest.mark.parametrize("engine", ENGINES)
def test_J5_retries_do_not_need_a_store_that_workers_reach(diary, engine):
    @task
    def large(n: int) -> bytes:
        return b"x" * n

    @task(retries=2)
    def flaky(data: bytes) -> int:
        if note(diary, "begun") < 3:
            raise OSError("not yet")
        return len(data)

    @dynamic(retries=1)
    def grows(data: bytes) -> int:
        if note(diary, "grows") < 2:
            raise OSError("not yet")
        return flaky(data)

    @workflow
    def flow() -> int:
        return grows(large(100_000))

    ended = run(flow, store=f"memory://retries-{engine}-{os.getpid()}", engine=engine, echo=False)
    assert ended.result == 100_000
    assert noted(diary) == {"begun": 3, "grows": 2}


def test_A2_a_plain_call_of_a_workflow_retries(diary):
    @task(retries=2, retry_delay=0.001)
    def flaky(x: int) -> int:
        if note(diary, "flaky") < 3:
            raise OSError("not yet")
        return x

    @dynamic(retries=1)
    def grows(x: int) -> int:
        if note(diary, "grows") < 2:
            raise Retry(after=0)
        return flaky(x)

    @workflow
    def flow() -> int:
        return grows(1)

    assert flow() == 1
    assert noted(diary) == {"flaky": 3, "grows": 2}


def test_A2_a_plain_call_of_a_task_is_the_function_and_does_not_retry(diary):
    @task(retries=5)
    def broken(x: int) -> int:
        note(diary, "begun")
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        broken(1)
    assert noted(diary) == {"begun": 1}


@pytest.mark.full
def test_R1_thousands_of_retries_take_no_memory(tmp_path):
    begun = []

    @task(retries=10_000)
    def polls(n: int) -> int:
        begun[0] += 1
        if begun[0] < n:
            raise OSError("not yet")
        return begun[0]

    def peak(n):
        begun[:] = [0]
        tracemalloc.start()
        assert run(polls, {"n": n}, store=tmp_path / str(n), durability="process", echo=False).result == n
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10)
    few, many = peak(200), peak(2000)
    assert (many - few) / 1800 < 500, "bytes a retry: less than one failure has"


# --- how long it waits ------------------------------------------------------------------------------------------------


def moments_of(store, attempts, run_id="timed", **policy):
    """When each attempt began, by the run's clock."""
    clock, moments = MockClock(), []

    @task(retries=attempts - 1, **policy)
    def flaky() -> int:
        moments.append(clock.monotonic())
        if len(moments) < attempts:
            raise OSError("not yet")
        return 1

    assert run(flaky, store=store, run_id=run_id, clock=clock, echo=False).result == 1
    return moments


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        ({}, [0, 0, 0]),
        ({"retry_delay": 5}, [5, 5, 5]),
        ({"retry_delay": 0.5}, [0.5, 0.5, 0.5]),
        ({"retry_delay": timedelta(seconds=2)}, [2, 2, 2]),
        ({"retry_delay": 1, "backoff": 3}, [1, 3, 9]),
        ({"retry_delay": [4, timedelta(seconds=1)]}, [4, 1, 1]),
        ({"retry_delay": [4, 1], "backoff": 2}, [4, 1, 2]),
        ({"retry_delay": [1, 2, 3, 4, 5, 6]}, [1, 2, 3]),
    ],
    ids=repr,
)
def test_R1_the_delay_before_each_attempt(store, policy, delays):
    assert moments_of(store, 4, **policy) == pytest.approx([sum(delays[:n]) for n in range(4)])


def test_R1_jitter_keeps_to_its_part_of_the_delay_and_is_the_same_wherever_the_run_is_carried(tmp_path):
    policy = {"retry_delay": 10, "jitter": 0.3}
    here, there = (moments_of(tmp_path / name, 6, **policy) for name in ("here", "there"))
    another = moments_of(tmp_path / "here", 6, run_id="another", **policy)
    delays = [later - sooner for sooner, later in pairwise(here)]
    assert here == there
    assert here != another
    assert all(7 <= delay <= 13 for delay in delays)
    assert len(set(delays)) == 5


def test_R1_calls_that_fail_together_do_not_come_back_together(store):
    clock, moments = MockClock(), {}

    @task(retries=1, retry_delay=10, jitter=0.5)
    def flaky(x: int) -> int:
        moments.setdefault(x, []).append(clock.monotonic())
        if len(moments[x]) < 2:
            raise OSError("not yet")
        return x

    @workflow
    def flow() -> list[int]:
        return [flaky(x) for x in range(8)]

    assert run(flow, store=store, clock=clock, echo=False).result == list(range(8))
    delays = [second - first for first, second in moments.values()]
    assert all(5 <= delay <= 15 + 1 for delay in delays)
    assert len({round(delay, 6) for delay in delays}) == 8


A_FAILURE = Failure.of_exception(OSError("busy"))
SECONDS = st.floats(0, 1e300)


@given(
    st.lists(SECONDS, min_size=1, max_size=4),
    st.floats(1, 1e300),
    st.floats(0, 1),
    st.integers(0, 999_999),
    st.binary(max_size=40),
)
def test_R1_a_delay_is_never_negative_nor_for_ever_and_always_the_same(delays, backoff, jitter, used, identity):
    policy = Policy(retries=1_000_000, retry_delay=tuple(delays), backoff=backoff, jitter=jitter)
    delay = retry_delay(policy, A_FAILURE, used, identity)
    assert math.isfinite(delay)
    assert 0 <= delay <= 30 * 86_400
    assert delay == retry_delay(policy, A_FAILURE, used, identity)


@given(st.floats(0.001, 1e6), st.floats(0, 1), st.integers(0, 999), st.binary(max_size=40))
def test_R1_jitter_changes_a_delay_by_its_part_of_it_at_most(base, jitter, used, identity):
    delay = retry_delay(Policy(retries=1000, retry_delay=(base,), jitter=jitter), A_FAILURE, used, identity)
    assert base * (1 - jitter) * 0.999999 <= delay <= base * (1 + jitter) * 1.000001


def test_R1_no_delay_stays_none_however_often_it_is_multiplied():
    policy = Policy(retries=5000, backoff=2.0)
    assert {retry_delay(policy, A_FAILURE, used, b"") for used in (0, 1, 1000, 2000, 4999)} == {0.0}


def test_R1_a_mock_clock_is_put_forward_to_the_moment_that_the_run_waits_for(store):
    clock, begun = MockClock(), []

    @task(retries=1, retry_delay=300)
    def flaky() -> int:
        begun.append(1)
        if len(begun) < 2:
            raise OSError("not yet")
        return 1

    assert run(flaky, store=store, clock=clock, echo=False).result == 1
    assert clock.monotonic() == pytest.approx(300)
    assert len(clock.slept) <= 3


def test_R1_a_call_that_waits_holds_no_place_and_no_pool(store, diary):
    clock = MockClock()

    @task(retries=1, retry_delay=60, pool="db")
    def flaky(x: int) -> int:
        if note(diary, "flaky") < 2:
            raise OSError("not yet")
        return x

    @task(pool="db")
    def other(x: int) -> int:
        assert clock.monotonic() < 60
        note(diary, "other")
        return x

    @workflow
    def flow() -> list[int]:
        return [flaky(0), other(other(1)), other(2)]

    ended = run(flow, store=store, clock=clock, echo=False, engine="threads", max_parallelism=1, pools={"db": 1})
    assert ended.result == [0, 1, 2]
    assert diary.read_text().splitlines()[-1] == "flaky"
    assert noted(diary) == {"flaky": 2, "other": 3}


def test_R2_a_run_whose_time_is_over_waits_for_no_retry(store, diary):
    @task(retries=3, retry_delay=50)
    def flaky(x: int) -> int:
        if note(diary, "begun") < 3:
            raise OSError("not yet")
        return x

    ended = run(flaky, {"x": 1}, store=store, clock=MockClock(), timeout=70, echo=False)
    assert (ended.state, type(ended.error)) == ("FAILED", RunTimeout)
    assert noted(diary) == {"begun": 2}
    assert resume(ended.id, store=store, clock=MockClock(), timeout=70, echo=False).result == 1
    assert noted(diary) == {"begun": 3}


# --- which exceptions -------------------------------------------------------------------------------------------------


def raises_first(diary, error, **policy):
    """A task whose first attempt raises."""

    @task(retries=1, **policy)
    def flaky(x: int) -> int:
        if note(diary, "begun") == 1:
            raise error
        return x

    return flaky


RETRIED_FOR = [
    (OSError("x"), {}),
    (Flaky("x"), {"retry_on": Flaky}),
    (VeryFlaky("x"), {"retry_on": Flaky}),
    (Other("x"), {"retry_on": (Flaky, Other)}),
    (ConnectionResetError("x"), {"retry_on": [IOError]}),
    (FileNotFoundError("x"), {"retry_on": EnvironmentError}),
    (TypeError("the body's own"), {}),
    (RecursionError("the body's own"), {}),
    (ExceptionGroup("several", [OSError("x")]), {}),
    (NotForExcept("x"), {"retry_on": NotForExcept}),
    (SystemExit(3), {"retry_on": SystemExit}),
    (Unpicklable("a", "b"), {"retry_on": Unpicklable}),
]
NOT_RETRIED_FOR = [
    (Other("x"), {"retry_on": Flaky}),
    (Flaky("x"), {"retry_on": VeryFlaky}),
    (OSError("x"), {"retry_on": ()}),
    (ExceptionGroup("several", [Flaky("x")]), {"retry_on": Flaky}),
    (NotForExcept("x"), {}),
    (SystemExit(3), {}),
    (asyncio.CancelledError(), {}),
]


@pytest.mark.full(keep=4)
@pytest.mark.parametrize(("error", "policy"), RETRIED_FOR, ids=repr)
def test_R1_an_exception_of_retry_on_is_worth_another_attempt(store, diary, error, policy):
    assert run(raises_first(diary, error, **policy), {"x": 1}, store=store, echo=False).result == 1
    assert noted(diary) == {"begun": 2}


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(("error", "policy"), NOT_RETRIED_FOR, ids=repr)
def test_R1_any_other_is_not(store, diary, error, policy):
    ended = run(raises_first(diary, error, **policy), {"x": 1}, store=store, echo=False)
    assert ended.state == "FAILED"
    assert noted(diary) == {"begun": 1}
    assert type(ended.error.__cause__).__name__ in (type(error).__name__, "RemoteError")


def test_R1_an_exception_that_cannot_be_pickled_is_matched_across_processes(store, diary):
    @task(retries=1, retry_on=Unpicklable)
    def flaky(x: int) -> int:
        if note(diary, "begun") == 1:
            raise Unpicklable("a", "b")
        return x

    @task(retries=1, retry_on=Flaky)
    def broken(x: int) -> int:
        note(diary, "broken")
        raise Other("no")

    @workflow
    def flow() -> int:
        return broken(flaky(1))

    ended = run(flow, store=store, engine="processes", echo=False)
    assert ended.error.path == "main/broken"
    assert noted(diary) == {"begun": 2, "broken": 1}


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_R1_an_exception_class_made_in_a_function_is_matched(store, diary, engine):
    class Local(Exception):
        pass

    @task(retries=1, retry_on=Local)
    def flaky(x: int) -> int:
        if note(diary, "local") == 1:
            raise Local("not yet")
        return x

    assert run(flaky, {"x": 1}, store=store, engine=engine, echo=False).result == 1


SCRIPT = """
from promissory import task, workflow

class Busy(Exception):
    pass

class VeryBusy(Busy):
    pass

@task(retries=1, retry_on=Busy)
def flaky(x: int) -> int:
    with open("begun", "a+") as file:
        file.write("begun\\n")
        file.seek(0)
        if len(file.readlines()) == 1:
            raise VeryBusy("not yet")
    return x

@workflow
def flow(x: int = 1) -> int:
    return flaky(x)

if __name__ == "__main__":
    import sys
    from promissory import run
    print(run(flow, engine=sys.argv[1], echo=False).result)
"""
COMMAND = str(Path(sys.executable).parent / "promissory")


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R1_exceptions_of_a_script_are_matched(project, engine):
    project.write("script.py", SCRIPT)
    assert project.python("script.py", engine).split() == ["1"]
    assert len(project.lines("begun")) == 2


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R1_exceptions_behind_a_scripts_main_guard_are_matched(project, engine):
    head, tail = SCRIPT.split('if __name__ == "__main__":')
    guarded = "".join(f"    {line}" if line.strip() else line for line in head.splitlines(keepends=True))
    project.write("script.py", f'if __name__ == "__main__":\n{guarded}{tail}')
    assert project.python("script.py", engine).split() == ["1"]


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R1_exceptions_of_a_script_that_the_command_runs_are_matched(project, engine):
    project.write("script.py", SCRIPT)
    arguments = [COMMAND, "run", "--engine", engine, "--store", str(project.folder / "store"), "script.py"]
    done = subprocess.run(
        arguments, cwd=project.folder, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout.split()) == (0, ["1"]), done.stderr
    assert len(project.lines("begun")) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_P4_a_value_of_another_type_is_never_retried(store, diary, engine):
    @task(retries=3, retry_on=(TypeError, Exception))
    def lies(x: int) -> int:
        note(diary, "begun")
        return "text"

    ended = run(lies, {"x": 1}, store=store, engine=engine, echo=False)
    assert type(ended.error.__cause__) is TaskTypeError
    assert noted(diary) == {"begun": 1}


def test_R1_a_limit_is_never_retried(store, diary):
    @dynamic(retries=3, retry_on=(RecursionError, Exception))
    def deep(n: int) -> int:
        note(diary, n)
        return deep(n + 1)

    ended = run(deep, {"n": 0}, store=store, max_depth=3, echo=False)
    assert type(ended.error.__cause__) is DepthExceeded
    assert noted(diary) == {"0": 1, "1": 1, "2": 1}


# --- raise Retry ------------------------------------------------------------------------------------------------------


def test_R1_a_body_may_say_when_it_wants_to_be_tried_again(store):
    clock, moments = MockClock(), []

    @task(retries=4, retry_delay=50, backoff=2, jitter=1)
    def asks(x: int) -> int:
        moments.append(clock.monotonic())
        match len(moments):
            case 1:
                raise Retry(after=3)
            case 2:
                raise Retry(after=timedelta(seconds=5))
            case 3:
                raise Retry(after=0)
        return x

    assert run(asks, {"x": 1}, store=store, clock=clock, echo=False).result == 1
    assert moments == pytest.approx([0, 3, 8, 8])


def test_R1_without_a_time_retry_waits_as_the_policy_says(store):
    clock, moments = MockClock(), []

    @task(retries=2, retry_delay=[7, 2])
    def asks(x: int) -> int:
        moments.append(clock.monotonic())
        if len(moments) < 3:
            raise Retry
        return x

    assert run(asks, {"x": 1}, store=store, clock=clock, echo=False).result == 1
    assert moments == pytest.approx([0, 7, 9])


@pytest.mark.parametrize("engine", ENGINES)
def test_R1_retry_is_no_more_than_the_budget_allows(store, diary, engine):
    @task(retries=2)
    def asks(x: int) -> int:
        raise Retry(after=0, message=f"attempt {note(diary, 'begun')}")

    ended = run(asks, {"x": 1}, store=store, engine=engine, echo=False)
    assert (ended.state, ended.error.attempt) == ("FAILED", 3)
    assert noted(diary) == {"begun": 3}
    assert "attempt 3" in str(ended.error)
    assert isinstance(ended.error.__cause__, Retry)


def test_R1_retry_counts_beside_failures_of_one_budget(store, diary):
    @task(retries=3)
    def mixed(x: int) -> int:
        if note(diary, "begun") % 2:
            raise OSError("busy")
        raise Retry

    assert run(mixed, {"x": 1}, store=store, echo=False).state == "FAILED"
    assert noted(diary) == {"begun": 4}


def test_R1_retry_passes_an_except_of_the_body_and_does_not_depend_on_retry_on(store, diary):
    @task(retries=1, retry_on=())
    def asks(x: int) -> int:
        try:
            if note(diary, "begun") == 1:
                raise Retry(after=0)
        except Exception:
            return -1
        return x

    assert run(asks, {"x": 1}, store=store, echo=False).result == 1
    assert not issubclass(Retry, Exception)


def test_R1_an_authors_own_retry_is_one(store, diary):
    class NotReady(Retry):
        pass

    @task(retries=1)
    def asks(x: int) -> int:
        if note(diary, "begun") == 1:
            raise NotReady(message="the job still runs")
        return x

    assert run(asks, {"x": 1}, store=store, engine="processes", echo=False).result == 1


def test_R1_retry_without_a_budget_says_how_to_give_one(store):
    @task
    def asks(x: int) -> int:
        raise Retry(after=3)

    ended = run(asks, {"x": 1}, store=store, echo=False)
    assert "retries=" in str(ended.error)


@pytest.mark.parametrize("wrong", [-1, -0.5, math.inf, math.nan, "3", True, [1], timedelta(seconds=-1)], ids=repr)
def test_R1_what_is_no_time_is_refused_by_retry(wrong):
    with pytest.raises(ValueError, match=r"Retry\(after=…\) wants a number of seconds of at least 0, or a timedelta"):
        Retry(after=wrong)


def test_R1_a_number_that_no_float_holds_is_refused_by_retry():
    with pytest.raises(ValueError, match=r"Retry\(after=…\) wants a number of seconds"):
        Retry(after=10**400)


# --- what is seen of it -----------------------------------------------------------------------------------------------


def has_ended(going, attempt):
    """Whether this attempt of a run's one node has ended, and nothing runs."""
    return [row.attempts for row in going.nodes() if row.state != "RUNNING"] == [attempt]


@pytest.fixture
def waiting(store, diary, eventually):
    """A function → a run whose one task failed once and waits for a minute, and the clock that it goes by, which the
    test moves.
    """
    begun = []

    def begin():
        @task(retries=2, retry_delay=60)
        def flaky(x: int) -> int:
            count = note(diary, "begun")
            print(f"attempt {count} says this")
            if count < 3:
                raise OSError(f"busy {count}")
            return x

        clock = HandClock()
        going = start(flaky, {"x": 1}, store=store, run_id="waiting", clock=clock, echo=False)
        begun.append(going)
        eventually(
            lambda: [row.state for row in History(store, going.id).nodes()] == ["RETRYING"], "a retry that waits"
        )
        return going, clock

    yield begin
    for going in begun:
        if going.state in ("RUNNING", "PAUSED"):
            going.cancel()
            going.wait(60)


def test_X8_a_node_that_waits_for_another_attempt_is_retrying(store, waiting, diary, eventually):
    going, clock = waiting()
    (row,) = going.nodes()
    assert (row.state, row.attempts, row.why) == ("RETRYING", 1, "OSError: busy 1")
    clock.advance(59)
    assert noted(diary) == {"begun": 1}
    clock.advance(1.5)
    eventually(lambda: noted(diary) == {"begun": 2}, "the second attempt")
    eventually(lambda: has_ended(going, 2), "its failure")
    (row,) = going.nodes()
    assert (row.state, row.attempts, row.why) == ("RETRYING", 2, "OSError: busy 2")
    clock.advance(61)
    assert going.wait(60).result == 1
    (row,) = going.nodes()
    assert (row.state, row.attempts, row.why) == ("SUCCEEDED", 3, "")


def test_X8_status_shows_a_node_that_waits(store, waiting):
    waiting()
    done = subprocess.run(
        [COMMAND, "status", "waiting", "--store", store.url], capture_output=True, text=True, timeout=60
    )
    assert "1 RETRYING" in done.stdout, done.stderr
    assert "OSError: busy 1" in done.stdout


def test_X5_logs_show_what_failed_attempts_said(store, waiting, eventually):
    going, clock = waiting()
    for attempt in (2, 3):
        clock.advance(61)
        eventually(lambda attempt=attempt: has_ended(going, attempt), "the next attempt")
    going.wait(60)
    done = subprocess.run(
        [COMMAND, "logs", "waiting", "--store", store.url], capture_output=True, text=True, timeout=60
    )
    said = [line for line in done.stdout.splitlines() if " says this" in line or " failed: " in line]
    assert said == [
        "main/flaky | attempt 1 says this",
        "main/flaky | attempt 1 failed: OSError: busy 1",
        "main/flaky | attempt 2 says this",
        "main/flaky | attempt 2 failed: OSError: busy 2",
        "main/flaky | attempt 3 says this",
    ], done.stderr
    done = subprocess.run(
        [COMMAND, "logs", "waiting", "main/flaky", "--store", store.url], capture_output=True, text=True, timeout=60
    )
    said = [line for line in done.stdout.splitlines() if line.endswith(" says this")]
    assert said == [f"attempt {n} says this" for n in (1, 2, 3)]


def test_X8_a_node_that_was_begun_keeps_its_attempts_when_the_run_fails_elsewhere(store):
    @task(retries=2, retry_delay=100)
    def flaky(x: int) -> int:
        raise OSError("busy")

    @task
    def broken(x: int) -> int:
        raise ValueError("for good")

    @workflow
    def flow() -> list[int]:
        return [flaky(1), broken(2)]

    rows = {row.path: row for row in run(flow, store=store, clock=MockClock(), echo=False).nodes()}
    assert (rows["main/flaky"].attempts, rows["main/broken"].attempts) == (1, 1)


def test_R1_each_failed_attempt_is_in_the_journal(store, events_of):
    @task(retries=2, retry_delay=1)
    def broken(x: int) -> int:
        raise OSError("no")

    ended = run(broken, {"x": 1}, store=store, clock=MockClock(), echo=False)
    tried = [event for event in events_of(store, ended.id) if event[0] == RETRIED]
    assert [event[4][3] for event in tried] == [1, 2]
    assert [round(later[6] - sooner[6]) for sooner, later in pairwise(tried)] == [1]


# --- commands while it waits ------------------------------------------------------------------------------------------


def test_R1_a_paused_run_begins_no_attempt_whose_time_has_come(waiting, diary, eventually):
    going, clock = waiting()
    going.pause()
    eventually(lambda: going.state == "PAUSED", "the pause")
    clock.advance(120)
    time.sleep(0.05)  # long enough for an attempt that should not be
    assert noted(diary) == {"begun": 1}
    going.unpause()
    eventually(lambda: noted(diary) == {"begun": 2}, "the second attempt")


def test_R1_a_run_that_is_stopped_waits_for_no_retry_and_goes_on_with_what_is_left_of_the_budget(store, waiting, diary):
    going, clock = waiting()
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    later = MockClock(clock.time() + 50)
    ended = resume(going.id, store=store, clock=later, echo=False)
    assert ended.result == 1
    assert noted(diary) == {"begun": 3}
    assert later.monotonic() == pytest.approx(10 + 60, abs=3)


def test_R1_a_run_that_is_cancelled_waits_for_no_retry(waiting, diary):
    going, _ = waiting()
    going.cancel()
    assert going.wait(60).state == "CANCELLED"
    assert noted(diary) == {"begun": 1}


def test_R1_the_calendar_may_jump_while_a_retry_waits(waiting, diary, eventually):
    _, clock = waiting()
    for moment in (0.0, 4_000_000_000.0, 1_000.0):
        clock.set_calendar(moment)
        clock.advance(15)
        time.sleep(0.02)  # long enough for an attempt that should not be
        assert noted(diary) == {"begun": 1}
    clock.advance(16)
    eventually(lambda: noted(diary) == {"begun": 2}, "the second attempt")


@pytest.mark.parametrize(("jump", "waited"), [(-1_000_000.0, 60), (1_000_000.0, 0), (20.0, 40)])
def test_R1_a_resume_waits_no_longer_than_the_delay_whatever_became_of_the_calendar(
    store, waiting, jump, waited, diary
):
    going, clock = waiting()
    going.stop()
    going.wait(60)
    later = MockClock(clock.time() + jump)
    assert resume(going.id, store=store, clock=later, echo=False).result == 1
    assert later.monotonic() == pytest.approx(waited + 60, abs=3)
    assert noted(diary) == {"begun": 3}


# --- beside other failures --------------------------------------------------------------------------------------------


def test_X6_a_failing_run_waits_for_no_retry_and_a_resume_has_the_rest_of_the_budget(store, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task(retries=2, retry_delay=1000)
    def flaky(x: int) -> int:
        note(diary, "flaky")
        raise OSError("busy")

    @task
    def broken(x: int) -> int:
        note(diary, "broken")
        if not repaired.exists():
            raise ValueError("for good")
        return x

    @workflow
    def flow() -> list[int]:
        return [flaky(1), broken(2)]

    clock = MockClock()
    ended = run(flow, store=store, clock=clock, echo=False)
    assert (ended.error.path, clock.monotonic()) == ("main/broken", 0)
    assert noted(diary) == {"flaky": 1, "broken": 1}
    repaired.touch()
    again = resume(ended.id, store=store, clock=clock, echo=False)
    assert (again.error.path, again.error.attempt) == ("main/flaky", 3)
    assert noted(diary) == {"flaky": 3, "broken": 2}


def test_R1_a_node_that_failed_for_good_has_its_whole_budget_when_the_run_is_resumed(store, diary):
    @task(retries=2)
    def broken(x: int) -> int:
        note(diary, "begun")
        raise OSError("no")

    ended = run(broken, {"x": 1}, store=store, echo=False)
    for wanted in (6, 9):
        again = resume(ended.id, store=store, echo=False)
        assert noted(diary) == {"begun": wanted}
        assert again.error.attempt == wanted
        (row,) = again.nodes()
        assert row.attempts == wanted


def failing_run_and_resume(store, diary):
    @task(retries=2)
    def broken(x: int) -> int:
        note(diary, "begun")
        raise OSError("no")

    ended = run(broken, {"x": 1}, store=store, echo=False)
    return resume(ended.id, store=store, echo=False)


@pytest.mark.parametrize("events", [1, 2, 3, 4, 5])
def test_R1_so_it_has_wherever_a_snapshot_was_taken(store, diary, monkeypatch, events):
    monkeypatch.setattr(journal, "SNAPSHOT_EVENTS", events)
    again = failing_run_and_resume(store, diary)
    assert noted(diary) == {"begun": 6}
    assert again.error.attempt == 6


def test_R1_a_node_that_failed_for_good_is_begun_at_once_by_a_resume(store):
    clock, moments = MockClock(), []

    @task(retries=1, retry_delay=100)
    def broken(x: int) -> int:
        moments.append(clock.monotonic())
        raise OSError("no")

    ended = run(broken, {"x": 1}, store=store, clock=clock, echo=False)
    resumed_at = clock.monotonic()
    clock.set_calendar(1_000.0)
    resume(ended.id, store=store, clock=clock, echo=False)
    assert moments[2] == resumed_at


@pytest.mark.parametrize("events", [1, 2, 3, 4])
def test_R1_what_is_left_of_a_budget_is_in_a_snapshot_too(store, diary, monkeypatch, eventually, events):
    monkeypatch.setattr(journal, "SNAPSHOT_EVENTS", events)

    @task(retries=3, retry_delay=60)
    def broken(x: int) -> int:
        note(diary, "begun")
        raise OSError("no")

    clock = HandClock()
    going = start(broken, {"x": 1}, store=store, clock=clock, echo=False)
    eventually(lambda: has_ended(going, 1), "the first failure")
    clock.advance(61)
    eventually(lambda: has_ended(going, 2), "the second failure")
    going.stop()
    going.wait(60)
    later = MockClock(clock.time())
    ended = resume(going.id, store=store, clock=later, echo=False)
    assert ended.error.attempt == 4
    assert noted(diary) == {"begun": 4}
    assert later.monotonic() == pytest.approx(120, abs=3)


def test_R1_a_rerun_has_its_own_budget(store, diary):
    @task(retries=2)
    def flaky(x: int) -> int:
        if note(diary, "begun") % 3:
            raise OSError("busy")
        return x

    first = run(flaky, {"x": 1}, store=store, echo=False)
    second = rerun(first.id, "main/flaky", store=store, echo=False)
    assert (first.result, second.result) == (1, 1)
    assert noted(diary) == {"begun": 6}


# --- the executor dies ------------------------------------------------------------------------------------------------

KILLED = """
    import os
    from promissory import dynamic, task, workflow

    def begun(what):
        with open(what, "a+") as file:
            file.write("begun\\n")
            file.flush()
            file.seek(0)
            return len(file.readlines())

    @task(retries=2, retry_delay=30)
    def broken(x: int) -> int:
        count = begun("broken")
        if count == 2 and os.environ.get("HANGS"):
            begun("hangs")
            while True:
                pass
        raise OSError(f"start {count}")

    @task(retries=2)
    def quick(x: int) -> int:
        count = begun("quick")
        if count == 2 and os.environ.get("HANGS"):
            begun("hangs")
            while True:
                pass
        raise OSError(f"start {count}")
"""
GO = (
    "from promissory import run; import killed; "
    "run(killed.{what}, {{'x': 1}}, run_id='k', engine={engine!r}, echo=False)"
)
GO_ON = """
import time
from promissory import resume
from promissory.testing import MockClock
clock = MockClock(time.time())
ended = resume("k", clock=clock, echo=False)
print(ended.state, ended.error.attempt, round(clock.monotonic()))
"""


def killed_when(project, eventually, what, engine, condition):
    project.write("killed.py", KILLED)
    process = project.spawn("-c", GO.format(what=what, engine=engine), HANGS="yes")
    eventually(lambda: condition() or process.poll() is not None, "the moment to kill it")
    process.send_signal(signal.SIGKILL)
    project.finish(process)
    assert process.returncode == -signal.SIGKILL


def is_retrying(project):
    def look():
        try:
            return [row.state for row in History(project.store, "k").nodes()] == ["RETRYING"]
        except LookupError:
            return False

    return look


def failed_once(project):
    return [row.attempts for row in History(project.store, "k").failed_attempts()] == [1]


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J1_a_retry_that_waits_survives_the_executors_death(project, eventually, engine):
    killed_when(project, eventually, "broken", engine, is_retrying(project))
    state, attempt, waited = project.code(GO_ON).split()
    assert (state, attempt) == ("FAILED", "3")
    assert len(project.lines("broken")) == 3
    assert 30 <= int(waited) <= 62


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J1_an_attempt_cut_off_by_the_executors_death_is_not_charged(project, eventually, engine):
    killed_when(project, eventually, "quick", engine, lambda: project.lines("hangs") and failed_once(project))
    state, attempt, _ = project.code(GO_ON).split()
    assert (state, attempt) == ("FAILED", "3")
    assert len(project.lines("quick")) == 4


def test_X10_an_interrupt_while_a_retry_waits_leaves_the_run_resumable(project, eventually):
    project.write("killed.py", KILLED)
    process = project.spawn("-c", GO.format(what="broken", engine="inline"))
    eventually(lambda: is_retrying(project)() or process.poll() is not None, "a retry that waits")
    process.send_signal(signal.SIGINT)
    _, errors = project.finish(process)
    assert "KeyboardInterrupt" in errors
    assert History(project.store, "k").state == "INTERRUPTED"
    assert project.code(GO_ON).split()[:2] == ["FAILED", "3"]


def test_J1_the_journal_tells_all_of_a_run_with_retries(store, diary):
    @task(retries=2, retry_delay=1)
    def flaky(x: int) -> int:
        if note(diary, "begun") < 3:
            raise OSError("busy")
        return x

    with always_replay():
        assert run(flaky, {"x": 1}, store=store, clock=MockClock(), echo=False).result == 1


def test_J1_the_journal_tells_all_of_a_run_that_failed(store):
    @task
    def broken(x: int) -> int:
        raise OSError("no")

    with always_replay():
        assert run(broken, {"x": 1}, store=store, echo=False).state == "FAILED"


# --- late and lost attempts -------------------------------------------------------------------------------------------


def hangs():
    while True:
        time.sleep(1e6)


def test_R2_a_late_attempt_is_made_again_on_another_worker(store, diary):
    @task(retries=1, timeout=0.3)
    def late(x: int) -> int:
        note(diary, os.getpid())
        if len(noted(diary)) == 1:
            hangs()
        return x

    ended = run(late, {"x": 1}, store=store, engine="processes", echo=False)
    assert ended.result == 1
    assert sorted(noted(diary).values()) == [1, 1]
    (row,) = ended.nodes()
    assert row.attempts == 2


def test_R2_each_attempt_has_the_whole_time(store, diary):
    @task(retries=2, timeout=0.5)
    def slow(x: int) -> int:
        time.sleep(0.3)
        if note(diary, "begun") < 3:
            raise OSError("busy")
        return x

    assert run(slow, {"x": 1}, store=store, engine="processes", echo=False).result == 1


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("retry_on", "begun"), [(None, 2), (TimeoutError, 2), (TaskTimeout, 2), (ValueError, 1)], ids=repr
)
def test_R2_a_time_out_is_an_exception_of_its_class(store, diary, retry_on, begun):
    @task(retries=1, timeout=0.15, retry_on=retry_on)
    def late(x: int) -> int:
        note(diary, "begun")
        hangs()
        return x

    ended = run(late, {"x": 1}, store=store, engine="processes", echo=False)
    assert type(ended.error.__cause__) is TaskTimeout
    assert noted(diary) == {"begun": begun}
    assert ended.error.attempt == begun


@pytest.mark.full
def test_R2_neighbours_of_a_late_attempt_are_not_charged(store, diary):
    @task
    def innocent(x: int) -> int:
        note(diary, x)
        return x

    @task(retries=2, timeout=0.25)
    def late(x: int) -> int:
        if note(diary, "late", x) < 3:
            hangs()
        return x

    @workflow
    def flow() -> list[int]:
        return [late(x) if x in (10, 11) else innocent(x) for x in range(30)]

    ended = run(flow, store=store, engine="processes", max_parallelism=2, echo=False)
    assert ended.result == list(range(30))
    assert noted(diary) == {**{str(x): 1 for x in range(30) if x not in (10, 11)}, "late 10": 3, "late 11": 3}
    assert [row.attempts for row in ended.nodes()] == [3 if x in (10, 11) else 1 for x in range(30)]


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_a_soft_time_out_is_retried(store, diary, engine):
    @task(retries=1, timeout=0.02)
    def late(x: int) -> int:
        if note(diary, "begun") == 1:
            time.sleep(0.05)
        return x

    assert run(late, {"x": 1}, store=store, engine=engine, soft_timeouts=True, echo=False).result == 1
    assert noted(diary) == {"begun": 2}


def test_R2_a_nodes_time_out_may_be_lifted(store):
    @task(timeout=0.01)
    def slow(x: int) -> int:
        time.sleep(0.05)
        return x

    @workflow
    def flow() -> int:
        return slow(1).with_overrides(timeout=None)

    assert run(flow, store=store, engine="processes", echo=False).result == 1


def test_R2_a_plan_whose_only_time_out_was_lifted_runs_where_bodies_cannot_be_stopped(store):
    @task(timeout=0.01)
    def slow(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return slow(1).with_overrides(timeout=None)

    assert run(flow, store=store, engine="inline", echo=False).result == 1


def test_R5_a_lost_worker_is_not_charged_to_the_retries(store, diary):
    @task(retries=1)
    def unlucky(x: int) -> int:
        match note(diary, "begun"):
            case 1 | 3:
                os.kill(os.getpid(), signal.SIGKILL)
            case 2:
                raise OSError("busy")
        return x

    ended = run(unlucky, {"x": 1}, store=store, engine="processes", echo=False)
    assert ended.result == 1
    (row,) = ended.nodes()
    assert (noted(diary), row.attempts) == ({"begun": 4}, 2)  # a lost worker is no attempt


@pytest.mark.full
def test_R5_a_call_whose_workers_are_lost_is_not_retried_for_it(store, diary):
    @task(retries=5)
    def dies(x: int) -> int:
        note(diary, "begun")
        os.kill(os.getpid(), signal.SIGKILL)
        return x

    ended = run(dies, {"x": 1}, store=store, engine="processes", echo=False)
    assert type(ended.error.__cause__) is WorkerLost
    assert noted(diary) == {"begun": 3}


# --- dynamics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_D6_if_the_body_raises_its_whole_trace_is_discarded(store, diary, engine):
    @task
    def inc(x: int, attempt: int) -> int:
        note(diary, "inc", attempt)
        return x + 1

    @dynamic(retries=2)
    def grows(x: int) -> int:
        attempt = note(diary, "grows")
        found = inc(x, attempt)
        for _ in range(5):
            found = inc(found, attempt)
        if attempt == 1:
            raise OSError("busy")
        if attempt == 2:
            raise Retry(after=0)
        return found

    ended = run(grows, {"x": 1}, store=store, engine=engine, echo=False)
    assert ended.result == 7
    assert noted(diary) == {"grows": 3, "inc 3": 6}
    assert ended.futures() == ["main/grows"]
    assert len(ended.nodes()) == 7
    assert ended.nodes()[0].attempts == 3


def test_D6_an_attempt_may_emit_another_trace_than_the_one_before(store, diary):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic(retries=1)
    def other(x: int) -> int:
        return inc(inc(x))

    @dynamic(retries=1)
    def grows(x: int) -> int:
        if note(diary, "grows") == 1:
            other(x)
            inc(x)
            raise OSError("busy")
        return other(other(x))

    assert run(grows, {"x": 1}, store=store, echo=False).result == 5


def test_D6_retries_of_a_dynamic_cover_its_body_alone(store, diary):
    @task
    def broken(x: int) -> int:
        note(diary, "broken")
        raise OSError("for good")

    @dynamic(retries=3, retry_on=Exception)
    def grows(x: int) -> int:
        note(diary, "grows")
        return broken(x)

    @workflow
    def flow() -> int:
        return grows(1)

    ended = run(flow, store=store, echo=False)
    assert ended.error.path == "main/grows/broken"
    assert noted(diary) == {"grows": 1, "broken": 1}


def test_D6_a_committed_futures_file_is_never_replaced(store, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task
    def fragile(x: int) -> int:
        if not repaired.exists():
            raise OSError("to be repaired")
        return x

    @dynamic(retries=3)
    def grows(x: int) -> int:
        if note(diary, "grows") == 1:
            raise OSError("busy")
        drawn = random.randrange(1 << 60)
        note(tmp_path / "drawn", drawn)
        return fragile(drawn)

    ended = run(grows, {"x": 1}, store=store, echo=False)
    emitted = ended.futures("main/grows").to_bytes()
    assert ended.error.path == "main/grows/fragile"
    assert resume(ended.id, store=store, echo=False).error.path == "main/grows/fragile"
    repaired.touch()
    again = resume(ended.id, store=store, echo=False)
    (drawn,) = noted(tmp_path / "drawn")
    assert again.result == int(drawn)
    assert noted(diary) == {"grows": 2}
    assert again.futures("main/grows").to_bytes() == emitted


def misuses(p):
    return int(p)


def mistypes(p):
    return length(p)


@task
def length(text: str) -> int:
    return len(text)


@pytest.mark.parametrize("mistake", [misuses, mistypes])
def test_D6_a_mistake_in_the_plan_is_never_retried(store, diary, mistake):
    @task
    def inc(x: int) -> int:
        note(diary, "inc")
        return x + 1

    @dynamic(retries=3, retry_on=(TypeError, Exception))
    def wrong(x: int) -> int:
        note(diary, "wrong")
        return mistake(inc(x))

    assert run(wrong, {"x": 1}, store=store, echo=False).state == "FAILED"
    assert noted(diary) == {"wrong": 1}


def test_D6_a_mistake_in_the_plan_is_never_retried_also_if_the_body_asks_for_it(store, diary):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic(retries=3)
    def wrong(x: int) -> int:
        note(diary, "wrong")
        found = inc(x)
        try:
            if found:
                return found
        except Exception as error:
            raise Retry(message="try again whatever it is") from error
        return found

    ended = run(wrong, {"x": 1}, store=store, echo=False)
    assert noted(diary) == {"wrong": 1}
    assert isinstance(ended.error.__cause__, PromiseError)


@pytest.mark.full
def test_D6_a_late_dynamic_is_traced_again(store, diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc")
        return x + 1

    @dynamic(retries=1, timeout=0.3)
    def grows(x: int) -> int:
        found = inc(inc(x))
        if note(diary, "grows") == 1:
            hangs()
        return found

    assert run(grows, {"x": 1}, store=store, engine="processes", echo=False).result == 3
    assert noted(diary) == {"grows": 2, "inc": 2}


def test_D6_tasks_of_a_dynamic_have_their_own_budgets(store, diary):
    @task(retries=1)
    def flaky(x: int) -> int:
        if note(diary, "flaky", x) == 1:
            raise OSError("busy")
        return x

    @dynamic(retries=1)
    def tree(n: int) -> list[int]:
        if note(diary, "tree", n) == 1:
            raise OSError("busy")
        return [flaky(10 * n + x) for x in range(3)]

    @workflow
    def flow() -> list[list[int]]:
        return [tree(n) for n in range(3)]

    ended = run(flow, store=store, echo=False)
    assert ended.result == [[10 * n + x for x in range(3)] for n in range(3)]
    assert set(noted(diary).values()) == {2}


def test_D10_a_retry_is_no_repetition(store, diary):
    @dynamic(retries=3)
    def polls(x: int) -> int:
        if note(diary, "polls") < 4:
            raise OSError("busy")
        return x

    assert run(polls, {"x": 1}, store=store, echo=False).result == 1


# --- today's code -----------------------------------------------------------------------------------------------------

CODE = """
    from promissory import task

    def begun():
        with open("begun", "a+") as file:
            file.write("begun\\n")
            file.seek(0)
            return len(file.readlines())

    @task(POLICY)
    def flaky(x: int) -> int:
        if begun() < WANTED:
            raise OSError("busy")
        return x
"""
START = "from promissory import run; import code_of; print(run(code_of.flaky, {'x': 1}, run_id='r', echo=False).state)"
AGAIN = "from promissory import resume; ended = resume('r', echo=False); print(ended.state, ended.nodes()[0].attempts)"


def code_of(project, policy, wanted):
    project.write("code_of.py", CODE.replace("POLICY", policy).replace("WANTED", str(wanted)))


def test_R6_a_resume_retries_as_todays_code_says(project):
    code_of(project, "retries=0", 100)
    assert project.code(START).split() == ["FAILED"]
    code_of(project, "retries=5", 4)
    assert project.code(AGAIN).split() == ["SUCCEEDED", "4"]
    assert len(project.lines("begun")) == 4


def test_R6_a_resume_retries_as_todays_decorator_says(project):
    code_of(project, "retries=0", 4)
    assert project.code(START).split() == ["FAILED"]
    code_of(project, "retries=5", 4)
    assert project.code(AGAIN).split() == ["SUCCEEDED", "4"]


@pytest.mark.full
def test_R6_a_retry_that_waits_runs_todays_code_after_a_resume(project, eventually):
    project.write("killed.py", KILLED)
    process = project.spawn("-c", GO.format(what="broken", engine="inline"))
    eventually(lambda: is_retrying(project)() or process.poll() is not None, "a retry that waits")
    process.kill()
    project.finish(process)
    project.write("killed.py", KILLED.replace('raise OSError(f"start {count}")', "return count"))
    source = GO_ON.replace("ended.error.attempt", "ended.nodes()[0].attempts").replace(
        "round(clock.monotonic())", "ended.result"
    )
    assert project.code(source).split() == ["SUCCEEDED", "2", "2"]


def test_A2_a_plain_call_says_which_attempt_failed():
    @task(retries=2)
    def broken(x: int) -> int:
        raise OSError("no")

    @workflow
    def flow() -> int:
        return broken(1)

    with pytest.raises(RunFailed) as told:
        flow()
    assert (told.value.path, told.value.attempt) == ("main/broken", 3)
