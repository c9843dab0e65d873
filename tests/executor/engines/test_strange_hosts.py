"""Processes on hosts as they are: programs that are no Python, few descriptors, workers that have nothing to do."""

import os

import pytest

from promissory import run, task
from promissory.errors import EngineError
from promissory.executor.engines.processes import spare

FROZEN = """
import os, sys
from promissory import run, task
HOW

@task
def one(n: int) -> int:
    open("body", "w").close()
    return n

if __name__ == "__main__":
    with open("starts", "a") as file:
        file.write("x")
    try:
        run(one, {"n": 1}, engine="processes", run_id="r", echo=False)
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    "how",
    [
        "sys.frozen = True",
        'sys.frozen = "macosx_app"',
        'sys.frozen = True; sys._MEIPASS = "/tmp/unpacked"; sys.executable = os.path.abspath("app")',
        '__compiled__ = True; sys.modules["__main__"].__compiled__ = True',
    ],
    ids=["frozen", "py2app", "PyInstaller", "Nuitka"],
)
def test_X10_a_frozen_program_is_refused_before_anything_starts_with_the_ways_out(project, how):
    """Its executable is the program itself: a worker would be the program once more, and so on."""
    project.write("app.py", FROZEN.replace("HOW", how))
    said = project.python("app.py")
    assert said.startswith("EngineError")
    assert "threads" in said
    assert "inline" in said
    assert project.lines("starts") == ["x"]
    assert not (project.folder / "body").exists()
    assert project.store.list("runs") == []


FEW = """
import resource, sys, time
from promissory import run, task, workflow

@task
def work(n: int) -> int:
    time.sleep(0.05)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

@workflow
def main() -> list[int]:
    return [work(n) for n in range(16)]

if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if sys.argv[1] == "soft" else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    done = run(main, engine="processes", max_parallelism=10, run_id="r", echo=False)
    print(done.state, sorted(set(done.result)))
"""


@pytest.mark.parametrize("limit", ["soft", "hard"])
def test_X2_with_few_descriptors_a_run_has_the_workers_that_there_is_room_for(project, limit):
    """The soft limit is raised; where the hard one is as low, the run goes on with fewer workers and says so once.

    Bodies have the limit that the program was given: `select()` knows no descriptor above 1,023.
    """
    project.write("few.py", FEW)
    process = project.spawn("few.py", limit)
    said, errors = project.finish(process)
    assert (process.returncode, said.strip()) == (0, "SUCCEEDED [64]"), errors
    told = [line for line in errors.splitlines() if "worker" in line]
    assert len(told) == (limit == "hard")
    if told:
        assert "ulimit -n" in told[0] or "max_parallelism" in told[0]


def test_X2_a_limit_of_processes_costs_workers_and_not_the_run(project):
    """Only root's own processes are not counted; so somebody else plays."""
    if os.geteuid() != 0:
        pytest.skip("somebody else can only be played by root")
    project.write(
        "nproc.py",
        FEW.replace("resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))", "pass").replace(
            "done = run(",
            "import subprocess, errno; real = subprocess.Popen; seen = []\n"
            "    def few(*arguments, **options):\n"
            "        seen.append(1)\n"
            "        if len(seen) > 2:\n"
            "            raise BlockingIOError(errno.EAGAIN, 'Resource temporarily unavailable')\n"
            "        return real(*arguments, **options)\n"
            "    subprocess.Popen = few\n"
            "    done = run(",
        ),
    )
    process = project.spawn("nproc.py", "soft")
    said, errors = project.finish(process)
    assert said.startswith("SUCCEEDED"), errors


NO_FORK = """
import os, sys
if "-m" in sys.orig_argv:
    real = os.fork
    def fork():
        try:
            os.mkdir(f"started-{len([one for one in os.listdir() if one.startswith('started-')])}")
        except FileExistsError:
            return fork()
        if len([one for one in os.listdir() if one.startswith("started-")]) > MOST:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()
    os.fork = fork
"""


@pytest.mark.parametrize("most", [1, pytest.param(0, marks=pytest.mark.full)])
def test_X2_a_guard_that_may_start_no_worker_costs_that_worker_and_not_the_run(project, most):
    """The limit of processes is reached just between the two. With no worker at all the run says why."""
    project.write("sitecustomize.py", NO_FORK.replace("MOST", str(most)))
    project.write("nproc.py", FEW.replace("resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))", "pass"))
    said, errors = project.finish(project.spawn("nproc.py", "soft"))
    if most:
        assert said.startswith("SUCCEEDED"), errors
        assert "worker processes instead of" in errors
    else:
        assert "a worker process can't be started: [Errno 11] Resource temporarily unavailable" in errors


# --- workers that have nothing to do ---


@task
def one(n: int) -> int:
    return os.getpid()


@pytest.fixture
def no_spare_workers():
    spare.end_idle_workers()
    yield
    spare.end_idle_workers()


def test_X10_an_engine_that_can_not_start_a_single_worker_says_why_and_leaks_no_descriptor(store, monkeypatch):
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    spare.end_idle_workers()
    with pytest.raises(EngineError, match="worker process can't be started"):
        run(one, {"n": 1}, store=store, engine="processes", echo=False)
