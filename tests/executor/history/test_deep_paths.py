"""Paths of deep nodes are shortened in the middle for people, and exact all the same."""

from promissory import dynamic, run, task
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
