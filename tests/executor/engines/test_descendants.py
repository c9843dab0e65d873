"""Every process that a body started ends with its body or its run, whatever its group or session (X10)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from promissory import run, start, task, workflow
from promissory.errors import DecorationError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the worker's group is known")

SLEEP = "exec sleep 1000"


def is_alive(pid):
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def note(diary, *pids):
    with open(diary, "a") as file:
        file.writelines(f"{pid}\n" for pid in pids)


def noted(diary):
    return [int(line) for line in diary.read_text().splitlines()] if diary.exists() else []


@pytest.fixture
def started(diary, eventually):
    """The processes that bodies noted; they are to end soon, and do so at the latest with the test."""

    class Started:
        def at_least(self, count):
            return eventually(lambda: len(noted(diary)) >= count and noted(diary), f"{count} processes")

        def end(self):
            eventually(lambda: not any(map(is_alive, noted(diary))), "the end of what bodies started")

    yield Started()
    for pid in filter(is_alive, noted(diary)):
        os.kill(pid, signal.SIGKILL)


# --- ways to start a process ------------------------------------------------------------------------------------------


def in_a_session_of_its_own(diary):
    note(diary, subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)


def in_a_group_of_its_own(diary):
    note(diary, subprocess.Popen(["sleep", "1000"], process_group=0).pid)


def under_a_command_that_makes_a_group(diary):
    command = ["timeout", "2000", "sh", "-c", f"echo $$ >> {diary}; {SLEEP}"]
    note(diary, subprocess.Popen(command).pid)


def in_a_shell_with_job_control(diary):
    shell = f"set -m; (echo $BASHPID >> {diary}; {SLEEP}) & wait"
    note(diary, subprocess.Popen(["bash", "-c", shell]).pid)


def as_a_daemon(diary):
    """The classical double fork, in a session of its own, with no descriptor of its parent's."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 1024)
            os.chdir("/")
            note(diary, os.getpid())
            os.execvp("sleep", ["sleep", "1000"])
        os._exit(0)
    os.waitpid(child, 0)


def as_an_orphan_of_a_shell(diary):
    subprocess.run(["sh", "-c", f"setsid sh -c 'echo $$ >> {diary}; {SLEEP}' >/dev/null 2>&1 &"], check=True)


def as_one_that_hears_no_signal(diary):
    note(diary, subprocess.Popen(["sh", "-c", f"trap '' TERM INT HUP; echo $$ >> {diary}; sleep 1000; :"]).pid)


def as_a_fork(diary):
    child = os.fork()
    if child == 0:
        time.sleep(1000)
        os._exit(0)
    note(diary, child)


WAYS = [
    as_a_fork,
    in_a_session_of_its_own,
    in_a_group_of_its_own,
    under_a_command_that_makes_a_group,
    in_a_shell_with_job_control,
    as_a_daemon,
    as_an_orphan_of_a_shell,
    as_one_that_hears_no_signal,
]
SAMPLE = pytest.mark.full(keep=2)


@SAMPLE
@pytest.mark.parametrize("way", WAYS)
def test_X10_descendants_end_with_a_body_that_took_too_long(store, diary, started, way):
    """They have ended before its node has failed, so that a retry never runs beside them."""

    @task(timeout=1)
    def hangs(x: int) -> None:
        way(diary)
        time.sleep(1000)

    assert run(hangs, {"x": 1}, store=store, engine="processes", echo=False).state == "FAILED"
    assert noted(diary)
    assert not any(map(is_alive, noted(diary)))


@SAMPLE
@pytest.mark.parametrize("way", WAYS)
def test_X10_descendants_end_with_their_worker(store, diary, started, way):
    """The worker is killed from outside. What the body started has ended when it is sent again."""
    marks = diary.with_name("marks")

    @task
    def dies(x: int) -> list[int]:
        if not marks.exists():
            marks.touch()
            way(diary)
            while not noted(diary):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        return [pid for pid in noted(diary) if is_alive(pid)]

    assert run(dies, {"x": 1}, store=store, engine="processes", echo=False).result == []


@SAMPLE
@pytest.mark.parametrize("way", WAYS)
def test_X10_descendants_end_with_their_run(store, diary, started, way):
    @task
    def leaves(x: int) -> int:
        way(diary)
        return x

    assert run(leaves, {"x": 1}, store=store, engine="processes", echo=False).result == 1
    started.at_least(1)
    started.end()


@SAMPLE
@pytest.mark.parametrize("way", WAYS)
def test_X10_descendants_end_with_a_run_that_is_cancelled(store, diary, started, way):
    @task
    def hangs(x: int) -> None:
        way(diary)
        time.sleep(1000)

    going = start(hangs, {"x": 1}, store=store, engine="processes", echo=False)
    started.at_least(1)
    going.cancel()
    assert going.wait(60).state == "CANCELLED"
    assert not any(map(is_alive, noted(diary)))


PROGRAM = """
import sys
from pathlib import Path
from promissory import run, task
from tests.executor.engines import test_descendants as ways

@task
def hangs(way: str, diary: str) -> None:
    getattr(ways, way)(Path(diary))
    while True:  # holds the interpreter's lock
        pass

if __name__ == "__main__":
    run(hangs, {"way": sys.argv[1], "diary": sys.argv[2]}, run_id="r", engine="processes", echo=False)
"""


@SAMPLE
@pytest.mark.parametrize("way", WAYS)
def test_X10_descendants_end_with_an_executor_that_is_killed(project, diary, started, way):
    project.write("program.py", PROGRAM)
    root = Path(__file__).parents[3]
    process = project.spawn("program.py", way.__name__, diary, PYTHONPATH=f"{project.folder}{os.pathsep}{root}")
    started.at_least(1)
    process.kill()
    started.end()


def test_X10_a_body_that_signals_its_group_does_not_hit_what_clears_up_after_it(store, diary, started):
    @task
    def kills(x: int) -> None:
        in_a_session_of_its_own(diary)
        os.killpg(0, signal.SIGKILL)

    ended = run(kills, {"x": 1}, store=store, engine="processes", echo=False)
    assert ended.error.__cause__.signal == signal.SIGKILL
    assert len(noted(diary)) == 3
    assert not any(map(is_alive, noted(diary)))


@pytest.mark.full
def test_X10_processes_that_start_others_as_fast_as_they_can_end_too(store, diary):
    """Each starts its successor and ends, so that none is there for long."""
    mark = f"of-{os.getpid()}-{time.time_ns()}"
    chain = 'n=$((n+1)); [ $n -lt 100000 ] && setsid sh -c "$chain" & exit'

    @task(timeout=1)
    def hangs(x: int) -> None:
        environment = {**os.environ, "chain": chain, "n": "0", "MARK": mark}
        subprocess.Popen(["sh", "-c", f'echo begun > {diary}; setsid sh -c "$chain"'], env=environment)
        time.sleep(1000)

    def has_mark(process):
        try:
            return mark.encode() in (process / "environ").read_bytes()
        except OSError:
            return False

    assert run(hangs, {"x": 1}, store=store, engine="processes", echo=False).state == "FAILED"
    assert diary.exists()
    assert not [process for process in Path("/proc").iterdir() if process.name.isdigit() and has_mark(process)]


def test_X10_a_guard_that_is_killed_takes_its_worker_along(store, diary, eventually):
    @task
    def work(x: int) -> int:
        note(diary, os.getpid())
        if len(noted(diary)) == 1:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(1000)
        return x

    assert run(work, {"x": 1}, store=store, engine="processes", echo=False).result == 1
    eventually(lambda: not is_alive(noted(diary)[0]), "the end of the worker")


def test_X10_orphans_that_have_ended_are_waited_for(store, diary):
    """A worker of many commands leaves no dead entries in the table of processes."""

    @task
    def leaves_many(x: int) -> int:
        subprocess.run(["sh", "-c", f"for n in 1 2 3 4 5; do (sh -c 'echo $$ >> {diary}' &) ; done; wait"], check=True)
        while len(noted(diary)) < 5:
            time.sleep(0.01)
        return x

    @task
    def are_there(x: int) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and any(Path(f"/proc/{pid}").exists() for pid in noted(diary)):
            time.sleep(0.01)
        return sum(Path(f"/proc/{pid}").exists() for pid in noted(diary))

    @workflow
    def flow() -> int:
        left = leaves_many(1)
        return are_there(left)

    assert run(flow, store=store, engine="processes", max_parallelism=1, echo=False).result == 0


@pytest.mark.full
def test_X10_the_resource_tracker_removes_what_a_stopped_body_left(store, diary):
    names = diary.with_name("names")

    @task(timeout=2)
    def hangs(x: int) -> None:
        from multiprocessing.shared_memory import SharedMemory

        memory = SharedMemory(create=True, size=1024)
        names.write_text(memory.name)
        time.sleep(1000)

    assert run(hangs, {"x": 1}, store=store, engine="processes", echo=False).state == "FAILED"
    assert not Path("/dev/shm", names.read_text()).exists()


# --- what is told, and what is left -----------------------------------------------------------------------------------


def said(store, row):
    return "" if row.log is None else store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]).decode()


@pytest.mark.parametrize("way", [in_a_session_of_its_own, as_a_fork, pytest.param(as_a_daemon, marks=pytest.mark.full)])
def test_X10_what_a_body_left_running_is_told_once(store, diary, started, way, capfd):
    @task
    def leaves(x: int) -> int:
        way(diary)
        while not noted(diary):
            time.sleep(0.01)
        return x

    @task
    def then(x: int) -> int:
        time.sleep(0.01)
        return x

    @workflow
    def flow() -> int:
        return then(then(leaves(1)))

    ended = run(flow, store=store, engine="processes", max_parallelism=1)
    assert ended.result == 1
    told = f"(process {noted(diary)[0]}) still runs and ends with the run; keep_children=True leaves it"
    assert told in said(store, ended.nodes()[0])
    echoed = capfd.readouterr().err.splitlines()
    name = sys.executable.rpartition("/")[2] if way is as_a_fork else "sleep"
    assert [line for line in echoed if told in line] == [f"main/leaves | promissory: {name} {told}"]


def test_X10_what_libraries_keep_for_later_is_not_told(store):
    @task
    def works(x: int) -> int:
        from multiprocessing.shared_memory import SharedMemory

        memory = SharedMemory(create=True, size=1024)
        memory.close()
        memory.unlink()
        return x

    ended = run(works, {"x": 1}, store=store, engine="processes", echo=False)
    assert said(store, ended.nodes()[0]) == ""


@pytest.mark.parametrize("way", [in_a_session_of_its_own, pytest.param(as_a_daemon, marks=pytest.mark.full)])
def test_X10_keep_children_leaves_what_a_body_started_and_nothing_else(store, diary, started, way):
    others = diary.with_name("others")

    @task
    def leaves(x: int) -> int:
        in_a_session_of_its_own(others)
        return x

    @task(keep_children=True)
    def keeps(x: int) -> int:
        way(diary)
        while not noted(diary):
            time.sleep(0.01)
        return x

    @task
    def then(x: int) -> int:
        return x + 1

    @workflow
    def flow() -> int:
        return then(keeps(leaves(1)))

    ended = run(flow, store=store, engine="processes", max_parallelism=1, echo=False)
    assert ended.result == 2
    assert {row.attempts for row in ended.nodes() if row.kind == "task"} == {1}
    assert [said(store, row) for row in ended.nodes() if row.path.endswith("keeps")] == [""]
    assert all(map(is_alive, noted(diary)))
    assert not any(map(is_alive, noted(others)))


def test_X10_keep_children_is_about_bodies_that_end_well(store, diary, started):
    @task(keep_children=True, timeout=1)
    def hangs(x: int) -> None:
        in_a_session_of_its_own(diary)
        time.sleep(1000)

    assert run(hangs, {"x": 1}, store=store, engine="processes", echo=False).state == "FAILED"
    assert noted(diary)
    assert not any(map(is_alive, noted(diary)))


def test_X10_keep_children_is_in_the_plan_and_is_true_or_false():
    @task(keep_children=True)
    def serve(x: int) -> int:
        return x

    @workflow
    def flow() -> int:
        return serve(1)

    assert [callee.policy.keep_children for callee in flow.compile().shape.callees] == [True]
    with pytest.raises(DecorationError, match="keep_children must be True or False, not 1"):

        @task(keep_children=1)
        def wrong(x: int) -> int:
            return x


def test_X10_a_body_may_begin_a_group_of_its_own(store, diary, started):
    @task
    def groups(x: int) -> bool:
        os.setpgrp()
        note(diary, subprocess.Popen(["sleep", "1000"]).pid)
        return os.getpgrp() == os.getpid()

    assert run(groups, {"x": 1}, store=store, engine="processes", echo=False).result
    started.end()
