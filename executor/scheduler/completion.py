"""Completion: a node's value wakes the node's followers; a frame with no node left gives its output. Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.protocol.events import NO_META, NODE_DONE, Meta
from promissory.executor.scheduler import propagation
from promissory.executor.scheduler.agenda import COMPLETE, ITEM, LEAVE, READY, SETTLED
from promissory.executor.scheduler.cache_key import fields_of
from promissory.executor.scheduler.calls import Settled
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import DONE, ENDED, SKIPPED
from promissory.executor.scheduler.state import State
from promissory.planner.plan.model import Binding, Value

NOTHING: Final = b"\xc0"
"""The value None."""


def done(state: State, frame_id: int, index: int, value: Value, meta: Meta = NO_META) -> None:
    """A node has its value. The value is ignored if the node is done already, or belongs to no open frame."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    state.log.append((NODE_DONE, frame_id, index, value, meta))
    if meta[1] and state.tally is not None:  # as `State.spend`, without a call: nothing runs more often than this
        state.tally.spent[frame.topology.calls.each[index]] += meta[1]
    if frame.topology.code.commits_each and state.is_held_back(frame, index):
        state.hold_back(frame, index, (COMPLETE, frame, index, value, meta[3] > 0))
    else:
        complete(state, frame, index, value, meta[3] > 0)


def complete(state: State, frame: Frame, index: int, value: Value, fresh: bool) -> None:
    """Record a node's value: wake its followers, and drop the values that no node needs any more.

    Args:
        fresh: whether a body made the value; a value from the cache is not fresh.
    """
    topology, cells = frame.topology, frame.cells
    if topology.code.caches and fresh and topology.is_cached(index):
        settle(state, frame, index, value, None)
    size = topology.size
    cells[2 * size + index] = DONE
    if state.followed is not None:
        state.followed.append((frame, index))
    if not topology.dormant or frame.counts(index):
        frame.remaining -= 1
        frame.going -= 1
    if index < topology.count and frame.part is None and not frame.loop:
        state.done_nodes += 1
    if state.loops:
        state.loops.pop((frame.id, index), None)
    if state.maps:
        state.maps.pop((frame.id, index), None)
    if state.cycles:
        state.cycles.pop((frame.id, index), None)
    if state.awaits:
        state.awaits.pop((frame.id, index), None)
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
            state.look_at(frame)
        propagation.release(state, frame, index)
    else:
        offsets = topology.successor_offsets
        for position in range(offsets[index + 1] - 1, offsets[index] - 1, -1):
            follower = topology.successor_list[position]
            cells[follower] -= 1
            if cells[follower] == 0:
                if frame.part is None and not frame.stage:
                    state.ready.append((frame, follower))
                else:
                    state.agenda.append((READY, frame, (follower,)))
    if frame.part is not None and index < topology.count:
        state.agenda.append((ITEM, frame, index))
    elif frame.stage:
        state.agenda.append((SETTLED, frame, index))
        state.done_nodes -= index in topology.earlier
    if frame.asleep:
        propagation.release_standby(state, frame)
    elif not frame.remaining:
        state.agenda.append((LEAVE, frame))


def complete_late(state: State, frame: Frame, index: int, value: Value, fresh: bool) -> None:
    """Record the value of a node that may have ended otherwise since the value was there."""
    if frame.id in state.frames and frame.state(index) not in ENDED:
        complete(state, frame, index, value, fresh)


def leave(state: State, frame: Frame) -> bool:
    """End a frame whose nodes have all ended. Returns whether it ends now.

    A failing frame comes to its end otherwise (`frame_failure`).
    """
    if not frame.is_over or frame.failing is not None or frame.id not in state.frames:
        return False
    state.remove_frame(frame)
    if state.loops:
        for index in frame.failures or ():
            state.loops.pop((frame.id, index), None)  # the failure was handled, so no resume goes on with the loop
    if frame.parent is None:
        outputs = frame.topology.outputs
        state.outputs = tuple(_output(frame, binding) for binding in outputs) or (NOTHING,)
    return True


def output_of(frame: Frame) -> Value | None:
    """The value that a frame which has left gives to the node above; None if the output was skipped."""
    outputs = frame.topology.outputs
    return _output(frame, outputs[0]) if outputs else NOTHING


def _output(frame: Frame, binding: Binding) -> Value | None:
    return frame.value(binding) if propagation.is_there(frame, binding) else None


def answer(state: State, frame: Frame, value: Value | None) -> None:
    """A frame has left: the node that it stands for has the frame's output as its value, or is skipped with it."""
    parent, slot = frame.parent, frame.slot
    assert parent is not None
    if value is None:
        state.agenda.end(parent, slot, SKIPPED)
    elif parent.topology.code.commits_each and state.is_held_back(parent, slot):
        # A frame's completion is not logged. The node counts as committed once every event recorded so far is.
        state.hold_back(parent, slot, (COMPLETE, parent, slot, value, True))
        state.ended_frames.append((parent.id, slot))
    else:
        complete_late(state, parent, slot, value, not frame.signalled)


def settle(state: State, frame: Frame, index: int, value: Value | None, futures: bytes | None) -> None:
    """Note an outcome for the cache: a value, or the futures file that a dynamic emitted."""
    loop = state.loops.get((frame.id, index)) if futures is not None else None
    state.settled.append(
        Settled(
            fields_of(frame, index, loop),
            frame.path_of(index),
            value,
            futures,
            frame.topology.policy(index).cache_serialize,
        )
    )
