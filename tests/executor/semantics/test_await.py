"""D8: async dynamics, whose bodies await values and go on with them."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from promissory import (
    Context,
    NodeFailure,
    Skip,
    approve,
    conditional,
    cycle,
    dynamic,
    map_task,
    promise,
    rerun,
    resume,
    run,
    sleep,
    start,
    task,
    until,
    value,
    workflow,
)
from promissory.errors import (
    AwaitError,
    CodeChanged,
    LeakedPromise,
    NonDeterminism,
    OutputUnavailable,
    RunFailed,
    RunNotFound,
    SignalError,
)
from promissory.executor.history.at_a_glance import gates_of
from promissory.executor.history.history import History
from promissory.executor.worker import awaiting
from promissory.testing import MockClock, always_replay, simulate

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])
LOG = Path("began")


def note(what: str) -> None:
    with LOG.open("a") as log:
        log.write(what + "\n")


def began() -> list[str]:
    return LOG.read_text().splitlines() if LOG.exists() else []


@pytest.fixture
def memory(request):
    """A store of this test's own in memory."""
    return f"memory://await-{request.node.name}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@task
def inc(x: int) -> int:
    note(f"inc {x}")
    return x + 1


@task
def broken(x: int) -> int:
    note(f"broken {x}")
    if not Path("repaired").exists():
        raise ValueError(f"no {x}")
    return x


@dynamic
async def counts(n: int) -> int:
    x = 0
    for _ in range(n):
        x = await value(inc(x))
    return x


@dynamic
async def everything(n: int) -> list[int]:
    early = inc(100 * n)
    both = await asyncio.gather(value(inc(n)), value(inc(2 * n)))
    found = list(both)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(value(inc(one))) for one in both]
    found += [one.result() for one in tasks]
    for one in asyncio.as_completed([value(inc(10)), value(inc(20))]):
        found.append(await one)
    found[-2:] = sorted(found[-2:])
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except TimeoutError:
        found.append(await value(inc(-1)))
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        found.append(-2)
    try:
        found.append(await value(broken(1)))
    except ValueError as error:
        found.append(len(str(error)))
    return [*found, inc(early)]


EVERYTHING = [4, 7, 5, 8, 11, 21, 0, -2, 4, 302]


@ENGINES
def test_D8_a_body_awaits_as_asyncio_has_it(engine, memory):
    assert run(everything, {"n": 3}, store=memory, engine=engine, echo=False).result == EVERYTHING


def test_D8_a_body_that_begins_anew_at_each_await_does_the_same(memory):
    with always_replay():
        assert run(everything, {"n": 3}, store=memory, echo=False).result == EVERYTHING
    assert len(began()) == len(set(began())) == 10


@workflow
def twice(x: int) -> int:
    return inc(inc(x))


@dynamic
def halves(n: int) -> int:
    return halves(n // 2) if n > 1 else inc(n)


@cycle(stop=3)
def rounds(base: int) -> int:
    return inc(base)


@dynamic
async def of_each_kind(n: int) -> list[int]:
    return [
        await value(twice(n)),
        await value(halves(n)),
        sum(await value(map_task(inc)([1, 2, n]))),
        await value(rounds(n)),
        await value(conditional("big").if_(promise(inc(n)) > 3).then(inc(1)).else_().then(inc(2))),
        await value(counts(2)),
        int(await value(promise(inc(n)) > 3)),
        int(await value(promise(inc(n)) > 30)),
    ]


@ENGINES
def test_D8_every_kind_of_node_can_be_awaited(engine, memory):
    done = run(of_each_kind, {"n": 4}, store=memory, engine=engine, echo=False)
    assert done.result == [6, 2, 10, 5, 2, 2, 1, 0]


@dataclass
class Pair:
    a: int
    b: list[int]


@task
def pair(n: int) -> Pair:
    return Pair(n, [n, n + 1])


@dynamic
async def parts(n: int) -> list[int]:
    made = pair(n)
    listed = await value([made.a, inc(n)])
    named = await value({"b": made.b, "c": 7})
    whole = await value(Pair(inc(n), named["b"]))
    again = await value(made)
    assert await value(made) == again
    return [*listed, *named["b"], whole.a, again.a, await value(5)]


def test_D8_fields_lists_and_records_of_promises_are_awaited_whole(memory):
    assert run(parts, {"n": 4}, store=memory).result == [4, 5, 4, 5, 5, 4, 5]


@dynamic
async def hands_on(n: int) -> int:
    first, unused = inc(n), inc(50)
    seen = await value(inc(first))
    after = inc(seen)
    promise(unused) >> after
    return inc(after)


@ENGINES
def test_D8_a_promise_of_an_earlier_segment_is_passed_on_ordered_and_returned(engine, memory):
    assert run(hands_on, {"n": 1}, store=memory, engine=engine, echo=False).result == 5
    assert began().index("inc 50") < began().index("inc 3")


# --- what is told of it ---


def test_D8_segments_have_paths_and_futures_files_of_their_own(store):
    done = run(counts, {"n": 3}, store=store)
    history = History(store, done.id)
    assert [row.path for row in history.nodes()][1:] == [
        "main/counts/inc",
        "main/counts[+1]/inc",
        "main/counts[+2]/inc",
    ]
    assert history.futures_paths() == ["main/counts", *(f"main/counts[+{n}]" for n in (1, 2, 3))]
    assert done.value("main/counts[+1]/inc") == 2
    assert done.inputs_of("main/counts[+1]/inc") == {"x": 1}
    assert "task inc(x=2)" in history.futures("main/counts[+2]")[0].show()


@dynamic
async def waits(n: int) -> int:
    print("before")
    a = await value(inc(n))
    print("between")
    await value(approve(a, "go"))
    print("after")
    return inc(a)


def waits_at_a_gate(store, run_id):
    """The run as it is committed, if it waits at a gate."""
    with contextlib.suppress(RunNotFound):
        history = History(store, run_id)
        return history if gates_of(history.store, history.manifest.run_id)[1] else None


def test_D8_while_it_waits_the_plan_so_far_is_there_and_status_says_for_what(store, eventually):
    going = start(waits, {"n": 1}, store=store, echo=False)
    try:
        history = eventually(lambda: waits_at_a_gate(store, going.id), "the gate")
        row = history.row(0, 0)
        assert (row.state, row.why) == ("EXPANDED", "awaits main/waits[+1]/go")
        assert len(list(history.nodes())) == 3
    finally:
        going.answer("go", True)
        going.wait()
    assert going.result == 3
    assert going.logs("main/waits").split() == ["before", "between", "after"]


def test_D8_a_plain_call_gives_the_value():
    assert counts(2) == 2

    async def in_a_loop() -> int:
        return counts(3)

    assert asyncio.run(in_a_loop()) == 3


def test_D8_a_promise_itself_is_awaited_by_value(memory):
    @dynamic
    async def body(x: int) -> int:
        return await inc(x)

    @workflow
    def flow() -> int:
        return body(1)

    with pytest.raises(RunFailed, match=r"inc\(\) was awaited.*\n.*\n.*write `await value\(...\)` around it"):
        _ = run(flow, store=memory).result


def test_D8_value_outside_an_async_dynamic_is_an_error(memory):
    with pytest.raises(AwaitError, match="outside an async dynamic"):
        value(1)

    @workflow
    def traced(x: int) -> int:
        value(inc(x))
        return 1

    with pytest.raises(AwaitError, match="outside an async dynamic"):
        traced.compile()

    @task
    def body(x: int) -> int:
        value(x)
        return x

    with pytest.raises(AwaitError, match="stands in the task body"):
        body(1)


KEPT = []


@dynamic
async def keeps(n: int) -> int:
    KEPT.append(inc(n))
    return await value(KEPT[0])


@dynamic
async def takes(n: int) -> int:
    return await value(KEPT[0])


def test_D8_a_promise_of_another_body_is_refused(memory):
    KEPT.clear()
    assert run(keeps, {"n": 1}, store=memory).result == 2
    with pytest.raises(RunFailed) as caught:
        run(takes, {"n": 1}, store=memory).result
    assert isinstance(caught.value.__cause__, LeakedPromise)


@pytest.mark.parametrize("late", [lambda p: p.with_overrides(name="late"), lambda p: p.on_error(5)])
def test_D8_what_has_begun_is_not_changed(late, memory):
    @dynamic
    async def changes(n: int) -> int:
        early = inc(n)
        await value(early)
        return late(early)

    with pytest.raises(RunFailed, match=r"inc\(\) has begun already"):
        run(changes, {"n": 1}, store=memory).result


def test_D8_a_body_that_waits_for_nothing_is_told(memory):
    @dynamic
    async def stuck(n: int) -> int:
        await value(inc(n))
        await asyncio.Event().wait()
        return 1

    with pytest.raises(RunFailed, match=r"stuck waits for what nothing will bring"):
        run(stuck, {"n": 1}, store=memory).result


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda: asyncio.open_connection("localhost", 1), "a connection"),
        (lambda: asyncio.to_thread(print), "a thread"),
        (lambda: asyncio.create_subprocess_exec("true"), "a process"),
    ],
)
def test_D8_a_body_does_no_io(ask, what, memory):
    @dynamic
    async def asks(n: int) -> int:
        await ask()
        return 1

    with pytest.raises(RunFailed, match=f"asked its event loop for {what}"):
        run(asks, {"n": 1}, store=memory).result


def test_D8_a_body_that_asks_its_run_for_something_is_refused(memory):
    @dynamic
    async def asks(ctx: Context, n: int) -> int:
        await value(inc(n))
        ctx.next_task(inc, x=4)
        return 1

    with pytest.raises(RunFailed) as caught:
        run(asks, {"n": 1}, store=memory).result
    assert isinstance(caught.value.__cause__, SignalError)


# --- the six rules of bodies that wait ---


@ENGINES
def test_D6_retries_cover_a_body_up_to_its_first_await(engine, memory):
    @dynamic(retries=2)
    async def early(n: int) -> int:
        note("early")
        if began().count("early") < 3:
            raise OSError("not yet")
        return await value(inc(n))

    assert run(early, {"n": 1}, store=memory, engine=engine, echo=False).result == 2

    @dynamic(retries=2)
    async def late(n: int) -> int:
        await value(inc(n))
        note("late")
        raise OSError("too late")

    with pytest.raises(RunFailed, match="too late"):
        run(late, {"n": 1}, store=memory, engine=engine, echo=False).result
    assert began().count("late") == 1


@ENGINES
def test_D8_a_failure_that_nobody_awaited_fails_the_dynamic_at_its_end(engine, store):
    @dynamic
    async def careless(n: int) -> int:
        broken(n)
        return await value(inc(n))

    with pytest.raises(RunFailed, match="no 1"):
        run(careless, {"n": 1}, store=store, run_id="r", engine=engine, echo=False).result
    assert began() == ["broken 1", "inc 1"] or began() == ["inc 1", "broken 1"]
    Path("repaired").touch()
    assert resume("r", store=store, engine=engine, echo=False).result == 2
    assert began().count("inc 1") == 1


@ENGINES
def test_D8_a_failure_that_the_body_has_handled_stays_handled(engine, store):
    @dynamic
    async def careful(n: int) -> int:
        try:
            await value(broken(n))
        except ValueError:
            pass
        return await value(broken(n + 1))

    with pytest.raises(RunFailed, match="no 2"):
        run(careful, {"n": 1}, store=store, run_id="r", engine=engine, echo=False).result
    Path("repaired").touch()
    assert resume("r", store=store, engine=engine, echo=False).result == 2
    assert began() == ["broken 1", "broken 2", "broken 2"]


def test_D8_what_was_passed_on_and_failed_is_tried_again_by_a_resume(store):
    @dynamic
    async def passes_on(n: int) -> int:
        early = broken(n)
        seen = await value(inc(n))
        return inc(early) if seen else 0

    with pytest.raises(RunFailed, match="no 1"):
        run(passes_on, {"n": 1}, store=store, run_id="r", echo=False).result
    Path("repaired").touch()
    assert resume("r", store=store, echo=False).result == 2
    assert began() == ["inc 1", "broken 1", "broken 1", "inc 1"] or began() == [
        "broken 1",
        "inc 1",
        "broken 1",
        "inc 1",
    ]


def test_D8_the_failure_of_a_dynamic_inside_is_handled_and_nothing_of_it_is_left(store):
    @dynamic
    def inner(n: int) -> int:
        return inc(broken(n))

    @dynamic
    async def outer(n: int) -> int:
        try:
            await value(inner(n))
        except ValueError as error:
            assert "broken" in error.__notes__[0]
        return await value(broken(n + 1))

    with pytest.raises(RunFailed, match="no 2"):
        run(outer, {"n": 1}, store=store, run_id="r", echo=False).result
    Path("repaired").touch()
    assert resume("r", store=store, echo=False).result == 2
    assert began().count("broken 1") == 1


@task
def leaves_out(n: int) -> int:
    raise Skip("not today")


def test_X7_what_was_skipped_has_no_value(memory):
    @dynamic
    async def asks(n: int) -> int:
        try:
            return await value(leaves_out(n))
        except OutputUnavailable:
            return -1

    assert run(asks, {"n": 1}, store=memory).result == -1


def test_D8_sets_of_texts_are_in_one_order_in_every_worker(store):
    @dynamic
    async def hashes(n: int) -> int:
        await value(inc(n))
        return hash("a text")

    found = {run(hashes, {"n": one}, store=store, engine="processes", echo=False).result for one in range(2)}
    in_this_process = subprocess.run(
        [sys.executable, "-c", "print(hash('a text'))"],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found == {int(in_this_process.stdout)}


def test_D6_a_time_out_counts_the_running_time_and_none_of_the_waiting(store):
    @task
    def slow(n: int) -> int:
        time.sleep(0.3)
        return n

    @dynamic(timeout=0.25)
    async def patient(n: int) -> int:
        await asyncio.sleep(0.3)
        return await value(slow(n))

    @dynamic(timeout=0.25)
    async def busy(n: int) -> int:
        for _ in range(3):
            n = await value(inc(n))
            time.sleep(0.15)
        return n

    assert run(patient, {"n": 1}, store=store, engine="processes", echo=False).result == 1
    with pytest.raises(RunFailed, match="time-out"):
        run(busy, {"n": 1}, store=store, engine="processes", echo=False).result


def test_D8_bodies_that_were_let_go_are_brought_back(memory, monkeypatch):
    monkeypatch.setattr(awaiting, "_MOST", 2)

    @workflow
    def many() -> list[int]:
        return map_task(counts)([3, 4, 5, 6, 7])

    assert run(many, {}, store=memory, echo=False).result == [3, 4, 5, 6, 7]
    assert len(began()) == 25


# --- replays ---


@dynamic
async def fickle(n: int) -> int:
    if Path("other").exists():
        return await value(broken(n + 1))
    first = await value(inc(n))
    return await value(broken(first))


def test_D8_other_calls_in_a_replay_are_told_with_both_sides_and_the_line(store):
    with pytest.raises(RunFailed):
        run(fickle, {"n": 1}, store=store, run_id="r", echo=False).result
    Path("other").touch()
    with pytest.raises(RunFailed) as caught:
        resume("r", store=store, echo=False).result
    assert isinstance(caught.value.__cause__, NonDeterminism)
    message = str(caught.value.__cause__)
    assert "call 1 after 0 awaits is now task broken(x=2) at " in message
    assert f"{__file__}:" in message
    assert "then it was task inc(x=1)" in message
    Path("other").unlink()
    Path("repaired").touch()
    assert resume("r", store=store, echo=False).result == 2


@dynamic
async def draws(ctx: Context, n: int) -> list[str]:
    found = [str(ctx.now()), str(ctx.uuid4()), str(ctx.random().random())]
    await value(inc(n))
    found += [str(ctx.now()), str(ctx.uuid4()), str(ctx.random().random())]
    await value(broken(n))
    return found


def test_D8_clock_random_numbers_and_uuids_are_the_same_in_a_replay(store):
    clock = MockClock()
    with pytest.raises(RunFailed):
        run(draws, {"n": 1}, store=store, run_id="r", echo=False, clock=clock).result
    Path("repaired").touch()
    clock.advance(3600.0)
    found = resume("r", store=store, echo=False, clock=clock).result
    assert len(set(found)) == 6 or found[0] == found[3]
    with always_replay():
        assert run(draws, {"n": 1}, store=store, run_id="again", echo=False).result[1] != found[1]


def test_D8_a_replay_says_nothing_again(store):
    @dynamic
    async def talks(n: int) -> int:
        print("one")
        await value(inc(n))
        print("two")
        await value(broken(n))
        print("three")
        return n

    with pytest.raises(RunFailed):
        run(talks, {"n": 1}, store=store, run_id="r", echo=False).result
    Path("repaired").touch()
    done = resume("r", store=store, echo=False)
    said = done.logs("main/talks").splitlines()
    assert [line for line in said if line in ("one", "two", "three")] == ["one", "two", "three"]


def test_D8_a_sleep_outlives_the_process(store):
    clock = MockClock()

    @dynamic
    async def sleeps(n: int) -> int:
        await asyncio.sleep(7 * 86_400)
        return await value(inc(n))

    going = start(sleeps, {"n": 1}, store=store, run_id="r", echo=False, clock=clock)
    assert going.wait(30).result == 2
    assert clock.monotonic() >= 7 * 86_400


AGENT = """
    from promissory import dynamic, task, value
    from pathlib import Path

    @task
    def step(x: int) -> int:
        return x + 1

    @task
    def gate(x: int) -> int:
        if not Path("open").exists():
            raise OSError("closed")
        return x

    @dynamic
    async def agent(x: int) -> int:
        a = await value(step(x))
        b = await value(gate(a))
        return await value(step(b)) + 0
"""


@pytest.fixture
def begun(write_module, store):
    """A run whose body has begun and waits for something that failed; gives a function that changes its code."""
    module = write_module("agent_of_old", AGENT)
    with pytest.raises(RunFailed, match="closed"):
        run(module.agent, {"x": 1}, store=store, run_id="r", echo=False).result
    Path("open").touch()
    return lambda before, after: write_module("agent_of_old", AGENT.replace(before, after))


def test_R6_a_body_that_has_begun_goes_on_with_the_code_of_its_beginning(begun, store):
    begun("+ 0", "+ 1000")
    with pytest.raises(CodeChanged, match=r"main/agent has begun.*--engine processes.*old file.*--new-code"):
        resume("r", store=store, echo=False).result
    assert resume("r", store=store, engine="processes", echo=False).result == 3


def test_R6_new_code_moves_a_body_that_makes_the_same_calls(begun, store):
    begun("+ 0", "+ 1000")
    assert resume("r", store=store, new_code=True, echo=False).result == 1003


def test_R6_new_code_is_refused_where_it_makes_other_calls(begun, store):
    begun("value(step(x))", "value(gate(x))")
    with pytest.raises(CodeChanged, match=r"main/agent can't go on with today's code.*task gate\(x=1\)"):
        resume("r", store=store, new_code=True, echo=False).result
    begun("", "")
    assert resume("r", store=store, echo=False).result == 3


def test_R6_a_task_whose_code_changed_runs_the_new_code(begun, store):
    begun("return x + 1", "return x + 100")
    assert resume("r", store=store, echo=False).result == 102


# --- costs and crowds ---


@ENGINES
def test_D8_hundreds_of_bodies_wait_at_one_time(engine, memory):
    @dynamic
    async def naps(n: int) -> int:
        first = await value(inc(n))
        await asyncio.sleep(0.05)
        return await value(inc(first))

    @workflow
    def crowd() -> list[int]:
        return map_task(naps)(list(range(300)))

    assert run(crowd, {}, store=memory, engine=engine, echo=False).result == [n + 2 for n in range(300)]


def test_D8_no_worker_is_held_while_bodies_wait(memory):
    @dynamic
    async def deep(n: int) -> int:
        return await value(deep(n - 1)) + 1 if n else 0

    assert run(deep, {"n": 20}, store=memory, engine="threads", max_parallelism=1, echo=False).result == 20


def test_D8_a_live_body_is_never_replayed(memory):
    began_at = []

    @dynamic
    async def lives(n: int) -> int:
        began_at.append(threading.get_ident())
        for _ in range(5):
            n = await value(inc(n))
        return n

    assert run(lives, {"n": 0}, store=memory, engine="threads", echo=False).result == 5
    assert len(began_at) == 1


def test_simulate_walks_a_body_that_awaits():
    walked = simulate(everything, {"inc": 1, "broken": ValueError("no")}, {"n": 3})
    assert walked.result == [1, 1, 1, 1, 1, 1, 1, -2, 2, 1]
    assert walked.seconds == pytest.approx(0.02)


@task
def read(error: NodeFailure) -> str:
    return error.message


def test_D8_gates_and_sleeps_of_the_plan_are_awaited(memory):
    @dynamic
    async def slept(n: int) -> int:
        await value(promise(sleep(0.01)))
        return await value(inc(n))

    assert run(slept, {"n": 1}, store=memory).result == 2


def test_C1_a_cycle_ends_by_what_a_body_awaited(memory):
    @cycle
    def counted(start: int) -> int:
        size = counts(2)
        until(promise(size) > 1)
        return size

    assert run(counted, {"start": 0}, store=memory).result == 2


# --- failures that end a body later ---


@dynamic
async def tidies_up(n: int) -> int:
    try:
        return await value(broken(n))
    finally:
        await value(inc(n + 10))


@dynamic
async def in_the_background(n: int) -> int:
    early = asyncio.create_task(value(broken(n)))
    seen = await value(inc(n + 10))
    return await early + seen


@ENGINES
@pytest.mark.parametrize(("body", "result"), [(tidies_up, 1), (in_the_background, 13)], ids=["finally", "create_task"])
def test_D8_a_resume_goes_back_to_before_the_failure_that_ended_the_body(body, result, engine, store):
    assert run(body, {"n": 1}, store=store, run_id="r", engine=engine, echo=False).state == "FAILED"
    assert resume("r", store=store, engine=engine, echo=False).state == "FAILED"
    Path("repaired").touch()
    done = resume("r", store=store, engine=engine, echo=False)
    assert done.result == result
    assert began().count("broken 1") == 3
    assert sum(row.path.endswith("/broken") for row in done.nodes()) == 1
    with always_replay():
        assert resume("r", store=store, echo=False).result == result


def test_D8_what_a_group_cancelled_is_begun_again_with_it(store):
    @dynamic
    async def groups(n: int) -> int:
        async def patient() -> None:
            try:
                await value(inc(n))
                await asyncio.sleep(0.05)
            finally:
                await value(inc(n + 20))

        async with asyncio.TaskGroup() as group:
            group.create_task(patient())
            found = group.create_task(value(broken(n)))
        return found.result()

    with pytest.raises(RunFailed):
        run(groups, {"n": 1}, store=store, run_id="r", echo=False).result
    Path("repaired").touch()
    with always_replay():
        assert resume("r", store=store, echo=False).result == 1
    assert began().count("inc 1") == 1


def test_D8_a_failure_that_another_handler_meets_is_not_gone_back_to(store):
    @dynamic
    async def handles(n: int) -> int:
        try:
            await value(broken(n))
        except ValueError:
            return await value(broken(n + 1))
        return 0

    with pytest.raises(RunFailed, match="no 2"):
        run(handles, {"n": 1}, store=store, run_id="r", echo=False).result
    Path("repaired").touch()
    assert resume("r", store=store, echo=False).result == 2
    assert began().count("broken 1") == 1


# --- rerun ---


@dynamic
async def in_steps(n: int) -> list[int]:
    early = inc(10 * n)
    first = await value(inc(n))
    second = await value(inc(first))
    third = await value(inc(second))
    return [first, second, third, inc(early)]


@pytest.mark.parametrize(
    ("node", "again"),
    [
        ("main/in_steps[+1]/inc", ["inc 2", "inc 3", "inc 11"]),
        ("main/in_steps[+2]/inc", ["inc 3", "inc 11"]),
        ("main/in_steps[+3]/inc", ["inc 11"]),
        ("main/in_steps", ["inc 10", "inc 1", "inc 2", "inc 3", "inc 11"]),
    ],
)
def test_J2_a_rerun_inside_a_body_tells_it_again_what_came_before(node, again, store):
    assert run(in_steps, {"n": 1}, store=store, run_id="r", echo=False).result == [2, 3, 4, 12]
    LOG.unlink()
    assert rerun("r", node, store=store, echo=False).result == [2, 3, 4, 12]
    assert sorted(began()) == sorted(again)


# --- what is told ---


def test_D8_a_body_that_computes_for_long_is_told_with_the_line(memory, monkeypatch):
    monkeypatch.setattr("promissory.planner.body.await_loop.LONGEST_STEP", 0.05)

    @dynamic
    async def computes(n: int) -> int:
        time.sleep(0.1)
        return await value(inc(n))

    with pytest.warns(RuntimeWarning, match=r"computes has computed for 0\.1 s") as told:
        run(computes, {"n": 1}, store=memory, echo=False)
    assert told[0].filename == __file__


def test_D8_a_body_that_opens_a_connection_is_told(memory):
    @dynamic
    async def reaches_out(n: int) -> int:
        with contextlib.suppress(OSError), socket.socket() as found:
            found.connect(("127.0.0.1", 1))
        return await value(inc(n))

    with pytest.warns(RuntimeWarning, match="reaches_out opens a connection") as told:
        run(reaches_out, {"n": 1}, store=memory, echo=False)
    assert told[0].filename == __file__


def test_D8_names_imported_from_asyncio_before_are_told(project):
    project.write(
        "early.py",
        """
        from asyncio import as_completed
        from promissory import dynamic, run, task, value

        @task
        def inc(x: int) -> int:
            return x + 1

        @dynamic
        async def body(n: int) -> int:
            return sum([await one for one in as_completed([value(inc(n)), value(inc(n))])])

        print(run(body, {"n": 1}, store="memory://early").result)
        """,
    )
    output, said = project.finish(project.spawn("early.py"))
    assert output == "4\n"
    assert "body uses as_completed as it was imported from asyncio" in said
    assert "early.py:9" in said


def test_D8_check_tells_of_sets_that_a_body_iterates(project):
    project.write(
        "sets.py",
        """
        from promissory import dynamic, task, value

        @task
        def one(name: str) -> str:
            return name

        @dynamic
        async def body(names: list[str]) -> list[str]:
            found = set(names)
            in_order = [await value(one(name)) for name in sorted(found)]
            return in_order + [await value(one(name)) for name in found]
        """,
    )
    _, said = project.finish(project.spawn("-m", "promissory", "check", "sets.py"))
    assert said.count("body iterates a set") == 1
    assert "sets.py:12" in said
