"""A wire tree of one type, written as another: the work of a plan's edge whose two ends differ.

The functions work on trees alone, so they need none of the author's classes. `transcode` follows the rules of
`promissory.typesys.assignable`. Where a value of `Any` goes to a narrower type, `transcode` is the run-time check, and
raises `TypeMismatch` with the path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from promissory.typesys.assignability import assignable
from promissory.typesys.buffer import Buffer
from promissory.typesys.canonical import pack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.self_describing import (
    DICT,
    ENUM,
    FROZENSET,
    LIST,
    NAMED,
    OPAQUE,
    RECORD,
    SET,
    TUPLE,
    sorted_once,
)
from promissory.typesys.stated import ANY_ARRAY, ARRAY, STATED, file_wire, type_as_found
from promissory.typesys.types import (
    STR,
    AnyType,
    BoolType,
    BufferType,
    BytesType,
    DictType,
    EnumType,
    Field,
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
    SetType,
    StrType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    class_name,
)

_SCALARS = (NoneType, BoolType, IntType, FloatType, StrType, BytesType)


def transcode(tree: Any, source: Type, target: Type) -> Any:
    """Give the tree of the same value as a `target`.

    Args:
        tree: a wire tree of type `source`.
        source: its type.
        target: a type that `source` is assignable to.

    Raises:
        TypeMismatch: a value of `Any` turned out to be of another type.

    >>> from promissory import type_of
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
            return _to_any(tree, source)
        case LiteralType(values), UnionType(arms) if len(values) > 1:
            return _arm(tree, LiteralType((tree,)), arms)
        case _, UnionType(arms):
            return _arm(tree, source, arms)
        case IntType(), FloatType():
            return _float(tree)
        case LiteralType(), FloatType():
            return _float(tree)
        case (ListType(a), ListType(b)) | (VarTupleType(a), VarTupleType(b)):
            return _items(tree, a, b)
        case (SetType(a), SetType(b)) | (FrozenSetType(a), FrozenSetType(b)):
            return sorted_once(_items(tree, a, b))
        case TupleType(items), VarTupleType(item):
            return [_at(f"[{i}]", one, a, item) for i, (one, a) in enumerate(zip(tree, items, strict=True))]
        case TupleType(items), TupleType(wanted):
            return [_at(f"[{i}]", one, a, b) for i, (one, a, b) in enumerate(zip(tree, items, wanted, strict=True))]
        case RecordType(kind="typeddict"), RecordType():
            return [_key(one, a, b) for one, a, b in zip(tree, source.fields, target.fields, strict=True)]
        case RecordType(), RecordType():
            return _as_base(tree, source, target)
        case RecordType(kind="typeddict", fields=fields, parts=parts), DictType(key, value):
            present = _present(tree, fields, parts)
            return [[transcode(f.name, STR, key), _at(f"[{f.name!r}]", v, f.type, value)] for f, v in present]
        case EnumType(members=members), (IntType() | FloatType() | StrType()):
            plain = dict(members)[tree]
            return _float(plain) if isinstance(target, FloatType) else plain
        case FlagType(), FloatType():
            return _float(tree)
        case NamedType(_, a), DictType():
            return transcode(tree, a, target)
        case NamedType(name, a), NamedType(wanted_name, b) if name == wanted_name and name in STATED:
            if not fits(tree, b):
                raise TypeMismatch(f"expected {target}, got {type_as_found(name, tree)}")
            return tree
        case NamedType(_, a), NamedType(_, b):
            return transcode(tree, a, b)
        case RecordType(kind="namedtuple", fields=fields), TupleType() | VarTupleType():
            return transcode(tree[: len(fields)], TupleType(tuple(field.type for field in fields)), target)
        case DictType(key, value), DictType(wanted_key, wanted_value):
            return _entries([[transcode(k, key, wanted_key), _at(f"[{k!r}]", v, value, wanted_value)] for k, v in tree])
    return tree


def _as_base(tree: Any, source: RecordType, target: RecordType) -> list[Any]:
    """Transcode a record by its fields. The whole value of a derived class stands behind them."""
    held = {a.name: (one, a.type) for one, a in zip(tree, source.fields, strict=False)}
    fields = [_at(f".{b.name}", *held[b.name], b.type) for b in target.fields]
    if len(tree) > len(source.fields) and (is_whole(tree[-1]) or class_name(source.name) == class_name(target.name)):
        return [*fields, tree[-1]]
    return fields if class_name(source.name) == class_name(target.name) else [*fields, _to_any(tree, source)]


def _float(tree: Any) -> float:
    try:
        return float(tree)
    except OverflowError:
        raise TypeMismatch("expected float, got an int too large for one") from None


def _at(step: str, tree: Any, source: Type, target: Type) -> Any:
    try:
        return transcode(tree, source, target)
    except TypeMismatch as mismatch:
        raise mismatch.inside(step) from None


def _key(tree: Any, source: Field, target: Field) -> Any:
    """Transcode a key of a TypedDict. A key that may be missing is an array of none or one."""
    present = [tree] if source.required else tree
    found = [_at(f"[{source.name!r}]", one, source.type, target.type) for one in present]
    if not target.required:
        return found
    if not found:
        raise TypeMismatch(f"the key {target.name!r} is missing")
    return found[0]


def _items(tree: Any, source: Type, target: Type) -> list[Any]:
    return [_at(f"[{index}]", one, source, target) for index, one in enumerate(tree)]


def _entries(pairs: list[list[Any]]) -> list[list[Any]]:
    if len({pack(key) for key, _ in pairs}) != len(pairs):
        raise TypeMismatch("two of its keys are the same in the wanted type")
    return pairs


def _arm(tree: Any, source: Type, arms: tuple[Type, ...]) -> list[Any]:
    """Choose the arm of a union for a value: its own type if that is an arm, else the first that takes the value."""
    if source in arms:
        return [arms.index(source), tree]
    mismatch: TypeMismatch | None = None
    for arm, target in enumerate(arms):
        if assignable(source, target):
            try:
                return [arm, transcode(tree, source, target)]
            # A value of Any inside does not fit this arm. Another arm may take it.
            except TypeMismatch as error:
                mismatch = mismatch or error
    raise mismatch or TypeMismatch(f"expected one of {', '.join(map(str, arms))}, got {source}")


def _to_any(tree: Any, source: Type) -> Any:
    match source:
        case ListType(item):
            return [LIST, [_to_any(one, item) for one in tree]]
        case VarTupleType(item):
            return [TUPLE, [_to_any(one, item) for one in tree]]
        case TupleType(items):
            return [TUPLE, [_to_any(one, item) for one, item in zip(tree, items, strict=True)]]
        case SetType(item) | FrozenSetType(item):
            return [SET if isinstance(source, SetType) else FROZENSET, sorted_once(_to_any(one, item) for one in tree)]
        case DictType(key, value):
            return [DICT, [[_to_any(k, key), _to_any(v, value)] for k, v in tree]]
        case UnionType(arms):
            return _to_any(tree[1], arms[tree[0]])
        case RecordType(kind="typeddict", fields=fields, parts=parts):
            return [DICT, [[f.name, _to_any(v, f.type)] for f, v in _present(tree, fields, parts)]]
        case RecordType(fields=fields) if len(tree) > len(fields) and is_whole(tree[-1]):
            return tree[-1]
        case RecordType(name, _, fields):
            trees = [_to_any(v, f.type) for v, f in zip(tree, fields, strict=False)]
            return [RECORD, class_name(name), [f.name for f in fields], trees, *tree[len(fields) :]]
        case EnumType(name) | FlagType(name):
            return [ENUM, name, tree]
        case NamedType(name, wire):
            return [NAMED, name, _to_any(tree, wire)]
        case OpaqueType():
            return [OPAQUE, tree]
    return tree


_KINDS = {LIST: "list", TUPLE: "tuple", DICT: "dict", SET: "set", FROZENSET: "frozenset", OPAQUE: "an opaque value"}


def _said(tree: Any) -> str:
    if type(tree) is Buffer:
        return "bytes"
    if type(tree) is not list:
        return "None" if tree is None else type(tree).__name__
    if tree[0] in (RECORD, ENUM, NAMED):
        return str(tree[1]).rpartition(":")[2].rpartition(".")[2]
    return _KINDS.get(tree[0], "a value of unknown kind")


def _from_any(tree: Any, target: Type, exact: bool = False) -> Any:
    """Give a self-describing tree as a `target`. `exact` takes no int as float, which is how unions choose an arm."""
    kind = tree[0] if type(tree) is list else None

    def inner(step: str, one: Any, wanted: Type) -> Any:
        try:
            return _from_any(one, wanted, exact)
        except TypeMismatch as mismatch:
            raise mismatch.inside(step) from None

    match target:
        case AnyType():
            return tree
        case FloatType() if type(tree) is float or (type(tree) is int and not exact):
            return _float(tree)
        case IntType() | BoolType() | StrType() | BytesType() | BufferType() | NoneType() if (
            kind is None and _scalar_fits(tree, target)
        ):
            return tree
        case LiteralType(values) if kind is None and (type(tree), tree) in [(type(value), value) for value in values]:
            return tree
        case ListType(item) if kind == LIST:
            return [inner(f"[{i}]", one, item) for i, one in enumerate(tree[1])]
        case VarTupleType(item) if kind == TUPLE:
            return [inner(f"[{i}]", one, item) for i, one in enumerate(tree[1])]
        case TupleType(items) if kind == TUPLE and len(tree[1]) == len(items):
            return [inner(f"[{i}]", one, item) for i, (one, item) in enumerate(zip(tree[1], items, strict=True))]
        case SetType(item) | FrozenSetType(item) if kind == (SET if isinstance(target, SetType) else FROZENSET):
            return sorted_once(inner(f"[{i}]", one, item) for i, one in enumerate(tree[1]))
        case DictType(key, value) if kind == DICT:
            return _entries([[_from_any(k, key, exact), inner(f"[{k!r}]", v, value)] for k, v in tree[1]])
        case RecordType(kind="typeddict") if kind == DICT:
            return _keys_from_any(tree[1], target, inner)
        case RecordType(name, _, fields) if (
            kind == RECORD and tree[1] == class_name(name) and tree[2] == [f.name for f in fields]
        ):
            fitting = [inner(f".{field.name}", one, field.type) for one, field in zip(tree[3], fields, strict=True)]
            return [*fitting, *tree[4:]]
        case RecordType(kind="dataclass" | "namedtuple", fields=fields) if (
            kind == RECORD
            and not exact
            and set(tree[2]) >= {f.name for f in fields}
            and tree[1] != class_name(target.name)
        ):
            # Whether its class derives from the one that is wanted is seen where the value is made.
            held = dict(zip(tree[2], tree[3], strict=True))
            return [*(inner(f".{field.name}", held[field.name], field.type) for field in fields), tree]
        case EnumType(name, members) if (
            kind == ENUM and tree[1] == name and tree[2] in [member for member, _ in members]
        ):
            return tree[2]
        case FlagType(name) if kind == ENUM and tree[1] == name and type(tree[2]) is int:
            return tree[2]
        case NamedType(name) if kind == NAMED and tree[1] == name and name in STATED:
            whole = NamedType(name, ANY_ARRAY.wire if name == ARRAY else file_wire(None))
            return transcode(_from_any(tree[2], whole.wire, exact), whole, target)
        case NamedType(name, wire) if kind == NAMED and tree[1] == name:
            return _from_any(tree[2], wire, exact)
        case OpaqueType() if kind == OPAQUE:
            return tree[1]
        case UnionType(arms):
            for strictly in (True, False):
                for arm, one in enumerate(arms):
                    try:
                        return [arm, _from_any(tree, one, strictly)]
                    except TypeMismatch:
                        continue
    raise TypeMismatch(f"expected {target}, got {_said(tree)}")


def _present(tree: Any, fields: tuple[Field, ...], parts: tuple[Type, ...]) -> Iterator[tuple[Field, Any]]:
    """Give the keys of a TypedDict that are there, with their values."""
    for field, part, one in zip(fields, parts, tree, strict=True):
        if part is field.type:
            yield field, one
        elif one:
            yield field, one[0]


def _keys_from_any(pairs: Any, target: RecordType, inner: Callable[[str, Any, Type], Any]) -> list[Any]:
    """Give a dict of self-describing values as a TypedDict."""
    found = {key: one for key, one in pairs if type(key) is str}
    unknown = [key for key, _ in pairs if key not in [field.name for field in target.fields]]
    if unknown:
        raise TypeMismatch(f"expected {target}, which has no key {unknown[0]!r}")
    trees: list[Any] = []
    for field, part in zip(target.fields, target.parts, strict=True):
        if part is field.type:
            if field.name not in found:
                raise TypeMismatch(f"expected {target}, and the key {field.name!r} is missing")
            trees.append(inner(f"[{field.name!r}]", found[field.name], field.type))
        else:
            trees.append([inner(f"[{field.name!r}]", found[field.name], field.type)] if field.name in found else [])
    return trees


def _scalar_fits(tree: Any, target: Type) -> bool:
    if type(tree) is Buffer:
        return isinstance(target, BufferType) or (isinstance(target, BytesType) and tree.is_bytes)
    names = {IntType: int, BoolType: bool, StrType: str, BytesType: bytes, BufferType: bytes, NoneType: type(None)}
    return type(tree) is names[target.__class__]


def is_whole(tree: Any) -> bool:
    """Tell whether what stands behind the fields of a record is the whole value, which is of a derived class."""
    return tree.__class__ in (list, tuple) and len(tree) in (4, 5) and tree[0] == RECORD


def _is_beside(tree: Any) -> bool:
    """Tell whether what stands behind the fields of a model is what it has beside them."""
    return tree.__class__ in (list, tuple) and len(tree) == 2 and tree[0] == TUPLE and len(tree[1]) == 3


def fits(tree: Any, type: Type) -> bool:
    """Tell whether the encoder of a type could have made a tree, as far as the tree's form tells.

    >>> from promissory import type_of
    >>> fits(["a", 1], type_of(tuple[str, int])), fits(1, type_of(float))
    (True, False)
    """
    match type:
        case IntType() | BoolType() | StrType() | BytesType() | NoneType():
            return _scalar_fits(tree, type)
        case FloatType():
            return tree.__class__ is float
        case AnyType():
            return tree.__class__ is not list or bool(tree)
        case LiteralType(values):
            return any(tree.__class__ is value.__class__ and tree == value for value in values)
        case EnumType(members=members):
            return tree in [name for name, _ in members]
        case FlagType():
            return tree.__class__ is int
        case NamedType(wire=wire):
            return fits(tree, wire)
        case OpaqueType():
            return tree.__class__ is bytes
        case BufferType():
            return tree.__class__ in (bytes, Buffer)
    if tree.__class__ not in (list, tuple):
        return False
    match type:
        case UnionType(arms):
            return (
                len(tree) == 2
                and tree[0].__class__ is int
                and 0 <= tree[0] < len(arms)
                and fits(tree[1], arms[tree[0]])
            )
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return all(fits(one, item) for one in tree)
        case TupleType(items):
            return len(tree) == len(items) and all(fits(one, item) for one, item in zip(tree, items, strict=True))
        case RecordType(kind=kind, parts=parts):
            optional = kind == "typeddict"
            if not optional and len(tree) == len(parts) + 1:
                return (is_whole(tree[-1]) or _is_beside(tree[-1])) and fits(tree[:-1], type)
            return len(tree) == len(parts) and all(
                fits(one, part)
                and not (optional and isinstance(part, VarTupleType) and part is not field.type and len(one) > 1)
                for one, part, field in zip(tree, parts, type.fields, strict=True)
            )
        case DictType(key, value):
            return all(
                one.__class__ in (list, tuple) and len(one) == 2 and fits(one[0], key) and fits(one[1], value)
                for one in tree
            )
    return False
