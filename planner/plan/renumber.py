"""The same graph under other numbers: nodes reordered, callees, literals and graphs renumbered.

Pure functions over the columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace

from promissory.planner.plan.model import (
    ARM,
    CALL,
    DICT,
    ERROR,
    INPUT,
    LIST,
    NODE,
    RECORD,
    TUPLE,
    Binding,
    Graph,
    Output,
)
from promissory.planner.plan.specs import with_graphs
from promissory.typesys.canonical import pack


def _mapped(binding: Binding, node: Callable[[int], int], literal: Callable[[int], int]) -> Binding:
    """Rename the nodes and literals of a binding."""
    if binding is None:
        return None
    if binding.__class__ is int:
        return node(binding) if binding >= 0 else literal(binding)
    code = binding[0]
    if code in (INPUT, ERROR):
        return binding
    if code == NODE:
        return [NODE, node(binding[1]), binding[2]]
    if code in (LIST, TUPLE):
        return [code, [_mapped(item, node, literal) for item in binding[1]]]
    if code == DICT:
        return [DICT, [[key, _mapped(item, node, literal)] for key, item in binding[1]]]
    if code == RECORD:
        return [RECORD, binding[1], [_mapped(item, node, literal) for item in binding[2]]]
    return [ARM, binding[1], _mapped(binding[2], node, literal)]


def _with_bindings(graph: Graph, order: list[int], node: Callable[[int], int], literal: Callable[[int], int]) -> Graph:
    packed = bytearray()
    offsets = array("I", [0])
    for index in order:
        packed += pack([_mapped(binding, node, literal) for binding in graph.bindings_of(index)])
        offsets.append(len(packed))
    outputs = tuple(Output(o.name, o.type, _mapped(o.binding, node, literal)) for o in graph.outputs)
    return replace(graph, bindings=bytes(packed), offsets=offsets, outputs=outputs)


def renumber_nodes(graph: Graph, order: list[int]) -> Graph:
    """Put the nodes of a graph in another order. `order[i]` is the old number of the new node i."""
    new = {old: index for index, old in enumerate(order)}
    renamed = _with_bindings(graph, order, new.__getitem__, lambda binding: binding)
    return replace(
        renamed,
        kinds=bytes(graph.kinds[old] for old in order),
        targets=array("I", [graph.targets[old] for old in order]),
        after=dict(sorted((new[old], tuple(sorted(new[one] for one in nodes))) for old, nodes in graph.after.items())),
        overrides=dict(sorted((new[old], entries) for old, entries in graph.overrides.items())),
        specs=dict(sorted((new[old], spec) for old, spec in graph.specs.items())),
        on_failure=None if graph.on_failure is None else new[graph.on_failure],
    )


def rebase(graph: Graph, callees: list[int], literals: list[int], number: Callable[[int], int]) -> Graph:
    """Move a graph to other tables: `callees` and `literals` (as bindings) are given by old position, graphs by
    `number`."""
    renamed = _with_bindings(graph, list(range(len(graph))), lambda node: node, lambda binding: literals[-1 - binding])
    targets = [
        callees[target] if graph.calls(i) else number(target) if graph.opens(i) else target
        for i, target in enumerate(graph.targets)
    ]
    specs = {index: with_graphs(spec, number) for index, spec in graph.specs.items()}
    return replace(renamed, targets=array("I", targets), specs=specs)


def renumber_graphs(graph: Graph, last: int) -> Graph:
    """Renumber the graphs that a graph opens, from n to last - n. Graphs are finished innermost first and written
    outermost first."""
    if not graph.specs and all(kind == CALL for kind in graph.kinds):
        return graph
    targets = [last - target if graph.opens(i) else target for i, target in enumerate(graph.targets)]
    specs = {index: with_graphs(spec, lambda number: last - number) for index, spec in graph.specs.items()}
    return replace(graph, targets=array("I", targets), specs=specs)
