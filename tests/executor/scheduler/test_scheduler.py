"""The scheduler alone: events in, calls out. Any order of arrival gives the same run; what is over is forgotten."""

import gc
import itertools

import pytest

from promissory import dynamic, expand, task, workflow
from promissory.executor.protocol.events import EXPANDED, NODE_DONE, NODE_FAILED, OPENED
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.replay import replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes, plan_from_bytes
from promissory.typesys.canonical import pack


@task
def one(x: int) -> int:
    return x


@task
def join(a: int, b: int) -> int:
    return a + b


@dynamic
def grow(n: int) -> int:
    return join(one(n), one(n)) if n else 0


@dynamic
def tail(n: int) -> int:
    return tail(n - 1) if n else 0


@workflow
def three(x: int) -> int:
    return join(join(grow(1), grow(2)), grow(3))


@workflow
def nested(x: int) -> int:
    return join(inner(x), one(x))


@workflow
def inner(x: int) -> int:
    return join(one(x), one(x))


def opened(target, *inputs):
    scheduler = Scheduler(Limits())
    scheduler.open_root(plan_from_bytes(target.compile().to_bytes()), tuple(pack(value) for value in inputs))
    return scheduler


def name(call):
    return call.frame.topology.name(call.node)


def answer(scheduler, call, entity=None, *arguments):
    """What a worker would say: a futures file for a dynamic that is given, else a value made of the node's identity."""
    frame, node, *_ = call
    if entity is None:
        scheduler.done(frame.id, node, pack([name(call), frame.id, node]))
    else:
        data = futures_to_bytes(expand(entity, arguments), FuturesHeader(frame.identity, node, frame.depth + 1))
        scheduler.expanded(frame.id, node, data)


def drain(scheduler):
    while calls := scheduler.take(1):
        answer(scheduler, calls[0])
    return scheduler.outputs


def frames_alive():
    gc.collect()
    return sum(isinstance(one, Frame) for one in gc.get_objects())


def paths(scheduler):
    return {(frame.path, frame.identity, frame.depth) for frame in scheduler.frames.values()}


def state(scheduler):
    """Everything that a scheduler knows, as plain data. What is in flight counts as ready."""
    frames = {
        frame.id: (
            frame.parent and frame.parent.id,
            frame.slot,
            frame.depth,
            frame.path,
            frame.identity,
            frame.remaining,
            list(frame.cells),
            dict(frame.values or {}),
            frame.inputs,
            frame.literals,
            frame.repeat,
            frame.nesting,
        )
        for frame in scheduler.frames.values()
    }
    ready = {(frame.id, index) for frame, index in scheduler.ready} | set(scheduler.in_flight)
    return frames, ready, scheduler.outputs, scheduler.next_frame, scheduler.nodes, scheduler.done_nodes


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_X3_three_outcomes_in_any_order_give_the_same_run(order):
    scheduler = opened(three, 0)
    calls = scheduler.take(10)
    assert [name(call) for call in calls] == ["grow", "grow~2", "grow~3"]
    for position in order:
        answer(scheduler, calls[position], grow, position + 1)
    assert {path for path, *_ in paths(scheduler)} == {"main", "main/grow", "main/grow~2", "main/grow~3"}
    by_order_of_calls = opened(three, 0)
    for position, call in enumerate(by_order_of_calls.take(10)):
        answer(by_order_of_calls, call, grow, position + 1)
    assert paths(scheduler) == paths(by_order_of_calls)

    outputs = {}
    for machine in (scheduler, by_order_of_calls):
        while taken := machine.take(1):
            frame, node, *_ = taken[0]
            machine.done(frame.id, node, pack([name(taken[0]), frame.path]))
        outputs[machine] = machine.outputs
    assert outputs[scheduler] == outputs[by_order_of_calls]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_X3_the_log_of_any_order_replays_to_the_same_state(order):
    scheduler = opened(three, 0)
    calls = scheduler.take(10)
    for position in order:
        answer(scheduler, calls[position], grow, position + 1)
    answer(scheduler, scheduler.take(1)[0])
    again = opened(three, 0)
    for event in scheduler.log:
        replay(again, event)
    replayed(again)
    assert state(again) == state(scheduler)
    assert drain(again) == drain(scheduler)


def test_X2_a_call_is_taken_once():
    scheduler = opened(three, 0)
    taken = [scheduler.take(1)[0] for _ in range(3)]
    assert len({(call.frame.id, call.node) for call in taken}) == 3
    assert scheduler.take(10) == []
    assert not scheduler.ended


def test_X2_outcomes_that_come_twice_or_late_are_ignored():
    scheduler = opened(nested, 1)
    log = []
    while calls := scheduler.take(1):
        frame, node, *_ = calls[0]
        answer(scheduler, calls[0])
        length = len(scheduler.log)
        scheduler.done(frame.id, node, pack("again"))
        scheduler.expanded(frame.id, node, futures_to_bytes(inner.compile(), FuturesHeader(frame.identity, node, 1)))
        log.append((len(scheduler.log), length))
    assert all(after == before for after, before in log)
    assert scheduler.outputs == (pack(["join", 0, 2]),)


def test_X2_a_failure_that_comes_after_the_value_is_ignored():
    scheduler = opened(nested, 1)
    (call,) = scheduler.take(1)
    answer(scheduler, call)
    scheduler.failed(call.frame.id, call.node, Failure.of_executor("CodeNotFound", "late"))
    assert not any(event[0] == NODE_FAILED for event in scheduler.log)
    assert not scheduler.stopping


def test_X2_a_call_that_comes_back_unstarted_is_taken_again():
    scheduler = opened(nested, 1)
    (call,) = scheduler.take(1)
    scheduler.returned(call.frame.id, call.node)
    again = scheduler.take(10)
    assert call in again
    answer(scheduler, call)
    scheduler.returned(call.frame.id, call.node)
    assert call not in scheduler.take(10)


def test_X6_after_a_failure_nothing_is_taken():
    scheduler = opened(three, 0)
    first, second, third = scheduler.take(10)
    scheduler.failed(first.frame.id, first.node, Failure.of_executor("CodeNotFound", "gone"))
    assert not scheduler.ended, "what runs may finish"
    answer(scheduler, second, grow, 2)
    answer(scheduler, third)
    assert scheduler.take(10) == []
    assert scheduler.ended
    assert scheduler.failure.path == "main/grow"
    assert [event[0] for event in scheduler.log] == [NODE_FAILED, EXPANDED, NODE_DONE]


def test_X6_replay_forgets_failures_and_the_node_is_taken_again():
    scheduler = opened(three, 0)
    first, second, _ = scheduler.take(10)
    scheduler.done(second.frame.id, second.node, pack(0))
    scheduler.failed(first.frame.id, first.node, Failure.of_executor("CodeNotFound", "gone"))
    again = opened(three, 0)
    for event in scheduler.log:
        replay(again, event)
    replayed(again)
    assert again.failure is None
    assert [name(call) for call in again.take(10)] == ["grow", "grow~3"]


def test_D2_nested_workflows_are_opened_on_the_way_and_logged():
    scheduler = opened(nested, 1)
    assert len(scheduler.take(3)) == 3
    assert [event for event in scheduler.log if event[0] == OPENED] == [(OPENED, 0, 0, 1)]
    assert {frame.path for frame in scheduler.frames.values()} == {"main", "main/inner"}


def test_D4_a_frame_that_has_ended_is_gone_from_memory():
    scheduler = opened(nested, 1)
    calls = scheduler.take(3)
    inside = [call for call in calls if call.frame.path == "main/inner"]
    for call in inside:
        answer(scheduler, call)
    answer(scheduler, scheduler.take(1)[0])
    before = frames_alive()
    del calls, inside, call
    assert frames_alive() == before - 1
    assert set(scheduler.frames) == {0}
    root = scheduler.frames[0]
    assert root.values.keys() == {0}


def test_D4_a_tail_call_takes_the_place_of_its_frame():
    scheduler = opened(tail, 50)
    before = frames_alive()
    for level in range(50, 0, -1):
        (call,) = scheduler.take(1)
        answer(scheduler, call, tail, level)
        del call
        assert len(scheduler.frames) == 2
    assert frames_alive() == before + 1
    (call,) = scheduler.take(1)
    assert call.frame.depth == 50
    scheduler.done(call.frame.id, call.node, pack(0))
    assert scheduler.outputs == (pack(0),)
    assert scheduler.done_nodes == scheduler.nodes == 51


def test_D2_a_run_without_nodes_ends_at_once():
    @workflow
    def same(x: int) -> int:
        return x

    scheduler = opened(same, 5)
    assert (scheduler.ended, scheduler.outputs, scheduler.frames) == (True, (pack(5),), {})
