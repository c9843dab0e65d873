"""Types as JSON Schema (draft 2020-12), and back: what forms, servers and tools know of a workflow's inputs.

`schema_of` describes the JSON that `parse_json` takes, and that `to_json` gives but for what JSON has no form for: a
number that is not finite, and a large array or frame, are shown as text. What JSON has no word for (a set, a tuple of
any length, a class's full name) stands in keywords that begin with `x-`, which readers of the standard pass over; so
`type_from_schema` gives back the same type. A schema that somebody else wrote is read as the type that comes nearest.

The standard: A. Wright, H. Andrews, B. Hutton, "JSON Schema: A Media Type for Describing JSON Documents", 2020.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, cast

from promissory.typesys.errors import AnnotationError
from promissory.typesys.stated import (
    ANY_ARRAY,
    ARRAY,
    FILE,
    array_wire,
    dtype_name,
    file_wire,
    stated_of_array,
    stated_of_file,
)
from promissory.typesys.types import (
    ANY,
    BOOL,
    BUFFER,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    AnyType,
    BoolType,
    BufferType,
    BytesType,
    Definition,
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
    RecordKind,
    RecordType,
    RefType,
    SetType,
    StrType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    children,
    closed,
    short_name,
)
from promissory.typesys.unions import union

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FORMATS: Final = {
    "datetime.datetime": "date-time",
    "datetime.date": "date",
    "datetime.time": "time",
    "uuid.UUID": "uuid",
}
_OF_FORMAT: Final = {text: name for name, text in _FORMATS.items()}
_AS_TEXT: Final = frozenset(("datetime.timedelta",))
"""Families that people write as text, whatever their wire type."""
_MOST_NESTED: Final = 100


def schema_of(type: Type) -> dict[str, Any]:
    """Describe the JSON of a type's values.

    >>> from promissory import type_of
    >>> schema_of(type_of(list[int]))["items"]
    {'type': 'integer'}
    """
    definitions: dict[str, Any] = {}
    found = _schema(type)
    for record in _outermost(type):
        if isinstance(record, RecordType):
            definitions.update((one.name, _definition(one)) for one in record.definitions)
    return {"$schema": DIALECT, **found, **({"$defs": definitions} if definitions else {})}


def _outermost(type: Type) -> list[Type]:
    """The types inside a type down to records, whose definitions are complete in themselves."""
    found, todo = [], [type]
    while todo:
        one = todo.pop()
        found.append(one)
        if not isinstance(one, RecordType):
            todo += children(one)
    return found


def _definition(one: Definition) -> dict[str, Any]:
    return {
        "type": "object",
        "title": short_name(one.name),
        "properties": {field.name: _schema(field.type) for field in one.fields},
        "required": [field.name for field in one.fields if field.required],
        "additionalProperties": False,
        "x-kind": one.kind,
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1")}


def _schema(type: Type) -> dict[str, Any]:
    match type:
        case AnyType():
            return {}
        case NoneType():
            return {"type": "null"}
        case BoolType():
            return {"type": "boolean"}
        case IntType():
            return {"type": "integer"}
        case FloatType():
            return {"type": "number"}
        case StrType():
            return {"type": "string"}
        case BytesType() | BufferType():
            mark: dict[str, Any] = {} if isinstance(type, BytesType) else {"x-kind": "buffer"}
            return {"type": "string", "contentEncoding": "base64", **mark}
        case ListType(item):
            return {"type": "array", "items": _schema(item)}
        case VarTupleType(item):
            return {"type": "array", "items": _schema(item), "x-kind": "tuple"}
        case SetType(item) | FrozenSetType(item):
            kind = "set" if isinstance(type, SetType) else "frozenset"
            return {"type": "array", "items": _schema(item), "uniqueItems": True, "x-kind": kind}
        case TupleType(items) if not items:
            return {"type": "array", "maxItems": 0, "x-kind": "empty"}
        case TupleType(items):
            return {
                "type": "array",
                "prefixItems": [_schema(item) for item in items],
                "items": False,
                "minItems": len(items),
            }
        case DictType(key, value):
            return _dict(key, value)
        case UnionType(arms):
            return {"anyOf": [_schema(arm) for arm in arms]}
        case LiteralType(values):
            shown = [base64.b64encode(one).decode() if isinstance(one, bytes) else one for one in values]
            places = [place for place, one in enumerate(values) if isinstance(one, bytes)]
            return {"enum": shown, **({"x-bytes": places} if places else {})}
        case EnumType(name, members):
            shown_values = [plain for _, plain in members]
            return {
                "enum": [one for one, _ in members],
                "title": short_name(name),
                "x-enum": name,
                "x-values": shown_values,
            }
        case FlagType(name, members):
            bits = dict(members)
            return {"type": ["string", "integer"], "title": short_name(name), "x-flag": name, "x-bits": bits}
        case RecordType(name) | RefType(name):
            return _ref(name)
        case NamedType(name, wire):
            return _named(name, wire)
        case OpaqueType(name):
            return {"not": {}, "title": short_name(name), "x-opaque": name}
    raise AssertionError(type)


def _dict(key: Type, value: Type) -> dict[str, Any]:
    if isinstance(key, StrType):
        return {"type": "object", "additionalProperties": _schema(value)}
    if isinstance(key, IntType | EnumType) or (isinstance(key, NamedType) and isinstance(key.wire, StrType)):
        return {"type": "object", "additionalProperties": _schema(value), "x-keys": _schema(key)}
    pair = {"type": "array", "prefixItems": [_schema(key), _schema(value)], "items": False, "minItems": 2}
    return {"type": "array", "items": pair, "x-kind": "dict"}


def _named(name: str, wire: Type) -> dict[str, Any]:
    if name == ARRAY:
        dtype, sizes = stated_of_array(wire)
        stated = {"x-dtype": dtype} if dtype is not None else {}
        shape = {"x-shape": sizes} if sizes is not None else {}
        text = {"description": f"numbers of {dtype_name(dtype)}"} if dtype is not None else {}
        return {"type": "array" if sizes is None or sizes else "number", **text, "x-type": name, **stated, **shape}
    if name in (FILE, "Directory"):
        format = stated_of_file(wire) if name == FILE else None
        stated = {"x-format": format} if format is not None else {}
        return {"type": "string", "format": "path", "x-type": name, **stated, **({} if name == FILE else _wired(wire))}
    if name in _FORMATS:
        return {"type": "string", "format": _FORMATS[name]}
    if name in _AS_TEXT:
        return {"type": "string", "x-type": name, **_wired(wire)}
    if name == "Secret":
        return {"type": "string", "description": "the name of a secret", "x-type": name}
    return {**_schema(wire), "x-type": name, **(_wired(wire) if _schema(wire).keys() & {"x-type", "$ref"} else {})}


def _wired(wire: Type) -> dict[str, Any]:
    return {"x-wire": _schema(wire)}


# --- back -------------------------------------------------------------------------------------------------------------


def type_from_schema(schema: Any) -> Type:
    """Give the type whose values a schema describes.

    Raises:
        AnnotationError: the schema is none, or refers to what it doesn't define.

    >>> print(type_from_schema({"type": "object", "properties": {"a": {"type": "integer"}}, "title": "Point"}))
    Point
    """
    reader = _Reader(schema if isinstance(schema, Mapping) else {})
    try:
        return reader.read(schema, 0)
    except AnnotationError:
        raise
    # A keyword has a value of another kind than the standard, or this module, gives it.
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise AnnotationError(f"the JSON Schema is malformed: {type(error).__name__}: {error}") from None


class _Reader:
    """Reads one schema: what its `$defs` define, each once."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        given = root.get("$defs", root.get("definitions", {}))
        self._schemas: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        self._known: dict[str, Definition] = {}
        self._begun: dict[str, Mapping[str, Any]] = {}
        self._nameless = 0

    def read(self, schema: Any, depth: int) -> Type:
        return closed(self._type(schema, depth), self._known)

    def _type(self, schema: Any, depth: int) -> Type:
        if schema is True:
            return ANY
        if not isinstance(schema, Mapping):
            raise AnnotationError(f"a JSON Schema is an object, or true, not {schema!r:.60}")
        if depth > _MOST_NESTED:
            raise AnnotationError(f"the JSON Schema is nested more than {_MOST_NESTED} deep")
        inner = depth + 1
        for mark in ("x-type", "x-enum", "x-flag", "x-opaque"):
            if isinstance(schema.get(mark), str):
                return self._marked(mark, schema, inner)
        if "$ref" in schema:
            return self._referred(schema["$ref"], inner)
        if "const" in schema or "enum" in schema:
            return self._literal(schema)
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                return union([self._type(one, inner) for one in schema[word]])
        if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            return self._type(schema["allOf"][0], inner)
        kind = schema.get("type")
        if isinstance(kind, list):
            return union([self._type({**schema, "type": one}, inner) for one in kind]) if kind else ANY
        if kind is None:
            kind = (
                "object"
                if "properties" in schema
                else "array"
                if "items" in schema or "prefixItems" in schema
                else None
            )
        return self._of_kind(kind, schema, inner)

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], depth: int) -> Type:
        if kind == "string":
            if schema.get("contentEncoding") == "base64":
                return BUFFER if schema.get("x-kind") == "buffer" else BYTES
            known = _OF_FORMAT.get(schema.get("format", ""))
            return STR if known is None else NamedType(known, STR)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        simple: dict[Any, Type] = {"null": NONE, "boolean": BOOL, "integer": INT, "number": FLOAT, None: ANY}
        if kind not in simple:
            raise AnnotationError(f"the JSON Schema has the unknown type {kind!r}")
        return simple[kind]

    def _array(self, schema: Mapping[str, Any], depth: int) -> Type:
        if isinstance(schema.get("prefixItems"), list):
            return TupleType(tuple(self._type(one, depth) for one in schema["prefixItems"]))
        item = self._type(schema.get("items", True), depth)
        mark = schema.get("x-kind")
        if mark == "empty":
            return TupleType(())
        if mark == "dict" and isinstance(item, TupleType) and len(item.items) == 2:
            return DictType(*item.items)
        if mark in ("set", "frozenset"):
            return SetType(item) if mark == "set" else FrozenSetType(item)
        return VarTupleType(item) if mark == "tuple" else ListType(item)

    def _object(self, schema: Mapping[str, Any], depth: int) -> Type:
        if "properties" not in schema:
            key = self._type(schema["x-keys"], depth) if "x-keys" in schema else STR
            return DictType(key, self._type(schema.get("additionalProperties", True) or True, depth))
        self._nameless += 1
        name = str(schema.get("title") or f"object{self._nameless}")
        return self._record(name, schema, depth)

    def _record(self, name: str, schema: Mapping[str, Any], depth: int) -> Type:
        while name in self._begun and self._begun[name] != schema:
            name += "~"  # another object of this title
        if name not in self._begun:
            self._begun[name] = schema
            required = set(schema.get("required", ()))
            kind = schema.get("x-kind", "typeddict")
            if kind not in ("dataclass", "namedtuple", "typeddict"):
                raise AnnotationError(f"the JSON Schema of {name} has the unknown kind {kind!r}")
            fields = tuple(
                Field(field, self._type(one, depth), field in required) for field, one in schema["properties"].items()
            )
            self._known[name] = Definition(name, cast(RecordKind, kind), fields)
        return RefType(name)

    def _referred(self, reference: Any, depth: int) -> Type:
        prefix = next((one for one in ("#/$defs/", "#/definitions/") if str(reference).startswith(one)), None)
        name = str(reference).removeprefix(prefix or "").replace("~1", "/").replace("~0", "~")
        if prefix is None or name not in self._schemas:
            raise AnnotationError(f"the JSON Schema refers to {reference!r}, which it doesn't define")
        schema = self._schemas[name]
        if isinstance(schema, Mapping) and "properties" in schema:
            return self._record(name, schema, depth)
        return self._type(schema, depth)

    def _literal(self, schema: Mapping[str, Any]) -> Type:
        values = [schema["const"]] if "const" in schema else list(schema["enum"])
        for place in schema.get("x-bytes", ()):
            values[place] = base64.b64decode(values[place], validate=True)
        if not values or any(isinstance(one, float | list | dict) for one in values):
            return ANY
        ordered = {(one.__class__.__name__, repr(one)): one for one in values}
        return LiteralType(tuple(ordered[key] for key in sorted(ordered)))

    def _marked(self, mark: str, schema: Mapping[str, Any], depth: int) -> Type:
        name = schema[mark]
        if mark == "x-opaque":
            return OpaqueType(name)
        if mark == "x-enum":
            return EnumType(name, tuple(zip(schema["enum"], schema["x-values"], strict=True)))
        if mark == "x-flag":
            return FlagType(name, tuple(schema["x-bits"].items()))
        if name == ARRAY:
            stated = array_wire(schema.get("x-dtype"), schema.get("x-shape"))
            return NamedType(ARRAY, stated) if stated != ANY_ARRAY.wire else ANY_ARRAY
        if name == FILE:
            return NamedType(FILE, file_wire(schema.get("x-format")))
        if "x-wire" in schema:
            return NamedType(name, self._type(schema["x-wire"], depth))
        if name == "Secret":
            return NamedType(name, STR)
        return NamedType(name, self._type({key: one for key, one in schema.items() if key != "x-type"}, depth))
