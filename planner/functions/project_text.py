"""The project's own code as text: of functions, of classes, and of modules that a body imports. Imports nothing."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from promissory.planner.errors import is_authors
from promissory.planner.functions import source


def class_file(cls: type) -> str | None:
    """Give the file of a class of the project. None for any other class, and for one of a notebook."""
    try:
        file = inspect.getfile(cls)
    except (OSError, TypeError):
        return None
    return file if is_authors(file) else None


def class_tree(cls: type) -> ast.Module | None:
    """Parse the statement that made a class. None if its text can't be found."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return None


def function_tree(function: types.FunctionType) -> ast.Module | None:
    """Parse the statement that made a function, from its first decorator on. None if its text can't be found."""
    lines = source.lines(function)[function.__code__.co_firstlineno - 1 :]
    try:
        tree = ast.parse(textwrap.dedent("".join(inspect.getblock(lines))))
    except (SyntaxError, IndentationError):  # a lambda within a statement of several lines
        return None
    # The file may have been edited since, so that other text stands at the line.
    return tree if [getattr(node, "name", None) for node in tree.body] == [function.__code__.co_name] else None


def names_at_top(tree: ast.Module) -> set[str]:
    """Give the names that are read where a definition is carried out: decorators, bases, values of attributes, defaults
    of parameters. Bodies of functions are left out."""
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            todo += [*node.decorator_list, node.args]
        else:
            todo += ast.iter_child_nodes(node)
    return found


def imports_within(tree: ast.AST, package: str) -> Iterator[str]:
    """Give the modules that a piece of code imports, and what may be modules of them (`from package import name`).

    Args:
        tree: the code.
        package: the package of its module, for relative imports.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def module_tree(name: str) -> tuple[ast.Module, str] | None:
    """Parse a module of the project, which need not be loaded, and give its package. None for any other module."""
    path: Any = None
    parts = name.split(".")
    for depth in range(len(parts)):
        # A finder of paths runs no `__init__.py`, as `importlib.util.find_spec` would.
        spec = PathFinder.find_spec(".".join(parts[: depth + 1]), path)
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    if spec is None or spec.origin is None or not spec.origin.endswith(".py") or not is_authors(spec.origin):
        return None
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    return tree, name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
