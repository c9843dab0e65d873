"""D3, D9: limits are errors that name the limit, the place, and how to raise it."""

import pytest

from promissory import dynamic, resume, run, task, workflow
from promissory.errors import DepthExceeded, FuturesTooLarge, LimitExceeded, NodesExceeded
from promissory.executor.execution.options import RunOptions
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes

bodies = []


@task
def add(a: int, b: int) -> int:
    bodies.append("add")
    return a + b


@dynamic
def nested(n: int) -> int:
    bodies.append(n)
    return add(nested(n - 1), 1) if n else 0


@dynamic
def tail(n: int) -> int:
    bodies.append(n)
    return tail(n - 1) if n else 0


@dynamic(max_depth=3)
def shallow(n: int) -> int:
    bodies.append(n)
    return add(shallow(n - 1), 1) if n else 0


@dynamic
def around(n: int) -> int:
    return add(shallow(n), 0)


@workflow
def twenty() -> list[int]:
    return [add(n, n) for n in range(20)]


@dynamic
def emits(n: int) -> list[int]:
    return [add(i, i) for i in range(n)]


@dynamic
def emits_nested(n: int) -> list[int]:
    return twenty() if n else []


@pytest.mark.parametrize("recursion", [nested, tail])
def test_D3_a_limit_of_100_lets_100_bodies_run(store, recursion):
    bodies.clear()
    assert run(recursion, {"n": 99}, store=store).result is not None
    assert len([one for one in bodies if one != "add"]) == 100
    bodies.clear()
    ended = run(recursion, {"n": 100}, store=store)
    assert ended.state == "FAILED"
    assert bodies == list(range(100, 0, -1))


def test_D3_depth_limit_names_the_path_the_limit_and_the_way_out(store):
    error = run(nested, {"n": 50}, max_depth=10, store=store).error
    assert isinstance(error.__cause__, DepthExceeded)
    assert isinstance(error.__cause__, RecursionError)
    message = str(error.__cause__)
    assert message.startswith("dynamics are nested 11 deep")
    for part in (
        "main/nested/nested/…/nested/nested/nested",
        "this run allows 10",
        "max_depth=100",
        "--max-depth 100",
        "`resume`",
    ):
        assert part in message
    assert error.path == "main/nested/nested/…/nested/nested/nested#10.0"


@pytest.mark.parametrize("recursion", [nested, tail])
def test_D3_a_resume_with_a_higher_limit_goes_on_and_runs_no_body_again(store, recursion):
    bodies.clear()
    ended = run(recursion, {"n": 30}, max_depth=10, store=store)
    assert bodies == list(range(30, 20, -1))
    assert resume(ended.id, store=store).state == "FAILED"
    assert len(bodies) == 10
    again = resume(ended.id, store=store, max_depth=31)
    assert again.result == run(recursion, {"n": 30}, store=store).result
    assert bodies[:31] == list(range(30, -1, -1))


def test_D3_a_function_bounds_its_own_nesting(store):
    bodies.clear()
    error = run(shallow, {"n": 5}, store=store).error
    assert isinstance(error.__cause__, DepthExceeded)
    assert bodies == [5, 4, 3]
    assert str(error.__cause__).startswith("shallow is nested in itself 4 deep")
    assert "its decorator allows 3" in str(error.__cause__)
    assert "@dynamic(max_depth=30)" in str(error.__cause__)
    assert run(shallow, {"n": 2}, store=store).result == 2


def test_D3_only_its_own_nesting_counts_for_a_function(store):
    assert run(around, {"n": 2}, store=store).result == 2
    assert run(around, {"n": 3}, store=store).state == "FAILED"


def test_D3_static_nesting_is_no_depth(store):
    @workflow
    def outer(n: int) -> int:
        return middle(n)

    @workflow
    def middle(n: int) -> int:
        return nested(n)

    ended = run(outer, {"n": 2}, max_depth=3, store=store)
    assert ended.result == 2
    assert {row.path: row.depth for row in ended.nodes() if row.kind == "dynamic"} == {
        "main/middle/nested": 1,
        "main/middle/nested/nested": 2,
        "main/middle/nested/nested/nested": 3,
    }


def test_D3_siblings_do_not_add_up(store):
    @workflow
    def wide() -> list[int]:
        return [nested(2) for _ in range(10)]

    assert run(wide, max_depth=3, store=store).result == [2] * 10


def test_D9_a_dynamic_that_brings_the_run_above_its_nodes_fails(store):
    ended = run(emits, {"n": 20}, max_nodes=10, store=store)
    assert isinstance(ended.error.__cause__, NodesExceeded)
    for part in ("main/emits", "21 nodes", "allows 10", "max_nodes"):
        assert part in str(ended.error.__cause__)
    assert run(emits, {"n": 9}, max_nodes=10, store=store).state == "SUCCEEDED"


def test_D9_nodes_of_nested_workflows_count(store):
    ended = run(emits_nested, {"n": 1}, max_nodes=10, store=store)
    assert ended.state == "FAILED"
    assert isinstance(ended.error.__cause__, NodesExceeded)


def test_D9_nodes_of_the_workflow_itself_count(store):
    bodies.clear()
    ended = run(twenty, max_nodes=10, store=store)
    assert ended.state == "FAILED"
    assert isinstance(ended.error.__cause__, NodesExceeded)
    assert bodies == []


def test_D9_a_resume_keeps_the_limit_of_nodes_and_may_raise_it(store):
    ended = run(emits, {"n": 20}, max_nodes=10, store=store)
    assert isinstance(resume(ended.id, store=store).error.__cause__, NodesExceeded)
    assert resume(ended.id, store=store, max_nodes=30).result == [2 * n for n in range(20)]
    with_more = run(emits, {"n": 20}, max_nodes=30, store=store)
    assert with_more.state == "SUCCEEDED"


def test_D9_a_futures_file_has_a_limit():
    scheduler = Scheduler(Limits(max_futures_bytes=100))
    scheduler.open_root(emits.compile(), (b"\x14",))
    ((frame, node, *_),) = scheduler.take(1)
    data = futures_to_bytes(twenty.compile(), FuturesHeader(frame.identity, node, 1))
    assert scheduler.expanded(frame.id, node, data) is None
    assert scheduler.ended
    cause = scheduler.failure.failure.exception()
    assert isinstance(cause, FuturesTooLarge)
    assert isinstance(cause, LimitExceeded)
    for part in ("main/emits", f"{len(data):,} bytes", "allows 100"):
        assert part in str(cause)


def test_D9_every_limit_that_a_message_names_can_be_given():
    given = set(RunOptions.__annotations__)  # what run, start and resume take
    assert {"max_depth", "max_nodes"} <= given
    text = Limits(max_futures_bytes=1).futures_bytes(2, "main").message
    assert "raise max_futures_bytes" not in text or "max_futures_bytes" in given
