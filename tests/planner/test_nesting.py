"""A3, A6: nested workflows are traced once and written once; a workflow that calls itself is an error."""

import pytest

from promissory import Workflow, dynamic, task, workflow
from promissory.errors import CompileError, StaticRecursion


@task
def add(a: int, b: int) -> int:
    return a + b


def make_inner(k: int):
    @workflow
    def inner(x: int) -> int:
        return add(x, k)

    return inner


@workflow
def even(n: int) -> int:
    return odd(n)


@workflow
def odd(n: int) -> int:
    return third(n)


@workflow
def third(n: int) -> int:
    return even(n)


@workflow
def endless(n: int) -> int:
    return endless(n)


@dynamic
def count_down(n: int) -> int:
    return through(n - 1) if n else 0


@workflow
def through(n: int) -> int:
    return count_down(n)


def test_A4_a_nested_workflow_is_traced_once_however_often_it_is_called():
    runs = []

    @workflow
    def inner(x: int) -> int:
        runs.append(x)
        return add(x, 1)

    @workflow
    def middle(x: int) -> int:
        return inner(inner(x))

    @workflow
    def outer(x: int) -> int:
        return inner(middle(middle(x)))

    plan = outer.compile()
    assert len(runs) == 1
    assert [graph.name for graph in plan.shape.graphs] == ["outer", "middle", "inner"]
    assert [(node.name, node.kind) for node in plan.nodes()] == [
        ("middle", "plan"),
        ("middle~2", "plan"),
        ("inner", "plan"),
    ]


def test_A11_two_nested_workflows_of_one_name_stay_two():
    first, second = make_inner(1), make_inner(2)

    @workflow
    def outer(x: int) -> int:
        return second(first(x))

    plan = outer.compile()
    assert [graph.name for graph in plan.shape.graphs] == ["outer", "inner", "inner"]
    assert [node.name for node in plan.nodes()] == ["inner", "inner~2"]


def test_A11_workflows_made_and_dropped_in_a_loop_are_not_taken_for_each_other():
    @workflow
    def outer(x: int) -> list[int]:
        return [make_inner(k)(x) for k in range(300)]

    graph = outer.compile().graph
    assert len(set(graph.targets)) == 300


@workflow
def nothing(x: int) -> None:
    add(x, 1)


def test_A3_a_nested_workflow_without_result_can_be_ordered():
    @workflow
    def outer(x: int) -> None:
        nothing(x) >> nothing(x)

    assert [node.after for node in outer.compile().nodes()] == [(), (0,)]


def test_A6_a_workflow_that_calls_itself_is_an_error_that_says_dynamic(problem_of):
    error = problem_of(endless)
    assert isinstance(error, StaticRecursion)
    assert isinstance(error, RecursionError)
    assert error.message == "endless calls itself while it is being traced: endless → endless"
    assert error.way_out == "make it @dynamic: a dynamic sees its inputs as values, so it can end the recursion"
    assert (error.where.file, error.where.line) == (__file__, endless.function.__code__.co_firstlineno + 2)


def test_A6_mutual_recursion_shows_the_whole_chain(problem_of):
    assert problem_of(even).message == "even calls itself while it is being traced: even → odd → third → even"


def test_A6_the_chain_begins_where_the_circle_does(problem_of):
    @workflow
    def outside(n: int) -> int:
        return odd(n)

    assert problem_of(outside).message == "odd calls itself while it is being traced: odd → third → even → odd"


def test_A6_recursion_that_the_body_swallowed_fails_the_compile(problem_of):
    @workflow
    def stubborn(n: int) -> int:
        try:
            return stubborn(n)
        except RecursionError:
            return n

    assert isinstance(problem_of(stubborn), StaticRecursion)


def test_A6_recursion_through_a_dynamic_is_no_error():
    assert len(through.compile()) == 1


def test_A6_a_workflow_by_hand_that_calls_itself_is_an_error():
    with pytest.raises(StaticRecursion, match="loop → loop"), Workflow("loop") as loop:
        x = loop.add_workflow_input("x", int)
        loop.add_workflow_output("y", add(x, 1))
        loop(x=x)


def test_A7_a_problem_in_a_nested_workflow_is_told_with_its_own_line(problem_of):
    @workflow
    def inner(x: int) -> int:
        return add("a", x)

    @workflow
    def outer(x: int) -> int:
        return inner(inner(x))

    error = problem_of(outer)
    assert error.problems == (error,)
    assert error.where.line == inner.function.__code__.co_firstlineno + 2


def test_A7_an_exception_of_a_nested_body_reaches_the_caller_as_it_is():
    @workflow
    def inner(x: int) -> int:
        raise KeyError("mine")

    @workflow
    def outer(x: int) -> int:
        return inner(x)

    with pytest.raises(KeyError, match="mine"):
        outer.compile()


def test_A8_a_workflow_by_hand_called_twice_is_written_once():
    inner = Workflow("inner")
    x = inner.add_workflow_input("x", int)
    inner.add_workflow_output("result", inner.add_entity(add, a=x, b=1))

    @workflow
    def outer(x: int) -> int:
        return inner(x=inner(x=x))

    assert [graph.name for graph in outer.compile().shape.graphs] == ["outer", "inner"]


def test_A8_a_workflow_of_several_outputs_is_no_single_value_and_says_so():
    pair = Workflow("pair")
    x = pair.add_workflow_input("x", int)
    pair.add_workflow_output("a", x)
    pair.add_workflow_output("b", x)

    @workflow
    def outer(x: int) -> int:
        return pair(x=x)

    with pytest.raises(CompileError, match=r"the result of outer\(\) wants int, but pair\(\) gives outputs"):
        outer.compile()


def test_A8_a_nested_workflow_takes_its_defaults():
    @workflow
    def inner(x: int, by: int = 7) -> int:
        return add(x, by)

    @workflow
    def outer(x: int) -> int:
        return inner(x)

    assert "inner : int = plan inner(x=x)" in str(outer.compile())
