"""The outputs of a run that a task ended early (rule S5): those that the task gave, and of the others those that are
there."""

from __future__ import annotations

from typing import Any

from promissory.executor.protocol.events import tree_of
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.store import Store
from promissory.planner.plan.model import Output, Value
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import FormatError, TypeMismatch
from promissory.typesys.self_describing import DICT
from promissory.typesys.transcode import transcode
from promissory.typesys.types import ANY


def early_outputs(store: Store, scheduler: Scheduler) -> tuple[list[Any], str]:
    """The outputs, as they stand in the event of the run's end, and the problems of those that the task gave.

    An output that is not there is None. Raises `StoreError`.
    """
    root = scheduler.frames.get(0)
    if root is None:
        return [None if value is None else tree_of(value) for value in scheduler.outputs or ()], ""
    assert scheduler.terminated is not None
    given = scheduler.terminated[1]
    outputs = root.topology.graph.outputs
    if not outputs:
        return ([] if given is None else [tree_of(store.put_value(given))]), ""
    named = _by_name(given, outputs)
    found: list[Any] = []
    problems = [f"there is no output {name!r}" for name in named if name not in {output.name for output in outputs}]
    for output, binding in zip(outputs, root.topology.outputs, strict=True):
        value: Value | None = None
        if output.name in named:
            try:
                value = store.put_value(pack(transcode(named[output.name], ANY, output.type), store))
            except (TypeMismatch, FormatError) as mismatch:
                problems.append(f"what was given for {output.name} is no {output.type}: {mismatch}")
        elif endings.is_there(root, binding):
            value = root.value(binding)
        found.append(None if value is None else tree_of(value))
    return found, "; ".join(problems)


def _by_name(given: bytes | None, outputs: tuple[Output, ...]) -> dict[str, Any]:
    """The outputs that the task gave, by name, as trees of `Any`."""
    if given is None:
        return {}
    tree = unpack(given)
    if len(outputs) == 1:
        return {outputs[0].name: tree}
    pairs = tree[1] if tree.__class__ is list and len(tree) == 2 and tree[0] == DICT else []
    return {name: value for name, value in pairs if isinstance(name, str)}
