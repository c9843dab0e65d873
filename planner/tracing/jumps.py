"""Jumps in a task's source: the calls by which a task sends its run to a node, `ctx.next_task("name", …)` or
`ctx.next_task(task, goto=True)` (rule S4).

Only targets in plain words are found: a text, or the name of a task. They tell nodes that are only reached by a jump
from nodes that start by themselves, and show misspelt names before the run.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from types import FunctionType
from typing import Any, NamedTuple

from promissory.planner.functions import source

_CALL = "next_task"


class Jump(NamedTuple):
    """A call of `next_task`.

    Attributes:
        name: of the target.
        entity: the target itself, if it is an object; None for a text.
        goto: whether the call is a jump.
        given: the names of the inputs that the target gets.
    """

    name: str
    entity: Any
    goto: bool
    given: tuple[str, ...]


def jumps_of(function: FunctionType) -> list[Jump]:
    """Find the calls of `next_task` in the source of a function, and of the functions that decorators wrapped in it.

    Calls whose target the source does not name are left out.
    """
    found: list[Jump] = []
    seen: set[int] = set()
    layer: Any = function
    while isinstance(layer, FunctionType) and id(layer) not in seen:
        seen.add(id(layer))
        if _CALL in layer.__code__.co_names:
            found += [jump for call in _calls_in(layer) if (jump := _jump(call, layer)) is not None]
        layer = vars(layer).get("__wrapped__")
    return found


@lru_cache(256)
def _calls_in(function: FunctionType) -> tuple[ast.Call, ...]:
    """Find the calls of `next_task` as syntax."""
    try:
        tree = ast.parse("".join(source.lines(function)))
    except (SyntaxError, ValueError):
        return ()
    line = function.__code__.co_firstlineno
    return tuple(
        call
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _begins_at(node, line)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == _CALL and call.args
    )


def _begins_at(node: ast.FunctionDef | ast.AsyncFunctionDef, line: int) -> bool:
    return line in (node.lineno, *(one.lineno for one in node.decorator_list))


def _jump(node: ast.Call, function: FunctionType) -> Jump | None:
    goto = any(
        keyword.arg == "goto" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in node.keywords
    )
    given = tuple(keyword.arg for keyword in node.keywords if keyword.arg is not None and keyword.arg != "goto")
    target = node.args[0]
    if isinstance(target, ast.Constant) and isinstance(target.value, str):
        return Jump(target.value, None, goto, given)
    if isinstance(target, ast.Name):
        entity = _value_of(target.id, function)
        return None if entity is None else Jump(target.id, entity, goto, given)
    return None


def _value_of(name: str, function: FunctionType) -> Any:
    """Look a name up in a function. A name without a value yet gives None."""
    if name in function.__code__.co_freevars and function.__closure__ is not None:
        cell = function.__closure__[function.__code__.co_freevars.index(name)]
        try:
            return cell.cell_contents
        except ValueError:
            return None
    return function.__globals__.get(name)
