"""Async dynamics: their bodies are told of the nodes for which they wait, and emit segment after segment (rule D8).
Pure.

See `promissory.executor.scheduler.awaiting` for the terms. The node is PENDING while the body is to be told something,
or runs, and OPEN while it waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol.events import AWAITED, NO_META, Event, Meta
from promissory.executor.protocol.identity import node_identity
from promissory.executor.protocol.messages import FAILURE, SKIP, VALUE, value_argument
from promissory.executor.scheduler import expansion, propagation
from promissory.executor.scheduler.awaiting import Awaiting, Origin, Past, Ref, Stretch, Wake, awaiting_of
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.cycling import Ended
from promissory.executor.scheduler.frame import FailedNode, Frame, Repeat
from promissory.executor.scheduler.kinds import earlier
from promissory.executor.scheduler.node_state import DONE, ENDED, OPEN, PENDING, SKIPPED, NodeState
from promissory.executor.scheduler.recursion import may_expand
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import FuturesHeader, futures_from_bytes
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.shape_format import callee_bytes

# --- what the body did ---


def stretched(
    state: State,
    frame_id: int,
    index: int,
    now: float,
    told: list[Ref],
    futures: bytes | None,
    ends: bool,
    awaited: list[Ref],
    due: float | None,
    meta: Meta = NO_META,
    child: int | None = None,
    code: bytes | None = None,
) -> None:
    """The body has gone on as far as it could.

    Args:
        now: the moment that it was told, in seconds since the epoch.
        told: the nodes of which it was told.
        futures: the futures file of the calls that it made since; None if it made none.
        ends: whether it has ended: the output of that file is its result.
        awaited: the nodes for which it waits, and did not before.
        due: the moment for which it waits; None for none.
        child: of a replay: the number of the frame that the journal says was opened.
        code: of a replay: the digest of the body's code, where the journal tells it.
    """
    repeat = state.in_flight.get((frame_id, index))
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    plan, header = (None, None) if futures is None else futures_from_bytes(futures)
    awaiting = state.awaits.get((frame_id, index)) or Awaiting(frame, index, repeat)
    if not awaiting.history and not state.replaying:
        code = frame.topology.callee(index).digest
    if code is not None and code != awaiting.callee.digest:
        awaiting.callee = replace(awaiting.callee, digest=code)
    problem = state.limits.awaits(len(awaiting.history), frame.path_of(index))
    if plan is not None and futures is not None:
        problem = problem or state.may_splice(plan, futures, frame.path_of(index))
    if problem is not None and not state.replaying:
        state.fail(frame, index, problem, meta)
        return
    state.awaits[frame_id, index] = awaiting
    id = -1 if plan is None else state.new_frame(child)
    refs = [list(ref) for ref in told]
    state.log.append(
        (AWAITED, frame_id, index, now, refs, id, futures, ends, [list(ref) for ref in awaited], due, code, meta)
    )
    state.spend(frame, index, meta)
    awaiting.history.append(Stretch(now, [_tree(awaiting, ref) for ref in told], futures, due))
    _note_told(state, awaiting, told)
    awaiting.due, awaiting.is_due = due, False
    awaiting.holder = meta[2]
    awaiting.used += max(0, meta[1])
    frame.set_state(index, OPEN)
    if plan is not None and header is not None:
        if ends:
            awaiting.last = awaiting.next
        _open_segment(state, awaiting, id, plan, header)
    for ref in awaited:
        if ended_of(awaiting, ref) is None:
            awaiting.awaited[ref] = None
        else:
            awaiting.answers[ref] = None
    if ends:
        watch_to_its_end(state, awaiting)
    go_on(state, awaiting)


def _note_told(state: State, awaiting: Awaiting, told: list[Ref]) -> None:
    """The body knows of these nodes now. What it knows of failures is its own to handle."""
    origins: dict[Origin, int] = {}
    for ref in told:
        awaiting.awaited.pop(ref, None)
        awaiting.answers.pop(ref, None)
        ended = ended_of(awaiting, ref)
        if ended is None:
            raise DoesNotFit(f"a body was told of node {ref[1]} of segment {ref[0]}, which has not ended")
        if ended.failed is not None:
            origins[ended.failed.frame, ended.failed.node] = awaiting.next
    if origins:
        awaiting.told |= origins
        _let_go_of_handled(state, awaiting)


def _let_go_of_handled(state: State, awaiting: Awaiting) -> None:
    """No resume tries again what the body has handled, and a segment of which it has handled all does not fail."""
    tables: tuple[dict[Key, Any], ...] = (state.maps, state.cycles, state.awaits, state.loops)
    for segment in [one for one in awaiting.open.values() if one.failing is not None]:
        handled = {index for index in segment.failures or () if propagation.is_the_bodys(segment, index)}
        for below in [one for one in segment.inside() if one.slot in handled]:
            state.drop_frame(below)
        for index in handled:
            for table in tables:
                table.pop((segment.id, index), None)
        if any(propagation.is_unhandled(segment, index) for index in segment.failures or ()):
            continue
        propagation.fails_no_more(state, segment)
        awaiting.failed.pop(segment.stage, None)
        if segment.is_over:
            state.agenda.leave(segment)


def watch_to_its_end(state: State, awaiting: Awaiting) -> None:
    """The body has ended. The failures of what it awaited are its own, also those that come later: when they come
    depends on the engine."""
    for ordinal, index in (*awaiting.awaited, *awaiting.answers):
        segment = awaiting.open.get(ordinal)
        if segment is not None:
            segment.watched = (segment.watched or frozenset()) | {index}
    _let_go_of_handled(state, awaiting)


def _open_segment(state: State, awaiting: Awaiting, id: int, plan: Plan, header: FuturesHeader) -> None:
    ordinal = awaiting.next
    opened = segment_frame(state, awaiting, id, ordinal, plan, header)
    awaiting.next += 1
    awaiting.open[ordinal] = opened
    awaiting.counted[ordinal] = 0
    expansion.open_frame(state, opened)
    for at in opened.topology.earlier:
        earlier.resolve(state, opened, at)


def segment_frame(state: State, awaiting: Awaiting, id: int, ordinal: int, plan: Plan, header: FuturesHeader) -> Frame:
    """The frame of a segment, as it begins."""
    frame, index = awaiting.frame, awaiting.index
    topology = state.topologies.get(plan.shape, 0, keeps=True)
    if awaiting.today is not None and (callees := awaiting.today(plan.shape.callees)) != topology.code.callees:
        topology.code.use(callees)
    callee = frame.topology.callee(index)
    nesting = frame.nesting
    if callee.policy.max_depth is not None:
        nesting = {**(nesting or {}), callee.name: (nesting or {}).get(callee.name, 0) + 1}
    opened = Frame(
        id,
        frame,
        index,
        frame.depth + 1,
        topology,
        plan.literals,
        expansion.arguments(frame, index) if topology.takes_inputs else (),
        node_identity(header.parent, header.index),
        segment_path(frame, index, ordinal),
        awaiting.repeat,
        nesting,
    )
    opened.stage, opened.told = ordinal, awaiting.told
    return opened


def segment_path(frame: Frame, index: int, ordinal: int) -> str:
    """The path of a segment, as the paths of its nodes begin."""
    return frame.stem_of(index) + (f"[+{ordinal - 1}]" if ordinal > 1 else "")


# --- what the body waits for ---


def settled(state: State, segment: Frame, index: int) -> None:
    """A node of a segment has ended: nodes of later segments take over what it is, and the body is told of it."""
    assert segment.parent is not None
    awaiting = state.awaits.get((segment.parent.id, segment.slot))
    if awaiting is None or segment.state(index) not in ENDED:
        return
    ref = (segment.stage, index)
    for other, at in awaiting.waiting.pop(ref, ()):
        if other.id in state.frames and other.state(at) == OPEN:
            earlier.take_over(state, other, at, segment, index)
    if ref in awaiting.awaited:
        del awaiting.awaited[ref]
        awaiting.answers[ref] = None
        go_on(state, awaiting)


def time_came(state: State, awaiting: Awaiting, now: float, calendar: float) -> None:
    """A moment (of the run's clock, and in seconds since the epoch) has come for which the run slept on a body's
    behalf."""
    awaiting.alarm = None
    if awaiting.due is None or awaiting.frame.state(awaiting.index) != OPEN:
        return  # a body that runs says anew for what it waits
    if awaiting.due > calendar:
        set_alarm(state, awaiting, now, calendar)
    else:
        awaiting.is_due = True
        go_on(state, awaiting)


def finished(state: State, segment: Frame, value: Value | None) -> None:
    """All nodes of a segment have ended; of what failed, the body was told."""
    awaiting = awaiting_of(state.awaits, segment)
    ordinal, topology = segment.stage, segment.topology
    del awaiting.open[ordinal]
    nodes = awaiting.counted.pop(ordinal)
    state.nodes -= nodes
    state.past_nodes += nodes
    awaiting.past[ordinal] = Past(segment.id, topology, [ended_in(segment, at) for at in range(topology.count)])
    if ordinal == awaiting.last:
        awaiting.result = value
    go_on(state, awaiting)


def broken(state: State, segment: Frame, failed: FailedNode) -> None:
    """Everything in a segment has ended, and the body was not told of a failure."""
    assert segment.parent is not None
    awaiting = state.awaits.get((segment.parent.id, segment.slot))
    if awaiting is None:
        return
    awaiting.failed[segment.stage] = failed
    if state.replaying:  # the journal says that this failure ended the dynamic
        state.agenda.fail(awaiting.frame, awaiting.index, failed, below=segment)
    else:
        go_on(state, awaiting)


def go_on(state: State, awaiting: Awaiting) -> None:
    """Have the body told what there is to tell; complete or fail the dynamic once its body has ended."""
    frame, index = awaiting.frame, awaiting.index
    if frame.id not in state.frames or frame.state(index) != OPEN:
        return
    if not awaiting.last:
        if awaiting.answers or awaiting.is_due:
            frame.set_state(index, PENDING)
            state.overlapping.append((frame, index))
    elif not awaiting.open:
        _forget_alarm(state, awaiting)
        if awaiting.result is None:
            state.agenda.end(frame, index, SKIPPED)
        else:
            state.agenda.complete(frame, index, awaiting.result, True)
    elif not state.replaying and awaiting.open.keys() <= awaiting.failed.keys():
        first = min(awaiting.failed)
        state.agenda.fail(frame, index, awaiting.failed[first], below=awaiting.open[first])


def _forget_alarm(state: State, awaiting: Awaiting) -> None:
    if awaiting.alarm is not None:
        key = (awaiting.frame.id, awaiting.index)
        state.sleeping = [one for one in state.sleeping if (one.frame.id, one.node) != key]


def set_alarm(state: State, awaiting: Awaiting, now: float, calendar: float) -> None:
    """Have the run sleep until the moment for which a body waits.

    Args:
        now: of the run's clock.
        calendar: seconds since the epoch.
    """
    due = awaiting.due
    if due is None or (awaiting.alarm is not None and awaiting.alarm <= due):
        return  # when the earlier moment comes, the next one is looked at
    # A wait never gets longer than its first length, even if the calendar has changed.
    delay = max(0.0, min(due - awaiting.latest, due - calendar))
    awaiting.alarm = due
    state.sleep(awaiting.frame, awaiting.index, now + delay, delay, due)


def go_on_with_all(state: State, now: float, calendar: float) -> None:
    """After a replay: bodies that can go on do."""
    for awaiting in list(state.awaits.values()):
        awaiting.alarm = None
        awaiting.is_due = awaiting.due is not None and awaiting.due <= calendar
        _look_again(awaiting)
        set_alarm(state, awaiting, now, calendar)
        go_on(state, awaiting)


def _look_again(awaiting: Awaiting) -> None:
    """Nodes that failed, and of whose failure the body was not told, may be tried again: the body waits for them."""
    answers, awaiting.answers = awaiting.answers, {}
    for ref in (*answers, *awaiting.awaited):
        if ended_of(awaiting, ref) is None:
            awaiting.awaited[ref] = None
        else:
            awaiting.awaited.pop(ref, None)
            awaiting.answers[ref] = None


# --- what the body is told ---


def wake_of(state: State, frame: Frame, index: int, calendar: float) -> Wake:
    """What the body is to be told now."""
    awaiting = state.awaits.get((frame.id, index))
    if awaiting is None:
        return Wake(0, calendar, [], [], "")
    now = max(calendar, awaiting.latest, awaiting.due or 0.0 if awaiting.is_due else 0.0)
    told = [_tree(awaiting, ref) for ref in awaiting.answers]
    is_other = awaiting.callee.digest != frame.topology.callee(index).digest
    definition = callee_bytes(awaiting.callee) if is_other else None
    return Wake(
        len(awaiting.history), now, told, awaiting.history, awaiting.holder, definition, awaiting.today is not None
    )


def _tree(awaiting: Awaiting, ref: Ref) -> list[Any]:
    ended = ended_of(awaiting, ref)
    assert ended is not None
    if ended.state == DONE:
        assert ended.value is not None
        return [*ref, VALUE, value_argument(ended.value)]
    if ended.failed is not None:
        return [*ref, FAILURE, ended.failed.path, ended.failed.failure.to_tree()]
    return [*ref, SKIP]


def ended_of(awaiting: Awaiting, ref: Ref) -> Ended | None:
    """A node that has ended; None if it has not."""
    ordinal, index = ref
    there = awaiting.open.get(ordinal)
    if there is None:
        past = awaiting.past.get(ordinal)
        if past is None or index >= len(past.nodes):
            raise DoesNotFit(f"a body waits for node {index} of segment {ordinal}, and there is none")
        return past.nodes[index]
    if index >= there.topology.count:
        raise DoesNotFit(f"a body waits for node {index} of segment {ordinal}, and there is none")
    return ended_in(there, index) if there.state(index) in ENDED else None


def ended_in(segment: Frame, index: int) -> Ended:
    failed = (segment.failures or {}).get(index)
    return Ended(NodeState(segment.state(index)), (segment.values or {}).get(index), failed)


# --- replay ---


def take_awaited(state: State, frame: Frame, index: int, event: Event) -> None:
    """The journal says how far a body went."""
    _, id, _, now, told, child, futures, ends, awaited, due, code, meta = event
    if frame.state(index) == OPEN:
        frame.set_state(index, PENDING)
    if (id, index) not in state.awaits:
        repeat: Repeat | None = may_expand(state.limits, frame, index)[1]
        state.begin_call(frame, index, repeat)
    stretched(
        state,
        id,
        index,
        now,
        [(ordinal, node) for ordinal, node in told],
        futures,
        ends,
        [(ordinal, node) for ordinal, node in awaited],
        due,
        meta,
        child=child if child >= 0 else None,
        code=code,
    )


def check_awaited(state: State, frame: Frame, index: int, event: Event) -> None:
    """What has to hold before a body may have gone on."""
    _, _, _, _, _, child, futures, ends, *_ = event
    awaiting = state.awaits.get((frame.id, index))
    if not frame.topology.is_dynamic(index) or frame.topology.is_cycle(index):
        raise DoesNotFit(f"node {index} of frame {frame.id} is no dynamic")
    if (child >= 0) != (futures is not None) or (ends and futures is None):
        raise DoesNotFit(f"the body of node {index} of frame {frame.id} opens another frame than it says")
    if awaiting is not None and awaiting.last:
        raise DoesNotFit(f"the body of node {index} of frame {frame.id} goes on after its end")
    if futures is not None:
        plan, _ = futures_from_bytes(futures)
        if len(plan.outputs) != ends or len(plan.inputs) > len(frame.topology.callee(index).interface.parameters):
            raise DoesNotFit(f"the futures file of node {index} of frame {frame.id} is of another plan")
