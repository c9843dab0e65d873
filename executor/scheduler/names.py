"""The names under which a task may ask for the nodes of a graph. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from promissory.planner.plan.model import MAP, PLAN, Callee, Graph, Shape


def nodes_by_name(shape: Shape, graph: Graph, names: Sequence[str], callees: Sequence[Callee]) -> dict[str, list[int]]:
    """The nodes of a graph by name, in order: each is listed under its own name and under that of its callee or nested
    graph."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        called = name
        if graph.calls(index):
            called = callees[graph.targets[index]].short_name
        elif graph.kinds[index] in (PLAN, MAP):
            called = shape.graphs[graph.targets[index]].name
        for one in {name, called}:
            found.setdefault(one, []).append(index)
    return found
