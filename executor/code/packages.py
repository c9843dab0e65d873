"""The installed packages that a program's functions use: no bundle brings them, so a submission names their versions
(rule Q3)."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import Any, Final

from promissory.planner.errors import is_ours
from promissory.planner.functions.entity import Entity

_MISSING: Final = re.compile(r"No module named '([^'.]+)|cannot import name '[^']*' from '([^'.]+)")


def packages_of(entities: Iterable[Entity[..., Any]]) -> tuple[dict[str, str], dict[str, str]]:
    """The versions of installed packages, by the names of their modules: of those in which functions lie, and of those
    that the modules of functions have imported."""
    modules = {entity.function.__module__ for entity in entities}
    holding = {name.partition(".")[0] for name in modules if _is_installed(name.partition(".")[0])}
    used: set[str] = set()
    for name in modules - holding:
        for thing in list(vars(sys.modules.get(name, object)).values()):
            module = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
            if isinstance(module, str) and _is_installed(module.partition(".")[0]):
                used.add(module.partition(".")[0])
    return _versions(holding), _versions(used - holding)


def _is_installed(name: str) -> bool:
    """Whether a module of this process is of an installed package, and not of Python or of this one."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(file, str) or is_ours(file):
        return False
    return "/site-packages/" in file or "/dist-packages/" in file


def _versions(modules: Iterable[str]) -> dict[str, str]:
    return {name: found for name in sorted(modules) if (found := version_of(name)) is not None}


def version_of(module: str) -> str | None:
    """The version of the installed package that a module belongs to; None if it belongs to none."""
    try:
        return importlib.metadata.version(module)  # most packages are called as their modules are
    except importlib.metadata.PackageNotFoundError:
        names = _packages().get(module)
        return importlib.metadata.version(names[0]) if names else None


@cache
def _packages() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def missing_module(message: str) -> str | None:
    """The module that an import error names.

    >>> missing_module("No module named 'numpy.linalg'"), missing_module("5 is odd")
    ('numpy', None)
    """
    found = _MISSING.search(message)
    return None if found is None else next(name for name in found.groups() if name)
