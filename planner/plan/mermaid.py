"""A plan as a Mermaid flowchart: each node a box, each value an arrow with its parameter's name, each order edge a
dotted arrow."""

from __future__ import annotations

from promissory.planner.plan.interfaces import target_interface
from promissory.planner.plan.model import (
    BRANCH,
    CALL,
    EARLIER,
    ERROR,
    GATE,
    INPUT,
    MAP,
    MERGE,
    PLAN,
    RESCUE,
    Binding,
    leaves,
)
from promissory.planner.plan.names import node_names
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.specs import graphs_of


def to_mermaid(plan: Plan) -> str:
    """Draw the flowchart. Nested plans are subgraphs, dynamics have rounded boxes.

    >>> from promissory import task, workflow
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> @workflow
    ... def wf(x: int) -> int:
    ...     return inc(inc(x))
    >>> print(wf.compile().to_mermaid())
    flowchart TD
      g0i0>"x: int"]
      g0n0["inc"]
      g0i0 -->|x| g0n0
      g0n1["inc~2"]
      g0n0 -->|x| g0n1
      g0o(("wf"))
      g0n1 --> g0o
    """
    lines = ["flowchart TD"]
    for number in range(len(plan.shape.graphs)):
        nested = number > 0
        body = _graph(plan, number)
        if nested:
            lines.append(f'  subgraph g{number}["plan {_quoted(plan.shape.graphs[number].name)}"]')
        lines += body
        if nested:
            lines.append("  end")
    return "\n".join(lines)


_SHAPES = {
    PLAN: ("[[", "]]"),
    MAP: ("[/", "/]"),
    BRANCH: ("{", "}"),
    GATE: ("{{", "}}"),
    RESCUE: ("[[", "]]"),
    MERGE: ("((", "))"),
    EARLIER: ("[(", ")]"),
}


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _graph(plan: Plan, number: int) -> list[str]:
    graph = plan.shape.graphs[number]
    names = node_names(plan.shape, number)
    here = f"g{number}"
    lines = [f'  {here}i{index}>"{_quoted(f"{p.name}: {p.type}")}"]' for index, p in enumerate(graph.inputs)]
    for index, name in enumerate(names):
        target = graph.targets[index]
        if graph.kinds[index] == CALL:
            opening, closing = ("[", "]") if plan.shape.callees[target].kind == "task" else ("(", ")")
        else:
            opening, closing = _SHAPES[graph.kinds[index]]
        lines.append(f'  {here}n{index}{opening}"{_quoted(name)}"{closing}')
        parameters = target_interface(plan.shape, graph, index).parameters
        for parameter, binding in zip(parameters, graph.bindings_of(index), strict=True):
            lines += [f"  {source} -->|{parameter.name}| {here}n{index}" for source in _sources(binding, here)]
        lines += [f"  {here}n{before} -.-> {here}n{index}" for before in graph.after.get(index, ())]
        if index in graph.specs:
            lines += [f"  {here}n{index} -.-o g{nested}" for nested in graphs_of(graph.specs[index])]
    sources = [source for output in graph.outputs for source in _sources(output.binding, here)]
    if sources:
        lines.append(f'  {here}o(("{_quoted(graph.name)}"))')
        lines += [f"  {source} --> {here}o" for source in dict.fromkeys(sources)]
    return lines


def _sources(binding: Binding, here: str) -> list[str]:
    """List the boxes whose values a binding takes, each once."""
    found = []
    for leaf in leaves(binding):
        if leaf.__class__ is list and leaf[0] == ERROR:
            continue
        if leaf.__class__ is list:
            found.append(f"{here}{'i' if leaf[0] == INPUT else 'n'}{leaf[1]}")
        elif leaf >= 0:
            found.append(f"{here}n{leaf}")
    return list(dict.fromkeys(found))
