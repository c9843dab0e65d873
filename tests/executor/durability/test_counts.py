"""T1: a count costs no more than the bytes that stand for it.

Each whole number of each file that a run leaves is set to 9,999,999 and to 2^61, under a good check sum, and every
reader of runs looks at it.
"""

import io
import json
import re
import resource
import signal
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from promissory import Loop, Store, conditional, current_context, dynamic, map_task, run, task, workflow
from promissory.errors import ExecutorError, PlanFormatError
from promissory.executor.cache.entries import entries, read_entry, take_lease
from promissory.executor.clock import SystemClock
from promissory.executor.history.at_a_glance import summaries
from promissory.executor.history.explain import explain
from promissory.executor.history.history import History
from promissory.executor.history.logs import Logs
from promissory.executor.history.recovery import recover
from promissory.executor.journal import writer
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.journal.segment import segment_digest
from promissory.executor.maintenance.doctor import examine
from promissory.executor.maintenance.export import keys_of
from promissory.executor.records.inbox import waiting
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.scheduler.replay import replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump, load, values_of
from promissory.typesys.canonical import pack, pack_map, unpack, unpack_each
from promissory.typesys.envelope import seal, unseal
from promissory.typesys.errors import FormatError

LARGE = (9_999_999, 2**61)
BUDGET = 128 << 20
SECONDS = 3.0
MAGICS = {b"PRMJ": range(1, 5), b"PRMM": range(1, 2), b"PRMI": range(1, 3)}


@task(cache=True, cache_version="1", retries=1)
def double(x: int) -> int:
    print("doubling", x)
    if x == 2 and current_context().attempt == 1:
        raise ValueError("once")
    return 2 * x


@task
def climbs(x: int) -> int:
    at = current_context().loop_result or x
    if at < x + 3:
        raise Loop(at + 1)
    return at


@dynamic
def down(n: int) -> int:
    return double(n) if n == 0 else down(n - 1)


@task
def add(xs: list[int], y: int, z: int) -> int:
    current_context().channel().add("added", 1)
    return sum(xs) + y + z


@task
def breaks(x: int) -> int:
    raise ValueError("for good")


@workflow
def flow(xs: list[int]) -> int:
    doubled = map_task(double)(x=xs)
    total = add(doubled, climbs(1), down(3))
    return breaks(conditional("large").if_(total > 3).then(total).else_().then(climbs(total)))


class Place(NamedTuple):
    """A number in a file."""

    file: Path
    path: tuple

    def __str__(self):
        return f"{self.file.parent.name}/{self.file.name[:24]}: {list(self.path)}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The store of a run that has a bit of everything."""
    made = tmp_path_factory.mktemp("counts") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SNAPSHOT_EVENTS", 12)
        run(flow, {"xs": list(range(6))}, store=made, run_id="r", echo=False, durability="process")
    return made


def numbers(tree, path=()):
    """The paths of the whole numbers in a tree."""
    if tree.__class__ is int:
        yield path
    elif tree.__class__ in (list, dict):
        for key in range(len(tree)) if tree.__class__ is list else tree:
            yield from numbers(tree[key], (*path, key))


def with_number(tree, path, number):
    """A tree with another number at a path."""
    if not path:
        return number
    copy = tree.copy()
    copy[path[0]] = with_number(tree[path[0]], path[1:], number)
    return copy


def read(file):
    """(header, tree) of a file; a snapshot stands in no envelope, a beat is JSON."""
    data = file.read_bytes()
    if data[:4] in MAGICS:
        version, minor, payload = unseal(data, data[:4], MAGICS[data[:4]], file.name)
        return (data[:4], version, minor), unpack(payload, file.name)
    if file.name == "beat":
        return "json", json.loads(data)
    return "bare", unpack(data, file.name)


def written(header, tree):
    if header == "json":
        return json.dumps(tree).encode()
    return pack(tree) if header == "bare" else seal(*header, pack(tree))


def chained(file, data):
    """The bytes of a changed segment and of the segments behind it, each chained to the one before it."""
    found, previous = {file: data}, segment_digest(data)
    for behind in sorted(one for one in file.parent.iterdir() if one.name > file.name):
        header, tree = read(behind)
        tree[3] = previous
        found[behind] = written(header, tree)
        previous = segment_digest(found[behind])
    return found


READERS = {
    "status": lambda store: (list(History(store, "r", items=True).nodes(items=True)), History(store, "r").state),
    "runs": lambda store: list(summaries(store)),
    "logs": lambda store: list(Logs(store, None).ended(History(store, "r", items=True))),
    "doctor": lambda store: list(examine(store, "r")),
    "explain": lambda store: explain(store, "r", "main/breaks"),
    "resume": lambda store: _resumed(store),
    "export, gc": lambda store: list(keys_of(store, "r")),
    "stop, answer": lambda store: waiting(store, "r"),
}


def _resumed(store):
    recovered = recover(store, read_manifest(store, "r"), SystemClock())
    for call in recovered.scheduler.take(100):
        recovered.scheduler.returned(call.frame.id, call.node)


class Late(BaseException):
    """A reader is at it for seconds."""


@contextmanager
def bounded():
    """A block that may take little memory and little time."""

    def late(number, frame):
        raise Late("takes longer than it may")

    size = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10
    limits, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (size + BUDGET, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def costs(store, changed):
    """What the readers make of changed files: the first thing that is not an error of ours; None if there is none."""
    before = {file: file.read_bytes() for file in changed}
    try:
        for file, data in changed.items():
            file.write_bytes(data)
        for name, reader in READERS.items():
            try:
                with bounded():
                    reader(store)
            except (ExecutorError, PlanFormatError, FormatError):
                continue
            except (Exception, Late) as error:
                return f"{name}: {type(error).__name__} {str(error)[:80]}"
    finally:
        for file, data in before.items():
            file.write_bytes(data)
    return None


def _every(folder, pattern):
    return [Place(file, path) for file in sorted(folder.glob(pattern)) for path in numbers(read(file)[1])]


FILES = {
    "segments": "runs/r/journal/*",
    "manifest": "runs/r/manifest",
    "beat": "runs/r/beat",
}


@pytest.mark.parametrize("kind", FILES)
def test_T1_a_count_costs_no_more_than_the_bytes_that_stand_for_it(folder, kind, full):
    places = _every(folder, FILES[kind])
    assert len(places) > 3
    store, found = Store(folder), {}
    for place in places if full or kind != "segments" else places[:: max(1, len(places) // 50)] + _of_chunks(places):
        header, tree = read(place.file)
        for number in LARGE:
            data = written(header, with_number(tree, place.path, number))
            changed = chained(place.file, data) if kind == "segments" else {place.file: data}
            if (problem := costs(store, changed)) is not None:
                found[f"{place} = {number}"] = problem
    assert found == {}


def _of_chunks(places):
    """Those in the events of maps, whose chunks are counts: [kind, frame, index, [[count, parts], …], meta]."""
    return [one for one in places if len(one.path) >= 5 and one.path[2:3] == (3,)]


def test_T1_the_counts_of_a_snapshot_cost_no_more_either(folder, full):
    """The state of the scheduler while the map's items are open, and at the end."""
    store, found = Store(folder), {}
    manifest = read_manifest(store, "r")
    plan = read_plan(store, manifest)
    scheduler = Scheduler(manifest.limits, run=b"r")
    scheduler.open_root(plan, tuple(manifest.inputs[one.name] for one in plan.inputs))
    states = {}
    for segment, _ in read_segments(store, "r", 0, find_end(store, "r")):
        for event in segment.events:
            replay(scheduler, event)
            replayed(scheduler)
            states.setdefault((len(scheduler.frames), len(scheduler.maps)), dump(scheduler))
    for state in (states[max(states)], states[max(states, key=lambda one: one[::-1])]):
        tree = unpack(state, "a snapshot")
        frames = list(unpack_each(tree[2], "a snapshot"))
        changed = [
            *((with_number(tree, path, number), path, number) for path in numbers(tree) for number in LARGE),
            *(
                (
                    [*tree[:2], b"".join(map(pack, with_number(frames, path, number))), *tree[3:]],
                    ("frames", *path),
                    number,
                )
                for path in numbers(frames)
                for number in LARGE
            ),
        ]
        for other, path, number in changed:
            for reader in (_loaded, values_of):
                try:
                    with bounded():
                        reader(pack(other))
                except (ExecutorError, FormatError):
                    continue
                except (Exception, Late) as error:
                    found[f"{list(path)} = {number}"] = f"{type(error).__name__} {str(error)[:80]}"
    assert found == {}


def _loaded(data):
    scheduler = load(data)
    for call in scheduler.take(100):
        scheduler.returned(call.frame.id, call.node)


def test_T1_the_length_of_a_log_costs_no_more_than_the_log(folder):
    """`logs` reads what is there, not what is promised."""
    store = Store(folder)
    [log] = (folder / "runs/r/logs").iterdir()
    with bounded():
        for end in LARGE:
            assert store.get_range(f"runs/r/logs/{log.name}", 0, end) == log.read_bytes()


def test_T1_a_lease_and_an_entry_with_large_numbers_are_read_at_no_cost(folder):
    store = Store(folder)
    [key, *_] = [key for key, entry in entries(store) if entry is not None]
    file = folder / key
    before = file.read_bytes()
    version, minor, payload = unseal(before, before[:4], range(1, 9), key)
    tree = unpack(payload, key)
    try:
        for path in numbers(tree):
            for number in LARGE:
                file.write_bytes(seal(before[:4], version, minor, pack_map(with_number(tree, path, number))))
                with bounded():
                    read_entry(store, bytes.fromhex(file.name))
                    list(entries(store))
    finally:
        file.write_bytes(before)
    store.put_new(f"leases/ab/{'ab' * 32}/{0:08d}", json.dumps({"run": "r", "epoch": 2**61, "nonce": ""}).encode())
    with bounded():
        assert take_lease(store, bytes.fromhex("ab" * 32), "mine", 1)
