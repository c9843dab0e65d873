"""Random workloads, one event after the other: after each the scheduler's counts are right, and a snapshot of it goes
on to the same end.
"""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from promissory import Workflow, dynamic, task
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.invariants import check
from promissory.executor.scheduler.replay import replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump, load
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes, plan_from_bytes
from promissory.typesys.canonical import pack

QUICK = settings(max_examples=60, deadline=None, database=None, derandomize=True)


@task
def work(values: list[int]) -> int:
    return sum(values)


@task
def table(values: list[int]) -> dict[str, int]:
    return {}


@dynamic(allow_repeat=True)
def grow(values: list[int]) -> int:
    return 0


@st.composite
def workflows(draw, depth=0):
    """A workflow of up to six calls that take each other's values, whole or in part, or wait for each other; nested at
    most twice.
    """
    made = Workflow(f"level{depth}")
    values: list[Any] = [made.add_workflow_input("x", int, 1)]
    nodes: list[Any] = []
    with made:
        for _ in range(draw(st.integers(0, 6))):
            arguments = [values[i] for i in draw(st.lists(st.integers(0, len(values) - 1), max_size=3))]
            kind = draw(st.sampled_from(["work", "table", "grow", "nested"]))
            if kind == "nested" and depth < 2:
                node = draw(workflows(depth + 1))(x=values[draw(st.integers(0, len(values) - 1))])
            elif kind == "table":
                node = table(arguments)
            else:
                node = grow(arguments) if kind == "grow" else work(arguments)
            if nodes and draw(st.booleans()):
                nodes[draw(st.integers(0, len(nodes) - 1))] >> node
            nodes.append(node)
            values.append(node["k"] if kind == "table" else node)
    made.add_workflow_output("y", values[draw(st.integers(0, len(values) - 1))])
    return made


def opened(plan):
    scheduler = Scheduler(Limits())
    scheduler.open_root(plan_from_bytes(plan.to_bytes()), (pack(1),))
    return scheduler


def step(scheduler, call, expansion):
    """Answer a call: dynamics that are not too deep emit a plan, everything else has a value that tells where it comes
    from.
    """
    frame, index, *_ = call
    if expansion is not None and frame.topology.is_dynamic(index) and frame.depth < 2:
        data = futures_to_bytes(expansion, FuturesHeader(frame.identity, index, frame.depth + 1))
        assert scheduler.expanded(frame.id, index, data) is not None
    else:
        scheduler.done(frame.id, index, pack([frame.path, index]))


@QUICK
@given(workflows(), workflows(1), st.data())
def test_X2_counts_are_right_after_every_event_and_every_node_runs_once(outer, emitted, data):
    scheduler, expansion = opened(outer.compile()), emitted.compile()
    running, started = [], Counter()
    if scheduler.outputs is None:
        check(scheduler)
    while not scheduler.ended:
        calls = scheduler.take(data.draw(st.integers(0 if running else 1, 3)))
        running += calls
        started.update((call.frame.id, call.node) for call in calls)
        if not running:
            continue
        check(scheduler)
        call = running.pop(data.draw(st.integers(0, len(running) - 1)))
        step(scheduler, call, expansion)
        check(scheduler)
    assert not started or max(started.values()) == 1
    assert scheduler.outputs is not None
    assert scheduler.frames == {}
    assert scheduler.done_nodes == scheduler.nodes


@QUICK
@given(workflows(), workflows(1), st.data())
def test_J1_a_snapshot_at_any_step_goes_on_to_the_same_end(outer, emitted, data):
    scheduler, expansion = opened(outer.compile()), emitted.compile()
    copies, running = [], []
    while not scheduler.ended:
        running += scheduler.take(data.draw(st.integers(0 if running else 1, 3)))
        if running:
            step(scheduler, running.pop(data.draw(st.integers(0, len(running) - 1))), expansion)
        copies.append((dump(scheduler), scheduler.next_frame, len(scheduler.log)))
    for bytes_, next_frame, _ in copies:
        again = load(bytes_)
        assert again.next_frame == next_frame
        assert dump(again) == bytes_, "a snapshot of what was loaded is the same snapshot"
        if again.outputs is None:
            check(again)
    log = scheduler.log
    for bytes_, _, length in copies:
        again = load(bytes_)
        for event in log[length:]:
            replay(again, event)
        replayed(again)
        assert again.outputs == scheduler.outputs
        assert again.frames == {}


@QUICK
@given(workflows(), workflows(1), st.data())
def test_J1_the_log_up_to_any_event_replays_and_runs_to_the_same_end(outer, emitted, data):
    plan, expansion = outer.compile(), emitted.compile()
    scheduler = opened(plan)
    while calls := scheduler.take(1):
        step(scheduler, calls[0], expansion)
    cut = data.draw(st.integers(0, len(scheduler.log)))
    again = opened(plan)
    for event in scheduler.log[:cut]:
        replay(again, event)
    replayed(again)
    if again.outputs is None:
        check(again)
    while calls := again.take(1):
        step(again, calls[0], expansion)
    assert again.outputs == scheduler.outputs
    assert again.nodes == scheduler.nodes
