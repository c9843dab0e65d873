"""The closed set of wire types.

A type says which bytes a value has, and nothing about the Python that made the value. Types are frozen, hashable,
comparable, printable as Python would write them, and can be read from a plan by a process that has none of the author's
classes.

============== ===================================== =========================================================
class          fields                                wire form of a value (msgpack)
============== ===================================== =========================================================
AnyType                                              self-describing: scalars as they are, else [kind, …]
NoneType                                             nil
BoolType                                             true / false
IntType                                              integer of any size (beyond 64 bits: extension 1)
FloatType                                            float 64; one NaN
StrType                                              str (lone surrogates kept)
BytesType                                            bin; a part if it is large
BufferType                                           bin; a part if it is large (only inside a `NamedType`)
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
                                                     is an array of none or one; of a derived class, the whole value
                                                     behind the fields, self-describing
RefType        name of a record, inside definitions  as that record
NamedType      name, wire                            as `wire`; `promissory.typesys.families` has the meaning
OpaqueType     name                                  bin: a cloudpickle
============== ===================================== =========================================================

New families of Python types (arrays, decimals, files) are `NamedType`s: one file in `typesys/families`, no change here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
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

    spelled: ClassVar[str]

    def __str__(self) -> str:
        return self.spelled


class AnyType(Type):
    __slots__ = ()
    spelled = "Any"


class NoneType(Type):
    __slots__ = ()
    spelled = "None"


class BoolType(Type):
    __slots__ = ()
    spelled = "bool"


class IntType(Type):
    __slots__ = ()
    spelled = "int"


class FloatType(Type):
    __slots__ = ()
    spelled = "float"


class StrType(Type):
    __slots__ = ()
    spelled = "str"


class BytesType(Type):
    __slots__ = ()
    spelled = "bytes"


class BufferType(Type):
    """Bytes in memory that their reader maps, and may write to: those of arrays, columns, files."""

    __slots__ = ()
    spelled = "Buffer"


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
    """A field of a record: its name, its type, and whether its class has no default for it (of a TypedDict: whether the
    key must be there)."""

    name: str
    type: Type
    required: bool = True


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a record. Its fields mention records by name, the record itself too."""

    name: str
    kind: RecordKind
    fields: tuple[Field, ...]


@dataclass(frozen=True, match_args=False)
class RecordType(Type):
    """A dataclass, NamedTuple or TypedDict. A generic record has its arguments in its name: `shop:Box[int]`.

    `definitions` holds every record that can be reached from this one, each once, in order of their names. So a type is
    complete in itself, as large as what its author wrote, and the same from wherever it is reached. `fields` gives the
    fields as types that are complete themselves.
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
        """The kind of the record's class."""
        return self._definition.kind

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The record's fields in order."""
        known = {one.name: one for one in self.definitions}
        return tuple(Field(field.name, closed(field.type, known), field.required) for field in self._definition.fields)

    @cached_property
    def parts(self) -> tuple[Type, ...]:
        """The types of the wire form's elements, in order: those of the fields, but an array of none or one for a key
        that may be missing."""
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
        inner = () if arguments is None else arguments(self.wire)
        return short_name(self.name) + (f"[{', '.join(map(str, inner))}]" if inner else "")


ARGUMENTS: dict[str, Callable[[Type], Sequence[object]]] = {}
"""The printing of generic families (`deque[int]`): a function from the wire type to the arguments. Filled by
`promissory.typesys.families`."""


@dataclass(frozen=True, slots=True)
class OpaqueType(Type):
    name: str

    def __str__(self) -> str:
        return f"Opaque[{self.name if '[' in self.name else short_name(self.name)}]"


ANY, NONE, BOOL = AnyType(), NoneType(), BoolType()
INT, FLOAT, STR, BYTES = IntType(), FloatType(), StrType(), BytesType()
BUFFER = BufferType()


_QUALIFIED = re.compile(r"(?:[\w.<>]+:)?(?:[\w<>]+\.)*(\w+)")


def short_name(name: str) -> str:
    """Shorten `pkg.module:Outer.Class` to the name that a reader says.

    >>> short_name("pkg.module:Outer.Class"), short_name("shop:Box[shop:Apple]")
    ('Class', 'Box[Apple]')
    """
    if "[" not in name:
        return name.rpartition(":")[2].rpartition(".")[2]
    return _QUALIFIED.sub(lambda match: match[1], name)


def class_name(name: str) -> str:
    """Give the name of a record's class, without its generic arguments.

    >>> class_name("shop:Box[int]")
    'shop:Box'
    """
    return name.partition("[")[0]


def children(type: Type) -> tuple[Type, ...]:
    """Give the types directly inside a type."""
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


def closed(type: Type, known: Mapping[str, Definition]) -> Type:
    """Replace each mention of a record in a type by the record itself, with the definitions that it needs."""
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
    """Collect the definitions that a record needs, in order of their names. Raises `KeyError` if one is missing."""
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
    """Give a type and every type inside it.

    >>> from promissory import type_of
    >>> [str(t) for t in walk(type_of(dict[str, int]))]
    ['dict[str, int]', 'int', 'str']
    """
    todo = [type]
    while todo:
        current = todo.pop()
        yield current
        todo.extend(children(current))
