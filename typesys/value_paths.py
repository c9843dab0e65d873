"""Paths into values, such as `p.rows[17]`: the type at a path's end, and the wire tree there.

The functions work on trees alone, so they need none of the author's classes.
"""

from __future__ import annotations

from typing import Any

from promissory.typesys.errors import TypeMismatch
from promissory.typesys.types import DictType, ListType, RecordType, TupleType, Type, VarTupleType

Step = int | str | list[Any]
"""One step of a path: an index, a record's field name, or [key] of a dict."""


def step_type(type: Type, step: Step) -> Type | None:
    """Give the type at one step into a value of this type. None if there is no such step.

    >>> from promissory import type_of
    >>> print(step_type(type_of(dict[str, int]), ["a"]))
    int
    """
    match type, step:
        case ((ListType(item) | VarTupleType(item)), int()):
            return item
        case TupleType(items), int() if -len(items) <= step < len(items):
            return items[step]
        case RecordType(kind="typeddict", fields=fields), list():
            return next((field.type for field in fields if [field.name] == step), None)
        case RecordType(kind="dataclass" | "namedtuple", fields=fields), str():
            return next((field.type for field in fields if field.name == step), None)
        case RecordType(kind="namedtuple", fields=fields), int() if -len(fields) <= step < len(fields):
            return fields[step].type
        case DictType(_, value), list():
            return value
    return None


def select(tree: Any, type: Type, path: list[Step]) -> tuple[Any, Type]:
    """Give the tree and type at the end of a path. Raises `TypeMismatch` where the value has no such element."""
    walked = ""
    for step in path:
        inner = step_type(type, step)
        assert inner is not None, "verified plans have paths that their types allow"
        try:
            if isinstance(step, str):
                assert isinstance(type, RecordType)
                tree = tree[[field.name for field in type.fields].index(step)]
                walked += f".{step}"
            elif isinstance(step, int):
                # Behind the fields of a record may stand the value of a derived class.
                tree = tree[step % len(type.fields) if isinstance(type, RecordType) else step]
                walked += f"[{step}]"
            elif isinstance(type, RecordType):
                at = [field.name for field in type.fields].index(step[0])
                tree = tree[at] if type.parts[at] is type.fields[at].type else next(iter(tree[at]))
                walked += f"[{step[0]!r}]"
            else:
                tree = next(value for key, value in tree if key == step[0] and key.__class__ is step[0].__class__)
                walked += f"[{step[0]!r}]"
        except IndexError:
            subject = "" if walked else "the value that was passed "
            raise TypeMismatch(f"{subject}has no item {step}: it has {len(tree)} items", walked) from None
        except StopIteration:
            subject = "" if walked else "the value that was passed "
            raise TypeMismatch(f"{subject}has no key {_lacking(tree, type, step)}", walked) from None
        type = inner
    return tree, type


def _lacking(tree: Any, type: Type, step: Any) -> str:
    """Name the key that a dict lacks, with some of those that it has."""
    if isinstance(type, RecordType):
        rows = zip(type.fields, type.parts, tree, strict=False)
        keys = [field.name for field, part, one in rows if part is field.type or one]
    else:
        keys = [key for key, _ in tree]
    there = ", ".join(repr(key) for key in keys[:5]) + ", …" * (len(keys) > 5)
    return f"{step[0]!r}; it has {there or 'none'}"
