"""V1, X8, C5: the events of a run, as they are committed: from any cursor, live or dead, from the store alone."""

import asyncio
import json
import re

import pytest

from promissory import (
    Context,
    Cycle,
    Loop,
    RunEvent,
    Skip,
    Store,
    attach,
    conditional,
    current_context,
    cycle,
    dynamic,
    map_task,
    prev,
    resume,
    run,
    start,
    task,
    until,
    value,
    wait_for_input,
    workflow,
)
from promissory.errors import CursorGone, RunFailed, RunNotFound
from promissory.executor.history.follow import Follower
from promissory.executor.history.run_events import Cursor
from promissory.executor.journal import writer
from promissory.executor.testing.enumeration import undisturbed
from promissory.executor.testing.workloads import WORKLOADS

ENGINES = pytest.mark.parametrize("engine", ["inline", "threads", "processes"])


@task
def inc(x: int) -> int:
    return x + 1


@task
def says(x: int) -> int:
    print("said", x)
    return x


@task(retries=1)
def second_time(x: int) -> int:
    if current_context().attempt == 1:
        raise ValueError("not yet")
    return x


@task
def broken(x: int) -> int:
    raise KeyError("it")


@task
def skipped(x: int) -> int:
    raise Skip("not today")


@task
def three_times(ctx: Context, x: int) -> int:
    if ctx.loop_index < 2:
        raise Loop(x)
    return x


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def counted(before: int, number: int) -> int:
    return before + number


def told(events, *kinds):
    return [(event.path, event.state) for event in events if not kinds or event.kind in kinds]


def whole(store, run_id, **options):
    return list(attach(run_id, store=store).events(**options))


# --- what is told -----------------------------------------------------------------------------------------------------


@ENGINES
def test_V1_a_run_tells_how_it_stands_its_nodes_frames_and_words(store, engine):
    @workflow
    def small(x: int) -> int:
        return says(inc(x))

    ended = run(small, {"x": 1}, store=store, engine=engine, echo=False)
    events = list(ended.events())
    assert [(event.kind, event.path, event.state) for event in events] == [
        ("run", "main", "RUNNING"),
        ("node", "main/inc", "SUCCEEDED"),
        ("log", "main/says", ""),
        ("node", "main/says", "SUCCEEDED"),
        ("run", "main", "SUCCEEDED"),
    ]
    first, inc_ended, log, says_ended, last = events
    assert first["epoch"] == 1
    assert inc_ended["attempt"] == 1
    assert inc_ended["worker"].startswith({"inline": "inline", "threads": "thread", "processes": "process"}[engine])
    assert store.get_range(log["key"], log["offset"], log["offset"] + log["length"]) == b"said 2\n"
    assert says_ended.time <= last.time
    assert attach(ended.id, store=store).logs("main/says") == "said 2\n"


def test_V1_a_recursion_tells_the_frame_of_each_dynamic_and_its_end_when_it_comes(store):
    ended = run(fib, {"n": 2}, store=store)
    assert told(ended.events(), "node", "frame") == [
        ("main/fib", "EXPANDED"),
        ("main/fib", ""),
        ("main/fib/fib", "SUCCEEDED"),
        ("main/fib/fib~2", "SUCCEEDED"),
        ("main/fib/add", "SUCCEEDED"),
        ("main/fib", "SUCCEEDED"),
    ]


def test_V1_a_retry_is_told_with_its_error_and_when_the_next_attempt_comes(store):
    ended = run(second_time, {"x": 1}, store=store, echo=False)
    (retry,) = [event for event in ended.events() if event.kind == "retry"]
    assert (retry.path, retry["attempt"], retry["error"], retry["delay"]) == (
        "main/second_time",
        1,
        "ValueError: not yet",
        0,
    )
    assert "raise ValueError" in retry["traceback"]
    assert [event["attempt"] for event in ended.events() if event.kind == "node"] == [2]


def test_V1_what_fails_tells_its_error_and_what_fails_with_it_the_cause(store):
    @workflow
    def failing(x: int) -> int:
        return inc(broken(x))

    with pytest.raises(RunFailed):
        run(failing, {"x": 1}, store=store, run_id="one", echo=False).result
    events = whole(store, "one")
    assert told(events, "node", "run") == [
        ("main", "RUNNING"),
        ("main/broken", "FAILED"),
        ("main/inc", "UPSTREAM_FAILED"),
        ("main", "FAILED"),
    ]
    failed, upstream = [event for event in events if event.kind == "node"]
    assert failed["error"] == "KeyError: 'it'"
    assert "raise KeyError" in failed["traceback"]
    assert upstream["reason"] == "main/broken failed"


def test_V1_skips_loops_and_branches_are_told(store):
    @workflow
    def choosing(x: int) -> int:
        looped = three_times(x)
        inc(skipped(looped))
        return conditional("way").if_(looped > 0).then(inc(looped)).else_().then(says(looped))

    events = list(run(choosing, {"x": 1}, store=store, echo=False).events())
    assert sorted(told(events, "node")) == [
        ("main/inc", "SKIPPED"),
        ("main/skipped", "SKIPPED"),
        ("main/three_times", "LOOPING"),
        ("main/three_times", "LOOPING"),
        ("main/three_times", "SUCCEEDED"),
        ("main/way", "EXPANDED"),
        ("main/way", "SUCCEEDED"),
        ("main/way/inc", "SUCCEEDED"),
    ]
    assert [event["iteration"] for event in events if event.state == "LOOPING"] == [1, 2]
    assert [event["reason"] for event in events if event.path == "main/skipped"] == ["not today"]


def test_V1_a_map_tells_its_progress_and_its_items_only_if_they_are_wanted(store):
    @workflow
    def mapped(count: int) -> list[int]:
        return map_task(inc)(numbers(count))

    @task
    def numbers(count: int) -> list[int]:
        return list(range(count))

    ended = run(mapped, {"count": 2_500}, store=store, echo=False, durability="process")
    events = list(ended.events())
    assert {event.path for event in events if event.kind == "node"} == {"main/numbers", "main/inc"}
    progress = [(event["done"], event["total"]) for event in events if event.kind == "map"]
    assert progress == sorted(progress)
    assert progress[-1] == (2_500, 2_500)
    assert len(progress) < 100
    items = [event for event in ended.events(items=True) if re.fullmatch(r"main/inc\[\d+\]", event.path)]
    assert {event.state for event in items} == {"SUCCEEDED"}
    assert len({event.path for event in items}) == len(items) == 2_500


def test_V1_what_is_inside_an_item_is_told_only_if_items_are_wanted(store):
    @workflow
    def one(x: int) -> int:
        return inc(x)

    @workflow
    def mapped(xs: list[int]) -> list[int]:
        return map_task(one)(xs)

    ended = run(mapped, {"xs": [1, 2]}, store=store)
    assert {event.path for event in ended.events()} == {"main", "main/one"}
    assert "main/one[1]/inc" in {event.path for event in ended.events(items=True)}


def test_C1_a_cycle_tells_its_rounds_and_its_end(store):
    @task
    def more(before: int) -> int:
        return before + 1

    @cycle
    def counting(c: Cycle) -> int:
        found = more(prev(more, default=0))
        until(found >= 3)
        return found

    events = list(run(counting, store=store, echo=False, stop=9).events())
    assert told(events, "node").count(("main/counting", "SUCCEEDED")) == 1
    assert ("main/counting@1/more", "SUCCEEDED") in told(events)
    assert told(events, "node")[-1] == ("main/counting", "SUCCEEDED")


def test_C2_a_stopped_cycle_that_a_resume_lets_go_on_ends_once_more(store):
    @cycle
    def on_and_on(c: Cycle) -> int:
        return counted(prev(counted, default=0), c.number)

    ended = run(on_and_on, store=store, echo=False, stop=2)
    first = list(ended.events())
    assert told(first)[-2:] == [("main/on_and_on", "SUCCEEDED"), ("main", "SUCCEEDED")]
    resume(ended.id, store=store, stop=4)
    further = told(ended.events(since=first[-1].cursor))
    assert [path for path, _ in further if path.endswith("counted")] == [f"main/on_and_on@{n}/counted" for n in (3, 4)]
    assert further[-2:] == [("main/on_and_on", "SUCCEEDED"), ("main", "SUCCEEDED")]
    assert list(ended.events())[: len(first)] == first


@pytest.mark.parametrize("inside", [False, True])
def test_B2_a_map_that_is_given_up_tells_no_progress_that_was_not_made(store, inside):
    @task
    def odd(x: int) -> int:
        if x == 2:
            raise ValueError(x)
        return x

    @workflow
    def one(x: int) -> int:
        return odd(x)

    @workflow
    def mapped(xs: list[int]) -> list[int]:
        return map_task(one if inside else odd)(xs)

    ended = run(mapped, {"xs": [1, 2, 3]}, store=store, echo=False, max_parallelism=1)
    events = list(ended.events())
    assert told(events, "node")[-1] == (f"main/{'one' if inside else 'odd'}", "FAILED")
    assert "ValueError: 2" in [event for event in events if event.kind == "node"][-1]["error"]
    assert [event for event in events if event.kind == "map"]
    assert all(event["done"] <= event["total"] == 3 for event in events if event.kind == "map")


def test_B6_an_async_dynamic_tells_its_stretches(store):
    @dynamic
    async def asking(x: int) -> int:
        first = await value(inc(x))
        return await value(inc(first))

    events = told(run(asking, {"x": 1}, store=store, echo=False).events(), "node")
    assert events[0] == ("main/asking", "EXPANDED")
    assert events[-1] == ("main/asking", "SUCCEEDED")
    assert events.count(("main/asking", "EXPANDED")) == 1


# --- with all that a run can do ---------------------------------------------------------------------------------------


@pytest.fixture(params=WORKLOADS, ids=lambda one: one.name)
def kept(request, tmp_path):
    """A run of each workload, whose journal has many segments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "COMMIT_INTERVAL", 0.0)
        undisturbed(request.param, str(tmp_path / "kept"))
    store = Store(tmp_path / "kept")
    (key,) = store.list("runs")
    return attach(key.rpartition("/")[2], store=store)


def test_X8_the_last_that_is_told_of_a_node_is_how_its_row_stands(kept):
    states = {}
    for event in kept.events(items=True):
        if event.kind in ("node", "gate"):
            assert states.get(event.path) not in ("SUCCEEDED", "SKIPPED"), event
            states[event.path] = event.state
    rows = {row.path: row.state for row in kept.nodes(items=True) if "[=" not in row.path.rpartition("/")[2]}
    ended = {path: state for path, state in rows.items() if state in ("SUCCEEDED", "FAILED", "UPSTREAM_FAILED")}
    handed_on = {row.path for row in kept.nodes() if row.kind == "dynamic" and states.get(row.path) == "EXPANDED"}
    assert {path: states.get(path) for path in ended.keys() - handed_on} == {
        path: state for path, state in ended.items() if path not in handed_on
    }
    assert not {path for path, state in states.items() if path not in rows and state != "SKIPPED"}


def test_V1_whoever_begins_at_a_cursor_gets_what_comes_after_it(kept):
    events = list(kept.events())
    assert [Cursor.from_text(event.cursor) for event in events] == sorted(
        {Cursor.from_text(event.cursor) for event in events}
    )
    for at in range(0, len(events), max(1, len(events) // 12)):
        assert list(kept.events(since=events[at].cursor)) == events[at + 1 :]
    assert list(kept.events(since=events[-1].cursor)) == []


def test_V1_a_follower_that_reads_piece_by_piece_gets_what_one_gets_at_once(kept, monkeypatch):
    at_once = list(kept.events())
    from promissory.executor.history import follow

    ends = iter(range(1, 1000))
    real = follow.find_end
    monkeypatch.setattr(follow, "find_end", lambda *given: min(real(*given), next(ends)))
    follower = Follower(kept.store, kept.id)
    piece_by_piece = [event for _ in range(900) for event in follower.read()]
    assert piece_by_piece == at_once


def test_V1_events_are_plain_json_with_a_version(kept):
    for event in kept.events(items=True):
        told = json.loads(json.dumps(event.to_json()))
        assert told["version"] == 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told["time"])
        assert told["kind"] in ("run", "code", "frame", "node", "retry", "map", "gate", "log")
        assert set(told) <= KNOWN


KNOWN = {
    *("version", "cursor", "time", "kind", "path", "state", "epoch", "host", "pid", "reason", "name", "nodes", "depth"),
    *("attempt", "started", "seconds", "worker", "cached", "error", "traceback", "iteration", "delay", "done", "total"),
    *("waits_for", "wants", "until", "key", "offset", "length"),
}


# --- live -------------------------------------------------------------------------------------------------------------


@workflow
def asks(x: int) -> int:
    return add(x, wait_for_input("more", type=int))


@pytest.mark.parametrize("elsewhere", [False, True], ids=["its own process", "from the store"])
def test_V1_events_come_while_the_run_goes_on(store, elsewhere):
    going = start(asks, {"x": 1}, store=store, echo=False)
    seen = attach(going.id, store=store) if elsewhere else going
    stream = seen.events()
    for event in stream:
        if event.kind == "gate":
            assert (event["waits_for"], event["wants"], event.path) == ("input", "int", "main/more")
            going.answer("more", 3)
            break
    assert told(stream, "node", "run") == [("main/more", "SUCCEEDED"), ("main/add", "SUCCEEDED"), ("main", "SUCCEEDED")]
    assert list(stream) == []
    assert going.result == 4


def test_V1_async_for_takes_events_and_holds_no_loop_up(store):
    going = start(asks, {"x": 1}, store=store, echo=False)
    ticks = []

    async def ticking():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.001)

    async def following():
        beside = asyncio.create_task(ticking())
        found = []
        async for event in going.events():
            found.append(event)
            if event.kind == "gate":
                await asyncio.sleep(0.02)
                going.answer("more", 3)
        beside.cancel()
        return found

    events = asyncio.run(following())
    assert told(events)[-1] == ("main", "SUCCEEDED")
    assert len(ticks) > 3
    assert events == list(going.events())


def test_V1_without_following_it_is_what_is_committed_now(store, eventually):
    going = start(asks, {"x": 1}, store=store, echo=False)
    eventually(lambda: any(event.kind == "gate" for event in going.events(follow=False)), "the gate")
    assert told(going.events(follow=False))[-1] == ("main/more", "WAITING")
    going.answer("more", 1)
    going.wait()


def test_X8_pauses_and_an_end_from_outside_are_told(store, eventually):
    going = start(asks, {"x": 1}, store=store, echo=False)
    eventually(lambda: any(event.kind == "gate" for event in going.events(follow=False)), "the gate")
    going.pause("lunch")
    eventually(lambda: going.state == "PAUSED", "the pause")
    going.unpause()
    going.cancel("enough")
    events = [event for event in going.events() if event.kind == "run"]
    assert told(events) == [("main", state) for state in ("RUNNING", "PAUSED", "RUNNING", "CANCELLED")]
    assert [event.get("reason") for event in events] == [None, "lunch", None, "enough"]


def test_R6_a_resume_goes_on_behind_the_last_event(store, tmp_path):
    @task
    def repaired(flag: str) -> int:
        from pathlib import Path

        if not Path(flag).exists():
            raise ValueError("broken")
        return 1

    flag = tmp_path / "flag"
    failed = run(repaired, {"flag": str(flag)}, store=store, echo=False)
    before = list(failed.events())
    assert told(before)[-1] == ("main", "FAILED")
    flag.touch()
    resume(failed.id, store=store)
    events = list(failed.events(since=before[-1].cursor))
    assert told(events) == [("main", "RUNNING"), ("main/repaired", "SUCCEEDED"), ("main", "SUCCEEDED")]
    assert events[0]["epoch"] == 2


def test_J1_the_events_of_a_run_whose_process_died_end_with_what_it_committed(project, store, eventually):
    project.write(
        "flow.py",
        """
        import os
        from promissory import task, workflow, run
        @task(commit="each")
        def first() -> int:
            return 1
        @task
        def dies(x: int) -> int:
            os.kill(os.getpid(), 9)
        @workflow
        def flow() -> int:
            return dies(first())
        if __name__ == "__main__":
            run(flow, store=__import__("sys").argv[1], run_id="one", engine="inline")
        """,
    )
    process = project.spawn("flow.py", store.url)
    assert process.wait() == -9, process.stderr.read()
    assert told(whole(store, "one"), "node", "run") == [("main", "RUNNING"), ("main/first", "SUCCEEDED")]


# --- what is refused --------------------------------------------------------------------------------------------------


@cycle
def sums(c: Cycle) -> int:
    return counted(prev(counted, default=0), c.number)


def test_C5_a_cursor_before_what_a_trimmed_journal_holds_is_gone(store, monkeypatch):
    monkeypatch.setattr(writer, "SNAPSHOT_EVENTS", 10)
    monkeypatch.setattr(writer, "COMMIT_INTERVAL", 0.0)
    ended = run(sums, store=store, stop=60, keep_cycles=5, echo=False, durability="process")
    with pytest.raises(CursorGone, match=r"begins at \d+\.0, behind 0\.1"):
        ended.events(since="0.1")
    events = list(ended.events())
    assert told(events)[-1] == ("main", "SUCCEEDED")
    assert 0 < len(events) < 60 * 3
    assert list(ended.events(since=events[3].cursor)) == events[4:]


@pytest.mark.parametrize("cursor", ["", "1", "1.", ".1", "-1.0", "1.x", "١.٢", "1.2.3"])
def test_V1_what_is_no_cursor_is_refused(store, cursor):
    ended = run(inc, {"x": 1}, store=store)
    with pytest.raises(ValueError, match="is no cursor"):
        ended.events(since=cursor)


def test_V1_a_cursor_that_the_run_has_not_reached_is_refused(store):
    ended = run(inc, {"x": 1}, store=store)
    with pytest.raises(CursorGone, match=r"has not come as far as 99\.0: the cursor is another run's"):
        ended.events(since="99.0")
    assert list(ended.events(since="0.0")) == list(ended.events())


def test_V1_events_of_a_run_that_is_not_there_are_refused(store):
    run(inc, {"x": 1}, store=store)
    with pytest.raises(RunNotFound):
        Follower(store, "nothing")


# --- cost -------------------------------------------------------------------------------------------------------------


def test_V1_a_follower_holds_no_more_than_what_goes_on(store):
    ended = run(fib, {"n": 12}, store=store, durability="process")
    follower = Follower(ended.store, ended.id)
    most = 0
    for _ in follower.read():
        most = max(most, len(follower._scheduler.frames))
    assert most < 200, "465 frames were opened"
    assert not follower._scheduler.frames
    assert not follower._totals


@workflow
def alone(x: int) -> int:
    return inc(x)


@workflow
def many(xs: list[int]) -> list[int]:
    return map_task(alone)(xs)


def test_V1_a_follower_forgets_the_maps_inside_maps(store):
    @workflow
    def mapped() -> list[list[int]]:
        return map_task(many)([[1, 2], [3], []])

    for items in (False, True):
        follower = Follower(store, run(mapped, store=store, echo=False).id, items=items)
        assert list(follower.read())
        assert not follower._totals
        assert not follower._scheduler.inside_maps


def test_V1_an_event_is_data():
    event = RunEvent("0.1", 5, "node", "main/a", "FAILED", {"error": "x"})
    assert event["error"] == "x"
    assert event.get("reason", "none") == "none"
    with pytest.raises(KeyError):
        event["reason"]
