"""Fixtures that the executor's tests share: stores on disk, modules as an author writes them, other processes, and gates that bodies wait at."""

import importlib
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from executor import Store
from executor.history import History
from executor.journal import find_end, read_segments

PATIENCE = 60.0


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


@pytest.fixture
def store(tmp_path):
    """An empty store in a fresh folder."""
    return Store(tmp_path / "store")


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """A function (name, source) → the module, imported from a file in a fresh folder and forgotten after the test; again for new code."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written = []

    def write(name, source):
        (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        importlib.invalidate_caches()
        written.append(name)
        if name in sys.modules:
            return importlib.reload(sys.modules[name])
        return importlib.import_module(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


class Project:
    """A folder with an author's files, and Python processes that work in it."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(folder / "store")
        self.processes = []

    def write(self, name, source):
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return path

    def spawn(self, *arguments, **environment):
        """Start Python in the folder; it is ended with the test."""
        process = subprocess.Popen(
            [sys.executable, "-B", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PROMISSORY_STORE": str(self.folder / "store"), **environment},
            stdin=subprocess.DEVNULL,
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


@pytest.fixture
def project(tmp_path):
    """A folder for an author's files, with processes that run there and a store."""
    folder = tmp_path / "project"
    folder.mkdir()
    made = Project(folder)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


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


@pytest.fixture
def events_of():
    """A function (store, run id) → the committed events of a run, in order."""

    def read(store, run_id):
        segments = read_segments(store, run_id, 0, find_end(store, run_id))
        return [event for segment, _ in segments for event in segment.events]

    return read


@pytest.fixture
def states_of():
    """A function (store, run id) → the state of each node by its path."""

    def read(store, run_id):
        return {row.path: row.state for row in History(store, run_id).nodes()}

    return read
