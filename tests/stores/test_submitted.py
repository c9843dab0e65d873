"""Q1, Q2, Q5, J5, J6: runs are submitted to each kind of store, and carried out from there."""

import random
import threading

import pytest

from promissory import attach, submit, task, workflow
from promissory.executor.engines.registry import engine_named
from promissory.executor.execution.options import Options
from promissory.executor.history.at_a_glance import summaries
from promissory.executor.records.queue import carried, waiting
from promissory.executor.remote.work import Work

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


@task
def large(x: int) -> bytes:
    return bytes([x]) * 300_000


@task
def size(data: bytes) -> int:
    return len(data)


@workflow
def two(data: bytes) -> list[int]:
    return [size(large(1)), size(data)]


def options():
    return Options(engine=engine_named("processes"), max_parallelism=2, echo=False, says=False)


def worker(place, said, max_runs=2):
    return Work(place.store(), ["default"], options, max_runs, said.append)


@pytest.mark.full(keep=1)
def test_Q1_a_run_is_submitted_to_an_object_store_and_carried_out_from_there(cloud):
    there = submit(two, {"data": bytes(200_000)}, store=cloud.url, run_id="a")
    assert there.state == "QUEUED"
    said = []
    assert worker(cloud, said).carry_on(once=True, grace=10)
    assert said == ["a: begun (two, queue default)", "a: SUCCEEDED"]
    assert there.result == [300_000, 200_000]
    assert list(waiting(cloud.store(), "default")) == carried(cloud.store(), "default") == []


def test_Q2_an_idle_worker_asks_an_object_store_once_a_look(on_s3):
    submit(two, {"data": b""}, store=on_s3.url, run_id="a")
    one = worker(on_s3, [])
    assert one.carry_on(once=True, grace=10)
    one._care_for_others()
    on_s3.proxy.forget()
    assert not one._take_next() and not one._care_for_others()
    assert len(on_s3.proxy.requests) == 1


@pytest.mark.full
def test_X8_a_run_that_has_ended_well_costs_a_list_of_runs_one_request(on_s3):
    for name in "abc":
        submit(two, {"data": b""}, store=on_s3.url, run_id=name)
    assert worker(on_s3, []).carry_on(once=True, grace=10)
    store = on_s3.store()
    on_s3.proxy.forget()
    assert [one.state for one in summaries(store)] == ["SUCCEEDED"] * 3
    assert len(on_s3.proxy.requests) == 3 + 1


@pytest.mark.full
@pytest.mark.parametrize("seed", range(4))
def test_J6_a_server_that_fails_one_call_of_five_delays_a_submitted_run(on_s3, faults, seed):
    chance, lock = random.Random(seed), threading.Lock()

    def choose(request, body):
        with lock:
            return faults.Answer(503, "SlowDown", after=chance.random() < 0.5) if chance.random() < 0.2 else None

    on_s3.proxy.fail(choose)
    there = submit(two, {"data": bytes(100_000)}, store=on_s3.url, run_id="a")
    said = []
    assert worker(on_s3, said).carry_on(once=True, grace=10)
    on_s3.proxy.forget()
    assert attach("a", store=on_s3.url).state == "SUCCEEDED", said
    assert there.result == [300_000, 100_000]
