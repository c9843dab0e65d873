"""J3: what a run uses is closed, all of it, whatever one part of it raises; a thread that can't go on ends its run;
caches are bounded; a run in hand tells how the run stands now.
"""

import threading
import time

import pytest

from promissory import Store, attach, dynamic, resume, run, start, task, workflow
from promissory.executor.code.recent import Recent
from promissory.executor.engines.inline import Inline
from promissory.executor.engines.threads import Threads
from promissory.executor.execution import loop as execution_module
from promissory.executor.execution.commits import Commits
from promissory.executor.history.history import History
from promissory.executor.records.heartbeat import Heartbeat, is_live
from promissory.executor.records.inbox import Inbox

broken = []


@task
def one(x: int) -> int:
    if broken:
        raise broken[0]
    return x


@workflow
def flow(x: int) -> int:
    return one(x)


@pytest.fixture(autouse=True)
def repaired():
    broken.clear()
    yield
    broken.clear()


class ClosesBadly(Inline):
    def close(self):
        super().close()
        raise OSError("the cluster is gone")


def threads_of(run_id):
    return [thread.name for thread in threading.enumerate() if run_id in thread.name]


def test_J3_an_engine_that_can_not_be_closed_takes_nothing_from_an_end_that_is_committed(store, caplog):
    ended = run(flow, {"x": 1}, store=store, run_id="closed", engine=ClosesBadly(), echo=False)
    assert (ended.state, ended.result) == ("SUCCEEDED", 1)
    assert "the cluster is gone" in caplog.text
    assert not is_live(store, "closed")
    assert threads_of("closed") == []


def test_J3_a_failed_run_whose_engine_can_not_be_closed_is_resumed(store, caplog):
    broken.append(ValueError("no"))
    assert run(flow, {"x": 1}, store=store, run_id="closed", engine=ClosesBadly(), echo=False).state == "FAILED"
    broken.clear()
    assert threads_of("closed") == []
    assert resume("closed", store=store, echo=False).result == 1


def test_J3_an_interrupt_counts_and_what_closing_raised_is_added_to_it(store):
    broken.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt) as caught:
        run(flow, {"x": 1}, store=store, run_id="closed", engine=ClosesBadly(), echo=False)
    assert any("the cluster is gone" in note for note in caught.value.__notes__)
    assert not is_live(store, "closed")
    broken.clear()
    assert resume("closed", store=store, echo=False).result == 1


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("part", ["inbox", "journal", "reuse", "heartbeat", "commits"])
def test_J3_whichever_part_can_not_be_closed_the_others_are(store, monkeypatch, caplog, part):
    owner = {
        "inbox": Inbox,
        "journal": execution_module.Journal,
        "reuse": execution_module.Reuse,
        "heartbeat": Heartbeat,
        "commits": Commits,
    }[part]
    before = owner.close

    def close(self):
        before(self)
        raise OSError(f"the {part} is gone")

    monkeypatch.setattr(owner, "close", close)
    assert run(flow, {"x": 1}, store=store, run_id="closed", echo=False).result == 1
    assert f"the {part} is gone" in caplog.text
    assert threads_of("closed") == []
    assert not is_live(store, "closed")


def test_J3_a_beat_that_can_not_begin_leaves_no_run_that_seems_to_live(store, monkeypatch):
    def fail(self, over):
        raise ZeroDivisionError("no beat")

    monkeypatch.setattr(Heartbeat, "_beat", fail)
    with pytest.raises(ZeroDivisionError):
        run(flow, {"x": 1}, store=store, run_id="beatless", echo=False)
    monkeypatch.undo()
    assert not is_live(store, "beatless")
    assert resume("beatless", store=store, echo=False).result == 1


@pytest.mark.parametrize("part", ["heartbeat", "inbox"])
def test_J3_a_thread_that_dies_ends_its_run_with_what_it_died_of(store, monkeypatch, part):
    """A run without a beat would be taken for dead by others, and one without an inbox could not be stopped."""
    reached, gate = threading.Event(), threading.Event()

    @task
    def waits(x: int) -> int:
        reached.set()
        gate.wait(60)
        return x

    going = start(waits, {"x": 1}, store=store, run_id="dying", engine=Threads(), echo=False)
    assert reached.wait(60)

    def die(*_):
        raise ZeroDivisionError(f"a defect of the {part}")

    monkeypatch.setattr(Heartbeat if part == "heartbeat" else Inbox, "_write" if part == "heartbeat" else "_look", die)
    if part == "heartbeat":
        going._execution.presence._heartbeat._wake.set()
    with pytest.raises(ZeroDivisionError, match=part):
        going.wait(60)
    monkeypatch.undo()
    gate.set()


def test_J3_two_threads_that_write_behind_share_one_pool():
    made = []

    class Counted(Commits):
        pass

    commits = Counted(Store("memory://pools"), "r")
    pools = set()
    threads = [
        threading.Thread(target=lambda: (commits._write(lambda: None), pools.add(id(commits._behind)), made.append(1)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4 and len(pools) == 1


def test_D4_what_a_worker_keeps_of_functions_is_bounded(monkeypatch):
    """Functions that no import reaches are held, up to a number; more are stored, and found again when they are
    called.
    """
    from promissory.executor.worker import emission
    from promissory.executor.worker import worker as invoke

    monkeypatch.setattr(emission, "_KEPT_FUNCTIONS", 8)
    workers = []
    before = invoke.Worker.__init__

    def init(self, *arguments, **options):
        before(self, *arguments, **options)
        workers.append(self)

    monkeypatch.setattr(invoke.Worker, "__init__", init)

    @dynamic
    def many(n: int) -> int:
        def made(k):
            @task
            def local(x: int) -> int:
                return x + k

            return local

        at = 0
        for k in range(n):
            at = made(k)(at)
        return at

    assert run(many, {"n": 100}, store="memory://bounded", echo=False, durability="process").result == sum(range(100))
    assert max(len(worker.emitted._kept) for worker in workers) <= 16


def test_D4_recent_keeps_what_is_used():
    recent = Recent(4)
    for number in range(100):
        recent.put(number, number)
        assert recent.get(0) is not None or number == 0 or recent.put(0, 0) is not None
        assert len(recent) <= 8
    assert recent.get(0) == 0 and recent.get(50) is None


def test_X8_a_run_in_hand_tells_of_a_resume_by_somebody_else(store):
    broken.append(OSError("down"))
    first = start(flow, {"x": 1}, store=store, run_id="r", echo=False).wait(60)
    other = attach("r", store=store)
    assert (first.state, other.state) == ("FAILED", "FAILED")
    broken.clear()
    resume("r", store=store, echo=False)
    assert (first.state, first.result, first.error) == ("SUCCEEDED", 1, None)
    assert (other.state, other.result, other.error) == ("SUCCEEDED", 1, None)


def test_X8_looking_at_a_failed_run_does_not_replay_its_journal(store, monkeypatch):
    broken.append(OSError("down"))
    run(flow, {"x": 1}, store=store, run_id="r", echo=False)
    read = []
    before = History.__init__

    def counted(self, *arguments, **options):
        read.append(1)
        before(self, *arguments, **options)

    monkeypatch.setattr(History, "__init__", counted)
    there = attach("r", store=store, trust=True)
    assert [there.state for _ in range(5)] == ["FAILED"] * 5
    assert "OSError" in there.reason
    assert read == []
    assert [type(there.error.__cause__) for _ in range(5)] == [OSError] * 5
    assert len(read) == 1


def test_X8_wait_of_a_run_that_somebody_else_resumed_waits_for_it(store):
    gate = threading.Event()
    broken.append(OSError("down"))

    @task
    def gated(x: int) -> int:
        if broken:
            raise broken[0]
        gate.wait(60)
        return x

    first = run(gated, {"x": 1}, store=store, run_id="r", echo=False)
    broken.clear()
    going = threading.Thread(target=lambda: resume("r", store=store, target=gated, echo=False, engine=Threads()))
    going.start()
    while first.state != "RUNNING":
        time.sleep(0.01)
    gate.set()
    assert first.wait(60).result == 1
    going.join()
