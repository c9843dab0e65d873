"""J7: where the store of runs is looked for, and what is said of one that is not there."""

import os

import pytest

FLOW = """
from promissory import task, workflow

@task
def double(x: int) -> int:
    return 2 * x

@workflow
def flow(x: int = 1) -> int:
    return double(x)
"""

LOOKING = [
    ("runs",),
    ("status", "last"),
    ("logs", "last"),
    ("futures", "last"),
    ("explain", "last", "main/double"),
    ("resume", "last"),
    ("rerun", "--from", "main/double", "last"),
    ("doctor", "last"),
    ("answer", "last"),
    ("stop", "last"),
    ("cancel", "last"),
    ("export", "last", "elsewhere"),
    ("cache", "ls"),
    ("gc",),
    ("show", "some-run"),
]


@pytest.fixture
def flow(shell):
    shell.write("flow.py", FLOW)
    return shell


@pytest.mark.parametrize("command", LOOKING, ids=lambda words: words[0])
def test_J7_a_command_that_looks_makes_no_store_and_says_that_there_is_none(cli, shell, command):
    (shell.folder / "pyproject.toml").touch()
    code, out, err = cli(*command)
    assert (code, out) == (2, "")
    assert "there is no store here: this folder has no .promissory" in err
    assert sorted(os.listdir(shell.folder)) == ["pyproject.toml"]


def test_J7_a_store_that_was_named_and_is_not_there_is_an_error(cli, shell, monkeypatch):
    (shell.folder / "notes").mkdir()
    for place in ("nowhere", "notes"):
        code, _, err = cli("runs", "--store", place)
        assert code == 2
        assert f"there is no store at file://{shell.folder}/{place}: no run was ever kept there" in err
    monkeypatch.setenv("PROMISSORY_STORE", "nowhere")
    assert cli("runs")[0] == 2
    assert not (shell.folder / "nowhere").exists()


def test_J7_run_makes_a_store_that_version_control_ignores(cli, flow):
    assert cli("run", "--engine", "inline", "flow.py")[:2] == (0, "2\n")
    assert (flow.folder / ".promissory" / ".gitignore").read_text().splitlines()[-1] == "*"
    assert cli("run", "--engine", "inline", "--store", "named", "flow.py")[0] == 0
    assert not (flow.folder / "named" / ".gitignore").exists()
    assert cli("gc", "--older-than", "0s", "--remove")[0] == 0
    assert (flow.folder / ".promissory" / ".gitignore").exists()


def test_J7_the_store_above_is_found_up_to_the_projects_folder_and_told_once(flow, cli, monkeypatch):
    cli("run", "--engine", "inline", "--run-id", "first", "flow.py")
    inner = flow.folder / "src" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    code, out, err = cli("runs")
    assert code == 0
    assert "first" in out
    assert err == f"promissory: the store is {flow.folder}/.promissory\n"
    code, _, err = cli("status", "last")
    assert (code, err) == (0, "")  # it was told already
    (flow.folder / "src" / ".git").mkdir()
    code, _, err = cli("runs")
    assert code == 2
    assert "there is no store here" in err


def test_J7_the_home_folder_ends_the_search(flow, cli, monkeypatch):
    cli("run", "--engine", "inline", "flow.py")
    home = flow.folder / "home"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    assert cli("runs")[0] == 2


def test_J7_a_store_that_everybody_may_write_is_not_taken_unasked(flow, cli, monkeypatch):
    cli("run", "--engine", "inline", "flow.py")
    store = flow.folder / ".promissory"
    store.chmod(0o777)
    for command in (("runs",), ("run", "--engine", "inline", "flow.py")):
        code, _, err = cli(*command)
        assert code == 2
        assert f"the store {store} can be written by every user, so it is not taken unasked" in err
        assert f"--store {store}" in err
    assert cli("runs", "--store", store)[0] == 0
    monkeypatch.setenv("PROMISSORY_STORE", str(store))
    assert cli("runs")[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_J7_a_store_of_another_user_is_not_taken_unasked(flow, cli):
    cli("run", "--engine", "inline", "flow.py")
    os.chown(flow.folder / ".promissory", 12345, -1)
    code, _, err = cli("runs")
    assert code == 2
    assert "belongs to another user" in err


@pytest.mark.parametrize("how", ["option", "variable"])
def test_J7_a_store_that_can_not_be_made_says_so(flow, cli, monkeypatch, how):
    (flow.folder / "file").write_text("no folder")
    if how == "option":
        code, out, err = cli("run", "--engine", "inline", "--store", "file/store", "flow.py")
    else:
        monkeypatch.setenv("PROMISSORY_STORE", "file/store")
        code, out, err = cli("run", "--engine", "inline", "flow.py")
    assert (code, out) == (1, "")
    assert "file/store can't be made, or takes no file" in err
    assert "--store" in err
    assert "PROMISSORY_STORE" in err
    assert "Traceback" not in err


def test_J7_a_plain_call_needs_no_store(shell):
    shell.write("flow.py", FLOW + "\nprint(flow(4))\n")
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "flow.py"],
        cwd=shell.folder,
        env={**shell.environment, "PROMISSORY_STORE": "/proc/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("8\n", "")


def test_J7_no_run_is_called_last(flow, cli):
    code, _, err = cli("run", "--engine", "inline", "--run-id", "last", "flow.py")
    assert code == 2
    assert "a run can't be called last" in err
