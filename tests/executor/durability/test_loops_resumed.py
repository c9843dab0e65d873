"""S2, R6, J1: a run that ended in the middle of a loop goes on at that iteration, and the earlier ones are not
touched.
"""

import json
import os
import random
import signal
import threading
from collections import Counter

import pytest

from promissory import Context, Loop, current_context, dynamic, map_task, task, workflow
from promissory.errors import RunNotFound
from promissory.executor import Store, rerun, resume, run, start
from promissory.executor.history.history import History
from promissory.executor.journal import writer as journal
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import export
from promissory.executor.maintenance.garbage import garbage, remove
from promissory.executor.protocol.events import EXPANDED, LOOPED, SNAPSHOT
from promissory.testing import Crashed, crash_at

ENGINES = ["inline", "processes"]
COMMAND = "import sys; from promissory.executor.cli.main import main; main(sys.argv[1:])"


@pytest.fixture
def broken(tmp_path):
    """A file; while it is there, some bodies fail."""
    path = tmp_path / "broken"
    path.touch()
    return path


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


def go(target, inputs, store, engine="inline", **more):
    return run(target, inputs, store=store, engine=engine, echo=False, durability="process", **more)


def again(ended, store, engine="inline", **more):
    return resume(ended.id, store=store, engine=engine, echo=False, durability="process", **more)


def fibonacci(diary, broken, at=7, **policy):
    """n and fib(n) go from iteration to iteration; n = `at` fails while something is broken."""

    def fib(n):
        a, b = 0, 1
        for _ in range(n):
            a, b = b, a + b
        return a

    @task(**policy)
    def largest_below(limit: int) -> int:
        before = current_context().loop_result or {"n": 1, "fib": 1}
        n = before["n"]
        note(diary, n)
        if n == at and broken.exists():
            raise OSError(f"no answer for {n}")
        if fib(n) > limit:
            return before["fib"]
        raise Loop({"n": n + 1, "fib": fib(n)})

    return largest_below


SCENARIO = Counter({str(n): 3 if n == 7 else 1 for n in range(1, 13)})


# --- a failed iteration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_S2_resume_starts_at_the_iteration_that_failed(store, diary, broken, engine):
    ended = go(fibonacci(diary, broken, retries=1), {"limit": 100}, store, engine)
    assert (ended.state, ended.error.path) == ("FAILED", "main/largest_below[=6]")
    assert noted(diary) == Counter({**{str(n): 1 for n in range(1, 7)}, "7": 2})
    broken.unlink()
    resumed = again(ended, store, engine)
    assert resumed.result == 89
    assert noted(diary) == SCENARIO
    (row,) = resumed.nodes()
    assert (row.state, row.iterations) == ("SUCCEEDED", 11)


def test_S2_a_resume_that_fails_again_begins_again_with_a_whole_budget_at_that_iteration(store, diary, broken):
    ended = go(fibonacci(diary, broken, retries=1), {"limit": 100}, store)
    for tries in (4, 6):
        assert again(ended, store).state == "FAILED"
        assert noted(diary)["7"] == tries
    broken.unlink()
    assert again(ended, store).result == 89
    assert noted(diary) == Counter({str(n): 7 if n == 7 else 1 for n in range(1, 13)})


def wrapped(how, diary, broken):
    """A loop that fails, in several places; what runs first, how often bodies ran by then, and in all."""
    loop = fibonacci(diary, broken)

    @task
    def first(x: int) -> int:
        note(diary, "first")
        return x

    @task
    def last(x: int) -> int:
        note(diary, "last")
        return x

    @workflow
    def nested(limit: int) -> int:
        return last(loop(first(limit)))

    @workflow
    def outer(limit: int) -> int:
        return nested(limit)

    @dynamic
    def emits(limit: int) -> int:
        note(diary, "emits")
        return last(loop(first(limit)))

    @dynamic
    def deeper(limit: int, n: int) -> int:
        note(diary, "deeper", n)
        return last(deeper(limit, n - 1)) if n else loop(limit)

    @workflow
    def mapped(limit: int) -> list[int]:
        return map_task(loop)(limit=[first(limit)])

    @workflow
    def mapped_nested(limit: int) -> list[int]:
        return map_task(nested)(limit=[limit])

    return {
        "workflow": (outer, {"limit": 100}, 89),
        "dynamic": (emits, {"limit": 100}, 89),
        "recursion": (deeper, {"limit": 100, "n": 3}, 89),
        "map": (mapped, {"limit": 100}, [89]),
        "map of workflows": (mapped_nested, {"limit": 100}, [89]),
    }[how]


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("how", ["workflow", "dynamic", "recursion", "map", "map of workflows"])
def test_S2_wherever_the_loop_is_resume_starts_at_the_iteration_that_failed(store, diary, broken, how):
    target, inputs, result = wrapped(how, diary, broken)
    ended = go(target, inputs, store)
    assert ended.state == "FAILED"
    assert ended.error.path.endswith("[=6]")
    broken.unlink()
    assert again(ended, store).result == result
    assert {line: times for line, times in noted(diary).items() if line != "last" and times > 1} == {"7": 2}


def test_S2_only_the_item_that_failed_goes_on_and_at_its_iteration(store, diary, broken):
    @task
    def counts(n: int) -> int:
        ctx = current_context()
        note(diary, n, ctx.loop_index)
        if n == 8 and ctx.loop_index == 3 and broken.exists():
            raise OSError("broken")
        if ctx.loop_index < 5:
            raise Loop((ctx.loop_result or 0) + n)
        return ctx.loop_result

    @workflow
    def flow(ns: list[int]) -> list[int]:
        return map_task(counts)(n=ns)

    ended = go(flow, {"ns": [7, 8, 9]}, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/counts[1][=3]")
    before = noted(diary)
    broken.unlink()
    assert again(ended, store).result == [35, 40, 45]
    assert noted(diary) - before == Counter({"8 3": 1, "8 4": 1, "8 5": 1})


def rounds(diary, broken, **policy):
    """A dynamic with two tasks an iteration; the second fails in iteration 3 while something is broken."""

    @task
    def double(x: int) -> int:
        note(diary, "double", x)
        return 2 * x

    @task
    def inc(x: int, index: int) -> int:
        note(diary, "inc", index)
        if index == 3 and broken.exists():
            raise OSError("broken")
        return x + 1

    @dynamic(**policy)
    def many() -> int:
        ctx = current_context()
        note(diary, "many", ctx.loop_index)
        if ctx.loop_index == 5:
            return ctx.loop_result
        raise Loop(inc(double(ctx.loop_result or 0), ctx.loop_index))

    return many


@pytest.mark.parametrize("nested", [False, True])
def test_D6_a_committed_iteration_of_a_dynamic_is_not_traced_again_by_a_resume(store, diary, broken, nested):
    many = rounds(diary, broken)

    @workflow
    def flow() -> int:
        return many()

    ended = go(flow if nested else many, {}, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/many[=3]/inc")
    broken.unlink()
    resumed = again(ended, store)
    assert resumed.result == 31
    assert {line: times for line, times in noted(diary).items() if times > 1} == {"inc 3": 2}
    assert sum(noted(diary).values()) == 6 + 5 + 5 + 1


def test_D6_a_dynamic_whose_body_fails_in_an_iteration_is_resumed_there(store, diary, broken):
    @task
    def inc(x: int) -> int:
        note(diary, "inc", x)
        return x + 1

    @dynamic
    def many() -> int:
        ctx = current_context()
        note(diary, "many", ctx.loop_index)
        made = inc(ctx.loop_result or 0)
        if ctx.loop_index == 3 and broken.exists():
            raise OSError("broken")
        if ctx.loop_index < 5:
            raise Loop(made)
        return made

    ended = go(many, {}, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/many[=3]")
    broken.unlink()
    assert again(ended, store).result == 6
    assert noted(diary) == Counter(
        {**{f"many {i}": 1 + (i == 3) for i in range(6)}, **{f"inc {i}": 1 for i in range(6)}}
    )


# --- limits -----------------------------------------------------------------------------------------------------------


LIMITED = """
    from promissory import Loop, current_context, task

    seen = []

    @task(max_iterations=3)
    def counts() -> int:
        ctx = current_context()
        seen.append(ctx.loop_index)
        if ctx.loop_index < 5:
            raise Loop(ctx.loop_count)
        return ctx.loop_result
"""


def test_S3_with_the_limit_raised_in_the_code_resume_goes_on_where_it_was_as_the_message_says(store, write_module):
    module = write_module("limited", LIMITED)
    ended = go(module.counts, {}, store)
    assert "IterationLimitExceeded" in str(ended.error) and "resume" in str(ended.error)
    assert module.seen == [0, 1, 2]
    module = write_module("limited", LIMITED.replace("max_iterations=3", "max_iterations=30"))
    resumed = again(ended, store)
    assert resumed.state == "SUCCEEDED", resumed.error
    assert resumed.result == 5
    assert module.seen == [3, 4, 5]


def test_S3_a_resume_without_raising_the_limit_fails_as_before_and_runs_nothing(store, diary):
    @task(max_iterations=3)
    def endless(ctx: Context) -> int:
        note(diary, ctx.loop_index)
        raise Loop()

    ended = go(endless, {}, store)
    resumed = again(ended, store)
    assert "IterationLimitExceeded" in str(resumed.error)
    assert sum(noted(diary).values()) == 3


# --- code changes -----------------------------------------------------------------------------------------------------


CHANGING = """
    from promissory import Loop, current_context, task

    seen = []

    @task
    def counts() -> list[str]:
        ctx = current_context()
        seen.append(ctx.loop_index)
        so_far = [*(ctx.loop_result or []), "old"]
        if ctx.loop_index == 3:
            raise OSError("to be repaired")
        if len(so_far) < 6:
            raise Loop(so_far)
        return so_far
"""


def test_R6_after_a_code_change_committed_iterations_stay_and_the_next_ones_run_the_new_code(store, write_module):
    module = write_module("changing", CHANGING)
    ended = go(module.counts, {}, store)
    module = write_module(
        "changing", CHANGING.replace('"old"', '"new"').replace('raise OSError("to be repaired")', "pass")
    )
    resumed = again(ended, store)
    assert resumed.result == ["old"] * 3 + ["new"] * 3
    assert module.seen == [3, 4, 5]
    assert len(History(store, ended.id).changed_code) == 1


# --- crashes ----------------------------------------------------------------------------------------------------------


MODULE = """
import os, time
from promissory import Loop, current_context, dynamic, map_task, task, workflow

def began(*what):
    descriptor = os.open("started", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\\n").encode())
    os.close(descriptor)

def wait_at(gate):
    if os.path.exists(gate):
        with open(gate) as waits:
            waits.read()

def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a

@task
def largest_below(limit: int) -> int:
    before = current_context().loop_result or {"n": 1, "fib": 1, "padding": ""}
    n = before["n"]
    began(limit, n)
    if n == 7 and limit == 100:
        wait_at("gate")
    if fib(n) > limit:
        return before["fib"]
    raise Loop({"n": n + 1, "fib": fib(n), "padding": "x" * 5000})

@workflow
def mapped(limits: list[int]) -> list[int]:
    return map_task(largest_below)(limit=limits)

@task
def inc(x: int) -> int:
    began("inc", x)
    if x == 3:
        wait_at("gate")
    return x + 1

@dynamic
def rounds(n: int) -> int:
    ctx = current_context()
    began("rounds", ctx.loop_index)
    if ctx.loop_index == n:
        return ctx.loop_result
    raise Loop(inc(ctx.loop_result or 0))

@task(retries=2)
def flaky(n: int) -> int:
    ctx = current_context()
    began("flaky", ctx.loop_index, ctx.attempt)
    if ctx.loop_index == 2:
        if ctx.attempt == 2:
            wait_at("gate")
        if ctx.attempt < 3:
            raise OSError("not yet")
    if ctx.loop_index < n:
        raise Loop(ctx.loop_count)
    return ctx.loop_result
"""

RUN = (
    "import loops; from promissory import run; run(loops.{target}, {inputs}, run_id='mine', engine={engine!r}, "
    "echo=False)"
)
RESUME = (
    "import json, loops; from promissory import resume; "
    "print(json.dumps(resume('mine', engine={engine!r}, echo=False).result))"
)

FIBONACCI = Counter({f"100 {n}": 1 + (n == 7) for n in range(1, 13)})
KILLED = {
    "task": ("largest_below", {"limit": 100}, 89, "100 7", 6, FIBONACCI),
    "map": ("mapped", {"limits": [100, 10]}, [89, 8], "100 7", 6, FIBONACCI + Counter(f"10 {n}" for n in range(1, 8))),
    "dynamic": (
        "rounds",
        {"n": 6},
        6,
        "inc 3",
        4,
        Counter(f"rounds {i}" for i in range(7)) + Counter({f"inc {i}": 1 + (i == 3) for i in range(6)}),
    ),
    "retries": (
        "flaky",
        {"n": 4},
        4,
        "flaky 2 2",
        2,
        Counter(f"flaky {i} 1" for i in range(5)) + Counter({"flaky 2 2": 2, "flaky 2 3": 1}),
    ),
}


def committed(store, run_id):
    """How many iterations of the first item, or of a frame's first node, are committed."""
    events = [
        event for segment, _ in read_segments(store, run_id, 0, find_end(store, run_id)) for event in segment.events
    ]
    return sum(event[2] == 0 and (event[0] == LOOPED or event[5]) for event in events if event[0] in (LOOPED, EXPANDED))


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", KILLED)
def test_J1_a_loop_killed_in_an_iteration_goes_on_there_in_a_new_process(project, eventually, engine, name):
    target, inputs, result, waits, before, bodies = KILLED[name]
    project.write("loops.py", MODULE)
    os.mkfifo(project.folder / "gate")
    process = project.spawn("-c", RUN.format(target=target, inputs=inputs, engine=engine))
    eventually(lambda: waits in project.lines("started") or process.poll() is not None, "the iteration")
    assert process.poll() is None, project.finish(process)
    eventually(lambda: committed(project.store, "mine") >= before, "the commit of the iterations before it")
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    (project.folder / "gate").unlink()
    assert json.loads(project.code(RESUME.format(engine=engine))) == result
    counted = Counter(project.lines("started"))
    if name == "map":  # what its other item did at the last moment may not have been committed
        assert all(line.startswith("10 ") for line in counted - bodies)
        counted &= bodies
    assert counted == bodies


@pytest.mark.full
def test_J1_a_loop_killed_until_it_is_through_runs_no_committed_iteration_again(project, eventually):
    project.write("loops.py", MODULE)
    chance = random.Random(7)
    inputs = {"limits": [10, 100, 1000, 1500, 10**6, 10**9]}
    process = project.spawn("-c", RUN.format(target="mapped", inputs=inputs, engine="inline"))
    for at in (15, 45):
        eventually(
            lambda at=at, process=process: len(project.lines("started")) >= at or process.poll() is not None,
            "some iterations",
        )
        threading.Event().wait(chance.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        try:
            kept = sum(row.iterations for row in History(project.store, "mine", items=True).nodes(items=True))
        except Exception:
            return  # it died before it was a run
        before = len(project.lines("started"))
        assert kept <= before
        process = project.spawn("-c", RESUME.format(engine="inline"))
    output, errors = project.finish(process)
    assert json.loads(output) == [8, 89, 987, 987, 832040, 701408733], errors


@pytest.mark.full(keep=3)
@pytest.mark.parametrize(
    "point", ["journal.segment-written", "worker.after-body", "worker.before-body", "worker.value-stored"]
)
@pytest.mark.parametrize("occurrence", [1, 2, 4, 6])
def test_J1_a_loop_dies_at_a_named_point_and_is_resumed(diary, broken, point, occurrence, monkeypatch):
    monkeypatch.setattr(journal, "COMMIT_INTERVAL", 0.0)
    broken.unlink()
    url = f"memory://loops-{point}-{occurrence}"
    loop, many = fibonacci(diary, broken), rounds(diary, broken)

    @workflow
    def flow(limit: int) -> list[int]:
        return [loop(limit), many()]

    try:
        with crash_at(point, occurrence):
            go(flow, {"limit": 100}, url, run_id="mine")
    except Crashed:
        resumed = resume("mine", store=url, echo=False, durability="process", take_over=True)
        assert resumed.result == [89, 31]
    assert not [finding for finding in examine(Store(url), "mine") if finding.severity == "error"]


def test_R5_a_worker_lost_in_an_iteration_is_replaced_and_only_that_iteration_is_sent_again(store, diary):
    @task
    def counts() -> int:
        ctx = current_context()
        if note(diary, ctx.loop_index) == 1 and ctx.loop_index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if ctx.loop_index < 5:
            raise Loop((ctx.loop_result or 0) + 1)
        return ctx.loop_result

    assert go(counts, {}, store, "processes").result == 5
    assert noted(diary) == Counter({str(i): 1 + (i == 3) for i in range(6)})


@pytest.mark.full
def test_R5_losing_workers_is_counted_an_iteration(store, diary):
    @task
    def unlucky() -> int:
        ctx = current_context()
        if note(diary, ctx.loop_index) < 3 - ctx.loop_index:
            os.kill(os.getpid(), signal.SIGKILL)
        if ctx.loop_index < 2:
            raise Loop()
        return 0

    assert go(unlucky, {}, store, "processes").result == 0
    assert noted(diary) == Counter({"0": 3, "1": 2, "2": 1})


# --- commands ---------------------------------------------------------------------------------------------------------


def held_at(diary, gate, index, last):
    """A loop whose iteration `index` waits at a gate."""

    @task
    def counts() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index)
        if ctx.loop_index == index and gate:
            with open(gate) as waits:
                waits.read()
        if ctx.loop_index < last:
            raise Loop(ctx.loop_count)
        return ctx.loop_result

    return counts


def test_R6_a_run_that_is_stopped_between_iterations_goes_on_with_the_next(store, diary, gate):
    held = gate()
    running = start(
        held_at(diary, held.path, 3, 6), {}, store=store, engine="threads", echo=False, durability="process"
    )
    held.reached()
    running.stop()
    held.open()
    running.wait(60)
    assert running.state == "INTERRUPTED"
    (row,) = running.nodes()
    assert row.iterations == 4
    assert again(running, store).result == 6
    assert noted(diary) == Counter({str(i): 1 for i in range(7)})


def test_X8_a_paused_run_begins_no_iteration_and_unpaused_goes_on(store, diary, gate, eventually):
    held = gate()
    running = start(
        held_at(diary, held.path, 3, 6), {}, store=store, engine="threads", echo=False, durability="process"
    )
    held.reached()
    running.pause()
    eventually(lambda: running.state == "PAUSED", "the pause")
    held.open()
    eventually(lambda: History(store, running.id).row(0, 0).iterations == 4, "the commit of the iteration")
    assert noted(diary) == Counter({str(i): 1 for i in range(4)})
    eventually(lambda: History(store, running.id).row(0, 0).state == "LOOPING", "a beat that tells of no body")
    running.unpause()
    assert running.wait(60).result == 6


def test_R6_a_rerun_from_the_loop_begins_it_anew_and_from_what_follows_leaves_it(store, diary):
    @task
    def counts() -> int:
        ctx = current_context()
        note(diary, "counts", ctx.loop_index, ctx.loop_result)
        if ctx.loop_index < 3:
            raise Loop(ctx.loop_count)
        return ctx.loop_result

    @task
    def follows(x: int) -> int:
        note(diary, "follows")
        return x

    @workflow
    def flow() -> int:
        return follows(counts())

    ended = go(flow, {}, store)
    first = noted(diary)
    assert rerun(ended.id, from_="main/follows", store=store, echo=False).result == 3
    assert noted(diary) - first == Counter({"follows": 1})
    assert rerun(ended.id, from_="main/counts", store=store, echo=False).result == 3
    assert noted(diary) == Counter({"follows": 3, **{line: 2 for line in first if line != "follows"}})


# --- snapshots, gc, export --------------------------------------------------------------------------------------------


def long_loop(diary, broken, length, at):
    @task
    def counts() -> int:
        ctx = current_context()
        if ctx.loop_index == at and broken.exists():
            raise OSError("broken")
        if ctx.loop_index % 1000 == 0 or ctx.loop_index == at:
            note(diary, ctx.loop_index)
        if ctx.loop_index < length:
            raise Loop([ctx.loop_count, "x" * 40])
        return ctx.loop_result[0]

    return counts


def test_J1_a_loop_is_resumed_from_a_snapshot_in_its_middle(store, diary, broken, events_of):
    ended = go(long_loop(diary, broken, 12_000, 11_500), {}, store)
    assert (ended.state, ended.error.path) == ("FAILED", "main/counts[=11500]")
    events = events_of(store, ended.id)
    assert any(event[0] == SNAPSHOT for event in events)
    broken.unlink()
    assert again(ended, store).result == 12_000
    assert noted(diary) == Counter([str(i) for i in range(0, 12_001, 1000)] + ["11500"])
    (row,) = ended.nodes()
    assert row.iterations == 12_000


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("events", [1, 2, 3, 5, 8])
def test_J1_loops_are_resumed_from_a_snapshot_after_every_few_events(store, diary, broken, monkeypatch, events):
    monkeypatch.setattr(journal, "SNAPSHOT_EVENTS", events)
    loop, many = fibonacci(diary, broken), rounds(diary, broken)

    @workflow
    def inner(limit: int) -> int:
        return loop(limit)

    @workflow
    def flow(limit: int) -> tuple[list[int], int, int]:
        return map_task(loop)(limit=[limit, 10]), many(), inner(limit)

    ended = go(flow, {"limit": 100}, store)
    assert ended.state == "FAILED"
    broken.unlink()
    assert again(ended, store).result == ([89, 8], 31, 89)
    assert noted(diary)["1"] == 3


def test_R6_gc_keeps_the_payload_that_a_resume_will_need(store, diary, broken):
    @task
    def counts() -> int:
        ctx = current_context()
        if ctx.loop_index == 3 and broken.exists():
            raise OSError("broken")
        if ctx.loop_index < 5:
            raise Loop([ctx.loop_index] * 5000)
        return len(ctx.loop_result)

    ended = go(counts, {}, store)
    remove(store, garbage(store, older_than=0.0))
    broken.unlink()
    assert again(ended, store).result == 5000


def test_J7_a_run_that_failed_in_a_loop_is_whole_and_can_be_exported_and_resumed_elsewhere(
    store, tmp_path, diary, broken
):
    @task
    def counts() -> int:
        ctx = current_context()
        note(diary, ctx.loop_index)
        if ctx.loop_index == 3 and broken.exists():
            raise OSError("broken")
        if ctx.loop_index < 5:
            raise Loop([ctx.loop_index] * 5000)
        return len(ctx.loop_result)

    many = rounds(diary, broken)

    @workflow
    def flow() -> list[int]:
        return [counts(), many()]

    ended = go(flow, {}, store)
    assert [finding for finding in examine(store, ended.id) if finding.severity == "error"] == []
    elsewhere = Store(tmp_path / "elsewhere")
    export(store, ended.id, elsewhere)
    broken.unlink()
    assert again(ended, elsewhere).result == [5000, 31]
    assert noted(diary)["0"] == noted(diary)["2"] == noted(diary)["inc 0"] == 1
    assert [finding for finding in examine(elsewhere, ended.id) if finding.severity == "error"] == []


def test_J1_the_journal_has_one_event_an_iteration_in_order(store, diary, broken, events_of):
    broken.unlink()
    ended = go(fibonacci(diary, broken), {"limit": 100}, store)
    looped = [event for event in events_of(store, ended.id) if event[0] == LOOPED]
    assert [event[3] for event in looped] == list(range(11))


# --- what the command line shows --------------------------------------------------------------------------------------


SAYS = """
from promissory import Loop, current_context, task

@task
def says(last: int) -> int:
    ctx = current_context()
    print(f"iteration {ctx.loop_index}")
    if ctx.loop_index < last:
        raise Loop(ctx.loop_count)
    return ctx.loop_result
"""


def logs(project, *arguments):
    project.write("says.py", SAYS)
    project.code("import says; from promissory import run; run(says.says, {'last': 3}, run_id='mine', echo=False)")
    return [line.rpartition("| ")[2] for line in project.python("-c", COMMAND, "logs", "mine", *arguments).splitlines()]


def test_X5_logs_shows_what_each_iteration_said_in_order(project):
    assert logs(project) == [f"iteration {i}" for i in range(4)]


def test_X5_logs_of_an_iteration_shows_what_that_one_said(project):
    assert logs(project, "main/says[=1]") == ["iteration 1"]


def test_X8_a_path_of_an_iteration_that_never_was_is_not_found(store, diary):
    ended = go(held_at(diary, None, 0, 3), {}, store)
    history = History(store, ended.id, items=True)
    history.find("main/counts[=2]")
    with pytest.raises(RunNotFound, match=r"counts\[=9\]|iteration 9"):
        history.find("main/counts[=9]")


def test_R4_explain_takes_the_path_of_an_iteration_that_an_error_names(project):
    project.write(
        "says.py", SAYS.replace('print(f"iteration {ctx.loop_index}")', "assert ctx.loop_index < 2, 'too far'")
    )
    project.code("import says; from promissory import run; run(says.says, {'last': 3}, run_id='mine', echo=False)")
    shown = project.python("-c", COMMAND, "explain", "mine", "main/says[=2]")
    assert "too far" in shown and "main/says" in shown
