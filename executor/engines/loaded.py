"""Whether the modules that a worker has loaded are still what an import would give: a worker that served one run may have the next one's modules from before an edit, or of another
project."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from executor.bundle import is_installed


class LoadedModules:
    """The user's own modules of this process, as they were when they were seen first.

    >>> LoadedModules().are_current(sys.path, [])
    True
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, int, int]] = {}
        self._path: list[str] | None = None

    def note(self, path: list[str]) -> None:
        """A run is over, in which `sys.path` was this."""
        self._path = list(path)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in self._seen and isinstance(file, str) and not is_installed(file):
                self._seen[name] = _state(file)

    def are_current(self, path: list[str], wanted: Iterable[list[str]]) -> bool:
        """Whether a run with this `sys.path`, which wants modules of these (name, file), can use what is loaded."""
        if not self._seen:
            return True
        if path != self._path or any(name in self._seen and self._seen[name][0] != file for name, file in wanted):
            return False
        return all(_state(state[0]) == state for state in self._seen.values())


def _state(file: str) -> tuple[str, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return file, 0, 0
    return file, found.st_mtime_ns, found.st_size
