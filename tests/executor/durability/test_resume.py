"""R6, J1: a resume goes on from what is committed; what has ended well is not touched."""

import pytest

from promissory import dynamic, resume, run, task, workflow
from promissory.errors import RunIsLive, RunNotFound, StoreError
from promissory.executor.engines.inline import Inline
from promissory.executor.history.history import History
from promissory.executor.journal.reader import Tail, find_end, read_segments
from promissory.executor.journal.writer import Journal
from promissory.executor.protocol.events import NODE_DONE, RESUMED
from promissory.executor.store.keys import object_key
from promissory.planner.plan.model import Large

ran = []
broken = set()


@task
def step(x: int) -> int:
    if x in broken:
        raise ValueError(f"broken at {x}")
    ran.append(x)
    return x + 1


@task
def large(x: int) -> list[int]:
    ran.append("large")
    return [x] * 5000


@task
def size(values: list[int]) -> int:
    ran.append("size")
    if "size" in broken:
        raise ValueError("broken")
    return len(values)


@workflow
def chain(x: int) -> int:
    for _ in range(5):
        x = step(x)
    return x


@dynamic
def nested(x: int) -> int:
    return step(nested(x - 1)) if x else step(0)


@workflow
def sized(x: int) -> int:
    return size(large(x))


@pytest.fixture(autouse=True)
def forget():
    """Nothing ran yet, nothing is broken."""
    ran.clear()
    broken.clear()


def failed(target, store, inputs, *where):
    broken.update(where)
    ended = run(target, inputs, store=store)
    assert ended.state == "FAILED"
    broken.clear()
    return ended


def test_R6_a_failed_run_goes_on_after_a_repair_and_runs_nothing_again(store):
    ended = failed(chain, store, {"x": 0}, 3)
    assert ran == [0, 1, 2]
    assert resume(ended.id, store=store).result == 5
    assert ran == [0, 1, 2, 3, 4]


def test_R6_a_run_that_fails_again_can_be_resumed_again(store):
    ended = failed(chain, store, {"x": 0}, 1)
    broken.add(3)
    again = resume(ended.id, store=store)
    assert (again.state, again.error.path) == ("FAILED", "main/step~4")
    broken.clear()
    assert resume(ended.id, store=store).result == 5
    assert ran == [0, 1, 2, 3, 4]
    assert History(store, ended.id).resumes == 3


def test_R6_a_resume_of_a_run_that_ended_well_runs_and_writes_nothing(store):
    ended = run(chain, {"x": 0}, store=store)
    end = find_end(store, ended.id)
    again = resume(ended.id, store=store)
    assert (again.state, again.result, len(ran), find_end(store, ended.id)) == ("SUCCEEDED", 5, 5, end)


def test_R6_frames_of_dynamics_are_taken_up_where_they_were(store):
    ended = failed(nested, store, {"x": 6}, 4)
    assert ran == [0, 1, 2, 3]
    again = resume(ended.id, store=store)
    assert again.result == 7
    assert ran == [0, 1, 2, 3, 4, 5, 6]
    assert {row.state for row in again.nodes()} == {"SUCCEEDED"}


def test_R6_the_result_has_the_classes_of_the_target_that_is_given(store):
    ended = run(chain, {"x": 0}, store=store)
    assert resume(ended.id, store=store, target=chain).outputs == {"result": 5}


def test_J4_an_object_that_is_gone_or_damaged_is_named_by_the_resume_that_needs_it(store):
    ended = failed(sized, store, {"x": 1}, "size")
    (key,) = [key for folder in store.list("objects") for key in store.list(folder)]
    whole = store.get(key)
    store.delete(key)
    with pytest.raises(StoreError, match=key):
        resume(ended.id, store=store)
    store.put(key, b"\0" + whole[1:])
    with pytest.raises(StoreError, match=f"{key} .* is damaged"):
        resume(ended.id, store=store)
    store.put(key, whole)
    assert resume(ended.id, store=store).result == 5000
    assert ran == ["large", "size", "size"]


def test_J2_whatever_the_journal_names_is_in_the_store(store, events_of):
    ended = run(sized, {"x": 1}, store=store)
    named = [event[3] for event in events_of(store, ended.id) if event[0] == NODE_DONE and isinstance(event[3], Large)]
    assert len(named) == 1
    assert store.exists(object_key(named[0].digest))


def test_R6_what_an_older_executor_wrote_at_the_last_moment_counts(store):
    """The old executor commits one more node while the new one is about to begin: that node's body must not start
    again.
    """
    ended = failed(chain, store, {"x": 0}, 1)

    tail = Tail.of(*list(read_segments(store, ended.id, 0, find_end(store, ended.id)))[-1])
    raced = []

    class Raced(Inline):
        """The inline engine; between the reading of the journal and the first write, the old executor writes."""

        def slots(self, wanted):
            if not raced:
                raced.append(True)
                old = Journal(store, ended.id, 1, tail, True, lambda events: None)
                old.append([(NODE_DONE, 0, 1, b"\x02", (5, 1, "inline-1", 1, None))])
                old.flush()
                old.close()
            return 1

    assert resume(ended.id, store=store, engine=Raced()).result == 5
    assert raced == [True]
    assert ran == [0, 2, 3, 4]


def test_J3_each_executor_says_who_it_is_and_with_which_limits(store, events_of):
    ended = failed(chain, store, {"x": 0}, 1)
    resume(ended.id, store=store, max_depth=7)
    resumed = [event for event in events_of(store, ended.id) if event[0] == RESUMED]
    assert [event[1] for event in resumed] == [1, 2]
    assert [event[4][0] for event in resumed] == [100, 7]


def test_R6_a_run_that_nobody_knows_is_not_found(store):
    for run_id in ("nobody", "../x", ""):
        with pytest.raises(RunNotFound):
            resume(run_id, store=store)


def test_J3_a_run_that_this_process_works_on_is_refused(store):
    refused = []

    @task
    def tries() -> bool:
        try:
            resume("mine", store=store)
        except RunIsLive as error:
            refused.append(str(error))
        return True

    assert run(tries, store=store, run_id="mine").result is True
    assert "run mine is being worked on by process" in refused[0]
    assert "take_over=True" in refused[0]
