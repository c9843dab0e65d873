"""R5: a worker that ends without an outcome says nothing of the task: it is sent again, alone, to a fresh worker, at
most twice. Neighbours aren't charged.
"""

import ctypes
import faulthandler
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from promissory import Context, dynamic, resume, run, start, task, workflow
from promissory.errors import WorkerLost
from promissory.executor.engines.processes.pool import Processes


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def noted(diary):
    """How often each line stands there."""
    return Counter(diary.read_text().splitlines()) if diary.exists() else Counter()


def first_time(marker):
    """Whether this is the first call with this file."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def said(store, row):
    return None if row.log is None else store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]).decode()


def exits():
    os._exit(7)


def becomes_another_program():
    os.execv("/bin/sh", ["sh", "-c", "exit 0"])


def crashes():
    faulthandler._sigsegv()


def crashes_in_c():
    ctypes.string_at(0)


def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS = [
    (exits, None),
    (becomes_another_program, None),
    (crashes, signal.SIGSEGV),
    (crashes_in_c, signal.SIGSEGV),
    (os.abort, signal.SIGABRT),
    (kills_itself, signal.SIGKILL),
]


# --- what becomes of the task -----------------------------------------------------------------------------------------


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(("die", "number"), DEATHS, ids=[die.__name__ for die, _ in DEATHS])
def test_R5_a_body_that_ends_its_worker_begins_three_times_and_fails_as_worker_lost(store, diary, die, number):
    @task
    def dies(x: int) -> int:
        note(diary, "dies")
        die()
        return x

    ended = run(dies, {"x": 1}, store=store, engine="processes", echo=False)
    assert noted(diary) == {"dies": 3}
    cause = ended.error.__cause__
    assert (ended.state, type(cause), cause.path, cause.signal) == ("FAILED", WorkerLost, "main/dies", number)
    (row,) = ended.nodes()
    assert (row.state, row.attempts) == ("FAILED", 1)


@pytest.mark.parametrize(
    ("die", "how"),
    [
        (exits, "ended by itself with exit code 7, 3 times; does it call os._exit()?"),
        (crashes, "was killed by SIGSEGV, 3 times; a library that it uses crashed"),
    ],
    ids=["exits", "crashes"],
)
def test_R5_the_failure_says_how_the_worker_ended_and_what_may_be_the_reason(store, die, how):
    @task
    def dies(x: int) -> int:
        die()
        return x

    ended = run(dies, {"x": 1}, store=store, engine="processes", echo=False)
    assert f"main/dies: its worker {how}" in str(ended.error)


def test_R5_a_lost_worker_is_no_attempt_of_the_body(store, tmp_path, diary):
    """With retries as without: the second attempt is the one after the first that failed by itself."""

    @task(retries=2, retry_delay=0)
    def dies(ctx: Context, x: int) -> int:
        note(diary, f"attempt {ctx.attempt}")
        if first_time(tmp_path / "first"):
            kills_itself()
        if first_time(tmp_path / "second"):
            raise ValueError("its own failure")
        if first_time(tmp_path / "third"):
            kills_itself()
        return ctx.attempt

    ended = run(dies, {"x": 1}, store=store, engine="processes")
    assert ended.result == 2
    assert noted(diary) == {"attempt 1": 2, "attempt 2": 2}
    (row,) = ended.nodes()
    assert (row.state, row.attempts) == ("SUCCEEDED", 2)


def test_R5_a_body_that_dies_twice_succeeds_when_it_is_sent_the_third_time(store, tmp_path, diary):
    @task
    def dies(x: int) -> int:
        note(diary, "dies")
        if first_time(tmp_path / "first") or first_time(tmp_path / "second"):
            kills_itself()
        return x + 1

    ended = run(dies, {"x": 1}, store=store, engine="processes")
    assert ended.result == 2
    assert noted(diary) == {"dies": 3}
    (row,) = ended.nodes()
    assert (row.state, row.attempts) == ("SUCCEEDED", 1)


def test_R5_a_dynamic_that_dies_is_traced_again(store, tmp_path, diary):
    @task
    def inc(x: int) -> int:
        note(diary, f"inc {x}")
        return x + 1

    @dynamic
    def dies(x: int) -> int:
        note(diary, "dies")
        then = inc(inc(x))
        if first_time(tmp_path / "first"):
            kills_itself()
        return then

    ended = run(dies, {"x": 1}, store=store, engine="processes")
    assert ended.result == 3
    assert noted(diary) == {"dies": 2, "inc 1": 1, "inc 2": 1}


@pytest.mark.full
def test_R5_it_is_sent_again_to_fresh_workers_that_run_nothing_else(store, tmp_path, diary):
    @task
    def dies(x: int) -> int:
        note(diary, os.getpid(), "dies")
        if first_time(tmp_path / "first") or first_time(tmp_path / "second"):
            kills_itself()
        return x

    @task
    def neighbour(x: int) -> int:
        note(diary, os.getpid(), "neighbour")
        return x

    @workflow
    def flow() -> list[int]:
        before = [neighbour(x) for x in range(10)]
        return [*before, dies(10), *[neighbour(x) for x in range(11, 20)]]

    assert run(flow, store=store, engine="processes", max_parallelism=2).result == list(range(20))
    lines = [line.split() for line in diary.read_text().splitlines()]
    first, second, third = (pid for pid, what in lines if what == "dies")
    assert len({first, second, third}) == 3
    assert not {pid for pid, what in lines if what == "neighbour"} & {second, third}


def test_R5_a_run_whose_task_was_lost_can_be_resumed(store, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task
    def dies(x: int) -> int:
        note(diary, "dies")
        if not repaired.exists():
            kills_itself()
        return x + 1

    ended = run(dies, {"x": 1}, store=store, engine="processes")
    assert ended.state == "FAILED"
    repaired.touch()
    assert resume(ended.id, store=store, engine="processes").result == 2
    assert noted(diary) == {"dies": 4}


@pytest.mark.full
def test_R5_each_resume_sends_it_three_times(store, diary):
    @task
    def dies(x: int) -> int:
        note(diary, "dies")
        kills_itself()
        return x

    ended = run(dies, {"x": 1}, store=store, engine="processes")
    assert resume(ended.id, store=store, engine="processes").state == "FAILED"
    assert noted(diary) == {"dies": 6}


# --- what becomes of its neighbours -----------------------------------------------------------------------------------


@pytest.mark.full
def test_R5_neighbours_of_a_task_that_is_lost_once_run_once(store, tmp_path, diary):
    """They stand before and behind it, on the same worker."""

    @task
    def neighbour(x: int) -> int:
        note(diary, x)
        return x

    @task
    def dies(x: int) -> int:
        if first_time(tmp_path / "first"):
            exits()
        return x

    @workflow
    def flow() -> list[int]:
        return [dies(x) if x == 20 else neighbour(x) for x in range(60)]

    assert run(flow, store=store, engine="processes", max_parallelism=1).result == list(range(60))
    assert noted(diary) == {str(x): 1 for x in range(60) if x != 20}


@pytest.mark.full
def test_R5_neighbours_of_a_task_that_is_lost_for_good_run_once_in_run_and_resume_together(store, tmp_path, diary):
    repaired = tmp_path / "repaired"

    @task
    def neighbour(x: int) -> int:
        note(diary, x)
        return x

    @task
    def dies(x: int) -> int:
        if not repaired.exists():
            exits()
        return x

    @workflow
    def flow() -> list[int]:
        return [dies(x) if x == 20 else neighbour(x) for x in range(60)]

    ended = run(flow, store=store, engine="processes", max_parallelism=2)
    assert ended.state == "FAILED"
    succeeded = sum(row.state == "SUCCEEDED" for row in ended.nodes())
    assert succeeded == len(noted(diary))
    assert set(noted(diary).values()) == {1}
    repaired.touch()
    assert resume(ended.id, store=store, engine="processes").result == list(range(60))
    assert noted(diary) == {str(x): 1 for x in range(60) if x != 20}


@pytest.mark.full
def test_R5_a_neighbour_at_work_when_a_task_is_lost_for_good_may_finish(store, tmp_path, gate, eventually, states_of):
    held = gate()
    deaths = tmp_path / "deaths"

    @task
    def neighbour(x: int) -> int:
        with open(held.path) as file:
            file.read()
        return x

    @task
    def dies(x: int) -> int:
        note(deaths, "dies")
        exits()
        return x

    @workflow
    def flow() -> list[int]:
        return [neighbour(1), dies(2)]

    going = start(flow, store=store, engine="processes", max_parallelism=2)
    held.reached()
    eventually(lambda: noted(deaths)["dies"] == 3, "three deaths")
    held.open()
    assert going.wait(60).state == "FAILED"
    states = states_of(store, going.id)
    assert (states["main/neighbour"], states["main/dies"]) == ("SUCCEEDED", "FAILED")


@pytest.mark.full
def test_R5_a_worker_killed_from_outside_costs_only_the_body_that_it_ran(store, tmp_path, diary, gate, eventually):
    held = gate()

    @task
    def work(x: int) -> int:
        note(diary, x)
        if x == 100 and first_time(tmp_path / "victim"):
            (tmp_path / "pid").write_text(str(os.getpid()))
            with open(held.path) as file:
                file.read()
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(300)]

    going = start(flow, store=store, engine="processes", max_parallelism=2)
    held.reached()
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    held.open()
    assert going.wait(60).result == list(range(300))
    assert noted(diary) == {str(x): 2 if x == 100 else 1 for x in range(300)}
    assert {row.attempts for row in going.nodes() if row.path == "main/work~101"} == {1}


@pytest.mark.full
def test_R5_workers_killed_again_and_again_cost_one_body_each(store, diary, eventually):
    @task
    def work(x: int) -> int:
        note(diary, os.getpid(), x)
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(2000)]

    going = start(flow, store=store, engine="processes", max_parallelism=2, echo=False)
    kills = 0
    for least in range(200, 1400, 200):
        lines = eventually(
            lambda least=least: (
                len(found := diary.read_text().splitlines() if diary.exists() else []) >= least and found
            )
        )
        try:
            os.kill(int(lines[-1].split()[0]), signal.SIGKILL)
        except ProcessLookupError:  # it ran alone, and has ended
            continue
        kills += 1
    assert going.wait(60).result == list(range(2000))
    bodies = Counter(line.split()[1] for line in diary.read_text().splitlines())
    assert set(bodies) == {str(x) for x in range(2000)}
    assert sum(bodies.values()) - 2000 <= kills


@pytest.mark.full
def test_R5_workers_killed_between_two_runs_cost_nothing(store, diary):
    @task
    def work(x: int) -> int:
        note(diary, os.getpid())
        return x

    @workflow
    def flow() -> list[int]:
        return [work(x) for x in range(10)]

    assert run(flow, store=store, engine="processes", max_parallelism=2).result == list(range(10))
    for pid in noted(diary):
        os.kill(int(pid), signal.SIGKILL)
    diary.unlink()
    ended = run(flow, store=store, engine="processes", max_parallelism=2)
    assert ended.result == list(range(10))
    assert sum(noted(diary).values()) == 10
    assert {row.attempts for row in ended.nodes() if row.kind == "task"} == {1}


def test_R5_a_worker_killed_before_it_has_begun_anything_is_no_exception_of_the_run(store, diary, eventually):
    """It is there from the run before, and is stopped, so that the next run's first words find it asleep."""

    @task
    def work(x: int) -> int:
        note(diary, os.getpid(), os.getppid())
        return x

    assert run(work, {"x": 1}, store=store, engine="processes", max_parallelism=1).result == 1
    ((pids, _),) = noted(diary).items()
    pid, guard = pids.split()
    diary.unlink()
    os.kill(int(pid), signal.SIGSTOP)
    engine = Processes()
    going = start(work, {"x": 2}, store=store, engine=engine, max_parallelism=1)
    eventually(lambda: [worker.pid for worker in engine._workers] == [int(guard)], "a word to the worker")
    os.kill(int(pid), signal.SIGKILL)
    assert going.wait(60).result == 2
    assert sum(noted(diary).values()) == 1


# --- last words -------------------------------------------------------------------------------------------------------


@task
def speaks_and_crashes(x: int) -> int:
    print("I feel unwell")
    crashes()
    return x


def test_R5_last_words_are_in_the_failure_and_in_the_log(store):
    ended = run(speaks_and_crashes, {"x": 1}, store=store, engine="processes", echo=False)
    (row,) = ended.nodes()
    for text in (str(ended.error), said(store, row)):
        assert "I feel unwell" in text
        assert "Fatal Python error: Segmentation fault" in text
        assert "in speaks_and_crashes" in text
        assert Path(__file__).name in text


@pytest.mark.full
def test_X5_last_words_are_repeated_on_standard_error_with_the_path(store, capsys):
    run(speaks_and_crashes, {"x": 1}, store=store, engine="processes")
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("main/speaks_and_crashes | I feel unwell") == 3
    assert "main/speaks_and_crashes | Fatal Python error: Segmentation fault" in lines


def test_X5_last_words_of_an_attempt_that_was_sent_again_are_repeated_too(store, tmp_path, capsys):
    @task
    def dies(x: int) -> int:
        if first_time(tmp_path / "first"):
            print("farewell")
            kills_itself()
        return x

    assert run(dies, {"x": 1}, store=store, engine="processes").result == 1
    assert capsys.readouterr().err.splitlines() == ["main/dies | farewell"]


@pytest.mark.full
def test_R5_last_words_are_those_of_the_victim_alone(store, tmp_path):
    @task
    def speaks(x: int) -> int:
        print("all is well", x)
        return x

    @task
    def dies(x: int) -> int:
        exits()
        return x

    @workflow
    def flow() -> int:
        return dies(speaks(1))

    ended = run(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    rows = {row.path: row for row in ended.nodes()}
    assert said(store, rows["main/speaks"]) == "all is well 1\n"
    assert rows["main/dies"].log is None
    assert "all is well" not in str(ended.error)


# --- the kernel's own kill --------------------------------------------------------------------------------------------


GROUPS = [
    ("/sys/fs/cgroup/memory", {"memory.swappiness": "0", "memory.limit_in_bytes": "64M"}),
    ("/sys/fs/cgroup", {"memory.swap.max": "0", "memory.max": "64M"}),
]


def removed(group):
    """Whether a control group is gone: not before those that were in it are."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def control_group():
    """A control group with 64 MiB, if one can be made here."""
    for root, limits in GROUPS:
        group = Path(root) / f"promissory-{os.getpid()}"
        try:
            group.mkdir()
            for name, limit in limits.items():
                (group / name).write_text(limit)
        except OSError:
            removed(group)
            continue
        return group
    return None


@pytest.fixture
def little_memory(eventually):
    """The file of a control group with 64 MiB into which a process writes its id to be in it."""
    group = control_group()
    if group is None:
        pytest.skip("no control group for memory can be made here: that takes root, and a kernel that has them")
    yield group / "cgroup.procs"
    eventually(lambda: removed(group), "the end of the control group")


@pytest.mark.full
def test_R5_a_body_that_uses_more_memory_than_there_is_hurts_only_its_task(store, diary, little_memory):
    @task
    def hungry(x: int) -> int:
        note(diary, "hungry")
        little_memory.write_text(str(os.getpid()))
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(1 << 22)))
        return len(eaten)

    @task
    def modest(x: int) -> int:
        note(diary, "modest")
        return x

    @workflow
    def flow() -> list[int]:
        return [modest(1), hungry(2)]

    ended = run(flow, store=store, engine="processes", max_parallelism=1)
    cause = ended.error.__cause__
    assert (type(cause), cause.path, cause.signal) == (WorkerLost, "main/hungry", signal.SIGKILL)
    assert "did it use more memory than there is?" in str(cause)
    assert noted(diary) == {"modest": 1, "hungry": 3}
