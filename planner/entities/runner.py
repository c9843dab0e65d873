"""Plain calls: from an entity to its plan, and to its result in this process.

A plain call outside a trace is compiled and run by the executor of this distribution, unless the variable
PROMISSORY_RUNNER names another's entry point of the group `promissory.runner`. This is the one
place where this floor calls the one above it, by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from promissory.planner.functions.entity import Entity
from promissory.planner.plan.advice import warn_of_no_effect
from promissory.planner.plan.plan import Plan
from promissory.planner.tracing.session import Session
from promissory.planner.tracing.trace import Trace

if TYPE_CHECKING:
    from promissory.planner.entities.workflow import Workflow

Runner = Callable[[Any, dict[str, Any]], Any]


_OURS: Final = ("promissory.executor.api", "call")


@cache
def _runner(chosen: str) -> Runner:
    if not chosen:
        module, name = _OURS
        runner: Runner = getattr(import_module(module), name)
        return runner
    # This reads the metadata of all that is installed.
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group="promissory.runner")}
    if chosen not in found:
        raise RuntimeError(
            f"PROMISSORY_RUNNER names {chosen!r}, and no distribution that is installed gives a runner of that "
            f"name. There are: {', '.join(sorted(found)) or 'none'}"
        )
    loaded: Runner = found[chosen].load()
    return loaded


def run_here(target: Entity[..., Any] | Workflow, values: list[Any]) -> Any:
    """Compile an entity, run it in this process and give its native result."""
    names = target.signature.names
    return _runner(os.environ.get("PROMISSORY_RUNNER", ""))(target, dict(zip(names, values, strict=True)))


def compile_call(entity: Entity[..., Any]) -> Plan:
    """Make the plan with one node: a call of this entity with the inputs of the plan."""
    session = Session()
    signature = entity.signature
    trace = Trace(session, entity.name, signature.inputs)
    kwargs = {name: trace.input(index) for index, name in enumerate(signature.names)}
    split = [p.name for p in signature.interface.parameters if p.kind == "positional"]
    result = trace.record_call(entity, tuple(kwargs.pop(name) for name in split), kwargs)
    trace.finish([("result", signature.interface.result, result, entity.name)], None)
    plan = session.plan()
    warn_of_no_effect(plan)
    return plan
