"""Calls of tasks and dynamics, and joints: nodes whose outcome a worker gives. Pure.

A call may begin many times: after a failed attempt (rule R1), after the loss of its worker (rule R5), in its next
iteration (rule S1). A dynamic opens a frame, whose output is its value, or the payload of its next iteration.
"""

from __future__ import annotations

from typing import Any, Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import (
    AWAITED,
    CYCLE_ENDED,
    EXPANDED,
    LOOPED,
    NO_META,
    NODE_DONE,
    NODE_SKIPPED,
    RETRIED,
    SIGNALLED,
    STOPPED_BY,
    Event,
    Meta,
    tree_of,
    value_of,
)
from promissory.executor.protocol.failure import Failure, LastWords
from promissory.executor.scheduler import completion, propagation, requests
from promissory.executor.scheduler.agenda import END, ITERATE, SPLICE
from promissory.executor.scheduler.calls import Sleeping, Tries
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds import awaiting, cycle
from promissory.executor.scheduler.kinds.kind import FAILS, Kind, ReadFailed, take_done
from promissory.executor.scheduler.node_state import CANCELLED, OPEN, PENDING, SKIPPED
from promissory.executor.scheduler.recursion import may_expand
from promissory.executor.scheduler.retry import retry_delay
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes
from promissory.planner.plan.model import Value

_SENT_AGAIN: Final = 2


# --- outcomes ---


def looped(state: State, frame_id: int, index: int, payload: Value, meta: Meta = NO_META) -> None:
    """A body asks to be run again with the payload that it gives (rule S1)."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    state.log.append((LOOPED, frame_id, index, state.iteration(frame_id, index), payload, meta))
    state.spend(frame, index, meta)
    state.hold(frame, index, (ITERATE, frame, index, payload))


def iterate(state: State, frame: Frame, index: int, payload: Value) -> None:
    """A call begins its next iteration."""
    state.tries.pop((frame.id, index), None)
    state.loops[frame.id, index] = (state.iteration(frame.id, index) + 1, payload)
    frame.set_state(index, PENDING)
    state.ready.append((frame, index))


def skipped(state: State, frame_id: int, index: int, reason: str, meta: Meta = NO_META) -> None:
    """A body says that its node is not to be done this time (rule S6)."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    state.log.append((NODE_SKIPPED, frame_id, index, reason, meta))
    state.spend(frame, index, meta)
    state.hold(frame, index, (END, frame, index, SKIPPED, None, None))


def cancelled_by(state: State, frame_id: int, index: int, reason: str, meta: Meta = NO_META) -> None:
    """A body cancels the run: its node does not complete, nothing new starts (rule S6)."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    state.log.append((STOPPED_BY, frame_id, index, reason, meta))
    state.spend(frame, index, meta)
    if propagation.is_of_the_runs_failure(state, frame, index):
        state.agenda.end(frame, index, CANCELLED)
        return
    if state.cancelled is None:
        state.cancelled = (frame.path_of(index, state.iteration(frame_id, index)), reason)
    state.stopping = True


def expanded(
    state: State,
    frame_id: int,
    index: int,
    data: bytes,
    meta: Meta = NO_META,
    child: int | None = None,
    loops: bool = False,
) -> FuturesHeader | None:
    """A dynamic emitted a futures file, which is spliced in as a frame.

    Returns the header of the file; None if the file did not count.

    Args:
        loops: whether the frame is one iteration, whose output is the payload of the next iteration.
    """
    repeat = state.in_flight.get((frame_id, index))
    frame = state.take_back(frame_id, index)
    if frame is None:
        return None
    plan, header = futures_from_bytes(data)
    problem = state.may_splice(plan, data, frame.path_of(index))
    if problem is not None and child is None:
        state.fail(frame, index, problem, meta)
        return None
    id = state.new_frame(child)
    state.log.append((EXPANDED, frame_id, index, id, data, loops, meta))
    state.spend(frame, index, meta)
    if meta[3] > 0 and not loops and frame.topology.is_cached(index):
        completion.settle(state, frame, index, None, data)
    state.hold(frame, index, (SPLICE, id, frame, index, plan, header, repeat, loops))
    return header


def signalled(
    state: State,
    frame_id: int,
    index: int,
    outcome: tuple[str, Any],
    asked: dict[str, Any],
    meta: Meta = NO_META,
    child: int | None = None,
    at: str = "",
) -> None:
    """A body has ended with an outcome and with requests to its run (rules S4, S5, S7): both count, or neither.

    Args:
        outcome: of the kind "value", "futures" or "loop".
        at: the author's line.
    """
    repeat = state.in_flight.get((frame_id, index))
    frame = state.take_back(frame_id, index, keep_tries=True)
    if frame is not None:
        requests.take(state, frame, index, outcome, asked, meta, repeat, child, at)


def failed(
    state: State,
    frame_id: int,
    index: int,
    failure: Failure,
    meta: Meta = NO_META,
    now: float = 0.0,
    calendar: float = 0.0,
) -> None:
    """An attempt failed: another attempt follows, or the node has failed for good.

    Args:
        now: of the run's clock.
        calendar: seconds since the epoch.
    """
    frame = state.take_back(frame_id, index, keep_tries=True)
    if frame is None:
        return
    key = (frame_id, index)
    tries = state.tries.get(key, Tries())
    policy = frame.topology.policy(index) if frame.topology.is_call(index) else None
    delay = None
    if policy is not None and policy.retries and key not in state.awaits:
        delay = retry_delay(policy, failure, tries.retries, state.run + frame.identity_of(index, state.iteration(*key)))
    if delay is None:
        state.fail(frame, index, failure if policy is None else failure.without_budget(policy.retries), meta)
        return
    state.log.append((RETRIED, frame_id, index, failure.to_tree(), meta, delay, calendar + delay))
    state.spend(frame, index, meta)
    state.tries[key] = Tries(tries.begun + 1, tries.retries + 1, tries.lost, (str(failure), meta))
    state.sleep(frame, index, now + delay, delay, calendar + delay)


def lost(state: State, frame_id: int, index: int, last_words: LastWords, meta: Meta = NO_META) -> None:
    """A worker ended while it ran this call. The loss says nothing of the call, so the call is sent again.

    The call is sent again alone, and at most twice (rule R5). It stays the same attempt: what a body does in its first
    or last attempt is its own business, and a lost worker is none of it.
    """
    frame = state.take_back(frame_id, index, keep_tries=True)
    if frame is None:
        return
    key = (frame_id, index)
    begun, retries, lost, last = state.tries.get(key, Tries())
    if key in state.awaits:
        state.awaits[key].holder = ""
    if lost < _SENT_AGAIN:
        state.tries[key] = Tries(begun, retries, lost + 1, last)
        state.ready.append((frame, index))
        return
    state.tries.pop(key, None)
    path = frame.path_of(index, state.iteration(*key))
    state.fail(frame, index, Failure.of_lost_worker(path, lost + 1, last_words), meta)


def answered(state: State, frame: Frame, value: Value | None) -> None:
    """The frame of a dynamic has left: its output is the call's value, or the payload of the call's next iteration."""
    if frame.cycle:
        cycle.finished(state, frame, value)
    elif frame.is_segment:
        awaiting.finished(state, frame, value)
    elif frame.loop and value is not None:
        assert frame.parent is not None
        iterate(state, frame.parent, frame.slot, value)
    else:
        completion.answer(state, frame, value)


# --- replay ---


def _take_expanded(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, child, data, loops, meta = event
    if frame.topology.is_cycle(index) and frame.state(index) == OPEN:
        frame.set_state(index, PENDING)  # an executor that saw a failure repaired went on
    _remember_repeat(state, frame, index)
    expanded(state, id, index, data, meta, child=child, loops=loops)


def _take_looped(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, _, payload, meta = event
    looped(state, id, index, payload, meta)


def _take_skipped(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, reason, meta = event
    skipped(state, id, index, reason, meta)


def _take_stopped(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, reason, meta = event
    cancelled_by(state, id, index, reason, meta)


def _take_signalled(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, outcome, asked, child, meta = event
    if outcome[0] == "futures":
        _remember_repeat(state, frame, index)
    signalled(state, id, index, outcome, asked, meta, child=child if child >= 0 else None)


def _take_retried(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, failure, meta, delay, calendar = event
    state.spend(frame, index, meta)
    if frame.state(index) != PENDING:
        return
    retries = state.tries.get((id, index), Tries()).retries + 1
    state.tries[id, index] = Tries(meta[3], retries, last=(str(Failure.from_tree(failure)), meta))
    state.sleeping = [one for one in state.sleeping if (one.frame.id, one.node) != (id, index)]
    state.sleeping.append(Sleeping(0.0, len(state.sleeping), frame, index, delay, calendar))


def _remember_repeat(state: State, frame: Frame, index: int) -> None:
    """Put a dynamic in flight again with the `Repeat` that its expansion needs."""
    _, repeat = may_expand(state.limits, frame, index)
    state.begin_call(frame, index, repeat)


# --- what has to hold before an event ---


def _check_expanded(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, _, data, _, _ = event
    _nodes_of(frame, index, data)


def _nodes_of(frame: Frame, index: int, futures: bytes) -> int:
    """The number of nodes of a futures file. Raises `DoesNotFit` if the file can't be this node's."""
    plan, _ = futures_from_bytes(futures)
    if frame.topology.is_dynamic(index) and len(plan.inputs) > len(frame.topology.callee(index).interface.parameters):
        raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} takes other inputs than its dynamic")
    if not frame.topology.is_dynamic(index) and plan.inputs:
        raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} takes inputs that its task has not")
    if len(plan.outputs) > 1 and not frame.topology.is_cycle(index):
        raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} has {len(plan.outputs)} outputs")
    return len(plan.graph)


def _check_signalled(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, (outcome, payload), asked, child, _ = event
    targets = asked.get("next", ())
    if asked.get("goto", 0) >= max(1, len(targets)) or ("goto" in asked and not targets):
        raise DoesNotFit(f"node {index} of frame {frame.id} jumps to none of its targets")
    calls = outcome == "futures" or any(node < 0 for _, _, node in targets)
    futures = payload if outcome == "futures" else asked.get("futures") if outcome == "value" else None
    if (child >= 0) != (calls and futures is not None):
        raise DoesNotFit(f"node {index} of frame {frame.id} opens another frame than it says")
    nodes = _nodes_of(frame, index, futures) if futures is not None and child >= 0 else 0
    for _, call, node in targets:
        if node >= frame.topology.count or node == index or (node >= 0 and frame.part is not None):
            raise DoesNotFit(f"frame {frame.id} has no node {node} to send the run to")
        if node >= 0 and call >= nodes and child >= 0:
            raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} has no node {call}")


# --- snapshots ---


def _dump(state: State) -> list[Any]:
    """The iterations that calls are in."""
    return [[*key, iteration, tree_of(payload)] for key, (iteration, payload) in sorted(state.loops.items())]


def _load(state: State, rows: list[Any], read_failed: ReadFailed) -> None:
    for frame, index, iteration, payload in (fields.items(one, 4) for one in rows):
        state.loops[fields.count(frame), fields.count(index)] = (fields.count(iteration), value_of(payload))


CALLS: Final = Kind(
    events={
        NODE_DONE: take_done,
        EXPANDED: _take_expanded,
        RETRIED: _take_retried,
        LOOPED: _take_looped,
        NODE_SKIPPED: _take_skipped,
        STOPPED_BY: _take_stopped,
        SIGNALLED: _take_signalled,
        CYCLE_ENDED: cycle.take_ended,
        AWAITED: awaiting.take_awaited,
        **FAILS,
    },
    checks={
        EXPANDED: _check_expanded,
        SIGNALLED: _check_signalled,
        CYCLE_ENDED: cycle.check_cycle,
        AWAITED: awaiting.check_awaited,
    },
    answered=answered,
    dump=_dump,
    load=_load,
)

JOINTS: Final = Kind(events={NODE_DONE: take_done, **FAILS})
"""Joints: hidden nodes, whose value a worker builds (`promissory.executor.scheduler.topology`)."""
