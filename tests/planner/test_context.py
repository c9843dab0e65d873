"""S4, A1, A8: what a plan says of a `Context`, of nodes on standby, of jumps, and of workflows put together with `>>`
in a block.
"""

import pytest

from promissory import Context, Workflow, current_context, dynamic, map_task, task, workflow
from promissory.errors import CompileError, ContextError, DecorationError, PromiseError, WrongCall


@task
def a() -> str:
    return "a"


@task
def b() -> str:
    return "b"


@task
def c() -> str:
    return "c"


@task
def d() -> str:
    return "d"


@task
def greets(ctx: Context, name: str, n: int = 1) -> str:
    return f"{name} {ctx.loop_index} {n}"


@task
def jumps(ctx: Context) -> str:
    ctx.next_task("b", goto=True)
    return "x"


@task
def jumps_to_object(ctx: Context) -> str:
    ctx.next_task(b, goto=True)
    return "x"


@task
def adds(ctx: Context) -> str:
    ctx.next_task("b")
    return "x"


@task
def mistyped(ctx: Context) -> str:
    ctx.next_task("bb", goto=True)
    return "x"


@task
def mistyped_elsewhere() -> str:
    current_context().next_task("cc")
    return "x"


def lines(target):
    return str(target.compile()).splitlines()


# --- Context ---


def test_S_a_first_parameter_annotated_context_is_no_input():
    @workflow
    def work(name: str) -> str:
        return greets(name)

    assert [p.name for p in greets.signature.interface.parameters] == ["name", "n"]
    assert lines(work)[1] == "  greets : str = task greets(name=name)"


def test_S_the_context_is_not_counted_among_positional_arguments():
    assert greets("Ada", 2) == "Ada 0 2"
    assert greets(name="Ada") == "Ada 0 1"


def test_S_a_context_can_not_be_passed():
    with pytest.raises(TypeError):
        greets(ctx=current_context(), name="Ada")


def test_S_an_annotation_in_quotes_is_one_too():
    @task
    def quoted(ctx: "Context", x: int) -> int:
        return x + ctx.loop_index

    assert quoted(3) == 3


def test_S_a_dynamic_takes_a_context():
    @dynamic
    def some(ctx: Context, x: int) -> str:
        return greets(str(x + ctx.loop_index))

    assert some(1) == "1 0 1"


def test_S_a_mapped_task_takes_a_context():
    @workflow
    def work() -> list[str]:
        return map_task(greets)(name=["Ada", "Eve"])

    assert work() == ["Ada 0 1", "Eve 0 1"]


def test_S_a_workflow_takes_none_and_says_why():
    with pytest.raises(DecorationError, match="there is no run while its body is traced") as caught:

        @workflow
        def work(ctx: Context) -> str:
            return a()

    assert "take it in a task, or in a @dynamic" in str(caught.value)


@pytest.mark.parametrize("second", [True, False])
def test_S_a_context_that_is_not_the_first_parameter_is_refused(second):
    with pytest.raises(DecorationError, match="another than the first parameter"):
        if second:

            @task
            def late(x: int, ctx: Context) -> int:
                return x
        else:

            @task
            def two(ctx: Context, other: Context) -> int:
                return 1


def test_S_outside_a_run_a_context_knows_nothing():
    context = current_context()
    assert (context.run_id, context.path, context.attempt, context.depth) == ("", "", 1, 0)
    assert (context.loop_index, context.loop_result) == (0, None)
    assert (context.deadline, context.max_iterations, context.in_run, context.can_iterate()) == (
        None,
        None,
        False,
        True,
    )


@pytest.mark.parametrize("name", ["cancelled", "checkpoint"])
def test_S_a_context_has_what_the_public_face_lists(name):
    assert hasattr(current_context(), name)


@pytest.mark.parametrize(
    "ask", [lambda x: x.terminate(), lambda x: x.cancel(), lambda x: x.next_iteration(), lambda x: x.next_task(a)]
)
def test_S_outside_a_run_nothing_can_be_asked(ask):
    with pytest.raises(ContextError, match="needs a run, and this body was called as a plain function") as caught:
        ask(current_context())
    assert "promissory.run" in str(caught.value)


# --- with Workflow(…) and >> ---


def test_A8_tasks_are_put_in_order_by_name():
    with Workflow("x") as wf:
        a >> b
    assert lines(wf) == ["plan x() -> None", "  a : str = task a()", "  b : str = task b() after a"]


def test_A8_a_chain_goes_through_a_list():
    with Workflow("x") as wf:
        a >> [b, c] >> d
    assert lines(wf)[2:] == [
        "  b : str = task b() after a",
        "  c : str = task c() after a",
        "  d : str = task d() after b, c",
    ]


def test_A8_a_task_named_twice_is_one_node():
    with Workflow("x") as wf:
        a >> b
        a >> c
        [b, c] >> d
    assert [line.split()[0] for line in lines(wf)[1:]] == ["a", "b", "c", "d"]


def test_A8_calls_and_names_may_be_mixed():
    with Workflow("x") as wf:
        first = a()
        first >> b >> c()
    assert lines(wf)[3] == "  c : str = task c() after b"


def test_A8_a_circle_of_names_is_an_error():
    with Workflow("x") as wf, pytest.raises(CompileError, match="circle"):
        a >> b >> a
        wf.compile()
    with Workflow("y") as wf:
        a >> b >> a
    with pytest.raises(CompileError, match="a → b → a"):
        wf.compile()


def test_A8_a_task_with_inputs_can_not_be_named_without_them():
    with Workflow("x"), pytest.raises(WrongCall, match="missing 1 required positional argument: 'name'"):
        a >> greets


def test_A8_order_outside_a_block_says_where_it_belongs():
    with pytest.raises(PromiseError, match="none is being made") as caught:
        a >> b
    assert "with Workflow" in str(caught.value)


# --- jumps ---


@pytest.mark.parametrize("jump", [jumps, jumps_to_object])
def test_S4_a_node_that_is_only_reached_by_a_jump_is_on_standby(jump):
    @workflow
    def work() -> str:
        first = jump()
        first >> a()
        b()
        return first

    assert "  b" in str(work.compile())
    assert next(line for line in lines(work) if line.split()[0] == "b").endswith("task b() on standby")


def test_S4_a_node_that_something_else_leads_to_starts_by_itself():
    @workflow
    def work() -> str:
        first = jumps()
        first >> b()
        return first

    assert lines(work)[2].endswith("task b() after jumps")


def test_S4_a_node_that_is_sent_to_without_goto_starts_by_itself():
    @workflow
    def work() -> str:
        b()
        return adds()

    assert "standby" not in str(work.compile())


def test_S4_standby_can_be_said():
    @workflow
    def work() -> str:
        a().with_overrides(name="b", standby=True)
        return adds()

    assert lines(work)[1].endswith("task a() on standby")


def test_S4_standby_can_be_unsaid():
    @workflow
    def work() -> str:
        b().with_overrides(standby=False)
        return jumps()

    assert "standby" not in str(work.compile())


def test_S4_standby_is_true_or_false():
    @workflow
    def work() -> str:
        b().with_overrides(standby="no")
        return jumps()

    with pytest.raises(CompileError, match="standby"):
        work.compile()


def test_S4_unknown_targets_are_found_at_compile_all_of_them():
    @workflow
    def work() -> str:
        first, second = mistyped(), mistyped_elsewhere()
        first >> second
        return a()

    with pytest.raises(CompileError) as caught:
        work.compile()
    message = str(caught.value)
    assert "mistyped sends its run to 'bb', and work has no such node" in message
    assert "mistyped_elsewhere sends its run to 'cc', and work has no such node" in message
    assert __file__ in message


def test_S4_a_target_in_another_workflow_is_none():
    @workflow
    def inner() -> str:
        return jumps()

    @workflow
    def outer() -> str:
        b()
        return inner()

    with pytest.raises(CompileError, match="jumps sends its run to 'b', and inner has no such node"):
        outer.compile()


def test_S4_a_task_that_jumps_to_what_is_no_node_yet_is_no_error():
    """The task itself is called."""

    @workflow
    def work() -> str:
        return jumps_to_object()

    assert len(lines(work)) == 3


def test_A5_a_plan_with_standby_is_read_back_as_it_was():
    @workflow
    def work() -> str:
        b()
        return jumps()

    plan = work.compile()
    assert type(plan).from_bytes(plan.to_bytes()).to_bytes() == plan.to_bytes()
