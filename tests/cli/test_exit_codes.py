"""Exit codes: 0 well, 1 the run failed, 2 the command was used wrongly, 3 a plan doesn't check, 130 interrupted."""

import os
import signal

import pytest

FLOW = """
    from promissory import task, workflow, dynamic

    @task
    def inc(x: int) -> int:
        return x + 1

    @task
    def boom(x: int) -> int:
        raise ValueError("no pears")

    @task
    def leave(x: int) -> int:
        raise SystemExit(7)

    @workflow
    def good(x: int = 1) -> int:
        return inc(x)

    @workflow
    def bad(x: int = 1) -> int:
        return inc(boom(x))

    @workflow
    def leaves(x: int = 1) -> int:
        return leave(x)
"""


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


def test_exit_code_0_of_a_run_that_succeeds(shell, flow):
    assert shell.promissory("run", "flow.py", "good").returncode == 0


def test_exit_code_1_of_a_run_that_fails(shell, flow):
    ended = shell.promissory("run", "--run-id", "b", "flow.py", "bad")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "main/boom failed: ValueError: no pears" in ended.stderr
    assert "promissory resume b" in ended.stderr
    assert 'raise ValueError("no pears")' in ended.stderr, "the author's own line"
    assert "executor/" not in ended.stderr, "none of our lines"


def test_X10_exit_code_1_if_a_body_calls_sys_exit(shell, flow):
    ended = shell.promissory("run", "flow.py", "leaves")
    assert ended.returncode == 1
    assert "main/leave failed" in ended.stderr
    assert "sys.exit(7)" in ended.stderr


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "nowhere.py"],
        ["run", "flow.py", "good", "--y", "1"],
        ["compile", "flow.py", "good"],
        ["check", "nowhere.py"],
        ["show", "nothing"],
        ["status", "nothing"],
        ["futures", "nothing"],
        ["logs", "nothing"],
        ["resume", "nothing"],
        ["runs", "--colour"],
        ["sing"],
        [],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_exit_code_2_of_a_wrong_use(shell, flow, arguments):
    ended = shell.promissory(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("command", ["run", "compile", "check", "show"])
def test_exit_code_3_of_what_does_not_compile(shell, flow, command):
    shell.write("wrong.py", FLOW + '\n    @workflow\n    def wrong() -> int:\n        return inc("x")\n')
    arguments = {
        "run": ["wrong.py", "wrong"],
        "compile": ["wrong.py", "wrong", "-o", "x.plan"],
        "check": ["wrong.py"],
        "show": ["wrong.py", "wrong"],
    }
    ended = shell.promissory(command, *arguments[command])
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "inc(x=…)" in ended.stderr
    assert "wrong.py:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (shell.folder / ".promissory").exists()
    assert not (shell.folder / "x.plan").exists()


def test_X10_exit_code_130_of_a_run_that_is_interrupted(shell, held):
    process = shell.start("run", "held.py")
    held.wait_for_task()
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")


@pytest.mark.parametrize("command", ["run", "compile", "check", "show", "runs", "status", "futures", "logs", "resume"])
def test_every_command_has_a_help(cli, command):
    code, out, err = cli(command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: promissory {command} ")


def test_help_lists_every_command(cli):
    code, out, _ = cli("--help")
    assert code == 0
    for command in ("run", "compile", "check", "show", "runs", "status", "futures", "logs", "resume"):
        assert f"  {command} " in out


def test_version(shell):
    ended = shell.promissory("--version")
    assert ended.returncode == 0
    assert ended.stdout.startswith("promissory, version ")


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    "command",
    [
        ["runs"],
        ["status", "a"],
        ["futures", "a"],
        ["logs", "a"],
        ["show", "a"],
        ["resume", "a"],
        ["compile", "flow.py", "good", "-o", "x"],
        ["check", "flow.py"],
    ],
)
def test_exit_code_0_of_every_other_command(shell, flow, command):
    shell.promissory("run", "--run-id", "a", "flow.py", "good")
    assert shell.promissory(*command).returncode == 0
