"""The code of a shape: its callees as this run calls them, and the policies that matter before a call starts. Pure."""

from __future__ import annotations

from promissory.planner.plan.model import Callee, Shape
from promissory.planner.plan.shape_format import callee_bytes, shape_bytes
from promissory.typesys.canonical import digest
from promissory.typesys.infer import mentions_opaque


class ShapeCode:
    """The callees of a shape as this run calls them; a resume after a code change replaces some (rule R6)."""

    def __init__(self, shape: Shape) -> None:
        self.digest = digest("shape", shape_bytes(shape))
        self._overridden = {name for graph in shape.graphs for entries in graph.overrides.values() for name in entries}
        self.use(shape.callees)

    def use(self, callees: tuple[Callee, ...]) -> None:
        """Call these from now on."""
        self.callees = callees
        self.definitions = [callee_bytes(callee) for callee in callees]
        self.governed = [
            callee.policy.timeout is not None
            or callee.policy.pool is not None
            or callee.policy.resources is not None
            or callee.policy.cache
            for callee in callees
        ]
        self.plain = [
            callee.kind == "task" and not governed for callee, governed in zip(callees, self.governed, strict=True)
        ]
        self.limits_loops = "max_iterations" in self._overridden or any(
            callee.policy.max_iterations is not None for callee in callees
        )
        self.caches = "cache" in self._overridden or any(callee.policy.cache for callee in callees)
        self.commits_each = "commit" in self._overridden or any(callee.policy.commit == "each" for callee in callees)
        wide = [callee for callee in callees if callee.policy.resources is not None and callee.policy.resources.cpu > 1]
        self.weighted = bool(wide) or "resources" in self._overridden
        self.timed = any(callee.kind == "cycle" or (callee.kind == "dynamic" and callee.is_async) for callee in callees)
        self.is_async = [callee.is_async for callee in callees]
        self.overlaps = any(self.is_async)
        self.keyed = [not any(mentions_opaque(p.type) for p in callee.interface.parameters) for callee in callees]
