"""Branches: a node whose conditions a worker tries, and whose chosen arm is a frame (rule B1). Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import CHOSEN, NO_META, Event, Meta
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import completion, expansion
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.kind import FAILS, Kind
from promissory.executor.scheduler.state import State
from promissory.planner.plan.specs import Branch
from promissory.typesys.assignability import assignable
from promissory.typesys.types import NONE
from promissory.typesys.wire import codec_for


def chosen(state: State, frame_id: int, index: int, arm: int, meta: Meta = NO_META, child: int | None = None) -> None:
    """The conditions of a branch chose an arm; -1: none of them."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    spec = _spec(frame, index)
    chosen = spec.arms[arm] if arm >= 0 else None
    if chosen is not None and chosen.graph is None:
        state.fail(frame, index, Failure.of_executor("BranchFailed", chosen.message), meta)
        return
    id = -1 if chosen is None else state.new_frame(child)
    state.log.append((CHOSEN, frame_id, index, arm, id, meta))
    state.spend(frame, index, meta)
    if chosen is None:
        completion.complete(state, frame, index, codec_for(spec.result).encode(None), True)
        return
    assert chosen.graph is not None
    given = frame.topology.plan_inputs[index]
    inputs = tuple(frame.value(given[at]) for at in chosen.takes)
    expansion.open_graph(state, id, frame, index, chosen.graph, inputs)


def _spec(frame: Frame, index: int) -> Branch:
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Branch)
    return spec


def _take_chosen(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, arm, child, meta = event
    chosen(state, id, index, arm, meta, child=child)


def _check_chosen(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, arm, child, _ = event
    spec = _spec(frame, index)
    if not -1 <= arm < len(spec.arms):
        raise DoesNotFit(f"node {index} of frame {frame.id} has no arm {arm}")
    opens = arm >= 0 and spec.arms[arm].graph is not None
    if opens != (child >= 0):
        raise DoesNotFit(f"arm {arm} of node {index} of frame {frame.id} opens another frame than it says")
    if arm < 0 and not assignable(NONE, spec.result):
        raise DoesNotFit(f"node {index} of frame {frame.id} has to choose an arm")


BRANCHES: Final = Kind(events={CHOSEN: _take_chosen, **FAILS}, checks={CHOSEN: _check_chosen})
