"""The cache key: the fields of a cached call, which make two calls equal (rule R3), and the key that they give. Pure.

======================= ==================================================================================
field                   what stands for it
======================= ==================================================================================
task                    the callable's name
version                 `cache_version`
interface               its parameters' names and types, and its result's type
input NAME              the value's digest; of an input that is put together, the digest of how and from what
iteration, payload      only where a later iteration of a loop emitted a futures file: the iteration's number, and the
                        digest of the payload that the iteration before gave
======================= ==================================================================================

Two calls with one key are equal in each field. An input that `cache_ignore` names has no field. `promissory explain`
tells which field differed.
"""

from __future__ import annotations

from typing import Final

from promissory.executor.scheduler.frame import Frame
from promissory.planner.plan.model import ARM, DICT, INPUT, LIST, NODE, RECORD, TUPLE, Binding, Value
from promissory.planner.plan.shape_format import interface_digest
from promissory.typesys.canonical import digest, pack
from promissory.typesys.type_format import type_bytes

Fields = tuple[tuple[str, bytes], ...]
_RESULT: Final = b"result"
_FUTURES: Final = b"futures"


def fields_of(frame: Frame, index: int, loop: tuple[int, Value] | None = None) -> Fields:
    """The fields of a call, in the order in which they are compared.

    Args:
        loop: the iteration and its payload, if it is not the first one.
    """
    topology = frame.topology
    callee, policy = topology.callee(index), topology.policy(index)
    found = [
        ("task", callee.name.encode()),
        ("version", policy.cache_version.encode()),
        ("interface", interface_digest(callee)),
    ]
    bindings = topology.plan_inputs.get(index) or topology.graph.bindings_of(index)
    for binding, parameter in zip(bindings, callee.interface.parameters, strict=True):
        if parameter.name in policy.cache_ignore:
            continue
        if binding is not None and frame.misses(binding):
            told = b"not there"
        elif binding is None:
            assert parameter.default is not None
            told = _digest_of(parameter.default)
        elif topology.fits(binding, parameter.type):
            told = _digest_of(frame.value(binding))
        else:
            told = digest("built", pack(_told(frame, binding)))
        found.append((f"input {parameter.name}", told))
    if loop is not None:
        found += [("iteration", str(loop[0]).encode()), ("payload", _digest_of(loop[1]))]
    return tuple(found)


def result_key(fields: Fields) -> bytes:
    """The key of a call's result."""
    return digest("cache", pack([_RESULT, [list(field) for field in fields]]))


def futures_key_of(fields: Fields) -> bytes:
    """The key of what a dynamic emitted for these inputs."""
    return digest("cache", pack([_FUTURES, [list(field) for field in fields]]))


def _digest_of(value: Value) -> bytes:
    return digest("value", value) if isinstance(value, bytes) else value.digest


def _told(frame: Frame, binding: Binding) -> Binding:
    """A binding with each leaf's digest in place of the leaf.

    The result depends on the value that the binding builds, not on the numbers of the nodes that the value comes from.
    """
    if binding is None:
        return None
    if binding.__class__ is int:
        return _digest_of(frame.value(binding))
    code = binding[0]
    if code in (INPUT, NODE):  # a path means something only in a value of its type
        type = frame.topology.leaf_type(binding)
        value = frame.value(binding if code == INPUT else binding[1])
        return [
            NODE,
            _digest_of(value),
            binding[2] if len(binding) == 3 else [],
            b"" if type is None else type_bytes(type),
        ]
    if code in (LIST, TUPLE):
        return [code, [_told(frame, item) for item in binding[1]]]
    if code == DICT:
        return [code, [[key, _told(frame, item)] for key, item in binding[1]]]
    if code == RECORD:
        return [code, binding[1], [_told(frame, item) for item in binding[2]]]
    assert code == ARM
    return [code, binding[1], _told(frame, binding[2])]
