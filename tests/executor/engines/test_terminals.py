"""Workers have no part in the terminal: a question that a body asks there fails at once (X10)."""

import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "promissory"

FLOW = """
import getpass
import os
import subprocess
from promissory import task, workflow

def shell(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    return f"{done.returncode > 0} {'No such device' in done.stderr}"

@task
def ask(how: str) -> str:
    if how == "input":
        return input("Name? ")
    if how == "getpass":
        return getpass.getpass()
    if how == "read":
        return shell("read -p 'Name? ' name < /dev/tty")
    if how == "write":
        return shell("echo Name? > /dev/tty")
    if how == "settings":
        return shell("stty -F /dev/tty -echo")
    if how == "child":
        return subprocess.run(["setsid", "-w", "bash", "-c", "read < /dev/tty || echo refused"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    return str(os.isatty(0) or os.isatty(1) or os.isatty(2))

@workflow
def main(how: str) -> str:
    return ask(how)
"""


class Terminal:
    """A command at a terminal of its own, whose foreground group it is in."""

    def __init__(self, folder, *command):
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ["PROMISSORY_STORE"] = str(folder / "store")
            os.execv(command[0], [str(part) for part in command])
        self.said = ""
        self.code = None

    def look(self):
        if select.select([self._terminal], [], [], 0.05)[0]:
            try:
                self.said += os.read(self._terminal, 1 << 16).decode("utf-8", "replace")
            except OSError:  # the other end is closed
                time.sleep(0.01)
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        if ended:
            self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def type(self, keys):
        os.write(self._terminal, keys)

    def close(self):
        if self.code is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)


@pytest.fixture
def at_terminal(tmp_path):
    (tmp_path / "flow.py").write_text(FLOW)
    made = []

    def begin(*command):
        made.append(Terminal(tmp_path, *command))
        return made[-1]

    yield begin
    for one in made:
        one.close()


ANSWERS = {
    "input": (1, "EOFError"),
    "getpass": (1, "EOFError"),
    "read": (0, "True True"),
    "write": (0, "True True"),
    "settings": (0, "True True"),
    "child": (0, "refused"),
    "look": (0, "False"),
}


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("how", ANSWERS)
def test_X10_a_question_at_the_terminal_fails_at_once(at_terminal, eventually, how):
    code, words = ANSWERS[how]
    asked = at_terminal(COMMAND, "run", "flow.py", "main", "--how", how)
    eventually(asked.look, "the end of the command")
    assert (asked.code, words in asked.said) == (code, True), asked.said


HANGS = """
import os, subprocess, time
from promissory import task

@task
def hangs(x: int) -> None:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open("begun", "w") as file:
        file.write(f"{os.getpid()} {child.pid} ")
    time.sleep(1000)
"""


@pytest.mark.full
def test_X10_ctrl_c_at_the_terminal_stops_the_run_and_all_that_it_started(at_terminal, eventually, tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS)
    going = at_terminal(COMMAND, "run", "hangs.py", "hangs", "--x", "1")
    begun = tmp_path / "begun"
    eventually(lambda: going.look() or (begun.exists() and begun.read_text().endswith(" ")), "the body")
    going.type(b"\x03")
    eventually(going.look, "the end of the command")
    assert going.code == 130
    eventually(
        lambda: (
            not any(Path(f"/proc/{pid}").exists() for pid in begun.read_text().split())
            or all(_is_zombie(pid) for pid in begun.read_text().split())
        ),
        "the end of worker and child",
    )


def _is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
