"""The small examples, as programs and through the command."""

import json
import random

import pytest


def test_A2_count_characters_as_a_program_prints_3(run_program):
    ended = run_program("count_characters.py")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", "")


def test_count_characters_keeps_nothing_on_disk_as_a_program(run_program, tmp_path):
    run_program("count_characters.py")
    assert list(tmp_path.iterdir()) == []


def test_count_characters_through_the_command_prints_3(run_program, example):
    ended = run_program("promissory", "run", example("count_characters.py"), "--s1", "Pear", "--s2", "Earth")
    assert (ended.returncode, ended.stdout) == (0, "3\n")


def test_count_characters_as_a_plain_call(load_example):
    start_wf = load_example("count_characters.py").start_wf
    assert start_wf(s1="Pear", s2="Earth") == 3
    assert start_wf("", "Earth") == 0
    assert start_wf("aab", "aba!") == 3


def test_X1_count_characters_shares_nothing_between_its_two_words(load_example):
    count = load_example("count_characters.py")
    assert count.start_wf(s1="aaa", s2="b") == 0


def test_count_characters_asks_for_its_words(run_program, example):
    ended = run_program("promissory", "run", example("count_characters.py"), "--s1", "Pear")
    assert ended.returncode == 2
    assert "'--s2'" in ended.stderr


@pytest.fixture
def numbers(tmp_path):
    draw = random.Random(5)
    found = [draw.randrange(-1000, 1000) for _ in range(300)]
    (tmp_path / "numbers.txt").write_text(" ".join(map(str, found)))
    return found


def test_merge_sort_as_a_program(run_program):
    ended = run_program("merge_sort.py")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("400 numbers, from ")


def test_merge_sort_as_a_program_with_a_file(run_program, numbers):
    ended = run_program("merge_sort.py", "numbers.txt")
    assert ended.stdout == f"300 numbers, from {min(numbers)} to {max(numbers)}\n"


def test_merge_sort_as_a_program_with_an_empty_file(run_program, tmp_path):
    (tmp_path / "numbers.txt").write_text("")
    ended = run_program("merge_sort.py", "numbers.txt")
    assert ended.returncode == 0, ended.stderr


def test_merge_sort_through_the_command_sorts_a_file(run_program, example, numbers):
    ended = run_program(
        "promissory", "run", "--quiet", "--json", example("merge_sort.py"), "sort_file", "--path", "numbers.txt"
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == sorted(numbers)


def test_merge_sort_shows_its_recursion_in_its_futures_files(run_program, example, numbers):
    run_program(
        "promissory", "run", "--run-id", "a", example("merge_sort.py"), "--path", "numbers.txt", "--threshold", "100"
    )
    ended = run_program("promissory", "futures", "a")
    assert ended.stdout.splitlines()[:3] == [
        "main/merge_sort",
        "main/merge_sort/merge_sort_remotely",
        "main/merge_sort/merge_sort_remotely/merge_sort",
    ]
    assert len(ended.stdout.splitlines()) == 7 + 3, "300 → 150 → 75: seven sorts, three of them split"
    inner = run_program("promissory", "futures", "a", "main/merge_sort/merge_sort_remotely")
    assert "merge_sort~2 : list[int] = dynamic merge_sort(" in inner.stdout
    assert "return merge" in inner.stdout


def test_merge_sort_of_a_file_that_is_not_there(run_program, example):
    ended = run_program("promissory", "run", example("merge_sort.py"), "--path", "nowhere.txt")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "main/read_numbers failed: FileNotFoundError" in ended.stderr


def test_D3_merge_sort_that_never_ends_is_stopped(run_program, example, numbers):
    ended = run_program(
        "promissory", "run", "--quiet", example("merge_sort.py"), "--path", "numbers.txt", "--threshold", "0"
    )
    assert ended.returncode == 1
    assert "DepthExceeded" in ended.stderr or "NoProgress" in ended.stderr


@pytest.mark.parametrize("name", ["count_characters.py", "merge_sort.py", "census.py"])
def test_check_finds_every_example_well(run_program, example, name):
    ended = run_program("promissory", "check", example(name))
    assert (ended.returncode, ended.stdout) == (0, "")
    assert all(line.endswith(", well") for line in ended.stderr.splitlines())


@pytest.mark.parametrize("name", ["count_characters.py", "merge_sort.py", "census.py"])
def test_the_help_of_every_example(run_program, example, name):
    ended = run_program("promissory", "run", example(name), "--help")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_C1_to_C4_cyclic_workflow_shows_its_six_things(run_program):
    ended = run_program("cyclic_workflow.py")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "1. the first round has a task of its own: @1/prep"
    assert lines[1] == "2. each task of each round is a node: SUCCEEDED in attempt 2"
    assert lines[2].startswith("3. rounds overlap: foo began before bar")
    assert lines[3] == "4. after kill -9 it went on, and prep ran 1 time"
    assert "   unrolled: @1/prep @1/foo @1/bar @2/foo @2/bar @3/foo @3/bar" in lines
    assert lines[-1] == "6. it stopped at 8 with 800, and goes on to 9 with 900"


def test_D8_agent_is_killed_while_it_waits_and_goes_on(run_program):
    ended = run_program("agent.py")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[:3] == [
        "killed while main/agent[+3]/order waited",
        "ordered from south for 95",
        "the model was asked 3 times",
    ]
    assert len([line for line in lines if line.endswith(": SUCCEEDED")]) == 9


def test_C4_forecast_waits_for_a_repair_and_goes_on(run_program):
    ended = run_program("forecast.py")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "FAILED at main/forecasts@6/observe and 3 products wait"
    assert [line[:6] for line in lines[1:13]] == ["30.11."] * 4 + ["01.12."] * 4 + ["02.12."] * 4
    assert lines[-1].startswith("SUCCEEDED: the last analysis is 0.0")
