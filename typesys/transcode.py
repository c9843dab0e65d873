"""A wire tree of one type, written as another: what an edge of a plan does when its two ends differ.

Works on trees alone, so it needs none of the author's classes. `transcode` follows the rules of `typesys.assignable`; where a value of `Any` goes
to a narrower type, it is the run-time check, and raises `TypeMismatch` with the path. `select` follows a path such as `p.rows[17]`.
"""

from __future__ import annotations

from typing import Any

from typesys.assignable import assignable
from typesys.canonical import pack
from typesys.errors import TypeMismatch
from typesys.self_describing import DICT, ENUM, FROZENSET, LIST, NAMED, OPAQUE, RECORD, SET, TUPLE
from typesys.types import (
    ANY,
    AnyType,
    BoolType,
    BytesType,
    DictType,
    EnumType,
    FloatType,
    FrozenSetType,
    IntType,
    ListType,
    LiteralType,
    NamedType,
    NoneType,
    OpaqueType,
    RecordType,
    RefType,
    SetType,
    StrType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
)

Step = int | str | list[Any]
"""One step of a path: an index, a record's field name, or [key] of a dict."""

_SCALARS = (NoneType, BoolType, IntType, FloatType, StrType, BytesType)


def transcode(tree: Any, source: Type, target: Type) -> Any:
    """The tree of the same value as a `target`.

    Args:
        tree: a wire tree of type `source`.
        source: its type.
        target: a type that `source` is assignable to.

    Raises:
        TypeMismatch: a value of `Any` turned out to be something else.

    >>> from typesys import type_of
    >>> transcode([1, 2], type_of(list[int]), type_of(list[float]))
    [1.0, 2.0]
    """
    if source is target or source == target:
        return tree
    match source, target:
        case UnionType(arms), _:
            return transcode(tree[1], arms[tree[0]], target)
        case AnyType(), _:
            return _from_any(tree, target)
        case _, AnyType():
            return _to_any(tree, source, {})
        case _, UnionType(arms):
            arm = arms.index(source) if source in arms else next(i for i, one in enumerate(arms) if assignable(source, one))
            return [arm, transcode(tree, source, arms[arm])]
        case IntType(), FloatType():
            return _float(tree)
        case LiteralType(), FloatType():
            return _float(tree)
        case (ListType(a), ListType(b)) | (VarTupleType(a), VarTupleType(b)):
            return _items(tree, a, b)
        case (SetType(a), SetType(b)) | (FrozenSetType(a), FrozenSetType(b)):
            return sorted(_items(tree, a, b), key=pack)
        case TupleType(items), VarTupleType(item):
            return [transcode(one, a, item) for one, a in zip(tree, items, strict=True)]
        case TupleType(items), TupleType(wanted):
            return [transcode(one, a, b) for one, a, b in zip(tree, items, wanted, strict=True)]
        case RecordType(kind="namedtuple", fields=fields), TupleType() | VarTupleType():
            return transcode(tree, TupleType(tuple(unfold(field.type, source) for field in fields)), target)
        case DictType(key, value), DictType(wanted_key, wanted_value):
            return [[transcode(k, key, wanted_key), transcode(v, value, wanted_value)] for k, v in tree]
    return tree


def _float(tree: Any) -> float:
    try:
        return float(tree)
    except OverflowError:
        raise TypeMismatch("expected float, got an int too large for one") from None


def _items(tree: Any, source: Type, target: Type) -> list[Any]:
    items = []
    for index, one in enumerate(tree):
        try:
            items.append(transcode(one, source, target))
        except TypeMismatch as mismatch:
            raise mismatch.inside(f"[{index}]") from None
    return items


def _to_any(tree: Any, source: Type, records: dict[str, RecordType]) -> Any:
    match source:
        case ListType(item):
            return [LIST, [_to_any(one, item, records) for one in tree]]
        case VarTupleType(item):
            return [TUPLE, [_to_any(one, item, records) for one in tree]]
        case TupleType(items):
            return [TUPLE, [_to_any(one, item, records) for one, item in zip(tree, items, strict=True)]]
        case SetType(item) | FrozenSetType(item):
            kind = SET if isinstance(source, SetType) else FROZENSET
            return [kind, sorted((_to_any(one, item, records) for one in tree), key=pack)]
        case DictType(key, value):
            return [DICT, [[_to_any(k, key, records), _to_any(v, value, records)] for k, v in tree]]
        case UnionType(arms):
            return _to_any(tree[1], arms[tree[0]], records)
        case RecordType(name, _, fields):
            inner = {**records, name: source}
            return [RECORD, name, [f.name for f in fields], [_to_any(v, f.type, inner) for v, f in zip(tree, fields, strict=True)]]
        case RefType(name):
            return _to_any(tree, records[name], records)
        case EnumType(name):
            return [ENUM, name, tree]
        case NamedType(name, wire):
            return [NAMED, name, _to_any(tree, wire, records)]
        case OpaqueType():
            return [OPAQUE, tree]
    return tree


_KINDS = {LIST: "list", TUPLE: "tuple", DICT: "dict", SET: "set", FROZENSET: "frozenset", OPAQUE: "an opaque value"}


def _said(tree: Any) -> str:
    if type(tree) is not list:
        return "None" if tree is None else type(tree).__name__
    if tree[0] in (RECORD, ENUM, NAMED):
        return str(tree[1]).rpartition(":")[2].rpartition(".")[2]
    return _KINDS.get(tree[0], "a value of unknown kind")


def _from_any(tree: Any, target: Type) -> Any:
    kind = tree[0] if type(tree) is list else None
    try:
        match target:
            case AnyType():
                return tree
            case FloatType() if type(tree) in (int, float):
                return _float(tree)
            case IntType() | BoolType() | StrType() | BytesType() | NoneType() if kind is None and _scalar_fits(tree, target):
                return tree
            case LiteralType(values) if (type(tree), tree) in [(type(value), value) for value in values]:
                return tree
            case ListType(item) if kind == LIST:
                return _items(tree[1], ANY, item)
            case VarTupleType(item) if kind == TUPLE:
                return _items(tree[1], ANY, item)
            case TupleType(items) if kind == TUPLE and len(tree[1]) == len(items):
                return [transcode(one, ANY, item) for one, item in zip(tree[1], items, strict=True)]
            case (SetType(item) | FrozenSetType(item)) if kind == (SET if isinstance(target, SetType) else FROZENSET):
                return sorted(_items(tree[1], ANY, item), key=pack)
            case DictType(key, value) if kind == DICT:
                return [[transcode(k, ANY, key), _at(repr(k), v, value)] for k, v in tree[1]]
            case RecordType(name, _, fields) if kind == RECORD and tree[1] == name and tree[2] == [f.name for f in fields]:
                return [_field(one, field.name, unfold(field.type, target)) for one, field in zip(tree[3], fields, strict=True)]
            case EnumType(name, members) if kind == ENUM and tree[1] == name and tree[2] in [member for member, _ in members]:
                return tree[2]
            case NamedType(name, wire) if kind == NAMED and tree[1] == name:
                return _from_any(tree[2], wire)
            case OpaqueType() if kind == OPAQUE:
                return tree[1]
            case UnionType(arms):
                for arm, one in enumerate(arms):
                    try:
                        return [arm, _from_any(tree, one)]
                    except TypeMismatch:
                        continue
    except (IndexError, KeyError, TypeError) as error:
        if isinstance(error, TypeMismatch):
            raise
    raise TypeMismatch(f"expected {target}, got {_said(tree)}")


def _scalar_fits(tree: Any, target: Type) -> bool:
    names = {IntType: int, BoolType: bool, StrType: str, BytesType: bytes, NoneType: type(None)}
    return type(tree) is names[target.__class__]


def _at(key: str, tree: Any, target: Type) -> Any:
    try:
        return transcode(tree, ANY, target)
    except TypeMismatch as mismatch:
        raise mismatch.inside(f"[{key}]") from None


def _field(tree: Any, name: str, target: Type) -> Any:
    try:
        return transcode(tree, ANY, target)
    except TypeMismatch as mismatch:
        raise mismatch.inside(f".{name}") from None


# --- paths -----------------------------------------------------------------------------------------------------------------------


def unfold(type: Type, record: RecordType) -> Type:
    """A field's type seen from outside its record: mentions of the record stand for the record itself."""
    match type:
        case RefType(name) if name == record.name:
            return record
        case ListType(item):
            return ListType(unfold(item, record))
        case VarTupleType(item):
            return VarTupleType(unfold(item, record))
        case TupleType(items):
            return TupleType(tuple(unfold(item, record) for item in items))
        case DictType(key, value):
            return DictType(unfold(key, record), unfold(value, record))
        case UnionType(arms):
            return UnionType(tuple(unfold(arm, record) for arm in arms))
        case SetType(item):
            return SetType(unfold(item, record))
        case FrozenSetType(item):
            return FrozenSetType(unfold(item, record))
    return type


def step_type(type: Type, step: Step) -> Type | None:
    """The type at one step into a value of this type; None if there is no such step.

    >>> from typesys import type_of
    >>> print(step_type(type_of(dict[str, int]), ["a"]))
    int
    """
    match type, step:
        case (ListType(item) | VarTupleType(item)), int():
            return item
        case TupleType(items), int() if -len(items) <= step < len(items):
            return items[step]
        case RecordType(fields=fields), str():
            return next((unfold(field.type, type) for field in fields if field.name == step), None)
        case RecordType(kind="namedtuple", fields=fields), int() if -len(fields) <= step < len(fields):
            return unfold(fields[step].type, type)
        case DictType(_, value), list():
            return value
    return None


def select(tree: Any, type: Type, path: list[Step]) -> tuple[Any, Type]:
    """The tree and type at the end of a path. Raises `TypeMismatch` where the value has no such element."""
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
                tree = tree[step]
                walked += f"[{step}]"
            else:
                tree = next(value for key, value in tree if key == step[0] and key.__class__ is step[0].__class__)
                walked += f"[{step[0]!r}]"
        except IndexError:
            raise TypeMismatch(f"has no item {step}: it has {len(tree)} items", walked) from None
        except StopIteration:
            raise TypeMismatch(f"has no key {step[0]!r}", walked) from None  # type: ignore[index]
        type = inner
    return tree, type
