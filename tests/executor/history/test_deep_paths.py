"""Paths of deep nodes are shortened in the middle for people, and exact all the same."""

import re

import pytest

from promissory import Context, Loop, dynamic, map_task, run, task
from promissory.errors import RunFailed
from promissory.executor.history.explain import explain
from promissory.executor.history.history import History


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def triangle(n: int) -> int:
    return 0 if n == 0 else add(n, triangle(n - 1))


def test_D1_every_futures_file_of_a_deep_recursion_is_found_by_the_path_that_is_listed(store):
    ended = run(triangle, {"n": 80}, store=store)
    paths = ended.futures()
    assert len(set(paths)) == len(paths) == 80
    literals = [ended.futures(path).literal(0) for path in paths]
    assert len(set(literals)) == 80


def test_X8_every_node_of_a_deep_recursion_has_a_path_of_its_own(store):
    ended = run(triangle, {"n": 80}, store=store)
    rows = ended.nodes()
    history = History(store, ended.id)
    assert len({row.path for row in rows}) == len(rows)
    assert all(history.path(*history.find(row.path)) == row.path for row in rows)


# --- paths as they are told (T5) ---


@task
def told(ctx: Context, x: int) -> str:
    print("said by", ctx.path)
    return ctx.path


@task
def told_in_a_loop(ctx: Context, x: int) -> str:
    print("said by", ctx.path)
    if ctx.loop_index < 2:
        raise Loop(1)
    return ctx.path


@task
def chosen(xs: list[str], y: str, z: str) -> list[str]:
    return [*xs, y, z]


@task
def with_more(paths: list[str], more: str) -> list[str]:
    return [*paths, more]


@dynamic
def descends(n: int) -> list[str]:
    if n:
        return with_more(descends(n - 1), told(n))
    return chosen(map_task(told)(x=[1, 2]), told(3), told_in_a_loop(4))


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
@pytest.mark.parametrize("depth", [3, 4, 5, 9, 60])
def test_T5_the_path_in_a_body_names_its_node_alone(store, engine, depth):
    paths = run(descends, {"n": depth}, store=store, engine=engine, run_id="r").result
    assert len(set(paths)) == len(paths) == depth + 4
    assert all(("/…/" in path) == ("#" in path) for path in paths)
    history = History(store, "r", items=True)
    found = [history.find_iteration(path) for path in paths]
    assert len(set(found)) == len(found)
    for path, (frame, index, iteration) in zip(paths, found, strict=True):
        assert iteration == (2 if "told_in_a_loop" in path else None)
        last = history.path(frame, index).partition("#")[0].rpartition("/")[2]
        assert last == re.sub(r"#\d+\.\d+|\[=\d+\]", "", path.rpartition("/")[2])
        assert explain(store, "r", path).path.startswith(history.path(frame, index))


def test_T5_the_path_in_a_body_is_what_is_echoed_and_what_logs_take(project):
    project.write(
        "deep.py",
        """
        from promissory import Context, dynamic, map_task, task

        @task
        def says(ctx: Context, x: int) -> int:
            print("I am", ctx.path)
            return x

        @task
        def total(xs: list[int], y: int) -> int:
            if y == 9:
                raise ValueError("nine")
            return sum(xs) + y

        @dynamic
        def deep(n: int, x: int) -> int:
            return total([deep(n - 1, x)], says(n)) if n else total(map_task(says)(x=[1, 2]), x)
        """,
    )

    def command(*arguments):
        code = "import sys; from promissory.executor.cli.main import main; main()"
        return project.finish(project.spawn("-c", code, *arguments))

    _, errors = command("run", "--run-id", "r", "deep.py", "--n", "8", "--x", "9")
    said = re.findall(r"^(.*) \| I am (.*)$", errors, re.MULTILINE)
    assert len(said) == 10
    for path, own in said:
        assert path == own
        output, problem = command("logs", "r", path)
        assert (output, problem) == (f"I am {path}\n", "")
    failed = re.search(r"(main\S+) failed: ValueError: nine", errors)
    assert failed is not None
    assert "#" in failed[1]
    output, _ = command("explain", "r", failed[1])
    assert "ValueError: nine" in output
    _, errors = command("rerun", "r", "--from", failed[1])
    assert f"from {failed[1]} of run r" in errors


def test_T5_an_error_of_a_deep_node_names_it_alone(store):
    @task
    def fails(x: int) -> int:
        raise ValueError("no")

    @dynamic
    def below(n: int) -> int:
        return below(n - 1) if n else fails(1)

    with pytest.raises(RunFailed) as told:
        run(below, {"n": 70}, store=store, run_id="r").result
    assert told.value.path in str(told.value)
    history = History(store, "r")
    assert history.opened[history.find(told.value.path)[0]].depth == 71
