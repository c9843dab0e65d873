"""`promissory resume`: after a kill, a failure, a repair; refused while the run is live."""

import json
import os
import signal

import pytest

BAD = """
    from promissory import task, workflow

    @task
    def first(x: int) -> int:
        print("first here")
        return x + 1

    @task
    def second(x: int) -> int:
        raise ValueError("no pears")

    @workflow
    def flow(x: int = 1) -> int:
        return second(first(x))
"""
REPAIRED = BAD.replace('raise ValueError("no pears")', "return x * 10")


@pytest.fixture
def failed(shell):
    shell.write("flow.py", BAD)
    assert shell.promissory("run", "--run-id", "a", "flow.py").returncode == 1
    return shell.folder / "flow.py"


@pytest.fixture
def running(shell, held, cli, until):
    process = shell.start("run", "--run-id", "a", "held.py")
    held.wait_for_task()
    until(lambda: json.loads(cli("status", "--json", "a")[1])["counts"].get("SUCCEEDED") == 1)
    return process


def test_J1_resume_after_kill_goes_on_and_repeats_nothing(shell, running, held):
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    held.remove()
    ended = shell.promissory("resume", "a")
    assert (ended.returncode, ended.stdout) == (0, "20\n")
    assert "second here" in ended.stderr
    assert "first here" not in ended.stderr


@pytest.mark.full
def test_resume_from_another_folder(shell, running, held):
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    held.remove()
    (shell.folder / "elsewhere").mkdir()
    ended = shell.promissory("resume", "--store", shell.folder / ".promissory", "a", cwd=shell.folder / "elsewhere")
    assert (ended.returncode, ended.stdout) == (0, "20\n"), ended.stderr


def test_J3_resume_of_a_live_run_is_refused_and_names_its_process(shell, running, told):
    ended = shell.promissory("resume", "a")
    assert ended.returncode in (1, 2)
    assert f"process {running.pid} " in told(ended.stderr)
    assert "--take-over" in ended.stderr
    assert running.poll() is None


def test_J3_resume_take_over_wins_and_the_other_executor_stops(shell, running, held):
    held.path.unlink()
    ended = shell.promissory("resume", "--take-over", "a")
    assert (ended.returncode, ended.stdout) == (0, "20\n")
    held.remove()
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (1, "")
    assert "was taken over by another executor" in err
    assert "Traceback" not in err
    assert shell.promissory("resume", "a").stdout == "20\n"


@pytest.mark.full
def test_resume_of_a_failed_run_fails_again_while_nothing_is_repaired(shell, failed):
    ended = shell.promissory("resume", "a")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "main/second failed: ValueError: no pears" in ended.stderr
    assert "first here" not in ended.stderr


def test_R6_resume_after_a_repair_runs_the_new_code_and_says_so(shell, failed):
    shell.write("flow.py", REPAIRED)
    ended = shell.promissory("resume", "a")
    assert (ended.returncode, ended.stdout) == (0, "20\n")
    assert ended.stderr.count("flow:second has changed since the run began") == 1
    assert "flow:first" not in ended.stderr


def test_R6_resume_prints_a_line_for_each_changed_callable_that_is_left(shell):
    shell.write(
        "flow.py",
        BAD.replace("second(first(x))", "third(second(first(x)))").replace(
            "@workflow", "@task\n    def third(x: int) -> int:\n        return x\n\n    @workflow"
        ),
    )
    shell.promissory("run", "--run-id", "a", "flow.py")
    changed = (
        (shell.folder / "flow.py")
        .read_text()
        .replace('raise ValueError("no pears")', "return 3")
        .replace("return x\n", "return x + 0\n")
        .replace("x + 1", "x + 2")
    )
    shell.write("flow.py", changed)
    ended = shell.promissory("resume", "a")
    assert (ended.returncode, ended.stdout) == (0, "3\n")
    assert [line.partition(" has changed")[0] for line in ended.stderr.splitlines() if " has changed" in line] == [
        "flow:second",
        "flow:third",
    ]


def test_R6_status_tells_what_changed(shell, failed, cli):
    shell.write("flow.py", REPAIRED)
    shell.promissory("resume", "a")
    assert "changed  flow:second runs newer code" in cli("status", "a")[1]


@pytest.mark.full
def test_R6_resume_strict_code_refuses_a_change(shell, failed, told):
    shell.write("flow.py", REPAIRED)
    ended = shell.promissory("resume", "--strict-code", "a")
    assert ended.returncode != 0
    assert "flow:second" in told(ended.stderr)
    assert shell.promissory("resume", "a").returncode == 0, "it was only refused"


def test_R6_resume_strict_code_goes_on_where_nothing_changed(shell, running, held):
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    held.remove()
    assert shell.promissory("resume", "--strict-code", "a").stdout == "20\n"


def test_R6_resume_refuses_another_interface(shell, failed, told):
    shell.write("flow.py", REPAIRED.replace("def second(x: int)", "def second(x: str)"))
    ended = shell.promissory("resume", "a")
    assert ended.returncode != 0
    assert "second(x: int) -> int became flow:second(x: str) -> int" in told(ended.stderr)


@pytest.mark.full
def test_resume_with_the_file_where_it_is_now(shell, failed):
    failed.unlink()
    shell.write("moved/flow.py", REPAIRED)
    ended = shell.promissory("resume", "a", "moved/flow.py")
    assert (ended.returncode, ended.stdout) == (0, "20\n"), ended.stderr


def test_resume_without_the_moved_file_runs_the_source_that_the_run_began_with(shell, failed):
    failed.unlink()
    ended = shell.promissory("resume", "a")
    assert ended.returncode == 1
    assert "main/second failed: ValueError: no pears" in ended.stderr


@pytest.mark.full
def test_resume_of_a_file_that_breaks_at_import(shell, failed):
    shell.write("flow.py", "def f(:\n")
    ended = shell.promissory("resume", "a")
    assert ended.returncode != 0
    assert "SyntaxError" in ended.stderr or "invalid syntax" in ended.stderr
    assert "executor/" not in ended.stderr


@pytest.mark.full
def test_resume_of_a_file_that_exits_at_import_is_no_success(shell, failed):
    shell.write("flow.py", "raise SystemExit(0)\n")
    ended = shell.promissory("resume", "a")
    assert ended.returncode in (1, 2)
    assert "SystemExit" in ended.stderr or "sys.exit" in ended.stderr


def test_resume_of_a_finished_run_prints_the_result_again(shell, cli):
    shell.write("flow.py", REPAIRED)
    cli("run", "--run-id", "a", "flow.py")
    ended = shell.promissory("resume", "a")
    assert (ended.returncode, ended.stdout) == (0, "20\n")
    assert "first here" not in ended.stderr


def test_resume_of_a_finished_run_needs_no_code(shell, cli):
    shell.write("flow.py", REPAIRED)
    cli("run", "--run-id", "a", "flow.py")
    (shell.folder / "flow.py").unlink()
    assert shell.promissory("resume", "--json", "a").stdout == "20\n"


def test_resume_of_an_unknown_run(shell, told):
    shell.promissory("doctor", "--mark")
    ended = shell.promissory("resume", "nothing")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there is no run 'nothing' in the store file://" in told(ended.stderr)
    assert "`promissory runs` lists what is there" in told(ended.stderr)


def test_resume_without_an_argument(cli, told):
    code, _, err = cli("resume")
    assert code == 2
    assert "RUN" in told(err)
