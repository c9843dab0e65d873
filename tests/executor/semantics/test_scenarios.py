"""S1 to S8, B1, B2, X7: whole scenarios with their exact outcomes, as other systems tell of loops, jumps, maps and
branches.

Scenarios 1 to 12 are in `test_loops` and `test_loops_resumed`, 15 is in `test_loops`: what stands here is pinned
nowhere else, or on one engine only.
"""

import os
import re
from collections import Counter
from typing import Any

import pytest

from promissory import (
    Context,
    Loop,
    Retry,
    Skip,
    Store,
    Workflow,
    conditional,
    current_context,
    dynamic,
    map_task,
    promise,
    run,
    task,
    workflow,
)
from promissory.errors import (
    CompileError,
    CompileErrors,
    IterationLimitExceeded,
    NodesExceeded,
    OutputUnavailable,
    RunFailed,
    UnknownTarget,
    WorkflowCancelled,
)
from promissory.testing import always_replay

both_engines = pytest.mark.parametrize("engine", ["inline", "processes"])


def note(diary, *what):
    """A line, whole even if other processes write at the same time; gives how often it stands there."""
    line = " ".join(map(str, what))
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (line + "\n").encode())
    os.close(descriptor)
    return diary.read_text().splitlines().count(line)


def lines(diary):
    return diary.read_text().splitlines() if diary.exists() else []


def go(target, engine="inline", **inputs):
    """A run to its end, on two workers."""
    return run(target, inputs, store=Store(None), engine=engine, max_parallelism=2, echo=False, durability="process")


def states(ended):
    return {row.path.removeprefix("main/"): row.state for row in ended.nodes(items=True)}


def printed(ended):
    """What the bodies printed, in the order in which they began."""
    rows = sorted((row for row in ended.nodes(items=True) if row.log), key=lambda row: row.started)
    return [
        line
        for row in rows
        for line in ended.store.get_range(row.log[0], row.log[1], sum(row.log[1:])).decode().splitlines()
    ]


# --- looping ----------------------------------------------------------------------------------------------------------


@both_engines
def test_trap_4_raise_retry_in_an_iteration_makes_that_iteration_again_and_not_the_loop(diary, engine):
    @task(retries=1)
    def counts_to_four(ctx: Context) -> int:
        if note(diary, ctx.loop_index, ctx.loop_result) == 1 and ctx.loop_index == 2:
            raise Retry
        if ctx.loop_count < 4:
            raise Loop(ctx.loop_count)
        return ctx.loop_count

    assert go(counts_to_four, engine).result == 4
    assert lines(diary) == ["0 None", "1 1", "2 2", "2 2", "3 3"]


# --- control flow -----------------------------------------------------------------------------------------------------


def enqueue_demo():
    """The demonstration as its own documents have it: tasks are made and ordered inside the block."""
    with Workflow("enqueue") as wf:

        @task
        def extra_logging_task() -> None:
            print("Extra logging task")

        @task
        def main_processing(ctx: Context) -> None:
            print("Main processing")
            ctx.next_task(extra_logging_task)

        @task
        def normal_continuation() -> None:
            print("Normal continuation")

        main_processing >> normal_continuation
    return wf


@both_engines
def test_scenario_13_the_enqueue_demo_prints_its_three_lines(engine):
    assert printed(go(enqueue_demo(), engine)) == ["Main processing", "Extra logging task", "Normal continuation"]


def test_scenario_13_the_enqueue_demo_prints_the_same_run_inside_its_block_and_after_it(capfd):
    @task
    def extra_logging_task() -> None:
        print("Extra logging task")

    @task
    def main_processing(ctx: Context) -> None:
        print("Main processing")
        ctx.next_task(extra_logging_task)

    @task
    def normal_continuation() -> None:
        print("Normal continuation")

    def said():
        return capfd.readouterr().out.splitlines()

    with Workflow("enqueue") as wf:
        main_processing() >> normal_continuation()
        wf.run()
        inside = said()
    assert said() == []
    wf.run()
    assert inside == said() == ["Main processing", "Extra logging task", "Normal continuation"]


def guarded(diary, how):
    """`risky >> normal`, with an `emergency` that is there for jumps."""

    @task
    def emergency() -> None:
        note(diary, "emergency")

    @task
    def normal() -> None:
        note(diary, "normal")

    @task
    def risky(ctx: Context, how: str) -> None:
        note(diary, "risky")
        if how == "goto":
            ctx.next_task("emergency", goto=True)
        elif how == "add":
            ctx.next_task(emergency, goto=False)

    with Workflow("guarded") as wf:
        risky(how) >> normal()
        emergency().with_overrides(standby=True)
    return wf


@both_engines
@pytest.mark.parametrize(
    ("how", "ran"),
    [("goto", ["risky", "emergency"]), ("well", ["risky", "normal"]), ("add", ["risky", "emergency", "normal"])],
)
def test_scenario_14_goto_runs_the_handler_instead_of_what_follows_and_without_goto_before_it(diary, engine, how, ran):
    assert go(guarded(diary, how), engine).state == "SUCCEEDED"
    assert lines(diary) == ran


def test_scenario_14_an_unknown_target_is_named_before_anything_runs(diary):
    @task
    def risky(ctx: Context) -> None:
        note(diary, "risky")
        ctx.next_task("emergancy", goto=True)

    @task
    def emergency() -> None:
        note(diary, "emergency")

    with Workflow("guarded") as wf:
        risky() >> emergency()
    with pytest.raises(UnknownTarget, match=r"risky sends its run to 'emergancy'[^$]*there is: emergency") as refused:
        go(wf)
    assert __file__ in str(refused.value)
    assert lines(diary) == []


@both_engines
def test_scenario_16_a_loop_over_its_limit_names_task_and_count_and_keeps_the_iterations_before(diary, engine):
    @task(max_iterations=3)
    def polls(ctx: Context) -> None:
        note(diary, ctx.loop_count)
        ctx.next_iteration({"seen": ctx.loop_count})

    @workflow
    def flow() -> None:
        polls()

    ended = go(flow, engine)
    assert ended.state == "FAILED"
    assert isinstance(ended.error.__cause__, IterationLimitExceeded)
    assert re.search(r"main/polls has run 3 times .* allows 3\b", str(ended.error))
    assert lines(diary) == ["1", "2", "3"]
    assert {path: state for path, state in states(ended).items() if "[=" in path} == {
        f"polls[={index}]": "SUCCEEDED" for index in range(3)
    }
    assert states(ended)["polls"] == "FAILED"


@both_engines
def test_scenario_16_the_guard_keeps_the_loop_within_its_limit(diary, engine):
    @task(max_iterations=3)
    def polls(ctx: Context) -> int:
        note(diary, ctx.loop_count, ctx.can_iterate())
        if ctx.can_iterate():
            ctx.next_iteration()
        return ctx.loop_count

    ended = go(polls, engine)
    assert (ended.state, ended.result) == ("SUCCEEDED", 3)
    assert lines(diary) == ["1 True", "2 True", "3 False"]


@both_engines
def test_scenario_16_tasks_that_are_added_without_end_are_an_error_and_never_a_silent_end(engine):
    @task
    def again(ctx: Context) -> None:
        ctx.next_task(again)

    ended = run(again, {}, store=Store(None), engine=engine, max_nodes=20, echo=False, durability="process")
    assert ended.state == "FAILED"
    assert isinstance(ended.error.__cause__, NodesExceeded)
    assert "20" in str(ended.error) and "max_nodes" in str(ended.error)


@both_engines
@pytest.mark.parametrize(
    ("hit", "state", "result", "ran", "of_expensive"),
    [
        (True, "TERMINATED", "cached", ["check_cache"], "CANCELLED"),
        (False, "SUCCEEDED", "made", ["check_cache", "expensive"], "SUCCEEDED"),
    ],
)
def test_scenario_17_a_hit_ends_the_run_well_and_a_miss_goes_on(diary, engine, hit, state, result, ran, of_expensive):
    @task
    def check_cache(ctx: Context, hit: bool) -> str:
        note(diary, "check_cache")
        if hit:
            ctx.terminate("cache hit", outputs="cached")
        return "nothing"

    @task
    def expensive() -> str:
        note(diary, "expensive")
        return "made"

    @workflow
    def flow(hit: bool) -> str:
        made = expensive()
        check_cache(hit) >> made
        return made

    ended = go(flow, engine, hit=hit)
    assert (ended.state, ended.result, ended.error) == (state, result, None)
    assert states(ended) == {"check_cache": "SUCCEEDED", "expensive": of_expensive}
    assert lines(diary) == ran


def with_a_join(diary, asks, how):
    """s, then one that asks beside one that does not, then their join: side by side, or as items of a map."""

    @task
    def start() -> int:
        note(diary, "start")
        return 0

    @task
    def branch(ctx: Context, x: int) -> int:
        note(diary, "branch", x)
        if x == 1:
            asks(ctx)
        return x

    @task
    def join(xs: list[int]) -> int:
        note(diary, "join")
        return sum(xs)

    @workflow
    def side_by_side() -> int:
        started, branches = start(), [branch(1), branch(2)]
        started >> branches
        return join(branches)

    @workflow
    def mapped() -> int:
        branches = map_task(branch, concurrency=1)(x=[1, 2])
        start() >> branches
        return join(branches)

    return {"side by side": side_by_side, "map": mapped}[how]


@both_engines
@pytest.mark.parametrize("how", ["side by side", "map"])
def test_scenario_17_terminate_in_one_branch_ends_the_run_well_without_the_join(diary, engine, how):
    ended = go(with_a_join(diary, lambda ctx: ctx.terminate("enough", outputs=7), how), engine)
    assert (ended.state, ended.reason, ended.result) == ("TERMINATED", "enough", 7)
    ran = lines(diary)
    assert ran[0] == "start" and "branch 1" in ran
    assert "join" not in ran
    if how == "map":
        assert ran == ["start", "branch 1"]


@both_engines
@pytest.mark.parametrize("how", ["side by side", "map"])
def test_scenario_18_cancel_in_one_branch_gives_the_same_error_as_at_the_top(diary, engine, how):
    ended = go(with_a_join(diary, lambda ctx: ctx.cancel("Data validation failed"), how), engine)
    assert ended.state == "CANCELLED"
    with pytest.raises(WorkflowCancelled, match="Data validation failed") as caught:
        _ = ended.result
    assert (type(caught.value), caught.value.task_id, caught.value.reason) == (
        WorkflowCancelled,
        "branch",
        "Data validation failed",
    )
    assert "join" not in lines(diary)


@both_engines
def test_scenario_18_data_that_is_not_valid_cancels_the_run_and_validate_leaves_no_result(diary, engine):
    @task
    def validate(ctx: Context, valid: bool) -> str:
        note(diary, "validate")
        if not valid:
            ctx.cancel("Data validation failed")
        return "x" * 100_000

    @task
    def process(data: str) -> int:
        note(diary, "process")
        return len(data)

    @workflow
    def flow(valid: bool) -> int:
        return process(validate(valid))

    ended = go(flow, engine, valid=False)
    with pytest.raises(WorkflowCancelled, match="Data validation failed") as caught:
        _ = ended.result
    assert caught.value.task_id == "validate"
    assert lines(diary) == ["validate"]
    assert states(ended) == {"validate": "CANCELLED", "process": "CANCELLED"}
    assert [key for folder in ended.store.list("objects") for key in ended.store.list(folder)] == []

    assert go(flow, engine, valid=True).result == 100_000
    assert lines(diary) == ["validate"] * 2 + ["process"]


# --- cycles and joins -------------------------------------------------------------------------------------------------


def joined(diary):
    """a → (b, c) → d: each says its name and round when it begins and when it ends."""

    def step(name, round):
        note(diary, f"{name}.{round} begins")
        note(diary, f"{name}.{round} ends")
        return round

    @task
    def a(round: int) -> int:
        return step("a", round)

    @task
    def b(round: int) -> int:
        return step("b", round)

    @task
    def c(round: int) -> int:
        return step("c", round)

    @task
    def d(left: int, right: int) -> int:
        assert left == right
        return step("d", left)

    return a, b, c, d


@both_engines
def test_scenario_23_a_diamond_runs_its_join_once(diary, engine):
    a, b, c, d = joined(diary)

    @workflow
    def diamond() -> int:
        first = a(0)
        return d(b(first), c(first))

    assert go(diamond, engine).result == 0
    assert Counter(lines(diary)) == {f"{name}.0 {what}": 1 for name in "abcd" for what in ("begins", "ends")}
    assert lines(diary)[:2] == ["a.0 begins", "a.0 ends"]
    assert lines(diary)[-2:] == ["d.0 begins", "d.0 ends"]


@both_engines
def test_scenario_23_a_diamond_of_order_edges_alone_runs_its_join_once(diary, engine):
    def noted(name):
        @task
        def step() -> None:
            note(diary, name)

        return step

    with Workflow("diamond") as wf:
        first, left, right, last = (noted(name)() for name in "abcd")
        first >> [left, right] >> last
    go(wf, engine)
    ran = lines(diary)
    assert (ran[0], sorted(ran[1:3]), ran[3:]) == ("a", ["b", "c"], ["d"])


@both_engines
def test_scenario_23_in_three_rounds_of_a_loop_the_join_comes_after_both_in_each_round(diary, engine):
    a, b, c, d = joined(diary)

    @dynamic
    def rounds(n: int) -> int:
        index = current_context().loop_index
        if index == n:
            return current_context().loop_result
        first = a(index)
        raise Loop(d(b(first), c(first)))

    assert go(rounds, engine, n=3).result == 2
    ran = lines(diary)
    assert Counter(ran) == {
        f"{name}.{index} {what}": 1 for name in "abcd" for index in range(3) for what in ("begins", "ends")
    }
    for index in range(3):
        one = ran[8 * index : 8 * index + 8]
        assert one[:2] == [f"a.{index} begins", f"a.{index} ends"]
        assert sorted(one[2:6]) == sorted(f"{name}.{index} {what}" for name in "bc" for what in ("begins", "ends"))
        assert one[6:] == [f"d.{index} begins", f"d.{index} ends"]


# --- mapping, triggers, skips -----------------------------------------------------------------------------------------


def eleven_steps(diary, wait):
    """A workflow of eleven steps, each of which adds one; item 3 waits before its first until item 1 has begun its
    last.
    """

    @task
    def step(item: int, x: int) -> int:
        if item == 3 and x == 3:
            wait(lambda: "1 at 11" in lines(diary))
        note(diary, item, "at", x)
        return x + 1

    @workflow
    def steps(x: int) -> int:
        now = x
        for _ in range(11):
            now = step(x, now)
        return now

    @workflow
    def flow(xs: list[int]) -> list[int]:
        return map_task(steps)(x=xs)

    return flow


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_scenario_25_items_of_an_eleven_deep_chain_do_not_wait_for_each_other(diary, engine, eventually):
    assert go(eleven_steps(diary, eventually), engine, xs=[1, 2, 3]).result == [12, 13, 14]
    ran = lines(diary)
    assert Counter(ran) == {f"{item} at {item + n}": 1 for item in (1, 2, 3) for n in range(11)}
    assert ran.index("1 at 11") < ran.index("3 at 3")


def test_scenario_25_an_eleven_deep_chain_on_the_inline_engine(diary):
    assert go(eleven_steps(diary, lambda reached: None), xs=[1, 2, 3]).result == [12, 13, 14]
    assert len(lines(diary)) == 33


def with_a_bad_item(diary, reduced_if):
    @task
    def picky(x: int) -> int:
        note(diary, "item", x)
        if x == 2:
            raise ValueError("no two")
        return x

    @task
    def reducer(xs: list[int] | None = None) -> int:
        note(diary, "reducer", xs)
        return 0

    @workflow
    def flow(xs: list[int]) -> int:
        return promise(reducer(picky.map(xs))).with_overrides(trigger=reduced_if)

    return flow


@both_engines
def test_scenario_25_the_item_that_fails_fails_alone_and_the_reducer_does_not_run(diary, engine):
    ended = go(with_a_bad_item(diary, "all_success"), engine, xs=[1, 2, 3])
    assert (ended.state, ended.error.path) == ("FAILED", "main/picky[1]")
    assert sorted(lines(diary)) == ["item 1", "item 2", "item 3"]
    found = states(ended)
    assert [found[f"picky[{item}]"] for item in range(3)] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert found["reducer"] == "UPSTREAM_FAILED"


@both_engines
def test_scenario_25_a_reducer_that_runs_whatever_became_of_the_map_runs_once_after_it(diary, engine):
    ended = go(with_a_bad_item(diary, "all_done"), engine, xs=[1, 2, 3])
    assert sorted(lines(diary)[:3]) == ["item 1", "item 2", "item 3"]
    assert lines(diary)[3:] == ["reducer None"]
    found = states(ended)
    assert [found[f"picky[{item}]"] for item in range(3)] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert (ended.state, found["reducer"]) == ("SUCCEEDED", "SUCCEEDED")


@both_engines
def test_scenario_25_a_map_that_may_lack_items_gives_the_good_ones_in_their_places(diary, engine):
    @task
    def picky(x: int) -> int:
        if x == 2:
            raise ValueError("no two")
        return x

    @workflow
    def flow(xs: list[int]) -> list[int | None]:
        return map_task(picky, min_success_ratio=0.6)(x=xs)

    assert go(flow, engine, xs=[1, 2, 3]).result == [1, None, 3]


@both_engines
def test_scenario_26_the_arm_that_is_not_chosen_does_not_run_nor_what_follows_in_it(diary, engine):
    @task
    def says(word: str) -> str:
        note(diary, word)
        return word

    @task
    def follows(word: str) -> str:
        note(diary, word, "followed")
        return word

    @workflow
    def flow(first: bool) -> str:
        return (
            conditional("choice")
            .if_(promise(first).is_true())
            .then(follows(says("a")))
            .else_()
            .then(follows(says("b")))
        )

    ended = go(flow, engine, first=False)
    assert ended.result == "b"
    assert lines(diary) == ["b", "b followed"]


@both_engines
def test_scenario_26_an_arm_that_returns_none_gives_none_and_not_what_another_arm_would(diary, engine):
    @task
    def nothing() -> str | None:
        note(diary, "nothing")
        return None

    @task
    def something() -> str:
        note(diary, "something")
        return "something"

    @workflow
    def flow(first: bool) -> str | None:
        return conditional("choice").if_(promise(first).is_true()).then(nothing()).else_().then(something())

    assert go(flow, engine, first=True).result is None
    assert lines(diary) == ["nothing"]


@both_engines
def test_scenario_26_what_a_skipped_task_leads_to_is_skipped(diary, engine):
    @task
    def skips() -> str:
        raise Skip("not today")

    @task
    def follows(word: str) -> str:
        note(diary, "follows")
        return word

    @task
    def other() -> str:
        note(diary, "other")
        return "other"

    @workflow
    def flow() -> str:
        follows(follows(skips()))
        return other()

    ended = go(flow, engine)
    assert (ended.state, ended.result) == ("SUCCEEDED", "other")
    assert states(ended) == {"skips": "SKIPPED", "follows": "SKIPPED", "follows~2": "SKIPPED", "other": "SUCCEEDED"}
    assert lines(diary) == ["other"]


@both_engines
def test_scenario_26_of_twelve_arms_the_one_whose_condition_holds_gives_the_value(diary, engine):
    @task
    def arm(number: int) -> int:
        note(diary, number)
        return number

    @workflow
    def flow(n: int) -> int:
        choice = conditional("twelve").if_(promise(n) == 1).then(arm(1))
        for number in range(2, 12):
            choice = choice.elif_(promise(n) == number).then(arm(number))
        return choice.else_().then(arm(12))

    assert [go(flow, engine, n=n).result for n in (1, 2, 10, 12)] == [1, 2, 10, 12]
    assert lines(diary) == ["1", "2", "10", "12"]


@both_engines
def test_scenario_27_a_loop_fails_at_its_third_iteration_and_only_the_cleanup_runs(diary, engine):
    @task
    def breaks() -> int:
        index = current_context().loop_index
        note(diary, "iteration", index)
        if index == 2:
            raise ValueError("in the third")
        raise Loop(index)

    @task
    def follows(x: int) -> int:
        note(diary, "follows")
        return x

    @task
    def cleans() -> None:
        note(diary, "cleans")

    @workflow
    def flow() -> int:
        broken = promise(breaks())
        broken >> promise(cleans()).with_overrides(trigger="any_failed")
        return follows(broken)

    ended = go(flow, engine)
    with pytest.raises(RunFailed) as failed:
        _ = ended.result
    assert failed.value.path == "main/breaks[=2]"
    assert lines(diary) == ["iteration 0", "iteration 1", "iteration 2", "cleans"]
    found = states(ended)
    assert (found["breaks"], found["follows"], found["cleans"]) == ("FAILED", "UPSTREAM_FAILED", "SUCCEEDED")


def test_scenario_28_all_that_is_wrong_is_told_in_one_error_and_no_body_runs(diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc")
        return x + 1

    @task
    def add(a: int, b: int) -> int:
        note(diary, "add")
        return a + b

    @task
    def jumps(ctx: Context) -> None:
        note(diary, "jumps")
        ctx.next_task("nowhere", goto=True)

    @workflow
    def wrong(xs: list[int]) -> int:
        first, second = promise(inc(1)), promise(inc(2))
        first >> second
        second >> first
        jumps()
        promise(inc(3)).with_overrides(trigger="any_failed")
        add.map([1, 2, 3], [1, 2])
        map_task(inc)(y=xs)
        map_task(inc, concurrency=0)(x=xs)
        conditional("types").if_(first > 1).then(1).else_().then("x")
        return inc(conditional("open").if_(first > 1).then(inc(4)))

    with pytest.raises(CompileErrors) as refused:
        go(wrong, xs=[1])
    said = [
        "order edges lead in a circle",  # a pure cycle without distance
        "jumps sends its run to 'nowhere'",  # an unknown name
        "can never start",  # an unreachable node
        "lists of different lengths: a has 3, b has 2",
        "no parameter 'y' to map",
        "concurrency is",
        "'types': expected int, got str",
        "it may be None",
    ]
    assert [sum(one in problem.message for problem in refused.value.problems) for one in said] == [1] * len(said)
    assert len(refused.value.problems) == len(said)
    assert all(problem.where.file == __file__ and problem.way_out for problem in refused.value.problems)
    assert lines(diary) == []


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_scenario_28_never_more_than_two_of_four_items_are_active_and_results_keep_their_order(
    diary, engine, eventually
):
    at_one_time = 1 if engine == "inline" else 2

    @task
    def giant(word: str) -> str:
        note(diary, "+", word)
        eventually(lambda: len([line for line in lines(diary) if line.startswith("+")]) >= at_one_time, "its neighbour")
        note(diary, "-", word)
        return word.upper()

    @workflow
    def flow(words: list[str]) -> list[str]:
        return map_task(giant, concurrency=2)(word=words)

    words = ["fee", "fi", "fo", "fum"]
    ended = run(
        flow, {"words": words}, store=Store(None), engine=engine, max_parallelism=4, echo=False, durability="process"
    )
    assert ended.result == ["FEE", "FI", "FO", "FUM"]
    active, most = 0, 0
    for line in lines(diary):
        active += 1 if line.startswith("+") else -1
        most = max(most, active)
    assert (len(lines(diary)), most) == (8, at_one_time)


@both_engines
@pytest.mark.parametrize("what", ["side by side", "map", "workflows"])
def test_scenario_28_a_counter_that_two_branches_add_one_to_is_two(engine, what):
    @task
    def adds(ctx: Context, x: int) -> int:
        ctx.channel().add("n", 1)
        return x

    @task
    def counter(ctx: Context, xs: list[int]) -> int:
        return ctx.channel().get("n")

    @workflow
    def adds_in_a_workflow(x: int) -> int:
        return adds(x)

    @workflow
    def flow() -> int:
        if what == "map":
            return counter(adds.map([1, 2]))
        one = adds if what == "side by side" else adds_in_a_workflow
        return counter([one(1), one(2)])

    with always_replay():
        assert go(flow, engine).result == 2


# --- wrong use: the error names the author's line and the way out -----------------------------------------------------


@task
def inc(x: int) -> int:
    return x + 1


@task
def numbers() -> list[int]:
    return [1]


def then_twice():
    conditional("c").if_(inc(1) > 1).then(1).then(2)


def if_twice():
    conditional("c").if_(inc(1) > 1).then(1).if_(inc(1) > 2).then(2)


def without_else():
    inc(conditional("c").if_(inc(1) > 1).then(inc(2)))


def over_a_list():
    conditional("c").if_(numbers()).then(1).else_().then(2)


def two_conditions():
    conditional("c").if_(inc(1) > 1 and inc(2) > 1).then(1).else_().then(2)


def between():
    conditional("c").if_(1 < inc(1) < 5).then(1).else_().then(2)


def without_brackets():
    conditional("c").if_(inc(1) > 1 & inc(2) < 3).then(1).else_().then(2)


def over_a_generator():
    inc.map(x for x in range(3))


def over_a_promised_dict():
    @task
    def ages() -> dict[str, int]:
        return {}

    inc.map(ages())


def context_of_a_workflow():
    current_context().terminate("enough")


WRONG = {
    then_twice: r"closed",
    if_twice: r"\.elif_",
    without_else: r"\.else_\(\)",
    over_a_list: r"in a task",
    two_conditions: r"&",
    between: r"&",
    without_brackets: r"bracket|parenthes",
    over_a_generator: r"list\(",
    over_a_promised_dict: r"in a task",
    context_of_a_workflow: r"in a task",
}


@pytest.mark.parametrize(
    ("wrong", "way_out"),
    [pytest.param(wrong, way_out, id=wrong.__name__) for wrong, way_out in WRONG.items()],
)
def test_A7_wrong_use_in_a_workflow_names_its_line_and_a_way_out_that_leads_on(wrong, way_out):
    @workflow
    def flow() -> None:
        wrong()

    with pytest.raises(CompileError) as refused:
        flow.compile()
    assert __file__ in str(refused.value)
    assert re.search(way_out, refused.value.problems[0].way_out)


@pytest.mark.parametrize("raised", [Skip("nothing to do"), Retry(message="not yet")], ids=["Skip", "Retry"])
def test_S6_skip_and_retry_come_out_of_a_plain_call_and_say_what_to_do(raised):
    @task(retries=2)
    def asks() -> int:
        raise raised

    with pytest.raises(type(raised), match=r"no run takes it: .*promissory\.run"):
        asks()


@pytest.mark.parametrize("raised", [Skip("no"), Retry()], ids=["Skip", "Retry"])
def test_A7_a_signal_in_a_workflows_own_body_is_named(raised):
    @workflow
    def flow() -> None:
        raise raised

    with pytest.raises(CompileError, match=f"flow raised {type(raised).__name__}"):
        flow.compile()


def test_S1_a_loop_that_is_returned_and_not_raised_is_an_error():
    @task
    def returns() -> Any:
        return Loop(1)

    ended = go(returns)
    assert (ended.state, "raise" in str(ended.error)) == ("FAILED", True)


@task
def jumps_out(ctx: Context, to: str) -> None:
    ctx.next_task(to, goto=True)


@task
def jumps_without_inputs(ctx: Context) -> None:
    ctx.next_task(inc, goto=True)


@workflow
def nested_jump() -> None:
    jumps_out("outside")


@workflow
def out_of_its_frame() -> None:
    promise(inc(1)).with_overrides(name="outside")
    nested_jump()


@task
def carries_a_function() -> None:
    raise Loop(len)


@task
def adds_and_skips(ctx: Context) -> None:
    ctx.next_task(inc, x=1)
    raise Skip("no")


@workflow
def without_inputs() -> None:
    jumps_without_inputs()


@pytest.mark.parametrize(
    "wrong",
    [pytest.param(wrong, id=wrong.name) for wrong in (out_of_its_frame, carries_a_function, adds_and_skips)],
)
def test_A7_what_is_refused_when_a_body_has_ended_names_the_line_that_asked_for_it(wrong):
    ended = go(wrong)
    assert ended.state == "FAILED"
    assert re.search(re.escape(__file__) + r":\d+", str(ended.error))


def test_S4_a_jump_to_a_task_that_misses_its_inputs_names_them():
    assert "asks for inc without all of its inputs" in str(go(without_inputs).error)


@both_engines
def test_S_more_work_of_an_iteration_runs_before_the_next_one(diary, engine):
    @task
    def logs(n: int) -> None:
        note(diary, "logs", n)

    @task
    def polls(ctx: Context) -> int:
        note(diary, "polls", ctx.loop_index)
        if ctx.loop_index < 2:
            ctx.next_task(logs, n=ctx.loop_index)
            ctx.next_iteration()
        return ctx.loop_index

    assert go(polls, engine).result == 2
    assert lines(diary) == ["polls 0", "logs 0", "polls 1", "logs 1", "polls 2"]


def test_X6_a_run_whose_failure_handler_terminates_has_still_failed():
    @task
    def breaks() -> int:
        raise ValueError("broken")

    @task
    def handler(ctx: Context) -> None:
        ctx.terminate("cleaned up", outputs=3)

    @workflow(on_failure=handler)
    def flow() -> int:
        return breaks()

    ended = go(flow)
    assert (ended.state, ended.error.path) == ("FAILED", "main/breaks")


@pytest.mark.parametrize("name", ["target", "self"])
def test_S4_a_task_may_have_a_parameter_of_any_name(name):
    if name == "target":

        @task
        def called(target: int) -> int:
            return target

    else:

        @task
        def called(self: int) -> int:
            return self

    @task
    def adds(ctx: Context) -> None:
        ctx.next_task(called, **{name: 3})

    assert go(adds).state == "SUCCEEDED"


def test_X7_a_result_that_was_skipped_names_the_node_and_its_reason():
    @task
    def looks() -> int:
        raise Skip("no data today")

    @workflow
    def flow() -> int:
        return inc(looks())

    with pytest.raises(OutputUnavailable, match=r"main/looks.*no data today"):
        _ = go(flow).result


def test_B2_items_of_a_map_with_a_limit_begin_in_their_order(diary):
    @task
    def one(x: int) -> int:
        note(diary, x)
        return x

    @workflow
    def flow(xs: list[int]) -> list[int]:
        return map_task(one, concurrency=2)(x=xs)

    go(flow, xs=list(range(6)))
    assert lines(diary) == list("012345")


WRONG_PROGRAM = """
from promissory import dynamic, task, workflow

@task
def inc(x: int) -> int:
    return x + 1

@workflow
def raises() -> int:
    return inc({}["missing"])

@dynamic
def maps_a_dict() -> list[int]:
    return inc.map({"a": 1})

@workflow
def mapped() -> list[int]:
    return maps_a_dict()
"""


@pytest.mark.parametrize("what", ["raises", "mapped"])
def test_A7_the_command_line_shows_the_authors_lines_and_none_of_ours(project, what):
    project.write("wrong.py", WRONG_PROGRAM)
    process = project.spawn(
        "-c", "import sys; from promissory.executor.cli.main import main; main(sys.argv[1:])", "run", "wrong.py", what
    )
    _, errors = project.finish(process)
    assert re.search(r"wrong\.py(:|\", line )\d+", errors)
    assert not re.search(r"(executor|planner|click)/\w", errors.replace(str(project.folder), ""))
