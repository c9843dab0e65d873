"""Failing frames, from the first failure that nothing in them handles to their end (rule X6). Pure.

A failing frame starts no new node except nodes that handle failures. When no node of the frame runs any more, the
frame's handler (`on_failure`), if there is one, runs. After that the frame **collapses**: the frame has ended, and the
node that the frame stands for has failed.
"""

from __future__ import annotations

from promissory.executor.scheduler.agenda import BROKEN
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import CANCELLED, ENDED, OPEN, PENDING
from promissory.executor.scheduler.propagation import dooms, frame_fails, mark, release_standby, spread
from promissory.executor.scheduler.state import State


def _is_cleaning_up(state: State, frame: Frame) -> bool:
    """Whether a node that handles failures, and so may run in a failing frame, runs or could start."""
    handling = state.cleaning[frame.id]
    while handling and frame.state(handling[-1]) in ENDED:
        handling.pop()
    return any(frame.is_going(index) for index in reversed(handling))


def go_on(state: State, frame: Frame) -> bool:
    """Take one step of a failing frame; False if there is no step to take."""
    topology = frame.topology
    if frame.frozen:
        if frame.id in state.busy or _is_cleaning_up(state, frame):
            return False
        handling = {index for index in state.cleaning[frame.id] if frame.counts(index)}
        left = [
            i
            for i in range(topology.size)
            if frame.state(i) in (PENDING, OPEN) and i != topology.graph.on_failure and i not in handling
        ]
        left = left or sorted(index for index in handling if frame.state(index) == PENDING)
        if left:
            for index in left:
                mark(state, frame, index, CANCELLED, None)
            spread(state, frame, left)
            return True
    elif not frame.is_over:
        if not topology.standby or frame.going or frame.id in state.busy:
            return False
        _give_up(state, frame)
        return True
    handler = topology.graph.on_failure
    if handler is not None and frame.state(handler) not in ENDED:
        if (frame.id, handler) in state.handlers:
            return False
        state.handlers.add((frame.id, handler))
        state.ready.append((frame, handler))
        return True
    collapse(state, frame)
    return True


def _give_up(state: State, frame: Frame) -> None:
    """Take a failing frame that runs on past nodes on standby, when nothing else of the frame can go on."""
    if not release_standby(state, frame):
        left = [
            i for i in range(frame.topology.size) if frame.state(i) == PENDING and i != frame.topology.graph.on_failure
        ]
        for index in left:
            mark(state, frame, index, CANCELLED, None)
        spread(state, frame, left)


def collapse(state: State, frame: Frame) -> None:
    """End a failing frame: the node that the frame stands for has failed."""
    failed = frame.failing
    assert failed is not None
    if state.failing.pop(frame.id, None) is not None:
        state.cleaning.pop(frame.id, None)
        if frame.parent is not None and frame.id not in state.busy:
            state.runs_no_more(frame.parent)
    if frame.parent is None:
        state.dead, state.failure = True, failed
    elif frame.stage:
        state.agenda.append((BROKEN, frame, failed))
    else:
        state.agenda.fail(frame.parent, frame.slot, failed, below=frame)


def tell_above(state: State) -> None:
    """After a run has failed: doom the nodes of frames that failed late, since no event tells of these frames' end."""
    for frame in list(state.failing.values()):
        parent, failed = frame.parent, frame.failing
        if not frame.topology.graph.runs_on or parent is None or parent.part is not None or failed is None:
            continue
        if dooms(state, parent, frame.slot, failed):
            frame_fails(state, parent, failed)
