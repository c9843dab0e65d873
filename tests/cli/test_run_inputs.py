"""`promissory run`: inputs of every type as options, as JSON, from a file, and mixed; the help."""

import json

import pytest

FLOW = """
    from __future__ import annotations
    import enum
    from dataclasses import dataclass
    from datetime import date, timedelta
    from pathlib import Path
    from typing import Literal
    from promissory import task, workflow

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    @dataclass
    class Point:
        x: int
        y: float

    def shown(type_name, value):
        return f"{type(value).__name__} {value!r}"
"""
ONE = """
    @task
    def show_{name}(value: {type}) -> str:
        return shown("{name}", value)

    @workflow
    def of_{name}(value: {type}) -> str:
        return show_{name}(value)
"""
CASES = [
    ("flag", "bool", ["--value"], "bool True"),
    ("no_flag", "bool", ["--no-value"], "bool False"),
    ("number", "int", ["--value", "-3"], "int -3"),
    ("fraction", "float", ["--value", "2"], "float 2.0"),
    ("text", "str", ["--value", "3 pears"], "str '3 pears'"),
    ("empty", "str", ["--value", ""], "str ''"),
    ("dashed", "str", ["--value=--x"], "str '--x'"),
    ("colour", "Colour", ["--value", "BLUE"], "Colour <Colour.BLUE: 2>"),
    ("literal", "Literal['a', 'b']", ["--value", "b"], "str 'b'"),
    ("mixed_literal", "Literal['a', 7, True]", ["--value", "7"], "int 7"),
    ("list", "list[int]", ["--value", "[3, 1]"], "list [3, 1]"),
    ("pairs", "dict[str, list[float]]", ["--value", '{"a": [1]}'], "dict {'a': [1.0]}"),
    ("path", "Path", ["--value", "a/b.txt"], "PosixPath PosixPath('a/b.txt')"),
    ("optional", "int | None", ["--value", "4"], "int 4"),
    ("none", "int | None", ["--value", "none"], "NoneType None"),
    ("optional_flag", "bool | None", ["--value", "yes"], "bool True"),
    ("record", "Point", ["--value", '{"x": 1, "y": 2}'], "Point Point(x=1, y=2.0)"),
    ("records", "list[Point]", ["--value", '[{"x": 1, "y": 2}]'], "list [Point(x=1, y=2.0)]"),
    ("date", "date", ["--value", "2026-11-02"], "date datetime.date(2026, 11, 2)"),
    ("bytes", "bytes", ["--value", "ä"], "bytes b'\\xc3\\xa4'"),
    ("duration", "timedelta", ["--value", "1h30m"], "timedelta datetime.timedelta(seconds=5400)"),
    ("seconds", "timedelta", ["--value", "90"], "timedelta datetime.timedelta(seconds=90)"),
    ("iso_duration", "timedelta", ["--value", "PT1H30M"], "timedelta datetime.timedelta(seconds=5400)"),
]


@pytest.mark.full(keep=8)
@pytest.mark.parametrize(("name", "type", "arguments", "shown"), CASES, ids=[case[0] for case in CASES])
def test_run_takes_an_option_of_type(cli, shell, name, type, arguments, shown):
    shell.write("flow.py", FLOW + ONE.format(name=name, type=type))
    assert cli("run", "flow.py", f"of_{name}", *arguments)[:2] == (0, shown + "\n")


@pytest.fixture
def flow(shell):
    return shell.write(
        "flow.py",
        FLOW
        + """
    @task
    def show(n: int, dry_run: bool, colour: Colour, where: Path, points: list[Point]) -> str:
        return f"{n} {dry_run} {colour.name} {where} {len(points)}"

    @workflow
    def report(
        n: int, dry_run: bool = False, colour: Colour = Colour.RED, where: Path = Path("x/y"), points: list[Point] = []
    ) -> str:
        '''Write the report.

        Nothing is sent to anybody.
        '''
        return show(n, dry_run, colour, where, points)
    """,
    )


def test_run_help_tells_what_the_docstring_says(shell, flow):
    ended = shell.promissory("run", "flow.py", "report", "--help")
    assert ended.returncode == 0
    assert "Write the report." in ended.stdout
    assert "Nothing is sent to anybody." in ended.stdout


def test_run_help_shows_each_input_with_its_type_and_default(cli, flow):
    code, out, _ = cli("run", "flow.py", "report", "--help")
    said = " ".join(out.split())
    assert code == 0
    assert "--n int" in said
    assert "[required]" in said
    assert "--dry-run / --no-dry-run" in said
    assert "default: False" in said
    assert "--colour RED|BLUE" in said
    assert "RED" in said
    assert "x/y" in said


def test_run_help_of_the_only_workflow_needs_no_name(cli, shell, flow):
    code, out, _ = cli("run", "flow.py", "--help")
    assert code == 0
    assert "Write the report." in out


def test_run_help_runs_nothing_and_keeps_nothing(cli, shell, flow):
    cli("run", "flow.py", "report", "--help")
    assert not (shell.folder / ".promissory").exists()


def test_run_fills_in_defaults(cli, flow):
    assert cli("run", "flow.py", "--n", "1")[1] == "1 False RED x/y 0\n"


def test_run_takes_options_in_any_order(cli, flow):
    assert cli("run", "flow.py", "report", "--colour", "BLUE", "--dry-run", "--n", "2")[1] == "2 True BLUE x/y 0\n"


@pytest.mark.parametrize("spelling", ["--dry-run", "--dry_run"])
def test_run_takes_an_underscore_for_a_dash(cli, flow, spelling):
    assert cli("run", "flow.py", "--n", "2", spelling)[1] == "2 True RED x/y 0\n"


def test_run_takes_inputs_as_json(cli, flow):
    inputs = {"n": 5, "dry_run": True, "colour": "BLUE", "points": [{"x": 1, "y": 2}]}
    assert cli("run", "--inputs", json.dumps(inputs), "flow.py")[1] == "5 True BLUE x/y 1\n"


def test_run_takes_inputs_from_a_file(shell, flow):
    shell.write("inputs.json", '{"n": 6, "where": "z"}')
    assert shell.promissory("run", "--inputs", "@inputs.json", "flow.py").stdout == "6 False RED z 0\n"


def test_run_lets_an_option_win_over_the_inputs(cli, flow):
    assert cli("run", "--inputs", '{"n": 5, "dry_run": true}', "flow.py", "--n", "7")[1] == "7 True RED x/y 0\n"


def test_run_lets_a_negative_flag_win_over_the_inputs(cli, flow):
    assert cli("run", "--inputs", '{"n": 5, "dry_run": true}', "flow.py", "--no-dry-run")[1] == "5 False RED x/y 0\n"


def test_run_takes_inputs_of_hard_names(cli, shell):
    shell.write(
        "flow.py",
        """
        from promissory import task, workflow

        @task
        def show(help: int, class_: int, N: int, n: int, _x: int) -> str:
            return f"{help} {class_} {N} {n} {_x}"

        @workflow
        def hard(help: int, class_: int, N: int, n: int, _x: int) -> str:
            return show(help, class_, N, n, _x)
        """,
    )
    said = cli("run", "flow.py", "--help", "1", "--class_", "2", "--N", "3", "--n", "4", "--_x", "5")
    assert said[:2] == (0, "1 2 3 4 5\n"), said


def test_run_tells_a_flag_from_an_input_named_no_flag(cli, shell):
    shell.write(
        "flow.py",
        """
        from promissory import task, workflow

        @task
        def show(cache: bool, no_cache: bool) -> str:
            return f"{cache} {no_cache}"

        @workflow
        def flags(cache: bool = True, no_cache: bool = True) -> str:
            return show(cache, no_cache)
        """,
    )
    code, out, err = cli("run", "--inputs", '{"cache": true, "no_cache": false}', "flow.py")
    assert (code, out) == (0, "True False\n"), err


SWITCHES = """
    from promissory import task

    @task
    def both(cache: bool = True, no_cache: bool = False) -> str:
        return f"{cache} {no_cache}"

    @task
    def number(cache: bool = True, no_cache: int = 0) -> str:
        return f"{cache} {no_cache}"

    @task
    def text(cache: str = "c", no_cache: bool = False) -> str:
        return f"{cache} {no_cache}"

    @task
    def needed(dry_run: bool, name: str = "") -> str:
        return f"{dry_run} {name}"
"""
SWITCHED = [
    ("both", ["--no-cache"], "False False"),
    ("both", ["--no_cache"], "False False"),
    ("both", ["--no-cache=true"], "True True"),
    ("both", ["--cache=false", "--no_cache=yes"], "False True"),
    ("both", ["--cache", "--no-cache=off"], "True False"),
    ("number", ["--no-cache", "3"], "True 3"),
    ("number", ["--cache=no", "--no-cache=3"], "False 3"),
    ("text", ["--no-cache", "--cache", "x"], "x True"),
    ("text", ["--no-no-cache", "--cache", "x"], "x False"),
    ("needed", ["--dry-run=true"], "True "),
    ("needed", ["--no-dry-run", "--name", "--dry-run=true"], "False --dry-run=true"),
]


@pytest.mark.full(keep=4)
@pytest.mark.parametrize(("target", "arguments", "shown"), SWITCHED, ids=[f"{t} {a}" for t, a, _ in SWITCHED])
def test_each_bool_can_be_turned_on_and_off_whatever_the_others_are_called(cli, shell, target, arguments, shown):
    shell.write("flow.py", SWITCHES)
    assert cli("run", "flow.py", target, *arguments)[:2] == (0, shown + "\n")


def test_help_shows_how_a_bool_is_given_whose_option_turns_off_another(cli, shell):
    shell.write("flow.py", SWITCHES)
    _, out, _ = cli("run", "flow.py", "both", "--help")
    assert "--cache / --no-cache " in out
    assert "--no-cache=true / --no-cache=false" in out
    assert "--cache / --cache=false" in cli("run", "flow.py", "number", "--help")[1]


def test_a_bool_that_is_given_as_no_bool_is_refused(cli, shell):
    shell.write("flow.py", SWITCHES)
    code, _, said = cli("run", "flow.py", "both", "--cache=maybe")
    assert (code, "'maybe' is not a bool" in said) == (2, True)


@pytest.mark.parametrize("text", ["90", "1m30s", "PT1M30S"])
def test_options_that_are_durations_are_written_as_durations(cli, shell, text):
    shell.write("flow.py", SWITCHES)
    assert cli("run", "--timeout", text, "flow.py", "both")[:2] == (0, "True False\n")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1e999"])
def test_an_option_that_is_no_duration_is_refused(cli, shell, text):
    shell.write("flow.py", SWITCHES)
    code, _, said = cli("run", f"--timeout={text}", "flow.py", "both")
    assert (code, "Invalid value for '--timeout'" in said) == (2, True)
