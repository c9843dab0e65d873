"""Modules whose names are imported when they are first asked for.

A worker process imports this package before anything else, and needs next to nothing of it.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(module: dict[str, Any], where: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make `__getattr__` and `__dir__` of a module whose names are imported when they are first asked for (PEP 562).

    Args:
        module: the module's variables.
        where: for each name, the module that has it.
    """

    def get(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
        found = module[name] = getattr(import_module(where[name]), name)
        return found

    return get, lambda: sorted({*module, *where})
