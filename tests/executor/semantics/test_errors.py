"""What is wrong before a run begins is told at once, all together, with the way out."""

from dataclasses import dataclass

import pytest

from promissory import Store, run, start, task, workflow
from promissory.errors import CompileError, EngineError, ExecutorError, InputError, RunExists, StoreError

ran = []


@dataclass
class Row:
    name: str
    price: float


@task
def count(rows: list[Row], by: int, more: int = 1) -> int:
    ran.append(1)
    return len(rows)


@workflow
def flow(rows: list[Row], by: int, more: int = 1) -> int:
    return count(rows, by, more)


@pytest.fixture(autouse=True)
def nothing_ran():
    """None of these errors lets a body start."""
    ran.clear()
    yield
    assert ran == []


def test_P4_an_input_error_lists_all_that_is_wrong(store):
    with pytest.raises(InputError) as caught:
        run(flow, {"rows": [Row("a", 1.0), Row("b", "x")], "colour": 1, "size": 2, "more": "z"}, store=store)
    message = str(caught.value)
    for part in (
        "flow(",
        "it has no input 'colour'",
        "it has no input 'size'",
        "rows[1].price: expected float, got str",
        "it needs the input by: int",
        "more: expected int, got str",
    ):
        assert part in message
    assert isinstance(caught.value, TypeError)
    assert store.list("runs") == []


@pytest.mark.parametrize("inputs", [5, "rows", [1, 2]])
def test_P4_inputs_that_are_no_mapping_are_told(inputs, store):
    with pytest.raises(
        InputError, match=r"the inputs of flow are a mapping of names \(.*by.*\) to values, not of type"
    ):
        run(flow, inputs, store=store)


def test_P4_a_compiled_plan_checks_its_inputs_as_well(store):
    with pytest.raises(InputError, match="it needs the input by: int"):
        run(flow.compile(), {"rows": []}, store=store)


def test_J5_an_unknown_engine_says_which_there_are(store):
    with pytest.raises(EngineError, match=r"there is no engine 'cluster'; there are: inline, threads, processes"):
        run(flow, {"rows": [], "by": 1}, store=store, engine="cluster")
    assert store.list("runs") == []


def test_J5_a_store_that_is_not_supported_is_told(tmp_path):
    with pytest.raises(StoreError, match="ftp:// can't create a key so that of two writers one wins"):
        start(flow, {"rows": [], "by": 1}, store="ftp://host/folder")


@pytest.mark.parametrize("run_id", ["", "a/b", "../a", ".hidden", "a b", "ü", "x" * 129, "a\n"])
def test_J7_a_run_id_that_can_name_no_folder_is_refused(store, run_id):
    with pytest.raises(ExecutorError, match="can't name a run"):
        run(flow, {"rows": [], "by": 1}, store=store, run_id=run_id)
    assert store.list("runs") == []


def test_J3_a_run_id_that_is_taken_is_refused_and_says_how_to_go_on(store):
    @task
    def fine(x: int) -> int:
        return x

    assert run(fine, {"x": 1}, store=store, run_id="taken").result == 1
    with pytest.raises(
        RunExists,
        match=(
            r"has a run 'taken' already, of another plan: resume it \(promissory resume taken\), or give "
            r"another name"
        ),
    ):
        run(flow, {"rows": [], "by": 1}, store=store, run_id="taken")


def test_A6_a_workflow_that_does_not_compile_leaves_nothing_in_the_store(store):
    @workflow
    def wrong(x: int) -> int:
        return count("a", x)

    with pytest.raises(CompileError):
        run(wrong, {"x": 1}, store=store)
    assert store.list("runs") == []


def test_A6_what_is_no_workflow_is_told(store):
    with pytest.raises(CompileError, match="is no workflow"):
        run(len, {}, store=store)


def test_J7_the_store_of_the_environment_is_used(tmp_path, monkeypatch):
    @task
    def fine(x: int) -> int:
        return x

    monkeypatch.setenv("PROMISSORY_STORE", str(tmp_path / "named"))
    ended = run(fine, {"x": 1})
    assert Store(tmp_path / "named").list("runs") == [f"runs/{ended.id}"]
    monkeypatch.delenv("PROMISSORY_STORE")
    monkeypatch.chdir(tmp_path)
    run(fine, {"x": 1}, run_id="here")
    assert (tmp_path / ".promissory/runs/here/manifest").is_file()
    assert fine(1) == 1
