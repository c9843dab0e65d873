"""S6, scenario 26: `merge` goes on with the first of several values whose node was not skipped."""

import uuid

import pytest

from promissory import resume, run
from promissory.errors import CompileError, OutputUnavailable, WrongCall
from promissory.planner import Plan, Skip, merge, task, workflow
from promissory.planner.plan.mermaid import to_mermaid

ENGINES = ["inline", "threads", "processes"]


@pytest.fixture(params=ENGINES)
def ended(request):
    """A function (workflow, inputs) → how its run ended."""
    return lambda target, **inputs: run(
        target, inputs, store=f"memory://{uuid.uuid4()}", engine=request.param, echo=False
    )


@task
def value(x: int, is_there: bool) -> int:
    if not is_there:
        raise Skip("not this time")
    return x


@task
def nothing(is_there: bool) -> int | None:
    if not is_there:
        raise Skip("not this time")
    return None


@task
def broken(x: int) -> int:
    raise ValueError("broken")


@task
def plus_one(x: int) -> int:
    return x + 1


@workflow
def two(first: bool, second: bool) -> int:
    return plus_one(merge(value(1, first), value(2, second)))


@workflow
def none_first(first: bool) -> int | None:
    return merge(nothing(first), value(2, True))


def states(ended):
    return {row.path.removeprefix("main/"): row.state for row in ended.nodes()}


@pytest.mark.parametrize(("first", "second", "result"), [(True, True, 2), (True, False, 2), (False, True, 3)])
def test_S6_the_first_that_was_not_skipped_counts(ended, first, second, result):
    assert ended(two, first=first, second=second).result == result


def test_S6_if_all_were_skipped_so_is_the_merge_and_what_wants_it(ended):
    over = ended(two, first=False, second=False)
    assert set(states(over).values()) == {"SKIPPED"}
    assert over.state == "SUCCEEDED"
    with pytest.raises(OutputUnavailable):
        over.result


@pytest.mark.parametrize(("is_there", "result"), [(True, None), (False, 2)])
def test_S6_none_is_a_value(ended, is_there, result):
    assert ended(none_first, first=is_there).result is result


def test_S6_a_dozen_merge_in_the_order_of_the_arguments(ended):
    @workflow
    def dozen() -> int:
        return merge(*[value(i, i >= 10) for i in range(12)])

    assert ended(dozen).result == 10


def test_S6_what_fails_fails_the_merge_even_behind_a_value(ended):
    @workflow
    def work() -> int:
        return plus_one(merge(value(1, True), broken(2)))

    over = ended(work)
    assert over.state == "FAILED"
    assert states(over) == {
        "value": "SUCCEEDED",
        "broken": "FAILED",
        "merge": "UPSTREAM_FAILED",
        "plus_one": "UPSTREAM_FAILED",
    }


def test_S6_nested_plans_parts_and_literals_merge(ended):
    @task
    def pair(is_there: bool) -> tuple[int, int]:
        if not is_there:
            raise Skip("no pair")
        return 1, 2

    @workflow
    def inner(is_there: bool) -> int:
        return value(5, is_there)

    @workflow
    def work(is_there: bool) -> tuple[int, float, list[int]]:
        return merge(inner(is_there), 7), merge(pair(is_there)[1], 2.5), [merge(value(1, is_there), value(3, True))]

    assert ended(work, is_there=True).result == (5, 2.0, [1])
    assert ended(work, is_there=False).result == (7, 2.5, [3])


def test_S6_a_resumed_run_merges_what_it_merged(tmp_path):
    @workflow
    def work(marker: str) -> int:
        return fails_once(merge(value(1, False), value(2, True)), marker)

    @task
    def fails_once(x: int, marker: str) -> int:
        from pathlib import Path

        if not Path(marker).exists():
            Path(marker).touch()
            raise ValueError("once")
        return x

    store = str(tmp_path / "store")
    assert run(work, {"marker": str(tmp_path / "marker")}, store=store, run_id="again", echo=False).state == "FAILED"
    assert resume("again", store=store, echo=False).result == 2


def test_A2_a_merge_is_one_node_that_says_what_it_merges():
    plan = two.compile()
    assert "merge    : int = first of (value, value~2)" in plan.show()
    assert Plan.from_bytes(plan.to_bytes()) == plan
    assert "merge" in to_mermaid(plan)


def test_A5_values_of_different_types_do_not_merge():
    @workflow
    def work() -> int:
        return merge(value(1, True), "text")

    with pytest.raises(CompileError, match="different types: int, str") as refused:
        work.compile()
    assert refused.value.where.file == __file__


def test_A5_a_merge_of_nothing_is_refused():
    with pytest.raises(WrongCall, match="at least one"):
        merge()


def test_A1_outside_a_workflow_the_first_value_is_there():
    assert merge(1, 2) == 1
