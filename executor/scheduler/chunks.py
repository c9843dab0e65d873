"""The topology of a map's chunk: a node for each item, and the list of the items' results as the output. Pure."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import accumulate

from promissory.executor.scheduler.topology import Topology
from promissory.planner.plan.interfaces import target_interface
from promissory.planner.plan.model import CALL, INPUT, LIST, PLAN, Graph, Output
from promissory.planner.plan.specs import Map
from promissory.typesys.canonical import pack
from promissory.typesys.types import ListType, Type

_OF_THE_MAP = ("name", "trigger", "standby", "sends")
"""The overrides that say something of the map, and nothing of its items."""


def chunk_topology(topology: Topology, index: int, count: int) -> Topology:
    """The topology of `count` items of a map, for all chunks of that many items."""
    key = (index, count)
    found = topology.chunks.get(key)
    if found is None:
        items, is_plain = _graph(topology, index, count)
        found = Topology(topology.shape, topology.number, topology.code, items, plain=is_plain)
        found.chunk_of = key
        topology.chunks.put(key, found)
    return found


def _graph(topology: Topology, index: int, count: int) -> tuple[Graph, bool]:
    """The graph of `count` items of a map, and whether these items are calls with plain inputs."""
    graph, spec = topology.graph, topology.graph.specs[index]
    assert isinstance(spec, Map)
    interface = target_interface(topology.shape, graph, index)
    assert isinstance(interface.result, ListType)
    target = graph.targets[index]
    one = topology.shape.graphs[target].inputs if spec.over_graph else topology.callee(index).interface.parameters
    inputs = tuple(
        replace(
            parameter, type=_given_type(topology, index, at) if at in spec.mapped else own.type, default=own.default
        )
        for at, (parameter, own) in enumerate(zip(interface.parameters, one, strict=True))
    )
    given = topology.plan_inputs[index]
    rows = [
        pack(
            [
                None if bound is None else [INPUT, at, [item]] if at in spec.mapped else [INPUT, at]
                for at, bound in enumerate(given)
            ]
        )
        for item in range(count)
    ]
    policy = {name: value for name, value in graph.overrides.get(index, {}).items() if name not in _OF_THE_MAP}
    items = Graph(
        graph.name,
        inputs,
        (Output("result", interface.result, [LIST, list(range(count))]),),
        bytes([PLAN if spec.over_graph else CALL]) * count,
        array("I", [target]) * count,
        array("I", accumulate(map(len, rows), initial=0)),
        b"".join(rows),
        {},
        dict.fromkeys(range(count), policy) if policy else {},
    )
    is_cached = not spec.over_graph and bool(policy.get("cache", topology.callee(index).policy.cache))
    return items, is_cached


def _given_type(topology: Topology, index: int, at: int) -> Type:
    """The type of the list of items that a mapped parameter is given."""
    type = topology.leaf_type(topology.plan_inputs[index][at])
    given = (
        type
        if isinstance(type, ListType)
        else target_interface(topology.shape, topology.graph, index).parameters[at].type
    )
    spec = topology.graph.specs[index]
    return given.item if isinstance(spec, Map) and at in spec.flat and isinstance(given, ListType) else given
