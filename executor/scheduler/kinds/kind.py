"""The rules of one kind of node, as the rest of the scheduler asks for them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from promissory.executor.protocol.events import NODE_FAILED, Event
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import completion
from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.node_state import OPEN, PENDING
from promissory.executor.scheduler.state import State
from promissory.planner.plan.model import Value

Take = Callable[[State, Frame, int, Event], None]
"""Takes an event of a node as if it happened now."""

Check = Callable[[State, Frame, int, Event], None]
"""Raises `DoesNotFit` for an event that can't have happened to a node in its present state."""

ReadFailed = Callable[[Any], FailedNode]


@dataclass(frozen=True)
class Kind:
    """The rules of one kind of node.

    Attributes:
        events: the events that a node of the kind may have, each with the function by which a replay takes it: the
            function that took the event when it happened, with the event's fields as arguments.
        checks: what has to hold before an event, beside what holds for every kind.
        begin: begins a node whose inputs are there, at a moment (of the run's clock, and in s since the epoch); None if
            a worker runs the node.
        answered: a frame that stands for a node of the kind has left, with its output.
        dump: the rows of a snapshot for the nodes that are under way; None if the frame tells all of them.
        load: takes such rows.
    """

    events: Mapping[int, Take]
    checks: Mapping[int, Check] = field(default_factory=dict)
    begin: Callable[[State, Frame, int, float, float], None] | None = None
    answered: Callable[[State, Frame, Value | None], None] = completion.answer
    dump: Callable[[State], list[Any]] | None = None
    load: Callable[[State, list[Any], ReadFailed], None] | None = None


def take_done(state: State, frame: Frame, index: int, event: Event) -> None:
    """A worker, or the scheduler, gave a node's value."""
    _, id, _, value, meta = event
    completion.done(state, id, index, value, meta)


def take_failed(state: State, frame: Frame, index: int, event: Event) -> None:
    """A node has failed for good."""
    _, _, _, failure, meta = event
    state.sleeping = [one for one in state.sleeping if (one.frame.id, one.node) != (frame.id, index)]
    if frame.state(index) in (PENDING, OPEN):
        state.agenda.append(state.failing_step(frame, index, Failure.from_tree(failure), meta))


FAILS: Mapping[int, Take] = {NODE_FAILED: take_failed}
"""Nodes of every kind may fail."""
