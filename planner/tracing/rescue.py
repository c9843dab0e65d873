"""Nodes that deal with a failure: a fallback for one call (`.on_error`, rule X9), a handler for a workflow
(`on_failure=`, rule X6)."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from promissory.planner.active import current
from promissory.planner.errors import DecorationError, PromiseError, Where, user_line
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.model import ERROR, RESCUE, Parameter
from promissory.planner.plan.node_failure import failure_type
from promissory.planner.plan.specs import Rescue
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.trace import Trace
from promissory.typesys.canonical import pack

_ERR = "err"


def add_rescue(trace: Trace, source: Promise[Any], fallback: Any) -> Promise[Any]:
    """Add a node that gives the value of `source`, or the fallback's answer to its failure.

    Gives the node's promise.
    """
    where = user_line()
    result = source._promissory_type
    entity = fallback.func if isinstance(fallback, partial) else fallback
    if callable(fallback) and not isinstance(entity, Entity | Promise):
        raise PromiseError(
            f"on_error({fallback!r}): a run can't call it",
            where=where,
            way_out="give it a value, or a @task that takes err",
        )
    name = entity.name if isinstance(entity, Entity) else "fallback"
    inner = Trace(trace.session, name, (), trace)
    value: Any = fallback
    taken: list[int] = []
    if isinstance(entity, Entity):
        given = dict(fallback.keywords) if isinstance(fallback, partial) else {}
        args = fallback.args if isinstance(fallback, partial) else ()
        if any(p.name == _ERR for p in entity.signature.interface.parameters):
            given[_ERR] = inner.capture([ERROR], failure_type())
            given[_ERR] = Promise(inner, failure_type(), given[_ERR])
        token = current.set(inner)
        try:
            value = cast(Any, entity)(*args, **given)
        finally:
            current.reset(token)
    graph = inner.finish([("result", result, value, f"on_error of {source._said()}")], where)
    bindings: list[Any] = [trace.binding_of(source)]
    inputs = [Parameter("value", result)]
    for binding, parameter in zip(inner.captures, inner.inputs, strict=True):
        if pack(binding) == pack([ERROR]):
            taken.append(-1)
        else:
            taken.append(len(inputs))
            inputs.append(Parameter(f"in{len(inputs)}", parameter.type))
            bindings.append(binding)
    later = Rescue(tuple(inputs), graph, tuple(taken), result)
    node = trace.add(RESCUE, 0, bindings, where, later)
    return Promise(trace, result, node)


def add_handler(trace: Trace, handler: Entity[..., Any], workflow: str, where: Where) -> None:
    """Add the node that runs when the graph has failed: a call that takes the inputs it names, and the failure as
    `err`."""
    given: dict[str, Any] = {}
    inputs = {parameter.name: index for index, parameter in enumerate(trace.inputs)}
    for parameter in handler.signature.interface.parameters:
        if parameter.name in inputs:
            given[parameter.name] = trace.input(inputs[parameter.name])
        elif parameter.name == _ERR:
            given[_ERR] = Promise(trace, failure_type(), [ERROR])
        elif parameter.default is None:
            raise DecorationError(
                f"on_failure={handler.name} wants {parameter.name}, which is no input of {workflow}",
                where=where,
                way_out=(
                    f"name inputs of it ({', '.join(inputs) or 'there are none'}), `err` for the failure, "
                    "or give a default"
                ),
            )
    positional = [p.name for p in handler.signature.interface.parameters if p.kind == "positional" and p.name in given]
    token = current.set(trace)
    try:
        called = cast(Any, handler)(*[given.pop(name) for name in positional], **given)
    finally:
        current.reset(token)
    trace.on_failure = called._promissory_binding
