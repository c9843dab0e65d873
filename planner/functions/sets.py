"""Sets that a function iterates: their order is another one in another process, as far as they hold texts.

The body of an async dynamic that calls something for each item of a set may make other calls in a replay (rule D8).
Worker processes have one order; the engines `inline` and `threads` have that of the program.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Final

from promissory.planner.errors import Where

_MADE_BY: Final = frozenset(("set", "frozenset"))
_IN_ORDER: Final = frozenset(("sorted", "min", "max", "sum", "len", "any", "all", "set", "frozenset"))


def iterated_sets(function: Callable[..., Any]) -> Iterator[Where]:
    """List the lines where a function iterates what its source shows to be a set.

    >>> list(iterated_sets(iterated_sets))  # it iterates sorted ones
    []
    """
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError):
        return
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_set(node.value, frozenset())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    inside = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _IN_ORDER
        for argument in node.args
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor) and _is_set(node.iter, names):
            found.add(node.lineno)
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and id(node) not in inside:
            found.update(node.lineno for each in node.generators if _is_set(each.iter, names))
    for line in sorted(found):
        yield Where(function.__code__.co_filename, first + line - 1)


def _is_set(node: ast.expr, names: set[str] | frozenset[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in _MADE_BY
    return isinstance(node, ast.Name) and node.id in names
