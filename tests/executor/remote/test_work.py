"""Q2, Q4, J3: workers claim submitted runs and carry them out, whoever of them dies."""

import signal
import subprocess
import sys
from threading import Barrier, Thread

import pytest

from promissory import attach, resume, submit, task
from promissory.errors import RunFailed, RunIsLive, RunIsNotLive, StoreError
from promissory.executor.engines.registry import engine_named
from promissory.executor.execution import submission
from promissory.executor.execution.cancel import cancel_run
from promissory.executor.execution.options import Options
from promissory.executor.execution.take_over import take_over_run
from promissory.executor.history.at_a_glance import overview, summaries
from promissory.executor.history.history import History
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.inbox import send
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.queue import carried, enqueue, note_carried, queues, waiting
from promissory.executor.remote.work import Work


@task
def inc(x: int) -> int:
    return x + 1


@task
def fails(x: int) -> int:
    raise ValueError(f"{x} is not wanted")


# --- claims ---


@pytest.mark.full
def test_Q2_runs_are_carried_by_priority_and_then_in_their_order(store, work):
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -3), ("e", 5)):
        submit(inc, {"x": 1}, store=store, run_id=name, priority=priority)
    said = [line.partition(":")[0] for line in work(store, max_runs=1) if "begun" in line]
    assert said == ["b", "e", "a", "c", "d"]


@pytest.mark.full
def test_Q2_a_worker_takes_from_its_queues_alone(store, work):
    submit(inc, {"x": 1}, store=store, run_id="a", queue="night")
    submit(inc, {"x": 1}, store=store, run_id="b", queue="day")
    assert work(store) == []
    work(store, "day")
    assert (attach("a", store=store).state, attach("b", store=store).state) == ("QUEUED", "SUCCEEDED")
    assert sorted(queues(store)) == ["day", "night"]
    work(store, "day", "night")
    assert attach("a", store=store).state == "SUCCEEDED"


@pytest.mark.full
def test_Q2_several_runs_are_carried_at_one_time(author, worker, store, tmp_path, eventually, begun):
    for name in "ab":
        (tmp_path / name).mkdir()
        author("--run-id", name, workflow="long", folder=str(tmp_path / name))
    one = worker("--once", "--quiet")
    for name in "ab":
        eventually(lambda name=name: "2" in begun(tmp_path / name), "the second body")
    for name in "ab":
        (tmp_path / name / "go").touch()
    assert one.wait() == 0
    assert [attach(name, store=store).result for name in "ab"] == [3, 3]


def test_Q2_of_several_that_claim_one_run_one_carries_it(author, worker, store, tmp_path, begun):
    (tmp_path / "go").touch()
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    workers = [worker("--once") for _ in range(3)]
    said = [one.communicate()[1] for one in workers]
    assert sum("a: begun" in one for one in said) == 1
    assert begun(tmp_path) == ["1", "2", "3"]
    assert attach("a", store=store).result == 3


def test_Q2_a_queued_run_is_cancelled(store, work):
    there = submit(inc, {"x": 1}, store=store, run_id="a")
    assert cancel_run(store, "a", "not today") == "CANCELLED"
    assert work(store) == []
    assert (there.state, there.reason, list(waiting(store, "default"))) == ("CANCELLED", "not today", [])


def test_Q2_a_queued_run_is_resumed_at_a_desk_and_is_the_workers_no_more(store, work):
    submit(inc, {"x": 1}, store=store, run_id="a")
    assert resume("a", store=store, engine="inline").result == 2
    assert (work(store), list(waiting(store, "default")), carried(store, "default")) == ([], [], [])


def test_Q2_nobody_pauses_a_run_that_waits(store):
    there = submit(inc, {"x": 1}, store=store)
    with pytest.raises(RunIsNotLive):
        there.pause()
    assert there.state == "QUEUED"


def test_Q2_keys_that_are_left_over_do_no_harm(store, work):
    submit(inc, {"x": 1}, store=store, run_id="a")
    work(store)
    enqueue(store, read_manifest(store, "a"))
    note_carried(store, read_manifest(store, "a"))
    store.put_new("queues/default/waiting/1000000-00000000000000000001-gone", b"")
    store.put_new("queues/default/waiting/notes.txt", b"")
    said = work(store)
    assert [line for line in said if "begun" in line or "taken" in line] == []
    assert attach("a", store=store).result == 2


# --- workers that end ---


def test_Q4_the_run_of_a_worker_that_was_killed_is_taken_over(author, worker, store, tmp_path, eventually, begun):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker()
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    eventually(lambda: overview(store, "a").counts.get("SUCCEEDED") == 1, "the first body's commit")
    first.kill()
    first.wait()
    assert carried(store, "default") == ["a"]
    there = attach("a", store=store)
    assert (there.state, there.error, History(store, "a").state) == ("QUEUED", None, "QUEUED")
    second = worker("--once")
    eventually(lambda: begun(tmp_path).count("2") == 2, "the second body once more")
    (tmp_path / "go").touch()
    assert there.result == 3, "who waits for a result is not told that a worker died"
    assert "a: taken over" in second.communicate()[1]
    assert begun(tmp_path) == ["1", "2", "2", "3"]
    assert carried(store, "default") == []


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_Q4_a_worker_that_is_told_to_end_gives_its_runs_back(
    author, worker, store, tmp_path, eventually, number, begun
):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker()
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    first.send_signal(number)
    eventually(lambda: list(waiting(store, "default")), "the run to wait again")
    eventually(lambda: read_beat(store, "a").ending, "its executor to stop")
    (tmp_path / "go").touch()
    assert "a: QUEUED" in first.communicate()[1]
    assert attach("a", store=store).state == "QUEUED"
    assert first.returncode == 0
    second = worker("--once")
    assert "a: taken over" in second.communicate()[1]
    assert attach("a", store=store).result == 3
    assert begun(tmp_path) == ["1", "2", "3"]
    assert list(waiting(store, "default")) == carried(store, "default") == []


@pytest.mark.full
def test_Q4_bodies_that_take_longer_end_with_the_worker(author, worker, store, tmp_path, eventually, begun):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker("--grace", "0.2")
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    first.terminate()
    assert first.wait() == 1
    second = worker("--once")
    eventually(lambda: begun(tmp_path).count("2") == 2, "the second body once more")
    (tmp_path / "go").touch()
    assert second.wait() == 0
    assert attach("a", store=store).result == 3


@pytest.mark.full
def test_Q4_a_run_that_was_stopped_is_left_to_who_stopped_it(author, worker, store, tmp_path, eventually, work, begun):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    one = worker()
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    send(store, "a", "stop", "let me look")
    eventually(lambda: read_beat(store, "a").ending, "the executor to stop")
    (tmp_path / "go").touch()
    eventually(lambda: not carried(store, "default"), "the worker to let go of it")
    one.terminate()
    assert one.wait() == 0
    assert work(store) == []
    assert attach("a", store=store).state == "INTERRUPTED"


def test_Q4_a_run_that_failed_is_left_as_it_is(store, work):
    there = submit(fails, {"x": 1}, store=store, run_id="a")
    assert work(store)[-1].startswith("a: FAILED")
    assert work(store) == []
    with pytest.raises(RunFailed, match="1 is not wanted"):
        _ = there.result


@pytest.mark.full
def test_Q4_a_run_that_somebody_began_at_a_desk_is_never_touched(
    project, worker, store, tmp_path, eventually, work, begun, flow
):
    project.write("author/flow.py", flow(1))
    arguments = ("run", "--quiet", "--store", store.url, "--run-id", "a", "flow.py", "long", "--folder", tmp_path)
    desk = subprocess.Popen([sys.executable, "-m", "promissory", *map(str, arguments)], cwd=project.folder / "author")
    project.processes.append(desk)
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    desk.kill()
    desk.wait()
    assert work(store) == []
    assert attach("a", store=store).state == "INTERRUPTED"


def test_Q4_a_damaged_run_stops_no_worker(store, work):
    for name, target in zip("abc", (inc, fails, inc), strict=True):
        submit(target, {"x": 1}, store=store, run_id=name)
    manifest = read_manifest(store, "b")
    store.put(f"plans/{manifest.plan.hex()[:2]}/{manifest.plan.hex()}.plan", b"no plan")
    said = work(store)
    assert [line for line in said if line.startswith("b: ")] == [line for line in said if "is cut short" in line]
    assert {one.run_id: one.state for one in summaries(store)} == {"a": "SUCCEEDED", "b": "QUEUED", "c": "SUCCEEDED"}


_bodies = []


@task
def counted(n: int) -> int:
    _bodies.append(n)
    return n


@pytest.mark.full
def test_Q2_three_that_claim_at_one_moment_begin_one_body(store, whole):
    _bodies.clear()
    for number in range(1_000 if whole else 20):
        submit(counted, {"n": number}, store=store, run_id=f"race-{number}")
        manifest, barrier, won = read_manifest(store, f"race-{number}"), Barrier(3), []
        each = [Options(engine=engine_named("inline"), echo=False, says=False) for _ in range(3)]

        def claim(mine, manifest=manifest, barrier=barrier, won=won):
            barrier.wait()
            try:
                won.append(take_over_run(store, manifest, mine, (None, None, None), by_worker=True, first=True))
            except RunIsLive:
                return

        claimers = [Thread(target=claim, args=(mine,)) for mine in each]
        for one in claimers:
            one.start()
        for one in claimers:
            one.join()
        assert len(won) == 1
        assert won[0].carry().result == number
    assert _bodies == list(range(len(_bodies)))


def test_J6_a_store_that_does_not_answer_is_complained_of_once_and_asked_again(store, monkeypatch):
    submit(inc, {"x": 1}, store=store, run_id="a")
    monkeypatch.setattr("promissory.executor.remote.work._PAUSE", 0.01)
    lists, refused = store.list, []

    def refuses(prefix):
        if len(refused) < 5:
            refused.append(prefix)
            raise StoreError("the cable is out")
        return lists(prefix)

    monkeypatch.setattr(store, "list", refuses)
    said = []
    options = lambda: Options(engine=engine_named("processes"), echo=False, says=False)  # noqa: E731
    assert Work(store, ["default"], options, 1, said.append).carry_on(True, 10.0)
    assert said == [
        "the store does not answer as it should, and is asked again: the cable is out",
        "a: begun (inc, queue default)",
        "a: SUCCEEDED",
    ]


@pytest.mark.full
def test_Q4_a_second_signal_ends_a_worker_at_once(author, worker, store, tmp_path, eventually, begun):
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    one = worker("--grace", "100")
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    one.terminate()
    eventually(lambda: list(waiting(store, "default")), "the run to wait again")
    one.terminate()
    assert one.wait() == -signal.SIGTERM
    assert [two.run_id for two in waiting(store, "default")] == ["a"]


@pytest.mark.full
def test_Q3_a_worker_keeps_no_code_of_runs_that_have_ended(author, worker, store, project, flow, tmp_path, eventually):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    one = worker("--quiet", TMPDIR=str(scratch))
    for number in range(3):
        project.write("author/flow.py", flow(number))
        author("--run-id", f"run-{number}", x="1")
        assert attach(f"run-{number}", store=store).result == 1 + number
    eventually(lambda: not list(scratch.glob("promissory-code-*")), "the folders to be removed")
    one.terminate()
    assert one.wait() == 0


def test_J6_a_store_that_fails_behind_a_claim_holds_no_run_up(store, monkeypatch, eventually):
    submit(inc, {"x": 1}, store=store, run_id="a")
    put, said = store.put_new, []

    def refuses(key, *given, **more):
        if "/carried/" in key:
            raise StoreError("the cable is out")
        return put(key, *given, **more)

    monkeypatch.setattr(store, "put_new", refuses)
    options = lambda: Options(engine=engine_named("processes"), echo=False, says=False)  # noqa: E731
    assert Work(store, ["default"], options, 1, said.append).carry_on(True, 10.0)
    assert attach("a", store=store).result == 2
    assert "a: SUCCEEDED" in said


def test_Q2_what_can_not_be_carried_is_put_off_and_asks_the_store_for_nothing(store, monkeypatch):
    monkeypatch.setattr(submission, "packages_of", lambda _: ({"no_such_package": "2.0"}, {}))
    for name in "abc":
        submit(inc, {"x": 1}, store=store, run_id=name)
    said, got = [], []
    one = Work(store, ["default"], lambda: Options(engine=engine_named("processes")), 1, said.append)
    assert not one._take_next()
    assert len(said) == 3
    monkeypatch.setattr(store, "get", got.append)
    assert not one._take_next()
    assert (len(said), got) == (3, [])
