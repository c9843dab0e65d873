"""Text or JSON → the wire tree of a type (command line, HTTP, form fields).

No class of the author's is needed, so a server reads inputs without imports. Where the classes are at hand, as on the
command line that loaded the file, a record's fields may be left out that its class has a default for.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

from promissory.typesys.arm_order import NULLS, arm_order
from promissory.typesys.canonical import pack
from promissory.typesys.defaults import Classes, left_out, of_model
from promissory.typesys.depth import TOO_DEEP, check_depth
from promissory.typesys.errors import ParseError, TypeMismatch
from promissory.typesys.families import registry
from promissory.typesys.self_describing import sorted_once
from promissory.typesys.types import (
    AnyType,
    BoolType,
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
    walk,
)
from promissory.typesys.wire import codec_for

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_text(text: str, type: Type, classes: Classes | None = None) -> Any:
    """Read a value that a person typed: text as it is, numbers, `true`/`no`, ISO dates, durations, else JSON.

    Args:
        text: what was typed.
        type: the type that is wanted.
        classes: finds authors' classes by name, for the defaults of fields that were left out. None imports nothing.

    Raises `ParseError`, which says what was wanted.

    >>> from promissory import type_of
    >>> parse_text("[3, 1, 2]", type_of(list[int]))
    [3, 1, 2]
    >>> parse_text("3", type_of(str))
    '3'
    """
    match type:
        case StrType():
            return text
        case IntType():
            try:
                return int(text)
            except ValueError:
                raise ParseError(f"{text!r} is not an int") from None
        case FloatType():
            try:
                return _one_nan(float(text))
            except ValueError:
                raise ParseError(f"{text!r} is not a float") from None
        case BoolType():
            if text.lower() in _TRUE + _FALSE:
                return text.lower() in _TRUE
            raise ParseError(f"{text!r} is not a bool (true, false, yes, no, on, off, 1, 0)")
        case NoneType() if text in ("", *NULLS):
            return None
        case BytesType():
            try:
                return text.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                raise ParseError(f"{text!r} has no UTF-8 form") from None
        case EnumType() | FlagType() | NamedType():
            return parse_json(_json_or_text(text, type), type, classes)
        case LiteralType(values):
            for value in values:
                if str(value) == text or (isinstance(value, bool) and str(value).lower() == text.lower()):
                    return value
            raise ParseError(f"{text!r} is not one of {', '.join(map(str, values))}")
        case UnionType():
            return _text_of_union(text, type, classes)
        case AnyType():
            try:
                value = json.loads(text)
            except RecursionError:
                raise ParseError(f"{_short(text)} {TOO_DEEP}") from None
            except ValueError:
                return text
            return parse_json(value, type)
    return parse_json(_loads(text, type), type, classes)


def _text_of_union(text: str, type: UnionType, classes: Classes | None) -> Any:
    errors: dict[int, ParseError] = {}
    for known in dict.fromkeys((None, classes)):  # an arm for which nothing has to be filled in goes first
        for arm in arm_order(text, type):
            try:
                return [arm, parse_text(text, type.arms[arm], known)]
            except ParseError as error:
                errors[arm] = error
    meant = [arm for arm, one in enumerate(type.arms) if not isinstance(one, NoneType)]
    reason = _the_reason(errors, meant) if text.lstrip()[:1] in ("{", "[") else None
    raise reason or ParseError(f"{text!r} is not {type}")


def _the_reason(errors: dict[int, ParseError], meant: list[int]) -> ParseError | None:
    """Give the reason why the one arm that was meant refused, if only one can have been meant."""
    tried = [arm for arm in meant if arm in errors]
    return errors[tried[0]] if len(tried) == 1 else None


def _loads(text: str, type: Type) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ParseError(f"{_short(text)} {TOO_DEEP}") from None
    except ValueError as error:
        raise ParseError(f"{_short(text)} is not {type}: it isn't JSON ({error})") from None


def _json_or_text(text: str, type: Type) -> Any:
    if not isinstance(type, NamedType) or isinstance(type.wire, StrType):
        return text
    family = registry.known(type.name)
    if family is None or family.from_json is None:
        return _loads(text, type)
    if family.any_text or isinstance(type.wire, IntType | FloatType):
        return text
    try:
        return _loads(text, type)
    except ParseError:
        return text


def _short(text: str) -> str:
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _one_nan(number: float) -> float:
    return number if number == number else math.nan


def parse_json(value: Any, type: Type, classes: Classes | None = None) -> Any:
    """Read a decoded JSON value of this type. Raises `ParseError` with the path, and as its `pointer` the JSON Pointer
    to what is wrong.

    Args:
        value: what `json.loads` gave.
        type: the type that is wanted.
        classes: finds authors' classes by name, for the defaults of fields that were left out. None imports nothing.

    >>> from promissory import type_of
    >>> parse_json({"a": 1}, type_of(dict[str, float]))
    [['a', 1.0]]
    """
    try:
        check_depth(value)
    except TypeMismatch as mismatch:
        raise ParseError(mismatch.at("value")) from None
    return _json(value, type, "", classes)


def _json(value: Any, type: Type, at: str, classes: Classes | None) -> Any:
    match type:
        case NoneType() if value is None:
            return None
        case BoolType() if isinstance(value, bool):
            return value
        case IntType() if isinstance(value, int) and not isinstance(value, bool):
            return value
        case FloatType() if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return _one_nan(float(value))
            except OverflowError:
                raise ParseError("too large for a float", at) from None
        case FloatType() if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        case StrType() if isinstance(value, str):
            return value
        case BytesType() if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                raise ParseError("bytes are written in JSON as base64, and this isn't", at) from None
        case ListType(item) | VarTupleType(item) if isinstance(value, list):
            return [_json(one, item, f"{at}[{i}]", classes) for i, one in enumerate(value)]
        case SetType(item) | FrozenSetType(item) if isinstance(value, list):
            if isinstance(item, AnyType) and any(isinstance(one, list | dict) for one in value):
                raise ParseError("a set can't hold lists or objects", at)
            return sorted_once(_json(one, item, f"{at}[{i}]", classes) for i, one in enumerate(value))
        case TupleType(items) if isinstance(value, list) and len(value) == len(items):
            return [
                _json(one, item, f"{at}[{i}]", classes) for i, (one, item) in enumerate(zip(value, items, strict=True))
            ]
        case DictType(key, inner) if isinstance(value, dict):
            pairs = [[_key(k, key, at), _json(v, inner, f"{at}[{k!r}]", classes)] for k, v in value.items()]
            if len({pack(k) for k, _ in pairs}) != len(pairs):
                raise ParseError(f"two of its keys are the same {key}", at)
            return pairs
        case DictType(key, inner) if isinstance(value, list) and all(
            isinstance(p, list) and len(p) == 2 for p in value
        ):
            return [
                [_json(k, key, f"{at}[{i}][0]", classes), _json(v, inner, f"{at}[{i}][1]", classes)]
                for i, (k, v) in enumerate(value)
            ]
        case RecordType() if isinstance(value, dict):
            return _record(value, type, at, classes)
        case EnumType(_, members):
            names = [name for name, _ in members]
            if isinstance(value, str) and value in names:
                return value
            for name, plain in members:
                if plain is not None and value.__class__ in (plain.__class__, str) and str(plain) == str(value):
                    return name
            raise ParseError(f"{value!r} is not one of {', '.join(name for name, _ in members)}", at)
        case FlagType(_, members) if isinstance(value, int | str) and not isinstance(value, bool):
            return _flag(value, dict(members), at)
        case LiteralType(values):
            for allowed in values:
                if value.__class__ is allowed.__class__ and value == allowed:
                    return allowed
                if isinstance(allowed, bytes) and value == base64.b64encode(allowed).decode():
                    return allowed
            raise ParseError(f"{value!r} is not one of {', '.join(map(repr, values))}", at)
        case NamedType(name, wire):
            family = registry.known(name)
            if family is None or any(
                isinstance(inner, EnumType | FlagType | RecordType | OpaqueType | NamedType) for inner in walk(wire)
            ):
                # Only a worker knows more of such a value. Here its wire form decides.
                return _json(value, wire, at, classes)
            try:
                if family.from_json_as is not None:
                    return codec_for(wire).lower(family.to_wire(family.from_json_as(value, wire)))
                if family.from_json is not None:
                    return codec_for(wire).lower(family.to_wire(family.from_json(value)))
                read = _lift(_json(value, wire, at, None), wire)
                return codec_for(wire).lower(family.to_wire(family.from_wire(read)))
            # The family's own code may raise anything for a value that is none of the family's.
            except Exception as error:
                reason = "" if isinstance(error, ParseError) or not str(error) else f": {error}"
                given = "what was given" if name == "Secret" else _shortened(repr(value))
                raise ParseError(f"{given} is not a {type}{reason}", at) from None
        case UnionType():
            return _json_of_union(value, type, at, classes)
        case AnyType():
            return codec_for(type).lower(value)
        case OpaqueType():
            raise ParseError(f"a {type} travels as a pickle and can't be given as text", at)
    raise ParseError(f"expected {type}, got {_said(value)}", at)


def _json_of_union(value: Any, type: UnionType, at: str, classes: Classes | None) -> Any:
    errors: dict[int, ParseError] = {}
    order = arm_order(value, type) if isinstance(value, str) else range(len(type.arms))
    for known in dict.fromkeys((None, classes)):  # an arm for which nothing has to be filled in goes first
        for arm in order:
            try:
                return [arm, _json(value, type.arms[arm], at, known)]
            except ParseError as error:
                errors[arm] = error
    # Only an arm of the value's own shape can have been meant; of several, the one that came to look inside.
    shape = {dict: RecordType | DictType, list: _Lists}.get(value.__class__)
    shaped = [arm for arm in errors if shape is not None and isinstance(type.arms[arm], shape)]
    deeper = [arm for arm in shaped if errors[arm].at != at]
    reason = _the_reason(errors, shaped) or _the_reason(errors, deeper)
    raise reason or ParseError(f"expected {type}, got {_said(value)}", at)


_Lists = ListType | VarTupleType | TupleType | SetType | FrozenSetType


def _said(value: Any) -> str:
    name = str(value.__class__.__name__)
    return {"NoneType": "null", "dict": "an object", "list": "a list"}.get(name, name)


def _lift(tree: Any, type: Type) -> Any:
    return codec_for(type).lift_tree(tree)


def _key(text: str, type: Type, at: str) -> Any:
    try:
        return text if isinstance(type, AnyType) else parse_text(text, type)
    except ParseError as error:
        raise ParseError(str(error), f"{at}[{text!r}]") from None


def _record(value: dict[str, Any], type: RecordType, at: str, classes: Classes | None) -> list[Any]:
    unknown = [name for name in value if name not in {field.name for field in type.fields}]
    if unknown:
        raise ParseError(f"{type} has no field {unknown[0]!r}; it has {', '.join(f.name for f in type.fields)}", at)
    given = {
        field.name: _json(value[field.name], field.type, f"{at}.{field.name}", classes)
        for field in type.fields
        if field.name in value
    }
    return parse_fields(type, given, classes, at)


def parse_fields(type: RecordType, given: dict[str, Any], classes: Classes | None, at: str = "") -> list[Any]:
    """Put the wire tree of a record together of those of its fields; the class's defaults fill in what is missing.

    Raises `ParseError` for fields that have no default, and for what a model's own constructor refuses.
    """
    made = of_model(type, given, at, classes)
    if made is not None:
        return made
    optional = type.kind == "typeddict"
    if any(field.name not in given and (field.required or not optional) for field in type.fields):
        given.update(left_out(type, given, at, None if optional else classes))
    return [
        given[field.name] if part is field.type else [given[field.name]] if field.name in given else []
        for field, part in zip(type.fields, type.parts, strict=True)
    ]


def _flag(value: int | str, members: dict[str, int], at: str) -> int:
    """Read `READ|WRITE`, or the number for which it stands."""
    if isinstance(value, int):
        return value
    if value.lstrip("-").isdecimal():
        return int(value)
    total = 0
    for name in value.split("|"):
        if name.strip() not in members:
            raise ParseError(f"{name.strip()!r} is not one of {', '.join(members)}", at)
        total |= members[name.strip()]
    return total
