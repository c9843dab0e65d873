"""B2, B3: a map is one node of a plan.

What it may be given, what it is typed as, what it looks like, and what is wrong with one.
"""

from functools import partial
from typing import Any, NamedTuple

import pytest

from promissory import Plan, Workflow, conditional, dynamic, flatten, map_task, task, unmapped, workflow
from promissory.errors import (
    CompileErrors,
    EdgeTypeError,
    LeakedPromise,
    MapError,
    NestedCallError,
    PromiseError,
    WrongCall,
)


class Parts(NamedTuple):
    quotient: int
    rest: int


@task
def inc(x: int) -> int:
    return x + 1


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def half(x: float) -> float:
    return x / 2


@task
def scale(x: int, by: int = 10) -> int:
    return x * by


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def parts(a: int, b: int) -> Parts:
    return Parts(*divmod(a, b))


@task
def forget(x: int) -> None:
    pass


@task
def always() -> int:
    return 1


@task
def keyword_only(x: int, *, by: int) -> int:
    return x * by


@task
def positional_only(x: int, by: int, /) -> int:
    return x * by


@workflow
def twice(x: int) -> int:
    return inc(inc(x))


@dynamic
def grown(x: int) -> int:
    return inc(x)


def lines(flow):
    """The lines of a plan's first graph."""
    return flow.compile().show().split("\n\n")[0].splitlines()


def node(flow):
    """The line of a plan's one node, without its name."""
    (line,) = lines(flow)[1:-1]
    return line.strip().partition(" : ")[2]


def flow_of(body, result=Any):
    """A workflow over `xs: list[int]`."""

    def flow(xs):
        return body(xs)

    flow.__annotations__ = {"xs": list[int], "return": result}
    return workflow(flow)


# --- one node ---------------------------------------------------------------------------------------------------------


def test_B2_a_map_is_one_node_that_shows_what_it_maps_over():
    flow = flow_of(lambda xs: map_task(inc)(x=xs), list[int])
    assert lines(flow) == [
        "plan flow(xs: list[int]) -> list[int]",
        "  inc : list[int] = map task inc(x=xs[*])",
        "  return inc",
    ]


@pytest.mark.parametrize(
    "body",
    [
        lambda xs: add.map(xs, unmapped(3)),
        lambda xs: add.map(a=xs, b=unmapped(3)),
        lambda xs: add.map(b=unmapped(3), a=xs),
        lambda xs: add.map(xs, b=unmapped(3)),
        lambda xs: map_task(add)(xs, unmapped(3)),
        lambda xs: map_task(partial(add, b=3))(a=xs),
        lambda xs: map_task(partial(add, b=3))(xs),
    ],
)
def test_B2_all_spellings_of_a_map_give_the_same_plan(body):
    assert (
        flow_of(body).compile().to_bytes()
        == flow_of(lambda xs: map_task(add)(a=xs, b=unmapped(3))).compile().to_bytes()
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (lambda xs: map_task(inc, concurrency=4)(x=xs), "list[int] = map task inc(x=xs[*]) 4 at a time"),
        (
            lambda xs: map_task(inc, min_success_ratio=0.5)(x=xs),
            "list[int | None] = map task inc(x=xs[*]) 0.5 of them at least",
        ),
        (lambda xs: map_task(inc, min_success_ratio=1)(x=xs), "list[int] = map task inc(x=xs[*])"),
        (lambda xs: map_task(partial(add, 3))(xs), "list[int] = map task add(a=3, b=xs[*])"),
        (lambda xs: add.map(xs, xs), "list[int] = map task add(a=xs[*], b=xs[*])"),
        (lambda xs: scale.map(xs), "list[int] = map task scale(x=xs[*])"),
        (lambda xs: scale.map(xs, xs), "list[int] = map task scale(x=xs[*], by=xs[*])"),
        (lambda xs: keyword_only.map(xs, by=unmapped(2)), "list[int] = map task keyword_only(x=xs[*], by=2)"),
        (lambda xs: positional_only.map(xs, unmapped(2)), "list[int] = map task positional_only(x=xs[*], by=2)"),
        (lambda xs: inc.map([]), "list[int] = map task inc(x=[][*])"),
        (lambda xs: inc.map(range(3)), "list[int] = map task inc(x=[0, 1, 2][*])"),
        (lambda xs: inc.map((1, 2)), "list[int] = map task inc(x=[1, 2][*])"),
        (lambda xs: total.map([xs, [1]]), "list[int] = map task total(xs=[xs, [1]][*])"),
        (lambda xs: parts.map(xs, unmapped(2)), "list[Parts] = map task parts(a=xs[*], b=2)"),
        (lambda xs: forget.map(xs), "list[None] = map task forget(x=xs[*])"),
        (lambda xs: twice.map(xs), "list[int] = map plan twice(x=xs[*])"),
        (lambda xs: grown.map(xs), "list[int] = map dynamic grown(x=xs[*])"),
    ],
)
def test_B2_a_map_shows_its_lists_its_constants_its_type_and_its_limits(body, shown):
    assert node(flow_of(body)) == shown


def test_B2_a_list_literal_may_hold_promises():
    flow = flow_of(lambda xs: inc.map([1, inc(2), xs[0]]))
    assert lines(flow)[1:3] == [
        "  inc   : int = task inc(x=2)",
        "  inc~2 : list[int] = map task inc(x=[1, inc, xs[0]][*])",
    ]


def test_B2_a_map_of_a_map_is_a_map_over_a_nested_plan():
    @workflow
    def flow(rows: list[list[int]]) -> list[list[int]]:
        return map_task(map_task(inc, concurrency=2), concurrency=3)(x=rows)

    assert lines(flow)[1] == "  inc : list[list[int]] = map plan inc[](x=rows[*]) 3 at a time"
    assert "  inc : list[int] = map task inc(x=x[*]) 2 at a time" in flow.compile().show()


def test_B2_a_map_of_a_map_keeps_what_partial_fixed_for_the_outer_one():
    @workflow
    def flow(rows: list[list[int]], by: list[int]) -> list[list[int]]:
        return map_task(partial(map_task(add), b=by))(a=rows)

    assert lines(flow)[1] == "  add : list[list[int]] = map plan add[](a=rows[*], b=by)"


def test_B2_a_map_over_a_map_has_two_nodes_and_a_reducer_takes_the_list():
    flow = flow_of(lambda xs: total(inc.map(inc.map(xs))), int)
    assert [line.strip().partition(" = ")[2] for line in lines(flow)[1:-1]] == [
        "map task inc(x=xs[*])",
        "map task inc(x=inc[*])",
        "task total(xs=inc~2)",
    ]


def test_B2_a_map_can_be_named_and_ordered_as_any_node():
    def body(xs):
        first = inc.map(xs).with_overrides(name="first")
        return first >> inc.map(xs)

    shown = "\n".join(lines(flow_of(body)))
    assert "first : list[int] = map task inc(x=xs[*])" in shown
    assert "after first" in shown


def test_B2_a_map_stands_in_an_arm_of_a_branch():
    flow = flow_of(lambda xs: conditional("c").if_(total(xs) > 3).then(inc.map(xs)).else_().then(xs), list[int])
    assert "map task inc(x=" in flow.compile().show()


def test_A8_a_map_is_recorded_in_a_with_block():
    with Workflow("by_hand") as flow:
        inc.map([1, 2])
    assert node_of(flow) == "list[int] = map task inc(x=[1, 2][*])"


def node_of(flow):
    return flow.compile().show().splitlines()[1].strip().partition(" : ")[2]


# --- size -------------------------------------------------------------------------------------------------------------


def test_B3_the_plan_does_not_depend_on_how_many_items_there_are():
    @task
    def numbers(n: int) -> list[int]:
        return list(range(n))

    def plan_for(n):
        @workflow
        def flow() -> list[int]:
            return inc.map(numbers(n))

        return flow.compile().to_bytes()

    few, many = plan_for(10), plan_for(100)
    assert len(few) == len(many) == len(plan_for(11))
    assert len(plan_for(1_000_000)) - len(few) == 4  # the number itself
    flow = flow_of(lambda xs: inc.map(xs))
    assert len(flow.compile()) == 1


def test_B3_a_long_literal_list_stands_once_as_a_value():
    flow = flow_of(lambda xs: add.map(list(range(5000)), list(range(5000))))
    plan = flow.compile()
    assert (len(plan), len(plan.to_bytes()) < 60_000) == (1, True)
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest


def test_A5_plans_with_maps_survive_being_written_down():
    @workflow
    def flow(rows: list[list[int]]) -> list[list[int | None]]:
        return map_task(map_task(inc, min_success_ratio=0.5), concurrency=3)(x=rows)

    plan = flow.compile()
    again = Plan.from_bytes(plan.to_bytes())
    assert (again.to_bytes(), again.show()) == (plan.to_bytes(), plan.show())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (lambda xs: map_task(inc, concurrency=1)(xs), lambda xs: map_task(inc, concurrency=2)(xs)),
        (lambda xs: map_task(inc, min_success_ratio=0.5)(xs), lambda xs: map_task(inc, min_success_ratio=0.25)(xs)),
        (lambda xs: map_task(partial(add, b=1))(xs), lambda xs: map_task(partial(add, b=2))(xs)),
        (lambda xs: map_task(partial(add, a=1))(xs), lambda xs: map_task(partial(add, b=1))(xs)),
    ],
)
def test_A5_what_differs_in_a_map_differs_in_the_plan(left, right):
    assert flow_of(left).compile().digest != flow_of(right).compile().digest


# --- types ------------------------------------------------------------------------------------------------------------


def test_P3_a_list_of_int_may_go_where_items_are_floats():
    flow = flow_of(lambda xs: half.map(xs), list[float])
    assert node(flow) == "list[float] = map task half(x=xs[*])"
    assert node(flow_of(lambda xs: half.map([1, 2]))) == "list[float] = map task half(x=[1.0, 2.0][*])"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            lambda xs: total.map(xs),
            "total.map(xs=…) wants list[list[int]], but input xs is list[int]: its items: int is not list[int]",
        ),
        (
            lambda xs: inc.map(half.map(xs)),
            "inc.map(x=…) wants list[int], but half() gives list[float]: its items: float is not int",
        ),
        (lambda xs: inc.map([1, "a"]), "inc.map(x=…) (at [1]): expected int, got str"),
        (lambda xs: inc.map([True]), "inc.map(x=…) (at [0]): expected int, got bool"),
        (lambda xs: add.map(xs, unmapped("b")), "add.map(b=…): expected int, got str"),
        (lambda xs: map_task(partial(add, b="b"))(xs), "add.map(b=…): expected int, got str"),
        (lambda xs: add.map(xs, unmapped(xs)), "add.map(b=…) wants int, but input xs is list[int]"),
        (lambda xs: inc(inc.map(xs)), "inc(x=…) wants int, but inc() gives list[int]"),
    ],
)
def test_P3_types_are_checked_on_the_edges_of_a_map(problem_of, body, message):
    problem = problem_of(flow_of(body))
    assert (type(problem), problem.message) == (EdgeTypeError, message)


def test_B2_with_a_ratio_below_one_the_items_may_be_none(problem_of):
    problem = problem_of(flow_of(lambda xs: map_task(inc, min_success_ratio=0.5)(xs), list[int]))
    assert problem.message.startswith("the result of flow() wants list[int], but inc() gives list[int | None]")
    problem = problem_of(flow_of(lambda xs: total(map_task(inc, min_success_ratio=0.99)(xs)), int))
    assert problem.message.startswith("total(xs=…) wants list[int], but inc() gives list[int | None]")


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "way_out"),
    [
        ({"a": 1}, "dict", "map over list(d), list(d.values()) or two lists"),
        ({1, 2}, "set", "a set has no order: map over sorted(…)"),
        (frozenset(), "frozenset", "a set has no order: map over sorted(…)"),
        ({}.keys(), "dict_keys", "a set has no order: map over sorted(…)"),
        ("abc", "str", "give a list, or x=unmapped(…) to pass it to every call"),
        (b"abc", "bytes", "give a list, or x=unmapped(…) to pass it to every call"),
        (3, "int", "give a list, or x=unmapped(…) to pass it to every call"),
        (None, "NoneType", "give a list, or x=unmapped(…) to pass it to every call"),
    ],
)
def test_B2_what_is_no_list_is_refused_with_the_way_out(problem_of, given, kind, way_out):
    problem = problem_of(flow_of(lambda xs: inc.map(given)))
    assert (type(problem), problem.message, problem.way_out) == (
        MapError,
        f"inc.map(x=…) wants a list, and was given a {kind}",
        way_out,
    )
    with pytest.raises(MapError, match=f"was given a {kind}"):
        inc.map(given)


def test_B2_a_promise_that_is_no_list_is_refused(problem_of):
    problem = problem_of(flow_of(lambda xs: inc.map(total(xs))))
    assert (type(problem), problem.message) == (MapError, "inc.map(x=…) wants a list, and total() is int")


def test_B2_uneven_literal_lists_are_refused_before_anything_runs(problem_of):
    problem = problem_of(flow_of(lambda xs: add.map([1, 2, 3], [1, 2])))
    assert (type(problem), problem.message) == (
        MapError,
        "add.map() was given lists of different lengths: a has 3, b has 2",
    )


def test_B2_flattened_literal_lists_have_the_length_of_all_their_items(problem_of):
    problem = problem_of(flow_of(lambda xs: add.map(flatten([[1, 2], [3]]), [1, 2])))
    assert (type(problem), problem.message) == (
        MapError,
        "add.map() was given lists of different lengths: a has 3, b has 2",
    )


@pytest.mark.parametrize(
    "body", [lambda xs: inc.map(flatten(xs)), lambda xs: inc.map(flatten([1, 2])), lambda xs: inc.map(flatten(3))]
)
def test_B2_only_lists_of_lists_are_flattened(problem_of, body):
    problem = problem_of(flow_of(body))
    assert type(problem) is MapError
    assert "inc.map(x=flatten(…)) wants a list of lists" in problem.message


def test_B2_zip_is_equal_or_shortest(problem_of):
    assert (
        'zip is "equal" or "shortest", not \'longest\''
        in problem_of(flow_of(lambda xs: map_task(inc, zip="longest")(xs))).message
    )
    with pytest.raises(MapError, match="zip is"):
        map_task(inc, zip="longest")


def test_B2_outside_a_workflow_lists_are_flattened_and_zipped_alike():
    assert inc.map(flatten([[4, 5], [6]])) == [5, 6, 7]
    assert map_task(add, zip="shortest")([1, 2, 3], [10, 20]) == [11, 22]


def test_A2_a_plan_says_what_is_flattened_and_where_it_ends():
    @workflow
    def work(rows: list[list[int]], xs: list[int]) -> list[int]:
        return map_task(add, zip="shortest")(flatten(rows), xs)

    plan = work.compile()
    assert "map task add(a=rows[*][*], b=xs[*]) to the end of the shortest" in plan.show()
    assert Plan.from_bytes(plan.to_bytes()) == plan


@pytest.mark.parametrize(
    "body", [lambda xs: inc.map(unmapped(1)), lambda xs: always.map(), lambda xs: map_task(partial(inc, x=1))()]
)
def test_B2_a_map_over_nothing_is_refused(problem_of, body):
    problem = problem_of(flow_of(body))
    assert type(problem) is MapError
    assert problem.message.endswith(".map() was given nothing to map over")
    assert problem.way_out == "give it at least one list; call the task itself for one call"


def test_B2_a_parameter_that_is_not_there_is_told_with_those_that_are(problem_of):
    problem = problem_of(flow_of(lambda xs: inc.map(y=xs)))
    assert (type(problem), problem.message, problem.way_out) == (
        MapError,
        "inc has no parameter 'y' to map",
        "it has x",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda xs: inc.map(xs, xs), "inc.map() takes 1 arguments, and 2 were given"),
        (lambda xs: add.map(xs), "add.map() misses the argument 'b'"),
        (lambda xs: add.map(xs, a=xs, b=xs), "add.map() got several values for 'a'"),
        (lambda xs: map_task(partial(add, c=1))(xs, xs), "add() got an unexpected keyword argument 'c'"),
        (lambda xs: map_task(partial(add, 1, 2, 3))(), "add() takes 2 arguments"),
    ],
)
def test_A1_a_wrong_call_of_a_map_is_a_type_error(problem_of, body, message):
    problem = problem_of(flow_of(body))
    assert (type(problem), problem.message) == (WrongCall, message)
    assert isinstance(problem, TypeError)


@pytest.mark.parametrize("concurrency", [0, -1, True, 2.5, "2"])
def test_B2_concurrency_is_a_number_of_items(concurrency):
    with pytest.raises(
        MapError, match=r"^concurrency is how many items .* a whole number of at least 1, not "
    ) as caught:
        map_task(inc, concurrency=concurrency)
    assert caught.value.where.file == __file__


@pytest.mark.parametrize("ratio", [-0.1, 1.1, 2, float("nan"), float("inf"), "0.5", True, None])
def test_B2_the_ratio_is_a_part_of_the_items(ratio):
    with pytest.raises(MapError, match=r"^min_success_ratio is a number from 0 to 1, not ") as caught:
        map_task(inc, min_success_ratio=ratio)
    assert caught.value.where.file == __file__


@pytest.mark.parametrize("wrong", [len, lambda x: x, 3, None, int])
def test_B2_only_what_a_run_can_call_can_be_mapped(wrong):
    with pytest.raises(MapError, match="can't be mapped: a run can't call it") as caught:
        map_task(wrong)
    assert caught.value.way_out == "decorate it with @task, @dynamic or @workflow"


def test_A7_what_is_wrong_with_several_maps_is_told_together_with_their_lines(problem_of):
    @workflow
    def flow(n: int, xs: list[int]) -> list[int]:
        inc.map({"a": 1})
        inc.map(n)
        add.map([1, 2], [3])
        inc.map(["a"])
        inc.map(unmapped(n))
        return half.map(xs)

    problem = problem_of(flow)
    assert isinstance(problem, CompileErrors)
    first = flow.function.__code__.co_firstlineno
    kinds = [MapError, MapError, MapError, EdgeTypeError, MapError]
    assert [(type(one), one.where.line - first) for one in problem.problems[:5]] == list(
        zip(kinds, range(2, 7), strict=True)
    )
    assert [one.message for one in problem.problems[5:]] == [
        "the result of flow() wants list[int], but half() gives list[float]: its items: float is not int"
    ]


def test_P2_the_result_of_a_map_has_no_length_before_the_run(problem_of):
    for misuse in (len, list, sum, lambda m: m[1:]):
        assert isinstance(problem_of(flow_of(lambda xs, misuse=misuse: misuse(inc.map(xs)))), PromiseError)


def test_A6_a_promise_of_another_workflow_cannot_be_mapped(problem_of):
    leaked = []
    flow_of(lambda xs: leaked.append(xs) or inc.map(xs)).compile()
    assert isinstance(problem_of(flow_of(lambda xs: inc.map(leaked[0]))), LeakedPromise)
    assert isinstance(problem_of(flow_of(lambda xs: add.map(xs, unmapped(leaked[0][0])))), LeakedPromise)


# --- outside a trace --------------------------------------------------------------------------------------------------


def test_A2_outside_a_trace_a_map_is_a_loop():
    assert inc.map([1, 2]) == [2, 3]
    assert add.map([1, 2], unmapped(10)) == [11, 12]
    assert add.map(a=(1, 2), b=range(2)) == [1, 3]
    assert map_task(partial(add, b=1))([1, 2]) == [2, 3]
    assert map_task(map_task(inc))(x=[[1], [], [2, 3]]) == [[2], [], [3, 4]]
    assert twice.map([1]) == [3]
    assert grown.map([1]) == [2]
    assert scale.map([1]) == [10]
    assert inc.map([]) == []


def test_A3_in_a_tasks_body_a_map_of_a_task_is_a_loop_and_one_of_a_workflow_an_error():
    @task
    def body(n: int) -> list[int]:
        return inc.map(list(range(n)))

    @task
    def wrong(n: int) -> list[int]:
        return twice.map(list(range(n)))

    assert body(3) == [1, 2, 3]
    with pytest.raises(NestedCallError, match="a task's body maps over twice, which is no task"):
        wrong(3)


# --- defects found ----------------------------------------------------------------------------------------------------


def test_B2_outside_a_trace_the_ratio_counts_as_well():
    @task
    def picky(x: int) -> int:
        if x == 2:
            raise ValueError("two")
        return x

    assert map_task(picky, min_success_ratio=0.5)(x=[1, 2, 3]) == [1, None, 3]


def test_A1_a_partial_that_gives_a_parameter_twice_is_a_wrong_call(problem_of):
    assert isinstance(problem_of(flow_of(lambda xs: map_task(partial(add, 1, a=2))(xs))), WrongCall)


def test_A1_a_task_with_positional_only_parameters_is_mapped_outside_a_trace():
    assert positional_only.map([1, 2], unmapped(3)) == [3, 6]


@pytest.mark.parametrize("body", [lambda xs: positional_only.map(x=xs, by=xs), lambda xs: keyword_only.map(xs, xs)])
def test_A1_a_map_takes_its_lists_as_the_function_takes_its_arguments(problem_of, body):
    assert isinstance(problem_of(flow_of(body)), WrongCall)


def test_B2_partial_may_give_a_promise_to_a_map_of_a_map():
    @workflow
    def flow(rows: list[list[int]], by: int) -> list[list[int]]:
        return map_task(map_task(partial(add, b=by)))(a=rows)

    assert flow([[1], [2]], 3) == [[4], [5]]


def test_A7_a_wrong_setting_fails_the_compile_even_if_the_body_swallows_it():
    def body(xs):
        try:
            map_task(inc, concurrency=-1)(xs)
        except MapError:
            pass
        return xs

    with pytest.raises(MapError):
        flow_of(body).compile()
