"""A11, T1: a worker calls the code that the plan was made of, or none: not that of before an edit, of another project,
or of another Python.
"""

import importlib
import json
import os
import pickle
import sys
import textwrap

import pytest

from promissory import Store, resume, run, task
from promissory.executor.code.resolver import code_keys
from promissory.executor.engines.processes import spare
from promissory.executor.engines.processes.child import WorkerProcess
from promissory.planner.functions.by_value import MAGIC, PYTHON, VERSION, OtherPython, dump_entity, load_entity
from promissory.typesys.canonical import pack
from promissory.typesys.envelope import seal

ANOTHER_PYTHON = next(f"cpython 3.{minor}" for minor in (11, 12) if f"cpython 3.{minor}" != PYTHON)

FLOW = """
    from pathlib import Path
    from promissory import task, workflow
    from helper import scaled

    @task
    def work(x: int, seen: str = "") -> int:
        if seen:
            Path(seen).touch()
        return scaled(x) + 1

    @workflow
    def flow(x: int, seen: str = "") -> int:
        return work(x, seen=seen)
"""
HELPER = """
    def scaled(x):
        return 10 * x
"""


@pytest.fixture
def computed(store):
    """A function (workflow, inputs) → its result, computed in worker processes."""

    def compute(target, **inputs):
        return run(target, inputs, store=store, engine="processes").result

    return compute


@pytest.fixture
def module(write_module):
    """A function (helper, flow) → the module `flow` of these sources, loaded again if it is loaded."""

    def write(helper=HELPER, flow=FLOW):
        write_module("helper", helper)
        return write_module("flow", flow)

    return write


# --- a plan and other code --------------------------------------------------------------------------------------------

RUN_PLAN = """
    import json
    from promissory import run
    from promissory import Plan
    ended = run(Plan.load("flow.plan"), {"x": 1, "seen": "seen"}, engine="processes")
    if ended.state == "SUCCEEDED":
        print(json.dumps([ended.result]))
    else:
        print(json.dumps([[type(ended.error.__cause__).__name__, str(ended.error)]]))
"""


@pytest.fixture
def compiled(project):
    """A project whose plan was compiled by a process that has ended; with it, the digest of its task."""
    project.write("helper.py", HELPER)
    project.write("flow.py", FLOW)
    return project, project.code(
        "from flow import flow, work; flow.compile().save('flow.plan'); print(work.callee().digest.hex()[:12])"
    ).strip()


def test_A11_changed_code_is_a_mismatch_that_names_both_before_the_first_call(compiled):
    project, before = compiled
    project.write("flow.py", FLOW.replace("+ 1", "+ 2"))
    after = project.code("from flow import work; print(work.callee().digest.hex()[:12])").strip()
    [(kind, said)] = json.loads(project.code(RUN_PLAN))
    assert kind == "CodeMismatch"
    assert before != after
    assert f"the plan has {before}, this worker found {after}" in said
    assert "flow:work" in said
    assert not (project.folder / "seen").exists()


def test_A11_unchanged_code_is_called(compiled):
    project, _ = compiled
    project.write("flow.py", FLOW.replace("return scaled(x) + 1", "return scaled(x)  +  1  # the same"))
    assert json.loads(project.code(RUN_PLAN)) == [11]
    assert (project.folder / "seen").exists()


def test_A11_an_edit_that_this_process_has_not_loaded_is_not_run(module, store, tmp_path):
    """The plan is made of what is loaded here; a worker that would import the file finds something else, and
    says so.
    """
    loaded = module()
    (tmp_path / "modules" / "flow.py").write_text(textwrap.dedent(FLOW.replace("+ 1", "+ 2222")))
    assert run(loaded.flow, {"x": 1}, store=store).result == 11
    ended = run(loaded.flow, {"x": 1}, store=store, engine="processes")
    assert ended.state == "FAILED"
    assert type(ended.error.__cause__).__name__ == "CodeMismatch"


def test_A11_an_edit_elsewhere_in_the_file_while_it_is_loaded_is_no_other_code(module, computed, tmp_path):
    """Lines move while a program runs: what a worker finds there is the same function."""
    loaded = module()
    moved = textwrap.dedent(FLOW).replace("\n@task", "\ndef another(x):\n    return -x\n\n@task")
    (tmp_path / "modules" / "flow.py").write_text(moved)
    assert computed(loaded.flow, x=1) == 11


# --- workers that served another run ----------------------------------------------------------------------------------


def test_A11_a_module_edited_and_loaded_again_between_two_runs(module, computed):
    assert computed(module().flow, x=1) == 11
    assert computed(module(flow=FLOW.replace("+ 1", "+ 1000")).flow, x=1) == 1010
    assert computed(module().flow, x=1) == 11


@pytest.mark.full
def test_A11_an_edit_that_leaves_the_size_as_it_was(module, computed, tmp_path):
    assert computed(module().flow, x=1) == 11
    assert computed(module(flow=FLOW.replace("+ 1", "+ 2")).flow, x=1) == 12


@pytest.mark.full
def test_A11_what_the_task_calls_is_edited_and_loaded_again(module, computed):
    """The task's own text stays; so does its digest."""
    assert computed(module().flow, x=1) == 11
    assert computed(module(helper=HELPER.replace("10", "2000")).flow, x=1) == 2001


def test_A11_what_a_closure_uses_of_its_module_is_edited_and_loaded_again(computed, write_module):
    """The closure's own text stays, and so does its digest; the store holds one of this digest already."""
    source = """
        from promissory import task

        RATE = 10

        def made(k):
            @task
            def rated(x: int) -> int:
                return x * k * RATE

            return rated
    """
    assert computed(write_module("rates", source).made(1), x=1) == 10
    assert computed(write_module("rates", source.replace("10", "2000")).made(1), x=1) == 2000


@pytest.mark.full
def test_A11_a_constant_that_a_closure_of_a_script_uses_is_edited_between_two_runs(project):
    """Two processes, one store."""
    source = """
        from promissory import run
        from promissory import task

        RATE = 10

        def main():
            k = 1

            @task
            def rated(x: int) -> int:
                return x * k * RATE

            return run(rated, {"x": 1}, engine="processes").result

        if __name__ == "__main__":
            print(main())
    """
    for rate in ("10", "2000"):
        project.write("flow.py", source.replace("10", rate))
        assert project.python("flow.py") == f"{rate}\n"


@pytest.mark.full
def test_A11_a_module_that_comes_later_is_found(module, computed, write_module):
    assert computed(module().flow, x=1) == 11
    later = write_module("later", "from promissory import task\n\n@task\ndef late(x: int) -> int:\n    return -x\n")
    assert computed(later.late, x=1) == -1


def test_A11_two_projects_with_the_same_module_names_in_one_process(computed, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for number in (1, 2, 1):
        folder = tmp_path / f"project-{number}"
        folder.mkdir(exist_ok=True)
        (folder / "helper.py").write_text(textwrap.dedent(HELPER.replace("10", f"{number}00")))
        (folder / "flow.py").write_text(textwrap.dedent(FLOW))
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        assert computed(importlib.import_module("flow").flow, x=1) == number * 100 + 1
        del sys.modules["flow"], sys.modules["helper"]
        sys.path.remove(str(folder))


@pytest.mark.full
def test_A11_two_files_of_one_module_name_that_no_path_leads_to(computed, tmp_path):
    """As a program loads plug-ins."""
    made = []
    try:
        for number in (1, 2):
            file = tmp_path / f"plugins-{number}" / "plugin.py"
            file.parent.mkdir()
            file.write_text(
                f"from promissory import task\n\n@task\ndef work(x: int) -> int:\n    return x + {number}\n"
            )
            spec = importlib.util.spec_from_file_location("plugin", file)
            sys.modules["plugin"] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules["plugin"])
            made.append(sys.modules["plugin"].work)
            assert computed(made[-1], x=1) == 1 + number
        assert computed(made[0], x=1) == 2  # the first one's module is hidden now by the second's
    finally:
        sys.modules.pop("plugin", None)


def test_R6_a_resume_on_processes_runs_the_code_that_was_loaded_again(module, store):
    broken = FLOW.replace("return scaled(x)", 'raise OSError("to be repaired")\n        return scaled(x)')
    ended = run(module(flow=broken).flow, {"x": 1}, store=store, engine="processes")
    assert ended.state == "FAILED"
    loaded = module()
    changes = []
    again = resume(ended.id, store=store, engine="processes", on_change=changes.append)
    assert again.result == 11
    assert [change.name for change in changes] == ["flow:work"]
    assert changes[0].new == loaded.work.callee().digest


# --- other interpreters -----------------------------------------------------------------------------------------------


class Touches:
    """A file appears when its pickle is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_A11_a_function_of_another_python_is_refused_before_it_is_loaded(tmp_path):
    with pytest.raises(OtherPython) as told:
        load_entity(seal(MAGIC, VERSION, 1, pack([ANOTHER_PYTHON, pickle.dumps(Touches(tmp_path / "loaded"))])))
    assert ANOTHER_PYTHON in str(told.value)
    assert PYTHON in str(told.value)
    assert not (tmp_path / "loaded").exists()


def test_A11_the_bytes_of_a_function_begin_with_its_python():
    by = 2

    @task
    def scaled(x: int) -> int:
        return by * x

    assert PYTHON.encode() in dump_entity(scaled)[:32]
    assert load_entity(dump_entity(scaled))(3) == 6


CLOSURE = """
    from promissory import task, workflow

    def made(k):
        @task
        def scaled(x: int) -> int:
            return x * k

        @workflow
        def flow(x: int) -> int:
            return scaled(x)

        return scaled, flow
"""
RUN_STORED = """
    import json
    from promissory import run
    from promissory import Plan
    error = run(Plan.load("flow.plan"), {"x": 1}, engine=ENGINE, run_id="one").error
    print(json.dumps([error.path, type(error.__cause__).__name__, str(error)]))
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
@pytest.mark.parametrize("place", ["under its own key", "under this Python's key"])
def test_A11_a_run_refuses_a_function_that_another_python_stored(project, write_module, tmp_path, engine, place):
    scaled, flow = write_module("closure", CLOSURE).made(3)
    flow.compile().save(project.folder / "flow.plan")
    evil = seal(MAGIC, VERSION, 1, pack([ANOTHER_PYTHON, pickle.dumps(Touches(tmp_path / "loaded"))]))
    store = Store(project.folder / "store")
    for key in code_keys("one", scaled.callee(), ANOTHER_PYTHON if place == "under its own key" else PYTHON):
        store.put_new(key, evil)
    path, kind, said = json.loads(project.code(RUN_STORED.replace("ENGINE", repr(engine))))
    assert (path, kind) == ("main/scaled", "CodeMismatch")
    assert ANOTHER_PYTHON in said
    assert PYTHON in said
    assert not (tmp_path / "loaded").exists()


def test_A11_a_function_that_nobody_stored_is_told(project, write_module):
    _, flow = write_module("closure", CLOSURE).made(3)
    flow.compile().save(project.folder / "flow.plan")
    path, kind, said = json.loads(project.code(RUN_STORED.replace("ENGINE", "'processes'")))
    assert (path, kind) == ("main/scaled", "CodeNotFound")
    assert "closure:made.<locals>.scaled is defined where no import reaches it" in said


def test_A11_a_stored_function_that_is_no_function_is_told_and_not_believed(project, write_module):
    scaled, flow = write_module("closure", CLOSURE).made(3)
    flow.compile().save(project.folder / "flow.plan")
    for key in code_keys("one", scaled.callee(), PYTHON):
        Store(project.folder / "store").put_new(key, b"\xc1 no function")
    path, kind, said = json.loads(project.code(RUN_STORED.replace("ENGINE", "'processes'")))
    assert (path, kind) == ("main/scaled", "CodeNotFound")
    assert "scaled" in said


def test_X2_a_kept_worker_that_has_gone_when_it_is_heard_to_be_stale_is_no_failed_start(computed, module, monkeypatch):
    """It said that its modules are old and ended, before anybody listened."""
    assert computed(module().flow, x=1) == 11
    opened = WorkerProcess.open

    def open_and_wait(worker, name, opening):
        opened(worker, name, opening)
        if worker.pid in kept:
            os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

    kept = {worker.pid for worker in spare._spare.workers}
    assert kept
    monkeypatch.setattr(WorkerProcess, "open", open_and_wait)
    changed = module(helper=HELPER.replace("10 * x", "20 * x"))
    assert computed(changed.flow, x=1) == 21
