"""A run as its journal tells it: nodes with their states and paths, counts, times."""

import pytest

from promissory import dynamic, run, task, workflow
from promissory.errors import RunNotFound
from promissory.executor.history.history import History


@task
def add(a: int, b: int) -> int:
    return a + b


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@workflow
def pair(n: int) -> int:
    return add(add(n, 1), fib(n))


@workflow
def outer(n: int) -> int:
    return pair(pair(n))


@pytest.fixture
def ended(store):
    """A run that ended well."""
    return run(outer, {"n": 2}, store=store)


def test_X8_every_node_of_every_frame_is_listed_with_its_path(ended):
    assert ended.result == 8
    paths = [row.path for row in ended.nodes()]
    assert len(set(paths)) == len(paths)
    assert paths[:2] == ["main/pair", "main/pair~2"]
    for name in (
        "main/pair/add",
        "main/pair/add~2",
        "main/pair/fib",
        "main/pair/fib/fib",
        "main/pair/fib/fib~2",
        "main/pair/fib/add",
    ):
        assert name in paths


def test_X8_rows_say_what_is_called_of_which_kind_how_deep_and_by_whom(ended, store):
    rows = {row.path: row for row in ended.nodes()}
    assert (rows["main/pair"].kind, rows["main/pair"].called, rows["main/pair"].depth) == ("plan", "pair", 0)
    dynamic_row, task_row = rows["main/pair/fib"], rows["main/pair/fib/add"]
    assert (dynamic_row.kind, dynamic_row.depth) == ("dynamic", 1)
    assert (task_row.kind, task_row.depth, task_row.attempts, task_row.worker) == ("task", 1, 1, "inline-1")
    assert dynamic_row.called.endswith(":fib")
    created = History(store, ended.id).manifest.created
    assert all(row.started >= created and row.duration >= 0 for row in rows.values() if row.kind != "plan")


def test_X8_counts_add_up(ended, store):
    history = History(store, ended.id)
    assert history.counts == {"SUCCEEDED": len(ended.nodes())}
    assert history.state == "SUCCEEDED"
    assert history.resumes == 1
    assert history.changed_code == []
    assert not history.is_live


def test_X8_a_path_leads_to_its_node_and_a_wrong_one_says_what_there_is(ended, store):
    history = History(store, ended.id)
    found = [history.find(row.path) for row in ended.nodes()]
    assert len(set(found)) == len(found)
    assert (history.find("main/pair"), history.find("main/pair~2")) == ((0, 0), (0, 1))
    with pytest.raises(RunNotFound, match=r"there is no node 'nobody' in main/pair; there is: add, fib, add~2"):
        history.find("main/pair/nobody")
    with pytest.raises(RunNotFound, match="main/pair/add has no frame of its own"):
        history.find("main/pair/add/x")
    for path in ("main", "", "other/pair"):
        with pytest.raises(RunNotFound):
            history.find(path)


def test_X8_the_history_of_a_run_with_a_snapshot_is_whole(store):
    @dynamic
    def many(n: int) -> list[int]:
        return [add(i, i) for i in range(n)]

    @workflow
    def twice(n: int) -> list[list[int]]:
        return [many(n), many(n)]

    ended = run(twice, {"n": 6000}, store=store, durability="process")
    assert History(store, ended.id).counts == {"SUCCEEDED": 12_002}


def test_J7_reading_a_history_needs_no_code_of_the_author(project):
    project.write(
        "flow.py",
        "from promissory import task, workflow\n"
        "@task\n"
        "def f(x: int) -> int:\n"
        "    return x\n"
        "@workflow\n"
        "def flow(x: int) -> int:\n"
        "    return f(f(x))\n",
    )
    project.code("from promissory import run; from flow import flow; run(flow, {'x': 1}, run_id='read')")
    (project.folder / "flow.py").unlink()
    assert History(project.store, "read").counts == {"SUCCEEDED": 2}


def test_X8_a_run_that_nobody_knows_is_not_found(store):
    with pytest.raises(RunNotFound, match="there is no run 'nobody' in the store file://"):
        History(store, "nobody")


@pytest.mark.full
def test_X8_a_deep_run_is_listed_without_pythons_stack(store):
    @dynamic
    def down(n: int) -> int:
        return add(down(n - 1), 1) if n else 0

    ended = run(down, {"n": 1500}, max_depth=2000, store=store, durability="process")
    assert ended.result == 1500
    rows = ended.nodes()
    assert len(rows) == 3001
    assert max(len(row.path) for row in rows) < 1000
