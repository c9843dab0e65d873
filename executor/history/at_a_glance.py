"""Runs at a glance, read from the store alone.

An overview is told from what is open of a run and from the tally of what is behind it
(`promissory.executor.scheduler.tally`), so its cost does not grow with the nodes that the run has had. An executor that
ends a run stores its overview beside the journal (`runs/<run id>/summary`); as long as the journal has not gone on,
nothing else has to be read. The file can be lost at any time: the overview is then told anew, from the newest snapshot
and what came after it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from promissory.executor.errors import JournalError, NotInStore, RunNotFound, StoreDamage, StoreError
from promissory.executor.history.nodes import NodeRow
from promissory.executor.history.overview import CallRow, Overview
from promissory.executor.history.recovery import as_committed
from promissory.executor.history.states import NAMES, OVER, state_of
from promissory.executor.history.summary import CARRIED, ENDED_WELL, Summary, summarise
from promissory.executor.journal.segment import segment_from_bytes
from promissory.executor.protocol.events import ENDED, Meta
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import Manifest, read_manifest
from promissory.executor.scheduler.called import Called
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.frame_failure import tell_above
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.keys import RUNS, run_key, segment_key
from promissory.executor.store.store import Store
from promissory.typesys.types import Type

TROUBLED: Final = ("FAILED", "RUNNING", "RETRYING", "LOOPING")
"""The states of nodes that are told one by one."""
_SHOWN: Final = 1_000
"""How many nodes that failed, run or wait for another attempt are told one by one."""


class Gate(NamedTuple):
    """A gate that waits for an answer: its path, its name, the type of the answer, and its frame and index."""

    path: str
    name: str
    wants: Type
    key: Key


def gates_of(store: Store, run_id: str) -> tuple[str, list[Gate]]:
    """The state of a run, and the gates that wait for an answer. Raises `RunNotFound`, `JournalError`, `StoreError`."""
    scheduler = as_committed(store, read_manifest(store, run_id)).scheduler
    gates = [
        Gate(one.path, one.spec.name, one.wants, key) for key, one in scheduler.waiting.items() if one.wants is not None
    ]
    return summarise(store, run_id).state, gates


def overview(store: Store, run_id: str) -> Overview:
    """A run at a glance. Raises `RunNotFound`, `JournalError`, `StoreError`."""
    return stored_overview(store, run_id) or _told(store, read_manifest(store, run_id))


def stored_overview(store: Store, run_id: str, trusted: bool = False) -> Overview | None:
    """The overview that the executor stored which ended the run; None if there is none, or if the run has gone on.

    Args:
        trusted: whether a run that has ended well is taken to be as it was, with its journal, without a look at that.

    Raises `JournalError` if the segment that ended the run is damaged.
    """
    try:
        found = Overview.from_bytes(store.get(run_key(run_id, "summary")))
    except (NotInStore, StoreDamage, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if trusted and found.summary.state in ENDED_WELL:
        return found
    try:
        key = segment_key(run_id, found.segment)
        segment = segment_from_bytes(store.get(key), key)
    except NotInStore:
        return None
    if segment.events[-1][:2] != (ENDED, found.summary.state) or store.exists(segment_key(run_id, found.segment + 1)):
        return None
    return found


def summaries(store: Store) -> Iterator[Summary]:
    """The summaries of all runs of a store. Other folders are passed over; a run that can't be read is DAMAGED.

    On a far store, a run that has ended well costs one request.
    """
    for key in store.list(RUNS):
        run_id = key.rpartition("/")[2]
        if store.is_near and not store.exists(run_key(run_id, "manifest")):
            continue
        try:
            found = stored_overview(store, run_id, trusted=not store.is_near)
            yield summarise(store, run_id) if found is None else found.summary
        except RunNotFound:
            continue
        except (JournalError, StoreDamage):
            yield Summary(run_id, "?", "DAMAGED", 0, 0, 0, 0)


def store_overview(
    store: Store, manifest: Manifest, scheduler: Scheduler, end: tuple[str, str], segment: int, epoch: int
) -> None:
    """Store the overview of a run that has ended. It is only a help: a store that refuses it leaves the journal.

    Args:
        end: the state in which the run has ended, and why.
        segment: the number of the segment that says so.
        epoch: the epoch of its executor.
    """
    if end[0] == "FAILED":
        tell_above(scheduler)
    now = time.time_ns() // 1000
    summary = Summary(
        manifest.run_id,
        manifest.workflow,
        end[0],
        manifest.created,
        max(0, now - manifest.created),
        scheduler.done_nodes,
        scheduler.known_nodes,
    )
    found = _Look(manifest, scheduler, end[0], {}).overview(summary, segment, end[1], epoch - 1)
    with suppress(StoreError):
        store.put(run_key(manifest.run_id, "summary"), found.to_bytes())


def forget_overview(store: Store, run_id: str) -> None:
    """An executor has taken a run over, so the overview of its earlier end is no use any more."""
    with suppress(StoreError):
        store.remove(run_key(run_id, "summary"))


def _told(store: Store, manifest: Manifest) -> Overview:
    """The overview of a run from its journal and beat."""
    recovered = as_committed(store, manifest)
    summary, beat = summarise(store, manifest.run_id), read_beat(store, manifest.run_id)
    tail, ended = recovered.tail, recovered.ended
    running = {}
    if beat is not None and summary.state in CARRIED:
        running = {(frame, index): (worker, since) for frame, index, worker, since in beat.running}
    look = _Look(manifest, recovered.scheduler, None if ended is None else ended[1], running)
    epoch = 1 if tail is None else tail.epoch
    return look.overview(summary, -1 if tail is None else tail.number, "" if ended is None else ended[2], epoch - 1)


class _Look:
    """One look at what is open of a run.

    Args:
        end: the state in which it has ended; None if it has not.
        running: the worker and the beginning (µs since the epoch) of the bodies that run.
    """

    def __init__(
        self, manifest: Manifest, scheduler: Scheduler, end: str | None, running: dict[Key, tuple[str, int]]
    ) -> None:
        self._manifest = manifest
        self._scheduler = scheduler
        self._end = end
        self._running = running
        self._ended = {(frame, index) for _, frame, index, *_ in scheduler.ends}

    # --- as `promissory.executor.history.states.Look` has it ---

    def is_over(self) -> bool:
        return self._end in OVER

    def has_end(self) -> bool:
        return self._end is not None

    def is_open(self, frame: Frame) -> bool:
        return True

    def is_stopped(self, key: Key) -> bool:
        return False  # the run has ended with it, so the node is CANCELLED

    def is_expanded(self, key: Key) -> bool:
        return False  # the frame of such a node has ended; the tally has it

    def has_ended(self, key: Key) -> bool:
        return key in self._ended

    def is_running(self, key: Key) -> bool:
        if key not in self._running or key in self._scheduler.waiting:
            return False
        tried = self._last_try(key)  # the journal may be younger than the beat, and tell of the attempt's failure
        return tried is None or self._running[key][1] >= self._manifest.created + tried[1][0] + tried[1][1]

    def was_tried(self, key: Key) -> bool:
        return self._last_try(key) is not None

    def has_looped(self, key: Key) -> bool:
        return self._scheduler.iteration(*key) > 0

    def _last_try(self, key: Key) -> tuple[str, Meta] | None:
        tries = self._scheduler.tries.get(key)
        return None if tries is None else tries.last

    # --- the whole ---

    def overview(self, summary: Summary, segment: int, reason: str, resumes: int) -> Overview:
        scheduler, tally = self._scheduler, self._scheduler.tally
        states: Counter[tuple[Called, str]] = Counter()
        spent: Counter[Called] = Counter()
        rows: list[NodeRow] = []
        more = 0
        if tally is not None:
            spent.update(tally.spent)
            more = tally.more_fallen
            for path, called, depth, failed in tally.fallen:
                meta, why = (None, "") if failed is None else (failed.meta, str(failed.failure))
                rows.append(_row(path, "FAILED", called, depth, self._manifest, meta, why))
        for called, state, count in self._behind():
            states[called, state] += count
        for frame in scheduler.frames.values():
            for index in frame.topology.calls.told:
                called, state = frame.topology.calls.each[index], state_of(self, frame, index)
                states[called, state] += 1
                if state in TROUBLED:
                    if len(rows) < _SHOWN:
                        rows.append(self._row(frame, index, called, state))
                    else:
                        more += 1
        for row in rows:
            if row.state == "RUNNING":
                spent[row.kind, row.called] += row.duration
        counts: Counter[str] = Counter()
        nodes: Counter[Called] = Counter()
        for (called, state), count in states.items():
            counts[state] += count
            nodes[called] += count
        by_time = sorted((called for called, count in nodes.items() if count), key=lambda one: (-spent[one], one))
        calls = [CallRow(*one, nodes[one], states[one, "SUCCEEDED"], spent[one]) for one in by_time]
        return Overview(
            summary,
            segment,
            reason,
            resumes,
            tuple(() if tally is None else tally.changed),
            {state: count for state, count in counts.items() if count},
            tuple(calls),
            tuple(rows),
            more,
            tuple(self._maps()),
            tuple(
                (waiting.path, waiting.spec.name, str(waiting.wants))
                for waiting in scheduler.waiting.values()
                if waiting.wants is not None
            ),
        )

    def _behind(self) -> Iterator[tuple[Called, str, int]]:
        """The nodes of frames that have ended: what they call, their state, how many."""
        tally = self._scheduler.tally
        if tally is None:
            return
        for heirs in tally.heirs.values():
            for called, count in heirs.items():
                yield called, "EXPANDED", count
                yield called, "SUCCEEDED", -count
        for (called, state), count in tally.states.items():
            yield called, NAMES[state], count

    def _maps(self) -> Iterator[tuple[str, int, int]]:
        for (id, index), mapping in self._scheduler.maps.items():
            yield self._scheduler.frames[id].path_of(index), mapping.ended, mapping.total

    def _row(self, frame: Frame, index: int, called: Called, state: str) -> NodeRow:
        key, path = (frame.id, index), frame.path_of(index)
        tried, meta, why = self._last_try(key), None, ""
        failed = frame.failures.get(index) if frame.failures else None
        if state == "FAILED" and failed is not None and (failed.frame, failed.node) == key:
            meta, why = failed.meta, str(failed.failure)
        elif state in ("RETRYING", "LOOPING") and tried is not None:
            why, meta = tried
        elif state == "RUNNING":
            worker, since = self._running[key]
            attempt = 1 if tried is None else tried[1][3] + 1
            meta = (since - self._manifest.created, max(0, time.time_ns() // 1000 - since), worker, attempt, None)
        mapping, cycle = self._scheduler.maps.get(key), self._scheduler.cycles.get(key)
        row = _row(path, state, called, frame.depth, self._manifest, meta, why)
        return replace(
            row,
            iterations=0 if cycle is not None else self._scheduler.iteration(*key),
            rounds=0 if cycle is None else cycle.next - 1,
            items=None if mapping is None else (mapping.ended, mapping.total),
        )


def _row(
    path: str,
    state: str,
    called: Called,
    depth: int,
    manifest: Manifest,
    meta: Meta | None,
    why: str,
) -> NodeRow:
    kind, name = called
    depth += kind in ("dynamic", "cycle")
    started, duration, worker, attempt, log = meta or (0, 0, "", 0, None)
    if not worker:
        return NodeRow(path, state, name, kind, depth, why=why)
    address = None if log is None else (log[0], log[1], log[2])
    begun = manifest.created + started
    return NodeRow(path, state, name, kind, depth, attempt, begun, duration, worker, address, why)
