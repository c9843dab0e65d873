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
FlagType       name, members (name, int)             the integer of the members that are set
RecordType     name, definitions                     array, one entry a field in order; a key that a TypedDict may lack
                                                     is an array of none or one
RefType        name of a record, inside definitions  as that record
NamedType      name, wire                            as `wire`: a family of `promissory.typesys.families` gives it meaning
OpaqueType     name                                  bin: a cloudpickle
============== ===================================== =========================================================

New families of Python types (arrays, decimals, files) are `NamedType`s: one file in `typesys/codecs`, no change here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal as _Literal

RecordKind = _Literal["dataclass", "namedtuple", "typeddict"]
Scalar = bool | int | float | str | bytes | None


@dataclass(frozen=True, slots=True)
class Type:
    """One wire type. Compare with `==`, print with `str`.

    >>> from promissory import type_of
    >>> print(type_of(dict[str, list[int] | None]))
    dict[str, list[int] | None]
    """


class AnyType(Type):
    __slots__ = ()

    def __str__(self) -> str:
        return "Any"


class NoneType(Type):
    __slots__ = ()

    def __str__(self) -> str:
        return "None"


class BoolType(Type):
    __slots__ = ()

    def __str__(self) -> str:
        return "bool"


class IntType(Type):
    __slots__ = ()

    def __str__(self) -> str:
        return "int"


class FloatType(Type):
    __slots__ = ()

    def __str__(self) -> str:
        return "float"


class StrType(Type):
    __slots__ = ()

    def __str__(self) -> str:
        return "str"


class BytesType(Type):
    __slots__ = ()

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

    def __eq__(self, other: object) -> bool:  # a member's value 1 is not True and not 1.0
        return isinstance(other, EnumType) and self.name == other.name and repr(self.members) == repr(other.members)

    def __hash__(self) -> int:
        return hash((self.name, repr(self.members)))


@dataclass(frozen=True, slots=True)
class FlagType(Type):
    """A `Flag` or `IntFlag`: any of its members together."""

    name: str
    members: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record: its name, its type, and whether its class has no default for it (of a TypedDict: whether it must be there)."""

    name: str
    type: Type
    required: bool = True


@dataclass(frozen=True, slots=True)
class Definition:
    """What a record is. Its fields mention records, itself too, by name."""

    name: str
    kind: RecordKind
    fields: tuple[Field, ...]


@dataclass(frozen=True, match_args=False)
class RecordType(Type):
    """A dataclass, NamedTuple or TypedDict. One that is generic has its arguments in its name: `shop:Box[int]`.

    `definitions` holds every record that can be reached from it, each once, in order of their names; so a type is complete in itself, as large as what its
    author wrote, and the same from wherever it is reached. `fields` gives the fields as types that are complete themselves.
    """

    __match_args__ = ("name", "kind", "fields")
    name: str
    definitions: tuple[Definition, ...]

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def _definition(self) -> Definition:
        return next(one for one in self.definitions if one.name == self.name)

    @property
    def kind(self) -> RecordKind:
        """Which kind of class it is."""
        return self._definition.kind

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """Its fields in order."""
        known = {one.name: one for one in self.definitions}
        return tuple(Field(field.name, closed(field.type, known), field.required) for field in self._definition.fields)

    @cached_property
    def parts(self) -> tuple[Type, ...]:
        """The types of what its wire form holds, in order: those of its fields, but for a key that may be missing an array of none or one."""
        optional = self.kind == "typeddict"
        return tuple(
            VarTupleType(field.type) if optional and not field.required else field.type for field in self.fields
        )

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class RefType(Type):
    """A record by its name, where its definition stands nearby."""

    name: str

    def __str__(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class NamedType(Type):
    name: str
    wire: Type

    def __str__(self) -> str:
        arguments = ARGUMENTS.get(self.name)
        inner = "" if arguments is None else f"[{', '.join(map(str, arguments(self.wire)))}]"
        return short_name(self.name) + inner


ARGUMENTS: dict[str, Callable[[Type], tuple[Type, ...]]] = {}
"""How generic families (`deque[int]`) are printed: their arguments, from their wire type. Filled by `promissory.typesys.families`."""


@dataclass(frozen=True, slots=True)
class OpaqueType(Type):
    name: str

    def __str__(self) -> str:
        return f"Opaque[{self.name if '[' in self.name else short_name(self.name)}]"


ANY, NONE, BOOL, INT, FLOAT, STR, BYTES = (
    AnyType(),
    NoneType(),
    BoolType(),
    IntType(),
    FloatType(),
    StrType(),
    BytesType(),
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
    ordered = sorted(flat, key=lambda arm: (_ORDER[type(arm)], spelling(arm)))
    return ordered[0] if len(ordered) == 1 else UnionType(tuple(ordered))


_QUALIFIED = re.compile(r"(?:[\w.<>]+:)?(?:[\w<>]+\.)*(\w+)")


def short_name(name: str) -> str:
    """`pkg.module:Outer.Class` as a reader says it.

    >>> short_name("pkg.module:Outer.Class"), short_name("shop:Box[shop:Apple]")
    ('Class', 'Box[Apple]')
    """
    if "[" not in name:
        return name.rpartition(":")[2].rpartition(".")[2]
    return _QUALIFIED.sub(lambda match: match[1], name)


def class_name(name: str) -> str:
    """The name of a record's class, without what it is a generic of.

    >>> class_name("shop:Box[int]")
    'shop:Box'
    """
    return name.partition("[")[0]


def full_name(type: Type) -> str:
    """A type as Python writes it, with the full names of classes: no two types have one text.

    >>> from promissory import type_of
    >>> full_name(type_of(dict[str, list[int] | None]))
    'dict[str, list[int] | None]'
    """
    match type:
        case RecordType() | RefType() | EnumType() | FlagType() | OpaqueType():
            return type.name
        case NamedType(name, wire):
            arguments = ARGUMENTS.get(name)
            return name if arguments is None else f"{name}[{', '.join(map(full_name, arguments(wire)))}]"
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
        case RecordType(definitions=definitions):
            return tuple(field.type for one in definitions for field in one.fields)
        case NamedType(wire=wire):
            return (wire,)
    return ()


def spelling(type: Type) -> str:
    """A type in full, the same for a record and a mention of it: what types are sorted by."""
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


def closed(type: Type, known: Mapping[str, Definition]) -> Type:
    """A type in which each mention of a record stands as the record itself, with the definitions that it needs."""
    match type:
        case RefType(name):
            return RecordType(name, reachable(name, known))
        case ListType(item):
            return ListType(closed(item, known))
        case VarTupleType(item):
            return VarTupleType(closed(item, known))
        case SetType(item):
            return SetType(closed(item, known))
        case FrozenSetType(item):
            return FrozenSetType(closed(item, known))
        case TupleType(items):
            return TupleType(tuple(closed(item, known) for item in items))
        case UnionType(arms):
            return UnionType(tuple(closed(arm, known) for arm in arms))
        case DictType(key, value):
            return DictType(closed(key, known), closed(value, known))
        case NamedType(name, wire):
            return NamedType(name, closed(wire, known))
    return type


def reachable(name: str, known: Mapping[str, Definition]) -> tuple[Definition, ...]:
    """The definitions that a record needs, in order of their names. Raises `KeyError` if one is missing."""
    found: dict[str, Definition] = {}
    todo = [name]
    while todo:
        one = todo.pop()
        if one not in found:
            found[one] = known[one]
            todo += [
                inner.name for field in known[one].fields for inner in walk(field.type) if isinstance(inner, RefType)
            ]
    return tuple(found[one] for one in sorted(found))


def walk(type: Type) -> Iterator[Type]:
    """A type and everything inside it.

    >>> from promissory import type_of
    >>> [str(t) for t in walk(type_of(dict[str, int]))]
    ['dict[str, int]', 'int', 'str']
    """
    todo = [type]
    while todo:
        current = todo.pop()
        yield current
        todo.extend(children(current))
