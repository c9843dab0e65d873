"""Assignability: whether a value of type A may be passed where B is wanted, and if not, why.

The rules, beyond equality:

- `int` goes where `float` is wanted (PEP 484), also inside containers; `bool` does not go where `int` is wanted: on the
  wire they are two types, and `True` where a number was meant is a mistake more often than not.
- Anything goes where `Any` is wanted; `Any` goes anywhere and is checked at run time.
- A type goes where a union holds an arm for it; a union goes where each of its arms goes.
- Containers go where their items go: every value is a copy, so nobody can write through the wider view.
- A tuple of fixed length goes where a variadic one of all its items goes; a NamedTuple goes where its plain tuple goes.
- A literal goes where the class of its values goes; an enum with fewer members goes where the whole enum goes.
- An `IntEnum` goes where `int` or `float` is wanted, a `StrEnum` where `str` is; an `OrderedDict`, a `Counter` or a
  TypedDict where a dict of such items is; a `Path` where a `PurePath` is.
- An array goes where no other dtype or shape is stated, a file where no other format is; what its own type leaves open
  is seen at run time.
- Records and named types go by name; a record of a derived class goes where its base is wanted, and stays what it is.
"""

from __future__ import annotations

from contextvars import ContextVar

from promissory.typesys.kinship import derives, derives_family, is_dict_too, is_scalar_too
from promissory.typesys.stated import STATED, why_not_stated
from promissory.typesys.types import (
    ANY,
    BOOL,
    BYTES,
    INT,
    NONE,
    STR,
    AnyType,
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
    children,
    class_name,
)


def assignable(source: Type, target: Type) -> bool:
    """Tell whether a value of type `source` may be passed where `target` is wanted.

    >>> from promissory import type_of
    >>> assignable(type_of(list[int]), type_of(list[float] | None))
    True
    """
    return why_not(source, target) is None


def why_not(source: Type, target: Type) -> str | None:
    """Give the reason why a value of type `source` may not be passed, as part of a sentence; None if it may be.

    >>> from promissory import type_of
    >>> why_not(type_of(tuple[int, str]), type_of(tuple[int, int]))
    'item 1: str is not int'
    """
    if source is target or source == target:
        return None
    match source, target:
        case (AnyType(), _) | (_, AnyType()):
            return None
        case UnionType(arms), _:
            for arm in arms:
                reason = why_not(arm, target)
                if reason is not None:
                    return f"it may be {arm}" if not isinstance(target, UnionType) else reason
            return None
        case LiteralType(values), UnionType() if len(values) > 1:
            return next((r for value in values if (r := why_not(LiteralType((value,)), target)) is not None), None)
        case _, UnionType(arms):
            if any(why_not(source, arm) is None for arm in arms):
                return None
        case IntType(), FloatType():
            return None
        case LiteralType(values), LiteralType(allowed):
            missing = [value for value in values if (type(value), value) not in {(type(one), one) for one in allowed}]
            return f"{missing[0]!r} is not among {target}" if missing else None
        case LiteralType(values), _:
            for value in values:
                reason = why_not(_type_of_scalar(value), target)
                if reason is not None:
                    return reason
            return None
        case (ListType(a), ListType(b)) | (SetType(a), SetType(b)) | (FrozenSetType(a), FrozenSetType(b)):
            return _inside("its items: ", a, b)
        case VarTupleType(a), VarTupleType(b):
            return _inside("its items: ", a, b)
        case TupleType(items), VarTupleType(item):
            return next((r for i, one in enumerate(items) if (r := _inside(f"item {i}: ", one, item))), None)
        case TupleType(items), TupleType(wanted):
            if len(items) != len(wanted):
                return f"it has {len(items)} items, not {len(wanted)}"
            return next(
                (r for i, (a, b) in enumerate(zip(items, wanted, strict=True)) if (r := _inside(f"item {i}: ", a, b))),
                None,
            )
        case RecordType(kind="namedtuple", fields=fields), TupleType() | VarTupleType():
            return why_not(TupleType(tuple(field.type for field in fields)), target)
        case DictType(key, value), DictType(wanted_key, wanted_value):
            return _inside("its keys: ", key, wanted_key) or _inside("its values: ", value, wanted_value)
        case EnumType(name, members), EnumType(wanted_name, allowed_members) if name == wanted_name:
            lost = [member for member in members if member not in allowed_members]
            return f"{lost[0][0]} is not allowed there" if lost else None
        case NamedType(name), NamedType(wanted_name) if name == wanted_name and name in STATED:
            return why_not_stated(source, target)
        case NamedType(name, given), NamedType(wanted_name, wanted) if name == wanted_name:
            return _inside("its items: ", given, wanted)
        case RecordType(kind="typeddict", fields=fields), DictType(key, value):
            inner = [_inside(f"its key {field.name!r}: ", field.type, value) for field in fields]
            return _inside("its keys: ", STR, key) or next((reason for reason in inner if reason), None)
        case ((EnumType() | FlagType()), (IntType() | FloatType() | StrType())) if is_scalar_too(source, target):
            return None
        case NamedType(_, given), DictType() if is_dict_too(source):
            return why_not(given, target)
        case NamedType(_, given), NamedType(_, wanted) if derives_family(source, target):
            return _inside("its items: ", given, wanted)
        case RecordType(), RecordType() if derives(source, target):
            return _fields(source, target)
        case RecordType(), RecordType() if class_name(source.name) == class_name(target.name):
            if source.kind != target.kind:
                return f"one is a {source.kind}, the other a {target.kind}"
            given_names, wanted_names = [f.name for f in source.fields], [f.name for f in target.fields]
            if given_names != wanted_names:
                return f"the two {source} have other fields: {', '.join(given_names)} and {', '.join(wanted_names)}"
            return None if source.name == target.name and source.kind != "typeddict" else _fields(source, target)
        case OpaqueType(name), OpaqueType():
            # Nothing knows these classes. Whether one is the other is seen at run time.
            return None
    return f"{source} is not {target}"


_compared: ContextVar[frozenset[tuple[Type, Type]]] = ContextVar("compared", default=frozenset())


def _fields(source: RecordType, target: RecordType) -> str | None:
    """Give the reason why the fields of one record don't go where those of another are wanted.

    Records may mention themselves, so a pair that is being compared already is taken to fit.
    """
    before = _compared.get()
    if (source, target) in before:
        return None
    token = _compared.set(before | {(source, target)})
    try:
        held = {field.name: field for field in source.fields}
        for wanted in target.fields:
            given = held[wanted.name]
            if source.kind == "typeddict" and wanted.required and not given.required:
                return f"its key {given.name!r} may be missing"
            reason = _inside(f"its field {given.name}: ", given.type, wanted.type)
            if reason is not None:
                return reason
    finally:
        _compared.reset(token)
    return None


def is_read_as(written: Type, wanted: Type) -> bool:
    """Tell whether the stored values of a type can be read as another: it is the same one, but that what travelled as
    pickles has a wire form of its own by now.

    >>> from promissory import Opaque, type_of
    >>> is_read_as(type_of(list[Opaque[object]]), type_of(list[complex])), is_read_as(type_of(int), type_of(float))
    (True, False)
    """
    if written == wanted:
        return True
    if isinstance(written, OpaqueType):
        return isinstance(wanted, NamedType | RecordType)
    if written.__class__ is not wanted.__class__ or isinstance(written, RecordType | NamedType):
        return False
    pairs = children(written), children(wanted)
    return bool(pairs[0]) and len(pairs[0]) == len(pairs[1]) and all(map(is_read_as, *pairs))


def _inside(where: str, source: Type, target: Type) -> str | None:
    reason = why_not(source, target)
    return None if reason is None else where + reason


def _type_of_scalar(value: object) -> Type:
    return {bool: BOOL, int: INT, str: STR, bytes: BYTES, type(None): NONE}.get(type(value), ANY)
