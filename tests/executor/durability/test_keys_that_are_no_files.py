"""J4: what lies under a key and is no file (a folder, a pipe, a socket, a link to itself) is damage, and told with its
key: no command waits for it, or ends in a traceback.
"""

import os
import shutil
import socket

import pytest

from promissory import Store
from promissory.errors import StoreDamage

PROGRAM = """
from promissory import Loop, current_context, dynamic, task, wait_for_input

@task(cache=True, cache_version="1")
def kept(x: int) -> list[int]:
    print("kept", x)
    return [x] * 5000

@task
def fails(x: list[int]) -> int:
    import os
    ctx = current_context()
    ctx.checkpoint.write("so far")
    if not os.path.exists("repaired"):
        raise ValueError("no")
    return len(x)

@dynamic
def flow(x: int) -> int:
    return fails(kept(x))
"""


def folder(path):
    os.mkdir(path)
    (path / "inside").write_text("something")


def link_to_itself(path):
    os.symlink(path, path)


def a_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may be 100 bytes long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS = {"folder": folder, "pipe": os.mkfifo, "socket": a_socket, "link": link_to_itself}
PLACES = {
    "cache entry": "cache/*/*",
    "object": "objects/*/*",
    "plan": "plans/*/*",
    "bundle": "code/*/*",
    "manifest": "runs/r/manifest",
    "first segment": "runs/r/journal/*00",
    "last segment": "runs/r/journal/*",
    "futures file": "runs/r/futures/*/*",
    "checkpoint": "runs/r/checkpoints/*/*/*",
    "log": "runs/r/logs/*",
    "beat": "runs/r/beat",
}
COMMANDS = [
    ("status", "r"),
    ("status", "r", "--nodes"),
    ("runs",),
    ("logs", "r"),
    ("explain", "r", "main/flow/kept"),
    ("futures", "r"),
    ("doctor", "r"),
    ("cache", "ls"),
    ("gc",),
    ("gc", "--remove"),
    ("export", "r", "copy"),
    ("run", "--run-id", "again", "flow.py", "flow", "--x", "1"),
    ("resume", "r"),
    ("cache", "rm", "--all"),
]


@pytest.fixture(scope="module")
def failed_run(tmp_path_factory):
    """A folder with a program and the store of its failed run."""
    import subprocess
    import sys

    place = tmp_path_factory.mktemp("failed")
    (place / "flow.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "promissory", "run", "--run-id", "r", "flow.py", "flow", "--x", "1"]
    environment = {name: value for name, value in os.environ.items() if name != "PROMISSORY_STORE"}
    subprocess.run(command, cwd=place, env=environment, capture_output=True, timeout=60)
    return place


def replaced(store, pattern, make):
    """Put something else under the last key of a form; gives its key, None if the run has no such key."""
    found = sorted(path for path in store.glob(pattern) if path.is_file())
    if not found:
        return None
    found[-1].unlink()
    make(found[-1])
    return str(found[-1].relative_to(store))


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_J4_what_is_no_file_is_told_with_its_key_by_every_command(project, failed_run, place, kind, whole):
    shutil.copytree(failed_run, project.folder, dirs_exist_ok=True)
    project.environment["PROMISSORY_STORE"] = str(project.folder / ".promissory")
    key = replaced(project.folder / ".promissory", PLACES[place], KINDS[kind])
    assert key is not None
    (project.folder / "repaired").touch()
    told = ""
    # The commands take turns: over the kinds, each of them meets each place.
    turn = list(KINDS).index(kind)
    for number, arguments in enumerate(COMMANDS):
        if not whole and arguments[0] != "doctor" and number % len(KINDS) != turn:
            continue
        process = project.spawn("-m", "promissory", *arguments)
        output, errors = project.finish(process)
        assert "Traceback" not in errors, (arguments, errors)
        assert process.returncode in (0, 1), (arguments, output, errors)
        if arguments[0] == "doctor":
            told = output + errors
    assert place in ("cache entry", "log", "beat") or key in told
    assert os.path.lexists(project.folder / ".promissory" / key) or place in ("beat", "cache entry", "object", "plan")


@pytest.mark.parametrize("kind", KINDS)
def test_J4_a_damaged_cache_entry_is_as_none(project, failed_run, kind):
    shutil.copytree(failed_run, project.folder, dirs_exist_ok=True)
    store = project.folder / ".promissory"
    project.environment["PROMISSORY_STORE"] = str(store)
    key = replaced(store, "cache/*/*", KINDS[kind])
    (project.folder / "repaired").touch()
    process = project.spawn("-m", "promissory", "run", "--run-id", "again", "flow.py", "flow", "--x", "1")
    output, errors = project.finish(process)
    assert (process.returncode, output) == (0, "5000\n"), errors
    assert "| kept 1" in errors


@pytest.mark.parametrize("kind", KINDS)
def test_J4_a_store_reads_and_syncs_files_alone(tmp_path, kind):
    store = Store(tmp_path)
    store.put("plans/a", b"whole")
    (tmp_path / "plans" / "a").unlink()
    KINDS[kind](tmp_path / "plans" / "a")
    for ask in (
        lambda: store.get("plans/a"),
        lambda: store.get_range("plans/a", 0, 1),
        lambda: store.sync(["plans/a"]),
        lambda: store.append("plans/a", b"more"),
    ):
        with pytest.raises(StoreDamage, match=r"plans/a in the store .* is damaged"):
            ask()
