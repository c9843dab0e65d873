"""Text or JSON → the wire tree of a type (command line, HTTP, form fields), and a tree → JSON.

No class of the author's is needed, so a server or a command line reads inputs and shows results without imports.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

from promissory.typesys.canonical import pack
from promissory.typesys.depth import TOO_DEEP, check_depth
from promissory.typesys.errors import ParseError, TypeMismatch
from promissory.typesys.families import registry
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


def parse_text(text: str, type: Type) -> Any:
    """Read a value that a person typed: text as it is, numbers, `true`/`no`, ISO dates, else JSON.

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
        case NoneType() if text in ("", "null", "none", "None"):
            return None
        case BytesType():
            try:
                return text.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                raise ParseError(f"{text!r} has no UTF-8 form") from None
        case EnumType() | FlagType() | NamedType():
            return parse_json(_json_or_text(text, type), type)
        case LiteralType(values):
            for value in values:
                if str(value) == text or (isinstance(value, bool) and str(value).lower() == text.lower()):
                    return value
            raise ParseError(f"{text!r} is not one of {', '.join(map(str, values))}")
        case UnionType(arms):
            ordered = sorted(
                range(len(arms)), key=lambda arm: (isinstance(arms[arm], StrType), isinstance(arms[arm], BoolType))
            )
            for arm in ordered:
                try:
                    return [arm, parse_text(text, arms[arm])]
                except ParseError:
                    continue
            raise ParseError(f"{text!r} is not {type}")
        case AnyType():
            try:
                value = json.loads(text)
            except RecursionError:
                raise ParseError(f"{_short(text)} {TOO_DEEP}") from None
            except ValueError:
                return text
            return parse_json(value, type)
    return parse_json(_loads(text, type), type)


def _loads(text: str, type: Type) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ParseError(f"{_short(text)} {TOO_DEEP}") from None
    except ValueError as error:
        raise ParseError(f"{_short(text)} is not {type}: it isn't JSON ({error})") from None


def _json_or_text(text: str, type: Type) -> Any:
    if isinstance(type, NamedType) and not isinstance(type.wire, StrType):
        return _loads(text, type)
    return text


def _short(text: str) -> str:
    return repr(_shortened(text))


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def _one_nan(number: float) -> float:
    return number if number == number else math.nan


def parse_json(value: Any, type: Type) -> Any:
    """Read a decoded JSON value of this type. Raises `ParseError` with the path.

    >>> from promissory import type_of
    >>> parse_json({"a": 1}, type_of(dict[str, float]))
    [['a', 1.0]]
    """
    try:
        check_depth(value)
    except TypeMismatch as mismatch:
        raise ParseError(mismatch.at("value")) from None
    try:
        return _json(value, type, "")
    except ParseError as error:
        raise ParseError(str(error).removeprefix(".")) from None


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
        case ListType(item) | VarTupleType(item) if isinstance(value, list):
            return [_json(one, item, f"{at}[{i}]") for i, one in enumerate(value)]
        case SetType(item) | FrozenSetType(item) if isinstance(value, list):
            if isinstance(item, AnyType) and any(isinstance(one, list | dict) for one in value):
                raise ParseError(f"{at or 'value'}: a set can't hold lists or objects")
            return sorted_once(_json(one, item, f"{at}[{i}]") for i, one in enumerate(value))
        case TupleType(items) if isinstance(value, list) and len(value) == len(items):
            return [_json(one, item, f"{at}[{i}]") for i, (one, item) in enumerate(zip(value, items, strict=True))]
        case DictType(key, inner) if isinstance(value, dict):
            pairs = [[_key(k, key, at), _json(v, inner, f"{at}[{k!r}]")] for k, v in value.items()]
            if len({pack(k) for k, _ in pairs}) != len(pairs):
                raise ParseError(f"{at or 'value'}: two of its keys are the same {key}")
            return pairs
        case DictType(key, inner) if isinstance(value, list) and all(
            isinstance(p, list) and len(p) == 2 for p in value
        ):
            return [
                [_json(k, key, f"{at}[{i}][0]"), _json(v, inner, f"{at}[{i}][1]")] for i, (k, v) in enumerate(value)
            ]
        case RecordType() if isinstance(value, dict):
            return _record(value, type, at)
        case EnumType(_, members):
            names = [name for name, _ in members]
            if isinstance(value, str) and value in names:
                return value
            for name, plain in members:
                if plain is not None and value.__class__ in (plain.__class__, str) and str(plain) == str(value):
                    return name
            raise ParseError(f"{at or 'value'}: {value!r} is not one of {', '.join(name for name, _ in members)}")
        case FlagType(_, members) if isinstance(value, int | str) and not isinstance(value, bool):
            return _flag(value, dict(members), at)
        case LiteralType(values):
            for allowed in values:
                if value.__class__ is allowed.__class__ and value == allowed:
                    return allowed
                if isinstance(allowed, bytes) and value == base64.b64encode(allowed).decode():
                    return allowed
            raise ParseError(f"{at or 'value'}: {value!r} is not one of {', '.join(map(repr, values))}")
        case NamedType(name, wire):
            family = registry.known(name)
            if family is None or any(
                isinstance(inner, EnumType | FlagType | RecordType | OpaqueType | NamedType) for inner in walk(wire)
            ):
                # Only a worker knows more of such a value. Here its wire form decides.
                return _json(value, wire, at)
            try:
                return codec_for(wire).lower(family.to_wire(family.from_wire(_lift(_json(value, wire, at), wire))))
            # The family's own code may raise anything for a value that is none of the family's.
            except Exception as error:
                reason = "" if isinstance(error, ParseError) or not str(error) else f": {error}"
                given = "what was given" if name == "Secret" else _shortened(repr(value))
                raise ParseError(f"{at or 'value'}: {given} is not a {type}{reason}") from None
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
    optional = type.kind == "typeddict"
    missing = [field.name for field in type.fields if field.name not in value and (field.required or not optional)]
    if unknown:
        raise ParseError(
            f"{at or 'value'}: {type} has no field {unknown[0]!r}; it has {', '.join(f.name for f in type.fields)}"
        )
    if missing:
        has_default = not next(field.required for field in type.fields if field.name == missing[0])
        hint = " (its class has a default, which is not known here: write it out)" if has_default else ""
        raise ParseError(f"{at or 'value'}: {type} needs the field {missing[0]!r}{hint}")
    trees: list[Any] = []
    for field, part in zip(type.fields, type.parts, strict=True):
        found = [_json(value[field.name], field.type, f"{at}.{field.name}")] if field.name in value else []
        trees.append(found[0] if part is field.type else found)
    return trees


def _flag(value: int | str, members: dict[str, int], at: str) -> int:
    """Read `READ|WRITE`, or the number for which it stands."""
    if isinstance(value, int):
        return value
    if value.lstrip("-").isdecimal():
        return int(value)
    total = 0
    for name in value.split("|"):
        if name.strip() not in members:
            raise ParseError(f"{at or 'value'}: {name.strip()!r} is not one of {', '.join(members)}")
        total |= members[name.strip()]
    return total


def _flag_text(value: int, members: tuple[tuple[str, int], ...]) -> str | int:
    """Give the members that are set, or the number itself if it has bits that are no member's."""
    names = [name for name, bit in members if bit and value & bit == bit]
    total = 0
    for name in names:
        total |= dict(members)[name]
    return "|".join(names) if names and total == value else value


def to_json(tree: Any, type: Type) -> Any:
    """Show a tree as JSON: a value for `json.dumps`, which `parse_json` reads back.

    >>> from promissory import type_of
    >>> to_json([["a", 1.5]], type_of(dict[str, float]))
    {'a': 1.5}
    """
    match type:
        case FloatType() if not math.isfinite(tree):
            return "NaN" if tree != tree else "Infinity" if tree > 0 else "-Infinity"
        case BytesType() | LiteralType() if isinstance(tree, bytes):
            return base64.b64encode(tree).decode()
        case ListType(item) | VarTupleType(item) | SetType(item) | FrozenSetType(item):
            return [to_json(one, item) for one in tree]
        case TupleType(items):
            return [to_json(one, item) for one, item in zip(tree, items, strict=True)]
        case DictType(key, value):
            pairs = [(to_json(k, key), to_json(v, value)) for k, v in tree]
            return dict(pairs) if _text_keys(key) else [[k, v] for k, v in pairs]
        case UnionType(arms):
            return to_json(tree[1], arms[tree[0]])
        case RecordType(kind="typeddict", fields=fields, parts=parts):
            rows = zip(fields, parts, tree, strict=True)
            return {
                f.name: to_json(v if part is f.type else v[0], f.type) for f, part, v in rows if part is f.type or v
            }
        case FlagType(members=members):
            return _flag_text(tree, members)
        case RecordType(fields=fields):
            return {f.name: to_json(v, f.type) for v, f in zip(tree, fields, strict=True)}
        case NamedType(wire=wire):
            return to_json(tree, wire)
        case OpaqueType(name):
            return f"<{name}: a pickle of {len(tree)} bytes>"
        case AnyType():
            return _any_to_json(tree)
    return tree


def _text_keys(key: Type) -> bool:
    """Tell whether a dict's keys can be the keys of a JSON object and be read back."""
    return isinstance(key, IntType | StrType | EnumType) or (
        isinstance(key, NamedType) and isinstance(key.wire, StrType)
    )


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
