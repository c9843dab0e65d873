"""An order of a graph's nodes in which each node comes after the nodes that it needs."""

from __future__ import annotations

import heapq

from promissory.planner.plan.model import Graph
from promissory.planner.plan.part import needs_of


def in_order(graph: Graph) -> tuple[list[int], list[int]]:
    """Order the nodes by the order edges.

    Of the nodes that are ready, the one called first comes first (Kahn's algorithm with a heap). Where edges lead in a
    circle, the order is empty and the circle is given.
    """
    needs = needs_of(graph)
    users: list[list[int]] = [[] for _ in needs]
    for node, before in enumerate(needs):
        for one in sorted(before):
            users[one].append(node)
    waiting = [len(before) for before in needs]
    ready = [node for node, count in enumerate(waiting) if count == 0 and node != graph.on_failure]
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        for user in users[node]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, user)
    order += [] if graph.on_failure is None else [graph.on_failure]
    if len(order) == len(needs):
        return order, []
    return [], _circle(needs, {node for node, count in enumerate(waiting) if count > 0})


def _circle(needs: list[set[int]], stuck: set[int]) -> list[int]:
    """Find a circle among nodes that wait for each other, from a node to itself, in the order of the edges."""
    node, path = min(stuck), list[int]()
    while node not in path:
        path.append(node)
        node = min(needs[node] & stuck)
    return [node, *reversed(path[path.index(node) :])]
