"""A8: `Workflow(name)` and `with Workflow(name)` give the plan that `@workflow` gives, byte for byte."""

from dataclasses import dataclass

import pytest

from promissory import Plan, Workflow, dynamic, run, task, workflow
from promissory.errors import CompileError, DuplicateName, EdgeTypeError


@dataclass
class Row:
    n: int
    text: str


@task
def inc(x: int) -> int:
    return x + 1


@task
def join(a: int, b: list[int]) -> str:
    return f"{a}{b}"


@dynamic
def grow(n: int) -> int:
    return grow(n - 1) if n else 0


@workflow
def nested(x: int, y: int = 2) -> int:
    return inc(inc(x))


@workflow
def flow(x: int, y: int = 3) -> str:
    first = inc(x)
    second = nested(grow(first))
    first >> second
    return join(second.with_overrides(name="last"), [first, y, 4])


def by_hand() -> Workflow:
    wf = Workflow("flow")
    x = wf.add_workflow_input("x", int)
    y = wf.add_workflow_input("y", int, 3)
    first = wf.add_entity(inc, x=x)
    second = wf.add_entity(nested, x=wf.add_entity(grow, n=first))
    first >> second
    wf.add_workflow_output("result", wf.add_entity(join, a=second.with_overrides(name="last"), b=[first, y, 4]))
    return wf


def in_a_block() -> Workflow:
    with Workflow("flow") as wf:
        x = wf.add_workflow_input("x", int)
        y = wf.add_workflow_input("y", int, 3)
        first = inc(x)
        second = nested(grow(first))
        first >> second
        wf.add_workflow_output("result", join(second.with_overrides(name="last"), [first, y, 4]))
    return wf


@pytest.mark.parametrize("build", [by_hand, in_a_block])
def test_A8_the_same_calls_give_the_same_bytes(build):
    assert build().compile().to_bytes() == flow.compile().to_bytes()


def test_A8_one_nested_in_another_gives_the_bytes_of_the_decorated_pair():
    @workflow
    def inner(x: int) -> int:
        return inc(inc(x))

    @workflow
    def outer(x: int) -> str:
        return join(inner(x), [inner(x)])

    with Workflow("inner") as inner_by_hand:
        inner_by_hand.add_workflow_output("result", inc(inc(inner_by_hand.add_workflow_input("x", int))))
    with Workflow("outer") as outer_by_hand:
        x = outer_by_hand.add_workflow_input("x", int)
        outer_by_hand.add_workflow_output("result", join(inner_by_hand(x=x), [inner_by_hand(x=x)]))
    assert outer_by_hand.compile().to_bytes() == outer.compile().to_bytes()


def small() -> tuple[Workflow, object]:
    with Workflow("small") as wf:
        first = inc(wf.add_workflow_input("x", int))
    return wf, first


def test_A8_compiling_twice_gives_the_same_plan():
    wf, first = small()
    wf.add_workflow_output("y", first)
    wf.add_workflow_output("text", "a literal that is longer than thirty-two bytes", str)
    assert wf.compile().to_bytes() == wf.compile().to_bytes()


def test_A8_calls_added_later_are_in_the_next_plan_and_not_in_the_last_one():
    wf, first = small()
    wf.add_workflow_output("y", first)
    before = wf.compile()
    known = before.to_bytes()
    wf.add_entity(inc, x=first)
    assert len(wf.compile()) == 2
    before.verify()
    assert before.to_bytes() == known


def test_A8_an_override_made_later_does_not_change_a_plan_that_is_there():
    wf, first = small()
    wf.add_workflow_output("y", first)
    before = wf.compile()
    known = before.to_bytes()
    first.with_overrides(name="renamed")
    assert before.to_bytes() == known


def test_A8_order_edges_that_move_nodes_do_not_disturb_what_comes_later():
    wf, first = small()
    second = wf.add_entity(inc, x=1)
    second >> first
    assert [node.after for node in wf.compile().nodes()] == [(), (0,)]
    third = wf.add_entity(inc, x=first)
    wf.add_workflow_output("y", third)
    assert "inc~3 : int = task inc(x=inc~2)" in str(wf.compile())


def test_A8_several_outputs_are_named():
    with Workflow("several") as wf:
        x = wf.add_workflow_input("x", int)
        wf.add_workflow_output("raised", inc(x))
        wf.add_workflow_output("row", Row(inc(x), "a"), Row)
        wf.add_workflow_output("given", x)
    assert str(wf.compile()) == (
        "plan several(x: int) -> (raised: int, row: Row, given: int)\n"
        "  inc   : int = task inc(x=x)\n"
        "  inc~2 : int = task inc(x=x)\n"
        "  return raised = inc\n"
        "  return row = Row(n=inc~2, text='a')\n"
        "  return given = x"
    )


def test_A8_a_workflow_without_outputs_gives_None():
    wf, _ = small()
    assert str(wf.compile()).splitlines()[0] == "plan small(x: int) -> None"
    assert repr(wf) == "<workflow small(x: int) -> None>"


def test_A8_an_output_is_checked_against_its_annotation():
    wf, first = small()
    wf.add_workflow_output("y", first, str)
    with pytest.raises(EdgeTypeError) as caught:
        wf.compile()
    assert caught.value.message == "the output y of small wants str, but inc() gives int"


def test_A8_two_inputs_or_outputs_of_one_name_are_refused():
    wf, first = small()
    with pytest.raises(DuplicateName, match="two inputs of small are named 'x'"):
        wf.add_workflow_input("x", int)
    wf.add_workflow_output("y", first)
    with pytest.raises(DuplicateName, match="two outputs of small are named 'y'"):
        wf.add_workflow_output("y", first)


def test_A8_an_input_is_checked_as_a_parameter_is():
    wf = Workflow("checked")
    with pytest.raises(CompileError, match=r"the default of input a: default: expected int, got str") as caught:
        wf.add_workflow_input("a", int, "one")
    assert caught.value.where.file == __file__
    with pytest.raises(CompileError, match="can't be a key"):
        wf.add_workflow_input("b", set[list[int]])


def test_A8_after_the_block_calls_are_plain_again():
    small()
    assert inc(1) == 2


def test_A8_a_block_that_raised_is_left_and_blocks_nest():
    with pytest.raises(KeyError), Workflow("failing"):
        raise KeyError
    assert inc(1) == 2
    with Workflow("outer") as outer:
        with Workflow("inner") as inner:
            inc(1)
        inc(1)
        inc(2)
    assert (len(inner.compile()), len(outer.compile())) == (1, 2)


def test_A8_names_stay_unique_beside_given_ones():
    with Workflow("named") as wf:
        inc(1)
        inc(2).with_overrides(name="grow")
        grow(3)
        grow(4)
    assert [node.name for node in wf.compile().nodes()] == ["inc", "grow", "grow~2", "grow~3"]


def by_hand_with_two_outputs():
    wf = Workflow("halves")
    x = wf.add_workflow_input("x", int)
    wf.add_workflow_output("more", wf.add_entity(inc, x=x))
    wf.add_workflow_output("row", [x, x], list[int])
    return wf


def test_A8_a_plain_call_of_a_workflow_with_several_outputs_gives_what_a_run_gives():
    wf = by_hand_with_two_outputs()
    assert (
        wf(x=1) == wf.run(x=1) == run(wf, {"x": 1}, store="memory://", echo=False).result == {"more": 2, "row": [1, 1]}
    )


def test_A8_several_outputs_are_a_dict_by_name_in_a_workflow_that_calls_it():
    halves = by_hand_with_two_outputs()

    @task
    def total(row: list[int]) -> int:
        return sum(row)

    @workflow
    def outer(x: int) -> dict[str, list[int]]:
        found = halves(x=x)
        again = halves(x=inc(found["more"]))
        return {"a": [total(found["row"]), found["more"]], "b": again["row"]}

    assert outer(5) == {"a": [10, 6], "b": [7, 7]}
    plan = outer.compile()
    assert Plan.from_bytes(plan.to_bytes()).digest == plan.digest


def test_A8_an_output_that_is_not_there_and_one_of_another_type_are_told():
    halves = by_hand_with_two_outputs()

    @workflow
    def missing(x: int) -> int:
        return halves(x=x)["less"]

    @workflow
    def other(x: int) -> int:
        return inc(halves(x=x)["row"])

    with pytest.raises(CompileError, match="less"):
        missing.compile()
    with pytest.raises(CompileError, match=r"wants int, but .* gives list\[int\]"):
        other.compile()
