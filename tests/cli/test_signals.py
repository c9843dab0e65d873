"""X10: SIGTERM and SIGHUP are a stop: bodies hear it, what was done is kept, the last line says how to go on."""

import os
import signal
import subprocess
import sys

import pytest

FLOW = """
import time
from promissory import Context, Retry, task, workflow

@task
def first(n: int) -> int:
    return n + 1

@task
def long(ctx: Context, n: int) -> int:
    open("begun", "a").close()
    while not ctx.cancelled:
        time.sleep(0.01)
    open("told", "w").close()
    raise Retry(message="the run ends")

@task
def quick(ctx: Context, n: int) -> int:
    open("begun", "a").close()
    while not ctx.cancelled:
        time.sleep(0.01)
    return n * 10

@workflow
def main() -> int:
    return long(first(1))

@workflow
def other() -> int:
    return first(quick(first(1)))
"""


@pytest.fixture(autouse=True)
def heard():
    """What is started hears SIGHUP, also where the tests themselves run under nohup: what is ignored stays ignored in
    a child."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def finish(process, seconds=8):
    """(exit code, lines of stderr) of a command that was told to end."""
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        pytest.fail(f"it still runs: {errors}")
    return process.returncode, errors.rstrip().splitlines()


@pytest.mark.parametrize("engine", ["processes", "inline"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_X10_a_signal_to_end_is_a_stop_that_bodies_hear(shell, until, engine, number, code):
    shell.write("flow.py", FLOW)
    process = shell.start("run", "--run-id", "r", "--engine", engine, "flow.py", "main")
    until((shell.folder / "begun").exists)
    process.send_signal(number)
    ended, said = finish(process)
    assert (shell.folder / "told").exists()
    assert ended == code
    assert "promissory resume r" in said[-1]
    assert not any("Traceback" in line for line in said)


def test_X10_what_runs_may_finish_and_its_result_is_kept(shell, until):
    shell.write("flow.py", FLOW)
    process = shell.start("run", "--run-id", "r", "--engine", "processes", "flow.py", "other")
    until((shell.folder / "begun").exists)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    done = shell.promissory("resume", "r")
    assert (done.returncode, done.stdout.strip()) == (0, "21")
    assert shell.promissory("status", "r", "--nodes").stdout.count("main/quick\tSUCCEEDED\t1\t") == 1


def test_X10_a_body_that_does_not_look_is_ended_after_the_grace(shell, until):
    shell.write("flow.py", FLOW.replace("while not ctx.cancelled:", "while True:"))
    process = shell.start("run", "--run-id", "r", "--engine", "processes", "--grace", "0.3", "flow.py", "main")
    until(lambda: (shell.folder / "begun").exists() or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    ended, said = finish(process)
    assert ended == 143
    assert "promissory resume r" in said[-1]


def test_X10_a_signal_that_was_ignored_when_the_command_began_stays_ignored(shell, until):
    """`nohup`."""
    shell.write("flow.py", FLOW)
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$0" run --run-id r --engine inline flow.py main', str(shell.command)],
        cwd=shell.folder,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shell._started.append(process)
    until((shell.folder / "begun").exists)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143


PROGRAM = """
import signal, sys
from promissory import run
from flow import main, other
heard = []
if sys.argv[1] == "own":
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
before = signal.getsignal(signal.SIGTERM)
try:
    run(main, run_id="r", engine="threads", echo=False, timeout=float(sys.argv[2]))
finally:
    print("before", signal.getsignal(signal.SIGTERM) is before, "heard", heard, flush=True)
"""


@pytest.mark.parametrize("whose", ["none", "own"])
def test_X10_a_program_keeps_its_own_handler_and_gets_the_default_one_back(shell, until, whose):
    shell.write("flow.py", FLOW)
    shell.write("program.py", PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "program.py", whose, "60" if whose == "none" else "1"],
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    shell._started.append(process)
    until((shell.folder / "begun").exists)
    process.send_signal(signal.SIGTERM)
    try:
        said, errors = process.communicate(timeout=8)
    except subprocess.TimeoutExpired:
        pytest.fail("it still runs")
    if whose == "own":
        assert said.strip() == f"before True heard [{signal.SIGTERM.value}]" or "heard [<Signals" in said
    else:
        assert said.startswith("before True")
        assert process.returncode in (143, -signal.SIGTERM)
        assert "promissory resume r" in errors
        assert (shell.folder / "told").exists()


ALL = """
import os, time
from promissory import Context, task

@task
def main(ctx: Context, n: int = 1) -> int:
    with open("begun", "w") as file:
        file.write(f"{os.getppid()} {os.getpid()} ")
    while not ctx.cancelled:
        time.sleep(0.01)
    time.sleep(0.2)
    open("done", "w").close()
    return n
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.full)])
def test_X10_a_signal_to_every_process_of_a_service_lets_bodies_finish_too(shell, until, number):
    """So end systemd and Slurm a job: all of its processes are signalled, workers among them."""
    shell.write("flow.py", ALL)
    process = shell.start("run", "--run-id", "r", "--engine", "processes", "flow.py", "main")
    begun = shell.folder / "begun"
    until(lambda: begun.exists() and begun.read_text().endswith(" "))
    for pid in [*map(int, begun.read_text().split()), process.pid]:
        os.kill(pid, number)
    assert finish(process)[0] in (0, 128 + number)
    assert (shell.folder / "done").exists()


FORKS = """
import multiprocessing, time
from promissory import task

@task
def main(n: int = 1) -> int:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(20)
    return child.exitcode
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_X10_a_signal_to_a_fork_of_a_body_ends_the_fork_and_not_the_run(shell, engine):
    """`multiprocessing.Pool` ends its workers by SIGTERM, and a fork on inline has the handlers of the run."""
    shell.write("flow.py", FORKS)
    ended = shell.promissory("run", "--run-id", "r", "--engine", engine, "flow.py", "main")
    assert (ended.returncode, ended.stdout.strip()) == (0, str(-signal.SIGTERM)), ended.stderr
