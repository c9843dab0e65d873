"""Both halves of a record's codec: of dataclasses, NamedTuples, TypedDicts and models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promissory.typesys.assignability import why_not
from promissory.typesys.errors import AnnotationError, FormatError, TypeMismatch
from promissory.typesys.opaque import is_pickle, lift_opaque
from promissory.typesys.records import beside, builder, is_pydantic, is_record, origin_of, reader
from promissory.typesys.scalars import Lower, said
from promissory.typesys.self_describing import lift_any, lower_any
from promissory.typesys.transcode import is_whole, transcode
from promissory.typesys.types import ANY, RecordType, Type, children, class_name, short_name

Lift = Callable[[Any], Any]
Find = Callable[[str], Any]
Records = dict[str, list[Any]]
Build = Callable[[Type, Find, Records, bool], tuple[Lower, Lift | None]]


def of_class(value: Any, cls: Any, shown: Type) -> Any:
    """Give a value that was written as a pickle, if it is of the class that is wanted by now."""
    if not isinstance(value, cls):
        raise FormatError(f"a value of {shown}", f"is the pickle of a {said(value)}")
    return value


def record_halves(type_: RecordType, build: Build, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
    """Build both halves of a record's codec. `build` builds those of its fields."""
    if type_.kind == "typeddict":
        return _typed_dict(type_, build, lookup, records, exact)
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
        make = resolve()[2]
        if is_pickle(tree):
            return of_class(lift_opaque(tree), known[0], type_)
        if len(tree) > count and tree.__class__ is list and tree[count].__class__ is list:
            last = lift_any(tree[count])
            if not is_whole(tree[count]):
                return make([one(inner) for one, inner in zip(lifts, tree, strict=False)], last)
            if not isinstance(last, resolve()[0]):
                raise TypeMismatch(f"expected {type_}, got {said(last)}")
            return last
        return make([one(inner) for one, inner in zip(lifts, tree, strict=True)])

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


def _typed_dict(type_: RecordType, build: Build, lookup: Find, records: Records, exact: bool) -> tuple[Lower, Lift]:
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
