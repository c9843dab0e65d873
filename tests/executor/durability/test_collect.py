"""`gc`: what nothing refers to is removed; what a run or a cached result needs never is.

After it every run is whole, shown and resumed.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from promissory import Store, dynamic, resume, run, task, workflow
from promissory.errors import RunIsLive, RunNotFound
from promissory.executor.cache.entries import entries, take_lease
from promissory.executor.history.explain import explain
from promissory.executor.history.history import History
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from promissory.executor.store.mark import mark

BROKEN: list[bool] = []
RAN: list[int] = []
LONG = list(range(3000))


@pytest.fixture(autouse=True)
def _mended():
    BROKEN.clear()
    RAN.clear()


@task(cache=True)
def block(n: int) -> list[int]:
    RAN.append(n)
    return list(range(n))


@task
def total(values: list[int], more: list[int] = LONG) -> int:
    if BROKEN:
        raise ValueError("broken")
    return sum(values) + len(more)


@dynamic(cache=True)
def grows(n: int) -> int:
    return total(LONG) if n else total(block(5000))


@workflow
def flow(n: int, values: list[int]) -> list[int]:
    return [total(block(n)), total(values), grows(0), grows(1), total(LONG[1:])]


INPUTS = {"n": 4000, "values": LONG[2:]}


def all_keys(store):
    root = Path(store.url.removeprefix("file://"))
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def collect(store):
    found = garbage(store, 0)
    return remove(store, found), {one.key for one in found}


def problems(store, run_id):
    return [finding for finding in examine(store, run_id) if finding.severity != "note"]


@pytest.fixture
def ended(store):
    return run(flow, INPUTS, store=store, run_id="ended", durability="process", echo=False)


def test_gc_of_a_store_in_use_finds_nothing(store, ended):
    before = all_keys(store)
    assert garbage(store, 0) == []
    assert all_keys(store) == before


def test_gc_of_an_empty_store_finds_nothing(store):
    assert garbage(store, 0) == []


def test_gc_after_it_a_run_is_whole_and_can_be_shown(store, ended):
    collect(store)
    assert problems(store, "ended") == []
    assert {row.state for row in History(store, "ended").nodes()} == {"SUCCEEDED"}
    assert resume("ended", store=store, echo=False).result == ended.result
    assert explain(store, "ended", "main/grows").state == "SUCCEEDED"


def test_gc_after_it_a_failed_run_can_be_resumed(store):
    BROKEN.append(True)
    assert run(flow, INPUTS, store=store, run_id="failed", durability="process", echo=False).state == "FAILED"
    BROKEN.clear()
    collect(store)
    assert problems(store, "failed") == []
    assert resume("failed", store=store, echo=False).result == [
        sum(range(4000)) + 3000,
        sum(LONG[2:]) + 3000,
        sum(range(5000)) + 3000,
        sum(LONG) + 3000,
        sum(LONG[1:]) + 3000,
    ]


def test_gc_keeps_what_cached_results_refer_to_after_their_run_is_gone(store, ended):
    remove_run(store, "ended")
    count, _ = collect(store)
    assert count > 0
    RAN.clear()
    again = run(flow, INPUTS, store=store, echo=False)
    assert (again.result, RAN) == (ended.result, [])


def test_gc_keeps_the_literals_of_a_cached_futures_file(store):
    BROKEN.append(True)
    run(grows, {"n": 1}, store=store, run_id="failed", echo=False)
    BROKEN.clear()
    [(_, entry)] = entries(store)
    assert entry.futures is not None
    remove_run(store, "failed")
    collect(store)
    assert run(grows, {"n": 1}, store=store, echo=False).result == sum(LONG) + 3000


def test_gc_removes_all_of_a_run_that_was_removed_but_what_others_share(store, ended):
    other = run(total, {"values": list(range(6000))}, store=store, run_id="other", echo=False)
    assert other.state == "SUCCEEDED"
    before = all_keys(store)
    remove_run(store, "other")
    _, removed = collect(store)
    assert any(key.startswith("objects/") for key in removed)
    assert any(key.startswith("plans/") for key in removed)
    assert all_keys(store) < before
    assert problems(store, "ended") == []
    assert not [key for key in all_keys(store) if key.startswith("runs/other/")]


def test_gc_of_everything_leaves_nothing(store, ended):
    remove_run(store, "ended")
    for key, _ in entries(store):
        store.delete(key)
    collect(store)
    assert all_keys(store) == {"promissory"}


def test_gc_the_values_of_removed_entries_go_unless_a_run_has_them(store):
    run(block, {"n": 4000}, store=store, run_id="has", echo=False)
    for key, _ in entries(store):
        store.delete(key)
    assert garbage(store, 0) == []
    assert resume("has", store=store, echo=False).result == list(range(4000))


def test_gc_what_is_younger_than_asked_for_stays(store):
    store.put_new("objects/aa/" + "aa" * 32, b"nobody's")
    assert garbage(store, 60) == []
    [one] = garbage(store, 0)
    path = Path(store.url.removeprefix("file://")) / one.key
    os.utime(path, (time.time() - 120,) * 2)
    assert [found.key for found in garbage(store, 60)] == [one.key]


def test_gc_takes_temporary_files_that_killed_writers_left(store, ended):
    root = Path(store.url.removeprefix("file://"))
    left = root / "objects" / "ab"
    left.mkdir(parents=True, exist_ok=True)
    (left / ".tmp-0123456789abcdef").write_bytes(b"half a valu")
    _, removed = collect(store)
    assert len(removed) == 1
    assert not (left / ".tmp-0123456789abcdef").exists()


def test_gc_takes_leases_of_runs_that_are_gone(store):
    mark(store)
    assert take_lease(store, b"k" * 32, "gone", 1)
    _, removed = collect(store)
    assert [key.partition("/")[0] for key in removed] == ["leases"]


def test_gc_takes_what_a_removal_that_was_cut_short_left(store, ended):
    store.delete("runs/ended/manifest")
    for key, _ in entries(store):
        store.delete(key)
    collect(store)
    assert all_keys(store) == {"promissory"}


def test_gc_a_damaged_entry_does_not_end_it(store, ended):
    [key, *_] = [key for key, _ in entries(store)]
    store.put(key, b"damaged")
    assert garbage(store, 0) == []


def test_gc_two_runs_on_one_store_keep_each_others_things(store):
    first = run(flow, INPUTS, store=store, run_id="first", durability="process", echo=False)
    second = run(flow, {**INPUTS, "n": 4500}, store=store, run_id="second", durability="process", echo=False)
    remove_run(store, "first")
    collect(store)
    assert problems(store, "second") == []
    assert resume("second", store=store, echo=False).result == second.result != first.result


HELD = """
from promissory import task, workflow

@task
def large(n: int) -> list[int]:
    return list(range(n))

@task
def held(values: list[int], gate: str) -> int:
    open(gate).read()
    return sum(values)

@workflow
def flow(n: int, gate: str) -> int:
    return held(large(n), gate)
"""
RUN = """
import sys
from promissory import run
from flow import flow
print(run(flow, {"n": 5000, "gate": sys.argv[1]}, run_id="live", engine="ENGINE").result)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_gc_refuses_while_a_run_is_live_and_goes_on_when_it_was_killed(project, gate, engine):
    project.write("flow.py", HELD)
    held = gate()
    process = project.spawn("-c", RUN.replace("ENGINE", engine), held.path)
    held.reached()
    with pytest.raises(RunIsLive, match=r"run live goes on.*Collect when it has ended"):
        garbage(project.store, 0)
    with pytest.raises(RunIsLive):
        remove_run(project.store, "live")
    process.send_signal(signal.SIGKILL)
    process.wait()
    held.open()
    collect(project.store)
    assert [finding for finding in problems(project.store, "live") if finding.severity == "error"] == []
    Path(held.path).unlink()
    Path(held.path).touch()  # from now on nobody is held
    assert (
        project.code("from promissory import resume; print(resume('live', echo=False).result)")
        == f"{sum(range(5000))}\n"
    )


def test_gc_ends_when_a_run_has_begun_meanwhile(project, gate):
    project.write("flow.py", HELD)
    project.store.put_new("objects/aa/" + "aa" * 32, b"nobody's")
    found = garbage(project.store, 0)
    held = gate()
    process = project.spawn("-c", RUN.replace("ENGINE", "inline"), held.path)
    held.reached()
    with pytest.raises(RunIsLive):
        remove(project.store, found)
    assert project.store.exists(found[0].key)
    held.open()
    project.finish(process)


BY_VALUE = """
import sys
from promissory import resume, run
from promissory import task, workflow

def make(k):
    @task
    def times(x: int) -> int:
        if sys.argv[1] == "run":
            raise ValueError("not yet")
        return x * k
    return times

times = make(7)

@workflow
def flow(x: int) -> int:
    return times(x)

if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(flow, {"x": 3}, run_id="by-value", engine="processes", echo=False)
    else:
        print(resume("by-value", engine="processes", echo=False).result)
"""


@pytest.mark.full
def test_gc_keeps_code_that_travels_by_value(project):
    project.write("script.py", BY_VALUE)
    project.python("script.py", "run")
    code = set(project.store.list("runs/by-value/code"))
    collect(project.store)
    assert set(project.store.list("runs/by-value/code")) == code
    assert project.python("script.py", "resume").split()[-1] == "21"


@pytest.mark.full
def test_gc_keeps_bundles_and_logs(project):
    project.write("flow.py", HELD.replace("open(gate).read()", "print('said')"))
    project.python("-c", RUN.replace("ENGINE", "processes"), "")
    before = all_keys(project.store)
    assert any(key.startswith("code/") for key in before)
    assert any("/logs/" in key for key in before)
    collect(project.store)
    assert all_keys(project.store) == before


@pytest.mark.full
def test_gc_keeps_the_snapshot_that_a_resume_begins_with(store):
    BROKEN.append(True)
    run(many_then_total, {"n": 10_500}, store=store, run_id="long", max_nodes=20_000, durability="process", echo=False)
    snapshots = store.list("runs/long/snapshots")
    assert snapshots
    BROKEN.clear()
    collect(store)
    assert store.list("runs/long/snapshots") == snapshots[-1:]
    assert problems(store, "long") == []
    assert resume("long", store=store, echo=False).result == 10_500 * 10_499 // 2 + 3000


@task
def same(x: int) -> int:
    return x


@dynamic
def many(n: int) -> list[int]:
    return [same(i) for i in range(n)]


@workflow
def many_then_total(n: int) -> int:
    return total(many(n))


def test_gc_a_run_to_be_removed_that_is_not_there_says_so(store):
    with pytest.raises(RunNotFound, match="no run 'nothing'"):
        remove_run(store, "nothing")


def test_gc_works_in_memory_too():
    store = Store(None)
    run(block, {"n": 4000}, store=store, run_id="one", echo=False)
    assert garbage(store, 0) == []
    remove_run(store, "one")
    for key, _ in entries(store):
        store.delete(key)
    assert len(collect(store)[1]) >= 2
