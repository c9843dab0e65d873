"""J4: `doctor` tells every kind of damage of every kind of key, by its key, and changes nothing; a run that it calls
whole can be resumed.
"""

import shutil
from itertools import islice

import pytest

from promissory import Store, dynamic, resume, run, task, workflow
from promissory.errors import RunNotFound
from promissory.executor.maintenance.doctor import ERROR, NOTE, WARNING, examine, is_whole
from promissory.executor.store.keys import run_key, segment_key

LARGE = 5000
broken = set()


@task
def step(x: int) -> int:
    print(f"step {x}")
    return x + 1


@task
def large(n: int) -> list[int]:
    return list(range(n))


@task
def total(values: list[int], more: list[int], literal: list[int]) -> int:
    if broken:
        raise ValueError("not today")
    return sum(values) + sum(more) + sum(literal)


@dynamic
def down(n: int) -> int:
    return step(down(n - 1)) if n else step(0)


@workflow
def flow(given: list[int]) -> int:
    deep = down(3)
    result = total(large(LARGE), given, list(range(1, LARGE)))
    deep >> result
    return result


GIVEN = list(range(2, LARGE))
EXPECTED = sum(range(LARGE)) + sum(GIVEN) + sum(range(1, LARGE))


@pytest.fixture(scope="module")
def failed_once(tmp_path_factory):
    """A run in two segments or more that failed, with values of every kind: inputs, literals, results, futures
    files.
    """
    folder = tmp_path_factory.mktemp("doctor") / "store"
    broken.add(1)
    run(flow, {"given": GIVEN}, store=folder, run_id="ill")
    assert resume("ill", store=folder).state == "FAILED"
    broken.clear()
    return folder


@pytest.fixture
def store(failed_once, tmp_path):
    shutil.copytree(failed_once, tmp_path / "store")
    return Store(tmp_path / "store")


def all_keys(store, folder=""):
    found = []
    for key in store.list(folder):
        found += all_keys(store, key) if store.is_folder(key) else [key]
    return found


def key_of(store, kind):
    """One key of a kind."""
    journal = store.list(run_key("ill", "journal"))
    fixed = {
        "manifest": run_key("ill", "manifest"),
        "first segment": journal[0],
        "last segment": journal[-1],
        "beat": run_key("ill", "beat"),
    }
    if kind in fixed:
        return fixed[kind]
    folder, number = {
        "plan": ("plans", 0),
        "futures file": ("runs/ill/futures", 0),
        "bundle": ("code", 0),
        "log": ("runs/ill/logs", 0),
    }.get(kind, ("", 0))
    if folder:
        return all_keys(store, folder)[number]
    sizes = {"input": GIVEN, "literal": list(range(1, LARGE)), "result": list(range(LARGE))}
    from promissory import type_of
    from promissory.typesys.canonical import digest
    from promissory.typesys.wire import codec_for

    name = digest("value", codec_for(type_of(list[int])).encode(sizes[kind])).hex()
    return f"objects/{name[:2]}/{name}"


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def torn(data):
    return data[: len(data) - 3]


def foreign(data):
    return b"this is somebody's text file\n" * 40


def empty(data):
    return b""


def longer(data):
    return data + b"\0"


DAMAGE = {"flipped": flip, "torn": torn, "foreign": foreign, "empty": empty, "longer": longer, "missing": None}
KINDS = ("manifest", "plan", "first segment", "last segment", "input", "literal", "result", "futures file", "bundle")


def damage(store, key, how):
    if how == "missing":
        store.delete(key)
    else:
        store.put(key, DAMAGE[how](store.get(key)))


@pytest.mark.full
def test_J4_a_run_without_damage_is_whole_and_there_are_only_notes(store):
    findings = list(examine(store, "ill"))
    assert is_whole(findings)
    assert {finding.severity for finding in findings} <= {NOTE}
    assert any("2 executors have worked on the run" in finding.problem for finding in findings)


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_J4_damage_is_told_with_its_key_and_a_way_out(store, kind, how):
    key = key_of(store, kind)
    damage(store, key, how)
    if (kind, how) == ("manifest", "missing"):
        with pytest.raises(RunNotFound, match="no run 'ill'"):
            list(examine(store, "ill"))
        return
    if (kind, how) == ("last segment", "missing"):
        return  # as if it had never been written
    findings = list(examine(store, "ill"))
    about = [finding for finding in findings if finding.key == key and finding.severity in (ERROR, WARNING)]
    assert about, f"nothing about {key}: {findings}"
    assert all(finding.way_out for finding in about)
    mends_itself = kind in ("futures file", "bundle") or (kind == "last segment" and how in ("torn", "empty"))
    assert is_whole(findings) == mends_itself, findings


@pytest.mark.full(keep=16)
@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("kind", [*KINDS, "beat", "log"])
def test_J4_a_run_that_is_called_whole_can_be_resumed(store, kind, how):
    """And where something is lost the resume says so with the key, or did not need it."""
    key = key_of(store, kind)
    damage(store, key, how)
    try:
        whole = is_whole(list(examine(store, "ill")))
    except RunNotFound:
        whole = False
    try:
        ended = resume("ill", store=store)
        good = ended.state == "SUCCEEDED" and ended.result == EXPECTED
    except Exception as error:
        assert not whole, error
        assert key in str(error) or (kind, how) == ("manifest", "missing"), error
    else:
        assert good or not whole, ended.error


@pytest.mark.full(keep=14)
@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_J4_looking_changes_nothing(store, kind, how, tmp_path):
    damage(store, key_of(store, kind), how)
    before = files(tmp_path / "store")
    try:
        list(examine(store, "ill"))
    except RunNotFound:
        pass
    assert files(tmp_path / "store") == before


def files(folder):
    return {
        str(path): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("kind", ["objects", "segments", "plans", "manifests"])
def test_J4_two_keys_that_were_swapped_are_told(store, kind):
    if kind == "objects":
        one, two = key_of(store, "input"), key_of(store, "result")
    elif kind == "segments":
        one, two = store.list(run_key("ill", "journal"))[:2]
    elif kind == "plans":
        one, two = key_of(store, "plan"), None
        run(other, {"x": 1}, store=store, run_id="other")
        two = next(key for key in all_keys(store, "plans") if key != one)
    else:
        run(other, {"x": 1}, store=store, run_id="other")
        one, two = run_key("ill", "manifest"), run_key("other", "manifest")
    first, second = store.get(one), store.get(two)
    store.put(one, second)
    store.put(two, first)
    findings = list(examine(store, "ill"))
    assert any(finding.severity == ERROR and finding.key == one for finding in findings), findings


@workflow
def other(x: int) -> int:
    return step(x)


def test_J4_a_segment_of_another_run_is_told(store):
    run(other, {"x": 1}, store=store, run_id="other")
    store.put(segment_key("ill", 0), store.get(segment_key("other", 0)))
    assert not is_whole(list(examine(store, "ill")))


def test_J4_a_stale_segment_of_an_executor_that_was_fenced_is_told(store):
    from dataclasses import replace

    from promissory.executor.journal.segment import segment_digest, segment_from_bytes, segment_to_bytes

    numbers = store.list(run_key("ill", "journal"))
    data = store.get(numbers[-1])
    last = segment_from_bytes(data, numbers[-1])
    stale = replace(last, number=last.number + 1, epoch=1, previous=segment_digest(data))
    key = segment_key("ill", last.number + 1)
    store.put(key, segment_to_bytes(stale))
    (finding,) = [finding for finding in examine(store, "ill") if finding.severity == ERROR]
    assert (finding.key, "an executor that was fenced has written" in finding.problem) == (key, True)


def test_J4_a_hole_in_the_journal_is_told_by_its_number(store):
    numbers = store.list(run_key("ill", "journal"))
    store.delete(numbers[0])
    (finding,) = [finding for finding in examine(store, "ill") if finding.severity == ERROR]
    assert (finding.key, finding.problem) == (numbers[0], "is missing, and others come after it")


def test_J4_all_damage_is_told_and_not_only_the_first(store):
    for kind in ("plan", "first segment", "input"):
        damage(store, key_of(store, kind), "flipped")
    keys = {finding.key for finding in examine(store, "ill") if finding.severity == ERROR}
    assert keys == {key_of(store, kind) for kind in ("plan", "first segment", "input")}


@pytest.mark.parametrize("name", ["notes.txt", "00000000000000000000.tmp", "0", "-1", "٠" * 20])
def test_J4_a_foreign_file_in_the_journal_is_told_and_nothing_is_lost(store, name):
    store.put(run_key("ill", f"journal/{name}"), b"foreign")
    findings = list(examine(store, "ill"))
    assert [(finding.severity, finding.key) for finding in findings if finding.severity != NOTE] == [
        (WARNING, run_key("ill", f"journal/{name}"))
    ]
    assert resume("ill", store=store).result == EXPECTED


def test_J4_a_foreign_file_with_a_number_far_away_does_not_make_it_count_there(store):
    store.put(segment_key("ill", 10**15), b"foreign")
    findings = list(islice(examine(store, "ill"), 1000))
    assert len(findings) < 1000


def test_J4_a_live_run_is_said_to_be_live_and_is_whole(project, gate):
    project.write("held.py", HELD)
    held = gate("held")
    project.spawn("-c", "import promissory, held; promissory.run(held.flow, {'x': 1}, run_id='live')", GATE=held.path)
    held.reached()
    findings = list(examine(project.store, "live"))
    assert is_whole(findings)
    assert any("works on the run" in finding.problem for finding in findings)
    held.open()


HELD = """
import os
from promissory import task, workflow
@task
def wait(x: int) -> int:
    open(os.environ["GATE"]).read()
    return x
@workflow
def flow(x: int) -> int:
    return wait(x)
"""


def test_J4_a_run_that_was_killed_before_it_began_is_whole_and_can_be_resumed(tmp_path):
    from promissory.testing import Crashed, crash_at

    with crash_at("run.manifest-written"), pytest.raises(Crashed):
        run(other, {"x": 1}, store=tmp_path, run_id="unborn")
    (finding,) = examine(Store(tmp_path), "unborn")
    assert (finding.severity, finding.problem, finding.way_out) == (
        NOTE,
        "is empty: the run was stopped before it began",
        "promissory resume unborn",
    )
    assert resume("unborn", store=tmp_path).result == 2


def test_J4_functions_that_travel_by_value_are_checked_too(tmp_path):
    def made(k):
        @task
        def add(x: int) -> int:
            return x + k

        @workflow
        def by_value(x: int) -> int:
            return add(add(x))

        return by_value

    run(made(3), {"x": 1}, store=tmp_path, run_id="travels")
    store = Store(tmp_path)
    (key,) = all_keys(store, "runs/travels/code")
    store.put(key, flip(store.get(key)))
    findings = list(examine(store, "travels"))
    assert any(finding.key == key for finding in findings), findings


@pytest.mark.full
def test_J4_a_snapshot_that_is_damaged_costs_only_time(tmp_path):
    store = Store(f"memory://doctor-{tmp_path.name}")
    broken.add(1)
    run(long, {"n": 5200}, store=store, run_id="long", max_depth=6000, durability="process", echo=False)
    broken.clear()
    (key,) = store.list(run_key("long", "snapshots"))
    store.put(key, flip(store.get(key)))
    (finding,) = [finding for finding in examine(store, "long") if finding.severity != NOTE]
    assert (finding.severity, finding.way_out) == (WARNING, "nothing: a resume replays the whole journal instead")
    assert key in (finding.key, *finding.problem.split())
    assert resume("long", store=store, durability="process", echo=False).state == "SUCCEEDED"


@dynamic
def quiet(n: int) -> int:
    return add(quiet(n - 1)) if n else add(0)


@task
def add(x: int) -> int:
    return x + 1


@task
def check(x: int) -> int:
    if broken:
        raise ValueError("not today")
    return x


@workflow
def long(n: int) -> int:
    return check(quiet(n))


@pytest.mark.parametrize("offset", range(16))
def test_J4_a_flipped_byte_in_the_head_of_the_last_segment_is_no_torn_segment(store, offset):
    """What was acknowledged is not forgotten because of one byte."""
    key = key_of(store, "last segment")
    data = store.get(key)
    store.put(key, data[:offset] + bytes([data[offset] ^ 0x40]) + data[offset + 1 :])
    assert not is_whole(list(examine(store, "ill")))
