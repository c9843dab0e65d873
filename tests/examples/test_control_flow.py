"""The examples of loops, signals, maps and gates, as programs and through the command."""

import pytest


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        ("paged_api.py", ["{'apple': 4, 'pear': 3, 'plum': 1}", "pages asked for: [1, 2, 3, 3, 4]"]),
        ("tune.py", ["2.0"]),
        ("cached_answer.py", ["TERMINATED 42 ['main/look_up']", "SUCCEEDED 16 ['main/look_up', 'main/work_out']"]),
        ("validate.py", ["6", "validate: 2 rows are below zero"]),
        ("survey.py", ["(15.0, 3)"]),
        ("approval.py", ["Published: Plans that survive"]),
        ("train.py", ["rate 0.1: [1, 2, 3, 4, 5, 6, 7, 8]"]),
    ],
)
def test_an_example_prints_what_it_says(run_program, program, lines):
    ended = run_program(program)
    assert (ended.returncode, ended.stdout.splitlines()) == (0, lines), ended.stderr


def test_rejected_rows_are_a_file_and_the_others_a_table(run_program, tmp_path):
    ended = run_program("orders.py")
    lines = ended.stdout.splitlines()
    assert [line.split() for line in lines[1:3]] == [["1", "Ada", "10.5"], ["4", "Cid", "7.0"]], ended.stderr
    assert [line.rpartition('"why": ')[2] for line in lines[4:]] == [
        '"customer: String should have at least 1 character"}',
        '"amount: Input should be greater than 0"}',
    ]


def test_S4_the_error_handler_is_gone_to_only_when_it_is_needed(run_program):
    ended = run_program("error_handler.py")
    assert ended.stdout.splitlines() == ["load good.csv", "publish", "report", "load bad.exe", "quarantine", "report"]


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("program", "arguments", "printed"),
    [
        ("tune.py", ["tune", "--start", "5"], "2.0"),
        ("cached_answer.py", ["answer", "--question", "what is six by seven"], "42"),
        ("validate.py", ["checked", "--rows", "[1, 2]"], "3"),
        ("survey.py", ["survey", "--stations", "[0, 1, 2, 3]"], "[11.0, 1]"),
    ],
)
def test_an_example_runs_on_worker_processes(run_program, example, program, arguments, printed):
    ended = run_program("promissory", "run", example(program), *arguments)
    assert (ended.returncode, ended.stdout.strip()) == (0, printed), ended.stderr


def test_S6_a_run_that_one_of_its_tasks_cancelled_is_told_in_words(run_program, example):
    ended = run_program("promissory", "run", example("validate.py"), "checked", "--rows", "[-1]")
    assert ended.returncode == 1
    assert "main/validate cancelled the run: 1 rows are below zero" in ended.stderr
    assert "Traceback" not in ended.stderr
