"""X9: recovery is part of the plan: `.on_error(fallback)` gives a value of the same type when a node failed for
good.
"""

import os
from collections import Counter
from contextlib import nullcontext
from functools import partial

import pytest

from promissory import (
    FailurePolicy,
    NodeFailure,
    Skip,
    conditional,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    task,
    wait_for_input,
    workflow,
)
from promissory.errors import CompileError, PromiseError
from promissory.testing import MockClock, Takes, always_replay, simulate

ENGINES = ["inline", "threads", "processes"]


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


def carry(target, store, *, engine="inline", clock=None, replays=True, **inputs):
    """A run to its end, whose journal is replayed after every round."""
    with always_replay() if replays else nullcontext():
        return run(target, inputs, store=store, engine=engine, clock=clock, durability="process", echo=False)


def again(ended, **options):
    with always_replay():
        return resume(ended.id, store=ended.store, durability="process", echo=False, **options)


def states(ended):
    return {row.path: row.state for row in ended.nodes()}


@task
def halve(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n // 2


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def told(err: NodeFailure) -> str:
    return f"{err.path} {err.type} {err.message} {err.attempt}"


@task
def text_of(n: int) -> str:
    if n < 0:
        raise KeyError("negative")
    return str(n)


@task
def skips() -> int:
    raise Skip("not today")


def safe(call, fallback):
    """The result of a call, or what the fallback says."""
    return promise(call).on_error(fallback)


# --- what it may be ---


def test_X9_a_literal_stands_in_for_what_failed(store, engine):
    @workflow
    def flow(n: int) -> int:
        return add(safe(halve(n), -1), 100)

    assert carry(flow, store, engine=engine, n=4).result == 102
    ended = carry(flow, store, engine=engine, n=5)
    assert (ended.state, ended.result) == ("SUCCEEDED", 99)
    assert states(ended)["main/halve"] == "FAILED"


def test_X9_a_task_stands_in_and_is_told_of_the_failure(store, engine):
    @workflow
    def flow(n: int) -> str:
        return safe(text_of(n), told)

    assert carry(flow, store, engine=engine, n=-1).result == "main/text_of KeyError 'negative' 1"


def test_X9_a_fallback_does_not_run_where_nothing_failed(store, diary):
    @task
    def fallback() -> int:
        note(diary, "fallback")
        return 0

    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), fallback)

    assert (carry(flow, store, n=8).result, lines(diary)) == (4, [])
    assert (carry(flow, store, n=7).result, lines(diary)) == (0, ["fallback"])


def test_X9_a_dynamic_may_stand_in(store, engine):
    @dynamic
    def count(n: int, err: NodeFailure) -> int:
        return add(count(n - 1, err), 1) if n else len(err.type)

    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), partial(count, 4))

    assert carry(flow, store, engine=engine, n=3).result == 4 + len("ValueError")


def test_X9_a_workflow_may_stand_in(store, engine):
    @task
    def length(err: NodeFailure) -> int:
        return len(err.message)

    @workflow
    def recover(err: NodeFailure) -> int:
        return add(length(err), 1000)

    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), recover)

    ended = carry(flow, store, engine=engine, n=3)
    assert ended.result == 1000 + len("3 is odd")


def test_X9_partial_gives_it_its_other_inputs_promises_too(store):
    @task
    def recover(a: int, b: int, err: NodeFailure, *, c: int) -> int:
        return a * 100 + b * 10 + c

    @workflow
    def flow(n: int, b: int) -> int:
        three = add(1, 2)
        return safe(halve(n), partial(recover, three, b, c=7))

    assert carry(flow, store, n=1, b=5).result == 357
    assert carry(flow, store, n=2, b=5).result == 1


def test_X9_what_the_fallback_has_defaults_for_is_the_default(store):
    @task
    def recover(a: int = 6, err: NodeFailure | None = None) -> int:
        return a + (err is not None)

    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), recover)

    assert carry(flow, store, n=1).result == 7


def test_X9_an_input_or_another_calls_promise_may_stand_in(store):
    @workflow
    def flow(n: int, other: int) -> list[int]:
        return [safe(halve(n), other), safe(halve(n), add(other, 1))]

    assert carry(flow, store, n=1, other=40).result == [40, 41]


def test_X9_a_literal_of_any_type_that_fits_will_do(store):
    @task
    def table(n: int) -> dict[str, list[float]]:
        raise ValueError(n)

    @task
    def maybe(n: int) -> int | None:
        raise ValueError(n)

    @workflow
    def flow() -> list[float]:
        return promise(table(1)).on_error({"a": [1, 2.5]})["a"]

    @workflow
    def nothing() -> int | None:
        return safe(maybe(1), None)

    assert carry(flow, store).result == [1.0, 2.5]
    assert carry(nothing, store).result is None


def test_X9_parts_of_what_is_rescued_can_be_taken(store):
    @task
    def pair(n: int) -> tuple[int, str]:
        raise ValueError(n)

    @workflow
    def flow() -> str:
        _, text = promise(pair(1)).on_error((1, "one"))
        return text

    assert carry(flow, store).result == "one"


def test_X9_a_list_with_promises_may_stand_in(store):
    @task
    def numbers() -> list[int]:
        raise ValueError

    @workflow
    def flow() -> list[int]:
        return safe(numbers(), [1, add(1, 1), 3])

    assert carry(flow, store).result == [1, 2, 3]


# --- refused before anything runs ---


@pytest.mark.parametrize("fallback", ["text", None, [1], 1.5, partial(text_of, 1), told])
def test_X9_a_fallback_of_another_type_is_refused_at_compile(fallback):
    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), fallback)

    with pytest.raises(CompileError, match="int") as caught:
        flow.compile()
    assert "halve" in str(caught.value)
    assert __file__ in str(caught.value)


def test_X9_a_fallback_that_wants_more_than_err_is_refused_at_compile():
    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), partial(add, 1))

    with pytest.raises(TypeError, match=r"add\(\) missing .* 'b'"):
        flow.compile()


def test_X9_a_fallback_whose_err_is_of_another_type_is_refused_at_compile():
    @task
    def recover(err: int) -> int:
        return err

    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), recover)

    with pytest.raises(CompileError, match=r"recover\(err=…\) wants int"):
        flow.compile()


def test_X9_a_plain_function_is_refused_with_the_way_out():
    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), lambda err: 1)

    with pytest.raises(PromiseError, match="@task"):
        flow.compile()


def test_X9_on_error_of_an_input_is_refused_with_the_way_out():
    @workflow
    def flow(n: int) -> int:
        return promise(n).on_error(1)

    with pytest.raises(PromiseError, match="n is not"):
        flow.compile()


def test_X9_on_error_of_a_part_is_refused_with_the_way_out():
    @task
    def pair() -> tuple[int, int]:
        return 1, 2

    @workflow
    def flow() -> int:
        return promise(pair()[0]).on_error(1)

    with pytest.raises(PromiseError, match="say it where the call is made"):
        flow.compile()


# --- what counts as failing ---


def test_X9_retries_come_first(store, diary):
    @task(retries=2, retry_delay=60)
    def flaky() -> int:
        note(diary, "try")
        raise OSError("down")

    @task
    def attempts(err: NodeFailure) -> int:
        return err.attempt

    @workflow
    def flow() -> int:
        return safe(flaky(), attempts)

    assert carry(flow, store, clock=MockClock()).result == 3
    assert lines(diary) == ["try"] * 3


def test_X9_a_failure_before_the_node_reaches_the_fallback_with_the_original_path(store, engine):
    @workflow
    def flow(n: int) -> str:
        return safe(text_of(add(halve(n), 1)), told)

    assert carry(flow, store, engine=engine, n=3).result == "main/halve ValueError 3 is odd 1"


def test_X9_a_failure_in_a_nested_workflow_or_dynamic_reaches_the_fallback(store, engine):
    @workflow
    def inner(n: int) -> str:
        return text_of(halve(n))

    @dynamic
    def deep(k: int, n: int) -> str:
        return inner(n) if k == 0 else deep(k - 1, n)

    @workflow
    def flow(n: int) -> list[str]:
        return [safe(inner(n), told), safe(deep(3, n), "deep")]

    ended = carry(flow, store, engine=engine, n=3)
    assert ended.result == ["main/inner/halve ValueError 3 is odd 1", "deep"]


def test_X9_a_node_that_only_comes_after_what_failed_is_rescued_too(store):
    @workflow
    def flow(n: int) -> int:
        first = promise(halve(n))
        second = promise(add(1, 2))
        first >> second
        return safe(second, 50)

    assert carry(flow, store, n=3).result == 50


def test_X9_a_skipped_node_is_no_failure_and_its_fallback_is_skipped(store, diary):
    @task
    def fallback() -> int:
        note(diary, "fallback")
        return 1

    @workflow
    def flow() -> None:
        add(safe(skips(), fallback), 1)

    ended = carry(flow, store)
    assert (ended.state, lines(diary), states(ended)["main/add"]) == ("SUCCEEDED", [], "SKIPPED")


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("what", ["limit", "type", "time-out of a gate", "sys.exit"])
def test_X9_whatever_made_it_fail_is_rescued(store, what):
    @dynamic
    def endless(n: int) -> int:
        return endless(n + 1)

    @task
    def wrong() -> int:
        return "text"

    @task
    def leaves() -> int:
        raise SystemExit(2)

    @workflow
    def flow() -> int:
        if what == "limit":
            return safe(endless(0), 9)
        if what == "type":
            return safe(wrong(), 9)
        if what == "sys.exit":
            return safe(leaves(), 9)
        return safe(wait_for_input("never", timeout=5, type=int), 9)

    assert carry(flow, store, clock=MockClock()).result == 9


@pytest.mark.full
def test_X9_a_worker_that_is_killed_again_and_again_is_rescued(store):
    @task
    def killed() -> int:
        os.kill(os.getpid(), 9)
        return 1

    @task
    def name_of(err: NodeFailure) -> int:
        return 4 if err.type == "WorkerLost" else 5

    @workflow
    def flow() -> int:
        return safe(killed(), name_of)

    assert carry(flow, store, engine="processes", replays=False).result == 4


# --- fallbacks that fail, and chains ---


def test_X9_a_fallback_that_fails_is_the_runs_failure(store, engine):
    @task
    def worse(err: NodeFailure) -> int:
        raise OSError("worse")

    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), worse)

    ended = carry(flow, store, engine=engine, n=3)
    assert ended.state == "FAILED"
    assert type(ended.error.__cause__) is OSError
    assert ended.error.path.endswith("/worse")


def test_X9_fallbacks_chain_and_each_is_told_of_the_one_before(store, engine):
    @task
    def first(err: NodeFailure) -> str:
        raise OSError(f"first after {err.type}")

    @task
    def second(err: NodeFailure) -> str:
        return f"second after {err.type}: {err.message}"

    @workflow
    def flow(n: int) -> str:
        return promise(text_of(n)).on_error(first).on_error(second)

    ended = carry(flow, store, engine=engine, n=-1)
    assert ended.result == "second after OSError: first after KeyError"


def test_X9_the_second_of_a_chain_does_not_run_if_the_first_did_well(store, diary):
    @task
    def fallback(name: str) -> int:
        note(diary, name)
        return 1

    @workflow
    def flow(n: int) -> int:
        return promise(halve(n)).on_error(partial(fallback, "first")).on_error(partial(fallback, "second"))

    assert (carry(flow, store, n=1).result, lines(diary)) == (1, ["first"])


def test_X9_two_fallbacks_of_one_node_each_give_their_own(store):
    @workflow
    def flow(n: int) -> list[int]:
        half = promise(halve(n))
        return [half.on_error(-1), half.on_error(-2)]

    assert carry(flow, store, n=1).result == [-1, -2]
    assert carry(flow, store, n=6).result == [3, 3]


def test_X9_a_consumer_beside_the_fallback_still_fails_the_run(store):
    """The rescue is for whom it is given to; who takes the value itself has nothing."""

    @workflow
    def flow(n: int) -> int:
        half = promise(halve(n))
        rescued = half.on_error(-1)
        return add(half, rescued)

    ended = carry(flow, store, n=1)
    assert (ended.state, ended.error.path, states(ended)["main/add"]) == ("FAILED", "main/halve", "UPSTREAM_FAILED")


def test_X9_what_goes_into_the_fallback_may_fail_itself(store):
    @workflow
    def flow(n: int, m: int) -> int:
        return promise(halve(n)).on_error(partial(add, halve(m), 1)).on_error(-5)

    assert carry(flow, store, n=3, m=4).result == 3
    assert carry(flow, store, n=3, m=5).result == -5


# --- where it stands ---


def test_X9_in_a_mapped_workflow_each_item_has_its_own(store, engine):
    @task
    def double_err(n: int, err: NodeFailure) -> int:
        return -n

    @workflow
    def one(n: int) -> int:
        return safe(halve(n), partial(double_err, n))

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(one)(n=ns)

    assert carry(flow, store, engine=engine, ns=[2, 3, 4, 5]).result == [1, -3, 2, -5]


def test_X9_a_whole_map_may_be_rescued(store, engine):
    @workflow
    def flow(ns: list[int]) -> list[int]:
        return safe(map_task(halve)(n=ns), [])

    assert carry(flow, store, engine=engine, ns=[2, 4]).result == [1, 2]
    assert carry(flow, store, engine=engine, ns=[2, 3]).result == []


def test_X9_a_map_may_stand_in(store):
    @workflow
    def many(err: NodeFailure) -> list[int]:
        return map_task(halve)(n=[2, 4, 6])

    @task
    def broken() -> list[int]:
        raise ValueError

    @workflow
    def flow() -> list[int]:
        return safe(broken(), many)

    assert carry(flow, store).result == [1, 2, 3]


def test_X9_in_an_arm_of_a_branch(store, engine):
    @workflow
    def flow(n: int) -> int:
        return conditional("choose").if_(n > 0).then(promise(halve(n)).on_error(-1)).else_().then(halve(n))

    assert carry(flow, store, engine=engine, n=3).result == -1
    assert carry(flow, store, engine=engine, n=-4).result == -2
    assert carry(flow, store, engine=engine, n=-3).state == "FAILED"


def test_X9_a_whole_branch_may_be_rescued(store):
    @workflow
    def flow(n: int) -> int:
        chosen = conditional("choose").if_(n > 0).then(halve(n)).else_().fail("not positive")
        return safe(chosen, -7)

    assert [carry(flow, store, n=n).result for n in (4, 3, -1)] == [2, -7, -7]


def test_X9_in_a_dynamic_and_in_the_dynamic_that_stands_in(store, engine):
    @dynamic
    def descend(n: int) -> int:
        if n == 0:
            return halve(1)
        return promise(descend(n - 1)).on_error(partial(climb, n)) if n % 2 else descend(n - 1)

    @dynamic
    def climb(n: int, err: NodeFailure) -> int:
        return add(n, safe(halve(n), 1000))

    assert carry(descend, store, engine=engine, n=6).result == 1001


def test_X9_a_rescued_tail_call_is_not_lost(store):
    """A dynamic whose last call is rescued keeps its place: there is something to come back to."""

    @dynamic
    def tail(n: int) -> int:
        return promise(tail(n - 1)).on_error(n) if n else halve(1)

    assert carry(tail, store, n=30).result == 1


def test_X9_under_either_policy_the_others_go_on(store, diary):
    @task
    def step(name: str) -> str:
        note(diary, name)
        return name

    for policy in FailurePolicy:

        @workflow(failure_policy=policy)
        def flow(n: int) -> list[str]:
            return [safe(text_of(n), "rescued"), step("a"), step("b")]

        assert carry(flow, store, n=-1).result == ["rescued", "a", "b"]


def test_X9_a_fallback_under_a_frame_that_fails_still_runs(store, diary):
    """It handles a failure, so it starts though its frame fails elsewhere."""

    @task
    def fallback(err: NodeFailure) -> int:
        note(diary, "fallback")
        return 1

    @workflow
    def flow(n: int) -> list[int]:
        return [safe(halve(n), fallback), halve(n)]

    ended = carry(flow, store, n=3)
    assert ended.state == "FAILED"
    assert ended.error.path == "main/halve~2"
    assert lines(diary) == ["fallback"]


# --- resume ---


def test_X9_a_rescued_node_stays_rescued_at_resume(store, diary, engine):
    repaired = diary.with_name("repaired")

    @task
    def risky() -> int:
        note(diary, "risky")
        raise ValueError("risky")

    @task
    def fallback(err: NodeFailure) -> int:
        note(diary, "fallback")
        return 10

    @task
    def late(x: int) -> int:
        note(diary, "late")
        if not repaired.exists():
            raise ValueError("late")
        return x

    @workflow
    def flow() -> int:
        return late(safe(risky(), fallback))

    ended = carry(flow, store, engine=engine)
    assert (ended.state, ended.error.path) == ("FAILED", "main/late")
    repaired.touch()
    assert again(ended, engine=engine).result == 10
    assert Counter(lines(diary)) == {"risky": 1, "fallback": 1, "late": 2}


def test_X9_a_fallback_that_failed_runs_again_at_resume_with_the_same_err(store, diary, engine):
    repaired = diary.with_name("repaired")

    @task
    def risky() -> str:
        note(diary, "risky")
        raise ValueError("risky is down")

    @task
    def fallback(err: NodeFailure) -> str:
        note(diary, "fallback", err.message)
        if not repaired.exists():
            raise OSError("so is the fallback")
        return f"after {err.message}"

    @workflow
    def flow() -> str:
        return safe(risky(), fallback)

    ended = carry(flow, store, engine=engine)
    assert (ended.state, type(ended.error.__cause__)) == ("FAILED", OSError)
    repaired.touch()
    assert again(ended, engine=engine).result == "after risky is down"
    assert Counter(lines(diary))["fallback risky is down"] == 2


MODULE = """
import os
from promissory import NodeFailure, promise, task, workflow

def note(what):
    descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task
def risky() -> int:
    note("risky")
    raise ValueError("risky")

@task
def fallback(err: NodeFailure) -> int:
    note(f"fallback {err.path} {err.type} {err.message} {err.attempt}")
    if os.path.exists("wait"):
        with open("wait") as waits:
            waits.read()
    return 3

@workflow
def flow() -> int:
    return promise(risky()).on_error(fallback)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_X9_killed_in_the_fallback_a_resume_runs_the_fallback_alone(project, engine):
    project.write("rescued.py", MODULE)
    os.mkfifo(project.folder / "wait")
    process = project.spawn(
        "-c",
        "from promissory import run\n"
        "from rescued import flow\n"
        f"run(flow, run_id='killed', engine={engine!r}, echo=False)",
    )
    descriptor = os.open(project.folder / "wait", os.O_WRONLY)  # opens once the fallback waits
    process.kill()
    process.wait()
    os.close(descriptor)
    os.unlink(project.folder / "wait")
    assert project.code(
        f"from promissory import resume\nprint(resume('killed', engine={engine!r}, echo=False).result)"
    ).split() == ["3"]
    found = Counter(project.lines("diary"))
    assert found["fallback main/risky ValueError risky 1"] == 2
    assert found["risky"] <= 2


def test_X9_the_plan_says_it_and_reads_back_the_same():
    @workflow
    def flow(n: int) -> int:
        return safe(halve(n), -1)

    plan = flow.compile()
    assert type(plan).from_bytes(plan.to_bytes()).to_bytes() == plan.to_bytes()
    assert "halve or " in str(plan)


@task(retries=3, retry_delay=60)
def tried_again(x: int) -> int:
    raise AssertionError("declared")


@task
def breaks(x: int) -> int:
    raise AssertionError("declared")


@workflow
def broken_meanwhile(x: int) -> int:
    breaks(x)
    return promise(tried_again(x)).on_error(0)


def test_X9_a_frame_that_fails_while_a_node_waits_for_its_retry_runs_no_fallback_of_that():
    outcomes = {"tried_again": OSError("busy"), "breaks": Takes(1, OSError("broken"))}
    ended = simulate(broken_meanwhile, outcomes, {"x": 1}, parallel=2)
    assert (ended.state, ended.paths) == ("FAILED", ["main/breaks", "main/tried_again"])
