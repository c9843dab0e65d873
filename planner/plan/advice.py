"""Advice on constructs that a plan may have and that are hardly meant (rule B1).

`promissory check` shows it; it is no error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from promissory.planner.errors import NoEffectWarning, Where, user_line, warn
from promissory.planner.plan.model import Graph, references
from promissory.planner.plan.names import node_names
from promissory.planner.plan.no_effect import options_without_effect
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.specs import Branch, operands


@dataclass(frozen=True, slots=True)
class Advice:
    """A piece of advice, and the author's line that it is about."""

    message: str
    where: Where | None

    def __str__(self) -> str:
        return f"{self.message}\n  at {self.where}" if self.where is not None else self.message


def advice(plan: Plan) -> Iterator[Advice]:
    """Give the questions that a colleague would ask about a plan.

    >>> from promissory import conditional, task, workflow
    >>> @task
    ... def costly(n: int) -> int:
    ...     return n
    >>> @workflow
    ... def wf(n: int) -> int:
    ...     made = costly(n)
    ...     return conditional("c").if_(costly(1) > 3).then(made).else_().then(n)
    >>> [one.message for one in advice(wf.compile())]
    ['costly runs in any case, and only an arm of c uses what it gives: call it
    between .if_(…) and .then(…) if it is to run only then']
    """
    for number, said in options_without_effect(plan):
        yield Advice(said, _defined_at(plan, number))
    for number, graph in enumerate(plan.shape.graphs):
        names = node_names(plan.shape, number)
        lines = plan.origin.lines[number] if plan.origin.lines else ()
        uses = _uses(graph)
        for index, spec in graph.specs.items():
            if not isinstance(spec, Branch):
                continue
            asked = {at for arm in spec.arms if arm.condition is not None for at in operands(arm.condition)}
            taken = Counter(at for arm in spec.arms for at in arm.takes)
            for at, binding in enumerate(graph.bindings_of(index)):
                for node in references(binding):
                    if at not in asked and taken[at] == 1 and uses[node] == 1:
                        message = (
                            f"{names[node]} runs in any case, and only an arm of {names[index]} uses what it gives: "
                            "call it between .if_(…) and .then(…) if it is to run only then"
                        )
                        yield Advice(message, lines[node] if lines else None)


def warn_of_no_effect(plan: Plan) -> None:
    """Warn of all options in a plan that can't have an effect, at once."""
    found = [str(Advice(said, _defined_at(plan, number))) for number, said in options_without_effect(plan)]
    if found:
        warn("\n".join(found), NoEffectWarning, user_line())


def _defined_at(plan: Plan, callee: int) -> Where | None:
    """Give the author's line where a callable of a plan is defined; None for a plan that came as bytes."""
    if not plan.origin.entities:
        return None
    code = plan.origin.entities[callee].function.__code__
    return Where(code.co_filename, code.co_firstlineno)


def _uses(graph: Graph) -> Counter[int]:
    """Count how often each node is waited for or taken."""
    found: Counter[int] = Counter()
    for index in range(len(graph)):
        found.update(
            {node for binding in graph.bindings_of(index) for node in references(binding)}
            | set(graph.after.get(index, ()))
        )
    for output in graph.outputs:
        found.update(set(references(output.binding)))
    return found
