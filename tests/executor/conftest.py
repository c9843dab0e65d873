"""Fixtures that the executor's tests share: stores on disk, projects with one, modules as an author writes them, what a
journal says.
"""

import importlib
import sys
import textwrap

import pytest

from promissory import Store
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end, read_segments


@pytest.fixture
def store(tmp_path):
    """An empty store in a fresh folder."""
    return Store(tmp_path / "store")


@pytest.fixture
def diary(tmp_path):
    """A file in which bodies note what they do."""
    return tmp_path / "diary"


@pytest.fixture
def project(project):
    """A folder for an author's files, with processes that run there, and a store which they use if they name no
    other.
    """
    project.store = Store(project.folder / "store")
    project.environment["PROMISSORY_STORE"] = str(project.folder / "store")
    return project


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """A function (name, source) → the module, imported from a file in a fresh folder and forgotten after the test;
    again for new code.
    """
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
