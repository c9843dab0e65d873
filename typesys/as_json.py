"""A wire tree → JSON, as results and defaults are shown. `promissory.typesys.parse` reads it back."""

from __future__ import annotations

import base64
import math
from typing import Any

from promissory.typesys.buffer import Buffer
from promissory.typesys.families import registry
from promissory.typesys.self_describing import DICT, ENUM, FROZENSET, LIST, NAMED, OPAQUE, RECORD, SET, TUPLE, lift_any
from promissory.typesys.transcode import is_whole
from promissory.typesys.types import (
    AnyType,
    BufferType,
    BytesType,
    DictType,
    EnumType,
    FlagType,
    FloatType,
    FrozenSetType,
    IntType,
    ListType,
    LiteralType,
    NamedType,
    OpaqueType,
    RecordType,
    SetType,
    StrType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
)
from promissory.typesys.wire import codec_for


def to_json(tree: Any, type: Type) -> Any:
    """Show a tree as JSON: a value for `json.dumps`, which `parse_json` reads back.

    >>> from promissory import type_of
    >>> to_json([["a", 1.5]], type_of(dict[str, float]))
    {'a': 1.5}
    """
    match type:
        case FloatType() if not math.isfinite(tree):
            return "NaN" if tree != tree else "Infinity" if tree > 0 else "-Infinity"
        case BytesType() | LiteralType() if isinstance(tree, bytes):
            return base64.b64encode(tree).decode()
        case BytesType() | BufferType() if isinstance(tree, Buffer):
            return base64.b64encode(tree.content()).decode()
        case BufferType():
            return base64.b64encode(tree).decode()
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return [to_json(one, item) for one in tree]
        case TupleType(items):
            return [to_json(one, item) for one, item in zip(tree, items, strict=True)]
        case DictType(key, value):
            pairs = [(to_json(k, key), to_json(v, value)) for k, v in tree]
            return dict(pairs) if _text_keys(key) else [[k, v] for k, v in pairs]
        case UnionType(arms):
            return to_json(tree[1], arms[tree[0]])
        case RecordType(kind="typeddict", fields=fields, parts=parts):
            rows = zip(fields, parts, tree, strict=True)
            return {
                f.name: to_json(v if part is f.type else v[0], f.type) for f, part, v in rows if part is f.type or v
            }
        case FlagType(members=members):
            return _flag_text(tree, members)
        case RecordType(fields=fields) if len(tree) > len(fields) and is_whole(tree[-1]):
            return _any_to_json(tree[-1])
        case RecordType(fields=fields):
            shown = {f.name: to_json(v, f.type) for v, f in zip(tree, fields, strict=False)}
            return {**shown, **_extra_to_json(tree[len(fields) :])}
        case NamedType(name, wire):
            family = registry.shown(name)
            if family is not None and family.to_json is not None:
                return family.to_json(family.from_wire(codec_for(wire).lift_tree(tree)))
            return to_json(tree, wire)
        case OpaqueType(name):
            return f"<{name}: a pickle of {len(tree)} bytes>"
        case AnyType():
            return _any_to_json(tree)
    return tree


def _text_keys(key: Type) -> bool:
    """Tell whether a dict's keys can be the keys of a JSON object and be read back."""
    return isinstance(key, IntType | StrType | EnumType) or (
        isinstance(key, NamedType) and isinstance(key.wire, StrType)
    )


def _any_to_json(tree: Any) -> Any:
    if tree.__class__ is float:
        return to_json(tree, FloatType())
    if tree.__class__ in (bytes, Buffer):
        return to_json(tree, BytesType())
    if tree.__class__ is not list:
        return tree
    kind = tree[0]
    if kind in (LIST, TUPLE, SET, FROZENSET):
        return [_any_to_json(one) for one in tree[1]]
    if kind == DICT:
        pairs = [(_any_to_json(k), _any_to_json(v)) for k, v in tree[1]]
        return dict(pairs) if all(isinstance(k, str) for k, _ in pairs) else [[k, v] for k, v in pairs]
    if kind == RECORD:
        shown = {name: _any_to_json(one) for name, one in zip(tree[2], tree[3], strict=True)}
        return {**shown, **_extra_to_json(tree[4:])}
    if kind == NAMED:
        family = registry.shown(tree[1])
        if family is not None and family.to_json is not None:
            return family.to_json(lift_any(tree))
    if kind in (ENUM, NAMED):
        return _any_to_json(tree[2])
    assert kind == OPAQUE
    return f"<a pickle of {len(tree[1])} bytes>"


def _extra_to_json(apart: list[Any]) -> dict[str, Any]:
    """Show the extra values of a pydantic model, which stand apart from its fields."""
    extra = apart[0][1][1] if apart else None
    shown: dict[str, Any] = {} if extra is None else _any_to_json(extra)
    return shown


def _flag_text(value: int, members: tuple[tuple[str, int], ...]) -> str | int:
    """Give the members that are set, or the number itself if it has bits that are no member's."""
    names = [name for name, bit in members if bit and value & bit == bit]
    total = 0
    for name in names:
        total |= dict(members)[name]
    return "|".join(names) if names and total == value else value
