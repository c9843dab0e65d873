"""Outcomes as they are declared for a simulation, and whether a plan has nodes for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from promissory.executor.errors import ExecutorError
from promissory.planner.body.context import Context
from promissory.planner.plan.model import MAP, Graph, Plan, Shape
from promissory.planner.plan.names import node_names
from promissory.planner.plan.policy import seconds
from promissory.planner.plan.specs import Gate, graphs_of

SUFFIX: Final = re.compile(r"\[=?\d+\]")
"""An item's or an iteration's number in a path."""


class SimulationError(ExecutorError):
    """The simulation can't go on: an outcome is not declared, or is none that the node could have."""


@dataclass(frozen=True)
class Takes:
    """An outcome that comes after a while.

    >>> Takes(2.5, "done").seconds
    2.5
    """

    after: float | timedelta
    outcome: Any = None

    def __post_init__(self) -> None:
        given = seconds(self.after)
        if not isinstance(given, float) or not 0 <= given < math.inf:
            raise ValueError(f"Takes(…) wants a number of seconds of at least 0, or a timedelta, not {self.after!r}")

    @property
    def seconds(self) -> float:
        """How long it takes."""
        given = seconds(self.after)
        assert given is not None
        return given


class InTurn:
    """Outcomes of a node's calls, one after the other; the last one counts for all that follow.

    >>> InTurn(OSError("busy"), 5).outcomes
    (OSError('busy'), 5)
    """

    def __init__(self, *outcomes: Any) -> None:
        if not outcomes:
            raise ValueError("InTurn(…) wants at least one outcome")
        self.outcomes = outcomes


@dataclass(frozen=True)
class Asks:
    """An outcome of a body that asks its run for something: `ask` is called with the body's context, and may ask it for all that a body may.

    >>> Asks(lambda ctx: ctx.terminate("there is nothing to do")).outcome is None
    True
    """

    ask: Callable[[Context], Any]
    outcome: Any = None


def refuse_unknown(plan: Plan, outcomes: Mapping[str, Any]) -> None:
    """Raise `SimulationError` for a declaration that can be no node's of the plan."""
    if any(isinstance(one, Asks) for one in _single(outcomes)):
        return  # what is asked for may have any name
    shape = plan.shape
    places = [
        (number, index, name)
        for number in range(len(shape.graphs))
        for index, name in enumerate(node_names(shape, number))
    ]
    known = {callee.short_name for callee in shape.callees} | {
        name for number, index, name in places if _has_outcome(shape.graphs[number], index)
    }
    known |= {spec.name for graph in shape.graphs for spec in graph.specs.values() if isinstance(spec, Gate)}
    for declared in outcomes:
        *above, last = declared.removeprefix("main/").split("/")
        if "/" not in declared and (last in known or SUFFIX.sub("", last) in known) and not re.search(r"\[\d", last):
            continue
        found = _nodes(shape, _inside(shape, above), last)
        if any(_has_outcome(shape.graphs[number], index) for number, index in found):
            continue
        if found:
            raise SimulationError(
                f"an outcome is declared for {declared!r}, which has no body of its own: declare what runs in it"
            )
        raise SimulationError(
            f"an outcome is declared for {declared!r}, which no node has as its name or path; there is: {', '.join(sorted(known)) or 'none'}"
        )


def _has_outcome(graph: Graph, index: int) -> bool:
    return graph.calls(index) or isinstance(graph.specs.get(index), Gate)


def _inside(shape: Shape, above: list[str]) -> set[int]:
    """The graphs that a node may be in behind these steps of its path."""
    graphs = {0}
    for part in above:
        nodes = _nodes(shape, graphs, part)
        graphs = {shape.graphs[number].targets[index] for number, index in nodes if shape.graphs[number].opens(index)}
        graphs |= {
            inner
            for number, index in nodes
            if index in shape.graphs[number].specs
            for inner in graphs_of(shape.graphs[number].specs[index])
        }
    return graphs


def _nodes(shape: Shape, graphs: set[int], part: str) -> list[tuple[int, int]]:
    """The nodes of some graphs that a step of a path may name; only maps have items."""
    plain, has_item = SUFFIX.sub("", part), re.search(r"\[\d", part) is not None
    return [
        (number, index)
        for number in graphs
        for index, name in enumerate(node_names(shape, number))
        if name == part or (name == plain and (not has_item or shape.graphs[number].kinds[index] == MAP))
    ]


def _single(outcomes: Mapping[str, Any]) -> Iterator[Any]:
    """The declarations one by one."""
    for declared in outcomes.values():
        for one in declared.outcomes if isinstance(declared, InTurn) else (declared,):
            yield one.outcome if isinstance(one, Takes) else one
