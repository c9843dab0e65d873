"""Names of nodes, for people: what is called, and `~2` for the second call of it. Stored only when the author gave one."""

from __future__ import annotations

from promissory.planner.plan.model import CALL, KIND_NAMES, MAP, PLAN, Shape
from promissory.planner.plan.specs import Gate


def node_names(shape: Shape, graph: int) -> list[str]:
    """The names of a graph's nodes, in order, each once: given names stand as they are, derived ones step around them."""
    columns = shape.graphs[graph]
    given = {index: entries["name"] for index, entries in columns.overrides.items() if "name" in entries}
    taken = set(given.values())
    calls: dict[str, int] = {}
    callee_names = [callee.short_name for callee in shape.callees]
    names = []
    for index, target in enumerate(columns.targets):
        name = given.get(index)
        if name is None:
            kind = columns.kinds[index]
            if kind == CALL or (kind == MAP and columns.calls(index)):
                called = callee_names[target]
            elif kind in (MAP, PLAN):
                called = shape.graphs[target].name
            else:
                spec = columns.specs[index]
                called = spec.name if isinstance(spec, Gate) else KIND_NAMES[kind]
            while True:
                count = calls[called] = calls.get(called, 0) + 1
                name = called if count == 1 else f"{called}~{count}"
                if name not in taken:
                    break
        names.append(name)
    return names
