"""Fallbacks: a node that stands in for a node that failed, and else takes that node's value (rule X7). Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import NODE_DONE, OPENED, Event
from promissory.executor.scheduler import completion, expansion
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.kind import FAILS, Kind, take_done
from promissory.executor.scheduler.node_state import DONE, PENDING
from promissory.executor.scheduler.state import State
from promissory.planner.plan.specs import Rescue


def open_fallback(state: State, frame: Frame, index: int, child: int | None = None) -> None:
    """Open the frame of a fallback, whose source has failed."""
    spec = frame.topology.graph.specs[index]
    source = frame.topology.rescues(index)
    assert isinstance(spec, Rescue) and source is not None and frame.failures is not None
    error = frame.failures[source].as_value()
    given = frame.topology.plan_inputs[index]
    inputs = tuple(error if at < 0 else frame.value(given[at]) for at in spec.takes)
    id = state.new_frame(child)
    state.log.append((OPENED, frame.id, index, id))
    expansion.open_graph(state, id, frame, index, spec.graph, inputs)


def _begin(state: State, frame: Frame, index: int, now: float, calendar: float) -> None:
    source = frame.topology.rescues(index)
    assert source is not None
    if frame.state(source) == DONE:
        completion.done(state, frame.id, index, frame.value(source))
    else:
        open_fallback(state, frame, index)


def _take_opened(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, child = event
    if frame.state(index) == PENDING:
        open_fallback(state, frame, index, child)


def _check_opened(state: State, frame: Frame, index: int, event: Event) -> None:
    if frame.state(index) == PENDING and frame.topology.rescues(index) not in (frame.failures or ()):
        raise DoesNotFit(f"what node {index} of frame {frame.id} stands in for has not failed")


RESCUES: Final = Kind(
    events={NODE_DONE: take_done, OPENED: _take_opened, **FAILS}, checks={OPENED: _check_opened}, begin=_begin
)
