"""A `Type` as a tree for plans, and back. Bounded: a tree nested deeper than types may be is refused.

Each type is an array that begins with its code. Records, enums and opaque types carry the name by which a worker
imports the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from types import NoneType
from typing import Any, Final, cast

from promissory.typesys.canonical import pack, unpack_canonical
from promissory.typesys.errors import FormatError
from promissory.typesys.families import registry
from promissory.typesys.types import (
    ANY,
    BOOL,
    BUFFER,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    BufferType,
    Definition,
    DictType,
    EnumType,
    Field,
    FlagType,
    FrozenSetType,
    ListType,
    LiteralType,
    NamedType,
    OpaqueType,
    RecordKind,
    RecordType,
    RefType,
    SetType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    children,
    reachable,
    walk,
)
from promissory.typesys.unions import union

_SIMPLE: Final[tuple[Type, ...]] = (ANY, NONE, BOOL, INT, FLOAT, STR, BYTES, BUFFER)
_SIMPLE_CODE: Final = {type: code for code, type in enumerate(_SIMPLE)}
_LIST, _DICT, _TUPLE, _VAR_TUPLE, _SET, _FROZENSET, _UNION, _LITERAL, _ENUM, _RECORD, _REF, _NAMED, _OPAQUE, _FLAG = (
    range(10, 24)
)
_ONE_ITEM: Final[dict[type[Type], int]] = {
    ListType: _LIST,
    VarTupleType: _VAR_TUPLE,
    SetType: _SET,
    FrozenSetType: _FROZENSET,
}
_RECORD_CODES: Final[dict[RecordKind, bool | int]] = {"dataclass": False, "namedtuple": True, "typeddict": 2}
_MAX_DEPTH: Final = 200


@lru_cache(4096)
def type_bytes(type: Type) -> bytes:
    """Write a type as canonical bytes.

    >>> from promissory import type_of
    >>> type_bytes(type_of(list[int])).hex()
    '920a03'
    """
    return pack(_tree(type))


def _tree(type: Type) -> Any:
    simple = _SIMPLE_CODE.get(type)
    if simple is not None:
        return simple
    match type:
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return [_ONE_ITEM[type.__class__], _tree(item)]
        case DictType(key, value):
            return [_DICT, _tree(key), _tree(value)]
        case TupleType(items):
            return [_TUPLE, [_tree(item) for item in items]]
        case UnionType(arms):
            return [_UNION, [_tree(arm) for arm in arms]]
        case LiteralType(values):
            return [_LITERAL, list(values)]
        case EnumType(name, members):
            return [_ENUM, name, [list(member) for member in members]]
        case FlagType(name, members):
            return [_FLAG, name, [list(member) for member in members]]
        case RecordType(name, definitions=definitions):
            return [_RECORD, name, [_definition_tree(one) for one in definitions]]
        case RefType(name):
            return [_REF, name]
        case NamedType(name, wire):
            return [_NAMED, name, _tree(wire)]
        case OpaqueType(name):
            return [_OPAQUE, name]
    raise AssertionError(type)


def _definition_tree(one: Definition) -> list[Any]:
    return [
        one.name,
        _RECORD_CODES[one.kind],
        [[field.name, _tree(field.type), field.required] for field in one.fields],
    ]


@lru_cache(4096)
def type_from_bytes(data: bytes) -> Type:
    """Read the type of some bytes. Raises `FormatError`."""
    tree = unpack_canonical(data, "a type")
    try:
        type = _type(tree, _MAX_DEPTH)
        if any(isinstance(inner, RefType) for inner in _outside_records(type)):
            raise ValueError("a record is mentioned that is not defined")
        if any(isinstance(inner, BufferType) for inner in _outside_families(type)):
            raise ValueError("a buffer is no value by itself")
        if type_bytes(type) != data:
            raise ValueError("another spelling of a type")
    except FormatError:
        raise
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise FormatError("a type", f"is malformed ({error})") from None
    return type


def renamed(data: bytes, name_of: Callable[[str], str]) -> bytes:
    """Rewrite the bytes of a type with other names of its classes.

    >>> from promissory import NodeFailure, type_of
    >>> other = renamed(type_bytes(type_of(NodeFailure)), lambda name: "news:Failure")
    >>> "news:Failure" in str(type_from_bytes(other).name)
    True
    """
    return type_bytes(_type(_renamed(unpack_canonical(data, "a type"), name_of), _MAX_DEPTH))


def _renamed(tree: Any, name_of: Callable[[str], str]) -> Any:
    if tree.__class__ is int:
        return tree
    code, *rest = tree
    if code in (_TUPLE, _UNION):
        return [code, [_renamed(one, name_of) for one in rest[0]]]
    if code in (_ENUM, _FLAG, _REF, _OPAQUE):
        return [code, name_of(rest[0]), *rest[1:]]
    if code == _NAMED:
        return [code, name_of(rest[0]), _renamed(rest[1], name_of)]
    if code == _RECORD:
        rows = [
            [name_of(name), kind, [[field, _renamed(type, name_of), needed] for field, type, needed in fields]]
            for name, kind, fields in rest[1]
        ]
        return [code, name_of(rest[0]), rows]
    return tree if code == _LITERAL else [code, *(_renamed(one, name_of) for one in rest)]


def _outside_records(type: Type) -> Iterator[Type]:
    todo = [type]
    while todo:
        one = todo.pop()
        yield one
        if not isinstance(one, RecordType):
            todo.extend(children(one))


def _outside_families(type: Type) -> Iterator[Type]:
    todo = [type]
    while todo:
        one = todo.pop()
        yield one
        if not isinstance(one, NamedType):
            todo.extend(children(one))


def _text(tree: Any) -> str:
    if tree.__class__ is not str:
        raise ValueError("a name is not text")
    return str(tree)


def _literal(values: Any) -> LiteralType:
    if not values or any(value.__class__ not in (bool, int, str, bytes, NoneType) for value in values):
        raise ValueError("a literal has a value that can't be one")
    keys = [(value.__class__.__name__, repr(value)) for value in values]
    if keys != sorted(set(keys)):
        raise ValueError("the values of a literal are not in order")
    return LiteralType(tuple(values))


def _members(rows: Any) -> tuple[tuple[str, str | int | None], ...]:
    members = tuple((_text(name), plain) for name, plain in rows)
    if any(plain.__class__ not in (str, int, NoneType) for _, plain in members) or len(
        {name for name, _ in members}
    ) != len(members):
        raise ValueError("the members of an enum are malformed")
    return members


def _definition(tree: Any, depth: int) -> Definition:
    name, code, rows = tree
    fields = tuple(Field(_text(one), _type(type, depth), _flag(required)) for one, type, required in rows)
    if len({field.name for field in fields}) != len(fields):
        raise ValueError(f"a field of {name} is there twice")
    if any(isinstance(inner, RecordType) for field in fields for inner in walk(field.type)):
        raise ValueError(f"a field of {name} holds a whole record, not a mention of it")
    kind = next((kind for kind, known in _RECORD_CODES.items() if known is code or (code == 2 and known == 2)), None)
    if kind is None:
        raise ValueError(f"{name} is a record of unknown kind")
    return Definition(_text(name), kind, fields)


def _flag(tree: Any) -> bool:
    if tree.__class__ is not bool:
        raise ValueError("a flag was expected")
    return bool(tree)


def _type(tree: Any, depth: int) -> Type:
    if depth == 0:
        raise ValueError("nested too deeply")
    if tree.__class__ is int:
        if not 0 <= tree < len(_SIMPLE):
            raise ValueError("an unknown code")
        return _SIMPLE[tree]
    code, inner = tree[0], depth - 1
    if code == _LIST:
        return ListType(_type(tree[1], inner))
    if code == _VAR_TUPLE:
        return VarTupleType(_type(tree[1], inner))
    if code == _SET:
        return SetType(_type(tree[1], inner))
    if code == _FROZENSET:
        return FrozenSetType(_type(tree[1], inner))
    if code == _DICT:
        return DictType(_type(tree[1], inner), _type(tree[2], inner))
    if code == _TUPLE:
        return TupleType(tuple(_type(item, inner) for item in tree[1]))
    if code == _UNION:
        arms = [_type(arm, inner) for arm in tree[1]]
        if len(arms) < 2:
            raise ValueError("a union has at least two arms")
        return union(arms)
    if code == _LITERAL:
        return _literal(tree[1])
    if code == _ENUM:
        return EnumType(_text(tree[1]), _members(tree[2]))
    if code == _FLAG:
        members = _members(tree[2])
        if any(value.__class__ is not int for _, value in members):
            raise ValueError("a member of a flag is not an int")
        return FlagType(_text(tree[1]), cast(Any, members))
    if code == _RECORD:
        known = {one.name: one for one in (_definition(row, inner) for row in tree[2])}
        record = RecordType(_text(tree[1]), tuple(known.values()))
        if record.definitions != reachable(record.name, known):
            raise ValueError("definitions are missing, superfluous or out of order")
        return record
    if code == _REF:
        return RefType(_text(tree[1]))
    if code == _NAMED:
        named = NamedType(_text(tree[1]), _type(tree[2], inner))
        family = registry.known(named.name)
        if family is not None and family.annotation is None and not family.rides_on(named.wire):
            raise ValueError(f"values of {named.name} are not written as that")
        return named
    if code == _OPAQUE:
        return OpaqueType(_text(tree[1]))
    raise ValueError("an unknown code")
