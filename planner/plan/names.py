"""Names of nodes, for people: the name of the target, with `~2` for its second call.

Only a name that the author gave is stored.
"""

from __future__ import annotations

from typing import Any, Final

from promissory.planner.plan.model import CALL, KIND_NAMES, MAP, PLAN, Shape
from promissory.planner.plan.specs import Gate

_MEANT_OTHERWISE: Final = frozenset("/~#[]=")
"""The characters by which paths tell nodes, second calls, frames, items and iterations apart."""
NAMES: Final = "give printable text without / ~ # [ ] and ="


def can_be_a_name(name: Any) -> bool:
    """Tell whether a node or gate may bear a name (rule T5), so that its path names it alone and a terminal shows it as
    it is.

    >>> [can_be_a_name(name) for name in ("Größe 2", "a/b", "score[3]", "red\\x1b[31m", "\\udcff", " ", 5)]
    [True, False, False, False, False, False, False]
    """
    return (
        isinstance(name, str)
        and name.isprintable()
        and not name.isspace()
        and name != ""
        and _MEANT_OTHERWISE.isdisjoint(name)
    )


def name_of_graph(name: str) -> str:
    """Give the name of a node that stands for a graph. The graph of a map's items, if they are maps too, ends in `[]`.

    >>> name_of_graph("inc[]"), name_of_graph("flow")
    ('inc', 'flow')
    """
    return name.removesuffix("[]")


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
                called = name_of_graph(shape.graphs[target].name)
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
