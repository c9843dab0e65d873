"""X2, X5, R2: async tasks, which overlap on one event loop of a worker."""

import asyncio
import contextvars
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from promissory import (
    Context,
    Loop,
    Retry,
    Skip,
    current_context,
    dynamic,
    map_task,
    resume,
    run,
    start,
    task,
    unmapped,
    value,
    workflow,
)
from promissory.errors import RunFailed, TaskTimeout

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
    return f"memory://async-{request.node.name}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@task
async def meets(n: int, of: int) -> int:
    """Ends when all of its kind have begun."""
    Path(f"here-{n}").touch()
    while len(list(Path().glob("here-*"))) < of:
        await asyncio.sleep(0.005)
    return n


@workflow
def crowd(size: int = 50) -> list[int]:
    return map_task(meets)(list(range(50)), unmapped(50))


@ENGINES
def test_X2_fifty_async_tasks_are_under_way_at_one_time(engine, memory):
    assert run(crowd, {}, store=memory, engine=engine, echo=False, timeout=60).result == list(range(50))


@task
def sync(n: int) -> int:
    return n


@workflow
def beside() -> list[int]:
    return [meets(0, 3), sync(7), meets(1, 3), sync(8), meets(2, 3)]


@ENGINES
def test_X2_plain_tasks_beside_them_are_not_held_up(engine, memory):
    assert run(beside, {}, store=memory, engine=engine, echo=False, timeout=60).result == [0, 7, 1, 8, 2]


def test_X2_a_limit_of_the_authors_counts_them(memory):
    @task
    async def counts(n: int) -> int:
        note(f"+{n}")
        await asyncio.sleep(0.01)
        note(f"-{n}")
        return n

    @workflow
    def few() -> list[int]:
        return map_task(counts)(list(range(8)))

    assert run(few, {}, store=memory, engine="threads", max_parallelism=2, echo=False).result == list(range(8))
    under_way = most = 0
    for line in began():
        under_way += 1 if line[0] == "+" else -1
        most = max(most, under_way)
    assert most == 2


def test_X2_a_pool_counts_them(memory):
    @task(pool="door")
    async def enters(n: int) -> int:
        note(f"+{n}")
        await asyncio.sleep(0.01)
        note(f"-{n}")
        return n

    @workflow
    def visits() -> list[int]:
        return map_task(enters)(list(range(6)))

    assert run(visits, {}, store=memory, pools={"door": 1}, echo=False).result == list(range(6))
    assert [line[0] for line in began()] == ["+", "-"] * 6


colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


@task
async def paints(ctx: Context, n: int) -> str:
    colour.set(f"colour {n}")
    print(f"begins {n}")
    await asyncio.sleep(0.01 * (3 - n))
    ctx.logger.warning("logs %d", n)
    await asyncio.gather(says(n), asyncio.sleep(0.001))
    assert current_context().path == ctx.path
    return f"{colour.get()} of {ctx.path}"


async def says(n: int) -> None:
    print(f"ends {n}")


@workflow
def palette() -> list[str]:
    return map_task(paints)([0, 1, 2])


@ENGINES
def test_X5_each_has_its_own_context_and_log(engine, store):
    done = run(palette, {}, store=store, engine=engine, echo=False)
    assert done.result == [f"colour {n} of main/paints[{n}]" for n in range(3)]
    for n in range(3):
        said = done.logs(f"main/paints[{n}]")
        assert [line for line in said.splitlines() if line.startswith(("begins", "ends"))] == [
            f"begins {n}",
            f"ends {n}",
        ]
        assert f"logs {n}" in said
        assert all(f"logs {other}" not in said for other in range(3) if other != n)


@ENGINES
def test_R2_a_time_out_cancels_the_body_at_its_await(engine, store):
    @task(timeout=0.05)
    async def late(n: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            note("cleaned up")
        return n

    done = run(late, {"n": 1}, store=store, engine=engine, echo=False, soft_timeouts=engine != "processes")
    assert done.state == "FAILED"
    with pytest.raises(RunFailed, match=r"cancelled after 0\.05 s") as caught:
        done.result
    assert isinstance(caught.value.__cause__, TaskTimeout)
    assert began() == ["cleaned up"]


@ENGINES
def test_R1_failures_retries_skips_and_loops_are_those_of_any_task(engine, store):
    @task(retries=3)
    async def flaky(ctx: Context) -> int:
        await asyncio.sleep(0)
        if ctx.attempt < 3:
            raise OSError("not yet")
        return ctx.attempt

    @task(retries=1)
    async def asks(ctx: Context) -> int:
        await asyncio.sleep(0)
        if ctx.attempt == 1:
            raise Retry(after=0.001)
        return ctx.attempt

    @task
    async def loops(ctx: Context) -> int:
        await asyncio.sleep(0)
        if ctx.loop_index < 3:
            raise Loop((ctx.loop_result or 0) + 1)
        return ctx.loop_result

    @task
    async def skips() -> int:
        await asyncio.sleep(0)
        raise Skip("not today")

    @workflow
    def all_of_them() -> tuple[int, int, int]:
        skips()
        return flaky(), asks(), loops()

    assert run(all_of_them, {}, store=store, engine=engine, echo=False).result == (3, 2, 3)


@ENGINES
def test_X1_tasks_that_a_body_leaves_end_with_it(engine, store):
    @task
    async def leaves(n: int) -> int:
        async def behind() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                note("ended")

        leaves.kept = asyncio.create_task(behind())
        await asyncio.sleep(0)
        return n

    assert run(leaves, {"n": 1}, store=store, engine=engine, echo=False).result == 1
    assert began() == ["ended"]


def test_X2_a_body_that_holds_the_loop_is_told_with_its_line(store, monkeypatch):
    monkeypatch.setattr("promissory.executor.worker.lane._HOLDS", 0.2)

    @task
    async def holds(n: int) -> int:
        time.sleep(1.5)
        return n

    done = run(holds, {"n": 1}, store=store, engine="threads", echo=False)
    assert done.result == 1
    assert "main/holds has held its event loop for" in done.logs()
    assert f"{__file__}:" in done.logs()


def test_R2_a_body_that_can_not_be_cancelled_is_ended_and_the_others_go_on(store, monkeypatch, eventually):
    monkeypatch.setattr("promissory.executor.engines.processes.lanes._GRACE", 0.2)

    @task(timeout=0.2)
    async def hangs() -> int:
        time.sleep(60)
        return 1

    @task
    async def waits() -> int:
        note("waits")
        while not Path("go").exists():
            await asyncio.sleep(0.01)
        return 2

    @workflow
    def both() -> tuple[int, int]:
        return waits(), hangs().on_error(5)

    going = start(both, {}, store=store, engine="processes", echo=False)
    eventually(lambda: len(began()) > 1, "another beginning")
    Path("go").touch()
    assert going.wait(60).result == (2, 5)
    assert [row.attempts for row in going.nodes() if row.path == "main/waits"] == [1]


def test_R5_the_death_of_a_worker_is_charged_to_the_body_that_ends_it(store):
    @task
    async def dies(n: int) -> int:
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
        return n

    @task
    async def lives(n: int) -> int:
        note(f"lives {n}")
        while len(list(Path().glob("began"))) == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        return n

    @workflow
    def both() -> list[int]:
        return [*[lives(n) for n in range(3)], dies(9).on_error(-1)]

    assert run(both, {}, store=store, engine="processes", echo=False).result == [0, 1, 2, -1]


def test_J1_a_run_with_async_tasks_is_resumed(store):
    @task
    async def once(n: int) -> int:
        note(f"once {n}")
        await asyncio.sleep(0)
        return n

    @task
    async def gate(n: int) -> int:
        await asyncio.sleep(0)
        if not Path("open").exists():
            raise OSError("closed")
        return n

    @workflow
    def guarded() -> list[int]:
        return map_task(gate)(map_task(once)([1, 2, 3]))

    assert run(guarded, {}, store=store, run_id="r", echo=False).state == "FAILED"
    Path("open").touch()
    assert resume("r", store=store, echo=False).result == [1, 2, 3]
    assert sorted(began()) == ["once 1", "once 2", "once 3"]


@ENGINES
def test_D8_an_async_dynamic_awaits_async_tasks(engine, store):
    @task
    async def slow(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    @dynamic
    async def body(n: int) -> int:
        return sum(await asyncio.gather(*[value(slow(one)) for one in range(n)]))

    assert run(body, {"n": 20}, store=store, engine=engine, echo=False).result == 190


def test_X2_a_plain_call_in_a_loop_is_awaited():
    async def calls() -> int:
        return await meets(0, 1)

    assert asyncio.run(calls()) == 0
    assert threading.current_thread() is threading.main_thread()


def test_X2_cached_async_tasks_are_taken_from_the_cache(store):
    @task(cache=True)
    async def costly(n: int) -> int:
        note(f"costly {n}")
        await asyncio.sleep(0)
        return n

    @workflow
    def twice() -> list[int]:
        return map_task(costly)([1, 2])

    for _ in range(2):
        assert run(twice, {}, store=store, echo=False).result == [1, 2]
    assert sorted(began()) == ["costly 1", "costly 2"]
