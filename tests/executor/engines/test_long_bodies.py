"""R5, X10: bodies that take long: what an attempt leaves for the next one, and how a body learns that its run is to
end.
"""

import os
import resource
import signal
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from promissory import (
    Context,
    Loop,
    Retry,
    Store,
    attach,
    current_context,
    dynamic,
    map_task,
    rerun,
    resume,
    run,
    start,
    task,
    workflow,
)
from promissory.errors import ContextError, Fenced, RunTimeout, StoreError, WorkerLost
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import export
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from promissory.executor.protocol.events import RETRIED
from promissory.executor.records.checkpoints import checkpoint_keys
from promissory.executor.store.keys import CHECKPOINTS, run_key
from promissory.testing import MockClock

ENGINES = ("inline", "threads", "processes")
PLACES = ("disk", "memory")
COMMAND = "import sys; from promissory.executor.cli.main import main; main(sys.argv[1:])"


@pytest.fixture
def place(tmp_path):
    """A function (disk or memory) → an empty store there."""
    return lambda kind: Store(tmp_path / "store" if kind == "disk" else f"memory://{uuid.uuid4().hex}")


def note(diary, *what):
    """A line, whole even if other processes write at the same time."""
    descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\n").encode())
    os.close(descriptor)


def noted(diary):
    return diary.read_text().splitlines() if diary.exists() else []


def go(target, inputs, store, engine="inline", **more):
    return run(target, inputs, store=store, engine=engine, echo=False, durability="process", **more)


def begin(target, inputs, store, engine="inline", **more):
    return start(target, inputs, store=store, engine=engine, echo=False, durability="process", **more)


def again(ended, engine="inline", **more):
    return resume(ended.id, store=ended.store, engine=engine, echo=False, durability="process", **more)


def checkpoints(store, run_id):
    """The keys of a run's checkpoints."""
    return list(checkpoint_keys(store, run_id))


def is_told(ctx):
    """Wait until the run is to end; whether that was so within a minute."""
    deadline, pause = time.monotonic() + 60, threading.Event()
    while not ctx.cancelled:
        if time.monotonic() > deadline:
            return False
        pause.wait(0.001)
    return True


def adder(diary, breaks, **policy):
    """Adds numbers up, says where each attempt begins, and has `breaks` called in the middle of its first attempt."""

    @task(**policy)
    def add_up(ctx: Context, numbers: list[int]) -> int:
        done, total = ctx.checkpoint.read(default=[0, 0])
        note(diary, "begins at", done)
        for position in range(done, len(numbers)):
            if position == 2 and done == 0:
                breaks()
            total += numbers[position]
            ctx.checkpoint.write([position + 1, total])
        return total

    return add_up


def fails():
    raise OSError("no answer")


def kills_its_worker():
    os.kill(os.getpid(), signal.SIGKILL)


def takes_for_ever():
    threading.Event().wait(600)


# --- a checkpoint: attempts of one run --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("engine", ENGINES)
def test_R5_what_a_failed_attempt_wrote_is_read_by_the_next_one(place, diary, engine, kind):
    ended = go(adder(diary, fails, retries=1), {"numbers": [1, 2, 3, 4]}, place(kind), engine)
    assert (ended.result, noted(diary)) == (10, ["begins at 0", "begins at 2"])


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("engine", ENGINES)
def test_R5_a_resume_of_a_failed_run_reads_what_its_last_attempt_wrote(place, diary, engine, kind):
    ended = go(adder(diary, fails), {"numbers": [1, 2, 3, 4]}, place(kind), engine)
    assert ended.state == "FAILED"
    assert (again(ended, engine).result, noted(diary)) == (10, ["begins at 0", "begins at 2"])


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_R5_what_was_written_before_a_worker_was_killed_is_read_by_the_next_attempt(place, diary, kind):
    ended = go(adder(diary, kills_its_worker), {"numbers": [1, 2, 3, 4]}, place(kind), "processes")
    assert (ended.result, noted(diary)) == (10, ["begins at 0", "begins at 2"])


@pytest.mark.full
def test_R5_what_was_written_before_the_last_worker_was_lost_is_read_by_a_resume(store, diary, tmp_path):
    healed = tmp_path / "healed"

    @task
    def dies(ctx: Context) -> int:
        done = ctx.checkpoint.read(default=0)
        note(diary, done)
        ctx.checkpoint.write(done + 1)
        if not healed.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    ended = go(dies, {}, store, "processes")
    assert type(ended.error.__cause__) is WorkerLost
    healed.touch()
    assert (again(ended, "processes").result, noted(diary)) == (3, ["0", "1", "2", "3"])


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_R2_what_was_written_before_a_time_out_ended_the_body_is_read_by_the_next_attempt(place, diary, kind):
    ended = go(
        adder(diary, takes_for_ever, retries=1, timeout=0.3), {"numbers": [1, 2, 3, 4]}, place(kind), "processes"
    )
    assert (ended.result, noted(diary)) == (10, ["begins at 0", "begins at 2"])


@pytest.mark.parametrize("engine", ENGINES)
def test_R5_the_last_of_many_attempts_reads_what_the_one_before_it_wrote(place, engine):
    @task(retries=5)
    def climbs(ctx: Context) -> list[int]:
        seen = ctx.checkpoint.read(default=[])
        ctx.checkpoint.write([*seen, ctx.attempt])
        if len(seen) < 5:
            raise OSError("not yet")
        return seen

    assert go(climbs, {}, place("memory"), engine).result == [1, 2, 3, 4, 5]


def test_R5_an_attempt_that_asked_for_a_retry_leaves_its_checkpoint(store):
    @task(retries=1)
    def asks(ctx: Context) -> str:
        found = ctx.checkpoint.read(default="nothing")
        if ctx.attempt == 1:
            ctx.checkpoint.write("half")
            raise Retry(after=3600)
        return found

    assert go(asks, {}, store, clock=MockClock()).result == "half"


def test_R5_an_attempt_whose_result_was_refused_leaves_its_checkpoint(store, diary):
    @task
    def lies(ctx: Context) -> int:
        note(diary, ctx.checkpoint.read(default="nothing"))
        ctx.checkpoint.write("half")
        return "no int" if len(noted(diary)) == 1 else 1

    ended = go(lies, {}, store)
    assert ended.state == "FAILED"
    assert (again(ended).result, noted(diary)) == (1, ["nothing", "half"])


def test_R5_a_body_reads_what_it_wrote_itself(store):
    @task
    def twice(ctx: Context) -> list[int]:
        ctx.checkpoint.write(1)
        first = ctx.checkpoint.read()
        ctx.checkpoint.write(2)
        return [first, ctx.checkpoint.read(default=7), current_context().checkpoint.read()]

    assert go(twice, {}, store).result == [1, 2, 2]


def test_R5_without_a_checkpoint_the_default_is_read_and_none_without_one(store):
    @task
    def reads(ctx: Context) -> list[int | None]:
        return [ctx.checkpoint.read(), ctx.checkpoint.read(default=7)]

    assert go(reads, {}, store).result == [None, 7]


def test_R5_none_that_was_written_is_something(store):
    @task
    def writes(ctx: Context) -> str:
        ctx.checkpoint.write(None)
        return repr(ctx.checkpoint.read(default=7))

    assert go(writes, {}, store).result == "None"


def test_X1_each_read_gives_another_value(store):
    @task
    def changes(ctx: Context) -> list[int]:
        ctx.checkpoint.write([1])
        ctx.checkpoint.read().append(2)
        return ctx.checkpoint.read()

    assert go(changes, {}, store).result == [1]


@pytest.mark.parametrize("engine", ENGINES)
def test_R5_a_large_checkpoint_of_nested_data_comes_back_as_it_was(place, engine):
    @task(retries=1)
    def keeps(ctx: Context) -> bool:
        value = {"bytes": b"\x00" * (2 << 20), "pairs": [(1, 2.5), ("a", None)], "set": {1, 2}}
        if ctx.attempt == 1:
            ctx.checkpoint.write(value)
            raise OSError("half")
        return ctx.checkpoint.read() == value

    assert go(keeps, {}, place("memory"), engine).result is True


class Connection:
    """Something that is no data."""


@pytest.mark.parametrize("engine", ENGINES)
def test_R5_only_plain_data_is_taken_and_the_error_says_what_to_give(place, engine):
    @task
    def writes(ctx: Context) -> str:
        ctx.checkpoint.write("before")
        try:
            ctx.checkpoint.write({"at": [Connection()]})
        except TypeError as error:
            return f"{error} ({ctx.checkpoint.read()})"
        return "it was taken"

    said = go(writes, {}, place("memory"), engine).result
    assert said.startswith("checkpoint.write(…) takes plain data, and ")
    assert said.endswith("has no wire form: give a dataclass, or what it is made of (before)")


def test_R5_an_error_of_wrong_data_is_the_bodys_own_failure(store):
    @task
    def writes(ctx: Context) -> int:
        ctx.checkpoint.write(threading.Lock())
        return 1

    ended = go(writes, {}, store)
    assert (ended.state, type(ended.error.__cause__)) == ("FAILED", TypeError)


@pytest.mark.parametrize("value", [threading.Lock(), (number for number in [1])], ids=["lock", "generator"])
def test_R5_whatever_is_no_plain_data_is_refused_with_what_to_give(value):
    with pytest.raises(TypeError, match="has no wire form: give a dataclass, or what it is made of"):
        Context().checkpoint.write(value)


@dataclass
class Position:
    """What the error recommends."""

    line: int
    words: tuple[str, ...]


@pytest.mark.parametrize("engine", ENGINES)
def test_R5_a_dataclass_is_plain_data(place, engine):
    @task(retries=1)
    def reads(ctx: Context) -> str:
        if ctx.attempt == 1:
            ctx.checkpoint.write(Position(3, ("a", "b")))
            raise OSError("half")
        found = ctx.checkpoint.read()
        return f"{found.line} {found.words}"

    assert go(reads, {}, place("memory"), engine).result == "3 ('a', 'b')"


# --- whose checkpoint it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_each_iteration_begins_without_a_checkpoint_and_has_its_own(place, diary, engine):
    @task(retries=1)
    def loops(ctx: Context) -> int:
        note(diary, ctx.loop_index, ctx.attempt, ctx.checkpoint.read(default="nothing"))
        if ctx.attempt == 1:
            ctx.checkpoint.write(f"of {ctx.loop_index}")
            raise OSError("half")
        if ctx.loop_index < 2:
            raise Loop()
        return ctx.loop_index

    assert go(loops, {}, place("memory"), engine).result == 2
    assert noted(diary) == [line for i in range(3) for line in (f"{i} 1 nothing", f"{i} 2 of {i}")]


@pytest.mark.parametrize("engine", ENGINES)
def test_B2_each_item_of_a_map_has_its_own_and_each_iteration_of_an_item(place, engine):
    @task(retries=1)
    def loops(ctx: Context, x: int) -> list[str]:
        said = ctx.loop_result or []
        if ctx.attempt == 1:
            ctx.checkpoint.write(f"{x}/{ctx.loop_index}/{ctx.checkpoint.read()}")
            raise OSError("half")
        said = [*said, ctx.checkpoint.read()]
        if ctx.loop_index < 1:
            raise Loop(said)
        return said

    @workflow
    def flow() -> list[list[str]]:
        return map_task(loops)(x=[5, 5, 6])

    assert go(flow, {}, place("memory"), engine).result == [[f"{x}/0/None", f"{x}/1/None"] for x in (5, 5, 6)]


@pytest.mark.parametrize("engine", ENGINES)
def test_R5_each_node_has_its_own_be_they_equal_calls_in_equal_frames(place, engine):
    @task(retries=1)
    def says(ctx: Context) -> str:
        if ctx.attempt == 1:
            ctx.checkpoint.write([ctx.path, ctx.checkpoint.read()])
            raise OSError("half")
        path, before = ctx.checkpoint.read()
        return f"{path == ctx.path} {before}"

    @workflow
    def nested() -> list[str]:
        return [says(), says()]

    @dynamic
    def grows() -> list[str]:
        return [says(), says()]

    @workflow
    def flow() -> list[list[str]]:
        return [nested(), nested(), grows(), grows(), [says(), says()]]

    assert go(flow, {}, place("memory"), engine).result == [["True None", "True None"]] * 5


@pytest.mark.parametrize("engine", ENGINES)
def test_S1_what_an_iteration_of_a_dynamic_calls_has_its_own_in_each_iteration(place, engine):
    @task(retries=1)
    def says(ctx: Context, k: int) -> str:
        if ctx.attempt == 1:
            ctx.checkpoint.write(f"{k}{ctx.checkpoint.read(default='-')}")
            raise OSError("half")
        return ctx.checkpoint.read()

    @dynamic
    def rounds(ctx: Context) -> str:
        before = ctx.loop_result or ""
        if ctx.loop_index == 3:
            return before
        raise Loop(joined(before, says(ctx.loop_index)))

    @task
    def joined(before: str, said: str) -> str:
        return before + said

    assert go(rounds, {}, place("memory"), engine).result == "0-1-2-"


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("engine", ENGINES)
def test_D6_a_dynamics_body_has_a_checkpoint(place, diary, engine, kind):
    @task
    def one(x: int) -> int:
        return x

    @dynamic(retries=1)
    def grows(ctx: Context) -> list[int]:
        found = ctx.checkpoint.read(default=[])
        note(diary, found)
        if not found:
            ctx.checkpoint.write([1, 2])
            raise OSError("half")
        return [one(x) for x in found]

    assert go(grows, {}, place(kind), engine).result == [1, 2]
    assert noted(diary) == ["[]", "[1, 2]"]


def test_R5_in_a_dynamic_a_promise_is_no_plain_data(store):
    @task
    def one() -> int:
        return 1

    @dynamic
    def grows(ctx: Context) -> int:
        later = one()
        ctx.checkpoint.write([later])
        return later

    said = str(go(grows, {}, store).error)
    assert "one() was" in said
    assert "the value is not there" in said
    assert "way out" in said


def test_R5_an_async_body_has_a_checkpoint(store):
    @task(retries=1)
    async def waits(ctx: Context) -> str:
        found = ctx.checkpoint.read(default="nothing")
        if ctx.attempt == 1:
            ctx.checkpoint.write("half")
            raise OSError
        return found

    assert go(waits, {}, store).result == "half"


def test_R5_another_run_has_other_checkpoints(store):
    @task
    def keeps(ctx: Context) -> str:
        found = ctx.checkpoint.read(default="nothing")
        ctx.checkpoint.write("something")
        return found

    assert [go(keeps, {}, store).result for _ in range(2)] == ["nothing", "nothing"]


def test_R4_a_rerun_begins_without_what_the_earlier_run_left(store):
    @task
    def keeps(ctx: Context) -> str:
        found = ctx.checkpoint.read(default="nothing")
        ctx.checkpoint.write("something")
        return found

    ended = go(keeps, {}, store)
    assert rerun(ended.id, "main/keeps", store=store, echo=False, durability="process").result == "nothing"


def test_J3_what_a_body_of_an_executor_that_was_taken_over_writes_late_counts_no_more(store, tmp_path, eventually):
    diary, later = tmp_path / "diary", tmp_path / "later"

    @task(retries=1)
    def slow(ctx: Context) -> str:
        mine = len(noted(diary))
        note(diary, "begins")
        if mine == 0:
            while not later.exists():
                threading.Event().wait(0.001)
            ctx.checkpoint.write("late")
            note(diary, "wrote late")
            return "late"
        if mine == 1:
            ctx.checkpoint.write("new")
            later.touch()
            while "wrote late" not in noted(diary):
                threading.Event().wait(0.001)
            raise OSError
        return ctx.checkpoint.read()

    going = begin(slow, {}, store, "threads")
    eventually(lambda: noted(diary), "the first body")
    assert resume(going.id, store=store, take_over=True, echo=False, durability="process").result == "new"
    with pytest.raises(Fenced):
        going.wait(60)


def test_R5_outside_a_run_a_context_has_one_of_its_own():
    @task
    def counts(ctx: Context) -> int:
        ctx.checkpoint.write(ctx.checkpoint.read(default=0) + 1)
        ctx.checkpoint.write(ctx.checkpoint.read(default=0) + 1)
        return ctx.checkpoint.read()

    assert [counts(), counts()] == [2, 2]
    assert Context().checkpoint.read(default="nothing") == "nothing"
    with pytest.raises(
        TypeError, match=r"checkpoint.write.* takes plain data, and Connection has no wire form: give a dataclass"
    ):
        Context().checkpoint.write(Connection())


def test_R5_a_plain_call_of_a_workflow_has_checkpoints():
    @task(retries=1)
    def says(ctx: Context) -> str:
        if ctx.attempt == 1:
            ctx.checkpoint.write("half")
            raise OSError
        return ctx.checkpoint.read(default="nothing")

    @workflow
    def flow() -> str:
        return says()

    assert flow() == "half"


# --- a checkpoint: in the store ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", PLACES)
def test_R5_nothing_is_stored_if_nobody_writes(place, engine, kind):
    @task(retries=1)
    def reads(ctx: Context) -> int:
        if ctx.attempt == 1:
            raise OSError
        return ctx.checkpoint.read(default=3)

    ended = go(reads, {}, place(kind), engine)
    assert (ended.result, checkpoints(ended.store, ended.id)) == (3, [])
    assert run_key(ended.id, CHECKPOINTS) not in ended.store.list(run_key(ended.id, "").rstrip("/"))


@pytest.mark.parametrize("engine", ENGINES)
def test_R5_what_is_written_many_times_is_one_key(place, engine):
    @task
    def writes(ctx: Context) -> int:
        for k in range(100):
            ctx.checkpoint.write(k)
        return ctx.checkpoint.read()

    ended = go(writes, {}, place("memory"), engine)
    assert (ended.result, len(checkpoints(ended.store, ended.id))) == (99, 1)


@pytest.mark.parametrize(
    "kind",
    ["disk", "memory"],
)
def test_J5_what_a_body_wrote_before_its_last_write_takes_no_memory(place, kind):
    @task
    def writes(ctx: Context) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for k in range(64):
            ctx.checkpoint.write([k, b"x" * (1 << 20)])
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10

    assert go(writes, {}, place(kind), "processes").result < 32, "MiB that 64 writes of 1 MiB took"


def test_R5_what_an_attempt_left_behind_writes_nothing_after_it_has_ended(store):
    left = []

    @task(retries=1)
    def leaves(ctx: Context) -> str:
        ctx.checkpoint.write(ctx.attempt)
        if ctx.attempt == 1:
            left.append(ctx.checkpoint)
            raise OSError
        with pytest.raises(ContextError, match="has ended"):
            left[0].write("late")
        return f"attempt {ctx.checkpoint.read()}"

    assert go(leaves, {}, store).result == "attempt 2"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", PLACES)
def test_J4_a_flipped_byte_is_told_with_its_key_and_is_no_nodes_failure(place, diary, engine, kind):
    store = place(kind)
    ended = go(adder(diary, fails), {"numbers": [1, 2, 3]}, store, engine)
    (key,) = checkpoints(store, ended.id)
    whole = store.get(key)
    for position in (0, len(whole) // 2, len(whole) - 1):
        store.put(key, whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(StoreError) as caught:
            again(ended, engine)
        assert str(caught.value).startswith(f"{key}")
        assert (
            "It is a task's checkpoint: delete it, and the task begins with an older one, or at its beginning"
            in str(caught.value)
        )
        assert attach(ended.id, store=store).state == "INTERRUPTED"
    assert noted(diary) == ["begins at 0"]


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_J4_a_checkpoint_that_a_machine_died_over_is_as_if_never_written(store, diary, cut):
    ended = go(adder(diary, fails), {"numbers": [1, 2, 3]}, store)
    (key,) = checkpoints(store, ended.id)
    store.put(key, store.get(key)[:cut])
    assert again(ended).state == "FAILED"
    assert noted(diary) == ["begins at 0", "begins at 0"]


def test_J4_after_a_damaged_checkpoint_is_deleted_the_task_begins_at_its_beginning(store, diary, tmp_path):
    healed = tmp_path / "healed"

    def breaks():
        if not healed.exists():
            raise OSError

    ended = go(adder(diary, breaks), {"numbers": [1, 2, 3]}, store)
    (key,) = checkpoints(store, ended.id)
    store.put(key, b"rubbish")
    with pytest.raises(StoreError):
        again(ended)
    store.delete(key)
    healed.touch()
    assert (again(ended).result, noted(diary)) == (6, ["begins at 0", "begins at 0"])


def test_J4_doctor_tells_a_damaged_checkpoint(store, diary):
    ended = go(adder(diary, fails), {"numbers": [1, 2, 3]}, store)
    (key,) = checkpoints(store, ended.id)
    store.put(key, store.get(key)[:-1] + b"?")
    assert key in [finding.key for finding in examine(store, ended.id)]


def test_J7_an_export_takes_checkpoints_along_and_a_resume_there_reads_them(store, diary, tmp_path):
    ended = go(adder(diary, fails), {"numbers": [1, 2, 3, 4]}, store)
    there = Store(tmp_path / "copy")
    export(store, ended.id, there)
    resumed = resume(ended.id, store=there, echo=False, durability="process")
    assert (resumed.result, noted(diary)) == (10, ["begins at 0", "begins at 2"])


def test_J7_a_later_export_brings_a_newer_checkpoint(store, tmp_path):
    @task
    def fails_on(ctx: Context) -> int:
        ctx.checkpoint.write(ctx.checkpoint.read(default=0) + 1)
        raise OSError

    ended = go(fails_on, {}, store)
    there = Store(tmp_path / "copy")
    export(store, ended.id, there)
    again(ended)
    export(store, ended.id, there)
    assert len(checkpoints(store, ended.id)) == 2  # one of each executor
    assert all(store.get(key) == there.get(key) for key in checkpoints(store, ended.id))


def test_J7_an_export_takes_no_older_checkpoint_to_a_copy_that_has_gone_on(store, tmp_path):
    @task
    def fails_on(ctx: Context) -> int:
        ctx.checkpoint.write(ctx.checkpoint.read(default=0) + 1)
        raise OSError

    ended = go(fails_on, {}, store)
    there = Store(tmp_path / "copy")
    export(store, ended.id, there)
    resume(ended.id, store=there, echo=False, durability="process")
    gone_on = {key: there.get(key) for key in checkpoints(there, ended.id)}
    export(store, ended.id, there)
    assert {key: there.get(key) for key in checkpoints(there, ended.id)} == gone_on


def test_J7_checkpoints_stay_with_their_run_and_are_removed_with_it(store, diary):
    ended = go(adder(diary, fails, retries=1), {"numbers": [1, 2, 3, 4]}, store)
    assert remove(store, garbage(store, 0.0)) == 0
    assert len(checkpoints(store, ended.id)) == 1
    remove_run(store, ended.id)
    assert checkpoints(store, ended.id) == []


def test_J7_checkpoints_of_a_run_whose_removal_was_cut_short_are_garbage(store, diary):
    ended = go(adder(diary, fails), {"numbers": [1, 2, 3]}, store)
    (key,) = checkpoints(store, ended.id)
    store.delete(run_key(ended.id, "manifest"))
    assert key in [one.key for one in garbage(store, 0.0)]


# --- a checkpoint: the whole executor is killed -----------------------------------------------------------------------

MODULE = """
import os
from promissory import Context, Loop, Retry, dynamic, map_task, task, workflow

def says(*what):
    descriptor = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (" ".join(map(str, what)) + "\\n").encode())
    os.close(descriptor)

def half(ctx):
    found = ctx.checkpoint.read(default="nothing")
    says(ctx.loop_index, found)
    if found == "nothing" and ctx.loop_index in (0, 2):
        ctx.checkpoint.write("half")
        ctx.checkpoint.write(f"half of {ctx.loop_index}")
        if ctx.loop_index == int(os.environ["AT"]):
            open(os.environ["GATE"]).read()
    return found

@task
def body(ctx: Context) -> str:
    return half(ctx)

@dynamic
def grows(ctx: Context) -> str:
    return same(half(ctx))

@task
def same(x: str) -> str:
    return x

@task
def loop(ctx: Context) -> str:
    half(ctx)
    if ctx.loop_index < 3:
        raise Loop()
    return "over"

@workflow
def items() -> list[str]:
    return map_task(item)(x=[1, 2, 3])

@task
def item(ctx: Context, x: int) -> str:
    return half(ctx) if x == 2 else "done"

def told(ctx):
    import time, threading
    until = time.monotonic() + 60
    while not ctx.cancelled and time.monotonic() < until:
        threading.Event().wait(0.005)
    return ctx.cancelled

@task(retries=1)
def gives_back(ctx: Context) -> str:
    if os.path.exists("again"):
        return f"attempt {ctx.attempt} from {ctx.checkpoint.read()}"
    ctx.checkpoint.write("half")
    says("waits")
    if told(ctx):
        says("told")
        raise Retry
    return "not told"

@task
def returns(ctx: Context) -> str:
    says("waits")
    return "told" if told(ctx) else "not told"

@workflow
def two() -> str:
    return same(returns())
"""

RUN = """
import sys
import promissory, long
if __name__ == "__main__":
    name, engine = sys.argv[1:]
    how = {"engine": engine, "max_parallelism": 2, "durability": "process", "echo": False}
    ended = promissory.run(getattr(long, name), {}, run_id="long", **how)
    print(ended.state, ended.reason)
"""


@pytest.fixture
def author(project):
    """A project with long bodies."""
    project.write("long.py", MODULE)
    project.write("go.py", RUN)
    project.went_on = lambda engine="inline": project.code(
        f'import promissory; print(promissory.resume("long", engine="{engine}", durability="process", '
        "echo=False).result)"
    ).strip()
    return project


@pytest.mark.parametrize("engine", ENGINES)
def test_J1_what_was_written_before_the_executor_was_killed_is_read_after_a_resume(author, gate, engine):
    at = gate()
    process = author.spawn("go.py", "body", engine, GATE=at.path, AT="0")
    at.reached()
    process.kill()
    author.finish(process)
    assert author.went_on(engine) == "half of 0"
    assert author.lines("said") == ["0 nothing", "0 half of 0"]


@pytest.mark.full
@pytest.mark.parametrize(("name", "result"), [("grows", "half of 0"), ("items", "['done', 'half of 0', 'done']")])
def test_J1_the_same_of_a_dynamic_and_of_an_item(author, gate, name, result):
    at = gate()
    process = author.spawn("go.py", name, "inline", GATE=at.path, AT="0")
    at.reached()
    process.kill()
    author.finish(process)
    assert author.went_on() == result


@pytest.mark.full
@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_S2_a_killed_loop_goes_on_in_its_iteration_with_the_checkpoint_of_that(author, gate, engine):
    at = gate()
    process = author.spawn("go.py", "loop", engine, GATE=at.path, AT="2")
    at.reached()
    process.kill()
    author.finish(process)
    first = author.lines("said")
    assert first[-1] == "2 nothing"
    assert author.went_on(engine) == "over"
    after = author.lines("said")[len(first) :]
    assert [line for line in after if line.startswith(("2", "3"))] == ["2 half of 2", "3 nothing"]
    assert set(after) <= {"0 half of 0", "1 nothing", "2 half of 2", "3 nothing"}, (
        "an iteration that was not committed yet may run again"
    )


# --- cancelled --------------------------------------------------------------------------------------------------------


def waits(diary, **policy):
    """A task that waits until it is told, and what follows it."""

    @task(**policy)
    def waits_to_be_told(ctx: Context) -> str:
        note(diary, "waits")
        return "told" if is_told(ctx) else "not told"

    @task
    def follows(x: str) -> str:
        note(diary, "follows", x)
        return x

    @workflow
    def flow() -> str:
        return follows(waits_to_be_told())

    return flow


def giver(diary, **policy):
    """A task that gives its node back the first time; then says its attempt, and fails as often as its budget
    allows.
    """

    @task(**policy)
    def gives_back(ctx: Context) -> int:
        if not noted(diary):
            note(diary, "waits")
            if is_told(ctx):
                raise Retry(message="the run ends")
            return -1
        note(diary, "attempt", ctx.attempt)
        if ctx.attempt <= policy.get("retries", 0):
            raise OSError("again")
        return ctx.attempt

    return gives_back


def test_X10_outside_a_run_and_in_an_ordinary_one_nobody_is_told():
    @task
    def asks(ctx: Context) -> bool:
        return ctx.cancelled

    assert [Context().cancelled, current_context().cancelled, asks()] == [False, False, False]
    assert [go(asks, {}, Store(None), engine).result for engine in ENGINES] == [False] * 3


@pytest.mark.parametrize("engine", ENGINES)
def test_X10_a_body_is_told_soon_after_a_stop_and_its_value_counts(store, diary, eventually, engine, states_of):
    going = begin(waits(diary), {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop("evening")
    going.wait(60)
    assert (going.state, going.reason) == ("INTERRUPTED", "evening")
    assert states_of(store, going.id)["main/waits_to_be_told"] == "SUCCEEDED"
    assert again(going, engine).result == "told"
    assert noted(diary) == ["waits", "follows told"]


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_X10_a_body_is_told_soon_after_a_cancel_and_its_value_counts(store, diary, eventually, engine, states_of):
    going = begin(waits(diary), {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.cancel("enough")
    going.wait(60)
    assert (going.state, going.reason) == ("CANCELLED", "enough")
    assert states_of(store, going.id)["main/waits_to_be_told"] == "SUCCEEDED"
    assert again(going, engine).result == "told"


@pytest.mark.full
@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_X8_a_cancel_ends_bodies_in_processes_and_what_they_wrote_is_there(place, diary, eventually, kind):
    @task
    def works(ctx: Context) -> str:
        found = ctx.checkpoint.read(default="nothing")
        if not noted(diary):
            ctx.checkpoint.write("half")
            note(diary, "wrote")
            threading.Event().wait(600)
        return found

    going = begin(works, {}, place(kind), "processes")
    eventually(lambda: noted(diary), "the write")
    going.cancel()
    assert going.wait(60).state == "CANCELLED"
    assert again(going, "processes").result == "half"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("retries", [0, 2])
def test_X10_a_body_that_raises_retry_then_gives_its_node_back_and_the_attempt_does_not_count(
    store, diary, eventually, events_of, engine, retries
):
    going = begin(giver(diary, retries=retries), {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert RETRIED not in [event[0] for event in events_of(store, going.id)]
    (row,) = going.nodes()
    assert (row.state, row.attempts) == ("READY", 0)
    assert again(going, engine).result == retries + 1
    assert noted(diary) == ["waits", *(f"attempt {k + 1}" for k in range(retries + 1))]


def test_X10_a_body_of_a_cancelled_run_gives_its_node_back_too(store, diary, eventually):
    going = begin(giver(diary), {}, store, "threads")
    eventually(lambda: noted(diary), "the body")
    going.cancel()
    assert going.wait(60).state == "CANCELLED"
    assert again(going).result == 1


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        *[("disk", engine) for engine in ENGINES],
        *[("memory", engine) for engine in ENGINES[:2]],
        ("memory", "processes"),
    ],
)
def test_X10_what_was_written_before_a_node_was_given_back_is_read_when_it_begins_again(
    place, diary, eventually, kind, engine
):
    @task
    def gives_back(ctx: Context) -> str:
        found = ctx.checkpoint.read(default="nothing")
        if not noted(diary):
            ctx.checkpoint.write("half")
            note(diary, "wrote")
            if is_told(ctx):
                raise Retry
        return found

    going = begin(gives_back, {}, place(kind), engine)
    eventually(lambda: noted(diary), "the write")
    going.stop()
    going.wait(60)
    assert again(going, engine).result == "half"


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
def test_X10_the_command_stop_of_another_process_is_told_to_bodies(author, eventually, engine):
    process = author.spawn("go.py", "gives_back", engine)
    eventually(lambda: author.lines("said"), "the body")
    author.code(f"import sys; sys.argv[1:] = ['stop', 'long', '--reason', 'evening']\n{COMMAND}")
    assert author.finish(process)[0] == "INTERRUPTED evening\n"
    author.write("again", "")
    assert author.went_on(engine) == "attempt 1 from half"
    assert author.lines("said") == ["waits", "told"]


@pytest.mark.full
def test_X10_the_command_cancel_of_another_process_is_told_to_bodies(author, eventually):
    process = author.spawn("go.py", "two", "inline")
    eventually(lambda: author.lines("said"), "the body")
    author.code(f"import sys; sys.argv[1:] = ['cancel', 'long']\n{COMMAND}")
    assert author.finish(process)[0].startswith("CANCELLED")
    assert author.went_on() == "told"


def test_R2_bodies_in_threads_are_told_that_the_runs_time_is_over(store, diary):
    ended = go(waits(diary), {}, store, "threads", timeout=0.2)
    assert type(ended.error) is RunTimeout
    assert again(ended).result == "told"
    assert noted(diary) == ["waits", "follows told"]


def test_R2_a_body_that_gives_its_node_back_then_runs_again_with_its_whole_budget(store, diary):
    ended = go(giver(diary, retries=1), {}, store, "threads", timeout=0.2)
    assert type(ended.error) is RunTimeout
    assert (again(ended).result, noted(diary)) == (2, ["waits", "attempt 1", "attempt 2"])


def test_X10_a_worker_that_served_a_stopped_run_tells_the_next_run_nothing(store, diary, eventually):
    @task
    def asks(ctx: Context) -> tuple[int, bool]:
        return os.getpid(), ctx.cancelled

    @task
    def waits_in(ctx: Context) -> int:
        note(diary, "waits")
        return os.getpid() if is_told(ctx) else -1

    going = begin(waits_in, {}, store, "processes", max_parallelism=1)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    pid = going.wait(60).result
    assert [go(asks, {}, store, "processes", max_parallelism=1).result for _ in range(2)] == [(pid, False)] * 2


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
def test_X10_a_resume_is_not_told_what_its_run_was_told_before(store, diary, eventually, engine):
    @task
    def asks(ctx: Context) -> bool:
        if not noted(diary):
            note(diary, "waits")
            is_told(ctx)
            raise Retry
        return ctx.cancelled

    going = begin(asks, {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    going.wait(60)
    assert again(going, engine).result is False


def test_X10_nothing_more_of_a_batch_begins_after_a_stop(store, diary, eventually):
    @task
    def short(ctx: Context, x: int) -> int:
        note(diary, x)
        if x == 150:
            is_told(ctx)
            note(diary, "told")
        return x

    @workflow
    def flow() -> list[int]:
        return [short(x) for x in range(400)]

    going = begin(flow, {}, store)
    eventually(lambda: "150" in noted(diary), "the body that waits")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert noted(diary)[-1] == "told"
    assert again(going).result == list(range(400))
    assert Counter(noted(diary)) == {**{str(x): 1 for x in range(400)}, "told": 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_R1_a_body_that_was_told_and_did_not_look_has_an_ordinary_retry(store, diary, gate, events_of, engine):
    at = gate()
    path = at.path

    @task(retries=1)
    def does_not_look(ctx: Context) -> int:
        if ctx.attempt == 1:
            Path(path).read_bytes()
            raise Retry
        return ctx.attempt

    going = begin(does_not_look, {}, store, engine)
    at.reached()
    going.stop()
    at.open()
    assert going.wait(60).state == "INTERRUPTED"
    assert RETRIED in [event[0] for event in events_of(store, going.id)]
    assert again(going, engine).result == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_R1_a_body_that_looked_and_was_not_told_has_an_ordinary_retry(place, engine):
    @task(retries=2)
    def looks(ctx: Context) -> int:
        if not ctx.cancelled and ctx.attempt < 3:
            raise Retry
        return ctx.attempt

    @task
    def has_no_budget(ctx: Context) -> int:
        assert not ctx.cancelled
        raise Retry

    assert go(looks, {}, place("memory"), engine).result == 3
    assert go(has_no_budget, {}, place("memory"), engine).state == "FAILED"


@pytest.mark.parametrize("engine", ENGINES)
def test_X10_a_body_that_was_told_and_raises_something_else_has_failed(store, diary, eventually, engine):
    @task
    def fails_then(ctx: Context) -> int:
        note(diary, "waits")
        is_told(ctx)
        raise OSError("half way")

    going = begin(fails_then, {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "FAILED"


@pytest.mark.parametrize("engine", ENGINES)
def test_X10_what_a_body_asked_for_before_it_gave_its_node_back_does_not_count(store, diary, eventually, engine):
    @task
    def more(x: int) -> int:
        note(diary, "more", x)
        return x

    @task
    def asks(ctx: Context) -> int:
        if not noted(diary):
            ctx.next_task(more, x=1)
            ctx.channel().set("said", 1)
            note(diary, "waits")
            is_told(ctx)
            raise Retry
        return ctx.channel().get("said", 0)

    going = begin(asks, {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    going.wait(60)
    assert (again(going, engine).result, noted(diary)) == (0, ["waits"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("concurrency", [None, 1])
def test_B4_items_give_themselves_back_and_what_is_done_is_not_done_again(
    store, diary, tmp_path, eventually, engine, concurrency
):
    later = tmp_path / "later"

    @task
    def item(ctx: Context, x: int) -> list[int]:
        note(diary, x)
        if x and not later.exists():
            is_told(ctx)
            raise Retry
        return [x, ctx.attempt]

    @workflow
    def flow() -> list[list[int]]:
        return map_task(item, concurrency=concurrency)(x=list(range(5)))

    going = begin(flow, {}, store, engine, max_parallelism=2)
    eventually(lambda: set(noted(diary)) & set("1234"), "an item that waits")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    later.touch()
    given_back = Counter(noted(diary)) - Counter("0")
    assert again(going, engine).result == [[x, 1] for x in range(5)]
    assert Counter(noted(diary)) == Counter("01234") + given_back


@pytest.mark.parametrize("engine", ENGINES)
def test_S2_an_iteration_gives_itself_back_and_the_resume_begins_with_it(store, diary, eventually, engine):
    @task(retries=1)
    def loops(ctx: Context) -> int:
        note(diary, ctx.loop_index, ctx.loop_result, ctx.attempt)
        if ctx.loop_index == 2 and len(noted(diary)) == 3:
            is_told(ctx)
            raise Retry
        if ctx.loop_index < 4:
            raise Loop(ctx.loop_index + 10)
        return ctx.loop_index

    going = begin(loops, {}, store, engine)
    eventually(lambda: len(noted(diary)) == 3, "the third iteration")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert again(going, engine).result == 4
    assert noted(diary) == ["0 None 1", "1 10 1", "2 11 1", "2 11 1", "3 12 1", "4 13 1"]


@pytest.mark.parametrize("engine", ENGINES)
def test_D6_a_dynamics_body_gives_its_node_back_and_nothing_of_its_trace_runs(store, diary, eventually, engine):
    @task
    def one(x: int) -> int:
        note(diary, "one", x)
        return x

    @dynamic
    def grows(ctx: Context) -> int:
        first = not noted(diary)
        note(diary, "grows", ctx.attempt)
        made = one(1 if first else 2)
        if first and is_told(ctx):
            raise Retry
        return made

    going = begin(grows, {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert (again(going, engine).result, noted(diary)) == (2, ["grows 1", "grows 1", "one 2"])


@pytest.mark.parametrize("engine", ENGINES)
def test_X10_a_node_that_is_committed_by_itself_gives_itself_back_the_same(store, diary, eventually, engine):
    going = begin(giver(diary, commit="each"), {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert (again(going, engine).result, noted(diary)) == (1, ["waits", "attempt 1"])


@pytest.mark.parametrize("engine", ENGINES)
def test_R3_a_cached_call_that_is_to_run_once_at_a_time_gives_itself_back(store, diary, eventually, engine):
    going = begin(giver(diary, cache=True, cache_version="1", cache_serialize=True), {}, store, engine)
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert (again(going, engine).result, noted(diary)) == (1, ["waits", "attempt 1"])


def test_X10_a_call_of_a_pool_gives_its_place_back(store, diary, eventually):
    going = begin(giver(diary, pool="lines"), {}, store, "threads", pools={"lines": 1})
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert again(going, "threads", pools={"lines": 1}).result == 1


def test_X10_an_async_body_gives_its_node_back(store, diary, eventually):
    @task
    async def waits_in(ctx: Context) -> int:
        if not noted(diary):
            note(diary, "waits")
            is_told(ctx)
            raise Retry
        return ctx.attempt

    going = begin(waits_in, {}, store, "threads")
    eventually(lambda: noted(diary), "the body")
    going.stop()
    assert going.wait(60).state == "INTERRUPTED"
    assert again(going).result == 1


def test_X8_a_pause_is_not_told(store, diary, eventually):
    @task
    def asks(ctx: Context) -> bool:
        note(diary, "waits")
        while len(noted(diary)) < 2:
            threading.Event().wait(0.001)
        return ctx.cancelled

    going = begin(asks, {}, store, "threads")
    eventually(lambda: noted(diary), "the body")
    going.pause()
    eventually(lambda: going.state == "PAUSED", "the pause")
    note(diary, "paused")
    going.unpause()
    assert going.wait(60).result is False


@pytest.mark.full
@pytest.mark.parametrize("engine", ENGINES)
def test_X10_several_bodies_at_once_are_all_told(store, diary, eventually, engine):
    @task
    def waits_in(ctx: Context, x: int) -> bool:
        note(diary, x)
        return is_told(ctx)

    @workflow
    def flow() -> list[bool]:
        return [waits_in(x) for x in range(3)]

    going = begin(flow, {}, store, engine, max_parallelism=3)
    eventually(lambda: len(noted(diary)) == (1 if engine == "inline" else 3), "the bodies")
    going.stop()
    going.wait(60)
    assert {row.state for row in going.nodes()} <= {"SUCCEEDED", "READY"}
    assert sum(row.state == "SUCCEEDED" for row in going.nodes()) == len(noted(diary))


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_S6_a_body_is_told_that_another_one_cancelled_the_run(store, diary, engine):
    @task
    def waits_in(ctx: Context) -> bool:
        note(diary, "waits")
        until = time.monotonic() + 3
        while not ctx.cancelled and time.monotonic() < until:
            threading.Event().wait(0.001)
        note(diary, "told" if ctx.cancelled else "not told")
        return True

    @task
    def cancels(ctx: Context) -> bool:
        while not noted(diary):
            threading.Event().wait(0.001)
        ctx.cancel("enough")
        return True

    @workflow
    def flow() -> list[bool]:
        return [waits_in(), cancels()]

    assert go(flow, {}, store, engine, max_parallelism=2).state == "CANCELLED"
    assert noted(diary) == ["waits", "told"]


# --- what is left -----------------------------------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs a list of open descriptors")
def test_X10_runs_that_were_stopped_timed_out_or_lost_a_worker_leave_no_descriptors(tmp_path, eventually):
    def some_runs(number):
        store = Store(tmp_path / f"store{number}")
        for die in (kills_its_worker, takes_for_ever):
            policy = {"timeout": 0.1, "retries": 1} if die is takes_for_ever else {}
            assert (
                go(
                    adder(tmp_path / f"{number}{die.__name__}", die, **policy),
                    {"numbers": [1, 2, 3]},
                    store,
                    "processes",
                ).result
                == 6
            )
        for engine in ENGINES:
            diary = tmp_path / f"diary{number}{engine}"
            going = begin(giver(diary), {}, store, engine)
            eventually(lambda diary=diary: noted(diary), "the body")
            going.stop()
            going.wait(60)
            assert again(going, engine).result == 1

    some_runs(0)
    before = len(os.listdir("/proc/self/fd"))
    some_runs(1)
    some_runs(2)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
