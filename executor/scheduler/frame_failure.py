"""Frames that fail, from the first failure that nothing in them handles to their end, and back again at a resume (rule X6). Pure; the scheduler's.

A frame that fails starts nothing new but what handles failures; when nothing of it runs any more, its handler runs (`on_failure`), and then it has ended: it **collapses**, and the node that
it stands for has failed.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from promissory.executor.protocol.events import COLLAPSED
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import BADLY, CANCELLED, ENDED, FAILED, OPEN, PENDING, UPSTREAM_FAILED, Frame

if TYPE_CHECKING:
    from promissory.executor.scheduler.state import State


def begin(scheduler: State, frame: Frame) -> None:
    """A frame begins to fail."""
    if not scheduler.failing:
        scheduler.busy.clear()
        for id, _ in (*scheduler.in_flight, *scheduler.holding):
            if id in scheduler.frames:
                begins_to_run(scheduler, scheduler.frames[id])
    if frame.parent is not None and frame.id not in scheduler.busy:
        begins_to_run(scheduler, frame.parent)
    scheduler.failing[frame.id] = frame
    topology = frame.topology
    handling = sorted(
        (index for index in (*topology.triggers, *topology.fallbacks) if endings.handles(topology, index)), reverse=True
    )
    scheduler.cleaning[frame.id] = handling
    look_at(scheduler, frame)
    if not topology.graph.runs_on:
        freeze(scheduler, frame)


def freeze(scheduler: State, frame: Frame) -> None:
    """A frame and all below it start nothing new but what handles failures."""
    todo = [frame]
    while todo:
        one = todo.pop()
        if not one.frozen:
            one.frozen = True
            if one.failing is not None:
                look_at(scheduler, one)
            todo.extend(one.inside())


def look_at(scheduler: State, frame: Frame) -> None:
    """A frame that fails may have come a step further."""
    heapq.heappush(scheduler.unsettled, -frame.id)


def begins_to_run(scheduler: State, frame: Frame) -> None:
    """While frames fail: a call of a frame begins to run, or a frame right below it has come to be busy."""
    at: Frame | None = frame
    while at is not None:
        before = scheduler.busy.get(at.id, 0)
        scheduler.busy[at.id] = before + 1
        if before or at.id in scheduler.failing:
            return  # what is above it counts this frame already
        at = at.parent


def runs_no_more(scheduler: State, frame: Frame) -> None:
    """While frames fail: a call of a frame, or a frame right below it, is busy no more."""
    at: Frame | None = frame
    while at is not None:
        left = scheduler.busy[at.id] - 1
        if left:
            scheduler.busy[at.id] = left
            return
        del scheduler.busy[at.id]
        if at.id in scheduler.failing:
            look_at(scheduler, at)
            return
        at = at.parent


def leaves(scheduler: State, frame: Frame) -> None:
    """While frames fail: a frame is open no more."""
    was_busy = scheduler.busy.pop(frame.id, 0) > 0
    if scheduler.failing.pop(frame.id, None) is not None:
        was_busy = True
        scheduler.cleaning.pop(frame.id, None)
    if was_busy and frame.parent is not None and frame.parent.id in scheduler.frames:
        runs_no_more(scheduler, frame.parent)


def settle(scheduler: State) -> None:
    """Bring frames that fail to their end, as far as they have come."""
    while scheduler.unsettled:
        first = heapq.heappop(scheduler.unsettled)
        while scheduler.unsettled and scheduler.unsettled[0] == first:
            heapq.heappop(scheduler.unsettled)
        frame = scheduler.failing.get(-first)
        if frame is not None and _settle_frame(scheduler, frame):
            look_at(scheduler, frame)


def _is_cleaning_up(scheduler: State, frame: Frame) -> bool:
    """Whether a node that may run although its frame fails runs, or could start."""
    handling = scheduler.cleaning[frame.id]
    while handling and frame.state(handling[-1]) in ENDED:
        handling.pop()
    return any(frame.is_going(index) for index in reversed(handling))


def _settle_frame(scheduler: State, frame: Frame) -> bool:
    """One step of a frame that fails; False if there is none."""
    topology = frame.topology
    if frame.frozen:
        if frame.id in scheduler.busy or _is_cleaning_up(scheduler, frame):
            return False
        handling = {index for index in scheduler.cleaning[frame.id] if frame.counts(index)}
        left = [
            i
            for i in range(topology.size)
            if frame.state(i) in (PENDING, OPEN) and i != topology.graph.on_failure and i not in handling
        ]
        left = left or sorted(index for index in handling if frame.state(index) == PENDING)
        if left:
            for index in left:
                endings.mark(scheduler, frame, index, CANCELLED, None)
            endings.spread(scheduler, frame, left)
            return True
    elif frame.remaining:
        return False
    handler = topology.graph.on_failure
    if handler is not None and frame.state(handler) not in ENDED:
        if (frame.id, handler) in scheduler.handlers:
            return False
        scheduler.handlers.add((frame.id, handler))
        scheduler.ready.append((frame, handler))
        return True
    collapse(scheduler, frame)
    return True


def collapse(scheduler: State, frame: Frame) -> None:
    """A frame that fails has ended: the node that it stands for has failed."""
    failed = frame.failing
    assert failed is not None
    _has_failed(scheduler, frame)
    if frame.parent is None:
        scheduler.dead, scheduler.failure = True, failed
        return
    parent, slot, at = frame.parent, frame.slot, len(scheduler.log)
    is_item = parent.part is not None
    endings.fail_node(scheduler, parent, slot, failed)
    is_handled = not is_item and not _leads_out(parent, slot)
    if is_item or is_handled:
        scheduler.log.insert(at, (COLLAPSED, frame.id))
    if is_handled:
        drop(scheduler, frame)  # else a resume goes on in it


def _has_failed(scheduler: State, frame: Frame) -> None:
    """A frame fails no more: it has failed."""
    if scheduler.failing.pop(frame.id, None) is not None:
        scheduler.cleaning.pop(frame.id, None)
        if frame.parent is not None and frame.id not in scheduler.busy:
            runs_no_more(scheduler, frame.parent)


def _leads_out(frame: Frame, index: int) -> bool:
    """Whether a failure, with what it has brought down, reaches a node that nothing follows, or an output: then a resume tries it again."""
    todo, seen = [index], {index}
    while todo:
        one = todo.pop()
        if endings.is_unhandled(frame, one):
            return True
        for follower in (*frame.topology.followers(one), *(frame.more.get(one, ()) if frame.more else ())):
            if follower not in seen and frame.state(follower) in BADLY:
                seen.add(follower)
                todo.append(follower)
    return False


def drop(scheduler: State, frame: Frame) -> None:
    """Forget a frame and all below it."""
    gone = [frame]
    for one in gone:
        gone += one.inside()
    tables: tuple[dict[Key, Any], ...] = (scheduler.maps, scheduler.waiting, scheduler.loops)
    used = [table for table in tables if table]
    for one in reversed(gone):
        scheduler.remove_frame(one)
        for table in used:
            for index in range(one.topology.size):
                table.pop((one.id, index), None)
    scheduler.has_dropped = True


def tell_above(scheduler: State) -> None:
    """A run has failed: what frames stand for that failed late, and whose end no event tells of, has failed with them."""
    for frame in list(scheduler.failing.values()):
        parent, failed = frame.parent, frame.failing
        if not frame.topology.graph.runs_on or parent is None or parent.part is not None or failed is None:
            continue
        if endings.dooms(scheduler, parent, frame.slot, failed):
            endings.frame_fails(scheduler, parent, failed)


def forgive(scheduler: State) -> None:
    """A resume: what failed and is not handled is to be tried again."""
    for frame in list(scheduler.frames.values()):
        if frame.failing is not None and not mapped.is_settled(scheduler, frame):
            _forgive_frame(scheduler, frame)
    mapped.forgive(scheduler)
    for table in (scheduler.failing, scheduler.busy, scheduler.unsettled, scheduler.cleaning, scheduler.handlers):
        table.clear()
    for frame in scheduler.frames.values():
        fails_at_once = frame.failing is not None and not frame.topology.graph.runs_on
        frame.frozen = fails_at_once or (frame.parent is not None and frame.parent.frozen)
    scheduler.failure, scheduler.cancelled = None, None
    scheduler.dead = scheduler.stopping = False


def _forgive_frame(scheduler: State, frame: Frame) -> None:
    topology = frame.topology
    failures = frame.failures or {}
    again = {index for index in failures if endings.is_unhandled(frame, index)}
    todo = [index for index in again if frame.state(index) == UPSTREAM_FAILED]
    while todo:
        for before in topology.before(todo.pop()):
            if before in failures and before not in again:
                again.add(before)
                todo += [before] if frame.state(before) == UPSTREAM_FAILED else []
    for index in again:
        failures.pop(index)
        if frame.state(index) in (FAILED, UPSTREAM_FAILED):
            is_map = (frame.id, index) in scheduler.maps
            frame.set_state(index, OPEN if is_map else PENDING)
    for index in range(topology.size):
        if frame.state(index) == CANCELLED:
            frame.set_state(index, PENDING)
    handler = topology.graph.on_failure
    if handler is not None:
        frame.set_state(handler, PENDING)
        for begun in frame.inside():
            if begun.slot == handler:
                drop(scheduler, begun)
    frame.failing = None
    frame.recount()
