"""What a program sets in its block `if __name__ == "__main__":`, which no worker runs (rule X3)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_CHANGES: Final = frozenset(
    ("append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear")
)
"""Methods that change a list, dict or set."""
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class MainBlock(NamedTuple):
    """The names that the block sets or changes, with the line of each.

    Attributes:
        only: names that nothing else in the file sets.
        anew: names that an import of the file sets, too, or may set (`from module import *`).
        changed: names of objects that the block changes in place.
    """

    only: dict[str, int]
    anew: dict[str, int]
    changed: dict[str, int]


def main_block(text: str) -> MainBlock:
    """Read a program's text. Functions that the block calls count with it for the names that they declare `global` and
    for the objects of the module that they change.

    Raises `SyntaxError`.

    >>> main_block("N = 1\\nif __name__ == '__main__':\\n    N = 2\\n    args = N\\n")
    MainBlock(only={'args': 4}, anew={'N': 3}, changed={})
    """
    tree = ast.parse(text)
    inside: list[ast.stmt] = []
    outside: list[ast.stmt] = []
    for statement in tree.body:
        (inside if _is_main_block(statement) else outside).append(statement)
    functions = {one.name: one for one in outside if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    outside += [one for block in inside if isinstance(block, ast.If) for one in block.orelse]
    inside = [one for block in inside if isinstance(block, ast.If) for one in block.body]
    above = {name for name, _ in _set_by(outside)}
    for function in _called(outside, functions):
        above |= {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    sets = dict(_set_by(inside))
    changed = dict(_changed_by(inside))
    for function in _called(inside, functions):
        declared = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
        local = {arg.arg for arg in ast.walk(function) if isinstance(arg, ast.arg)}
        local |= {name for name, _ in _set_by(function.body)} - declared
        sets.update((name, line) for name, line in _set_by(function.body) if name in declared)
        changed.update((name, line) for name, line in _changed_by(function.body) if name not in local)
    return MainBlock(
        {name: line for name, line in sets.items() if not above & {name, "*"}},
        {name: line for name, line in sets.items() if above & {name, "*"}},
        {name: line for name, line in changed.items() if name not in sets},
    )


def _is_main_block(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and len(statement.test.ops) == 1
        and isinstance(statement.test.ops[0], ast.Eq)
        and "__main__" in ast.dump(statement.test)
        and "__name__" in ast.dump(statement.test)
    )


def _nodes(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Give the nodes of statements, but not those within definitions, which have names of their own."""
    todo: list[ast.AST] = list(statements)[::-1]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            todo += list(ast.iter_child_nodes(node))[::-1]


def _set_by(statements: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    for node in _nodes(statements):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, _DEFINITIONS):
            yield node.name, node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno


def _changed_by(statements: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    """Give the names of which an item or attribute is set, or a method called that changes a container."""
    for node in _nodes(statements):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            changed: ast.AST = node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            changed = node.func
        else:
            continue
        while isinstance(changed, ast.Subscript | ast.Attribute):
            changed = changed.value
        if isinstance(changed, ast.Name):
            yield changed.id, changed.lineno


def _called(
    statements: Iterable[ast.AST], functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Give the functions of the file that statements call, and those that these call."""
    todo: list[ast.AST] = list(statements)
    seen: set[str] = set()
    while todo:
        for node in _nodes([todo.pop()]):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
            if name in functions and name not in seen:
                seen.add(name)
                yield functions[name]
                todo += functions[name].body
