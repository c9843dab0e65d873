"""Ctrl-C: the run stops, is resumable, and the last line says how."""

import os
import shlex
import signal
import subprocess

import pytest


def press_ctrl_c(process):
    """Press Ctrl-C until the process ends: Python forgets to look for a signal that comes between opening a pipe and
    waiting for it.
    """
    for _ in range(10):
        os.killpg(process.pid, signal.SIGINT)
        try:
            return process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("it goes on and on")


@pytest.fixture
def interrupt(shell, held):
    """A function (arguments…) → (code, stdout, stderr) of a run that got Ctrl-C in its second task."""

    def run(*arguments):
        process = shell.start(*arguments)
        held.wait_for_task()
        out, err = press_ctrl_c(process)
        held.remove()
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
        return process.returncode, out, err

    return run


def test_X10_ctrl_c_exits_with_130_and_no_traceback(interrupt):
    code, out, err = interrupt("run", "held.py")
    assert (code, out) == (130, "")
    assert "Traceback" not in err


def test_X10_ctrl_c_says_in_its_last_line_how_to_resume(shell, interrupt):
    _, _, err = interrupt("run", "--run-id", "a", "held.py")
    assert err.rstrip().endswith("promissory resume a")


def test_X10_ctrl_c_says_a_command_that_works(shell, interrupt):
    _, _, err = interrupt("run", "--run-id", "a", "held.py")
    ended = shell.promissory(*_command_in(err))
    assert (ended.returncode, ended.stdout) == (0, "20\n")
    assert "first here" not in ended.stderr, "what was done before is kept"


@pytest.mark.full
def test_X10_ctrl_c_says_a_command_that_works_with_another_store(shell, interrupt):
    _, _, err = interrupt("run", "--store", "other place", "--run-id", "a", "held.py")
    ended = shell.promissory(*_command_in(err))
    assert (ended.returncode, ended.stdout) == (0, "20\n")


def _command_in(err):
    last = err.rstrip().rpartition("\n")[2]
    assert "promissory resume" in last, err
    return shlex.split(
        last.partition("promissory ")[2].rpartition("promissory ")[2] or last.partition("promissory ")[2]
    )


def test_X10_ctrl_c_leaves_a_run_that_is_interrupted(shell, interrupt, cli):
    interrupt("run", "--run-id", "a", "held.py")
    assert "state    INTERRUPTED" in cli("status", "a")[1]


def test_X10_ctrl_c_keeps_what_was_done(shell, interrupt, cli):
    interrupt("run", "--run-id", "a", "held.py")
    assert "main/first\tSUCCEEDED" in cli("status", "--nodes", "a")[1]
    ended = shell.promissory("resume", "a")
    assert (ended.returncode, ended.stdout) == (0, "20\n")
    assert "first here" not in ended.stderr


def test_X10_ctrl_c_is_no_failure_of_the_node(interrupt, cli):
    interrupt("run", "--run-id", "a", "held.py")
    assert "FAILED" not in cli("status", "--nodes", "a")[1]


@pytest.mark.full
def test_X10_ctrl_c_again_after_a_resume(shell, held, interrupt):
    process = shell.start("run", "--run-id", "a", "held.py")
    held.wait_for_task()
    press_ctrl_c(process)
    held.shut_again()
    code, _, _ = interrupt("resume", "a")
    assert code == 130
    assert shell.promissory("resume", "a").stdout == "20\n"


def test_X10_ctrl_c_of_a_quiet_run_says_how_to_resume_all_the_same(interrupt):
    code, out, err = interrupt("run", "--quiet", "--run-id", "a", "held.py")
    assert (code, out) == (130, "")
    assert "promissory resume a" in err
