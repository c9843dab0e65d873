"""`promissory runs`, `status`, `futures` and `logs`: on runs that succeeded, failed, were killed, and are running."""

import json
import os
import signal

import pytest

FLOW = """
    from promissory import dynamic, task, workflow

    @task
    def inc(x: int) -> int:
        print("inc of", x)
        return x + 1

    @task
    def boom(x: int) -> int:
        print("about to fail")
        raise ValueError("no pears")

    @dynamic
    def inner(x: int) -> int:
        print("inner sees", x)
        return inc(x)

    @dynamic
    def outer(x: int) -> int:
        return inner(inc(x))

    @workflow
    def good(x: int = 1) -> int:
        return outer(inc(x))

    @workflow
    def bad(x: int = 1) -> int:
        return inc(boom(inc(x)))
"""


@pytest.fixture
def good(shell, cli):
    shell.write("flow.py", FLOW)
    assert cli("run", "--run-id", "good", "flow.py", "good")[0] == 0
    return "good"


@pytest.fixture
def bad(shell, cli):
    shell.write("flow.py", FLOW)
    assert cli("run", "--run-id", "bad", "flow.py", "bad")[0] == 1
    return "bad"


@pytest.fixture
def running(shell, held, cli, until):
    """A run that is in its second task, its first one committed."""
    process = shell.start("run", "--run-id", "live", "held.py")
    held.wait_for_task()
    until(lambda: json.loads(cli("status", "--json", "live")[1])["counts"].get("SUCCEEDED") == 1)
    return process


@pytest.fixture
def killed(running):
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return "live"


@pytest.fixture
def status(cli):
    """A function (run) → its status and its nodes by path."""

    def of(run):
        code, out, _ = cli("status", "--json", "--nodes", run)
        assert code == 0
        said = json.loads(out)
        return said, {node["path"]: node for node in said["nodes"]}

    return of


def test_runs_lists_the_newest_first(shell, good, cli):
    cli("run", "--run-id", "later", "flow.py", "good")
    lines = shell.promissory("runs").stdout.splitlines()
    assert lines[0].split("\t") == ["run", "workflow", "state", "created", "lasted", "nodes"]
    assert [line.split("\t")[:3] for line in lines[1:]] == [
        ["later", "good", "SUCCEEDED"],
        ["good", "good", "SUCCEEDED"],
    ]


def test_X8_runs_shows_the_state_of_each_run(cli, good, bad, killed):
    states = {line.split("\t")[0]: line.split("\t")[2] for line in cli("runs")[1].splitlines()[1:]}
    assert states == {"good": "SUCCEEDED", "bad": "FAILED", "live": "INTERRUPTED"}


def test_J3_runs_shows_a_running_run(cli, running):
    assert cli("runs")[1].splitlines()[1].split("\t")[2] == "RUNNING"


def test_runs_counts_nodes_that_are_done(cli, good):
    assert cli("runs")[1].splitlines()[1].split("\t")[-1] == "5/5"


def test_runs_of_an_empty_store(cli):
    cli("doctor", "--mark")
    code, out, err = cli("runs")
    assert (code, out) == (0, "")
    assert err.startswith("no runs in ")


def test_runs_goes_on_past_a_damaged_run(cli, shell, good, bad):
    (shell.folder / ".promissory" / "runs" / "bad" / "manifest").write_bytes(b"nothing of use")
    code, out, err = cli("runs")
    assert "good\tgood\tSUCCEEDED" in out
    assert "bad" in out + err
    assert code == 0


def test_status_of_a_run_that_succeeded(shell, good):
    ended = shell.promissory("status", "good")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "run      good"
    assert "state    SUCCEEDED" in lines
    assert "nodes    5 SUCCEEDED" in lines
    assert [line.split("\t")[:4] for line in lines if line.startswith("dynamic")] == [
        ["dynamic", "outer", "1", "1"],
        ["dynamic", "inner", "1", "1"],
    ]


def test_status_of_a_run_that_failed_tells_what_failed(cli, bad):
    _, out, _ = cli("status", "bad")
    assert "state    FAILED (main/boom: ValueError: no pears)" in out
    assert "main/boom\tFAILED" in out


def test_X8_status_nodes_of_a_run_that_failed(bad, status):
    said, nodes = status(bad)
    assert said["state"] == "FAILED"
    assert said["failed"] == [{"path": "main/boom", "why": "ValueError: no pears"}]
    assert {path: node["state"] for path, node in nodes.items()} == {
        "main/inc": "SUCCEEDED",
        "main/boom": "FAILED",
        "main/inc~2": "UPSTREAM_FAILED",
    }


def test_X8_status_of_a_run_that_was_killed(killed, status):
    said, nodes = status(killed)
    assert said["state"] == "INTERRUPTED"
    assert nodes["main/first"]["state"] == "SUCCEEDED"
    assert nodes["main/second"]["state"] in ("READY", "PENDING")


def test_X8_status_of_a_running_run(running, status):
    said, nodes = status("live")
    assert said["state"] == "RUNNING"
    assert nodes["main/first"]["state"] == "SUCCEEDED"


def test_status_of_nested_dynamics_gives_their_depth(good, status):
    _, nodes = status(good)
    assert {path: node["depth"] for path, node in nodes.items()} == {
        "main/inc": 0,
        "main/outer": 1,
        "main/outer/inc": 1,
        "main/outer/inner": 2,
        "main/outer/inner/inc": 2,
    }


def test_status_nodes_lists_every_node(cli, good):
    _, out, _ = cli("status", "--nodes", "good")
    for path in ("main/inc", "main/outer", "main/outer/inner/inc"):
        assert f"\n{path}\tSUCCEEDED\t1\t" in out


def test_futures_lists_the_dynamics(shell, good):
    ended = shell.promissory("futures", "good")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "main/outer\nmain/outer/inner\n", "")


@pytest.mark.parametrize("path", ["main/outer/inner", "outer/inner"])
def test_futures_shows_the_file_of_a_path(cli, good, path):
    code, out, _ = cli("futures", "good", path)
    assert code == 0
    assert "task inc(x=2)" in out or "task inc(x=3)" in out


def test_futures_names_the_file_on_disk(cli, shell, good):
    _, _, err = cli("futures", "good", "outer")
    assert (shell.folder / ".promissory" / err.strip()).is_file()


def test_futures_mermaid(cli, good):
    code, out, _ = cli("futures", "--mermaid", "good", "outer")
    assert code == 0
    assert out.startswith("flowchart TD\n")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("inc", "no futures file"),
        ("nothing", "there is no node 'nothing' in main"),
        ("outer/x/y", "'x'"),
        ("main", "root"),
    ],
)
def test_futures_of_what_has_none(cli, good, told, path, why):
    code, _, err = cli("futures", "good", path)
    assert code == 2
    assert why in told(err)


def test_logs_prints_what_every_node_said(shell, good):
    ended = shell.promissory("logs", "good")
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "main/inc | inc of 1",
        "main/outer/inc | inc of 2",
        "main/outer/inner | inner sees 3",
        "main/outer/inner/inc | inc of 3",
    ]


@pytest.mark.parametrize("node", ["outer/inner", "main/outer/inner", "/main/outer/inner/"])
def test_logs_of_a_node_prints_its_own_lines_bare(cli, good, node):
    _, out, _ = cli("logs", "good", node)
    assert out.splitlines() == ["inner sees 3", "main/outer/inner/inc | inc of 3"]


def test_logs_of_a_node_whose_name_begins_with_main(cli, shell):
    shell.write("flow.py", FLOW.replace("def boom", "def mainly").replace("boom(", "mainly("))
    cli("run", "--run-id", "a", "flow.py", "bad")
    said = cli("logs", "a", "mainly")[1].splitlines()
    assert said[:3] == ["about to fail", "attempt 1 failed: ValueError: no pears", "Traceback (most recent call last):"]


def test_logs_of_a_node_that_failed(cli, bad):
    said = cli("logs", "bad", "boom")[1].splitlines()
    assert said[:3] == ["about to fail", "attempt 1 failed: ValueError: no pears", "Traceback (most recent call last):"]
    assert said[-1] == "ValueError: no pears"


def test_logs_of_a_run_that_was_killed(cli, killed):
    assert cli("logs", killed)[1] == "main/first | first here\n"


def test_logs_of_a_running_run(cli, running):
    assert "main/first | first here\n" in cli("logs", "live")[1]


def test_logs_of_an_unknown_node(cli, good, told):
    code, _, err = cli("logs", "good", "pears")
    assert code == 2
    assert told(err) == "there is no node 'pears' in main; there is: inc, outer"
