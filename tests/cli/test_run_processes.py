"""A10, A11: `promissory run --engine processes` finds the code of whatever file, module or plan it is given; no worker
starts a run of its own.
"""

import os

import pytest

from promissory import Store
from promissory.executor.history.history import History

FLOW = """
from promissory import dynamic, task, workflow

@task
def inc(x: int) -> int:
    return x + 1

@dynamic
def up(x: int, times: int) -> int:
    return up(inc(x), times - 1) if times else x

@workflow
def flow(x: int = 1) -> int:
    return up(inc(x), 2)
"""
PROCESSES = ("run", "--quiet", "--engine", "processes")


@pytest.fixture
def runs(shell):
    """A function () → the state of each run in the store; each body ran in a worker process."""

    def read():
        store = Store(shell.folder / ".promissory")
        states = []
        for name in sorted(os.listdir(shell.folder / ".promissory" / "runs")):
            history = History(store, name)
            states.append(history.end[0] if history.end else "INTERRUPTED")
            assert {row.worker.partition("-")[0] for row in history.nodes()} <= {"process", ""}
        return states

    return read


def test_A10_a_file(shell, runs):
    shell.write("flow.py", FLOW)
    assert shell.promissory(*PROCESSES, "flow.py").stdout == "4\n"
    assert runs() == ["SUCCEEDED"]


def test_A11_a_file_elsewhere_with_what_is_beside_it(shell, runs):
    shell.write(
        "there/flow.py",
        "from pathlib import Path\n"
        "from beside import word\n"
        "from promissory import task\n\n"
        "@task\n"
        "def told(x: int) -> str:\n"
        "    from lazily import later\n\n"
        "    return f'{word} {later(x)} ' + (Path(__file__).parent / 'data.txt').read_text()\n",
    )
    shell.write("there/beside.py", "word = 'beside'\n")
    shell.write("there/lazily.py", "def later(x):\n    return -x\n")
    shell.write("there/data.txt", "data")
    assert shell.promissory(*PROCESSES, "there/flow.py", "told", "--x", "1").stdout == "beside -1 data\n"
    assert runs() == ["SUCCEEDED"]


@pytest.mark.full
def test_A11_a_file_in_a_package_and_a_module_by_name(shell, runs):
    shell.write("there/pkg/__init__.py", "")
    shell.write("there/pkg/words.py", "WORD = 'package'\n")
    shell.write(
        "there/pkg/flow.py",
        "from promissory import task\n"
        "from .words import WORD\n\n"
        "@task\n"
        "def told(x: int) -> str:\n"
        "    from . import words\n\n"
        "    return WORD + words.WORD\n",
    )
    assert shell.promissory(*PROCESSES, "there/pkg/flow.py", "told", "--x", "1").stdout == "packagepackage\n"
    assert (
        shell.promissory(*PROCESSES, "pkg.flow", "told", "--x", "1", PYTHONPATH=str(shell.folder / "there")).stdout
        == "packagepackage\n"
    )
    assert runs() == ["SUCCEEDED", "SUCCEEDED"]


def test_A10_a_file_without_a_main_guard(shell, runs):
    """The command imports it, so its own run is run once; the workers start none."""
    shell.write(
        "flow.py", f"from promissory import run\n{FLOW}\nprint(run(flow, {{'x': 10}}, engine='processes').result)\n"
    )
    ended = shell.promissory(*PROCESSES, "flow.py", "flow")
    assert ended.stdout == "4\n"
    assert "13" in ended.stderr.split()
    assert runs() == ["SUCCEEDED", "SUCCEEDED"]


@pytest.mark.full
def test_R6_a_resume_of_a_file_without_a_main_guard_starts_no_other_run(shell, runs):
    fragile = FLOW.replace("return x + 1", "assert os.path.exists('repaired')\n    return x + 1")
    shell.write(
        "flow.py",
        "import os\n"
        "from promissory import run\n"
        f"{fragile}\n"
        f"run(flow, {{'x': 1}}, engine='processes', run_id=os.environ.get('RUN_ID'))\n",
    )
    shell.promissory(*PROCESSES, "flow.py", "flow", RUN_ID="first")
    assert runs() == ["FAILED", "FAILED"]
    shell.write("repaired", "")
    assert shell.promissory("resume", "--quiet", "--engine", "processes", "first").stdout == "4\n"
    assert sorted(runs()) == ["FAILED", "SUCCEEDED"]


def test_A11_a_workflow_made_by_a_factory(shell, runs):
    shell.write(
        "flow.py",
        FLOW + "\n"
        "def made(k):\n"
        "    @task\n"
        "    def scaled(x: int) -> int:\n"
        "        return x * k\n\n"
        "    @workflow\n"
        "    def both(x: int = 1) -> int:\n"
        "        return scaled(inc(x))\n\n"
        "    return both\n\n"
        "both = made(7)\n",
    )
    assert shell.promissory(*PROCESSES, "flow.py", "both").stdout == "14\n"
    assert runs() == ["SUCCEEDED"]


def test_A11_a_plan_of_code_that_is_there(shell, runs):
    shell.write("flow.py", FLOW)
    assert shell.promissory("compile", "flow.py", "-o", "flow.plan").returncode == 0
    assert shell.promissory(*PROCESSES, "flow.plan").stdout == "4\n"
    assert runs() == ["SUCCEEDED"]


def test_A11_a_plan_of_other_code_is_told_before_the_first_call(shell, runs):
    shell.write("flow.py", FLOW)
    assert shell.promissory("compile", "flow.py", "-o", "flow.plan").returncode == 0
    shell.write("flow.py", FLOW.replace("return x + 1", "open('called', 'w').close()\n    return x + 1000"))
    ended = shell.promissory(*PROCESSES, "flow.plan")
    assert ended.returncode == 1
    assert "main/inc failed: CodeMismatch: flow:inc is not the code that the plan was made of" in ended.stderr
    assert not (shell.folder / "called").exists()
    assert runs() == ["FAILED"]


def test_A11_what_cannot_travel_is_told_in_a_line(shell, told):
    shell.write(
        "flow.py",
        "import threading\n"
        "from promissory import task, workflow\n\n"
        "def made():\n"
        "    lock = threading.Lock()\n\n"
        "    @task\n"
        "    def guarded(x: int) -> int:\n"
        "        with lock:\n"
        "            return x\n\n"
        "    @workflow\n"
        "    def flow(x: int = 1) -> int:\n"
        "        return guarded(x)\n\n"
        "    return flow\n\n"
        "flow = made()\n",
    )
    ended = shell.promissory(*PROCESSES, "flow.py", "flow")
    assert ended.returncode == 2
    assert told(ended.stderr).startswith("guarded can't travel to another process: ")
    assert not (shell.folder / ".promissory" / "runs").exists()
    assert shell.promissory("run", "--quiet", "--engine", "inline", "flow.py", "flow").stdout == "1\n"


def test_R6_a_run_is_resumed_in_another_folder_after_its_project_was_deleted(shell):
    shell.write(
        "there/flow.py",
        "import os\n"
        "from beside import word\n"
        "from promissory import task\n\n"
        "@task\n"
        "def told(x: int) -> str:\n"
        "    assert 'BROKEN' not in os.environ\n"
        "    return word * x\n",
    )
    shell.write("there/beside.py", "word = 'kept'\n")
    shell.promissory(*PROCESSES, "--run-id", "one", "there/flow.py", "told", "--x", "2", BROKEN="yes")
    for name in ("flow.py", "beside.py"):
        (shell.folder / "there" / name).unlink()
    assert (
        shell.promissory("resume", "--quiet", "--engine", "processes", "one", cwd=shell.folder).stdout == "keptkept\n"
    )
