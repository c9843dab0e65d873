"""How the suite runs, and fixtures that all of it shares: waiting, other processes, gates that bodies wait at.

Long enumerations take samples unless `--whole` asks for each; an interrupt is one, however the suite was started.
"""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

PATIENCE = 60.0


def pytest_addoption(parser):
    parser.addoption(
        "--whole", action="store_true", help="Let a run die at every moment of an enumeration, not at samples of them."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.getoption("--whole") and config.getoption("--timeout") is None:
        config.option.timeout = 3600
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # as a shell starts what runs behind it; no child could ever be interrupted
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def whole(request):
    """Whether enumerations are to be whole."""
    return request.config.getoption("--whole")


def _eventually(predicate, what="the condition"):
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not (found := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about in {PATIENCE:.0f} s")
        pause.wait(0.002)
    return found


@pytest.fixture
def eventually():
    """A function (predicate, what) → the first true answer of the predicate; fails if there is none in a minute."""
    return _eventually


class Project:
    """A folder with an author's files, and Python processes that work in it."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.environment = {"PYTHONPATH": str(folder)}

    def write(self, name, source):
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    def spawn(self, *arguments, stdin=False, **environment):
        """Start Python in the folder; it is ended with the test."""
        process = subprocess.Popen(
            [sys.executable, "-B", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def finish(self, process):
        """(output, errors) of a process that ends by itself."""
        return process.communicate(timeout=PATIENCE)

    def python(self, *arguments, **environment):
        """What a Python process prints. It has to end well."""
        process = self.spawn(*arguments, **environment)
        output, errors = self.finish(process)
        assert process.returncode == 0, errors
        return output

    def code(self, source, **environment):
        """What a piece of code prints when a fresh process runs it."""
        return self.python("-c", textwrap.dedent(source), **environment)

    def lines(self, name):
        """The lines of a file so far; none if it is not there."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def end(self):
        """No process is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def project(tmp_path):
    """A folder for an author's files, with processes that run there."""
    folder = tmp_path / "project"
    folder.mkdir()
    made = Project(folder)
    yield made
    made.end()


class Gate:
    """A pipe that a body waits at: `open(path).read()` ends when the test says so."""

    def __init__(self, path):
        self.path = str(path)
        self._descriptor = None
        os.mkfifo(path)

    def _try(self):
        try:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        return True

    def reached(self):
        """Wait until a body stands at the gate."""
        _eventually(self._try, "a body at the gate")

    def open(self):
        """Let the body go on."""
        os.close(self._descriptor)
        self._descriptor = None


@pytest.fixture
def gate(tmp_path):
    """A function (name) → a gate."""
    made = []

    def make(name="gate"):
        made.append(Gate(tmp_path / name))
        return made[-1]

    yield make
    for one in made:
        if one._descriptor is not None:
            one.open()
