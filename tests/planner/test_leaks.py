"""A6: a promise that is used outside its workflow is an error that names where it was made."""

import pytest

from promissory import task, workflow
from promissory.errors import LeakedPromise, PromiseError


@task
def inc(x: int) -> int:
    return x + 1


kept = []


@workflow
def keeper(x: int) -> int:
    kept[:] = [x, inc(x)]
    return kept[1]


def line_in(flow, offset: int) -> tuple[str, int]:
    return __file__, flow.function.__code__.co_firstlineno + offset


def test_A6_a_promise_of_a_finished_trace_names_where_it_was_made(problem_of):
    keeper.compile()

    @workflow
    def thief(x: int) -> int:
        return inc(kept[1])

    error = problem_of(thief)
    file, line = line_in(keeper, 2)
    assert isinstance(error, LeakedPromise)
    assert error.message == (
        f"a promise was used outside its workflow: inc(), made at {file}:{line} while keeper was traced, is "
        "used in thief"
    )
    assert (error.where.file, error.where.line) == line_in(thief, 2)
    assert error.way_out == "pass it in as an argument"


def test_A6_an_input_of_another_workflow_is_named(problem_of):
    keeper.compile()

    @workflow
    def thief(x: int) -> int:
        return inc([kept[0]][0])

    assert "input x, made while keeper was traced" in problem_of(thief).message


@pytest.mark.parametrize("leak", [lambda: kept[1], lambda: inc(1) >> kept[1], lambda: kept[1] >> inc(1)])
def test_A6_a_leaked_promise_is_found_in_results_and_orders(leak):
    keeper.compile()

    @workflow
    def thief() -> int:
        return leak()

    with pytest.raises(LeakedPromise):
        thief.compile()


def test_A6_the_line_is_right_also_if_order_edges_moved_the_nodes(problem_of):
    @workflow
    def reordered(x: int) -> int:
        first = inc(x)
        second = inc(x)
        second >> first
        kept[:] = [first, second]
        return first

    reordered.compile()

    @workflow
    def thief() -> int:
        return inc(kept[0])

    assert f"made at {__file__}:{line_in(reordered, 2)[1]} " in problem_of(thief).message


def test_A6_a_promise_of_the_outer_workflow_does_not_reach_the_inner_one_by_closure(problem_of):
    @workflow
    def outer(x: int) -> int:
        @workflow
        def inner(y: int) -> int:
            return inc(x)

        return inner(x)

    assert isinstance(problem_of(outer), LeakedPromise)


def test_A6_a_task_that_captured_a_promise_is_refused_with_the_authors_line(problem_of):
    @workflow
    def outer(x: int) -> int:
        p = inc(x)

        @task
        def plus(y: int) -> int:
            return y + p

        return plus(x)

    error = problem_of(outer)
    assert isinstance(error, PromiseError)
    assert error.where.file == __file__
