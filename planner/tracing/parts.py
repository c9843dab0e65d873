"""What belongs to a trace and is made elsewhere: open arms, uses of choices, the body of a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from promissory.planner.errors import CompileError, Where
from promissory.planner.plan.model import Graph
from promissory.typesys.types import Type


class OpenArm(Protocol):
    """An arm of a choice that is open. Calls belong to the arm until it is closed."""

    def must_be_closed(self) -> None:
        """Raise `BranchError` if the call that is made stands in another statement than the arm."""

    def not_closed(self) -> CompileError:
        """Make the error of a workflow that ends while the arm is open."""


class CycleBody(Protocol):
    """What the body of a cycle says beside its calls."""

    def close(self, graph: Graph, order: Sequence[int]) -> tuple[Graph, list[int]]:
        """Leave out what a round does not need; gives the graph, and for each of its nodes the number of the call."""


@dataclass
class UseOfChoice:
    """A use of a choice that may get more arms: the type that is wanted, the parameter that takes it, and the author's
    line."""

    wanted: Type
    said: str = "what takes it"
    where: Where | None = None
