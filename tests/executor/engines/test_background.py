"""`start`: the run goes on in a thread of this process; it can be waited for, watched and cancelled."""

import threading

import pytest

from promissory import resume, start, task, workflow
from promissory.errors import RunCancelled, RunFailed
from promissory.executor.history.history import History


class Held:
    """A task that waits until the test lets it go, in a chain with others."""

    def __init__(self):
        self.reached, self.go = threading.Event(), threading.Event()
        self.ran = []

        @task
        def step(x: int) -> int:
            self.ran.append(x)
            return x + 1

        @task
        def wait(x: int) -> int:
            self.ran.append("wait")
            self.reached.set()
            assert self.go.wait(60)
            return x + 1

        @workflow
        def flow(x: int) -> int:
            return step(step(wait(step(x))))

        self.flow = flow


@pytest.fixture
def held():
    """A workflow whose second task waits; let go when the test is over."""
    made = Held()
    yield made
    made.go.set()


def test_X8_a_run_in_the_background_is_running_and_ends(store, held):
    going = start(held.flow, {"x": 0}, store=store)
    assert held.reached.wait(60)
    assert going.state == "RUNNING"
    assert History(store, going.id).state == "RUNNING"
    with pytest.raises(TimeoutError, match=f"run {going.id} has not ended after 0.001 s"):
        going.wait(0.001)
    held.go.set()
    assert going.wait(60) is going
    assert (going.state, going.result, going.reason) == ("SUCCEEDED", 4, "")
    assert History(store, going.id).state == "SUCCEEDED"


def test_X8_the_nodes_of_a_live_run_can_be_looked_at(store, held, eventually):
    going = start(held.flow, {"x": 0}, store=store)
    assert held.reached.wait(60)
    eventually(lambda: next(row.state for row in going.nodes()) == "SUCCEEDED", "the commit of the first step")
    assert [row.state for row in going.nodes()][1] in ("READY", "RUNNING")
    held.go.set()
    going.wait(60)
    assert {row.state for row in going.nodes()} == {"SUCCEEDED"}


def test_X8_a_cancelled_run_starts_nothing_new_and_says_why(store, held):
    going = start(held.flow, {"x": 0}, store=store)
    assert held.reached.wait(60)
    going.cancel("enough")
    held.go.set()
    going.wait(60)
    assert (going.state, going.reason, held.ran) == ("CANCELLED", "enough", [0, "wait"])
    with pytest.raises(RunCancelled, match=f"run {going.id} was cancelled: enough"):
        _ = going.result
    assert isinstance(going.error, RunCancelled)
    history = History(store, going.id)
    assert history.state == "CANCELLED"
    assert [row.state for row in history.nodes()] == ["SUCCEEDED", "SUCCEEDED", "CANCELLED", "CANCELLED"]


def test_X8_a_cancelled_run_can_be_resumed(store, held):
    going = start(held.flow, {"x": 0}, store=store)
    assert held.reached.wait(60)
    going.cancel()
    held.go.set()
    going.wait(60)
    assert resume(going.id, store=store).result == 4
    assert held.ran == [0, "wait", 2, 3]


def test_X8_cancelling_a_run_that_has_ended_changes_nothing(store, held):
    held.go.set()
    going = start(held.flow, {"x": 0}, store=store).wait(60)
    going.cancel()
    assert (going.state, going.result) == ("SUCCEEDED", 4)


def test_X6_a_failure_in_the_background_is_told_by_its_result(store):
    @task
    def boom(x: int) -> int:
        raise ValueError(x)

    going = start(boom, {"x": 3}, store=store).wait(60)
    assert going.state == "FAILED"
    with pytest.raises(RunFailed) as caught:
        _ = going.result
    assert isinstance(caught.value.__cause__, ValueError)


def test_X2_two_runs_in_one_process_do_not_mix(store):
    first, second = Held(), Held()
    going = [start(one.flow, {"x": number}, store=store) for number, one in enumerate((first, second))]
    assert first.reached.wait(60)
    assert second.reached.wait(60)
    second.go.set()
    first.go.set()
    assert [one.wait(60).result for one in going] == [4, 5]
    assert (first.ran, second.ran) == ([0, "wait", 2, 3], [1, "wait", 3, 4])
