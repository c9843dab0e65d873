"""B2, B3, B4: maps as they run.

Order, limits, failures, resumes, and what else meets them (R1 to R3, S1 to S8, X2, X3, X6, J1).
"""

import os
import signal
import threading
import tracemalloc
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import pytest

from promissory import (
    Context,
    Loop,
    Retry,
    Skip,
    conditional,
    current_context,
    dynamic,
    flatten,
    map_task,
    resume,
    run,
    task,
    unmapped,
    workflow,
)
from promissory.errors import DepthExceeded, MapError, OutputUnavailable, RunFailed, WorkflowCancelled
from promissory.executor.history.history import History
from promissory.testing import MockClock, always_replay

ENGINES = ["inline", "threads", "processes"]
every_engine = pytest.mark.parametrize("engine", ENGINES)


def note(diary, *what):
    """A line, whole even if other processes write at the same time; gives how often it stands there."""
    line = " ".join(map(str, what))
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (line + "\n").encode())
    os.close(descriptor)
    return diary.read_text().splitlines().count(line)


def noted(diary):
    """How often each line stands there."""
    return Counter(diary.read_text().splitlines()) if diary.exists() else Counter()


def at_most(diary):
    """How many bodies were between their "+" and their "-" at one time."""
    now = most = 0
    for line in diary.read_text().splitlines():
        now += 1 if line.startswith("+") else -1
        most = max(most, now)
    return most


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
def numbers(n: int) -> list[int]:
    return list(range(n))


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
def picky(x: int) -> int:
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x


@workflow
def twice(x: int, by: int = 1) -> int:
    return add(add(x, by), by)


@dynamic
def grown(x: int) -> list[int]:
    return [inc(one) for one in range(x)]


@dynamic
def plain(x: int) -> int:
    return x


@workflow
def picky_flow(x: int) -> int:
    return inc(picky(x))


@dynamic
def picky_dynamic(x: int) -> int:
    return inc(picky(x))


@workflow
def mapped(xs: list[int]) -> list[int]:
    return inc.map(xs)


def flow_of(body, takes=list[int], gives=Any):
    """A workflow over `xs`."""

    def flow(xs):
        return body(xs)

    flow.__annotations__ = {"xs": takes, "return": gives}
    return workflow(flow)


def items(ended):
    """State and why of each item and iteration, by path below `main/`."""
    return {row.path.removeprefix("main/"): row.state for row in ended.nodes(items=True)}


# --- what is mapped ---------------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize(
    ("body", "takes", "given", "result"),
    [
        (lambda xs: inc.map(xs), list[int], [3, 1, 2], [4, 2, 3]),
        (lambda xs: inc.map(xs), list[int], [], []),
        (lambda xs: twice.map(xs), list[int], [1, 2], [3, 4]),
        (lambda xs: twice.map(xs, xs), list[int], [1, 2], [3, 6]),
        (lambda xs: grown.map(xs), list[int], [0, 2], [[], [1, 2]]),
        (lambda xs: plain.map(xs), list[int], [1, 2], [1, 2]),
        (lambda xs: add.map(xs, numbers(2)), list[int], [1, 2], [1, 3]),
        (lambda xs: add.map(xs, unmapped(5)), list[int], [1, 2], [6, 7]),
        (lambda xs: map_task(partial(add, b=total(xs)))(xs), list[int], [1, 2], [4, 5]),
        (lambda xs: add.map([1, inc(1), xs[0]], [0, 0, 9]), list[int], [7], [1, 2, 16]),
        (lambda xs: half.map(xs), list[int], [1, 2], [0.5, 1.0]),
        (lambda xs: half.map([1, inc(1), xs[0]]), list[int], [3], [0.5, 1.0, 1.5]),
        (lambda xs: parts.map(xs, unmapped(2)), list[int], [5, 4], [(2, 1), (2, 0)]),
        (lambda xs: forget.map(xs), list[int], [5, 4], [None, None]),
        (lambda xs: total(inc.map(inc.map(xs))), list[int], [1, 2, 3], 12),
        (
            lambda xs: map_task(map_task(inc, concurrency=1), concurrency=1)(x=xs),
            list[list[int]],
            [[1], [], [2, 3]],
            [[2], [], [3, 4]],
        ),
        (lambda xs: map_task(map_task(map_task(inc)))(x=xs), list[list[list[int]]], [[[1], []], []], [[[2], []], []]),
        (lambda xs: total.map(grown.map(xs)), list[int], [0, 1, 2], [0, 1, 3]),
        (lambda xs: (inc.map(xs), inc.map(xs)[1]), list[int], [1, 2], ([2, 3], 3)),
        (lambda xs: conditional("c").if_(total(xs) > 3).then(inc.map(xs)).else_().then(xs), list[int], [1, 5], [2, 6]),
        (lambda xs: conditional("c").if_(total(xs) > 3).then(inc.map(xs)).else_().then(xs), list[int], [1], [1]),
    ],
)
def test_B2_a_map_gives_the_results_in_the_order_of_the_items(engine, body, takes, given, result):
    assert (
        run(
            flow_of(body, takes), {"xs": given}, store="memory://maps", engine=engine, echo=False, max_parallelism=2
        ).result
        == result
    )


@workflow
def larger_or_same(x: int) -> int:
    return conditional("c").if_(x > 3).then(inc(x)).else_().then(x)


@workflow
def same(x: int) -> int:
    return x


@workflow
def constant(x: int) -> int:
    return 7


def test_B2_items_are_workflows_with_branches_or_without_any_node(store):
    assert run(flow_of(lambda xs: larger_or_same.map(xs)), {"xs": [1, 5]}, store=store).result == [1, 6]
    assert run(flow_of(lambda xs: same.map(xs)), {"xs": [1, 5]}, store=store).result == [1, 5]
    assert run(flow_of(lambda xs: constant.map(xs)), {"xs": [1, 5]}, store=store).result == [7, 7]


@dynamic
def tree(n: int) -> list[int]:
    return flat(tree.map([n - 1, n - 1])) if n else [1]


@task
def flat(xs: list[list[int]]) -> list[int]:
    return [y for x in xs for y in x]


def test_D2_dynamics_that_map_over_themselves_nest(store):
    assert run(tree, {"n": 4}, store=store, durability="process").result == [1] * 16


def test_D3_the_depth_limit_holds_through_maps(store):
    ended = run(tree, {"n": 4}, store=store, max_depth=3, durability="process")
    assert (ended.state, type(ended.error.__cause__)) == ("FAILED", DepthExceeded)
    assert resume(ended.id, store=store, max_depth=10).result == [1] * 16


def test_B2_eleven_maps_one_after_the_other(store):
    def body(xs):
        for _ in range(11):
            xs = inc.map(xs)
        return xs

    assert run(flow_of(body), {"xs": [1, 2, 3]}, store=store).result == [12, 13, 14]


# --- lists of lists, and lists of different lengths -------------------------------------------------------------------


@task
def triangle(n: int) -> list[list[int]]:
    return [[row] * row for row in range(n)]


@every_engine
def test_B2_the_items_of_lists_in_a_list_are_mapped_as_one_list(engine):
    @workflow
    def work() -> tuple[list[int], list[int], list[float], list[int]]:
        rows = triangle(4)
        return (
            inc.map(flatten([[4, 5], [6]])),
            inc.map(flatten(rows)),
            half.map(flatten(rows)),
            inc.map(flatten([[1], rows[2], numbers(2)])),
        )

    ended = run(work, {}, store="memory://maps", engine=engine, echo=False)
    assert ended.result == ([5, 6, 7], [2, 3, 3, 4, 4, 4], [0.5, 1.0, 1.0, 1.5, 1.5, 1.5], [2, 3, 3, 1, 2])
    assert [row.path for row in ended.nodes(items=True) if "inc[" in row.path] == [
        "main/inc[0]",
        "main/inc[1]",
        "main/inc[2]",
    ]


def test_B2_flattened_and_plain_lists_go_together(store):
    assert run(flow_of(lambda xs: add.map(flatten([xs, [3]]), [10, 20, 30])), {"xs": [1, 2]}, store=store).result == [
        11,
        22,
        33,
    ]


def test_B2_empty_lists_in_a_list_have_no_items(store):
    assert run(flow_of(lambda xs: inc.map(flatten([[], xs, []]))), {"xs": []}, store=store).result == []


def test_B2_flattened_lists_of_different_total_length_are_named():
    ended = run(flow_of(lambda xs: add.map(flatten([xs, xs]), xs)), {"xs": [1, 2]}, store="memory://maps", echo=False)
    assert "have different lengths: a has 4, b has 2" in str(ended.error)


@every_engine
def test_B2_with_zip_shortest_the_shortest_list_ends_the_items(engine):
    shortest = map_task(add, zip="shortest")
    body = flow_of(lambda xs: [*[shortest([1, 2, 3], xs)[i] for i in range(2)], *[shortest(xs, numbers(1))[0]]])
    assert run(body, {"xs": [10, 20]}, store="memory://maps", engine=engine, echo=False).result == [11, 22, 10]


def test_B2_with_zip_shortest_an_empty_list_means_no_items(store):
    assert (
        run(flow_of(lambda xs: map_task(add, zip="shortest")(xs, numbers(5000))), {"xs": []}, store=store).result == []
    )


def test_B2_items_pass_through_the_levels_of_a_mapped_workflow_on_their_own(store):
    """Eleven levels without a barrier between them: the last item's first step ends after the first item's last one."""
    is_through = threading.Event()

    @task
    def step(x: int, level: int) -> int:
        if (x, level) == (3, 0):
            assert is_through.wait(60)
        if (x, level) == (11, 10):
            is_through.set()
        return x + 1

    @workflow
    def levels(x: int) -> int:
        for level in range(11):
            x = step(x, level)
        return x

    assert run(
        flow_of(lambda xs: levels.map(xs)), {"xs": [1, 2, 3]}, store=store, engine="threads", max_parallelism=2
    ).result == [12, 13, 14]


# --- wrong at run time ------------------------------------------------------------------------------------------------


@every_engine
def test_B2_lists_of_unequal_length_are_named(engine):
    ended = run(
        flow_of(lambda xs: add.map(numbers(3), xs)), {"xs": [1, 2]}, store="memory://maps", engine=engine, echo=False
    )
    assert ended.state == "FAILED"
    assert "have different lengths: a has 3, b has 2" in str(ended.error)
    assert ended.error.path == "main/add"


def test_P4_a_bad_item_of_an_unchecked_list_is_named(store):
    ended = run(flow_of(lambda xs: inc.map(xs), takes=list[Any]), {"xs": [1, "a"]}, store=store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/inc[1]")
    assert "expected int, got str" in str(ended.error)


@task
def anything() -> Any:
    return [1, 2]


@pytest.mark.parametrize("body", [lambda xs: inc.map(xs), lambda xs: inc.map(anything())])
def test_B2_a_value_that_is_known_as_any_is_refused_with_the_way_out(body):
    with pytest.raises(MapError, match="wants a list") as refused:
        flow_of(body, takes=Any).compile()
    assert refused.value.way_out == "annotate it: list[…]"


# --- how many at one time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["threads", "processes"])
@pytest.mark.parametrize("over", ["task", "workflow", "dynamic"])
def test_B2_concurrency_is_reached_and_never_exceeded(engine, over, diary, eventually):
    @task
    def busy(x: int) -> int:
        note(diary, "+", x)
        number = 1 + [line for line in diary.read_text().splitlines() if line.startswith("+")].index(f"+ {x}")
        eventually(
            lambda: sum(line.startswith("+") for line in diary.read_text().splitlines()) >= 2 * ((number + 1) // 2),
            "its neighbour",
        )
        note(diary, "-", x)
        return x

    @workflow
    def in_a_workflow(x: int) -> int:
        return busy(x)

    @dynamic
    def in_a_dynamic(x: int) -> int:
        return busy(x)

    called = {"task": busy, "workflow": in_a_workflow, "dynamic": in_a_dynamic}[over]
    flow = flow_of(lambda xs: map_task(called, concurrency=2)(xs))
    ended = run(flow, {"xs": list(range(8))}, store="memory://maps", engine=engine, echo=False, max_parallelism=4)
    assert ended.result == list(range(8))
    assert at_most(diary) == 2


def test_B2_an_item_that_waits_for_another_attempt_keeps_its_place(diary):
    @task(retries=1, retry_delay=5)
    def busy(x: int) -> int:
        if note(diary, "begun", x) == 1:
            raise OSError("not yet")
        note(diary, "done", x)
        return x

    flow = flow_of(lambda xs: map_task(busy, concurrency=1)(xs))
    ended = run(flow, {"xs": [0, 1, 2]}, store="memory://maps", engine="threads", echo=False, clock=MockClock())
    assert ended.result == [0, 1, 2]
    assert diary.read_text().splitlines() == [f"{what} {x}" for x in range(3) for what in ("begun", "begun", "done")]


def test_B2_concurrency_holds_across_chunks(diary):
    @task
    def busy(x: int) -> int:
        with lock:
            active[0] += 1
            active[1] = max(active)
        with lock:
            active[0] -= 1
        return x

    active, lock = [0, 0], threading.Lock()
    flow = flow_of(lambda xs: total(map_task(busy, concurrency=2)(numbers(3000))))
    assert run(flow, {"xs": []}, store="memory://maps", engine="threads", max_parallelism=8, echo=False).result == sum(
        range(3000)
    )
    assert active[1] <= 2


# --- failures ---------------------------------------------------------------------------------------------------------


@every_engine
def test_B4_a_failed_item_does_not_stop_its_siblings_and_the_first_by_number_is_reported(engine, diary):
    @task
    def noisy(x: int) -> int:
        note(diary, x)
        return picky.function(x)

    ended = run(
        flow_of(lambda xs: total(noisy.map(xs))),
        {"xs": [1, 2, -3, 4, -5, 6]},
        store="memory://maps",
        engine=engine,
        echo=False,
    )
    assert noted(diary) == dict.fromkeys(("1", "2", "-3", "4", "-5", "6"), 1)
    assert (ended.state, ended.error.path) == ("FAILED", "main/noisy[2]")
    assert "-3 is negative (2 of 6 items failed)" in str(ended.error)
    assert type(ended.error.__cause__) is ValueError
    states = items(ended)
    assert [states[f"noisy[{at}]"] for at in range(6)] == [
        "SUCCEEDED",
        "SUCCEEDED",
        "FAILED",
        "SUCCEEDED",
        "FAILED",
        "SUCCEEDED",
    ]
    assert (states["noisy"], states["total"]) == ("FAILED", "UPSTREAM_FAILED")


@every_engine
@pytest.mark.parametrize("called", [picky, picky_flow, picky_dynamic])
@pytest.mark.parametrize(("given", "well"), [([1, -1, 3, -1], True), ([1, -1, -1, -1], False)])
def test_B2_a_ratio_is_kept_at_its_limit_and_missed_just_below(engine, called, given, well):
    flow = flow_of(lambda xs: map_task(called, min_success_ratio=0.5)(xs))
    ended = run(flow, {"xs": given}, store="memory://maps", engine=engine, echo=False)
    if well:
        assert ended.result == [None if x < 0 else called(x) for x in given]
    else:
        assert ended.state == "FAILED"
        assert ended.error.path.startswith(f"main/{called.name}[1]")


@pytest.mark.parametrize(
    ("count", "ratio", "may_fail"),
    [(10, 0.9, 1), (10, 0.7, 3), (3, 2 / 3, 1), (3, 1 / 3, 2), (100, 0.29, 71), (7, 0.0, 7), (5, 0.5, 2)],
)
def test_B2_the_ratio_is_exact(count, ratio, may_fail):
    flow = flow_of(lambda xs: map_task(picky, min_success_ratio=ratio)(xs))
    for failures, state in ((may_fail, "SUCCEEDED"), (may_fail + 1, "FAILED")):
        if failures <= count:
            given = [-1] * failures + [1] * (count - failures)
            assert run(flow, {"xs": given}, store="memory://maps", echo=False).state == state


def test_B2_ratios_of_nested_maps_count_apart(store):
    flow = flow_of(
        lambda xs: map_task(map_task(picky, min_success_ratio=0.5), min_success_ratio=0.5)(xs), list[list[int]]
    )
    assert run(flow, {"xs": [[1, -2], [-2], [3], []]}, store=store).result == [[1, None], None, [3], []]


def test_B2_failures_in_several_chunks_leave_none_in_their_places(store):
    given = [-1 if x in (5, 1500, 2999) else x for x in range(3000)]
    flow = flow_of(lambda xs: map_task(picky, min_success_ratio=0.999)(xs))
    assert run(flow, {"xs": given}, store=store, durability="process").result == [None if x < 0 else x for x in given]


def test_X6_a_map_below_its_ratio_can_be_rescued(store):
    flow = flow_of(lambda xs: map_task(picky)(xs).on_error([7]))
    assert run(flow, {"xs": [1, -1]}, store=store).result == [7]


@every_engine
def test_R1_each_item_has_a_budget_of_its_own(engine, diary):
    @task(retries=1)
    def flaky(x: int) -> int:
        if note(diary, x) == 1:
            raise OSError("not yet")
        return x

    ended = run(flow_of(lambda xs: flaky.map(xs)), {"xs": [1, 2, 3]}, store="memory://maps", engine=engine, echo=False)
    assert ended.result == [1, 2, 3]
    assert noted(diary) == {"1": 2, "2": 2, "3": 2}
    assert [row.attempts for row in ended.nodes(items=True)][1:] == [2, 2, 2]


def test_R1_an_item_may_ask_for_another_attempt(store, diary):
    @task(retries=2)
    def polling(x: int) -> int:
        if note(diary, x) < 3:
            raise Retry(after=60)
        return x

    assert run(
        flow_of(lambda xs: polling.map(xs)), {"xs": [1, 2]}, store=store, clock=MockClock(), echo=False
    ).result == [1, 2]


def test_R2_a_time_out_stops_one_item_only(store, gate):
    path = gate("never").path

    @task(timeout=0.5)
    def stuck(x: int) -> int:
        if x == 1:
            open(path).close()
        return x

    ended = run(
        flow_of(lambda xs: map_task(stuck, min_success_ratio=0.5)(xs)),
        {"xs": [0, 1, 2]},
        store=store,
        engine="processes",
        echo=False,
    )
    assert ended.result == [0, None, 2]


@pytest.mark.full
@every_engine
def test_R3_items_share_cache_entries_with_plain_calls(tmp_path, engine, diary):
    @task(cache=True, cache_version="1")
    def cached(x: int) -> int:
        note(diary, x)
        return x * 10

    store = tmp_path / "store"
    assert run(cached, {"x": 2}, store=store, engine=engine, echo=False).result == 20
    ended = run(flow_of(lambda xs: cached.map(xs)), {"xs": [1, 2]}, store=store, engine=engine, echo=False)
    assert ended.result == [10, 20]
    assert {row.path: row.cached for row in ended.nodes(items=True)} == {
        "main/cached": False,
        "main/cached[0]": False,
        "main/cached[1]": True,
    }
    assert run(cached, {"x": 1}, store=store, engine=engine, echo=False).result == 10
    assert noted(diary) == {"1": 1, "2": 1}


def test_R3_two_constants_of_partial_are_two_cache_entries(store):
    @task(cache=True, cache_version="1")
    def times(x: int, by: int) -> int:
        return x * by

    for by in (2, 3):
        assert run(
            flow_of(lambda xs, by=by: map_task(partial(times, by=by))(xs)), {"xs": [1, 2]}, store=store
        ).result == [by, 2 * by]


def test_R3_of_equal_items_one_runs(store, diary):
    @task(cache=True, cache_version="1", cache_serialize=True)
    def cached(x: int) -> int:
        note(diary, x)
        return x

    flow = flow_of(lambda xs: cached.map(xs))
    assert run(flow, {"xs": [5] * 6}, store=store, engine="threads", max_parallelism=4, echo=False).result == [5] * 6
    assert noted(diary) == {"5": 1}


def test_X2_a_pool_bounds_the_items(store, diary, eventually):
    @task(pool="db")
    def query(x: int) -> int:
        note(diary, "+", x)
        note(diary, "-", x)
        return x

    flow = flow_of(lambda xs: query.map(xs))
    assert run(
        flow, {"xs": list(range(20))}, store=store, engine="threads", pools={"db": 1}, max_parallelism=6, echo=False
    ).result == list(range(20))
    assert at_most(diary) == 1


@every_engine
def test_X4_items_that_commit_one_by_one_come_to_the_same(engine):
    @task(commit="each")
    def careful(x: int) -> int:
        return x + 1

    flow = flow_of(lambda xs: total(map_task(careful, concurrency=2)(inc.map(xs))))
    assert run(flow, {"xs": [1, 2, 3]}, store="memory://maps", engine=engine, echo=False).result == 12


# --- signals ----------------------------------------------------------------------------------------------------------


@task
def largest_below(limit: int) -> int:
    last, one = current_context().loop_result or (1, 1)
    if one > limit:
        return last
    raise Loop((one, last + one))


@every_engine
def test_S1_items_loop_each_alone(engine):
    ended = run(
        flow_of(lambda xs: largest_below.map(xs)),
        {"xs": [10, 100, 1000, 1500]},
        store="memory://maps",
        engine=engine,
        echo=False,
    )
    assert ended.result == [8, 89, 987, 987]
    assert len(ended.nodes()) == 1
    rows = [row.path for row in ended.nodes(items=True)]
    assert rows[:3] == ["main/largest_below", "main/largest_below[0][=0]", "main/largest_below[0][=1]"]


def test_S2_a_failed_iteration_of_an_item_is_tried_again_alone(store, diary):
    @task(retries=1)
    def growing(x: int) -> int:
        context = current_context()
        now = x if context.loop_result is None else context.loop_result
        if note(diary, x, context.loop_index) == 1 and context.loop_index == 2:
            raise OSError("not yet")
        if context.loop_index == 2:
            return now
        raise Loop(now + 3)

    assert run(flow_of(lambda xs: growing.map(xs)), {"xs": [1, 20]}, store=store, echo=False).result == [7, 26]
    assert sum(noted(diary).values()) == 8


def test_S2_a_resume_goes_on_with_the_iteration_of_the_item_that_failed(store, diary):
    @task
    def counting(x: int) -> int:
        index = current_context().loop_index
        if note(diary, x, index) == 1 and (x, index) == (3, 2):
            raise OSError("not yet")
        if index == x:
            return (current_context().loop_result or 0) + x
        raise Loop((current_context().loop_result or 0) + x)

    ended = run(flow_of(lambda xs: total(counting.map(xs))), {"xs": [1, 2, 3]}, store=store, echo=False)
    assert (ended.state, ended.error.path) == ("FAILED", "main/counting[2][=2]")
    assert resume(ended.id, store=store, echo=False).result == 2 + 6 + 12
    assert {line: count for line, count in noted(diary).items() if count > 1} == {"3 2": 2}


@task
def skipping(x: int) -> int:
    if x == 2:
        raise Skip("two")
    return x


@every_engine
def test_S6_a_skipped_item_skips_the_map_or_is_none(engine):
    store = "memory://maps"
    ended = run(
        flow_of(lambda xs: total(skipping.map(xs)), gives=int),
        {"xs": [1, 2, 3]},
        store=store,
        engine=engine,
        echo=False,
    )
    assert items(ended) == {
        "skipping": "SKIPPED",
        "skipping[0]": "SUCCEEDED",
        "skipping[1]": "SKIPPED",
        "skipping[2]": "SUCCEEDED",
        "total": "SKIPPED",
    }
    flow = flow_of(lambda xs: map_task(skipping, min_success_ratio=0.9)(xs))
    assert run(flow, {"xs": [1, 2, 3]}, store=store, engine=engine, echo=False).result == [1, None, 3]


@task
def ending(ctx: Context, x: int) -> int:
    if x == 1:
        ctx.terminate("enough")
    return x


@task
def cancelling(ctx: Context, x: int) -> int:
    if x == 1:
        ctx.cancel("no good")
    return x


@every_engine
def test_S8_an_item_ends_the_run_as_any_task_does(engine):
    ended = run(
        flow_of(lambda xs: total(ending.map(xs))), {"xs": [0, 1, 2]}, store="memory://maps", engine=engine, echo=False
    )
    assert (ended.state, ended.reason) == ("TERMINATED", "enough")
    with pytest.raises(OutputUnavailable):
        _ = ended.result
    ended = run(
        flow_of(lambda xs: total(cancelling.map(xs))),
        {"xs": [0, 1, 2]},
        store="memory://maps",
        engine=engine,
        echo=False,
    )
    assert ended.state == "CANCELLED"
    with pytest.raises(WorkflowCancelled, match="no good") as caught:
        _ = ended.result
    assert "cancelling[1]" in str(caught.value)


@task
def counted(ctx: Context, x: int) -> int:
    ctx.channel().add("n", x)
    return x


@task
def count(ctx: Context, after: int) -> int:
    return ctx.channel().get("n")


@every_engine
def test_S7_items_add_to_the_channel_and_nothing_is_lost(engine):
    flow = flow_of(lambda xs: count(total(counted.map(xs))))
    assert run(flow, {"xs": list(range(50))}, store="memory://maps", engine=engine, echo=False).result == sum(range(50))


@task
def asking(ctx: Context, x: int) -> int:
    ctx.next_task(inc, x=x)
    return x


@every_engine
def test_S4_an_item_may_add_work_that_runs_before_what_follows_the_map(engine):
    ended = run(
        flow_of(lambda xs: total(asking.map(xs))), {"xs": [1, 2]}, store="memory://maps", engine=engine, echo=False
    )
    assert ended.result == 3
    assert sum("inc" in path for path in items(ended)) == 2


# --- size -------------------------------------------------------------------------------------------------------------


@task
def bytes_of(n: int) -> bytes:
    return b"%d" % (n % 10) * n


@task
def length(data: bytes) -> int:
    return len(data)


SIZES = [0, 10, 4095, 4096, 4097, 70_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, 5]


@every_engine
def test_B3_items_may_be_of_any_size(tmp_path, engine):
    flow = flow_of(lambda xs: length.map(bytes_of.map(xs)))
    assert run(flow, {"xs": SIZES}, store=tmp_path, engine=engine, echo=False, durability="process").result == SIZES


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2048, 2500])
def test_B3_there_are_as_many_chunks_as_it_takes(count):
    flow = flow_of(lambda xs: add.map(xs, numbers(count)))
    ended = run(flow, {"xs": list(range(count))}, store="memory://maps", durability="process")
    assert ended.result == [2 * x for x in range(count)]


@pytest.mark.full
def test_B3_a_hundred_thousand_items_take_bounded_memory(tmp_path):
    flow = flow_of(lambda xs: total(inc.map(numbers(xs[0]))))
    run(flow, {"xs": [10]}, store=tmp_path, durability="process")
    tracemalloc.start()
    try:
        ended = run(flow, {"xs": [5_000]}, store=tmp_path, durability="process")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ended.result == sum(range(5_001))
    assert peak < 8 << 20
    assert run(flow, {"xs": [100_000]}, store=tmp_path, durability="process").result == sum(range(100_001))


def test_X3_maps_leave_the_same_objects_on_every_engine(tmp_path):
    flow = flow_of(
        lambda xs: (
            total(inc.map(numbers(1500))),
            map_task(picky, min_success_ratio=0.5)(xs),
            grown.map(xs),
            bytes_of.map([5000, 5001]),
        )
    )
    found = []
    for engine in ENGINES:
        folder = tmp_path / engine
        run(flow, {"xs": [2, 3, 0, 4]}, store=folder, engine=engine, echo=False, run_id="same", durability="process")
        found.append(sorted(path.name for path in (folder / "objects").rglob("*") if path.is_file()))
    assert found[0] == found[1] == found[2] != []


# --- resumes ----------------------------------------------------------------------------------------------------------


@every_engine
def test_B4_a_resume_runs_only_what_is_missing_with_whole_budgets(tmp_path, engine, diary):
    @task(retries=1)
    def flaky(x: int) -> int:
        if note(diary, x) <= 3 and x in (1, 3):
            raise OSError("not yet")
        return x

    flow, store = flow_of(lambda xs: total(flaky.map(xs))), tmp_path / "store"
    ended = run(flow, {"xs": [0, 1, 2, 3]}, store=store, engine=engine, echo=False)
    assert (ended.state, ended.error.path, ended.error.attempt) == ("FAILED", "main/flaky[1]", 2)
    again = resume(ended.id, store=store, target=flow, engine=engine, echo=False)
    assert again.result == 6
    assert noted(diary) == {"0": 1, "1": 4, "2": 1, "3": 4}


def test_B4_failures_that_a_ratio_forgave_are_not_tried_again_by_a_resume_of_what_follows(store, diary):
    @task
    def noisy(x: int) -> int:
        note(diary, x)
        return picky.function(x)

    @task
    def follow(xs: list[int | None]) -> int:
        if note(diary, "follow") == 1:
            raise OSError("not yet")
        return sum(x or 0 for x in xs)

    flow = flow_of(lambda xs: follow(map_task(noisy, min_success_ratio=0.5)(xs)))
    ended = run(flow, {"xs": [1, -2, 3]}, store=store, echo=False)
    assert ended.state == "FAILED"
    assert resume(ended.id, store=store, echo=False).result == 4
    assert noted(diary) == {"1": 1, "-2": 1, "3": 1, "follow": 2}


def test_B4_a_failed_item_that_is_a_workflow_is_taken_up_where_it_failed(store, diary):
    @task
    def second(x: int) -> int:
        if note(diary, "second", x) == 1 and x == 2:
            raise OSError("not yet")
        return x

    @task
    def first(x: int) -> int:
        note(diary, "first", x)
        return x + 1

    @workflow
    def both(x: int) -> int:
        return second(first(x))

    ended = run(flow_of(lambda xs: both.map(xs)), {"xs": [0, 1, 2]}, store=store, echo=False)
    assert (ended.state, ended.error.path) == ("FAILED", "main/both[1]/second")
    assert resume(ended.id, store=store, echo=False).result == [1, 2, 3]
    assert {line: count for line, count in noted(diary).items() if count > 1} == {"second 2": 2}


def test_J1_a_map_is_resumed_from_a_snapshot_in_its_middle(store, diary):
    @task
    def fragile(x: int) -> int:
        if x == 12_500 and note(diary, "begun") == 1:
            raise KeyboardInterrupt
        return x + 1

    flow = flow_of(lambda xs: total(fragile.map(numbers(14_000))))
    with pytest.raises(KeyboardInterrupt):
        run(flow, {"xs": []}, store=store, run_id="r", durability="process", echo=False)
    assert History(store, "r").state == "INTERRUPTED"
    assert resume("r", store=store, target=flow, durability="process", echo=False).result == sum(range(14_001))
    assert noted(diary) == {"begun": 2}


KILLED = """
    import os, sys
    from promissory import resume, run
    from promissory import task, workflow

    @task
    def numbers(n: int) -> list[int]:
        return list(range(n))

    @task
    def body(x: int) -> int:
        descriptor = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{x}\\n".encode())
        os.close(descriptor)
        return x + 1

    @task
    def total(xs: list[int]) -> int:
        return sum(xs)

    @workflow
    def flow(n: int) -> int:
        return total(body.map(numbers(n)))
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J1_after_a_kill_in_the_middle_of_a_map_nothing_committed_runs_again(project, eventually, engine):
    project.write("killed.py", KILLED)
    program = (
        f"import killed; killed.run(killed.flow, {{'n': 6000}}, run_id='r', engine={engine!r}, echo=False, "
        "durability='process')"
    )
    process = project.spawn("-c", program)
    eventually(lambda: len(project.lines("diary")) > 2500, "2,500 bodies")
    process.send_signal(signal.SIGKILL)
    process.wait()
    history = History(project.store, "r", True)
    done = {
        int(row.path.partition("[")[2][:-1])
        for row in history.nodes(items=True)
        if row.path.startswith("main/body[") and row.state == "SUCCEEDED"
    }
    assert 0 < len(done) < 6000
    program = (
        f"import killed; print(killed.resume('r', engine={engine!r}, echo=False, durability='process', "
        "take_over=True).result)"
    )
    assert project.code(program).split() == [str(sum(range(6001)))]
    bodies = Counter(map(int, project.lines("diary")))
    assert set(bodies) == set(range(6000))
    assert not [x for x in done if bodies[x] > 1]


@pytest.mark.parametrize(
    "body",
    [
        lambda xs: total(inc.map(inc.map(xs))),
        lambda xs: map_task(picky, min_success_ratio=0.5, concurrency=2)(xs),
        lambda xs: grown.map(xs),
        lambda xs: map_task(twice, concurrency=1)(xs),
        lambda xs: map_task(map_task(picky, min_success_ratio=0.5), concurrency=1)([[1, -1], [2, 3], xs]),
        lambda xs: largest_below.map(xs),
        lambda xs: tree(2),
        lambda xs: map_task(skipping, min_success_ratio=0.5)(xs),
        lambda xs: total(picky.map([1, -1, -2, 4])),
        lambda xs: total(picky.map([1, -1, -2, 4])).on_error(3),
    ],
)
def test_J1_every_state_of_a_small_map_is_rebuilt_from_the_journal(body):
    with always_replay():
        assert run(flow_of(body), {"xs": [1, 2, 3]}, store="memory://maps", echo=False).state in ("SUCCEEDED", "FAILED")


# --- rows -------------------------------------------------------------------------------------------------------------


def test_X8_a_map_is_one_row_with_its_items_counted_and_each_item_a_row_on_request(store):
    ended = run(mapped, {"xs": [1, 2, 3]}, store=store)
    (row,) = ended.nodes()
    assert (row.path, row.state, row.kind, row.items) == ("main/inc", "SUCCEEDED", "map", (3, 3))
    assert [one.path for one in ended.nodes(items=True)] == ["main/inc", "main/inc[0]", "main/inc[1]", "main/inc[2]"]
    assert [one.attempts for one in ended.nodes(items=True)[1:]] == [1, 1, 1]


def test_X8_items_of_later_chunks_are_numbered_on(store):
    flow = flow_of(lambda xs: map_task(picky, min_success_ratio=0.0)(xs))
    ended = run(flow, {"xs": [-1 if x == 1700 else x for x in range(2000)]}, store=store, durability="process")
    paths = [row.path for row in ended.nodes(items=True)][1:]
    assert paths == [f"main/picky[{x}]" for x in range(2000)]
    assert [row.path for row in ended.nodes(items=True) if row.state == "FAILED"] == ["main/picky[1700]"]


def test_X6_a_failure_in_a_later_chunk_is_reported_with_its_number_in_the_list(store):
    ended = run(
        flow_of(lambda xs: picky.map(xs)),
        {"xs": [-1 if x == 1700 else x for x in range(2000)]},
        store=store,
        durability="process",
    )
    with pytest.raises(RunFailed, match=r"^main/picky\[1700\] failed: ValueError: -1 is negative"):
        _ = ended.result


# --- beside maps ------------------------------------------------------------------------------------------------------


PRINTING = """
    from promissory import run
    from promissory import task, workflow

    @task
    def inc(x: int) -> int:
        return x + 1

    @workflow
    def flow(xs: list[int]) -> list[int]:
        return inc.map(xs)

    for number in range(400):
        run(flow, {"xs": list(range(20))}, store=f"memory://{number}", engine="threads", echo=False)
        print(number, flush=True)
"""


@pytest.mark.full
def test_X5_a_program_may_print_between_its_runs_on_threads(project):
    project.write("printing.py", PRINTING)
    assert project.python("printing.py").split() == [str(number) for number in range(400)]
