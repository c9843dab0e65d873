"""J3: an executor that was stopped for a while, or whose machine slept, looks whether the run is still its own before
it begins a body; before a task that is committed by itself each executor looks. And `ctx.epoch` tells executors apart.
"""

import signal
import threading
import time

import pytest

from promissory import Context, current_context, resume, run, task, workflow
from promissory.errors import Fenced
from promissory.executor import clock
from promissory.executor.journal import writer
from promissory.executor.journal.reader import find_end
from promissory.executor.worker import worker
from promissory.testing import Crashed, crash_at

MODULE = """
import os
from promissory import Context, task, workflow

def began(what):
    descriptor = os.open("started", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{os.environ['WHO']} {what}\\n".encode())
    os.close(descriptor)

@task
def wait(x: int) -> int:
    began("wait")
    open(os.environ["GATE"]).read()
    return x + 1

@task
def after(x: int) -> int:
    began("after")
    return x + 1

@task(commit="each")
def pay(ctx: Context, x: int) -> int:
    began(f"pay {ctx.epoch}")
    return x + 1

@workflow
def flow(x: int) -> int:
    return after(wait(x))

@workflow
def beside(x: int) -> list[int]:
    return [wait(x), after(x)]

@workflow
def paying(x: int) -> int:
    return pay(wait(x))
"""

RUN = """
import sys, woken
from promissory import resume, run
from promissory.errors import Fenced
name, engine, takes = sys.argv[1:]
options = dict(engine=engine, max_parallelism=1, echo=False)
try:
    if takes == "run":
        print(run(getattr(woken, name), {"x": 0}, run_id="r", **options).result)
    else:
        print(resume("r", take_over=True, **options).result)
except Fenced as error:
    print("Fenced", error)
"""


@pytest.fixture
def woken(project):
    project.write("woken.py", MODULE)
    return project


def by(project, who):
    return [line.split(" ", 1)[1] for line in project.lines("started") if line.startswith(f"{who} ")]


def taken_over(project, gate, eventually, name, engine, stops):
    """A process in the first body of a run, and another one that has taken the run over; and the gate of each."""
    old_gate, new_gate = gate("old"), gate("new")
    old = project.spawn("-c", RUN, name, engine, "run", GATE=old_gate.path, WHO="old")
    old_gate.reached()
    eventually(lambda: find_end(project.store, "r"), "the first segment")
    if stops:
        old.send_signal(signal.SIGSTOP)
    new = project.spawn("-c", RUN, name, engine, "resume", GATE=new_gate.path, WHO="new")
    new_gate.reached()
    return old, new, old_gate, new_gate


ENGINES = ["inline", "threads", "processes"]


@pytest.mark.parametrize("engine", ENGINES)
def test_J3_a_woken_executor_begins_no_body_of_a_run_that_was_taken_over(woken, gate, eventually, engine):
    old, new, old_gate, new_gate = taken_over(woken, gate, eventually, "flow", engine, stops=True)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > clock.PAUSE + 0.5, "a pause of some seconds")
    old_gate.open()
    old.send_signal(signal.SIGCONT)
    assert woken.finish(old)[0].startswith("Fenced run r was taken over by another executor, process ")
    new_gate.open()
    assert woken.finish(new)[0].split() == ["2"]
    assert (by(woken, "old"), by(woken, "new")) == (["wait"], ["wait", "after"])


def test_J3_a_worker_begins_nothing_that_has_lain_while_its_executor_was_stopped(woken, gate, eventually):
    """The worker has the next call at hand, and is not stopped."""
    old, new, old_gate, new_gate = taken_over(woken, gate, eventually, "beside", "processes", stops=True)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > clock.PAUSE + 0.5, "a pause of some seconds")
    old_gate.open()
    new_gate.open()
    assert woken.finish(new)[0].strip() == "[1, 1]"
    old.send_signal(signal.SIGCONT)
    assert woken.finish(old)[0].startswith("Fenced")
    assert by(woken, "old") == ["wait"]


def test_J3_an_executor_that_was_stopped_and_has_its_run_still_goes_on(woken, gate, eventually):
    held = gate("held")
    process = woken.spawn("-c", RUN, "beside", "processes", "run", GATE=held.path, WHO="old")
    held.reached()
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > clock.PAUSE + 0.5, "a pause of some seconds")
    held.open()
    process.send_signal(signal.SIGCONT)
    assert woken.finish(process)[0].strip() == "[1, 1]"
    assert by(woken, "old") == ["wait", "after"]


@pytest.mark.parametrize("engine", ENGINES)
def test_J3_before_a_task_that_is_committed_by_itself_an_executor_looks_without_any_pause(
    woken, gate, eventually, engine
):
    old, new, old_gate, new_gate = taken_over(woken, gate, eventually, "paying", engine, stops=False)
    old_gate.open()
    assert woken.finish(old)[0].startswith("Fenced run r was taken over by another executor, process ")
    new_gate.open()
    assert woken.finish(new)[0].split() == ["2"]
    assert (by(woken, "old"), by(woken, "new")) == (["wait"], ["wait", "pay 2"])


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_J3_an_executor_whose_machine_slept_begins_no_body_of_a_run_that_was_taken_over(
    store, monkeypatch, eventually, engine
):
    slept, bodies = [0.0], []
    real = clock.since_boot
    for module in (worker, writer):
        monkeypatch.setattr(module, "since_boot", lambda: real() + slept[0])

    def others():
        bodies.append(resume("r", store=store, take_over=True, echo=False).result)

    @task
    def first(x: int) -> int:
        bodies.append("first")
        if len(bodies) == 1:
            eventually(lambda: find_end(store, "r"), "the first segment")
            other = threading.Thread(target=others)
            other.start()
            other.join(60)
            slept[0] += 3600.0
        return x + 1

    @task
    def second(x: int) -> int:
        bodies.append("second")
        return x + 1

    @workflow
    def flow(x: int) -> int:
        return second(first(x))

    with pytest.raises(Fenced, match=r"taken over by another executor, process \d+ of .*executor [0-9a-f]{16}, since "):
        run(flow, {"x": 0}, store=store, run_id="r", engine=engine, echo=False)
    assert bodies == ["first", "first", "second", 2]


# --- the fencing token ---


@pytest.mark.parametrize("engine", ENGINES)
def test_J3_the_epoch_that_a_body_sees_grows_with_each_executor_of_its_run(woken, gate, engine):
    woken.environment["WHO"] = "it"
    held = gate("held")
    first = woken.spawn("-c", RUN, "paying", engine, "run", GATE=held.path)
    held.reached()
    first.kill()
    first.wait()
    again = gate("again")
    second = woken.spawn("-c", RUN, "paying", engine, "resume", GATE=again.path)
    again.reached()
    second.kill()
    second.wait()
    third = gate("third")
    last = woken.spawn("-c", RUN, "paying", engine, "resume", GATE=third.path)
    third.reached()
    third.open()
    assert woken.finish(last)[0].split() == ["2"]
    assert woken.lines("started") == ["it wait", "it wait", "it wait", "it pay 3"]


def test_J3_the_epoch_of_a_first_executor_is_one_and_outside_a_run_it_is_none(store, tmp_path):
    seen = tmp_path / "seen"

    @task
    def look(ctx: Context, x: int) -> int:
        with seen.open("a") as file:
            file.write(f"{ctx.epoch} ")
        return x

    @workflow
    def flow(x: int) -> int:
        return look(x)

    flow(1)
    run(flow, {"x": 1}, store=store, run_id="r")
    with crash_at("worker.before-body"), pytest.raises(Crashed):
        run(flow, {"x": 1}, store=store, run_id="s")
    resume("s", store=store)
    look(1)
    assert (seen.read_text(), Context().epoch, current_context().epoch) == ("1 1 2 0 ", 0, 0)
