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
from typing import TYPE_CHECKING

from promissory.executor.protocol.events import Meta
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import completion
from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler.frame import (
    BADLY,
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    PENDING,
    SKIPPED,
    UPSTREAM_FAILED,
    FailedNode,
    Frame,
)
from promissory.executor.scheduler.topology import Topology
from promissory.planner.plan.model import MERGE, Binding, Parameter, Value
from promissory.planner.plan.triggers import admits_failure, verdict
from promissory.typesys.wire import codec_for

if TYPE_CHECKING:
    from promissory.executor.scheduler.state import State


def handles(topology: Topology, index: int, of: int | None = None) -> bool:
    """Whether a node may run although a node before (the node `of`, if given) failed."""
    source = topology.rescues(index)
    if source is not None:
        return of is None or of == source
    return admits_failure(topology.trigger(index)) or topology.graph.on_failure == index


# --- nodes ---


def fail(scheduler: State, frame: Frame, index: int, failure: Failure, meta: Meta) -> None:
    """A node has failed for good by itself."""
    key = (frame.id, index)
    failed = FailedNode(frame.exact_path_of(index, scheduler.iteration(*key)), frame.id, index, failure, meta[3])
    scheduler.note_failed(key, meta)
    fail_node(scheduler, frame, index, failed)


def fail_node(scheduler: State, frame: Frame, index: int, failed: FailedNode) -> None:
    """A node has failed, by itself or because the frame that it stands for has failed."""
    scheduler.ending.append((frame, index, FAILED, failed))
    _end_all(scheduler)


def end(scheduler: State, frame: Frame, index: int, state: int) -> None:
    """A node is SKIPPED or CANCELLED."""
    scheduler.ending.append((frame, index, state, None))
    _end_all(scheduler)


def _end_all(scheduler: State) -> None:
    """Work off the nodes that end, and the nodes that end because of them, without recursion."""
    if scheduler.is_ending:
        return
    scheduler.is_ending = True
    try:
        while scheduler.ending:
            _end_one(scheduler, *scheduler.ending.popleft())
    finally:
        scheduler.is_ending = False


def _end_one(scheduler: State, frame: Frame, index: int, state: int, failed: FailedNode | None) -> None:
    if frame.state(index) in ENDED or frame.id not in scheduler.frames:
        return
    key = (frame.id, index)
    scheduler.waiting.pop(key, None)
    if state == SKIPPED:
        scheduler.loops.pop(key, None)
    if frame.part is not None:
        mapped.item_ended_badly(scheduler, frame, index, state, failed)
        return
    mark(scheduler, frame, index, state, failed)
    if frame.topology.graph.on_failure == index:
        return  # the frame has failed already, of the failure that this handler was to handle
    fallen = [index] if state == FAILED else []
    _after(scheduler, frame, fallen + spread(scheduler, frame, [index]))
    if key in scheduler.maps and (state != FAILED or frame.failing is None):
        mapped.forget(scheduler, frame, index)


def mark(scheduler: State, frame: Frame, index: int, state: int, failed: FailedNode | None) -> None:
    """A node has ended in this state."""
    if frame.topology.standby and frame.is_going(index):
        frame.going -= 1
    if failed is not None:
        frame.failed(index, failed, state)
    else:
        frame.set_state(index, state)
        frame.mixed = True
    if frame.counts(index):
        frame.remaining -= 1
    if frame.failing is not None:
        failing.look_at(scheduler, frame)
    if state == SKIPPED:
        frame.drop_taken(index)  # a failed node keeps its inputs, since a resume may try it again


def _after(scheduler: State, frame: Frame, fallen: Iterable[int]) -> None:
    """Go on with a frame after some of its nodes have failed, or were skipped or cancelled."""
    _fail_unhandled(scheduler, frame, fallen)
    if frame.failing is not None:
        return
    if frame.remaining and frame.topology.standby:
        release_standby(scheduler, frame)
    if frame.remaining == 0 and frame.id in scheduler.frames:
        completion.leave(scheduler, frame)


def release(scheduler: State, frame: Frame, index: int) -> None:
    """Go on with the followers of a done node, where triggers or failures have a say."""
    _fail_unhandled(scheduler, frame, spread(scheduler, frame, [index]))


def _fail_unhandled(scheduler: State, frame: Frame, fallen: Iterable[int]) -> None:
    """Fail a frame because of the first fallen node whose failure nothing in the frame handles."""
    for index in fallen:
        if frame.failing is None and is_unhandled(frame, index):
            assert frame.failures is not None
            frame_fails(scheduler, frame, frame.failures[index])


def spread(scheduler: State, frame: Frame, ended: list[int], doomed: int | None = None) -> list[int]:
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
                    scheduler,
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
                mark(scheduler, frame, follower, SKIPPED, None)
            else:
                cause = _cause_before(frame, follower)
                mark(scheduler, frame, follower, UPSTREAM_FAILED if cause else CANCELLED, cause)
                fallen += [follower] if cause else []
    if frame.part is None:
        scheduler.make_ready(frame, reversed(ready))
    else:
        for index in reversed(ready):
            mapped.item_is_ready(scheduler, frame, index)
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
    if index in topology.output_nodes:
        return True
    followers = (*topology.followers(index), *(frame.more.get(index, ()) if frame.more else ()))
    return not any(frame.state(one) in BADLY or handles(topology, one, index) for one in followers)


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


def release_standby(scheduler: State, frame: Frame) -> None:
    """Skip the nodes on standby that no task has sent the run to, once no node of the frame runs or could start.

    No task of the frame can send the run to these nodes any more, and the nodes that are left wait for them.
    """
    if frame.going:
        return
    idle = [
        index for index in sorted(frame.topology.standby) if frame.state(index) == PENDING and not frame.counts(index)
    ]
    for index in idle:
        mark(scheduler, frame, index, SKIPPED, None)
    if idle:
        _after(scheduler, frame, spread(scheduler, frame, idle))


# --- frames ---


def frame_fails(scheduler: State, frame: Frame, failed: FailedNode) -> None:
    """Fail a frame in which nothing handles a failure, and the frames above, up to a frame that handles the failure."""
    while frame.failing is None:
        frame.failing, frame.mixed = failed, True
        failing.begin(scheduler, frame)
        parent, slot = frame.parent, frame.slot
        if parent is None:
            scheduler.failure = scheduler.failure or failed
            return
        if frame.topology.graph.runs_on or parent.part is not None:
            return  # the frame above learns of the failure when this frame has ended
        if not dooms(scheduler, parent, slot, failed):
            return
        frame = parent


def dooms(scheduler: State, frame: Frame, index: int, failed: FailedNode) -> bool:
    """Note that a node will fail, since the frame that it stands for fails. Returns whether its own frame fails too."""
    frame.mixed = True
    frame.failures = frame.failures or {}
    frame.failures[index] = failed
    fallen = spread(scheduler, frame, [], doomed=index)
    return any(is_unhandled(frame, one) for one in (index, *fallen))


def may_start(frame: Frame, index: int) -> bool:
    """Whether a node may start while frames fail: not in a frozen frame, unless node or frame handles a failure."""
    return not frame.frozen or frame.exempt or handles(frame.topology, index)


def is_of_the_runs_failure(scheduler: State, frame: Frame, index: int) -> bool:
    """Whether a node handles a failure of which the run fails; such a node may not end the run otherwise (rule X6)."""
    return scheduler.failure is not None and (frame.exempt or handles(frame.topology, index))
