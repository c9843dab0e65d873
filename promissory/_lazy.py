"""Modules whose names are imported when they are first asked for.

A worker process imports this package before anything else, and needs next to nothing of it.
"""

import sys
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
            raise _unknown(module["__name__"], name, where)
        found = module[name] = getattr(import_module(where[name]), name)
        return found

    return get, lambda: sorted({*module, *where})


def _unknown(module: str, name: str, where: Mapping[str, str]) -> Exception:
    """The error about a name that the module does not have. In `from module import name` an `AttributeError` would be
    replaced by an error of Python's own, without our words."""
    # Only a mistake needs the table.
    from promissory._foreign import meant

    said = "" if name.startswith("_") else meant("import", name, where)
    if said and sys._getframe(2).f_code.co_name == "_handle_fromlist":
        return ImportError(f"cannot import name {name!r} from {module!r}{said}", name=name)
    # With no object, Python has nothing to look for a suggestion of its own in, which would repeat ours.
    return AttributeError(f"module {module!r} has no attribute {name!r}{said}", name=name, obj=None)
