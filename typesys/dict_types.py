"""The type of a dict whose keys are known, where no class declares it: the outputs of a workflow by name."""

from __future__ import annotations

from collections.abc import Mapping

from promissory.typesys.types import (
    Definition,
    DictType,
    Field,
    FrozenSetType,
    ListType,
    NamedType,
    RecordType,
    RefType,
    SetType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
)


def record_of(name: str, fields: Mapping[str, Type]) -> RecordType:
    """Make the type of a dict with these keys, all of them there.

    >>> from promissory.typesys.types import INT
    >>> print(record_of("m:Row", {"a": INT}).fields[0].type)
    int
    """
    known: dict[str, Definition] = {}
    own = Definition(name, "typeddict", tuple(Field(field, _opened(type, known)) for field, type in fields.items()))
    return RecordType(name, tuple(sorted([own, *known.values()], key=lambda one: one.name)))


def _opened(type: Type, known: dict[str, Definition]) -> Type:
    """Replace each record in a type by a mention of it, and collect its definitions: the inverse of `closed`."""
    match type:
        case RecordType(name):
            known.update((one.name, one) for one in type.definitions)
            return RefType(name)
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return type.__class__(_opened(item, known))
        case TupleType(items):
            return TupleType(tuple(_opened(item, known) for item in items))
        case UnionType(arms):
            return UnionType(tuple(_opened(arm, known) for arm in arms))
        case DictType(key, value):
            return DictType(_opened(key, known), _opened(value, known))
        case NamedType(name, wire):
            return NamedType(name, _opened(wire, known))
    return type
