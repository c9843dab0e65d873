"""C1 to C4: cycles, whose rounds overlap and take values, orders, skips and failures from each other."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promissory import (
    Cycle,
    Skip,
    current_context,
    cycle,
    dynamic,
    every,
    map_task,
    once,
    prev,
    promise,
    rerun,
    resume,
    run,
    start,
    task,
    until,
    workflow,
)
from promissory.errors import InputError, RunFailed, RunNotFound
from promissory.executor.history.explain import explain
from promissory.testing import Crashed, MockClock, Takes, always_replay, crash_at, simulate

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
    return f"memory://cycles-{request.node.name}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@task
def prep() -> int:
    note("prep")
    return 100


@task(retries=1)
def foo(number: int, before: int, base: int) -> int:
    note(f"foo.{number}")
    if Path(f"broken.{number}").exists():
        raise ValueError("not now")
    return before + 1


@task
def bar(number: int, value: int) -> int:
    note(f"bar.{number}")
    return value


@cycle
def five(c: Cycle) -> int:
    base = once()(prep)()
    value = foo(c.number, prev(foo, default=0), base)
    bar(c.number, value)
    return value


FIVE = {"prep": 0, "foo": Takes(1, 1), "bar": Takes(1, 1)}


def of(simulated) -> list[str]:
    """The bodies in the order in which they began, as `foo.3`."""
    return [path.rpartition("/")[2] + "." + path.rpartition("@")[2].partition("/")[0] for path in simulated.paths]


def active(simulated) -> int:
    """How many rounds were unfinished at one time, at most."""
    steps = [(step, int(step.path.rpartition("@")[2].partition("/")[0])) for step in simulated.trace]
    begin, end = {}, {}
    for step, round in steps:
        begin[round] = min(begin.get(round, step.begin), step.begin)
        end[round] = max(end.get(round, step.end), step.end)
    return max(sum(begin[one] < at <= end[one] for one in begin) for at in end.values())


# --- the order of starts (scenarios 19 and 20) ---


@cycle(stop=4)
def four(c: Cycle) -> int:
    base = once()(prep)()
    value = foo(c.number, prev(foo, default=0), base)
    bar(c.number, value)
    return value


def test_C2_one_worker_goes_round_by_round():
    done = simulate(four, FIVE)
    assert of(done) == ["prep.1", "foo.1", "bar.1", "foo.2", "bar.2", "foo.3", "bar.3", "foo.4", "bar.4"]


def test_C2_with_two_workers_a_round_overlaps_the_one_before():
    done = simulate(four, FIVE, parallel=2)
    at = dict(zip(of(done), done.trace, strict=True))
    assert [name for name in at if name.startswith("prep")] == ["prep.1"]
    for number in (1, 2, 3):
        assert at[f"foo.{number + 1}"].begin == at[f"foo.{number}"].end
        assert at[f"bar.{number}"].end > at[f"foo.{number + 1}"].begin
    assert done.seconds == 5


@cycle(stop=5, max_active=2)
def two_active(c: Cycle) -> int:
    base = once()(prep)()
    value = foo(c.number, prev(foo, default=0), base)
    bar(c.number, value)
    return value


@cycle(stop=5, max_active=1)
def one_active(c: Cycle) -> int:
    base = once()(prep)()
    value = foo(c.number, prev(foo, default=0), base)
    bar(c.number, value)
    return value


SLOW = {"prep": Takes(1, 0), "foo": Takes(1, 1), "bar": Takes(6, 1)}


def test_C2_no_more_rounds_than_max_active_are_unfinished():
    done = simulate(two_active, SLOW, parallel=8)
    at = dict(zip(of(done), done.trace, strict=True))
    assert active(done) == 2
    assert at["foo.3"].begin == at["bar.1"].end
    assert done.seconds == 22


def test_C2_with_one_the_rounds_follow_each_other():
    done = simulate(one_active, SLOW, parallel=8)
    at = dict(zip(of(done), done.trace, strict=True))
    assert all(at[f"foo.{number + 1}"].begin == at[f"bar.{number}"].end for number in range(1, 5))
    assert done.seconds == 1 + 5 * 7


@cycle(stop=12, max_active=5)
def apart(c: Cycle) -> int:
    return bar(c.number, foo(c.number, 0, 0))


def test_C2_rounds_that_need_nothing_of_each_other_start_together_as_far_as_the_window_goes():
    done = simulate(apart, {"foo": Takes(1, 1), "bar": Takes(1, 1)}, parallel=99)
    at = {name: step.begin for name, step in zip(of(done), done.trace, strict=True)}
    assert [at[f"foo.{number}"] for number in range(1, 7)] == [0, 0, 0, 0, 0, 2]


@cycle(stop=3)
def joins(c: Cycle) -> int:
    a = promise(foo(c.number, 0, 0)).with_overrides(name="a")
    prev("d") >> a
    b = promise(bar(c.number, a)).with_overrides(name="b")
    d = promise(bar(c.number, a)).with_overrides(name="c")
    return promise(foo(c.number, b, d)).with_overrides(name="d")


def test_C2_a_join_in_each_round_runs_once_a_round_after_what_it_joins():
    done = simulate(joins, {name: Takes(1, 1) for name in "abcd"}, parallel=4)
    at = dict(zip(of(done), done.trace, strict=True))
    assert sorted(at) == [f"{name}.{number}" for name in "abcd" for number in (1, 2, 3)]
    for number in (1, 2, 3):
        assert at[f"d.{number}"].begin == at[f"b.{number}"].end == at[f"c.{number}"].end
    assert at["a.2"].begin == at["d.1"].end


# --- running for real ---


@ENGINES
def test_C2_values_go_from_round_to_round(engine, store):
    done = run(five, engine=engine, store=store, stop=4, echo=False)
    assert (done.state, done.result) == ("SUCCEEDED", 4)
    assert sorted(began()) == sorted(
        ["prep", *(f"{name}.{number}" for name in ("foo", "bar") for number in range(1, 5))]
    )


@ENGINES
def test_C3_a_stopped_cycle_goes_on_where_it_stopped_and_runs_nothing_again(engine, store):
    done = run(five, engine=engine, store=store, stop=3, run_id="r", echo=False)
    assert done.result == 3
    LOG.unlink()
    done = resume("r", engine=engine, store=store, stop=5)
    assert done.result == 5
    assert sorted(began()) == ["bar.4", "bar.5", "foo.4", "foo.5"]
    assert [row.state for row in done.nodes() if row.path == "main/five"] == ["SUCCEEDED"]


def test_C3_a_resume_that_asks_for_no_more_than_there_is_changes_nothing(store):
    run(five, store=store, stop=3, run_id="r", echo=False)
    LOG.unlink()
    assert resume("r", store=store, stop=3).result == 3
    assert resume("r", store=store).result == 3
    assert began() == []
    assert resume("r", store=store, stop=4).result == 4


@task
def doubled(x: int) -> int:
    return 2 * x


@workflow
def around() -> int:
    return doubled(five())


def test_C3_a_cycle_whose_value_was_taken_does_not_go_on(store):
    done = run(around, store=store, stop=3, run_id="r", echo=False)
    assert done.result == 6
    with pytest.raises(InputError, match="whose value nothing has taken"):
        resume("r", store=store, stop=5)
    assert resume("r", store=store).result == 6


@cycle(stop=100)
def until_large(c: Cycle, limit: int) -> int:
    value = foo(c.number, prev(foo, default=0), 0)
    bar(c.number, value)
    return value, until(value >= limit)


@ENGINES
def test_C3_a_predicate_ends_the_cycle_and_no_round_runs_in_vain(engine, store):
    done = run(until_large, {"limit": 3}, engine=engine, store=store, echo=False)
    assert done.result == 3
    assert sorted(began()) == ["bar.1", "bar.2", "bar.3", "foo.1", "foo.2", "foo.3"]


def test_C3_a_cycle_that_a_predicate_ended_has_ended(store):
    run(until_large, {"limit": 3}, store=store, run_id="r", echo=False)
    with pytest.raises(InputError, match="no cycle of it that was stopped could go on to 9"):
        resume("r", store=store, stop=9)


@task
def ends(number: int) -> int:
    if number == 3:
        current_context().terminate("three are enough")
    return number


@cycle
def terminated(c: Cycle) -> int:
    value = ends(c.number)
    prev(ends) >> promise(value)
    return value


@ENGINES
def test_C3_a_task_ends_it_with_the_run(engine, store):
    done = run(terminated, engine=engine, store=store, echo=False)
    assert (done.state, done.reason) == ("TERMINATED", "three are enough")


# --- failures (scenarios 22 and 24) ---


@ENGINES
def test_C4_a_failure_ends_what_needs_it_in_all_rounds_and_a_resume_goes_on_there(engine, store):
    Path("broken.2").touch()
    done = run(four, engine=engine, store=store, run_id="r", echo=False)
    assert done.state == "FAILED"
    assert sorted(began()) == ["bar.1", "foo.1", "foo.2", "foo.2", "prep"]
    with pytest.raises(RunFailed, match=r"main/four@2/foo failed: ValueError: not now"):
        done.result
    states = {row.path: row.state for row in done.nodes()}
    assert states["main/four@2/foo"] == "FAILED"
    assert {states[f"main/four@{number}/bar"] for number in (2, 3, 4)} == {"UPSTREAM_FAILED"}
    Path("broken.2").unlink()
    LOG.unlink()
    with always_replay():
        done = resume("r", engine=engine, store=store)
    assert done.result == 4
    assert sorted(began()) == ["bar.2", "bar.3", "bar.4", "foo.2", "foo.3", "foo.4"]
    assert {row.state for row in done.nodes()} == {"SUCCEEDED"}


@task
def other(number: int) -> int:
    note(f"other.{number}")
    return number


@cycle(stop=9, max_active=3)
def partly(c: Cycle) -> int:
    value = foo(c.number, prev(foo, default=0), 0)
    bar(c.number, value)
    return other(c.number)


@ENGINES
def test_C4_rounds_that_do_not_need_it_go_on_as_far_as_the_window_goes(engine, store):
    Path("broken.2").touch()
    done = run(partly, engine=engine, store=store, run_id="r", echo=False)
    assert done.state == "FAILED"
    assert sorted(one for one in began() if one.startswith("other")) == ["other.1", "other.2", "other.3", "other.4"]
    Path("broken.2").unlink()
    LOG.unlink()
    done = resume("r", engine=engine, store=store)
    assert done.result == 9
    assert {row.state for row in done.nodes()} == {"SUCCEEDED"}
    assert sorted(one for one in began() if one.startswith("other")) == [f"other.{n}" for n in range(5, 10)]


@workflow
def instead_of_the_cycle() -> int:
    return promise(four()).on_error(fallback)


@task
def fallback() -> int:
    note("fallback")
    return -1


@ENGINES
def test_C4_a_failed_cycle_may_be_handled_like_any_node(engine, store):
    Path("broken.2").touch()
    done = run(instead_of_the_cycle, engine=engine, store=store, run_id="r", echo=False)
    assert (done.state, done.result) == ("SUCCEEDED", -1)
    assert resume("r", engine=engine, store=store).result == -1
    assert began().count("fallback") == 1


@cycle(stop=3)
def breaks_in_its_body(c: Cycle) -> int:
    note(f"traced.{c.number}")
    if c.number == 2 and Path("broken").exists():
        raise OSError("no")
    return other(c.number)


@ENGINES
def test_C4_a_round_whose_body_raises_lets_the_rounds_before_finish(engine, store):
    Path("broken").touch()
    LOG.unlink(missing_ok=True)
    done = run(breaks_in_its_body, engine=engine, store=store, run_id="r", echo=False)
    with pytest.raises(RunFailed, match=r"main/breaks_in_its_body@2 failed: OSError: no"):
        done.result
    assert "other.1" in began()
    Path("broken").unlink()
    LOG.unlink()
    assert resume("r", engine=engine, store=store).result == 3
    assert [one for one in began() if one.startswith("other")] == ["other.2", "other.3"]


# --- where a cycle stands ---


@dynamic
def grows(n: int) -> int:
    return counted(n)


@cycle(stop=3)
def counted(c: Cycle, n: int) -> int:
    return other(prev(other, default=n))


@workflow
def many(ns: list[int]) -> list[int]:
    return map_task(counted)(n=ns)


@workflow
def nested(n: int) -> int:
    return grows(counted(n))


@ENGINES
def test_C1_a_cycle_stands_in_a_workflow_a_dynamic_and_a_map(engine, store):
    assert run(nested, {"n": 5}, engine=engine, store=store, echo=False).result == 5
    done = run(many, {"ns": [1, 2, 3]}, engine=engine, store=store, echo=False)
    assert done.result == [1, 2, 3]
    assert "main/counted[1]@3/other" in [row.path for row in done.nodes(items=True)]


@cycle(stop=2)
def outer(c: Cycle) -> int:
    return other(counted(prev(other, default=c.number)))


def test_C1_a_cycle_stands_in_a_cycle(store):
    done = run(outer, store=store, echo=False)
    assert done.result == 1
    assert "main/outer@2/counted@3/other" in [row.path for row in done.nodes()]


# --- once, every, defaults ---


@cycle(stop=6)
def sometimes(c: Cycle) -> int:
    seen = every(3, offset=1, default=-1)(other)(c.number)
    return bar(c.number, seen)


def test_C1_every_stands_for_the_latest_one_in_between(store):
    done = run(sometimes, store=store, echo=False)
    assert [one for one in began() if one.startswith("other")] == ["other.2", "other.5"]
    assert [done.value(f"main/sometimes@{n}/bar") for n in range(1, 7)] == [-1, 2, 2, 2, 5, 5]


@task
def cold() -> int:
    note("cold")
    return 40


@cycle(stop=3)
def from_a_promise(c: Cycle) -> int:
    return foo(c.number, prev(foo, default=cold()), 0)


def test_C1_a_default_that_is_called_runs_where_it_is_needed_only(store):
    assert run(from_a_promise, store=store, echo=False).result == 43
    assert began().count("cold") == 1


@cycle(stop=3)
def skips(c: Cycle) -> int:
    value = other(c.number)
    bar(c.number, prev(other, 2, default=Skip))
    return value


def test_C1_a_default_of_skip_skips_what_takes_it(store):
    done = run(skips, store=store, echo=False)
    states = {row.path: row.state for row in done.nodes()}
    assert [states[f"main/skips@{n}/bar"] for n in (1, 2, 3)] == ["SKIPPED", "SKIPPED", "SUCCEEDED"]


@cycle(stop=3)
def reports(c: Cycle) -> int:
    value = other(c.number)
    promise(other(-c.number)).with_overrides(name="minus")
    once(last=True)(bar)(0, value)
    return value


@ENGINES
def test_C1_what_is_for_the_last_round_runs_after_it(engine, store):
    done = run(reports, engine=engine, store=store, run_id="r", echo=False)
    assert done.result == 3
    assert done.value("main/reports@last/bar") == 3
    assert began().count("bar.0") == 1
    assert began()[-1] == "bar.0"
    assert resume("r", engine=engine, store=store, stop=4).value("main/reports@last/bar") == 4
    assert began().count("bar.0") == 2


@cycle(stop=3, start=1)
def knows(c: Cycle) -> list[int | bool]:
    note(f"{c.number} {c.point} {c.first} {c.last}")
    return [c.number]


def test_C1_a_round_knows_its_number_and_whether_it_is_the_first_or_the_last(store):
    run(knows, store=store, run_id="r", echo=False)
    assert began()[-3:] == ["1 1 True False", "2 2 False False", "3 3 False True"]
    run(knows, store=store, stop=2, echo=False)
    assert began()[-1] == "2 2 False True"


# --- points in time ---

DAY = datetime(2026, 11, 28, tzinfo=UTC)


@cycle(start=DAY, stop=DAY + timedelta(days=3), points=timedelta(days=1))
def daily(c: Cycle) -> str:
    return said(c.point.isoformat(), c.number)


@task
def said(text: str, number: int) -> str:
    note(f"{number} {text}")
    return text


def test_C1_points_in_time_that_have_passed_follow_each_other_at_once(store):
    clock = MockClock(start=(DAY + timedelta(days=30)).timestamp())
    done = run(daily, store=store, clock=clock, echo=False)
    assert done.result == "2026-12-01T00:00:00+00:00"
    assert [one.partition(" ")[0] for one in began()] == ["1", "2", "3", "4"]
    assert clock.monotonic() == 0


def test_C1_a_point_that_is_still_to_come_is_waited_for(store):
    clock = MockClock(start=(DAY + timedelta(hours=12)).timestamp())
    done = run(daily, store=store, clock=clock, echo=False)
    assert done.state == "SUCCEEDED"
    assert clock.monotonic() == pytest.approx(2.5 * 86400, abs=1)


@cycle(points=lambda: iter([3, 1, 4, 1, 5]))
def of_an_iterator(c: Cycle) -> int:
    return foo(c.point, prev(foo, default=0), 0)


@cycle(points=[])
def of_nothing() -> int:
    return other(1)


@ENGINES
def test_C1_points_may_be_given_by_anything_that_can_be_read_again(engine, store):
    assert run(of_an_iterator, engine=engine, store=store, echo=False).result == 5
    assert [one for one in began() if one.startswith("foo")] == ["foo.3", "foo.1", "foo.4", "foo.1", "foo.5"]


def test_C1_a_cycle_without_a_round_gives_none(store):
    assert run(of_nothing, store=store, echo=False).result is None


# --- memory, journal, crashes ---


@cycle
def endless(c: Cycle) -> int:
    return plain(prev(plain, default=0))


@task
def plain(x: int) -> int:
    return x + 1


def test_C3_frames_and_values_of_finished_rounds_are_forgotten(memory):
    most = []

    def look(execution):
        scheduler = execution.scheduler
        cycles = list(scheduler.cycles.values())
        most.append((len(scheduler.frames), *(len(one.past) + len(one.waiting) for one in cycles)))

    from promissory.executor.execution import loop

    before, loop.examine = loop.examine, look
    try:
        done = run(endless, store=memory, stop=500, max_nodes=50, echo=False)
    finally:
        loop.examine = before
    assert done.result == 500
    assert max(most)[0] <= 1 + 4
    assert max(one[1] for one in most if len(one) > 1) <= 6


def test_C3_a_stop_from_outside_is_resumed_with_the_next_round(store):
    seen = threading.Event()

    def look(progress):
        if progress.done > 50:
            seen.set()

    begun = start(endless, store=store, run_id="r", on_progress=look, echo=False)
    assert seen.wait(60)
    begun.stop("enough")
    begun.wait()
    assert begun.state in ("INTERRUPTED", "STOPPED")
    reached = max(int(row.path.rpartition("@")[2].partition("/")[0]) for row in begun.nodes() if "@" in row.path)
    assert resume("r", store=store, stop=reached + 3).result == reached + 3


@pytest.mark.parametrize("workload", [four, until_large, reports, sometimes, partly])
def test_C2_the_journal_says_all_after_every_round_of_the_loop(workload, memory):
    inputs = {"limit": 3} if workload is until_large else {}
    with always_replay():
        assert run(workload, inputs, store=memory, echo=False, durability="process").state == "SUCCEEDED"


@ENGINES
def test_X3_futures_files_and_result_are_the_same_on_each_engine(engine, tmp_path):
    alone = run(four, store=tmp_path / "a", run_id="r", engine="inline", echo=False)
    done = run(four, store=tmp_path / "b", run_id="r", engine=engine, echo=False)
    assert done.result == alone.result
    of_rounds = [done.futures(f"main/four@{number}") for number in range(1, 5)]
    assert of_rounds == [alone.futures(f"main/four@{number}") for number in range(1, 5)]


def test_T5_a_round_is_named_by_its_path(store):
    done = run(four, store=store, run_id="r", echo=False)
    assert done.value("main/four@3/foo") == 3
    assert done.value("four@2/bar") == 2
    with pytest.raises(Exception, match="there is no round 9 of main/four in run r: there is 1 to 4"):
        done.value("four@9/bar")


@cycle(stop=6)
def fibonacci(c: Cycle) -> int:
    return added(prev(added, default=1), prev(added, 2, default=0))


@task
def added(a: int, b: int) -> int:
    return a + b


def test_C1_values_are_kept_as_far_back_as_the_body_reaches(store):
    done = run(fibonacci, store=store, echo=False)
    assert [done.value(f"main/fibonacci@{n}") for n in range(1, 7)] == [1, 1, 2, 3, 5, 8]


@cycle(stop=4)
def far(c: Cycle) -> int:
    value = other(c.number)
    if c.number > 3:
        bar(c.number, prev(other, 3))
    return value


def test_C1_a_reach_further_than_any_before_says_that_nothing_is_kept(store):
    done = run(far, store=store, echo=False)
    with pytest.raises(RunFailed, match="reaches 3 rounds back, to other of round 1, which is not kept"):
        done.result


# --- rerun ---


def test_C2_a_rerun_from_a_node_of_a_round_takes_the_rounds_before(store):
    run(five, store=store, run_id="r", stop=4, echo=False)
    LOG.unlink()
    again = rerun("r", "main/five@3/foo", store=store)
    assert again.result == 4
    assert sorted(began()) == ["bar.3", "bar.4", "foo.3", "foo.4"]


def test_C2_a_rerun_of_a_cycle_goes_as_far_as_the_cycle_was_told_to(store):
    run(five, store=store, run_id="r", stop=2, echo=False)
    resume("r", store=store, stop=3)
    LOG.unlink()
    assert rerun("r", "main/five", store=store).result == 3
    assert len(began()) == 7
    with pytest.raises(RunNotFound, match="is a round: name a node in it"):
        rerun("r", "main/five@2", store=store)


# --- what others found ---


@dynamic
def plus(n: int) -> int:
    return added(n, 1)


@cycle(max_active=2)
def ends_in_a_dynamic(c: Cycle) -> int:
    return plus(c.number)


@ENGINES
def test_C1_a_round_may_end_in_a_dynamic(engine, store):
    assert run(ends_in_a_dynamic, engine=engine, store=store, stop=3, echo=False).result == 4
    assert run(through_dynamics, engine=engine, store=store, stop=3, echo=False).result == 3


@cycle(max_active=3)
def through_dynamics(c: Cycle) -> int:
    return plus(prev(plus, default=0))


@task
def held(number: int) -> int:
    if Path(f"broken.{number}").exists():
        raise ValueError("not now")
    return number


@cycle(max_active=4)
def holds(c: Cycle) -> int:
    return bar(c.number, every(2)(held)(c.number))


def test_C1_a_resume_stands_for_the_round_that_was_meant(store):
    Path("broken.1").touch()
    assert run(holds, store=store, run_id="r", stop=4, echo=False).state == "FAILED"
    Path("broken.1").unlink()
    done = resume("r", store=store)
    assert [done.value(f"main/holds@{n}/bar") for n in (1, 2, 3, 4)] == [1, 1, 3, 3]


@pytest.mark.parametrize("point", ["run.manifest-written", "journal.committed", "worker.before-body"])
def test_C3_how_far_a_run_goes_is_known_from_its_beginning(point, memory):
    with pytest.raises(Crashed), crash_at(point):
        run(five, store=memory, run_id="r", stop=3, echo=False, durability="process")
    assert resume("r", store=memory, take_over=True, echo=False).result == 3


def test_C3_a_first_stop_of_one_goes_on_too(store):
    run(reports, store=store, run_id="r", stop=1, echo=False)
    done = resume("r", store=store, stop=2, echo=False)
    assert done.result == 2
    assert [row.path for row in done.nodes() if row.path.endswith("bar")] == ["main/reports@last/bar"] * 2


def test_C4_a_failure_in_a_round_outlives_snapshots(store, monkeypatch):
    monkeypatch.setattr("promissory.executor.journal.writer.SNAPSHOT_EVENTS", 3)
    Path("broken.2").touch()
    run(partly, store=store, run_id="r", echo=False, durability="process")
    Path("broken.2").unlink()
    assert resume("r", store=store, timeout=60, durability="process").result == 9


@cycle
def closes(c: Cycle) -> int:
    value = other(c.number)
    once(last=True)(held)(value)
    return value


def test_C3_what_was_to_run_after_the_last_round_is_forgotten_when_another_is_the_last(store):
    Path("broken.3").touch()
    assert run(closes, store=store, run_id="r", stop=3, echo=False).state == "FAILED"
    done = resume("r", store=store, stop=5, echo=False)
    assert done.result == 5
    assert done.value("main/closes@last/held") == 5
    assert {row.state for row in done.nodes()} == {"SUCCEEDED"}


def test_C3_a_lower_stop_is_a_stop(memory):
    with pytest.raises(Crashed), crash_at("worker.before-body", 8):
        run(five, store=memory, run_id="r", stop=50, echo=False, durability="process")
    reached = resume("r", store=memory, stop=2, take_over=True, echo=False).result
    assert resume("r", store=memory, stop=9, echo=False).result == 9 > reached


def test_C3_a_stop_before_the_first_round_is_told(store):
    done = run(five, store=store, run_id="r", stop=0, echo=False)
    with pytest.raises(RunFailed, match="it has no round: it begins with 1, and is to go no further than 0"):
        done.result
    assert resume("r", store=store, stop=2).result == 2


@cycle
def perhaps(c: Cycle) -> int | None:
    return other(c.number)


def test_C3_a_cycle_that_may_give_none_gives_none_and_goes_on(store):
    assert run(perhaps, store=store, run_id="r", stop=0, echo=False).result is None
    assert resume("r", store=store).result is None
    assert resume("r", store=store, stop=2).result == 2


@cycle(stop=3)
def looks_back_at_the_end(c: Cycle) -> int:
    value = other(c.number)
    once(last=True)(added)(value, prev(other, default=0))
    return other_too(1)


@task
def other_too(n: int) -> int:
    return n


def test_C1_what_runs_after_the_last_round_has_its_values_also_those_of_earlier_ones(store):
    assert run(looks_back_at_the_end, store=store, echo=False).value("main/looks_back_at_the_end@last/added") == 5


def test_C3_a_rerun_may_go_another_way(store):
    run(five, store=store, run_id="r", stop=4, echo=False)
    assert rerun("r", "main/five", store=store, stop=2).result == 2
    assert rerun("r", "main/five@2/foo", store=store, stop=6).result == 6


def test_R6_a_once_that_is_new_runs_in_the_first_round_that_has_it(write_module, store):
    source = """
        from promissory import Cycle, cycle, once, prev, task

        @task
        def new() -> int:
            return 7

        @task
        def add(a: int, b: int) -> int:
            return a + b

        @cycle
        def going(c: Cycle) -> int:
            return add(prev(add, default=0), BY)
    """
    module = write_module("going_on", source.replace("BY", "1"))
    run(module.going, store=store, run_id="r", stop=3, echo=False)
    write_module("going_on", source.replace("BY", "once()(new)()"))
    done = resume("r", store=store, stop=5, echo=False)
    assert done.result == 3 + 7 + 7
    assert [row.path for row in done.nodes() if row.path.endswith("new")] == ["main/going@4/new"]


@pytest.mark.full
@pytest.mark.parametrize("moment", range(1, 24))
def test_C1_what_runs_after_the_last_round_runs_whenever_the_run_dies(moment, memory):
    try:
        with crash_at("journal.committed", moment):
            run(reports, store=memory, run_id="r", stop=3, echo=False, durability="process")
    except Crashed:
        done = resume("r", store=memory, stop=3, take_over=True, echo=False)
        assert done.value("main/reports@last/bar") == 3


def test_R4_a_failure_from_an_earlier_round_is_told_with_its_own_path(store):
    Path("broken.2").touch()
    run(four, store=store, run_id="r", echo=False)
    said = str(explain(store, "r", "main/four@3/foo"))
    assert "main/four@2/foo" in said
    assert "earlier" not in said


def test_R6_points_that_changed_are_told(write_module, store):
    source = """
        from promissory import Cycle, cycle, task

        @task
        def see(n: int) -> int:
            return n

        @cycle(points=POINTS)
        def seen(c: Cycle) -> int | None:
            return see(c.point)
    """
    module = write_module("seen_points", source.replace("POINTS", "[5, 6, 7, 8]"))
    run(module.seen, store=store, run_id="r", stop=2, echo=False)
    write_module("seen_points", source.replace("POINTS", "[4, 5, 6, 7, 8]"))
    told = []
    assert resume("r", store=store, stop=3, on_change=told.append).result == 6
    assert [change.name for change in told] == ["seen_points:seen"]


def test_R6_a_body_that_changed_counts_from_the_next_round_on_also_where_a_round_failed(write_module, store):
    source = """
        from pathlib import Path
        from promissory import Cycle, cycle, task

        @task
        def see(n: int) -> int:
            if n == 2 and Path("broken").exists():
                raise ValueError(n)
            return n

        @cycle(max_active=2)
        def seen(c: Cycle) -> int:
            return see(c.number + MORE)
    """
    Path("broken").touch()
    module = write_module("seen_bodies", source.replace("MORE", "0"))
    assert run(module.seen, store=store, run_id="r", stop=5, echo=False).state == "FAILED"
    Path("broken").unlink()
    write_module("seen_bodies", source.replace("MORE", "100"))
    done = resume("r", store=store)
    assert [done.value(f"main/seen@{n}/see") for n in (1, 2, 3, 4, 5)] == [1, 2, 3, 104, 105]
