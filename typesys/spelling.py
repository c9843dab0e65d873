"""The text of a type in full: `full_name` for names of which a type is a part, `spelling` for the order of types."""

from __future__ import annotations

from promissory.typesys.types import (
    ARGUMENTS,
    DictType,
    EnumType,
    FlagType,
    FrozenSetType,
    ListType,
    LiteralType,
    NamedType,
    OpaqueType,
    RecordType,
    RefType,
    SetType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    children,
)


def full_name(type: Type) -> str:
    """Write a type as Python does, with the full names of classes. No two types have one text.

    >>> from promissory import type_of
    >>> full_name(type_of(dict[str, list[int] | None]))
    'dict[str, list[int] | None]'
    """
    match type:
        case RecordType() | RefType() | EnumType() | FlagType() | OpaqueType():
            return type.name
        case NamedType(name, wire):
            arguments = ARGUMENTS.get(name)
            inner = () if arguments is None else arguments(wire)
            shown = [full_name(one) if isinstance(one, Type) else str(one) for one in inner]
            return f"{name}[{', '.join(shown)}]" if shown else name
        case ListType(item):
            return f"list[{full_name(item)}]"
        case SetType(item):
            return f"set[{full_name(item)}]"
        case FrozenSetType(item):
            return f"frozenset[{full_name(item)}]"
        case VarTupleType(item):
            return f"tuple[{full_name(item)}, ...]"
        case TupleType(items):
            return f"tuple[{', '.join(map(full_name, items)) or '()'}]"
        case DictType(key, value):
            return f"dict[{full_name(key)}, {full_name(value)}]"
        case UnionType(arms):
            return " | ".join(map(full_name, arms))
    return str(type)


def spelling(type: Type) -> str:
    """Spell a type in full, for sorting. A record and a mention of it have one spelling."""
    match type:
        case RecordType() | RefType():
            return type.name
        case OpaqueType(name):
            return f"Opaque[{name}]"
        case NamedType(name, wire):
            return f"{name}[{spelling(wire)}]" if name in ARGUMENTS else name
        case EnumType(name, members) | FlagType(name, members):
            return f"{name}{members!r}"
        case LiteralType(values):
            return repr(values)
    inner = children(type)
    return f"{type.__class__.__name__}[{', '.join(map(spelling, inner))}]" if inner else type.__class__.__name__
