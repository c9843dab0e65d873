"""Calls of the scheduler → one batch for a worker: bindings become the values of a node's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from executor.frame import Frame, joined
from executor.invocation import JOINT, assembled_argument, value_argument
from executor.scheduler import Call
from typesys.canonical import pack
from typesys.type_format import type_bytes


def batch_bytes(calls: Sequence[Call], attempt: int = 1) -> bytes:
    """The bytes of a batch of calls."""
    definitions: dict[bytes, int] = {}
    invocations = []
    for frame, index in calls:
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
        invocations.append([definition, frame.id, index, arguments, path, frame.identity, frame.depth + 1, attempt])
    return pack([list(definitions), invocations])


def _argument(frame: Frame, binding: Any, simple: bool) -> Any:
    if binding is None:
        return None
    if simple:
        return value_argument(frame.value(binding))
    return assembled_argument(binding, frame.topology, frame.value)
