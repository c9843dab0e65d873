"""The invariants: named predicates that hold for every state of a run between two events. Pure; for tests.

Each is read off the plan and the states of the nodes naively, and so is the specification of the counts that the
scheduler keeps up to date. `promissory.testing.always_replay` checks them after every round of the run loop, and the
property tests after every event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Final

from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.mapping import mapping_of
from promissory.executor.scheduler.node_state import (
    BADLY,
    DONE,
    ENDED,
    FAILED,
    OPEN,
    PENDING,
    SKIPPED,
    UPSTREAM_FAILED,
    NodeState,
)
from promissory.executor.scheduler.propagation import may_start
from promissory.executor.scheduler.state import State
from promissory.planner.plan.model import GATE


class Violated(AssertionError):
    """A state that no run may be in; the message names the invariant, the node, and what is wrong."""


Invariant = Callable[[State], Iterator[str]]
"""Yields a sentence for each place where the invariant does not hold."""


def no_step_is_left(state: State) -> Iterator[str]:
    """Between two events the agenda is empty."""
    if state.agenda:
        yield f"{len(state.agenda)} steps are left"


def frames_stand_for_open_nodes(state: State) -> Iterator[str]:
    """An open frame stands for an open node of an open frame, or for a node that failed, to be retried inside."""
    for frame in state.frames.values():
        parent = frame.parent
        if parent is None:
            continue
        if parent.id not in state.frames:
            yield f"frame {frame.id} is open below frame {parent.id}, which is not"
        at = parent.state(frame.slot)
        if at != OPEN and at not in BADLY and not _is_joined(state, frame) and not (frame.stage and at == PENDING):
            yield f"frame {frame.id} stands for {parent.path_of(frame.slot)}, which is {NodeState(at).name}"


def _is_joined(state: State, frame: Frame) -> bool:
    """Whether the frame is a chunk whose map is about to join its lists."""
    return frame.part is not None and frame.parent is not None and frame.parent.state(frame.slot) == PENDING


def remaining_counts_what_has_not_ended(state: State) -> Iterator[str]:
    """A frame's `remaining` counts the nodes and joints that the frame waits for and that have not ended."""
    for frame in state.frames.values():
        left = sum(frame.state(one) in (PENDING, OPEN) and frame.counts(one) for one in range(frame.topology.size))
        if frame.remaining != left:
            yield f"frame {frame.id} counts {frame.remaining} nodes that have not ended, and there are {left}"
        asleep = sum(frame.state(one) == PENDING and not frame.counts(one) for one in frame.topology.standby)
        if frame.asleep != asleep:
            yield f"frame {frame.id} counts {frame.asleep} nodes on standby, and there are {asleep}"
        if left == asleep == 0 and frame.failing is None:
            yield f"frame {frame.id} is open, and all its nodes have ended"


def nodes_count_what_they_wait_for(state: State) -> Iterator[str]:
    """A pending node's first count is the number of nodes that it still waits for."""
    for frame in state.frames.values():
        for index in range(frame.topology.size):
            if frame.state(index) == PENDING and not _is_made_all_the_same(frame, index):
                waits = _waits(frame, index)
                if frame.cells[index] != waits:
                    yield f"{frame.path_of(index)} counts {frame.cells[index]} nodes to wait for, and there are {waits}"


def _is_made_all_the_same(frame: Frame, index: int) -> bool:
    """Whether the index is the list of a chunk that its map makes although items failed."""
    topology = frame.topology
    if frame.part is None or index != topology.size - 1 or frame.cells[index]:
        return False
    return all(frame.state(one) in ENDED for one in range(topology.count))


def _waits(frame: Frame, index: int) -> int:
    topology = frame.topology
    before = topology.before(index)
    if frame.jumped is not None and index in frame.jumped:
        return sum(frame.state(one) not in ENDED for one, takes in before.items() if takes)
    over = (DONE,) if frame.part is not None else ENDED  # a chunk's list waits for items that did not succeed, too
    waits = sum(frame.state(one) not in over for one in before)
    for one, followers in (frame.more or {}).items():
        waits += index in followers and frame.state(one) not in ENDED
    return waits + (index in topology.standby and index not in (frame.awake or ()))


def values_are_kept_while_needed(state: State) -> Iterator[str]:
    """A frame keeps the value of a done node exactly as long as an output, or a node that may still run, takes it."""
    for frame in state.frames.values():
        topology, size = frame.topology, frame.topology.size
        uses = Counter(one for one in topology.outputs if one.__class__ is int and one >= 0)
        uses.update(range(size) if topology.keeps else ())
        for index in range(size):
            if frame.state(index) not in (DONE, SKIPPED):
                taken = topology.take_list[topology.take_offsets[index] : topology.take_offsets[index + 1]]
                uses.update(taken)
        for index in range(size):
            if frame.cells[size + index] != uses[index]:
                yield f"{frame.path_of(index)} counts {frame.cells[size + index]} uses, and there are {uses[index]}"
        for index in frame.values or ():
            if frame.state(index) != DONE or not uses[index]:
                yield f"the value of {frame.path_of(index)} is kept, and no node takes it any more"


def what_could_start_is_known(state: State, elsewhere: Collection[Key] = ()) -> Iterator[str]:
    """A node that waits for nothing is ready, runs, sleeps, is held back, or waits for capacity or for other items.

    Args:
        elsewhere: calls that wait outside the scheduler, for an equal call.
    """
    if state.dead or state.stopping or state.outputs is not None:
        return
    known = {
        (frame.id, index) for stack in (state.ready, state.gates_ready, state.overlapping) for frame, index in stack
    }
    known.update(state.in_flight, state.holding, elsewhere)
    known.update((one.frame.id, one.node) for one in state.sleeping)
    known.update((frame.id, index) for parked in state.admission.parked.values() for frame, index in parked)
    known.update((frame.id, index) for mapping in state.maps.values() for frame, index in mapping.queue)
    for frame in state.frames.values():
        for index in range(frame.topology.size):
            key = (frame.id, index)
            is_free = frame.state(index) == PENDING and not frame.cells[index] and frame.counts(index)
            if is_free and key not in known and may_start(frame, index):
                yield f"{frame.path_of(index)} could start, and nothing would start it"


def tables_speak_of_open_nodes(state: State) -> Iterator[str]:
    """Loops, gates and maps under way are nodes of open frames that have not ended, or with which a resume goes on."""
    for name, table in (
        ("loop", state.loops),
        ("gate", state.waiting),
        ("map", state.maps),
        ("cycle", state.cycles),
        ("async dynamic", state.awaits),
    ):
        for id, index in table:
            frame = state.frames.get(id)
            if frame is None:
                yield f"a {name} is under way in frame {id}, which is not open"
            elif frame.state(index) in (DONE, SKIPPED, UPSTREAM_FAILED):
                yield f"the {name} {frame.path_of(index)} is under way, and is {NodeState(frame.state(index)).name}"
    for id, index in state.waiting:
        frame = state.frames.get(id)
        if frame is not None and frame.topology.kind(index) != GATE:
            yield f"{frame.path_of(index)} waits like a gate, and is none"


def maps_count_their_items(state: State) -> Iterator[str]:
    """A map's counts are those of the items in its open chunks, and of its chunks that gave their list."""
    ended: Counter[Key] = Counter()
    failed: Counter[Key] = Counter()
    for frame in state.frames.values():
        if frame.part is None or frame.parent is None:
            continue
        key = (frame.parent.id, frame.slot)
        if key not in state.maps:
            if frame.parent.state(frame.slot) not in BADLY:
                yield f"frame {frame.id} is a chunk of no map"
            continue
        if mapping_of(state.maps, frame).open.get(frame.part.number) is not frame:
            yield f"frame {frame.id} is a chunk that its map does not know"
        items = [frame.state(index) for index in range(frame.topology.count)]
        ended[key] += sum(one in ENDED for one in items)
        failed[key] += sum(one in (FAILED, UPSTREAM_FAILED) for one in items)
    for key, mapping in state.maps.items():
        given = sum(count for count, list in zip(mapping.counts, mapping.results, strict=True) if list is not None)
        if mapping.ended != ended[key] + given:
            yield f"the map {mapping.frame.path_of(key[1])} counts {mapping.ended} items that have ended"
        if mapping.failed < failed[key]:
            yield f"the map {mapping.frame.path_of(key[1])} counts {mapping.failed} items that have failed"


def rounds_stand_in_their_cycles(state: State) -> Iterator[str]:
    """An open round is a round that its cycle knows, and what waits for its nodes is open."""
    for frame in state.frames.values():
        if frame.cycle and frame.parent is not None:
            cycle = state.cycles.get((frame.parent.id, frame.slot))
            if cycle is None:
                if frame.parent.state(frame.slot) not in BADLY:
                    yield f"frame {frame.id} is a round of no cycle"
            elif cycle.open.get(frame.cycle) is not frame:
                yield f"frame {frame.id} is a round that its cycle does not know"
    for cycle in state.cycles.values():
        for (ordinal, node), waiting in cycle.waiting.items():
            source = cycle.open.get(ordinal)
            is_open = any(other.id in state.frames and other.state(at) == OPEN for other, at in waiting)
            if is_open and (source is None or source.state(node) in ENDED):
                yield f"round {ordinal} of {cycle.frame.path_of(cycle.index)} is waited for in vain"
        held = {ordinal for rounds in cycle.held.values() for ordinal, _ in rounds}
        reachable = min(cycle.open, default=cycle.next) - cycle.back
        if any(one < reachable for one in cycle.past.keys() - held):
            yield f"{cycle.frame.path_of(cycle.index)} keeps rounds that nothing can reach"


def segments_stand_in_their_dynamics(state: State) -> Iterator[str]:
    """An open segment is one that its async dynamic knows, and the body is told of what has ended."""
    for frame in state.frames.values():
        if frame.is_segment and frame.parent is not None:
            awaiting = state.awaits.get((frame.parent.id, frame.slot))
            if awaiting is None:
                if frame.parent.state(frame.slot) not in BADLY:
                    yield f"frame {frame.id} is a segment of no async dynamic"
            elif awaiting.open.get(frame.stage) is not frame:
                yield f"frame {frame.id} is a segment that its async dynamic does not know"
    for awaiting in state.awaits.values():
        path = awaiting.frame.path_of(awaiting.index)
        for ordinal, node in awaiting.awaited:
            segment = awaiting.open.get(ordinal)
            if segment is None or segment.state(node) in ENDED:
                yield f"{path} waits for node {node} of segment {ordinal}, which has ended"
        if awaiting.answers and not awaiting.last and awaiting.frame.state(awaiting.index) == OPEN:
            yield f"{path} waits, and is not told of {len(awaiting.answers)} nodes that have ended"


def what_fails_is_busy_while_it_runs(state: State) -> Iterator[str]:
    """While frames fail, `busy` counts for each frame its running calls, and its frames below that are busy or fail."""
    if not state.failing:
        return
    for id, frame in state.failing.items():
        if state.frames.get(id) is not frame or frame.failing is None:
            yield f"frame {id} is noted as failing, and does not fail"
    busy: Counter[int] = Counter(id for id, _ in (*state.in_flight, *state.holding) if id in state.frames)
    for id, frame in sorted(state.frames.items(), reverse=True):
        if (busy[id] or id in state.failing) and frame.parent is not None:
            busy[frame.parent.id] += 1
    for id in state.frames:
        if state.busy.get(id, 0) != busy[id]:
            yield f"frame {id} counts {state.busy.get(id, 0)} that run, and there are {busy[id]}"


def nothing_new_starts_below_what_fails_at_once(state: State) -> Iterator[str]:
    """A frame is frozen if it fails and its policy says so, or if a frame above is frozen."""
    for frame in state.frames.values():
        at_once = frame.failing is not None and not frame.topology.graph.runs_on
        above = frame.parent is not None and frame.parent.frozen
        if frame.frozen != (at_once or above):
            yield f"frame {frame.id} is{'' if frame.frozen else ' not'} frozen"


INVARIANTS: Final[tuple[Invariant, ...]] = (
    no_step_is_left,
    frames_stand_for_open_nodes,
    remaining_counts_what_has_not_ended,
    nodes_count_what_they_wait_for,
    values_are_kept_while_needed,
    tables_speak_of_open_nodes,
    maps_count_their_items,
    rounds_stand_in_their_cycles,
    segments_stand_in_their_dynamics,
    what_fails_is_busy_while_it_runs,
    nothing_new_starts_below_what_fails_at_once,
)


def check(state: State, elsewhere: Collection[Key] = ()) -> None:
    """Raise `Violated` if any invariant does not hold.

    Args:
        elsewhere: calls that wait outside the scheduler, for an equal call.
    """
    for invariant in INVARIANTS:
        for wrong in invariant(state):
            raise Violated(f"{invariant.__name__}: {wrong}")
    for wrong in what_could_start_is_known(state, elsewhere):
        raise Violated(f"what_could_start_is_known: {wrong}")
