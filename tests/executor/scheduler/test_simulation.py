"""`promissory.testing.simulate`: a plan is walked with declared outcomes.

No body runs, time is its own, and the rest is as in a run.

Every body of this file fails the test that runs it, but in the tests that compare: there it does what was declared.
"""

import enum
import itertools
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest

from promissory import (
    FailurePolicy,
    Loop,
    NodeFailure,
    Resources,
    Retry,
    Skip,
    Workflow,
    approve,
    compile,
    conditional,
    current_context,
    dynamic,
    flatten,
    map_task,
    merge,
    promise,
    run,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import CompileError, InputError
from promissory.planner.plan.format import plan_from_bytes
from promissory.testing import Asks, InTurn, MockClock, SimulationError, Takes, simulate

_number = itertools.count()
_playing: list["Played"] = []


class Played:
    """A real run whose bodies do what is declared for their task; notes which began, and when."""

    def __init__(self, outcomes):
        self.outcomes = {name: one.outcomes if isinstance(one, InTurn) else (one,) for name, one in outcomes.items()}
        self.clock = MockClock()
        self.begun = []
        self.turns = dict.fromkeys(outcomes, 0)

    def body(self, name):
        self.begun.append((current_context().path, self.clock.monotonic()))
        outcomes = self.outcomes[name]
        outcome = outcomes[min(self.turns[name], len(outcomes) - 1)]
        self.turns[name] += 1
        if isinstance(outcome, Takes):
            self.clock.advance(outcome.seconds)
            outcome = outcome.outcome
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def run(self, target, inputs):
        _playing.append(self)
        try:
            return run(
                target,
                inputs,
                store=f"memory://simulated-{next(_number)}",
                run_id="simulated",
                engine="inline",
                max_parallelism=1,
                clock=self.clock,
            )
        finally:
            _playing.remove(self)


def acts(name):
    """What every body does."""
    assert _playing, f"the body of {name} was run"
    return _playing[-1].body(name)


def times(simulation):
    """(begin, end, path) of each body."""
    return [(step.begin, step.end, step.path) for step in simulation.trace]


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Order:
    item: str
    count: int = 1


class Parts(NamedTuple):
    quotient: int
    rest: int


class Odd:
    """A class that only pickle knows."""

    def __eq__(self, other):
        return isinstance(other, Odd)

    __hash__ = None


@task
def read() -> int:
    return acts("read")


@task
def inc(x: int) -> int:
    return acts("inc")


@task
def add(a: int, b: int) -> int:
    return acts("add")


@task
def numbers(n: int) -> list[int]:
    return acts("numbers")


@task(retries=3, retry_delay=10, backoff=2)
def flaky(x: int) -> int:
    return acts("flaky")


@task(retries=4, retry_delay=[1, timedelta(minutes=1)], jitter=0.5)
def jittery(x: int) -> int:
    return acts("jittery")


@task(max_iterations=3)
def loops(x: int) -> int:
    return acts("loops")


@task
def maybe(x: int) -> int | None:
    return acts("maybe")


@task
def mended(x: int, err: NodeFailure) -> int:
    return acts("mended")


@task
def clean(x: int, err: NodeFailure) -> None:
    return acts("clean")


@task
def nothing() -> None:
    return acts("nothing")


@dynamic
def deep(x: int) -> int:
    return acts("deep")


@workflow
def chain(x: int) -> int:
    return add(inc(x), inc(x))


@workflow
def sub(x: int) -> int:
    return inc(inc(x))


@workflow
def nested(x: int) -> int:
    return deep(sub(x))


@workflow
def each(xs: list[int]) -> list[int]:
    return map_task(inc)(x=xs)


@workflow
def each_sub(xs: list[int]) -> list[int]:
    return map_task(sub)(x=xs)


@workflow
def wide(x: int) -> list[int]:
    return [promise(inc(x)).with_overrides(name=name) for name in "abcd"]


# --- values and what a body may do instead of giving one ---


def test_simulate_no_body_runs_and_values_are_those_declared():
    ended = simulate(chain, {"inc": 2, "add": 5}, {"x": 1})
    assert (ended.state, ended.reason, ended.result, ended.seconds) == ("SUCCEEDED", "", 5, 0)
    assert ended.paths == ["main/inc", "main/inc~2", "main/add"]


def test_simulate_the_text_tells_each_body_and_the_end():
    ended = simulate(sub, {"inc": InTurn(Takes(1.5, 4), OSError("gone"))}, {"x": 1})
    assert str(ended) == "0-1.5 main/inc: 4\n1.5-1.5 main/inc~2: OSError: gone\n1.5 FAILED: main/inc~2: OSError: gone"


def test_simulate_X6_a_failure_ends_the_run_and_what_wanted_it_does_not_begin():
    ended = simulate(sub, {"inc": ValueError("no")}, {"x": 1})
    assert (ended.state, ended.reason, ended.result, ended.paths) == (
        "FAILED",
        "main/inc: ValueError: no",
        None,
        ["main/inc"],
    )


def test_simulate_R1_retries_come_after_delay_and_backoff():
    ended = simulate(flaky, {"flaky": InTurn(OSError("1"), Takes(3, OSError("2")), OSError("3"), 7)}, {"x": 1})
    assert [(step.begin, step.end) for step in ended.trace] == [(0, 0), (10, 13), (33, 33), (73, 73)]
    assert (ended.result, ended.seconds) == (7, 73)


def test_simulate_R1_a_retry_says_itself_after_how_long_and_uses_the_budget():
    ended = simulate(flaky, {"flaky": Retry(after=timedelta(minutes=1), message="not ready")}, {"x": 1})
    assert [step.begin for step in ended.trace] == [0, 60, 120, 180]
    assert ended.reason == "main/flaky: Retry: it asked for another attempt (not ready), and its 3 retries are spent"


def test_simulate_R1_the_trace_says_that_a_body_asked_for_another_attempt():
    ended = simulate(flaky, {"flaky": InTurn(Retry(after=5, message="not ready"), 7)}, {"x": 1})
    assert "not ready" in ended.trace[0].outcome
    assert "no run takes it" not in ended.trace[0].outcome


def test_simulate_R2_what_takes_longer_than_the_time_out_fails():
    @task(timeout=5, retries=1)
    def slow() -> int:
        return acts("slow")

    ended = simulate(slow, {"slow": Takes(10, 1)})
    assert ended.state == "FAILED"
    assert "TaskTimeout" in ended.reason
    assert [(step.begin, step.end) for step in ended.trace] == [(0, 5), (5, 10)]


def test_simulate_S1_a_loop_has_a_body_for_each_iteration():
    ended = simulate(inc, {"inc": InTurn(Takes(1, Loop(1)), Takes(2, Loop([2, "b"])), 9)}, {"x": 1})
    assert times(ended) == [(0, 1, "main/inc"), (1, 3, "main/inc[=1]"), (3, 3, "main/inc[=2]")]
    assert ended.result == 9


def test_simulate_S2_each_iteration_has_its_own_retries():
    ended = simulate(flaky, {"flaky": InTurn(OSError("a"), Loop(1), OSError("b"), 5)}, {"x": 1})
    assert times(ended) == [
        (0, 0, "main/flaky"),
        (10, 10, "main/flaky"),
        (10, 10, "main/flaky[=1]"),
        (20, 20, "main/flaky[=1]"),
    ]


@pytest.mark.parametrize(
    "declared",
    [Loop(1), Takes(1, Loop(1)), InTurn(Loop(1), Takes(2, Loop(2)))],
    ids=["one", "one that takes long", "the last"],
)
def test_S1_a_loop_whose_declared_outcomes_have_no_end_is_told(declared):
    with pytest.raises(SimulationError, match=r"^main/inc(\[=1\])? loops for ever: .* Declare InTurn"):
        simulate(inc, {"inc": declared}, {"x": 1})


def test_S1_a_loop_that_a_later_iteration_ends_is_none_without_end():
    assert simulate(inc, {"inc": Loop(1), "main/inc[=3]": 9}, {"x": 1}).result == 9


def test_simulate_S3_a_loop_without_end_meets_its_limit():
    ended = simulate(loops, {"loops": Loop(1)}, {"x": 1})
    assert ended.paths == ["main/loops", "main/loops[=1]", "main/loops[=2]"]
    assert "IterationLimitExceeded: main/loops has run 3 times" in ended.reason


def test_simulate_S6_what_wants_a_skipped_value_is_skipped():
    ended = simulate(sub, {"inc": Skip("not today")}, {"x": 1})
    assert (ended.state, ended.result, ended.paths) == ("SUCCEEDED", None, ["main/inc"])


def test_simulate_S6_merge_takes_the_first_that_was_not_skipped():
    @workflow
    def either(x: int) -> int:
        return merge(inc(x), add(x, x))

    assert simulate(either, {"inc": Skip(), "add": 2}, {"x": 1}).result == 2
    assert simulate(either, {"inc": 7, "add": 2}, {"x": 1}).result == 7


def test_simulate_D1_a_dynamic_is_declared_like_a_task():
    ended = simulate(nested, {"inc": 1, "deep": InTurn(Loop(3), Takes(2, 8))}, {"x": 1})
    assert ended.paths == ["main/sub/inc", "main/sub/inc~2", "main/deep", "main/deep[=1]"]
    assert (ended.result, ended.seconds) == (8, 2)


def test_simulate_the_last_of_InTurn_counts_for_all_that_follow():
    ended = simulate(wide, {"inc": InTurn(1, 2)}, {"x": 1})
    assert ended.result == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (Order, Order("pen", 2)),
        (Parts, Parts(1, 2)),
        (Color, Color.BLUE),
        (tuple[int, str], (1, "a")),
        (dict[str, list[float]], {"a": [1.5]}),
        (bytes, b"x"),
        (int | None, None),
        (Any, {1: [(2, 3)]}),
        (Any, Odd()),
    ],
    ids=["dataclass", "named tuple", "enum", "tuple", "dict", "bytes", "none", "any", "object"],
)
def test_simulate_P4_inputs_and_outcomes_of_every_type(type, value):
    @task
    def gives(x: type) -> type:
        return acts("gives")

    assert simulate(gives, {"gives": value}, {"x": value}).result == value


def test_simulate_P4_classes_of_a_function_are_known():
    @dataclass
    class Local:
        x: int

    @workflow
    def asks() -> Local:
        return wait_for_input("who", type=Local)

    assert simulate(asks, {"who": Local(3)}).result == Local(3)


def test_simulate_several_outputs_are_given_by_name_as_a_run_gives_them():
    with Workflow("pair") as pair:
        x = pair.add_workflow_input("x", int)
        pair.add_workflow_output("first", inc(x))
        pair.add_workflow_output("second", add(x, x))
    assert simulate(pair, {"inc": 1, "add": 2}, {"x": 0}).result == {"first": 1, "second": 2}


# --- places and time ---


@pytest.mark.parametrize(
    ("parallel", "ends"), [(1, [2, 4, 6, 8]), (2, [2, 2, 4, 4]), (3, [2, 2, 2, 4]), (100, [2, 2, 2, 2])]
)
def test_simulate_X2_so_many_bodies_run_at_one_time(parallel, ends):
    ended = simulate(wide, {"inc": Takes(2, 1)}, {"x": 1}, parallel=parallel)
    assert [step.end for step in ended.trace] == ends
    assert [step.path[-1] for step in ended.trace] == list("abcd")


def test_simulate_X2_a_body_that_waits_for_its_retry_holds_no_place():
    @workflow
    def both(x: int) -> int:
        return add(flaky(x), inc(x))

    ended = simulate(both, {"flaky": InTurn(OSError(), 1), "inc": Takes(4, 1), "add": 1}, {"x": 1})
    assert times(ended) == [(0, 0, "main/flaky"), (0, 4, "main/inc"), (10, 10, "main/flaky"), (10, 10, "main/add")]


@task(resources=Resources(cpu=4))
def hungry() -> int:
    return acts("hungry")


@workflow
def three_hungry() -> list[int]:
    sleep(1)
    return [hungry(), hungry(), hungry()]


def test_simulate_X2_what_bodies_need_counts_at_every_moment():
    ended = simulate(three_hungry, {"hungry": Takes(5, 1)}, parallel=8)
    assert [step.begin for step in ended.trace] == [0, 0, 5]


def test_simulate_X2_a_body_that_wants_more_than_there_is_runs_alone():
    ended = simulate(three_hungry, {"hungry": Takes(5, 1)})
    assert [step.begin for step in ended.trace] == [0, 5, 10]


# --- branches ---


@workflow
def sizes(x: int) -> int:
    return (
        conditional("size")
        .if_(promise(inc(x)) > 5)
        .then(add(x, 1))
        .elif_(promise(x) < 9)
        .then(
            conditional("inner")
            .if_(promise(x) == 3)
            .then(promise(add(x, 2)).with_overrides(name="middle"))
            .else_()
            .then(deep(x))
        )
        .else_()
        .fail("too big")
    )


@pytest.mark.parametrize(
    ("x", "given", "last"),
    [(1, 6, "main/size/add"), (3, 5, "main/size/inner/middle"), (4, 5, "main/size/inner/deep")],
    ids=["if", "nested if", "nested else"],
)
def test_simulate_B1_the_arm_that_the_values_choose_is_walked(x, given, last):
    ended = simulate(sizes, {"inc": given, "add": 1, "deep": 1}, {"x": x})
    assert ended.paths == ["main/inc", last]


def test_simulate_B1_an_arm_that_fails():
    ended = simulate(sizes, {"inc": 0}, {"x": 10})
    assert (ended.state, ended.reason) == ("FAILED", "main/size: BranchFailed: too big")


def test_simulate_B1_one_of_twelve_arms():
    @workflow
    def months(x: int) -> int:
        month = promise(inc(x))
        chosen = conditional("month").if_(month == 1).then(promise(inc(x)).with_overrides(name="m1"))
        for number in range(2, 12):
            chosen = chosen.elif_(month == number).then(promise(inc(x)).with_overrides(name=f"m{number}"))
        return chosen.else_().then(promise(inc(x)).with_overrides(name="m12"))

    found = [simulate(months, {"inc": 0, "main/inc": month}, {"x": 1}).paths[1] for month in range(1, 13)]
    assert found == [f"main/month/m{month}" for month in range(1, 13)]


def test_simulate_B1_a_condition_that_cant_be_decided_fails_the_run():
    @workflow
    def compares(x: int) -> int:
        return conditional("more").if_(promise(maybe(x)) > 5).then(1).else_().then(2)

    ended = simulate(compares, {"maybe": None}, {"x": 1})
    assert ended.state == "FAILED"
    assert ended.reason.startswith("main/more: TaskTypeError: a condition can't be decided")


# --- maps ---


def test_simulate_B2_items_are_declared_by_path_or_all_by_task():
    ended = simulate(each, {"inc": 0, "main/inc[1]": 7}, {"xs": [1, 2, 3]})
    assert (ended.result, ended.paths) == ([0, 7, 0], ["main/inc[0]", "main/inc[1]", "main/inc[2]"])


def test_simulate_B2_an_empty_list_runs_nothing():
    ended = simulate(each, {"inc": 0}, {"xs": []})
    assert (ended.result, ended.paths) == ([], [])


def test_simulate_B4_a_map_fails_after_its_last_item():
    ended = simulate(each, {"inc": 0, "main/inc[1]": OSError("a"), "main/inc[2]": OSError("b")}, {"xs": [1, 2, 3, 4]})
    assert (len(ended.trace), ended.reason) == (4, "main/inc[1]: OSError: a (2 of 4 items failed)")


def test_simulate_B2_a_ratio_takes_none_for_what_failed_or_was_skipped():
    @workflow
    def lenient(xs: list[int]) -> list[int | None]:
        return map_task(inc, min_success_ratio=0.5)(x=xs)

    assert simulate(lenient, {"inc": 1, "inc[0]": OSError(), "inc[2]": Skip()}, {"xs": [1, 2, 3, 4]}).result == [
        None,
        1,
        None,
        1,
    ]
    assert simulate(lenient, {"inc": OSError("a"), "inc[1]": 1}, {"xs": [1, 2, 3]}).state == "FAILED"


def test_simulate_B2_concurrency_bounds_the_items_under_way():
    @workflow
    def careful(xs: list[int]) -> list[int]:
        return map_task(inc, concurrency=2)(x=xs)

    ended = simulate(careful, {"inc": Takes(1, 1), "main/inc[0]": Takes(5, 1)}, {"xs": [1, 2, 3, 4]}, parallel=10)
    assert times(ended) == [(0, 5, "main/inc[0]"), (0, 1, "main/inc[1]"), (1, 2, "main/inc[2]"), (2, 3, "main/inc[3]")]


def test_simulate_B2_shortest_flatten_and_maps_of_maps():
    @workflow
    def short(xs: list[int], ys: list[int]) -> list[int]:
        return map_task(add, zip="shortest")(a=xs, b=ys)

    @workflow
    def flat(xs: list[list[int]]) -> list[int]:
        return inc.map(flatten(xs))

    @workflow
    def twice(xs: list[list[int]]) -> list[list[int]]:
        return map_task(map_task(inc))(x=xs)

    assert simulate(short, {"add": 1}, {"xs": [1, 2], "ys": [1, 2, 3]}).result == [1, 1]
    assert simulate(flat, {"inc": 1, "inc[2]": 5}, {"xs": [[1], [], [2, 3]]}).result == [1, 1, 5]
    assert simulate(twice, {"inc": InTurn(1, 2, 3)}, {"xs": [[1], [], [2, 3]]}).result == [[1], [], [2, 3]]


def test_simulate_B2_a_mapped_workflow_is_declared_item_by_item():
    outcomes = {"inc": 0, "main/sub[1]/inc~2": 5, "sub[2]/inc~2": 6, "main/sub/inc~2": 4}
    assert simulate(each_sub, outcomes, {"xs": [1, 2, 3]}).result == [4, 5, 6]


def test_simulate_B2_lists_of_different_lengths_fail_the_map():
    @workflow
    def pairs(xs: list[int], ys: list[int]) -> list[int]:
        return map_task(add)(a=xs, b=ys)

    ended = simulate(pairs, {"add": 1}, {"xs": [1, 2], "ys": [1, 2, 3]})
    assert ended.reason.startswith(
        "main/add: UnequalLengths: lists that are mapped together have different lengths: a has 2, b has 3"
    )


def test_simulate_S1_items_loop_each_alone():
    ended = simulate(each, {"inc": 0, "main/inc[1]": InTurn(Loop(1), 9)}, {"xs": [1, 2]})
    assert (ended.result, ended.paths) == ([0, 9], ["main/inc[0]", "main/inc[1]", "main/inc[1][=1]"])


def test_simulate_B3_ten_thousand_items():
    ended = simulate(
        each, {"inc": Takes(1, 1), "main/inc[9999]": Takes(1, 2)}, {"xs": list(range(10_000))}, parallel=100
    )
    assert (len(ended.trace), ended.seconds, sum(ended.result)) == (10_000, 100, 10_001)


# --- failures that somebody handles ---


def test_simulate_X9_a_fallback_is_walked_only_after_a_failure():
    @workflow
    def saved(x: int) -> int:
        return promise(inc(x)).on_error(partial(mended, x=x))

    assert simulate(saved, {"inc": OSError(), "mended": 3}, {"x": 1}).paths == ["main/inc", "main/rescue/mended"]
    assert simulate(saved, {"inc": 4}, {"x": 1}).result == 4


def test_simulate_X7_triggers():
    @workflow
    def watched(x: int) -> int:
        first = inc(x)
        for name, trigger in (("always", "all_done"), ("alarm", "any_failed"), ("good", "any_success")):
            first >> promise(add(x, x)).with_overrides(name=name, trigger=trigger)
        return x

    assert simulate(watched, {"inc": OSError(), "add": 1}, {"x": 1}).paths == ["main/inc", "main/always", "main/alarm"]
    assert simulate(watched, {"inc": 1, "add": 1}, {"x": 1}).paths == ["main/inc", "main/always", "main/good"]


@workflow(on_failure=clean)
def tidy(x: int) -> int:
    return inc(x)


@pytest.mark.parametrize("parallel", [1, 2])
def test_simulate_X6_the_handler_of_a_workflow_runs_after_its_failure(parallel):
    ended = simulate(tidy, {"inc": OSError("a"), "clean": Takes(3, None)}, {"x": 1}, parallel=parallel)
    assert times(ended) == [(0, 0, "main/inc"), (0, 3, "main/clean")]
    assert (ended.state, ended.reason) == ("FAILED", "main/inc: OSError: a")


def test_simulate_X6_a_handler_has_to_be_declared_when_it_comes_up():
    with pytest.raises(SimulationError, match="no outcome is declared for main/clean"):
        simulate(tidy, {"inc": OSError("a")}, {"x": 1})


def test_simulate_X6_policies():
    def made(policy):
        @workflow(failure_policy=policy)
        def several(x: int) -> int:
            first = promise(inc(x)).with_overrides(name="bad")
            promise(inc(promise(inc(x)).with_overrides(name="long"))).with_overrides(name="after")
            return first

        return simulate(several, {"bad": OSError("a"), "long": Takes(5, 1), "after": 1}, {"x": 1}, parallel=2)

    at_once, at_last = made(FailurePolicy.FAIL_IMMEDIATELY), made(FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    assert (at_once.paths, at_once.seconds, at_once.state) == (["main/bad", "main/long"], 5, "FAILED")
    assert (at_last.paths, at_last.seconds, at_last.state) == (["main/bad", "main/long", "main/after"], 5, "FAILED")


def test_simulate_R1_what_a_body_may_not_ask_is_never_tried_again():
    ended = simulate(flaky, {"flaky": Asks(lambda ctx: ctx.next_task("nowhere", goto=True), 1)}, {"x": 1})
    assert ended.state == "FAILED"
    assert ended.paths == ["main/flaky"]


def test_simulate_P4_an_outcome_behind_Asks_is_checked_like_any_other():
    with pytest.raises(
        SimulationError, match="the outcome of main/flaky is none that it could have: outcome: expected int, got str"
    ):
        simulate(flaky, {"flaky": Asks(lambda ctx: None, "s")}, {"x": 1})


def test_simulate_X9_a_fallback_of_a_nested_workflow():
    @workflow
    def saved(x: int) -> int:
        return promise(sub(x)).on_error(partial(mended, x=x))

    ended = simulate(saved, {"inc": InTurn(1, OSError("a")), "mended": Takes(2, 4)}, {"x": 1})
    assert (ended.result, ended.paths, ended.seconds) == (
        4,
        ["main/sub/inc", "main/sub/inc~2", "main/rescue/mended"],
        2,
    )


def test_simulate_X9_a_fallback_of_an_arm():
    @workflow
    def saved(x: int) -> int:
        return promise(conditional("sign").if_(promise(x) > 0).then(inc(x)).else_().fail("negative")).on_error(5)

    assert simulate(saved, {"inc": OSError("a")}, {"x": 1}).result == 5


def test_simulate_X7_a_trigger_behind_a_nested_workflow_that_failed():
    @workflow
    def watched(x: int) -> int:
        after = promise(add(x, x)).with_overrides(trigger="all_done")
        sub(x) >> after
        return after

    ended = simulate(watched, {"inc": OSError("a"), "add": 1}, {"x": 1})
    assert (ended.state, ended.paths) == ("SUCCEEDED", ["main/sub/inc", "main/add"])


def test_simulate_B2_a_mapped_workflow_may_fail_for_its_last_item():
    @workflow
    def lenient(xs: list[int]) -> list[int | None]:
        return map_task(sub, min_success_ratio=0.5)(x=xs)

    assert simulate(lenient, {"inc": 1, "main/sub[1]/inc": OSError("a")}, {"xs": [1, 2]}).result == [1, None]


def test_simulate_X9_a_fallback_of_a_map_of_lists_of_different_lengths():
    @workflow
    def pairs(xs: list[int], ys: list[int]) -> list[int]:
        return promise(map_task(add)(a=xs, b=ys)).on_error([])

    assert simulate(pairs, {"add": 1}, {"xs": [1], "ys": [1, 2]}).result == []


# --- gates ---


@workflow
def gated(x: int) -> int:
    wait_for_input("go", type=bool) >> sleep(100)
    return approve(inc(x), "ok", timeout=30)


def test_simulate_G1_answers_come_after_a_while_and_gates_hold_no_place():
    ended = simulate(gated, {"inc": Takes(3, 1), "go": Takes(10, True), "main/ok": Takes(5, True)}, {"x": 1})
    assert (times(ended), ended.result, ended.seconds) == ([(0, 3, "main/inc")], 1, 110)


def test_simulate_G1_a_no_is_a_rejection():
    ended = simulate(gated, {"inc": 1, "go": True, "ok": Takes(5, False)}, {"x": 1})
    assert (ended.state, ended.reason, ended.seconds) == ("FAILED", "main/ok: Rejected: main/ok was rejected", 5)


@pytest.mark.parametrize("late", [{"ok": Takes(31, True)}, {}], ids=["too late", "never"])
def test_simulate_G1_a_gate_times_out(late):
    ended = simulate(gated, {"inc": Takes(3, 1), "go": True, **late}, {"x": 1})
    assert (ended.state, ended.seconds) == ("FAILED", 33)
    assert ended.reason.startswith("main/ok: GateTimeout: nobody answered main/ok within 30 s")


def test_simulate_G1_a_gate_that_waits_for_ever_is_told_with_its_name():
    with pytest.raises(
        SimulationError, match=r"main/go waits for an answer, and none is declared: give outcomes=\{'go': …\}"
    ):
        simulate(gated, {"inc": 1, "ok": True}, {"x": 1})


def test_simulate_G1_an_answer_is_of_the_gates_type():
    with pytest.raises(
        SimulationError, match="the answer to main/go is none that it could have: answer: expected bool, got str"
    ):
        simulate(gated, {"inc": 1, "ok": True, "go": "yes"}, {"x": 1})


def test_simulate_G1_gates_of_mapped_workflows_are_answered_one_by_one():
    @workflow
    def one(x: int) -> int:
        return approve(inc(x), "ok")

    @workflow
    def many(xs: list[int]) -> list[int | None]:
        return map_task(one, min_success_ratio=0.5)(x=xs)

    ended = simulate(many, {"inc": 1, "ok": Takes(2, True), "main/one[1]/ok": Takes(9, False)}, {"xs": [1, 2]})
    assert (ended.result, ended.seconds) == ([1, None], 9)


def test_simulate_G1_a_sleep_takes_the_value_that_was_declared():
    @workflow
    def later(x: int) -> None:
        sleep(inc(x)) >> nothing()

    assert times(simulate(later, {"inc": Takes(1, 7), "nothing": None}, {"x": 1})) == [
        (0, 1, "main/inc"),
        (8, 8, "main/nothing"),
    ]


# --- which declaration counts ---


@workflow
def named(x: int) -> int:
    return promise(inc(x)).with_overrides(name="step")


@workflow
def each_named(xs: list[int]) -> list[int]:
    return map_task(named)(x=xs)


FORMS = ["main/named[0]/step", "named[0]/step", "main/named/step", "named/step", "step", "inc"]
"""Of a node, from the most precise on."""


@pytest.mark.parametrize("at", range(len(FORMS)))
def test_simulate_the_most_precise_declaration_counts(at):
    outcomes = {form: number for number, form in enumerate(FORMS) if number >= at}
    assert simulate(each_named, outcomes, {"xs": [0]}).result == [at]
    assert simulate(each_named, dict(reversed(outcomes.items())), {"xs": [0]}).result == [at]


@pytest.mark.parametrize("form", ["main/named[0]/step[=1]", "named[0]/step[=1]"])
def test_simulate_S1_one_iteration_may_have_its_own_declaration(form):
    ended = simulate(each_named, {"main/named[0]/step": Loop(1), form: 9}, {"xs": [0]})
    assert (ended.result, ended.paths) == ([9], ["main/named[0]/step", "main/named[0]/step[=1]"])


@pytest.mark.parametrize(("target", "item"), [(each, "inc[1]"), (each_sub, "sub[1]/inc")])
def test_simulate_S1_an_item_without_main_holds_for_its_iterations_too(target, item):
    ended = simulate(target, {"inc": 0, item: InTurn(Loop(1), 9)}, {"xs": [1, 2]})
    assert [step.outcome for step in ended.trace if step.path == f"main/{item}[=1]"] == ["9"]


@pytest.mark.parametrize("slip", ["main/inc", "other/inc", "main/sub/other/inc", "sub[0]/inc", "main/sub/inc[3]"])
def test_simulate_a_path_that_no_node_can_have_is_refused(slip):
    with pytest.raises(SimulationError, match="an outcome is declared for"):
        simulate(nested, {"inc": 1, "deep": 2, slip: 3}, {"x": 1})


@pytest.mark.parametrize(
    ("target", "name", "outcomes"),
    [
        (nested, "sub", {"inc": 0, "deep": 2}),
        (nested, "main/sub", {"inc": 0, "deep": 2}),
        (sizes, "size", {"inc": 0, "add": 0, "deep": 2}),
    ],
    ids=["workflow", "path", "branch"],
)
def test_simulate_an_outcome_of_what_has_no_body_is_refused(target, name, outcomes):
    with pytest.raises(SimulationError, match="an outcome is declared for"):
        simulate(target, {**outcomes, name: 99}, {"x": 3})


# --- what is refused ---


def test_simulate_an_undeclared_node_is_told_with_what_to_give():
    with pytest.raises(SimulationError) as refused:
        simulate(each_sub, {"main/sub/inc": 1}, {"xs": [1]})
    assert (
        str(refused.value)
        == "no outcome is declared for main/sub[0]/inc~2: give simulate(…, outcomes={'main/sub/inc~2': …}), "
        "or 'inc' for all calls of it"
    )


def test_simulate_P4_an_outcome_of_another_type_is_told_to_the_last_element():
    with pytest.raises(
        SimulationError,
        match=r"the outcome of main/numbers is none that it could have: outcome\[1\]: expected int, got str",
    ):
        simulate(numbers, {"numbers": [1, "2"]}, {"n": 2})


@pytest.mark.parametrize(
    ("inputs", "says"),
    [({"x": "1"}, "x: expected int, got str"), ({"y": 1}, "it has no input 'y'"), (None, "it needs the input x")],
)
def test_simulate_inputs_are_checked(inputs, says):
    with pytest.raises(InputError, match=says):
        simulate(sub, {"inc": 1}, inputs)


def test_simulate_only_what_a_run_can_run():
    with pytest.raises(CompileError, match="is no workflow"):
        simulate(len, {})


@pytest.mark.parametrize("given", [-1, None, "5", float("inf"), float("nan")])
def test_simulate_an_outcome_comes_after_a_duration(given):
    with pytest.raises((ValueError, TypeError)):
        Takes(given, 1)


def test_simulate_outcomes_in_turn_are_at_least_one():
    with pytest.raises(ValueError, match="at least one"):
        InTurn()


@pytest.mark.parametrize("parallel", [0, -1])
def test_simulate_parallel_is_at_least_one(parallel):
    with pytest.raises((SimulationError, ValueError), match="parallel"):
        simulate(read, {"read": 1}, parallel=parallel)


@pytest.mark.parametrize("outcomes", [None, [("read", 1)], {read: 1}], ids=["None", "list", "task as a key"])
def test_simulate_outcomes_are_a_dictionary_by_name(outcomes):
    with pytest.raises(TypeError, match="outcomes is a dict"):
        simulate(read, outcomes)


# --- plans from elsewhere, and runs ---


@pytest.mark.parametrize("target", [nested, sizes, each_sub, flaky], ids=lambda target: target.name)
def test_simulate_A5_a_plan_loaded_from_bytes_gives_the_same(target):
    outcomes = {
        name: one
        for name, one in {"inc": InTurn(Takes(1, 6), 2), "add": 3, "deep": 4, "flaky": InTurn(OSError("x"), 1)}.items()
        if name in str(compile(target))
    }
    inputs = {"xs": [1, 2]} if target is each_sub else {"x": 1}
    loaded = plan_from_bytes(compile(target).to_bytes())
    assert str(simulate(loaded, outcomes, inputs)) == str(simulate(target, outcomes, inputs))


def test_simulate_the_same_declarations_give_the_same_trace_again():
    outcomes = {"jittery": InTurn(OSError(), OSError(), OSError(), 1)}
    assert simulate(jittery, outcomes, {"x": 1}) == simulate(jittery, outcomes, {"x": 1})


@workflow
def saved_by_value(x: int) -> int:
    return add(promise(flaky(x)).on_error(5), inc(x))


@workflow
def saved_sub(x: int) -> int:
    return add(promise(sub(x)).on_error(5), x)


@workflow
def picks(n: int) -> list[int]:
    return inc.map(numbers(n))


@workflow
def slept(x: int) -> int:
    first = inc(x)
    last = loops(x)
    first >> sleep(20) >> last
    return last


@workflow
def rescued_map(n: int) -> int:
    found = map_task(flaky, min_success_ratio=0.3)(x=numbers(n))
    last = maybe(n)
    found >> promise(last)
    return conditional("any").if_(promise(last).is_none()).then(0).else_().then(add(n, n))


@workflow
def first_item(xs: list[int]) -> int:
    return inc(xs[3])


DRAWN = {
    "values": (chain, {"inc": InTurn(Takes(2, 1), Takes(3, 2)), "add": 3}, {"x": 1}),
    "a failure": (chain, {"inc": InTurn(1, OSError("x")), "add": 3}, {"x": 1}),
    "retries": (
        saved_by_value,
        {"flaky": InTurn(OSError("a"), Takes(2, Retry(after=3)), 7), "inc": Takes(1, 2), "add": 9},
        {"x": 1},
    ),
    "retries that are spent": (saved_by_value, {"flaky": OSError("a"), "inc": 2, "add": 9}, {"x": 1}),
    "jitter": (jittery, {"jittery": InTurn(OSError(), OSError(), OSError(), 1)}, {"x": 1}),
    "a loop and a sleep": (slept, {"inc": Takes(1, 1), "loops": InTurn(Loop(1), Takes(4, Loop(2)), 3)}, {"x": 1}),
    "a loop without end": (slept, {"inc": 1, "loops": Loop(1)}, {"x": 1}),
    "a skip": (sub, {"inc": Skip("no")}, {"x": 1}),
    "an arm": (sizes, {"inc": 5, "add": 8, "deep": 1}, {"x": 3}),
    "no arm": (sizes, {"inc": 5}, {"x": 10}),
    "a map": (picks, {"numbers": [3, 4, 5], "inc": InTurn(1, 2, 3)}, {"n": 1}),
    "a map with a failed item": (picks, {"numbers": [3, 4, 5], "inc": InTurn(1, ValueError("x"), 3)}, {"n": 1}),
    "a map of workflows": (each_sub, {"inc": Takes(1, 4)}, {"xs": [1, 2]}),
    "retries of items": (
        rescued_map,
        {"numbers": [1, 2], "flaky": InTurn(OSError("a"), 4, OSError("b"), 5), "maybe": None, "add": 1},
        {"n": 1},
    ),
    "nested": (nested, {"inc": 1, "deep": 5}, {"x": 1}),
    "a fallback of a nested workflow": (saved_sub, {"inc": InTurn(1, OSError("a")), "add": 2}, {"x": 1}),
    "a handler": (tidy, {"inc": OSError("a"), "clean": None}, {"x": 1}),
    "an item that is not there": (first_item, {"inc": 1}, {"xs": [1]}),
}


@pytest.mark.parametrize("drawn", DRAWN)
def test_simulate_a_real_run_ends_the_same_after_the_same_bodies_at_the_same_moments(drawn):
    target, outcomes, inputs = DRAWN[drawn]
    simulated, played = simulate(target, outcomes, inputs), Played(outcomes)
    ended = played.run(target, inputs)
    assert (simulated.state, simulated.reason, simulated.result) == (
        ended.state,
        ended.reason,
        ended.outputs.get("result") if ended.state == "SUCCEEDED" else None,
    )
    begun = [(step.path, step.begin) for step in simulated.trace]
    if (
        drawn == "a map of workflows"
    ):  # a run that has room takes calls ahead, and which of several that are ready it takes is its own affair
        assert {path for path, _ in played.begun} == {path for path, _ in begun}
        assert played.clock.monotonic() == simulated.seconds
    else:
        assert [(path, pytest.approx(begin)) for path, begin in played.begun] == begun
