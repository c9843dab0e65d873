"""J3: each sender of a command is told what became of its own."""

import os
import signal
import threading

import pytest

from promissory import attach
from promissory.errors import ExecutorError
from promissory.executor.execution import answers
from promissory.executor.history.at_a_glance import gates_of
from promissory.executor.history.history import History
from promissory.executor.records.inbox import inbox_key, tell

FLOW = """
from promissory import approve, run, task, wait_for_input, workflow

@task
def plan(n: int) -> str:
    return "spend it"

@workflow
def main() -> str:
    return approve(plan(1), "money")

if __name__ == "__main__":
    print(run(main, run_id="r", echo=False).state)
"""


@pytest.fixture
def asleep(project, eventually):
    """A run that waits at its gate, whose executor is stopped, so that what is sent now is seen at one moment."""
    project.write("flow.py", FLOW)
    process = project.spawn("flow.py")
    eventually(lambda: project.store.exists("runs/r/manifest") and gates_of(project.store, "r")[1], "the gate")
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)


def at_one_moment(project, process, eventually, *acts):
    """What becomes of acts (or the error of each), whose commands the executor finds together."""
    ended = [None] * len(acts)

    def do(number, act):
        try:
            ended[number] = act() or "obeyed"
        except (ExecutorError, ValueError) as error:
            ended[number] = error

    threads = [threading.Thread(target=do, args=one) for one in enumerate(acts)]
    for number, thread in enumerate(threads):
        thread.start()
        eventually(lambda number=number: len(project.store.list(inbox_key("r"))) > number, "the command")
    os.kill(process.pid, signal.SIGCONT)
    for thread in threads:
        thread.join(30)
    return ended


def test_J3_of_two_answers_at_one_moment_the_second_is_told_that_it_was_not_taken(
    project, asleep, eventually, monkeypatch
):
    monkeypatch.setattr(answers, "_refuse_a_second", lambda *_: None)  # both look before either has sent
    run = attach("r", store=project.store)
    first, second = at_one_moment(
        project, asleep, eventually, lambda: run.answer("money", True), lambda: run.answer("money", False)
    )
    assert first == "obeyed"
    assert isinstance(second, ExecutorError)
    assert "money" in str(second)
    assert project.finish(asleep)[0] == "SUCCEEDED\n"
    assert project.store.list(inbox_key("r")) == [], "nothing is left of the commands"


def test_J3_of_cancel_and_pause_at_one_moment_who_paused_is_told_that_the_run_ends(project, asleep, eventually):
    cancelled, paused = at_one_moment(
        project,
        asleep,
        eventually,
        lambda: tell(project.store, "r", "cancel"),
        lambda: tell(project.store, "r", "pause"),
    )
    assert cancelled == "obeyed"
    assert isinstance(paused, ExecutorError)


def test_J3_of_stop_and_cancel_at_one_moment_each_is_told_how_the_run_ended(project, asleep, eventually):
    stopped, cancelled = at_one_moment(
        project,
        asleep,
        eventually,
        lambda: tell(project.store, "r", "stop"),
        lambda: tell(project.store, "r", "cancel"),
    )
    state = History(project.store, "r").state
    assert state in ("CANCELLED", "INTERRUPTED")
    told = {"CANCELLED": (stopped, cancelled), "INTERRUPTED": (cancelled, stopped)}[state]
    assert isinstance(told[0], ExecutorError)
    assert told[1] == "obeyed"


def test_J3_an_answer_of_the_wrong_type_that_slipped_through_is_told_to_its_sender(
    project, asleep, eventually, monkeypatch
):
    from promissory.executor.execution.answers import send_answer
    from promissory.typesys.canonical import pack

    [ended] = at_one_moment(
        project, asleep, eventually, lambda: send_answer(project.store, "r", "money", lambda gate: pack("maybe"))
    )
    assert isinstance(ended, ExecutorError)
