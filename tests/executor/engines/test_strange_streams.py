"""X5: whatever streams a program has, or has not, its bodies run, and what they said is kept."""

import logging
import subprocess
import sys

import pytest

from promissory import run, task
from promissory.executor.history.history import History

PROGRAM = """
import sys
from promissory import run, task, workflow

@task
def hello(name: str) -> str:
    print("hello", name)
    print("and", name, file=sys.stderr)
    return name

@workflow
def main(name: str = "a") -> str:
    return hello(name)

if __name__ == "__main__":
    SETUP
    try:
        said = run(main, {"name": "a"}, engine=sys.argv[1], run_id="r").result
    except BaseException as error:
        said = repr(error)
    with open("said", "w") as file:
        file.write(said)
"""

CLOSED = {"no standard error": "2>&-", "no standard output": ">&-", "no input": "<&-", "nothing": "<&- >&- 2>&-"}

ODD = {
    "None": "sys.stderr = sys.stdout = None",
    "only write": """
    class Only:
        def write(self, text):
            return len(text)
    sys.stderr = sys.stdout = Only()""",
    "closed": "import io; sys.stderr = sys.stdout = io.StringIO(); sys.stderr.close()",
    "raises": """
    class Raises:
        def write(self, text):
            raise RuntimeError("the console is gone")
        def flush(self):
            raise RuntimeError("the console is gone")
    sys.stderr = Raises()""",
}


def kept(project):
    return project.python("-m", "promissory", "logs", "r")


@pytest.mark.parametrize("engine", ["processes", "inline", "threads"])
@pytest.mark.parametrize("how", CLOSED)
def test_X5_with_closed_descriptors_a_program_runs_and_what_bodies_said_is_kept(project, engine, how):
    project.write("program.py", PROGRAM.replace("SETUP", ""))
    script = f'exec "$0" -B program.py {engine} {CLOSED[how]}'
    subprocess.run(["sh", "-c", script, sys.executable], cwd=project.folder, env=_environment(project), timeout=40)
    assert project.lines("said") == ["a"]
    assert "hello a" in kept(project)


@pytest.mark.parametrize("engine", ["processes", "inline", "threads"])
@pytest.mark.parametrize("how", ODD)
def test_X5_with_odd_streams_a_program_runs_and_what_bodies_said_is_kept(project, engine, how):
    project.write("program.py", PROGRAM.replace("SETUP", ODD[how].strip()))
    process = project.spawn("program.py", engine)
    project.finish(process)
    assert project.lines("said") == ["a"]
    assert "hello a" in kept(project)


@pytest.mark.parametrize("how", ["no standard error", "nothing"])
def test_X5_the_command_line_runs_without_standard_error(project, how):
    project.write("program.py", PROGRAM.replace("SETUP", ""))
    script = f'exec "$0" -m promissory run --run-id r program.py main {CLOSED[how]}'
    ended = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=project.folder,
        env=_environment(project),
        timeout=40,
        stdout=subprocess.PIPE,
    )
    assert ended.returncode == 0
    assert "hello a" in kept(project)


def _environment(project):
    import os

    return {**os.environ, **project.environment}


library = logging.getLogger("a.library.with.a.stream")
library.propagate = False
library.setLevel(logging.INFO)
saved = []


@task
def says(n: int) -> int:
    library.info("worked on %d", n)
    print("to the saved stream", file=saved[0])
    print("to dunder", file=sys.__stdout__)
    return n


@pytest.mark.parametrize("engine", ["threads", "inline"])
def test_X5_streams_that_a_library_took_before_are_listened_to_in_bodies(store, engine, capfd):
    handler = logging.StreamHandler()
    library.addHandler(handler)
    saved[:] = [sys.stderr]
    try:
        run(says, {"n": 1}, store=store, run_id="r", engine=engine, echo=False)
    finally:
        library.removeHandler(handler)
    [row] = [row for row in History(store, "r").nodes() if row.log is not None] or [None]
    assert row is not None, "nothing was kept"
    said = store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]).decode()
    assert "worked on 1" in said
    assert "to the saved stream" in said
    assert "to dunder" in said
    print("after the run", file=saved[0])
    assert "after the run" in capfd.readouterr().err


LIMITED = """
import os, resource, sys
from promissory import run, task, workflow

@task
def says(n: int) -> int:
    with open("begun", "a") as file:
        file.write("x")
    WHAT
    return n

@task
def then(n: int) -> int:
    print("neighbour")
    return n + 1

@workflow
def main() -> int:
    return then(says(1))

if __name__ == "__main__":
    done = run(main, engine="processes", max_parallelism=1, run_id="r", echo=False)
    print(done.state, done.error)
"""

SPOILS = {
    "no room for what it says": """
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
    try:
        for _ in range(5000):
            print("x" * 90)
    except OSError:
        pass""",
    "a line that was never ended": """
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, resource.RLIM_INFINITY))
    try:
        print("x" * 9000, end="")
        sys.stdout.flush()
    except OSError:
        pass""",
    "closes its descriptors": """
    os.close(1); os.close(2)""",
    "closes them all": """
    os.closerange(0, 3)
    try:
        print("nowhere")
    except OSError:
        pass""",
}


@pytest.mark.parametrize("how", SPOILS)
def test_X5_a_body_whose_output_finds_no_place_runs_once_and_loses_no_worker(project, how):
    project.write("program.py", LIMITED.replace("WHAT", SPOILS[how].strip()))
    assert project.python("program.py").strip() == "SUCCEEDED None"
    assert project.lines("begun") == ["x"]
    assert "neighbour" in kept(project)


def test_X5_a_full_temporary_folder_costs_output_and_no_body(project, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        project.write(
            "program.py",
            LIMITED.replace(
                "WHAT",
                'try:\n        for _ in range(20000):\n            print("x" * 90)\n    except OSError:\n        pass',
            ),
        )
        assert project.python("program.py", TMPDIR=str(folder)).strip() == "SUCCEEDED None"
        assert project.lines("begun") == ["x"]
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
