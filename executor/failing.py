"""Frames that fail, from the first failure that nothing in them handles to their end, and back again at a resume (rule X6). Pure; the scheduler's.

A frame that fails starts nothing new but what handles failures; when nothing of it runs any more, its handler runs (`on_failure`), and then it has ended: it **collapses**, and the node that
it stands for has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor import endings, mapped
from executor.events import COLLAPSED
from executor.frame import BADLY, CANCELLED, ENDED, FAILED, OPEN, PENDING, UPSTREAM_FAILED, Frame

if TYPE_CHECKING:
    from executor.scheduler import Scheduler


def settle(scheduler: Scheduler) -> None:
    """Bring frames that fail to their end, as far as they have come."""
    going = True
    while going and scheduler.failing:
        going = False
        for frame in sorted(scheduler.failing.values(), key=lambda one: -one.id):  # what is inside before what is around it
            if frame.id in scheduler.failing and _settle_frame(scheduler, frame):
                going = True


def _settle_frame(scheduler: Scheduler, frame: Frame) -> bool:
    """One step of a frame that fails; False if there is none."""
    topology = frame.topology
    if endings.is_frozen(frame):
        if _is_busy(scheduler, frame):
            return False
        handling = [index for index in (*topology.triggers, *topology.fallbacks) if endings.handles(topology, index) and frame.counts(index)]
        if any(frame.state(index) == OPEN or (frame.state(index) == PENDING and not frame.cells[index]) for index in handling):
            return False
        left = [i for i in range(topology.size) if frame.state(i) in (PENDING, OPEN) and i != topology.graph.on_failure and i not in handling]
        left = left or [index for index in handling if frame.state(index) == PENDING]
        if left:
            for index in left:
                endings.mark(frame, index, CANCELLED, None)
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


def _is_busy(scheduler: Scheduler, frame: Frame) -> bool:
    """Whether anything below a frame runs."""
    if any(_is_below(other, frame) for other in scheduler.failing.values() if other is not frame):
        return True
    if frame.parent is None:
        return bool(scheduler.in_flight or scheduler.holding)
    return any(_is_below(scheduler.frames.get(id), frame) for id, _ in (*scheduler.in_flight, *scheduler.holding))


def _is_below(at: Frame | None, frame: Frame) -> bool:
    while at is not None and at.id >= frame.id:
        if at is frame:
            return True
        at = at.parent
    return False


def collapse(scheduler: Scheduler, frame: Frame) -> None:
    """A frame that fails has ended: the node that it stands for has failed."""
    failed = frame.failing
    assert failed is not None
    if frame.parent is None:
        scheduler.failing.pop(frame.id, None)
        scheduler.dead, scheduler.failure = True, failed
        return
    scheduler.failing.pop(frame.id, None)
    parent, slot, at = frame.parent, frame.slot, len(scheduler.log)
    is_item = parent.part is not None
    endings.fail_node(scheduler, parent, slot, failed)
    is_handled = not is_item and not _leads_out(parent, slot)
    if is_item or is_handled:
        scheduler.log.insert(at, (COLLAPSED, frame.id))
    if is_handled:
        drop(scheduler, frame)  # else a resume goes on in it


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


def drop(scheduler: Scheduler, frame: Frame) -> None:
    """Forget a frame and all below it."""
    gone = {frame.id}
    for id, other in scheduler.frames.items():
        if other.parent is not None and other.parent.id in gone:
            gone.add(id)
    for id in gone:
        scheduler.frames.pop(id, None)
        scheduler.failing.pop(id, None)
    tables: tuple[dict[Any, Any], ...] = (scheduler.maps, scheduler.waiting, scheduler.loops)
    for table in tables:
        for key in [key for key in table if key[0] in gone]:
            del table[key]
    scheduler.has_dropped = True


def tell_above(scheduler: Scheduler) -> None:
    """A run has failed: what frames stand for that failed late, and whose end no event tells of, has failed with them."""
    for frame in list(scheduler.failing.values()):
        parent, failed = frame.parent, frame.failing
        if not frame.topology.graph.runs_on or parent is None or parent.part is not None or failed is None:
            continue
        if endings.dooms(scheduler, parent, frame.slot, failed):
            endings.frame_fails(scheduler, parent, failed)


def forgive(scheduler: Scheduler) -> None:
    """A resume: what failed and is not handled is to be tried again."""
    for frame in list(scheduler.frames.values()):
        if frame.failing is not None and not mapped.is_settled(scheduler, frame):
            _forgive_frame(scheduler, frame)
    mapped.forgive(scheduler)
    scheduler.failing.clear()
    scheduler.handlers.clear()
    scheduler.failure, scheduler.cancelled = None, None
    scheduler.dead = scheduler.stopping = False


def _forgive_frame(scheduler: Scheduler, frame: Frame) -> None:
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
        for begun in [one for one in scheduler.frames.values() if one.parent is frame and one.slot == handler]:
            drop(scheduler, begun)
    frame.failing = None
    frame.recount()
