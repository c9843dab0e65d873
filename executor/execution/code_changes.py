"""Changed code at a resume (rule R6): committed results stay, and calls that have not run yet run today's code.

Every callable that the run may still call is compared with the function that an import finds today. A changed interface
is refused, because the call's arguments are bound already and would not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from promissory.executor.code.resolver import Refused, imported
from promissory.executor.errors import CodeChanged
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import OPEN, PENDING
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.shape_code import ShapeCode
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.model import MAP, Callee, Graph, Interface, Shape, graphs_opened
from promissory.typesys.assignability import is_read_as


@dataclass(frozen=True, slots=True)
class Change:
    """A callable whose code has changed since the run began."""

    name: str
    old: bytes
    new: bytes


Current = list[tuple[Callee, Entity[..., Any]]]


def adopt_current_code(
    scheduler: Scheduler, refused_with: str, is_of_another_name: Callable[[Callee], bool]
) -> tuple[list[Change], Current]:
    """Have the scheduler call today's code. Returns the changes, and the functions that this process has for the
    callables that are still called.

    Args:
        scheduler: that of the run.
        refused_with: the way out to tell if any change is to be refused; empty if none is.
        is_of_another_name: whether a callable's name gave another function already when the run began (as of those
            that a loop makes), so that what the name gives today is no newer form of it.

    Raises:
        CodeChanged: an interface changed, or any code did and `strict` is set. Nothing has run.
    """
    codes: dict[int, tuple[ShapeCode, set[int]]] = {}
    for frame in scheduler.frames.values():
        code = frame.topology.code
        codes.setdefault(id(code), (code, set()))[1].update(_still_called(frame))
    changes: dict[str, Change] = {}
    refused: list[str] = []
    found: dict[tuple[str, bytes], Entity[..., Any] | None] = {}
    for code, called in codes.values():
        callees = list(code.callees)
        for number in sorted(called):
            old = callees[number]
            key = (old.name, old.digest)
            if key not in found:
                found[key] = None if is_of_another_name(old) else _current(old)
            entity = found[key]
            new = old if entity is None else entity.callee()
            if new.digest == old.digest:
                # Equal code may have another decorator today, whose policy counts.
                callees[number] = new if fits(old.interface, new.interface) else old
                if _rounds(old) != _rounds(new):  # which moment a round is for is found by the round's number
                    changes[old.name] = Change(old.name, old.digest, new.digest)
                continue
            changes[old.name] = Change(old.name, old.digest, new.digest)
            if not fits(old.interface, new.interface):
                refused.append(f"{old.name}{old.interface} became {new.name}{new.interface}")
            callees[number] = new
        if tuple(callees) != code.callees:
            code.use(tuple(callees))
    if refused:
        listed = "; ".join(dict.fromkeys(refused))
        raise CodeChanged(
            f"the interface of what this run still calls has changed, so its inputs would not fit: {listed}. "
            "Start a new run"
        )
    if refused_with and changes:
        raise CodeChanged(f"the code changed since the run began: {', '.join(sorted(changes))}. {refused_with}")
    return [changes[name] for name in sorted(changes)], [
        (entity.callee(), entity) for entity in found.values() if entity is not None
    ]


def _rounds(callee: Callee) -> tuple[int, int, str] | None:
    """Where the rounds of a cycle begin, how far they are apart, and their points."""
    cycle = callee.policy.cycle
    return None if cycle is None else (cycle[0], cycle[2], cycle[4])


def _current(old: Callee) -> Entity[..., Any] | None:
    """The function that an import finds under a callee's name today. None if it finds none: a worker may know the
    function, or else reports the problem."""
    try:
        return imported(old)
    except Refused:
        return None


def fits(old: Interface, new: Interface) -> bool:
    """Whether inputs that were bound for one interface can be given to the other."""
    if [(p.name, p.kind) for p in old.parameters] != [(p.name, p.kind) for p in new.parameters]:
        return False
    if not all(is_read_as(a.type, b.type) for a, b in zip(old.parameters, new.parameters, strict=True)):
        return False
    lost = any(a.default is not None and b.default is None for a, b in zip(old.parameters, new.parameters, strict=True))
    return is_read_as(old.result, new.result) and not lost


def _still_called(frame: Frame) -> set[int]:
    """The callees that a frame may still call, in nested plans too."""
    called: set[int] = set()
    shape = frame.topology.shape
    graph = frame.topology.graph
    for index, state in enumerate(frame.states[: frame.topology.count]):
        if state == PENDING or graph.kinds[index] == MAP or (state == OPEN and frame.topology.is_cycle(index)):
            _of_node(shape, graph, index, called)
    return called


def _of_node(shape: Shape, graph: Graph, index: int, called: set[int]) -> None:
    if graph.calls(index):
        called.add(graph.targets[index])
    for number in graphs_opened(graph, index):
        _of_graph(shape, number, called)


def _of_graph(shape: Shape, number: int, called: set[int]) -> None:
    todo, seen = [number], {number}
    while todo:
        graph = shape.graphs[todo.pop()]
        for index, target in enumerate(graph.targets):
            if graph.calls(index):
                called.add(target)
            for other in graphs_opened(graph, index):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
