"""Whether an event of a journal can have happened in the state that the scheduler is in. Pure.

A journal may be damaged on purpose, or belong to another run, with every check sum right. So each event is compared
with the state before the event is replayed, and an event that can't have happened raises `DoesNotFit`. Any other
exception of a replay is a defect of this package, and is told as one.

An executor that was taken over may have committed a call just before its successor looked. So an outcome of a node
that has ended already is no misfit, and the scheduler ignores it.
"""

from __future__ import annotations

from typing import Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import (
    COLLAPSED,
    NODE_FAILED,
    OF_NODES,
    STOPPED_BY,
    Event,
)
from promissory.executor.scheduler.kinds.table import KINDS
from promissory.executor.scheduler.node_state import ENDED, PENDING
from promissory.executor.scheduler.state import State

_WHILE_IT_WAITS: Final = frozenset((NODE_FAILED, STOPPED_BY))
"""The events that a node may have before its inputs are there: a run that is too large fails at its first node."""


def refuse_misfit(state: State, event: Event) -> None:
    """Raise `DoesNotFit` for an event that can't have happened now."""
    kind = event[0]
    if kind != COLLAPSED and kind not in OF_NODES:
        return  # the event tells of no node
    frame = state.frames.get(event[1])
    if frame is None:
        if event[1] >= state.next_frame:
            raise DoesNotFit(f"frame {event[1]} was never opened")
        return
    if kind == COLLAPSED:
        if frame.failing is None:
            raise DoesNotFit(f"frame {frame.id} does not fail")
        return
    index = event[2]
    topology = frame.topology
    if index >= topology.size:
        raise DoesNotFit(f"frame {frame.id} has no node {index}")
    rules = KINDS[topology.kind(index)]
    if kind not in rules.events:
        raise DoesNotFit(f"node {index} of frame {frame.id} is of another kind than its event")
    at = frame.state(index)
    if at == PENDING and frame.cells[index] and kind not in _WHILE_IT_WAITS and index != topology.graph.on_failure:
        raise DoesNotFit(f"node {index} of frame {frame.id} waits for others still")
    check = rules.checks.get(kind)
    if check is not None and at not in ENDED:
        check(state, frame, index, event)
