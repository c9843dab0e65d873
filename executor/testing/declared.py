"""The outcomes that are declared for a simulation, and the check that a plan has nodes for them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from promissory.executor.errors import ExecutorError
from promissory.executor.scheduler.calls import Call
from promissory.planner.body.context import Context
from promissory.planner.plan.model import MAP, Graph, Shape
from promissory.planner.plan.names import node_names
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import seconds
from promissory.planner.plan.specs import Gate, graphs_of

SUFFIX: Final = re.compile(r"\[=?\d+\]")
"""An item's or an iteration's number in a path."""
_ITERATION: Final = re.compile(r"\[=(\d+)\]$")


class SimulationError(ExecutorError):
    """The simulation can't go on: an outcome is not declared, or the node could not have it."""


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
        """The seconds after which the outcome comes."""
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
    """An outcome of a body that makes requests of its run. `ask` is called with the body's context, and may make any
    request that a body may.

    >>> Asks(lambda ctx: ctx.terminate("there is nothing to do")).outcome is None
    True
    """

    ask: Callable[[Context], Any]
    outcome: Any = None


class Declarations:
    """The outcomes that are declared for one simulation, found by a node's path or by the name of the function that it
    calls.

    Args:
        outcomes: as `simulate` takes them.
    """

    def __init__(self, outcomes: Mapping[str, Any]) -> None:
        self._outcomes = outcomes
        self._turns: dict[str, int] = {}

    def outcome_of(self, path: str, called: str) -> tuple[float, Any]:
        """The seconds after which a node's declared outcome comes, and the outcome. Raises `SimulationError`."""
        name = self.name_for(path, called)
        if name is None:
            raise SimulationError(
                f"no outcome is declared for {path}: give simulate(…, outcomes={{{SUFFIX.sub('', path)!r}: …}}), "
                f"or {called!r} for all calls of it"
            )
        outcome = self._outcomes[name]
        if isinstance(outcome, InTurn):
            turn = self._turns[name] = self._turns.get(name, 0) + 1
            outcome = outcome.outcomes[min(turn, len(outcome.outcomes)) - 1]
        return (outcome.seconds, outcome.outcome) if isinstance(outcome, Takes) else (0.0, outcome)

    def is_endless(self, path: str, called: str, call: Call) -> bool:
        """Whether the outcome that came is declared for all later iterations, and no limit of the task ends them."""
        name = self.name_for(path, called)
        assert name is not None
        declared, base = self._outcomes[name], _ITERATION.sub("", path)
        if call.frame.topology.policy(call.node).max_iterations is not None or (
            isinstance(declared, InTurn) and self._turns[name] < len(declared.outcomes)
        ):
            return False
        later = (
            found for name in self._outcomes if (found := _ITERATION.search(name)) and int(found[1]) > call.iteration
        )
        return not any(_ITERATION.sub("", found.string) in (base, base.removeprefix("main/")) for found in later)

    def name_for(self, path: str, called: str) -> str | None:
        """The name under which a node's outcome is declared, the most precise one; None if none is."""
        plain = SUFFIX.sub("", path)
        own = plain.rpartition("/")[2]
        without_iteration = _ITERATION.sub("", path)
        precise = (path, path.removeprefix("main/"), without_iteration, without_iteration.removeprefix("main/"))
        candidates = (*precise, plain, plain.removeprefix("main/"), own, called)
        return next((name for name in candidates if name in self._outcomes), None)


def refuse_unknown(plan: Plan, outcomes: Mapping[str, Any]) -> None:
    """Raise `SimulationError` for a declaration that fits no node of the plan."""
    if any(isinstance(one, Asks) for one in _single(outcomes)):
        return  # a task that is asked for may have any name
    if any(callee.kind == "cycle" or (callee.kind == "dynamic" and callee.is_async) for callee in plan.shape.callees):
        return  # rounds and segments are traced as they come
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
            f"an outcome is declared for {declared!r}, which no node has as its name or path; "
            f"there is: {', '.join(sorted(known)) or 'none'}"
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
