"""Time-outs where bodies can't be stopped (rule R2): the callees that have one, and the message that refuses them."""

from __future__ import annotations

from promissory.planner.plan.model import Shape


def with_timeouts(shape: Shape) -> list[str]:
    """The names of the callees that a plan calls with a time-out."""
    limited = [callee.policy.timeout is not None for callee in shape.callees]
    found: dict[str, None] = {}
    for graph in shape.graphs:
        if not any(limited) and not graph.overrides:
            continue
        for index, target in enumerate(graph.targets):
            if graph.calls(index):
                own = graph.overrides.get(index, {})
                if own["timeout"] is not None if "timeout" in own else limited[target]:
                    found[shape.callees[target].short_name] = None
    return list(found)


def cant_stop(names: list[str], engine: str) -> str:
    """The message that says why an engine refuses time-outs."""
    return (
        f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} a time-out, "
        f"and the engine {engine} can't stop a body. Run it on processes "
        "(engine='processes', --engine processes), "
        "or let late bodies fail when they return (soft_timeouts=True, --soft-timeouts)"
    )
