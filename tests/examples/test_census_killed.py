"""J1 on the census: killed at many moments of one run, it ends with the same report and starts no committed
file again.
"""

import json
import random

import pytest

from promissory.executor.history.history import History
from promissory.executor.store.store import Store

MOMENTS = 20
FOLDERS, FILES = 100, 40
INLINE = ("--engine", "inline")
"""So that the process that a body kills is the executor itself."""

WATCHED = """
import os
import signal
import threading
from pathlib import Path

import census as plain
from promissory import dynamic, task, workflow

bodies = 0


def kill_after(delay):
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def note(path):
    global bodies
    side = os.open("bodies", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(side, f"{path.stem}\\n".encode())
    os.close(side)
    bodies += 1
    if str(bodies) == os.environ.get("KILL_AT_BODY"):
        kill_after(float(os.environ["KILL_AFTER"]))


@task
def count_file(path: Path, root: Path) -> plain.Count:
    note(path)
    return plain.count_source(path.read_bytes(), str(path.relative_to(root)))


@task
def add_up(counts: list[plain.Count]) -> plain.Count:
    return plain.add(counts)


@dynamic
def count_folder(folder: Path, root: Path) -> plain.Count:
    files, folders = plain.contents(folder)
    found = [count_file(file, root).with_overrides(name=file.stem) for file in files]
    return add_up(found + [count_folder(inner, root) for inner in folders])


@workflow
def watched(root: Path) -> plain.Count:
    return count_folder(root, root)


if os.environ.get("KILL_AT_BODY") == "0":
    kill_after(float(os.environ["KILL_AFTER"]))
"""


@pytest.fixture
def workload(tmp_path, example, make_tree):
    (tmp_path / "census.py").symlink_to(example("census.py"))
    (tmp_path / "watched.py").write_text(WATCHED)
    return make_tree(folders=FOLDERS, files=FILES)


def committed(store):
    """The files whose nodes have a done event in the journal."""
    return [
        row.path.rpartition("/")[2]
        for row in History(store, "killed").nodes()
        if row.called.endswith(":count_file") and row.state == "SUCCEEDED"
    ]


@pytest.mark.full
def test_J1_census_killed_again_and_again_gives_the_same_report_and_repeats_no_committed_file(
    tmp_path, run_program, workload, load_example, whole
):
    draw = random.Random(2026)
    store, side = Store(tmp_path / ".promissory"), tmp_path / "bodies"
    side.touch()
    read = 0
    for moment in range(MOMENTS if whole else 8):
        before = set(committed(store)) if moment else set()
        command = (
            ("resume", *INLINE, "killed")
            if moment
            else ("run", *INLINE, "--run-id", "killed", "watched.py", "--root", workload)
        )
        at_body = draw.randrange(1, 300) if moment % 4 != 3 else 0
        delay = draw.random() * (0.005 if at_body else 0.060)
        ended = run_program("promissory", *command, KILL_AT_BODY=str(at_body), KILL_AFTER=str(delay))
        assert ended.returncode == -9, f"moment {moment}: {ended.stderr}"
        started = side.read_text().split()
        assert before.isdisjoint(started[read:]), f"moment {moment}: committed files were read again"
        read = len(started)
    before = set(committed(store))
    assert before, "something was committed between the kills"
    ended = run_program("promissory", "resume", *INLINE, "--json", "killed")
    assert ended.returncode == 0, ended.stderr
    assert before.isdisjoint(side.read_text().split()[read:])
    whole = load_example("census.py").straight_loop(workload)
    found = json.loads(ended.stdout)
    assert {name: found[name] for name in ("files", "unreadable", "lines", "functions", "classes", "imports")} == {
        name: getattr(whole, name) for name in ("files", "unreadable", "lines", "functions", "classes", "imports")
    }
    assert [(one["lines"], one["name"], one["file"]) for one in found["longest"]] == [
        (one.lines, one.name, one.file) for one in whole.longest
    ]
    assert sorted(committed(store)) == sorted(
        file.stem for file in workload.rglob("*.py") if file.parent.name != "__pycache__"
    )
