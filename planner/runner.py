"""From an entity to its plan, and to its result in this process.

A plain call outside a trace is compiled and run by whoever registered the entry point `promissory.runner`: the one place where this floor calls the one
above it, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from planner.entity import Entity
from planner.plan import Plan
from planner.session import Session
from planner.tracing import Trace

if TYPE_CHECKING:
    from planner.workflow import Workflow

Runner = Callable[[Any, dict[str, Any]], Any]


@cache
def _runner() -> Runner:
    from importlib.metadata import entry_points  # slow to import

    for entry in entry_points(group="promissory.runner"):
        loaded: Runner = entry.load()
        return loaded
    raise RuntimeError("nothing is installed that can run a plan: install the distribution `promissory`")


def run_here(target: Entity[..., Any] | Workflow, values: list[Any]) -> Any:
    """Compile an entity and run it in this process; its native result."""
    names = target.signature.names
    return _runner()(target, dict(zip(names, values, strict=True)))


def compile_call(entity: Entity[..., Any]) -> Plan:
    """The plan with one node: a call of this entity with the inputs of the plan."""
    session = Session()
    signature = entity.signature
    trace = Trace(session, entity.name, signature.inputs)
    kwargs = {name: trace.input(index) for index, name in enumerate(signature.names)}
    split = [p.name for p in signature.interface.parameters if p.kind == "positional"]
    result = trace.record_call(entity, tuple(kwargs.pop(name) for name in split), kwargs)
    trace.finish([("result", signature.interface.result, result, entity.name)], None)
    return session.plan()
