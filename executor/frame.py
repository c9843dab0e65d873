"""Frame: one expanded plan within a run.

============ ============================================================================================================
field        meaning
============ ============================================================================================================
id           a small integer, given when the frame is opened
parent       the frame that its outputs go to; None for the root
slot         the node of the parent that it stands for
depth        how many dynamics it is nested in; the root has 0
topology     the graph that it runs, shared by all frames of the shape
literals     the constant values of its plan
inputs       the values of the graph's inputs
identity     16 bytes: a hash of the parent's identity and the node's index
path         text for people, shortened in the middle
remaining    nodes and joints that are not done
cells        for node or joint i of n: at i how many it still waits for; at n+i how many still need its value; at 2n+i its
             state: PENDING, DONE or OPEN (its own frame is running)
values       values that somebody still needs, by node
repeat       Brent's remembered key on this chain of dynamics, his power, and the depth since when; None before the first
nesting      how deep functions that limit their own nesting are nested, by name
============ ============================================================================================================
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from executor.topology import Counts, Topology
from planner.plan import Binding, Value

PENDING, DONE, OPEN = range(3)
_SHOWN_AT_ENDS: Final = 3

Repeat = tuple[bytes, int, int]


class Frame:
    """See the table at the top of the file."""

    __slots__ = (
        "cells",
        "depth",
        "id",
        "identity",
        "inputs",
        "literals",
        "nesting",
        "parent",
        "path",
        "remaining",
        "repeat",
        "slot",
        "topology",
        "values",
    )

    def __init__(
        self,
        id: int,
        parent: Frame | None,
        slot: int,
        depth: int,
        topology: Topology,
        literals: tuple[Value, ...],
        inputs: tuple[Value, ...],
        identity: bytes,
        path: str,
        repeat: Repeat | None,
        nesting: dict[str, int] | None,
    ) -> None:
        self.id = id
        self.parent = parent
        self.slot = slot
        self.depth = depth
        self.topology = topology
        self.literals = literals
        self.inputs = inputs
        self.identity = identity
        self.path = path
        self.repeat = repeat
        self.nesting = nesting
        self.remaining = topology.size
        self.cells: Counts = topology.cells[:]
        self.values: dict[int, Value] | None = None

    def state(self, index: int) -> int:
        """PENDING, DONE or OPEN."""
        state: int = self.cells[2 * self.topology.size + index]
        return state

    def set_state(self, index: int, state: int) -> None:
        """A node or joint is now PENDING, DONE or OPEN."""
        self.cells[2 * self.topology.size + index] = state

    def value(self, binding: Binding) -> Value:
        """The value that a plain binding gives."""
        if binding.__class__ is int:
            node: int = binding
            if node < 0:
                return self.literals[-1 - node]
            assert self.values is not None
            return self.values[node]
        index: int = binding[1]
        return self.inputs[index]


def node_identity(parent: bytes, index: int) -> bytes:
    """A node's identity: never an attempt, a time, an order of arrival or a text path."""
    return blake2b(parent + index.to_bytes(8, "big"), digest_size=16, person=b"promissory node").digest()


def joined(path: str, name: str) -> str:
    """A path one step longer, with its middle left out when it is long.

    >>> path = "main"
    >>> for step in "abcdefgh":
    ...     path = joined(path, step)
    >>> path
    'main/a/b/…/f/g/h'
    """
    head, mark, tail = path.partition("/…/")
    if mark:
        longer = f"{head}/…/{tail.partition('/')[2]}/{name}"
        return path if longer == path else longer  # one text for all levels of a deep recursion
    if path.count("/") < 2 * _SHOWN_AT_ENDS - 1:
        return f"{path}/{name}"
    parts = path.split("/")
    return "/".join([*parts[:_SHOWN_AT_ENDS], "…", *parts[1 - _SHOWN_AT_ENDS :], name])
