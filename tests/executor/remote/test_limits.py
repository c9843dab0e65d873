"""Q2: of a queue, and of each owner in it, no more runs are carried at one time than its limits say."""

import json
from dataclasses import replace
from threading import Barrier, Thread

import pytest

from promissory import attach, submit, task
from promissory.executor.records.executors import enrol, leave
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.slots import Limits, give_back, read_limits, take_slots, write_limits
from promissory.executor.store.keys import limits_key


@task
def inc(x: int) -> int:
    return x + 1


@pytest.fixture
def manifest(store):
    submit(inc, {"x": 1}, store=store, run_id="a")
    return read_manifest(store, "a")


@pytest.fixture
def seat(store):
    taken = []

    def take():
        taken.append(enrol(store))
        return taken[-1]

    yield take
    for one in taken:
        leave(one)


def test_Q2_a_limit_of_n_is_n_slots(store, manifest, seat):
    mine, limits = seat(), Limits(2)
    first, second = take_slots(store, manifest, limits, mine), take_slots(store, manifest, limits, mine)
    assert first and second
    assert take_slots(store, manifest, limits, mine) is None
    give_back(store, first)
    assert take_slots(store, manifest, limits, mine) is not None
    assert take_slots(store, manifest, limits, mine) is None


def test_Q2_without_limits_no_slot_is_needed(store, manifest, seat):
    assert take_slots(store, manifest, Limits(), seat()) == []


def test_Q2_each_owner_has_a_limit_of_its_own(store, manifest, seat):
    mine, limits, other = seat(), Limits(3, 1), replace(manifest, user="somebody else")
    assert take_slots(store, manifest, limits, mine) is not None
    assert take_slots(store, manifest, limits, mine) is None
    assert take_slots(store, other, limits, mine) is not None
    third = replace(manifest, user="a third")
    assert take_slots(store, third, limits, mine) is not None, "what was refused has taken no slot of the queue"
    assert take_slots(store, replace(manifest, user="a fourth"), limits, mine) is None


def test_Q2_the_slots_of_a_worker_that_is_gone_are_free(store, manifest, seat):
    gone = enrol(store)
    assert take_slots(store, manifest, Limits(1), gone) is not None
    assert take_slots(store, manifest, Limits(1), seat()) is None
    leave(gone)
    assert take_slots(store, manifest, Limits(1), seat()) is not None


def test_Q2_of_many_that_want_the_last_slot_one_gets_it(store, manifest, seat):
    seats, barrier, got = [seat() for _ in range(8)], Barrier(8), []

    def want(one):
        barrier.wait()
        got.append(take_slots(store, manifest, Limits(1), one))

    for _ in range(20):
        got.clear()
        threads = [Thread(target=want, args=(one,)) for one in seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [keys for keys in got if keys is not None]
        assert len(taken) == 1
        give_back(store, taken[0])


@pytest.mark.parametrize("said", [b"", b"[]", b"{", b'{"runs": "x"}', b'{"runs": -1, "of_an_owner": 1.5}', b"\xff"])
def test_J4_limits_that_can_not_be_read_limit_nothing(said, store):
    store.put(limits_key("default"), said)
    assert read_limits(store, "default") == Limits()


def test_Q2_limits_are_kept(store):
    write_limits(store, "default", Limits(3, 2))
    assert read_limits(store, "default") == Limits(3, 2)


@pytest.mark.full
def test_Q2_a_run_waits_for_a_place_in_its_queue(author, worker, store, shell, tmp_path, eventually, begun):
    done = shell("-m", "promissory", "queue", "--store", store.url, "--limit", "1")
    assert (done.returncode, "1 run may be carried" in done.stderr) == (0, True), done.stderr
    for name in "ab":
        (tmp_path / name).mkdir()
        author("--run-id", name, workflow="long", folder=str(tmp_path / name))
    workers = [worker("--quiet") for _ in range(2)]
    eventually(lambda: "2" in begun(tmp_path / "a"), "the second body")
    rows = json.loads(shell("-m", "promissory", "queue", "--json", "--store", store.url).stdout)
    assert {row["run"]: row["state"] for row in rows} == {"a": "RUNNING", "b": "QUEUED"}
    assert [row["why"] for row in rows if row["run"] == "b"] == ["of this queue no more than 1 run at one time"]
    assert begun(tmp_path / "b") == []
    for name in "ab":
        (tmp_path / name / "go").touch()
    assert [attach(name, store=store).result for name in "ab"] == [3, 3]
    for one in workers:
        one.terminate()
        assert one.wait() == 0


@pytest.mark.full
def test_Q4_a_run_is_taken_over_with_the_place_that_its_worker_had(author, worker, store, tmp_path, eventually, begun):
    write_limits(store, "default", Limits(1))
    author("--run-id", "a", workflow="long", folder=str(tmp_path))
    first = worker()
    eventually(lambda: "2" in begun(tmp_path), "the second body")
    first.kill()
    first.wait()
    second = worker("--quiet")
    eventually(lambda: begun(tmp_path).count("2") == 2, "the second body once more")
    (tmp_path / "go").touch()
    assert attach("a", store=store).result == 3
    second.terminate()
    assert second.wait() == 0
