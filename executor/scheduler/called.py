"""What the nodes of a graph call, as people are told: the kind of the node, and the name of its callable. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from promissory.planner.plan.model import CALL, KIND_NAMES, Graph, Shape
from promissory.planner.plan.specs import Gate

Called = tuple[str, str]
"""The kind of a node (task, dynamic, cycle, plan, map, branch, gate, rescue, merge), and what the node calls."""

HIDDEN: Called = ("", "")
"""Of joints, which people don't see."""


def called(shape: Shape, graph: Graph, name: Callable[[int], str], index: int) -> Called:
    """What a node calls.

    Args:
        name: gives the name of a node, for kinds that call nothing.
    """
    kind = graph.kinds[index]
    if kind == CALL:
        callee: Any = shape.callees[graph.targets[index]]
        return callee.kind, callee.name
    if graph.calls(index):
        return KIND_NAMES[kind], shape.callees[graph.targets[index]].name
    if graph.opens(index):
        return KIND_NAMES[kind], shape.graphs[graph.targets[index]].name
    spec = graph.specs[index]
    return KIND_NAMES[kind], (spec.what if isinstance(spec, Gate) else name(index))


class Calls:
    """What the nodes and joints of a graph call.

    Args:
        name: gives the name of a node.
        items: whether the nodes are items of a map: then each stands for the map.
        earlier: nodes that stand for nodes of earlier rounds of a cycle, which people don't see here.

    Attributes:
        each: by node and joint.
        told: the nodes that people see.
        counts: how many of those call what.
    """

    def __init__(
        self, shape: Shape, graph: Graph, name: Callable[[int], str], size: int, items: bool, earlier: tuple[int, ...]
    ) -> None:
        known: dict[tuple[int, int], Called] = {}  # a plan may have a million nodes that call one task
        self.each: list[Called] = []
        for index, place in enumerate(zip(graph.kinds, graph.targets, strict=True)):
            found = known.get(place)
            if found is None:
                found = called(shape, graph, name, index)
                if items:
                    found = ("map", found[1])
                if place[0] == CALL or graph.calls(index) or graph.opens(index):
                    known[place] = found
            self.each.append(found)
        count = len(self.each)
        self.each += [self.each[0] if items and count else HIDDEN] * (size - count)  # the joints of a map's lists
        hidden = set(earlier)
        self.told: Sequence[int] = () if items else range(count)
        if hidden:
            self.told = [index for index in range(count) if index not in hidden]
        self.counts = tuple(Counter([self.each[index] for index in self.told]).items())
