"""J3: a live run is refused; a run that is taken over has one winner, and the other one stops by itself."""

import signal

import pytest

from promissory.executor.history.history import History
from promissory.executor.protocol.events import NODE_DONE, RESUMED
from promissory.executor.records.heartbeat import read_beat

MODULE = """
import os
from promissory import task, workflow

def began(what):
    with open("started", "a") as file:
        file.write(f"{os.getpid()} {what}\\n")

@task
def step(x: int) -> int:
    began(f"step {x}")
    return x + 1

@task
def wait(x: int) -> int:
    began("wait")
    open(os.environ["GATE"]).read()
    return x + 1

@workflow
def flow(x: int) -> int:
    return step(step(wait(step(step(x)))))
"""

RUN = """
from promissory import run
from promissory.errors import Fenced
from taken import flow
try:
    print(run(flow, {"x": 0}, run_id="taken").result)
except Fenced as error:
    print("Fenced", error)
"""

RESUME = """
import sys
from promissory import resume
from promissory.errors import RunIsLive
try:
    print(resume("taken", take_over="over" in sys.argv).result)
except RunIsLive as error:
    print("RunIsLive", error, type(error).__name__)
"""


@pytest.fixture
def waiting(project, gate):
    """A process that works on a run and stands at a gate in the third of five tasks, and its gate."""
    project.write("taken.py", MODULE)
    held = gate("old")
    process = project.spawn("-c", RUN, GATE=held.path)
    held.reached()
    return process, held


def test_J3_a_live_run_is_refused_by_name_of_its_process(project, waiting):
    process, held = waiting
    output = project.code(RESUME)
    assert output.startswith(f"RunIsLive run taken is being worked on by process {process.pid} of ")
    held.open()
    assert project.finish(process)[0].split() == ["5"]
    assert project.code(RESUME).split() == ["5"]


def test_J3_a_stopped_process_still_holds_its_run(project, waiting):
    process, held = waiting
    process.send_signal(signal.SIGSTOP)
    assert project.code(RESUME).startswith("RunIsLive")
    process.send_signal(signal.SIGCONT)
    held.open()
    assert project.finish(process)[0].split() == ["5"]


def test_J3_a_run_that_is_taken_over_ends_once_and_the_old_executor_stops(
    project, waiting, gate, eventually, events_of
):
    process, held = waiting
    store = project.store
    eventually(
        lambda: sum(event[0] == NODE_DONE for event in events_of(store, "taken")) == 2, "the commit of two steps"
    )
    process.send_signal(signal.SIGSTOP)
    new_gate = gate("new")
    new = project.spawn("-c", RESUME, "over", GATE=new_gate.path)
    new_gate.reached()
    process.send_signal(signal.SIGCONT)
    held.open()
    output, errors = project.finish(process)
    assert process.returncode == 0, errors
    assert output.startswith("Fenced run taken was taken over by another executor")
    beat = read_beat(store, "taken")
    assert (beat.pid, beat.epoch, beat.over) == (new.pid, 2, False), (
        "the loser's last word must not stand for the winner"
    )
    assert History(store, "taken").state == "RUNNING"
    assert project.code(RESUME).startswith("RunIsLive"), "nobody may think that the run is free"
    new_gate.open()
    assert project.finish(new)[0].split() == ["5"]
    events = events_of(store, "taken")
    assert [event[1] for event in events if event[0] == RESUMED] == [1, 2]
    assert [event[2] for event in events if event[0] == NODE_DONE] == [0, 1, 2, 3, 4]
    by_new = [line.split(" ", 1)[1] for line in project.lines("started") if line.startswith(f"{new.pid} ")]
    assert by_new == ["wait", "step 3", "step 4"], "what was committed has not started again"


def test_J3_an_executor_that_was_killed_leaves_a_run_that_is_interrupted_and_free(project, waiting, gate):
    process, held = waiting
    process.send_signal(signal.SIGKILL)
    process.wait()
    held.open()
    assert History(project.store, "taken").state == "INTERRUPTED"
    beat = read_beat(project.store, "taken")
    assert not beat.over
    assert not beat.is_live(project.store, "taken")
    again = gate("again")
    new = project.spawn("-c", RESUME, GATE=again.path)
    again.reached()
    assert History(project.store, "taken").state == "RUNNING"
    again.open()
    assert project.finish(new)[0].split() == ["5"]
    assert History(project.store, "taken").state == "SUCCEEDED"


def test_J3_of_two_resumes_at_one_time_one_carries_the_run(project, waiting, gate, eventually):
    process, held = waiting
    process.send_signal(signal.SIGKILL)
    process.wait()
    held.open()
    gates = [gate("one"), gate("two")]
    source = RESUME.replace("import RunIsLive", "import Fenced, RunIsLive").replace(
        "except RunIsLive", "except (Fenced, RunIsLive)"
    )
    both = [project.spawn("-c", source, GATE=one.path) for one in gates]
    for one, process in zip(gates, both, strict=True):
        eventually(
            lambda one=one, process=process: process.poll() is not None or one._try(),
            "a resume at its gate, or refused",
        )
    for one in gates:
        if one._descriptor is not None:
            one.open()
    outputs = [project.finish(process)[0].strip() for process in both]
    assert outputs.count("5") == 1, outputs
    assert any(output.startswith("RunIsLive") for output in outputs), outputs
    history = History(project.store, "taken")
    assert history.end[0] == "SUCCEEDED"
    assert [row.state for row in history.nodes()] == ["SUCCEEDED"] * 5
