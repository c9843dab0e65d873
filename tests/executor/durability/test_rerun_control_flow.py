"""A rerun from inside maps, loops and branches takes all that does not depend on where it begins."""

import uuid
from collections import Counter

import pytest

from promissory import (
    Context,
    Loop,
    NodeFailure,
    approve,
    conditional,
    dynamic,
    map_task,
    promise,
    rerun,
    resume,
    run,
    task,
    workflow,
)
from promissory.errors import RunNotFound
from promissory.testing import Crashed, Fault, FaultyStore, MockClock, crash_at

RAN = []
BROKEN = set()


@pytest.fixture(autouse=True)
def nothing_ran():
    RAN.clear()


@task
def noted(name: str, n: int) -> int:
    RAN.append(f"{name} {n}")
    return n + 1


@task
def item(n: int) -> int:
    return noted("item", n)


@task
def total(xs: list[int]) -> int:
    RAN.append("total")
    return sum(xs)


@task
def climb(ctx: Context, n: int) -> int:
    RAN.append(f"climb {ctx.loop_index}")
    if ctx.loop_index == n:
        return n
    raise Loop()


@dynamic
def rounds(ctx: Context, n: int) -> int:
    if ctx.loop_index == n:
        return ctx.loop_result
    raise Loop(noted("round", ctx.loop_index))


@workflow
def flow(n: int) -> int:
    mapped = map_task(item)(n=[1, 2, 3])
    looped = climb(n)
    chosen = conditional("way").if_(looped > 1).then(noted("high", looped)).else_().then(noted("low", looped))
    return total([total(mapped), chosen, rounds(3)])


def again(where):
    first = run(flow, {"n": 2}, store="memory://rerun-control", echo=False)
    RAN.clear()
    second = rerun(first.id, from_=where, store="memory://rerun-control", echo=False)
    assert second.result == first.result == 9 + 3 + 3
    return RAN


def test_R6_from_an_item_the_other_items_stay():
    assert again("main/item[1]") == ["item 2", "total", "total"]


def test_R6_from_a_map_all_its_items_run():
    assert again("main/item") == ["item 1", "item 2", "item 3", "total", "total"]


def test_R6_from_a_loop_all_its_iterations_run_and_what_depends_on_them():
    assert sorted(again("main/climb")) == ["climb 0", "climb 1", "climb 2", "high 2", "total"]


def test_R6_from_inside_an_arm_the_choice_stays():
    assert again("main/way/noted") == ["high 2", "total"]


def test_R6_from_inside_an_iteration_those_before_it_stay():
    assert again("main/rounds[=1]/noted") == ["round 1", "round 2", "total"]


def test_R6_from_behind_everything_nothing_else_runs():
    assert again("main/total~2") == ["total"]


# --- iterations (S1, S2) ---


@task
def polls(ctx: Context, n: int) -> int:
    """Fails in iteration 2 while it is broken; gives how many iterations have counted up."""
    RAN.append(f"polls {n}[={ctx.loop_index}]")
    if ctx.loop_index == 2 and "polls" in BROKEN:
        raise ValueError("not today")
    if ctx.loop_index == n:
        return ctx.loop_result or 0
    raise Loop((ctx.loop_result or 0) + 1)


@task(max_iterations=4)
def adds(ctx: Context, n: int) -> int:
    """Each iteration adds a task, and counts in the run's channel."""
    RAN.append(f"adds [={ctx.loop_index}]")
    if ctx.loop_index < n:
        ctx.channel().add("iterations", 1)
        ctx.next_task(noted, name="added", n=ctx.loop_index)
        ctx.next_iteration(None)
    return ctx.channel().get("iterations")


@dynamic
def turns(ctx: Context, n: int) -> int:
    RAN.append(f"turns {n}[={ctx.loop_index}]")
    if ctx.loop_index == n:
        return noted("last", ctx.loop_result)
    raise Loop(noted("turn", polls(ctx.loop_index)))


@workflow
def loops(n: int) -> int:
    return total([polls(n), turns(n), adds(n), total(map_task(polls)(n=[1, n])), total(map_task(turns)(n=[1, n]))])


LOOPS_BEGIN_AT = {
    "main/polls[=2]": ["polls 3[=2]", "polls 3[=3]"],
    "main/polls[=3]": ["polls 3[=3]"],
    "main/polls[=0]": ["polls 3[=0]", "polls 3[=1]", "polls 3[=2]", "polls 3[=3]"],
    "main/polls~2[1][=2]": ["polls 3[=2]", "polls 3[=3]"],
    "main/polls~2[0][=1]": ["polls 1[=1]"],
    "main/adds[=2]": ["adds [=2]", "added 2", "adds [=3]"],
    "main/adds[=1]/noted": ["added 1", "adds [=2]", "added 2", "adds [=3]"],
    "main/turns[=2]": ["turns 3[=2]", "polls 2[=0]", "polls 2[=1]", "polls 2[=2]", "turn 2", "turns 3[=3]", "last 3"],
    "main/turns[=3]": ["turns 3[=3]", "last 3"],
    "main/turns[=2]/noted": ["turn 2", "turns 3[=3]", "last 3"],
    "main/turns[=2]/polls[=1]": ["polls 2[=1]", "polls 2[=2]", "turn 2", "turns 3[=3]", "last 3"],
    "main/turns~2[1][=2]": [
        "turns 3[=2]",
        "polls 2[=0]",
        "polls 2[=1]",
        "polls 2[=2]",
        "turn 2",
        "turns 3[=3]",
        "last 3",
    ],
    "main/turns~2[0][=1]": ["turns 1[=1]", "last 1"],
}


@pytest.mark.parametrize("where", LOOPS_BEGIN_AT)
def test_S1_a_rerun_begins_at_the_iteration_that_is_named_and_runs_none_before_it(memory, where):
    first = kept(loops, memory, n=3)
    second = again_from(first, where)
    assert (second.state, second.result) == ("SUCCEEDED", first.result)
    assert [what for what in RAN if what != "total"] == LOOPS_BEGIN_AT[where]
    assert rows(second) == rows(first)


@pytest.mark.parametrize("where", ["main/polls[=2]", "main/polls~2[1][=2]", "main/turns[=2]/polls[=1]"])
def test_S1_a_rerun_of_a_rerun_begins_at_its_iteration_as_well(memory, where):
    first = kept(loops, memory, n=3)
    again_from(again_from(first, where), where)
    assert [what for what in RAN if what != "total"] == LOOPS_BEGIN_AT[where]


def test_S2_a_rerun_from_before_the_failed_iteration_and_from_it(memory):
    BROKEN.add("polls")
    first = kept(polls, memory, n=4)
    assert (first.state, first.error.path) == ("FAILED", "main/polls[=2]")
    BROKEN.clear()
    assert again_from(first, "main/polls[=2]").result == 4
    assert [f"polls 4[={k}]" for k in (2, 3, 4)] == RAN
    assert again_from(first, "main/polls[=1]").result == 4
    assert [f"polls 4[={k}]" for k in (1, 2, 3, 4)] == RAN


def test_S1_a_rerun_from_an_iteration_that_was_not_is_refused(memory):
    first = kept(loops, memory, n=3)
    with pytest.raises(RunNotFound, match=r"main/polls has no iteration 4 .* it has 4 iterations, 0 to 3"):
        again_from(first, "main/polls[=4]")


@dynamic
def pages(ctx: Context) -> int:
    """Its first iteration calls nothing: what it gives is a value."""
    RAN.append(f"pages [={ctx.loop_index}]")
    if ctx.loop_index == 0:
        raise Loop(100)
    if ctx.loop_index < 3:
        raise Loop(noted("page", ctx.loop_result))
    return ctx.loop_result


@task
def adds_once(ctx: Context) -> int:
    RAN.append(f"adds_once [={ctx.loop_index}]")
    ctx.channel().add("iterations", 1)
    if ctx.loop_index == 1:
        ctx.next_task(noted, name="added", n=0)
    if ctx.loop_index < 2:
        ctx.next_iteration(None)
    return ctx.channel().get("iterations")


@workflow
def pages_in_items() -> list[int]:
    return map_task(page_of)(n=[10, 20])


@dynamic
def page_of(ctx: Context, n: int) -> int:
    RAN.append(f"page_of {n}[={ctx.loop_index}]")
    if ctx.loop_index == 0:
        raise Loop(n)
    if ctx.loop_index < 3:
        raise Loop(noted("page", ctx.loop_result))
    return ctx.loop_result


@pytest.mark.parametrize(
    ("flow", "where", "runs"),
    [
        (pages, "main/pages[=2]/noted", ["page 101", "pages [=3]"]),
        (pages, "main/pages[=1]/noted", ["page 100", "pages [=2]", "page 101", "pages [=3]"]),
        (pages_in_items, "main/page_of[1][=2]/noted", ["page 21", "page_of 20[=3]"]),
        (adds_once, "main/adds_once[=1]/noted", ["added 0", "adds_once [=2]"]),
    ],
    ids=lambda it: it if isinstance(it, str) else getattr(it, "name", ""),
)
def test_S1_from_inside_of_an_iteration_those_before_that_called_nothing_stay_too(memory, flow, where, runs):
    first = kept(flow, memory)
    second = again_from(first, where)
    assert (second.result, RAN) == (first.result, runs)
    assert rows(second) == rows(first)


# --- handled failures (X6, X7, X9, B2) ---


@task
def bad(n: int) -> int:
    RAN.append(f"bad {n}")
    raise ValueError(f"{n} is bad")


@task
def broken(n: int) -> int:
    RAN.append(f"broken {n}")
    if "broken" in BROKEN:
        raise OSError("not today")
    return n


@task
def odd(n: int) -> int:
    RAN.append(f"odd {n}")
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n


@task
def fallback(err: NodeFailure) -> int:
    RAN.append(f"fallback {err.path}")
    return 100


@task
def bad_fallback(err: NodeFailure) -> int:
    RAN.append("bad_fallback")
    raise KeyError("no fallback either")


@task
def clean_up() -> int:
    RAN.append("clean_up")
    return 7


@task
def handler(n: int, err: NodeFailure) -> None:
    RAN.append(f"handler {err.path}")


@task
def missing(xs: list[int | None]) -> int:
    RAN.append("missing")
    return sum(x is None for x in xs)


@task
def last(n: int) -> int:
    RAN.append("last")
    return n


@workflow
def long_fallback(err: NodeFailure) -> int:
    return noted("more", fallback(err))


@workflow(on_failure=handler)
def guarded(n: int) -> int:
    return noted("after", bad(noted("before", n)))


@dynamic
def down(n: int) -> int:
    return down(n - 1) if n else bad(noted("before", n))


@dynamic
def fails_in_turn_2(ctx: Context, n: int) -> int:
    RAN.append(f"fails_in_turn_2 [={ctx.loop_index}]")
    raise Loop(bad(n) if ctx.loop_index == 2 else noted("turn", ctx.loop_index))


@workflow
def item_of_two(n: int) -> int:
    return noted("after", odd(n))


@workflow
def twice_handled(n: int) -> int:
    return promise(guarded(n)).on_error(bad_fallback)


@workflow
def by_task(n: int) -> int:
    return last(promise(bad(n)).on_error(fallback))


@workflow
def by_literal(n: int) -> int:
    return last(promise(bad(n)).on_error(5))


@workflow
def by_workflow(n: int) -> int:
    return last(promise(bad(n)).on_error(long_fallback))


@workflow
def by_trigger_all_done(n: int) -> int:
    cleaned = promise(clean_up()).with_overrides(trigger="all_done")
    promise(bad(n)) >> cleaned
    return last(cleaned)


@workflow
def by_trigger_any_failed(n: int) -> int:
    cleaned = promise(clean_up()).with_overrides(trigger="any_failed")
    promise(bad(n)) >> cleaned
    return last(cleaned)


@workflow
def by_ratio(n: int) -> int:
    return last(missing(map_task(odd, min_success_ratio=0.5)(n=[1, 2, 4, n])))


@workflow
def by_ratio_of_workflows(n: int) -> int:
    return last(missing(map_task(item_of_two, min_success_ratio=0.5)(n=[1, 2, 4, n])))


@workflow
def above_a_workflow(n: int) -> int:
    return last(promise(guarded(n)).on_error(fallback))


@workflow
def above_a_recursion(n: int) -> int:
    return last(promise(down(n)).on_error(long_fallback))


@workflow
def above_a_loop(n: int) -> int:
    return last(promise(fails_in_turn_2(n)).on_error(fallback))


@workflow
def above_a_branch(n: int) -> int:
    chosen = conditional("way").if_(noted("asked", n) > 1).then(bad(n)).else_().fail("never")
    return last(promise(chosen).on_error(fallback))


@workflow
def at_the_second_try(n: int) -> int:
    return last(promise(twice_handled(n)).on_error(fallback))


@workflow
def of_a_late_answer(n: int) -> int:
    return last(promise(approve(noted("asked", n), "yes", timeout=5)).on_error(fallback))


HANDLED = [
    by_task,
    by_literal,
    by_workflow,
    by_trigger_all_done,
    by_trigger_any_failed,
    by_ratio,
    by_ratio_of_workflows,
    above_a_workflow,
    above_a_recursion,
    above_a_loop,
    above_a_branch,
    at_the_second_try,
    of_a_late_answer,
]
handled = pytest.mark.parametrize("flow", HANDLED, ids=lambda flow: flow.name)


@pytest.fixture(autouse=True)
def nothing_is_broken():
    BROKEN.clear()


@pytest.fixture
def memory():
    """A store of this test's own in memory."""
    return f"memory://rerun-{uuid.uuid4().hex}"


def kept(flow, store, **inputs):
    """An earlier run."""
    ended = run(flow, inputs, store=store, echo=False, durability="process", clock=MockClock())
    RAN.clear()
    return ended


def again_from(earlier, where, **options):
    """A rerun; RAN has what ran in it."""
    RAN.clear()
    return rerun(earlier.id, where, store=earlier.store, echo=False, durability="process", clock=MockClock(), **options)


def rows(ended):
    return {(row.path, row.state, row.why, row.attempts, row.iterations) for row in ended.nodes(items=True)}


@handled
def test_X9_from_behind_a_handled_failure_neither_the_failed_node_nor_what_handled_it_runs_again(memory, flow):
    first = kept(flow, memory, n=3)
    assert first.state == "SUCCEEDED", first.error
    second = again_from(first, "main/last")
    assert (second.state, second.result, RAN) == ("SUCCEEDED", first.result, ["last"])


@pytest.mark.full(keep=4)
@handled
def test_X8_a_rerun_shows_the_handled_failure_with_its_reason(memory, flow):
    first = kept(flow, memory, n=3)
    assert any(state == "FAILED" and why for _, state, why, *_ in rows(first))
    assert rows(again_from(first, "main/last")) == rows(first)


@pytest.mark.full(keep=4)
@handled
def test_R6_a_rerun_of_a_rerun_behind_a_handled_failure_runs_as_little(memory, flow):
    first = kept(flow, memory, n=3)
    third = again_from(again_from(first, "main/last"), "main/last")
    assert (third.result, RAN, rows(third)) == (first.result, ["last"], rows(first))


@pytest.mark.full(keep=6)
@pytest.mark.parametrize(
    ("flow", "where", "runs"),
    [
        (by_task, "main/bad", ["bad 3", "fallback main/bad", "last"]),
        (by_task, "main/rescue", ["fallback main/bad", "last"]),
        (by_task, "main/rescue/fallback", ["fallback main/bad", "last"]),
        (by_literal, "main/bad", ["bad 3", "last"]),
        (by_workflow, "main/rescue/long_fallback", ["fallback main/bad", "more 100", "last"]),
        (by_workflow, "main/rescue/long_fallback/fallback", ["fallback main/bad", "more 100", "last"]),
        (by_workflow, "main/rescue/long_fallback/noted", ["more 100", "last"]),
        (by_trigger_all_done, "main/bad", ["bad 3", "clean_up", "last"]),
        (by_trigger_any_failed, "main/clean_up", ["clean_up", "last"]),
        (by_ratio, "main/odd[0]", ["odd 1", "missing", "last"]),
        (by_ratio, "main/odd[1]", ["odd 2", "missing", "last"]),
        (by_ratio, "main/missing", ["missing", "last"]),
        (
            above_a_workflow,
            "main/guarded",
            ["before 3", "bad 4", "handler main/guarded/bad", "fallback main/guarded/bad", "last"],
        ),
        (above_a_workflow, "main/rescue", ["fallback main/guarded/bad", "last"]),
        (
            above_a_recursion,
            "main/down/down/down/down/bad",
            ["bad 1", "fallback main/down/down/down/down/bad", "more 100", "last"],
        ),
        (above_a_recursion, "main/rescue/long_fallback/noted", ["more 100", "last"]),
        (above_a_loop, "main/fails_in_turn_2[=2]/bad", ["bad 3", "fallback main/fails_in_turn_2[=2]/bad", "last"]),
        (above_a_loop, "main/rescue/fallback", ["fallback main/fails_in_turn_2[=2]/bad", "last"]),
        (above_a_branch, "main/way/bad", ["bad 3", "fallback main/way/bad", "last"]),
        (at_the_second_try, "main/rescue", ["fallback main/twice_handled/rescue/bad_fallback", "last"]),
        (
            at_the_second_try,
            "main/twice_handled/rescue/bad_fallback",
            ["bad_fallback", "fallback main/twice_handled/rescue/bad_fallback", "last"],
        ),
        (of_a_late_answer, "main/yes", ["fallback main/yes", "last"]),
    ],
    ids=lambda it: it if isinstance(it, str) else getattr(it, "name", ""),
)
def test_R6_a_rerun_from_around_a_handled_failure_runs_what_follows_and_no_more(memory, flow, where, runs):
    first = kept(flow, memory, n=3)
    second = again_from(first, where)
    assert (second.state, second.result, RAN) == ("SUCCEEDED", first.result, runs)
    assert rows(second) == rows(first)


def test_X6_a_rerun_from_inside_of_a_workflow_that_fails_again_runs_its_handler_again(memory):
    first = kept(above_a_workflow, memory, n=3)
    again_from(first, "main/guarded/bad")
    assert RAN == ["bad 4", "handler main/guarded/bad", "fallback main/guarded/bad", "last"]


@workflow(on_failure=handler)
def guarded_run(n: int) -> int:
    return last(broken(promise(bad(n)).on_error(fallback)))


def test_X6_a_rerun_of_a_failed_run_that_fails_again_runs_its_handler_again(memory):
    BROKEN.add("broken")
    first = kept(guarded_run, memory, n=3)
    assert (first.state, first.error.path) == ("FAILED", "main/broken")
    assert again_from(first, "main/broken").state == "FAILED"
    assert RAN == ["broken 100", "handler main/broken"]


def test_X6_a_rerun_of_a_failed_run_that_succeeds_shows_no_handler_as_run(memory):
    BROKEN.add("broken")
    first = kept(guarded_run, memory, n=3)
    BROKEN.clear()
    second = again_from(first, "main/broken")
    assert (second.result, RAN) == (100, ["broken 100", "last"])
    assert {row.path: row.state for row in second.nodes()}["main/handler"] == "SKIPPED"


@pytest.mark.parametrize("where", ["main/broken", "main/last"])
def test_R6_a_rerun_of_a_failed_run_does_not_run_what_failed_and_was_handled_elsewhere(memory, where):
    BROKEN.add("broken")
    first = kept(guarded_run, memory, n=3)
    BROKEN.clear()
    assert again_from(first, where).result == 100
    assert RAN == ["broken 100", "last"]


ITEM = "main/item_of_two"


def test_B4_from_an_item_that_is_a_workflow_the_items_that_failed_stay_as_well(memory):
    first = kept(by_ratio_of_workflows, memory, n=3)
    again_from(first, f"{ITEM}[1]")
    assert RAN == ["odd 2", "after 2", "missing", "last"]


def test_B4_from_a_failed_item_that_is_a_workflow_another_failed_one_stays(memory):
    first = kept(by_ratio_of_workflows, memory, n=3)
    again_from(first, f"{ITEM}[0]/odd")
    assert RAN == ["odd 1", "missing", "last"]


@pytest.mark.parametrize("where", [f"{ITEM}[1]/noted", f"{ITEM}[0]/odd"])
def test_X8_of_a_rerun_from_an_item_that_has_ended_no_node_goes_on(memory, where):
    first = kept(by_ratio_of_workflows, memory, n=3)
    second = again_from(first, where)
    assert second.state == "SUCCEEDED"
    assert rows(second) == rows(first)


def test_B4_a_resume_does_not_try_an_item_again_that_failed_as_a_workflow(memory):
    """As it does not if the item is a task: a map fails after its last item, and a resume runs what is missing."""

    @task
    def item_task(n: int) -> int:
        RAN.append(n)
        if n == 3 and RAN.count(3) == 1:
            raise KeyboardInterrupt
        if n == 1:
            raise ValueError("no")
        return n

    @workflow
    def item_plan(n: int) -> int:
        return item_task(n)

    @workflow
    def of_tasks() -> list[int | None]:
        return map_task(item_task, min_success_ratio=0.5, concurrency=1)(n=[1, 2, 3, 4, 5, 6])

    @workflow
    def of_plans() -> list[int | None]:
        return map_task(item_plan, min_success_ratio=0.5, concurrency=1)(n=[1, 2, 3, 4, 5, 6])

    for flow in (of_tasks, of_plans):
        RAN.clear()
        with pytest.raises(KeyboardInterrupt):
            run(flow, store=memory, run_id=flow.name, echo=False)
        assert resume(flow.name, store=memory, echo=False).result == [None, 2, 3, 4, 5, 6]
        assert RAN == [1, 2, 3, 3, 4, 5, 6], flow.name


@task
def odd_for_now(n: int) -> int:
    RAN.append(f"odd_for_now {n}")
    if n % 2 and "odd" in BROKEN:
        raise ValueError(f"{n} is odd")
    return n


@workflow
def odd_plan(n: int) -> int:
    return odd_for_now(n)


@pytest.mark.parametrize(
    ("item", "where"),
    [(odd_for_now, "main/odd_for_now[0]"), (odd_plan, "main/odd_plan[0]"), (odd_plan, "main/odd_plan[0]/odd_for_now")],
)
def test_B2_from_an_item_that_failed_and_is_repaired_the_list_has_its_value(memory, item, where):
    @workflow
    def flow() -> int:
        return missing(map_task(item, min_success_ratio=0.5)(n=[1, 2]))

    BROKEN.add("odd")
    first = kept(flow, memory)
    assert first.result == 1
    BROKEN.clear()
    assert (again_from(first, where).result, RAN) == (0, ["odd_for_now 1", "missing"])


@pytest.mark.parametrize(
    ("flow", "failed"),
    [(by_task, "main/bad"), (above_a_workflow, "main/guarded/bad"), (by_ratio, "main/odd[0]")],
    ids=lambda it: getattr(it, "name", ""),
)
def test_X8_of_a_rerun_from_behind_a_failure_attempts_and_reason_are_those_of_the_earlier_run(memory, flow, failed):
    first = kept(flow, memory, n=3)
    before, after = (
        {row.path: row for row in ended.nodes(items=True)}[failed] for ended in (first, again_from(first, "main/last"))
    )
    assert (before.state, before.attempts, before.why) == (after.state, after.attempts, after.why)
    assert before.why.startswith("ValueError")


@workflow
def fails_at_two_places(n: int) -> int:
    safe = promise(bad(n)).on_error(fallback)
    return last(total([noted("a", noted("b", safe)), broken(safe), noted("c", safe)]))


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R6_a_rerun_of_a_run_that_failed_twice_and_was_resumed_takes_all_that_it_did(memory, engine):
    BROKEN.add("broken")
    first = kept(fails_at_two_places, memory, n=3)
    assert first.state == "FAILED"
    assert resume(first.id, store=memory, engine=engine, echo=False).state == "FAILED"
    BROKEN.clear()
    ended = resume(first.id, store=memory, engine=engine, echo=False)
    second = again_from(ended, "main/last")
    assert (second.result, RAN) == (ended.result, ["last"])
    assert {row[:3] for row in rows(second)} == {row[:3] for row in rows(ended)}


# --- jumps (S4) ---


@task
def jumps(ctx: Context, n: int) -> int:
    RAN.append("jumps")
    ctx.next_task("repair", goto=True)
    return n


@task
def repair(n: int) -> int:
    RAN.append("repair")
    return n


@workflow
def jumping(n: int) -> int:
    noted("passed over", jumps(n))
    return last(promise(repair(n)).with_overrides(standby=True))


def test_S4_from_behind_a_jump_the_jump_stays(memory):
    first = kept(jumping, memory, n=3)
    second = again_from(first, "main/last")
    assert (second.result, RAN, rows(second)) == (3, ["last"], rows(first))
    assert (again_from(first, "main/repair").result, RAN) == (3, ["repair", "last"])


def test_S4_from_what_jumped_the_target_of_the_jump_runs_again(memory):
    first = kept(jumping, memory, n=3)
    second = again_from(first, "main/jumps")
    assert (second.state, RAN) == ("SUCCEEDED", ["jumps", "repair", "last"])


# --- deaths (J1) ---

DYING = [
    (by_workflow, "main/rescue/long_fallback/noted"),
    (above_a_workflow, "main/rescue"),
    (by_ratio, "main/odd[1]"),
    (above_a_loop, "main/fails_in_turn_2[=1]"),
    (loops, "main/turns[=2]"),
]


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("point", ["journal.segment-written", "journal.committed", "run.ended"])
@pytest.mark.parametrize(("flow", "where"), DYING, ids=lambda it: it if isinstance(it, str) else it.name)
def test_J1_a_rerun_that_dies_at_any_commit_goes_on_without_what_it_had_taken(memory, flow, where, point):
    first = kept(flow, memory, n=3)
    whole = again_from(first, where, new_run_id="whole")
    expected, shown = Counter(RAN), rows(whole)
    for occurrence in range(1, 100):
        name = f"dies-{occurrence}"
        try:
            with crash_at(point, occurrence):
                again_from(first, where, new_run_id=name)
        except Crashed:
            pass
        else:
            break
        begun = Counter(RAN)
        RAN.clear()
        try:
            ended = resume(name, store=first.store, echo=False, durability="process", clock=MockClock())
        except RunNotFound:  # it died before it was a run
            assert not begun
            ended = again_from(first, where, new_run_id=name)
        assert (ended.state, ended.result) == ("SUCCEEDED", first.result)
        assert set(begun + Counter(RAN)) == set(expected)
        assert {row[:3] for row in rows(ended)} == {row[:3] for row in shown}
    assert occurrence > 1


@pytest.mark.parametrize("point", ["before", "after"])
def test_J1_a_rerun_that_dies_at_any_write_to_its_store_goes_on(tmp_path, point):
    first = kept(above_a_workflow, tmp_path, n=3)
    for number in range(1, 100):
        fault = Fault(
            "crash", at=number, verbs=("put_new", "put", "append"), when=point, error=lambda: Crashed("the store")
        )
        name = f"dies-{number}"
        RAN.clear()
        try:
            rerun(
                first.id,
                "main/rescue",
                store=FaultyStore(str(tmp_path), [fault]),
                new_run_id=name,
                echo=False,
                durability="process",
            )
        except Crashed:
            pass
        else:
            break
        begun = list(RAN)
        RAN.clear()
        try:
            ended = resume(name, store=tmp_path, take_over=True, echo=False, durability="process")
        except RunNotFound:
            ended = again_from(first, "main/rescue", new_run_id=name)
        assert ended.result == first.result
        assert set(begun + RAN) == {"fallback main/guarded/bad", "last"}
        assert {row[:3] for row in rows(ended)} == {row[:3] for row in rows(first)}
    assert 3 < number < 99


MODULE = """
import os
from promissory import Context, Loop, NodeFailure, promise, task, workflow

def note(what):
    descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task
def bad(n: int) -> int:
    note("bad")
    raise ValueError("n is bad")

@task
def fallback(err: NodeFailure) -> int:
    note("fallback")
    return 100

@task
def polls(ctx: Context, n: int) -> int:
    note(f"polls {ctx.loop_index}")
    if ctx.loop_index == 4:
        return n
    raise Loop()

@workflow
def flow(n: int) -> int:
    return polls(promise(bad(n)).on_error(fallback))
"""
CALL = "import sys; from promissory.executor.cli.main import main; main(sys.argv[1:])"


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("engine", ["inline", "processes"])
@pytest.mark.parametrize("occurrence", [2, 4])
def test_J1_a_rerun_ended_by_kill_9_goes_on_at_its_iteration(project, engine, occurrence):
    project.write("fails.py", MODULE)
    project.code(
        "from promissory import run\n"
        "from fails import flow\n"
        "assert run(flow, {'n': 1}, run_id='first', echo=False).result == 100"
    )
    (project.folder / "diary").unlink()
    killed = project.spawn(
        "-c",
        "from promissory import rerun\nfrom promissory.testing import crash_at\n"
        f"with crash_at('journal.committed', {occurrence}, how='kill'):\n"
        f"    rerun('first', 'main/polls[=2]', new_run_id='second', engine={engine!r}, echo=False)",
    )
    project.finish(killed)
    assert killed.returncode in (-9, 0)
    assert project.code(
        f"from promissory import resume\nprint(resume('second', engine={engine!r}, echo=False).result)"
    ).split() == ["100"]
    assert set(project.lines("diary")) == {"polls 2", "polls 3", "polls 4"}


def test_X8_status_of_a_rerun_tells_of_the_handled_failure_and_why(project):
    project.write("fails.py", MODULE)
    project.code("from promissory import run\nfrom fails import flow\nrun(flow, {'n': 1}, run_id='first', echo=False)")
    (project.folder / "diary").unlink()
    project.python("-c", CALL, "rerun", "first", "--from", "main/polls[=3]", "--run-id", "second", "--quiet")
    assert project.lines("diary") == ["polls 3", "polls 4"]
    status = project.python("-c", CALL, "status", "second", "--nodes")
    line = next(line for line in status.splitlines() if "main/bad" in line)
    assert "FAILED" in line
    assert "n is bad" in status
