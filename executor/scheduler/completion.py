"""Completion: a node's value wakes the node's followers; a frame with no node left gives its outputs to the node above.

Pure. Nothing here recurses: frames end in a loop, however deep they are nested.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.cache_key import fields_of
from promissory.executor.scheduler.calls import Settled
from promissory.executor.scheduler.frame import DONE, PENDING, Frame
from promissory.executor.scheduler.frame import SKIPPED as SKIPPED_STATE
from promissory.executor.scheduler.state import State
from promissory.planner.plan.model import Value

NOTHING: Final = b"\xc0"
"""The value None."""


def complete(scheduler: State, frame: Frame, index: int, value: Value, fresh: bool) -> None:
    """Record a node's value: wake its followers, drop the values that no node needs any more, end frames that are done.

    Args:
        fresh: whether a body made the value; a value from the cache is not fresh.
    """
    while True:
        topology, cells = frame.topology, frame.cells
        if topology.code.caches and fresh and topology.is_cached(index):
            settle(scheduler, frame, index, value, None)
        size = topology.size
        cells[2 * size + index] = DONE
        if not topology.dormant or frame.counts(index):
            frame.remaining -= 1
            frame.going -= 1
        if index < topology.count and frame.part is None and not frame.loop:
            scheduler.done_nodes += 1
        if scheduler.loops:
            scheduler.loops.pop((frame.id, index), None)
        if scheduler.maps:
            scheduler.maps.pop((frame.id, index), None)
        if cells[size + index]:
            if frame.values is None:
                frame.values = {}
            frame.values[index] = value
        offsets, values = topology.take_offsets, frame.values
        for position in range(offsets[index], offsets[index + 1]):
            taken = topology.take_list[position]
            cells[size + taken] -= 1
            if cells[size + taken] == 0 and values is not None:
                values.pop(taken, None)
        if frame.mixed or topology.unusual:
            if frame.failing is not None:
                failing.look_at(scheduler, frame)
            endings.release(scheduler, frame, index)
        else:
            offsets = topology.successor_offsets
            for position in range(offsets[index + 1] - 1, offsets[index] - 1, -1):
                follower = topology.successor_list[position]
                cells[follower] -= 1
                if cells[follower] == 0:
                    if frame.part is None:
                        scheduler.ready.append((frame, follower))
                    else:
                        mapped.item_is_ready(scheduler, frame, follower)
        if frame.part is not None and index < topology.count:
            mapped.item_ended(scheduler, frame, index)
        if frame.remaining:
            if topology.standby:
                endings.release_standby(scheduler, frame)
            if frame.remaining:
                return
        if frame.id not in scheduler.frames:
            return  # the consequences of the last node have ended the frame already
        ended = _leave(scheduler, frame)
        if ended is None:
            return
        frame, index, value, fresh = ended
        if frame.topology.code.commits_each and not scheduler.replaying and frame.topology.commits_each(index):
            # A frame's completion is not logged. The node counts as committed once every event recorded so far is.
            scheduler.hold_back(frame, index, partial(complete, scheduler, frame, index, value, True))
            scheduler.ended_frames.append((frame.id, index))
            return


def leave(scheduler: State, frame: Frame) -> None:
    """End a frame whose nodes have all ended."""
    ended = _leave(scheduler, frame)
    if ended is not None:
        complete(scheduler, *ended)


def _leave(scheduler: State, frame: Frame) -> tuple[Frame, int, Value, bool] | None:
    """End a frame whose nodes have all ended. Returns the node above that is done now, and its value; else None."""
    if frame.failing is not None:
        return None  # `failing.settle` brings the frame to its end
    scheduler.remove_frame(frame)
    for index in frame.topology.standby:
        if frame.state(index) == PENDING:
            frame.set_state(index, SKIPPED_STATE)  # no task sent the run to this node
    values = [frame.value(binding) if endings.is_there(frame, binding) else None for binding in frame.topology.outputs]
    if frame.parent is None:
        scheduler.outputs = tuple(values) or (NOTHING,)
        return None
    value = values[0] if values else NOTHING
    if frame.part is not None:
        assert value is not None
        return mapped.chunk_done(scheduler, frame, value)
    if value is None:
        endings.end(scheduler, frame.parent, frame.slot, SKIPPED_STATE)
        return None
    if frame.loop:
        parent, slot = frame.parent, frame.slot
        parent.set_state(slot, PENDING)
        scheduler.iterate(parent, slot, value)
        return None
    return frame.parent, frame.slot, value, not frame.signalled


def settle(scheduler: State, frame: Frame, index: int, value: Value | None, futures: bytes | None) -> None:
    topology = frame.topology
    loop = scheduler.loops.get((frame.id, index)) if futures is not None else None
    scheduler.settled.append(
        Settled(
            fields_of(frame, index, loop),
            frame.path_of(index),
            value,
            futures,
            topology.policy(index).cache_serialize,
        )
    )
