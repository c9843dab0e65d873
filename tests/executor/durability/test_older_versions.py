"""A run that an older format version wrote is told and resumed; one of a newer version says what is needed (formats.md,
issue 4).
"""

import pytest

from promissory import Store, attach, dynamic, resume, run, task, workflow
from promissory.errors import JournalError
from promissory.executor.history.at_a_glance import summaries
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.journal.segment import GENESIS, MAGIC, VERSION, segment_digest
from promissory.executor.journal.snapshots import get_snapshot
from promissory.executor.maintenance.doctor import examine, is_whole
from promissory.executor.maintenance.export import export
from promissory.executor.protocol.events import (
    CODE,
    ENDED,
    NODE_DONE,
    NODE_FAILED,
    PAUSED,
    RESUMED,
    RETRIED,
    SNAPSHOT,
    UNPAUSED,
    compact,
)
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import MAGIC as MANIFEST_MAGIC
from promissory.executor.records.manifest import VERSION as MANIFEST_VERSION
from promissory.executor.records.manifest import read_manifest
from promissory.executor.store.keys import object_key, plan_key, run_key, segment_key
from promissory.planner.plan.model import Large
from promissory.typesys.canonical import digest, pack, unpack
from promissory.typesys.envelope import seal, unseal

ran = []
broken = set()


@task
def step(x: int) -> int:
    ran.append(x)
    return x + 1


@task
def large(x: int) -> list[int]:
    ran.append("large")
    return list(range(5000))


@task
def size(values: list[int]) -> int:
    ran.append("size")
    if broken:
        raise ValueError("not today")
    return len(values)


@dynamic
def down(n: int) -> int:
    return step(down(n - 1)) if n else step(0)


@workflow
def flow(n: int) -> int:
    return step(size(large(down(n))))


@pytest.fixture(autouse=True)
def forget():
    ran.clear()
    broken.clear()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def failed(store, n=3, **options):
    broken.add(1)
    ended = run(flow, {"n": n}, store=store, run_id="old", durability="process", echo=False, **options)
    assert ended.state == "FAILED"
    broken.clear()
    ran.clear()


def in_version_1(store, run_id="old"):
    """Write a run's journal as version 1 did: failures of five fields, no attempts that are made again, no pauses,
    snapshots among the objects.
    """
    previous = GENESIS
    for segment, _ in list(read_segments(store, run_id, 0, find_end(store, run_id))):
        events = []
        for event in segment.events:
            assert event[0] not in (RETRIED, PAUSED, UNPAUSED)
            if event[0] == NODE_FAILED:
                event = (*event[:3], event[3][:5], event[4])
            elif event[0] == SNAPSHOT:
                state = unpack(get_snapshot(store, run_id, event[1]), "a snapshot")
                data = pack(state[:8])
                name = digest("value", data)
                store.put_new(object_key(name), data)
                event = (SNAPSHOT, Large(name, len(data)))
            events.append(event)
        head = [segment.number, segment.epoch, segment.nonce, previous, segment.snapshot, segment.time]
        data = seal(MAGIC, 1, 1, pack([*head, compact(events)]))
        store.put(segment_key(run_id, segment.number), data)
        previous = segment_digest(data)
    for key in store.list(run_key(run_id, "snapshots")):
        store.delete(key)


def without_parent(store, run_id="old"):
    """The manifest as it was before a run could come from another."""
    key = run_key(run_id, "manifest")
    version, kind, payload = unseal(store.get(key), MANIFEST_MAGIC, range(1, 2), key)
    store.put(
        key,
        seal(MANIFEST_MAGIC, version, kind, pack([entry for entry in unpack(payload, key) if entry[0] != "parent"])),
    )


def test_J4_a_run_of_version_1_is_resumed_and_runs_nothing_again(store):
    failed(store)
    in_version_1(store)
    without_parent(store)
    assert resume("old", store=store).result == 5001
    assert ran == ["size", 5000]


def test_J4_a_run_of_version_1_is_told_as_it_is(store):
    failed(store)
    before = [(row.path, row.state, row.why) for row in History(store, "old").nodes()]
    in_version_1(store)
    without_parent(store)
    assert [(row.path, row.state, row.why) for row in History(store, "old").nodes()] == before
    assert [one.state for one in summaries(store)] == ["FAILED"]
    error = attach("old", store=store, trust=True).error
    assert (error.path, type(error.__cause__)) == ("main/size", ValueError)
    assert is_whole(list(examine(store, "old")))


def test_J4_a_run_that_version_1_began_and_this_one_ended_is_read_as_one(store):
    failed(store)
    in_version_1(store)
    resume("old", store=store)
    assert resume("old", store=store).result == 5001
    kinds = {
        event[0] for segment, _ in read_segments(store, "old", 0, find_end(store, "old")) for event in segment.events
    }
    assert {RESUMED, NODE_DONE, NODE_FAILED, ENDED} <= kinds
    assert attach("old", store=store).state == "SUCCEEDED"
    assert is_whole(list(examine(store, "old")))


def test_J4_a_snapshot_of_version_1_is_resumed_from(tmp_path):
    store = Store(f"memory://old-{tmp_path.name}")
    failed(store, n=5200, max_depth=6000)
    in_version_1(store)
    first = next(
        segment.number
        for segment, _ in read_segments(store, "old", 0, find_end(store, "old"))
        if segment.events[0][0] == SNAPSHOT
    )
    assert first > 0
    store.put(segment_key("old", 0), b"who resumes from the snapshot does not read what is before it")
    assert resume("old", store=store, durability="process", echo=False).result == 5001
    assert ran == ["size", 5000]


@pytest.mark.full
def test_J4_a_run_of_version_1_with_a_snapshot_is_exported_and_resumed(tmp_path):
    store, target = Store(f"memory://old-{tmp_path.name}"), Store(f"memory://new-{tmp_path.name}")
    failed(store, n=5200, max_depth=6000)
    in_version_1(store)
    export(store, "old", target)
    assert is_whole(list(examine(target, "old")))
    assert resume("old", store=target, durability="process", echo=False).result == 5001
    assert ran == ["size", 5000]


def newer(store, key, magic):
    data = store.get(key)
    _, kind, payload = unseal(data, magic, range(1, 100), key)
    newest = {MAGIC: VERSION, MANIFEST_MAGIC: MANIFEST_VERSION}[magic]
    store.put(key, seal(magic, newest + 1, kind, payload))
    return newest + 1


KINDS = {"journal": (segment_key("old", 0), MAGIC), "manifest": (run_key("old", "manifest"), MANIFEST_MAGIC)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "reader", [lambda store: resume("old", store=store), lambda store: list(History(store, "old").nodes())]
)
def test_J4_a_run_of_a_newer_version_says_that_a_newer_promissory_is_needed(store, kind, reader):
    failed(store)
    key, magic = KINDS[kind]
    version = newer(store, key, magic)
    said = (
        f"{key} has format version {version}; this reader knows up to {version - 1}: install a newer promissory "
        "to read it"
    )
    with pytest.raises(JournalError, match=said):
        reader(store)
    with pytest.raises(JournalError, match=said):
        export(store, "old", Store("memory://newer"))


@pytest.mark.parametrize("kind", KINDS)
def test_J4_a_run_of_a_newer_version_is_not_called_damaged(store, kind):
    failed(store)
    newer(store, *KINDS[kind])
    (finding,) = [finding for finding in examine(store, "old") if "format version" in finding.problem]
    assert "newer promissory" in finding.problem + finding.way_out
    assert "restore it" not in finding.way_out, "nothing is lost, and a copy would not help"


def test_J4_a_version_that_never_was_is_told(store):
    failed(store)
    data = store.get(segment_key("old", 0))
    _, kind, payload = unseal(data, MAGIC, range(1, VERSION + 1), "a segment")
    store.put(segment_key("old", 0), seal(MAGIC, 0, kind, payload))
    with pytest.raises(JournalError, match="format version 0"):
        resume("old", store=store)


def test_J4_code_that_changed_and_a_resume_of_version_1_are_told(store):
    failed(store)
    in_version_1(store)
    assert History(store, "old").resumes == 1
    assert read_manifest(store, "old").parent == ()
    assert store.exists(plan_key(read_manifest(store, "old").plan))
    assert read_beat(store, "old").over
    assert CODE not in {
        event[0] for segment, _ in read_segments(store, "old", 0, find_end(store, "old")) for event in segment.events
    }
