"""J1: a journal that was recorded long ago replays to the very state that was recorded with it, after every event.

`tests/data/older/replays.json` holds a digest for each run of the old stores: of the scheduler's snapshots after each
of the run's events. After a change of the snapshot's format this file, run as a program, makes new ones.
"""

import json
import sys
import tarfile
import tempfile
from hashlib import blake2b
from pathlib import Path

import pytest

from promissory import Store
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.scheduler.invariants import check
from promissory.executor.scheduler.replay import TOLD, replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump

DATA = next(folder for folder in (parent / "data" / "older" for parent in Path(__file__).parents) if folder.is_dir())
RECORDED = DATA / "replays.json"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def runs_of(version):
    """The runs of an old store, each with the digest of its states."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(DATA / f"store-{version}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
        store = Store(Path(folder) / "store")
        for run in sorted((Path(folder) / "store" / "runs").iterdir()):
            yield run.name, states_of(store, run.name)


def states_of(store, run_id):
    manifest = read_manifest(store, run_id)
    plan = read_plan(store, manifest)
    scheduler = Scheduler(Limits(1 << 62, 1 << 62, 1 << 62), run=run_id.encode())
    scheduler.open_root(plan, tuple(manifest.inputs[parameter.name] for parameter in plan.inputs))
    states = blake2b(digest_size=8)
    for segment, _ in read_segments(store, run_id, 0, find_end(store, run_id)):
        for event in segment.events:
            if event[0] in TOLD:
                replay(scheduler, event)
                check(scheduler)
                states.update(dump(scheduler))
    replayed(scheduler)
    check(scheduler)
    states.update(dump(scheduler))
    return states.hexdigest()


@pytest.mark.skipif(not (DATA / f"store-{VERSION}.tar.xz").is_file(), reason="there is no old store for this Python")
def test_J1_a_recorded_journal_replays_to_the_recorded_states():
    assert dict(runs_of(VERSION)) == json.loads(RECORDED.read_text())[VERSION]


if __name__ == "__main__":
    found = {path.stem.partition("-")[2].removesuffix(".tar"): None for path in sorted(DATA.glob("store-*.tar.xz"))}
    RECORDED.write_text(json.dumps({version: dict(runs_of(version)) for version in found}, indent=1) + "\n")
