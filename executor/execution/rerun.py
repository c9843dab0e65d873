"""Reruns: a new run that takes all results of an earlier one, except those of a node and of the nodes that depend on
it.

The earlier run's journal is replayed into the new run without the events of the nodes that are to run again. The
scheduler is a state machine, so events whose causes are all there make a valid state. Frames get new numbers, in the
order in which they are opened again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from promissory.executor.code.resolver import Code, missing_modules_from
from promissory.executor.errors import RunExists, RunNotFound
from promissory.executor.execution.code_changes import adopt_current_code
from promissory.executor.execution.first_events import code_event, resumed_event, stop_events
from promissory.executor.execution.options import Limited, Options, check_limits
from promissory.executor.execution.own_run import OwnRun
from promissory.executor.execution.prepare import (
    Target,
    codecs_of,
    keep_current_code,
    new_execution,
    refuse_timeouts,
    run_name,
)
from promissory.executor.execution.presence import Presence
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.events import (
    AWAITED,
    CHOSEN,
    COLLAPSED,
    CYCLE_ENDED,
    CYCLES_STOP,
    EXPANDED,
    ITEMS,
    LOOPED,
    NODE_DONE,
    NODE_FAILED,
    NODE_SKIPPED,
    OPENED,
    OPENING,
    SIGNALLED,
    Event,
    begins_iteration,
    meta_of,
)
from promissory.executor.records.manifest import new_manifest, write_manifest
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.replay import extend, replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.forms import is_ours
from promissory.executor.store.keys import run_key
from promissory.executor.store.mark import mark
from promissory.executor.store.probe import probe
from promissory.executor.store.store import Store
from promissory.planner.plan.specs import Earlier

_TAKEN: Final = frozenset(
    (
        AWAITED,
        NODE_DONE,
        EXPANDED,
        OPENED,
        NODE_FAILED,
        COLLAPSED,
        LOOPED,
        NODE_SKIPPED,
        CHOSEN,
        ITEMS,
        SIGNALLED,
        CYCLE_ENDED,
    )
)


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of an earlier run that a rerun takes.

    Attributes:
        again: for each frame of the earlier run, the nodes (and joints) that are to run again.
        above: the nodes that stand for a frame in which a node is to run again.
        gone: frames that are opened anew, if at all.
        numbers: the new number of each frame that is kept, as far as is known.
        loops: how many iterations stay of the node that runs again, and of the nodes above it.
        told: how often the bodies of async dynamics above it stay told something.
    """

    again: dict[int, set[int]]
    above: set[Key]
    gone: set[int]
    numbers: dict[int, int]
    loops: dict[Key, int]
    told: dict[Key, int]


def to_run_again(history: History, frame: int, node: int, iteration: int = 0) -> Kept:
    """The nodes that have to run again if a node does, from an iteration on: those that follow it in its frame, the
    node that stands for that frame, those that follow that node, and so on up."""
    again: dict[int, set[int]] = {}
    above: set[Key] = set()
    loops = {(frame, node): iteration}
    told: dict[Key, int] = {}
    at, index = frame, node
    while at >= 0:
        again[at] = again.get(at, set()) | history.followed_by(at, index)
        stays = history.frame_iterations.get(at, 0)
        segment = at
        at, index = history.parent(at)
        above.add((at, index))
        loops[at, index] = stays
        if segment in history.segments:
            told[at, index] = _told_before(history, (at, index), again)
    gone: set[int] = set()
    for id in history.frames():
        parent, slot = history.parent(id)
        # Other chunks of a map stay, and so do earlier iterations of a loop, and earlier rounds of a cycle.
        beside = (parent, slot) in above and (
            history.opened[id].part is not None
            or any(id < kept and history.parent(kept) == (parent, slot) for kept in again)
        )
        if (parent, slot) in told:
            emitted = [child for _, child in history.stretches[parent, slot][: told[parent, slot]]]
            beside = id in emitted
            if not beside:
                again.pop(id, None)
        beside = beside or ((parent, slot) == (frame, node) and history.frame_iterations.get(id, 0) < iteration)
        if parent in gone or (slot in again.get(parent, ()) and id not in again and not beside):
            gone.add(id)
    return Kept(again, above, gone, {0: 0}, loops, told)


def _told_before(history: History, key: Key, again: dict[int, set[int]]) -> int:
    """How often the body of an async dynamic was told something before it was told of a node that runs again. Adds the
    nodes of later segments that take values of such nodes."""
    segments = sorted((history.segments[id], id) for id in history.children[key] if id in history.segments)
    affected = {(ordinal, index) for ordinal, id in segments for index in again.get(id, ())}
    for ordinal, id in segments:
        topology = history.opened[id].topology
        for index in topology.earlier:
            spec = topology.graph.specs[index]
            assert isinstance(spec, Earlier)
            source = ordinal - spec.distance
            names = history.opened[dict(segments)[source]].topology.names
            if (source, names.index(spec.name)) in affected:
                again.setdefault(id, set()).update(history.followed_by(id, index))
                affected |= {(ordinal, one) for one in again[id]}
    for number, (told, _) in enumerate(history.stretches[key]):
        if not affected.isdisjoint(told):
            return number
    return len(history.stretches[key])


def kept_events(history: History, kept: Kept, events: Iterator[Event]) -> Iterator[Event]:
    """The events of an earlier run that the new run begins with, under the frames' new numbers."""
    numbers = kept.numbers
    iterations = dict.fromkeys(kept.loops, 0)
    told = dict.fromkeys(kept.told, 0)
    for event in events:
        kind = event[0]
        if kind == CYCLES_STOP:  # a cycle that runs again goes as far as it was told to
            yield event
            continue
        if kind not in _TAKEN or event[1] in kept.gone or event[1] not in numbers:
            continue
        frame, index = (event[1], event[2]) if kind != COLLAPSED else history.parent(event[1])
        runs_again = index in kept.again.get(frame, ())
        if kind == AWAITED and (frame, index) in told:
            told[frame, index] += 1
            runs_again = told[frame, index] > kept.told[frame, index]
            if runs_again:
                continue
        if kind == ITEMS:
            runs_again = runs_again and (frame, index) not in kept.above
        if kind == COLLAPSED:
            if not runs_again:
                yield kind, numbers[event[1]]
            continue
        if (frame, index) in iterations and begins_iteration(event):
            runs_again = iterations[frame, index] >= kept.loops[frame, index]
            iterations[frame, index] += 1
        at = OPENING.get(kind)
        child = -1 if at is None else event[at]
        if child < 0:
            if not runs_again:
                yield (kind, numbers[frame], *event[2:])
        elif child not in kept.gone:
            assert at is not None
            numbers[child] = len(numbers)
            yield (kind, numbers[frame], *event[2:at], numbers[child], *event[at + 1 :])


def _later(event: Event, by: int) -> Event:
    """An event whose beginning is told relative to another moment."""
    if meta_of(event) is None:
        return event
    started, *rest = event[-1]
    return (*event[:-1], (started + by, *rest))


def prepare_rerun(
    store: Store,
    run_id: str,
    path: str,
    options: Options,
    limits: Limited,
    *,
    target: Target | None = None,
    new_run_id: str | None = None,
) -> OwnRun:
    """Write the new run's beginning, and the events that it takes from the earlier run; then it can be carried.

    Raises `RunNotFound`, `CodeChanged`, `EngineError`, `RunExists`, `JournalError`.
    """
    history = History(store, run_id)
    if history.is_trimmed:
        raise RunNotFound(f"the beginning of run {run_id} was not kept (keep_cycles), so it can't be run again in part")
    probe(store)
    mark(store)
    earlier, plan = history.manifest, history.plan
    frame, node, iteration = history.find_iteration(path)
    if "@" in path.rpartition("/")[2] and history.opened[frame].topology.is_cycle(node):
        raise RunNotFound(f"{path} is a round: name a node in it, or the cycle {path.rpartition('@')[0]}")
    at = (frame, node)
    kept = to_run_again(history, frame, node, iteration or 0)
    name = run_name(new_run_id, plan.name)
    run_limits = history.limits.changed(*limits)
    check_limits(run_limits)
    scheduler = Scheduler(run_limits, run=name.encode())
    scheduler.stop_at = earlier.stop
    scheduler.open_root(plan, tuple(earlier.inputs[p.name] for p in plan.inputs))
    taken: list[Event] = []
    segments = read_segments(store, run_id, 0, find_end(store, run_id))
    for event in kept_events(history, kept, (event for segment, _ in segments for event in segment.events)):
        replay(scheduler, event)
        taken.append(event)
    begins = resumed_event(1, run_limits)
    replay(scheduler, begins)  # nodes whose failure was not handled are tried again
    if options.stop is not None:
        extend(scheduler, options.stop)
    replayed(scheduler)
    scheduler.settled.clear()
    scheduler.afresh.update(
        (frame.id, index) for frame, index in scheduler.ready if (frame.id, index) == (kept.numbers.get(at[0]), at[1])
    )
    if not options.engine.stops_bodies and not options.soft_timeouts:
        for one in scheduler.frames.values():
            refuse_timeouts(one.topology.shape, options.engine.name)
    if earlier.bundle:
        missing_modules_from(store, earlier.bundle, scheduler)
    changes, current = adopt_current_code(scheduler, "", Code(store, run_id, earlier.bundle).is_of_another_name)
    manifest = replace(
        new_manifest(
            name,
            plan.name,
            earlier.plan,
            earlier.inputs,
            options.engine.name,
            run_limits,
            earlier.source,
            earlier.bundle,
        ),
        parent=(run_id, path),
        stop=earlier.stop,
    )
    for key in filter(is_ours, store.list(run_key(run_id, "code"))):
        store.put_new(run_key(name, "code/" + key.rpartition("/")[2]), store.get(key))
    if store.exists(run_key(name, "manifest")):
        raise RunExists(f"the store {store.url} has a run {name!r} already: give another name")
    for key in filter(is_ours, store.list(run_key(name, "journal"))):
        store.remove(key)  # left by a rerun that died before its manifest was written
    presence = Presence(store, options.beat)
    changed: list[Any] = [code_event(change.name, change.old, change.new) for change in changes]
    later = earlier.created - manifest.created  # times are told relative to the creation of a run
    with ExitStack() as unless_ready:
        unless_ready.callback(presence.end)
        execution = new_execution(store, manifest, scheduler, options, plan, presence)
        execution.claims((*(_later(event, later) for event in taken), begins, *stop_events(options.stop), *changed))
        if not write_manifest(store, manifest):
            raise RunExists(f"the store {store.url} has a run {name!r} already: give another name")
        keep_current_code(store, name, options.engine, current)
        unless_ready.pop_all()
    return OwnRun(name, store, codecs_of(target if target is not None else plan), execution, plan)
