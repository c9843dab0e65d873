"""Parts of a graph: the same graph with fewer nodes, or with nodes that take nothing. Pure, over the columns."""

from __future__ import annotations

from array import array
from dataclasses import replace

from promissory.planner.plan.model import Graph, references
from promissory.planner.plan.renumber import renumber_nodes
from promissory.typesys.canonical import pack


def needs_of(graph: Graph) -> list[set[int]]:
    """List for each node the nodes that it waits for."""
    return [
        {*graph.after.get(node, ()), *(one for binding in graph.bindings_of(node) for one in references(binding))}
        for node in range(len(graph))
    ]


def _cut(graph: Graph, kept: set[int]) -> Graph:
    """Forget what is said of nodes that are left out."""
    return replace(
        graph,
        after={
            node: left
            for node, before in graph.after.items()
            if node in kept and (left := tuple(one for one in before if one in kept))
        },
        overrides={node: entries for node, entries in graph.overrides.items() if node in kept},
        specs={node: spec for node, spec in graph.specs.items() if node in kept},
    )


def only(graph: Graph, places: list[int]) -> Graph:
    """Keep these nodes, in this order."""
    if places == list(range(len(graph))):
        return graph
    return renumber_nodes(_cut(graph, set(places)), places)


def emptied(graph: Graph, nodes: set[int]) -> Graph:
    """Take the bindings of some nodes away."""
    rows = [pack([] if node in nodes else graph.bindings_of(node)) for node in range(len(graph))]
    offsets = array("I", [0])
    for row in rows:
        offsets.append(offsets[-1] + len(row))
    return replace(graph, bindings=b"".join(rows), offsets=offsets)
