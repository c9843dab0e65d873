"""Authors who submit, and workers, each in a folder of their own."""

import os
import subprocess
import sys

import pytest

from promissory import Store
from promissory.executor.engines.registry import engine_named
from promissory.executor.execution.options import Options
from promissory.executor.remote.work import Work

PATIENCE = 60.0
FLOW = """
    import os, time
    from pathlib import Path

    from promissory import current_context, dynamic, task, workflow

    @task
    def inc(x: int) -> int:
        return x + {by}

    @workflow
    def tiny(x: int) -> int:
        return inc(x)

    @task
    def marked(folder: str, n: int) -> int:
        with open(Path(folder, "begun"), "a") as file:
            file.write(f"{{n}}\\n")
        while n == 2 and not Path(folder, "go").exists():
            time.sleep(0.01)
        return n

    @workflow
    def long(folder: str) -> int:
        one = marked(folder, 1)
        two = marked(folder, 2)
        three = marked(folder, 3)
        one >> two >> three
        return three
"""


@pytest.fixture
def shell(project):
    """A function: what a Python process says that runs in a folder of the project."""

    def do(*arguments, cwd="."):
        command = [sys.executable, "-B", *map(str, arguments)]
        return subprocess.run(command, cwd=project.folder / cwd, capture_output=True, text=True, timeout=PATIENCE)

    return do


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def author(project, shell, tmp_path):
    """The author's folder, and a function that submits from there, on the command line."""
    project.write("author/flow.py", FLOW.format(by=100))

    def do(*arguments, workflow="tiny", **inputs):
        given = [text for name, value in inputs.items() for text in (f"--{name}", value)]
        command = ["submit", "--quiet", "--store", tmp_path / "store", *arguments, "flow.py", workflow, *given]
        done = shell("-m", "promissory", *command, cwd="author")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.strip()

    return do


@pytest.fixture
def worker(project, tmp_path):
    """Starts a worker in an empty folder of its own."""
    (project.folder / "elsewhere").mkdir()
    begun = []

    def start(*arguments, cwd="elsewhere", **environment):
        command = [sys.executable, "-m", "promissory", "work", "--store", str(tmp_path / "store"), *arguments]
        process = subprocess.Popen(
            command,
            cwd=project.folder / cwd,
            env={**os.environ, "PYTHONPATH": "", **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def flow():
    """The source of the author's module; `by` is what its task adds."""
    return lambda by: FLOW.format(by=by)


@pytest.fixture
def work():
    """A function that works in this process until nothing waits. It gives what was said."""

    def do(store, *queues, max_runs=4):
        said = []

        def options():
            return Options(engine=engine_named("processes"), echo=False, says=False)

        assert Work(store, queues or ["default"], options, max_runs, said.append).carry_on(True, 10.0)
        return said

    return do


@pytest.fixture
def begun():
    """A function: the bodies of `long` that have begun, in order."""
    return _begun


def _begun(folder):
    path = folder / "begun"
    return path.read_text().split() if path.exists() else []
