"""The doctor: every key of a run is read and checked, and all damage is told, not only the first (`promissory
doctor`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from promissory.executor.clock import SystemClock
from promissory.executor.errors import JournalError, NotInStore, StoreDamage, StoreError
from promissory.executor.history.recovery import recover
from promissory.executor.journal.base import first_segment
from promissory.executor.journal.reader import keys_named
from promissory.executor.journal.segment import GENESIS, is_torn, segment_digest, segment_from_bytes
from promissory.executor.journal.snapshots import get_snapshot
from promissory.executor.maintenance.export import digest_by_key
from promissory.executor.protocol.events import RESUMED, SNAPSHOT, Event, futures_of
from promissory.executor.protocol.identity import node_identity
from promissory.executor.records import checkpoints
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import Manifest, read_manifest, read_plan
from promissory.executor.records.queue import is_waiting
from promissory.executor.scheduler.snapshot import load
from promissory.executor.store.keys import (
    base_key,
    bundle_key,
    futures_key,
    is_segment,
    plan_key,
    run_key,
    segment_key,
)
from promissory.executor.store.store import Store
from promissory.planner.functions.by_value import unsealed
from promissory.planner.plan.format import futures_from_bytes
from promissory.typesys.canonical import digest
from promissory.typesys.errors import FormatError

NOTE, WARNING, ERROR = "note", "warning", "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about one key.

    Attributes:
        severity: note (nothing is wrong), warning (it mends itself or costs only time), error (data is lost).
        key: the key.
        problem: the problem, as a predicate of the key.
        way_out: the remedy; empty if none is needed.
    """

    severity: str
    key: str
    problem: str
    way_out: str = ""


_RESTORE: Final = "restore it from a copy of the store"


def examine(store: Store, run_id: str) -> Iterator[Finding]:
    """All findings about a run. Raises `RunNotFound`."""
    try:
        manifest = read_manifest(store, run_id)
    except (JournalError, StoreDamage) as error:
        yield Finding(
            ERROR,
            run_key(run_id, "manifest"),
            str(error),
            _way_out(error, f"{_RESTORE}: without it nobody knows what the run is"),
        )
        return
    events: list[Event] = []
    found = [*_examine_beginning(store, manifest), *_examine_journal(store, manifest, events)]
    try:
        found += [
            *_examine_objects(store, run_id, manifest, events),
            *_examine_futures(store, run_id, events),
            *_examine_checkpoints(store, run_id),
        ]
    except FormatError as error:
        found.append(
            Finding(ERROR, run_key(run_id, "journal"), f"names a futures file that can't be read: {error}", _RESTORE)
        )
    yield from found
    if is_whole(found):
        try:
            recover(store, manifest, SystemClock())
        except (StoreError, FormatError) as error:
            yield Finding(ERROR, run_key(run_id, "journal"), f"can't be replayed: {error}", _RESTORE)
    yield from _examine_beat(store, run_id, events)


def is_whole(findings: list[Finding]) -> bool:
    """Whether the findings tell of no loss."""
    return all(finding.severity != ERROR for finding in findings)


def _examine_beginning(store: Store, manifest: Manifest) -> Iterator[Finding]:
    try:
        read_plan(store, manifest)
    except (StoreError, FormatError) as error:
        yield Finding(
            ERROR,
            plan_key(manifest.plan),
            str(error),
            _way_out(error, "compile the workflow again, with `promissory compile`, and put the file there"),
        )
    key, way_out = bundle_key(manifest.bundle), "it can be resumed only where its modules can be imported"
    if manifest.bundle and not store.exists(key):
        yield Finding(WARNING, key, "the sources of the run are missing", way_out)
    elif manifest.bundle:
        try:
            if digest("bundle", store.get(key)) != manifest.bundle:
                yield Finding(
                    WARNING, key, "the sources of the run are damaged: their digest does not match their bytes", way_out
                )
        except StoreDamage as error:
            yield Finding(WARNING, key, str(error), way_out)
    for key in store.list(run_key(manifest.run_id, "code")):
        try:
            unsealed(store.get(key), key)
        except (StoreError, FormatError) as error:
            yield Finding(
                WARNING,
                key,
                str(error),
                "its function can be had only from the program that defines it: resume from there",
            )


def _way_out(error: Exception, otherwise: str) -> str:
    """The remedy for bytes that can't be read. Bytes of a newer version need no repair."""
    return "" if "newer promissory" in str(error) else otherwise


def _not_begun(store: Store, manifest: Manifest) -> Finding:
    """The finding about a run that has no journal yet."""
    run_id = manifest.run_id
    key, way_out = run_key(run_id, "journal"), f"promissory resume {run_id}"
    if not manifest.queue:
        return Finding(NOTE, key, "is empty: the run was stopped before it began", way_out)
    if is_waiting(store, manifest):
        return Finding(NOTE, key, f"is empty: the run waits in queue {manifest.queue}", "promissory work")
    way_out = f"submit it again, under its name, or {way_out}"
    return Finding(
        WARNING, key, f"is empty, and the run has no key in queue {manifest.queue}: nobody finds it", way_out
    )


def _examine_journal(store: Store, manifest: Manifest, events: list[Event]) -> Iterator[Finding]:
    """Examine segment after segment, by their numbers. The events of whole segments are added to `events`."""
    run_id = manifest.run_id
    there = [key.rpartition("/")[2] for key in store.list(run_key(run_id, "journal"))]
    strange = [name for name in there if not is_segment(name)]
    for name in strange:
        yield Finding(WARNING, run_key(run_id, f"journal/{name}"), "is no segment", "remove it, if you know what it is")
    numbers = sorted(int(name) for name in there if name not in strange)
    if not numbers:
        yield _not_begun(store, manifest)
        return
    try:
        first = first_segment(store, run_id)
    except JournalError as error:
        yield Finding(ERROR, error.what, error.problem, _RESTORE)
        first = 0
    if first:
        yield Finding(
            NOTE, base_key(run_id, first), "the journal was trimmed: earlier rounds of its cycles are not kept", ""
        )
        try:
            segment = segment_from_bytes(store.get(segment_key(run_id, first)), segment_key(run_id, first))
            for event in segment.events:
                if event[0] == SNAPSHOT:
                    load(get_snapshot(store, run_id, event[1]))
        except (StoreError, FormatError) as error:
            yield Finding(ERROR, segment_key(run_id, first), f"the journal begins with it, and {error}", _RESTORE)
    previous, epoch, after_damage, expected = GENESIS, 0, first > 0, first
    for number in numbers:
        if number < first:
            continue  # the first segment of an executor, or one whose deletion was cut short
        key = segment_key(run_id, number)
        if number > expected:
            last = f" to {segment_key(run_id, number - 1)}" if number - expected > 1 else ""
            yield Finding(
                ERROR,
                segment_key(run_id, expected),
                f"{last.strip()} is missing, and others come after it".strip(),
                _RESTORE,
            )
            after_damage = True
        expected = number + 1
        try:
            data = store.get(key)
            segment = segment_from_bytes(data, key)
        except JournalError as error:
            if is_torn(data):
                yield Finding(
                    WARNING,
                    key,
                    "was never written to its end: a machine died over it",
                    "nothing: what it held was not acknowledged",
                )
            else:
                yield Finding(ERROR, key, str(error), _way_out(error, _RESTORE))
                after_damage = True
            continue
        except StoreError as error:
            yield Finding(ERROR, key, str(error), "repair the store")
            after_damage = True
            continue
        if segment.number != number:
            yield Finding(ERROR, key, f"holds segment {segment.number}", _RESTORE)
        if segment.previous != previous and not after_damage:
            yield Finding(
                ERROR, key, "does not follow the segment before it", f"{_RESTORE}: one of the two was replaced"
            )
        if segment.epoch < epoch:
            yield Finding(
                ERROR,
                key,
                f"is of epoch {segment.epoch}, and one before it of epoch {epoch}: "
                "an executor that was fenced has written",
                _RESTORE,
            )
        previous, epoch, after_damage = segment_digest(data), max(epoch, segment.epoch), False
        events += segment.events


def _note(keys: dict[str, None], found: Iterator[str]) -> None:
    """Note keys as long as they can be told: an object that is missing doesn't tell its parts."""
    with suppress(StoreError, FormatError):
        for key in found:
            keys[key] = None


def _examine_objects(store: Store, run_id: str, manifest: Manifest, events: list[Event]) -> Iterator[Finding]:
    newest = next((event for event in reversed(events) if event[0] == SNAPSHOT), None)
    keys: dict[str, None] = {}
    for value in manifest.inputs.values():
        _note(keys, store.keys_of(value, as_far_as_known=True))
    with suppress(StoreError, FormatError):
        for literal in read_plan(store, manifest).literals:
            _note(keys, store.keys_of(literal, as_far_as_known=True))
    for event in events:
        if event[0] != SNAPSHOT:
            _note(keys, keys_named(store, run_id, event, as_far_as_known=True))
    for key in keys:
        try:
            data = store.get(key)
        except NotInStore:
            yield Finding(
                ERROR,
                key,
                "is missing, and the run names it",
                f"{_RESTORE}, or `promissory rerun {run_id} --from` the node that made it",
            )
            continue
        except StoreError as error:
            yield Finding(ERROR, key, str(error), "repair the store")
            continue
        if digest_by_key(key, data) not in (None, key.rpartition("/")[2]):
            yield Finding(
                ERROR,
                key,
                "is damaged: its digest does not match its bytes",
                f"{_RESTORE}, or `promissory rerun {run_id} --from` the node that made it",
            )
    if newest is not None:
        try:
            load(get_snapshot(store, run_id, newest[1]))
        except (StoreError, FormatError) as error:
            yield Finding(
                WARNING, run_key(run_id, "snapshots"), str(error), "nothing: a resume replays the whole journal instead"
            )


def _examine_futures(store: Store, run_id: str, events: list[Event]) -> Iterator[Finding]:
    for event in events:
        futures = futures_of(event)
        if futures is None:
            continue
        _, header = futures_from_bytes(futures)
        key = futures_key(run_id, node_identity(header.parent, header.index))
        try:
            if store.get(key) != futures:
                yield Finding(
                    WARNING,
                    key,
                    "is not what the journal says",
                    "nothing: the journal counts, and a resume writes it anew",
                )
        except NotInStore:
            yield Finding(WARNING, key, "is missing", "nothing: the journal has its bytes, and a resume writes it anew")
        except StoreDamage as error:
            yield Finding(WARNING, key, str(error), "remove what lies there: the journal has its bytes")


def _examine_checkpoints(store: Store, run_id: str) -> Iterator[Finding]:
    for key in checkpoints.checkpoint_keys(store, run_id):
        try:
            data = store.get(key)
            if checkpoints.is_torn(data):
                yield Finding(
                    WARNING,
                    key,
                    "was never written to its end: a machine died over it",
                    "nothing: it is as if never written",
                )
            else:
                checkpoints.content(data, key)
        except StoreError as error:
            yield Finding(
                ERROR, key, str(error), "delete it, and the task begins with an older one, or at its beginning"
            )


def _examine_beat(store: Store, run_id: str, events: list[Event]) -> Iterator[Finding]:
    beat = read_beat(store, run_id)
    executors = [event for event in events if event[0] == RESUMED]
    if beat is not None and beat.is_live(store, run_id):
        yield Finding(NOTE, run_key(run_id, "beat"), f"{beat.who} works on the run")
    if len(executors) > 1:
        yield Finding(
            NOTE,
            run_key(run_id, "journal"),
            f"{len(executors)} executors have worked on the run, the last one on {executors[-1][2]}",
        )
