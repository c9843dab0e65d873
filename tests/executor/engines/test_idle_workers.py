"""Workers without work: how many are kept for the next run, how long, and how they are ended (X10)."""

import multiprocessing
import os
import threading

import pytest

import promissory
from promissory import run, start, task
from promissory.executor.engines.processes import spare


@pytest.fixture(autouse=True)
def no_idle_workers():
    promissory.end_idle_workers()
    yield
    promissory.end_idle_workers()


@task
def worker_of(n: int) -> int:
    return os.getpid()


@task
def at_the_gate(path: str) -> int:
    with open(path) as file:
        file.read()
    return os.getpid()


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def watchers():
    return [thread for thread in threading.enumerate() if thread.name == "promissory idle workers"]


def one_run(store):
    return run(worker_of, {"n": 1}, store=store, engine="processes", max_parallelism=1).result


def test_X10_a_worker_without_work_ends_after_a_while(store, monkeypatch, eventually):
    """With it end the thread that looked, and its entry in the table of processes."""
    monkeypatch.setattr(spare, "IDLE", 0.2)
    pid = one_run(store)
    eventually(lambda: not is_there(pid), "the end of the worker")
    eventually(lambda: not watchers(), "the end of the thread")
    assert one_run(store) != pid


def test_X10_a_worker_waits_for_the_next_run_meanwhile(store):
    assert one_run(store) == one_run(store)


def test_X10_idle_workers_are_ended_when_the_program_says_so(store):
    pid = one_run(store)
    promissory.end_idle_workers()
    assert not is_there(pid)
    assert one_run(store) != pid


def test_X10_ending_idle_workers_leaves_those_at_work_alone(store, gate):
    door = gate()
    going = start(at_the_gate, {"path": door.path}, store=store, engine="processes", max_parallelism=1)
    door.reached()
    promissory.end_idle_workers()
    door.open()
    assert going.wait(60).state == "SUCCEEDED"
    assert {row.attempts for row in going.nodes()} == {1}


@pytest.mark.full
def test_X10_runs_at_one_time_leave_no_more_workers_than_one_of_them_may_have(store, gate):
    doors = [gate(f"gate-{number}") for number in range(3)]
    runs = [
        start(at_the_gate, {"path": door.path}, store=store, engine="processes", max_parallelism=1) for door in doors
    ]
    for door in doors:
        door.reached()
    for door in doors:
        door.open()
    pids = [going.wait(60).result for going in runs]
    assert len(set(pids)) == 3
    assert sum(map(is_there, pids)) == 1


@pytest.mark.full
def test_X10_a_forked_child_leaves_idle_workers_to_its_parent(store):
    """Also one that is forked while the parent looks through them."""
    pid = one_run(store)

    def child():
        promissory.end_idle_workers()

    with spare._spare.lock:
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(60)
    assert process.exitcode == 0
    assert one_run(store) == pid
