"""The explanation of a node: why it ran, was taken from the cache, or has not run (rule R4). Reads the journal and the
cache; runs nothing.

No event holds the inputs of a call. So the journal is replayed up to the moment before the call's outcome, when the
scheduler still holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from promissory.executor.cache.entries import Entry, at_work, entries
from promissory.executor.errors import DoesNotFit, JournalError
from promissory.executor.history.history import History, NodeRow
from promissory.executor.history.recovery import at_the_beginning
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.events import EXPANDED, NODE_DONE, NODE_FAILED, SIGNALLED
from promissory.executor.scheduler.cache_key import Fields, fields_of, result_key
from promissory.executor.scheduler.node_state import PENDING
from promissory.executor.scheduler.replay import TOLD, replay
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.keys import segment_key
from promissory.executor.store.store import Store

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Explanation:
    """A node, its state, and the reasons of that state, the first one first."""

    path: str
    state: str
    reasons: list[str]


def explain(store: Store, run_id: str, path: str) -> Explanation:
    """Why a node is as it is. Raises `RunNotFound`, `JournalError`."""
    history = History(store, run_id, items="[" in path)  # each item has a row of its own only then
    frame, index, iteration = history.find_iteration(path)
    if iteration is not None and iteration < history.iterations.get((frame, index), 0):
        return _of_iteration(History(store, run_id, items=True), frame, index, iteration)
    row = history.row(frame, index)
    reasons = list(_reasons(store, history, frame, index, row))
    return Explanation(row.path, row.state + (" (cached)" if row.cached else ""), reasons)


def _of_iteration(history: History, frame: int, index: int, iteration: int) -> Explanation:
    """The explanation of an iteration that another iteration followed."""
    attempt = history.iteration_metas[frame, index][iteration][3]
    reasons = list(_tries(history, frame, index, iteration))
    reasons.append(f"it ran: attempt {attempt} ended the iteration, and another iteration followed")
    return Explanation(f"{history.path(frame, index)}[={iteration}]", "SUCCEEDED", reasons)


def _tries(history: History, frame: int, index: int, iteration: int) -> Iterator[str]:
    tries = history.tries((frame, index), iteration)
    for failure, meta in tries[:_SHOWN]:
        yield _with_traceback(f"attempt {meta[3]} failed: {failure}", failure.traceback)
    if len(tries) > _SHOWN:
        yield f"and {len(tries) - _SHOWN} more"


def _reasons(store: Store, history: History, frame: int, index: int, row: NodeRow) -> Iterator[str]:
    if row.state in ("PENDING", "UPSTREAM_FAILED", "CANCELLED", "READY"):
        yield from _not_run(store, history, frame, index, row)
        return
    fields, is_cached = _fields(store, history, frame, index)
    if row.cached:
        found = [entry for _, entry in entries(store) if entry is not None and entry.fields == fields]
        expanded = row.state == "EXPANDED" or history.has_futures(frame, index)
        made = next(
            (
                entry
                for entry in found
                if (entry.futures is not None) is expanded
                and (entry.run_id, entry.path) != (history.manifest.run_id, row.path)
            ),
            None,
        )
        where = "an equal call of this run or an earlier one" if made is None else f"{made.path} of run {made.run_id}"
        yield f"its outcome was taken from the cache: {where} had the same task, version, interface and inputs"
        return
    if row.state == "RUNNING":
        yield f"it runs, on {row.worker}, attempt {row.attempts}"
        return
    if row.state in ("FAILED", "EXPANDED") and not row.why:
        inside = [one for one in history.inside(frame, index) if one.state == "FAILED" and one.why]
        if inside:
            yield f"it failed, since {', '.join(one.path for one in inside)} in it failed: {inside[0].why}"
        else:
            yield "its body has run, and what it called is not over yet"
        return
    if row.state == "SKIPPED":
        yield f"it was skipped: {row.why}" if row.why else "it was skipped: nothing led to it"
        return
    if row.kind == "gate":
        yield from _of_gate(history, frame, index, row)
        return
    if row.iterations:
        last = "the last of a loop" if row.state == "SUCCEEDED" else "of a loop"
        yield f"this is iteration {row.iterations}, {last} (the first one is 0)"
        yield from _tries(history, frame, index, row.iterations)
    elif row.attempts > 1:
        yield from _tries(history, frame, index, 0)
    if row.state == "RETRYING":
        yield _with_traceback(f"attempt {row.attempts} failed ({row.why}), and another one follows", row.traceback)
    elif row.state == "FAILED" and row.kind == "map":
        yield f"more of its items failed than may: {row.why}"
    elif row.state == "FAILED" and row.why:
        yield _with_traceback(f"attempt {row.attempts} failed for good: {row.why}", row.traceback)
    elif row.kind == "map" and row.items is not None:
        yield f"it has called what it maps over for each of {row.items[1]:,} items"
    elif row.kind == "plan":
        yield "it stands for a workflow, whose tasks run in it"
    elif row.attempts > 1:
        yield f"it ran: attempt {row.attempts} succeeded"
    else:
        yield "it ran"
    if row.kind != "plan":
        yield from _about_cache(store, history, row, fields, is_cached)


def _of_gate(history: History, frame: int, index: int, row: NodeRow) -> Iterator[str]:
    waiting = history.scheduler.waiting.get((frame, index))
    if row.state == "FAILED":
        yield f"it failed: {row.why}"
    elif row.state == "SUCCEEDED":
        yield "it has waited, and is over"
    elif waiting is not None and waiting.wants is not None:
        run_id = history.manifest.run_id
        yield f"it waits for an answer ({waiting.wants}): promissory answer {run_id} {waiting.spec.name} VALUE"
    else:
        yield "it waits for its moment"


def _how_far(history: History, frame: int, index: int, row: NodeRow) -> str:
    """How far a node had come when it was cancelled, as the beginning of a sentence."""
    if history.children.get((frame, index)):
        return "it has begun, and what it called was not over yet, when"
    if row.iterations:
        return f"{row.iterations} of its iterations have ended, and the next one was not over yet, when"
    if row.attempts or history.last_try((frame, index)) is not None:
        return "its body was running, or waited for another attempt, when"
    return "it did not run: before its turn came,"


def _with_traceback(said: str, traceback: str) -> str:
    return f"{said}\n{traceback.rstrip()}" if traceback.strip() else said


def _not_run(store: Store, history: History, frame: int, index: int, row: NodeRow) -> Iterator[str]:
    waits = [one for one in history.before(frame, index) if one.state != "SUCCEEDED"]
    if row.state == "UPSTREAM_FAILED":
        waits = [one for one in waits if one.state in ("FAILED", "UPSTREAM_FAILED")]
        yield f"it did not run, since what it needs failed: {', '.join(one.path for one in waits)}"
    elif row.state == "CANCELLED":
        why = f" ({history.end[1]})" if history.end and history.end[1] else ""
        yield f"{_how_far(history, frame, index, row)} the run ended {history.state}{why}"
    elif row.state == "READY" and (other := _at_work_elsewhere(store, history, frame, index)) is not None:
        yield f"an equal call is at work in run {other}, and of equal calls one runs (cache_serialize)"
    elif row.state == "READY":
        yield (
            "it has all it needs, and waits for a worker"
            if history.is_live
            else "it has all it needs; nobody works on the run, so resume it"
        )
    elif not waits and index in history.opened[frame].topology.standby:
        yield "it is on standby, and no task has sent the run to it"
    else:
        yield f"it waits for {', '.join(f'{one.path} ({one.state})' for one in waits) or 'nothing'}"


def _at_work_elsewhere(store: Store, history: History, frame: int, index: int) -> str | None:
    """The run that has the lease on a call, if it is another run."""
    fields, is_cached = _fields(store, history, frame, index)
    run_id = at_work(store, result_key(fields)) if fields is not None and is_cached else None
    return None if run_id == history.manifest.run_id else run_id


def _about_cache(store: Store, history: History, row: NodeRow, fields: Fields | None, is_cached: bool) -> Iterator[str]:
    """The reasons why a call ran although it may be cached: the nearest entry, and its first difference."""
    if fields is None:
        return
    if not is_cached:
        yield "it is not cached (cache=False)"
        return
    others = [
        entry
        for _, entry in entries(store)
        if entry is not None and entry.task == fields[0][1].decode() and entry.futures is None
    ]
    earlier = [
        entry
        for entry in others
        if entry.fields != fields and (not row.started or entry.created <= row.started + row.duration)
    ]
    if not earlier:
        yield "the cache had no result of this task"
        return
    run_id = history.manifest.run_id  # people compare a call with the same node of an earlier run
    nearest = max(
        earlier,
        key=lambda entry: (
            entry.run_id != run_id and entry.path == row.path,
            entry.run_id != run_id,
            _agreement(entry, fields),
            entry.created,
        ),
    )
    name, ours, theirs = _first_difference(nearest.fields, fields)
    yield (
        f"the cache had no equal call; the nearest one ({nearest.path} of run {nearest.run_id}) "
        f"differs first in its {name}: {theirs} there, {ours} here"
    )


def _agreement(entry: Entry, fields: Fields) -> int:
    return len(set(entry.fields) & set(fields))


def _first_difference(theirs: Fields, ours: Fields) -> tuple[str, str, str]:
    there, here = dict(theirs), dict(ours)
    for name in dict.fromkeys([*here, *there]):
        if here.get(name) != there.get(name):
            return name, _shown(name, here.get(name)), _shown(name, there.get(name))
    return "order of inputs", "another", "one"


def _shown(name: str, told: bytes | None) -> str:
    if told is None:
        return "nothing"
    return told.decode()[:40] if name in ("task", "version") else told.hex()[:12]


def _fields(store: Store, history: History, frame: int, index: int) -> tuple[Fields | None, bool]:
    """The fields of a call at the moment when it had its inputs, and whether its policy says that it is cached."""
    manifest = history.manifest
    scheduler, first = at_the_beginning(store, manifest, history.plan, Scheduler)
    for segment, _ in read_segments(store, manifest.run_id, first, find_end(store, manifest.run_id)):
        for event in segment.events:
            if event[0] in (NODE_DONE, EXPANDED, NODE_FAILED, SIGNALLED) and event[1:3] == (frame, index):
                break
            if event[0] in TOLD:
                try:
                    replay(scheduler, event)
                except DoesNotFit as error:
                    raise JournalError(
                        segment_key(manifest.run_id, segment.number), f"has an event that does not fit the run: {error}"
                    ) from None
        else:
            continue
        break
    held = scheduler.frames.get(frame)
    if held is None or held.state(index) != PENDING or not held.topology.is_call(index):
        return None, False
    return fields_of(held, index), held.topology.is_cached(index)
