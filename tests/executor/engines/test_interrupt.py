"""X10: Ctrl-C stops the run, is no node's failure, and keeps what was done."""

import signal
import subprocess

import pytest

from promissory import resume, run, task, workflow
from promissory.executor.history.history import History
from promissory.executor.protocol.events import NODE_DONE, NODE_FAILED

MODULE = """
import os
from promissory import dynamic, task, workflow

def began(what):
    with open("started", "a") as file:
        file.write(f"{what}\\n")

@task
def step(x: int) -> int:
    began(f"step {x}")
    return x + 1

@task
def wait(x: int) -> int:
    began("wait")
    open(os.environ["GATE"]).read()
    return x

@dynamic
def grow(x: int) -> int:
    return step(wait(step(x)))

@workflow
def flow(x: int) -> int:
    return step(grow(step(step(x))))
"""

RUN = """
import signal
# A test run in the background ignores SIGINT and would pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
from promissory import run
from interrupted import flow
run(flow, {"x": 0}, run_id="stopped")
"""


def interrupted(process):
    """Press Ctrl-C until the process ends: Python forgets to look for a signal that comes between opening a pipe and
    waiting for it.
    """
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        try:
            return process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("it goes on and on")


@pytest.fixture
def stopped(project, gate):
    """A run that got a SIGINT in the middle of a body; what its process said."""
    project.write("interrupted.py", MODULE)
    held = gate()
    process = project.spawn("-c", RUN, GATE=held.path)
    held.reached()
    _, errors = interrupted(process)
    held.open()
    assert process.returncode != 0
    return errors


def test_X10_an_interrupt_says_how_to_go_on(stopped):
    assert stopped.rstrip().splitlines()[-2:] == [
        "KeyboardInterrupt",
        "run stopped is interrupted and can be resumed: promissory resume stopped",
    ]


def test_X10_an_interrupt_is_no_nodes_failure_and_what_was_done_is_committed(project, stopped, events_of):
    events = events_of(project.store, "stopped")
    assert sum(event[0] == NODE_DONE for event in events) == 3
    assert not any(event[0] == NODE_FAILED for event in events)
    history = History(project.store, "stopped")
    assert (history.state, history.beat.over) == ("INTERRUPTED", True)


def test_X10_an_interrupted_run_is_resumed_and_runs_nothing_again(project, stopped, gate):
    held = gate("again")
    before = project.lines("started")
    process = project.spawn("-c", "from promissory import resume; print(resume('stopped').result)", GATE=held.path)
    held.reached()
    held.open()
    output, errors = project.finish(process)
    assert output.split() == ["5"], errors
    assert before == ["step 0", "step 1", "step 2", "wait"]
    assert project.lines("started")[len(before) :] == ["wait", "step 3", "step 4"]


def test_X10_a_body_that_raises_keyboard_interrupt_stops_the_run(store):
    interrupts = [True]

    @task
    def step(x: int) -> int:
        if x == 1 and interrupts:
            raise KeyboardInterrupt
        return x + 1

    @workflow
    def flow() -> int:
        return step(step(step(0)))

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(flow, store=store, run_id="raised")
    assert signal.getsignal(signal.SIGINT) is before
    (note,) = caught.value.__notes__
    assert note.startswith("run raised is interrupted and can be resumed: promissory resume raised --store ")
    assert [row.state for row in History(store, "raised").nodes()] == ["SUCCEEDED", "READY", "PENDING"]
    interrupts.clear()
    assert resume("raised", store=store).result == 3


def test_X10_a_plain_call_that_is_interrupted_does_not_promise_a_resume():
    @task
    def stops(x: int) -> int:
        raise KeyboardInterrupt

    @workflow
    def flow() -> int:
        return stops(1)

    with pytest.raises(KeyboardInterrupt) as caught:
        flow()
    assert not getattr(caught.value, "__notes__", [])
