"""S7: the run's key-value store.

Reads see what was committed when the attempt began, and its own; `add` and `append` lose nothing.
"""

import signal
import threading
from datetime import datetime
from functools import partial

import pytest

from promissory import (
    Context,
    Loop,
    Skip,
    Store,
    conditional,
    current_context,
    dynamic,
    map_task,
    resume,
    run,
    task,
    workflow,
)
from promissory.testing import MockClock, always_replay

ENGINES = ["inline", "threads", "processes"]
BROKEN = []


@pytest.fixture(autouse=True)
def _afresh():
    BROKEN.clear()


def carried(target, inputs=None, **options):
    return run(target, inputs or {}, store=Store(None), echo=False, durability="process", **options)


@task
def writes(ctx: Context, i: int) -> int:
    channel = ctx.channel()
    channel.add("sum", i)
    channel.append("all", i)
    channel.set("last", i)
    return i


@task
def reads(ctx: Context, after: list[int]) -> tuple[int, list[int], int]:
    channel = ctx.channel()
    return channel.get("sum"), sorted(channel.get("all")), channel.get("last")


@workflow
def side_by_side() -> tuple[int, list[int], int]:
    return reads([writes(i) for i in range(20)])


@workflow
def mapped(n: list[int]) -> tuple[int, list[int], int]:
    return reads(map_task(writes)(i=n))


@pytest.mark.parametrize("engine", ENGINES)
def test_S7_nothing_is_lost_when_many_write_at_one_time(engine):
    total, all_of_them, last = carried(side_by_side, engine=engine, max_parallelism=8).result
    assert total == 190
    assert all_of_them == list(range(20))
    assert last in range(20)


@pytest.mark.parametrize("engine", ENGINES)
def test_S7_nothing_is_lost_when_the_items_of_a_map_write(engine):
    total, all_of_them, _ = carried(mapped, {"n": list(range(100))}, engine=engine).result
    assert total == 4950
    assert all_of_them == list(range(100))


def one_task(body, **policy):
    @task(**policy)
    def only(ctx: Context) -> None:
        body(ctx)

    @workflow
    def work() -> None:
        only()

    return work


def test_S7_reads_see_the_attempts_own_writes():
    def body(ctx):
        channel = ctx.channel()
        assert channel.get("k") is None
        assert channel.get("k", 5) == 5
        assert "k" not in channel
        channel.set("k", [1])
        channel.append("k", 2)
        channel.add("n")
        channel.add("n", 1.5)
        assert channel.get("k") == [1, 2]
        assert channel.get("n") == 2.5
        assert "k" in ctx.channel()
        assert ctx.channel().keys() == ["k", "n"]

    assert carried(one_task(body)).state == "SUCCEEDED"


def test_S7_what_is_read_is_the_readers_own():
    def body(ctx):
        ctx.channel().set("k", [1])
        ctx.channel().get("k").append(2)
        assert ctx.channel().get("k") == [1]

    assert carried(one_task(body)).state == "SUCCEEDED"


def test_S7_what_is_written_is_as_it_was_when_it_was_written():
    def body(ctx):
        value = {"a": 1}
        ctx.channel().set("k", value)
        value["a"] = 2
        assert ctx.channel().get("k") == {"a": 1}

    assert carried(one_task(body)).state == "SUCCEEDED"


VALUES = [
    None,
    True,
    1,
    1.5,
    "text",
    b"bytes",
    [1, "a"],
    (1, 2),
    {"a": [1]},
    {1: 2},
    {3, 4},
    datetime(2026, 1, 2),
    2**80,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_S7_values_say_themselves_what_they_are(value):
    @task
    def puts(ctx: Context) -> int:
        ctx.channel().set("k", value)
        ctx.channel().append("l", value)
        return 1

    @task
    def gets(ctx: Context, after: int) -> None:
        for got in (ctx.channel().get("k", "nothing"), *ctx.channel().get("l")):
            assert got == value
            assert type(got) is type(value)

    @workflow
    def work() -> None:
        gets(puts())

    assert carried(work).state == "SUCCEEDED"


@pytest.mark.parametrize("value", [True, "1", None, [1], float], ids=repr)
def test_S7_what_is_no_number_is_not_added(value):
    message = str(carried(one_task(lambda ctx: ctx.channel().add("k", value))).error)
    assert "channel().add('k', …) takes a number, not" in message


def append_to_a_number(ctx):
    ctx.channel().set("k", 1)
    ctx.channel().append("k", 1)


def add_to_a_list(ctx):
    ctx.channel().append("k", 1)
    ctx.channel().add("k", 1)


def append_to_a_tuple(ctx):
    ctx.channel().set("k", (1,))
    ctx.channel().append("k", 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (append_to_a_number, "channel().append('k', …): 'k' holds int, not a list"),
        (add_to_a_list, "channel().add('k', …): 'k' holds list, not a number"),
        (append_to_a_tuple, "channel().append('k', …): 'k' holds tuple, not a list"),
        (lambda ctx: ctx.channel().set(1, 1), "a key of the channel is a text, not 1"),
        (lambda ctx: ctx.channel().get(None), "a key of the channel is a text, not None"),
    ],
    ids=["append to a number", "add to a list", "append to a tuple", "set 1", "get None"],
)
def test_S7_a_wrong_kind_is_an_error_that_names_key_and_kind(body, said):
    assert said in str(carried(one_task(body)).error)


def test_S7_add_to_true_is_refused():
    def body(ctx):
        ctx.channel().set("k", True)
        ctx.channel().add("k", 1)

    assert "'k' holds bool, not a number" in str(carried(one_task(body)).error)


@pytest.mark.parametrize("value", [object(), lambda: 1, open], ids=["object", "lambda", "open"])
def test_S7_what_has_no_wire_form_is_refused_as_the_docstring_says(value):
    message = str(carried(one_task(lambda ctx: ctx.channel().set("k", value))).error)
    assert "channel().set('k', …)" in message


def test_S7_a_conflict_that_shows_only_when_the_writes_meet_fails_the_later_one():
    """Neither saw the other's write."""
    has_begun, is_stored = threading.Event(), threading.Event()

    @task
    def sets_text(ctx: Context) -> int:
        assert has_begun.wait(60)
        ctx.channel().set("k", "text")
        return 1

    @task
    def adds(ctx: Context) -> int:
        has_begun.set()
        assert is_stored.wait(60)
        ctx.channel().add("k", 2)
        return 2

    @workflow
    def work() -> list[int]:
        return [sets_text(), adds()]

    told = partial(_set_when_done, is_stored)
    ended = carried(work, engine="threads", max_parallelism=2, on_progress=told)
    assert ended.state == "FAILED"
    assert "'k' holds" in str(ended.error) or "not a number" in str(ended.error)


def _set_when_done(event, progress):
    if progress.done:
        event.set()


# --- what counts ---


@task(retries=2)
def third_time(ctx: Context) -> int:
    ctx.channel().add("n")
    seen = ctx.channel().get("n")
    if ctx.attempt < 3:
        raise ValueError("again")
    return seen


@task
def n_of(ctx: Context, after: int) -> tuple[int, int]:
    return after, ctx.channel().get("n")


def test_S7_writes_of_an_attempt_that_fails_count_for_nothing():
    @workflow
    def work() -> tuple[int, int]:
        return n_of(third_time())

    assert carried(work, clock=MockClock()).result == (1, 1)


def test_S7_iterations_see_each_others_writes():
    @task
    def counts(ctx: Context) -> int:
        ctx.channel().add("n")
        if ctx.loop_index < 4:
            raise Loop()
        return ctx.channel().get("n")

    @workflow
    def work() -> tuple[int, int]:
        return n_of(counts())

    assert carried(work).result == (5, 5)


def test_S7_next_iteration_keeps_the_writes_too():
    @task
    def counts(ctx: Context) -> int:
        ctx.channel().add("n")
        if ctx.loop_index < 4:
            ctx.next_iteration()
        return ctx.channel().get("n")

    @workflow
    def work() -> tuple[int, int]:
        return n_of(counts())

    assert carried(work).result == (5, 5)


def test_S7_writes_of_a_skipped_task_count():
    @task
    def skips(ctx: Context) -> int:
        ctx.channel().add("n", 7)
        raise Skip("seen already")

    @task
    def looks(ctx: Context) -> int:
        return ctx.channel().get("n", 0)

    @workflow
    def work() -> int:
        last = looks()
        skips() >> last
        return last

    assert carried(work).result == 7


# --- from anywhere ---


@workflow
def nested(i: int) -> int:
    return writes(i)


@dynamic
def emits(i: int) -> int:
    current_context().channel().add("sum", 100)
    return writes(i)


@workflow
def everywhere(xs: list[int]) -> tuple[int, list[int], int]:
    arm = conditional("arm").if_(writes(1) > 0).then(nested(2)).else_().then(0)
    return reads([arm, emits(3), nested(4), reads_none(map_task(nested)(i=xs)), reads_none(map_task(emits)(i=xs))])


@task
def reads_none(values: list[int]) -> int:
    return len(values)


@pytest.mark.parametrize("engine", ENGINES)
def test_S8_writes_from_anywhere_meet_in_one_channel(engine):
    total, all_of_them, _ = carried(everywhere, {"xs": [5, 6]}, engine=engine).result
    assert all_of_them == [1, 2, 3, 4, 5, 5, 6, 6]
    assert total == sum(all_of_them) + 300


def test_S7_two_runs_share_nothing():
    @task
    def counts(ctx: Context) -> int:
        ctx.channel().add("n")
        return ctx.channel().get("n")

    store = Store(None)
    assert [run(counts, {}, store=store, echo=False).result for _ in range(2)] == [1, 1]


def test_S7_outside_a_run_the_channel_is_the_contexts_own():
    channel = current_context().channel()
    channel.add("n", 2)
    assert channel.get("n") == 2
    assert current_context().channel().get("n") is None


# --- after a failure, after a kill ---


@task
def fragile(ctx: Context, i: int) -> int:
    if BROKEN:
        raise ValueError("broken")
    return ctx.channel().get("sum")


def test_J1_a_resume_finds_the_channel_as_it_was():
    @workflow
    def work() -> int:
        first, second = writes(3), fragile(1)
        first >> second
        return second

    BROKEN.append(1)
    ended = carried(work)
    assert ended.state == "FAILED"
    BROKEN.clear()
    assert resume(ended.id, store=ended.store, echo=False).result == 3


KILLED = """
import os, signal, sys
from promissory import resume, run
from promissory import Context, map_task, task, workflow

@task
def writes(ctx: Context, i: int) -> int:
    if i == 150 and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    ctx.channel().add("sum", i)
    ctx.channel().append("all", i)
    return i

@task
def reads(ctx: Context, after: list[int]) -> tuple[int, list[int]]:
    return ctx.channel().get("sum"), sorted(ctx.channel().get("all"))

@workflow
def work() -> tuple[int, list[int]]:
    return reads(map_task(writes)(i=list(range(200))))

if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(work, run_id="killed", engine="threads", durability="process", echo=False)
    else:
        total, all_of_them = resume("killed", durability="process", echo=False, take_over=True).result
        print(total, all_of_them == list(range(200)))
"""


def test_J1_after_a_kill_no_write_is_lost_and_none_counts_twice(project):
    project.write("killed.py", KILLED)
    process = project.spawn("killed.py", "run")
    project.finish(process)
    assert process.returncode == -signal.SIGKILL
    assert project.python("killed.py", "resume").split() == ["19900", "True"]


@pytest.mark.parametrize("flow", [side_by_side, everywhere], ids=lambda one: one.name)
def test_J1_at_every_moment_the_journal_tells_what_the_channel_holds(flow):
    with always_replay():
        assert carried(flow, {"xs": [5]} if flow is everywhere else {}).state == "SUCCEEDED"


@pytest.mark.parametrize("engine", ENGINES)
def test_S7_a_task_that_is_committed_alone_writes_too(engine):
    @task(commit="each")
    def alone(ctx: Context) -> int:
        ctx.channel().add("n", 4)
        return 1

    @workflow
    def work() -> tuple[int, int]:
        return n_of(alone())

    assert carried(work, engine=engine).result == (1, 4)


def test_R3_what_writes_is_not_taken_from_the_cache():
    @task(cache=True)
    def cached(ctx: Context) -> int:
        ctx.channel().add("n", 4)
        return 1

    @workflow
    def work() -> tuple[int, int]:
        return n_of(cached())

    store = Store(None)
    assert [run(work, {}, store=store, echo=False).result for _ in range(2)] == [(1, 4), (1, 4)]
