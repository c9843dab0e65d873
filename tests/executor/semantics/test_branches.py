"""B1 at run time: the arm that the values choose runs, the others are never opened; all else acts in an arm as it does
at the top.
"""

import enum
import functools
import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest

from promissory import (
    Context,
    FailurePolicy,
    Loop,
    NodeFailure,
    Retry,
    Skip,
    Store,
    approve,
    conditional,
    current_context,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import BranchError, DepthExceeded, OutputUnavailable, RunFailed, TaskTypeError, WorkflowCancelled
from promissory.executor.history.history import History
from promissory.testing import MockClock, always_replay

CALLED = []


@pytest.fixture(autouse=True)
def nothing_called():
    CALLED.clear()


class Color(enum.Enum):
    RED = "z"
    BLUE = "a"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Letter(enum.StrEnum):
    FIRST = "z"
    SECOND = "a"


@dataclass
class Row:
    count: int
    done: bool
    labels: dict[str, int]


@task
def big(n: int) -> int:
    CALLED.append("big")
    return n * 10


@task
def small(n: int) -> int:
    CALLED.append("small")
    return n


@task
def inc(n: int) -> int:
    return n + 1


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def nothing(n: int) -> None:
    CALLED.append("nothing")


@task
def or_minus_one(x: int | None) -> int:
    return -1 if x is None else x


@task
def broken(n: int) -> int:
    CALLED.append("broken")
    raise ValueError("no")


@task
def skipped(n: int) -> int:
    raise Skip("no need")


@workflow
def sized(n: int) -> int:
    return conditional("size").if_(n > 3).then(big(n)).else_().then(small(n))


def given(target, n, **options):
    """What a run gives; its journal is replayed after every step."""
    with always_replay():
        return run(target, {"n": n}, echo=False, durability="process", **{"store": Store(None), **options})


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


def around(arm):
    """A workflow with a task's call in its first arm, and a consumer of the branch."""

    @workflow
    def main(n: int) -> int:
        return inc(conditional("c").if_(n > 3).then(arm(n)).else_().then(small(n)))

    return main


# --- which arm runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "result", "called"), [(5, 50, ["big"]), (3, 3, ["small"])])
def test_B1_the_chosen_arm_runs_and_the_others_are_never_called(n, result, called):
    assert given(sized, n).result == result
    assert called == CALLED


def test_B1_the_first_condition_that_holds_chooses():
    @workflow
    def main(n: int) -> int:
        return conditional("c").if_(n > 1).then(1).elif_(n > 2).then(2).else_().then(3)

    assert [given(main, n).result for n in (1, 2, 3)] == [3, 1, 1]


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 12])
def test_B1_twelve_arms_and_the_right_one(n):
    @workflow
    def main(n: int) -> int:
        chosen = conditional("c").if_(n == 0).then(0)
        for number in range(1, 12):
            chosen = chosen.elif_(n == number).then(small(number))
        return chosen.else_().then(-1)

    assert given(main, n).result == (n if n < 12 else -1)
    assert len(CALLED) == (1 if 0 < n < 12 else 0)


@pytest.mark.parametrize("n", range(6))
def test_B1_nested_branches_choose_one_by_one(n):
    @workflow
    def nested(n: int) -> str:
        low = (
            conditional("outer")
            .if_(n > 2)
            .then(conditional("a").if_(n > 4).then("5").elif_(n == 4).then("4").else_().then("3"))
        )
        return low.else_().then(conditional("b").if_(n > 1).then("2").elif_(n == 1).then("1").else_().then("0"))

    assert given(nested, n).result == str(n)


def test_B1_without_else_nothing_chosen_is_none():
    @workflow
    def main(n: int) -> int:
        return or_minus_one(conditional("c").if_(n > 3).then(big(n)).elif_(n < 0).then(n))

    assert [given(main, n).result for n in (5, 1, -3)] == [50, -1, -3]


def test_B1_an_arm_that_gives_none_gives_none_and_not_another_arms_value():
    @workflow
    def main(n: int) -> int | None:
        return conditional("c").if_(n > 3).then(nothing(n)).else_().then(small(n))

    assert given(main, 5).result is None
    assert CALLED == ["nothing"]


def test_B1_int_and_float_arms_give_a_float():
    @workflow
    def main(n: int) -> float:
        return conditional("c").if_(n > 3).then(big(n)).elif_(n > 2).then(n).elif_(n > 1).then(7).else_().then(0.5)

    found = [given(main, n).result for n in (4, 3, 2, 1)]
    assert found == [40.0, 3.0, 7.0, 0.5]
    assert {type(one) for one in found} == {float}


def test_B1_all_that_an_arm_makes_runs_also_what_it_does_not_give():
    def two(n):
        small(n)
        return big(n)

    @workflow
    def main(n: int) -> int:
        return conditional("c").if_(n > 3).then(two(n)).else_().then(n)

    assert given(main, 4).result == 40
    assert sorted(CALLED) == ["big", "small"]


def test_B1_what_was_made_before_runs_whatever_is_chosen():
    @workflow
    def main(n: int) -> int:
        made = big(n)
        return conditional("c").if_(n > 3).then(made).else_().then(small(n))

    assert given(main, 1).result == 1
    assert sorted(CALLED) == ["big", "small"]


def test_B1_calls_in_conditions_run_also_if_an_earlier_arm_is_chosen():
    @workflow
    def main(n: int) -> int:
        return conditional("c").if_(n > 3).then(1).elif_(big(n) > 20).then(2).else_().then(3)

    assert given(main, 5).result == 1
    assert CALLED == ["big"]


def test_B1_a_branch_that_nothing_uses_runs():
    @workflow
    def main(n: int) -> int:
        conditional("c").if_(n > 3).then(big(n))
        return n

    assert given(main, 5).result == 5
    assert CALLED == ["big"]


def test_B1_arms_that_are_workflows_dynamics_literals_and_inputs():
    @workflow
    def tens(n: int) -> int:
        return inc(big(n))

    @dynamic
    def grown(n: int) -> int:
        return inc(small(n))

    @dynamic
    def plain(n: int) -> int:
        return n * 100

    @workflow
    def main(n: int) -> int:
        first = conditional("c").if_(n == 4).then(tens(n)).elif_(n == 3).then(grown(n)).elif_(n == 2).then(plain(n))
        return first.elif_(n == 1).then(7).else_().then(n)

    assert [given(main, n).result for n in range(5)] == [0, 7, 200, 4, 41]


def test_B1_an_arm_that_is_a_map():
    @workflow
    def main(n: int) -> list[int]:
        return conditional("c").if_(n > 3).then(big.map(numbers(n))).else_().then([n, inc(n)])

    assert given(main, 4).result == [0, 10, 20, 30]
    assert given(main, 1).result == [1, 2]


def test_B1_large_values_go_through_an_arm():
    @task
    def much(n: int) -> bytes:
        return b"x" * n

    @task
    def length(data: bytes) -> int:
        return len(data)

    @workflow
    def main(n: int) -> int:
        data = much(n)
        return length(conditional("c").if_(n > 3).then(data).else_().then(b""))

    assert given(main, 1_000_000).result == 1_000_000


def test_X1_an_arm_that_changes_what_it_is_given_changes_nobody_elses():
    @task
    def longer(xs: list[int]) -> list[int]:
        xs.append(99)
        return xs

    @task
    def both(a: list[int], b: list[int]) -> list[list[int]]:
        return [a, b]

    @workflow
    def main(n: int) -> list[list[int]]:
        xs = numbers(n)
        return both(xs, conditional("c").if_(n > 1).then(longer(xs)).else_().then(xs))

    assert given(main, 2).result == [[0, 1], [0, 1, 99]]


# --- what the values are ----------------------------------------------------------------------------------------------


def chosen(condition, type, value):
    """Whether a condition over an input of a type holds."""

    def main(x) -> bool:
        return conditional("c").if_(condition(x)).then(True).else_().then(False)

    main.__annotations__["x"] = type
    return run(workflow(main), {"x": value}, store=Store(None), echo=False, durability="process").result


NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
SAME_NOON = datetime(2024, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("type", "value", "condition", "wanted"),
    [
        (int, 3, lambda x: x == 3, True),
        (int, 3, lambda x: x != 3, False),
        (int, 3, lambda x: x > 2.5, True),
        (int, 3, lambda x: 2 < x, True),  # noqa: SIM300
        (int, 2**70, lambda x: x > 2**69, True),
        (int, 2**53 + 1, lambda x: x == float(2**53), False),
        (float, 3.0, lambda x: x == 3, True),
        (float, 3, lambda x: x <= 3, True),
        (float, float("nan"), lambda x: x == x, False),
        (float, float("nan"), lambda x: x != x, True),
        (float, float("inf"), lambda x: x > 10**400, True),
        (float, -0.0, lambda x: x == 0, True),
        (bool, True, lambda x: x.is_true(), True),
        (bool, False, lambda x: x.is_false(), True),
        (bool, False, lambda x: ~x, True),
        (bool, True, lambda x: x == False, False),  # noqa: E712
        (str, "b", lambda x: x > "a", True),
        (str, "é", lambda x: x == "é", True),
        (bytes, b"a", lambda x: x < b"b", True),
        (int | None, None, lambda x: x.is_none(), True),
        (int | None, 0, lambda x: x.is_none(), False),
        (int | None, None, lambda x: x == None, True),  # noqa: E711
        (int | None, None, lambda x: x == 3, False),
        (int | None, None, lambda x: ~x.is_none() & (x > 3), False),
        (int | None, 4, lambda x: ~x.is_none() & (x > 3), True),
        (int | str, "a", lambda x: x == "a", True),
        (int | str, 1, lambda x: x == "a", False),
        (bool | None, None, lambda x: x.is_true(), False),
        (bool | None, None, lambda x: x.is_false(), False),
        (Literal["a", "b"], "a", lambda x: x == "a", True),
        (Color, Color.RED, lambda x: x == Color.RED, True),
        (Color, Color.RED, lambda x: x == Color.BLUE, False),
        (Color | None, None, lambda x: x == Color.BLUE, False),
        (Level, Level.HIGH, lambda x: x != Level.LOW, True),
        (datetime, NOON, lambda x: x == SAME_NOON, True),
        (datetime, NOON, lambda x: x > SAME_NOON - timedelta(hours=1), True),
        (date, date(2024, 1, 1), lambda x: x < date(2024, 1, 2), True),
        (timedelta, timedelta(hours=1), lambda x: x < timedelta(days=1), True),
        (Decimal, Decimal("1.00"), lambda x: x == Decimal("1"), True),
        (Decimal, Decimal("10"), lambda x: x > Decimal("9"), True),
        (Decimal | None, Decimal("10"), lambda x: x > Decimal("9"), True),
        (UUID, UUID(int=1), lambda x: x == UUID(int=1), True),
        (Any, 3, lambda x: x == 3, True),
        (Any, "3", lambda x: x == 3, False),
        (Any, None, lambda x: x.is_none(), True),
        (Any, True, lambda x: x.is_true(), True),
        (Row, Row(4, True, {"k": 1}), lambda x: (x.count > 3) & x.done.is_true() & (x.labels["k"] == 1), True),
        (Row, Row(4, False, {"k": 1}), lambda x: (x.count > 3) & x.done.is_true(), False),
        (tuple[int, str], (1, "a"), lambda x: (x[0] == 1) & (x[1] == "a"), True),
    ],
)
def test_B1_values_are_compared_as_python_compares_them(type, value, condition, wanted):
    assert chosen(condition, type, value) is wanted


@pytest.mark.parametrize(
    ("type", "value", "condition"),
    [(Level, Level.HIGH, lambda x: x > Level.LOW), (Letter, Letter.FIRST, lambda x: x > Letter.SECOND)],
    ids=["IntEnum", "StrEnum"],
)
def test_B1_members_of_enums_that_are_numbers_or_texts_are_ordered_as_those_or_not_at_all(type, value, condition):
    with suppress(BranchError):
        assert chosen(condition, type, value) is True


def test_B1_members_of_an_enum_without_order_are_not_ordered():
    with pytest.raises((BranchError, RunFailed)):
        chosen(lambda x: x > Color.BLUE, Color, Color.RED)


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (Decimal("10"), lambda x: x > Decimal("9")),
        (Decimal("1.00"), lambda x: x == Decimal("1")),
        (SAME_NOON, lambda x: x == NOON),
        (SAME_NOON, lambda x: x <= NOON),
    ],
    ids=["order of decimals", "equal decimals", "equal moments", "order of moments"],
)
def test_B1_values_of_any_are_compared_as_what_they_are(value, condition):
    assert chosen(condition, Any, value) is True


@pytest.mark.parametrize(("n", "wanted"), [(0, "n"), (1, "n"), (2, "y"), (4, "n")])
def test_B1_conditions_are_joined_as_logic_has_it(n, wanted):
    @workflow
    def main(n: int) -> str:
        return conditional("c").if_(~((n > 3) | (n == 1)) & (n != 0)).then("y").else_().then("n")

    assert given(main, n).result == wanted


@pytest.mark.parametrize(
    ("type", "value", "condition"),
    [
        (int | None, None, lambda x: x > 3),
        (int | str, "a", lambda x: x < 3),
        (Any, "a", lambda x: x < 3),
        (datetime, datetime(2024, 1, 1), lambda x: x < NOON),
    ],
)
def test_P4_values_without_order_fail_the_branch_and_name_it(type, value, condition):
    with pytest.raises(
        RunFailed, match=r"main/c failed: TaskTypeError: a condition can't be decided: .* no order"
    ) as caught:
        chosen(condition, type, value)
    assert isinstance(caught.value.__cause__, TaskTypeError)
    assert caught.value.path == "main/c"


def test_B1_a_key_that_is_not_there_fails_the_branch():
    with pytest.raises(RunFailed, match="'k'") as caught:
        chosen(lambda x: x.labels["k"] == 1, Row, Row(1, True, {}))
    assert caught.value.path.startswith("main")


# --- dynamics, maps, loops --------------------------------------------------------------------------------------------


def test_B1_a_branch_in_a_dynamic_over_a_promise():
    @dynamic
    def grown(n: int) -> int:
        made = big(n)
        return conditional("c").if_(made > 30).then(inc(made)).else_().then(n)

    @workflow
    def main(n: int) -> int:
        return grown(n)

    assert [given(main, n).result for n in (3, 4)] == [3, 41]


def test_B1_a_comparison_of_a_dynamics_own_input_is_a_plain_bool_and_is_told_so():
    @dynamic
    def grown(n: int) -> int:
        return conditional("c").if_(n > 3).then(big(n)).else_().then(n)

    @workflow
    def main(n: int) -> int:
        return grown(n)

    ended = given(main, 5)
    assert "a condition of 'c' is True, known before the run" in str(ended.error)
    assert "use Python's own if" in str(ended.error)
    assert CALLED == []


def test_B2_a_map_over_a_workflow_with_a_branch_chooses_for_each_item():
    @workflow
    def main(n: int) -> list[int]:
        return map_task(sized)(n=numbers(n))

    assert given(main, 6).result == [0, 1, 2, 3, 40, 50]
    assert sorted(CALLED) == ["big"] * 2 + ["small"] * 4


def test_B2_a_map_over_a_dynamic_with_a_branch_chooses_for_each_item():
    @dynamic
    def grown(n: int) -> int:
        made = big(n)
        return conditional("c").if_(made > 30).then(inc(made)).else_().then(n)

    @workflow
    def main(n: int) -> list[int]:
        return map_task(grown)(n=numbers(n))

    assert given(main, 6).result == [0, 1, 2, 3, 41, 51]


def test_B2_what_a_branch_gives_is_mapped_over():
    @workflow
    def main(n: int) -> list[int]:
        return inc.map(conditional("c").if_(n > 3).then(numbers(n)).else_().then([7, 8]))

    assert given(main, 4).result == [1, 2, 3, 4]
    assert given(main, 1).result == [8, 9]


def test_S1_a_looping_dynamic_chooses_anew_in_each_iteration():
    @dynamic
    def growing(ctx: Context, n: int) -> int:
        made = big(n + (ctx.loop_result or 0))
        given = conditional("c").if_(made > 100).then(inc(made)).else_().then(small(made))
        if ctx.loop_index < 2:
            raise Loop(given)
        return given

    @workflow
    def main(n: int) -> int:
        return growing(n)

    assert given(main, 1).result == 1121
    assert CALLED == ["big", "small", "big", "big"]


def test_D2_branches_in_nested_workflows():
    @workflow
    def twice(n: int) -> int:
        return sized(sized(n))

    assert given(twice, 4).result == 400
    assert given(twice, 2).result == 2


# --- recursion through an arm -----------------------------------------------------------------------------------------


@dynamic
def down(n: int) -> int:
    CALLED.append(n)
    less = inc(n - 2)
    return conditional("c").if_(less > 0).then(down(less)).else_().then(less)


@workflow
def recursion(n: int) -> int:
    return down(n)


def test_D2_a_dynamic_calls_itself_in_an_arm_until_the_condition_says_no():
    ended = given(recursion, 5)
    assert ended.result == 0
    assert CALLED == [5, 4, 3, 2, 1]
    assert ended.futures() == ["main/down" + "/c/down" * level for level in range(5)]


def test_D3_recursion_through_arms_ends_at_the_limit_and_a_branch_adds_no_depth():
    assert run(recursion, {"n": 7}, store=Store(None), echo=False, max_depth=7).result == 0
    CALLED.clear()
    ended = run(recursion, {"n": 8}, store=Store(None), echo=False, max_depth=7)
    assert isinstance(ended.error.__cause__, DepthExceeded)
    assert CALLED == [8, 7, 6, 5, 4, 3, 2]


def test_D3_resume_with_a_higher_limit_goes_on_in_the_arm():
    store = Store(None)
    ended = run(recursion, {"n": 8}, store=store, echo=False, max_depth=7)
    CALLED.clear()
    assert resume(ended.id, store=store, max_depth=8, echo=False).result == 0
    assert CALLED == [1]


def test_D4_recursion_through_arms_uses_no_python_stack(write_module):
    source = """
        from promissory import conditional, dynamic, task, workflow

        @task
        def less(n: int) -> int:
            return n - 1

        @dynamic
        def deep(n: int) -> int:
            next = less(n)
            return conditional("c").if_(next > 0).then(deep(next)).else_().then(next)

        @workflow
        def main(n: int) -> int:
            return deep(n)
    """
    main = write_module("deep_arms", source).main
    assert run(main, {"n": 1500}, store=Store(None), echo=False, durability="process", max_depth=5000).result == 0


# --- failing ----------------------------------------------------------------------------------------------------------


@workflow
def refusing(n: int) -> int:
    return conditional("c").if_(n > 3).then(big(n)).elif_(n > 1).fail("two or three").else_().fail("too small")


@pytest.mark.parametrize(("n", "said"), [(1, "too small"), (2, "two or three")])
def test_B1_a_failing_arm_fails_the_branch_with_its_message(n, said):
    ended = given(refusing, n)
    assert ended.state == "FAILED"
    assert ended.error.path == "main/c"
    assert said in str(ended.error)
    assert CALLED == []


def test_B1_an_arm_that_fails_and_is_not_chosen_fails_nothing():
    assert given(refusing, 5).result == 50


def test_X6_a_failure_in_an_arm_fails_the_branch_and_names_the_node():
    ended = given(around(broken), 5)
    assert ended.error.path == "main/c/broken"
    assert isinstance(ended.error.__cause__, ValueError)
    assert states(ended) == {"main/c": "FAILED", "main/inc": "UPSTREAM_FAILED", "main/c/broken": "FAILED"}


def test_X6_what_does_not_depend_on_the_branch_runs_if_the_policy_says_so():
    @workflow(failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    def main(n: int) -> list[int]:
        first = conditional("c").if_(n > 3).then(broken(n)).else_().then(1)
        second = conditional("d").if_(n > 3).then(big(n)).else_().then(1)
        return [inc(first), inc(second)]

    ended = given(main, 5)
    assert ended.state == "FAILED"
    assert sorted(CALLED) == ["big", "broken"]


def test_X9_on_error_around_a_branch_takes_the_failure_of_its_arm():
    @workflow
    def main(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(broken(n)).else_().then(small(n))
        return inc(promise(chosen).on_error(-7))

    assert given(main, 5).result == -6
    assert given(main, 2).result == 3


def test_X9_on_error_inside_an_arm():
    @workflow
    def main(n: int) -> int:
        return conditional("c").if_(n > 3).then(promise(broken(n)).on_error(-7)).else_().then(small(n))

    assert given(main, 5).result == -7


def test_X9_on_error_around_a_failing_arm_gets_its_message():
    @task
    def said(err: NodeFailure, n: int) -> int:
        CALLED.append((err.path, err.type, err.message))
        return -n

    @workflow
    def main(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(n).else_().fail("too small")
        return promise(chosen).on_error(functools.partial(said, n=n))

    assert given(main, 2).result == -2
    assert CALLED == [("main/c", "BranchFailed", "too small")]


def test_X7_a_trigger_sees_a_failed_branch():
    @workflow
    def main(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(broken(n)).else_().then(2)
        after = promise(big(n)).with_overrides(trigger="any_failed")
        chosen >> after
        return after

    assert given(main, 5).result == 50


def test_X7_a_trigger_sees_that_a_branch_succeeded():
    @workflow
    def main(n: int) -> int:
        chosen = conditional("c").if_(n > 3).then(broken(n)).else_().then(2)
        after = promise(big(n)).with_overrides(trigger="any_failed")
        chosen >> after
        return chosen

    assert given(main, 1).result == 2
    assert CALLED == []


def test_X7_a_condition_over_a_skipped_node_skips_the_branch_and_its_consumers():
    @workflow
    def main(n: int) -> int:
        chosen = conditional("c").if_(skipped(n) > 3).then(big(n)).else_().then(small(n))
        return inc(chosen)

    ended = given(main, 5)
    assert states(ended) == {"main/skipped": "SKIPPED", "main/c": "SKIPPED", "main/inc": "SKIPPED"}
    assert CALLED == []
    with pytest.raises(OutputUnavailable):
        assert ended.result is None


def test_B1_a_condition_over_a_failed_node_does_not_choose():
    @workflow
    def main(n: int) -> int:
        return conditional("c").if_(broken(n) > 3).then(big(n)).else_().then(small(n))

    ended = given(main, 5)
    assert states(ended) == {"main/broken": "FAILED", "main/c": "UPSTREAM_FAILED"}
    assert CALLED == ["broken"]


# --- signals in an arm ------------------------------------------------------------------------------------------------


def test_S8_a_task_that_is_skipped_in_an_arm_skips_the_branch():
    ended = given(around(skipped), 5)
    assert states(ended) == {"main/c": "SKIPPED", "main/inc": "SKIPPED", "main/c/skipped": "SKIPPED"}


def test_S8_a_task_loops_in_an_arm():
    @task
    def looping(n: int) -> int:
        context = current_context()
        CALLED.append((context.path, context.loop_index, context.loop_result))
        if context.loop_index < 2:
            raise Loop(n + context.loop_index)
        return context.loop_result

    assert given(around(looping), 5).result == 7
    assert CALLED == [("main/c/looping", 0, None), ("main/c/looping[=1]", 1, 5), ("main/c/looping[=2]", 2, 6)]


def test_R1_a_task_is_retried_in_an_arm():
    @task(retries=2)
    def flaky(n: int) -> int:
        CALLED.append("flaky")
        if len(CALLED) < 3:
            raise ValueError("not yet")
        return n

    ended = given(around(flaky), 5)
    assert ended.result == 6
    assert {row.path: row.attempts for row in ended.nodes()}["main/c/flaky"] == 3


def test_R1_a_task_asks_for_a_retry_in_an_arm():
    @task(retries=1, retry_delay=3600)
    def later(n: int) -> int:
        CALLED.append("later")
        if len(CALLED) < 2:
            raise Retry(after=7200)
        return n

    assert run(around(later), {"n": 5}, store=Store(None), clock=MockClock(), echo=False).result == 6


def test_S8_terminate_in_an_arm_ends_the_run_well():
    @task
    def enough(ctx: Context, n: int) -> int:
        ctx.terminate("enough")
        return n

    ended = given(around(enough), 5)
    assert (ended.state, ended.reason) == ("TERMINATED", "enough")
    assert states(ended)["main/inc"] == "CANCELLED"
    with pytest.raises(OutputUnavailable):
        assert ended.result is None


def test_S8_cancel_in_an_arm_cancels_the_run():
    @task
    def wrong(ctx: Context, n: int) -> int:
        ctx.cancel("wrong data")
        return n

    ended = given(around(wrong), 5)
    assert ended.state == "CANCELLED"
    assert isinstance(ended.error, WorkflowCancelled)
    assert states(ended)["main/c/wrong"] == "CANCELLED"


def test_S8_a_channel_written_in_an_arm_is_read_behind_the_branch():
    @task
    def noted(ctx: Context, n: int) -> int:
        ctx.channel().set("seen", n)
        return n

    @task
    def looked(ctx: Context, n: int) -> int:
        return ctx.channel().get("seen") + n

    @workflow
    def main(n: int) -> int:
        return looked(conditional("c").if_(n > 3).then(noted(n)).else_().then(n))

    assert given(main, 5).result == 10


def test_S4_next_task_in_an_arm_runs_before_the_branch_has_ended():
    @task
    def more(ctx: Context, n: int) -> int:
        ctx.next_task(small, n=n)
        return n

    @task
    def last(n: int) -> int:
        CALLED.append("last")
        return n

    @workflow
    def main(n: int) -> int:
        return last(conditional("c").if_(n > 3).then(more(n)).else_().then(n))

    ended = given(main, 5)
    assert ended.result == 5
    assert CALLED == ["small", "last"]
    assert "main/c/more" in states(ended)


# --- gates in an arm --------------------------------------------------------------------------------------------------


def test_G1_a_gate_of_an_arm_that_is_not_chosen_asks_nobody():
    @workflow
    def main(n: int) -> int:
        first = conditional("c").if_(n > 3).then(approve(big(n), "ok"))
        return first.elif_(n == 3).then(wait_for_input("how many", type=int)).else_().then(0)

    assert given(main, 1).result == 0


def test_G1_an_arm_sleeps():
    @workflow
    def main(n: int) -> int:
        waited = conditional("c").if_(n > 3).then(sleep(3600.0)).else_().then(None)
        after = promise(small(n))
        waited >> after
        return after

    clock = MockClock()
    assert run(main, {"n": 5}, store=Store(None), clock=clock, echo=False).result == 5


# --- rows, paths, storage ---------------------------------------------------------------------------------------------


def test_X8_an_arms_nodes_stand_below_the_branch():
    ended = given(around(big), 5)
    rows = {row.path: (row.state, row.kind, row.depth) for row in ended.nodes()}
    assert rows == {
        "main/c": ("SUCCEEDED", "branch", 0),
        "main/inc": ("SUCCEEDED", "task", 0),
        "main/c/big": ("SUCCEEDED", "task", 0),
    }


def test_X8_arms_that_are_not_chosen_have_no_rows():
    assert "main/c/big" not in states(given(around(big), 1))


def test_X8_paths_go_through_nested_branches_and_items():
    @workflow
    def one(n: int) -> int:
        return (
            conditional("a")
            .if_(n > 0)
            .then(conditional("b").if_(n > 1).then(big(n)).else_().then(small(n)))
            .else_()
            .then(n)
        )

    @workflow
    def main(n: int) -> list[int]:
        return map_task(one)(n=numbers(n))

    ended = given(main, 3)
    paths = {row.path for row in ended.nodes(items=True)}
    assert {"main/one[0]/a", "main/one[1]/a/b/small", "main/one[2]/a/b/big"} <= paths
    assert not any(path.startswith("main/one[0]/a/") for path in paths)


def test_R3_a_cached_task_in_an_arm_is_a_hit_for_another_arm():
    @task(cache=True, cache_version="1")
    def slow(n: int) -> int:
        CALLED.append("slow")
        return n

    @workflow
    def main(n: int) -> int:
        return conditional("c").if_(n > 3).then(slow(7)).else_().then(slow(7))

    store = Store(None)
    assert [given(main, n, store=store).result for n in (5, 1)] == [7, 7]
    assert CALLED == ["slow"]


MODULE = """
import os
from promissory import conditional, dynamic, map_task, task, workflow

def began(what):
    descriptor = os.open("started", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task
def first(n: int) -> int:
    began(f"first {n}")
    return n

@task
def second(n: int) -> int:
    began(f"second {n}")
    if os.environ.get("GATE"):
        open(os.environ["GATE"]).read()
    return n + 1

@task
def other(n: int) -> int:
    began(f"other {n}")
    return 0

@task
def numbers(n: int) -> list[int]:
    return list(range(n))

@task
def blocks(n: int) -> list[bytes]:
    return [bytes([k]) * 9000 for k in range(n)]

@task
def last(xs: list[int], n: int) -> int:
    return xs[-1] + n

@dynamic
def down(n: int) -> int:
    less = first(n - 1)
    return conditional("c").if_(less > 0).then(down(less)).else_().then(less)

@workflow
def chosen(n: int) -> int:
    return conditional("c").if_(n > 3).then(second(first(n))).else_().then(other(n))

@workflow
def all_of_it(n: int) -> list[int | None]:
    data = conditional("big").if_(n > 2).then(blocks(n)).else_().then([])
    many = conditional("many").if_(n > 2).then(numbers(n)).else_().then([])
    inner = conditional("in").if_(n > 4).then(first(n)).else_().then(down(n))
    outer = conditional("out").if_((n > 2) & ~(n == 100)).then(inner_of(n)).else_().fail("no")
    sizes = last(map_task(size)(data=data), n)
    return [last(map_task(chosen)(n=many), n), inner, outer, conditional("none").if_(n < 0).then(1), sizes]

@task
def size(data: bytes) -> int:
    return len(data)

def inner_of(n):
    return conditional("deep").if_(n == 4).then(second(n)).else_().then(other(n))
"""


def test_X3_engines_store_the_same_bytes(project, write_module, monkeypatch):
    monkeypatch.chdir(project.folder)
    module = write_module("branches_agree", MODULE)
    left = []
    for engine in ("inline", "threads", "processes"):
        store = Store(project.folder / engine)
        options = {"run_id": "same", "echo": False, "max_parallelism": 2, "durability": "process"}
        ended = run(module.all_of_it, {"n": 4}, engine=engine, store=store, **options)
        assert ended.state == "SUCCEEDED", ended.error
        keys = [
            key
            for prefix in ("objects", "runs/same/futures")
            for folder in store.list(prefix)
            for key in store.list(folder)
        ]
        rows = sorted((row.path, row.state, row.kind, row.depth) for row in ended.nodes())
        left.append(({key: store.get(key) for key in keys}, ended.encoded_outputs(), rows))
    assert left[0] == left[1] == left[2]
    assert left[0][0]


def test_J1_killed_in_an_arm_and_resumed_the_arm_goes_on_where_it_was(project, gate):
    project.write("chosen_killed.py", MODULE)
    stop = gate()
    source = (
        "from promissory import run\nfrom chosen_killed import chosen\nrun(chosen, {'n': 5}, run_id='k', echo=False)"
    )
    process = project.spawn("-c", source, GATE=stop.path)
    stop.reached()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert project.lines("started") == ["first 5", "second 5"]
    assert project.code("from promissory import resume\nprint(resume('k', echo=False).result)") == "6\n"
    assert "other 5" not in project.lines("started")
    assert project.lines("started").count("second 5") == 2
    rows = {row.path: row.state for row in History(project.store, "k").nodes()}
    assert rows == {"main/c": "SUCCEEDED", "main/c/first": "SUCCEEDED", "main/c/second": "SUCCEEDED"}


def test_J1_what_was_committed_in_an_arm_is_not_run_again(project, gate, eventually):
    project.write("chosen_killed.py", MODULE)
    stop = gate()
    source = (
        "from promissory import run\n"
        "from chosen_killed import chosen\n"
        "run(chosen, {'n': 5}, run_id='k', echo=False, engine='threads')"
    )
    process = project.spawn("-c", source, GATE=stop.path)
    stop.reached()

    def is_committed():
        return {row.path: row.state for row in History(project.store, "k").nodes()}.get("main/c/first") == "SUCCEEDED"

    eventually(is_committed, "the commit of the first task")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert project.code("from promissory import resume\nprint(resume('k', echo=False).result)") == "6\n"
    assert project.lines("started") == ["first 5", "second 5", "second 5"]


def test_B4_resume_after_a_failure_in_an_arm_runs_what_is_missing(store):
    @task
    def once(n: int) -> int:
        CALLED.append("once")
        if CALLED.count("once") == 1:
            raise ValueError("the first time")
        return n

    @workflow
    def main(n: int) -> int:
        return inc(conditional("c").if_(big(n) > 3).then(once(small(n))).else_().then(n))

    ended = run(main, {"n": 5}, store=store, echo=False)
    assert ended.state == "FAILED"
    assert resume(ended.id, store=store, echo=False).result == 6
    assert CALLED == ["big", "small", "once", "once"]


def test_B1_a_chosen_arm_stays_chosen_on_resume_of_a_failing_arm(store):
    ended = run(refusing, {"n": 1}, store=store, echo=False)
    again = resume(ended.id, store=store, echo=False)
    assert again.state == "FAILED"
    assert "too small" in str(again.error)
