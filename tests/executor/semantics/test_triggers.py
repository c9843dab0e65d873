"""X7: when a node starts, by what became of the nodes before it.

With X6: a failure that somebody admits is handled; and X8: UPSTREAM_FAILED tells its cause.
"""

import os
import time
from collections import Counter
from contextlib import nullcontext

import pytest

from promissory import (
    FailurePolicy,
    Plan,
    Skip,
    Store,
    at_least,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    task,
    workflow,
)
from promissory.errors import CompileError, OutputUnavailable
from promissory.testing import always_replay

ENGINES = ["inline", "threads", "processes"]
RUNS_ON = FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
OK, BAD, SKIP = "ok", "bad", "skip"


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def lines(diary):
    return diary.read_text().splitlines() if diary.exists() else []


def carry(target, store, *, engine="inline", replays=True, max_depth=100, **inputs):
    """A run to its end, whose journal is replayed after every round."""
    with always_replay() if replays else nullcontext():
        return run(target, inputs, store=store, engine=engine, max_depth=max_depth, durability="process", echo=False)


def again(ended, **options):
    with always_replay():
        return resume(ended.id, store=ended.store, durability="process", echo=False, **options)


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


def whys(ended):
    return {row.path: row.why for row in ended.nodes()}


@task
def fate(how: str) -> int:
    """A node that ends as it is told."""
    if how == BAD:
        raise ValueError("it was told to")
    if how == SKIP:
        raise Skip("it was told to")
    return 1


@task
def count_up(x: int) -> int:
    return x + 1


@task
def first_of(x: int | None, y: int | None = 7) -> list[int | None]:
    return [x, y]


def over(trigger, *fates, policy=FailurePolicy.FAIL_IMMEDIATELY):
    """A workflow whose node `then` has this trigger and comes after nodes that end so."""

    @workflow(failure_policy=policy)
    def flow() -> None:
        before = [promise(fate(how)) for how in fates]
        then = promise(fate(OK)).with_overrides(name="then", trigger=trigger)
        before >> then

    return flow


# --- the table ---

TABLE = {
    "all_success": {
        (OK, OK): "SUCCEEDED",
        (OK, BAD): "UPSTREAM_FAILED",
        (BAD, BAD): "UPSTREAM_FAILED",
        (OK, SKIP): "SUCCEEDED",
        (SKIP, SKIP): "SUCCEEDED",
    },
    "none_failed": {
        (OK, OK): "SUCCEEDED",
        (OK, BAD): "UPSTREAM_FAILED",
        (SKIP, BAD): "UPSTREAM_FAILED",
        (OK, SKIP): "SUCCEEDED",
        (SKIP, SKIP): "SUCCEEDED",
    },
    "all_done": {
        (OK, OK): "SUCCEEDED",
        (OK, BAD): "SUCCEEDED",
        (BAD, BAD): "SUCCEEDED",
        (SKIP, BAD): "SUCCEEDED",
        (SKIP, SKIP): "SUCCEEDED",
    },
    "any_failed": {
        (OK, OK): "SKIPPED",
        (OK, BAD): "SUCCEEDED",
        (BAD, BAD): "SUCCEEDED",
        (SKIP, BAD): "SUCCEEDED",
        (SKIP, SKIP): "SKIPPED",
    },
    "all_failed": {
        (OK, OK): "SKIPPED",
        (OK, BAD): "SKIPPED",
        (BAD, BAD): "SUCCEEDED",
        (SKIP, BAD): "SKIPPED",
        (SKIP, SKIP): "SKIPPED",
    },
    "any_success": {
        (OK, OK): "SUCCEEDED",
        (OK, BAD): "SUCCEEDED",
        (BAD, BAD): "UPSTREAM_FAILED",
        (OK, SKIP): "SUCCEEDED",
        (SKIP, SKIP): "SKIPPED",
    },
    "at_least(1)": {
        (OK, OK): "SUCCEEDED",
        (OK, BAD): "SUCCEEDED",
        (BAD, BAD): "UPSTREAM_FAILED",
        (OK, SKIP): "SUCCEEDED",
        (SKIP, SKIP): "SKIPPED",
    },
    "at_least(2)": {
        (OK, OK): "SUCCEEDED",
        (OK, BAD): "UPSTREAM_FAILED",
        (BAD, BAD): "UPSTREAM_FAILED",
        (OK, SKIP): "SKIPPED",
        (SKIP, BAD): "UPSTREAM_FAILED",
    },
}


@pytest.mark.full(keep=10)
@pytest.mark.parametrize(
    ("trigger", "fates", "becomes"), [(t, f, b) for t, rows in TABLE.items() for f, b in rows.items()]
)
def test_X7_what_becomes_of_a_node_by_its_trigger(store, trigger, fates, becomes):
    ended = carry(over(trigger, *fates), store)
    assert states(ended)["main/then"] == becomes


@pytest.mark.parametrize("engine", ["threads", "processes"])
@pytest.mark.parametrize("trigger", ["all_done", "any_failed", "any_success"])
def test_X7_triggers_are_the_same_on_every_engine(store, trigger, engine):
    ended = carry(over(trigger, OK, BAD, OK), store, engine=engine)
    assert (ended.state, states(ended)["main/then"]) == ("SUCCEEDED", "SUCCEEDED")


def test_X6_a_failure_that_the_only_one_behind_it_admits_is_handled_and_the_run_succeeds(store):
    for trigger in ("all_done", "any_failed", "all_failed"):
        ended = carry(over(trigger, BAD), store)
        assert (ended.state, ended.error) == ("SUCCEEDED", None), trigger
        assert states(ended)["main/fate"] == "FAILED"


def test_X6_a_failure_that_makes_a_tolerant_node_impossible_fails_the_run(store):
    ended = carry(over(at_least(2), OK, BAD, BAD), store)
    assert ended.state == "FAILED"
    assert ended.error.path in ("main/fate~2", "main/fate~3")


def test_X7_at_least_starts_only_when_all_before_it_have_ended(store, diary):
    """A join waits for all of its predecessors, so that what it sees does not depend on who was quicker."""

    @task
    def slow(name: str) -> int:
        note(diary, name)
        return 1

    @workflow
    def flow() -> None:
        [promise(slow("a")), promise(slow("b")), promise(slow("c"))] >> promise(slow("then")).with_overrides(
            trigger=at_least(1)
        )

    carry(flow, store)
    assert lines(diary)[-1] == "then"
    assert len(lines(diary)) == 4


def test_X7_at_least_more_than_there_are_can_never_be_met_and_is_told_before_the_run():
    """A trigger that no outcome meets is a mistake; the compile says so."""

    @workflow
    def flow() -> None:
        promise(fate(OK)) >> promise(fate(OK)).with_overrides(trigger=at_least(2))

    with pytest.raises(CompileError, match="at_least"):
        flow.compile()


def test_X7_a_node_with_nothing_before_it_and_any_failed_never_runs_and_is_told_before_the_run():
    @workflow
    def flow() -> None:
        promise(fate(OK)).with_overrides(trigger="any_failed")

    with pytest.raises(CompileError, match="any_failed"):
        flow.compile()


@pytest.mark.parametrize("trigger", ["all_sucess", "at_least(0)", "at_least(-1)", "at_least", 3, "", "at_least(1) "])
def test_X7_an_unknown_trigger_is_refused_and_told_which_there_are(trigger):
    @workflow
    def flow() -> int:
        return promise(fate(OK)).with_overrides(trigger=trigger)

    with pytest.raises(CompileError, match=r"all_success.*all_done.*at_least"):
        flow.compile()


@pytest.mark.parametrize("count", [0, -1, True, 1.0, "2"])
def test_X7_at_least_wants_a_whole_number(count):
    with pytest.raises(ValueError, match="at_least"):
        at_least(count)


def test_X7_triggers_stand_in_the_plan_and_read_back_the_same():
    plan = over(at_least(2), OK, OK).compile()
    assert Plan.from_bytes(plan.to_bytes()).to_bytes() == plan.to_bytes()
    assert "at_least(2)" in str(plan)


# --- data edges ---


def test_X7_what_a_tolerant_node_wants_of_a_failed_one_is_its_default(store):
    @workflow
    def flow() -> list[int | None]:
        return promise(first_of(fate(OK), fate(BAD))).with_overrides(trigger="all_done")

    assert carry(flow, store).result == [1, 7]


def test_X7_or_none_where_there_is_no_default_and_the_type_allows_it(store):
    @workflow
    def flow() -> list[int | None]:
        return promise(first_of(fate(BAD), fate(OK))).with_overrides(trigger="any_failed")

    assert carry(flow, store).result == [None, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_X7_also_where_everything_before_it_failed(store, engine):
    @workflow
    def flow() -> list[int | None]:
        return promise(first_of(fate(BAD), fate(BAD))).with_overrides(trigger="all_failed")

    assert carry(flow, store, engine=engine).result == [None, 7]


@pytest.mark.parametrize("trigger", ["all_done", "any_failed", "all_failed", "any_success", "at_least(1)"])
def test_X7_a_parameter_that_can_be_neither_default_nor_none_is_refused_before_the_run(trigger):
    """Its node may run without what it wants: the compile says which parameter, and the way out."""

    @workflow
    def flow() -> int:
        return promise(count_up(fate(OK))).with_overrides(trigger=trigger)

    with pytest.raises(CompileError, match=r"count_up.*x"):
        flow.compile()


def test_X7_none_failed_and_all_success_need_no_default():
    @workflow
    def flow() -> list[int]:
        return [
            promise(count_up(fate(OK))).with_overrides(trigger=trigger) for trigger in ("none_failed", "all_success")
        ]

    assert flow() == [2, 2]


def test_X7_a_run_whose_tolerant_node_can_have_no_value_ends_with_a_named_failure(store):
    """However it came about, the executor itself does not crash."""

    @workflow
    def flow() -> int:
        return promise(count_up(fate(BAD))).with_overrides(trigger="all_done")

    try:
        plan = flow.compile()
    except CompileError:
        return
    ended = carry(plan, store)
    assert ended.state == "FAILED"


def test_X7_a_list_of_which_one_item_failed_is_the_default_or_none_as_a_whole(store):
    @task
    def total(xs: list[int] | None) -> int:
        return -1 if xs is None else sum(xs)

    @workflow
    def flow() -> int:
        return promise(total([fate(OK), fate(BAD), fate(OK)])).with_overrides(trigger="all_done")

    assert carry(flow, store).result == -1


def test_X7_a_field_of_what_failed_is_the_default(store):
    @task
    def pair(how: str) -> tuple[int, int]:
        if how == BAD:
            raise ValueError(how)
        return 1, 2

    @task
    def take(a: int = 10, b: int | None = None) -> list[int | None]:
        return [a, b]

    @workflow
    def flow(how: str) -> list[int | None]:
        a, b = pair(how)
        return promise(take(a, b)).with_overrides(trigger="all_done")

    assert carry(flow, store, how=OK).result == [1, 2]
    assert carry(flow, store, how=BAD).result == [10, None]


def test_X7_a_list_that_is_a_node_of_its_own_fails_with_its_item(store):
    """A joint: a list of promises handed to a nested workflow whose trigger admits failure."""

    @task
    def size(xs: list[int] | None) -> int:
        return -1 if xs is None else len(xs)

    @workflow
    def inner(xs: list[int] | None) -> int:
        return size(xs)

    @workflow
    def flow(how: str) -> int:
        return promise(inner([fate(OK), fate(how)])).with_overrides(trigger="all_done")

    assert carry(flow, store, how=OK).result == 2
    assert carry(flow, store, how=BAD).result == -1


def test_X7_a_nested_workflow_and_a_dynamic_may_have_triggers(store):
    @workflow
    def inner(x: int | None) -> list[int | None]:
        return first_of(x, 2)

    @dynamic
    def grown(x: int | None) -> list[int | None]:
        return first_of(x, 3)

    @workflow
    def flow() -> list[list[int | None]]:
        bad = fate(BAD)
        return [
            promise(inner(bad)).with_overrides(trigger="all_done"),
            promise(grown(bad)).with_overrides(trigger="any_failed"),
        ]

    assert carry(flow, store).result == [[None, 2], [None, 3]]


def test_X7_a_map_may_have_a_trigger(store):
    @task
    def numbers(how: str) -> list[int]:
        fate.function(how)
        return [1, 2]

    @workflow
    def flow(how: str) -> list[int]:
        before = promise(fate(how))
        mapped = promise(map_task(count_up)(x=[1, 2])).with_overrides(trigger="all_done")
        before >> mapped
        return mapped

    assert carry(flow, store, how=BAD).result == [2, 3]


def test_X7_a_nested_workflow_that_failed_inside_counts_as_failed(store):
    @workflow
    def inner() -> int:
        return count_up(fate(BAD))

    @workflow
    def flow() -> list[int | None]:
        return promise(first_of(inner())).with_overrides(trigger="any_failed")

    ended = carry(flow, store)
    assert ended.result == [None, 7]
    assert states(ended)["main/inner"] == "FAILED"
    assert states(ended)["main/inner/count_up"] == "UPSTREAM_FAILED"


# --- skipped ---


def test_X7_what_wants_the_value_of_a_skipped_node_is_skipped_whatever_its_trigger(store):
    for trigger in ("all_success", "all_done", "any_failed", "none_failed", "any_success"):
        ended = carry(_flow_with(trigger), store)
        assert states(ended)["main/first_of"] == "SKIPPED", trigger
        assert ended.state == "SUCCEEDED"


def _flow_with(trigger):
    @workflow
    def flow() -> None:
        promise(first_of(fate(SKIP), fate(OK))).with_overrides(trigger=trigger)

    return flow


def test_X7_skipping_goes_on_along_data_edges_and_stops_at_order_edges(store):
    @workflow
    def flow() -> None:
        skipped = promise(fate(SKIP))
        follower = promise(count_up(skipped))
        last = promise(count_up(follower))
        ordered = promise(fate(OK)).with_overrides(name="ordered")
        last >> ordered

    ended = carry(flow, store)
    found = states(ended)
    assert [found[path] for path in ("main/fate", "main/count_up", "main/count_up~2", "main/ordered")] == [
        "SKIPPED",
        "SKIPPED",
        "SKIPPED",
        "SUCCEEDED",
    ]
    assert ended.state == "SUCCEEDED"


def test_X7_the_reason_of_a_skip_stands_in_its_row_and_what_follows_names_it(store):
    @workflow
    def flow() -> None:
        count_up(fate(SKIP))

    ended = carry(flow, store)
    found = whys(ended)
    assert found["main/fate"] == "it was told to"
    assert "main/fate" in found["main/count_up"], "a node that was skipped because of another says which"


def test_X7_a_result_that_was_skipped_is_unavailable_and_says_why(store):
    @workflow
    def flow() -> int:
        return count_up(fate(SKIP))

    ended = carry(flow, store)
    assert ended.state == "SUCCEEDED"
    with pytest.raises(OutputUnavailable, match="skipped"):
        _ = ended.result


def test_X7_a_list_with_a_skipped_item_is_skipped(store):
    @workflow
    def flow() -> list[int]:
        return [fate(OK), fate(SKIP)]

    ended = carry(flow, store)
    assert ended.state == "SUCCEEDED"
    with pytest.raises(OutputUnavailable):
        _ = ended.result


def test_X7_a_nested_workflow_whose_result_was_skipped_is_skipped(store):
    @workflow
    def inner() -> int:
        return count_up(fate(SKIP))

    @workflow
    def flow() -> None:
        count_up(inner())

    found = states(carry(flow, store))
    assert (found["main/inner"], found["main/count_up"]) == ("SKIPPED", "SKIPPED")


def test_X7_a_skip_and_a_failure_before_one_node_are_a_failure(store):
    """A failure weighs more: what can't run because of one is no skip."""
    ended = carry(over("all_success", SKIP, BAD), store)
    assert (states(ended)["main/then"], ended.state) == ("UPSTREAM_FAILED", "FAILED")


# --- causes and chains ---


def test_X8_upstream_failed_names_the_node_that_failed_however_far_it_is(store):
    @workflow
    def inner() -> int:
        return count_up(fate(BAD))

    @workflow
    def flow() -> int:
        return count_up(count_up(inner()))

    ended = carry(flow, store)
    found = whys(ended)
    for path in ("main/count_up", "main/count_up~2", "main/inner/count_up"):
        assert found[path] == "main/inner/fate failed", path


def test_X7_a_chain_of_handlers_runs_along_the_failure(store):
    """any_failed, then all_success behind it: the second follows the first, which succeeded."""

    @workflow
    def flow() -> None:
        bad = promise(fate(BAD))
        clean = promise(fate(OK)).with_overrides(name="clean", trigger="any_failed")
        after = promise(fate(OK)).with_overrides(name="after")
        bad >> clean >> after

    ended = carry(flow, store)
    found = states(ended)
    assert (ended.state, found["main/clean"], found["main/after"]) == ("SUCCEEDED", "SUCCEEDED", "SUCCEEDED")


def test_X7_upstream_failed_counts_as_failed_for_the_triggers_behind_it(store):
    @workflow
    def flow() -> None:
        last = promise(count_up(count_up(fate(BAD))))
        last >> promise(fate(OK)).with_overrides(name="clean", trigger="all_failed")

    ended = carry(flow, store)
    assert (ended.state, states(ended)["main/clean"]) == ("SUCCEEDED", "SUCCEEDED")


def test_X7_a_cleanup_that_was_not_needed_is_skipped_and_what_follows_in_order_runs(store):
    @workflow
    def flow() -> None:
        good = promise(fate(OK))
        clean = promise(fate(OK)).with_overrides(name="clean", trigger="any_failed")
        good >> clean >> promise(fate(OK)).with_overrides(name="after")

    found = states(carry(flow, store))
    assert (found["main/clean"], found["main/after"]) == ("SKIPPED", "SUCCEEDED")


@pytest.mark.parametrize("engine", ENGINES)
def test_X7_scenario_27_a_follower_is_not_run_the_cleanup_is_once_and_the_run_fails(store, diary, engine):
    @task
    def clean_up() -> None:
        note(diary, "clean up")

    @task
    def follow(x: int) -> int:
        note(diary, "follow")
        return x

    @workflow
    def flow() -> int:
        risky = promise(fate(BAD))
        risky >> promise(clean_up()).with_overrides(trigger="any_failed")
        return follow(risky)

    ended = carry(flow, store, engine=engine)
    assert (ended.state, ended.error.path) == ("FAILED", "main/fate")
    assert lines(diary) == ["clean up"]
    assert states(ended) == {"main/fate": "FAILED", "main/clean_up": "SUCCEEDED", "main/follow": "UPSTREAM_FAILED"}


def test_X7_a_cleanup_with_a_nested_workflow_runs_whole_though_its_frame_fails(store, diary):
    @task
    def step(name: str) -> str:
        note(diary, name)
        return name

    @task
    def after(name: str, last: str) -> str:
        note(diary, name)
        return name

    @dynamic
    def grown(n: int) -> str:
        return after(f"grown {n}", grown(n - 1)) if n else step("bottom")

    @workflow
    def clean_up() -> str:
        return after("last", grown(3))

    @workflow
    def flow() -> int:
        risky = promise(fate(BAD))
        risky >> promise(clean_up()).with_overrides(trigger="all_done")
        return count_up(risky)

    ended = carry(flow, store)
    assert ended.state == "FAILED"
    assert lines(diary) == ["bottom", "grown 1", "grown 2", "grown 3", "last"]
    assert states(ended)["main/clean_up"] == "SUCCEEDED"


def test_X7_a_cleanup_that_fails_leaves_the_original_failure(store):
    @workflow
    def flow() -> int:
        risky = promise(fate(BAD))
        risky >> promise(fate(BAD)).with_overrides(name="clean", trigger="any_failed")
        return count_up(risky)

    ended = carry(flow, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/fate")
    assert states(ended)["main/clean"] == "FAILED"


def test_X7_a_cleanup_that_fails_alone_fails_the_run(store):
    @workflow
    def flow() -> None:
        promise(fate(BAD)) >> promise(fate(BAD)).with_overrides(name="clean", trigger="any_failed")

    ended = carry(flow, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/clean")


def test_X7_a_diamond_whose_one_side_failed_joins_once(store, diary):
    @task
    def join(a: int | None, b: int | None) -> int:
        note(diary, "join", a, b)
        return 1

    @workflow
    def flow() -> int:
        top = promise(fate(OK))
        left, right = promise(fate(BAD)), promise(fate(OK))
        top >> [left, right]
        return promise(join(left, right)).with_overrides(trigger=at_least(1))

    assert carry(flow, store).state == "SUCCEEDED"
    assert lines(diary) == ["join None 1"]


def test_X7_a_failure_with_a_handler_and_a_follower_that_is_admitted_by_another(store):
    """Each way that a failure takes has to end at somebody who handles it."""

    @workflow
    def flow() -> None:
        bad = promise(fate(BAD))
        one = promise(count_up(bad))
        two = promise(count_up(bad))
        [one, two] >> promise(fate(OK)).with_overrides(trigger="all_done")

    assert carry(flow, store).state == "SUCCEEDED"


def test_X6_a_failure_that_is_a_result_as_well_is_not_handled_by_a_trigger(store):
    @workflow
    def flow() -> int:
        bad = promise(fate(BAD))
        bad >> promise(fate(OK)).with_overrides(name="clean", trigger="any_failed")
        return bad

    ended = carry(flow, store)
    assert (ended.state, states(ended)["main/clean"]) == ("FAILED", "SUCCEEDED")


# --- resume ---


@pytest.mark.parametrize("engine", ENGINES)
def test_X7_a_handled_failure_stays_handled_at_resume(store, diary, engine):
    """What was handled is no failure of the run: a resume runs neither it nor its handler again."""
    repaired = diary.with_name("repaired")

    @task
    def body(name: str, how: str) -> int:
        note(diary, name)
        if how == BAD and not repaired.exists():
            raise ValueError(name)
        return 1

    @task
    def late(x: int | None) -> int:
        note(diary, "late", x)
        if not repaired.exists():
            raise ValueError("late")
        return 5

    @workflow
    def flow() -> int:
        handled = promise(body("handled", BAD))
        return promise(late(handled)).with_overrides(trigger="all_done")

    ended = carry(flow, store, engine=engine)
    assert (ended.state, ended.error.path) == ("FAILED", "main/late")
    repaired.touch()
    assert again(ended, engine=engine).result == 5
    assert Counter(lines(diary)) == {"handled": 1, "late None": 2}


def test_X7_at_resume_the_cleanup_that_has_run_is_not_asked_for_again_when_all_is_well(store, diary):
    repaired = diary.with_name("repaired")

    @task
    def risky() -> int:
        note(diary, "risky")
        if not repaired.exists():
            raise ValueError("risky")
        return 4

    @task
    def clean() -> None:
        note(diary, "clean")

    @workflow
    def flow() -> int:
        done = promise(risky())
        done >> promise(clean()).with_overrides(trigger="any_failed")
        return count_up(done)

    ended = carry(flow, store)
    assert (ended.state, lines(diary)) == ("FAILED", ["risky", "clean"])
    repaired.touch()
    resumed = again(ended)
    assert resumed.result == 5
    assert lines(diary) == ["risky", "clean", "risky"]


# --- deep ---


def deep_fall(handled, depth):
    """A recursion that fails at its bottom, with or without somebody on every level who admits it."""

    @task
    def bottom() -> int:
        raise ValueError("bottom")

    @task
    def up(x: int | None) -> int:
        return -1 if x is None else x

    @task
    def strict_up(x: int) -> int:
        return x

    @dynamic
    def fall(n: int) -> int:
        below = bottom() if n == 0 else fall(n - 1)
        return promise(up(below)).with_overrides(trigger="all_done") if handled else strict_up(below)

    return fall


@pytest.mark.full
@pytest.mark.parametrize("handled", [False, True], ids=["unhandled", "handled"])
def test_X6_a_failure_rises_through_two_thousand_dynamics_in_no_time(tmp_path, handled):
    depth = 2_000
    store = Store(f"memory://deep-{tmp_path.name}")
    begun = time.perf_counter()
    ended = carry(deep_fall(handled, depth), store, replays=False, max_depth=depth + 2, n=depth)
    took = time.perf_counter() - begun
    if handled:
        assert ended.result == -1
    else:
        assert ended.state == "FAILED"
        assert "/bottom#" in ended.error.path
    assert took < 15, f"{took:.1f} s"


def test_X6_a_failure_rises_through_two_hundred_nested_handlers_from_the_inside_out(tmp_path, diary):
    depth = 200

    @task
    def bottom() -> int:
        raise ValueError("bottom")

    @task
    def up(x: int) -> int:
        return x

    @task
    def clean(n: int) -> None:
        note(diary, n)

    @workflow(on_failure=clean)
    def level(n: int) -> int:
        return fall(n)

    @dynamic
    def fall(n: int) -> int:
        return up(bottom() if n == 0 else level(n - 1))

    begun = time.perf_counter()
    ended = carry(fall, Store(f"memory://handlers-{tmp_path.name}"), replays=False, max_depth=depth + 2, n=depth)
    took = time.perf_counter() - begun
    assert ended.state == "FAILED"
    assert lines(diary) == [str(n) for n in range(depth)]
    assert took < 15, f"{took:.1f} s"


def test_X6_a_deep_fall_replays(store):
    assert carry(deep_fall(True, 8), store, n=8).result == -1
    assert carry(deep_fall(False, 8), store, n=8).state == "FAILED"


@pytest.mark.parametrize("policy", [FailurePolicy.FAIL_IMMEDIATELY, RUNS_ON])
def test_X6_ten_failures_beside_each_other_fail_the_run_once(store, policy):
    ended = carry(over("all_success", *[BAD] * 10, policy=policy), store)
    assert ended.state == "FAILED"
    assert states(ended)["main/then"] == "UPSTREAM_FAILED"
