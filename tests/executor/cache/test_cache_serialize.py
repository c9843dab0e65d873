"""R3: with `cache_serialize`, of equal calls at one time one runs: in one run, and in two executors on one store."""

import signal
import uuid
from typing import Any

import pytest

from promissory import Store, dynamic, promise, resume, run, task, workflow
from promissory.executor.cache.entries import entries, give_back, take_lease
from promissory.testing import MockClock

RAN: list[Any] = []


@pytest.fixture
def memory():
    return f"memory://serialize-{uuid.uuid4().hex}"


@pytest.fixture
def ran():
    RAN.clear()
    return RAN


@task(cache=True, cache_serialize=True)
def once(x: int) -> int:
    RAN.append(x)
    return x * x


@task
def add(a: int, b: int) -> int:
    return a + b


MODULE = """
import os
from promissory import dynamic, promise, task, workflow

def began(what):
    descriptor = os.open("began", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)

@task(cache=True, cache_serialize=True, cache_ignore=("gate", "who"))
def slow(x: int, gate: str, who: str) -> int:
    began(who)
    if gate:
        open(gate).read()
    return x * x

@task(cache=True, cache_serialize=True, retries=1)
def flaky(x: int) -> int:
    began("flaky")
    with open("began") as file:
        tries = file.read().count("flaky")
    if tries == 1:
        raise OSError("not yet")
    return x

@workflow
def one(x: int, gate: str, who: str) -> int:
    return slow(x, gate, who)

@workflow
def many(x: int) -> list[int]:
    return [slow(x, "", "many") for _ in range(20)]

@workflow
def flaky_many(x: int) -> list[int]:
    return [flaky(x) for _ in range(5)]

@dynamic
def nested(x: int) -> int:
    return slow(x, "", "nested")

@workflow
def mixed(x: int) -> list[int]:
    return [nested(x), slow(x, "", "top"), nested(x), *[slow(x, "", "top") for _ in range(4)]]
"""

# --- in one run ---


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
@pytest.mark.parametrize("parallel", [1, 4])
def test_R3_of_equal_calls_at_one_time_one_runs(project, write_module, monkeypatch, engine, parallel):
    monkeypatch.chdir(project.folder)
    module = write_module("flow", MODULE)
    ended = run(
        module.many,
        {"x": 3},
        store=project.store,
        engine=engine,
        max_parallelism=parallel,
        durability="process",
        echo=False,
    )
    assert ended.result == [9] * 20
    assert project.lines("began") == ["many"]
    assert sum(row.cached for row in ended.nodes()) == 19


def test_R3_without_serialize_equal_calls_at_one_time_may_all_run(memory, ran):
    """Two calls are two calls: nobody waits where the author did not ask for it."""

    @task(cache=True)
    def eager(x: int) -> int:
        RAN.append(x)
        return x

    @workflow
    def flow() -> list[int]:
        return [eager(1), eager(1)]

    assert run(flow, store=memory, echo=False).result == [1, 1]
    assert ran in ([1], [1, 1])


@pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
def test_R3_the_others_wait_while_the_first_one_is_tried_again(project, write_module, monkeypatch, engine):
    monkeypatch.chdir(project.folder)
    module = write_module("flow", MODULE)
    ended = run(
        module.flaky_many,
        {"x": 3},
        store=project.store,
        engine=engine,
        max_parallelism=3,
        durability="process",
        echo=False,
    )
    assert ended.result == [3] * 5
    assert project.lines("began") == ["flaky", "flaky"]


def test_R3_the_others_wait_through_a_long_delay_of_the_first_one(memory, ran):
    @task(cache=True, cache_serialize=True, retries=3, retry_delay=60)
    def flaky(x: int) -> int:
        RAN.append(x)
        if len(RAN) < 4:
            raise OSError("not yet")
        return x

    @workflow
    def flow() -> list[int]:
        return [flaky(1) for _ in range(5)]

    clock = MockClock()
    assert run(flow, store=memory, clock=clock, echo=False).result == [1] * 5
    assert len(ran) == 4
    assert clock.monotonic() >= 3 * 60


def test_R3_where_the_first_one_fails_for_good_the_run_fails_and_a_resume_runs_one_again(memory, ran):
    assert run(many_breaking, store=memory, run_id="broken", echo=False).state == "FAILED"
    assert len(ran) == 1
    ended = resume("broken", store=memory, echo=False)
    assert ended.result == [1] * 4
    assert len(ran) == 2


@task(cache=True, cache_serialize=True)
def breaks_first(x: int) -> int:
    RAN.append(x)
    if len(RAN) == 1:
        raise ValueError("broken")
    return x


@workflow
def many_breaking() -> list[int]:
    return [breaks_first(1) for _ in range(4)]


@pytest.mark.parametrize("parallel", [1, 2])
def test_R3_the_first_one_may_be_in_another_frame(project, write_module, monkeypatch, parallel):
    monkeypatch.chdir(project.folder)
    module = write_module("flow", MODULE)
    ended = run(
        module.mixed,
        {"x": 3},
        store=project.store,
        engine="threads",
        max_parallelism=parallel,
        durability="process",
        echo=False,
    )
    assert ended.result == [9] * 7
    assert len(project.lines("began")) == 1


@dynamic(cache=True, cache_serialize=True)
def fibonacci(n: int) -> int:
    RAN.append(n)
    return add(fibonacci(n - 1), fibonacci(n - 2)) if n > 1 else n


@pytest.mark.parametrize(("engine", "parallel"), [("inline", 1), ("threads", 1), ("threads", 4)])
def test_R3_a_serialized_recursion_runs_each_call_once_and_ends(memory, ran, engine, parallel):
    """An expanded dynamic holds no slot, so those that wait can't keep the one they wait for from running (X2)."""
    ended = run(fibonacci, {"n": 15}, store=memory, engine=engine, max_parallelism=parallel, echo=False)
    assert ended.result == 610
    assert sorted(ran) == list(range(16))


@dynamic(cache=True, cache_serialize=True, allow_repeat=True)
def polls(x: int) -> int:
    RAN.append(x)
    return polls(x) if len(RAN) < 3 else x


def test_R3_a_serialized_dynamic_that_calls_itself_with_equal_inputs_is_told_so(memory, ran):
    """It would wait for itself for ever; the run says so instead of hanging or falling over."""
    ended = run(polls, {"x": 1}, store=memory, max_depth=20, echo=False)
    assert ended.state == "FAILED"
    assert "polls" in str(ended.error)


@dynamic(cache=True, cache_serialize=True, cache_ignore=("n",))
def ignores(x: int, n: int) -> int:
    return ignores(x, n - 1) if n else x


def test_R3_a_serialized_dynamic_whose_progress_is_ignored_is_told_so(memory, ran):
    ended = run(ignores, {"x": 1, "n": 3}, store=memory, echo=False)
    assert ended.state == "FAILED"
    assert "ignores" in str(ended.error)


def test_R3_two_serialized_dynamics_that_call_each_other_with_equal_inputs_are_told_so(memory, ran):
    ended = run(ping, {"x": 1}, store=memory, echo=False)
    assert ended.state == "FAILED"
    assert "ping" in str(ended.error)


@dynamic(cache=True, cache_serialize=True)
def ping(x: int) -> int:
    return pong(x)


@dynamic
def pong(x: int) -> int:
    return ping(x)


def test_R3_equal_calls_that_wait_for_each_other_by_order_do_not_hang(memory, ran):
    @workflow
    def flow() -> list[int]:
        first = promise(once(2))
        second = promise(once(2))
        third = promise(once(2))
        third >> second
        second >> first
        return [first, second, third]

    assert run(flow, store=memory, max_parallelism=1, echo=False).result == [4, 4, 4]
    assert ran == [2]


def test_R3_what_follows_the_first_one_does_not_wait_for_those_that_waited(memory, ran):
    @workflow
    def flow() -> int:
        return add(once(2), add(once(2), once(once(2))))

    assert run(flow, store=memory, echo=False).result == 4 + 4 + 16
    assert sorted(ran) == [2, 4]


def test_R3_a_serialized_call_for_one_call_alone(memory, ran):
    @task
    def plain(x: int) -> int:
        RAN.append(x)
        return x

    @workflow
    def flow() -> list[int]:
        return [promise(plain(1)).with_overrides(cache=True, cache_serialize=True) for _ in range(6)]

    assert run(flow, store=memory, engine="threads", max_parallelism=4, echo=False).result == [1] * 6
    assert ran == [1]


# --- two executors on one store ---

RUN = """
import sys
from promissory import run
from flow import one
print(run(one, {"x": 3, "gate": sys.argv[2], "who": sys.argv[1]}, run_id=sys.argv[1], ENGINE echo=False).result)
"""
INLINE, PROCESSES = "", "engine='processes',"


@pytest.mark.parametrize("engine", [INLINE, PROCESSES], ids=["inline", "processes"])
def test_R3_of_equal_calls_in_two_runs_one_runs_and_the_other_takes_what_it_gave(project, gate, eventually, engine):
    project.write("flow.py", MODULE)
    held = gate()
    source = RUN.replace("ENGINE", engine)
    first = project.spawn("-c", source, "first", held.path)
    held.reached()
    second = project.spawn("-c", source, "second", "")
    eventually(lambda: project.store.exists("runs/second/journal/" + "0" * 20), "the second run")
    held.open()
    assert [project.finish(one)[0] for one in (first, second)] == ["9\n", "9\n"]
    assert project.lines("began") == ["first"]
    assert [entry.run_id for _, entry in entries(project.store)] == ["first"]


@pytest.mark.parametrize("engine", [INLINE, PROCESSES], ids=["inline", "processes"])
def test_R3_kill_9_of_the_holder_frees_the_call(project, gate, eventually, engine):
    project.write("flow.py", MODULE)
    held = gate()
    source = RUN.replace("ENGINE", engine)
    first = project.spawn("-c", source, "first", held.path)
    held.reached()
    second = project.spawn("-c", source, "second", "")
    eventually(lambda: project.store.exists("runs/second/journal/" + "0" * 20), "the second run")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert project.finish(second)[0] == "9\n"
    assert project.lines("began") == ["first", "second"]
    resumed = (
        "from promissory import resume; ended = resume('first', echo=False); "
        "print(ended.result, [row.cached for row in ended.nodes()])"
    )
    assert project.code(resumed) == "9 [True]\n", "the run that was killed takes what the other one gave"


def test_R3_a_holder_that_fails_frees_the_call(project, gate, eventually):
    project.write("flow.py", MODULE.replace("return x * x", "return x * x if who == 'second' else 1 // 0"))
    held = gate()
    source = RUN.replace("ENGINE", INLINE).replace(".result)", ".state)")
    first = project.spawn("-c", source, "first", held.path)
    held.reached()
    second = project.spawn("-c", source, "second", "")
    eventually(lambda: project.store.exists("runs/second/journal/" + "0" * 20), "the second run")
    held.open()
    assert [project.finish(one)[0] for one in (first, second)] == ["FAILED\n", "SUCCEEDED\n"]
    assert project.lines("began") == ["first", "second"]


def test_R3_a_run_that_waits_for_another_ones_call_can_be_stopped(project, gate, eventually):
    project.write("flow.py", MODULE)
    held = gate()
    source = RUN.replace("ENGINE", INLINE).replace(".result)", ".state)")
    first = project.spawn("-c", source, "first", held.path)
    held.reached()
    second = project.spawn("-c", source, "second", "")
    eventually(lambda: project.store.exists("runs/second/journal/" + "0" * 20), "the second run")
    project.code("from promissory import attach; attach('second').cancel('enough')")
    assert project.finish(second)[0] == "CANCELLED\n"
    held.open()
    assert project.finish(first)[0] == "SUCCEEDED\n"
    assert project.lines("began") == ["first"]


def test_R3_other_calls_of_a_run_go_on_while_one_waits_for_another_run(project, gate, eventually):
    project.write(
        "flow.py",
        MODULE
        + "\n@workflow\ndef two(x: int) -> list[int]:\n    return [slow(x, '', 'second'), slow(4, '', 'other')]\n",
    )
    held = gate()
    first = project.spawn("-c", RUN.replace("ENGINE", INLINE), "first", held.path)
    held.reached()
    second = project.spawn(
        "-c",
        "from promissory import run; from flow import two; "
        "print(run(two, {'x': 3}, max_parallelism=1, echo=False).result)",
    )
    eventually(lambda: "other" in project.lines("began"), "the other call")
    held.open()
    assert project.finish(first)[0] == "9\n"
    assert project.finish(second)[0] == "[9, 16]\n"
    assert project.lines("began") == ["first", "other"]


# --- the lease ---


def test_R3_a_lease_of_a_run_that_never_beat_is_free():
    store = Store(None)
    assert take_lease(store, b"k" * 32, "gone", 1)
    assert take_lease(store, b"k" * 32, "here", 1)


def test_R3_a_damaged_lease_is_free():
    store = Store(None)
    assert take_lease(store, b"k" * 32, "one", 1)
    [key] = store.list("leases/6b/" + "6b" * 32)
    for damage in (b"", b"{", b"[]", b'{"run": 1}', b"\xff"):
        store.put(key, damage)
        assert take_lease(store, b"k" * 32, "two", 1)
        key = store.list("leases/6b/" + "6b" * 32)[-1]


def test_R3_what_is_given_back_is_free_and_leaves_two_small_files():
    store = Store(None)
    for _ in range(20):
        assert take_lease(store, b"k" * 32, "one", 1)
        give_back(store, b"k" * 32, "one", 1)
    assert len(store.list("leases/6b/" + "6b" * 32)) == 2, (
        "the newest, and the one before, whose number nobody may take again"
    )
