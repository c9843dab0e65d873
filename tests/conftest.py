"""How the suite runs, and fixtures that all of it shares: waiting, other processes, gates that bodies wait at.

The suite has three tiers.

- `pytest` runs the fast tier. Every rule has a test in it. A test that takes the engine as a parameter runs on one
  engine: the first, which is mostly `inline`; in the folder `tests/executor/engines` the last, which is mostly
  `processes`. Kills, races, fuzzing and servers of object stores stay in the tier as samples. The tier takes at most
  four minutes on two idle cores with `-n auto`.
- `pytest --full` runs all tests. Long enumerations take samples, and of the engines between the first and the last
  one, a third of the tests are asked.
- `pytest --whole` runs all tests on all engines, and a run dies at every moment of an enumeration.

`@pytest.mark.full` keeps a test out of the fast tier: the test is deselected, not skipped. A single parameter set
bears the marker too: `pytest.param(…, marks=pytest.mark.full)`. `@pytest.mark.full(keep=n)` leaves n of a test's
parameter sets in the fast tier, spread evenly over all of them.

An interrupt (SIGINT) interrupts, however the suite was started.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

PATIENCE = 60.0
_ENGINES = Path(__file__).parent / "executor" / "engines"


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="Run all tests, not only the fast tier.")
    parser.addoption(
        "--whole",
        action="store_true",
        help="Run all tests, and let a run die at every moment of an enumeration, not at samples of them.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.getoption("--whole") and config.getoption("--timeout") is None:
        config.option.timeout = 3600
    cached = tempfile.mkdtemp(prefix="promissory-cache-")
    config.add_cleanup(lambda: shutil.rmtree(cached, ignore_errors=True))
    os.environ["PROMISSORY_CACHE_DIR"] = cached
    os.environ["PROMISSORY_CACHE"] = "0"  # a plain call would look into the cache of a store above
    # A shell starts its background jobs with SIGINT ignored. Children inherit that, and no test could interrupt them.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--whole"):
        return
    if config.getoption("--full"):
        left_out = _of_engines_between(items)
    else:
        left_out = _of_the_full_tier(items) | _of_further_engines(items)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]


def _of_the_full_tier(items):
    """Tests with the marker `full`; of a test marked with `keep=n`, all parameter sets but n."""
    left_out, sampled = set(), {}
    for item in items:
        markers = list(item.iter_markers("full"))
        if any("keep" not in marker.kwargs for marker in markers):
            left_out.add(item)
        elif markers:
            sampled.setdefault((item.parent, item.originalname, markers[0].kwargs["keep"]), []).append(item)
    for (_, _, keep), sets in sampled.items():
        kept = {sets[number * len(sets) // keep] for number in range(min(keep, len(sets)))}
        left_out.update(item for item in sets if item not in kept)
    return left_out


def _of_further_engines(items):
    """Of tests that differ in nothing but the engine that they run on, all but one."""
    left_out = set()
    for same in _alike_but_for_the_engine(items):
        left_out.update(same[:-1] if same[0].path.is_relative_to(_ENGINES) else same[1:])
    return left_out


def _of_engines_between(items):
    """Of tests that differ in nothing but the engine that they run on, those that are neither on the first nor on the
    last one, but for every third."""
    between = [same[1:-1] for same in _alike_but_for_the_engine(items) if not same[0].path.is_relative_to(_ENGINES)]
    return {item for number, some in enumerate(filter(None, between)) if number % 3 for item in some}


def _alike_but_for_the_engine(items):
    """Groups of tests that differ in nothing but the engine that they run on."""
    alike = {}
    for item in items:
        parameters = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        if "engine" in parameters:
            del parameters["engine"]
            alike.setdefault((item.parent, item.originalname, repr(sorted(parameters.items()))), []).append(item)
    return alike.values()


@pytest.fixture(scope="session")
def full(request):
    """Whether more than the fast tier is to run."""
    return request.config.getoption("--full") or request.config.getoption("--whole")


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

    def spawn(self, *arguments, stdin=False, terminal=None, **environment):
        """Start Python in the folder; it is ended with the test."""
        process = subprocess.Popen(
            [sys.executable, "-B", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **self.environment, **environment},
            stdin=terminal if terminal is not None else subprocess.PIPE if stdin else subprocess.DEVNULL,
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
