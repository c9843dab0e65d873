"""The consequences of an event: the one loop that takes the steps of the agenda, until none is left. Pure.

No step calls another, so a recursion of any depth ends in this loop and not on the interpreter's stack.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Final

from promissory.executor.scheduler import completion, expansion, frame_failure, propagation, requests
from promissory.executor.scheduler.agenda import (
    BROKEN,
    COMPLETE,
    CONCLUDE,
    END,
    FOLLOW,
    ITEM,
    ITERATE,
    LEAVE,
    READY,
    SETTLED,
    SPLICE,
)
from promissory.executor.scheduler.frame import FailedNode, Frame, Repeat
from promissory.executor.scheduler.kinds import awaiting, call, cycle, map
from promissory.executor.scheduler.kinds.table import KINDS
from promissory.executor.scheduler.node_state import PENDING, NodeState
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.plan import Plan


def work_off(state: State) -> None:
    """Take all steps of the agenda, and the steps that they cause."""
    agenda = state.agenda
    while agenda:
        step = agenda.popleft()
        _TAKE[step[0]](state, *step[1:])


def settle(state: State) -> None:
    """Take failing frames towards their end, as far as they can go now."""
    while state.unsettled:
        first = heapq.heappop(state.unsettled)
        while state.unsettled and state.unsettled[0] == first:
            heapq.heappop(state.unsettled)
        frame = state.failing.get(-first)
        if frame is not None and frame_failure.go_on(state, frame):
            state.look_at(frame)
        work_off(state)


def _end(state: State, frame: Frame, index: int, to: NodeState, failed: FailedNode | None, below: Frame | None) -> None:
    """A node has ended otherwise than well."""
    if state.cycles and below is None and failed is not None and cycle.is_trace_of(state, frame, index, failed):
        return
    end = propagation.end if frame.part is None else map.end_in_chunk
    end(state, frame, index, to, failed, below)


def _ready(state: State, frame: Frame, nodes: Sequence[int]) -> None:
    """Nodes are ready, unless a step before this one has ended them."""
    if frame.id in state.frames:
        found = [index for index in nodes if frame.state(index) == PENDING and not frame.cells[index]]
        if frame.part is None:
            if frame.cycle:
                state.make_ready_late(frame, reversed(found))
            else:
                state.make_ready(frame, reversed(found))
        else:
            map.items_are_ready(state, frame, found)


def _leave(state: State, frame: Frame) -> None:
    """All nodes of a frame have ended: the node above goes on as its kind says."""
    if completion.leave(state, frame) and frame.parent is not None:
        KINDS[frame.parent.topology.kind(frame.slot)].answered(state, frame, completion.output_of(frame))


def _splice(
    state: State,
    id: int,
    frame: Frame,
    index: int,
    plan: Plan,
    header: FuturesHeader,
    repeat: Repeat | None,
    loops: bool,
    signalled: bool = False,
) -> None:
    """A dynamic emitted a futures file, or a round of a cycle was traced."""
    if frame.topology.is_cycle(index):
        cycle.open_round(state, id, frame, index, plan, header, repeat)
    else:
        expansion.splice(state, id, frame, index, plan, header, repeat, loops, signalled)


def _settled(state: State, frame: Frame, index: int) -> None:
    """A node of a cycle's round, or of an async dynamic's segment, has ended."""
    (awaiting if frame.is_segment else cycle).settled(state, frame, index)


def _broken(state: State, frame: Frame, failed: FailedNode) -> None:
    """A cycle's round, or an async dynamic's segment, has failed, and nothing of it goes on."""
    (awaiting if frame.is_segment else cycle).broken(state, frame, failed)


_TAKE: Final[dict[int, Callable[..., Any]]] = {
    COMPLETE: completion.complete_late,
    END: _end,
    ITEM: map.item_ended,
    LEAVE: _leave,
    ITERATE: call.iterate,
    SPLICE: _splice,
    FOLLOW: requests.follow,
    CONCLUDE: requests.conclude,
    READY: _ready,
    SETTLED: _settled,
    BROKEN: _broken,
}
