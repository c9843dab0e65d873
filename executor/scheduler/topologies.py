"""The topologies used last, by graph. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from promissory.executor.scheduler.shape_code import ShapeCode
from promissory.executor.scheduler.topology import Topology
from promissory.planner.plan.model import Shape

_KEPT: Final = 256


class Topologies:
    """The topologies used last. Frames hold their own; this table only lets frames of one shape share. `commit_each`
    tells whether a node of any of them, ever, may hold its followers back until it is committed.

    Shapes are told apart by identity, because equal bytes give one object while a shape is in use
    (`shape_from_bytes`)."""

    def __init__(self) -> None:
        self.commit_each = False
        self._made: OrderedDict[tuple[int, int, bool], Topology] = OrderedDict()

    def get(self, shape: Shape, number: int, code: ShapeCode | None = None, keeps: bool = False) -> Topology:
        """The topology of a graph, with the given code or that of the shape."""
        key = (id(shape), number, keeps)
        topology = self._made.get(key)
        if topology is None or (code is not None and topology.code is not code):
            topology = self._made[key] = Topology(shape, number, code or ShapeCode(shape), keeps=keeps)
            self.commit_each = self.commit_each or topology.code.commits_each
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        else:
            self._made.move_to_end(key)
        return topology
