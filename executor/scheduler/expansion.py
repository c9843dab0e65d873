"""Opening the frames of nested plans, fallbacks, arms and expansions. Pure; part of the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promissory.executor.protocol.events import NO_META, OPENED
from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.frame import DONE, OPEN, Frame, Repeat
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.model import Value
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.specs import Rescue

if TYPE_CHECKING:
    from promissory.executor.scheduler.state import State


def open_nested(scheduler: State, frame: Frame, index: int, child: int | None = None) -> None:
    """Open the frame of a nested plan, if the run may have that many nodes."""
    topology = frame.topology
    target = topology.graph.targets[index]
    problem = scheduler.limits.nodes(scheduler.nodes + len(topology.shape.graphs[target]), frame.path_of(index))
    if problem is not None and not scheduler.replaying:
        scheduler.fail(frame, index, problem, NO_META)
        return
    inputs = []
    for binding, parameter in zip(topology.plan_inputs[index], topology.shape.graphs[target].inputs, strict=True):
        value = parameter.default if binding is None else endings.value_for(frame, index, binding, parameter)
        assert value is not None, "verified plans bind what has no default"
        inputs.append(value)
    id = scheduler.new_frame(child)
    scheduler.log.append((OPENED, frame.id, index, id))
    open_graph(scheduler, id, frame, index, target, tuple(inputs))


def open_fallback(scheduler: State, frame: Frame, index: int, child: int | None = None) -> None:
    """Open the frame of a fallback, which stands in for a node that failed."""
    spec = frame.topology.graph.specs[index]
    source = frame.topology.rescues(index)
    assert isinstance(spec, Rescue) and source is not None and frame.failures is not None
    error = frame.failures[source].as_value()
    given = frame.topology.plan_inputs[index]
    inputs = tuple(error if at < 0 else frame.value(given[at]) for at in spec.takes)
    id = scheduler.new_frame(child)
    scheduler.log.append((OPENED, frame.id, index, id))
    open_graph(scheduler, id, frame, index, spec.graph, inputs)


def open_graph(scheduler: State, id: int, frame: Frame, index: int, graph: int, inputs: tuple[Value, ...]) -> None:
    """Open the frame of a graph of the plan that a node is in."""
    topology = frame.topology
    nested = scheduler.topologies.get(topology.shape, graph, topology.code)
    frame.set_state(index, OPEN)
    identity = frame.identity_of(index, scheduler.iteration(frame.id, index))
    scheduler.open(
        Frame(
            id,
            frame,
            index,
            frame.depth,
            nested,
            frame.literals,
            inputs,
            identity,
            frame.path_of(index),
            frame.repeat,
            frame.nesting,
        )
    )


def splice(
    scheduler: State,
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
    child = scheduler.topologies.get(plan.shape, 0)
    inputs = _arguments(frame, index) if child.takes_inputs else ()
    identity = node_identity(header.parent, header.index)
    path = frame.path_of(index, scheduler.iteration(frame.id, index))
    depth = frame.depth + (callee.kind == "dynamic")
    parent, slot, in_loop = frame, index, loops
    hands_on = (
        frame.remaining == 1
        and not loops
        and not signalled
        and frame.parent is not None
        and frame.part is None
        and not frame.mixed
    )
    if hands_on and topology.outputs == [index] and not topology.keeps_its_place(index) and callee.kind == "dynamic":
        assert frame.parent is not None
        scheduler.remove_frame(frame)
        frame.set_state(index, DONE)
        scheduler.loops.pop((frame.id, index), None)
        scheduler.done_nodes += 1
        parent, slot, in_loop = frame.parent, frame.slot, frame.loop
    else:
        frame.set_state(index, OPEN)
    opened = Frame(id, parent, slot, depth, child, plan.literals, inputs, identity, path, repeat, nesting)
    opened.loop, opened.signalled = in_loop, signalled
    scheduler.open(opened)


def _arguments(frame: Frame, index: int) -> tuple[Value, ...]:
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
            values.append(endings.value_for(frame, index, binding, parameter))
        else:
            values.append(b"")
    return tuple(values)
