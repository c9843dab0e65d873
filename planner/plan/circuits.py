"""The circuits of a cycle's graph: they bound how fast rounds can follow each other.

A node of a round may need a node of an earlier round, which needs one of a round still earlier, and so on round the
same circuit. In the long run no round comes faster than the latency of a circuit divided by the number of rounds that
it spans, for the circuit for which that is most (the maximum cycle ratio; R. Reiter, "Scheduling Parallel
Computations", 1968). It is found by raising the ratio to that of a circuit which exceeds it, until none does
(W. Dinkelbach, "On Nonlinear Fractional Programming", 1967).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from promissory.planner.plan.model import Shape
from promissory.planner.plan.names import node_names
from promissory.planner.plan.part import needs_of
from promissory.planner.plan.specs import Earlier


class Edge(NamedTuple):
    """A node needs another node, `distance` rounds back."""

    source: str
    target: str
    distance: int


class Circuit(NamedTuple):
    """A circuit: its nodes in order, how long they take together (s), and the number of rounds that it spans."""

    nodes: tuple[str, ...]
    latency: float
    distance: int

    @property
    def ratio(self) -> float:
        """Seconds a round."""
        return self.latency / self.distance


def edges_of(shape: Shape) -> list[Edge]:
    """List what the nodes of a round need, by name."""
    graph, names, needs = shape.graphs[0], node_names(shape, 0), needs_of(shape.graphs[0])
    found = []
    for index, name in enumerate(names):
        for one in sorted(needs[index]):
            spec = graph.specs.get(one)
            if not isinstance(spec, Earlier):
                found.append(Edge(names[one], name, 0))
            elif spec.distance:
                found.append(Edge(spec.name, name, spec.distance))
    return found


def unrolled(rounds: Sequence[Shape]) -> Iterator[str]:
    """List the nodes of the first rounds, each with what it waits for: `foo@2 after foo@1, prep@1`."""
    held: dict[str, str] = {}
    for number, shape in enumerate(rounds, 1):
        graph, names, needs = shape.graphs[0], node_names(shape, 0), needs_of(shape.graphs[0])
        stands: dict[int, str] = {}
        for index, name in enumerate(names):
            spec = graph.specs.get(index)
            if isinstance(spec, Earlier):
                stands[index] = f"{spec.name}@{number - spec.distance}" if spec.distance else held[spec.name]
                continue
            stands[index] = f"{name}@{number}"
            after = ", ".join(stands[one] for one in sorted(needs[index]))
            yield f"{stands[index]} after {after}" if after else stands[index]
            if "held" in graph.overrides.get(index, ()):
                held[graph.overrides[index]["held"]] = stands[index]


def slowest_circuit(edges: Iterable[Edge], latency: Mapping[str, float]) -> Circuit | None:
    """Find the circuit that takes most for each round that it spans; None if there is no circuit.

    Args:
        edges: what needs what.
        latency: how long each node takes, in seconds; 0 for one that is not there.

    >>> edges = [Edge("a", "b", 0), Edge("b", "a", 1), Edge("a", "a", 1)]
    >>> slowest_circuit(edges, {"a": 1.0, "b": 6.0})
    Circuit(nodes=('a', 'b'), latency=7.0, distance=1)
    """
    known = list(edges)
    best: Circuit | None = None
    while True:
        better = _exceeding(known, latency, -1.0 if best is None else best.ratio)
        if better is None:
            return best
        best = better


def _exceeding(edges: list[Edge], latency: Mapping[str, float], ratio: float) -> Circuit | None:
    """A circuit with a larger ratio (Bellman and Ford, for the longest way)."""
    way = dict.fromkeys([name for edge in edges for name in edge[:2]], 0.0)
    came: dict[str, Edge] = {}
    last = ""
    for _ in range(len(way) + 1):
        last = ""
        for edge in edges:
            length = way[edge.source] + latency.get(edge.source, 0.0) - ratio * edge.distance
            if length > way[edge.target] + 1e-12:
                way[edge.target], came[edge.target], last = length, edge, edge.target
        if not last:
            return None
    for _ in way:  # go back until the way surely is in the circuit
        last = came[last].source
    circuit = [came[last]]
    while circuit[-1].source != last:
        circuit.append(came[circuit[-1].source])
    circuit.reverse()
    found = Circuit(
        tuple(edge.source for edge in circuit),
        sum(latency.get(edge.source, 0.0) for edge in circuit),
        sum(edge.distance for edge in circuit),
    )
    return found if found.distance and found.ratio > ratio + 1e-12 else None
