"""Random workflows of every kind of node, whose bodies succeed, fail, loop, skip, jump and cancel as they like.

After every event the invariants hold, no node goes from one state to another that the table doesn't know, and the run
comes to an end. So does a scheduler that replays the log up to any event.
"""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promissory import (
    Context,
    FailurePolicy,
    NodeFailure,
    approve,
    conditional,
    dynamic,
    map_task,
    merge,
    promise,
    sleep,
    task,
    workflow,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.invariants import Violated, check
from promissory.executor.scheduler.node_state import TRANSITIONS, NodeState, table
from promissory.executor.scheduler.replay import replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes, plan_from_bytes
from promissory.planner.plan.model import BRANCH, CALL, MAP
from promissory.typesys.canonical import pack

MANY = settings(max_examples=250, deadline=None, database=None, derandomize=True)
LISTED = {(one.before, one.after) for one in TRANSITIONS}
SEEN = Counter()


@task
def work(x: int) -> int:
    return x


@task(retries=1)
def again(x: int) -> int:
    return x


@task
def send(ctx: Context, x: int) -> int:
    ctx.next_task("late0")
    return x


@task
def told(err: NodeFailure) -> int:
    return 0


@task
def clean_up(err: NodeFailure) -> None:
    pass


@dynamic(allow_repeat=True)
def grow(x: int) -> int:
    return work(x)


@workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def goes_on(x: int) -> int:
    work(x)
    return again(work(x))


@workflow(on_failure=clean_up)
def cleans_up(x: int) -> int:
    return again(work(x))


@workflow
def emitted(x: int) -> int:
    work(1)
    return again(work(2))


KINDS = ("work", "again", "grow", "map", "limited", "lenient", "flow", "branch", "merge", "rescue", "gate", "nap")
OUTCOMES = ("done", "done", "done", "failed", "looped", "skipped", "lost", "asked", "cancelled")
TRIGGERS = ("all_done", "any_failed", "any_success", "none_failed")


@st.composite
def workflows(draw):
    """A workflow of up to seven nodes of any kind, which take each other's values or wait for each other."""
    policy = draw(st.sampled_from(FailurePolicy))

    @workflow(failure_policy=policy)
    def any_kind(x: int) -> int:
        values, nodes = [x], []
        for number in range(draw(st.integers(1, 7))):
            node = drawn(draw, number, values[draw(st.integers(0, len(values) - 1))])
            if nodes and draw(st.integers(0, 2)) == 0:
                nodes[draw(st.integers(0, len(nodes) - 1))] >> node
            elif nodes and draw(st.integers(0, 2)) == 0:
                node = work(1).with_overrides(trigger=draw(st.sampled_from(TRIGGERS)))
                [nodes[at] for at in draw(st.sets(st.integers(0, len(nodes) - 1), min_size=1, max_size=3))] >> node
            nodes.append(node)
            values.append(node)
        if draw(st.booleans()):
            send(x)
            for number in range(draw(st.integers(1, 2))):
                work(draw(st.integers(0, 3))).with_overrides(name=f"late{number}", standby=True)
        return values[-1]

    return any_kind


def drawn(draw, number, x):
    """A node of some kind."""
    kind = draw(st.sampled_from(KINDS))
    if kind == "map":
        return map_task(work)(x=[x, 2, x])[0]
    if kind == "limited":
        return map_task(again, concurrency=1)(x=[x, 2, 3, 4])[1]
    if kind == "lenient":
        map_task(goes_on, min_success_ratio=0.4)(x=[x, 2, 3])
        return work(x)
    if kind == "flow":
        return draw(st.sampled_from((goes_on, cleans_up)))(x)
    if kind == "branch":
        return conditional(f"c{number}").if_(promise(x) > 1).then(work(x)).else_().then(cleans_up(x))
    if kind == "merge":
        return merge(work(x), again(x))
    if kind == "rescue":
        return promise(draw(st.sampled_from((work, cleans_up, grow)))(x)).on_error(told)
    if kind == "gate":
        return approve(work(x), name=f"ok{number}")
    if kind == "nap":
        sleep(5)
        return work(x)
    return {"work": work, "again": again, "grow": grow}[kind](x)


@pytest.fixture(autouse=True, scope="module")
def watched():
    """Each transition is compared with the table."""
    real = Frame.set_state

    def watch(frame, index, state):
        before = frame.state(index)
        if before != state:
            SEEN[before, state] += 1
            if (before, state) not in LISTED:
                raise Violated(f"{frame.path_of(index)} went from {before!r} to {state!r}")
        real(frame, index, state)

    patch = pytest.MonkeyPatch()
    patch.setattr(Frame, "set_state", watch)
    yield
    patch.undo()


def opened(plan):
    scheduler = Scheduler(Limits())
    scheduler.open_root(plan, (pack(1),))
    return scheduler


def lates(frame):
    return [name for index, name in enumerate(frame.topology.names) if index in frame.topology.standby]


def happen(scheduler, call, draw):
    """Answer a call in one of the ways in which its node may answer."""
    frame, index = call.frame, call.node
    key = (frame.id, index)
    kind = frame.topology.kind(index)
    if kind == MAP and key not in scheduler.maps:
        items = draw(st.lists(st.integers(1, 2), max_size=3))
        scheduler.spread(*key, [(count, [pack([1] * count)]) for count in items])
        return
    if kind == BRANCH:
        scheduler.chosen(*key, draw(st.integers(0, 1)))
        return
    if kind != CALL:
        scheduler.done(*key, pack([1]))
        return
    outcome = draw(
        st.sampled_from(("done", "done", "done", "failed", "looped", "skipped", "lost", "asked", "cancelled"))
    )
    if outcome == "looped" and call.iteration > 1:
        outcome = "done"
    if outcome in ("done", "asked") and frame.topology.is_dynamic(index) and frame.depth < 2:
        data = futures_to_bytes(emitted.compile(), FuturesHeader(frame.identity, index, frame.depth + 1))
        scheduler.expanded(*key, data)
    elif outcome == "failed":
        scheduler.failed(*key, Failure.of_exception(OSError("no")))
    elif outcome == "looped":
        scheduler.looped(*key, pack(1))
    elif outcome == "skipped":
        scheduler.skipped(*key, "not today")
    elif outcome == "lost":
        scheduler.returned(*key)
    elif outcome == "cancelled" and draw(st.integers(0, 9)) == 0:
        scheduler.cancelled_by(*key, "enough")
    elif outcome == "asked" and lates(frame) and frame.part is None:
        name = draw(st.sampled_from(lates(frame)))
        goto = {"goto": 0} if draw(st.booleans()) else {}
        scheduler.signalled(*key, ("value", pack(1)), {"next": [[name, -1, -1]], **goto})
    else:
        scheduler.done(*key, pack(1))


def gates_answered(scheduler, draw):
    for waiting in list(scheduler.waiting.values()):
        if waiting.wants is not None and draw(st.booleans()):
            scheduler.answered(waiting, pack(draw(st.booleans())))
            check(scheduler)


def walk(scheduler, draw):
    """Run to the end. Checks the invariants after every event, and returns all events."""
    running, log, now = [], [], 0.0
    check(scheduler)
    for _ in range(2_000):
        running += scheduler.take(draw(st.integers(1, 4)), now, now)
        check(scheduler)
        log, scheduler.log = log + scheduler.log, []
        if scheduler.ended:
            return log
        if running:
            happen(scheduler, running.pop(draw(st.integers(0, len(running) - 1))), draw)
            check(scheduler)
        gates_answered(scheduler, draw)
        if not running:
            now = max(now, scheduler.next_due or now)
            scheduler.wake(now)
            check(scheduler)
    raise AssertionError("it goes on for ever")


def test_X2_the_invariants_hold_after_every_event_and_every_transition_is_seen():
    """But those of a resume, and to DONE, which happens in place."""

    @MANY
    @given(workflows(), st.data())
    def each(made, data):
        walk(opened(plan_from_bytes(made.compile().to_bytes())), data.draw)

    each()
    of_runs = {
        (one.before, one.after)
        for one in TRANSITIONS
        if not one.cause.startswith("a resume") and one.after != NodeState.DONE
    }
    assert not of_runs - set(SEEN)


@pytest.mark.full
@MANY
@given(workflows(), st.data())
def test_J1_the_invariants_hold_in_every_replay_and_the_run_goes_on_to_an_end(made, data):
    plan = plan_from_bytes(made.compile().to_bytes())
    log = walk(opened(plan), data.draw)
    again = opened(plan)
    for event in log[: data.draw(st.integers(0, len(log)))]:
        replay(again, event)
        check(again)
    replayed(again)
    check(again)
    walk(again, data.draw)


def test_the_table_of_states_in_the_documentation_is_the_schedulers():
    root = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").is_file())
    assert table() in (root / "docs" / "explanation" / "scheduler.md").read_text()
