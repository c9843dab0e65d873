"""The beginning of a resume: failures that nothing handled are forgotten, and their nodes are tried again. Pure."""

from __future__ import annotations

from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.earlier import resolve
from promissory.executor.scheduler.kinds.going_back import go_back
from promissory.executor.scheduler.mapping import is_done_without, mapping_of
from promissory.executor.scheduler.node_state import CANCELLED, FAILED, OPEN, PENDING, UPSTREAM_FAILED
from promissory.executor.scheduler.propagation import is_unhandled
from promissory.executor.scheduler.state import State


def forgive(state: State) -> None:
    """Begin a resume: nodes whose failures nothing handled are to be tried again.

    Notes steps on the agenda, where nodes of later rounds of a cycle take over what is there.
    """
    for frame in list(state.frames.values()):
        if frame.failing is not None and not is_done_without(state.maps, frame):
            _forgive_frame(state, frame)
    _forgive_items(state)
    for table in (state.failing, state.busy, state.unsettled, state.cleaning, state.handlers):
        table.clear()
    for frame in state.frames.values():
        fails_at_once = frame.failing is not None and not frame.topology.graph.runs_on
        frame.frozen = fails_at_once or (frame.parent is not None and frame.parent.frozen)
    for cycle in state.cycles.values():
        cycle.failed.clear()
    for awaiting in state.awaits.values():
        awaiting.failed.clear()
    for frame in state.frames.values():
        for index in frame.topology.earlier if frame.stage else ():
            if frame.state(index) == PENDING:
                resolve(state, frame, index)
    state.failure, state.cancelled = None, None
    state.dead = state.stopping = False


def _forgive_frame(state: State, frame: Frame) -> None:
    topology = frame.topology
    failures = frame.failures or {}
    again = {index for index in failures if is_unhandled(frame, index)}
    todo = [index for index in again if frame.state(index) == UPSTREAM_FAILED]
    while todo:
        for before in topology.before(todo.pop()):
            if before in failures and before not in again:
                again.add(before)
                todo += [before] if frame.state(before) == UPSTREAM_FAILED else []
    expanded = {below.slot for below in frame.inside()}
    for index in again:
        told = failures.pop(index).failure.told
        if told is not None and (frame.id, index) in state.awaits:
            go_back(state, state.awaits[frame.id, index], told)
        if frame.state(index) in (FAILED, UPSTREAM_FAILED):
            key = (frame.id, index)
            goes_on = index in expanded or key in state.maps or key in state.cycles or key in state.awaits
            frame.set_state(index, OPEN if goes_on else PENDING)
    for index in range(topology.size):
        if frame.state(index) == CANCELLED:
            frame.set_state(index, PENDING)
    handler = topology.graph.on_failure
    if handler is not None:
        frame.set_state(handler, PENDING)
        for begun in frame.inside():
            if begun.slot == handler:
                state.drop_frame(begun)
    frame.failing = None
    frame.recount()


def _forgive_items(state: State) -> None:
    """Failed items are to be tried again if their map can't succeed without these items."""
    forgiven = []
    for mapping in state.maps.values():
        if mapping.failed and mapping.needs_all:
            mapping.failed, mapping.worst = 0, None
            mapping.kept = {number: frame for number, frame in mapping.kept.items() if not frame.failures}
            forgiven.append(mapping)
    begun = {(frame.parent.id, frame.slot) for frame in state.frames.values() if frame.parent is not None}
    for frame in list(state.frames.values()):
        if frame.part is None or not frame.failures or mapping_of(state.maps, frame) not in forgiven:
            continue
        for index in frame.failures:
            mapping_of(state.maps, frame).ended -= index < frame.topology.count
            frame.set_state(index, OPEN if (frame.id, index) in begun else PENDING)
        frame.failures = None
        frame.recount()
