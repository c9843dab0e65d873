"""S4, S5, S6, S8: what a task asks of its run: more work, a jump, an early end, a cancellation, to be skipped.

It counts if its attempt ends without failing, and then for good.
"""

import signal
import threading
from itertools import count

import pytest

from promissory import (
    Context,
    Loop,
    Skip,
    Store,
    Workflow,
    attach,
    conditional,
    current_context,
    dynamic,
    map_task,
    resume,
    run,
    task,
    workflow,
)
from promissory.errors import OutputUnavailable, RunFailed, WorkflowCancelled
from promissory.testing import MockClock, always_replay

RAN = []
BROKEN = []
NUMBER = count()


@pytest.fixture(autouse=True)
def _afresh():
    RAN.clear()
    BROKEN.clear()


def carried(target, inputs=None, **options):
    return run(target, inputs or {}, store=Store(None), echo=False, durability="process", **options)


def states(ended):
    return {row.path: row.state for row in ended.nodes(items=True)}


def went_on(ended):
    RAN.clear()
    return resume(ended.id, store=ended.store, echo=False, durability="process")


@task
def say(word: str) -> str:
    RAN.append(word)
    return word


@task
def then(word: str) -> str:
    RAN.append("then")
    return word + "!"


@task
def gather(words: list[str]) -> int:
    RAN.append("gather")
    return len(words)


@task
def fragile(word: str) -> str:
    RAN.append("fragile")
    if BROKEN:
        raise ValueError("broken")
    return word


@task
def number(n: int) -> int:
    RAN.append(n)
    return n


@task
def asks(ctx: Context, what: str) -> str:
    """Asks for what it is told."""
    RAN.append("asks")
    if what == "terminate":
        ctx.terminate("enough", outputs=7)
    elif what == "cancel":
        ctx.cancel("not valid")
    elif what == "skip":
        raise Skip("nothing to do")
    elif what == "next":
        ctx.next_task(number, n=5)
    elif what == "goto":
        ctx.next_task("emergency", goto=True)
    return what


@task
def skips() -> str:
    RAN.append("skips")
    raise Skip("nothing to do")


@task
def ends_well(ctx: Context) -> str:
    RAN.append("ends")
    ctx.terminate("enough", outputs=7)
    return "ended"


def asking(ask, **policy):
    """A workflow of one task that asks, what follows it, and a node on standby."""

    @task(**policy)
    def sender(ctx: Context) -> str:
        RAN.append(f"sender {ctx.loop_index}.{ctx.attempt}" if ctx.loop_index or ctx.attempt > 1 else "sender")
        ask(ctx)
        return "sent"

    @workflow
    def sends() -> str:
        say("emergency").with_overrides(name="emergency", standby=True)
        return then(sender())

    return sends


# --- S4: more work ---


def test_S4_a_new_task_runs_after_its_sender_and_before_what_follows_it():
    ended = carried(asking(lambda ctx: ctx.next_task(number, n=1)))
    assert ended.result == "sent!"
    assert RAN == ["sender", 1, "then"]


def test_S4_the_enqueue_demo_prints_its_three_lines_in_order():
    @task
    def extra_logging() -> None:
        RAN.append("Extra logging task")

    @task
    def main_processing(ctx: Context) -> None:
        RAN.append("Main processing")
        ctx.next_task(extra_logging)

    @task
    def normal_continuation() -> None:
        RAN.append("Normal continuation")

    with Workflow("enqueue") as wf:
        main_processing() >> normal_continuation()
    wf.run()
    assert RAN == ["Main processing", "Extra logging task", "Normal continuation"]


def test_S4_tasks_defined_and_ordered_inside_the_block_are_no_nodes_until_they_are_named():
    with Workflow("enqueue") as wf:

        @task
        def extra_logging() -> None:
            RAN.append("Extra logging task")

        @task
        def main_processing(ctx: Context) -> None:
            RAN.append("Main processing")
            ctx.next_task(extra_logging)

        @task
        def normal_continuation() -> None:
            RAN.append("Normal continuation")

        main_processing >> normal_continuation
    wf.run()
    assert RAN == ["Main processing", "Extra logging task", "Normal continuation"]


def test_S4_several_calls_add_up():
    def ask(ctx):
        ctx.next_task(number, n=1)
        ctx.next_task("emergency")
        ctx.next_task(number, n=2)

    assert carried(asking(ask)).result == "sent!"
    assert sorted(RAN[1:-1], key=str) == [1, 2, "emergency"]
    assert (RAN[0], RAN[-1]) == ("sender", "then")


@workflow
def twice(n: int) -> int:
    return number(number(n))


@dynamic
def emits(n: int) -> int:
    return number(n) if n else 0


@pytest.mark.parametrize(("target", "bodies"), [(twice, [3, 3]), (emits, [3])], ids=["workflow", "dynamic"])
def test_S4_what_is_added_may_be_a_workflow_or_a_dynamic(target, bodies):
    assert carried(asking(lambda ctx: ctx.next_task(target, n=3))).result == "sent!"
    assert ["sender", *bodies, "then"] == RAN


@task
def counts_down(ctx: Context, n: int) -> int:
    RAN.append(n)
    if n:
        ctx.next_task(counts_down, n=n - 1)
    return n


def test_S4_what_is_added_may_add_more():
    @workflow
    def work() -> str:
        down = counts_down(3)
        last = say("last")
        down >> last
        return last

    assert carried(work).result == "last"
    assert RAN == [3, 2, 1, 0, "last"]


@task
def adds_for_ever(ctx: Context) -> int:
    ctx.next_task(adds_for_ever)
    return 1


def test_D9_tasks_that_are_added_without_end_come_to_a_named_limit():
    error = carried(adds_for_ever, max_nodes=50).error
    assert "NodesExceeded" in str(error)
    assert "max_nodes" in str(error)


def test_S4_a_failure_of_what_was_added_fails_the_sender():
    def ask(ctx):
        ctx.next_task(fragile, word="x")

    BROKEN.append(1)
    ended = carried(asking(ask))
    assert ended.error.path == "main/sender/fragile"
    assert RAN == ["sender", "fragile"]


# --- S4: jumps ---


@task
def emergency() -> str:
    RAN.append("emergency")
    return "handled"


@task
def normal() -> str:
    RAN.append("normal")
    return "normal"


@task
def risky(ctx: Context, fails: bool) -> str:
    RAN.append("risky")
    if fails:
        ctx.next_task(emergency, goto=True)
    return "risky"


@task
def risky_by_name(ctx: Context, fails: bool) -> str:
    RAN.append("risky")
    if fails:
        ctx.next_task("emergency", goto=True)
    return "risky"


@task
def risky_without_goto(ctx: Context, fails: bool) -> str:
    RAN.append("risky")
    if fails:
        ctx.next_task("emergency")
    return "risky"


def with_an_emergency(first, fails):
    with Workflow("guarded") as wf:
        first(fails) >> normal()
        emergency().with_overrides(standby=True)
    return wf


@pytest.mark.parametrize("first", [risky, risky_by_name])
def test_S4_a_jump_runs_the_target_and_not_what_followed(first):
    carried(with_an_emergency(first, True))
    assert RAN == ["risky", "emergency"]


@pytest.mark.parametrize("first", [risky, risky_by_name, risky_without_goto])
def test_S4_without_a_jump_the_target_does_not_run(first):
    assert carried(with_an_emergency(first, False)).state == "SUCCEEDED"
    assert RAN == ["risky", "normal"]


def test_S4_a_node_that_is_sent_to_without_goto_runs_before_what_follows():
    carried(with_an_emergency(risky_without_goto, True))
    assert RAN == ["risky", "emergency", "normal"]


def test_S4_a_jump_to_a_task_that_is_no_node_calls_it():
    with Workflow("guarded") as wf:
        risky(True) >> normal()
    carried(wf)
    assert RAN == ["risky", "emergency"]


def test_X8_states_after_a_jump(store):
    ended = carried(with_an_emergency(risky_by_name, True))
    assert states(ended) == {"main/risky_by_name": "SUCCEEDED", "main/normal": "SKIPPED", "main/emergency": "SUCCEEDED"}


def test_X8_a_node_on_standby_that_nothing_led_to_is_skipped():
    assert states(carried(with_an_emergency(risky_by_name, False)))["main/emergency"] == "SKIPPED"


@task
def jumps(ctx: Context, to: str) -> str:
    RAN.append("jumps")
    ctx.next_task(to, goto=True)
    return "jumped"


def test_S4_a_jump_skips_only_what_nothing_else_leads_to():
    @workflow
    def work() -> list[str]:
        first = jumps("target")
        skipped = then(then(first))
        other = say("other")
        joined = say("joined")
        only = say("only")
        skipped >> only
        [skipped, other] >> joined
        return [joined, say("arrived").with_overrides(name="target", standby=True)]

    assert carried(work).result == ["joined", "arrived"]
    assert sorted(RAN) == ["arrived", "joined", "jumps", "other"]


def test_S4_a_jump_forward_skips_what_is_jumped_over_and_goes_on_behind_the_target():
    @workflow
    def work() -> str:
        first, over, target, last = (
            jumps("target"),
            say("over"),
            say("target").with_overrides(name="target"),
            say("last"),
        )
        first >> over >> target >> last
        return last

    assert carried(work).result == "last"
    assert RAN == ["jumps", "target", "last"]


def test_S4_a_jump_to_a_direct_successor_skips_the_other_ones():
    @workflow
    def work() -> str:
        first, target, other = jumps("target"), say("target").with_overrides(name="target"), say("other")
        first >> [target, other]
        return target

    assert carried(work).result == "target"
    assert RAN == ["jumps", "target"]


def test_S4_the_target_may_take_the_value_of_the_task_that_jumped():
    @workflow
    def work() -> str:
        first = jumps("target")
        then(first)
        return say(first).with_overrides(name="target")

    assert carried(work).result == "jumped"
    assert RAN == ["jumps", "jumped"]


def test_S4_a_jump_to_a_node_that_takes_what_is_not_there_is_refused():
    @workflow
    def work() -> str:
        first = jumps("target")
        return then(then(first)).with_overrides(name="target")

    message = str(carried(work).error)
    assert "main/jumps" in message
    assert "'target', which takes what then gives" in message


def test_S4_a_handler_that_was_jumped_to_may_jump_on():
    @workflow
    def work() -> str:
        first = jumps("handler")
        then(first)
        then(jumps("last").with_overrides(name="handler", standby=True))
        return say("last").with_overrides(name="last", standby=True)

    assert carried(work).result == "last"
    assert RAN == ["jumps", "jumps", "last"]


def test_S4_two_tasks_may_not_both_jump_to_one_node_that_the_first_one_started():
    @workflow
    def work() -> str:
        first, second = jumps("target"), jumps("target")
        target = say("target").with_overrides(name="target", standby=True)
        target >> second
        return second

    message = str(carried(work).error)
    assert "main/jumps~2" in message
    assert "has started already" in message
    assert "Loop" in message


def test_S4_two_tasks_may_jump_to_one_node_that_has_not_started_yet():
    """The target waits for a place in its pool until both have jumped to it, and for a node that is not done."""
    both_jumped = threading.Event()

    @task(pool="one")
    def holds() -> None:
        both_jumped.wait(30)

    @task
    def lets_go() -> None:
        both_jumped.set()

    @task(pool="one")
    def target() -> str:
        return "arrived"

    @task
    def waits() -> None:
        both_jumped.wait(30)

    @workflow
    def work() -> str:
        held, other = holds(), waits()
        first, second = jumps("target"), jumps("target")
        held_first = say("held")
        held_first >> [first, second]
        [first, second, held_first] >> lets_go()
        arrived = target()
        [other] >> arrived
        return arrived

    ended = carried(work, engine="threads", max_parallelism=4, pools={"one": 1})
    both_jumped.set()
    assert ended.state in ("SUCCEEDED", "FAILED")


@task
def sends_to(ctx: Context, to: str) -> str:
    RAN.append("sends")
    ctx.next_task(to)
    return "sent"


def test_S4_a_node_that_waits_for_something_else_may_be_sent_to_and_is_waited_for():
    @workflow
    def work() -> str:
        first, follower = sends_to("target"), say("follower")
        first >> follower
        say("before") >> say("target").with_overrides(name="target")
        return follower

    assert carried(work).result == "follower"
    assert sorted(RAN[:3]) == ["before", "sends", "target"]
    assert RAN[3:] == ["follower"]


def test_S4_sending_to_a_node_behind_ones_own_successors_is_no_deadlock():
    @workflow
    def work() -> str:
        first, follower, target = sends_to("target"), say("follower"), say("target").with_overrides(name="target")
        first >> follower >> target
        return target

    assert carried(work).state in ("SUCCEEDED", "FAILED")


# --- S4: wrong targets ---


def test_S4_an_unknown_target_is_an_error_that_says_which_there_are():
    message = str(carried(asking(lambda ctx: ctx.next_task("emergancy", goto=True))).error)
    assert "main/sender" in message
    assert "'emergancy'" in message
    assert "There is: emergency, sender, then" in message


def test_S4_ones_own_node_is_no_target():
    message = str(carried(asking(lambda ctx: ctx.next_task("sender", goto=True))).error)
    assert "has started already" in message
    assert "raise Loop" in message


def test_S4_a_node_of_another_frame_is_no_target():
    @workflow
    def inner() -> str:
        return jumps("outside")

    @workflow
    def outer() -> str:
        say("outside").with_overrides(name="outside")
        return inner()

    message = str(carried(outer).error)
    assert "main/inner/jumps" in message
    assert "'outside', and there is no such node beside it" in message


def wrong(ask, **policy):
    ended = carried(asking(ask, **policy))
    assert ended.state == "FAILED"
    assert RAN == ["sender"], "it is not tried again"
    return str(ended.error)


def test_S4_wrong_inputs_of_a_new_task_name_the_input_and_are_not_retried():
    assert "unexpected keyword argument 'm'" in wrong(lambda ctx: ctx.next_task(number, m=1), retries=2)


def test_S4_an_input_of_the_wrong_type_names_it_and_is_not_retried():
    assert "number(n=…): expected int, got str" in wrong(lambda ctx: ctx.next_task(number, n="x"), retries=2)


def test_A7_an_input_of_the_wrong_type_names_the_line_of_the_call():
    def ask(ctx):
        ctx.next_task(number, n="x")

    assert f"{ask.__code__.co_filename}:{ask.__code__.co_firstlineno + 1}" in wrong(ask)


def test_S4_what_is_no_task_is_refused():
    assert "next_task() takes a task or the name of a node, not <built-in function len>" in wrong(
        lambda ctx: ctx.next_task(len)
    )


def test_S4_a_node_by_name_takes_no_inputs():
    assert "got inputs, and a node has its own" in wrong(lambda ctx: ctx.next_task("emergency", word="x"))


def test_S4_a_task_without_the_inputs_that_it_needs_is_refused():
    assert "number" in wrong(lambda ctx: ctx.next_task(number))


@task
def may_jump(ctx: Context, far: bool) -> str:
    RAN.append("may_jump")
    if far:
        ctx.next_task("emergency", goto=True)
    return "stays"


def test_S4_a_task_that_may_jump_can_be_added():
    assert carried(asking(lambda ctx: ctx.next_task(may_jump, far=False))).result == "sent!"


# --- S5: terminate ---


@task
def check_cache(ctx: Context, hit: bool) -> str:
    RAN.append("check_cache")
    if hit:
        ctx.terminate("found it", outputs="cached")
    return "miss"


@task
def expensive(found: str) -> str:
    RAN.append("expensive")
    return "made"


@workflow
def looked_up(hit: bool) -> str:
    return expensive(check_cache(hit))


def test_S5_a_hit_ends_the_run_well_with_the_outputs_given():
    ended = carried(looked_up, {"hit": True})
    assert (ended.state, ended.reason, ended.result) == ("TERMINATED", "found it", "cached")
    assert ended.error is None
    assert RAN == ["check_cache"]
    assert carried(looked_up, {"hit": False}).result == "made"


def test_S5_a_workflow_of_the_graflow_kind_gives_what_was_given():
    with Workflow("cached") as wf:
        check_cache(True) >> normal()
    assert carried(wf).result == "cached"
    assert RAN == ["check_cache"]


def test_S5_states_after_a_task_that_added_work_and_ended_the_run():
    """The task completes, nothing new starts."""

    def ask(ctx):
        ctx.next_task(number, n=1)
        ctx.terminate("enough")

    assert states(carried(asking(ask)))["main/sender"] == "SUCCEEDED"


def test_S5_the_task_completes_and_what_it_gave_is_there():
    @task
    def ends(ctx: Context) -> str:
        ctx.terminate("enough")
        return "mine"

    @workflow
    def work() -> str:
        return ends()

    assert carried(work).result == "mine"


def test_S5_the_value_is_there_also_if_the_task_asked_for_more_work():
    @task
    def ends(ctx: Context) -> str:
        ctx.next_task(number, n=1)
        ctx.terminate("enough")
        return "mine"

    @workflow
    def work() -> str:
        return ends()

    ended = carried(work)
    assert RAN == []
    assert ended.result == "mine"


def test_S5_an_output_that_can_not_be_had_says_why_when_it_is_asked_for():
    ended = carried(asking(lambda ctx: ctx.terminate("enough")))
    assert ended.state == "TERMINATED"
    with pytest.raises(OutputUnavailable, match="the output result is not there: the run was ended early \\(enough\\)"):
        _ = ended.result


@pytest.mark.parametrize("given", [5, {"result": "x"}, ["x"]], ids=repr)
def test_S5_outputs_of_the_wrong_type_are_an_error_that_says_so(given):
    ended = carried(asking(lambda ctx: ctx.terminate("enough", outputs=given)))
    with pytest.raises((RunFailed, OutputUnavailable), match="str"):
        _ = ended.result


def test_S5_what_runs_beside_it_may_finish_and_nothing_new_starts():
    @workflow
    def work() -> int:
        ends = ends_well()
        return gather([ends, then(say("beside"))])

    ended = carried(work)
    assert ended.result == 7
    assert "gather" not in RAN


def test_S5_what_is_there_already_is_kept_of_several_outputs():
    @task
    def ends_early(ctx: Context) -> str:
        ctx.terminate("enough")
        return "x"

    with Workflow("several") as wf:
        first = say("first")
        last = ends_early()
        first >> last
        late = then(last)
    wf.add_workflow_output("first", first, str)
    wf.add_workflow_output("late", late, str)
    outputs = carried(wf).outputs
    assert outputs["first"] == "first"
    with pytest.raises(OutputUnavailable, match="late"):
        _ = outputs["late"]


# --- S6: cancel, Skip ---


def test_S6_cancel_gives_the_caller_reason_node_and_task():
    ended = carried(asking(lambda ctx: ctx.cancel("Data validation failed")))
    assert (ended.state, ended.reason) == ("CANCELLED", "Data validation failed")
    with pytest.raises(WorkflowCancelled) as caught:
        _ = ended.result
    error = caught.value
    assert (error.reason, error.node, error.task_id) == ("Data validation failed", "main/sender", "sender")
    assert "Data validation failed" in str(error)
    assert RAN == ["sender"]


def test_S6_the_task_that_cancels_does_not_complete_and_stores_nothing(store):
    long = "never to be seen " * 1000

    @task
    def validate(ctx: Context) -> str:
        ctx.channel().set("seen", True)
        ctx.cancel("no")
        return long

    ended = run(validate, {}, store=store, echo=False)
    assert states(ended) == {"main/validate": "CANCELLED"}
    assert [key for folder in store.list("objects") for key in store.list(folder)] == []


def test_S6_a_plain_call_raises_it_too():
    with pytest.raises(WorkflowCancelled, match="not valid"):
        asking(lambda ctx: ctx.cancel("not valid"))()


def test_S6_a_skipped_task_skips_who_wants_its_value_and_nobody_else():
    @workflow
    def work() -> str:
        skipped = skips()
        wants, waits = then(skipped), say("waits")
        skipped >> waits
        gather([wants])
        return waits

    ended = carried(work)
    assert ended.result == "waits"
    assert RAN == ["skips", "waits"]
    assert states(ended) == {
        "main/skips": "SKIPPED",
        "main/then": "SKIPPED",
        "main/say": "SUCCEEDED",
        "main/gather": "SKIPPED",
    }
    assert {row.path: row.why for row in ended.nodes()}["main/skips"] == "nothing to do"


def test_S6_a_run_whose_output_was_skipped_has_ended_well():
    @workflow
    def work() -> str:
        return then(skips())

    ended = carried(work)
    assert ended.state == "SUCCEEDED"
    with pytest.raises(OutputUnavailable, match="skipped"):
        _ = ended.result


def test_S6_except_exception_does_not_swallow_skip():
    @task
    def careful() -> str:
        try:
            raise Skip("no")
        except Exception:
            return "swallowed"

    @workflow
    def work() -> str:
        return careful()

    assert states(carried(work)) == {"main/careful": "SKIPPED"}


def test_S6_a_dynamic_that_skips_drops_what_it_called():
    @dynamic
    def some() -> str:
        say("never")
        raise Skip("no")

    @workflow
    def work() -> str:
        return some()

    assert states(carried(work)) == {"main/some": "SKIPPED"}
    assert RAN == []


# --- several at once ---


def test_S_cancel_is_stronger_than_terminate():
    def ask(ctx):
        ctx.terminate("well", outputs="x")
        ctx.cancel("not well")

    assert carried(asking(ask)).state == "CANCELLED"


def test_S_cancel_is_stronger_than_skip():
    def ask(ctx):
        ctx.cancel("not well")
        raise Skip("s")

    assert carried(asking(ask)).state == "CANCELLED"


def test_S_terminate_counts_also_if_the_task_is_skipped():
    def ask(ctx):
        ctx.terminate("well", outputs="x")
        raise Skip("s")

    assert carried(asking(ask)).state == "TERMINATED"


def test_S_terminate_is_stronger_than_goto_and_than_more_work():
    def ask(ctx):
        ctx.next_task(number, n=1)
        ctx.next_task("emergency", goto=True)
        ctx.terminate("well", outputs="x")

    ended = carried(asking(ask))
    assert (ended.state, ended.result) == ("TERMINATED", "x")
    assert RAN == ["sender"]


def test_S_terminate_is_stronger_than_another_iteration():
    def ask(ctx):
        ctx.next_iteration(1)
        ctx.terminate("well", outputs="x")

    assert carried(asking(ask)).result == "x"
    assert RAN == ["sender"]


def test_S_terminate_is_stronger_than_a_raised_loop():
    def ask(ctx):
        ctx.terminate("well", outputs="x")
        raise Loop(1)

    assert carried(asking(ask)).result == "x"
    assert RAN == ["sender"]


def test_S_a_task_that_terminates_and_raises_loop_gives_no_value_of_another_type():
    @task
    def ends(ctx: Context) -> str:
        ctx.terminate("enough")
        raise Loop(1)

    @workflow
    def work() -> str:
        return ends()

    with pytest.raises(OutputUnavailable):
        _ = carried(work).result


def test_S_goto_is_stronger_than_another_iteration():
    def ask(ctx):
        if ctx.loop_index == 0:
            ctx.next_task("emergency", goto=True)
            ctx.next_iteration(1)

    carried(asking(ask))
    assert RAN == ["sender", "emergency"]


def test_S_goto_is_stronger_than_a_raised_loop():
    def ask(ctx):
        if ctx.loop_index == 0:
            ctx.next_task("emergency", goto=True)
            raise Loop(1)

    carried(asking(ask))
    assert RAN == ["sender", "emergency"]


def side_by_side(first, second):
    """Two tasks that end at the same time."""
    both = threading.Barrier(2)

    @task
    def one(ctx: Context) -> None:
        both.wait(30)
        first(ctx)

    @task
    def other(ctx: Context) -> None:
        both.wait(30)
        second(ctx)

    @workflow
    def work() -> None:
        one()
        other()

    return carried(work, engine="threads", max_parallelism=2)


def test_S_cancel_is_stronger_than_terminate_also_between_two_tasks():
    assert side_by_side(lambda ctx: ctx.cancel("bad"), lambda ctx: ctx.terminate("well")).state == "CANCELLED"


def fails(ctx):
    raise ValueError("failed")


def test_S5_state_and_error_agree_when_a_task_fails_while_another_ends_the_run():
    ended = side_by_side(lambda ctx: ctx.terminate("well"), fails)
    assert (ended.state == "FAILED") == (ended.error is not None)


def twice_goto(ctx):
    ctx.next_task("emergency", goto=True)
    ctx.next_task("then", goto=True)


def twice_terminate(ctx):
    ctx.terminate("a")
    ctx.terminate("b")


def twice_cancel(ctx):
    ctx.cancel("a")
    ctx.cancel("b")


def twice_iterate(ctx):
    ctx.next_iteration(1)
    ctx.next_iteration(2)


@pytest.mark.parametrize("ask", [twice_goto, twice_terminate, twice_cancel, twice_iterate])
def test_S_contradictory_signals_are_an_error_with_the_line_and_not_retried(ask):
    message = wrong(ask, retries=3)
    assert "called twice" in message
    assert f"{ask.__code__.co_filename}:{ask.__code__.co_firstlineno + 2}" in message


def test_S_the_same_signal_twice_is_no_contradiction():
    def ask(ctx):
        for _ in range(2):
            ctx.next_task("emergency", goto=True)

    carried(asking(ask))
    assert RAN == ["sender", "emergency"]


# --- bodies that end after asking, without a value ---


@pytest.mark.parametrize(
    ("ask", "state"),
    [
        (lambda ctx: ctx.cancel("no"), "CANCELLED"),
        (lambda ctx: ctx.terminate("enough", outputs="x"), "TERMINATED"),
        (lambda ctx: ctx.next_iteration(1) if ctx.loop_index == 0 else ctx.terminate("enough"), "TERMINATED"),
    ],
    ids=["cancel", "terminate", "next_iteration"],
)
def test_S_a_body_that_asked_for_the_end_need_not_return_what_its_annotation_says(ask, state):
    """The value of a task that cancels or iterates is dropped, and a body that ends the run falls through as in any
    tutorial.
    """

    @task
    def sender(ctx: Context) -> str:
        ask(ctx)

    @workflow
    def work() -> str:
        return then(sender())

    ended = carried(work)
    assert ended.state == state, ended.error


# --- attempts that fail ---


def test_S_signals_of_an_attempt_that_fails_count_for_nothing():
    def ask(ctx):
        if ctx.attempt < 3:
            ctx.channel().add("n", 5)
            ctx.next_task(number, n=ctx.attempt)
            ctx.terminate("no")
            ctx.cancel("no")
            raise ValueError("failed after all")
        assert ctx.channel().get("n") is None
        ctx.next_task(number, n=ctx.attempt)

    assert carried(asking(ask, retries=2), clock=MockClock()).result == "sent!"
    assert RAN == ["sender", "sender 0.2", "sender 0.3", 3, "then"]


@pytest.mark.parametrize("what", ["terminate", "cancel", "next_task", "next_iteration"])
def test_S_a_task_that_asks_and_fails_for_good_has_failed(what):
    def ask(ctx):
        getattr(ctx, what)(*(["emergency"] if what == "next_task" else []))
        raise ValueError("failed after all")

    ended = carried(asking(ask))
    assert ended.state == "FAILED"
    assert RAN == ["sender"]


# --- S8: from anywhere ---


@workflow
def section(what: str) -> str:
    say("emergency").with_overrides(name="emergency", standby=True)
    return then(asks(what))


@dynamic
def emits_section(what: str) -> str:
    return section(what)


@workflow
def in_a_workflow(what: str) -> int:
    return gather([then(section(what))])


@workflow
def in_a_dynamic(what: str) -> int:
    return gather([then(emits_section(what))])


@workflow
def in_an_arm(what: str) -> int:
    return gather([conditional("arm").if_(number(2) > 1).then(section(what)).else_().then("no")])


@workflow
def in_a_map(what: str) -> int:
    return gather(map_task(section)(what=[what]))


@workflow
def in_an_item(what: str) -> int:
    return gather(map_task(asks)(what=[what]))


NESTED = {"workflow": in_a_workflow, "dynamic": in_a_dynamic, "arm": in_an_arm, "map": in_a_map}
ENGINES = ["inline", "threads", "processes"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("flow", [*NESTED.values(), in_an_item], ids=[*NESTED, "item"])
def test_S8_terminate_from_anywhere_ends_the_run_well(flow, engine):
    ended = carried(flow, {"what": "terminate"}, engine=engine)
    assert (ended.state, ended.reason, ended.result) == ("TERMINATED", "enough", 7)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("flow", [*NESTED.values(), in_an_item], ids=[*NESTED, "item"])
def test_S8_cancel_from_anywhere_reaches_the_caller_unwrapped(flow, engine):
    error = carried(flow, {"what": "cancel"}, engine=engine).error
    assert type(error) is WorkflowCancelled
    assert error.reason == "not valid"
    assert error.node.startswith("main/")
    assert error.task_id.startswith("asks")


def test_S6_the_task_id_is_the_tasks_name_also_in_a_map():
    assert carried(in_an_item, {"what": "cancel"}).error.task_id == "asks"


@pytest.mark.parametrize("flow", [*NESTED.values(), in_an_item], ids=[*NESTED, "item"])
def test_S8_skip_from_anywhere_skips_what_wants_the_value(flow):
    ended = carried(flow, {"what": "skip"})
    assert ended.state == "SUCCEEDED"
    assert states(ended)["main/gather"] == "SKIPPED"


@pytest.mark.parametrize("flow", NESTED.values(), ids=NESTED)
def test_S8_more_work_from_anywhere_runs_before_what_follows(flow):
    assert carried(flow, {"what": "next"}).result == 1
    assert [one for one in RAN if one != 2][:3] == ["asks", 5, "then"]


def test_S8_more_work_of_an_item_belongs_to_the_item():
    assert carried(in_an_item, {"what": "next"}).result == 1
    assert RAN == ["asks", 5, "gather"]


@pytest.mark.parametrize("flow", NESTED.values(), ids=NESTED)
def test_S8_a_jump_from_anywhere_is_one_within_its_frame(flow):
    ended = carried(flow, {"what": "goto"})
    assert ended.state == "SUCCEEDED"
    assert [one for one in RAN if one != 2] == ["asks", "emergency"]


def test_S8_an_item_has_no_nodes_beside_it_to_jump_to():
    message = str(carried(in_an_item, {"what": "goto"}).error)
    assert "an item of a map has no other nodes beside it" in message
    assert "Pass the task itself" in message


@task
def ends_at_two(ctx: Context, i: int) -> str:
    RAN.append(i)
    if i == 2:
        ctx.terminate("two", outputs=99)
    return str(i)


def test_S8_terminate_in_an_item_starts_no_other_item():
    @workflow
    def work() -> int:
        return gather(map_task(ends_at_two, concurrency=1)(i=[1, 2, 3, 4]))

    assert carried(work).result == 99
    assert RAN == [1, 2]


def test_S6_a_skipped_item_is_none_if_the_map_may_lack_some():
    @task
    def odd(i: int) -> int:
        if i % 2 == 0:
            raise Skip("even")
        return i

    @workflow
    def work() -> list[int | None]:
        return map_task(odd, min_success_ratio=0.5)(i=[1, 2, 3])

    assert carried(work).result == [1, None, 3]


@dynamic
def asks_itself(ctx: Context, what: str) -> str:
    if what == "terminate":
        ctx.terminate("enough", outputs="x")
    elif what == "cancel":
        ctx.cancel("not valid")
    elif what == "channel":
        ctx.channel().add("n", 4)
    elif what == "goto":
        ctx.next_task("emergency", goto=True)
    return say("inside")


@pytest.mark.parametrize("what", ["terminate", "cancel", "channel", "goto"])
def test_S8_a_dynamic_may_ask_as_a_task_may(what):
    @workflow
    def work(what: str) -> str:
        say("emergency").with_overrides(name="emergency", standby=True)
        return then(asks_itself(what))

    ended = carried(work, {"what": what})
    wanted = {
        "terminate": ("TERMINATED", []),
        "cancel": ("CANCELLED", []),
        "channel": ("SUCCEEDED", ["inside", "then"]),
        "goto": ("SUCCEEDED", ["emergency", "inside"]),
    }
    assert (ended.state, sorted(RAN)) == wanted[what]


def test_S4_a_dynamic_that_asks_for_another_task_is_told_to_call_it():
    @dynamic
    def some(ctx: Context) -> str:
        ctx.next_task(number, n=1)
        return say("inside")

    assert "call it in the body" in str(carried(some).error)


def test_S_current_context_in_a_helper_is_the_tasks_own():
    def helper():
        current_context().terminate("from a helper", outputs="x")

    assert carried(asking(lambda ctx: helper())).reason == "from a helper"


# --- resume ---


def test_J1_a_resume_does_not_repeat_what_was_asked_before_the_failure():
    @task
    def adds(ctx: Context) -> str:
        RAN.append("adds")
        ctx.next_task(number, n=5)
        return "x"

    @workflow
    def work() -> str:
        sent = adds()
        broken = fragile("x")
        sent >> broken
        return broken

    BROKEN.append(1)
    ended = carried(work)
    assert RAN == ["adds", 5, "fragile"]
    BROKEN.clear()
    assert went_on(ended).result == "x"
    assert RAN == ["fragile"]


def test_J1_a_resume_has_the_values_of_what_was_done():
    @workflow
    def work() -> str:
        return fragile(say("x"))

    BROKEN.append(1)
    ended = carried(work)
    BROKEN.clear()
    assert went_on(ended).result == "x"


def test_J1_a_resume_after_a_failure_of_what_was_jumped_to_jumps_no_more():
    @workflow
    def work() -> str:
        then(jumps("target"))
        return fragile("x").with_overrides(name="target", standby=True)

    BROKEN.append(1)
    ended = carried(work)
    assert RAN == ["jumps", "fragile"]
    BROKEN.clear()
    assert went_on(ended).result == "x"
    assert RAN == ["fragile"]


@task
def adds_and_counts(ctx: Context) -> str:
    RAN.append("adds")
    ctx.channel().add("n")
    ctx.next_task(fragile, word="x")
    return "a"


@task
def n_of(ctx: Context, word: str) -> int:
    return ctx.channel().get("n")


def test_J1_a_resume_after_a_failure_of_what_was_added_does_not_run_the_sender_again():
    @workflow
    def work() -> int:
        return n_of(adds_and_counts())

    BROKEN.append(1)
    ended = carried(work)
    BROKEN.clear()
    again = went_on(ended)
    assert RAN == ["fragile"]
    assert again.result == 1


def test_D6_a_resume_after_a_failure_below_a_dynamic_reuses_what_it_emitted():
    @dynamic
    def emits_fragile() -> str:
        RAN.append("dynamic")
        return fragile("x")

    @workflow
    def work() -> str:
        return emits_fragile()

    BROKEN.append(1)
    ended = carried(work)
    BROKEN.clear()
    assert went_on(ended).result == "x"
    assert RAN == ["fragile"]


def test_S6_a_cancelled_run_can_be_resumed_and_asks_again():
    def ask(ctx):
        if BROKEN:
            ctx.cancel("broken")

    BROKEN.append(1)
    ended = carried(asking(ask))
    BROKEN.clear()
    assert went_on(ended).result == "sent!"
    assert RAN == ["sender", "then"]


def test_S5_a_terminated_run_stays_as_it_is():
    ended = carried(asking(lambda ctx: ctx.terminate("enough", outputs="x")))
    again = went_on(ended)
    assert (again.state, again.reason, again.result) == ("TERMINATED", "enough", "x")
    assert RAN == []


def test_S5_attach_to_a_terminated_run_tells_how_it_ended():
    ended = carried(asking(lambda ctx: ctx.terminate("enough", outputs="x")))
    seen = attach(ended.id, store=ended.store)
    assert (seen.state, seen.reason, seen.result) == ("TERMINATED", "enough", "x")


def test_S5_attach_to_a_terminated_run_without_outputs_says_why():
    ended = carried(asking(lambda ctx: ctx.terminate("enough")))
    with pytest.raises(OutputUnavailable, match="enough"):
        _ = attach(ended.id, store=ended.store).result


def test_S6_attach_to_a_cancelled_run_raises_the_same():
    ended = carried(asking(lambda ctx: ctx.cancel("not valid")))
    seen = attach(ended.id, store=ended.store)
    assert seen.state == "CANCELLED"
    with pytest.raises(WorkflowCancelled) as caught:
        _ = seen.result
    assert (caught.value.reason, caught.value.node) == ("not valid", "main/sender")


KILLED = """
import os, signal, sys
from promissory import resume, run
from promissory import Context, task, workflow

def began(what):
    with open("started", "a") as file:
        file.write(what + "\\n")

@task
def extra(n: int) -> int:
    began(f"extra {n}")
    return n

@task
def emergency() -> str:
    began("emergency")
    return "e"

@task(commit="each")
def sender(ctx: Context) -> str:
    began("sender")
    ctx.channel().add("n", 3)
    ctx.next_task(extra, n=1)
    ctx.next_task("emergency", goto=True)
    return "s"

@task
def skipped(word: str) -> str:
    began("skipped")
    return word

@task
def dies(ctx: Context, word: str) -> int:
    began("dies")
    if not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getppid() if sys.argv[2] == "processes" else os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return ctx.channel().get("n")

@workflow
def work() -> int:
    skipped(sender())
    return dies(emergency().with_overrides(standby=True))

if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(work, run_id="killed", engine=sys.argv[2], durability="process", echo=False)
    else:
        ended = resume("killed", engine=sys.argv[2], durability="process", echo=False, take_over=True)
        print(ended.result, sorted((row.path, row.state) for row in ended.nodes()))
"""


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_J1_committed_signals_stand_after_a_kill_and_are_not_repeated(project, engine):
    project.write("killed.py", KILLED)
    process = project.spawn("killed.py", "run", engine)
    project.finish(process)
    assert process.returncode == -signal.SIGKILL
    printed = project.python("killed.py", "resume", engine)
    assert printed.startswith("3 ")
    assert "('main/skipped', 'SKIPPED')" in printed
    lines = project.lines("started")
    assert lines.count("sender") == 1
    assert "skipped" not in lines


# --- always_replay, commit="each" ---


REPLAYED = {
    "more work": asking(lambda ctx: ctx.next_task(number, n=1)),
    "jump": asking(lambda ctx: ctx.next_task("emergency", goto=True)),
    "to a node": asking(lambda ctx: ctx.next_task("emergency")),
    "terminate": asking(lambda ctx: ctx.terminate("t", outputs="x")),
    "write": asking(lambda ctx: ctx.channel().add("n")),
}


@pytest.mark.parametrize("flow", REPLAYED.values(), ids=REPLAYED)
def test_J1_at_every_moment_the_journal_tells_of_signals(flow):
    with always_replay():
        assert carried(flow).state in ("SUCCEEDED", "TERMINATED")


@pytest.mark.parametrize("what", ["cancel", "skip"])
def test_J1_at_every_moment_the_journal_tells_of_cancel_and_skip(what):
    with always_replay():
        assert carried(in_a_workflow, {"what": what}).state in ("SUCCEEDED", "CANCELLED")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("ask", "state"),
    [
        (lambda ctx: ctx.next_task(number, n=1), "SUCCEEDED"),
        (lambda ctx: ctx.next_task("emergency", goto=True), "SUCCEEDED"),
        (lambda ctx: ctx.terminate("t"), "TERMINATED"),
        (lambda ctx: ctx.cancel("c"), "CANCELLED"),
        (lambda ctx: ctx.next_iteration() if not ctx.loop_index else None, "SUCCEEDED"),
    ],
    ids=["next", "goto", "terminate", "cancel", "iterate"],
)
def test_S_a_task_that_is_committed_alone_may_ask_too(ask, state, engine):
    assert carried(asking(ask, commit="each"), engine=engine).state == state


# --- cache ---


@task(cache=True)
def cached_sender(ctx: Context) -> str:
    RAN.append("sender")
    ctx.next_task(number, n=1)
    return "sent"


def test_R3_a_task_that_asks_its_run_for_more_asks_again_in_the_next_run():
    @workflow
    def work() -> str:
        return then(cached_sender())

    store = Store(None)
    for _ in range(2):
        RAN.clear()
        run(work, {}, store=store, echo=False)
        assert 1 in RAN
