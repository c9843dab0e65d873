"""The closed set of wire types.

A type says what bytes a value has, and nothing about the Python that made it: types are frozen, hashable, comparable, printable as
Python would write them, and can be read from a plan by a process that has none of the author's classes.

============== ===================================== =========================================================
class          fields                                wire form of a value (msgpack)
============== ===================================== =========================================================
AnyType                                              self-describing: scalars as they are, else [kind, …]
NoneType                                             nil
BoolType                                             true / false
IntType                                              integer of any size (beyond 64 bits: extension 1)
FloatType                                            float 64; one NaN
StrType                                              str (lone surrogates kept)
BytesType                                            bin
ListType       item                                  array
DictType       key, value                            array of [key, value], in insertion order
TupleType      items                                 array, one entry an item
VarTupleType   item                                  array
SetType        item                                  array, sorted by the items' bytes
FrozenSetType  item                                  the same
UnionType      arms, in canonical order              [arm, value]
LiteralType    values, in canonical order            the scalar itself
EnumType       name, members (name, scalar or None)  the member's name
RecordType     name, kind, fields                    array, one entry a field in order
RefType        name of an enclosing record           as that record
NamedType      name, wire                            as `wire`: a family of `typesys.codecs` gives it meaning
OpaqueType     name                                  bin: a cloudpickle
============== ===================================== =========================================================

New families of Python types (arrays, decimals, files) are `NamedType`s: one file in `typesys/codecs`, no change here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as _Literal

Scalar = bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Type:
    """One wire type. Compare with `==`, print with `str`.

    >>> from typesys import type_of
    >>> print(type_of(dict[str, list[int] | None]))
    dict[str, list[int] | None]
    """


@dataclass(frozen=True, slots=True)
class AnyType(Type):
    def __str__(self) -> str:
        return "Any"


@dataclass(frozen=True, slots=True)
class NoneType(Type):
    def __str__(self) -> str:
        return "None"


@dataclass(frozen=True, slots=True)
class BoolType(Type):
    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class IntType(Type):
    def __str__(self) -> str:
        return "int"


@dataclass(frozen=True, slots=True)
class FloatType(Type):
    def __str__(self) -> str:
        return "float"


@dataclass(frozen=True, slots=True)
class StrType(Type):
    def __str__(self) -> str:
        return "str"


@dataclass(frozen=True, slots=True)
class BytesType(Type):
    def __str__(self) -> str:
        return "bytes"


@dataclass(frozen=True, slots=True)
class ListType(Type):
    item: Type

    def __str__(self) -> str:
        return f"list[{self.item}]"


@dataclass(frozen=True, slots=True)
class DictType(Type):
    key: Type
    value: Type

    def __str__(self) -> str:
        return f"dict[{self.key}, {self.value}]"


@dataclass(frozen=True, slots=True)
class TupleType(Type):
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.items)) or '()'}]"


@dataclass(frozen=True, slots=True)
class VarTupleType(Type):
    item: Type

    def __str__(self) -> str:
        return f"tuple[{self.item}, ...]"


@dataclass(frozen=True, slots=True)
class SetType(Type):
    item: Type

    def __str__(self) -> str:
        return f"set[{self.item}]"


@dataclass(frozen=True, slots=True)
class FrozenSetType(Type):
    item: Type

    def __str__(self) -> str:
        return f"frozenset[{self.item}]"


@dataclass(frozen=True, slots=True)
class UnionType(Type):
    """Arms in canonical order (by kind, then by text; `None` last), never nested, never twice."""

    arms: tuple[Type, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.arms))


@dataclass(frozen=True, slots=True)
class LiteralType(Type):
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        return f"Literal[{', '.join(map(repr, self.values))}]"

    def __eq__(self, other: object) -> bool:  # 1 == True == 1.0 in Python, but not on the wire
        return isinstance(other, LiteralType) and repr(self.values) == repr(other.values)

    def __hash__(self) -> int:
        return hash(repr(self.values))


@dataclass(frozen=True, slots=True)
class EnumType(Type):
    name: str
    members: tuple[tuple[str, str | int | None], ...]

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record: its name, its type, and whether text input must give it."""

    name: str
    type: Type
    required: bool = True


@dataclass(frozen=True, slots=True)
class RecordType(Type):
    """A dataclass or NamedTuple. Two records are the same type if name and fields are."""

    name: str
    kind: _Literal["dataclass", "namedtuple"]
    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class RefType(Type):
    """A record mentioned inside its own fields."""

    name: str

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class NamedType(Type):
    name: str
    wire: Type

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class OpaqueType(Type):
    name: str

    def __str__(self) -> str:
        return f"Opaque[{short_name(self.name)}]"


ANY, NONE, BOOL, INT, FLOAT, STR, BYTES = AnyType(), NoneType(), BoolType(), IntType(), FloatType(), StrType(), BytesType()

_ORDER: dict[type[Type], int] = {
    kind: position
    for position, kind in enumerate(
        (BoolType, IntType, FloatType, StrType, BytesType, LiteralType, EnumType, NamedType, RecordType, RefType, TupleType)
        + (VarTupleType, ListType, DictType, SetType, FrozenSetType, OpaqueType, AnyType, NoneType)
    )
}


def union(arms: list[Type]) -> Type:
    """The canonical union: flattened, each arm once, in one order however it was written; `Any` swallows the rest.

    >>> print(union([NONE, STR, union([INT, STR])]))
    int | str | None
    """
    flat: dict[Type, None] = {}
    for arm in arms:
        for one in arm.arms if isinstance(arm, UnionType) else (arm,):
            flat[one] = None
    if ANY in flat:
        return ANY
    ordered = sorted(flat, key=lambda arm: (_ORDER[type(arm)], str(arm), repr(arm)))
    return ordered[0] if len(ordered) == 1 else UnionType(tuple(ordered))


def short_name(name: str) -> str:
    """`pkg.module:Outer.Class` as a reader says it: `Class`."""
    return name.rpartition(":")[2].rpartition(".")[2]


def children(type: Type) -> tuple[Type, ...]:
    """The types directly inside a type."""
    match type:
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return (item,)
        case DictType(key, value):
            return (key, value)
        case TupleType(items):
            return items
        case UnionType(arms):
            return arms
        case RecordType(fields=fields):
            return tuple(field.type for field in fields)
        case NamedType(wire=wire):
            return (wire,)
    return ()


def walk(type: Type) -> Iterator[Type]:
    """A type and everything inside it.

    >>> from typesys import type_of
    >>> [str(t) for t in walk(type_of(dict[str, int]))]
    ['dict[str, int]', 'int', 'str']
    """
    todo = [type]
    while todo:
        current = todo.pop()
        yield current
        todo.extend(children(current))
