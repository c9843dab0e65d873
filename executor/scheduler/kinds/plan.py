"""Nested plans: a node that stands for the frame of another graph (rule A7). Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.protocol.events import NO_META, OPENED, Event
from promissory.executor.scheduler import expansion
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.kind import FAILS, Kind
from promissory.executor.scheduler.node_state import PENDING
from promissory.executor.scheduler.propagation import value_for
from promissory.executor.scheduler.state import State


def open_nested(state: State, frame: Frame, index: int, child: int | None = None) -> None:
    """Open the frame of a nested plan, if the run may have that many nodes."""
    topology = frame.topology
    target = topology.graph.targets[index]
    problem = state.limits.nodes(state.nodes + len(topology.shape.graphs[target]), frame.path_of(index))
    if problem is not None and not state.replaying:
        state.fail(frame, index, problem, NO_META)
        return
    inputs = []
    for binding, parameter in zip(topology.plan_inputs[index], topology.shape.graphs[target].inputs, strict=True):
        value = parameter.default if binding is None else value_for(frame, index, binding, parameter)
        assert value is not None, "verified plans bind what has no default"
        inputs.append(value)
    id = state.new_frame(child)
    state.log.append((OPENED, frame.id, index, id))
    expansion.open_graph(state, id, frame, index, target, tuple(inputs))


def _begin(state: State, frame: Frame, index: int, now: float, calendar: float) -> None:
    open_nested(state, frame, index)


def _take_opened(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, child = event
    if frame.state(index) == PENDING:
        open_nested(state, frame, index, child)


PLANS: Final = Kind(events={OPENED: _take_opened, **FAILS}, begin=_begin)
