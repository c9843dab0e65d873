"""Both halves of a codec for each type: a function that lowers a value into its wire tree, and a function that lifts a
tree into a value.

`lower` checks a value to its last element on the way. Where a container holds plain scalars, one `set(map(type, xs))`
in C answers for all of them. A `lift` that would give its argument back is None, so that containers pass whole lists
through.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any, Final

from promissory.typesys.assignability import why_not
from promissory.typesys.buffer import PART_LIMIT, Buffer
from promissory.typesys.canonical import pack
from promissory.typesys.errors import AnnotationError, FormatError, TypeMismatch
from promissory.typesys.families import registry
from promissory.typesys.opaque import is_pickle, lift_opaque, lower_opaque
from promissory.typesys.records import beside, builder, is_pydantic, is_record, origin_of, reader
from promissory.typesys.scalars import (
    Lower,
    exactly,
    literal,
    lower_bool,
    lower_exact_float,
    lower_float,
    lower_int,
    said,
    scalar,
)
from promissory.typesys.self_describing import (
    each,
    large_apart,
    lift_any,
    lower_any,
    sorted_once,
    whole_bytes,
    written,
)
from promissory.typesys.transcode import fits, is_whole, transcode
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
    SetType,
    StrType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    children,
    class_name,
    short_name,
    walk,
)

Lift = Callable[[Any], Any]
Find = Callable[[str], Any]
Records = dict[str, list[Any]]

_NATIVE: Final[dict[type[Type], type]] = {
    BoolType: bool,
    IntType: int,
    FloatType: float,
    StrType: str,
    BytesType: bytes,
    NoneType: type(None),
}


def build(type: Type, lookup: Find, records: Records, exact: bool = False) -> tuple[Lower, Lift | None]:
    """Build both halves of a codec.

    `exact` lowers without any conversion (no int as float, no subclass as its base), which is how unions choose an arm.
    """
    match type:
        case AnyType():
            return lower_any, lift_any
        case IntType():
            return exactly(int) if exact else lower_int, None
        case FloatType():
            return lower_exact_float if exact else lower_float, None
        case BoolType():
            return exactly(bool) if exact else lower_bool, None
        case NoneType():
            return exactly(_NATIVE[NoneType]), None
        case StrType():
            return exactly(str) if exact else scalar(str), None
        case BytesType():
            lower_bytes = exactly(bytes) if exact else scalar(bytes)
            return (lambda value: large_apart(lower_bytes(value))), whole_bytes
        case BufferType():
            return _lower_buffer, _lift_buffer
        case ListType(item):
            return _sequence(item, list, lookup, records, exact)
        case VarTupleType(item):
            lower, lift = _sequence(item, tuple, lookup, records, exact)
            return lower, (lambda tree: tuple(lift(tree))) if lift else tuple
        case SetType(item) | FrozenSetType(item):
            return _set(item, set if isinstance(type, SetType) else frozenset, lookup, records, exact)
        case DictType(key, value):
            return _dict(key, value, lookup, records, exact)
        case TupleType(items):
            return _tuple(items, lookup, records, exact)
        case UnionType():
            return _union(type, lookup, records, exact)
        case LiteralType(values):
            return literal(type, values), None
        case EnumType(name, members):
            return _enum(name, frozenset(member for member, _ in members), lookup)
        case FlagType(name):
            return _flag(name, lookup)
        case NamedType(name, wire):
            return _family(registry.family_named(name), wire, lookup, records, exact)
        case RecordType():
            return _record(type, lookup, records, exact)
        case OpaqueType(name):
            return (lambda value: lower_opaque(value, name, lookup)), lift_opaque
    raise AssertionError(type)


def _lower_buffer(value: Any) -> Any:
    """Take a buffer. One that is small stands in the tree as bytes."""
    return value if value.size >= PART_LIMIT else value.content()


def _lift_buffer(tree: Any) -> Buffer:
    return tree if tree.__class__ is Buffer else Buffer.of(tree)


# --- named values -----------------------------------------------------------------------------------------------------


def _enum(name: str, members: frozenset[str], lookup: Find) -> tuple[Lower, Lift]:
    def lower(value: Any) -> Any:
        if isinstance(value, enum.Enum) and type(value) is lookup(name):
            if value.name in members:
                return value.name
            raise TypeMismatch(f"expected one of {', '.join(sorted(members))}, got {value.name}")
        raise TypeMismatch(f"expected {short_name(name)}, got {said(value)}")

    return lower, lambda tree: lookup(name)[tree]


def _flag(name: str, lookup: Find) -> tuple[Lower, Lift]:
    def lower(value: Any) -> Any:
        if isinstance(value, enum.Flag) and type(value) is lookup(name):
            return value.value
        raise TypeMismatch(f"expected {short_name(name)}, got {said(value)}")

    return lower, lambda tree: lookup(name)(tree)


def _family(family: registry.Family, wire: Type, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    inner_lower, inner_lift = build(wire, lookup, records, exact)
    shown = NamedType(family.type.name, wire)
    accepts = isinstance if family.subclasses else lambda value, cls: type(value) is cls

    def lower(value: Any) -> Any:
        if accepts(value, family.cls):
            try:
                return inner_lower(written(family, value))
            except TypeMismatch as mismatch:
                if family.inside and mismatch.path.startswith(family.inside):
                    raise TypeMismatch(mismatch.problem, mismatch.path.removeprefix(family.inside)) from None
                if family.described is not None and wire != family.type.wire:
                    raise TypeMismatch(f"expected {shown}, got {family.described(value)}") from None
                raise
        raise TypeMismatch(f"expected {shown}, got {said(value)}")

    def lift(tree: Any) -> Any:
        if is_pickle(tree) and not isinstance(wire, BytesType):
            return _of_class(lift_opaque(tree), family.cls, shown)
        if not fits(tree, wire):
            raise FormatError(f"a value of {shown}", "is not written as such a value is")
        return family.from_wire(inner_lift(tree) if inner_lift else tree)

    return lower, lift


def _of_class(value: Any, cls: Any, shown: Type) -> Any:
    """A value that was written as a pickle, if it is of the class that is wanted by now."""
    if not isinstance(value, cls):
        raise FormatError(f"a value of {shown}", f"is the pickle of a {said(value)}")
    return value


# --- containers -------------------------------------------------------------------------------------------------------


def _all_native(values: Any, native: type | None) -> bool:
    if native is None:
        return False
    kinds = set(map(type, values))
    if kinds and kinds != {native}:
        return False
    if native is bytes:
        return not any(len(one) >= PART_LIMIT for one in values)
    return not (native is float and math.isnan(sum(values)))


def _sequence(item: Type, wanted: type, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift | None]:
    item_lower, item_lift = build(item, lookup, records, exact)
    native = _NATIVE.get(item.__class__)

    def lower(value: Any) -> Any:
        if not isinstance(value, wanted):
            raise TypeMismatch(
                f"expected {wanted.__name__}[{item}{', ...' if wanted is tuple else ''}], got {said(value)}"
            )
        items: Any = value
        return items if _all_native(items, native) else each(items, item_lower)

    if item_lift is whole_bytes:
        return lower, lambda tree: tree if Buffer not in set(map(type, tree)) else [whole_bytes(one) for one in tree]
    return lower, None if item_lift is None else lambda tree: [item_lift(one) for one in tree]


def _tuple(items: tuple[Type, ...], lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    halves = [build(item, lookup, records, exact) for item in items]
    lowers = [lower for lower, _ in halves]
    lifts = [lift or (lambda tree: tree) for _, lift in halves]

    def lower(value: Any) -> Any:
        if not isinstance(value, tuple):
            raise TypeMismatch(f"expected {TupleType(items)}, got {said(value)}")
        if len(value) != len(lowers):
            raise TypeMismatch(f"expected a tuple of {len(lowers)}, got one of {len(value)}")
        return _positions(value, lowers)

    return lower, lambda tree: tuple([lift(one) for lift, one in zip(lifts, tree, strict=True)])


def _positions(value: Any, lowers: list[Lower]) -> list[Any]:
    lowered = []
    for index, (lower, one) in enumerate(zip(lowers, value, strict=True)):
        try:
            lowered.append(lower(one))
        except TypeMismatch as mismatch:
            raise mismatch.inside(f"[{index}]") from None
    return lowered


def _set(
    item: Type, wanted: type[set[Any]] | type[frozenset[Any]], lookup: Find, records: Records, exact: bool
) -> tuple[Lower, Lift]:
    item_lower, item_lift = build(item, lookup, records, exact)

    def lower(value: Any) -> Any:
        if not isinstance(value, wanted):
            raise TypeMismatch(f"expected {wanted.__name__}[{item}], got {said(value)}")
        lowered = []
        for one in value:
            try:
                lowered.append(item_lower(one))
            except TypeMismatch as mismatch:
                raise mismatch.inside(f"{{{one!r}}}") from None
        return sorted_once(lowered)

    return lower, (lambda tree: wanted(map(item_lift, tree))) if item_lift else wanted


def _dict(key: Type, value: Type, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    key_lower, key_lift = build(key, lookup, records, exact)
    value_lower, value_lift = build(value, lookup, records, exact)
    key_native, value_native = _NATIVE.get(key.__class__), _NATIVE.get(value.__class__)
    keep: Lift = lambda tree: tree  # noqa: E731
    lift_key, lift_value = key_lift or keep, value_lift or keep
    plain = key_lift is None and value_lift is None
    holds_floats = any(isinstance(inner, FloatType) for inner in walk(key))

    def lower(given: Any) -> Any:
        if not isinstance(given, dict):
            raise TypeMismatch(f"expected dict[{key}, {value}], got {said(given)}")
        if _all_native(given, key_native) and _all_native(given.values(), value_native):
            return list(given.items())
        lowered = []
        for one_key, one in given.items():
            try:
                lowered.append((key_lower(one_key), value_lower(one)))
            except TypeMismatch as mismatch:
                try:
                    key_lower(one_key)
                except TypeMismatch as bad_key:
                    raise TypeMismatch(f"key {one_key!r}: {bad_key.problem}") from None
                raise mismatch.inside(f"[{one_key!r}]") from None
        if holds_floats and len({pack(one_key) for one_key, _ in lowered}) != len(lowered):
            raise TypeMismatch("two of its keys are the same as float")
        return lowered

    return lower, dict if plain else lambda tree: {lift_key(k): lift_value(v) for k, v in tree}


def _union(type: UnionType, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    strictly = [build(arm, lookup, records, True) for arm in type.arms]
    loosely = [] if exact else [build(arm, lookup, records) for arm in type.arms]
    lifts = [lift for _, lift in strictly]

    def lower(value: Any) -> Any:
        deepest: TypeMismatch | None = None
        for halves in (strictly, loosely):
            for arm, (arm_lower, _) in enumerate(halves):
                try:
                    return [arm, arm_lower(value)]
                except TypeMismatch as mismatch:
                    if mismatch.path and (deepest is None or len(mismatch.path) > len(deepest.path)):
                        deepest = mismatch
        raise deepest or TypeMismatch(f"expected {type}, got {said(value)}")

    def lift(tree: Any) -> Any:
        arm, inner = tree
        arm_lift = lifts[arm]
        return inner if arm_lift is None else arm_lift(inner)

    return lower, lift


def _record(type_: RecordType, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    if type_.kind == "typeddict":
        return _typed_dict(type_, lookup, records, exact)
    key = f"{type_.name} exactly" if exact else type_.name
    if key in records:
        known_pair = records[key]
        return (lambda value: known_pair[0](value)), (lambda tree: known_pair[1](tree))
    pair = records[key] = [None, None]
    halves = [(field.name, *build(field.type, lookup, records, exact)) for field in type_.fields]
    names = tuple(name for name, _, _ in halves)
    keep: Lift = lambda tree: tree  # noqa: E731
    lifts = [lift or keep for _, _, lift in halves]
    count = len(lifts)
    known: list[Any] = []

    def resolve() -> tuple[Any, Any, Any]:
        if not known:
            cls = lookup(type_.name)
            _refuse_retyped(cls, type_)
            known.extend((cls, reader(cls, names), builder(cls, names), is_pydantic(cls)))
        return known[0], known[1], known[2]

    def lower(value: Any) -> Any:
        cls, read, _ = resolve()
        derived = None
        if type(value) is not cls and origin_of(type(value)) is not cls:
            if exact or not isinstance(value, cls) or not is_record(type(value)):
                same = " (another class of that name)" if type(value).__name__ == cls.__name__ else ""
                raise TypeMismatch(f"expected {type_}, got {said(value)}{same}")
            # The whole value stands behind the fields of the base, so that it comes back as what it is.
            derived = _whole(value)
        lowered = []
        try:
            fields = read(value)
        except AttributeError as error:
            raise TypeMismatch(f"a {said(value)} has a field that was never set: {error}") from None
        for (name, field_lower, _), one in zip(halves, fields, strict=True):
            try:
                lowered.append(field_lower(one))
            except TypeMismatch as mismatch:
                raise mismatch.inside(f".{name}") from None
        if derived is None and known[3] and (apart := beside(value)) is not None:
            derived = lower_any(apart)
        return lowered if derived is None else [*lowered, derived]

    def lift(tree: Any) -> Any:
        build = resolve()[2]
        if is_pickle(tree):
            return _of_class(lift_opaque(tree), known[0], type_)
        if len(tree) > count and tree.__class__ is list and tree[count].__class__ is list:
            last = lift_any(tree[count])
            if not is_whole(tree[count]):
                return build([one(inner) for one, inner in zip(lifts, tree, strict=False)], last)
            if not isinstance(last, resolve()[0]):
                raise TypeMismatch(f"expected {type_}, got {said(last)}")
            return last
        return build([one(inner) for one, inner in zip(lifts, tree, strict=True)])

    pair[:] = lower, lift
    return lower, lift


def _refuse_retyped(cls: Any, written: RecordType) -> None:
    """Raise `FormatError` if a field of a class is of another type by now than values were written with."""
    from promissory.typesys.infer import Inference

    if "[" in written.name:
        return
    try:
        today = Inference().infer(cls)
    except AnnotationError:
        return
    fields = {field.name: field.type for field in today.fields} if isinstance(today, RecordType) else {}
    for field in written.fields:
        if field.name in fields and not _may_be_read_as(field.type, fields[field.name]):
            raise FormatError(
                f"a {short_name(written.name)}",
                f"was written with {field.name}: {field.type}, and the class has {field.name}: {fields[field.name]} "
                f"by now ({why_not(field.type, fields[field.name])})",
            )


def _may_be_read_as(written: Type, today: Type) -> bool:
    """Tell whether a field's values may have the type of today. Records inside are looked at when they are read."""
    if isinstance(written, RecordType) and isinstance(today, RecordType):
        return class_name(written.name) == class_name(today.name) or why_not(written, today) is None
    inside = children(written), children(today)
    if written.__class__ is today.__class__ and inside[0] and len(inside[0]) == len(inside[1]):
        return all(map(_may_be_read_as, *inside))
    return why_not(written, today) is None


def _whole(value: Any) -> Any:
    """Lower a record as what it is, self-describing, with each field checked."""
    from promissory.typesys.wire import codec_of

    codec = codec_of(type(value))
    return transcode(codec.lower(value), codec.type, ANY)


def _typed_dict(type_: RecordType, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    key = f"{type_.name} exactly" if exact else type_.name
    if key in records:
        known_pair = records[key]
        return (lambda value: known_pair[0](value)), (lambda tree: known_pair[1](tree))
    pair = records[key] = [None, None]
    keep: Lift = lambda tree: tree  # noqa: E731
    halves = []
    for field, part in zip(type_.fields, type_.parts, strict=True):
        field_lower, field_lift = build(field.type, lookup, records, exact)
        halves.append((field.name, part is field.type, field_lower, field_lift or keep))
    names = {field.name for field in type_.fields}

    def lower(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeMismatch(f"expected {type_}, got {said(value)}")
        unknown = [key for key in value if key not in names]
        if unknown:
            raise TypeMismatch(f"expected {type_}, which has no key {unknown[0]!r}")
        lowered: list[Any] = []
        for name, required, field_lower, _ in halves:
            if name not in value:
                if required:
                    raise TypeMismatch(f"expected {type_}, and the key {name!r} is missing")
                lowered.append([])
                continue
            try:
                one = field_lower(value[name])
            except TypeMismatch as mismatch:
                raise mismatch.inside(f"[{name!r}]") from None
            lowered.append(one if required else [one])
        return lowered

    def lift(tree: Any) -> Any:
        found = {}
        for (name, required, _, field_lift), one in zip(halves, tree, strict=True):
            if required:
                found[name] = field_lift(one)
            elif one:
                (only,) = one
                found[name] = field_lift(only)
        return found

    pair[:] = lower, lift
    return lower, lift
