"""S1, S2, S3: a task that asks to be run again: its iterations, their payloads, retries, time-outs and limits (with R1,
R2, R3, X3, X8).
"""

import asyncio
import gc
import os
import threading
import tracemalloc
import weakref
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest

from promissory import (
    Context,
    Loop,
    Retry,
    Skip,
    Store,
    conditional,
    current_context,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    task,
    unmapped,
    workflow,
)
from promissory.errors import (
    CompileError,
    ContextError,
    IterationLimitExceeded,
    RunFailed,
    RunTimeout,
    TaskTimeout,
    TaskTypeError,
)
from promissory.executor.history.history import History
from promissory.testing import MockClock, always_replay

ENGINES = ["inline", "processes"]
ALL_ENGINES = ["inline", "threads", "processes"]


@pytest.fixture
def memory(request):
    """A store of this test's own in memory."""
    return f"memory://loops-{request.node.name}"


def note(diary, *what):
    """A line, whole even if other processes write at the same time; gives how often it stands there."""
    line = " ".join(map(str, what))
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (line + "\n").encode())
    os.close(descriptor)
    return diary.read_text().splitlines().count(line)


def lines(diary):
    return diary.read_text().splitlines() if diary.exists() else []


def go(target, inputs, store, engine="inline", **more):
    return run(target, inputs, store=store, engine=engine, echo=False, durability="process", **more)


def fibonacci(diary, broken=(), **policy):
    """The tutorial's loop: n and fib(n) go from iteration to iteration; `broken` are the n whose first attempt
    fails.
    """

    def fib(n):
        a, b = 0, 1
        for _ in range(n):
            a, b = b, a + b
        return a

    @task(**policy)
    def largest_below(limit: int) -> int:
        before = current_context().loop_result or {"n": 1, "fib": 1}
        n = before["n"]
        if note(diary, limit, n) == 1 and n in broken:
            raise OSError(f"no answer for {n}")
        if fib(n) > limit:
            return before["fib"]
        raise Loop({"n": n + 1, "fib": fib(n)})

    return largest_below


# --- scenarios --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("limit", "result", "bodies"), [(100, 89, 12), (1000, 987, 17), (10, 8, 7), (1, 1, 3), (0, 1, 1)]
)
def test_S1_a_task_runs_again_until_it_returns(memory, diary, engine, limit, result, bodies):
    ended = go(fibonacci(diary), {"limit": limit}, memory, engine)
    assert (ended.state, ended.result) == ("SUCCEEDED", result)
    assert lines(diary) == [f"{limit} {n}" for n in range(1, bodies + 1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_each_item_of_a_map_loops_alone(memory, diary, engine):
    fib = fibonacci(diary)

    @workflow
    def flow(limits: list[int]) -> list[int]:
        return map_task(fib)(limit=limits)

    plan = flow.compile()
    assert len(plan.graph) == 1
    ended = go(flow, {"limits": [10, 100, 1000, 1500]}, memory, engine)
    assert ended.result == [8, 89, 987, 987]
    assert Counter(line.split()[0] for line in lines(diary)) == {"10": 7, "100": 12, "1000": 17, "1500": 17}
    assert len(lines(diary)) == 53
    bodies = [row.path for row in ended.nodes(items=True) if row.path != "main/largest_below"]
    iterations = [path for path in bodies if "[=" in path]
    items = [path for path in bodies if "[=" not in path]
    assert items == [f"main/largest_below[{item}]" for item in range(4)]
    assert len(iterations) + len(items) == 53  # the last iteration of each item is the item's own row


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_a_map_of_loops_over_nothing_runs_nothing(memory, diary, engine):
    fib = fibonacci(diary)

    @workflow
    def flow(limits: list[int]) -> list[int]:
        return fib.map(limits)

    assert go(flow, {"limits": []}, memory, engine).result == []
    assert lines(diary) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_S2_a_failed_iteration_is_retried_alone(memory, diary, engine):
    ended = go(fibonacci(diary, broken={7}, retries=5), {"limit": 100}, memory, engine)
    assert ended.result == 89
    assert Counter(lines(diary)) == {f"100 {n}": 1 + (n == 7) for n in range(1, 13)}
    attempts = [row.attempts for row in ended.nodes(items=True)]
    assert attempts == [1] * 6 + [2] + [1] * 5


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_each_iteration_has_the_whole_budget_of_retries(memory, diary, engine):
    ended = go(fibonacci(diary, broken={3, 7}, retries=1), {"limit": 100}, memory, engine)
    assert ended.result == 89
    assert len(lines(diary)) == 14


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_accumulate_counts_iterations_from_zero(memory, diary, engine):
    @task
    def accumulate(x: int, iterations: int) -> int:
        ctx = current_context()
        note(diary, ctx.loop_index, ctx.loop_result)
        so_far = ctx.loop_result or 0
        if ctx.loop_index < iterations:
            raise Loop(so_far + x)
        return so_far + x

    assert go(accumulate, {"x": 1, "iterations": 5}, memory, engine).result == 6
    assert lines(diary) == ["0 None", "1 1", "2 2", "3 3", "4 4", "5 5"]


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_loop_count_counts_iterations_from_one(memory, engine):
    @task
    def accumulate(x: int, iterations: int) -> int:
        ctx = current_context()
        so_far = ctx.loop_result or 0
        if ctx.loop_count < iterations:
            raise Loop(so_far + x)
        return so_far + x

    assert go(accumulate, {"x": 1, "iterations": 5}, memory, engine).result == 5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("until", "broken", "results", "bodies"),
    [(20, 0, (200, 40000), 20), (20, 2, (200, 40000), 21), (1, 0, (10, 100), 1)],
)
def test_S1_what_follows_a_loop_gets_its_last_value(memory, diary, engine, until, broken, results, bodies):
    @task(retries=1)
    def looper(until: int) -> int:
        ctx = current_context()
        note(diary, "looper", ctx.attempt)
        if ctx.loop_count == broken and ctx.attempt == 1:
            raise OSError("not this time")
        so_far = (ctx.loop_result or 0) + 10
        if ctx.loop_count < until:
            raise Loop(so_far)
        return so_far

    @task
    def square(x: int) -> int:
        note(diary, "square")
        return x * x

    @workflow
    def flow(until: int) -> tuple[int, int]:
        looped = looper(until)
        return looped, square(looped)

    assert go(flow, {"until": until}, memory, engine).result == results
    counted = Counter(lines(diary))
    assert counted["square"] == 1
    assert lines(diary)[-1] == "square"
    assert counted["looper 1"] + counted["looper 2"] == bodies
    assert counted["looper 2"] == (broken > 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_loops_of_items_are_retried_an_iteration_an_item(memory, diary, engine):
    @task(retries=1)
    def three_more(x: int) -> int:
        ctx = current_context()
        now = x if ctx.loop_result is None else ctx.loop_result
        if note(diary, x, ctx.loop_index) == 1 and ctx.loop_index == 2:
            raise OSError("once an item")
        if ctx.loop_index < 2:
            raise Loop(now + 3)
        return now

    @workflow
    def flow(xs: list[int]) -> list[int]:
        return map_task(three_more)(x=xs)

    ended = go(flow, {"xs": [1, 20]}, memory, engine)
    assert ended.result == [7, 26]
    assert Counter(lines(diary)) == {f"{x} {i}": 1 + (i == 2) for x in (1, 20) for i in range(3)}


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_a_map_of_loops_of_different_length_is_reduced_when_all_have_ended(memory, diary, engine):
    @task
    def numbers(k: int) -> list[int]:
        return list(range(1, k + 1))

    @task
    def times_itself(i: int) -> int:
        ctx = current_context()
        note(diary, i)
        so_far = (ctx.loop_result or 0) + i
        if ctx.loop_count < i:
            raise Loop(so_far)
        return so_far

    @task
    def total(xs: list[int]) -> int:
        note(diary, "total")
        return sum(xs)

    @workflow
    def flow(k: int) -> tuple[list[int], int]:
        squares = map_task(times_itself)(i=numbers(k))
        return squares, total(squares)

    assert go(flow, {"k": 4}, memory, engine).result == ([1, 4, 9, 16], 30)
    assert lines(diary)[-1] == "total"
    assert len(lines(diary)) == 11


@pytest.mark.parametrize("engine", ENGINES)
def test_R3_a_cached_loop_runs_to_its_end_once_and_gives_its_last_value_from_then_on(memory, diary, engine):
    @task(cache=True, cache_version="1")
    def four() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index)
        current = ctx.loop_result or 0
        if ctx.loop_index < 3:
            raise Loop(current + 1)
        return current + 100

    assert go(four, {}, memory, engine).result == 103
    assert lines(diary) == ["0", "1", "2", "3"]
    again = go(four, {}, memory, engine)
    assert again.result == 103
    assert len(lines(diary)) == 4
    (row,) = again.nodes(items=True)
    assert (row.cached, row.iterations) == (True, 0)


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
def test_S1_ten_thousand_iterations_need_no_stack_and_no_memory_of_their_own(memory, engine, whole):
    count = 10_000 if whole or engine == "inline" else 3_000

    @task
    def count_to(n: int) -> int:
        so_far = (current_context().loop_result or 0) + 1
        if so_far < n:
            raise Loop(so_far)
        return so_far

    go(count_to, {"n": 100}, memory + "-warm", engine)
    tracemalloc.start()
    try:
        go(count_to, {"n": 1000}, memory + "-1", engine)
        _, little = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        ended = run(count_to, {"n": count}, store=memory, engine=engine, echo=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ended.result == count
    (row,) = ended.nodes()
    assert (row.iterations, row.depth) == (count - 1, 0)
    assert peak - little < 16 << 20  # a store in memory holds the journal, too


# --- what an iteration knows ------------------------------------------------------------------------------------------


def test_S1_the_context_says_which_iteration_of_which_node_it_is(memory, diary):
    @task(retries=1)
    def looks(ctx: Context, x: int) -> int:
        note(diary, ctx.path, ctx.loop_index, ctx.loop_count, ctx.attempt, ctx.depth)
        if ctx.loop_index == 1 and ctx.attempt == 1:
            raise OSError("once")
        if ctx.loop_index < 2:
            raise Loop()
        return x

    @workflow
    def flow() -> list[int]:
        return [looks(x=1), *[]]

    go(flow, {}, memory)
    assert lines(diary) == [
        "main/looks 0 1 1 0",
        "main/looks[=1] 1 2 1 0",
        "main/looks[=1] 1 2 2 0",
        "main/looks[=2] 2 3 1 0",
    ]


def test_S1_the_seed_of_each_iteration_is_its_own_and_the_same_on_every_attempt_and_run(memory, diary):
    @task(retries=1)
    def seeded() -> int:
        ctx = current_context()
        if note(diary, ctx.loop_index, ctx.seed) == 1 and ctx.loop_index == 1:
            raise OSError("once")
        if ctx.loop_index < 3:
            raise Loop()
        return 0

    go(seeded, {}, memory, run_id="mine")
    first = lines(diary)
    assert len(first) == 5 and len(set(first)) == 4  # the second attempt of iteration 1 sees the seed of the first
    assert len({line.split()[1] for line in first}) == 4


def test_S1_a_loop_without_a_payload_gives_none_to_the_next_iteration(memory, diary):
    @task
    def twice() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index, ctx.loop_result)
        if not ctx.loop_index:
            raise Loop
        return ctx.loop_index

    assert go(twice, {}, memory).result == 1
    assert lines(diary) == ["0 None", "1 None"]


class Colour(Enum):
    """Of a payload."""

    RED = "red"


class Point(NamedTuple):
    """Of a payload."""

    x: int
    y: float


@dataclass
class Record:
    """Of a payload."""

    name: str
    tags: list[str]


PLAIN = {
    "none": None,
    "false": False,
    "zero": 0,
    "large": 1 << 200,
    "negative": -1,
    "float": 0.1,
    "infinite": float("-inf"),
    "empty text": "",
    "text": "ä\n\0🙂",
    "bytes": b"\0\xff",
    "list": [1, [2, "x"], None],
    "tuple": (1, (2.5, b"")),
    "empty tuple": (),
    "dict": {"a": 1, "b": {"c": [()]}},
    "dict of ints": {1: "a", -2: "b"},
    "set": {1, 2, 3},
    "frozenset": frozenset({"a"}),
    "date": date(2024, 2, 29),
    "moment": datetime(2024, 2, 29, 1, 2, 3, 4, tzinfo=UTC),
    "duration": timedelta(days=-1, microseconds=3),
    "decimal": Decimal("1.10"),
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PLAIN)
def test_S1_plain_data_comes_to_the_next_iteration_as_it_was(memory, engine, name):
    payload = PLAIN[name]

    @task
    def carries() -> str:
        ctx = current_context()
        if not ctx.loop_index:
            raise Loop(payload)
        return (
            f"{type(ctx.loop_result).__name__} {ctx.loop_result!r}"
            if name not in ("set",)
            else f"set {sorted(ctx.loop_result)}"
        )

    if engine == "processes" and name not in ("tuple", "long", "dict of ints"):
        pytest.skip("the bytes are those of the other engine")
    wanted = f"{type(payload).__name__} {payload!r}" if name != "set" else f"set {sorted(payload)}"
    assert go(carries, {}, memory, engine).result == wanted


def test_S1_a_payload_that_the_next_iteration_changes_is_whole_on_its_next_attempt(memory, diary):
    @task(retries=1)
    def changes() -> list[int]:
        ctx = current_context()
        if not ctx.loop_index:
            raise Loop([1, 2])
        mine = ctx.loop_result
        mine.append(3)
        assert ctx.loop_result == [1, 2]
        if ctx.attempt == 1:
            raise OSError("once")
        return mine

    assert go(changes, {}, memory).result == [1, 2, 3]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("where", ["alone", "nested", "generator"])
def test_S1_a_payload_without_a_wire_form_is_an_error_that_says_where_and_is_not_retried(memory, diary, engine, where):
    @task(retries=3)
    def carries(where: str) -> int:
        note(diary, "body")
        assert not current_context().loop_index
        if where == "alone":
            raise Loop(threading.Lock())
        if where == "nested":
            raise Loop({"a": [1, threading.Lock()]})
        raise Loop(n for n in range(3))

    ended = go(carries, {"where": where}, memory, engine)
    assert ended.state == "FAILED"
    assert isinstance(ended.error.__cause__, TaskTypeError)
    assert "Loop(…)" in str(ended.error) and "main/carries" in str(ended.error)
    assert lines(diary) == ["body"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "payload",
    [Colour.RED, Point(1, 2.0), Record("a", ["b"]), {"all": [Record("a", []), Point(1, 2.0)]}],
    ids=["enum", "tuple", "class", "in"],
)
def test_S1_a_payload_of_the_authors_own_class_comes_back_as_one(memory, engine, payload):
    @task
    def carries() -> str:
        if not current_context().loop_index:
            raise Loop(payload)
        return repr(current_context().loop_result)

    assert go(carries, {}, memory, engine).result == repr(payload)


# --- retries, time-outs and ends of an iteration ----------------------------------------------------------------------


def test_R1_retry_in_an_iteration_makes_that_iteration_again_and_not_the_loop(memory, diary):
    @task(retries=1)
    def asks() -> int:
        ctx = current_context()
        if note(diary, ctx.loop_index, ctx.loop_result) == 1 and ctx.loop_index in (1, 3):
            raise Retry()
        if ctx.loop_index < 4:
            raise Loop(ctx.loop_index * 10)
        return ctx.loop_result

    assert go(asks, {}, memory).result == 30
    assert lines(diary) == ["0 None", "1 0", "1 0", "2 10", "3 20", "3 20", "4 30"]


def test_R1_delays_grow_with_the_attempts_of_one_iteration_and_begin_again_with_the_next(memory, diary):
    clock = MockClock()

    @task(retries=2, retry_delay=1.0, backoff=2.0)
    def slow() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index, clock.monotonic())
        if ctx.attempt < 3:
            raise OSError("again")
        if ctx.loop_index < 2:
            raise Loop()
        return 0

    begun = clock.monotonic()
    assert go(slow, {}, memory, clock=clock).result == 0
    moments = [float(line.split()[1]) - begun for line in lines(diary)]
    assert moments == pytest.approx([0, 1, 3, 3, 4, 6, 6, 7, 9])


def test_R1_the_error_of_an_iteration_out_of_budget_names_it_and_its_attempt(memory, diary):
    @task(retries=1)
    def breaks() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index)
        if ctx.loop_index == 6:
            raise ValueError("for good")
        raise Loop(ctx.loop_count)

    ended = go(breaks, {}, memory)
    assert (ended.state, ended.error.attempt) == ("FAILED", 2)
    assert ended.error.path == "main/breaks[=6]"
    assert "main/breaks[=6]" in str(ended.error)
    assert isinstance(ended.error.__cause__, ValueError)
    assert Counter(lines(diary)) == {str(i): 1 + (i == 6) for i in range(7)}
    row = next(row for row in ended.nodes() if row.path == "main/breaks")
    assert (row.state, row.iterations, row.attempts) == ("FAILED", 6, 2)


def test_R2_the_time_out_is_that_of_an_iteration_and_not_of_the_loop(memory, diary):
    @task(timeout=5.0)
    def looks() -> int:
        ctx = current_context()
        note(diary, ctx.deadline is not None)
        if ctx.loop_index < 3:
            raise Loop(ctx.deadline)
        return int(ctx.deadline > ctx.loop_result)

    assert go(looks, {}, memory, soft_timeouts=True).result == 1
    assert lines(diary) == ["True"] * 4


def test_R2_an_iteration_that_takes_too_long_is_stopped_and_retried_alone(memory, diary, tmp_path):
    never = tmp_path / "never"
    os.mkfifo(never)

    @task(timeout=0.6, retries=1)
    def hangs() -> int:
        ctx = current_context()
        if note(diary, ctx.loop_index) == 1 and ctx.loop_index == 2:
            os.close(os.open(never, os.O_RDONLY))
        if ctx.loop_index < 4:
            raise Loop(ctx.loop_count)
        return ctx.loop_result

    assert go(hangs, {}, memory, "processes").result == 4
    assert lines(diary) == ["0", "1", "2", "2", "3", "4"]


def test_R2_an_iteration_that_always_takes_too_long_fails_with_its_path(memory, tmp_path):
    never = tmp_path / "never"
    os.mkfifo(never)

    @task(timeout=0.3)
    def hangs() -> int:
        if current_context().loop_index == 1:
            os.close(os.open(never, os.O_RDONLY))
        raise Loop()

    ended = go(hangs, {}, memory, "processes")
    assert isinstance(ended.error.__cause__, TaskTimeout)
    assert ended.error.path == "main/hangs[=1]"


def test_S1_a_loop_may_end_by_being_skipped(memory, diary):
    @task
    def gives_up() -> int:
        if current_context().loop_index == 2:
            raise Skip("enough")
        raise Loop()

    @task
    def follows(x: int) -> int:
        note(diary, "follows")
        return x

    @workflow
    def flow() -> int:
        return follows(gives_up())

    ended = go(flow, {}, memory)
    states = {row.path: (row.state, row.why) for row in ended.nodes()}
    assert states["main/gives_up"] == ("SKIPPED", "enough")
    assert states["main/follows"][0] == "SKIPPED"
    assert lines(diary) == []


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_R2_the_time_out_of_a_run_ends_a_loop_that_would_go_on_for_ever(memory, engine):
    @task
    def endless() -> int:
        raise Loop()

    ended = go(endless, {}, memory, engine, timeout=3.0 if engine == "processes" else 0.2)
    assert (ended.state, type(ended.error)) == ("FAILED", RunTimeout)
    assert ended.nodes()[0].iterations > 0


def test_X7_what_runs_on_failure_runs_once_after_a_loop_that_failed(memory, diary):
    @task
    def breaks() -> int:
        if current_context().loop_index == 2:
            raise ValueError("in iteration 3")
        raise Loop()

    @task
    def follows(x: int) -> int:
        note(diary, "follows")
        return x

    @task
    def cleans() -> None:
        note(diary, "cleans")

    @workflow
    def flow() -> int:
        broken = breaks()
        broken >> promise(cleans()).with_overrides(trigger="any_failed")
        return follows(broken)

    assert go(flow, {}, memory).state == "FAILED"
    assert lines(diary) == ["cleans"]


# --- next_iteration, can_iterate, max_iterations ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_S3_next_iteration_is_a_loop_that_lets_the_body_end(memory, diary, engine):
    @task
    def optimize(ctx: Context) -> float:
        accuracy = [0.65, 0.78, 0.88, 0.96][ctx.loop_index]
        note(diary, "Iteration", ctx.loop_index, ctx.loop_result)
        if accuracy < 0.95:
            ctx.next_iteration({"accuracy": accuracy})
            note(diary, "still here")
            return -1.0
        note(diary, "Converged!")
        return accuracy

    @task
    def evaluate(accuracy: float) -> float:
        note(diary, "evaluate", accuracy)
        return accuracy

    @workflow
    def flow() -> float:
        return evaluate(optimize())

    assert go(flow, {}, memory, engine).result == 0.96
    assert lines(diary) == [
        "Iteration 0 None",
        "still here",
        "Iteration 1 {'accuracy': 0.65}",
        "still here",
        "Iteration 2 {'accuracy': 0.78}",
        "still here",
        "Iteration 3 {'accuracy': 0.88}",
        "Converged!",
        "evaluate 0.96",
    ]


def test_S3_what_a_body_returns_after_next_iteration_is_dropped_whatever_it_is(memory):
    @task
    def bare(ctx: Context) -> int:
        if ctx.loop_index < 2:
            return ctx.next_iteration(ctx.loop_count)
        return ctx.loop_result

    ended = go(bare, {}, memory)
    assert (ended.state, ended.error) == ("SUCCEEDED", None)
    assert ended.result == 2


def test_S3_an_iteration_that_fails_after_next_iteration_has_asked_for_nothing(memory, diary):
    @task(retries=1)
    def fails(ctx: Context) -> int:
        note(diary, ctx.loop_index, ctx.loop_result)
        if ctx.loop_index == 1:
            return ctx.loop_result
        ctx.next_iteration(ctx.attempt)
        if ctx.attempt == 1:
            raise OSError("after asking")
        return 0

    assert go(fails, {}, memory).result == 2
    assert lines(diary) == ["0 None", "0 None", "1 2"]


def test_S3_next_iteration_twice_with_the_same_data_is_one_and_with_other_data_an_error(memory, diary):
    @task
    def asks(ctx: Context, other: bool) -> int:
        note(diary, ctx.loop_index)
        if ctx.loop_index:
            return ctx.loop_result
        ctx.next_iteration(1)
        ctx.next_iteration(2 if other else 1)
        return 0

    assert go(asks, {"other": False}, memory).result == 1
    ended = go(asks, {"other": True}, memory)
    assert "next_iteration() was called twice, with different data" in str(ended.error)
    assert lines(diary) == ["0", "1", "0"]


def test_S3_next_iteration_refuses_data_without_a_wire_form_where_it_is_asked(memory):
    @task
    def asks(ctx: Context) -> int:
        ctx.next_iteration(threading.Lock())
        return 0

    ended = go(asks, {}, memory)
    assert "next_iteration(…)" in str(ended.error) and "lock" in str(ended.error)


@pytest.mark.parametrize("engine", ENGINES)
def test_S3_max_iterations_allows_exactly_so_many_runs(memory, diary, engine):
    @task(max_iterations=3, retries=2)
    def endless(ctx: Context) -> int:
        note(diary, ctx.loop_count, ctx.max_iterations, ctx.can_iterate())
        ctx.next_iteration()
        return 0

    ended = go(endless, {}, memory, engine)
    assert ended.state == "FAILED"
    assert isinstance(ended.error.__cause__, IterationLimitExceeded)
    assert lines(diary) == ["1 3 True", "2 3 True", "3 3 False"]
    said = str(ended.error)
    assert "main/endless" in said and "has run 3 times" in said and "max_iterations=" in said and "allows 3" in said


@pytest.mark.parametrize("engine", ENGINES)
def test_S3_can_iterate_keeps_a_loop_within_its_limit(memory, diary, engine):
    @task(max_iterations=3)
    def bounded(ctx: Context) -> int:
        note(diary, ctx.loop_count, ctx.can_iterate())
        if ctx.can_iterate():
            ctx.next_iteration()
        return ctx.loop_count

    assert go(bounded, {}, memory, engine).result == 3
    assert lines(diary) == ["1 True", "2 True", "3 False"]


def test_S3_the_last_allowed_iteration_may_return(memory):
    @task(max_iterations=1)
    def once(ctx: Context) -> bool:
        return ctx.can_iterate()

    @task(max_iterations=2)
    def twice(ctx: Context) -> int:
        if not ctx.loop_index:
            raise Loop()
        return ctx.loop_index

    assert go(once, {}, memory).result is False
    assert go(twice, {}, memory).result == 1


def test_S3_one_iteration_means_no_loop(memory, diary):
    @task(max_iterations=1)
    def once() -> int:
        note(diary, "body")
        raise Loop()

    ended = go(once, {}, memory)
    assert isinstance(ended.error.__cause__, IterationLimitExceeded)
    assert lines(diary) == ["body"]


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_S3_a_limit_that_is_no_number_of_runs_is_refused_where_it_is_written(limit):
    with pytest.raises((CompileError, TypeError, ValueError), match="max_iterations"):

        @task(max_iterations=limit)
        def wrong() -> int:
            return 0


def test_S3_the_limit_counts_iterations_and_not_attempts(memory, diary):
    @task(max_iterations=2, retries=3)
    def flaky(ctx: Context) -> int:
        note(diary, ctx.loop_index, ctx.attempt)
        if ctx.attempt < 3:
            raise OSError("again")
        if ctx.can_iterate():
            raise Loop()
        return 7

    assert go(flaky, {}, memory).result == 7
    assert lines(diary) == ["0 1", "0 2", "0 3", "1 1", "1 2", "1 3"]


def test_S3_the_limit_is_that_of_each_item_of_a_map(memory, diary):
    @task(max_iterations=3)
    def counts(ctx: Context, n: int) -> int:
        note(diary, n)
        if ctx.loop_count < n:
            raise Loop()
        return ctx.loop_count

    @workflow
    def flow(ns: list[int]) -> list[int | None]:
        return map_task(counts, min_success_ratio=0.5)(n=ns)

    ended = go(flow, {"ns": [1, 2, 3, 4]}, memory)
    assert ended.result == [1, 2, 3, None]
    assert Counter(lines(diary)) == {"1": 1, "2": 2, "3": 3, "4": 3}


def test_S3_a_loop_over_its_limit_is_a_failure_that_a_fallback_handles(memory):
    @task(max_iterations=3)
    def endless() -> int:
        raise Loop()

    @workflow
    def flow() -> int:
        return promise(endless()).on_error(-1)

    assert go(flow, {}, memory).result == -1


# --- where a loop is raised -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_a_loop_passes_through_the_bodys_own_except_exception(memory, engine):
    @task
    def careful() -> int:
        ctx = current_context()
        try:
            if ctx.loop_index < 3:
                raise Loop(ctx.loop_count)
        except Exception:
            return -1
        return ctx.loop_result

    assert go(careful, {}, memory, engine).result == 3


def test_S1_a_body_that_swallows_the_loop_has_not_asked(memory):
    @task
    def swallows() -> int:
        try:
            raise Loop(1)
        except BaseException:
            return current_context().loop_index

    assert go(swallows, {}, memory).result == 0


def test_S1_finally_blocks_and_context_managers_of_the_body_are_left_before_the_next_iteration(memory, diary):
    @task
    def tidy() -> int:
        index = current_context().loop_index
        try:
            note(diary, "open", index)
            if index < 1:
                raise Loop()
            return index
        finally:
            note(diary, "close", index)

    assert go(tidy, {}, memory).result == 1
    assert lines(diary) == ["open 0", "close 0", "open 1", "close 1"]


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_a_plain_function_that_the_body_calls_may_raise_the_loop(memory, engine):
    def again_until(n):
        ctx = current_context()
        if ctx.loop_index < n:
            raise Loop((ctx.loop_result or []) + [ctx.loop_index])
        return ctx.loop_result

    @task
    def calls(n: int) -> list[int]:
        return again_until(n)

    assert go(calls, {"n": 3}, memory, engine).result == [0, 1, 2]


def test_S1_a_loop_raised_while_another_error_is_handled_is_a_loop(memory):
    @task
    def polls() -> int:
        ctx = current_context()
        try:
            return [None, None, 3].index(3, 0, ctx.loop_index + 1)
        except ValueError as error:
            raise Loop(str(error)) from error

    assert go(polls, {}, memory).result == 2


def test_S1_a_class_derived_from_loop_is_a_loop(memory):
    class NextPage(Loop):
        """Of an author's own."""

        def __init__(self, page):
            super().__init__({"page": page}, f"page {page}")

    @task
    def pages() -> int:
        page = (current_context().loop_result or {"page": 1})["page"]
        if page < 4:
            raise NextPage(page + 1)
        return page

    assert go(pages, {}, memory).result == 4


def test_S1_a_loop_in_a_plain_call_is_an_error_that_says_what_to_do():
    @task
    def loops() -> int:
        raise Loop(1)

    with pytest.raises((CompileError, ContextError)) as refused:
        loops()
    assert "loops" in str(refused.value) and "run" in str(refused.value) and __file__ in str(refused.value)


def test_S3_next_iteration_in_a_plain_call_is_an_error_that_says_what_to_do():
    @task
    def loops(ctx: Context) -> int:
        assert ctx.can_iterate() and ctx.loop_index == 0 and ctx.loop_result is None
        ctx.next_iteration(1)
        return 0

    with pytest.raises(ContextError, match=r"next_iteration\(\) needs a run"):
        loops()


def test_S1_a_loop_in_a_workflows_own_body_is_an_error_with_its_place():
    @workflow
    def flow() -> int:
        raise Loop(1)

    with pytest.raises((CompileError, ContextError)) as refused:
        flow.compile()
    assert "flow" in str(refused.value) and "Loop" in str(refused.value)


def test_A2_a_plain_call_of_a_workflow_runs_its_loops(diary):
    fib = fibonacci(diary)

    @workflow
    def flow(limit: int) -> int:
        return fib(limit)

    assert flow(100) == 89
    assert len(lines(diary)) == 12


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_A10_an_async_task_loops(memory, engine):
    @task
    async def polls(n: int) -> list[int]:
        seen = current_context().loop_result or []
        await asyncio.sleep(0)
        if len(seen) < n:
            raise Loop([*seen, current_context().loop_index])
        return seen

    assert go(polls, {"n": 3}, memory, engine).result == [0, 1, 2]


def test_A10_an_async_task_may_ask_for_the_next_iteration_after_an_await(memory):
    @task
    async def polls(ctx: Context) -> int:
        await asyncio.sleep(0)
        if ctx.loop_index < 2:
            ctx.next_iteration(ctx.loop_count)
            return 0
        return ctx.loop_result

    assert go(polls, {}, memory).result == 2


def test_A10_a_loop_raised_in_a_task_group_of_an_async_body_is_seen(memory):
    @task
    async def gathers() -> int:
        async def one():
            ctx = current_context()
            if ctx.loop_index < 2:
                raise Loop(ctx.loop_count)
            return ctx.loop_result

        return (await asyncio.gather(one()))[0]

    assert go(gathers, {}, memory).result == 2


def test_S1_loops_of_one_run_go_side_by_side_and_know_only_their_own_iterations(memory, diary):
    @task
    def counts(n: int) -> int:
        ctx = current_context()
        if ctx.loop_count < n:
            raise Loop([n, ctx.loop_count])
        assert ctx.loop_result is None or ctx.loop_result == [n, n - 1]
        return ctx.loop_count

    @workflow
    def flow() -> list[int]:
        return [counts(n) for n in (5, 1, 9, 3, 9)]

    for engine in ALL_ENGINES:
        assert go(flow, {}, f"{memory}-{engine}", engine, max_parallelism=3).result == [5, 1, 9, 3, 9]


def test_S1_a_waiting_iteration_holds_no_slot_of_others(memory, diary):
    """With one slot, a loop's iterations take turns with what else is ready, and none runs at the same time as
    another.
    """
    inside = threading.Lock()

    @task
    def counts(n: int) -> int:
        ctx = current_context()
        assert inside.acquire(blocking=False)
        inside.release()
        if ctx.loop_count < 4:
            raise Loop()
        return n

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(counts, concurrency=1)(n=ns)

    assert go(flow, {"ns": [1, 2, 3]}, memory, "threads", max_parallelism=1).result == [1, 2, 3]


# --- in maps, branches, nested plans ----------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_concurrency_of_a_map_counts_an_item_from_its_first_iteration_to_its_last(memory, diary, engine):
    @task
    def counts(n: int) -> int:
        ctx = current_context()
        note(diary, n, ctx.loop_index)
        if ctx.loop_index < 2:
            raise Loop()
        return n

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(counts, concurrency=1)(n=ns)

    assert go(flow, {"ns": [7, 8, 9]}, memory, engine).result == [7, 8, 9]
    assert lines(diary) == [f"{n} {i}" for n in (7, 8, 9) for i in range(3)]


def test_S2_an_item_out_of_budget_does_not_stop_the_loops_of_its_siblings(memory, diary):
    @task(retries=1)
    def counts(n: int) -> int:
        ctx = current_context()
        note(diary, n, ctx.loop_index)
        if (n, ctx.loop_index) == (8, 1):
            raise ValueError("for good")
        if ctx.loop_index < 2:
            raise Loop()
        return n

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(counts)(n=ns)

    ended = go(flow, {"ns": [7, 8, 9]}, memory)
    assert ended.state == "FAILED"
    assert ended.error.path == "main/counts[1][=1]"
    assert Counter(lines(diary)) == {"7 0": 1, "7 1": 1, "7 2": 1, "8 0": 1, "8 1": 2, "9 0": 1, "9 1": 1, "9 2": 1}


def test_S1_a_thousand_loops_of_a_map_of_lists_with_what_is_not_mapped(memory):
    @task
    def adds(x: int, times: int) -> int:
        ctx = current_context()
        so_far = x if ctx.loop_result is None else ctx.loop_result
        if ctx.loop_index < times:
            raise Loop(so_far + 1)
        return so_far

    @workflow
    def flow(xs: list[int], times: int) -> list[int]:
        return adds.map(xs, unmapped(times))

    ended = go(flow, {"xs": list(range(1000)), "times": 3}, memory, "threads")
    assert ended.result == [x + 3 for x in range(1000)]


def test_S1_a_loop_in_an_arm_of_a_branch_and_in_a_nested_workflow(memory):
    @task
    def counts(n: int) -> int:
        ctx = current_context()
        if ctx.loop_count < n:
            raise Loop()
        return ctx.loop_count

    @workflow
    def inner(n: int) -> int:
        return conditional("size").if_(counts(n) > 2).then(counts(n)).else_().then(counts(10))

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(inner)(n=ns)

    assert go(flow, {"ns": [1, 2, 3, 4]}, memory).result == [10, 10, 3, 4]


def test_S1_items_of_a_map_that_is_joined_to_the_list_of_another_loop(memory):
    """A joint (a returned list of promises) whose elements loop."""

    @task
    def counts(n: int) -> list[int]:
        ctx = current_context()
        so_far = [*(ctx.loop_result or []), ctx.loop_index]
        if len(so_far) < n:
            raise Loop(so_far)
        return so_far

    @task
    def length(xs: list[int]) -> int:
        return len(xs)

    @workflow
    def flow() -> list[int]:
        return (
            [length(counts(2)), *map_task(length)(xs=[counts(3), counts(1)])]
            if False
            else [length(counts(2)), length(counts(3))]
        )

    assert go(flow, {}, memory).result == [2, 3]


# --- dynamics ---------------------------------------------------------------------------------------------------------


def several(diary, **policy):
    """A dynamic of which each iteration is three tasks: two beside each other, and one that takes both."""

    @task
    def double(x: int) -> int:
        note(diary, "double", x)
        return 2 * x

    @task
    def add(a: int, b: int) -> int:
        note(diary, "add", a, b)
        return a + b

    @dynamic(**policy)
    def grows(limit: int) -> int:
        ctx = current_context()
        now = 1 if ctx.loop_result is None else ctx.loop_result["now"]
        note(diary, "grows", ctx.loop_index, now, ctx.depth)
        if now > limit:
            return now
        raise Loop({"now": add(double(now), double(now + 1)), "was": now})

    return grows


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_an_iteration_of_a_dynamic_is_what_it_emitted(memory, diary, engine):
    ended = go(several(diary), {"limit": 100}, memory, engine)
    assert ended.result == 106  # 1, 6, 26, 106
    bodies = Counter(line.split()[0] for line in lines(diary))
    assert bodies == {"grows": 4, "double": 6, "add": 3}
    assert [line for line in lines(diary) if line.startswith("grows")] == [
        "grows 0 1 0",
        "grows 1 6 0",
        "grows 2 26 0",
        "grows 3 106 0",
    ]


def test_S1_a_dynamic_iterates_once_its_payload_is_there_and_the_last_iteration_ended(memory, diary):
    @task
    def value_of(x: int) -> int:
        note(diary, "value", x)
        return x

    @task
    def aside(x: int) -> None:
        note(diary, "aside", x)

    @dynamic
    def rounds() -> int:
        ctx = current_context()
        note(diary, "begin", ctx.loop_index)
        if ctx.loop_index == 2:
            return ctx.loop_result
        aside(ctx.loop_index)
        raise Loop(value_of(ctx.loop_index))

    assert go(rounds, {}, memory).result == 1
    seen = lines(diary)
    assert seen[0] == "begin 0" and seen[3] == "begin 1" and seen[6] == "begin 2"
    assert sorted(seen[1:3]) == ["aside 0", "value 0"] and sorted(seen[4:6]) == ["aside 1", "value 1"]


def test_S1_the_trace_of_each_iteration_of_a_dynamic_is_kept(memory, diary):
    ended = go(several(diary), {"limit": 100}, memory)
    paths = [row.path for row in ended.nodes()]
    inside = [path for path in paths if path != "main/grows"]
    assert len(inside) == 9 and len(set(inside)) == 9
    assert {"main/grows/add", "main/grows[=1]/add", "main/grows[=2]/add"} <= set(inside)
    history = History(ended.store, ended.id)
    assert {row.path: row.depth for row in history.nodes()} == dict.fromkeys(paths, 1)
    store = Store(memory)
    files = [key for folder in store.list(f"runs/{ended.id}/futures") for key in store.list(folder)]
    assert len(files) == 3


def test_S1_run_futures_gives_the_futures_file_of_each_iteration(memory, diary):
    ended = go(several(diary), {"limit": 100}, memory)
    assert len(ended.futures()) == 3
    shown = {str(ended.futures(path)) for path in ended.futures()}
    assert len(shown) == 3
    assert all(sum(f"x={x}" in one for one in shown) for x in (1, 6, 26))


def test_S1_iterations_of_a_dynamic_have_rows(memory, diary):
    ended = go(several(diary), {"limit": 100}, memory)
    rows = [row for row in ended.nodes(items=True) if row.called.endswith("grows")]
    assert [row.path for row in rows] == ["main/grows[=0]", "main/grows[=1]", "main/grows[=2]", "main/grows"]
    assert {row.state for row in rows} == {"SUCCEEDED"}
    assert rows[-1].iterations == 3


def test_S1_a_dynamic_may_loop_without_emitting_anything(memory, diary):
    @dynamic
    def bare() -> int:
        ctx = current_context()
        if ctx.loop_index < 5:
            raise Loop((ctx.loop_result or 0) + 2)
        return ctx.loop_result

    ended = go(bare, {}, memory)
    assert (ended.result, ended.futures()) == (10, [])


def test_S1_a_dynamics_last_iteration_may_emit_and_return_promises(memory, diary):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def rounds() -> list[int]:
        ctx = current_context()
        if ctx.loop_index < 3:
            raise Loop(inc(ctx.loop_result or 0))
        return [inc(ctx.loop_result), ctx.loop_result]

    assert go(rounds, {}, memory).result == [4, 3]


@pytest.mark.parametrize("shape", ["list", "tuple", "dict", "nested", "input"])
def test_S1_promises_may_stand_anywhere_in_a_dynamics_payload(memory, shape):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def rounds(n: int) -> str:
        ctx = current_context()
        if ctx.loop_index:
            return repr(ctx.loop_result)
        p = inc(n)
        raise Loop(
            {
                "list": [p, 1, p],
                "tuple": (p, "x"),
                "dict": {"a": p, "b": n},
                "nested": {"a": [(p, {"b": p})]},
                "input": [n, p],
            }[shape]
        )

    wanted = {
        "list": [6, 1, 6],
        "tuple": (6, "x"),
        "dict": {"a": 6, "b": 5},
        "nested": {"a": [(6, {"b": 6})]},
        "input": [5, 6],
    }[shape]
    assert go(rounds, {"n": 5}, memory).result == repr(wanted)


def test_S1_iterations_of_a_dynamic_do_not_nest(memory):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic(max_depth=1)
    def rounds(n: int) -> int:
        ctx = current_context()
        if ctx.loop_index < n:
            raise Loop(inc(ctx.loop_result or 0))
        return ctx.loop_result

    ended = go(rounds, {"n": 300}, memory, max_depth=1)
    assert ended.result == 300
    assert {row.depth for row in ended.nodes()} == {1}


def test_D10_a_loop_of_a_dynamic_with_an_unchanged_payload_is_no_recursion_without_progress(memory, diary):
    @task
    def look() -> int:
        return note(diary, "look")

    @dynamic
    def polls() -> int:
        ctx = current_context()
        if ctx.loop_index == 20:
            return ctx.loop_index
        look()
        raise Loop("the same")

    assert go(polls, {}, memory).result == 20
    assert len(lines(diary)) == 20


def test_S1_a_dynamic_in_an_iteration_of_a_dynamic_may_loop_itself(memory):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def inner(x: int) -> int:
        ctx = current_context()
        if ctx.loop_index < 2:
            raise Loop(inc(ctx.loop_result or x))
        return ctx.loop_result

    @dynamic
    def outer() -> int:
        ctx = current_context()
        if ctx.loop_index < 3:
            raise Loop(inner(ctx.loop_result or 0))
        return inc(ctx.loop_result)

    ended = go(outer, {}, memory)
    assert ended.result == 7
    assert max(row.depth for row in ended.nodes()) == 2
    assert len({row.path for row in ended.nodes()}) == len(ended.nodes())


def test_S1_a_dynamic_that_hands_its_place_on_to_a_loop_gives_the_loops_value(memory):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def loops(x: int) -> int:
        ctx = current_context()
        if ctx.loop_index < 3:
            raise Loop(inc(ctx.loop_result or x))
        return inc(ctx.loop_result)

    @dynamic
    def tail(n: int) -> int:
        return tail(n - 1) if n else loops(10)

    @workflow
    def flow() -> int:
        return inc(tail(3))

    assert go(flow, {}, memory).result == 15


def test_S1_a_tail_call_in_an_iteration_of_a_dynamic_gives_the_payload(memory):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def deeper(x: int, n: int) -> int:
        return deeper(x, n - 1) if n else inc(x)

    @dynamic
    def loops() -> int:
        ctx = current_context()
        if ctx.loop_index < 3:
            raise Loop(deeper(ctx.loop_result or 0, 2))
        return ctx.loop_result

    assert go(loops, {}, memory).result == 3


def test_S1_each_item_of_a_map_over_a_dynamic_loops_alone(memory, diary):
    ended_at = {1: 6, 20: 26, 100: 106}
    grows = several(diary)

    @workflow
    def flow(limits: list[int]) -> list[int]:
        return map_task(grows)(limit=limits)

    assert go(flow, {"limits": list(ended_at)}, memory).result == list(ended_at.values())


def test_S2_a_task_in_an_iteration_of_a_dynamic_is_retried_alone(memory, diary):
    @task(retries=1)
    def flaky(x: int) -> int:
        if note(diary, "flaky", x) == 1 and x == 2:
            raise OSError("once")
        return x + 1

    @dynamic
    def rounds() -> int:
        ctx = current_context()
        note(diary, "rounds", ctx.loop_index)
        if ctx.loop_index < 4:
            raise Loop(flaky(ctx.loop_index))
        return ctx.loop_result

    assert go(rounds, {}, memory).result == 4
    assert Counter(lines(diary)) == {
        **{f"rounds {i}": 1 for i in range(5)},
        **{f"flaky {i}": 1 + (i == 2) for i in range(4)},
    }


def test_D6_retries_of_a_dynamic_cover_the_body_of_each_iteration(memory, diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc", x)
        return x + 1

    @dynamic(retries=1)
    def rounds() -> int:
        ctx = current_context()
        now = ctx.loop_result or 0
        made = inc(now)
        if ctx.attempt == 1:
            raise OSError("each iteration, once")
        if ctx.loop_index < 3:
            raise Loop(made)
        return made

    assert go(rounds, {}, memory).result == 4
    assert lines(diary) == ["inc 0", "inc 1", "inc 2", "inc 3"]


def test_S3_max_iterations_of_a_dynamic(memory, diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc")
        return x + 1

    @dynamic(max_iterations=3)
    def endless() -> int:
        raise Loop(inc(current_context().loop_result or 0))

    ended = go(endless, {}, memory)
    assert isinstance(ended.error.__cause__, IterationLimitExceeded)
    assert "has run 3 times" in str(ended.error)
    assert "@dynamic(max_iterations=" in str(ended.error)
    assert lines(diary) == ["inc"] * 3


def test_P3_a_payload_of_a_dynamic_without_a_wire_form_is_an_error_before_anything_of_it_runs(memory, diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc")
        return x + 1

    @dynamic(retries=2)
    def wrong() -> int:
        note(diary, "wrong")
        raise Loop([inc(1), threading.Lock()])

    ended = go(wrong, {}, memory)
    assert ended.state == "FAILED"
    assert "Loop(…)" in str(ended.error) and "lock" in str(ended.error)
    assert lines(diary) == ["wrong"]


def test_A6_a_promise_of_an_earlier_iteration_can_not_be_used_in_a_later_one(memory):
    kept = []

    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def leaks() -> int:
        ctx = current_context()
        if not ctx.loop_index:
            kept.append(inc(1))
            raise Loop(kept[0])
        return inc(kept[0])

    ended = go(leaks, {}, memory)
    assert ended.state == "FAILED"
    assert "inc" in str(ended.error)


def test_S1_a_task_that_raises_a_loop_with_a_promise_is_told_that_it_has_none(memory):
    """Inside a task a call is an ordinary call: the payload is the value."""

    @task
    def inc(x: int) -> int:
        return x + 1

    @task
    def calls() -> int:
        ctx = current_context()
        if ctx.loop_index < 2:
            raise Loop(inc(ctx.loop_result or 0))
        return ctx.loop_result

    assert go(calls, {}, memory).result == 2


def test_S3_next_iteration_in_a_dynamic_that_made_calls_is_refused_with_the_way_out(memory):
    @task
    def inc(x: int) -> int:
        return x + 1

    @dynamic
    def asks() -> int:
        ctx = current_context()
        ctx.next_iteration(1)
        return inc(1)

    assert "raise Loop(…)" in str(go(asks, {}, memory).error)


# --- cache ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_R3_a_cached_dynamic_that_loops_runs_nothing_the_second_time(memory, diary, engine):
    grows = several(diary, cache=True, cache_version="1")
    assert go(grows, {"limit": 100}, memory, engine).result == 106
    before = len(lines(diary))
    again = go(grows, {"limit": 100}, memory, engine)
    assert again.result == 106
    assert len(lines(diary)) == before
    assert go(grows, {"limit": 10}, memory, engine).result == 26
    assert len(lines(diary)) > before


def test_R3_a_cached_dynamic_whose_last_iteration_emits_runs_nothing_the_second_time(memory, diary):
    @task
    def inc(x: int) -> int:
        note(diary, "inc", x)
        return x + 1

    @dynamic(cache=True, cache_version="1")
    def rounds(n: int) -> int:
        ctx = current_context()
        note(diary, "rounds", ctx.loop_index)
        made = inc(ctx.loop_result or 0)
        if ctx.loop_index < n:
            raise Loop(made)
        return made

    for n, result in ((2, 3), (2, 3), (0, 1), (0, 1)):
        assert go(rounds, {"n": n}, memory).result == result
    assert lines(diary) == ["rounds 0", "inc 0", "rounds 1", "inc 1", "rounds 2", "inc 2", "rounds 0", "inc 0"]


def test_R3_a_cached_loop_in_a_map_is_looked_up_an_item(memory, diary):
    fib = fibonacci(diary, cache=True, cache_version="1")

    @workflow
    def flow(limits: list[int]) -> list[int]:
        return map_task(fib)(limit=limits)

    assert go(flow, {"limits": [10, 100]}, memory).result == [8, 89]
    assert len(lines(diary)) == 19
    assert go(flow, {"limits": [100, 1000, 10]}, memory).result == [89, 987, 8]
    assert len(lines(diary)) == 19 + 17


def test_R3_what_a_polling_loop_calls_is_a_call_of_its_own_in_each_iteration_unless_it_is_cached(memory, diary):
    @task
    def look() -> int:
        return note(diary, "look")

    @task(cache=True, cache_version="1")
    def base() -> int:
        return note(diary, "base")

    @dynamic
    def polls() -> int:
        seen = current_context().loop_result or [0, 0]
        if seen[0] >= 5:
            return seen[0] * 10 + seen[1]
        raise Loop([look(), base()])

    assert go(polls, {}, memory).result == 51
    assert Counter(lines(diary)) == {"look": 5, "base": 1}


def test_R3_a_loop_that_failed_leaves_nothing_in_the_cache(memory, diary):
    @task(cache=True, cache_version="1", max_iterations=2)
    def endless() -> int:
        note(diary, "body")
        raise Loop()

    for _ in range(2):
        assert go(endless, {}, memory).state == "FAILED"
    assert len(lines(diary)) == 4


def test_R3_of_equal_loops_at_one_time_one_runs(memory, diary):
    @task(cache=True, cache_version="1", cache_serialize=True)
    def counts(n: int) -> int:
        ctx = current_context()
        note(diary, ctx.loop_index)
        if ctx.loop_index < n:
            raise Loop()
        return n

    @workflow
    def flow() -> list[int]:
        return [counts(3), counts(3), counts(3)]

    assert go(flow, {}, memory, "threads").result == [3, 3, 3]
    assert lines(diary) == ["0", "1", "2", "3"]


# --- commit each, replay, what is stored ------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_J1_iterations_of_a_task_that_commits_each_are_committed_before_the_next_begins(tmp_path, diary, engine):
    url = f"file://{tmp_path}/store"

    @task(commit="each")
    def careful() -> int:
        index = current_context().loop_index
        ended = [row for row in History(Store(url), "mine", items=True).nodes(items=True) if "[=" in row.path]
        note(diary, index, len(ended))
        if index < 4:
            raise Loop(index)
        return index

    assert go(careful, {}, url, engine, run_id="mine").result == 4
    assert lines(diary) == [f"{i} {i}" for i in range(5)]


def test_J1_iterations_of_a_dynamic_that_commits_each(tmp_path, diary):
    assert go(several(diary, commit="each"), {"limit": 100}, f"file://{tmp_path}/store").result == 106
    assert len(lines(diary)) == 13


REPLAYED = {
    "task": (lambda diary: fibonacci(diary, broken={3, 7}, retries=1), {"limit": 100}, 89),
    "dynamic": (several, {"limit": 100}, 106),
    "cached dynamic": (lambda diary: several(diary, cache=True, cache_version="1"), {"limit": 100}, 106),
}


@pytest.mark.parametrize("name", REPLAYED)
def test_J1_the_journal_tells_all_of_a_loop_after_every_round(memory, diary, name):
    make, inputs, result = REPLAYED[name]
    with always_replay():
        assert go(make(diary), inputs, memory).result == result


@pytest.mark.parametrize("concurrency", [None, 1, 2])
def test_J1_the_journal_tells_all_of_loops_in_a_map_after_every_round(memory, diary, concurrency):
    fib = fibonacci(diary, broken={3}, retries=1)
    grows = several(diary)

    @workflow
    def flow(limits: list[int]) -> tuple[list[int], list[int]]:
        return map_task(fib, concurrency=concurrency)(limit=limits), map_task(grows, concurrency=concurrency)(
            limit=limits
        )

    with always_replay():
        assert go(flow, {"limits": [10, 100]}, memory).result == ([8, 89], [26, 106])


def test_J1_the_journal_tells_all_of_next_iteration_and_skips_after_every_round(memory):
    @task
    def asks(ctx: Context) -> int:
        ctx.channel().add("n", 1)
        if ctx.loop_index < 3:
            ctx.next_iteration(ctx.loop_count)
        return ctx.channel().get("n")

    @task
    def skips() -> int:
        if current_context().loop_index:
            raise Skip("done")
        raise Loop()

    @workflow
    def flow() -> int:
        skips()
        return asks()

    with always_replay():
        assert go(flow, {}, memory).result == 4


@pytest.mark.parametrize("what", ["task", "dynamic", "map"])
def test_X3_a_loop_leaves_the_same_bytes_on_every_engine(tmp_path, write_module, what):
    module = write_module(
        "same_loops",
        """
        from promissory import Loop, current_context, dynamic, map_task, task, workflow

        @task
        def long(n: int) -> list[int]:
            so_far = current_context().loop_result or []
            if len(so_far) >= n:
                return so_far
            raise Loop(so_far + list(range(len(so_far), len(so_far) + 1000)))

        @task
        def total(xs: list[int], ys: list[int]) -> int:
            return sum(xs) + sum(ys)

        @dynamic
        def rounds(n: int) -> int:
            ctx = current_context()
            if ctx.loop_index == n:
                return ctx.loop_result["sum"]
            raise Loop({"sum": total(long(1000 * n), [ctx.loop_index]), "x": "x" * 5000})

        @workflow
        def mapped(n: int) -> list[int]:
            return map_task(rounds)(n=[n, 1])
        """,
    )
    target, inputs = {
        "task": (module.long, {"n": 3000}),
        "dynamic": (module.rounds, {"n": 2}),
        "map": (module.mapped, {"n": 2}),
    }[what]
    kept = []
    for engine in ALL_ENGINES:
        store = Store(tmp_path / engine)
        ended = go(target, inputs, store, engine, run_id="same")
        assert ended.state == "SUCCEEDED", ended.error
        objects = {key: store.get(key) for folder in store.list("objects") for key in store.list(folder)}
        futures = {key: store.get(key) for folder in store.list("runs/same/futures") for key in store.list(folder)}
        kept.append((ended.encoded_outputs(), objects, futures))
    assert kept[0][1] and (kept[0][2] or what == "task")
    assert kept[0] == kept[1] == kept[2]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_X8_a_loop_has_one_row_and_a_row_an_iteration_where_they_are_wanted(memory):
    @task
    def three() -> int:
        if current_context().loop_index < 2:
            raise Loop()
        return 0

    ended = go(three, {}, memory)
    (row,) = ended.nodes()
    assert (row.path, row.state, row.iterations, row.attempts) == ("main/three", "SUCCEEDED", 2, 1)
    assert [(one.path, one.state) for one in ended.nodes(items=True)] == [
        ("main/three[=0]", "SUCCEEDED"),
        ("main/three[=1]", "SUCCEEDED"),
        ("main/three", "SUCCEEDED"),
    ]


def test_X5_each_iteration_has_its_own_log(memory):
    @task
    def says() -> int:
        index = current_context().loop_index
        print(f"iteration {index}")
        if index < 2:
            raise Loop()
        return 0

    ended = go(says, {}, memory)
    said = [
        Store(memory).get_range(row.log[0], row.log[1], sum(row.log[1:])).decode() for row in ended.nodes(items=True)
    ]
    assert said == ["iteration 0\n", "iteration 1\n", "iteration 2\n"]


def test_X5_what_iterations_print_is_repeated_under_their_paths(memory, capfd):
    @task
    def says() -> int:
        index = current_context().loop_index
        print(f"round {index}")
        if index < 2:
            raise Loop(message="not yet")
        return 0

    run(says, {}, store=memory, durability="process", echo="paths")
    shown = [line for line in capfd.readouterr().err.splitlines() if "round" in line]
    assert [line.split()[0] for line in shown] == ["main/says", "main/says[=1]", "main/says[=2]"]


def test_S1_a_run_that_failed_in_a_loop_raises_run_failed_with_the_original_cause(memory):
    @task
    def breaks() -> int:
        if current_context().loop_index == 1:
            raise KeyError("x")
        raise Loop()

    with pytest.raises(RunFailed) as failed:
        _ = go(breaks, {}, memory).result
    assert isinstance(failed.value.__cause__, KeyError)
    assert failed.value.path == "main/breaks[=1]"


def test_A5_a_loop_is_no_part_of_a_plan():
    def make(n):
        @task
        def loops(x: Any) -> int:
            raise Loop(x)

        @workflow
        def flow() -> int:
            return loops(n)

        return flow.compile()

    assert len(make(1).graph) == 1
    assert make(1).to_bytes() == make(1).to_bytes()


def test_S2_resume_of_a_loop_in_the_same_process(tmp_path, diary):
    broken = tmp_path / "broken"
    broken.touch()

    @task(retries=1)
    def counts() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index)
        if ctx.loop_index == 6 and broken.exists():
            raise OSError("broken")
        if ctx.loop_index < 11:
            raise Loop(ctx.loop_count)
        return ctx.loop_result

    store = tmp_path / "store"
    ended = go(counts, {}, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/counts[=6]")
    broken.unlink()
    again = resume(ended.id, store=store, echo=False, target=counts)
    assert again.result == 11
    assert Counter(lines(diary)) == {str(i): 3 if i == 6 else 1 for i in range(12)}


# --- memory ---


class Large:
    """What a body holds while it runs."""


def test_S1_what_an_iteration_held_is_let_go_when_it_ends(memory):
    """At once, without the collector of cycles: an iteration may hold gigabytes."""
    held = []

    @task
    def holds(ctx: Context) -> int:
        large = Large()
        held.append(weakref.ref(large))
        if ctx.loop_index < 3:
            raise Loop()
        return sum(one() is not None for one in held)

    gc.disable()
    try:
        assert run(holds, {}, store=memory, echo=False).result == 1
    finally:
        gc.enable()
