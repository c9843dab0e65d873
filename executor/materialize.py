"""Calls of the scheduler → batches for workers: bindings become the values of a node's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from executor.engines.engine import Batch
from executor.frame import Frame, joined
from executor.invocation import JOINT, OBJECT, assembled_argument, value_argument
from executor.layout import code_key, object_key
from executor.scheduler import Call
from executor.store import Store
from planner.by_value import PYTHON
from planner.plan import Large
from typesys.canonical import pack
from typesys.type_format import type_bytes


def batch_of(calls: Sequence[Call], carry_from: Store | None = None, run_id: str = "") -> Batch:
    """A batch of calls.

    Args:
        calls: what to run, in order.
        carry_from: the executor's store, if workers can't reach it: what they would read there goes along (rule J5).
    """
    definitions: dict[bytes, int] = {}
    carried: dict[str, bytes] = {}
    invocations: list[list[Any]] = []
    for frame, index, attempt, timeout, _, _ in calls:
        topology = frame.topology
        path = joined(frame.path, topology.name(index))
        if index >= topology.count:
            binding, wanted = topology.joints[index - topology.count]
            arguments: list[Any] = [_argument(frame, binding, False), type_bytes(wanted)]
            definition = JOINT
        else:
            code = topology.code.definitions[topology.graph.targets[index]]
            definition = definitions.setdefault(code, len(definitions))
            simple = bool(topology.simple[index])
            arguments = [_argument(frame, binding, simple) for binding in topology.graph.bindings_of(index)]
        if carry_from is not None:
            _carry(frame, index, arguments, carried, carry_from, run_id)
        invocations.append([definition, frame.id, index, arguments, path, frame.identity, frame.depth + 1, attempt, timeout])
    data = pack([list(definitions), invocations, list(carried.items())])
    first = calls[0]
    return Batch(data, tuple([(call.frame.id, call.node, call.attempt) for call in calls]), invocations[0][4], first.timeout, first.alone)


def _argument(frame: Frame, binding: Any, simple: bool) -> Any:
    if binding is None:
        return None
    if simple:
        return value_argument(frame.value(binding))
    return assembled_argument(binding, frame.topology, frame.value)


def _carry(frame: Frame, index: int, arguments: list[Any], carried: dict[str, bytes], store: Store, run_id: str) -> None:
    """What a call reads in the store: its arguments that are objects, and its code if no import reaches that."""
    found: list[Large] = []
    for argument in arguments:
        if argument.__class__ is list:
            sources = [argument] if argument[0] == OBJECT else [value for _, value, _ in argument[2] if value.__class__ is list]
            found += [Large(source[1], source[2]) for source in sources]
    for value in found:
        carried[object_key(value.digest)] = store.get_value(value)
    if index < frame.topology.count:
        callee = frame.topology.callee(index)
        key = code_key(run_id, callee.name, callee.digest, PYTHON)
        if key not in carried and store.exists(key):
            carried[key] = store.get(key)
