"""`promissory run`: what was typed wrongly is told in one sentence, with exit code 2, before anything is kept."""

import pytest


@pytest.fixture
def flow(shell):
    return shell.write(
        "flow.py",
        """
        from __future__ import annotations
        import enum
        from dataclasses import dataclass
        from typing import Literal
        from promissory import task, workflow

        class Colour(enum.Enum):
            RED = 1
            BLUE = 2

        @dataclass
        class Point:
            x: int
            y: float

        @task
        def show(
            n: int, f: float, colour: Colour, mode: Literal["a", "b"], xs: list[int], at: Point, m: int | None
        ) -> str:
            return f"{n}"

        @workflow
        def report(
            n: int,
            f: float = 0.5,
            colour: Colour = Colour.RED,
            mode: Literal["a", "b"] = "a",
            xs: list[int] = [],
            at: Point = Point(1, 2.0),
            m: int | None = None,
        ) -> str:
            return show(n, f, colour, mode, xs, at, m)
        """,
    )


WRONG = [
    (["--n", "x"], "'--n'", "'x' is not an int"),
    (["--n", "1.5"], "'--n'", "'1.5' is not an int"),
    (["--n", ""], "'--n'", "'' is not an int"),
    (["--n", "1", "--f", "much"], "'--f'", "'much' is not a float"),
    (["--n", "1", "--colour", "GREEN"], "'--colour'", "'GREEN' is not one of RED, BLUE"),
    (["--n", "1", "--mode", "c"], "'--mode'", "'c' is not one of a, b"),
    (["--n", "1", "--xs", "1,2"], "'--xs'", "isn't JSON"),
    (["--n", "1", "--xs", '[1, "2"]'], "'--xs'", "[1]: expected int, got str"),
    (["--n", "1", "--at", '{"x": 1}'], "'--at'", "Point needs the field 'y'"),
    (["--n", "1", "--at", '{"x": 1, "y": 2, "z": 3}'], "'--at'", "Point has no field 'z'; it has x, y"),
    (["--n", "1", "--m", "x"], "'--m'", "'x' is not int | None"),
    ([], "Missing option '--n'", ""),
    (["--n"], "'--n'", "requires an argument"),
    (["--n", "1", "--k", "2"], "No such option '--k'", ""),
    (["--n", "1", "stray"], "stray", ""),
]


@pytest.mark.parametrize(("arguments", "option", "why"), WRONG, ids=[" ".join(case[0]) or "nothing" for case in WRONG])
def test_run_refuses_the_options(cli, flow, told, arguments, option, why):
    code, out, err = cli("run", "flow.py", "report", *arguments)
    assert (code, out) == (2, "")
    assert option in told(err)
    assert why in told(err)


WRONG_JSON = [
    ("{", "--inputs is not JSON"),
    ("[1]", "--inputs is a JSON object"),
    ("3", "--inputs is a JSON object"),
    ("", "--inputs is not JSON"),
    ('{"k": 1}', "there is no input 'k'; there is: n, f, colour"),
    ('{"n": "x"}', "n: value: expected int, got str"),
    ('{"n": null}', "n: value: expected int, got null"),
    ('{"n": true}', "n: value: expected int, got bool"),
    ('{"n": 1, "xs": [[1]]}', "xs: [0]: expected int, got a list"),
    ("[" * 100_000, "--inputs is nested more than 100 levels deep"),
    ("@nowhere.json", "--inputs @nowhere.json: No such file"),
    ("@.", "--inputs @.: "),
    ('{"f": 1}', "Missing option '--n'"),
]


@pytest.mark.parametrize(("given", "why"), WRONG_JSON, ids=[case[0][:20] or "empty" for case in WRONG_JSON])
def test_run_refuses_the_inputs(cli, flow, told, given, why):
    code, out, err = cli("run", "--inputs", given, "flow.py", "report")
    assert (code, out) == (2, "")
    assert why in told(err)


def test_run_refuses_an_inputs_file_that_is_no_text(cli, shell, flow, told):
    (shell.folder / "inputs.json").write_bytes(b"\xff\xfe\x00")
    code, _, err = cli("run", "--inputs", "@inputs.json", "flow.py")
    assert code == 2
    assert "--inputs" in told(err)


def test_run_keeps_nothing_of_a_wrong_call(cli, shell, flow):
    cli("run", "flow.py", "report", "--n", "x")
    assert not (shell.folder / ".promissory").exists()


def test_run_wrong_inputs_in_a_process_exit_with_2(shell, flow, told):
    ended = shell.promissory("run", "flow.py", "report", "--n", "x")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "'x' is not an int" in told(ended.stderr)


def test_run_says_where_our_own_options_stand(cli, flow, told):
    code, _, err = cli("run", "flow.py", "report", "--n", "1", "--json")
    assert code == 2
    assert "before" in told(err), "--json is an option of the command, so the sentence says where it goes"


def test_run_refuses_an_option_of_ours_that_does_not_exist(cli, flow, told):
    code, _, err = cli("run", "--colour", "flow.py", "report", "--n", "1")
    assert code == 2
    assert "option" in told(err)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--max-depth", "-1"], "--max-depth"),
        (["--max-depth", "many"], "--max-depth"),
        (["--max-parallelism", "0"], "--max-parallelism"),
        (["--engine", "abacus"], "there is no engine 'abacus'; there are: inline, threads, processes"),
        (["--run-id", "../x"], "'../x' can't name a run"),
        (["--run-id", ""], "'' can't name a run"),
        (["--run-id", "a" * 129], "can't name a run"),
        (["--store", "ftp://host/x"], "the store ftp://host/x can't be shared"),
    ],
    ids=lambda case: " ".join(case)[:24] if isinstance(case, list) else "",
)
def test_run_refuses_its_own_options(cli, flow, told, options, why):
    code, out, err = cli("run", *options, "flow.py", "report", "--n", "1")
    assert why in told(err)
    assert (code, out) == (2, "")


def test_run_refuses_a_run_id_twice(cli, flow, told):
    assert cli("run", "--run-id", "a", "flow.py", "--n", "1")[0] == 0
    code, out, err = cli("run", "--run-id", "a", "flow.py", "--n", "2")
    assert "has a run 'a' already" in told(err)
    assert "promissory resume a" in told(err)
    assert (code, out) == (2, "")


def test_run_refuses_no_arguments(cli, told):
    code, _, err = cli("run")
    assert code == 2
    assert "Missing argument" in told(err)
