"""J3: who lives is proved by a lock that the kernel keeps, whatever host names, process numbers, clocks, spellings of
the store and busy interpreters say.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest

from promissory import Store, resume, start, task, workflow
from promissory.errors import RunIsLive
from promissory.executor.history.history import History
from promissory.executor.history.summary import standing_of_run
from promissory.executor.maintenance.garbage import garbage, remove_run
from promissory.executor.records.executors import Seat, enrol, is_locked, is_taken, leave
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.store.holding import Held, is_held, is_of_one_kernel
from promissory.executor.store.keys import alive_key

MODULE = """
import ctypes, os
from promissory import task, workflow

def began(what):
    with open("started", "a") as file:
        file.write(what + "\\n")

@task
def wait(x: int) -> int:
    began("wait")
    open(os.environ["GATE"]).read()
    return x + 1

@task
def wait_with_the_lock(x: int) -> int:
    began("wait")
    descriptor = os.open(os.environ["GATE"], os.O_RDONLY)
    ctypes.PyDLL(None).read(descriptor, ctypes.create_string_buffer(1), 1)  # keeps the interpreter's lock
    return x + 1

@task
def leave_a_child(x: int) -> int:
    if os.fork() == 0:
        os.setsid()
        for stream in range(3):
            os.close(stream)
        open(os.environ["GATE"] + "-child").read()
        os._exit(0)
    began("fork")
    open(os.environ["GATE"]).read()
    return x + 1

@workflow
def flow(x: int) -> int:
    return wait(x)

@workflow
def busy(x: int) -> int:
    return wait_with_the_lock(x)

@workflow
def forking(x: int) -> int:
    return leave_a_child(x)
"""

RUN = "import sys, lives, promissory; print(promissory.run(getattr(lives, sys.argv[1]), {'x': 0}, run_id='r').result)"
RESUME = """
from promissory import resume
from promissory.errors import RunIsLive
try:
    print(resume("r").result)
except RunIsLive as error:
    print("RunIsLive", error)
"""
GC = """
import errno
import os
from promissory import Store
from promissory.errors import RunIsLive
from promissory.executor.maintenance.garbage import garbage, remove_run
try:
    remove_run(Store(os.environ["PROMISSORY_STORE"]), "r")
    print("removed")
except RunIsLive as error:
    print("RunIsLive", error)
print(len(garbage(Store(os.environ["PROMISSORY_STORE"]), 0.0, ["r"])))
"""
ALIKE = """
import os, socket, time
socket.gethostname = lambda: "alike"
if os.environ.get("CLOCK"):
    real, real_ns, shift = time.time, time.time_ns, int(os.environ["CLOCK"])
    time.time = lambda: real() + shift
    time.time_ns = lambda: real_ns() + shift * 10**9
"""
NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc"]


def can_unshare():
    return (
        shutil.which("unshare") is not None
        and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def lives(project):
    """A project in which every machine has the same name."""
    project.write("lives.py", MODULE)
    project.write("sitecustomize.py", ALIKE)
    return project


def is_left_alone(project, **environment):
    """Nobody may take the run, or remove it, from its executor."""
    assert project.code(RESUME, **environment).startswith("RunIsLive run r is being worked on by process ")
    assert project.code(GC, **environment).startswith("RunIsLive run r goes on")


def began(project):
    return project.lines("started")


# --- names and numbers of processes ---


@pytest.mark.skipif(not can_unshare(), reason="this user may make no pid namespace")
def test_J3_an_executor_in_a_container_with_the_same_host_name_is_left_alone(lives, gate):
    """Its process number means another process here, or none."""
    held = gate("held")
    first = subprocess.Popen(
        [*NAMESPACE, sys.executable, "-B", "-c", RUN, "flow"],
        cwd=lives.folder,
        env={**os.environ, **lives.environment, "GATE": held.path},
        stdout=subprocess.PIPE,
        text=True,
    )
    lives.processes.append(first)
    held.reached()
    assert History(lives.store, "r").state == "RUNNING"
    is_left_alone(lives)
    second = lives.spawn("-c", RUN, "flow", GATE=held.path)
    held.open()
    assert first.communicate(timeout=60)[0].split() == ["1"]
    assert lives.finish(second)[0].split() == ["1"]
    assert began(lives) == ["wait"], "the second run waited for the first"


@pytest.mark.parametrize("shift", [-86400, 86400])
def test_J3_an_executor_whose_clock_is_a_day_off_is_left_alone(lives, gate, shift):
    held = gate("held")
    first = lives.spawn("-c", RUN, "flow", GATE=held.path, CLOCK=str(shift))
    held.reached()
    assert History(lives.store, "r").state == "RUNNING"
    is_left_alone(lives)
    held.open()
    assert lives.finish(first)[0].split() == ["1"]


def test_J3_an_executor_that_was_killed_is_gone_at_once_whoever_has_its_number_now(lives, gate):
    held = gate("held")
    first = lives.spawn("-c", RUN, "flow", GATE=held.path)
    held.reached()
    first.kill()
    first.wait()
    assert History(lives.store, "r").state == "INTERRUPTED"
    again = gate("again")
    second = lives.spawn("-c", RESUME, GATE=again.path)
    again.reached()
    again.open()
    assert lives.finish(second)[0].split() == ["1"]


def test_J3_a_fork_that_a_body_left_behind_keeps_no_run(lives, gate):
    """A descriptor is inherited, and a lock of `flock` with it; that of `lockf` is not."""
    held, child = gate("held"), gate("held-child")
    first = lives.spawn("-c", RUN, "forking", GATE=held.path)
    held.reached()
    child.reached()
    first.kill()
    first.wait()
    try:
        assert History(lives.store, "r").state == "INTERRUPTED"
        again, other = gate("again"), gate("again-child")
        second = lives.spawn("-c", RESUME, GATE=again.path)
        again.reached()
        again.open()
        other.reached()
        other.open()
        assert lives.finish(second)[0].split() == ["1"]
    finally:
        child.open()


EARLY = """
import os, lives, promissory
from promissory.executor import crash_points
crash_points.watcher = lambda point: open(os.environ["GATE"]).read() if point == os.environ["POINT"] else None
if os.environ["POINT"].startswith("run"):
    print(promissory.run(lives.flow, {"x": 0}, run_id="r").result)
else:
    print(promissory.resume("r").result)
"""


@pytest.mark.parametrize("shift", ["-86400", "86400"])
def test_J3_an_executor_that_has_not_beaten_yet_is_left_alone(lives, gate, shift):
    """The manifest names it, and a lock proves that it lives."""
    early, body = gate("early"), gate("body")
    first = lives.spawn("-c", EARLY, GATE=early.path, POINT="run.manifest-written", CLOCK=shift)
    early.reached()
    assert not lives.store.exists("runs/r/beat")
    assert History(lives.store, "r").manifest.executor
    assert standing_of_run(lives.store, "r").state == "RUNNING"
    assert lives.code(RESUME).startswith("RunIsLive run r is being worked on by another process")
    assert lives.code(GC).startswith("RunIsLive run r goes on")
    first.kill()
    first.wait()
    assert standing_of_run(lives.store, "r").state == "INTERRUPTED"
    second = lives.spawn("-c", RESUME, GATE=body.path)
    body.reached()
    body.open()
    assert lives.finish(second)[0].split() == ["1"]


def test_J3_an_executor_that_has_just_taken_a_run_over_is_left_alone(lives, gate):
    """The beat is still the dead one's: the newest segment names its successor."""
    held, early = gate("held"), gate("early")
    first = lives.spawn("-c", RUN, "flow", GATE=held.path)
    held.reached()
    first.kill()
    first.wait()
    second = lives.spawn("-c", EARLY, GATE=early.path, POINT="resume.claimed")
    early.reached()
    assert standing_of_run(lives.store, "r").state == "RUNNING"
    assert lives.code(RESUME).startswith("RunIsLive run r is being worked on by another process")
    assert lives.code(GC).startswith("RunIsLive run r goes on")
    second.kill()
    second.wait()
    assert standing_of_run(lives.store, "r").state == "INTERRUPTED"
    again = gate("again")
    third = lives.spawn("-c", RESUME, GATE=again.path)
    again.reached()
    again.open()
    assert lives.finish(third)[0].split() == ["1"]


# --- spellings of the store ---


def test_J3_a_store_reached_by_a_link_is_the_same_store(lives, gate, tmp_path):
    held = gate("held")
    (lives.folder / "store").mkdir()
    (tmp_path / "linked").symlink_to(lives.folder / "store")
    first = lives.spawn("-c", RUN, "flow", GATE=held.path, PROMISSORY_STORE=str(tmp_path / "linked"))
    held.reached()
    for spelling in (lives.folder / "store", tmp_path / "linked", lives.folder / ".." / lives.folder.name / "store"):
        is_left_alone(lives, PROMISSORY_STORE=str(spelling))
    held.open()
    assert lives.finish(first)[0].split() == ["1"]


def test_J3_the_executor_s_own_process_leaves_its_run_alone_by_any_spelling_and_keeps_its_lock(tmp_path, gate):
    """To open and close a file gives up all locks that the process has on it."""
    held = gate("held")

    @task
    def wait(x: int) -> int:
        with open(held.path) as file:
            file.read()
        return x + 1

    @workflow
    def flow(x: int) -> int:
        return wait(x)

    (tmp_path / "store").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "store")
    going = start(flow, {"x": 0}, store=tmp_path / "store", run_id="r", engine="threads", echo=False)
    held.reached()
    for spelling in (tmp_path / "store", tmp_path / "linked", tmp_path / "linked" / ".." / "store"):
        with pytest.raises(RunIsLive, match="is being worked on"):
            resume("r", store=spelling)
        with pytest.raises(RunIsLive, match="goes on"):
            remove_run(Store(spelling), "r")
        assert History(Store(spelling), "r").state == "RUNNING"
    beat = read_beat(Store(tmp_path / "store"), "r")
    assert as_another_process_sees(tmp_path / "store" / alive_key(beat.executor), beat.place) == "True"
    held.open()
    assert going.wait(60).result == 1
    assert as_another_process_sees(tmp_path / "store" / alive_key(beat.executor), beat.place) == "False"


def as_another_process_sees(path, place):
    code = f"from promissory.executor.store.holding import is_held; print(is_held({str(path)!r}, {place}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


# --- a process that does nothing ---


def test_J3_a_body_that_keeps_the_interpreter_s_lock_keeps_its_run(lives, gate):
    """No thread of the executor can beat meanwhile."""
    held = gate("held")
    first = lives.spawn("-c", RUN, "busy", GATE=held.path)
    held.reached()
    is_left_alone(lives)
    assert History(lives.store, "r").state == "RUNNING"
    held.open()
    assert lives.finish(first)[0].split() == ["1"]


def test_J3_a_process_that_was_stopped_keeps_its_run(lives, gate):
    held = gate("held")
    first = lives.spawn("-c", RUN, "flow", GATE=held.path)
    held.reached()
    first.send_signal(signal.SIGSTOP)
    is_left_alone(lives)
    first.send_signal(signal.SIGCONT)
    held.open()
    assert lives.finish(first)[0].split() == ["1"]


# --- the lock ---


def test_J3_a_lock_that_a_body_gave_up_by_reading_the_store_is_taken_again(tmp_path):
    path = str(tmp_path / "alive")
    mine = Held(path)
    mine.hold(1)
    mine.hold(2)
    mine.free(1)
    assert [as_another_process_sees(path, place) for place in (0, 1, 2, 3)] == ["True", "False", "True", "False"]
    assert is_held(path, 2), "the process itself asks without opening the file"
    shutil.copy(path, tmp_path / "copy")
    assert as_another_process_sees(path, 2) == "False", "the copy has closed a descriptor of the file"
    mine.renew()
    assert as_another_process_sees(path, 2) == "True"
    os.unlink(path)
    mine.renew()
    assert as_another_process_sees(path, 2) == "True", "a file that was removed is made again"
    assert as_another_process_sees(tmp_path / "copy", 2) == "False"
    mine.close()
    assert not os.path.exists(path)


def test_J3_a_seat_is_left_with_its_run_though_the_process_lives_on(store):
    store.put_new("promissory", b"{}")
    first, second = enrol(store), enrol(store)
    path = store.url.removeprefix("file://") + "/" + alive_key(first.executor)
    assert (second.executor, is_taken(store, first), is_taken(store, second)) == (first.executor, True, True)
    leave(first)
    assert (is_taken(store, first), is_taken(store, second)) == (False, True)
    assert [as_another_process_sees(path, seat.place) for seat in (first, second)] == ["False", "True"]
    leave(second)
    assert (is_taken(store, second), os.path.exists(path)) == (False, False)
    third = enrol(store)
    assert third.executor != first.executor, "an executor that has left does not come back"
    leave(third)


def test_J3_no_seat_of_a_damaged_beat_leads_out_of_the_store(store):
    assert is_taken(store, Seat("../../etc/passwd", 1)) is None
    assert is_taken(store, Seat("0123456789abcdef", 1 << 62)) is False


def test_J3_a_free_lock_proves_nothing_on_a_file_system_of_several_machines(tmp_path, monkeypatch):
    (tmp_path / "alive").touch()
    here = str(tmp_path)
    assert is_held(f"{here}/alive", 1) is (False if is_of_one_kernel(here) else None)
    monkeypatch.setattr("promissory.executor.store.holding.is_of_one_kernel", lambda path: False)
    assert (is_held(f"{here}/alive", 1), is_held(f"{here}/missing", 1)) == (None, None)


def test_J3_gc_collects_the_locks_of_killed_executors_and_no_others(lives, gate):
    killed, held = gate("killed"), gate("held")
    first = lives.spawn("-c", RUN, "flow", GATE=killed.path)
    killed.reached()
    of_first = alive_key(read_beat(lives.store, "r").executor)
    first.kill()
    first.wait()
    second = lives.spawn("-c", RUN.replace("'r'", "'s'"), "flow", GATE=held.path)
    held.reached()
    of_second = alive_key(read_beat(lives.store, "s").executor)
    found = {one.key for one in garbage(lives.store, 0.0, without=["s"])}
    assert (of_first in found, of_second in found) == (True, False)
    held.open()
    lives.finish(second)


def test_J3_an_executor_that_could_hold_no_lock_is_watched(store, monkeypatch):
    """A free lock says nothing of who could not take it."""
    monkeypatch.setattr(Held, "hold", lambda self, place: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    store.put_new("promissory", b"{}")
    seat = enrol(store)
    assert (is_locked(seat), is_taken(store, seat, is_locked(seat))) == (False, True), "the process itself knows"
    code = (
        "from promissory import Store; from promissory.executor.records.executors import Seat, is_taken; "
        f"print(is_taken(Store({store.url!r}), Seat({seat.executor!r}, {seat.place}), False))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "None\n"
    leave(seat)
    assert is_taken(store, seat, False) is False


def test_J3_a_copy_of_a_store_is_nobody_s_though_the_original_s_process_looks_at_it(tmp_path, gate):
    held = gate("held")

    @task
    def wait(x: int) -> int:
        with open(held.path) as file:
            file.read()
        return x + 1

    going = start(wait, {"x": 0}, store=tmp_path / "store", run_id="r", engine="threads", echo=False)
    held.reached()
    shutil.copytree(tmp_path / "store", tmp_path / "copy")
    assert History(Store(tmp_path / "copy"), "r").state == "INTERRUPTED"
    assert History(Store(tmp_path / "store"), "r").state == "RUNNING"
    held.open()
    assert going.wait(60).result == 1
