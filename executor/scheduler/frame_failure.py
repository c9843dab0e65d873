"""Failing frames, from the first failure that nothing in them handles to their end, and their way back at a resume.

Rule X6. Pure; part of the scheduler.

A failing frame starts no new node except nodes that handle failures. When no node of the frame runs any more, the
frame's handler (`on_failure`), if there is one, runs. After that the frame **collapses**: the frame has ended, and the
node that the frame stands for has failed.
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
    """Freeze a frame and all frames below: they start no new node except nodes that handle failures."""
    todo = [frame]
    while todo:
        one = todo.pop()
        if not one.frozen:
            one.frozen = True
            if one.failing is not None:
                look_at(scheduler, one)
            todo.extend(one.inside())


def look_at(scheduler: State, frame: Frame) -> None:
    """Note that a failing frame may have come a step further."""
    heapq.heappush(scheduler.unsettled, -frame.id)


def begins_to_run(scheduler: State, frame: Frame) -> None:
    """While frames fail: a call of a frame begins to run, or a frame right below that frame becomes busy."""
    at: Frame | None = frame
    while at is not None:
        before = scheduler.busy.get(at.id, 0)
        scheduler.busy[at.id] = before + 1
        if before or at.id in scheduler.failing:
            return  # the frame above counts this frame already
        at = at.parent


def runs_no_more(scheduler: State, frame: Frame) -> None:
    """While frames fail: a call of a frame, or a frame right below that frame, is busy no more."""
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
    """Take failing frames towards their end, as far as they can go now."""
    while scheduler.unsettled:
        first = heapq.heappop(scheduler.unsettled)
        while scheduler.unsettled and scheduler.unsettled[0] == first:
            heapq.heappop(scheduler.unsettled)
        frame = scheduler.failing.get(-first)
        if frame is not None and _settle_frame(scheduler, frame):
            look_at(scheduler, frame)


def _is_cleaning_up(scheduler: State, frame: Frame) -> bool:
    """Whether a node that handles failures, and so may run in a failing frame, runs or could start."""
    handling = scheduler.cleaning[frame.id]
    while handling and frame.state(handling[-1]) in ENDED:
        handling.pop()
    return any(frame.is_going(index) for index in reversed(handling))


def _settle_frame(scheduler: State, frame: Frame) -> bool:
    """Take one step of a failing frame; False if there is no step to take."""
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
    """End a failing frame: the node that the frame stands for has failed."""
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
        drop(scheduler, frame)  # the frame of an unhandled failure is kept: a resume retries inside it


def _has_failed(scheduler: State, frame: Frame) -> None:
    """Take a frame off the failing frames, since the frame has failed."""
    if scheduler.failing.pop(frame.id, None) is not None:
        scheduler.cleaning.pop(frame.id, None)
        if frame.parent is not None and frame.id not in scheduler.busy:
            runs_no_more(scheduler, frame.parent)


def _leads_out(frame: Frame, index: int) -> bool:
    """Whether a node's failure, with the followers that it brought down, reaches an output or a node without followers.

    A resume tries such a node again.
    """
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
    """Forget a frame and all frames below."""
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
    """After a run has failed: doom the nodes of frames that failed late, since no event tells of these frames' end."""
    for frame in list(scheduler.failing.values()):
        parent, failed = frame.parent, frame.failing
        if not frame.topology.graph.runs_on or parent is None or parent.part is not None or failed is None:
            continue
        if endings.dooms(scheduler, parent, frame.slot, failed):
            endings.frame_fails(scheduler, parent, failed)


def forgive(scheduler: State) -> None:
    """Begin a resume: nodes whose failures nothing handled are to be tried again."""
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
