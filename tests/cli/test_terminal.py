"""At a terminal: a progress bar on stderr, drawn tables on stdout; and a reader that has had enough."""

import os
import pty
import select
import subprocess
import time

import pytest

FLOW = """
    from dataclasses import dataclass
    from promissory import task, workflow

    @dataclass
    class Row:
        name: str
        size: int

    @task
    def rows(n: int) -> list[Row]:
        print("making rows")
        return [Row(f"row {i}", i) for i in range(n)]

    @task
    def text(n: int) -> str:
        return "a line of text\\n" * n

    @workflow
    def table(n: int = 3) -> list[Row]:
        return rows(n)

    @workflow
    def long_text(n: int = 100_000) -> str:
        return text(n)
"""


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


@pytest.fixture
def at_terminal(shell):
    """A function (arguments…, stdout, stderr) → (code, what the terminal showed, the piped stream)."""

    def run(*arguments, stdout=True, stderr=True):
        ours, theirs = pty.openpty()
        process = shell.start(
            *arguments,
            stdout=theirs if stdout else subprocess.PIPE,
            stderr=theirs if stderr else subprocess.PIPE,
            TERM="xterm",
            COLUMNS="100",
        )
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 10
        try:
            while True:
                assert select.select([ours], [], [], max(0, deadline - time.monotonic()))[0], (
                    f"it goes on and on: {shown!r}"
                )
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                shown += piece
        finally:
            os.close(ours)
        out, err = process.communicate(timeout=15)
        return process.returncode, shown.decode().replace("\r\n", "\n"), out or err or ""

    return run


def test_run_at_a_terminal_draws_progress_on_stderr_and_the_table_on_stdout(at_terminal, flow):
    code, shown, out = at_terminal("run", "flow.py", "table", stdout=False)
    assert code == 0
    assert "1/1" in shown, "the progress bar"
    assert "━" in shown
    assert "row 2" not in shown
    assert "row 2" in out
    assert "\x1b" not in out, "no colours in a file"


def test_run_at_a_terminal_draws_the_table_there(at_terminal, flow):
    code, shown, err = at_terminal("run", "flow.py", "table", stderr=False)
    assert code == 0
    assert "row 2" in shown
    assert "main/rows | making rows" in err
    assert "1/1" not in err, "no progress bar in a file"
    assert "\x1b" not in err


def test_run_at_a_terminal_echoes_whole_lines_beside_the_bar(at_terminal, flow):
    code, shown, _ = at_terminal("run", "flow.py", "table")
    assert code == 0
    assert "main/rows | making rows\n" in shown
    assert "row 2" in shown.rpartition("making rows")[2]


def test_run_quiet_at_a_terminal_draws_no_progress(at_terminal, flow):
    code, shown, out = at_terminal("run", "--quiet", "flow.py", "table", stdout=False)
    assert (code, shown) == (0, "")
    assert "row 2" in out


def test_run_at_a_terminal_leaves_the_cursor_visible(at_terminal, flow):
    _, shown, _ = at_terminal("run", "flow.py", "table")
    assert shown.rfind("\x1b[?25h") >= shown.rfind("\x1b[?25l")


def test_runs_at_a_terminal_draws_a_table(at_terminal, shell, flow):
    shell.promissory("run", "--run-id", "a", "flow.py", "table")
    code, shown, _ = at_terminal("runs")
    assert code == 0
    assert "┃" in shown
    assert "SUCCEEDED" in shown


@pytest.mark.full
def test_status_at_a_terminal_draws_tables(at_terminal, shell, flow):
    shell.promissory("run", "--run-id", "a", "flow.py", "table")
    code, shown, _ = at_terminal("status", "--nodes", "a")
    assert code == 0
    assert "main/rows" in shown


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    "arguments", [["flow.py", "long_text"], ["--json", "flow.py", "table", "--n", "20000"]], ids=["text", "json"]
)
def test_run_whose_reader_closes_early_shows_no_traceback(shell, flow, arguments):
    process = shell.start("run", "--quiet", *arguments)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.wait(60)
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert "BrokenPipe" not in err


def test_run_whose_reader_never_reads_shows_no_traceback(shell, flow):
    process = shell.start("run", "--quiet", "flow.py", "table")
    process.stdout.close()
    err = process.stderr.read()
    process.wait(60)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_run_whose_stderr_is_closed_early_goes_on(shell, flow):
    process = shell.start("run", "flow.py", "table")
    process.stderr.close()
    out = process.stdout.read()
    process.wait(60)
    assert "row 2" in out
    assert process.returncode == 0
