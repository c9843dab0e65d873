"""X2, X4, D2, D5: every node runs once and in its order, whatever is nested in what."""

import collections

from promissory import dynamic, run, task, workflow
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes

ran = []


@task
def add(a: int, b: int) -> int:
    ran.append(("add", a, b))
    return a + b


@task
def say(what: str) -> None:
    ran.append(what)


@task
def total(numbers: list[int]) -> int:
    ran.append("total")
    return sum(numbers)


@workflow
def twice(x: int) -> int:
    return add(add(x, 1), 1)


@dynamic
def tree(depth: int) -> int:
    if depth == 0:
        return 1
    return add(tree(depth - 1), grown(depth - 1))


@workflow
def grown(depth: int) -> int:
    return add(tree(depth), 0)


def test_A4_what_nobody_consumes_runs(store):
    @workflow
    def unread(x: int) -> int:
        say("unread")
        return add(x, 1)

    ran.clear()
    assert run(unread, {"x": 1}, store=store).result == 2
    assert sorted(map(str, ran)) == ["('add', 1, 1)", "unread"]


def test_A4_what_a_dynamic_creates_and_does_not_return_runs_before_it_ends(store):
    @dynamic
    def busy(x: int) -> int:
        say("first")
        say("second")
        return x

    @workflow
    def after(x: int) -> int:
        return add(busy(x), 1)

    ran.clear()
    assert run(after, {"x": 1}, store=store).result == 2
    assert sorted(ran[:2]) == ["first", "second"]
    assert ran[2:] == [("add", 1, 1)]


def test_X4_an_order_without_data_holds(store):
    @workflow
    def ordered() -> None:
        a, b, c, d = say("a"), say("b"), say("c"), say("d")
        d >> c >> b >> a

    ran.clear()
    run(ordered, store=store)
    assert ran == ["d", "c", "b", "a"]


def test_X4_an_order_waits_for_all_of_a_nested_workflow_and_of_a_dynamic(store):
    @workflow
    def nested() -> None:
        say("nested 1") >> say("nested 2")

    @dynamic
    def grows(n: int) -> None:
        say(f"level {n}")
        if n:
            grows(n - 1)

    @workflow
    def ordered() -> None:
        [nested(), grows(2)] >> say("last")

    ran.clear()
    run(ordered, store=store)
    assert ran[-1] == "last"
    assert sorted(ran[:-1]) == ["level 0", "level 1", "level 2", "nested 1", "nested 2"]


def test_X2_the_join_of_a_diamond_runs_once(store):
    @workflow
    def diamond(x: int) -> int:
        top = add(x, 0)
        return total([add(top, 1), add(top, 2), add(top, 3), top])

    ran.clear()
    assert run(diamond, {"x": 1}, store=store).result == 10
    assert collections.Counter(one if isinstance(one, str) else one[0] for one in ran) == {"add": 4, "total": 1}


def test_X2_two_equal_calls_are_two_nodes(store):
    @workflow
    def equal(x: int) -> list[int]:
        return [add(x, 1), add(x, 1), add(x, 1)]

    ran.clear()
    assert run(equal, {"x": 1}, store=store).result == [2, 2, 2]
    assert len(ran) == 3


def test_D2_workflows_and_dynamics_nest_in_each_other(store):
    ran.clear()
    ended = run(tree, {"depth": 4}, store=store)
    assert ended.result == 16
    states = collections.Counter(row.state for row in ended.nodes())
    assert set(states) == {"SUCCEEDED"}
    called = collections.Counter(row.kind for row in ended.nodes())
    assert called["task"] == len(ran)
    assert len({row.path for row in ended.nodes()}) == states["SUCCEEDED"]


def test_D2_nested_workflows_take_inputs_literals_defaults_and_composites(store):
    @workflow
    def inner(numbers: list[int], by: int = 5) -> int:
        return add(total(numbers), by)

    @workflow
    def outer(x: int) -> list[int]:
        return [inner([x, add(x, 1)]), inner([7], by=x), inner([])]

    assert run(outer, {"x": 1}, store=store).result == [8, 8, 5]


def test_D2_a_dynamic_in_a_nested_workflow_in_a_dynamic_gives_its_value_on(store):
    @dynamic
    def outermost(x: int) -> int:
        return add(middle(x), 100)

    @workflow
    def middle(x: int) -> int:
        return twice(innermost(x))

    @dynamic
    def innermost(x: int) -> int:
        return add(x, 10) if x else 0

    assert run(outermost, {"x": 1}, store=store).result == 113
    assert run(outermost, {"x": 0}, store=store).result == 102


def test_D2_a_dynamic_that_emits_an_empty_nested_workflow_ends(store):
    @workflow
    def same(x: int) -> int:
        return x

    @dynamic
    def passes(x: int) -> int:
        return same(same(x))

    assert run(passes, {"x": 3}, store=store).result == 3


def test_D5_splicing_costs_the_same_however_many_frames_are_open():
    """A frame that is spliced in touches its own nodes only: nothing of the thousand open frames is looked at."""

    @dynamic
    def leaf(n: int) -> int:
        return add(n, 1)

    @workflow
    def wide() -> list[int]:
        return [leaf(n) for n in range(1000)]

    @workflow
    def one(n: int) -> int:
        return add(n, 1)

    scheduler = Scheduler(Limits())
    scheduler.open_root(wide.compile(), ())
    plan = one.compile()
    calls = scheduler.take(1000)
    for call in calls:
        header = FuturesHeader(call.frame.identity, call.node, 1)
        before = list(scheduler.frames)
        ready = list(scheduler.ready)
        scheduler.expanded(call.frame.id, call.node, futures_to_bytes(plan, header))
        assert list(scheduler.frames)[: len(before)] == before
        assert [one for one in scheduler.ready if one[0].id != call.node + 1][: len(ready)] == ready
        if len(before) > 20:
            break
    assert len(scheduler.frames) == 22
