"""Invocations without a body: joints, the decisions of branches, the cutting and joining of lists. They run no code of
the author's.

Workers carry them out, because the scheduler fetches no value.
"""

from __future__ import annotations

from typing import Any

from promissory.executor.code.resolver import Refused
from promissory.executor.protocol.messages import ARM, CUT, DECIDE, ITEM, ITEMS, JOINT, VALUE
from promissory.executor.worker.chunking import UnequalLists, cut, flattened, join, listed
from promissory.executor.worker.conditions import choose
from promissory.executor.worker.values import Values
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.type_format import type_from_bytes


def carry_out(values: Values, number: int, arguments: list[Any]) -> tuple[int, Any]:
    """The status and payload of an invocation without a body. Raises `Refused`."""
    if number == JOINT:
        return VALUE, _joint(values, arguments)
    if number == DECIDE:
        return ARM, _decide(values, arguments)
    if number == CUT:
        return ITEMS, _cut(values, arguments)
    return VALUE, values.kept(join(map(values.bytes_of, arguments), values.parts))


def _joint(values: Values, arguments: list[Any]) -> Any:
    argument, wanted = arguments
    try:
        if argument[0] == ITEM:
            data = values.item(argument, type_from_bytes(wanted))
        else:
            data = pack(values.assembled(argument, type_from_bytes(wanted)), values.parts)
    except TypeMismatch as mismatch:
        raise Refused(
            "TaskTypeError", f"what is given is something else than declared: {mismatch.at('result')}"
        ) from None
    return values.kept(data)


def _decide(values: Values, arguments: list[Any]) -> int:
    conditions, given = arguments
    operands = [
        (unpack(values.bytes_of(argument), parts=values.parts), type_from_bytes(type)) for argument, type in given
    ]
    try:
        return choose(conditions, operands)
    except TypeMismatch as mismatch:
        raise Refused("TaskTypeError", f"a condition can't be decided: {mismatch}") from None


def _cut(values: Values, arguments: list[Any]) -> list[Any]:
    given, shortest = arguments
    lists = [(flattened if flat else listed)(values.bytes_of(argument), values.parts) for argument, _, flat in given]
    try:
        return [[count, [values.kept(part) for part in parts]] for count, parts in cut(lists, shortest)]
    except UnequalLists as unequal:
        said = ", ".join(f"{name} has {length:,}" for (_, name, _), length in zip(given, unequal.lengths, strict=True))
        way_out = 'Give lists of one length, unmapped(…) for what is no list of items, or zip="shortest"'
        raise Refused(
            "UnequalLengths", f"lists that are mapped together have different lengths: {said}. {way_out}"
        ) from None
