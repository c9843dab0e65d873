"""R6: a resume after a code change keeps what is committed and runs today's code, unless what is left would not fit."""

import importlib
import json
import shutil
import sys

import pytest

from promissory import resume, run
from promissory.errors import CodeChanged, CodeNotFound, RunFailed
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end
from promissory.executor.protocol.events import CODE

FLOW = """
    from promissory import dynamic, task, workflow

    ran = []

    @task
    def first(x: int) -> int:
        ran.append("first")
        return x + 1

    @task
    def second(x: int, by: int = 10) -> int:
        ran.append("second")
        raise ValueError("to be repaired")

    @task
    def third(x: int) -> int:
        ran.append("third")
        return 2 * x

    @dynamic
    def grows(x: int) -> int:
        ran.append("grows")
        return third(third(x))

    @workflow
    def flow(x: int) -> int:
        return grows(second(first(x)))
"""

REPAIRED = FLOW.replace('raise ValueError("to be repaired")', "return x + by")
OTHER_FIRST = REPAIRED.replace("x + 1", "x + 1000")
OTHER_INTERFACE = REPAIRED.replace("second(x: int, by", "second(x: int, more: int = 1, by")
OTHER_RESULT = REPAIRED.replace("def third(x: int) -> int", "def third(x: int) -> float")


@pytest.fixture
def failed_run(project):
    """The id of a run, made by another process, that failed in its second task."""
    project.write("flow.py", FLOW)
    project.code("from promissory import run; from flow import flow; run(flow, {'x': 1}, run_id='changed')")
    return "changed"


RESUME = """
import json
from promissory import resume
from promissory.errors import ExecutorError
import flow
changes = []
try:
    ended = resume("changed", on_change=changes.append, **OPTIONS)
    said = [ended.state, ended.result if ended.state == "SUCCEEDED" else str(ended.error)]
except ExecutorError as error:
    said = [type(error).__name__, str(error)]
print(json.dumps([*said, [[change.name, change.old.hex(), change.new.hex()] for change in changes], flow.ran]))
"""


def resumed(project, **options):
    output = project.code(
        RESUME.replace("**OPTIONS", "".join(f"{name}={value!r}, " for name, value in options.items()))
    )
    return json.loads(output.splitlines()[-1])


def test_R6_committed_results_stay_and_the_rest_runs_todays_code(project, failed_run, events_of):
    project.write("flow.py", OTHER_FIRST)
    state, result, changes, ran = resumed(project)
    assert (state, result) == ("SUCCEEDED", 4 * (1 + 1 + 10))
    assert ran == ["second", "grows", "third", "third"]
    assert [name for name, _, _ in changes] == ["flow:second"]
    recorded = [event for event in events_of(project.store, failed_run) if event[0] == CODE]
    assert [[name, old.hex(), new.hex()] for _, name, old, new in recorded] == changes
    assert changes[0][1] != changes[0][2]
    assert History(project.store, failed_run).changed_code == ["flow:second"]


def test_R6_code_that_did_not_change_is_not_told(project, failed_run):
    state, _, changes, ran = resumed(project)
    assert (state, changes, ran) == ("FAILED", [], ["second"])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            OTHER_INTERFACE,
            "flow:second(x: int, by: int = …) -> int became flow:second(x: int, more: int = …, by: int = …) -> int",
        ),
        (REPAIRED.replace("by: int = 10", "by: int"), "flow:second"),
    ],
    ids=["another parameter", "a default that is needed is gone"],
)
def test_R6_another_interface_is_refused_before_anything_runs(project, failed_run, source, said):
    project.write("flow.py", source)
    before = find_end(project.store, failed_run)
    state, message, changes, ran = resumed(project)
    assert (state, changes, ran) == ("CodeChanged", [], [])
    assert said in message
    assert "Start a new run" in message
    assert find_end(project.store, failed_run) == before


def test_R6_another_interface_of_what_is_traced_anew_is_no_hindrance(project, failed_run):
    project.write(
        "flow.py", OTHER_RESULT.replace("def grows(x: int) -> int:", "def grows(x: int) -> int:\n        return x\n")
    )
    state, result, *_ = resumed(project)
    assert (state, result) == ("SUCCEEDED", 12)


def test_R6_strict_code_refuses_every_change(project, failed_run):
    project.write("flow.py", REPAIRED)
    state, message, changes, ran = resumed(project, strict_code=True)
    assert (state, changes, ran) == ("CodeChanged", [], [])
    assert "flow:second" in message
    assert resumed(project)[0] == "SUCCEEDED"


def test_R6_strict_code_goes_on_when_nothing_changed(project, failed_run):
    assert resumed(project, strict_code=True)[:1] == ["FAILED"]


def test_R6_a_change_is_told_once(project, failed_run):
    """The second resume runs the code that the first one ran: nothing has changed since."""
    project.write("flow.py", REPAIRED.replace("2 * x", "int('broken')"))
    first = resumed(project)
    assert first[0] == "FAILED"
    assert [name for name, *_ in first[2]] == ["flow:second"]
    project.write("flow.py", REPAIRED)
    state, result, changes, _ = resumed(project)
    assert (state, result) == ("SUCCEEDED", 48)
    assert [name for name, *_ in changes] == ["flow:third"]


RESUME_ELSEWHERE = """
from promissory import resume
error = resume("changed").error
print(type(error.__cause__).__name__, error.path, error.__cause__)
"""


def test_R6_a_module_that_is_gone_is_run_as_it_was_when_the_run_began(project, failed_run):
    (project.folder / "flow.py").unlink()
    assert project.code(RESUME_ELSEWHERE).startswith("ValueError main/second to be repaired")


def test_R6_a_module_that_is_gone_from_the_store_too_fails_the_node_that_needs_it(project, failed_run):
    (project.folder / "flow.py").unlink()
    shutil.rmtree(project.folder / "store" / "code")
    output = project.code(RESUME_ELSEWHERE)
    assert output.startswith("CodeNotFound main/second cannot import module 'flow'")
    assert CodeNotFound.__name__ in output


def test_R6_a_resume_in_the_same_process_runs_the_code_that_was_loaded_again(store, write_module):
    """As in a notebook, where the run that failed is still at hand with everything that it held."""
    module = write_module("flow_again", FLOW)
    ended = run(module.flow, {"x": 1}, store=store)
    with pytest.raises(RunFailed):
        _ = ended.result
    module = write_module("flow_again", REPAIRED)
    changes = []
    again = resume(ended.id, store=store, on_change=changes.append)
    assert again.state == "SUCCEEDED"
    assert again.result == 48
    assert [change.name for change in changes] == ["flow_again:second"]
    assert sys.modules["flow_again"] is importlib.import_module("flow_again")


def test_R6_a_task_of_another_interface_in_the_same_process_is_refused(store, write_module):
    module = write_module("flow_wide", FLOW)
    run_id = run(module.flow, {"x": 1}, store=store).id
    del module
    write_module("flow_wide", OTHER_INTERFACE)
    with pytest.raises(CodeChanged):
        resume(run_id, store=store)
