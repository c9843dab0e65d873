"""`promissory cache`, `gc` and `explain`: what they print, what they change, and what they say to a mistake."""

import json
import os
import time

import pytest

FLOW = """
    from promissory import dynamic, task, workflow

    @task(cache=True)
    def square(x: int) -> int:
        print(f"squaring {x}")
        return x * x

    @task(cache=True)
    def large(n: int) -> list[int]:
        return list(range(n))

    @task(cache=True, cache_version="7")
    def total(values: list[int]) -> int:
        return sum(values)

    @dynamic(cache=True)
    def grows(x: int) -> int:
        return square(x)

    @workflow
    def flow(x: int) -> list[int]:
        "A flow."
        return [grows(x), total(large(5000))]
"""


@pytest.fixture
def ran(shell, cli):
    shell.write("flow.py", FLOW)

    def run(name, x=2):
        code, _, errors = cli("run", "--engine", "inline", "--run-id", name, "flow.py", "flow", "--x", x)
        assert code == 0, errors

    run("one")
    return run


def listed(cli, *arguments):
    code, output, errors = cli("cache", "ls", "--json", *arguments)
    assert code == 0, errors
    return json.loads(output)


def files(shell):
    root = shell.folder / ".promissory"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


# --- cache ---


def test_R3_cache_ls_tells_what_is_kept_and_who_made_it(cli, ran):
    rows = listed(cli)
    assert sorted((row["task"].rpartition(":")[2], row["kind"], row["made by"]) for row in rows) == [
        ("grows", "futures file", "one main/grows"),
        ("grows", "result", "one main/grows"),
        ("large", "result", "one main/large"),
        ("square", "result", "one main/grows/square"),
        ("total", "result", "one main/total"),
    ]
    assert {row["version"] for row in rows} == {"1", "7"}


@pytest.mark.parametrize("name", ["square", "flow:square"])
def test_R3_cache_ls_of_one_task(cli, ran, name):
    assert [row["task"] for row in listed(cli, name)] == ["flow:square"]


def test_R3_cache_ls_of_a_part_of_a_name_is_not_that_task(cli, ran):
    assert listed(cli, "quare") == []


def test_R3_cache_ls_of_an_empty_store_is_well(shell, cli):
    cli("doctor", "--mark")
    code, output, errors = cli("cache", "ls")
    assert (code, "Traceback" in output + errors) == (0, False)


def test_R3_cache_rm_of_a_task_has_it_run_again(cli, ran):
    code, _, errors = cli("cache", "rm", "total")
    assert (code, errors) == (0, "1 cached result removed\n")
    ran("two")
    _, output, _ = cli("explain", "two", "total")
    assert output.startswith("main/total: SUCCEEDED\n")
    _, output, _ = cli("explain", "two", "large")
    assert output.startswith("main/large: SUCCEEDED (cached)\n")


def test_R3_cache_rm_by_the_beginning_of_a_key_as_ls_shows_it(cli, ran):
    [row] = listed(cli, "total")
    assert cli("cache", "rm", row["key"])[0] == 0
    assert listed(cli, "total") == []
    assert len(listed(cli)) == 4


def test_R3_cache_rm_of_all_removes_damaged_ones_too(shell, cli, ran):
    [key, *_] = sorted(key for key in files(shell) if key.startswith("cache/"))
    (shell.folder / ".promissory" / key).write_bytes(b"damaged")
    assert len(listed(cli)) == 4
    assert cli("cache", "rm", "--all")[2] == "5 cached results removed\n"
    assert not [key for key in files(shell) if key.startswith("cache/")]


@pytest.mark.parametrize("arguments", [(), ("--all", "square")], ids=["nothing", "both"])
def test_R3_cache_rm_wants_to_know_which(cli, told, ran, arguments):
    code, _, errors = cli("cache", "rm", *arguments)
    assert (code, told(errors)) == (2, "say which: a task, the beginning of a key, or --all")
    assert len(listed(cli)) == 5


def test_R3_cache_rm_of_what_is_not_there_says_so(cli, ran):
    """A misspelt task must not look as if it had been forgotten."""
    code, _, errors = cli("cache", "rm", "sqare")
    assert (code, "sqare" in errors) == (2, True)


def test_R3_cache_rm_of_a_key_that_is_too_short_says_so(cli, ran):
    [row] = listed(cli, "total")
    code, _, errors = cli("cache", "rm", row["key"][:4])
    assert code != 0
    assert "8" in errors


# --- gc ---


def test_gc_is_dry_unless_told_to_remove(shell, cli, ran):
    cli("cache", "rm", "--all")
    before = files(shell)
    shell.write(".promissory/promissory", "")
    shell.write(".promissory/objects/aa/" + "aa" * 32, "nobody's")
    code, output, errors = cli("gc", "--older-than", "0s")
    assert (code, output) == (0, "objects/aa/" + "aa" * 32 + "\n")
    assert "1 file could be removed: say --remove" in errors
    assert files(shell) > before
    code, output, errors = cli("gc", "--older-than", "0s", "--remove")
    assert (code, "1 file removed" in errors) == (0, True)
    assert files(shell) == before


def test_gc_leaves_alone_what_is_younger_than_a_day(shell, cli):
    shell.write(".promissory/promissory", "")
    path = shell.write(".promissory/objects/aa/" + "aa" * 32, "nobody's")
    assert "0 files removed" in cli("gc", "--remove")[2]
    os.utime(path, (time.time() - 90_000,) * 2)
    assert "1 file removed" in cli("gc", "--remove")[2]


@pytest.mark.parametrize("age", ["5", "d", "-1d", "1w", "", "1e9d", "nan", "inf s"])
def test_gc_an_age_that_is_none_says_how_to_write_one(cli, told, age):
    code, _, errors = cli("gc", "--older-than", age)
    assert code == 2
    assert "like 7d" in told(errors)


def test_gc_an_age_beyond_all_bounds_is_no_traceback(cli):
    code, output, errors = cli("gc", "--older-than", "99999999999999d")
    assert "Traceback" not in output + errors
    assert code in (0, 2)


def test_gc_removes_a_run_and_what_it_alone_needed(shell, cli, ran):
    cli("cache", "rm", "--all")
    ran("two", 3)
    code, _, errors = cli("gc", "--run", "one", "--older-than", "0s", "--remove")
    assert (code, "run one is removed" in errors) == (0, True)
    assert cli("status", "one")[0] != 0
    assert [run["run"] for run in json.loads(cli("runs", "--json")[1])] == ["two"]
    assert cli("show", "two")[0] == cli("doctor", "two")[0] == 0


def test_gc_a_dry_removal_of_a_run_changes_nothing(shell, cli, ran):
    before = files(shell)
    code, _, errors = cli("gc", "--run", "one")
    assert (code, "run one would be removed" in errors) == (0, True)
    assert files(shell) == before


@pytest.mark.parametrize("remove", [(), ("--remove",)], ids=["dry", "really"])
def test_gc_of_a_run_that_is_not_there_says_so(cli, told, ran, remove):
    code, _, errors = cli("gc", "--run", "nothing", *remove)
    assert code != 0
    assert "no run 'nothing'" in errors


def test_gc_a_dry_removal_of_a_run_lists_what_would_go_with_it(shell, cli, ran):
    """Dry says what is done without it."""
    cli("cache", "rm", "--all")
    _, dry, _ = cli("gc", "--run", "one", "--older-than", "0s")
    before = files(shell)
    cli("gc", "--run", "one", "--older-than", "0s", "--remove")
    gone = {key for key in before - files(shell) if key.startswith(("objects/", "plans/", "code/"))}
    assert gone
    assert gone <= set(dry.split())


def test_gc_refuses_while_a_run_goes_on(shell, cli, told, held):
    shell.start("run", "--engine", "inline", "--run-id", "live", "held.py")
    held.wait_for_task()
    for arguments in ((), ("--remove",), ("--run", "live", "--remove")):
        code, _, errors = cli("gc", "--older-than", "0s", *arguments)
        assert code != 0
        assert "run live goes on" in told(errors)


def test_gc_quiet_tells_only_the_sum(shell, cli):
    shell.write(".promissory/promissory", "")
    shell.write(".promissory/objects/aa/" + "aa" * 32, "nobody's")
    code, output, errors = cli("gc", "--older-than", "0s", "--quiet")
    assert (code, output, errors) == (0, "", "1 file could be removed: say --remove\n")


def test_gc_after_it_every_run_is_whole_shown_and_resumed(shell, cli, ran):
    ran("two", 3)
    left = shell.folder / ".promissory" / "objects" / "aa" / ".tmp-0123456789abcdef"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    assert cli("gc", "--older-than", "0s", "--remove")[0] == 0
    assert not left.exists()
    for name in ("one", "two"):
        for command in (
            ("doctor", name),
            ("show", name),
            ("status", name),
            ("logs", name),
            ("resume", name),
            ("futures", name),
        ):
            assert cli(*command)[0] == 0, command


# --- explain ---


def test_R4_explain_prints_the_node_its_state_and_why(cli, ran):
    ran("two")
    code, output, _ = cli("explain", "two", "grows")
    assert (code, output.splitlines()[0]) == (0, "main/grows: SUCCEEDED (cached)")
    assert "main/grows of run one" in output


def test_R4_explain_as_json(cli, ran):
    told = json.loads(cli("explain", "one", "total", "--json")[1])
    assert (told["node"], told["state"], bool(told["reasons"])) == ("main/total", "SUCCEEDED", True)


def test_R4_explain_takes_the_path_that_status_shows(cli, ran):
    ran("two", 3)
    code, output, _ = cli("explain", "two", "main/grows/square")
    assert (code, "differs first in its input x" in output) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one", "nothing"), "there is no node 'nothing' in main; there is: "),
        (("nothing", "total"), "no run 'nothing'"),
    ],
)
def test_R4_explain_of_what_is_not_there_says_what_is(cli, told, ran, arguments, said):
    code, _, errors = cli("explain", *arguments)
    assert code != 0
    assert said in told(errors)
