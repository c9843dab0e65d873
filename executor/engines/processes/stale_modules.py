"""Stale modules of a worker: a worker that served one run may hold the next run's modules as they were before an edit,
or those of another project."""

from __future__ import annotations

from collections.abc import Iterable

from promissory.executor.code.importer import file_state, loaded_files


def are_current(path: list[str], earlier_path: list[str], wanted: Iterable[list[str]]) -> bool:
    """Whether a run with this `sys.path`, which wants modules of these (name, file), can use the modules that were
    loaded with an earlier path.

    >>> are_current([], [], [])
    True
    """
    if not loaded_files:
        return True
    if path != earlier_path or any(name in loaded_files and loaded_files[name][0] != file for name, file in wanted):
        return False
    return all(file_state(state[0]) == state for state in loaded_files.values())
