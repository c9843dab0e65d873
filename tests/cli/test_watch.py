"""Looking on while a run goes on in another process: `status --watch`, `logs --follow`, and the progress view of `run`
at a terminal.
"""

import json
import os
import pty
import re
import select
import signal
import time

import pytest

PATIENCE = 60

FLOW = """
    from pathlib import Path
    from promissory import dynamic, task, workflow

    @task
    def first(x: int) -> int:
        print("first here")
        return x + 1

    @task
    def held(x: int) -> int:
        print(f"held {x}: before the gate")
        print(f"held {x}: half a line", end="", flush=True)
        if Path("gate").exists():
            Path("gate").read_text()
        print(" and its end")
        print(f"held {x}: after the gate")
        return x * 10

    @task(pool="db")
    def pooled(x: int) -> int:
        if Path("gate").exists():
            Path("gate").read_text()
        return x

    @task
    def talks(lines: int) -> int:
        for n in range(lines):
            print(f"line {n}")
        if Path("gate").exists():
            Path("gate").read_text()
        for n in range(lines, 2 * lines):
            print(f"line {n}")
        return lines

    @task
    def fails(x: int) -> int:
        if Path("gate").exists():
            Path("gate").read_text()
        raise ValueError("not today")

    @dynamic
    def inner(x: int) -> int:
        return held(first(x))

    @dynamic
    def outer(x: int) -> int:
        return inner(x)

    @workflow
    def one(x: int = 1) -> int:
        return held(first(x))

    @workflow
    def nested(x: int = 1) -> int:
        return outer(x)

    @workflow
    def two_places() -> list[int]:
        return [pooled(1), pooled(2)]

    @workflow
    def two_at_once() -> list[int]:
        return [held(1), held(2)]

    @workflow
    def chatter(lines: int = 2000) -> int:
        return talks(lines)

    @workflow
    def failing() -> int:
        return fails(1)
"""


class Shown:
    """What a process writes to a pipe or a terminal, read as it comes."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._text = b""

    def _more(self, deadline):
        assert select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))[0], (
            f"nothing more is shown: {self.text[-2000:]}"
        )
        try:
            piece = os.read(self._descriptor, 1 << 16)
        except OSError:  # a terminal whose other end is closed
            piece = b""
        self._text += piece
        return bool(piece)

    @property
    def text(self):
        """All so far, without colours and movements."""
        return (
            re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._text.decode("utf-8", "replace"))
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )

    @property
    def raw(self):
        return self._text.decode("utf-8", "replace")

    def until(self, *texts):
        """Wait until these have been shown."""
        deadline = time.monotonic() + PATIENCE
        while not all(text in self.text for text in texts):
            assert self._more(deadline), f"it ended without {texts}: {self.text}"
        return self.text

    def to_the_end(self):
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline):
            pass
        return self.text


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


@pytest.fixture
def running(shell, flow, gate):
    """A function (workflow, options…) → the run `a` of it in another process, whose body is held at the gate."""

    def start(workflow, *options):
        process = shell.start("run", "--run-id", "a", "--quiet", *options, "flow.py", workflow)
        gate.wait_for_task()
        return process

    return start


@pytest.fixture
def piped(shell):
    """A function (arguments…) → the command in another process, and what it writes to stdout."""

    def start(*arguments):
        process = shell.start(*arguments)
        return process, Shown(process.stdout.fileno())

    return start


@pytest.fixture
def at_terminal(shell):
    """A function (arguments…) → the command in another process at a terminal, and what that shows."""
    ends = []

    def start(*arguments):
        ours, theirs = pty.openpty()
        ends.append(ours)
        process = shell.start(*arguments, stdout=theirs, stderr=theirs, TERM="xterm", COLUMNS="100", LINES="40")
        os.close(theirs)
        return process, Shown(ours)

    yield start
    for one in ends:
        os.close(one)


def ended(process):
    """The exit code of a process that ends by itself, and what it wrote to a piped stderr."""
    code = process.wait(PATIENCE)
    return code, process.stderr.read() if process.stderr is not None else ""


# --- status --watch ---------------------------------------------------------------------------------------------------


def test_status_watch_looks_on_until_the_run_has_ended(running, piped, gate):
    run = running("one")
    watch, shown = piped("status", "--watch", "a")
    shown.until("RUNNING 1/2 nodes, 1 task at work")
    assert watch.poll() is None
    gate.remove()
    said = shown.to_the_end()
    assert ended(watch) == (0, "")
    assert "state    SUCCEEDED\n" in said
    assert "nodes    2 SUCCEEDED\n" in said
    assert ended(run) == (0, "")


@pytest.mark.full
def test_status_watch_says_nothing_twice(running, piped, gate):
    running("one")
    _, shown = piped("status", "--watch", "a")
    shown.until("1 task at work")
    gate.remove()
    lines = [line for line in shown.to_the_end().splitlines() if line.startswith("RUNNING ")]
    assert len(set(lines)) == len(lines)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(("engine", "worker"), [("processes", "process-1-1"), ("threads", "thread-1-1")])
def test_status_watch_at_a_terminal_shows_who_runs_what(running, at_terminal, gate, engine, worker):
    running("one", "--engine", engine)
    watch, shown = at_terminal("status", "--watch", "a")
    drawn = shown.until("a  RUNNING 1/2 nodes, 1 task at work", "main/held")
    assert re.search(rf"{worker} +main/held +\d+\.\d s", drawn)
    assert watch.poll() is None
    gate.remove()
    said = shown.to_the_end()
    assert ended(watch)[0] == 0
    assert "state    SUCCEEDED\n" in said
    assert shown.raw.rfind("\x1b[?25h") >= shown.raw.rfind("\x1b[?25l"), "the cursor is visible again"


@pytest.mark.full
def test_status_watch_shows_the_whole_path_of_what_runs_in_a_dynamic(running, at_terminal, gate):
    running("nested")
    watch, shown = at_terminal("status", "--watch", "a")
    shown.until("main/outer/inner/held")
    gate.remove()
    assert "state    SUCCEEDED\n" in shown.to_the_end()
    assert ended(watch)[0] == 0


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("place", ["piped", "at_terminal"])
def test_status_watch_tells_how_many_wait(running, request, gate, place):
    running("two_places", "--pool", "db=1", "--max-parallelism", "2")
    watch, shown = request.getfixturevalue(place)("status", "--watch", "a")
    shown.until("RUNNING 0/2 nodes, 1 task at work, 1 wait")
    gate.remove()
    shown.to_the_end()
    assert ended(watch)[0] == 0


@pytest.mark.full
def test_status_watch_of_a_run_that_fails_tells_so_and_is_no_failure_itself(running, piped, gate):
    run = running("failing")
    watch, shown = piped("status", "--watch", "a")
    shown.until("1 task at work")
    gate.remove()
    said = shown.to_the_end()
    assert ended(watch) == (0, "")
    assert "state    FAILED (main/fails: ValueError: not today)\n" in said
    assert ended(run)[0] == 1


@pytest.mark.full
def test_status_watch_ends_when_the_executor_is_killed(running, piped):
    run = running("one")
    watch, shown = piped("status", "--watch", "a")
    shown.until("1 task at work")
    run.kill()
    run.wait()
    said = shown.to_the_end()
    assert ended(watch) == (0, "")
    assert "state    INTERRUPTED\n" in said


@pytest.mark.full
def test_status_watch_interrupted_lets_the_run_go_on(running, piped, gate):
    run = running("one")
    watch, shown = piped("status", "--watch", "a")
    shown.until("1 task at work")
    os.killpg(watch.pid, signal.SIGINT)
    code, err = ended(watch)
    assert code == 130
    assert "Traceback" not in err
    assert run.poll() is None
    gate.remove()
    assert ended(run) == (0, "")


def test_status_watch_of_a_run_that_has_ended_is_its_status(shell, flow):
    shell.promissory("run", "--run-id", "a", "flow.py", "one")
    watched, looked = shell.promissory("status", "--watch", "a"), shell.promissory("status", "a")
    assert (watched.returncode, watched.stderr) == (0, "")
    assert watched.stdout == looked.stdout
    assert "state    SUCCEEDED" in watched.stdout


def test_status_watch_of_no_run(shell, flow):
    shell.promissory("doctor", "--mark")
    found = shell.promissory("status", "--watch", "nowhere")
    assert (found.returncode, found.stdout) == (2, "")
    assert "there is no run 'nowhere'" in found.stderr


@pytest.mark.full
def test_status_watch_as_json_is_json(running, piped, gate):
    running("one")
    watch, shown = piped("status", "--watch", "--json", "a")
    select.select([watch.stdout], [], [], 3)  # time enough to say something that is no JSON
    gate.remove()
    assert json.loads(shown.to_the_end())["state"] == "SUCCEEDED"
    assert ended(watch)[0] == 0


# --- logs --follow ----------------------------------------------------------------------------------------------------


def test_X5_logs_follow_prints_what_a_body_says_while_it_runs(running, piped, gate):
    run = running("one")
    logs, shown = piped("logs", "-f", "a")
    shown.until("main/first | first here\n", "main/held | held 2: before the gate\n")
    assert logs.poll() is None
    assert run.poll() is None
    assert "half a line" not in shown.text, "a line is printed whole"
    gate.remove()
    said = shown.to_the_end()
    assert ended(logs) == (0, "")
    assert said.splitlines() == [
        "main/first | first here",
        "main/held | held 2: before the gate",
        "main/held | held 2: half a line and its end",
        "main/held | held 2: after the gate",
    ]


@pytest.mark.full
def test_X5_logs_follow_of_a_node_prints_its_lines_as_they_are(running, piped, gate):
    running("one")
    logs, shown = piped("logs", "--follow", "a", "main/held")
    shown.until("held 2: before the gate\n")
    gate.remove()
    assert shown.to_the_end().splitlines() == [
        "held 2: before the gate",
        "held 2: half a line and its end",
        "held 2: after the gate",
    ]
    assert ended(logs) == (0, "")


def test_X5_logs_follow_of_a_dynamic_prints_what_is_said_inside_it(running, piped, gate):
    running("nested")
    logs, shown = piped("logs", "-f", "a", "main/outer")
    shown.until("main/outer/inner/first | first here\n", "main/outer/inner/held | held 2: before the gate\n")
    gate.remove()
    assert len(shown.to_the_end().splitlines()) == 4
    assert ended(logs) == (0, "")


def test_X5_logs_follow_tells_two_bodies_apart(running, piped, gate):
    running("two_at_once", "--max-parallelism", "2")
    logs, shown = piped("logs", "-f", "a")
    shown.until("main/held | held 1: before the gate\n", "main/held~2 | held 2: before the gate\n")
    gate.remove()
    lines = shown.to_the_end().splitlines()
    assert ended(logs) == (0, "")
    for path, x in (("main/held", 1), ("main/held~2", 2)):
        said = [line.removeprefix(f"{path} | ") for line in lines if line.startswith(f"{path} | ")]
        assert said == [f"held {x}: before the gate", f"held {x}: half a line and its end", f"held {x}: after the gate"]
    assert len(lines) == 6


def test_X5_logs_follow_prints_many_lines_once_each_in_order(running, piped, gate):
    running("chatter")
    logs, shown = piped("logs", "-f", "a", "main/talks")
    shown.until("line 1999\n")
    gate.remove()
    assert shown.to_the_end().splitlines() == [f"line {n}" for n in range(4000)]
    assert ended(logs) == (0, "")


def test_X5_logs_follow_ends_when_the_executor_is_killed(running, piped):
    run = running("one")
    logs, shown = piped("logs", "-f", "a")
    shown.until("main/held | held 2: before the gate\n")
    run.kill()
    run.wait()
    assert shown.to_the_end().splitlines() == ["main/first | first here", "main/held | held 2: before the gate"]
    assert ended(logs) == (0, "")


def test_X5_logs_follow_of_a_run_that_has_ended_prints_all_and_ends(shell, flow):
    shell.promissory("run", "--run-id", "a", "flow.py", "one")
    followed, printed = shell.promissory("logs", "-f", "a"), shell.promissory("logs", "a")
    assert (followed.returncode, followed.stderr) == (0, "")
    assert followed.stdout == printed.stdout
    assert len(followed.stdout.splitlines()) == 4


def test_logs_follow_of_no_node(shell, flow):
    shell.promissory("run", "--run-id", "a", "flow.py", "one")
    found = shell.promissory("logs", "-f", "a", "main/nowhere")
    assert (found.returncode, found.stdout) == (2, "")
    assert "there is no node 'nowhere' in main; there is: first, held" in found.stderr


def test_logs_follow_interrupted_lets_the_run_go_on(running, piped, gate):
    run = running("one")
    logs, shown = piped("logs", "-f", "a")
    shown.until("before the gate\n")
    os.killpg(logs.pid, signal.SIGINT)
    code, err = ended(logs)
    assert code == 130
    assert "Traceback" not in err
    gate.remove()
    assert ended(run) == (0, "")


# --- the progress view of run -----------------------------------------------------------------------------------------


def test_run_at_a_terminal_shows_who_runs_what(shell, flow, gate, at_terminal):
    run, shown = at_terminal("run", "--run-id", "a", "flow.py", "one")
    gate.wait_for_task()
    drawn = shown.until("main/held  ", "1/2")
    assert re.search(r"process-1-1 +main/held +\d+\.\d s", drawn)
    gate.remove()
    said = shown.to_the_end()
    assert ended(run)[0] == 0
    assert said.rstrip().endswith("20")
    assert "main/held | held 2: before the gate\n" in said


def test_run_at_a_terminal_shows_the_path_inside_a_dynamic_and_counts_futures_files(shell, flow, gate, at_terminal):
    run, shown = at_terminal("run", "flow.py", "nested")
    gate.wait_for_task()
    drawn = shown.until("main/outer/inner/held  ", "2 futures files")
    assert re.search(r"process-1-\d +main/outer/inner/held +\d+\.\d s", drawn)
    gate.remove()
    shown.to_the_end()
    assert ended(run)[0] == 0


def test_run_at_a_terminal_tells_how_many_wait(shell, flow, gate, at_terminal):
    run, shown = at_terminal("run", "--pool", "db=1", "--max-parallelism", "2", "flow.py", "two_places")
    gate.wait_for_task()
    shown.until("main/pooled", "1 wait")
    gate.remove()
    shown.to_the_end()
    assert ended(run)[0] == 0


def test_resume_at_a_terminal_shows_who_runs_what(shell, running, gate, at_terminal):
    run = running("one")
    run.kill()
    run.wait()
    gate.shut_again()
    resumed, shown = at_terminal("resume", "a")
    gate.wait_for_task()
    assert re.search(r"process-2-1 +main/held +\d+\.\d s", shown.until("main/held  "))
    gate.remove()
    shown.to_the_end()
    assert ended(resumed)[0] == 0
