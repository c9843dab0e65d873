"""J7: stored bytes name things of this package by their public names, so that a file of it may move.

A worker process imports its own rooms only."""

import re
import sys
import zipfile

import pytest

from promissory import (
    Context,
    Loop,
    NodeFailure,
    Plan,
    Retry,
    Skip,
    Store,
    current_context,
    dynamic,
    map_task,
    promise,
    resume,
    run,
    task,
    workflow,
)
from promissory._names import WRITTEN
from promissory.errors import TaskTypeError, WorkerLost
from promissory.typesys.names import find, qualified_name
from promissory.typesys.opaque import dumps, dumps_by_name, loads

OURS = re.compile(rb"promissory\.(?:planner|executor|typesys)\b|(?<![\w.])(?:planner|executor|typesys)[.:]")


@task
def fallback(err: NodeFailure) -> int:
    return 0


@task(retries=1, retry_on=(TaskTypeError, WorkerLost))
def bad(x: int) -> int:
    raise ValueError("no")


@task
def wrong(x: int) -> int:
    return "a"


@task(retries=1)
def again(ctx: Context, x: int) -> int:
    if ctx.attempt == 1:
        raise Retry(after=0)
    return x


@task
def loops(ctx: Context, x: int) -> int:
    if ctx.loop_index < 2:
        raise Loop({"failure": NodeFailure("a", "b", "c"), "n": x})
    ctx.channel().set("seen", NodeFailure("a", "b", "c"))
    return x


@task
def skips(x: int) -> int:
    raise Skip("not today")


@dynamic
def inside(x: int) -> int:
    failure = NodeFailure("here", "OSError", "no")

    @task
    def local(y: int) -> int:
        if y < 0:
            raise Loop(failure)
        return y + current_context().attempt + len(failure.message)

    return local(x)


@task
def raises_ours(x: int) -> int:
    raise TaskTypeError("of ours")


@task
def dies(x: int) -> int:
    import os

    os._exit(3)


@task(cache=True, cache_version="1")
def kept(failure: NodeFailure) -> NodeFailure:
    return failure


@workflow
def flow(x: int) -> int:
    promise(wrong(x)).on_error(1)
    promise(raises_ours(x)).on_error(1)
    promise(bad(x)).on_error(fallback)
    map_task(again)(x=[1, 2])
    skips(x)
    kept(NodeFailure("a", "b", "c"))
    loops(x)
    return inside(x)


@workflow
def fails(x: int) -> int:
    promise(dies(x)).on_error(fallback)
    inside(x)
    return raises_ours(again(x))


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J7_no_stored_byte_names_where_a_thing_of_ours_lies(store, tmp_path, engine):
    assert run(flow, {"x": 1}, store=store, engine=engine, run_id="well", echo=False).result == 4
    ended = run(fails, {"x": 1}, store=store, engine="processes", run_id="failed", echo=False)
    assert ended.state == "FAILED" and isinstance(ended.error.__cause__, TaskTypeError)
    resume("failed", store=store, engine="processes", echo=False)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and not zipfile.is_zipfile(path)]
    found = {}
    for path in files:
        for name in set(OURS.findall(path.read_bytes())):
            if b"/promissory/" not in name:
                found.setdefault(name, []).append(path.name)
    assert len(files) > 10
    assert found == {}


def test_J7_what_is_written_of_a_thing_of_ours_is_found_again():
    for written in WRITTEN.values():
        thing = find(written)
        if isinstance(thing, type) and thing.__module__.startswith("promissory") and "Opaque" not in written:
            assert qualified_name(thing) == written
    assert loads(dumps(TaskTypeError)) is TaskTypeError
    assert isinstance(loads(dumps_by_name(WorkerLost("gone", "main/f", 9))), WorkerLost)
    assert loads(dumps([task, Loop, Plan, current_context])) == [task, Loop, Plan, current_context]


@task
def modules() -> list[str]:
    return sorted(name for name in sys.modules if name.startswith("promissory.executor."))


def test_a_worker_process_imports_no_scheduler_journal_or_history(tmp_path):
    store = Store(tmp_path / "store")
    loaded = run(modules, {}, store=store, engine="processes", echo=False).result
    rooms = {name.split(".")[2] for name in loaded}
    assert "worker" in rooms
    assert rooms & {
        "scheduler",
        "journal",
        "records",
        "history",
        "cache",
        "execution",
        "maintenance",
        "api",
        "cli",
        "testing",
    } <= {"records", "api"}  # the module of the task imports `run`
    assert len(loaded) < 64
