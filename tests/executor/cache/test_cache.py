"""R3: what makes two calls equal, what is kept and when it is seen; A11: closures.

A cached outcome is `cached` (X8).
"""

import itertools
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promissory import Store, dynamic, promise, resume, run, task, workflow
from promissory.errors import RunFailed
from promissory.executor.cache.entries import entries
from promissory.executor.store.keys import object_key
from promissory.planner.plan.model import Large
from promissory.testing import Crashed, MockClock, crash_at


@pytest.fixture
def memory():
    return f"memory://cache-{uuid.uuid4().hex}"


@pytest.fixture
def ran():
    """What bodies of this file wrote down, for this test alone."""
    RAN.clear()
    return RAN


RAN: list[Any] = []


def cached_of(ended):
    return {row.path: row.cached for row in ended.nodes()}


def keys(store):
    return [key for key, _ in entries(Store(store) if isinstance(store, str) else store)]


@task(cache=True)
def square(x: int) -> int:
    RAN.append(x)
    return x * x


@task
def plain(x: int) -> int:
    RAN.append(("plain", x))
    return x


# --- the key ---

BASE = """
from dataclasses import dataclass
from promissory import task, workflow

ran = []

@dataclass
class Row:
    a: int

@task(cache=True, cache_version="1", cache_ignore=("debug",))
def work(x: int, y: int = 1, debug: bool = False) -> int:
    ran.append((x, y))
    return x + y

@task(cache=True)
def rows(x: int) -> Row:
    ran.append(x)
    return Row(x)

@workflow
def flow(x: int, y: int, debug: bool) -> int:
    return work(x, y, debug)

@workflow
def defaulted(x: int) -> int:
    return work(x)
"""


def runs_again(write_module, memory, after, inputs=None, before=BASE):
    """Whether a second run, of other code or with other inputs, runs the body."""
    run(write_module("flow", before).flow, {"x": 1, "y": 1, "debug": False}, store=memory, echo=False)
    module = write_module("flow", after)
    ended = run(module.flow, {"x": 1, "y": 1, "debug": False, **(inputs or {})}, store=memory, echo=False)
    assert ended.state == "SUCCEEDED"
    assert cached_of(ended) == {"main/work": not module.ran}
    return bool(module.ran)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def work(x: int, y: int = 1", "def work(x: int, y: int | float = 1"),
        ("debug: bool = False) -> int", "debug: bool = False) -> float"),
        ("debug: bool = False) -> int", "debug: bool = False, more: int = 0) -> int"),
        ('cache_version="1"', 'cache_version="2"'),
        ('cache_ignore=("debug",)', "cache_ignore=()"),
    ],
    ids=["a parameter's type", "the result's type", "a new parameter", "the version", "what is ignored"],
)
def test_R3_a_change_of_what_makes_calls_equal_runs_the_body_again(write_module, memory, old, new):
    assert runs_again(
        write_module, memory, BASE.replace(old, new).replace("-> int:\n    return work", "-> float:\n    return work")
    )


def test_R3_another_task_of_the_same_code_is_another_call(memory, ran):
    def twin(x: int) -> int:
        RAN.append(x)
        return x * x

    for name in ("one", "other"):
        twin.__qualname__ = twin.__name__ = name
        run(task(cache=True)(twin), {"x": 2}, store=memory, echo=False)
    assert ran == [2, 2]


@pytest.mark.parametrize("inputs", [{"x": 2}, {"y": 2}], ids=["one input", "the other"])
def test_R3_another_input_runs_the_body_again(write_module, memory, inputs):
    assert runs_again(write_module, memory, BASE, inputs)


def test_R3_an_ignored_input_makes_no_difference(write_module, memory):
    assert not runs_again(write_module, memory, BASE, {"debug": True})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return x + y", "return y + x  # the author says that the version stays"),
        ("cache=True, cache_version", "cache=True, retries=3, cache_version"),
        ('cache_version="1", ', ""),
    ],
    ids=["the body under the same version", "retries", "the default version left out"],
)
def test_R3_what_is_not_in_the_key_makes_no_difference(write_module, memory, old, new):
    assert not runs_again(write_module, memory, BASE.replace(old, new))


def test_R3_a_default_is_the_value_that_it_is(write_module, memory):
    module = write_module("flow", BASE)
    run(module.flow, {"x": 1, "y": 1, "debug": True}, store=memory, echo=False)
    assert run(module.defaulted, {"x": 1}, store=memory, echo=False).result == 2
    assert module.ran == [(1, 1)]


def test_R3_a_field_more_in_a_class_that_it_gives_runs_the_body_again(write_module, memory):
    first = write_module("flow", BASE)
    run(first.rows, {"x": 1}, store=memory, echo=False)
    second = write_module("flow", BASE.replace("    a: int\n", "    a: int\n    b: int = 0\n"))
    assert run(second.rows, {"x": 1}, store=memory, echo=False).result == second.Row(1, 0)
    assert second.ran == [1]


@dataclass
class AcrossFirst:
    across: int
    down: int


@dataclass
class DownFirst:
    down: int
    across: int


@task
def across_first(across: int, down: int) -> AcrossFirst:
    return AcrossFirst(across, down)


@task
def down_first(across: int, down: int) -> DownFirst:
    return DownFirst(down, across)


def test_R3_a_field_of_one_class_is_not_taken_for_the_same_bytes_of_another(memory, ran):
    """The two values are the same bytes, and `.across` is another part of them."""

    @workflow
    def first() -> int:
        return square(across_first(1, 2).across)

    @workflow
    def second() -> int:
        return square(down_first(2, 1).across)

    assert run(first, store=memory, echo=False).result == 1
    assert run(second, store=memory, echo=False).result == 4


@task(cache=True)
def total(values: list[int]) -> int:
    RAN.append(values)
    return sum(values)


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


def test_R3_an_input_that_is_put_together_is_told_by_what_it_is_put_together_from(memory, ran):
    @workflow
    def joined(x: int) -> int:
        return total([plain(x), 2, square(x)])

    assert run(joined, {"x": 3}, store=memory, echo=False).result == 14
    again = run(joined, {"x": 3}, store=memory, echo=False)
    assert (again.result, cached_of(again)["main/total"]) == (14, True)
    assert run(joined, {"x": 4}, store=memory, echo=False).result == 22


def test_R3_the_order_in_which_an_input_is_put_together_counts(memory, ran):
    @task(cache=True)
    def first_of(values: list[int]) -> int:
        return values[0]

    @workflow
    def one() -> int:
        return first_of([plain(1), plain(2)])

    @workflow
    def other() -> int:
        return first_of([plain(2), plain(1)])

    assert [run(flow, store=memory, echo=False).result for flow in (one, other)] == [1, 2]


def test_R3_a_whole_number_where_a_float_is_wanted_is_that_float(memory):
    @task(cache=True)
    def half(x: float) -> str:
        return repr(x / 2)

    @workflow
    def flow() -> list[str]:
        return [half(plain(3)), half(3.0), half(3)]

    assert run(flow, store=memory, echo=False).result == ["1.5", "1.5", "1.5"]


@pytest.mark.parametrize(
    ("first", "second"),
    [(0.0, -0.0), (1, True), ("1", 1), (b"a", "a"), ([1], (1,)), ({1: 2}, {"1": 2}), (None, False), (1, 1.0)],
    ids=repr,
)
def test_R3_values_that_python_tells_apart_are_other_inputs(memory, first, second):
    @task(cache=True)
    def told(x: Any) -> str:
        return repr(x)

    assert [run(told, {"x": value}, store=memory, echo=False).result for value in (first, second)] == [
        repr(first),
        repr(second),
    ]


def test_R3_a_dict_in_another_order_is_another_input(memory):
    @task(cache=True)
    def told(x: dict[str, int]) -> str:
        return " ".join(x)

    assert run(told, {"x": {"a": 1, "b": 2}}, store=memory, echo=False).result == "a b"
    assert run(told, {"x": {"b": 2, "a": 1}}, store=memory, echo=False).result == "b a"


@pytest.mark.parametrize(
    "value", [None, 0, "", [], False, float("nan"), "x" * 100_000], ids=lambda value: repr(value)[:10]
)
def test_R3_any_result_is_kept_also_one_that_is_nothing(memory, ran, value):
    @task(cache=True)
    def gives(x: int) -> Any:
        RAN.append(x)
        return value

    results = [run(gives, {"x": 1}, store=memory, echo=False).result for _ in range(2)]
    assert repr(results) == repr([value, value])
    assert ran == [1]


def test_X1_what_is_taken_from_the_cache_is_each_consumers_own(memory, ran):
    @task(cache=True)
    def made(x: int) -> list[int]:
        RAN.append(x)
        return [x]

    @task
    def spoils(values: list[int]) -> list[int]:
        values.append(99)
        return values

    @workflow
    def flow() -> list[list[int]]:
        return [spoils(made(1)), spoils(made(1)), made(1)]

    for _ in range(2):
        assert run(flow, store=memory, echo=False).result == [[1, 99], [1, 99], [1]]
    assert ran == [1]


# --- what is kept, and when ---


def test_R3_only_success_is_cached(memory, ran):
    @task(cache=True)
    def risky(x: int) -> int:
        RAN.append(x)
        raise ValueError("no")

    for _ in range(2):
        assert run(risky, {"x": 1}, store=memory, echo=False).state == "FAILED"
    assert (ran, keys(memory)) == ([1, 1], [])


def test_R3_a_result_after_failed_attempts_is_cached(memory, ran):
    """Identity never holds the number of an attempt (Nextflow #591)."""

    @task(cache=True, retries=2, retry_delay=60)
    def flaky(x: int) -> int:
        RAN.append(x)
        if len(RAN) < 3:
            raise OSError("not yet")
        return x

    assert run(flaky, {"x": 1}, store=memory, clock=MockClock(), echo=False).result == 1
    again = run(flaky, {"x": 1}, store=memory, echo=False)
    [row] = again.nodes()
    assert (again.result, row.cached, row.attempts, len(ran)) == (1, True, 0, 3)


def test_R3_a_result_of_another_type_than_declared_is_not_cached(memory):
    @task(cache=True)
    def wrong(x: int) -> int:
        return "text"  # type: ignore[return-value]

    assert run(wrong, {"x": 1}, store=memory, echo=False).state == "FAILED"
    assert keys(memory) == []


@pytest.mark.parametrize("point", ["journal.objects-synced", "journal.segment-written", "cache.before-write"])
def test_R3_an_entry_is_seen_only_when_its_outcome_is_committed(memory, ran, point):
    with crash_at(point), pytest.raises(Crashed):
        run(square, {"x": 3}, store=memory, run_id="crashed", echo=False)
    assert keys(memory) == []
    assert resume("crashed", store=memory, echo=False).result == 9


def test_R3_whoever_is_woken_by_a_completion_sees_the_memo(memory, ran):
    """Before anything of it is committed: the second call comes up in the same round (Parsl #3762)."""

    @workflow
    def chain() -> list[int]:
        first = square(5)
        nexts = [promise(square(5)) for _ in range(3)]
        for one in nexts:
            first >> one
        return [first, *nexts]

    ended = run(chain, store=memory, echo=False)
    assert ended.result == [25] * 4
    assert ran == [5]
    assert sorted(cached_of(ended).values()) == [False, True, True, True]


def test_R3_calls_that_are_not_cached_are_two_calls_and_run_twice(memory, ran):
    @workflow
    def both() -> list[int]:
        return [plain(1), plain(1)]

    run(both, store=memory, echo=False)
    assert ran == [("plain", 1)] * 2


def test_R3_a_store_of_its_own_knows_nothing(memory, ran):
    run(square, {"x": 2}, store=memory, echo=False)
    run(square, {"x": 2}, store=memory + "-other", echo=False)
    assert ran == [2, 2]


def test_R3_a_call_outside_a_run_is_a_plain_call(ran):
    assert [square(2), square(2)] == [4, 4]
    assert ran == [2, 2]


@pytest.mark.parametrize("wanted", [True, False])
def test_R3_one_call_may_say_otherwise_than_its_task(memory, ran, wanted):
    @workflow
    def flow() -> int:
        return promise((plain if wanted else square)(2)).with_overrides(cache=wanted)

    for _ in range(2):
        run(flow, store=memory, echo=False)
    assert len(ran) == (1 if wanted else 2)


def test_R3_a_hit_counts_as_done_and_its_successors_run(memory, ran):
    @workflow
    def flow(x: int) -> int:
        return plain(square(x))

    run(flow, {"x": 2}, store=memory, echo=False)
    ended = run(flow, {"x": 2}, store=memory, echo=False)
    assert ended.result == 4
    assert [(row.state, row.cached, row.attempts) for row in ended.nodes()] == [
        ("SUCCEEDED", True, 0),
        ("SUCCEEDED", False, 1),
    ]


def test_X8_a_cached_node_says_so_in_each_runs_own_history(store, ran):
    run(square, {"x": 2}, store=store, run_id="first", echo=False)
    run(square, {"x": 2}, store=store, run_id="second", echo=False)
    assert [cached_of(resume(name, store=store, echo=False)) for name in ("first", "second")] == [
        {"main/square": False},
        {"main/square": True},
    ]


# --- dynamics ---


@dynamic(cache=True)
def grows(x: int) -> int:
    RAN.append(("grows", x))
    return plain(plain(x))


def test_R3_a_dynamic_caches_its_result(memory, ran):
    first = run(grows, {"x": 1}, store=memory, echo=False)
    second = run(grows, {"x": 1}, store=memory, echo=False)
    assert (first.result, second.result) == (1, 1)
    assert list(cached_of(second)) == ["main/grows"], "nothing is expanded"
    assert ran.count(("grows", 1)) == 1


DYNAMIC = """
import os
from promissory import dynamic, task, workflow

def began(what):
    with open("began", "a") as file:
        file.write(what + "\\n")

@task
def waits(x: int, gate: str) -> int:
    began("waits")
    open(gate).read()
    return x + 1

@task
def after(x: int) -> int:
    began("after")
    return x * 10

@dynamic(cache=True, cache_ignore=("gate",))
def grows(x: int, gate: str) -> int:
    began("grows")
    return after(waits(x, gate))

@workflow
def flow(x: int, gate: str) -> int:
    return grows(x, gate)
"""
RUN_DYNAMIC = """
import sys
from promissory import run
from flow import flow
print(run(flow, {"x": 1, "gate": sys.argv[2]}, run_id=sys.argv[1], engine="ENGINE").result)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R3_after_kill_9_in_a_dynamics_frame_another_run_takes_its_futures_file(project, gate, eventually, engine):
    project.write("flow.py", DYNAMIC)
    held = gate()
    source = RUN_DYNAMIC.replace("ENGINE", engine)
    killed = project.spawn("-c", source, "killed", held.path)
    held.reached()
    eventually(lambda: keys(project.store), "the entry of the futures file")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    held.open()
    Path(held.path).unlink()
    Path(held.path).touch()  # from now on nobody is held
    [(_, entry)] = entries(project.store)
    assert (entry.futures is not None, entry.value, entry.run_id, entry.path) == (True, None, "killed", "main/grows")
    assert project.python("-c", source, "other", held.path) == "20\n"
    assert project.lines("began").count("grows") == 1
    assert project.lines("began").count("after") == 1


REPAIRED = """
from promissory import dynamic, task, workflow

@task
def leaf(x: int) -> int:
    raise ValueError("to be repaired")

@dynamic(cache=True)
def grows(x: int) -> int:
    return leaf(x)

@workflow
def flow(x: int) -> int:
    return grows(x)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_R3_a_futures_file_whose_tasks_have_changed_since_does_not_hinder_a_new_run(project, engine):
    source = (
        "from promissory import run; from flow import flow; "
        f"ended = run(flow, {{'x': 1}}, engine='{engine}', echo=False)"
    )
    source += "; print(ended.state, ended.error)"
    project.write("flow.py", REPAIRED)
    assert project.code(source).startswith("FAILED")
    project.write("flow.py", REPAIRED.replace('raise ValueError("to be repaired")', "return x + 1"))
    assert project.code(source) == "SUCCEEDED None\n"


def test_R3_a_dynamic_that_creates_no_nodes_is_cached_too(memory, ran):
    @dynamic(cache=True)
    def plain_value(x: int) -> int:
        RAN.append(x)
        return x + 1

    assert [run(plain_value, {"x": 1}, store=memory, echo=False).result for _ in range(2)] == [2, 2]
    assert ran == [1]


@dynamic(cache=True)
def fibonacci(n: int) -> int:
    RAN.append(n)
    return add(fibonacci(n - 1), fibonacci(n - 2)) if n > 1 else n


@task
def add(a: int, b: int) -> int:
    return a + b


def test_R3_a_later_run_takes_the_largest_part_that_is_known(memory, ran):
    run(fibonacci, {"n": 8}, store=memory, echo=False)
    ran.clear()
    ended = run(fibonacci, {"n": 9}, store=memory, echo=False)
    assert (ended.result, ran) == (34, [9])
    assert len(cached_of(ended)) == 4


@dynamic(cache=True, max_depth=500)
def counts(n: int, by: int) -> int:
    RAN.append(n)
    return counts(n - 1, by) if n else by


def test_R3_each_level_of_a_cached_tail_recursion_is_kept(memory, ran):
    assert run(counts, {"n": 200, "by": 7}, store=memory, max_depth=500, echo=False).result == 7
    ran.clear()
    ended = run(counts, {"n": 201, "by": 7}, store=memory, max_depth=500, echo=False)
    assert (ended.result, ran) == (7, [201])


def test_R3_a_cached_dynamic_whose_last_call_is_not_cached_keeps_its_result(memory, ran):
    @dynamic
    def inner(n: int) -> int:
        return inner(n - 1) if n else plain(5)

    @dynamic(cache=True)
    def outer(n: int) -> int:
        RAN.append("outer")
        return inner(n)

    for _ in range(2):
        assert run(outer, {"n": 20}, store=memory, echo=False).result == 5
    assert ran == ["outer", ("plain", 5)]


@workflow
def same(x: int) -> int:
    return x


@dynamic(cache=True)
def through(x: int) -> int:
    return same(x)


def test_R3_a_frame_that_ends_as_it_opens_leaves_a_memo_too(memory, ran):
    @workflow
    def flow() -> int:
        first = promise(through(1))
        second = promise(through(1))
        first >> second
        return second

    ended = run(flow, store=memory, echo=False)
    assert cached_of(ended) == {"main/through": False, "main/through/same": False, "main/through~2": True}


def test_R3_a_cached_dynamic_gives_joints(memory, ran):
    @dynamic(cache=True)
    def many(n: int) -> dict[str, list[int]]:
        RAN.append("many")
        return {"squares": [square(i) for i in range(n)], "plain": [plain(n), 1]}

    for _ in range(2):
        assert run(many, {"n": 3}, store=memory, echo=False).result == {"squares": [0, 1, 4], "plain": [3, 1]}
    assert ran.count("many") == 1


def test_R3_cached_calls_in_nested_workflows_and_dynamics_share_what_they_know(memory, ran):
    @workflow
    def inner(x: int) -> int:
        return square(x)

    @dynamic
    def emits(x: int) -> int:
        return add(square(x), inner(x))

    @workflow
    def outer(x: int) -> list[int]:
        first = inner(x)
        second = emits(first)
        third = promise(inner(x))
        promise(second) >> third
        return [first, second, third]

    assert run(outer, {"x": 2}, store=memory, echo=False).result == [4, 32, 4]
    assert ran[0] == 2, "the third call of the workflow took what the first one gave"
    assert ran.count(2) == 1


def test_R3_a_dynamic_that_a_resume_brings_to_its_end_is_cached(memory, ran):
    broken = [True]
    BROKEN[:] = broken
    assert run(mended, {"x": 1}, store=memory, run_id="mended", echo=False).state == "FAILED"
    BROKEN.clear()
    assert resume("mended", store=memory, echo=False).result == 1
    again = run(mended, {"x": 1}, store=memory, echo=False)
    assert (again.result, list(cached_of(again))) == (1, ["main/mended"])


BROKEN: list[bool] = []


@task
def breaks(x: int) -> int:
    if BROKEN:
        raise ValueError("broken")
    return x


@dynamic(cache=True)
def mended(x: int) -> int:
    RAN.append("mended")
    return breaks(x)


def test_R3_a_resume_takes_what_is_cached_meanwhile(memory, ran):
    @workflow
    def flow(x: int) -> int:
        return square(breaks(x))

    BROKEN.append(True)
    run(flow, {"x": 6}, store=memory, run_id="waiting", echo=False)
    BROKEN.clear()
    run(square, {"x": 6}, store=memory, echo=False)
    ended = resume("waiting", store=memory, echo=False)
    assert (ended.result, ran, cached_of(ended)["main/square"]) == (36, [6], True)


def test_R3_what_a_crash_kept_from_the_cache_the_resume_brings_there(memory, ran):
    with crash_at("cache.before-write"), pytest.raises(Crashed):
        run(square, {"x": 3}, store=memory, run_id="crashed", echo=False)
    resume("crashed", store=memory, echo=False)
    run(square, {"x": 3}, store=memory, echo=False)
    assert ran == [3]


def test_R3_with_commit_each_a_hit_is_a_hit(memory, ran):
    @task(cache=True, commit="each")
    def careful(x: int) -> int:
        RAN.append(x)
        return x

    @workflow
    def flow(x: int) -> list[int]:
        first = promise(careful(x))
        second = promise(careful(x))
        first >> second
        return [first, second]

    for _ in range(2):
        assert run(flow, {"x": 1}, store=memory, echo=False).result == [1, 1]
    assert ran == [1]
    [(_, entry)] = entries(Store(memory))
    assert entry.path == "main/careful"


# --- large values, and damage ---


@task(cache=True)
def large(n: int) -> list[int]:
    RAN.append(n)
    return list(range(n))


def entry_and_value(store):
    [(key, entry)] = entries(store)
    assert isinstance(entry.value, Large)
    return key, object_key(entry.value.digest)


def test_R3_a_large_value_is_an_object_that_entries_share_with_runs(store, ran):
    assert (
        run(large, {"n": 20_000}, store=store, echo=False).result
        == run(large, {"n": 20_000}, store=store, echo=False).result
    )
    assert ran == [20_000]
    assert len(store.get(entry_and_value(store)[0])) < 4096


def test_R3_an_entry_whose_value_is_gone_counts_as_none_and_is_written_anew(store, ran):
    expected = run(large, {"n": 20_000}, store=store, echo=False).result
    store.delete(entry_and_value(store)[1])
    for _ in range(2):
        assert run(large, {"n": 20_000}, store=store, echo=False).result == expected
    assert ran == [20_000] * 2


def test_R3_an_entry_whose_value_is_damaged_counts_as_none_and_is_written_anew(store, ran):
    @workflow
    def flow(n: int) -> int:
        return total(large(n))

    expected = run(flow, {"n": 20_000}, store=store, echo=False).result
    [entry] = [entry for _, entry in entries(store) if isinstance(entry.value, Large)]
    for key, one in list(entries(store)):
        if one.task.endswith("total"):
            store.delete(key)
    data = bytearray(store.get(object_key(entry.value.digest)))
    data[len(data) // 2] ^= 1
    store.put(object_key(entry.value.digest), bytes(data))
    assert run(flow, {"n": 20_000}, store=store, echo=False).result == expected


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda data: b"text",
    ],
    ids=["empty", "torn", "flipped", "other"],
)
@pytest.mark.full(keep=2)
def test_R3_a_damaged_entry_counts_as_none_and_is_written_anew(store, ran, damage):
    run(square, {"x": 3}, store=store, echo=False)
    [key] = keys(store)
    whole = store.get(key)
    store.put(key, damage(whole))
    results = [run(square, {"x": 3}, store=store, echo=False).result for _ in range(2)]
    assert (results, ran) == ([9, 9], [3, 3])
    assert [entry is not None for _, entry in entries(store)] == [True]


def test_R3_an_entry_under_another_key_is_not_believed(store, ran):
    run(square, {"x": 3}, store=store, echo=False)
    [three] = keys(store)
    data = store.get(three)
    run(square, {"x": 4}, store=store, echo=False)
    [four] = [key for key in keys(store) if key != three]
    store.put(four, data)
    assert run(square, {"x": 4}, store=store, echo=False).result == 16


@dynamic(cache=True)
def large_literal(x: int) -> int:
    RAN.append("body")
    return breaks_after(list(range(5000)), x)


@task
def breaks_after(values: list[int], x: int) -> int:
    if BROKEN:
        raise ValueError("broken")
    return sum(values) + x


def test_R3_a_futures_file_whose_literals_are_gone_counts_as_none(store, ran):
    BROKEN.append(True)
    assert run(large_literal, {"x": 1}, store=store, run_id="first", echo=False).state == "FAILED"
    BROKEN.clear()
    objects = [key for folder in store.list("objects") for key in store.list(folder)]
    assert objects
    for key in objects:
        store.delete(key)
    assert run(large_literal, {"x": 1}, store=store, echo=False).result == sum(range(5000)) + 1
    assert ran == ["body", "body"]


# --- engines and stores ---

ENGINES = """
from promissory import dynamic, task, workflow

@task(cache=True)
def block(n: int) -> list[int]:
    return list(range(n))

@task(cache=True)
def total(values: list[int]) -> int:
    return sum(values)

@dynamic(cache=True)
def grows(n: int) -> list[int]:
    return [total(block(n)), total([1, n]), *([grows(0)[0]] if n else [])]

@workflow
def flow(n: int) -> list[int]:
    return grows(n)
"""


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_R3_equal_calls_have_one_key_on_every_engine(write_module, tmp_path, memory, kind):
    module = write_module("flow", ENGINES)
    found = {}
    for engine in ("inline", "threads", "processes"):
        store = Store(tmp_path / engine) if kind == "file" else Store(f"{memory}-{engine}")
        ended = run(
            module.flow, {"n": 5000}, store=store, engine=engine, max_parallelism=2, durability="process", echo=False
        )
        assert ended.result == [sum(range(5000)), 5001, 0]
        found[engine] = sorted(keys(store))
    assert found["inline"] == found["threads"] == found["processes"]


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(["inline", "threads", "processes"], 2)])
def test_R3_what_one_engine_kept_another_takes(write_module, memory, first, second):
    module = write_module("flow", ENGINES)
    one, other = (
        run(module.flow, {"n": 5000}, store=memory, engine=engine, max_parallelism=2, echo=False)
        for engine in (first, second)
    )
    assert one.result == other.result
    assert list(cached_of(other).values()) == [True]


# --- closures ---


def multiplier(k):
    @task(cache=True)
    def times(x: int) -> int:
        RAN.append(k)
        return x * k

    return times


def test_A11_closures_of_one_name_do_not_take_each_others_results(memory, ran):
    two, three = multiplier(2), multiplier(3)

    @workflow
    def flow(x: int) -> list[int]:
        return [two(x), three(x), two(x)]

    for _ in range(2):
        assert run(flow, {"x": 10}, store=memory, echo=False).result == [20, 30, 20]
    assert sorted(ran) == [2, 3]


def uncached_multiplier(k):
    @task
    def times(x: int) -> int:
        return x * k

    return times


def test_A11_closures_that_are_cached_for_one_call_do_not_take_each_others_results(memory):
    two, three = uncached_multiplier(2), uncached_multiplier(3)

    @workflow
    def flow(x: int) -> list[int]:
        return [promise(two(x)).with_overrides(cache=True), promise(three(x)).with_overrides(cache=True)]

    assert run(flow, {"x": 10}, store=memory, echo=False).result == [20, 30]


def test_A11_closures_whose_version_one_call_overrides_do_not_take_each_others_results(memory):
    two, three = multiplier(2), multiplier(3)

    @workflow
    def flow(x: int) -> list[int]:
        return [promise(two(x)).with_overrides(cache_version="7"), promise(three(x)).with_overrides(cache_version="7")]

    assert run(flow, {"x": 10}, store=memory, echo=False).result == [20, 30]


def test_R3_the_code_version_for_one_call_is_of_the_code(write_module, memory):
    source = """
    from promissory import promise, task, workflow

    @task
    def work(x: int) -> int:
        return x + 1

    @workflow
    def flow(x: int) -> int:
        return promise(work(x)).with_overrides(cache=True, cache_version="code")
    """
    assert run(write_module("flow", source).flow, {"x": 1}, store=memory, echo=False).result == 2
    assert (
        run(write_module("flow", source.replace("x + 1", "x + 1000")).flow, {"x": 1}, store=memory, echo=False).result
        == 1001
    )


def test_R3_a_failure_keeps_what_was_done_before_it(memory, ran):
    @workflow
    def flow(x: int) -> int:
        return breaks(square(x))

    BROKEN.append(True)
    ended = run(flow, {"x": 3}, store=memory, echo=False)
    BROKEN.clear()
    with pytest.raises(RunFailed):
        _ = ended.result
    assert run(flow, {"x": 3}, store=memory, echo=False).result == 9
    assert ran == [3]
