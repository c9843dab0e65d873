"""The replay of real workflow runs: every task once and behind its parents, the report's figures are those of the
instance, and the engines agree.
"""

import json
import os
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import SimpleNamespace

import pytest

from promissory import Store
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.events import EXPANDED, NODE_DONE
from promissory.planner.plan.names import node_names

ROOT = Path(__file__).resolve().parents[2]
INSTANCES = ROOT.parent / "shared" / "data" / "wfinstances"
COMMAND = Path(sys.executable).parent / "promissory"
ENGINES = ("inline", "processes")
SCALE = 0.001
TIMES = ("processes", "makespan", "times_critical_path", "busy_processors")
"""What a report says of times and processes."""

REAL = {"montage": ("montage-2mass-025d.json", 619), "epigenomics": ("epigenomics-hep-1seq-100k.json", 41)}
DIAMOND = {
    "split": (10.0, [], ["input"], {"left": 100, "right": 200}),
    "left": (30.0, ["split"], ["left", "reference"], {"left done": 30}),
    "right": (20.5, ["split"], ["right"], {}),
    "join": (5.25, ["left", "right"], ["left done"], {"result": 7}),
    "alone": (1.0, [], [], {"nothing": 0}),
}
"""Seconds, parents, files that are read, files that are written with their sizes."""


def described(tasks, version="1.5"):
    """A WfFormat instance of such tasks, each listed before its parents."""
    sizes = {name: 1 for _, _, reads, _ in tasks.values() for name in reads}
    sizes |= {name: size for _, _, _, writes in tasks.values() for name, size in writes.items()}
    backwards = dict(reversed(tasks.items()))
    specified = [
        {"id": id, "name": id, "parents": parents, "children": [], "inputFiles": reads, "outputFiles": list(writes)}
        for id, (_, parents, reads, writes) in backwards.items()
    ]
    took = [
        {"id": id, "runtimeInSeconds": seconds, "command": {"program": "do"}} for id, (seconds, *_) in tasks.items()
    ]
    files = [{"id": name, "sizeInBytes": size} for name, size in sizes.items()]
    workflow = {
        "specification": {"tasks": specified, "files": files},
        "execution": {"makespanInSeconds": 60, "tasks": took},
    }
    return {"name": "small", "schemaVersion": version, "workflow": workflow}


class Run:
    """A replay that has ended: what it reported, and what its journal holds."""

    def __init__(self, report, store):
        self.report = report
        self.store = store
        self.history = History(store, "replay")
        self.plan, key = self.history.futures("main/replay")
        self.futures = store.get(key)

    def done(self, decode):
        """[(node's name, what it handed on)] of the tasks, in the order of the plan; one for each time that it was
        committed.
        """
        events = [
            event
            for segment, _ in read_segments(self.store, "replay", 0, find_end(self.store, "replay"))
            for event in segment.events
        ]
        frame = next(event[3] for event in events if event[0] == EXPANDED)
        names = node_names(self.plan.shape, 0)
        found = [
            event
            for event in events
            if event[0] == NODE_DONE and event[1] == frame and event[2] < len(names) and names[event[2]] != "report"
        ]
        return [
            (names[event[2]], decode(self.store.get_value(event[3])))
            for event in sorted(found, key=lambda event: event[2])
        ]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """A function (instance's name, engine) → its file as JSON, its replay. Each is run once."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PROMISSORY_STORE", "COLUMNS", "FORCE_COLOR")
    }

    @cache
    def replay(name, engine):
        folder = tmp_path_factory.mktemp(f"{name}-{engine}")
        if name == "diamond":
            file = folder / "diamond.json"
            file.write_text(json.dumps(described(DIAMOND)))
        else:
            file = INSTANCES / REAL[name][0]
            if not file.is_file():
                pytest.skip(f"{file} is not here")
        command = [
            COMMAND,
            "run",
            "--quiet",
            "--json",
            "--engine",
            engine,
            "--store",
            "store",
            "--run-id",
            "replay",
            ROOT / "examples" / "wfformat.py",
        ]
        ended = subprocess.run(
            [*map(str, command), "--instance", str(file), "--scale", str(SCALE)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            stdin=subprocess.DEVNULL,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return json.loads(file.read_text()), Run(json.loads(ended.stdout), Store(folder / "store"))

    return replay


def facts(instance):
    """What an instance says, read without the example: parents and seconds by task, sizes by file, files written by
    task.
    """
    workflow = instance["workflow"]
    tasks = workflow["specification"]["tasks"]
    sizes = {file["id"]: file["sizeInBytes"] for file in workflow["specification"]["files"]}
    return SimpleNamespace(
        parents={task["id"]: task["parents"] for task in tasks},
        seconds={task["id"]: task["runtimeInSeconds"] for task in workflow["execution"]["tasks"]},
        writes={task["id"]: {name: sizes[name] for name in task["outputFiles"]} for task in tasks},
    )


def critical_path(facts):
    """Seconds of the longest chain of tasks."""
    ends = {}
    for task in TopologicalSorter(facts.parents).static_order():
        ends[task] = facts.seconds[task] + max((ends[parent] for parent in facts.parents[task]), default=0.0)
    return max(ends.values())


everywhere = pytest.mark.parametrize(
    ("name", "engine"), [(name, engine) for name in (*REAL, "diamond") for engine in ENGINES]
)


@pytest.mark.full(keep=2)
@everywhere
def test_X2_a_replay_runs_each_task_of_the_instance_once(replayed, load_example, name, engine):
    instance, run = replayed(name, engine)
    done = run.done(load_example("wfformat.py").perform.signature.result.decode)
    told = facts(instance)
    assert name == "diamond" or len(done) == REAL[name][1]
    assert sorted(one.id for _, one in done) == sorted(told.parents)
    assert {one.id: one.files for _, one in done} == told.writes, "each hands on what it wrote"
    rows = {row.path: row for row in run.history.nodes()}
    assert {(row.state, row.attempts) for row in rows.values()} == {("SUCCEEDED", 1)}
    assert set(rows) == {"main/read", "main/replay", "main/replay/report", *(f"main/replay/{node}" for node, _ in done)}


@pytest.mark.full(keep=2)
@everywhere
def test_X4_a_replay_runs_no_task_before_its_parents_have_ended(replayed, load_example, name, engine):
    instance, run = replayed(name, engine)
    done = {one.id: one for _, one in run.done(load_example("wfformat.py").perform.signature.result.decode)}
    told = facts(instance)
    for id, one in done.items():
        assert one.ended - one.began >= 0.99 * told.seconds[id] * SCALE, "it takes its time"
        for parent in told.parents[id]:
            assert done[parent].ended <= one.began, f"{id} began before {parent} had ended"


@pytest.mark.full(keep=2)
@everywhere
def test_the_names_of_a_replays_nodes_are_ids_of_tasks_or_made_of_what_they_call(replayed, load_example, name, engine):
    _, run = replayed(name, engine)
    done = run.done(load_example("wfformat.py").perform.signature.result.decode)
    names = [node for node, _ in done]
    assert len(set(names)) == len(names)
    assert all(node == one.id or re.fullmatch(r"perform(~\d+)?", node) for node, one in done)


@pytest.mark.full(keep=2)
@everywhere
def test_a_replay_reports_the_figures_of_its_instance(replayed, name, engine):
    instance, run = replayed(name, engine)
    told, report = facts(instance), run.report
    assert report["instance"] == instance["name"]
    assert report["tasks"] == len(told.parents)
    assert report["edges"] == sum(map(len, told.parents.values()))
    assert report["bytes_handed_on"] == sum(sum(files.values()) for files in told.writes.values())
    assert report["critical_path"] == pytest.approx(critical_path(told) * SCALE, abs=0.0006)
    assert report["work"] == pytest.approx(sum(told.seconds.values()) * SCALE, abs=0.0006)


@pytest.mark.full(keep=2)
@everywhere
def test_a_replay_is_never_faster_than_its_critical_path_or_its_work_allow(replayed, name, engine):
    _, run = replayed(name, engine)
    report = run.report
    assert report["makespan"] >= report["critical_path"] - 0.001
    assert report["makespan"] * report["processes"] >= report["work"] - 0.002
    assert report["times_critical_path"] >= 0.95
    assert report["busy_processors"] <= report["processes"] + 0.01
    if engine == "inline":
        assert report["processes"] == 1


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("name", [*REAL, "diamond"])
def test_X3_a_replay_gives_the_same_on_both_engines_but_for_times(replayed, load_example, name):
    decode = load_example("wfformat.py").perform.signature.result.decode
    runs = [replayed(name, engine)[1] for engine in ENGINES]
    reports = [{field: value for field, value in run.report.items() if field not in TIMES} for run in runs]
    assert reports[0] == reports[1]
    assert len(reports[0]) == 6
    assert runs[0].futures == runs[1].futures, "the plan that replay emitted, to the byte"
    handed_on = [[(node, one.id, one.files) for node, one in run.done(decode)] for run in runs]
    assert handed_on[0] == handed_on[1]
    shown = [[(row.path, row.called, row.kind, row.depth, row.state) for row in run.history.nodes()] for run in runs]
    assert shown[0] == shown[1]


def test_the_diamond_by_hand(replayed):
    _, run = replayed("diamond", "inline")
    assert {field: value for field, value in run.report.items() if field not in TIMES} == {
        "instance": "small",
        "tasks": 5,
        "edges": 4,
        "bytes_handed_on": 337,
        "critical_path": 0.045,  # split, left, join
        "work": 0.067,
    }


# --- instances that can't be replayed ---------------------------------------------------------------------------------


@pytest.fixture
def refused(run_program, example, tmp_path):
    """A function (instance) → what the command says of it. The run has to fail."""

    def say(instance):
        (tmp_path / "instance.json").write_text(json.dumps(instance))
        ended = run_program(
            "promissory",
            "run",
            "--engine",
            "inline",
            example("wfformat.py"),
            "--instance",
            "instance.json",
            "--scale",
            "0.0001",
        )
        assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
        return ended.stderr

    return say


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("version", ["1.4", "2.0", "", None])
def test_a_replay_refuses_another_version_of_the_format(refused, version):
    said = refused(described(DIAMOND, version))
    assert "main/read failed: ValueError: instance.json is WfFormat " in said
    assert f"is WfFormat {version}, and this reads 1.5" in said


def test_a_replay_refuses_tasks_that_wait_for_each_other(refused):
    circle = {"a": (1.0, [], [], {}), "b": (1.0, ["a", "c"], [], {}), "c": (1.0, ["b"], [], {})}
    said = refused(described(circle))
    assert re.search(r"main/read failed: ValueError: instance.json: the tasks (b, c|c, b) wait for each other", said)


def test_a_replay_refuses_a_task_that_waits_for_itself(refused):
    assert "the tasks a wait for each other" in refused(described({"a": (1.0, ["a"], [], {})}))


def test_a_replay_fails_at_the_task_that_reads_what_nobody_wrote(refused):
    instance = described({"first": (1.0, [], [], {"one": 1}), "second": (1.0, ["first"], ["one", "ghost"], {})})
    files = instance["workflow"]["specification"]["files"]
    files[:] = [file for file in files if file["id"] != "ghost"]
    said = refused(instance)
    assert "FileNotFoundError: second reads ghost, which none of its parents wrote" in said
    assert "main/replay/" in said


def test_a_replay_fails_at_the_task_that_reads_what_somebody_else_wrote(refused):
    strangers = {"writer": (1.0, [], [], {"one": 1}), "reader": (1.0, [], ["one"], {})}
    assert "FileNotFoundError: reader reads one, which none of its parents wrote" in refused(described(strangers))


def test_a_replay_of_a_file_that_is_not_there(run_program, example):
    ended = run_program("promissory", "run", "--quiet", example("wfformat.py"), "--instance", "nowhere.json")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "main/read failed: FileNotFoundError" in ended.stderr


NO_TIME = {id: (0.0, *others) for id, (_, *others) in DIAMOND.items()}


@pytest.mark.parametrize(("tasks", "scale"), [(NO_TIME, "1"), (DIAMOND, "0")], ids=["tasks took no time", "scale 0"])
def test_a_replay_that_takes_no_time_is_reported(run_program, example, tmp_path, tasks, scale):
    (tmp_path / "instance.json").write_text(json.dumps(described(tasks)))
    ended = run_program(
        "promissory",
        "run",
        "--quiet",
        "--json",
        example("wfformat.py"),
        "--instance",
        "instance.json",
        "--scale",
        scale,
    )
    assert ended.returncode == 0, ended.stderr
    assert (json.loads(ended.stdout)["tasks"], json.loads(ended.stdout)["critical_path"]) == (5, 0.0)


def test_check_finds_the_replay_well(run_program, example):
    ended = run_program("promissory", "check", example("wfformat.py"))
    assert (ended.returncode, ended.stdout) == (0, "")
    assert all(line.endswith(", well") for line in ended.stderr.splitlines())
