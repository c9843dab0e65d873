"""Interfaces of nodes: the typed parameters and the result of a node of each kind. Pure."""

from __future__ import annotations

from dataclasses import replace

from promissory.planner.plan.model import CALL, PLAN, Graph, Interface, Parameter, Shape
from promissory.planner.plan.specs import Gate, Map
from promissory.typesys.types import FLOAT, NONE, ListType, Type
from promissory.typesys.unions import union


def result_type(graph: Graph) -> Type:
    """Give the type of a nested graph's value as a node: that of its one output, None if it has none."""
    return graph.outputs[0].type if graph.outputs else NONE


def target_interface(shape: Shape, graph: Graph, index: int) -> Interface:
    """Give parameters and result of a node's target."""
    kind, target = graph.kinds[index], graph.targets[index]
    if kind == CALL:
        return shape.callees[target].interface
    if kind == PLAN:
        return _graph_interface(shape.graphs[target])
    spec = graph.specs[index]
    if isinstance(spec, Map):
        return map_interface(
            _graph_interface(shape.graphs[target]) if spec.over_graph else shape.callees[target].interface, spec
        )
    if isinstance(spec, Gate):
        return gate_interface(spec)
    return Interface(spec.inputs, spec.result)


def _graph_interface(graph: Graph) -> Interface:
    return Interface(graph.inputs, result_type(graph))


def map_interface(one: Interface, spec: Map) -> Interface:
    """Give parameters and result of a map over a target with this interface: lists where it is mapped, and a list of
    results."""
    parameters = tuple(replace(p, type=spec.given(position, p.type)) for position, p in enumerate(one.parameters))
    return Interface(parameters, ListType(item_type(one.result, spec)))


def item_type(result: Type, spec: Map) -> Type:
    """Give the type of one item of a map's result."""
    return result if spec.min_success_ratio >= 1 else union([result, NONE])


def gate_interface(spec: Gate) -> Interface:
    """Give parameters and result of a gate."""
    if spec.what == "sleep":
        return Interface((Parameter("duration", FLOAT),), NONE)
    if spec.what == "approve":
        return Interface((Parameter("value", spec.result),), spec.result)
    return Interface((), spec.result)
