"""J1, R6: stores of before the package had its public name are shown, resumed, run again, explained and exported.

`tests/data/older/` holds a store for each Python, made by commit cd65efc, and the words of that commit on each run,
before and after a resume. Things of the package were named by the modules of those days
(`planner.node_failure:NodeFailure`); today they bear public names.
"""

import importlib.util
import json
import re
import shutil
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from promissory import Plan, Store, attach, rerun, resume
from promissory.executor.history.explain import explain
from promissory.executor.maintenance.doctor import examine, is_whole
from promissory.executor.maintenance.export import export
from promissory.executor.records import heartbeat
from promissory.executor.records.heartbeat import is_live

DATA = next(folder for folder in (parent / "data" / "older" for parent in Path(__file__).parents) if folder.is_dir())
ARCHIVE = DATA / f"store-{sys.version_info[0]}.{sys.version_info[1]}.tar.xz"
pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="there is no old store for this Python")


def loaded(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


RUNS = {spec.id: spec for spec in loaded("runs_of_cd65efc").RUNS}
FROM_BUNDLES = {"bundled", "bundled-both", "scripted"}
OWN_PROCESS = {"notebook"}  # its functions are `__main__`'s


@pytest.fixture(autouse=True)
def watched_for_a_moment(monkeypatch):
    """Beats of old versions name no executor, so they are watched: for three intervals."""
    monkeypatch.setattr(heartbeat, "INTERVAL", 0.1)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The store as it was, and what was said of it."""
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder, json.loads((folder / "expected.json").read_text())


@pytest.fixture
def flows(monkeypatch):
    """The workflows are importable, and what was broken is repaired."""
    monkeypatch.syspath_prepend(str(DATA))
    monkeypatch.setenv("PYTHONPATH", str(DATA))
    monkeypatch.setenv("OLD_STORE_TOKEN", "correct-horse")
    monkeypatch.delenv("OLD_STORE_BROKEN", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture
def copied(old, tmp_path):
    """A copy of the store, to go on in."""
    shutil.copytree(old[0] / "store", tmp_path / "store")
    return Store(tmp_path / "store")


def rows(run, kinds=("task", "dynamic")):
    return {row.path: row.state for row in run.nodes(items=True)}


def without_path(text):
    return re.sub(r"file://\S+|/\S*/store\b", "STORE", text)


@pytest.mark.parametrize("name", RUNS)
def test_R6_an_older_run_is_shown_as_it_was(old, flows, name):
    folder, expected = old
    told = expected["runs"][name]
    there = attach(name, store=folder / "store")
    assert there.state == told["state"]
    assert {path: state for path, state, *_ in told["nodes"]} == rows(there)
    assert without_path(there.reason) == told["reason"] or told["state"] == "INTERRUPTED"
    if told["state"] in ("FAILED", "CANCELLED"):
        error = there.error
        assert type(error).__name__ == told["error"]["class"]
        if told["error"].get("path"):
            assert (error.path, error.attempt) == (told["error"]["path"], told["error"]["attempt"])
    for path, digest in told["futures"].items():
        assert there.futures(path).digest == digest or names_ours(there.futures(path))
    assert not is_live(Store(folder / "store"), name)


@pytest.mark.parametrize("name", [name for name in RUNS if RUNS[name].id not in FROM_BUNDLES])
def test_R6_the_cause_of_an_older_failure_is_had_where_it_was(old, flows, name):
    folder, expected = old
    told = expected["runs"][name]
    if told["state"] != "FAILED":
        pytest.skip("it did not fail")
    cause, wanted = attach(name, store=folder / "store", trust=True).error.__cause__, told["error"]["cause"]
    said = "RemoteError" if wanted is None else wanted["class"].rpartition(":")[2].rpartition(".")[2]
    assert type(cause).__name__ == said


@pytest.mark.parametrize("name", RUNS)
def test_R4_an_older_run_is_explained_and_found_whole(old, flows, name):
    folder, expected = old
    store, told = Store(folder / "store"), expected["runs"][name]
    for path, (state, _) in told["explained"].items():
        assert state in str(explain(store, name, path))
    assert is_whole(examine(store, name)) is told["whole"]


def jsonable(value):
    """A value as JSON: itself if JSON has it, else its class's name and its text."""
    if isinstance(value, list):
        return [jsonable(one) for one in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    return {"class": type(value).__qualname__, "repr": repr(value)}


def names_ours(plan):
    """Whether a plan names something of this package, and so is written anew with its public name."""
    return plan.to_bytes()[5] == 3


def _resumed(store, name, engine, diary, monkeypatch):
    spec = RUNS[name]
    monkeypatch.setenv("OLD_STORE_DIARY", str(diary))
    for gate, answer in spec.answers.items():
        attach(name, store=store).answer(gate, answer)
    options = dict(spec.resume_options)
    if engine == "processes":
        options.pop("soft_timeouts", None)
    return resume(name, store=store, engine=engine, echo=False, **options)


def _same(ended, told, diary):
    assert ended.state == told["state"], ended.error
    if "outputs" in told:
        assert {name: jsonable(value) for name, value in ended.outputs.items()} == told["outputs"]
    assert rows(ended) == told["nodes"]
    bodies = Counter(diary.read_text().splitlines() if diary.exists() else [])
    assert dict(bodies) == told["bodies"]


@pytest.mark.full(keep=15)
@pytest.mark.parametrize("name", [name for name in RUNS if name not in FROM_BUNDLES | OWN_PROCESS])
def test_R6_an_older_run_is_resumed(old, copied, flows, tmp_path, monkeypatch, name):
    told = old[1]["runs"][name]["resumed"]
    _same(_resumed(copied, name, "inline", tmp_path / "diary", monkeypatch), told, tmp_path / "diary")
    assert is_whole(examine(copied, name))


@pytest.mark.parametrize(
    "name", ["closure", "closures", "notebook", "retry-on-by-value", "rescued-killed", "snapshotted", "checkpointed"]
)
def test_R6_an_older_run_is_resumed_on_processes(old, copied, flows, tmp_path, monkeypatch, name):
    told = old[1]["runs"][name]["resumed"]
    _same(_resumed(copied, name, "processes", tmp_path / "diary", monkeypatch), told, tmp_path / "diary")


@pytest.mark.parametrize("name", sorted(FROM_BUNDLES))
def test_R6_an_older_run_is_resumed_from_its_bundle_alone(old, copied, project, name):
    """The bundle says `from planner import task`, and its project is gone."""
    program = (
        "from promissory import resume\n"
        f"ended = resume({name!r}, store={copied.url!r}, engine='processes', echo=False)\n"
        "print(ended.state, ended.outputs)"
    )
    said = project.code(program, OLD_STORE_TOKEN="correct-horse")
    told = old[1]["runs"][name]["resumed"]
    assert said == f"{told['state']} {told['outputs']}\n"


@pytest.mark.full(keep=14)
@pytest.mark.parametrize(
    "name", [name for name in RUNS if RUNS[name].rerun != "" and name not in FROM_BUNDLES | OWN_PROCESS]
)
def test_R6_a_part_of_an_older_run_is_run_again(old, copied, flows, tmp_path, monkeypatch, name):
    told = old[1]["runs"][name].get("rerun")
    if told is None:
        pytest.skip("the old code ran none of it again")
    monkeypatch.setenv("OLD_STORE_DIARY", str(tmp_path / "diary"))
    ended = rerun(name, told["from"], store=copied, echo=False, new_run_id="again", **RUNS[name].resume_options)
    _same(ended, told, tmp_path / "diary")


@pytest.mark.parametrize("name", ["closure", "rescued-waiting", "snapshotted", "failed-own", "mapped"])
def test_J7_an_older_run_is_exported_and_resumed_there(old, copied, flows, tmp_path, monkeypatch, name):
    export(copied, name, Store(tmp_path / "copy"))
    shutil.rmtree(tmp_path / "store")
    told = old[1]["runs"][name]["resumed"]
    _same(_resumed(Store(tmp_path / "copy"), name, "inline", tmp_path / "diary", monkeypatch), told, tmp_path / "diary")


def test_an_older_plan_of_each_kind_of_node_is_read_and_has_the_digest_of_its_bytes(old):
    folder, expected = old
    kinds = set()
    for name, told in expected["plans"].items():
        plan = Plan.load(folder / "plans" / f"{name}.plan")
        now, then = plan.show().splitlines(), told["shown"].splitlines()
        assert len(now) == len(then), name
        assert all(line.startswith(before) for line, before in zip(now, then, strict=True)), name  # options are new
        kinds.update(told["kinds"])
        assert plan.digest == told["digest"] or names_ours(plan), name
    assert kinds >= {"task", "dynamic", "map", "plan", "branch"}


def test_a_plan_that_names_nothing_of_ours_is_compiled_to_the_same_bytes_as_ever(old, flows):
    flows = importlib.import_module("flows_of_cd65efc")
    folder, expected = old
    same = 0
    for name, told in expected["plans"].items():
        compiled = getattr(flows, told["target"]).compile()
        written = (folder / "plans" / f"{name}.plan").read_bytes()
        if b"\xa5sends\xc3" in compiled.to_bytes():
            continue  # a plan with a node on standby says since then which tasks could send the run there (rule X8)
        if names_ours(compiled):
            assert Plan.from_bytes(written).to_bytes() == compiled.to_bytes(), name
        else:
            assert compiled.to_bytes() == written, name
            same += 1
    assert same >= 8


def test_each_result_of_the_cache_is_taken(old, copied, flows, tmp_path, monkeypatch):
    flows = importlib.import_module("flows_of_cd65efc")
    monkeypatch.setenv("OLD_STORE_DIARY", str(tmp_path / "diary"))
    from promissory import run

    ended = run(flows.cached, {"region": "no", "verbose": False}, store=copied, echo=False)
    assert ended.result == 2009
    ran = (tmp_path / "diary").read_text().split()
    assert not {"revenue", "summed", "weighed"} & set(ran), "a body ran though its result is kept"
