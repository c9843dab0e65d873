"""Whether an event of a journal can have happened in the state that the scheduler is in. Pure.

A journal may be damaged on purpose, or belong to another run, with every check sum right. So each event is compared
with the state before the event is replayed, and an event that can't have happened raises `DoesNotFit`. Any other
exception of a replay is a defect of this package, and is told as one.

An executor that was taken over may have committed a call just before its successor looked. So an outcome of a node
that has ended already is no misfit, and the scheduler ignores it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import (
    CHOSEN,
    COLLAPSED,
    DONE,
    EXPANDED,
    FAILED,
    GATED,
    ITEMS,
    LOOPED,
    OPENED,
    RETRIED,
    SIGNALLED,
    SKIPPED,
    STOPPED_BY,
    Event,
)
from promissory.executor.scheduler.frame import ENDED, OPEN, PENDING, Frame
from promissory.executor.scheduler.topology import JOINT
from promissory.planner.plan.format import futures_from_bytes
from promissory.planner.plan.model import BRANCH, CALL, GATE, MAP, MERGE, PLAN, RESCUE
from promissory.planner.plan.specs import Branch, Gate, Map
from promissory.typesys.assignability import assignable
from promissory.typesys.canonical import unpack
from promissory.typesys.types import NONE

if TYPE_CHECKING:
    from promissory.executor.scheduler.scheduler import Scheduler

_KINDS: Final = {
    DONE: (CALL, MAP, GATE, RESCUE, MERGE, JOINT),
    EXPANDED: (CALL,),
    OPENED: (PLAN, RESCUE, MAP),
    FAILED: (CALL, MAP, PLAN, BRANCH, GATE, RESCUE, MERGE, JOINT),
    RETRIED: (CALL,),
    LOOPED: (CALL,),
    SKIPPED: (CALL,),
    STOPPED_BY: (CALL,),
    CHOSEN: (BRANCH,),
    ITEMS: (MAP,),
    GATED: (GATE,),
    SIGNALLED: (CALL,),
}
"""The kinds of nodes of which an event can tell."""

_WHILE_IT_WAITS: Final = frozenset((FAILED, STOPPED_BY))
"""The events that a node may have before its inputs are there: a run that is too large fails at its first node."""


def refuse_misfit(scheduler: Scheduler, event: Event) -> None:
    """Raise `DoesNotFit` for an event that can't have happened now."""
    kind = event[0]
    if kind != COLLAPSED and kind not in _KINDS:
        return  # the event tells of no node
    frame = scheduler.frames.get(event[1])
    if frame is None:
        if event[1] >= scheduler.next_frame:
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
    if topology.kind(index) not in _KINDS[kind]:
        raise DoesNotFit(f"node {index} of frame {frame.id} is of another kind than its event")
    state = frame.state(index)
    if state == PENDING and frame.cells[index] and kind not in _WHILE_IT_WAITS and index != topology.graph.on_failure:
        raise DoesNotFit(f"node {index} of frame {frame.id} waits for others still")
    more = _MORE.get(kind)
    if more is not None and state not in ENDED:
        more(scheduler, frame, index, event)


def _expanded(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    _splices(scheduler, frame, index, event[4])


def _splices(scheduler: Scheduler, frame: Frame, index: int, futures: bytes) -> int:
    """Check that a futures file may be this node's. Returns the number of the file's nodes."""
    plan, _ = futures_from_bytes(futures)
    if frame.topology.is_dynamic(index) and len(plan.inputs) > len(frame.topology.callee(index).interface.parameters):
        raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} takes other inputs than its dynamic")
    if not frame.topology.is_dynamic(index) and plan.inputs:
        raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} takes inputs that its task has not")
    if len(plan.outputs) > 1:
        raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} has {len(plan.outputs)} outputs")
    return len(plan.graph)


def _opened(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    kind, state = frame.topology.kind(index), frame.state(index)
    if kind == MAP:
        mapping = scheduler.maps.get((frame.id, index))
        if mapping is None or mapping.next >= len(mapping.chunks):
            raise DoesNotFit(f"node {index} of frame {frame.id} has no chunk to open")
    elif kind == RESCUE and state == PENDING:
        source = frame.topology.rescues(index)
        if frame.failures is None or source not in frame.failures:
            raise DoesNotFit(f"what node {index} of frame {frame.id} stands in for has not failed")


def _chosen(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    spec, arm, child = frame.topology.graph.specs[index], event[3], event[4]
    assert isinstance(spec, Branch)
    if not -1 <= arm < len(spec.arms):
        raise DoesNotFit(f"node {index} of frame {frame.id} has no arm {arm}")
    opens = arm >= 0 and spec.arms[arm].graph is not None
    if opens != (child >= 0):
        raise DoesNotFit(f"arm {arm} of node {index} of frame {frame.id} opens another frame than it says")
    if arm < 0 and not assignable(NONE, spec.result):
        raise DoesNotFit(f"node {index} of frame {frame.id} has to choose an arm")


def _cut(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Map)
    if frame.state(index) == OPEN:
        raise DoesNotFit(f"the lists of node {index} of frame {frame.id} were cut before")
    for count, parts in event[3]:
        if count < 1 or len(parts) != len(spec.mapped):
            raise DoesNotFit(f"node {index} of frame {frame.id} maps over other lists")


def _gated(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Gate)
    if frame.state(index) != PENDING:
        raise DoesNotFit(f"node {index} of frame {frame.id} waits already")
    if spec.what == "sleep":
        given = frame.value(frame.topology.plan_inputs[index][0])
        if given.__class__ is not bytes or unpack(given).__class__ not in (int, float):
            raise DoesNotFit(f"node {index} of frame {frame.id} is told to sleep for what is no duration")


def _signalled(scheduler: Scheduler, frame: Frame, index: int, event: Event) -> None:
    (outcome, payload), asked, child = event[3], event[4], event[5]
    targets = asked.get("next", ())
    if asked.get("goto", 0) >= max(1, len(targets)) or ("goto" in asked and not targets):
        raise DoesNotFit(f"node {index} of frame {frame.id} jumps to none of its targets")
    calls = outcome == "futures" or any(node < 0 for _, _, node in targets)
    futures = payload if outcome == "futures" else asked.get("futures") if outcome == "value" else None
    if (child >= 0) != (calls and futures is not None):
        raise DoesNotFit(f"node {index} of frame {frame.id} opens another frame than it says")
    nodes = _splices(scheduler, frame, index, futures) if futures is not None and child >= 0 else 0
    for _, call, node in targets:
        if node >= frame.topology.count or node == index or (node >= 0 and frame.part is not None):
            raise DoesNotFit(f"frame {frame.id} has no node {node} to send the run to")
        if node >= 0 and call >= nodes and child >= 0:
            raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} has no node {call}")


_Check = Callable[["Scheduler", Frame, int, Any], None]

_MORE: Final[dict[int, _Check]] = {
    EXPANDED: _expanded,
    OPENED: _opened,
    CHOSEN: _chosen,
    ITEMS: _cut,
    GATED: _gated,
    SIGNALLED: _signalled,
}
