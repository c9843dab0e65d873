"""V1, R4: what commands say of runs that did not go as they were meant to, and on terminals as they are."""

import json
import re
import subprocess
import sys

import pytest

from promissory.executor.cli.run import command as run

FLOW = """
from datetime import timedelta
from promissory import current_context, dynamic, map_task, task, wait_for_input, workflow

@task(cache=True, cache_version="1")
def cached(x: int) -> int:
    return x

@workflow
def maps() -> list[int]:
    return map_task(cached)(x=[1, 2, 3])

@task
def leaves(x: int) -> int:
    current_context().cancel("enough")
    return x

@task
def after(x: int) -> int:
    return x

@workflow
def cancels() -> int:
    return after(leaves(1))

@dynamic
def down(n: int) -> int:
    return down(n - 1) if n else after(7)

@workflow
def recurses(n: int = 3) -> int:
    return down(n)

@task
def pauses(d: timedelta = timedelta(minutes=5)) -> timedelta:
    return d

@task(retries=1, timeout=60)
def fussy(x: int) -> int:
    print("so", x)
    if x == 2:
        raise ValueError("two is too much")
    return x

@workflow
def picky() -> list[int]:
    return map_task(fussy)(x=[1, 2, 3])

@workflow
def timed() -> int:
    return fussy(1)

@workflow
def asks() -> int:
    return wait_for_input("size", 600, int)
"""


@pytest.fixture
def flow(shell, cli):
    shell.write("flow.py", FLOW)

    def go(name, run_id, *arguments):
        return cli("run", "--engine", "inline", "--run-id", run_id, *arguments, "flow.py", name)

    return go


def test_R4_a_cached_item_is_explained_as_cached(flow, cli):
    flow("maps", "one")
    flow("maps", "two")
    out = cli("explain", "two", "main/cached[1]")[1]
    assert out.startswith("main/cached[1]: SUCCEEDED (cached)\n")
    assert "main/cached[1] of run one had the same" in out


def test_R4_what_was_cancelled_while_it_ran_is_not_said_to_have_never_run(flow, cli):
    flow("cancels", "gone")
    assert "before its turn came, the run ended CANCELLED (enough)" in cli("explain", "gone", "main/after")[1]
    assert "its body was running" in cli("explain", "gone", "main/leaves")[1]


def test_V1_the_value_of_a_tail_call_is_that_of_the_place_it_was_handed(flow, cli):
    flow("recurses", "deep")
    for path in ("main/down", "main/down/down", "main/down/down/down", "main/down/down/down/down/after"):
        assert cli("result", "deep", path)[:2] == (0, "7\n"), path


def test_V1_the_root_is_the_run(flow, cli):
    flow("recurses", "deep")
    assert cli("result", "deep", "main")[:2] == cli("result", "deep")[:2] == (0, "7\n")


def test_V1_show_takes_a_run_by_its_beginning(flow, cli):
    flow("recurses", "deep")
    assert cli("show", "de")[1] == cli("show", "last")[1] == cli("show", "deep")[1] != ""


def test_V1_an_empty_name_is_no_run(flow, cli, told):
    flow("recurses", "deep")
    code, _, err = cli("status", "")
    assert code == 2
    assert told(err).startswith("RUN is empty")


def test_V1_an_exported_run_has_its_nodes(flow, cli):
    flow("recurses", "deep")
    cli("export", "deep", "copy")
    ours, theirs = (json.loads(cli("runs", "--json", "--store", store)[1])[0] for store in (".promissory", "copy"))
    assert (theirs["done"], theirs["nodes"]) == (ours["done"], ours["nodes"]) != (0, 0)
    assert theirs["state"] == "SUCCEEDED"


def test_V1_durations_are_written_as_they_are_read(flow, cli):
    flow("pauses", "short")
    assert cli("inputs", "short", "main/pauses")[1] == "d = timedelta('PT5M') : timedelta\n"
    assert "[default: timedelta('PT5M')]" in cli("run", "flow.py", "pauses", "--help")[1]


def test_V1_help_of_a_file_with_several_workflows_lists_them(flow, cli):
    code, out, _ = cli("run", "flow.py", "--help")
    assert code == 0
    assert "  maps: workflow\n" in out


@pytest.mark.parametrize("option", sorted(name for one in run.params for name in one.opts if name.startswith("--")))
def test_V1_an_option_of_ours_behind_the_file_is_told(flow, cli, told, option):
    for written in ((option, "1"), (f"{option}=1",), ("maps", option, "1")):
        code, _, err = cli("run", "flow.py", *written)
        assert code == 2
        assert f"{option} is an option of promissory's own: it stands before the file" in told(err)


def test_V1_a_live_run_lasts_on(shell, flow, eventually):
    going = shell.start("run", "--engine", "inline", "--run-id", "long", "flow.py", "asks")

    def lasted():
        listed = shell.promissory("runs", "--json")
        found = json.loads(listed.stdout) if listed.returncode == 0 and listed.stdout else []
        return found[0]["lasted_seconds"] if found and found[0]["state"] == "RUNNING" else 0.0

    first = eventually(lasted, "a run")
    eventually(lambda: lasted() > first, "a longer time")
    shell.promissory("stop", "long")
    going.wait(60)


def test_V1_columns_are_not_lost_on_a_narrow_terminal(flow, shell):
    flow("recurses", "a-name-that-is-long-enough-for-a-terminal")
    for width in (40, 70, 80, 100):
        command = f"stty cols {width} 2>/dev/null; {shell.command} runs"
        shown = subprocess.run(
            ["script", "-qec", command, "/dev/null"],
            cwd=shell.folder,
            env={**shell.environment, "NO_COLOR": "1", "TERM": "xterm"},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        if "a-name" not in shown:
            pytest.skip("there is no `script` that can make a terminal here")
        assert "a-name-that-is-long-enough-for-a-terminal" in shown, width
        assert "3/3" in shown or "6/6" in shown or "/" in shown.splitlines()[3], width


@pytest.mark.parametrize("command", [("runs",), ("status", "last"), ("result", "last")])
def test_V1_nobody_reads_and_nothing_fails(flow, shell, command):
    flow("recurses", "deep")
    line = " ".join([str(shell.command), *command])
    ended = subprocess.run(
        ["sh", "-c", f"{line} >&-"], cwd=shell.folder, env=shell.environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_A10_a_cached_task_without_source_says_why_it_is_refused(shell):
    code = (
        "from promissory import task, workflow\n"
        "@task(cache=True, cache_version='1')\n"
        "def f(x: int) -> int:\n"
        "    return x\n"
        "@workflow\n"
        "def w() -> int:\n"
        "    return f(1)\n"
        "w()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-"],
        input=code,
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "f can't be cached: its source can't be had (<stdin>)" in ended.stderr


def test_J7_a_rerun_makes_no_store(shell, tmp_path):
    from promissory import rerun
    from promissory.errors import RunNotFound

    with pytest.raises(RunNotFound):
        rerun("no-run", "main/x", store=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_V1_what_failed_inside_is_told_before_what_failed_because_of_it(flow, cli):
    flow("picky", "picky", "--soft-timeouts")
    assert re.findall(r"^(\S+) \| (?:attempt \d )?failed", cli("logs", "picky")[1], re.MULTILINE) == [
        "main/fussy[1]",
        "main/fussy[1]",
        "main/fussy",
    ]


def test_V1_a_path_to_what_is_not_there_tells_what_is(flow, cli, told):
    flow("maps", "maps")
    _, _, err = cli("result", "maps", "main/cached[9]")
    assert told(err) == "main/cached has no item 9 in run maps: it has 3 items, 0 to 2"
    _, _, err = cli("result", "maps", "main/cached[1][=4]")
    assert told(err) == "main/cached has no iteration 4 in run maps: it has one, number 0"


def test_V1_a_name_from_further_down_is_told_with_its_path(flow, cli, told):
    flow("recurses", "deep")
    _, _, err = cli("result", "deep", "after")
    assert told(err).endswith("there is: down. Elsewhere there is main/down/down/down/down/after")


def test_V1_a_folder_that_was_removed_is_told(shell):
    line = f"mkdir gone && cd gone && rmdir ../gone && {shell.command} runs"
    ended = subprocess.run(
        ["sh", "-c", line], cwd=shell.folder, env=shell.environment, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (
        2,
        "promissory: the folder that this command was called in was removed: call it in one that is there\n",
    )


def test_R2_a_plain_call_warns_once(shell):
    shell.write(
        "once.py",
        "from flow import timed\nfor _ in range(3):\n    timed()\n",
    )
    shell.write("flow.py", FLOW)
    ended = subprocess.run(
        [sys.executable, "once.py"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr.count("can't be stopped") == 1


def test_A1_a_suggestion_is_made_once(shell):
    ended = subprocess.run(
        [sys.executable, "-c", "import promissory\npromissory.map_tsk"],
        cwd=shell.folder,
        env=shell.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr.lower().count("did you mean") == 1


def test_V1_a_log_that_is_gone_hides_no_traceback(shell, flow, cli, told):
    flow("picky", "picky", "--soft-timeouts")
    (log,) = (shell.folder / ".promissory/runs/picky/logs").iterdir()
    log.unlink()
    code, out, err = cli("logs", "picky")
    assert code == 1
    assert "main/fussy[0] | (what it said is lost: runs/picky/logs/" in out
    assert out.count("| ValueError: two is too much") == 3
    assert told(err).endswith("`promissory doctor RUN` tells all that is damaged, and what can be done")


def test_J4_who_meets_damage_is_sent_to_the_doctor(shell, flow, cli):
    flow("maps", "maps")
    (plan,) = (shell.folder / ".promissory/plans").glob("*/*")
    plan.write_bytes(plan.read_bytes() + b"z")
    more = {"explain": ["main/cached"], "status": ["--nodes"]}  # how a run has ended can be told without its plan
    for command in ("status", "result", "explain", "show"):
        code, _, err = cli(command, "maps", *more.get(command, []))
        assert code in (1, 3), command
        assert "has bytes after its end" in err, command
        assert "promissory doctor RUN" in err, command
