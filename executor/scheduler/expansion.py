"""Opening the frames of nested plans, fallbacks, arms and expansions. Pure; part of the scheduler."""

from __future__ import annotations

from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler import propagation
from promissory.executor.scheduler.agenda import READY
from promissory.executor.scheduler.awaiting import awaiting_of
from promissory.executor.scheduler.cycling import cycling_of
from promissory.executor.scheduler.frame import Frame, Repeat
from promissory.executor.scheduler.node_state import DONE, OPEN
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan


def open_frame(state: State, frame: Frame) -> None:
    """A frame begins: its nodes that wait for nothing are ready."""
    topology, parent = frame.topology, frame.parent
    state.weighted = state.weighted or topology.code.weighted
    state.timed = state.timed or topology.code.timed
    if parent is not None:
        is_handling = parent.topology.unusual and propagation.handles(parent.topology, frame.slot)
        frame.exempt = parent.exempt or is_handling
    if frame.part is None and not frame.loop:
        state.nodes += topology.count - len(topology.earlier)
        if state.cycles or state.awaits:
            _count_in_stage(state, frame)
    if topology.dormant:
        frame.mixed = True
    state.add_frame(frame)
    if frame.is_over:
        state.agenda.leave(frame)
        return
    if frame.part is not None or frame.stage:
        state.agenda.append((READY, frame, [index for index in topology.first[::-1] if index not in topology.earlier]))
    elif topology.apart:
        state.make_ready(frame, topology.first)
    else:
        state.ready += [(frame, index) for index in topology.first]


def _count_in_stage(state: State, frame: Frame) -> None:
    """Count a frame's nodes for the round of a cycle, or the segment, that the frame is, or is in. They count until it
    has finished."""
    at: Frame | None = frame
    while at is not None:
        if at.stage:
            grown = awaiting_of(state.awaits, at) if at.is_segment else cycling_of(state.cycles, at)
            if at.stage in grown.counted:
                grown.counted[at.stage] += frame.topology.count - len(frame.topology.earlier)
        at = at.parent


def open_graph(state: State, id: int, frame: Frame, index: int, graph: int, inputs: tuple[Value, ...]) -> None:
    """Open the frame of a graph of the plan that a node is in."""
    topology = frame.topology
    nested = state.topologies.get(topology.shape, graph, topology.code)
    frame.set_state(index, OPEN)
    identity = frame.identity_of(index, state.iteration(frame.id, index))
    open_frame(
        state,
        Frame(
            id,
            frame,
            index,
            frame.depth,
            nested,
            frame.literals,
            inputs,
            identity,
            frame.stem_of(index),
            frame.repeat,
            frame.nesting,
        ),
    )


def splice(
    state: State,
    id: int,
    frame: Frame,
    index: int,
    plan: Plan,
    header: FuturesHeader,
    repeat: Repeat | None,
    loops: bool,
    signalled: bool = False,
) -> None:
    """Open the frame of an expansion. A tail call takes the place of the frame that made it, which ends (rule D4)."""
    topology = frame.topology
    nesting = frame.nesting
    callee = topology.callee(index)
    if callee.policy.max_depth is not None:
        nesting = {**(nesting or {}), callee.name: (nesting or {}).get(callee.name, 0) + 1}
    child = state.topologies.get(plan.shape, 0)
    inputs = arguments(frame, index) if child.takes_inputs else ()
    identity = node_identity(header.parent, header.index)
    path = frame.stem_of(index, state.iteration(frame.id, index))
    depth = frame.depth + (callee.kind == "dynamic")
    parent, slot, in_loop = frame, index, loops
    hands_on = (
        frame.remaining == 1
        and not loops
        and not signalled
        and frame.parent is not None
        and frame.part is None
        and not frame.stage
        and not frame.mixed
    )
    if hands_on and topology.outputs == [index] and not topology.keeps_its_place(index) and callee.kind == "dynamic":
        assert frame.parent is not None
        if state.tally is not None:
            state.tally.hand_on(frame, index, id)
        frame.set_state(index, DONE)
        frame.remaining = 0  # the node was the last one, so the frame is over, and counts as a whole
        state.remove_frame(frame)
        state.loops.pop((frame.id, index), None)
        state.done_nodes += 1
        parent, slot, in_loop = frame.parent, frame.slot, frame.loop
    else:
        frame.set_state(index, OPEN)
    opened = Frame(id, parent, slot, depth, child, plan.literals, inputs, identity, path, repeat, nesting)
    opened.loop, opened.signalled = in_loop, signalled
    open_frame(state, opened)


def arguments(frame: Frame, index: int) -> tuple[Value, ...]:
    """The values of a dynamic's parameters, for the parameters that its body passed on by reference.

    An argument that had to be built is not at hand as a value; tracing never refers to one (it wasn't given its bytes).
    """
    topology = frame.topology
    parameters = topology.callee(index).interface.parameters
    bindings = topology.plan_inputs.get(index) or topology.graph.bindings_of(index)
    values: list[Value] = []
    for binding, parameter in zip(bindings, parameters, strict=True):
        if binding is None:
            assert parameter.default is not None
            values.append(parameter.default)
        elif topology.fits(binding, parameter.type):
            values.append(propagation.value_for(frame, index, binding, parameter))
        else:
            values.append(b"")
    return tuple(values)
