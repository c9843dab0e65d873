"""The common part of entities' calls where a workflow is traced."""

from __future__ import annotations

from typing import Any, cast

from promissory.planner.functions.entity import Entity, P, R
from promissory.planner.nodes.mapping import map_task


class Traced(Entity[P, R]):
    """An entity that a trace knows how to call."""

    def map(self, *args: Any, **kwargs: Any) -> list[R]:
        """Call this once for each item of the lists that are given.

        An argument `unmapped(…)` goes to every call. The same as `map_task(self)(…)` (rule B2).

        >>> from promissory import task, unmapped
        >>> @task
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> add.map([1, 2, 3], unmapped(10))
        [11, 12, 13]
        """
        mapped: list[R] = map_task(cast(Any, self))(*args, **kwargs)
        return mapped
