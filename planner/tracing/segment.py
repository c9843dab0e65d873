"""A segment: the part of an awaiting dynamic's trace from one await to the next (rule D8).

Each segment is a graph of its own. What a later segment takes of an earlier one stands in its graph as a node of the
kind EARLIER, as what a round of a cycle takes of the round before does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from promissory.planner.errors import user_line
from promissory.planner.plan.interfaces import target_interface
from promissory.planner.plan.model import EARLIER, NODE, Binding, Shape
from promissory.planner.plan.names import node_names
from promissory.planner.plan.specs import Earlier
from promissory.planner.tracing.promise import Promise
from promissory.typesys.types import Type

if TYPE_CHECKING:
    from promissory.planner.tracing.trace import Trace


class Segment:
    """The part of a trace that only a segment has.

    Args:
        body: the body that is traced; equal for all of its segments.
        ordinal: the number of the segment, from 1.
    """

    def __init__(self, body: object, ordinal: int) -> None:
        self.ordinal = ordinal
        self._conditions = 0
        self._body = body
        self._brought: dict[tuple[int, int], int] = {}
        self._shape: Shape | None = None
        self._order: Sequence[int] | None = None
        self._places: dict[int, int] | None = None
        self._names: list[str] | None = None

    def next_condition(self) -> str:
        """Give a name to the node of a condition that is awaited."""
        self._conditions += 1
        return "condition" if self._conditions == 1 else f"condition {self._conditions}"

    def close(self, shape: Shape, order: Sequence[int] | None) -> None:
        """Note the finished graph, the first of a shape.

        Args:
            order: the calls in the order of the graph's nodes; None if that is the order in which they were made.
        """
        self._shape = shape
        self._order = order
        self._places = None if order is None else {node: place for place, node in enumerate(order)}

    @property
    def is_closed(self) -> bool:
        """Whether the segment was emitted."""
        return self._shape is not None

    def place(self, node: int) -> int:
        """Give the number that a call has among the nodes of the finished graph."""
        return node if self._places is None else self._places[node]

    def node_at(self, place: int) -> int:
        """Give the call that has a place among the nodes of the finished graph."""
        return place if self._order is None else self._order[place]

    def type_of(self, node: int) -> Type:
        """Give the type of a call's value, in the finished graph."""
        assert self._shape is not None
        return target_interface(self._shape, self._shape.graphs[0], self.place(node)).result

    def follows(self, other: Segment | None) -> bool:
        """Tell whether another segment is an earlier one of the same body."""
        return other is not None and other._body is self._body and other.ordinal < self.ordinal

    def bring(self, trace: Trace, promise: Promise[Any]) -> Binding:
        """Stand for a promise of an earlier segment in the trace of this one, and give its binding here."""
        source: Segment = promise._promissory_trace.segment
        node = promise._node()
        assert node is not None and source._shape is not None
        key = (source.ordinal, node)
        at = self._brought.get(key)
        if at is None:
            if source._names is None:
                source._names = node_names(source._shape, 0)
            spec = Earlier(self.ordinal - source.ordinal, source._names[source.place(node)], source.type_of(node))
            at = self._brought[key] = trace.add(EARLIER, 0, [], user_line(), spec)
        binding = promise._promissory_binding
        return at if binding.__class__ is int else [NODE, at, *binding[2:]]
