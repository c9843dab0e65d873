"""Frozen entities: what a recorded call will run, with cells of its own that hold what the cells held then (rule A12).

`for k in range(3): @task def plus(x): return x + k` makes three calls, and each runs with the k of its turn. The
objects in the cells are the very objects: a list that a body appends to is the author's list. Functions and entities in
cells that count by value are frozen as well, since they will run too. A variable that is not assigned yet stays the
author's: it is read when it is there.
"""

from __future__ import annotations

from types import CellType, FunctionType
from typing import Any, TypeVar, cast

from promissory.planner.functions.by_name import counts_by_name
from promissory.planner.functions.entity import Entity

E = TypeVar("E", bound=Entity[..., Any])


def contents(entity: Entity[..., Any]) -> tuple[int, ...]:
    """The identities of all objects in the cells that an entity reaches: two calls with equal contents run alike."""
    found: list[int] = []
    todo: list[Any] = [entity]
    seen: dict[int, Any] = {}
    while todo:
        function = _with_cells(todo.pop())
        if function is None or id(function) in seen:
            continue
        seen[id(function)] = function
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # not assigned yet
                found.append(0)
                continue
            found.append(id(content))
            todo.append(content)
    return tuple(found)


def frozen(entity: E) -> E:
    """An entity that runs as this one would run now. An entity that counts by name is given back as it is."""
    return cast(E, _Freezing().of(entity))


class _Freezing:
    """One walk over the cells of an entity, in which things that are shared stay shared, and circles end."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, Any]] = {}
        self._cells: dict[int, tuple[CellType, CellType]] = {}
        self._todo: list[tuple[CellType, CellType]] = []

    def of(self, entity: Any) -> Any:
        made = self._thing(entity)
        while self._todo:
            old, new = self._todo.pop()
            new.cell_contents = self._thing(old.cell_contents)
        return made

    def _thing(self, one: Any) -> Any:
        function = _with_cells(one)
        if function is None:
            return one
        if id(one) not in self._made:
            made = self._function(function) if one is function else one.with_function(self._thing(function))
            self._made[id(one)] = (one, made)
        return self._made[id(one)][1]

    def _function(self, function: FunctionType) -> FunctionType:
        cells = tuple(self._cell(cell) for cell in function.__closure__ or ())
        again = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
        again.__kwdefaults__, again.__annotations__ = function.__kwdefaults__, function.__annotations__
        again.__qualname__, again.__module__, again.__doc__ = (
            function.__qualname__,
            function.__module__,
            function.__doc__,
        )
        vars(again).update(vars(function))
        return again

    def _cell(self, cell: CellType) -> CellType:
        if id(cell) not in self._cells:
            try:
                _ = cell.cell_contents
            except ValueError:  # not assigned yet
                self._cells[id(cell)] = (cell, cell)
            else:
                self._cells[id(cell)] = (cell, CellType())
                self._todo.append(self._cells[id(cell)])
        return self._cells[id(cell)][1]


def _with_cells(one: Any) -> FunctionType | None:
    """The function with cells that runs where this thing is called; None for anything else."""
    kind = type(one)
    if kind is FunctionType:
        return cast(FunctionType, one) if one.__closure__ else None
    if issubclass(kind, Entity) and type(one.function) is FunctionType and one.function.__closure__:
        return None if counts_by_name(one) else one.function
    return None
