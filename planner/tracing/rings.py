"""Rings of a graph: nodes that lead to each other. A plan has none, until tasks send their run about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def rings(size: int, after: Mapping[int, Sequence[int]]) -> list[int]:
    """The number of each node's ring: nodes that lead to each other have the same number, any others have not.

    Each node and edge is looked at once, and nothing recurses (R. Tarjan, "Depth-First Search and Linear Graph
    Algorithms", 1972).

    Args:
        size: how many nodes there are.
        after: the nodes that each node leads to.

    >>> rings(4, {0: [1], 1: [2], 2: [1], 3: [0]})
    [2, 1, 1, 3]
    """
    found, low, number = [0] * size, [0] * size, [0] * size
    path: list[int] = []
    seen = closed = 0
    for start in range(size):
        if found[start]:
            continue
        todo = [(start, 0)]
        while todo:
            node, at = todo.pop()
            if at == 0:
                seen += 1
                found[node] = low[node] = seen
                path.append(node)
            followers = after.get(node, ())
            while at < len(followers):
                follower = followers[at]
                at += 1
                if not found[follower]:
                    todo += [(node, at), (follower, 0)]
                    break
                if not number[follower]:
                    low[node] = min(low[node], found[follower])
            else:
                if low[node] == found[node]:
                    closed += 1
                    while path[-1] != node:
                        number[path.pop()] = closed
                    number[path.pop()] = closed
                if todo:
                    above = todo[-1][0]
                    low[above] = min(low[above], low[node])
    return number


def way(after: Mapping[int, Sequence[int]], start: int, end: int) -> list[int]:
    """A shortest way from one node to another, both of them included; empty if there is none.

    >>> way({0: [1], 1: [2], 2: [1]}, 0, 2)
    [0, 1, 2]
    """
    came = {start: start}
    todo = [start]
    for node in todo:
        if node == end:
            found = [end]
            while found[-1] != start:
                found.append(came[found[-1]])
            return found[::-1]
        for follower in after.get(node, ()):
            if follower not in came:
                came[follower] = node
                todo.append(follower)
    return []
