"""V1: a run is named by its id, by the beginning of one id alone, or as the last; a command that is not there names the
one that is meant.
"""

import pytest

FLOW = """
from promissory import task

@task
def main(n: int = 1) -> int:
    return n
"""


@pytest.fixture
def looked(shell, cli):
    shell.write("flow.py", FLOW)
    for name in ("main-1", "main-2", "other"):
        assert cli("run", "--quiet", "--engine", "inline", "--run-id", name, "flow.py", "main")[0] == 0
    return cli


@pytest.mark.parametrize(
    ("given", "meant"), [("main-1", "main-1"), ("o", "other"), ("main-2", "main-2"), ("last", "other")]
)
def test_V1_a_run_is_named_by_its_id_its_beginning_or_as_the_last(looked, given, meant):
    code, output, _ = looked("status", given)
    assert (code, output.splitlines()[0].split()) == (0, ["run", meant])


def test_V1_the_beginning_of_several_ids_names_them(looked):
    code, _, errors = looked("status", "main")
    assert (code, "main-1" in errors, "main-2" in errors, "other" in errors) == (2, True, True, False)


@pytest.mark.parametrize("command", [["logs"], ["explain"], ["doctor"], ["resume"], ["rerun"], ["export"]])
def test_V1_every_command_takes_such_a_name(looked, command):
    more = {"explain": ["main/main"], "rerun": ["--from", "main/main"], "export": ["copy"]}.get(command[0], [])
    code, output, errors = looked(*command, "o", *more)
    assert code == 0, output + errors


def test_V1_what_names_no_run_is_told_as_it_was_given(looked):
    code, _, errors = looked("status", "nobody")
    assert (code, "'nobody'" in errors) == (2, True)


@pytest.mark.parametrize(("given", "meant"), [("stat", "status"), ("list", "runs"), ("resum", "resume")])
def test_V1_a_command_that_is_not_there_names_the_one_that_is_meant(cli, given, meant):
    code, _, errors = cli(given)
    assert (code, f"Did you mean '{meant}'?" in errors) == (2, True)
