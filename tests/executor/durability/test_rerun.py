"""R6, rerun: a node of an earlier run and what depends on it run once more, as a new run; all else is taken from the
earlier one, which stays as it is.
"""

import threading

import pytest

from promissory import attach, dynamic, rerun, resume, run, start, task, workflow
from promissory.errors import CodeChanged, RunExists, RunFailed, RunNotFound
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end
from promissory.executor.store.keys import run_key
from promissory.testing import Crashed, crash_at

ran = []
broken = set()
inside, go_on = threading.Event(), threading.Event()


@task
def a(x: int) -> int:
    ran.append("a")
    return x + 1


@task
def b(x: int) -> int:
    ran.append("b")
    if "b" in broken:
        raise ValueError("not today")
    return x * 2


@task
def c(x: int, y: int) -> int:
    ran.append("c")
    return x + y


@task
def note() -> None:
    ran.append("note")


@task
def leaf(n: int) -> int:
    ran.append(n)
    if n in broken:
        raise ValueError("not today")
    return 1


@task
def add(x: int, y: int) -> int:
    ran.append("add")
    return x + y


@task
def total(values: list[int]) -> int:
    ran.append("total")
    return sum(values)


@dynamic
def fib(n: int) -> int:
    return leaf(n) if n < 2 else add(fib(n - 1), fib(n - 2))


@dynamic
def tail(n: int, so_far: int) -> int:
    return tail(n - 1, add(so_far, n)) if n else leaf(so_far)


@dynamic
def fan(n: int) -> list[int]:
    return [leaf(k) for k in range(n)]


@workflow
def inner(x: int) -> int:
    return b(a(x))


@workflow
def diamond(x: int) -> int:
    return c(b(a(x)), a(x))


@workflow
def nested(x: int) -> int:
    return c(inner(x), inner(x))


@workflow
def recursive(n: int) -> int:
    return c(fib(n), a(n))


@workflow
def tails(n: int) -> int:
    return b(tail(n, 0))


@workflow
def joints(n: int) -> int:
    return c(total(fan(n)), a(n))


@workflow
def ordered(x: int) -> int:
    first = a(x)
    second = note()
    third = b(x)
    first >> second >> third
    return third


@pytest.fixture(autouse=True)
def forget():
    ran.clear()
    broken.clear()
    inside.clear()
    go_on.clear()


@pytest.fixture
def store(request):
    return f"memory://rerun-{request.node.name}"


def first_run(target, store, **inputs):
    ended = run(target, inputs, store=store, durability="process")
    ran.clear()
    return ended


def again(one, path, **options):
    return rerun(one.id, path, store=one.store, durability="process", **options)


def shown(one):
    return {row.path: (row.state, row.called) for row in one.nodes()}


def committed(one):
    return [one.store.get(key) for key in one.store.list(run_key(one.id, "journal"))]


# --- what runs again ---


@pytest.mark.full(keep=14)
@pytest.mark.parametrize(
    ("target", "inputs", "path", "expected"),
    [
        (diamond, {"x": 1}, "main/c", ["c"]),
        (diamond, {"x": 1}, "main/b", ["b", "c"]),
        (diamond, {"x": 1}, "main/a", ["a", "b", "c"]),
        (diamond, {"x": 1}, "main/a~2", ["a", "c"]),
        (nested, {"x": 1}, "main/inner/b", ["b", "c"]),
        (nested, {"x": 1}, "main/inner/a", ["a", "b", "c"]),
        (nested, {"x": 1}, "main/inner~2", ["a", "b", "c"]),
        (recursive, {"n": 4}, "main/c", ["c"]),
        (recursive, {"n": 4}, "main/a", ["a", "c"]),
        (recursive, {"n": 2}, "main/fib/fib~2/leaf", [0, "add", "c"]),
        (recursive, {"n": 2}, "main/fib/fib", [1, "add", "c"]),
        (recursive, {"n": 2}, "main/fib", [0, 1, "add", "c"]),
        (recursive, {"n": 3}, "main/fib/fib/fib~2/leaf", [0, "add", "add", "c"]),
        (tails, {"n": 2}, "main/tail/tail/tail/leaf", [3, "b"]),
        (tails, {"n": 2}, "main/tail/tail/add", [3, "add", "b"]),
        (tails, {"n": 2}, "main/tail/add", [3, "add", "add", "b"]),
        (joints, {"n": 3}, "main/fan/leaf~2", [1, "c", "total"]),
        (joints, {"n": 3}, "main/fan", [0, 1, 2, "c", "total"]),
        (joints, {"n": 3}, "main/total", ["c", "total"]),
        (ordered, {"x": 1}, "main/a", ["a", "b", "note"]),
        (ordered, {"x": 1}, "main/note", ["b", "note"]),
    ],
)
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_R6_a_node_and_what_depends_on_it_run_again_and_nothing_else(store, target, inputs, path, expected, engine):
    first = first_run(target, store, **inputs)
    second = again(first, path, engine=engine)
    assert sorted(map(str, ran)) == sorted(map(str, expected))
    assert second.result == first.result
    assert shown(second) == shown(first)


def test_R6_every_node_of_a_run_can_be_the_one(store):
    first = first_run(recursive, store, n=4)
    before, whole = committed(first), shown(first)
    for path in whole:
        second = again(first, path)
        assert second.result == first.result
        assert shown(second) == whole
    assert committed(first) == before, "the earlier run stays as it is"


def test_R6_the_futures_files_of_what_is_kept_are_there(store):
    first = first_run(recursive, store, n=3)
    second = again(first, "main/fib/fib~2/leaf")
    assert second.futures() == first.futures()
    assert [second.futures(path).digest for path in second.futures()] == [
        first.futures(path).digest for path in first.futures()
    ]


# --- of what kind of run ---


def test_R6_a_rerun_of_a_failed_node_repairs_the_run_and_leaves_the_failed_one(store):
    broken.add("b")
    first = first_run(diamond, store, x=1)
    broken.clear()
    second = again(first, "main/b")
    assert second.result == 6
    assert sorted(ran) == sorted(["b", "c", *(["a"] if "main/a~2" not in done(first) else [])])
    assert attach(first.id, store=store).state == "FAILED"


def done(one):
    return [row.path for row in one.nodes() if row.state == "SUCCEEDED"]


def test_R6_a_rerun_that_fails_can_be_resumed(store):
    first = first_run(recursive, store, n=3)
    broken.add(0)
    second = again(first, "main/fib/fib/fib~2/leaf")
    assert (second.state, second.error.path) == ("FAILED", "main/fib/fib/fib~2/leaf")
    broken.clear()
    assert resume(second.id, store=store).result == first.result
    assert sorted(map(str, ran)) == ["0", "0", "add", "add", "c"]


def test_R6_a_rerun_can_be_run_again_and_says_where_it_comes_from(store):
    first = first_run(nested, store, x=1)
    second = again(first, "main/inner/b")
    ran.clear()
    third = again(second, "main/c")
    assert (third.result, ran) == (first.result, ["c"])
    assert History(third.store, third.id).manifest.parent == (second.id, "main/c")
    assert History(third.store, second.id).manifest.parent == (first.id, "main/inner/b")
    assert History(third.store, first.id).manifest.parent == ()


def test_R6_a_rerun_of_a_run_that_goes_on_takes_what_is_committed(store):
    going = start(held, {"x": 1}, store=store, engine="threads")
    assert inside.wait(60)
    go_on.set()
    second = rerun(going.id, "main/b", store=store)
    assert second.result == going.wait(60).result == 5


@task
def waits(x: int) -> int:
    inside.set()
    assert go_on.wait(60)
    return x


@workflow
def held(x: int) -> int:
    return c(b(a(x)), waits(x))


def test_R6_a_rerun_of_a_run_that_was_resumed_forgets_its_failures(store):
    broken.add("b")
    first = first_run(diamond, store, x=1)
    broken.clear()
    resume(first.id, store=store)
    ran.clear()
    second = again(first, "main/c")
    assert (ran, second.result) == (["c"], 6)
    assert {row.state for row in second.nodes()} == {"SUCCEEDED"}


def test_R6_a_rerun_of_more_events_than_one_snapshot_holds(store):
    first = first_run(long, store, n=4000)
    ran.clear()
    second = rerun(first.id, "main/a", store=store, durability="process", max_depth=5000)
    assert (ran, second.result) == (["a", "c"], first.result)


@workflow
def long(n: int) -> int:
    return c(total(fan(n)), a(fan_sum(n)))


@dynamic
def fan_sum(n: int) -> int:
    return total([leaf(k) for k in range(n)])


# --- times, lineage, limits ---


def test_R6_what_is_kept_keeps_its_times(store):
    first = first_run(diamond, store, x=1)
    second = again(first, "main/c")
    kept = ("main/a", "main/a~2", "main/b")
    began = {row.path: row.started for row in first.nodes()}
    assert {row.path: row.started for row in second.nodes() if row.path in kept} == {path: began[path] for path in kept}


def test_R6_limits_that_the_earlier_run_had_last_hold_for_its_rerun(store):
    first = run(recursive, {"n": 5}, store=store, max_depth=2)
    assert first.state == "FAILED"
    assert resume(first.id, store=store, max_depth=10).state == "SUCCEEDED"
    assert again(first, "main/fib").state == "SUCCEEDED"


@pytest.mark.full
def test_R6_a_rerun_that_was_killed_before_its_first_commit_does_not_run_all_when_resumed(tmp_path):
    first = run(diamond, {"x": 1}, store=tmp_path)
    ran.clear()
    with crash_at("journal.objects-synced"), pytest.raises(Crashed):
        rerun(first.id, "main/c", store=tmp_path, new_run_id="second")
    ran.clear()
    try:
        again = resume("second", store=tmp_path)
    except RunNotFound:
        return  # it never began
    assert again.result == first.result
    assert ran == ["c"]


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("occurrence", range(1, 4))
@pytest.mark.parametrize("point", ["journal.segment-written", "journal.committed", "run.ended"])
def test_J1_a_rerun_that_crashed_goes_on(store, point, occurrence):
    first = first_run(nested, store, x=1)
    try:
        with crash_at(point, occurrence):
            again(first, "main/inner/b", new_run_id="second")
    except Crashed:
        pass
    ran.clear()
    try:
        second = resume("second", store=store)
    except RunNotFound:  # it died before it was a run
        second = again(first, "main/inner/b", new_run_id="second")
    assert second.result == first.result
    assert "a" not in ran, "what was kept is not run"


def test_R6_a_cached_node_runs_again_all_the_same(store):
    first = first_run(cached, store, x=1)
    second = again(first, "main/counted")
    assert ran == ["counted"]
    assert second.result == first.result


@task(cache=True, cache_version="1")
def counted(x: int) -> int:
    ran.append("counted")
    return x + 1


@workflow
def cached(x: int) -> int:
    return counted(x)


# --- wrong use ---


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("main/nobody", "there is no node 'nobody' in main; there is: a, b, a~2, c"),
        ("nobody", "there is no node 'nobody' in main"),
        ("main/a/deeper", "main/a has no frame of its own"),
        ("main/c#0.77", "there is no node #0.77"),
        ("main", "names the root"),
        ("", "there is no node|names the root"),
    ],
)
def test_R6_an_unknown_node_is_an_error_that_says_what_there_is(store, path, said):
    first = first_run(diamond, store, x=1)
    with pytest.raises(RunNotFound, match=said):
        again(first, path, new_run_id="second")
    with pytest.raises(RunNotFound):
        attach("second", store=store)


def test_R6_an_unknown_run_can_not_be_run_again(store):
    with pytest.raises(RunNotFound, match="no run 'nobody'"):
        rerun("nobody", "main/a", store=store)


def test_R6_the_name_of_a_run_that_is_there_is_refused(store):
    first = first_run(diamond, store, x=1)
    with pytest.raises(RunExists, match=f"has a run '{first.id}' already: give another name"):
        again(first, "main/c", new_run_id=first.id)
    assert ran == []
    assert attach(first.id, store=store).result == first.result


def test_R6_a_path_that_is_shortened_is_exact_all_the_same(store):
    first = run(recursive_down, {"n": 80}, store=store, durability="process")
    ran.clear()
    deepest = next(row.path for row in first.nodes() if row.path.endswith(".0") and row.called.endswith("leaf"))
    second = again(first, deepest)
    assert (second.result, ran) == (first.result, [0])


@dynamic
def down(n: int) -> int:
    return down(n - 1) if n else leaf(n)


@workflow
def recursive_down(n: int) -> int:
    return down(n)


# --- today's code ---

BEFORE = """
from promissory import task, workflow
@task
def one(x: int) -> int:
    return x + 1
@task
def two(x: int) -> int:
    return x * 2
@workflow
def flow(x: int) -> int:
    return two(one(x))
"""


def test_R6_a_rerun_runs_todays_code_and_records_the_change(tmp_path, write_module):
    first = run(write_module("changed_rerun", BEFORE).flow, {"x": 1}, store=tmp_path)
    write_module("changed_rerun", BEFORE.replace("x * 2", "x * 100").replace("x + 1", "x + 50"))
    second = rerun(first.id, "main/two", store=tmp_path)
    assert (first.result, second.result) == (4, 200)
    assert History(second.store, second.id).changed_code == ["changed_rerun:two"]
    assert History(first.store, first.id).changed_code == []


def test_R6_an_interface_that_changed_is_refused_and_no_run_is_left_behind(tmp_path, write_module):
    first = run(write_module("refused_rerun", BEFORE).flow, {"x": 1}, store=tmp_path)
    write_module("refused_rerun", BEFORE.replace("def two(x: int)", "def two(x: str)"))
    with pytest.raises(CodeChanged, match="refused_rerun:two"):
        rerun(first.id, "main/two", store=tmp_path, new_run_id="second")
    with pytest.raises(RunNotFound):
        attach("second", store=tmp_path)
    assert find_end(first.store, first.id) == 1 or attach(first.id, store=tmp_path).state == "SUCCEEDED"


def test_R6_an_interface_that_changed_above_the_node_does_not_matter(tmp_path, write_module):
    first = run(write_module("kept_rerun", BEFORE).flow, {"x": 1}, store=tmp_path)
    write_module("kept_rerun", BEFORE.replace("def one(x: int)", "def one(x: int, y: int = 3)"))
    assert rerun(first.id, "main/two", store=tmp_path).result == 4


def test_R6_a_dynamic_that_is_run_again_emits_what_it_emits_today(tmp_path, write_module):
    source = """
        from promissory import task, dynamic, workflow
        @task
        def one(x: int) -> int:
            return x + 1
        @dynamic
        def grow(x: int) -> int:
            return one(x)
        @workflow
        def flow(x: int) -> int:
            return one(grow(x))
        """
    first = run(write_module("regrown", source).flow, {"x": 1}, store=tmp_path)
    write_module("regrown", source.replace("return one(x)\n        @w", "return one(one(one(x)))\n        @w"))
    second = rerun(first.id, "main/grow", store=tmp_path)
    assert (first.result, second.result) == (3, 5)
    assert [row.path for row in second.nodes() if row.path.startswith("main/grow/")] == [
        "main/grow/one",
        "main/grow/one~2",
        "main/grow/one~3",
    ]
    kept = rerun(first.id, "main/grow/one", store=tmp_path)
    assert kept.result == 3, "a committed futures file is kept"


def test_R6_functions_without_a_name_to_import_run_again_in_their_own_process(store):
    factor = [2]

    @task
    def times(x: int) -> int:
        return x * factor[0]

    @workflow
    def local(x: int) -> int:
        return times(times(x))

    first = run(local, {"x": 3}, store=store)
    factor[0] = 10
    assert again(first, "main/times~2").result == 60


@pytest.mark.parametrize("engine", ["processes"])
def test_R6_a_rerun_in_processes_on_disk(project, engine):
    project.write("flows.py", BEFORE)
    assert (
        project.code("import promissory, flows; print(promissory.run(flows.flow, {'x': 1}, run_id='first').result)")
        == "4\n"
    )
    again = (
        "import promissory\n"
        "if __name__ == '__main__': print(promissory.rerun('first', 'main/two', engine='processes', "
        "new_run_id='second').result)"
    )
    project.write("again.py", again)
    assert project.python("again.py") == "4\n"
    history = History(project.store, "second")
    assert {row.path: row.worker.partition("-")[0] for row in history.nodes()}["main/one"] == "inline", (
        "it was taken from the first run"
    )


def test_R6_a_failure_of_a_rerun_names_its_own_run(store):
    first = first_run(diamond, store, x=1)
    broken.add("b")
    second = again(first, "main/b", new_run_id="second")
    with pytest.raises(RunFailed) as caught:
        second.result
    assert caught.value.run_id == "second"
