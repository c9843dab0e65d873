"""R2: a time-out is per attempt and real: the worker is stopped.

Engines that can't stop a body refuse such a plan, unless the caller is content with less.
"""

import math
import os
import re
import subprocess
import time
import warnings
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from promissory import dynamic, resume, run, start, task, workflow
from promissory.errors import CompileError, DecorationError, EngineError, InputError, RunFailed, RunTimeout, TaskTimeout


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def noted(diary):
    """How often each line stands there."""
    return Counter(diary.read_text().splitlines()) if diary.exists() else Counter()


def is_alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    try:
        return not state.parent.parent.is_dir() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def spins():
    while True:
        pass


def sleeps():
    time.sleep(1e6)


def searches():
    """Holds the interpreter's lock all the time."""
    re.match(r"(a+)+$", "a" * 64 + "b")


NEVER_RETURN = [spins, sleeps, searches]


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("never_returns", NEVER_RETURN)
def test_R2_a_body_that_never_returns_is_stopped_with_its_worker_and_its_children(
    store, diary, eventually, never_returns
):
    @task(timeout=0.3)
    def late(x: int) -> int:
        child = subprocess.Popen(["sleep", "1000"])
        note(diary, os.getpid(), child.pid)
        never_returns()
        return x

    ended = run(late, {"x": 1}, store=store, engine="processes")
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert isinstance(ended.error.__cause__, TimeoutError)
    ((pids, times),) = noted(diary).items()
    assert times == 1
    worker, child = map(int, pids.split())
    eventually(lambda: not is_alive(worker), "the worker's end")
    eventually(lambda: not is_alive(child), "its child's end")


def test_R2_the_failure_names_the_node_and_the_time(store):
    @task(timeout=0.25)
    def late(x: int) -> int:
        sleeps()
        return x

    ended = run(late, {"x": 1}, store=store, engine="processes")
    assert (ended.state, ended.error.path) == ("FAILED", "main/late")
    assert "main/late" in str(ended.error)
    assert "0.25 s" in str(ended.error)
    (row,) = ended.nodes()
    assert (row.state, row.attempts) == ("FAILED", 1)
    assert row.duration >= 250_000


@pytest.mark.full
def test_R2_what_it_said_is_in_its_log_and_repeated(store, capsys):
    @task(timeout=0.3)
    def late(x: int) -> int:
        print("before")
        sleeps()
        return x

    ended = run(late, {"x": 1}, store=store, engine="processes")
    (row,) = ended.nodes()
    assert store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) == b"before\n"
    assert capsys.readouterr().err == "main/late | before\n"


@pytest.mark.full
def test_R2_what_it_said_at_the_last_moment_is_repeated(store, capsys):
    """It is stopped before anybody has looked."""

    @task(timeout=0.05)
    def late(x: int) -> int:
        print("before")
        sleeps()
        return x

    run(late, {"x": 1}, store=store, engine="processes")
    assert capsys.readouterr().err == "main/late | before\n"


def test_R2_a_body_that_is_in_time_is_left_alone(store):
    @task(timeout=60)
    def quick(x: int) -> int:
        return x + 1

    assert run(quick, {"x": 1}, store=store, engine="processes").result == 2


def test_R2_only_the_body_counts_not_what_stands_before_it(store):
    """Six on one worker take longer together than one may."""

    @task(timeout=0.5)
    def work(x: int) -> int:
        time.sleep(0.1)
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(6)]

    assert run(flow, store=store, engine="processes", max_parallelism=1).result == list(range(6))


def test_R2_only_the_body_counts_not_the_loading_of_its_module(store, write_module):
    module = write_module(
        "slow_to_load",
        """
        import time
        from promissory import task
        time.sleep(0.4)

        @task(timeout=0.3)
        def work(x: int) -> int:
            return x
        """,
    )
    assert run(module.work, {"x": 1}, store=store, engine="processes").result == 1


@pytest.mark.full
def test_R2_what_stands_behind_it_on_its_worker_runs_once(store, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task
    def innocent(x: int) -> int:
        note(diary, x)
        return x

    @task(timeout=0.3)
    def late(x: int) -> int:
        if not repaired.exists():
            sleeps()
        return x

    @workflow
    def flow() -> list[int]:
        return [late(x) if x == 10 else innocent(x) for x in range(40)]

    ended = run(flow, store=store, engine="processes", max_parallelism=1)
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert set(noted(diary).values()) == {1}
    assert sum(row.state == "SUCCEEDED" for row in ended.nodes()) == len(noted(diary))
    repaired.touch()
    assert resume(ended.id, store=store, engine="processes").result == list(range(40))
    assert noted(diary) == {str(x): 1 for x in range(40) if x != 10}


@pytest.mark.full
def test_R2_a_neighbour_at_work_may_finish(store, diary, gate, eventually, states_of):
    held = gate()

    @task
    def neighbour(x: int) -> int:
        with open(held.path) as file:
            file.read()
        return x

    @task(timeout=0.3)
    def late(x: int) -> int:
        note(diary, os.getpid())
        sleeps()
        return x

    @workflow
    def flow() -> list[int]:
        return [neighbour(1), late(2)]

    going = start(flow, store=store, engine="processes", max_parallelism=2)
    held.reached()
    (pid,) = eventually(lambda: noted(diary), "a late body")
    eventually(lambda: not is_alive(int(pid)), "its worker's end")
    held.open()
    assert going.wait(60).state == "FAILED"
    states = states_of(store, going.id)
    assert (states["main/neighbour"], states["main/late"]) == ("SUCCEEDED", "FAILED")


@pytest.mark.full
def test_R2_each_of_several_late_bodies_is_stopped(store, diary, eventually):
    @task(timeout=0.3)
    def late(x: int) -> int:
        note(diary, os.getpid())
        spins()
        return x

    @workflow
    def flow() -> list[int]:
        return [late(x) for x in range(2)]

    ended = run(flow, store=store, engine="processes", max_parallelism=2)
    assert sum(row.state == "FAILED" for row in ended.nodes()) == len(noted(diary))
    for pid in noted(diary):
        eventually(lambda pid=pid: not is_alive(int(pid)), "the worker's end")


@pytest.mark.full
def test_R2_the_next_run_of_this_process_has_workers_as_before(store):
    @task(timeout=0.1)
    def late(x: int) -> int:
        sleeps()
        return x

    @task
    def inc(x: int) -> int:
        return x + 1

    assert run(late, {"x": 1}, store=store, engine="processes").state == "FAILED"
    assert run(inc, {"x": 1}, store=store, engine="processes").result == 2


# --- where it can be said ---------------------------------------------------------------------------------------------


def test_R2_a_node_may_have_a_time_out_of_its_own(store, diary):
    @task
    def work(x: int) -> int:
        note(diary, x)
        if x == 2:
            sleeps()
        return x

    @workflow
    def flow() -> int:
        return work(2).with_overrides(timeout=0.3)

    ended = run(flow, store=store, engine="processes")
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert noted(diary) == {"2": 1}


@pytest.mark.full
def test_R2_a_nodes_own_time_out_counts_instead_of_its_tasks(store):
    @task(timeout=0.01)
    def work(x: int) -> int:
        time.sleep(0.05)
        return x

    @workflow
    def flow() -> int:
        return work(2).with_overrides(timeout=60)

    assert run(flow, store=store, engine="processes").result == 2


@pytest.mark.full
def test_R2_a_time_out_may_be_a_timedelta(store):
    @task(timeout=timedelta(milliseconds=100))
    def by_decorator(x: int) -> int:
        sleeps()
        return x

    @task
    def by_override(x: int) -> int:
        sleeps()
        return x

    @workflow
    def flow() -> int:
        return by_override(1).with_overrides(timeout=timedelta(milliseconds=100))

    for target, inputs in ((by_decorator, {"x": 1}), (flow, {})):
        ended = run(target, inputs, store=store, engine="processes")
        assert isinstance(ended.error.__cause__, TaskTimeout)
        assert "0.1 s" in str(ended.error)


@pytest.mark.full
def test_R2_a_dynamics_body_is_stopped_and_nothing_of_its_trace_runs(store, diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc")
        return x + 1

    @dynamic(timeout=0.3)
    def late(x: int) -> int:
        found = inc(x)
        note(diary, "late")
        sleeps()
        return found

    ended = run(late, {"x": 1}, store=store, engine="processes")
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert noted(diary) == {"late": 1}


def test_D6_a_dynamics_time_out_covers_its_body_alone(store):
    @task
    def long(x: int) -> int:
        time.sleep(0.7)
        return x + 1

    @dynamic(timeout=0.5)
    def quick(x: int) -> int:
        return long(x)

    assert run(quick, {"x": 1}, store=store, engine="processes").result == 2


def test_R2_a_task_that_a_dynamic_calls_keeps_its_time_out(store):
    @task(timeout=0.2)
    def late(x: int) -> int:
        sleeps()
        return x

    @dynamic
    def grows(x: int) -> int:
        return late(x)

    ended = run(grows, {"x": 1}, store=store, engine="processes")
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert ended.error.path == "main/grows/late"


@pytest.mark.parametrize(
    "wrong", [0, -1, 0.0, math.inf, math.nan, "1", True, [1], timedelta(0), timedelta(seconds=-1)], ids=repr
)
@pytest.mark.parametrize("decorator", [task, dynamic])
def test_R2_what_is_no_time_out_is_refused_at_decoration(decorator, wrong):
    with pytest.raises(DecorationError, match="timeout must be a number of seconds above 0") as told:

        @decorator(timeout=wrong)
        def late(x: int) -> int:
            return x

    assert Path(told.value.where.file).name == Path(__file__).name


@pytest.mark.parametrize("wrong", [0, -1, math.inf, "1", True], ids=repr)
def test_R2_what_is_no_time_out_is_refused_as_an_override(wrong):
    @task
    def work(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return work(1).with_overrides(timeout=wrong)

    with pytest.raises(CompileError, match="timeout must be a number of seconds above 0"):
        flow.compile()


# --- engines that can't stop a body -----------------------------------------------------------------------------------


def plans_with_a_time_out(diary):
    @task(timeout=60)
    def limited(x: int) -> int:
        note(diary, "limited")
        return x

    @task
    def plain(x: int) -> int:
        note(diary, "plain")
        return x

    @dynamic(timeout=60)
    def limited_dynamic(x: int) -> int:
        note(diary, "limited_dynamic")
        return plain(x)

    @workflow
    def by_task(x: int) -> int:
        return limited(plain(x))

    @workflow
    def by_override(x: int) -> int:
        return plain(plain(x).with_overrides(timeout=60))

    @workflow
    def nested(x: int) -> int:
        return by_task(plain(x))

    return {"limited": by_task, "plain": by_override, "limited_dynamic": limited_dynamic, "limited ": nested}


@pytest.mark.parametrize("name", ["limited", "plain", "limited_dynamic", "limited "])
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_an_engine_that_cannot_stop_a_body_refuses_before_anything_runs(store, diary, engine, name):
    target = plans_with_a_time_out(diary)[name]
    with pytest.raises(EngineError) as told:
        run(target, {"x": 1}, store=store, engine=engine)
    said = str(told.value)
    assert said.startswith(f"{name.strip()} has a time-out, and the engine {engine} can't stop a body")
    for way_out in ("engine='processes'", "soft_timeouts=True"):
        assert way_out in said
    assert not diary.exists()
    assert store.list("runs") == []


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_a_time_out_that_only_a_dynamic_brings_fails_the_dynamic_before_what_it_called_runs(store, diary, engine):
    @task(timeout=60)
    def limited(x: int) -> int:
        note(diary, "limited")
        return x

    @dynamic
    def grows(x: int) -> int:
        note(diary, "grows")
        return limited(x)

    ended = run(grows, {"x": 1}, store=store, engine=engine)
    assert ended.error.path == "main/grows"
    assert isinstance(ended.error.__cause__, EngineError)
    assert "soft_timeouts=True" in str(ended.error)
    assert noted(diary) == {"grows": 1}
    assert resume(ended.id, store=store, engine="processes").result == 1


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_with_soft_time_outs_a_late_body_fails_when_it_returns(store, diary, engine):
    @task(timeout=0.02)
    def late(x: int) -> int:
        time.sleep(0.05)
        note(diary, "returns")
        return x

    @task
    def then(x: int) -> int:
        note(diary, "then")
        return x

    @workflow
    def flow() -> int:
        return then(late(1))

    ended = run(flow, store=store, engine=engine, soft_timeouts=True)
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert ended.error.path == "main/late"
    assert "its time-out is 0.02 s" in str(ended.error)
    assert noted(diary) == {"returns": 1}


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_with_soft_time_outs_a_body_in_time_succeeds(store, diary, engine):
    for target in plans_with_a_time_out(diary).values():
        assert run(target, {"x": 1}, store=store, engine=engine, soft_timeouts=True).result == 1


@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize("nested", [False, True], ids=["in the plan", "in an open frame"])
def test_R2_a_resume_on_an_engine_that_cannot_stop_a_body_is_refused_before_anything_runs(
    store, tmp_path, diary, engine, nested
):
    repaired = tmp_path / "repaired"

    @task(timeout=60)
    def limited(x: int) -> int:
        note(diary, "limited")
        if not repaired.exists():
            raise OSError("to be repaired")
        return x

    @dynamic
    def grows(x: int) -> int:
        return limited(x)

    ended = run(grows if nested else limited, {"x": 1}, store=store, engine="processes")
    repaired.touch()
    with pytest.raises(EngineError, match="can't stop a body"):
        resume(ended.id, store=store, engine=engine)
    assert noted(diary) == {"limited": 1}
    assert resume(ended.id, store=store, engine=engine, soft_timeouts=True).result == 1


def test_R2_a_plain_call_warns_once_and_runs():
    @task(timeout=60)
    def one(x: int) -> int:
        return x + 1

    @task(timeout=60)
    def two(x: int) -> int:
        return x + 1

    @workflow
    def flow() -> int:
        return one(two(one(0)))

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert flow() == 3
    (warning,) = told
    assert warning.category is RuntimeWarning
    assert {"one", "two"} <= set(re.findall(r"\w+", str(warning.message).partition(":")[0]))
    assert "engine='processes'" in str(warning.message)
    assert warning.filename == __file__


def test_R2_a_plain_call_fails_a_late_body_when_it_returns():
    @task(timeout=0.02)
    def late(x: int) -> int:
        time.sleep(0.05)
        return x

    @workflow
    def flow() -> int:
        return late(1)

    with pytest.warns(RuntimeWarning, match="late: a plain call"), pytest.raises(RunFailed) as told:
        flow()
    assert isinstance(told.value.__cause__, TaskTimeout)


# --- a whole run ------------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_R2_a_whole_run_is_stopped_and_can_be_resumed(store, tmp_path, diary, eventually):
    repaired = tmp_path / "repaired"

    @task
    def work(x: int) -> int:
        note(diary, x)
        if x == 2 and not repaired.exists():
            note(tmp_path / "pid", os.getpid())
            spins()
        return x + 1

    @workflow
    def flow() -> int:
        return work(work(work(work(0))))

    ended = run(flow, store=store, engine="processes", timeout=1)
    assert (ended.state, type(ended.error)) == ("FAILED", RunTimeout)
    assert "1 s" in str(ended.error)
    assert f"promissory resume {ended.id}" in str(ended.error)
    assert noted(diary) == {"0": 1, "1": 1, "2": 1}
    (pid,) = noted(tmp_path / "pid")
    eventually(lambda: not is_alive(int(pid)), "the worker's end")
    repaired.touch()
    assert resume(ended.id, store=store, engine="processes", timeout=timedelta(minutes=1)).result == 4
    assert noted(diary) == {"0": 1, "1": 1, "2": 2, "3": 1}


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R2_a_whole_run_on_an_engine_that_cannot_stop_a_body_starts_nothing_new(store, diary, engine):
    @task
    def work(x: int) -> int:
        note(diary, x)
        time.sleep(0.1)
        return x + 1

    @workflow
    def flow() -> int:
        return work(work(work(work(0))))

    ended = run(flow, store=store, engine=engine, timeout=0.05)
    assert (ended.state, type(ended.error)) == ("FAILED", RunTimeout)
    assert noted(diary) == {"0": 1}
    assert resume(ended.id, store=store, engine=engine).result == 4
    assert noted(diary) == {"0": 1, "1": 1, "2": 1, "3": 1}


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_R2_a_run_in_time_is_left_alone(store, engine):
    @task
    def inc(x: int) -> int:
        return x + 1

    assert run(inc, {"x": 1}, store=store, engine=engine, timeout=60).result == 2


@pytest.mark.parametrize("wrong", [0, -1, math.inf, math.nan, "1", True], ids=repr)
def test_R2_what_is_no_time_out_of_a_run_is_refused(store, wrong):
    @task
    def inc(x: int) -> int:
        return x + 1

    with pytest.raises(InputError, match=r"timeout \(--timeout\) is a number of seconds above 0"):
        run(inc, {"x": 1}, store=store, timeout=wrong)
    assert store.list("runs") == []
