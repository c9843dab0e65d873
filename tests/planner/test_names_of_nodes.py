"""T5: a name of a node or gate is printable text in which no path means anything, wherever the name comes from."""

from dataclasses import replace

import pytest

from promissory import Workflow, approve, conditional, dynamic, map_task, sleep, task, wait_for_input, workflow
from promissory.errors import CompileError, DecorationError, DuplicateName, GateError, PlanError
from promissory.planner.plan.names import node_names
from promissory.planner.plan.specs import Gate
from promissory.planner.plan.verify import verify_shape

NO_TEXTS = [
    "",
    " ",
    "a/b",
    "a~2",
    "a#0",
    "a[3]",
    "a[=3]",
    "a=b",
    "two\nlines",
    "red\x1b[31m",
    "bell\x07",
    "a\x00b",
    "right\u202eleft",
    "none\u200bseen",
    "line\u2028break",
    "byte\udcff",
]
NO_NAMES = [*NO_TEXTS, 3, None, b"a"]
NAMES = ["a", "step 2", "Größe", "数える", "a.b-c_d", "50 %", "a|b", "naïve: «yes»", "…"]


@task
def use(x: int) -> int:
    return x


@pytest.mark.parametrize("name", [name for name in NO_NAMES if name is not None], ids=ascii)
def test_T5_with_overrides_refuses_a_name_that_a_path_could_not_hold(problem_of, name):
    @workflow
    def flow() -> int:
        return use(1).with_overrides(name=name)

    problem = problem_of(flow)
    assert isinstance(problem, DuplicateName)
    assert problem.where.file == __file__
    assert "give printable text without / ~ # [ ] and =" in str(problem)


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_T5_conditional_refuses_a_name_that_a_path_could_not_hold(problem_of, name):
    @workflow
    def flow(n: int) -> int:
        return conditional(name).if_(n > 3).then(1).else_().then(2)

    if name is None:
        pytest.skip("None is no name, and is told as that elsewhere")
    problem = problem_of(flow)
    assert isinstance(problem, DuplicateName)
    assert problem.where.file == __file__


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
@pytest.mark.parametrize("gate", [wait_for_input, lambda name: approve(use(1), name)], ids=["input", "approve"])
def test_T5_a_gate_refuses_a_name_that_a_path_could_not_hold(gate, name):
    @workflow
    def flow() -> None:
        gate(name)

    with pytest.raises(GateError, match="can't be a gate's name") as told:
        flow.compile()
    assert told.value.where.file == __file__


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_T5_a_workflow_built_by_hand_is_named_like_a_node(name):
    with pytest.raises(CompileError, match="can't be a workflow's name") as told:
        Workflow(name)
    assert told.value.where.file == __file__


@pytest.mark.parametrize("name", NO_TEXTS, ids=ascii)
@pytest.mark.parametrize("attribute", ["__name__", "__qualname__"])
@pytest.mark.parametrize("decorator", [task, workflow, dynamic])
def test_T5_a_function_that_was_renamed_is_named_like_a_node(decorator, attribute, name):
    def made(x: int) -> int:
        return x

    setattr(made, attribute, name)
    with pytest.raises(DecorationError, match="can't be a node's name") as told:
        decorator(made)
    assert told.value.where.file == __file__


@pytest.mark.parametrize("name", NAMES)
def test_T5_a_name_in_any_script_is_one(name):
    @workflow
    def flow(n: int) -> int:
        wait_for_input(name)
        sleep(1)
        return conditional("choice").if_(n > 3).then(use(1).with_overrides(name=name)).else_().then(2)

    plan = flow.compile()
    assert name in node_names(plan.shape, 0)
    assert name in plan.show()
    assert Workflow(name).name == name


def test_T5_the_node_of_a_map_of_maps_has_no_brackets_in_its_name():
    @workflow
    def flow(rows: list[list[int]]) -> list[list[int]]:
        return map_task(map_task(use))(x=rows)

    assert node_names(flow.compile().shape, 0) == ["use"]


# --- plans that others wrote ---


@workflow
def inner(x: int) -> int:
    return use(x)


@workflow
def outer(x: int) -> int:
    wait_for_input("go")
    return inner(x).with_overrides(name="given")


SHAPE = outer.compile().shape


def of_graph(number, **changes):
    graphs = list(SHAPE.graphs)
    graphs[number] = replace(graphs[number], **changes)
    return replace(SHAPE, graphs=tuple(graphs))


def named(name):
    """The plan's shape with the name in each place that has one."""
    number, gate = next((index, spec) for index, spec in SHAPE.graphs[0].specs.items() if isinstance(spec, Gate))
    specs = {**SHAPE.graphs[0].specs, number: replace(gate, name=name)}
    callee = replace(SHAPE.callees[0], name=f"flows:{name}")
    return {
        "override": of_graph(0, overrides={1: {"name": name}}),
        "gate": of_graph(0, specs=specs),
        "workflow": of_graph(0, name=name),
        "nested workflow": of_graph(1, name=name),
        "task": replace(SHAPE, callees=(callee,)),
    }


@pytest.mark.parametrize("name", NO_TEXTS, ids=ascii)
@pytest.mark.parametrize("place", list(named("a")))
def test_T5_a_plan_with_such_a_name_is_refused_by_whoever_reads_it(place, name):
    verify_shape(named("a")[place])
    with pytest.raises(PlanError):
        verify_shape(named(name)[place])
