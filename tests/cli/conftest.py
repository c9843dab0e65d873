"""Fixtures of the command line's tests: authors' files in a fresh folder, the command in a process of its own or in
this one, gates that hold a task.
"""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "promissory"
PATIENCE = 60


class Shell:
    """A person at a terminal, in a folder of their own."""

    command = COMMAND

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PROMISSORY_STORE", "COLUMNS", "FORCE_COLOR")
        }
        self._started = []

    def write(self, name, source):
        """Write a file; gives its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source).lstrip("\n"), encoding="utf-8")
        return path

    def promissory(self, *arguments, cwd=None, **environment):
        """The command, to its end, in a process of its own."""
        return subprocess.run(
            [self.command, *map(str, arguments)],
            cwd=cwd or self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )

    def start(self, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
        """The command as the leader of a process group of its own; ended with the test."""
        process = subprocess.Popen(
            [self.command, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end(self):
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


class Gate:
    """A named pipe that a task reads: the task stays in its body as long as the test holds the other end."""

    def __init__(self, path):
        self.path = path
        self._end = None
        os.mkfifo(path)

    def shut_again(self):
        """Hold the next task that comes; lets go of this one."""
        self.remove()
        os.mkfifo(self.path)

    def wait_for_task(self):
        """Until a body is inside."""

        def entered():
            try:
                self._end = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return False
            return True

        until(entered)

    def remove(self):
        """Nobody is held any more, now or later."""
        self.path.unlink(missing_ok=True)
        if self._end is not None:
            os.close(self._end)
            self._end = None


def until(condition):
    """Poll until something is so; gives it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError("waited in vain")


@pytest.fixture(name="until")
def _until():
    return until


@pytest.fixture
def shell(tmp_path):
    one = Shell(tmp_path)
    yield one
    one.end()


@pytest.fixture
def gate(tmp_path):
    one = Gate(tmp_path / "gate")
    yield one
    one.remove()


@pytest.fixture
def held(shell, gate):
    """A workflow whose second task stays in its body while there is a gate."""
    shell.write(
        "held.py",
        """
        from pathlib import Path
        from promissory import task, workflow

        @task
        def first(x: int) -> int:
            print("first here")
            return x + 1

        @task
        def second(x: int) -> int:
            print("second here")
            if Path("gate").exists():
                Path("gate").read_text()
            return x * 10

        @workflow
        def held(x: int = 1) -> int:
            return second(first(x))
        """,
    )
    return gate


@pytest.fixture
def cli(shell, monkeypatch, capsys):
    """A function (arguments…) → (code, stdout, stderr): the command in this process; what it imported is forgotten
    after the test.
    """
    from promissory.executor.cli.main import run_command

    monkeypatch.chdir(shell.folder)
    monkeypatch.delenv("PROMISSORY_STORE", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def promissory(*arguments):
        capsys.readouterr()
        code = run_command([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    yield promissory
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(shell.folder)):
            del sys.modules[name]


@pytest.fixture
def told():
    """A function (stderr) → the mistake that it tells: one line, after the usage if there is one, and no traceback."""

    def mistake(text):
        assert "Traceback" not in text, text
        *before, last = text.rstrip().split("\n")
        assert all(line.startswith(("Usage: ", "Try ")) or not line for line in before), text
        assert last.startswith(("Error: ", "promissory: ")), text
        return last.partition(": ")[2]

    return mistake
