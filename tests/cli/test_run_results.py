"""`promissory run`: the result on stdout, everything else on stderr."""

import json

import pytest

FLOW = """
    import logging
    import sys
    from dataclasses import dataclass
    from promissory import dynamic, task, workflow

    @dataclass
    class Row:
        name: str
        size: int

    @dataclass
    class Table:
        title: str
        total: int
        rows: list[Row]

    @task
    def text(word: str) -> str:
        return word + "\\nand more"

    @task
    def count(word: str) -> int:
        print("counting", word)
        print("a whisper", file=sys.stderr)
        logging.getLogger("count").warning("a warning")
        return len(word)

    @task
    def rows(n: int) -> list[Row]:
        return [Row("row" * i, i * 1000) for i in range(n)]

    @task
    def table(n: int) -> Table:
        return Table("the title", 1234567, [Row("one", n)])

    @task
    def nothing() -> None:
        print("done")

    @task
    def numbers(n: int) -> list[int]:
        return list(range(n))

    @dynamic
    def twice(word: str) -> int:
        return count(word + word)

    @workflow
    def as_text(word: str = "pear") -> str:
        return text(word)

    @workflow
    def as_number(word: str = "pear") -> int:
        return count(word)

    @workflow
    def as_rows(n: int = 3) -> list[Row]:
        return rows(n)

    @workflow
    def as_table(n: int = 3) -> Table:
        return table(n)

    @workflow
    def as_nothing() -> None:
        nothing()

    @workflow
    def as_list(n: int = 3) -> list[int]:
        return numbers(n)

    @workflow
    def as_pair(n: int = 3) -> tuple[int, str]:
        return count("pear"), text("b")

    @workflow
    def as_nested(word: str = "pear") -> int:
        return twice(word)
"""


@pytest.fixture
def flow(shell):
    return shell.write("flow.py", FLOW)


def test_run_prints_the_result_to_stdout_and_all_else_to_stderr(shell, flow):
    ended = shell.promissory("run", "flow.py", "as_number")
    assert (ended.returncode, ended.stdout) == (0, "4\n")
    assert "main/count | counting pear\n" in ended.stderr
    assert "main/count | a whisper\n" in ended.stderr
    assert "a warning\n" in ended.stderr


def test_run_names_the_run_and_its_store(shell, flow):
    ended = shell.promissory("run", "--run-id", "monday", "flow.py", "as_number")
    assert ended.stderr.startswith(f"run monday in file://{shell.folder}/.promissory\n")


def test_run_prints_text_as_it_is(cli, flow):
    assert cli("run", "flow.py", "as_text")[:2] == (0, "pear\nand more\n")


def test_run_prints_text_as_json_if_asked(cli, flow):
    assert cli("run", "--json", "flow.py", "as_text")[:2] == (0, '"pear\\nand more"\n')


def test_run_prints_a_list_as_json(cli, flow):
    assert cli("run", "flow.py", "as_list")[:2] == (0, "[0, 1, 2]\n")


def test_run_prints_a_tuple_as_json(cli, flow):
    assert cli("run", "flow.py", "as_pair")[:2] == (0, '[4, "pear\\nand more"]\n'.replace("pear", "b"))


def test_run_prints_a_list_of_dataclasses_as_a_table(cli, flow):
    code, out, _ = cli("run", "flow.py", "as_rows")
    lines = out.splitlines()
    assert code == 0
    assert lines[1].replace("┃", " ").split() == ["name", "size"]
    assert lines[-2].replace("│", " ").split() == ["rowrow", "2,000"]


def test_run_prints_a_dataclass_as_a_table_and_the_lists_in_it_below(cli, flow):
    code, out, _ = cli("run", "flow.py", "as_table")
    assert code == 0
    assert "1,234,567" in out
    assert out.index("the title") < out.index("rows") < out.index("one")
    assert max(map(len, out.splitlines())) < 100, "as wide as it needs to be"


def test_run_prints_a_table_without_leaving_anything_out(cli, shell, flow):
    code, out, _ = cli("run", "--quiet", "flow.py", "as_rows", "--n", "100")
    assert code == 0
    assert "row" * 99 in out, "a result that goes to a file is whole"


def test_run_prints_an_empty_list_of_dataclasses(cli, flow):
    code, out, _ = cli("run", "flow.py", "as_rows", "--n", "0")
    assert code == 0
    assert "name" in out


def test_run_prints_dataclasses_as_json_if_asked(cli, flow):
    code, out, _ = cli("run", "--json", "flow.py", "as_table")
    assert code == 0
    assert json.loads(out) == {"title": "the title", "total": 1234567, "rows": [{"name": "one", "size": 3}]}


def test_run_prints_nothing_for_none(cli, flow):
    assert cli("run", "flow.py", "as_nothing")[:2] == (0, "")


def test_run_prints_null_for_none_if_json_is_asked(cli, flow):
    assert cli("run", "--json", "flow.py", "as_nothing")[:2] == (0, "null\n")


def test_X5_prints_are_echoed_with_the_path_of_the_node(cli, flow):
    _, out, err = cli("run", "flow.py", "as_nested")
    assert out == "8\n"
    assert "main/twice/count | counting pearpear\n" in err


def test_run_quiet_says_nothing_but_the_result(shell, flow):
    ended = shell.promissory("run", "--quiet", "flow.py", "as_number")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "4\n", "")


def test_run_quiet_keeps_the_log(cli, flow):
    cli("run", "--quiet", "--run-id", "q", "flow.py", "as_number")
    assert "counting pear" in cli("logs", "q")[1]


def test_run_keeps_runs_where_the_store_option_says(cli, shell, flow):
    assert cli("run", "--store", "elsewhere", "--run-id", "a", "flow.py", "as_number")[0] == 0
    assert (shell.folder / "elsewhere" / "runs" / "a").is_dir()
    assert not (shell.folder / ".promissory").exists()


def test_run_keeps_runs_where_the_environment_says(shell, flow):
    assert (
        shell.promissory(
            "run", "--run-id", "a", "flow.py", "as_number", PROMISSORY_STORE=str(shell.folder / "there")
        ).returncode
        == 0
    )
    assert (shell.folder / "there" / "runs" / "a").is_dir()


def test_run_of_a_task_alone(cli, flow):
    assert cli("run", "flow.py", "count", "--word", "abc")[:2] == (0, "3\n")


def test_run_of_a_dynamic_alone(cli, flow):
    assert cli("run", "flow.py", "twice", "--word", "abc")[:2] == (0, "6\n")
