"""Unions in canonical form: one form for the same arms, in whatever order they were written."""

from __future__ import annotations

from promissory.typesys.spelling import spelling
from promissory.typesys.types import (
    ANY,
    AnyType,
    BoolType,
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

_ORDER: dict[type[Type], int] = {
    kind: position
    for position, kind in enumerate(
        (
            BoolType,
            IntType,
            FloatType,
            StrType,
            BytesType,
            BufferType,
            LiteralType,
            EnumType,
            FlagType,
            NamedType,
            RecordType,
            TupleType,
        )
        + (VarTupleType, ListType, DictType, SetType, FrozenSetType, OpaqueType, AnyType, NoneType)
    )
}
_ORDER[RefType] = _ORDER[RecordType]


def union(arms: list[Type]) -> Type:
    """Make the canonical union: flattened, each arm once, in one order however it was written. `Any` swallows the rest.

    >>> from promissory.typesys.types import INT, NONE, STR
    >>> print(union([NONE, STR, union([INT, STR])]))
    int | str | None
    """
    flat: dict[Type, None] = {}
    for arm in arms:
        for one in arm.arms if isinstance(arm, UnionType) else (arm,):
            flat[one] = None
    if ANY in flat:
        return ANY
    ordered = sorted(flat, key=lambda arm: (_ORDER[type(arm)], spelling(arm)))
    return ordered[0] if len(ordered) == 1 else UnionType(tuple(ordered))
