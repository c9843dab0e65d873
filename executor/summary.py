"""A run in one line, read from its manifest, its beat and its newest segment: the cost does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from executor.errors import JournalError, NotInStore, RunNotFound
from executor.events import ENDED
from executor.heartbeat import read_beat
from executor.journal import find_end
from executor.layout import RUNS, segment_key
from executor.manifest import read_manifest
from executor.segment import segment_from_bytes
from executor.store import Store


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known of a run at a glance. Times are µs; `nodes` and `done` are as of its last beat."""

    run_id: str
    workflow: str
    state: str
    created: int
    duration: int
    done: int
    nodes: int


def summarise(store: Store, run_id: str) -> Summary:
    """The summary of a run. Raises `RunNotFound`, `JournalError`."""
    manifest = read_manifest(store, run_id)
    beat = read_beat(store, run_id)
    end = find_end(store, run_id)
    state, last = "INTERRUPTED", manifest.created
    if end:
        key = segment_key(run_id, end - 1)
        try:
            segment = segment_from_bytes(store.get(key), key)
            last = segment.time
            state = next((event[1] for event in segment.events if event[0] == ENDED), state)
        except (JournalError, NotInStore):
            state = "INTERRUPTED"  # a torn last segment was never written
    if beat is not None and beat.is_live(store, run_id):
        state = "RUNNING"
    done, nodes = (beat.done, beat.nodes) if beat is not None else (0, 0)
    return Summary(run_id, manifest.workflow, state, manifest.created, last - manifest.created, done, nodes)


def summaries(store: Store) -> Iterator[Summary]:
    """The summaries of all runs of a store; what is no run is passed over, what can't be read is DAMAGED."""
    for key in store.list(RUNS):
        try:
            yield summarise(store, key.rpartition("/")[2])
        except RunNotFound:
            continue
        except JournalError:
            yield Summary(key.rpartition("/")[2], "?", "DAMAGED", 0, 0, 0, 0)
