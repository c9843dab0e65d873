"""What a node costs does not grow with its frame or its run (rules D5, S4, X6, X7, B4): twice as many nodes take twice
as many steps of the scheduler.

Steps are the interpreter's instructions, not seconds, so the tests say the same on any machine.
"""

import sys

import pytest

from promissory import Context, FailurePolicy, NodeFailure, Workflow, dynamic, map_task, promise, task, workflow
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.format import plan_from_bytes
from promissory.planner.plan.model import MAP
from promissory.typesys.canonical import pack


@task
def plain(x: int) -> int:
    return x


@task
def bad(x: int) -> int:
    raise OSError


@task
def send(ctx: Context, x: int) -> int:
    return x


@task
def target(x: int) -> int:
    return x


@task
def join(xs: list[int]) -> int:
    return len(xs)


@task
def told(err: NodeFailure) -> int:
    return 0


@workflow
def inner(x: int) -> int:
    return plain(bad(x))


@workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def inner_goes_on(x: int) -> int:
    plain(plain(x))
    return bad(x)


FAILED = Failure.of_exception(OSError("no"))


def steps(flow, outcomes=None, room=4, policy=None):
    """How many instructions it takes to walk a plan; its tasks give what `outcomes` says by name: a failure, what it
    asks of the run, or (by default) a value.
    """
    outcomes = {"bad": FAILED, **(outcomes or {})}

    @workflow(**(policy or {}))
    def wf() -> None:
        flow()

    plan = plan_from_bytes(wf.compile().to_bytes())
    counted = 0

    def count(frame, event, _):
        nonlocal counted
        frame.f_trace_opcodes = True
        counted += event == "opcode"
        return count

    scheduler = Scheduler(Limits())
    scheduler.open_root(plan, ())
    for graph in range(len(plan.shape.graphs)):
        scheduler.topologies.get(plan.shape, graph)  # made once for all frames of a run
    before = sys.gettrace()
    sys.settrace(count)
    try:
        ended = _walk(scheduler, outcomes, room)
    finally:
        sys.settrace(before)
    return counted, scheduler, ended


def _walk(scheduler, outcomes, room):
    value, ended = pack(1), 0
    while calls := scheduler.take(room):
        for call in calls:
            frame, index = call.frame, call.node
            topology = frame.topology
            ended += 1
            if topology.kind(index) == MAP and (frame.id, index) not in scheduler.maps:
                count = 16
                scheduler.spread(frame.id, index, [(count, [pack([1] * count)]) for _ in range(outcomes["chunks"])])
                continue
            name = topology.callee(index).short_name if topology.is_call(index) else ""
            outcome = outcomes.get(name, value)
            if isinstance(outcome, Failure):
                scheduler.failed(frame.id, index, outcome)
            elif isinstance(outcome, dict):
                scheduler.signalled(frame.id, index, ("value", value), outcome)
            else:
                scheduler.done(frame.id, index, outcome)
        scheduler.log.clear()
    return ended


def asks(name, goto=False):
    return {"next": [[name, -1, -1]], **({"goto": 0} if goto else {})}


def one_on_standby(n):
    target(0).with_overrides(name="there", standby=True)
    for i in range(n):
        plain(i)
    send(0)


def many_on_standby(n):
    for i in range(n):
        target(i).with_overrides(standby=True)
        send(i)


def behind_standby(n):
    there = target(0).with_overrides(name="there", standby=True)
    for i in range(n):
        there >> plain(i)
        plain(i)
    send(0)


def jumps_to_one_name(n):
    for i in range(n):
        send(i) >> plain(i) >> target(i)


def jumps_over_a_join(n):
    before = send(0)
    xs = [plain(before) for _ in range(n)]
    join(xs) >> target(0).with_overrides(name="there")


def sends_to_what_waits_long(n):
    at = plain(0)
    for _ in range(n):
        at = plain(at)
    at >> target(0).with_overrides(name="there")
    for i in range(n):
        send(i)


def failing_frames_that_are_handled(n):
    for i in range(n):
        promise(inner(i)).on_error(0)


def failing_tasks_that_are_handled(n):
    for i in range(n):
        promise(bad(i)).on_error(told)


def failing_frames_that_go_on(n):
    for i in range(n):
        inner_goes_on(i)


def a_failure_beside_many(n):
    for i in range(n):
        plain(i)
    bad(0)
    for i in range(n):
        plain(plain(i))


def cleaning_up_one_by_one(n):
    at = bad(0)
    for i in range(n):
        after = plain(i).with_overrides(trigger="all_done")
        at >> after
        at = after


def cleaning_up_at_once(n):
    at = bad(0)
    for i in range(n):
        at >> plain(i).with_overrides(trigger="any_failed")


def many_before_a_trigger(n):
    [bad(i) for i in range(n)] >> plain(0).with_overrides(trigger="all_failed")


def maps_that_fail(n):
    for _ in range(n):
        promise(map_task(bad)(x=[1, 2])).on_error([0])


def a_map_with_failed_items(n):
    map_task(bad, min_success_ratio=0.0)(x=[1, 2])


def a_map_with_few_at_a_time(n):
    map_task(plain, concurrency=n)(x=[1, 2])


CASES = {
    "S4 one node on standby": (one_on_standby, {"send": asks("there")}, {}),
    "S4 each its own on standby": (many_on_standby, {"send": asks("target")}, {}),
    "S4 nodes behind standby": (behind_standby, {"send": asks("there")}, {}),
    "S4 each jumps": (jumps_to_one_name, {"send": asks("target", goto=True)}, {}),
    "S4 a jump over a join": (jumps_over_a_join, {"send": asks("there", goto=True)}, {}),
    "S4 sent to what waits long": (sends_to_what_waits_long, {"send": asks("there")}, {}),
    "X6 frames that fail and are handled": (failing_frames_that_are_handled, {}, {}),
    "X9 tasks that fail and are handled": (failing_tasks_that_are_handled, {}, {}),
    "X6 frames that fail and go on": (
        failing_frames_that_go_on,
        {},
        {"failure_policy": FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE},
    ),
    "X6 a failure beside many": (
        a_failure_beside_many,
        {},
        {"failure_policy": FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE},
    ),
    "X6 a failure that ends many": (a_failure_beside_many, {}, {}),
    "X7 cleaning up one by one": (cleaning_up_one_by_one, {}, {}),
    "X7 cleaning up at once": (cleaning_up_at_once, {}, {}),
    "X7 many before a trigger": (many_before_a_trigger, {}, {}),
    "B4 maps that fail": (maps_that_fail, {"chunks": 2}, {}),
}


def _costs(flow, outcomes, policy, room, sizes):
    found = []
    for n in sizes:
        given = (
            {**outcomes, "chunks": n // 8} if flow in (a_map_with_failed_items, a_map_with_few_at_a_time) else outcomes
        )
        counted, scheduler, ended = steps(lambda n=n: flow(n), given, room, policy)
        assert scheduler.ended and ended > 0
        assert scheduler.dead or not (scheduler.ready or scheduler.in_flight)
        found.append(counted)
    return found


def _is_linear(found):
    first, second, fourth = found
    return (fourth - second) <= 2.3 * (second - first)


@pytest.mark.full(keep=8)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("room", [1, 1000])
def test_D5_the_cost_of_a_frame_is_linear(case, room):
    flow, outcomes, policy = CASES[case]
    found = _costs(flow, outcomes, policy, room, (60, 120, 240))
    assert _is_linear(found), found


@pytest.mark.parametrize("flow", [a_map_with_failed_items, a_map_with_few_at_a_time])
def test_B4_the_cost_of_a_map_is_linear(flow):
    found = _costs(flow, {}, {}, 4, (64, 128, 256))
    assert _is_linear(found), found


def test_the_tests_of_costs_would_see_a_cost_that_is_not_linear():
    def seen(n):
        steps = 0
        for one in range(n):
            steps += sum(1 for other in range(one))
        return steps

    assert not _is_linear([seen(n) for n in (60, 120, 240)])


@dynamic
def down(n: int) -> int:
    return plain(down(n - 1)) if n else bad(0)


def test_X6_a_failure_at_the_bottom_costs_each_level_the_same():
    from promissory import expand
    from promissory.planner.plan.format import FuturesHeader, futures_to_bytes

    found = []
    for levels in (60, 120, 240):
        with Workflow("flow") as wf:
            down(levels)
        scheduler = Scheduler(Limits(max_depth=1000))
        scheduler.open_root(plan_from_bytes(wf.compile().to_bytes()), ())
        files = {left: expand(down, (left,)) for left in range(levels + 1)}
        counted = 0

        def count(frame, event, _):
            nonlocal counted
            frame.f_trace_opcodes = True
            counted += event == "opcode"
            return count

        left = levels
        while calls := scheduler.take(1):
            call = calls[0]
            if call.frame.topology.callee(call.node).short_name == "down":
                data = futures_to_bytes(
                    files[left], FuturesHeader(call.frame.identity, call.node, call.frame.depth + 1)
                )
                scheduler.expanded(call.frame.id, call.node, data)
                left -= 1
            else:
                sys.settrace(count)
                scheduler.failed(call.frame.id, call.node, FAILED)
                scheduler.take(1)
                sys.settrace(None)
        assert scheduler.dead
        found.append(counted)
    assert _is_linear(found), found
