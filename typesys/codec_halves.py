"""Both halves of a codec for each type: a function that lowers a value into its wire tree, and a function that lifts a
tree into a value.

`lower` checks a value to its last element on the way. Where a container holds plain scalars, one `set(map(type, xs))`
in C answers for all of them. A `lift` that would give its argument back is None, so that containers pass whole lists
through.
"""

from __future__ import annotations

import enum
import math
from typing import Any, Final

from promissory.typesys.buffer import PART_LIMIT, Buffer
from promissory.typesys.canonical import pack
from promissory.typesys.errors import FormatError, TypeMismatch
from promissory.typesys.families import registry
from promissory.typesys.opaque import is_pickle, lift_opaque, lower_opaque
from promissory.typesys.record_halves import Find, Lift, Records, of_class, record_halves
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
from promissory.typesys.transcode import fits
from promissory.typesys.types import (
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
    short_name,
    walk,
)

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
            family = registry.known(name)
            if family is None:
                return _when_needed(name, wire, lookup, records, exact)
            return _family(family, wire, lookup, records, exact)
        case RecordType():
            return record_halves(type, build, lookup, records, exact)
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


def _when_needed(name: str, wire: Type, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    """Build the halves of a family that this process doesn't know yet when a value comes: who only looks at a run, or
    cancels it, needs neither the library nor the author's module."""
    halves: list[tuple[Lower, Lift]] = []

    def built() -> tuple[Lower, Lift]:
        if not halves:
            halves.append(_family(registry.family_named(name), wire, lookup, records, exact))
        return halves[0]

    return lambda value: built()[0](value), lambda tree: built()[1](tree)


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
            return of_class(lift_opaque(tree), family.cls, shown)
        if not fits(tree, wire):
            raise FormatError(f"a value of {shown}", "is not written as such a value is")
        return family.from_wire(inner_lift(tree) if inner_lift else tree)

    return lower, lift


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
