"""Names of nodes, for people: the name of the target, with `~2` for its second call.

Only a name that the author gave is stored.
"""

from __future__ import annotations

from promissory.planner.plan.model import CALL, KIND_NAMES, MAP, PLAN, Shape
from promissory.planner.plan.specs import Gate


def node_names(shape: Shape, graph: int) -> list[str]:
    """Name the nodes of a graph, in order, each once. Given names stand as they are, and derived names avoid them."""
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
