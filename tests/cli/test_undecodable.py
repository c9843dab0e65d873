"""V1: what is kept can be looked at on any terminal, and whoever reads only the beginning hurts nobody."""

import os
import subprocess

import pytest

BAD = r'os.fsdecode(b"a\xff.txt")'
FLOW = f"""
import os
from promissory import task, workflow

@task
def main(n: int = 1) -> int:
    print("said", {BAD})
    raise ValueError({BAD} + " é ✓")
"""


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_V1_text_with_undecodable_names_can_be_looked_at_on_any_terminal(shell, encoding):
    shell.write("flow.py", FLOW)
    ended = shell.promissory("run", "--engine", "inline", "--run-id", "r", "flow.py", "main", PYTHONIOENCODING=encoding)
    assert (ended.returncode, "UnicodeEncodeError" in ended.stderr) == (1, False)
    for command in (
        ["status", "r"],
        ["status", "r", "--nodes"],
        ["status", "r", "--json"],
        ["explain", "r", "main/main"],
        ["logs", "r"],
        ["runs"],
        ["doctor", "r"],
    ):
        told = shell.promissory(*command, PYTHONIOENCODING=encoding)
        assert (command, told.returncode, told.stderr) == (command, 0, "")
        if encoding[:5] == "utf-8" and command[0] in ("status", "explain") and "--json" not in command:
            assert "a\\udcff.txt" in told.stdout


def test_V1_what_a_terminal_can_show_is_shown_as_it_is(shell):
    """One bad character doesn't turn all others into backslashes."""
    shell.write("flow.py", FLOW)
    shell.promissory("run", "--engine", "inline", "--run-id", "r", "flow.py", "main")
    told = shell.promissory("status", "r", PYTHONIOENCODING="utf-8:strict")
    assert "é ✓" in told.stdout


@pytest.mark.parametrize("command", [["runs"], ["status", "r", "--nodes"], ["--help"]])
def test_V1_a_reader_that_has_read_enough_is_no_failure(shell, command):
    shell.write("flow.py", FLOW.replace("raise ValueError", "return n  # "))
    assert shell.promissory("run", "--quiet", "--engine", "inline", "--run-id", "r", "flow.py", "main").returncode == 0
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        ended = subprocess.run(
            [shell.command, *command],
            cwd=shell.folder,
            env=shell.environment,
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
