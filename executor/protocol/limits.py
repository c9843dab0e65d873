"""The limits of a run, checked by the scheduler. Each has an error that names it, its place and how to raise it (rule
D9).

==================== =========== ================================================================
limit                default     counts
==================== =========== ================================================================
max_depth            100         dynamics nested in each other, tail calls too
max_nodes            1,000,000   nodes of all frames of the run
max_futures_bytes    256 MiB     bytes of one futures file
max_items            10,000,000  items of one map
max_awaits           1,000,000   times that the body of one async dynamic is told something
max_iterations       10,000,000  iterations of one loop; `@task(max_iterations=…)` says another number
==================== =========== ================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from promissory.executor.protocol.failure import Failure
from promissory.planner.plan.model import Callee

MOST_ITEMS: Final = 1024
"""The items of a map's chunk at most. It is part of the formats, so that a count in a damaged file costs little."""


@dataclass(frozen=True)
class Limits:
    """See the table at the top of the file."""

    max_depth: int = 100
    max_nodes: int = 1_000_000
    max_futures_bytes: int = 256 << 20
    max_items: ClassVar[int] = 10_000_000
    max_iterations: ClassVar[int] = 10_000_000
    max_awaits: ClassVar[int] = 1_000_000

    def to_tree(self) -> list[int]:
        """The limits that a run can be given, as a tree for the manifest, the journal and snapshots."""
        return [self.max_depth, self.max_nodes, self.max_futures_bytes]

    def changed(self, max_depth: int | None, max_nodes: int | None, max_futures_bytes: int | None) -> Limits:
        """These limits, with each one replaced that is given."""
        return Limits(
            self.max_depth if max_depth is None else max_depth,
            self.max_nodes if max_nodes is None else max_nodes,
            self.max_futures_bytes if max_futures_bytes is None else max_futures_bytes,
        )

    def depth(self, depth: int, path: str) -> Failure | None:
        """The failure of a dynamic that would run at this depth, if that is too deep."""
        if depth <= self.max_depth:
            return None
        return Failure.of_executor(
            "DepthExceeded",
            f"dynamics are nested {depth} deep ({path}), and this run allows {self.max_depth}. "
            f"Does the recursion end? If it does, allow more: max_depth={_higher(self.max_depth)} in Python, "
            f"--max-depth {_higher(self.max_depth)} on the command line (`resume` with it goes on from here)",
        )

    def own_depth(self, name: str, depth: int, allowed: int, path: str) -> Failure | None:
        """The failure of a dynamic that would nest in itself more deeply than its decorator allows."""
        if depth <= allowed:
            return None
        return Failure.of_executor(
            "DepthExceeded",
            f"{name} is nested in itself {depth} deep ({path}), and its decorator allows {allowed}. "
            f"Does the recursion end? If it does, allow more: @dynamic(max_depth={_higher(allowed)})",
        )

    def nodes(self, count: int, path: str) -> Failure | None:
        """The failure of a dynamic whose plan brings the run above its number of nodes."""
        if count <= self.max_nodes:
            return None
        return Failure.of_executor(
            "NodesExceeded",
            f"{path} brings the run to {count:,} nodes, and it allows {self.max_nodes:,}: "
            "raise max_nodes, or do more in each task",
        )

    def items(self, count: int, path: str) -> Failure | None:
        """The failure of a map over too many items."""
        if count <= self.max_items:
            return None
        return Failure.of_executor(
            "ItemsExceeded",
            f"{path} maps over {count:,} items, and a map may have {self.max_items:,}: "
            "let each item be a list, and map over those",
        )

    def iterations(self, done: int, allowed: int | None, callee: Callee, path: str) -> Failure | None:
        """The failure of a loop that wants another iteration after its last allowed one."""
        limit = self.max_iterations if allowed is None else allowed
        if done < limit:
            return None
        said = f"its decorator allows {allowed:,}" if allowed is not None else f"a loop may have {limit:,}"
        return Failure.of_executor(
            "IterationLimitExceeded",
            f"{path} has run {done:,} times and asks for another iteration, and {said}. "
            f"Does the loop end? If it does, allow more: @{callee.kind}(max_iterations={_higher(limit)}) on "
            f"{callee.short_name}, then `resume`; ctx.can_iterate() tells a body whether there is another",
        )

    def awaits(self, done: int, path: str) -> Failure | None:
        """The failure of an async dynamic that has awaited too often."""
        if done < self.max_awaits:
            return None
        return Failure.of_executor(
            "AwaitsExceeded",
            f"{path} has awaited {done:,} times, and a body may do so {self.max_awaits:,} times, since each replay "
            "tells it all of them again: split the work over nested dynamics, or over the rounds of a @cycle",
        )

    def futures_bytes(self, size: int, path: str) -> Failure | None:
        """The failure of a dynamic whose futures file is too large."""
        if size <= self.max_futures_bytes:
            return None
        return Failure.of_executor(
            "FuturesTooLarge",
            f"the futures file of {path} has {size:,} bytes, and the run allows {self.max_futures_bytes:,}: "
            "raise max_futures_bytes, or split the work over nested dynamics",
        )


def _higher(limit: int) -> int:
    return 10 * max(limit, 1)
