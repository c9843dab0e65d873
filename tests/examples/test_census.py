"""The census: its totals are those of a plain loop, and each folder leaves a futures file."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from promissory import Plan, Store, attach
from promissory.executor.records.heartbeat import read_beat

COMMAND = Path(sys.executable).parent / "promissory"

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
TOTALS = ("files", "unreadable", "lines", "functions", "classes", "imports")


@pytest.fixture
def census(run_program, example):
    """A function (root, run id) → the report, as JSON."""

    def report(root, run_id="census", *more):
        ended = run_program(
            "promissory", "run", "--json", "--run-id", run_id, example("census.py"), "--root", root, *more
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return report


@pytest.fixture
def loop(load_example):
    """A function (root) → the totals of the plain loop."""
    module = load_example("census.py")
    return lambda root: {name: getattr(module.straight_loop(Path(root)), name) for name in TOTALS}


def test_census_of_a_small_tree_equals_the_plain_loop(census, loop, make_tree):
    root = make_tree(folders=12, files=4)
    found = census(root)
    assert {name: found[name] for name in TOTALS} == loop(root)
    assert (found["files"], found["unreadable"]) == (13 * 4 + 1, 1)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("folder", ["json", "email", "asyncio"])
def test_census_of_the_standard_library_equals_the_plain_loop(census, loop, folder):
    found = census(STANDARD_LIBRARY / folder)
    assert {name: found[name] for name in TOTALS} == loop(STANDARD_LIBRARY / folder)
    assert found["functions"] > 10


def test_census_reports_the_longest_functions_in_order(census, make_tree):
    found = census(make_tree(folders=6, files=4), "census", "--top", "5")
    lengths = [one["lines"] for one in found["longest_functions"]]
    assert len(lengths) == 5
    assert lengths == sorted(lengths, reverse=True)
    assert len(found["largest_folders"]) <= 5


def test_census_of_an_empty_folder(census, tmp_path):
    (tmp_path / "nothing").mkdir()
    found = census(tmp_path / "nothing")
    assert [found[name] for name in TOTALS] == [0] * 6


def test_census_of_what_is_no_folder_fails_and_says_so(run_program, example):
    ended = run_program("promissory", "run", example("census.py"), "--root", "nowhere")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "NotADirectoryError: nowhere is not a folder" in ended.stderr


def test_D1_census_leaves_a_futures_file_for_each_folder(census, run_program, make_tree, tmp_path):
    root = make_tree(folders=12, files=2)
    census(root)
    folders = [
        folder
        for folder in root.rglob("*")
        if folder.is_dir() and not folder.is_symlink() and folder.name != "__pycache__"
    ]
    files = list((tmp_path / ".promissory" / "runs" / "census" / "futures").rglob("*.futures"))
    assert len(files) == len(folders) + 1, "one for the root"
    assert len(run_program("promissory", "futures", "census").stdout.splitlines()) == len(files)
    assert all(Plan.load(file).name in ("take_census", "count_folder") for file in files)


def test_census_status_counts_a_node_for_each_file_and_folder(census, run_program, make_tree):
    root = make_tree(folders=5, files=3)
    census(root)
    status = json.loads(run_program("promissory", "status", "--json", "--nodes", "census").stdout)
    called = [node["called"].rpartition(":")[2] for node in status["nodes"]]
    assert called.count("count_file") == 6 * 3 + 1
    assert called.count("count_folder") == 5 + 1
    assert set(status["counts"]) == {"SUCCEEDED"}


def test_census_prints_tables_for_people(run_program, example, make_tree):
    ended = run_program("promissory", "run", "--quiet", example("census.py"), "--root", make_tree(folders=3, files=2))
    assert (ended.returncode, ended.stderr) == (0, "")
    for word in ("Report", "largest_folders", "longest_functions"):
        assert word in ended.stdout


def test_census_as_a_program(run_program, make_tree):
    ended = run_program("census.py", make_tree(folders=3, files=2))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Report(")


@pytest.mark.full
def test_Q4_census_submitted_by_one_process_and_carried_by_two_workers_of_which_one_is_killed(
    run_program, example, loop, make_tree, tmp_path, eventually
):
    root = make_tree(folders=40, files=6)
    submitted = run_program(
        "promissory", "submit", "--quiet", "--run-id", "census", example("census.py"), "--root", root
    )
    assert (submitted.stdout, submitted.stderr) == ("census\n", "")
    store = tmp_path / ".promissory"
    workers = [
        subprocess.Popen([COMMAND, "work", "--once", "--quiet", "--store", store], cwd=tmp_path) for _ in range(2)
    ]
    beat = eventually(lambda: read_beat(Store(str(store)), "census"), "a worker's first beat")
    victim = next(one for one in workers if one.pid == beat.pid)
    eventually(lambda: len(list(store.glob("runs/census/journal/*"))) > 2, "some commits")
    victim.kill()
    victim.wait()
    other = next(one for one in workers if one is not victim)
    if other.wait() or attach("census", store=str(store)).state != "SUCCEEDED":  # it found nothing, and left earlier
        assert run_program("promissory", "work", "--once").returncode == 0
    found = json.loads(run_program("promissory", "result", "--json", "census").stdout)
    assert {name: found[name] for name in TOTALS} == loop(root)
