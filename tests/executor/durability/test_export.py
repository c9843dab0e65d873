"""J7: an exported run is whole by itself: with the store that it came from deleted it can be looked at, checked and
resumed.
"""

import shutil
import threading

import pytest

from promissory import Store, attach, dynamic, rerun, resume, run, start, task, workflow
from promissory.errors import ExecutorError, JournalError, RunExists, RunNotFound
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end
from promissory.executor.maintenance.doctor import examine, is_whole
from promissory.executor.maintenance.export import export
from promissory.executor.store.keys import run_key, segment_key

LARGE = 5000
ran = []
broken = set()
inside, go_on = threading.Event(), threading.Event()


@task
def step(x: int) -> int:
    if "step" in broken and x == 3:
        raise ValueError("not today")
    ran.append(x)
    print(f"step {x}")
    return x + 1


@task
def large(n: int) -> list[int]:
    ran.append("large")
    return list(range(n))


@task
def total(values: list[int], more: list[int]) -> int:
    if "total" in broken:
        raise ValueError("not today")
    return sum(values) + sum(more)


@task
def waits(x: int) -> int:
    inside.set()
    assert go_on.wait(60)
    return x + 1


@dynamic
def countdown(x: int) -> int:
    return step(countdown(x - 1)) if x else step(0)


@dynamic
def fan(n: int) -> list[int]:
    return [step(k) for k in range(10, 10 + n)]


@workflow
def sub(x: int) -> int:
    return step(step(x))


@workflow
def all_kinds(n: int, given: list[int]) -> int:
    return total(large(LARGE), fan(n))


@workflow
def deep(n: int) -> int:
    return sub(countdown(n))


@workflow
def with_literal(x: int) -> int:
    return total(list(range(LARGE)), [x, step(x)])


@workflow
def long_chain(n: int) -> int:
    return countdown(n)


@workflow
def held(x: int) -> int:
    return step(waits(step(x)))


@pytest.fixture(autouse=True)
def forget():
    ran.clear()
    broken.clear()
    inside.clear()
    go_on.clear()


@pytest.fixture(params=["folder", pytest.param("memory", marks=pytest.mark.full)])
def target(request, tmp_path):
    """An empty store, elsewhere."""
    return Store(tmp_path / "elsewhere" if request.param == "folder" else f"memory://export-{request.node.name}")


def moved(store, run_id, target):
    """Export, and delete the store that it came from."""
    export(store, run_id, target)
    shutil.rmtree(store.url.removeprefix("file://"))
    return attach(run_id, store=target)


def told(history):
    return [(row.path, row.state, row.attempts, row.why, row.started) for row in history.nodes()]


def test_J7_a_run_that_succeeded_is_told_the_same_way_where_it_was_exported_to(store, target):
    ended = run(deep, {"n": 4}, store=store)
    before = told(History(store, ended.id))
    files = {path: ended.futures(path).digest for path in ended.futures()}
    there = moved(store, ended.id, target)
    assert (there.state, there.result) == ("SUCCEEDED", 7)
    assert told(History(target, ended.id)) == before
    assert {path: there.futures(path).digest for path in there.futures()} == files != {}
    assert is_whole(list(examine(target, ended.id)))


def test_J7_what_tasks_printed_goes_along(store, target):
    ended = run(deep, {"n": 2}, store=store)
    said = {
        row.path: store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) for row in ended.nodes() if row.log
    }
    there = moved(store, ended.id, target)
    assert said
    assert {
        row.path: target.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) for row in there.nodes() if row.log
    } == said


def test_J7_a_run_that_failed_is_repaired_and_resumed_elsewhere_and_runs_nothing_again(store, target):
    broken.add("step")
    failed = run(deep, {"n": 5}, store=store)
    assert failed.state == "FAILED"
    assert ran == [0, 1, 2]
    there = moved(store, failed.id, target)
    assert (there.state, there.error.path) == ("FAILED", failed.error.path)
    broken.clear()
    assert resume(failed.id, store=target).result == 8
    assert ran == [0, 1, 2, 3, 4, 5, 6, 7]


def test_J7_large_values_and_large_literals_go_along(store, target):
    broken.add("total")
    failed = run(with_literal, {"x": 1}, store=store)
    there = moved(store, failed.id, target)
    broken.clear()
    assert resume(there.id, store=target).result == sum(range(LARGE)) + 3


def test_J7_large_inputs_and_results_go_along(store, target):
    @workflow
    def same(values: list[int]) -> list[int]:
        return values

    ended = run(same, {"values": list(range(LARGE))}, store=store)
    assert moved(store, ended.id, target).result == list(range(LARGE))


def test_J7_a_run_of_dynamics_that_return_lists_of_promises_goes_along(store, target):
    broken.add("total")
    failed = run(all_kinds, {"n": 3, "given": [1]}, store=store)
    there = moved(store, failed.id, target)
    broken.clear()
    assert resume(there.id, store=target).result == sum(range(LARGE)) + 11 + 12 + 13
    assert ran.count("large") == 1


def test_J7_other_runs_of_the_store_stay_behind(store, target):
    one, other = run(deep, {"n": 1}, store=store), run(all_kinds, {"n": 3, "given": []}, store=store)
    export(store, one.id, target)
    assert target.list("runs") == [f"runs/{one.id}"]
    assert target.list("objects") == []
    with pytest.raises(RunNotFound):
        attach(other.id, store=target)


def test_J7_an_export_names_no_key_twice_and_says_how_many_there_are(store, target):
    ended = run(all_kinds, {"n": 3, "given": []}, store=store)
    count = export(store, ended.id, target)
    assert count == len(all_keys(target)) - target.outlives_the_process, "but for the mark of the store"


def all_keys(store, folder=""):
    found = []
    for key in store.list(folder):
        found += all_keys(store, key) if store.is_folder(key) else [key]
    return found


@pytest.mark.full
def test_J7_a_run_with_snapshots_goes_along_and_its_resume_reads_only_the_end(tmp_path):
    source, target = Store(f"memory://source-{tmp_path.name}"), Store(f"memory://target-{tmp_path.name}")
    failed = run(long_chain_failing, {"n": 5200}, store=source, max_depth=6000, durability="process")
    assert failed.state == "FAILED"
    export(source, failed.id, target)
    before = len(ran)
    snapshots = target.list(run_key(failed.id, "snapshots"))
    assert len(snapshots) == 1
    broken.clear()
    repaired.append(1)
    assert resume(failed.id, store=target, durability="process").result == 5201
    assert len(ran) == before


repaired = []


@task
def fails_once(x: int) -> int:
    if not repaired:
        raise ValueError("not today")
    return x


@workflow
def long_chain_failing(n: int) -> int:
    return fails_once(countdown(n))


def test_J7_a_live_run_can_be_exported_and_again_when_it_has_gone_on(store, target):
    going = start(held, {"x": 0}, store=store, engine="threads")
    assert inside.wait(60)
    export(store, going.id, target)
    copy = attach(going.id, store=target)
    assert copy.state == "INTERRUPTED", "nobody works on the copy"
    assert {row.path for row in copy.nodes()} == {"main/step", "main/waits", "main/step~2"}
    go_on.set()
    assert going.wait(60).result == 3
    export(store, going.id, target)
    assert attach(going.id, store=target).result == 3
    assert is_whole(list(examine(target, going.id)))


def test_J7_the_copy_of_a_live_run_can_be_resumed_while_the_run_goes_on(store, target):
    going = start(held, {"x": 0}, store=store, engine="threads")
    assert inside.wait(60)
    export(store, going.id, target)
    go_on.set()
    assert resume(going.id, store=target).result == 3
    assert going.wait(60).result == 3


def test_J7_an_export_that_is_made_twice_changes_nothing(store, target):
    ended = run(deep, {"n": 3}, store=store)
    first = export(store, ended.id, target)
    before = {key: target.get(key) for key in all_keys(target)}
    assert export(store, ended.id, target) == first
    assert {key: target.get(key) for key in all_keys(target)} == before


def test_J7_an_export_that_was_cut_short_is_no_run_and_can_be_made_again(store, target):
    ended = run(deep, {"n": 3}, store=store)
    export(store, ended.id, target)
    target.delete(run_key(ended.id, "manifest"))
    half = segment_key(ended.id, 0)
    target.put(half, target.get(half)[:10])
    with pytest.raises(RunNotFound):
        attach(ended.id, store=target)
    export(store, ended.id, target)
    assert attach(ended.id, store=target).result == 6


def test_J7_another_run_of_the_name_is_not_written_over(store, target):
    run(deep, {"n": 1}, store=store, run_id="same")
    other = run(deep, {"n": 2}, store=target, run_id="same")
    with pytest.raises(RunExists, match="has another run 'same': export into a store of its own"):
        export(store, "same", target)
    assert attach("same", store=target).result == other.result == 5


def test_J7_a_copy_that_has_gone_on_by_itself_is_not_written_over(store, target):
    broken.add("step")
    failed = run(deep, {"n": 5}, store=store)
    export(store, failed.id, target)
    assert resume(failed.id, store=store).state == "FAILED"
    broken.clear()
    assert resume(failed.id, store=target).result == 8
    before = {key: target.get(key) for key in all_keys(target)}
    with pytest.raises(RunExists):
        export(store, failed.id, target)
    after = {key: target.get(key) for key in all_keys(target)}
    assert after == before, "what the copy acknowledged is not lost"
    assert attach(failed.id, store=target).result == 8


def test_J7_a_copy_that_is_ahead_stays_as_it_is(store, target):
    broken.add("step")
    failed = run(deep, {"n": 5}, store=store)
    export(store, failed.id, target)
    broken.clear()
    assert resume(failed.id, store=target).result == 8
    export(store, failed.id, target)
    assert attach(failed.id, store=target).result == 8


def test_J7_a_run_that_came_back_home_is_the_run_that_went_on_abroad(store, target):
    broken.add("step")
    failed = run(deep, {"n": 5}, store=store)
    export(store, failed.id, target)
    broken.clear()
    assert resume(failed.id, store=target).result == 8
    export(target, failed.id, store)
    assert attach(failed.id, store=store).result == 8
    assert is_whole(list(examine(store, failed.id)))


def test_J7_a_foreign_file_in_the_journal_does_not_cut_the_copy_short(store, target):
    ended = run(deep, {"n": 3}, store=store)
    store.put(run_key(ended.id, "journal/#0000#"), b"an editor's")
    export(store, ended.id, target)
    assert find_end(target, ended.id) == find_end(store, ended.id)
    assert attach(ended.id, store=target).state == "SUCCEEDED"


def test_J7_a_run_with_a_damaged_journal_is_not_exported_as_if_it_were_whole(store, target):
    ended = run(deep, {"n": 3}, store=store)
    key = segment_key(ended.id, 0)
    data = store.get(key)
    store.put(key, data[:30] + bytes([data[30] ^ 1]) + data[31:])
    with pytest.raises(JournalError, match=key):
        export(store, ended.id, target)
    with pytest.raises(RunNotFound):
        attach(ended.id, store=target)


def test_J7_an_object_that_is_missing_is_told_and_not_passed_over(store, target):
    ended = run(all_kinds, {"n": 3, "given": []}, store=store)
    (key,) = [key for folder in store.list("objects") for key in store.list(folder)]
    store.delete(key)
    with pytest.raises(ExecutorError, match=key):
        export(store, ended.id, target)


def test_J7_an_object_that_is_damaged_is_told_and_not_copied(store, target):
    ended = run(all_kinds, {"n": 3, "given": []}, store=store)
    (key,) = [key for folder in store.list("objects") for key in store.list(folder)]
    store.put(key, b"\0" + store.get(key)[1:])
    with pytest.raises(ExecutorError, match=key):
        export(store, ended.id, target)


def test_J7_an_unknown_run_can_not_be_exported(store, target):
    with pytest.raises(RunNotFound, match="no run 'nobody'"):
        export(store, "nobody", target)


def test_J7_a_rerun_is_whole_without_the_run_that_it_came_from(store, target):
    first = run(deep, {"n": 3}, store=store)
    second = rerun(first.id, "main/sub/step~2", store=store)
    said = {
        row.path: store.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) for row in second.nodes() if row.log
    }
    there = moved(store, second.id, target)
    assert there.result == 6
    assert {
        row.path: target.get_range(row.log[0], row.log[1], row.log[1] + row.log[2]) for row in there.nodes() if row.log
    } == said
    assert there.state == "SUCCEEDED"
    assert History(target, second.id).manifest.parent == (first.id, "main/sub/step~2")


# --- in other processes, where the author's files are gone ---

MODULE = """
import os
from promissory import task, dynamic, workflow
from lib.helper import scale

@task
def step(x: int) -> int:
    with open(os.environ["STARTED"], "a") as file:
        file.write(f"step {x}\\n")
    if os.environ.get("BROKEN") and x == 3:
        raise ValueError("broken")
    return scale(x) + 1

@dynamic
def down(x: int) -> int:
    return step(down(x - 1)) if x else step(0)

@workflow
def flow(x: int) -> int:
    return step(down(x))
"""

BY_VALUE = """
import os, sys
import promissory
from promissory import task, workflow

def made(k):
    @task
    def add(x: int) -> int:
        if os.environ.get("BROKEN") and x == 3:
            raise ValueError("broken")
        return x + k

    @workflow
    def flow(x: int) -> int:
        return add(add(add(x)))

    return flow

if __name__ == "__main__":
    print(promissory.run(made(3), {"x": 0}, run_id="moved", engine="processes").state)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_J7_a_run_goes_on_from_its_source_bundle_where_the_project_is_not(project, tmp_path, engine):
    project.write("src/job.py", MODULE)
    project.write("src/lib/__init__.py", "")
    project.write("src/lib/helper.py", "def scale(x):\n    return x * 2\n")
    started = str(tmp_path / "started")
    run_it = "import promissory, job; print(promissory.run(job.flow, {'x': 3}, run_id='moved').state)"
    assert project.code(run_it, PYTHONPATH=str(project.folder / "src"), STARTED=started, BROKEN="yes") == "FAILED\n"
    target = project.folder / "abroad"
    export(project.store, "moved", Store(target))
    shutil.rmtree(project.folder / "src")
    shutil.rmtree(project.folder / "store")
    before = (tmp_path / "started").read_text().count("step 0")
    go_on = f"import promissory; print(promissory.resume('moved', engine={engine!r}).result)"
    assert project.code(go_on, STARTED=started, PROMISSORY_STORE=str(target)) == "31\n"
    assert (tmp_path / "started").read_text().count("step 0") == before == 1


@pytest.mark.full
def test_J7_functions_that_travel_by_value_go_along(project):
    project.write("factory.py", BY_VALUE)
    assert project.python("factory.py", BROKEN="yes") == "FAILED\n"
    target = project.folder / "abroad"
    export(project.store, "moved", Store(target))
    shutil.rmtree(project.folder / "store")
    (project.folder / "factory.py").unlink()
    assert (
        project.code(
            "import promissory; print(promissory.resume('moved', engine='processes').result)",
            PROMISSORY_STORE=str(target),
        )
        == "9\n"
    )
