"""Source bundles of version 0.1 import `planner`, `executor` and `typesys`, as this distribution was called inside
then: their imports find today's faces.

A module of that name that lies anywhere else wins: the finder stands behind all others, and is there only once such a
bundle was unpacked.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from promissory.typesys.older_names import OLDER_MODULES

_IMPORTS: Final = re.compile(rb"^\s*(?:from|import)\s+(planner|executor|typesys)\b", re.MULTILINE)


class _OlderModules:
    """Finds the public modules of version 0.1, and makes each of today's."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that stands for one of today's; None for any other name."""
        if fullname not in OLDER_MODULES:
            return None
        return ModuleSpec(fullname, self, is_package="." not in fullname)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to Python: a module of its own, so that today's keeps its name and spec."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Have the module give what today's gives."""
        today = importlib.import_module(OLDER_MODULES[module.__name__])
        module.__getattr__ = lambda name: getattr(today, name)  # type: ignore[method-assign]


_finder: Final = _OlderModules()


def serve_imports_of(folder: Path) -> None:
    """Have the modules in a folder find what they were written for, if they were written for version 0.1."""
    if _finder in sys.meta_path:
        return
    for file in folder.rglob("*.py"):
        found = _IMPORTS.search(file.read_bytes())
        if found and not any((folder / f"{found[1].decode()}{end}").exists() for end in ("", ".py")):
            sys.meta_path.append(_finder)
            return
