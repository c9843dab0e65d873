"""Propagation of failures, skips and cancellations from a node to its followers and its frame (rules X6, X7, X9).

Pure; part of the scheduler.

A failure travels along the edges of its frame: a follower of a failed node fails with that node (UPSTREAM_FAILED),
unless the follower's trigger admits failure, or the follower stands in for the failed node. A failure that reaches an
output, or a node without followers, is handled by nothing, so the frame fails; the node above that the frame stands for
is doomed at once, and so on upwards. `promissory.executor.scheduler.frame_failure` brings failing frames to their end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from promissory.executor.protocol.events import COLLAPSED
from promissory.executor.scheduler.agenda import READY, SETTLED
from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.node_state import (
    BADLY,
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    PENDING,
    SKIPPED,
    UPSTREAM_FAILED,
    NodeState,
)
from promissory.executor.scheduler.state import State
from promissory.executor.scheduler.topology import Topology
from promissory.planner.plan.model import MERGE, Binding, Parameter, Value
from promissory.planner.plan.triggers import admits_failure, verdict
from promissory.typesys.wire import codec_for


def handles(topology: Topology, index: int, of: int | None = None) -> bool:
    """Whether a node may run although a node before (the node `of`, if given) failed."""
    source = topology.rescues(index)
    if source is not None:
        return of is None or of == source
    return admits_failure(topology.trigger(index)) or topology.graph.on_failure == index


# --- nodes ---


def end(
    state: State,
    frame: Frame,
    index: int,
    to: NodeState,
    failed: FailedNode | None = None,
    below: Frame | None = None,
) -> None:
    """A node of a frame that is no chunk of a map has ended otherwise than well.

    Args:
        failed: the failure, of a node that has FAILED.
        below: the failing frame that the node stands for, if the node fails with it.
    """
    if frame.state(index) in ENDED or frame.id not in state.frames:
        return
    key = (frame.id, index)
    state.waiting.pop(key, None)
    if to == SKIPPED:
        state.loops.pop(key, None)
    mark(state, frame, index, to, failed)
    if frame.topology.graph.on_failure == index:
        return  # the frame has failed already, of the failure that this handler was to handle
    fallen = [index] if to == FAILED else []
    fallen += spread(state, frame, [index])
    if below is not None:
        is_unhandled_here = _leads_out(frame, index)
        if frame.is_segment or not is_unhandled_here:  # a body may be told of a failure that nothing here handles
            state.log.append((COLLAPSED, below.id))
        if not is_unhandled_here:
            state.drop_frame(below)  # the frame of an unhandled failure is kept: a resume retries inside it
    _go_on(state, frame, fallen)
    if key in state.maps and (to != FAILED or frame.failing is None):
        for chunk in state.maps.pop(key).open.values():
            state.drop_frame(chunk)
    if key in state.cycles and (to != FAILED or frame.failing is None):
        for round in state.cycles.pop(key).open.values():
            state.drop_frame(round)
    if key in state.awaits and (to != FAILED or frame.failing is None):
        for segment in list(state.awaits.pop(key).open.values()):
            state.drop_frame(segment)


def _leads_out(frame: Frame, index: int) -> bool:
    """Whether a node's failure, with the followers that it brought down, reaches an output or a node without followers.

    A resume tries such a node again.
    """
    todo, seen = [index], {index}
    while todo:
        one = todo.pop()
        if is_unhandled(frame, one):
            return True
        for follower in (*frame.topology.followers(one), *(frame.more.get(one, ()) if frame.more else ())):
            if follower not in seen and frame.state(follower) in BADLY:
                seen.add(follower)
                todo.append(follower)
    return False


def mark(state: State, frame: Frame, index: int, to: NodeState, failed: FailedNode | None) -> None:
    """A node has ended in this state."""
    if state.followed is not None:
        state.followed.append((frame, index))
    if frame.topology.standby and frame.is_going(index):
        frame.going -= 1
    if failed is not None:
        frame.failed(index, failed, to)
    else:
        frame.set_state(index, to)
        frame.mixed = True
    if frame.counts(index):
        frame.remaining -= 1
    elif index in frame.topology.standby:
        frame.asleep -= 1
    if frame.failing is not None:
        state.look_at(frame)
    if frame.stage:
        state.agenda.append((SETTLED, frame, index))
    if to == SKIPPED:
        frame.drop_taken(index)  # a failed node keeps its inputs, since a resume may try it again


def _go_on(state: State, frame: Frame, fallen: Iterable[int]) -> None:
    """Go on with a frame after some of its nodes have failed, or were skipped or cancelled."""
    _fail_unhandled(state, frame, fallen)
    if frame.failing is not None:
        return
    if frame.asleep:
        release_standby(state, frame)
    if frame.is_over:
        state.agenda.leave(frame)


def release(state: State, frame: Frame, index: int) -> None:
    """Go on with the followers of a done node, where triggers or failures have a say."""
    _fail_unhandled(state, frame, spread(state, frame, [index]))


def _fail_unhandled(state: State, frame: Frame, fallen: Iterable[int]) -> None:
    """Fail a frame because of the first fallen node whose failure nothing in the frame handles."""
    for index in fallen:
        if frame.failing is None and is_unhandled(frame, index):
            assert frame.failures is not None
            frame_fails(state, frame, frame.failures[index])


def spread(state: State, frame: Frame, ended: list[int], doomed: int | None = None) -> list[int]:
    """Go on with the followers of nodes that have ended. Returns the followers that have failed with these nodes.

    Args:
        doomed: a node that has not ended, and will fail: only followers that can't run after that failure go down.
    """
    topology, cells = frame.topology, frame.cells
    fallen: list[int] = []
    ready: list[int] = []
    todo = deque(ended if doomed is None else [doomed])
    while todo:
        one = todo.popleft()
        is_bad = one == doomed or frame.state(one) in BADLY
        for follower in (*topology.followers(one), *(frame.more.get(one, ()) if frame.more else ())):
            if frame.state(follower) != PENDING or not cells[follower]:
                continue
            if is_bad and not handles(topology, follower, one):
                cancelled = one != doomed and frame.state(one) == CANCELLED
                mark(
                    state,
                    frame,
                    follower,
                    CANCELLED if cancelled else UPSTREAM_FAILED,
                    None if cancelled else _cause(frame, one),
                )
                fallen += [] if cancelled else [follower]
                todo.append(follower)
                continue
            if one == doomed:
                continue
            if not frame.waits_less(follower):
                continue
            what = _verdict(frame, follower)
            if what == "run":
                ready.append(follower)
                continue
            todo.append(follower)
            if what == "skip":
                mark(state, frame, follower, SKIPPED, None)
            else:
                cause = _cause_before(frame, follower)
                mark(state, frame, follower, UPSTREAM_FAILED if cause else CANCELLED, cause)
                fallen += [follower] if cause else []
    if frame.part is None and not frame.stage:
        state.make_ready(frame, reversed(ready))
    else:
        state.agenda.append((READY, frame, ready))
    return fallen


def _cause(frame: Frame, index: int) -> FailedNode:
    assert frame.failures is not None
    return frame.failures[index]


def _cause_before(frame: Frame, index: int) -> FailedNode | None:
    return next(
        (_cause(frame, one) for one in frame.topology.before(index) if frame.state(one) in (FAILED, UPSTREAM_FAILED)),
        None,
    )


def _verdict(frame: Frame, index: int) -> str:
    """Whether a node all of whose predecessors have ended runs, is skipped, or has failed with them."""
    before = frame.topology.before(index)
    states = {one: frame.state(one) for one in before}
    failed = sum(state in BADLY for state in states.values())
    skipped = [one for one, state in states.items() if state == SKIPPED]
    source = frame.topology.rescues(index)
    if source is not None:
        if states[source] == CANCELLED:
            return "fail"  # the frame failed before the source was tried to its end: no failure to stand in for
        return "skip" if skipped else "run"
    if failed and not handles(frame.topology, index):
        return "fail"
    if any(before[one] for one in skipped):
        if frame.topology.kind(index) == MERGE and first_there(frame, index) is not None:
            return "run"
        return "skip"
    return verdict(frame.topology.trigger(index), len(states) - failed - len(skipped), failed, len(skipped))


def is_unhandled(frame: Frame, index: int) -> bool:
    """Whether a failed node is an output, or has no follower that handles the failure or carries the failure on."""
    topology = frame.topology
    if frame.told is not None and is_the_bodys(frame, index):
        return False
    if index in topology.output_nodes:
        return True
    followers = (*topology.followers(index), *(frame.more.get(index, ()) if frame.more else ()))
    return not any(frame.state(one) in BADLY or handles(topology, one, index) for one in followers)


def is_the_bodys(segment: Frame, index: int) -> bool:
    """Whether the failure of a node of a segment is the business of the body: it was told of it and went on, or it
    awaited the node and has ended."""
    if segment.watched is not None and index in segment.watched:
        return True
    failed = (segment.failures or {}).get(index)
    told = segment.told
    return told is not None and failed is not None and segment.stage < told.get((failed.frame, failed.node), 0)


def is_there(frame: Frame, binding: Binding) -> bool:
    """Whether an output's value is there."""
    return (
        binding.__class__ is not int
        or binding < 0
        or (frame.state(binding) == DONE and binding in (frame.values or ()))
    )


def first_there(frame: Frame, index: int) -> Value | None:
    """The first of a node's inputs whose value is there; None if no value is."""
    return next(
        (frame.value(binding) for binding in frame.topology.plan_inputs[index] if is_there(frame, binding)), None
    )


def value_for(frame: Frame, index: int, binding: Binding, parameter: Parameter) -> Value:
    """A node's input; the default, or None, if the node runs although the input's source has failed."""
    if binding.__class__ is not int or binding < 0 or frame.state(binding) == DONE:
        return frame.value(binding)
    return parameter.default if parameter.default is not None else codec_for(parameter.type).encode(None)


def release_standby(state: State, frame: Frame) -> bool:
    """Skip the nodes on standby once nothing of a frame runs, or could start, and a task that could have sent the run
    there has ended without doing so (rule X8). Returns whether any node was skipped.

    Nodes on standby that only tasks which never started could lift are left as they are: the run is stalled.
    """
    skipped = False
    while frame.asleep and not frame.going and any(frame.state(one) in ENDED for one in frame.topology.senders):
        idle = [one for one in sorted(frame.topology.standby) if frame.state(one) == PENDING and not frame.counts(one)]
        for index in idle:
            mark(state, frame, index, SKIPPED, None)
        skipped = True
        _fail_unhandled(state, frame, spread(state, frame, idle))
    if skipped and frame.is_over and frame.failing is None:
        state.agenda.leave(frame)
    return skipped


# --- frames ---


def frame_fails(state: State, frame: Frame, failed: FailedNode) -> None:
    """Fail a frame in which nothing handles a failure, and the frames above, up to a frame that handles the failure."""
    while frame.failing is None:
        frame.failing, frame.mixed = failed, True
        _begin_to_fail(state, frame)
        parent, slot = frame.parent, frame.slot
        if parent is None:
            state.failure = state.failure or failed
            return
        if frame.topology.graph.runs_on or parent.part is not None:
            return  # the frame above learns of the failure when this frame has ended
        if not dooms(state, parent, slot, failed):
            return
        frame = parent


def fails_no_more(state: State, frame: Frame) -> None:
    """What failed in a frame is handled after all."""
    frame.failing = None
    if state.failing.pop(frame.id, None) is not None:
        state.cleaning.pop(frame.id, None)
        if frame.parent is not None and frame.id not in state.busy:
            state.runs_no_more(frame.parent)


def dooms(state: State, frame: Frame, index: int, failed: FailedNode) -> bool:
    """Note that a node will fail, since the frame that it stands for fails. Returns whether its own frame fails too."""
    frame.mixed = True
    frame.failures = frame.failures or {}
    frame.failures[index] = failed
    fallen = spread(state, frame, [], doomed=index)
    return any(is_unhandled(frame, one) for one in (index, *fallen))


def may_start(frame: Frame, index: int) -> bool:
    """Whether a node may start while frames fail: not in a frozen frame, unless node or frame handles a failure."""
    return not frame.frozen or frame.exempt or handles(frame.topology, index)


def is_of_the_runs_failure(state: State, frame: Frame, index: int) -> bool:
    """Whether a node handles a failure of which the run fails; such a node may not end the run otherwise (rule X6)."""
    return state.failure is not None and (frame.exempt or handles(frame.topology, index))


def _begin_to_fail(state: State, frame: Frame) -> None:
    """A frame begins to fail."""
    if not state.failing:
        state.busy.clear()
        for id, _ in (*state.in_flight, *state.holding):
            if id in state.frames:
                state.begins_to_run(state.frames[id])
    if frame.parent is not None and frame.id not in state.busy:
        state.begins_to_run(frame.parent)
    state.failing[frame.id] = frame
    topology = frame.topology
    handling = sorted(
        (index for index in (*topology.triggers, *topology.fallbacks) if handles(topology, index)), reverse=True
    )
    state.cleaning[frame.id] = handling
    state.look_at(frame)
    if not topology.graph.runs_on:
        _freeze(state, frame)


def _freeze(state: State, frame: Frame) -> None:
    """Freeze a frame and all frames below: they start no new node except nodes that handle failures."""
    todo = [frame]
    while todo:
        one = todo.pop()
        if not one.frozen:
            one.frozen = True
            if one.failing is not None:
                state.look_at(one)
            todo.extend(one.inside())
