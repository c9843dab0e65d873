"""Specs: the parts of a node that is no plain call, beside its bindings, as data. Pure.

========== ======================================================================================================
spec       the node
========== ======================================================================================================
Map        calls its target once for each item of the lists that the parameters at `mapped` are given
Branch     decides by its conditions which arm's graph to open; arms that are not chosen are never opened
Gate       waits for a moment or for somebody's answer, without a worker
Rescue     gives the value of its first input; if that input's node failed for good, the result of its graph
Merge      gives the first of its inputs whose node was not skipped
Earlier    stands for a node of an earlier round of the cycle that the graph is a round of
========== ======================================================================================================

A condition is a tree: an input of the branch by its position, or ``[operator, condition, …]``. A condition is data, and
deciding it runs no code of the author's (rule B1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from promissory.typesys.types import ListType, Type

if TYPE_CHECKING:
    from promissory.planner.plan.model import Parameter

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
TESTS: Final = ("is none", "is true", "is false")
JOINERS: Final = ("&", "|")
NOT: Final = "~"

Condition = Any
"""A tree as described at the top of the file."""


@dataclass(frozen=True, slots=True)
class Map:
    """A map over lists (rules B2–B4).

    Attributes:
        over_graph: whether the node's target is a nested graph rather than a callee.
        mapped: the positions of the parameters that get one item at a time.
        concurrency: how many items may be under way at one time; None for as many as the run allows.
        min_success_ratio: the part of the items that has to succeed; below 1 the failed items are `None`.
        flat: those positions of `mapped` that are given lists of lists, whose items are mapped as one list.
        shortest: whether the items end with the shortest list; else lists of different lengths are an error.
    """

    over_graph: bool
    mapped: tuple[int, ...]
    concurrency: int | None = None
    min_success_ratio: float = 1.0
    flat: tuple[int, ...] = ()
    shortest: bool = False

    def given(self, position: int, item: Type) -> Type:
        """Give the type of a parameter's argument, if the type for one call is `item`."""
        if position not in self.mapped:
            return item
        return ListType(ListType(item)) if position in self.flat else ListType(item)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a branch.

    Attributes:
        condition: the condition under which the arm is chosen; None for the last resort.
        graph: the graph that is opened; None for an arm that fails.
        takes: the branch's input for each input of the graph.
        message: the message of an arm that fails.
    """

    condition: Condition | None
    graph: int | None
    takes: tuple[int, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """A choice (rule B1). An arm without condition is the last. If no arm is chosen the value is None."""

    inputs: tuple[Parameter, ...]
    arms: tuple[Arm, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class Gate:
    """A wait (rule G1). "sleep" ends after the duration that its input gives, "input" with a value of type `result`,
    "approve" with a yes to its input."""

    what: str
    name: str
    result: Type
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Rescue:
    """A fallback (rule X9).

    Its graph's inputs are the inputs of the node behind the first one, and `err` where `takes` has -1.
    """

    inputs: tuple[Parameter, ...]
    graph: int
    takes: tuple[int, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge gives the first of its inputs whose node was not skipped. All inputs are of the type of its result."""

    inputs: tuple[Parameter, ...]
    result: Type


@dataclass(frozen=True, slots=True)
class Earlier:
    """A node of an earlier round of a cycle, whose value may be still to come (rules C1, C2).

    Attributes:
        distance: how many rounds back; 0 for the latest round before this one that has a node held under the name.
        name: the node's name; where `distance` is 0, the text of its `held`.
        result: the type of its value.
    """

    distance: int
    name: str
    result: Type
    inputs: tuple[Parameter, ...] = ()


Spec = Map | Branch | Gate | Rescue | Merge | Earlier
GATES: Final = ("sleep", "input", "approve")


def graphs_of(spec: Spec) -> Iterator[int]:
    """List the graphs that a spec opens by number, beside the node's target."""
    if isinstance(spec, Branch):
        yield from (arm.graph for arm in spec.arms if arm.graph is not None)
    elif isinstance(spec, Rescue):
        yield spec.graph


def with_graphs(spec: Spec, number: Callable[[int], int]) -> Spec:
    """Give the graphs of a spec other numbers."""
    if isinstance(spec, Branch):
        arms = tuple(arm if arm.graph is None else replace(arm, graph=number(arm.graph)) for arm in spec.arms)
        return replace(spec, arms=arms)
    if isinstance(spec, Rescue):
        return replace(spec, graph=number(spec.graph))
    return spec


def operands(condition: Condition) -> Iterator[int]:
    """List the inputs that a condition looks at.

    >>> list(operands(["&", ["==", 0, 1], ["is true", 2]]))
    [0, 1, 2]
    """
    todo = [condition]
    while todo:
        one = todo.pop()
        if one.__class__ is int:
            yield one
        else:
            todo.extend(reversed(one[1:]))


def check_condition(condition: Condition, inputs: int) -> None:
    """Raise `ValueError` for a tree that is no condition over so many inputs."""
    todo: list[tuple[Any, bool]] = [(condition, False)]
    while todo:
        one, is_operand = todo.pop()
        if one.__class__ is int:
            if not is_operand or not 0 <= one < inputs:
                raise ValueError(f"{one} is no operand of a condition")
            continue
        if is_operand or one.__class__ is not list or not one:
            raise ValueError(f"{one!r} is no condition")
        operator, *rest = one
        wanted = 2 if operator in COMPARISONS or operator in JOINERS else 1
        if operator not in (*COMPARISONS, *TESTS, *JOINERS, NOT) or len(rest) != wanted:
            raise ValueError(f"{operator!r} is no operator of {len(rest)} operands")
        todo.extend((inner, operator in COMPARISONS or operator in TESTS) for inner in rest)


def check_ratio(ratio: Any) -> None:
    """Raise `ValueError` for a ratio that is no number from 0 to 1."""
    if ratio.__class__ not in (int, float) or not math.isfinite(ratio) or not 0 <= ratio <= 1:
        raise ValueError(f"min_success_ratio is a number from 0 to 1, not {ratio!r}")


def check_concurrency(concurrency: Any) -> None:
    """Raise `ValueError` for a concurrency that is no number of items."""
    if concurrency is not None and (concurrency.__class__ is not int or concurrency < 1):
        raise ValueError(
            "concurrency is how many items may be under way at one time, a whole number of at least 1, not "
            f"{concurrency!r}"
        )
