"""Going back with a body that has failed because of a failure which it was told of: it is as it was before. Pure.

A body that was told of a failure may go on for a while before the failure ends it: a `finally` awaits, a `TaskGroup`
cancels its other tasks. A resume tries the failed node again, so the body must not have been told of its failure.
"""

from __future__ import annotations

from promissory.executor.protocol.messages import FAILURE
from promissory.executor.scheduler.awaiting import Awaiting, Ref
from promissory.executor.scheduler.kinds.awaiting import ended_of, segment_frame
from promissory.executor.scheduler.node_state import CANCELLED, FAILED, OPEN, PENDING, UPSTREAM_FAILED
from promissory.executor.scheduler.propagation import is_the_bodys
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import futures_from_bytes


def go_back(state: State, awaiting: Awaiting, number: int) -> None:
    """Have a body be as it was after it had been told something `number` times."""
    forgotten, awaiting.history = awaiting.history[number:], awaiting.history[:number]
    kept = sum(stretch.futures is not None for stretch in awaiting.history)
    for ordinal in [one for one in awaiting.open if one > kept]:
        state.nodes -= awaiting.counted.pop(ordinal, 0)
        state.forget_frame(awaiting.open.pop(ordinal))
    for ordinal in [one for one in awaiting.past if one > kept]:
        del awaiting.past[ordinal]
    refs: list[Ref] = [(tree[0], tree[1]) for stretch in forgotten for tree in stretch.told]
    refs += [*awaiting.answers, *awaiting.awaited]
    awaiting.awaited = {ref: None for ref in refs if ref[0] <= kept}
    awaiting.answers = {}
    awaiting.next, awaiting.last, awaiting.result = kept + 1, 0, None
    awaiting.due, awaiting.is_due = awaiting.history[-1].due, False
    awaiting.failed.clear()
    for ref, waiting in list(awaiting.waiting.items()):
        awaiting.waiting[ref] = [one for one in waiting if one[0].id in state.frames]
    _remember_told(awaiting)
    _open_again(state, awaiting)


def _remember_told(awaiting: Awaiting) -> None:
    awaiting.told.clear()
    following = 1
    for stretch in awaiting.history:
        for tree in stretch.told:
            failed = None if tree[2] != FAILURE else ended_of(awaiting, (tree[0], tree[1]))
            if failed is not None and failed.failed is not None:
                awaiting.told[failed.failed.frame, failed.failed.node] = following
        following += stretch.futures is not None


def _open_again(state: State, awaiting: Awaiting) -> None:
    """Nodes whose failures are not the body's to handle any more are to be tried again."""
    emitted = [stretch.futures for stretch in awaiting.history if stretch.futures is not None]
    for ordinal, past in sorted(awaiting.past.items()):
        if all(one.failed is None for one in past.nodes):
            continue
        plan, header = futures_from_bytes(emitted[ordinal - 1])
        frame = segment_frame(state, awaiting, past.id, ordinal, plan, header)
        count = frame.topology.count
        frame.set_states(bytes([*(one.state for one in past.nodes), *bytes(frame.topology.size - count)]))
        frame.values = {at: one.value for at, one in enumerate(past.nodes) if one.value is not None}
        frame.failures = {at: one.failed for at, one in enumerate(past.nodes) if one.failed is not None}
        if all(is_the_bodys(frame, index) for index in frame.failures):
            continue
        del awaiting.past[ordinal]
        awaiting.open[ordinal] = frame
        awaiting.counted[ordinal] = frame.topology.count - len(frame.topology.earlier)
        state.nodes += awaiting.counted[ordinal]
        state.past_nodes -= awaiting.counted[ordinal]
        if state.tally is not None:
            state.tally.fold(frame, -1)
        state.add_frame(frame)
    for frame in awaiting.open.values():
        again = [index for index in frame.failures or () if not is_the_bodys(frame, index)]
        expanded = {below.slot for below in frame.inside()}
        for index in again:
            assert frame.failures is not None
            del frame.failures[index]
            if frame.state(index) in (FAILED, UPSTREAM_FAILED):
                frame.set_state(index, OPEN if index in expanded else PENDING)
        for index in range(frame.topology.size):
            if again and frame.state(index) == CANCELLED:
                frame.set_state(index, PENDING)
        if again:
            frame.failing = None
            frame.recount()
