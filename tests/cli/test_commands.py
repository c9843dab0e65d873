"""J3, J7, X8 at the command line: pause, unpause, stop, cancel, export, rerun, doctor, and a run id that is used again:
what they say and with which code they exit.
"""

import json
import os
import shutil
import signal

import pytest

from promissory import Store, attach
from promissory.executor.history.history import History
from promissory.executor.store.keys import run_key, segment_key

ENGINES = ("inline", "threads", "processes")


@pytest.fixture
def going(shell, until):
    """A function (options…) → the process of a run "a" of many short tasks, which has begun."""
    shell.write(
        "chain.py",
        """
        import os, threading
        from promissory import task, workflow

        @task
        def step(x: int) -> int:
            with open("started", "a") as file:
                file.write(f"{x}\\n")
            if os.path.exists("slow"):
                threading.Event().wait(0.002)
            return x + 1

        @workflow
        def chain(x: int = 0) -> int:
            for _ in range(3000):
                x = step(x)
            return x
        """,
    )

    shell.write("slow", "")

    def start(*options):
        process = shell.start("run", "--run-id", "a", *options, "chain.py")
        until(lambda: (shell.folder / "started").exists())
        return process

    return start


def opened(shell, name=".promissory"):
    return Store(shell.folder / name)


# --- to a run in another process ---


@pytest.mark.parametrize("engine", ENGINES)
def test_J3_a_run_is_paused_unpaused_stopped_and_resumed(shell, going, engine):
    process = going("--engine", engine)
    paused = shell.promissory("pause", "a", "--reason", "lunch")
    assert (paused.returncode, paused.stdout, paused.stderr) == (
        0,
        "",
        "run a is paused; to go on: promissory unpause a\n",
    )
    status = json.loads(shell.promissory("status", "--json", "a").stdout)
    assert status["state"] == "PAUSED"
    unpaused = shell.promissory("unpause", "a")
    assert (unpaused.returncode, unpaused.stderr) == (0, "run a goes on\n")
    stopped = shell.promissory("stop", "a", "--reason", "evening")
    assert (stopped.returncode, stopped.stderr) == (0, "run a is stopped; to go on: promissory resume a\n")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.rstrip().endswith("promissory: run a is interrupted (evening): promissory resume a")
    (shell.folder / "slow").unlink()
    resumed = shell.promissory("resume", "--engine", engine, "--quiet", "a")
    assert (resumed.returncode, resumed.stdout) == (0, "3000\n")
    assert (shell.folder / "started").read_text().split() == [str(number) for number in range(3000)]


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
def test_X8_a_cancelled_run_exits_with_1_and_says_why(shell, going, engine):
    process = going("--engine", engine)
    cancelled = shell.promissory("cancel", "a", "--reason", "not needed")
    assert (cancelled.returncode, cancelled.stderr) == (0, "run a is CANCELLED\n")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.rstrip().rpartition("\n")[2] == "promissory: run a was cancelled: not needed"
    assert "state    CANCELLED (not needed)" in shell.promissory("status", "a").stdout


@pytest.mark.full
def test_X8_runs_and_status_agree_on_what_is_paused(shell, going):
    process = going()
    shell.promissory("pause", "a")
    assert "PAUSED" in shell.promissory("runs").stdout
    assert "state    PAUSED" in shell.promissory("status", "a").stdout
    shell.promissory("cancel", "a")
    process.communicate(timeout=60)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("command", "said"),
    [("stop", "promissory resume a --store 'other place'"), ("pause", "promissory unpause a --store 'other place'")],
)
def test_J3_the_way_on_that_is_said_works_with_another_store(shell, going, command, said):
    process = going("--store", "other place")
    ended = shell.promissory(command, "--store", "other place", "a")
    shell.promissory("cancel", "--store", "other place", "a")
    process.communicate(timeout=60)
    assert said in ended.stderr or "--store" in ended.stderr


@pytest.mark.full
def test_J3_a_stopped_run_can_be_resumed_at_once(shell, going):
    process = going()
    shell.promissory("stop", "a")
    (shell.folder / "slow").unlink()
    assert shell.promissory("resume", "--engine", "inline", "--quiet", "a").stdout == "3000\n"
    process.communicate(timeout=60)


# --- to a run that has no executor ---


@pytest.fixture
def ended(shell, held):
    held.remove()
    assert shell.promissory("run", "--run-id", "a", "held.py").returncode == 0


@pytest.fixture
def dead(shell, held, until):
    process = shell.start("run", "--engine", "inline", "--run-id", "a", "held.py")
    held.wait_for_task()
    until(lambda: {row.path: row.state for row in History(opened(shell), "a").nodes()}["main/first"] == "SUCCEEDED")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    held.remove()


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("command", ["pause", "unpause", "stop"])
def test_J3_a_run_that_has_ended_is_told_nothing(ended, cli, told, command):
    code, out, err = cli(command, "a")
    assert (code, out) == (2, "")
    assert told(err) == f"nobody works on run a, so there is nobody to {command} it"


@pytest.mark.parametrize("command", ["pause", "unpause", "stop"])
def test_J3_a_run_that_was_killed_is_told_nothing(dead, cli, told, command):
    code, _, err = cli(command, "a")
    assert code == 2
    assert told(err) == f"nobody works on run a, so there is nobody to {command} it"


def test_X8_a_run_that_has_ended_stays_as_it_is_when_it_is_cancelled(ended, cli):
    assert cli("cancel", "a") == (0, "", "run a is SUCCEEDED\n")


def test_X8_a_run_that_was_killed_can_be_cancelled(dead, cli, shell):
    assert cli("cancel", "a", "--reason", "it is over") == (0, "", "run a is CANCELLED\n")
    assert "state    CANCELLED (it is over)" in cli("status", "a")[1]
    assert shell.promissory("run", "--run-id", "a", "held.py").returncode == 1


def test_X8_a_run_whose_executor_dies_of_the_cancel_is_cancelled_all_the_same(shell, held, cli, until):
    """The executor is killed while the command waits for it."""
    process = shell.start("run", "--engine", "inline", "--run-id", "a", "held.py")
    held.wait_for_task()
    asked = shell.start("cancel", "a")
    until(lambda: opened(shell).list(run_key("a", "inbox")))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    _, err = asked.communicate(timeout=60)
    assert (asked.returncode, err) == (0, "run a is CANCELLED\n")
    assert attach("a", store=shell.folder / ".promissory").state == "CANCELLED"


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause",),
        ("unpause",),
        ("stop",),
        ("cancel",),
        ("doctor",),
        ("status",),
        ("rerun", "--from", "main/x"),
        ("resume",),
    ],
)
def test_J3_an_unknown_run_is_a_wrong_use(cli, told, arguments):
    cli("doctor", "--mark")
    code, _, err = cli(*arguments, "nobody")
    assert code == 2
    assert told(err).startswith("there is no run 'nobody' in the store ")


def test_J3_an_unknown_run_can_not_be_exported(cli, told):
    cli("doctor", "--mark")
    code, _, err = cli("export", "nobody", "there")
    assert code == 2
    assert told(err).startswith("there is no run 'nobody'")


# --- export ---

NODES = """
from pathlib import Path
from promissory import task, dynamic, workflow

@task
def step(x: int) -> int:
    print(f"step {x}")
    if x == 2 and Path("broken").exists():
        raise ValueError("not today")
    return x + 1

@dynamic
def down(x: int) -> int:
    return step(down(x - 1)) if x else step(0)

@workflow
def nodes(x: int = 3) -> int:
    return step(down(x))
"""


@pytest.fixture
def failed(shell):
    """A run "a" that failed in a dynamic."""
    shell.write("nodes.py", NODES)
    shell.write("broken", "")
    assert shell.promissory("run", "--engine", "inline", "--quiet", "--run-id", "a", "nodes.py").returncode == 1


@pytest.fixture
def exported(shell, failed):
    """Where it was exported to; the store that it came from is gone."""
    done = shell.promissory("export", "a", "abroad")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("to go on there: promissory resume a --store abroad\n")
    shutil.rmtree(shell.folder / ".promissory")
    return "abroad"


def test_J7_every_command_works_on_an_exported_run(exported, cli, shell):
    there = ("--store", exported)
    assert "state    FAILED (main/down/down/step: ValueError: not today)" in cli("status", *there, "a")[1]
    assert "a" in cli("runs", *there)[1]
    assert "step 2" in cli("logs", *there, "a", "main/down/down/step")[1]
    assert cli("futures", *there, "a")[1].split() == [
        "main/down",
        "main/down/down",
        "main/down/down/down",
        "main/down/down/down/down",
    ]
    assert "step" in cli("show", *there, "a")[1]
    assert cli("explain", *there, "a", "main/down/down/step")[0] == 0
    assert cli("doctor", *there, "a")[:2] == (0, "run a is whole\n")
    (shell.folder / "broken").unlink()
    resumed = shell.promissory("resume", *there, "--quiet", "a")
    assert (resumed.returncode, resumed.stdout) == (0, "5\n")


@pytest.mark.full
def test_J7_an_exported_run_is_resumed_in_another_folder_without_the_authors_file(exported, shell, tmp_path):
    shutil.move(shell.folder / exported, tmp_path / "moved")
    (shell.folder / "nodes.py").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    resumed = shell.promissory("resume", "--store", tmp_path / "moved", "--quiet", "a", cwd=elsewhere)
    assert (resumed.returncode, resumed.stdout) == (0, "5\n"), resumed.stderr


@pytest.mark.full
def test_J7_a_run_is_not_exported_over_another_one(shell, failed, told):
    shell.promissory("run", "--store", "other", "--run-id", "a", "--quiet", "nodes.py", "--x", "1")
    done = shell.promissory("export", "a", "other")
    assert done.returncode == 2
    assert "has another run 'a': export into a store of its own" in told(done.stderr)


# --- rerun ---


def test_R6_a_rerun_says_where_it_comes_from_and_prints_the_result(shell, cli):
    shell.write("nodes.py", NODES)
    shell.promissory("run", "--engine", "inline", "--quiet", "--run-id", "a", "nodes.py")
    done = shell.promissory("rerun", "--engine", "inline", "--run-id", "b", "--from", "main/down/step", "a")
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert "from main/down/step of run a" in done.stderr
    assert [line for line in done.stderr.splitlines() if "| step" in line] == [
        "main/down/step | step 3",
        "main/step | step 4",
    ]
    assert "from     main/down/step of run a" in cli("status", "b")[1]
    assert cli("status", "a")[1].count("from ") == 0


def test_R6_lineage_is_in_the_json_too(shell, cli):
    shell.write("nodes.py", NODES)
    shell.promissory("run", "--engine", "inline", "--quiet", "--run-id", "a", "nodes.py")
    shell.promissory("rerun", "--engine", "inline", "--quiet", "--run-id", "b", "--from", "main/down/step", "a")
    assert "main/down/step" in cli("status", "--json", "b")[1]


def test_R6_a_rerun_repairs_what_failed(shell, failed):
    (shell.folder / "broken").unlink()
    done = shell.promissory("rerun", "--quiet", "--from", "main/down/down/step", "a")
    assert (done.returncode, done.stdout) == (0, "5\n")


@pytest.mark.full
def test_R6_a_rerun_that_fails_exits_with_1_and_can_be_resumed(shell, failed):
    done = shell.promissory("rerun", "--quiet", "--run-id", "b", "--from", "main/down/down/step", "a")
    assert done.returncode == 1
    assert "promissory resume b" in done.stderr
    (shell.folder / "broken").unlink()
    assert shell.promissory("resume", "--quiet", "b").stdout == "5\n"


def test_R6_a_rerun_of_an_unknown_node_is_a_wrong_use_that_names_those_that_there_are(failed, cli, told):
    code, _, err = cli("rerun", "--from", "main/down/nobody", "a")
    assert code == 2
    assert told(err) == "there is no node 'nobody' in main/down; there is: down, step"


def test_R6_a_rerun_without_a_node_is_a_wrong_use(failed, cli, told):
    code, _, err = cli("rerun", "a")
    assert code == 2
    assert "--from" in told(err)


# --- one run id ---


def test_R6_a_run_id_that_is_used_again_is_the_same_run(shell):
    shell.write("nodes.py", NODES)
    first = shell.promissory("run", "--run-id", "a", "nodes.py")
    again = shell.promissory("run", "--run-id", "a", "nodes.py")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "run a is there already" in again.stderr
    assert "| step" not in again.stderr


def test_R6_a_run_id_of_another_run_is_a_wrong_use(shell, cli, told):
    shell.write("nodes.py", NODES)
    shell.promissory("run", "--run-id", "a", "nodes.py")
    code, _, err = cli("run", "--run-id", "a", "nodes.py", "nodes", "--x", "4")
    assert code == 2
    assert "with another x" in told(err)


def test_R6_a_run_id_of_an_interrupted_run_goes_on(dead, shell):
    again = shell.promissory("run", "--run-id", "a", "held.py")
    assert (again.returncode, again.stdout) == (0, "20\n")
    assert "first here" not in again.stderr


def test_R6_a_run_id_of_a_live_run_waits_for_it(shell, held, until):
    process = shell.start("run", "--engine", "inline", "--run-id", "a", "held.py")
    held.wait_for_task()
    other = shell.start("run", "--run-id", "a", "held.py")
    until(lambda: "is there already" in (other.stderr.readline()))
    held.remove()
    assert other.communicate(timeout=60)[0] == process.communicate(timeout=60)[0] == "20\n"


# --- doctor ---


def test_J4_doctor_says_that_a_run_is_whole(ended, cli):
    assert cli("doctor", "a") == (0, "run a is whole\n", "")
    code, out, _ = cli("doctor", "--json", "a")
    assert (code, json.loads(out)) == (0, {"run": "a", "whole": True, "findings": []})


def test_J4_doctor_exits_with_1_names_the_key_and_says_what_to_do(ended, cli, shell):
    store, key = opened(shell), segment_key("a", 0)
    data = store.get(key)
    store.put(key, data[:40] + bytes([data[40] ^ 1]) + data[41:])
    code, out, err = cli("doctor", "a")
    assert (code, err) == (1, "")
    first, last = out.splitlines()
    assert first.startswith(f"error   {key} is damaged: its check sum does not match its bytes")
    assert "Way out: " in first
    assert last == "run a has lost something"
    code, out, _ = cli("doctor", "--json", "a")
    assert (code, json.loads(out)["findings"][0]["key"]) == (1, key)


def test_J4_a_damaged_run_is_said_to_be_so_by_every_reader(ended, cli, shell, told):
    store = opened(shell)
    key = store.list(run_key("a", "journal"))[-1]
    data = store.get(key)
    store.put(key, data[:40] + bytes([data[40] ^ 1]) + data[41:])
    assert "DAMAGED" in cli("runs")[1]
    for command in ("status", "resume", "logs", "futures", "cancel"):
        code, _, err = cli(command, "a")
        assert (code, key in told(err)) == (1, True), command


def test_J4_doctor_of_a_damaged_manifest_exits_with_1(ended, cli, shell):
    opened(shell).put(run_key("a", "manifest"), b"garbage")
    code, out, _ = cli("doctor", "a")
    assert (code, out.splitlines()[-1]) == (1, "run a has lost something")
    assert run_key("a", "manifest") in out


def test_X8_the_history_of_a_cancelled_run_that_nobody_worked_on_is_whole(dead, cli, shell):
    cli("cancel", "a")
    assert cli("doctor", "a")[0] == 0
    assert History(opened(shell), "a").state == "CANCELLED"
