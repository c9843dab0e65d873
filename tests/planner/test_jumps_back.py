"""S4: a target that leads to its sender, over data, order or further jumps, is found when the workflow is compiled.

Each name is a kind of its own: the way from the target to the sender.
"""

import functools

import pytest

from promissory import Context, Workflow, dynamic, task, workflow
from promissory.errors import CompileError


@task
def prepare(x: int) -> int:
    return x


@task
def begin() -> None: ...


@task
def back_by_name(ctx: Context, x: int) -> int:
    ctx.next_task("prepare", goto=True)
    return x


@task
def back_by_object(ctx: Context, x: int) -> int:
    ctx.next_task(prepare, goto=True)
    return x


@task
def back_without_goto(ctx: Context, x: int) -> int:
    ctx.next_task("prepare")
    return x


@task
def back_to_begin(ctx: Context) -> None:
    ctx.next_task(begin, goto=True)


@task
def call_anew(ctx: Context, x: int) -> int:
    if x < 3:
        ctx.next_task(prepare, goto=True, x=5)
    return x


@task
def to_b(ctx: Context) -> None:
    ctx.next_task("to_c", goto=True)


@task
def to_c(ctx: Context) -> None:
    ctx.next_task("to_a", goto=True)


@task
def to_a(ctx: Context) -> None:
    ctx.next_task("to_b", goto=True)


@task
def to_other(ctx: Context) -> None:
    ctx.next_task("other", goto=True)


@task
def other(ctx: Context) -> None:
    ctx.next_task("to_other", goto=True)


@dynamic
def grows(ctx: Context, x: int) -> int:
    ctx.next_task("prepare", goto=True)
    return x


def told(made):
    with pytest.raises(CompileError) as caught:
        made.compile()
    return str(caught.value)


@pytest.mark.parametrize("sender", [back_by_name, back_by_object, back_without_goto, grows])
def test_S4_a_target_whose_value_the_sender_takes_is_an_error_that_says_use_loop(sender):
    @workflow
    def work() -> int:
        return sender(prepare(1))

    message = told(work)
    assert "prepare" in message and sender.name in message
    assert "Loop" in message
    assert __file__ in message


def test_S4_a_target_that_leads_over_other_nodes_is_an_error_too():
    @workflow
    def work() -> int:
        return back_by_name(prepare(prepare(prepare(1).with_overrides(name="first")).with_overrides(name="second")))

    assert "Loop" in told(work)


def test_S4_a_target_that_leads_over_order_is_an_error():
    with Workflow("ordered") as wf:
        begin() >> back_to_begin()
    assert "Loop" in told(wf)


def test_S4_two_tasks_that_jump_to_each_other_are_an_error():
    @workflow
    def work() -> None:
        to_other()
        other()

    message = told(work)
    assert "to_other" in message and "Loop" in message


def test_S4_a_circle_of_three_jumps_is_an_error():
    @workflow
    def work() -> None:
        to_a()
        to_b()
        to_c()

    message = told(work)
    assert all(name in message for name in ("to_a", "to_b", "to_c"))


def test_S4_a_circle_of_jumps_behind_a_node_is_an_error_though_it_can_begin():
    @workflow
    def work() -> None:
        prepare(1) >> to_other()
        other()

    assert "Loop" in told(work)


def test_S4_a_way_that_is_half_order_and_half_jump_is_an_error():
    """`other` jumps to `to_other`, which is before `between`, which is before `other`."""

    @workflow
    def work() -> None:
        to_other() >> prepare(1).with_overrides(name="between") >> other()

    assert "Loop" in told(work)


def test_S4_it_is_found_in_a_nested_workflow():
    @workflow
    def inner() -> int:
        return back_by_name(prepare(1))

    @workflow
    def outer() -> int:
        return prepare(inner())

    assert "Loop" in told(outer)


def test_S4_it_is_found_with_all_other_problems():
    @task
    def mistyped(ctx: Context) -> None:
        ctx.next_task("preparre", goto=True)

    @workflow
    def work() -> int:
        mistyped()
        return back_by_name(prepare(1))

    message = told(work)
    assert "preparre" in message and "Loop" in message


def test_S4_it_is_found_where_a_target_starts_by_itself():
    """That the target is not on standby makes it no better: when it is asked for, it has started."""

    @workflow
    def work() -> int:
        return back_by_name(prepare(1).with_overrides(standby=False))

    assert "Loop" in told(work)


def test_S4_a_task_that_is_called_with_inputs_of_its_own_is_no_node_so_the_node_starts_by_itself():
    @workflow
    def work() -> int:
        return call_anew(prepare(1))

    assert "standby" not in str(work.compile())


def test_S4_of_several_nodes_of_a_name_those_that_lead_to_the_sender_are_not_meant():
    @workflow
    def work() -> int:
        sender = back_by_name(prepare(1))
        prepare(2)
        return sender

    asleep = [line.split()[0] for line in str(work.compile()).splitlines() if "standby" in line]
    assert asleep == ["prepare~2"]


def test_S4_a_jump_forward_and_one_to_the_side_are_no_errors():
    @task
    def ahead(ctx: Context) -> None:
        ctx.next_task("last", goto=True)

    @workflow
    def work() -> None:
        ahead() >> prepare(1) >> begin().with_overrides(name="last")

    work.compile()


def test_S4_a_jump_in_a_decorated_body_counts_like_one_in_a_plain_body():
    def logged(f):
        @functools.wraps(f)
        def inner(ctx: Context, x: int) -> int:
            return f(ctx, x)

        return inner

    @task
    @logged
    def decorated(ctx: Context, x: int) -> int:
        ctx.next_task("prepare", goto=True)
        return x

    @workflow
    def work() -> int:
        return decorated(prepare(1))

    assert "Loop" in told(work)
