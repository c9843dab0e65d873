"""Depth at the command line: where recursion stops, what it says, and how it goes on."""

import pytest

FLOW = """
    from pathlib import Path
    from promissory import dynamic, task, workflow

    @task
    def note(x: int) -> int:
        return x

    @dynamic
    def forever(x: int) -> int:
        with Path("bodies").open("a") as file:
            file.write(f"{x}\\n")
        return forever(x + 1)

    @dynamic
    def down(x: int) -> int:
        return note(0) if x == 0 else note(down(x - 1))

    @dynamic
    def same(x: int) -> int:
        return same(x)
"""


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


@pytest.fixture
def bodies(shell):
    return lambda: [int(line) for line in (shell.folder / "bodies").read_text().split()]


def test_D3_run_for_ever_stops_at_depth_100_with_the_sentence(shell, flow, bodies):
    ended = shell.promissory("run", "--run-id", "a", "flow.py", "forever", "--x", "1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert (
        "dynamics are nested 101 deep (main/forever/forever/…/forever/forever/forever#100.0), and this run allows 100"
        in ended.stderr
    )
    assert "--max-depth" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert bodies() == list(range(1, 101))


def test_D3_resume_with_a_higher_limit_goes_on_from_there(shell, flow, bodies):
    shell.promissory("run", "--run-id", "a", "flow.py", "forever", "--x", "1")
    ended = shell.promissory("resume", "--max-depth", "200", "a")
    assert ended.returncode == 1
    assert "this run allows 200" in ended.stderr
    assert bodies() == list(range(1, 201))


def test_D3_run_with_a_lower_limit(cli, flow, bodies):
    code, _, err = cli("run", "--max-depth", "5", "flow.py", "forever", "--x", "1")
    assert code == 1
    assert "this run allows 5" in err
    assert bodies() == [1, 2, 3, 4, 5]


def test_D3_run_with_a_limit_of_0_runs_no_dynamic(cli, shell, flow):
    code, _, err = cli("run", "--max-depth", "0", "flow.py", "forever", "--x", "1")
    assert code == 1
    assert "this run allows 0" in err
    assert not (shell.folder / "bodies").exists()


def test_D3_the_way_out_that_a_limit_of_0_names_is_higher(cli, flow):
    _, _, err = cli("run", "--max-depth", "0", "flow.py", "forever", "--x", "1")
    assert "--max-depth 0 " not in err


def test_D3_resume_keeps_the_limit_that_the_run_began_with(cli, flow, bodies):
    cli("run", "--max-depth", "5", "--run-id", "a", "flow.py", "forever", "--x", "1")
    code, _, err = cli("resume", "a")
    assert code == 1
    assert "this run allows 5" in err
    assert bodies() == [1, 2, 3, 4, 5]


def test_D3_resume_with_a_higher_limit_finishes_what_ends(cli, flow):
    assert cli("run", "--max-depth", "20", "--run-id", "a", "flow.py", "down", "--x", "30")[0] == 1
    assert cli("resume", "--max-depth", "31", "a")[:2] == (0, "0\n")


def test_D3_a_chain_of_exactly_the_limit_runs(cli, flow):
    assert cli("run", "flow.py", "down", "--x", "99")[:2] == (0, "0\n")
    assert cli("run", "flow.py", "down", "--x", "100")[0] == 1


def test_D10_run_without_progress_fails_and_names_the_input_and_the_way_out(shell, flow):
    ended = shell.promissory("run", "flow.py", "same", "--x", "1")
    assert ended.returncode == 1
    assert "NoProgress" in ended.stderr
    assert "(x)" in ended.stderr
    assert "@dynamic(allow_repeat=True)" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_D3_status_of_a_run_that_went_too_deep(cli, flow):
    cli("run", "--run-id", "a", "flow.py", "forever", "--x", "1")
    code, out, _ = cli("status", "a")
    assert code == 0
    assert "state    FAILED" in out
    assert "DepthExceeded" in out


def test_futures_of_a_run_that_went_deep(cli, flow):
    cli("run", "--run-id", "a", "flow.py", "forever", "--x", "1")
    assert len(cli("futures", "a")[1].splitlines()) == 100


def test_futures_of_a_deep_path(cli, flow):
    cli("run", "--run-id", "a", "flow.py", "forever", "--x", "1")
    code, out, _ = cli("futures", "a", "/".join(["main"] + ["forever"] * 60))
    assert code == 0
    assert "dynamic forever(x=61)" in out
