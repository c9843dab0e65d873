"""Checks of a finished graph as a whole: where tasks send their run, whether each node can ever start, and whether a
node can do without values that it may not get (rules S4, X7).

Problems are collected and reported together with those of the calls (rule A7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, cast

from promissory.planner.errors import CompileError, JumpsBack, OverrideError, UnknownTarget, UnreachableNode, Where
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.model import CALL, PLAN, Graph, Parameter, references
from promissory.planner.plan.triggers import DEFAULT, admits_failure, fewest
from promissory.planner.tracing.jumps import Jump, jumps_of
from promissory.planner.tracing.rings import rings, way
from promissory.typesys.assignability import why_not
from promissory.typesys.types import NONE

_NEXT_TASK = "next_task"
_CONTEXTS = ("current_context", "ctx", "context")


_Send = tuple[int, Jump, list[int]]
"""A node, a call of `next_task` in its source, and the nodes that the call may mean."""


@dataclass(frozen=True)
class Surroundings:
    """Meanings of a graph's numbers while the graph is traced.

    Attributes:
        entities: the callees' tasks and dynamics, by number.
        graphs: the finished graphs, by number.
        called: gives the name of a node's target.
        lines: the author's line of each node.
    """

    entities: Sequence[Entity[..., Any]]
    graphs: Sequence[Graph]
    called: Callable[[int], str]
    lines: Sequence[Where | None]


def with_standby(graph: Graph, around: Surroundings, on_duty: set[int], problems: list[CompileError]) -> Graph:
    """Put nodes that are only reached by a jump on standby.

    Report targets that tasks name and the graph lacks, and targets that lead to the task which names them: such a node
    has started when it is asked for, or waits for the task that is to start it.

    Args:
        on_duty: nodes whose author says that they start by themselves.
        problems: the list that takes the errors.
    """
    sends = [
        (node, jump, [other for other in range(len(graph)) if other != node and _is_meant(graph, around, other, jump)])
        for node, jump in _jumps(graph, around)
        if not _is_new_call(jump)
    ]
    if not sends:
        return graph
    led_to = {node for node in range(len(graph)) if any(True for _ in _before(graph, node))}
    overrides = {node: dict(entries) for node, entries in graph.overrides.items()}
    meant = _that_lead_on(graph, sends)
    after = _after(graph, meant)
    ring = rings(len(graph), after)
    for node, jump, targets in meant:
        if not targets and jump.entity is None and jump.name != around.called(node):
            problems.append(_unknown_target(graph, around, node, jump))
        back = [other for other in targets if ring[other] == ring[node]]
        if back and (jump.goto or jump.entity is None):
            problems.append(_leads_back(around, node, jump, way(after, back[0], node)))
        for other in targets if jump.goto and not back else ():
            if other not in led_to and other not in on_duty:
                overrides.setdefault(other, {})["standby"] = True
    return replace(graph, overrides=dict(sorted(overrides.items())))


def _is_new_call(jump: Jump) -> bool:
    """Whether a task is sent for with all of its inputs: then it is called anew, and no node of the graph is meant."""
    if not isinstance(jump.entity, Entity) or not jump.given:
        return False
    return all(one.name in jump.given for one in jump.entity.signature.interface.parameters if one.default is None)


def _that_lead_on(graph: Graph, sends: list[_Send]) -> list[_Send]:
    """The sends with their targets. Of several nodes that a name may mean, those that lead to the sender are not meant.

    Such a node stays only where all targets lead to the sender.
    """
    ring = rings(len(graph), _after(graph, sends))
    return [
        (node, jump, [other for other in targets if ring[other] != ring[node]] or targets)
        for node, jump, targets in sends
    ]


def _after(graph: Graph, sends: list[_Send]) -> dict[int, list[int]]:
    """The nodes that each node leads to: over data, over order, and because a task sends its run there."""
    after: dict[int, list[int]] = {}
    for node in range(len(graph)):
        for before in dict.fromkeys(_before(graph, node)):
            after.setdefault(before, []).append(node)
    for node, jump, targets in sends:
        if jump.goto or jump.entity is None:
            after.setdefault(node, []).extend(targets)
    return after


def _leads_back(around: Surroundings, node: int, jump: Jump, over: list[int]) -> JumpsBack:
    sender = around.called(node)
    names = [around.called(one) for one in over]
    return JumpsBack(
        f"{sender} sends its run to {jump.name!r}, which leads to {sender}: {' → '.join(names)}",
        where=around.lines[node],
        way_out="to run something again, raise Loop, or pass the task itself with its inputs",
    )


def _jumps(graph: Graph, around: Surroundings) -> list[tuple[int, Jump]]:
    """Pair each node with the targets that its task's source names."""
    found = {
        number: jumps
        for number, entity in enumerate(around.entities)
        if (jumps := jumps_of(cast(FunctionType, entity.function)))
    }
    if not found:
        return []
    calls = (node for node, kind in enumerate(graph.kinds) if kind == CALL)
    return [(node, jump) for node in calls for jump in found.get(graph.targets[node], ())]


def _before(graph: Graph, node: int) -> Iterator[int]:
    """List the nodes that a node waits for, repeats included."""
    yield from graph.after.get(node, ())
    for binding in graph.bindings_of(node):
        yield from references(binding)


def _is_meant(graph: Graph, around: Surroundings, node: int, jump: Jump) -> bool:
    """Tell whether a call of `next_task` names this node."""
    if jump.entity is not None:
        return graph.kinds[node] == CALL and around.entities[graph.targets[node]].original is _original(jump.entity)
    name = graph.overrides.get(node, {}).get("name")
    return jump.name in (name, around.called(node)) or (
        name is None and jump.name.partition("~")[0] == around.called(node)
    )


def _original(thing: Any) -> Any:
    """What an author wrote, of an entity that was frozen when a call was recorded."""
    return thing.original if isinstance(thing, Entity) else thing


def _unknown_target(graph: Graph, around: Surroundings, node: int, jump: Jump) -> UnknownTarget:
    there = ", ".join(dict.fromkeys(around.called(other) for other in range(len(graph)) if other != node))
    return UnknownTarget(
        f"{around.called(node)} sends its run to {jump.name!r}, and {graph.name} has no such node",
        where=around.lines[node],
        way_out=f"there is: {there or 'none'}; or pass the task itself",
    )


def with_senders(graph: Graph, around: Surroundings) -> Graph:
    """Mark the calls that may send the run to a node on standby, where there is one and not every call may.

    A node on standby is skipped once a task that could have sent the run there has ended without doing so (rule X8), so
    the run has to know which tasks could.
    """
    if not any("standby" in entries for entries in graph.overrides.values()):
        return graph
    calls = [node for node, kind in enumerate(graph.kinds) if kind == CALL]
    senders = [node for node in calls if _may_send(graph, around, node)]
    if not senders or len(senders) == len(calls):
        return graph
    overrides = {node: dict(entries) for node, entries in graph.overrides.items()}
    for node in senders:
        overrides.setdefault(node, {})["sends"] = True
    return replace(graph, overrides=dict(sorted(overrides.items())))


def _may_send(graph: Graph, around: Surroundings, node: int) -> bool:
    """Whether a node's task calls `next_task`, or hands its context to a function that may call it."""
    if graph.kinds[node] != CALL:
        return False
    layer: Any = around.entities[graph.targets[node]].function
    while isinstance(layer, FunctionType):
        code = layer.__code__
        if _NEXT_TASK in code.co_names or any(name in (*code.co_names, *code.co_varnames) for name in _CONTEXTS):
            return True
        layer = vars(layer).get("__wrapped__")
    return False


def check_starts(graph: Graph, around: Surroundings) -> Iterator[CompileError]:
    """Find nodes that can never start, and nodes that may start without a value which a failed node owes them."""
    for node, entries in graph.overrides.items():
        trigger = entries.get("trigger", DEFAULT)
        before = len(set(_before(graph, node)))
        if before < fewest(trigger):
            yield UnreachableNode(
                f"{around.called(node)} can never start: its trigger is {trigger}, and it comes after {before} nodes",
                where=around.lines[node],
                way_out="order it behind more with >>, or change the trigger",
            )
        if admits_failure(trigger):
            yield from _check_inputs(graph, around, node, trigger)
    idle = [node for node, entries in graph.overrides.items() if "standby" in entries]
    if idle and not any(_may_send(graph, around, node) for node in range(len(graph))):
        for node in idle:
            yield UnreachableNode(
                f"{around.called(node)} is on standby, and no task of {graph.name} sends the run anywhere",
                where=around.lines[node],
                way_out="have a task call ctx.next_task(…), or leave standby out",
            )


def _check_inputs(graph: Graph, around: Surroundings, node: int, trigger: str) -> Iterator[CompileError]:
    parameters = _parameters(graph, around, node)
    for position, binding in enumerate(graph.bindings_of(node)):
        given = next(references(binding), None)
        if given is None:
            continue
        parameter = parameters[position] if position < len(parameters) else None
        if parameter is not None and (parameter.default is not None or why_not(NONE, parameter.type) is None):
            continue
        name = "its value" if parameter is None else parameter.name
        yield OverrideError(
            f"{around.called(node)} runs also if {around.called(given)} failed (trigger {trigger}), and then "
            f"has no {name}",
            where=around.lines[node],
            way_out=f"let {name} be None or give it a default, or order the two with >> instead of passing the value",
        )


def _parameters(graph: Graph, around: Surroundings, node: int) -> tuple[Parameter, ...]:
    target = graph.targets[node]
    if graph.kinds[node] == CALL:
        return around.entities[target].signature.interface.parameters
    return around.graphs[target].inputs if graph.kinds[node] == PLAN else ()
