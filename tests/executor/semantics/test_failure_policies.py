"""X6: what a failure stops and what it does not (failure policies), and what runs on it (`on_failure`)."""

import os
import signal
from collections import Counter
from contextlib import nullcontext
from functools import partial

import pytest

from promissory import (
    FailurePolicy,
    NodeFailure,
    Skip,
    Store,
    Workflow,
    approve,
    attach,
    current_context,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    sleep,
    start,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import (
    CompileError,
    DecorationError,
    DepthExceeded,
    GateTimeout,
    Rejected,
    RunFailed,
    WorkerLost,
    WorkflowCancelled,
)
from promissory.testing import MockClock, always_replay

ENGINES = ["inline", "threads", "processes"]
RUNS_ON = FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine in turn."""
    return request.param


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def lines(diary):
    return diary.read_text().splitlines() if diary.exists() else []


def noted(diary):
    """How often each line stands there."""
    return Counter(lines(diary))


def carry(target, store, *, engine="inline", replays=True, **inputs):
    """A run to its end, whose journal is replayed after every round."""
    with always_replay() if replays else nullcontext():
        return run(target, inputs, store=store, engine=engine, durability="process", echo=False)


def again(ended, **options):
    with always_replay():
        return resume(ended.id, store=ended.store, durability="process", echo=False, **options)


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


@pytest.fixture
def tasks(diary):
    """Tasks that note that they ran: `step` is well, `boom` fails unless the file `repaired` is there."""

    class Tasks:
        repaired = diary.with_name("repaired")

        def repair(self):
            self.repaired.touch()

    repaired = Tasks.repaired

    @task
    def step(name: str, x: int = 0) -> int:
        note(diary, name)
        return x

    @task
    def boom(name: str, x: int = 0) -> int:
        note(diary, name)
        if repaired.exists():
            return x
        raise ValueError(f"{name} is broken")

    @task
    def handle(err: NodeFailure) -> None:
        note(diary, "handled", err.path, err.type, err.message, err.attempt)

    Tasks.step, Tasks.boom, Tasks.handle = step, boom, handle
    return Tasks()


# --- policies ---


def test_X6_fail_immediately_starts_nothing_new(store, tasks, diary):
    step, boom = tasks.step, tasks.boom

    @workflow
    def flow() -> None:
        first = boom("boom")
        for k in range(5):
            late = step(f"late {k}")
            promise(step("gives way")) >> late
        step("after", first)

    ended = carry(flow, store)
    assert ended.state == "FAILED"
    assert "after" not in noted(diary)
    assert states(ended)["main/step~11"] == "UPSTREAM_FAILED"


def test_X6_fail_immediately_is_the_default_and_cancels_what_has_not_started(store, tasks, diary):
    step, boom = tasks.step, tasks.boom

    @workflow
    def flow() -> None:
        gate = boom("boom")
        slow = step("independent")
        promise(sleep(5)) >> slow
        step("after", gate)

    with always_replay():
        ended = run(flow, store=store, clock=MockClock(), durability="process", echo=False)
    assert (ended.state, noted(diary)) == ("FAILED", {"boom": 1})
    found = states(ended)
    assert (found["main/boom"], found["main/step"], found["main/step~2"]) == ("FAILED", "CANCELLED", "UPSTREAM_FAILED")
    assert "WAITING" not in found.values()


def test_X6_fail_after_executable_nodes_complete_runs_what_does_not_depend_on_the_failure(store, tasks, diary, engine):
    step, boom = tasks.step, tasks.boom

    @workflow(failure_policy=RUNS_ON)
    def flow() -> int:
        broken = boom("boom")
        step("dependent", broken)
        a = step("a")
        b = step("b", a)
        return step("c", b)

    ended = carry(flow, store, engine=engine)
    assert ended.state == "FAILED"
    assert noted(diary) == {"boom": 1, "a": 1, "b": 1, "c": 1}
    assert states(ended) == {
        "main/boom": "FAILED",
        "main/step": "UPSTREAM_FAILED",
        "main/step~2": "SUCCEEDED",
        "main/step~3": "SUCCEEDED",
        "main/step~4": "SUCCEEDED",
    }


def test_X6_what_ran_after_a_failure_does_not_run_again_at_resume(store, tasks, diary, engine):
    step, boom = tasks.step, tasks.boom

    @workflow(failure_policy=RUNS_ON)
    def flow() -> int:
        step("alone")
        return step("last", step("dependent", boom("boom", 1)))

    ended = carry(flow, store, engine=engine)
    assert ended.state == "FAILED"
    tasks.repair()
    assert again(ended, engine=engine).result == 1
    assert noted(diary) == {"boom": 2, "alone": 1, "dependent": 1, "last": 1}


def test_X6_several_failures_under_runs_on_tell_the_first_and_resume_runs_each_again(store, tasks, diary):
    step, boom = tasks.step, tasks.boom

    @workflow(failure_policy=RUNS_ON)
    def flow() -> list[int]:
        a = boom("a", 1)
        b = boom("b", 2)
        b_after = step("b after", b)
        a >> b  # no: a failed, so b can't start
        c = boom("c", 3)
        return [b_after, c]

    ended = carry(flow, store)
    assert ended.error.path in ("main/boom", "main/boom~3")
    assert states(ended)["main/boom~2"] == "UPSTREAM_FAILED"
    assert noted(diary) == {"a": 1, "c": 1}
    tasks.repair()
    assert again(ended).result == [2, 3]
    assert noted(diary) == {"a": 2, "b": 1, "c": 2, "b after": 1}


def test_X6_a_nested_workflow_that_runs_on_finishes_inside_a_root_that_fails_at_once(store, tasks, diary):
    """The inner policy says how the inner frame ends; the outer one learns of the failure only then."""
    step, boom = tasks.step, tasks.boom

    @workflow(failure_policy=RUNS_ON)
    def inner() -> None:
        boom("boom")
        step("inner 2", step("inner 1"))

    @workflow
    def outer() -> None:
        promise(inner()) >> step("after inner")

    ended = carry(outer, store)
    assert ended.state == "FAILED"
    assert noted(diary) == {"boom": 1, "inner 1": 1, "inner 2": 1}
    assert states(ended)["main/step"] == "UPSTREAM_FAILED"


def test_X6_a_nested_workflow_that_fails_at_once_stops_only_itself_where_the_root_runs_on(store, tasks, diary):
    step, boom = tasks.step, tasks.boom

    @workflow
    def inner() -> int:
        first = boom("boom")
        never = step("never")
        promise(sleep(1)) >> never
        return step("after", first)

    @workflow(failure_policy=RUNS_ON)
    def outer() -> None:
        step("after inner", inner())
        alone = step("alone")
        promise(sleep(3)) >> alone

    with always_replay():
        ended = run(outer, store=store, clock=MockClock(), durability="process", echo=False)
    assert ended.state == "FAILED"
    assert noted(diary) == {"boom": 1, "alone": 1}
    assert states(ended)["main/inner"] == "FAILED"


def test_X6_a_dynamic_that_failed_stops_nothing_beside_it_where_the_root_runs_on(store, tasks, diary, engine):
    step, boom = tasks.step, tasks.boom

    @dynamic
    def deeper(n: int) -> int:
        if n:
            return step(f"level {n}", deeper(n - 1))
        return boom("boom")

    @workflow(failure_policy=RUNS_ON)
    def outer() -> list[int]:
        return [deeper(4), step("alone 2", step("alone 1"))]

    ended = carry(outer, store, engine=engine)
    assert "/boom#" in ended.error.path
    assert noted(diary) == {"boom": 1, "alone 1": 1, "alone 2": 1}
    tasks.repair()
    assert again(ended, engine=engine).result == [0, 0]
    assert noted(diary) == {
        "boom": 2,
        "alone 1": 1,
        "alone 2": 1,
        "level 1": 1,
        "level 2": 1,
        "level 3": 1,
        "level 4": 1,
    }


def test_X6_what_runs_may_finish_and_counts_at_resume(store, diary, gate, eventually):
    """FAIL_IMMEDIATELY: a body that is under way is let finish, and what it gave is kept."""
    door = gate("door")
    path = door.path
    repaired = diary.with_name("repaired")

    @task
    def slow() -> int:
        note(diary, "slow begins")
        with open(path) as waits:
            waits.read()
        note(diary, "slow ends")
        return 1

    @task
    def boom() -> int:
        if repaired.exists():
            return 2
        note(diary, "boom")
        raise ValueError("no")

    @task
    def late(x: int) -> int:
        note(diary, "late")
        return x

    @workflow
    def flow() -> list[int]:
        return [late(slow()), boom()]

    started = start(flow, store=store, engine="threads", max_parallelism=2, durability="process", echo=False)
    door.reached()
    eventually(lambda: any(row.state == "FAILED" for row in started.nodes()), "the failure")
    door.open()
    assert started.wait(60).state == "FAILED"
    assert noted(diary) == {"slow begins": 1, "slow ends": 1, "boom": 1}
    repaired.touch()
    assert again(started).result == [1, 2]
    assert noted(diary) == {"slow begins": 1, "slow ends": 1, "boom": 1, "late": 1}


def test_X6_a_failure_policy_that_is_none_is_refused_with_those_that_there_are():
    with pytest.raises(DecorationError, match=r"FAIL_IMMEDIATELY.*FAIL_AFTER_EXECUTABLE_NODES_COMPLETE"):
        workflow(failure_policy="FAIL_IMMEDIATELY")


# --- handlers: what they are given ---


def test_X6_a_handler_gets_the_inputs_it_names_and_the_failure(store, tasks, diary, engine):
    boom = tasks.boom

    @task
    def clean_up(b: str, err: NodeFailure, a: int) -> None:
        note(diary, "clean up", a, b, err.path, err.type, err.message, err.attempt, "boom" in err.traceback)

    @workflow(on_failure=clean_up)
    def flow(a: int, b: str, unused: float) -> int:
        return boom("boom", a)

    ended = carry(flow, store, engine=engine, a=7, b="seven", unused=0.5)
    assert lines(diary) == ["boom", "clean up 7 seven main/boom ValueError boom is broken 1 True"]
    assert ended.state == "FAILED"
    assert type(ended.error.__cause__) is ValueError
    assert ended.error.path == "main/boom"
    assert ended.reason == "main/boom: ValueError: boom is broken"


def test_X6_a_handler_may_take_nothing(store, tasks, diary):
    @task
    def alarm() -> None:
        note(diary, "alarm")

    @workflow(on_failure=alarm)
    def flow(x: int) -> int:
        return tasks.boom("boom", x)

    assert carry(flow, store, x=1).state == "FAILED"
    assert lines(diary) == ["boom", "alarm"]


def test_X6_what_a_handler_has_defaults_for_is_the_default(store, tasks, diary):
    @task
    def alarm(level: str = "high", *, x: int = 3) -> None:
        note(diary, "alarm", level, x)

    @workflow(on_failure=alarm)
    def flow(x: int = 5) -> int:
        return tasks.boom("boom", x)

    carry(flow, store)
    assert lines(diary) == ["boom", "alarm high 5"]


def test_X6_err_may_be_optional(store, tasks, diary):
    @task
    def alarm(err: NodeFailure | None = None) -> None:
        note(diary, "alarm", err and err.path)

    @workflow(on_failure=alarm)
    def flow() -> int:
        return tasks.boom("boom")

    carry(flow, store)
    assert lines(diary) == ["boom", "alarm main/boom"]


def test_X6_an_input_called_err_is_the_input(store, tasks, diary):
    @task
    def alarm(err: str) -> None:
        note(diary, "alarm", err)

    @workflow(on_failure=alarm)
    def flow(err: str) -> int:
        return tasks.boom("boom")

    carry(flow, store, err="mine")
    assert lines(diary) == ["boom", "alarm mine"]


def test_X6_a_handler_that_wants_what_is_no_input_is_refused_before_anything_runs(tasks, diary):
    @task
    def alarm(y: int, err: NodeFailure) -> None:
        raise AssertionError("not called")

    @workflow(on_failure=alarm)
    def flow(x: int) -> int:
        return tasks.boom("boom", x)

    with pytest.raises(CompileError, match=r"(?s)alarm wants y, which is no input of flow.*x.*err.*default") as caught:
        flow.compile()
    assert __file__ in str(caught.value)
    assert lines(diary) == []


def test_X6_a_handlers_input_of_another_type_is_refused_at_compile(tasks):
    @task
    def alarm(x: str) -> None:
        raise AssertionError("not called")

    @workflow(on_failure=alarm)
    def flow(x: int) -> int:
        return tasks.boom("boom", x)

    with pytest.raises(CompileError, match=r"alarm\(x=…\) wants str"):
        flow.compile()


def test_X6_an_err_of_another_type_is_refused_at_compile_and_told_what_it_is(tasks):
    @task
    def alarm(err: str) -> None:
        raise AssertionError("not called")

    @workflow(on_failure=alarm)
    def flow() -> int:
        return tasks.boom("boom")

    with pytest.raises(CompileError, match=r"alarm\(err=…\) wants str.*NodeFailure"):
        flow.compile()


def test_X6_a_handler_that_no_run_can_call_is_refused_where_it_is_said():
    with pytest.raises(DecorationError, match="@task"):
        workflow(on_failure=print)


# --- handlers: what they are ---


def test_X6_a_handler_may_be_a_dynamic(store, tasks, diary, engine):
    step = tasks.step

    @dynamic
    def clean(count: int, err: NodeFailure) -> None:
        for k in range(count):
            step(f"clean {k} after {err.type}")

    @workflow(on_failure=clean)
    def flow(count: int) -> int:
        return tasks.boom("boom", count)

    ended = carry(flow, store, engine=engine, count=3)
    assert ended.state == "FAILED"
    assert noted(diary) == {
        "boom": 1,
        "clean 0 after ValueError": 1,
        "clean 1 after ValueError": 1,
        "clean 2 after ValueError": 1,
    }


def test_X6_a_handler_may_be_a_workflow(store, tasks, diary, engine):
    step = tasks.step

    @task
    def tell(err: NodeFailure) -> str:
        return f"tell {err.message}"

    @workflow
    def clean(x: int, err: NodeFailure) -> int:
        return step(tell(err), step("close", x))

    @workflow(on_failure=clean)
    def flow(x: int) -> int:
        return tasks.boom("boom", x)

    ended = carry(flow, store, engine=engine, x=3)
    assert (ended.state, ended.error.path) == ("FAILED", "main/boom")
    assert lines(diary) == ["boom", "close", "tell boom is broken"]
    assert states(ended) == {
        "main/boom": "FAILED",
        "main/clean": "SUCCEEDED",
        "main/clean/tell": "SUCCEEDED",
        "main/clean/step": "SUCCEEDED",
        "main/clean/step~2": "SUCCEEDED",
    }


def test_X6_a_handler_that_is_a_recursive_dynamic_goes_as_deep_as_it_may(store, tasks, diary):
    step = tasks.step

    @dynamic
    def unwind(n: int) -> int:
        return step(f"unwind {n}", unwind(n - 1)) if n else step("bottom")

    @workflow(on_failure=unwind)
    def flow(n: int) -> int:
        return tasks.boom("boom", n)

    carry(flow, store, n=20)
    assert lines(diary) == ["boom", "bottom", *(f"unwind {n}" for n in range(1, 21))]


def test_X6_a_handler_may_map(store, tasks, diary):
    @task
    def close(n: int) -> None:
        note(diary, "close", n)

    @workflow
    def clean(ns: list[int]) -> None:
        map_task(close)(n=ns)

    @workflow(on_failure=clean)
    def flow(ns: list[int]) -> int:
        return tasks.boom("boom")

    carry(flow, store, ns=[1, 2, 3])
    assert noted(diary) == {"boom": 1, "close 1": 1, "close 2": 1, "close 3": 1}


def test_X6_a_handler_may_wait_at_a_gate(store, tasks, diary):
    @workflow
    def clean() -> None:
        promise(sleep(3600)) >> tasks.step("an hour later")

    @workflow(on_failure=clean)
    def flow() -> int:
        return tasks.boom("boom")

    with always_replay():
        ended = run(flow, store=store, clock=MockClock(), durability="process", echo=False)
    assert (ended.state, lines(diary)) == ("FAILED", ["boom", "an hour later"])


def test_X6_a_handlers_retries_are_its_own(store, tasks, diary):
    @task(retries=2, retry_delay=60)
    def clean() -> None:
        note(diary, "clean")
        if lines(diary).count("clean") < 3:
            raise OSError("not yet")

    @workflow(on_failure=clean)
    def flow() -> int:
        return tasks.boom("boom")

    with always_replay():
        ended = run(flow, store=store, clock=MockClock(), durability="process", echo=False)
    assert (ended.error.path, noted(diary)) == ("main/boom", {"boom": 1, "clean": 3})


# --- handlers: when they run ---


def test_X6_a_handler_does_not_run_where_all_is_well(store, tasks, diary):
    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return tasks.step("well")

    ended = carry(flow, store)
    assert (ended.result, lines(diary)) == (0, ["well"])
    assert "main/handle" not in states(ended) or states(ended)["main/handle"] in ("SKIPPED", "PENDING")


def test_X6_a_handler_that_did_not_run_is_shown_as_skipped_and_never_as_waiting(store, tasks):
    """A run that has ended well has no node that is still to come."""

    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return tasks.step("well")

    assert states(carry(flow, store)).get("main/handle", "SKIPPED") == "SKIPPED"


def test_X6_a_failure_that_is_handled_inside_calls_no_handler(store, tasks, diary):
    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return promise(tasks.boom("boom")).on_error(5)

    assert (carry(flow, store).result, lines(diary)) == (5, ["boom"])


def test_X6_a_skipped_node_calls_no_handler(store, tasks, diary):
    @task
    def skips() -> int:
        raise Skip("not today")

    @workflow(on_failure=tasks.handle)
    def flow() -> None:
        tasks.step("after", skips())

    assert (carry(flow, store).state, lines(diary)) == ("SUCCEEDED", [])


def test_X6_a_run_that_a_task_cancels_calls_no_handler(store, tasks, diary):
    """Cancelling is no failure."""

    @task
    def stops() -> int:
        current_context().cancel("enough")
        return 1

    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return stops()

    ended = carry(flow, store)
    assert (ended.state, lines(diary)) == ("CANCELLED", [])
    with pytest.raises(WorkflowCancelled):
        _ = ended.result


def test_X6_the_handler_runs_when_everything_that_may_run_has_ended(store, tasks, diary):
    """Under FAIL_AFTER_EXECUTABLE_NODES_COMPLETE: it cleans up behind all of it."""
    step, boom = tasks.step, tasks.boom

    @workflow(on_failure=tasks.handle, failure_policy=RUNS_ON)
    def flow() -> None:
        boom("boom")
        step("2", step("1"))

    carry(flow, store)
    assert lines(diary)[-1].startswith("handled main/boom ValueError")
    assert noted(diary)["2"] == 1


def test_X6_the_handler_waits_for_the_bodies_that_still_run(store, diary, gate, eventually):
    door = gate("door")
    path = door.path

    @task
    def slow() -> None:
        with open(path) as waits:
            waits.read()
        note(diary, "slow ends")

    @task
    def boom() -> None:
        note(diary, "boom")
        raise ValueError("no")

    @task
    def clean() -> None:
        note(diary, "clean")

    @workflow(on_failure=clean)
    def flow() -> None:
        slow()
        boom()

    started = start(flow, store=store, engine="threads", max_parallelism=3, durability="process", echo=False)
    door.reached()
    eventually(lambda: "boom" in lines(diary), "the failure")
    door.open()
    started.wait(60)
    assert lines(diary) == ["boom", "slow ends", "clean"]


def test_X6_handlers_run_from_the_inside_out_and_each_is_told_of_the_original_failure(store, tasks, diary, engine):
    boom = tasks.boom

    @task
    def inner_clean(err: NodeFailure) -> None:
        note(diary, "inner", err.path, err.type)

    @task
    def middle_clean(err: NodeFailure) -> None:
        note(diary, "middle", err.path, err.type)

    @task
    def outer_clean(err: NodeFailure) -> None:
        note(diary, "outer", err.path, err.type)

    @workflow(on_failure=inner_clean)
    def inner() -> int:
        return boom("boom")

    @dynamic
    def between(n: int) -> int:
        return inner()

    @workflow(on_failure=middle_clean)
    def middle() -> int:
        return between(1)

    @workflow(on_failure=outer_clean)
    def outer() -> int:
        return middle()

    ended = carry(outer, store, engine=engine)
    path = "main/middle/between/inner/boom"
    assert lines(diary) == ["boom", f"inner {path} ValueError", f"middle {path} ValueError", f"outer {path} ValueError"]
    assert (ended.error.path, ended.error.attempt) == (path, 1)


def test_X6_a_failing_handler_leaves_the_original_failure_and_is_seen_itself(store, tasks, diary, engine):
    @task
    def clean() -> None:
        note(diary, "clean")
        raise OSError("the handler is broken too")

    @workflow(on_failure=clean)
    def flow() -> int:
        return tasks.boom("boom")

    ended = carry(flow, store, engine=engine)
    assert (ended.error.path, type(ended.error.__cause__)) == ("main/boom", ValueError)
    rows = {row.path: row for row in ended.nodes()}
    assert rows["main/clean"].state == "FAILED"
    assert "the handler is broken too" in rows["main/clean"].why
    assert lines(diary) == ["boom", "clean"]


def test_X6_a_failing_handler_of_a_nested_workflow_does_not_keep_the_outer_one_from_running(store, tasks, diary):
    @dynamic
    def clean(n: int) -> int:
        return tasks.boom("clean fails")

    @workflow(on_failure=clean)
    def inner(n: int) -> int:
        return tasks.boom("boom")

    @workflow(on_failure=tasks.handle)
    def outer() -> int:
        return inner(1)

    ended = carry(outer, store)
    assert lines(diary) == ["boom", "clean fails", "handled main/inner/boom ValueError boom is broken 1"]
    assert ended.error.path == "main/inner/boom"


def test_X6_a_handler_that_has_a_handler_whose_workflow_fails_runs_that_too(store, tasks, diary):
    """Handlers are ordinary calls: a workflow that handles may have a handler of its own."""

    @task
    def last_resort(err: NodeFailure) -> None:
        note(diary, "last resort", err.path)

    @workflow(on_failure=last_resort)
    def clean() -> int:
        return tasks.boom("clean fails")

    @workflow(on_failure=clean)
    def flow() -> int:
        return tasks.boom("boom")

    ended = carry(flow, store)
    assert lines(diary) == ["boom", "clean fails", "last resort main/clean/boom"]
    assert ended.error.path == "main/boom"


def test_X6_the_handler_of_a_nested_workflow_runs_though_the_failure_is_handled_outside(store, tasks, diary):
    @workflow(on_failure=tasks.handle)
    def inner() -> int:
        return tasks.boom("boom")

    @workflow
    def outer() -> int:
        return promise(inner()).on_error(-1)

    ended = carry(outer, store)
    assert ended.result == -1
    assert lines(diary) == ["boom", "handled main/inner/boom ValueError boom is broken 1"]


def test_X6_a_nested_workflow_that_was_not_reached_runs_no_handler(store, tasks, diary):
    @workflow(on_failure=tasks.handle)
    def inner(x: int) -> int:
        return tasks.step("inner", x)

    @workflow
    def outer() -> int:
        return inner(tasks.boom("boom"))

    ended = carry(outer, store)
    assert (states(ended)["main/inner"], lines(diary)) == ("UPSTREAM_FAILED", ["boom"])


def test_X6_the_handler_of_a_workflow_whose_sibling_failed_does_not_run(store, tasks, diary):
    """It did not fail itself: it is cut off because the frame above fails at once."""

    @workflow(on_failure=tasks.handle)
    def inner() -> int:
        first = tasks.step("inner 1")
        later = tasks.step("inner 2", first)
        promise(sleep(60)) >> later
        return later

    @workflow
    def outer() -> None:
        inner()
        hour = promise(sleep(5))
        hour >> tasks.boom("boom")

    with always_replay():
        ended = run(outer, store=store, clock=MockClock(), durability="process", echo=False)
    assert noted(diary) == {"inner 1": 1, "boom": 1}
    assert states(ended)["main/inner"] == "CANCELLED"


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_X6_a_handler_of_a_mapped_workflow_runs_for_each_item_that_failed(store, diary, engine):
    @task
    def odd(n: int) -> int:
        if n % 2 == 0:
            raise ValueError(f"{n} is even")
        return n

    @task
    def clean(n: int, err: NodeFailure) -> None:
        note(diary, "clean", n, err.message, err.path)

    @workflow(on_failure=clean)
    def one(n: int) -> int:
        return odd(n)

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(one)(n=ns)

    ended = carry(flow, store, engine=engine, ns=[1, 2, 3, 4])
    assert ended.state == "FAILED"
    assert noted(diary) == {"clean 2 2 is even main/one[1]/odd": 1, "clean 4 4 is even main/one[3]/odd": 1}


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    "why",
    ["limit", "type", "exit", "gate timeout", "lost worker", "expansion"],
)
def test_X6_a_handler_runs_whatever_made_the_node_fail(store, diary, why):
    seen = diary

    @task
    def wrong_type() -> int:
        return "text"

    @task
    def exits() -> int:
        raise SystemExit(3)

    @task
    def killed() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    @dynamic
    def deep(n: int) -> int:
        return deep(n + 1)

    @dynamic
    def raises(n: int) -> int:
        raise KeyError(n)

    @task
    def clean(err: NodeFailure) -> None:
        note(seen, err.type)

    @workflow(on_failure=clean)
    def flow() -> int:
        if why == "limit":
            return deep(0)
        if why == "type":
            return wrong_type()
        if why == "exit":
            return exits()
        if why == "gate timeout":
            return wait_for_input("never", timeout=1, type=int)
        if why == "expansion":
            return raises(1)
        return killed()

    engine = "processes" if why == "lost worker" else "inline"
    clock = MockClock() if why == "gate timeout" else None
    ended = run(flow, store=store, engine=engine, clock=clock, max_depth=5, durability="process", echo=False)
    kinds = {
        "limit": ("DepthExceeded", DepthExceeded),
        "type": ("TaskTypeError", TypeError),
        "exit": ("SystemExit", SystemExit),
        "gate timeout": ("GateTimeout", GateTimeout),
        "lost worker": ("WorkerLost", WorkerLost),
        "expansion": ("KeyError", KeyError),
    }
    name, cause = kinds[why]
    assert lines(diary) == [name]
    assert isinstance(ended.error.__cause__, cause)


# --- handlers and resume ---


def test_X6_a_handler_runs_again_when_the_run_fails_again_after_resume(store, tasks, diary, engine):
    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return tasks.boom("boom", tasks.step("before", 3))

    ended = carry(flow, store, engine=engine)
    assert again(ended, engine=engine).state == "FAILED"
    tasks.repair()
    assert again(ended, engine=engine).result == 3
    handled = [line for line in lines(diary) if line.startswith("handled")]
    assert lines(diary) == ["before", "boom", handled[0], "boom", handled[1], "boom"]


def test_X6_handlers_of_nested_frames_run_again_when_these_fail_again(store, tasks, diary):
    @task
    def inner_clean() -> None:
        note(diary, "inner clean")

    @task
    def outer_clean() -> None:
        note(diary, "outer clean")

    @workflow(on_failure=inner_clean)
    def inner(x: int) -> int:
        return tasks.boom("boom", tasks.step("inner step", x))

    @workflow(on_failure=outer_clean)
    def outer() -> int:
        return inner(4)

    ended = carry(outer, store)
    assert again(ended).state == "FAILED"
    tasks.repair()
    assert again(ended).result == 4
    found = noted(diary)
    assert (found["inner clean"], found["outer clean"], found["boom"]) == (2, 2, 3)


def test_X6_a_handler_whose_repaired_run_succeeds_leaves_no_trace_in_the_result(store, tasks):
    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return tasks.boom("boom", 9)

    ended = carry(flow, store)
    tasks.repair()
    resumed = again(ended)
    assert (resumed.state, resumed.result, resumed.error) == ("SUCCEEDED", 9, None)
    assert states(resumed)["main/boom"] == "SUCCEEDED"


MODULE = """
import os
from promissory import NodeFailure, dynamic, task, workflow

def note(what):
    descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task
def before() -> int:
    note("before")
    return 1

@task
def boom(x: int) -> int:
    note("boom")
    raise ValueError("broken")

@task
def first(err: NodeFailure) -> int:
    note(f"first {err.path} {err.type}")
    return 1

@task
def second(x: int) -> None:
    note("second")
    if not os.path.exists("wait"):
        return
    with open("wait") as waits:
        waits.read()

@workflow
def clean(err: NodeFailure) -> None:
    second(first(err))

@workflow(on_failure=clean)
def flow() -> int:
    return boom(before())
"""


def test_X6_a_killed_handler_runs_again_at_resume_and_the_original_error_stays(project, eventually):
    """What had failed is tried again by a resume, so the handler is too, when it fails again."""
    project.write("handled.py", MODULE)
    os.mkfifo(project.folder / "wait")
    process = project.spawn(
        "-c", "from promissory import run\nfrom handled import flow\nrun(flow, run_id='killed', echo=False)"
    )
    descriptor = os.open(project.folder / "wait", os.O_WRONLY)  # opens once the handler's second task waits
    eventually(
        lambda: states(attach("killed", store=project.store)).get("main/clean/first") == "SUCCEEDED", "the commit"
    )
    process.kill()
    process.wait()
    os.close(descriptor)
    os.unlink(project.folder / "wait")
    assert project.lines("diary") == ["before", "boom", "first main/boom ValueError", "second"]
    told = project.code(
        "from promissory import resume\n"
        "ended = resume('killed', echo=False)\n"
        "print(ended.state, ended.error.path, type(ended.error.__cause__).__name__)"
    )
    assert told.split() == ["FAILED", "main/boom", "ValueError"]
    found = Counter(project.lines("diary"))
    assert found["before"] == 1
    assert found["second"] == 2
    assert project.lines("diary")[-1] == "second"


def test_X6_handlers_and_policies_are_in_the_plan_which_reads_back_the_same(tasks):
    @workflow(on_failure=tasks.handle, failure_policy=RUNS_ON)
    def flow(x: int) -> int:
        return tasks.boom("boom", x)

    plan = flow.compile()
    data = plan.to_bytes()
    assert type(plan).from_bytes(data).to_bytes() == data
    assert "handle" in str(plan)


def test_X6_every_failed_nested_workflow_has_its_own_handler_run(store, tasks, diary):
    @task
    def clean(x: int, err: NodeFailure) -> None:
        note(diary, "clean", x, err.path)

    @workflow(on_failure=clean)
    def one(x: int) -> int:
        return tasks.boom("boom", x)

    @workflow(failure_policy=RUNS_ON)
    def flow() -> list[int]:
        return [one(1), one(2), one(3)]

    carry(flow, store)
    assert noted(diary) == {
        "boom": 3,
        "clean 1 main/one/boom": 1,
        "clean 2 main/one~2/boom": 1,
        "clean 3 main/one~3/boom": 1,
    }


def test_X6_a_plain_call_runs_the_handler_too(tasks, diary):
    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return tasks.boom("boom")

    with pytest.raises(RunFailed, match="boom is broken"):
        flow()
    assert lines(diary) == ["boom", "handled main/boom ValueError boom is broken 1"]


def test_X6_the_handler_of_a_rejected_gate_is_told_of_it(store, tasks, diary):
    @workflow(on_failure=tasks.handle)
    def flow() -> int:
        return approve(tasks.step("made", 3), "release")

    started = start(flow, store=store, durability="process", echo=False)
    started.answer("release", False)
    assert started.wait(60).state == "FAILED"
    assert isinstance(started.error.__cause__, Rejected)
    assert lines(diary)[-1].startswith("handled main/release Rejected")


def test_X6_a_workflow_built_by_hand_fails_at_once(store, tasks, diary):
    with Workflow("by hand") as flow:
        flow.add_workflow_output("out", tasks.step("after", tasks.boom("boom")))
    ended = carry(flow, store)
    assert (ended.state, lines(diary)) == ("FAILED", ["boom"])


def test_X6_a_handler_with_bound_inputs_is_refused_with_what_to_give(tasks):
    """`functools.partial` is for on_error; for on_failure the message says what to give."""
    with pytest.raises(DecorationError, match="@task"):
        workflow(on_failure=partial(tasks.step, "bound"))


def test_X6_three_thousand_nodes_that_run_on_after_a_failure_are_quick(tmp_path):
    """The bookkeeping of a frame that fails costs what the frame costs, not its square."""

    @task
    def one(k: int) -> int:
        if k == 0:
            raise ValueError("the first one")
        return k

    @workflow(failure_policy=RUNS_ON)
    def flow() -> None:
        for k in range(3_000):
            one(k)

    store = Store(f"memory://{tmp_path.name}")
    ended = carry(flow, store, replays=False)
    assert Counter(row.state for row in ended.nodes()) == {"SUCCEEDED": 2_999, "FAILED": 1}
