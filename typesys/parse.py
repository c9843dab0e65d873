"""Text or JSON → the wire tree of a type (command line, HTTP, form fields), and a tree → JSON.

Needs none of the author's classes, so a server or a command line reads inputs and shows results without importing anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

from typesys import codecs
from typesys.errors import ParseError
from typesys.self_describing import DICT, ENUM, FROZENSET, LIST, NAMED, OPAQUE, RECORD, SET, TUPLE
from typesys.transcode import unfold
from typesys.types import (
    AnyType,
    BoolType,
    BytesType,
    DictType,
    EnumType,
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
)
from typesys.wire import codec_for

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_text(text: str, type: Type) -> Any:
    """The tree of a value that a person typed: text as it is, numbers, `true`/`no`, ISO dates, else JSON.

    Raises `ParseError` with what was wanted.

    >>> from typesys import type_of
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
        case NoneType() if text in ("", "null", "none", "None"):
            return None
        case BytesType():
            return text.encode()
        case EnumType() | NamedType():
            return parse_json(_json_or_text(text, type), type)
        case LiteralType(values):
            for value in values:
                if str(value) == text:
                    return value
            raise ParseError(f"{text!r} is not one of {', '.join(map(str, values))}")
        case UnionType(arms):
            ordered = sorted(range(len(arms)), key=lambda arm: isinstance(arms[arm], StrType))
            for arm in ordered:
                try:
                    return [arm, parse_text(text, arms[arm])]
                except ParseError:
                    continue
            raise ParseError(f"{text!r} is not {type}")
        case AnyType():
            try:
                return parse_json(json.loads(text), type)
            except ValueError:
                return text
    try:
        value = json.loads(text)
    except RecursionError:
        raise ParseError("is nested too deeply") from None
    except ValueError as error:
        raise ParseError(f"{_short(text)} is not {type}: it isn't JSON ({error})") from None
    return parse_json(value, type)


def _json_or_text(text: str, type: Type) -> Any:
    if isinstance(type, NamedType) and not isinstance(type.wire, StrType):
        try:
            return json.loads(text)
        except ValueError:
            raise ParseError(f"{text!r} is not {type}") from None
    return text


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _one_nan(number: float) -> float:
    return number if number == number else math.nan


def parse_json(value: Any, type: Type) -> Any:
    """The tree of a decoded JSON value of this type. Raises `ParseError` with the path.

    >>> from typesys import type_of
    >>> parse_json({"a": 1}, type_of(dict[str, float]))
    [['a', 1.0]]
    """
    try:
        return _json(value, type, "")
    except RecursionError:
        raise ParseError("is nested too deeply") from None


def _json(value: Any, type: Type, at: str) -> Any:
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
                raise ParseError(f"{at or 'value'}: too large for a float") from None
        case FloatType() if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        case StrType() if isinstance(value, str):
            return value
        case BytesType() if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                raise ParseError(f"{at or 'value'}: bytes are written in JSON as base64, and this isn't") from None
        case (ListType(item) | VarTupleType(item)) if isinstance(value, list):
            return [_json(one, item, f"{at}[{i}]") for i, one in enumerate(value)]
        case SetType(item) | FrozenSetType(item) if isinstance(value, list):
            codec = codec_for(type)
            lifted = [_lift(_json(one, item, f"{at}[{i}]"), item) for i, one in enumerate(value)]
            return codec.lower(set(lifted) if isinstance(type, SetType) else frozenset(lifted))
        case TupleType(items) if isinstance(value, list) and len(value) == len(items):
            return [_json(one, item, f"{at}[{i}]") for i, (one, item) in enumerate(zip(value, items, strict=True))]
        case DictType(key, inner) if isinstance(value, dict):
            return [[_key(k, key, at), _json(v, inner, f"{at}[{k!r}]")] for k, v in value.items()]
        case DictType(key, inner) if isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 for p in value):
            return [[_json(k, key, f"{at}[{i}][0]"), _json(v, inner, f"{at}[{i}][1]")] for i, (k, v) in enumerate(value)]
        case RecordType() if isinstance(value, dict):
            return _record(value, type, at)
        case EnumType(_, members):
            for name, plain in members:
                if value == name or (plain is not None and (value == plain or str(plain) == value)):
                    return name
            raise ParseError(f"{at or 'value'}: {value!r} is not one of {', '.join(name for name, _ in members)}")
        case LiteralType(values):
            for allowed in values:
                if value.__class__ is allowed.__class__ and value == allowed:
                    return allowed
            raise ParseError(f"{at or 'value'}: {value!r} is not one of {', '.join(map(repr, values))}")
        case NamedType(name, wire):
            family = codecs.family_named(name)
            try:
                return codec_for(wire).lower(family.to_wire(family.from_wire(_lift(_json(value, wire, at), wire))))
            except (ValueError, LookupError, OverflowError) as error:
                raise ParseError(f"{at or 'value'}: {value!r} is not a {type}: {error}") from None
        case UnionType(arms):
            for arm, arm_type in enumerate(arms):
                try:
                    return [arm, _json(value, arm_type, at)]
                except ParseError:
                    continue
        case AnyType():
            return codec_for(type).lower(value)
        case OpaqueType():
            raise ParseError(f"{at or 'value'}: a {type} travels as a pickle and can't be given as text")
    raise ParseError(f"{at or 'value'}: expected {type}, got {_said(value)}")


def _said(value: Any) -> str:
    name = str(value.__class__.__name__)
    return {"NoneType": "null", "dict": "an object", "list": "a list"}.get(name, name)


def _lift(tree: Any, type: Type) -> Any:
    return codec_for(type).lift_tree(tree)


def _key(text: str, type: Type, at: str) -> Any:
    return text if isinstance(type, AnyType) else parse_text(text, type)


def _record(value: dict[str, Any], type: RecordType, at: str) -> list[Any]:
    unknown = [name for name in value if name not in {field.name for field in type.fields}]
    missing = [field.name for field in type.fields if field.name not in value]
    if unknown:
        raise ParseError(f"{at or 'value'}: {type} has no field {unknown[0]!r}; it has {', '.join(f.name for f in type.fields)}")
    if missing:
        optional = " (write it out: defaults of classes are not known here)" if all(f.required or f.name not in missing for f in type.fields) else ""
        raise ParseError(f"{at or 'value'}: {type} needs the field {missing[0]!r}{optional}")
    return [_json(value[field.name], unfold(field.type, type), f"{at}.{field.name}") for field in type.fields]


def to_json(tree: Any, type: Type) -> Any:
    """A tree as JSON: what `json.dumps` takes, and what `parse_json` reads back.

    >>> from typesys import type_of
    >>> to_json([["a", 1.5]], type_of(dict[str, float]))
    {'a': 1.5}
    """
    match type:
        case FloatType() if not math.isfinite(tree):
            return "NaN" if tree != tree else "Infinity" if tree > 0 else "-Infinity"
        case BytesType():
            return base64.b64encode(tree).decode()
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return [to_json(one, item) for one in tree]
        case TupleType(items):
            return [to_json(one, item) for one, item in zip(tree, items, strict=True)]
        case DictType(key, value):
            pairs = [(to_json(k, key), to_json(v, value)) for k, v in tree]
            return dict(pairs) if all(isinstance(k, str) for k, _ in pairs) or _text_keys(key) else [[k, v] for k, v in pairs]
        case UnionType(arms):
            return to_json(tree[1], arms[tree[0]])
        case RecordType(fields=fields):
            return {f.name: to_json(v, unfold(f.type, type)) for v, f in zip(tree, fields, strict=True)}
        case NamedType(wire=wire):
            return to_json(tree, wire)
        case OpaqueType(name):
            return f"<{name}: a pickle of {len(tree)} bytes>"
        case AnyType():
            return _any_to_json(tree)
    return tree


def _text_keys(key: Type) -> bool:
    return isinstance(key, IntType | StrType | EnumType | NamedType)


def _any_to_json(tree: Any) -> Any:
    if tree.__class__ is float:
        return to_json(tree, FloatType())
    if tree.__class__ is bytes:
        return base64.b64encode(tree).decode()
    if tree.__class__ is not list:
        return tree
    kind = tree[0]
    if kind in (LIST, TUPLE, SET, FROZENSET):
        return [_any_to_json(one) for one in tree[1]]
    if kind == DICT:
        pairs = [(_any_to_json(k), _any_to_json(v)) for k, v in tree[1]]
        return dict(pairs) if all(isinstance(k, str) for k, _ in pairs) else [[k, v] for k, v in pairs]
    if kind == RECORD:
        return {name: _any_to_json(one) for name, one in zip(tree[2], tree[3], strict=True)}
    if kind in (ENUM, NAMED):
        return _any_to_json(tree[2])
    assert kind == OPAQUE
    return f"<a pickle of {len(tree[1])} bytes>"
