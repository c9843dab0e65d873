"""How deep a value may be: one number for values, payloads, literals and JSON, whatever encodes them.

Encoders recurse, and a level costs some of them three frames of Python's stack and others one. So depth is not what an
encoder happens to bear, but is counted: a list, tuple, dict, set or record that holds something is one level.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Any, Final, cast

from promissory.typesys.errors import TypeMismatch
from promissory.typesys.records import field_names, is_record
from promissory.typesys.types import AnyType, RecordType, RefType, Type, walk

DEEPEST: Final = 100
"""The number of levels that a value may have. Every encoder and decoder bears them with half of Python's stack."""
TOO_DEEP: Final = f"is nested more than {DEEPEST} levels deep, or contains itself: give it as a flat list or dict"
_SHOWN: Final = 3
_WIDE: Final = 1000
_FLAT: Final = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray))


def is_bottomless(type: Type) -> bool:
    """Tell whether values of a type may nest without end: where the type is `Any`, or a record that holds itself.

    >>> from promissory import type_of
    >>> from typing import Any
    >>> is_bottomless(type_of(list[Any])), is_bottomless(type_of(list[list[int]]))
    (True, False)
    """
    for one in walk(type):
        if isinstance(one, AnyType):
            return True
        if isinstance(one, RecordType):
            inside = {definition.name: definition.fields for definition in one.definitions}
            types = [inner for fields in inside.values() for field in fields for inner in walk(field.type)]
            if any(isinstance(inner, AnyType) for inner in types) or _has_cycle(inside):
                return True
    return False


def _has_cycle(inside: dict[str, Any]) -> bool:
    """Tell whether a record holds itself, perhaps by way of others."""
    left = {
        name: {inner.name for field in fields for inner in walk(field.type) if isinstance(inner, RefType)}
        for name, fields in inside.items()
    }
    while ends := [name for name, held in left.items() if held.isdisjoint(left)]:
        for name in ends:
            del left[name]
    return bool(left)


def check_depth(value: Any) -> None:
    """Raise `TypeMismatch` if a value is nested too deeply.

    >>> check_depth([[1], {"a": (2,)}])
    """
    level, depth = _with_parts([value]), 0
    while level:
        found: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is list or kind is tuple:
                found += one
            elif kind is dict:
                found += one.values()
                found += [key for key in one if type(key) is not str]
            else:
                found += [inner for _, inner in _inside(one)]
        if not found:
            return
        if depth == DEEPEST:
            raise TypeMismatch(TOO_DEEP, _way_down(value))
        level, depth = _with_parts(found), depth + 1
        if len(level) > _WIDE:
            # Look once at a value that stands in a level twice: a list that holds itself twice would double each time.
            level = list({id(one): one for one in level}.values())


def _with_parts(values: list[Any]) -> list[Any]:
    """Those of some values that may hold others. Most often there are none, which their classes tell at once."""
    kinds: set[Any] = {kind for kind in set(map(type, values)) if not _is_flat(cast(Hashable, kind))}
    return [one for one in values if type(one) in kinds] if kinds else []


@lru_cache(1024)
def _is_flat(kind: Hashable) -> bool:
    assert isinstance(kind, type)
    return kind in _FLAT or not (
        issubclass(kind, dict | list | tuple | set | frozenset) or _fields(cast(Hashable, kind))
    )


def too_deep(value: Any) -> TypeMismatch:
    """The mismatch for a value that an encoder has no stack for."""
    try:
        check_depth(value)
    except TypeMismatch as mismatch:
        return mismatch
    return TypeMismatch(
        f"can't be written down here, as Python's stack is nearly used up (sys.getrecursionlimit() is "
        f"{sys.getrecursionlimit()}): do it in a function that is not called so deeply"
    )


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """Give what a value holds, with the step that leads there; nothing for a value without parts."""
    kind = type(value)
    if issubclass(kind, dict):
        for key, one in value.items():
            yield f"[{key!r:.40}]", one
        if kind is dict:
            yield from (("{…}", key) for key in value if type(key) is tuple or type(key) is frozenset)
    elif names := _fields(cast(Hashable, kind)):
        for name in names:
            yield f".{name}", getattr(value, name, None)
    elif issubclass(kind, list | tuple):
        for index, one in enumerate(value):
            yield f"[{index}]", one
    elif issubclass(kind, set | frozenset):
        yield from (("{…}", one) for one in value)


@lru_cache(1024)
def _fields(kind: Hashable) -> tuple[str, ...]:
    return field_names(kind) if isinstance(kind, type) and is_record(kind) else ()


def _way_down(value: Any) -> str:
    """The first steps of a path that leads down a value which is too deep, one of its longest."""
    level: dict[int, tuple[Any, tuple[str, ...]]] = {id(value): (value, ())}
    steps: tuple[str, ...] = ()
    for _ in range(DEEPEST):
        level = {
            id(inner): (inner, (*way, step)[:_SHOWN]) for one, way in level.values() for step, inner in _inside(one)
        }
        steps = next((way for _, way in level.values()), steps)
    return f"{''.join(steps)}…"
