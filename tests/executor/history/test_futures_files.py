"""D1: what a dynamic emits is a futures file: it lies in the store, reads as a plan, and is rebuilt from the journal if
it is gone.
"""

import pytest

from promissory import dynamic, resume, run, task, workflow
from promissory.errors import RunNotFound
from promissory.executor.protocol.events import EXPANDED
from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler.scheduler import ROOT_IDENTITY
from promissory.executor.store.keys import futures_key
from promissory.planner.plan.format import futures_from_bytes
from promissory.planner.plan.plan import Plan

broken = []


@task
def add(a: int, b: int) -> int:
    if broken:
        raise ValueError("broken")
    return a + b


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@workflow
def wrapped(n: int) -> int:
    return fib(add(n, 0))


@dynamic
def large(n: int) -> int:
    return add(count(list(range(n))), 0)


@task
def count(numbers: list[int]) -> int:
    return len(numbers)


def files(store, run_id):
    return [key for folder in store.list(f"runs/{run_id}/futures") for key in store.list(folder)]


def test_D1_each_expansion_is_a_file_that_reads_as_a_plan(store, events_of):
    ended = run(wrapped, {"n": 6}, store=store)
    emitted = [event for event in events_of(store, ended.id) if event[0] == EXPANDED]
    assert len(files(store, ended.id)) == len(emitted) == len(ended.futures()) == 12
    for key in files(store, ended.id):
        assert key.endswith(".futures")
        plan = Plan.from_bytes(store.get(key))
        plan.verify()
        assert [node.target.short_name for node in plan.nodes()] == ["fib", "fib", "add"]
    assert sorted(store.get(key) for key in files(store, ended.id)) == sorted(event[4] for event in emitted)


def test_D1_the_header_has_depth_parent_and_index(store, events_of):
    ended = run(wrapped, {"n": 3}, store=store)
    headers = {
        node_identity(h.parent, h.index): h
        for _, h in (futures_from_bytes(store.get(key)) for key in files(store, ended.id))
    }
    outer = node_identity(ROOT_IDENTITY, 1)
    inner = node_identity(outer, 0)
    assert (headers[outer].parent, headers[outer].index, headers[outer].depth) == (ROOT_IDENTITY, 1, 1)
    assert (headers[inner].parent, headers[inner].index, headers[inner].depth) == (outer, 0, 2)
    assert set(headers) == {outer, inner}
    assert files(store, ended.id) == sorted(futures_key(ended.id, identity) for identity in headers)


def test_D1_a_run_shows_its_futures_by_path(store):
    ended = run(wrapped, {"n": 3}, store=store)
    assert ended.futures() == ["main/fib", "main/fib/fib"]
    assert len(ended.futures("main/fib/fib")) == 3
    with pytest.raises(RunNotFound, match="emitted no futures file"):
        ended.futures("main/add")
    with pytest.raises(RunNotFound, match="no node 'nobody'"):
        ended.futures("main/nobody")


def test_D1_a_dynamic_that_creates_no_nodes_emits_none(store):
    ended = run(fib, {"n": 1}, store=store)
    assert (ended.result, ended.futures(), files(store, ended.id)) == (1, [], [])


def test_D1_a_file_that_is_gone_is_rebuilt_by_resume(store):
    broken.append(True)
    try:
        ended = run(fib, {"n": 5}, store=store)
    finally:
        broken.clear()
    assert ended.state == "FAILED"
    before = {key: store.get(key) for key in files(store, ended.id)}
    assert len(before) > 2
    for key in before:
        store.delete(key)
    assert resume(ended.id, store=store).result == 5
    assert {key: store.get(key) for key in before} == before


def test_D1_the_journal_has_what_the_store_lost(store):
    ended = run(fib, {"n": 4}, store=store)
    plans = {path: ended.futures(path).digest for path in ended.futures()}
    for key in files(store, ended.id):
        store.delete(key)
    assert {path: ended.futures(path).digest for path in ended.futures()} == plans


def test_D1_large_literals_of_a_futures_file_are_objects(store):
    ended = run(large, {"n": 5000}, store=store)
    assert ended.result == 5000
    (key,) = files(store, ended.id)
    assert len(store.get(key)) < 2000
    assert len([name for folder in store.list("objects") for name in store.list(folder)]) == 1


def test_X3_two_runs_emit_the_same_bytes(store):
    first, second = run(wrapped, {"n": 6}, store=store), run(wrapped, {"n": 6}, store=store)
    assert [store.get(key) for key in files(store, first.id)] == [store.get(key) for key in files(store, second.id)]
