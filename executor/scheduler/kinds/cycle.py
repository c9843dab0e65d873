"""Cycles: rounds are traced one after the other, and run beside each other (rules C1 to C4). Pure.

See `promissory.executor.scheduler.cycling` for the terms. The node of a cycle is PENDING while its next round may be
traced, or is, and OPEN while it waits: for room, for a condition, or for its rounds to finish.
"""

from __future__ import annotations

from typing import Any, Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import (
    CYCLE_ENDED,
    NO_META,
    NODE_FAILED,
    Event,
    tree_of,
    value_of,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler import expansion
from promissory.executor.scheduler.cycling import EXHAUSTED, FULFILLED, STOPPED, Cycling, Ended, cycling_of
from promissory.executor.scheduler.frame import FailedNode, Frame, Repeat
from promissory.executor.scheduler.kinds import earlier
from promissory.executor.scheduler.kinds.kind import ReadFailed
from promissory.executor.scheduler.node_state import CANCELLED, DONE, ENDED, OPEN, PENDING, SKIPPED, NodeState
from promissory.executor.scheduler.propagation import is_there
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.specs import Earlier
from promissory.typesys.canonical import unpack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.wire import codec_for

_TRUE: Final = b"\xc3"
_UNTIL, _LAST, _BACK = "until", "last", "back"


def cycling(state: State, frame: Frame, index: int) -> Cycling:
    """The cycle that a node is; it begins here if it has not begun."""
    key = (frame.id, index)
    found = state.cycles.get(key)
    if found is None:
        found = state.cycles[key] = Cycling(frame, index, frame.topology.policy(index))
        if state.stop_at is not None:
            found.stop = state.stop_at
    return found


# --- rounds ---


def open_round(
    state: State, id: int, frame: Frame, index: int, plan: Plan, header: FuturesHeader, repeat: Repeat | None
) -> None:
    """The next round, or what runs after the last one, was traced."""
    cycle = cycling(state, frame, index)
    ordinal = cycle.next
    topology = state.topologies.get(plan.shape, 0, keeps=True)
    frame.set_state(index, OPEN)
    opened = Frame(
        id,
        frame,
        index,
        frame.depth + 1,
        topology,
        plan.literals,
        expansion.arguments(frame, index) if topology.takes_inputs else (),
        node_identity(header.parent, header.index),
        frame.stem_of(index, cycle.iteration),
        repeat,
        frame.nesting,
    )
    opened.stage = ordinal
    cycle.next += not cycle.closing
    cycle.open[ordinal] = opened
    cycle.counted[ordinal] = 0
    cycle.back = max(cycle.back, _reach(opened))
    names = {output.name for output in topology.graph.outputs}
    cycle.closes = cycle.closes or _LAST in names
    cycle.undecided = ordinal if _UNTIL in names else 0
    expansion.open_frame(state, opened)
    for at in topology.earlier:
        earlier.resolve(state, opened, at)
    for at, entries in topology.graph.overrides.items():
        if "held" in entries:
            cycle.held.setdefault(entries["held"], []).append((ordinal, topology.name(at)))
    cycle.forget()
    if cycle.undecided:
        binding = _condition(opened)
        if binding.__class__ is not int or binding < 0:
            _decide(cycle, opened, binding)
    go_on(state, cycle)


def _reach(round: Frame) -> int:
    """How many rounds back a round says that its cycle reaches."""
    outputs, specs = round.topology.graph.outputs, round.topology.graph.specs
    found = [spec.distance for at in round.topology.earlier if isinstance(spec := specs[at], Earlier)]
    for output, plain in zip(outputs, round.topology.outputs, strict=True):
        if output.name == _BACK and plain.__class__ is int and plain < 0:
            value = round.value(plain)
            found += [unpack(value)] if isinstance(value, bytes) else []
    return max((one for one in found if one.__class__ is int), default=1)


def _condition(round: Frame) -> Any:
    outputs = round.topology.graph.outputs
    return next(plain for output, plain in zip(outputs, round.topology.outputs, strict=True) if output.name == _UNTIL)


def _decide(cycle: Cycling, round: Frame, binding: Any) -> None:
    cycle.undecided = 0
    if is_there(round, binding) and round.value(binding) == _TRUE:
        cycle.over = FULFILLED


def settled(state: State, round: Frame, index: int) -> None:
    """A node of a round has ended: nodes of later rounds take over what it is."""
    assert round.parent is not None
    cycle = state.cycles.get((round.parent.id, round.slot))
    if cycle is None or round.state(index) not in ENDED:
        return
    for other, at in cycle.waiting.pop((round.cycle, index), ()):
        if other.id in state.frames and other.state(at) == OPEN:
            earlier.take_over(state, other, at, round, index)
    if (
        cycle.undecided == round.cycle
        and _condition(round) == index
        and round.state(index) in (DONE, SKIPPED, CANCELLED)
    ):
        _decide(cycle, round, index)
        go_on(state, cycle)


def finished(state: State, round: Frame, value: Value | None) -> None:
    """All nodes of a round have ended well, or were skipped."""
    cycle = cycling_of(state.cycles, round)
    ordinal, topology = round.cycle, round.topology
    del cycle.open[ordinal]
    nodes = cycle.counted.pop(ordinal)
    state.nodes -= nodes
    state.past_nodes += nodes
    if ordinal < cycle.next:
        values, failures = round.values or {}, round.failures or {}
        cycle.past[ordinal] = {
            topology.name(at): Ended(NodeState(round.state(at)), values.get(at), failures.get(at))
            for at in range(topology.count)
        }
        cycle.result = max(cycle.result, (ordinal, value), key=lambda one: one[0])
        cycle.forget()
    go_on(state, cycle)


def broken(state: State, round: Frame, failed: FailedNode) -> None:
    """A round has failed: everything in it has ended, and a failure was handled by nothing (rule C4)."""
    assert round.parent is not None
    cycle = state.cycles.get((round.parent.id, round.slot))
    if cycle is None:
        return
    cycle.failed[round.cycle] = failed
    if state.replaying:  # the journal says that this failure ended the cycle
        state.agenda.fail(cycle.frame, cycle.index, failed, below=round)
    else:
        go_on(state, cycle)


def is_trace_of(state: State, frame: Frame, index: int, failed: FailedNode) -> bool:
    """Whether a failure of a cycle's node is that of a round's trace, so that rounds before go on as far as they can.
    If so, the failure is noted."""
    cycle = state.cycles.get((frame.id, index))
    if cycle is None or cycle.next in cycle.failed or (failed.frame, failed.node) != (frame.id, index):
        return False
    cycle.failed[cycle.next] = failed
    frame.set_state(index, OPEN)
    go_on(state, cycle)
    return True


def go_on(state: State, cycle: Cycling) -> None:
    """Have the next round traced if it may begin; end or fail the cycle if nothing of it can go on."""
    frame, index = cycle.frame, cycle.index
    if frame.id not in state.frames or frame.state(index) != OPEN:
        return
    if not cycle.over and cycle.is_stopped:
        cycle.over = STOPPED
    if not (cycle.over or cycle.undecided or cycle.next in cycle.failed) and cycle.has_room:
        _trace_next(state, cycle)
    elif cycle.over and not cycle.open and not cycle.failed:
        if cycle.closes and not cycle.closing:
            cycle.closing = cycle.next - 1
            _trace_next(state, cycle)
        elif not state.replaying:
            end(state, cycle)
    elif not state.replaying and cycle.failed and cycle.open.keys() <= cycle.failed.keys():
        first = min(cycle.failed)
        below = cycle.open.get(first)
        if below is None:
            state.log.append((NODE_FAILED, frame.id, index, cycle.failed[first].failure.to_tree(), NO_META))
        state.agenda.fail(frame, index, cycle.failed[first], below=below)


def _trace_next(state: State, cycle: Cycling) -> None:
    cycle.frame.set_state(cycle.index, PENDING)
    if cycle.frame.part is None:
        state.trace_late(cycle.frame, cycle.index, cycle.next)
    else:
        state.ready.append((cycle.frame, cycle.index))


def end(state: State, cycle: Cycling) -> None:
    """The cycle has ended: its value is that of its last round."""
    frame, index = cycle.frame, cycle.index
    ordinal, value = cycle.result
    nothing = b"" if ordinal else _nothing(frame, index)
    if nothing is None:
        problem = (
            f"it has no round: it begins with {cycle.number(1)}, and is to go no further than {cycle.stop}. Annotate "
            "its result `… | None` if that may be"
        )
        state.fail(frame, index, Failure.of_executor("CycleError", problem), NO_META)
        return
    state.log.append((CYCLE_ENDED, frame.id, index, cycle.over))
    if ordinal and value is None:
        state.agenda.end(frame, index, SKIPPED)
    else:
        state.agenda.complete(frame, index, nothing if value is None else value, True)


def _nothing(frame: Frame, index: int) -> bytes | None:
    """The value None, as the result of a cycle that has no round; None if its result can't be that."""
    try:
        return codec_for(frame.topology.callee(index).interface.result).encode(None)
    except TypeMismatch:
        return None


def exhausted(state: State, frame_id: int, index: int) -> None:
    """A worker says that there is no further point."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    cycle = cycling(state, frame, index)
    cycle.over = STOPPED if cycle.is_stopped else EXHAUSTED
    frame.set_state(index, OPEN)
    go_on(state, cycle)


def extend_all(state: State, stop: int) -> None:
    """Let the cycles go on to a number, and no further. What was to run after a round that is not the last any more is
    forgotten."""
    state.stop_at = stop
    for cycle in state.cycles.values():
        cycle.stop = stop
        frame, index = cycle.frame, cycle.index
        key = (frame.id, index)
        if cycle.over == STOPPED and not cycle.is_stopped:
            cycle.over = ""
            after = cycle.open.pop(cycle.next, None)
            if after is not None:
                cycle.failed.pop(cycle.next, None)
                state.nodes -= cycle.counted.pop(cycle.next)
                state.forget_frame(after)
            cycle.closing = 0
        if frame.state(index) == PENDING and key not in state.in_flight:
            frame.set_state(index, OPEN)  # what is to be traced next is to be seen again
            cycle.closing = 0
        go_on(state, cycle)


# --- replay ---


def take_ended(state: State, frame: Frame, index: int, event: Event) -> None:
    """The journal says that a cycle has ended."""
    _, _, _, why = event
    cycle = cycling(state, frame, index)
    cycle.over = why
    end(state, cycle)


def check_cycle(state: State, frame: Frame, index: int, event: Event) -> None:
    """What has to hold before an event that only cycles have."""
    if not frame.topology.is_cycle(index):
        raise DoesNotFit(f"node {index} of frame {frame.id} is no cycle")
    if (frame.id, index) not in state.cycles and event[3] == FULFILLED:
        raise DoesNotFit(f"the cycle of node {index} of frame {frame.id} ends before it has begun")


def go_on_with_all(state: State) -> None:
    """After a replay: cycles that could go on do."""
    for cycle in list(state.cycles.values()):
        go_on(state, cycle)


# --- snapshots ---


def dump(state: State) -> list[Any]:
    """The rows of a snapshot."""
    return [_row(*key, cycle) for key, cycle in sorted(state.cycles.items())]


def _row(id: int, index: int, cycle: Cycling) -> list[Any]:
    past = [
        [
            ordinal,
            [
                [
                    name,
                    int(one.state),
                    None if one.value is None else tree_of(one.value),
                    None if one.failed is None else one.failed.to_tree(),
                ]
                for name, one in nodes.items()
            ],
        ]
        for ordinal, nodes in sorted(cycle.past.items())
    ]
    held = [[name, ordinal, node] for name, rounds in sorted(cycle.held.items()) for ordinal, node in rounds]
    ordinal, value = cycle.result
    return [
        id,
        index,
        cycle.next,
        cycle.stop,
        cycle.back,
        past,
        held,
        cycle.undecided,
        cycle.over,
        cycle.closes,
        cycle.closing,
        [ordinal, None if value is None else tree_of(value)],
        [[one, count] for one, count in sorted(cycle.counted.items())],
    ]


def load(state: State, rows: list[Any], read_failed: ReadFailed) -> None:
    """Take the rows of a snapshot."""
    for row in rows:
        id, index, next_one, stop, back, past, held, undecided, over, closes, closing, result, counted = fields.items(
            row, 13
        )
        frame = state.frames[id]
        cycle = Cycling(frame, fields.count(index), frame.topology.policy(index))
        state.cycles[id, index] = cycle
        cycle.next, cycle.back, cycle.undecided, cycle.closing = fields.counts([next_one, back, undecided, closing])
        cycle.stop = None if stop is None else fields.whole(stop)
        cycle.whole = max(1, cycle.next - cycle.back)
        cycle.over, cycle.closes = fields.text(over), fields.truth(closes)
        for ordinal, nodes in (fields.items(one, 2) for one in fields.items(past)):
            cycle.past[fields.count(ordinal)] = {
                fields.text(name): Ended(
                    NodeState(at),
                    None if tree is None else value_of(tree),
                    None if failed is None else read_failed(failed),
                )
                for name, at, tree, failed in (fields.items(one, 4) for one in fields.items(nodes))
            }
        for name, ordinal, node in (fields.items(one, 3) for one in fields.items(held)):
            cycle.held.setdefault(fields.text(name), []).append((fields.count(ordinal), fields.text(node)))
        ordinal, tree = fields.items(result, 2)
        cycle.result = (fields.count(ordinal), None if tree is None else value_of(tree))
        for one, count in (fields.counts(fields.items(pair, 2)) for pair in fields.items(counted)):
            cycle.counted[one] = count
    for frame in state.frames.values():
        if frame.cycle:
            cycling_of(state.cycles, frame).open[frame.cycle] = frame
    for cycle in state.cycles.values():
        for round in cycle.open.values():
            for at in round.topology.earlier:
                if round.state(at) == OPEN:
                    earlier.resolve(state, round, at)


def values_in(rows: list[Any]) -> list[Any]:
    """The values that the rows of a snapshot hold, as trees."""
    found = [row[11][1] for row in rows]
    return found + [tree for row in rows for _, nodes in row[5] for _, _, tree, _ in nodes]
