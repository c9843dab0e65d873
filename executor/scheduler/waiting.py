"""A gate that waits for a moment or an answer, without a worker (rule G1). Pure."""

from __future__ import annotations

from typing import NamedTuple

from promissory.executor.scheduler.frame import Frame
from promissory.planner.plan.specs import Gate
from promissory.typesys.types import BOOL, Type


class Waiting(NamedTuple):
    """A gate that waits: its node, and the moment of its end (s since the epoch; 0 for ever)."""

    frame: Frame
    node: int
    until: float

    @property
    def spec(self) -> Gate:
        """The gate's specification in the plan."""
        spec = self.frame.topology.graph.specs[self.node]
        assert isinstance(spec, Gate)
        return spec

    @property
    def path(self) -> str:
        """The path of the gate."""
        return self.frame.path_of(self.node)

    @property
    def wants(self) -> Type | None:
        """The type of the answer that the gate waits for; None for a sleep."""
        if self.spec.what == "sleep":
            return None
        return BOOL if self.spec.what == "approve" else self.spec.result
