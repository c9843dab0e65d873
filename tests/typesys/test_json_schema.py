"""Types as JSON Schema, and back; what `to_json` gives fits the schema; JSON pointers to what is wrong."""

import decimal
import enum
import fractions
import json
import typing
import uuid
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Optional, TypedDict, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jsonschema = pytest.importorskip("jsonschema")
np = pytest.importorskip("numpy")
pydantic = pytest.importorskip("pydantic")
attrs = pytest.importorskip("attrs")
msgspec = pytest.importorskip("msgspec")

from promissory import Directory, File, Opaque, Secret, Shape, type_of  # noqa: E402
from promissory.errors import AnnotationError, ParseError  # noqa: E402
from promissory.typesys import codec_of, schema_of, type_from_schema  # noqa: E402
from promissory.typesys.as_json import to_json  # noqa: E402
from promissory.typesys.names import find  # noqa: E402
from promissory.typesys.parse import parse_json  # noqa: E402
from promissory.typesys.types import (  # noqa: E402
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT,
    NONE,
    STR,
    Definition,
    DictType,
    EnumType,
    Field,
    FrozenSetType,
    ListType,
    LiteralType,
    NamedType,
    RecordType,
    RefType,
    SetType,
    TupleType,
    VarTupleType,
    closed,
)
from promissory.typesys.unions import union  # noqa: E402

QUICK = settings(max_examples=40, deadline=None, database=None, derandomize=True)
DIALECT = "https://json-schema.org/draft/2020-12/schema"
T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: int
    y: float = 0.0


@dataclass
class Tree:
    value: int
    kids: list["Tree"] = field(default_factory=list)
    parent: Optional["Tree"] = None


@dataclass
class There:
    back: Optional["Back"] = None


@dataclass
class Back:
    there: There


@dataclass
class Box(Generic[T]):
    inside: T


class Pair(NamedTuple):
    left: int
    right: str = ""


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


@dataclass
class Nothing:
    pass


class Model(pydantic.BaseModel):
    name: str
    points: list[Point] = []
    size: Size = Size.SMALL


@attrs.define
class Part:
    name: str
    _count: int = 1


class Row(msgspec.Struct):
    a: int
    b: list[Pair] = []


KINDS = {
    "any": (Any, [1, {"a": None}, [True, 2.5]]),
    "none": (None, None),
    "bool": (bool, True),
    "int": (int, 10**30),
    "float": (float, 2.0),
    "str": (str, "x"),
    "bytes": (bytes, b"\0\xff"),
    "a buffer": (bytearray, bytearray(b"\0\xff")),
    "list": (list[int], [1, 2]),
    "nested lists": (list[list[str | None]], [["a"], [None], []]),
    "a tuple": (tuple[int, str], (1, "a")),
    "a tuple of one": (tuple[int], (1,)),
    "the empty tuple": (tuple[()], ()),
    "a tuple of any length": (tuple[int, ...], (1, 2, 3)),
    "a set": (set[int], {1, 2}),
    "a frozenset": (frozenset[str], frozenset("ab")),
    "a dict by text": (dict[str, float], {"a": 1.0}),
    "a dict by int": (dict[int, str], {1: "a"}),
    "a dict by enum": (dict[Colour, int], {Colour.RED: 1}),
    "a dict by date": (dict[date, int], {date(2026, 1, 2): 1}),
    "a dict by path": (dict[Path, int], {Path("a/b"): 1}),
    "a dict by tuple": (dict[tuple[int, int], str], {(1, 2): "a"}),
    "a dict by bool": (dict[bool, int], {True: 1}),
    "a dict by anything": (dict[Any, int], {None: 1}),
    "a union": (int | str | None, "a"),
    "a union of lists": (list[int] | dict[str, int], {"a": 1}),
    "a literal": (Literal["a", "b"], "b"),
    "a mixed literal": (Literal["a", 1, True, None, b"x"], b"x"),
    "an enum": (Colour, Colour.BLUE),
    "an int enum": (list[Size], [Size.LARGE]),
    "a flag": (Rights, Rights.READ | Rights.WRITE),
    "a flag without bits": (Rights, Rights(0)),
    "a dataclass": (Point, Point(1, 2.0)),
    "no fields": (Nothing, Nothing()),
    "two of one class": (tuple[Point, list[Point]], (Point(1), [Point(2)])),
    "a record in itself": (Tree, Tree(1, [Tree(2)], Tree(3))),
    "records in each other": (There, There(Back(There()))),
    "generic records": (tuple[Box[int], Box[Box[str]]], (Box(1), Box(Box("a")))),
    "a named tuple": (Pair, Pair(1, "a")),
    "a typed dict": (list[Movie], [{"title": "M"}, {"title": "N", "year": 1931}]),
    "pydantic": (Model, Model(name="n", points=[Point(1)])),
    "attrs": (Part, Part("p")),
    "msgspec": (Row, Row(1, [Pair(1)])),
    "datetime": (datetime, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    "date": (date, date(2026, 1, 2)),
    "time": (time, time(3, 4, 5)),
    "timedelta": (timedelta, timedelta(hours=1, microseconds=5)),
    "uuid": (uuid.UUID, uuid.UUID(int=7)),
    "decimal": (decimal.Decimal, decimal.Decimal("1.50")),
    "fraction": (fractions.Fraction, fractions.Fraction(1, 3)),
    "complex": (complex, 1 + 2j),
    "path": (Path, Path("a/b")),
    "a counter": (Counter[str], Counter("aab")),
    "an ordered dict": (OrderedDict[str, int], OrderedDict(a=1)),
    "a deque": (deque[Point], deque([Point(1)])),
    "a file": (File, File(b"x", name="a.txt")),
    "a file of a format": (File["csv"], File(b"x", name="a.csv")),
    "a directory": (list[Directory], []),
    "a secret": (Secret, Secret("NAME")),
    "an array": (np.ndarray, np.arange(6).reshape(2, 3)),
    "an array of a dtype": (np.ndarray[typing.Any, np.dtype[np.float32]], np.ones((2, 2), np.float32)),
    "an array of a shape": (Annotated[np.ndarray, Shape("N", 3)], np.ones((2, 3))),
    "an array of no dimension": (Annotated[np.ndarray, Shape()], np.array(1.5)),
}


def shown(value, annotation):
    codec = codec_of(annotation)
    return to_json(codec.lower(value), codec.type)


def through_text(type_):
    return type_from_schema(json.loads(json.dumps(schema_of(type_))))


@pytest.mark.parametrize("name", KINDS)
def test_a_type_comes_back_from_the_text_of_its_schema(name):
    type_ = type_of(KINDS[name][0])
    assert through_text(type_) == type_


@pytest.mark.parametrize("name", KINDS)
def test_a_type_inside_others_comes_back_from_the_text_of_its_schema(name):
    type_ = type_of(dict[str, list[Optional[KINDS[name][0]]]])  # noqa: UP045
    assert through_text(type_) == type_


@pytest.mark.parametrize("name", KINDS)
def test_a_schema_is_one_of_the_standard(name):
    schema = schema_of(type_of(KINDS[name][0]))
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", KINDS)
def test_a_value_as_json_fits_the_schema_and_is_read_back(name):
    annotation, value = KINDS[name]
    given_json = json.loads(json.dumps(shown(value, annotation)))
    jsonschema.Draft202012Validator(schema_of(type_of(annotation))).validate(given_json)
    if name not in ("an array", "a file", "a file of a format", "an array of no dimension"):
        codec = codec_of(annotation)
        again = codec.lift_tree(parse_json(given_json, codec.type, find))
        assert np.array_equal(again, value) if isinstance(value, np.ndarray) else again == value


MISFITS = [
    (int, "1"),
    (int, True),
    (list[int], ["a"]),
    (tuple[int, str], [1]),
    (tuple[int, str], [1, "a", 2]),
    (dict[str, int], {"a": "x"}),
    (Literal["a", "b"], "c"),
    (Colour, "GREEN"),
    (Point, {"y": 1}),
    (Point, {"x": 1, "z": 2}),
    (Tree, {"value": 1, "kids": [{"value": "x"}]}),
    (Movie, {"title": "M", "year": "old"}),
    (int | None, "x"),
    (Annotated[np.ndarray, Shape("N", 3)], 5),
]


@pytest.mark.parametrize(("annotation", "value"), MISFITS, ids=range(len(MISFITS)))
def test_what_does_not_fit_the_schema_is_no_value_of_the_type(annotation, value):
    assert not jsonschema.Draft202012Validator(schema_of(type_of(annotation))).is_valid(value)
    with pytest.raises(ParseError):
        parse_json(value, type_of(annotation), find)


def test_a_schema_says_which_fields_must_be_given_and_that_there_are_no_others():
    schema = schema_of(type_of(Point))
    (name,) = schema["$defs"]
    assert schema["$defs"][name] == {
        "type": "object",
        "title": "Point",
        "properties": {"x": {"type": "integer"}, "y": {"type": "number"}},
        "required": ["x"],
        "additionalProperties": False,
        "x-kind": "dataclass",
    }
    assert schema["$ref"] == "#/$defs/" + name


def test_a_value_of_a_pickle_has_no_json():
    schema = schema_of(type_of(Opaque[object]))
    assert through_text(type_of(Opaque[object])) == type_of(Opaque[object])
    assert not jsonschema.Draft202012Validator(schema).is_valid("anything")


scalars = st.sampled_from(
    [ANY, NONE, BOOL, INT, FLOAT, STR, BYTES, LiteralType(("a", "b")), EnumType("m:E", (("A", 1), ("B", None)))]
)
NAMES = ["m:A", "m:B", "m:G[list[m:A]]", "m:~/x"]


def containers(inner):
    return st.one_of(
        *(st.builds(one, inner) for one in (ListType, VarTupleType, SetType, FrozenSetType)),
        st.builds(DictType, inner, inner),
        st.builds(NamedType, st.just("collections.OrderedDict"), st.builds(DictType, inner, inner)),
        st.lists(inner, max_size=3).map(lambda items: TupleType(tuple(items))),
        st.lists(inner, min_size=1, max_size=3).map(union),
    )


mentioning = st.recursive(scalars | st.builds(RefType, st.sampled_from(NAMES)), containers, max_leaves=6)
fields = st.lists(
    st.builds(Field, st.text("xyz", min_size=1), mentioning, st.booleans()), max_size=3, unique_by=lambda f: f.name
)
definitions = st.fixed_dictionaries(
    {
        name: st.builds(
            Definition, st.just(name), st.sampled_from(["dataclass", "namedtuple", "typeddict"]), fields.map(tuple)
        )
        for name in NAMES
    }
)


@QUICK
@given(st.builds(closed, mentioning, definitions))
def test_every_type_comes_back_from_its_schema(type_):
    assert through_text(type_) == type_


# --- schemas that others wrote ----------------------------------------------------------------------------------------

FOREIGN = [
    (True, ANY),
    ({}, ANY),
    ({"description": "anything"}, ANY),
    ({"type": "integer", "minimum": 0}, INT),
    ({"type": "string", "pattern": "a+"}, STR),
    ({"type": "string", "format": "email"}, STR),
    ({"type": "string", "format": "date-time"}, type_of(datetime)),
    ({"type": "string", "format": "uuid"}, type_of(uuid.UUID)),
    ({"type": "string", "contentEncoding": "base64"}, BYTES),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, union([INT, NONE])),
    ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, union([INT, STR])),
    ({"allOf": [{"type": "integer"}]}, INT),
    ({"type": ["integer", "null"]}, union([INT, NONE])),
    ({"type": ["array", "null"], "items": {"type": "string"}}, union([ListType(STR), NONE])),
    ({"type": []}, ANY),
    ({"const": "a"}, LiteralType(("a",))),
    ({"const": 1}, LiteralType((1,))),
    ({"const": None}, LiteralType((None,))),
    ({"const": 1.5}, ANY),
    ({"enum": ["b", "a", "b"]}, LiteralType(("a", "b"))),
    ({"enum": ["a", 1, None, True]}, LiteralType((None, True, 1, "a"))),
    ({"enum": [[1], {}]}, ANY),
    ({"type": "array"}, ListType(ANY)),
    ({"items": {"type": "integer"}}, ListType(INT)),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, ListType(INT)),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, TupleType((INT, STR))),
    ({"prefixItems": [{"type": "integer"}]}, TupleType((INT,))),
    ({"type": "object"}, DictType(STR, ANY)),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, DictType(STR, INT)),
    ({"type": "object", "additionalProperties": True}, DictType(STR, ANY)),
    ({"type": "object", "additionalProperties": False}, DictType(STR, ANY)),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}}, INT),
    ({"$ref": "#/definitions/A", "definitions": {"A": {"type": "integer"}}}, INT),
    ({"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"type": "integer"}}}, INT),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"type": "null"}}}, NONE),
    (
        {"type": "array", "items": {"$ref": "#/definitions/A"}, "definitions": {"A": {"type": "boolean"}}},
        ListType(BOOL),
    ),
]


@pytest.mark.parametrize(("schema", "type_"), FOREIGN, ids=[f"{i}-{t}" for i, (_, t) in enumerate(FOREIGN)])
def test_a_foreign_schema_is_read_as_the_type_that_comes_nearest(schema, type_):
    assert type_from_schema(schema) == type_


def test_a_foreign_object_is_a_typed_dict():
    schema = {
        "title": "Order",
        "properties": {"n": {"type": "integer"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
        "required": ["n"],
    }
    fields = (Field("n", INT, True), Field("note", union([STR, NONE]), False))
    assert type_from_schema(schema) == RecordType("Order", (Definition("Order", "typeddict", fields),))
    type_ = type_from_schema(schema)
    assert to_json(parse_json({"n": 1}, type_), type_) == {"n": 1}
    with pytest.raises(ParseError, match="needs the field 'n'"):
        parse_json({"note": "a"}, type_)


def test_a_foreign_schema_may_refer_to_itself():
    schema = {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}}},
    }
    type_ = type_from_schema(schema)
    value = {"next": {"next": None}}
    assert to_json(parse_json(value, type_), type_) == value
    assert type_from_schema(schema_of(type_)) == type_


def test_objects_without_a_title_are_told_apart():
    schema = {
        "type": "array",
        "prefixItems": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "string"}}}],
    }
    type_ = type_from_schema(schema)
    assert to_json(parse_json([{"a": 1}, {"b": "x"}], type_), type_) == [{"a": 1}, {"b": "x"}]
    with pytest.raises(ParseError):
        parse_json([{"a": 1}, {"a": 1}], type_)


def test_different_objects_with_one_title_are_told_apart():
    schema = {
        "type": "array",
        "prefixItems": [
            {"title": "Item", "properties": {"a": {"type": "integer"}}},
            {"title": "Item", "properties": {"b": {"type": "string"}}},
        ],
    }
    type_ = type_from_schema(schema)
    assert to_json(parse_json([{"a": 1}, {"b": "x"}], type_), type_) == [{"a": 1}, {"b": "x"}]


def test_the_schema_that_pydantic_gives_is_read():
    type_ = type_from_schema(Model.model_json_schema())
    value = {"name": "n", "points": [{"x": 1, "y": 2.0}], "size": 2}
    assert to_json(parse_json(value, type_), type_) == value
    with pytest.raises(ParseError) as caught:
        parse_json({"name": "n", "points": [{"x": "1"}]}, type_)
    assert caught.value.pointer == "/points/0/x"


def test_the_schema_that_msgspec_gives_is_read():
    type_ = type_from_schema(msgspec.json.schema(Row))
    assert to_json(parse_json({"a": 1}, type_), type_) == {"a": 1}
    with pytest.raises(ParseError):
        parse_json({"a": "x"}, type_)


BAD = [
    None,
    5,
    "string",
    [],
    False,
    {"type": "text"},
    {"type": 5},
    {"type": {}},
    {"type": ["integer", "text"]},
    {"type": "array", "items": 5},
    {"type": "array", "prefixItems": [5]},
    {"anyOf": [{"type": "integer"}, "string"]},
    {"$ref": "#/$defs/A"},
    {"$ref": "#/$defs/A", "$defs": {"B": {}}},
    {"$ref": "https://example.org/schema"},
    {"$ref": 5},
    {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
    {"$ref": "#/$defs/A", "$defs": 5},
    {"properties": 5},
    {"properties": {"a": 5}},
    {"properties": {"a": {}}, "required": 5},
    {"properties": {"a": {}}, "x-kind": "class"},
    {"enum": 5},
    {"enum": ["not base64"], "x-bytes": True},
    {"x-enum": "m:E"},
    {"x-enum": "m:E", "enum": ["A"], "x-values": []},
    {"x-flag": "m:F"},
    {"x-flag": "m:F", "x-bits": 5},
    {"x-type": "numpy.ndarray", "x-shape": 5},
    {"x-type": "collections.Counter", "x-wire": 5},
    {"type": "string", "format": []},
]


@pytest.mark.parametrize("schema", BAD, ids=[json.dumps(one) for one in BAD])
def test_what_is_no_schema_is_an_annotation_error(schema):
    with pytest.raises(AnnotationError):
        type_from_schema(schema)


def test_a_schema_that_is_nested_without_end_is_an_annotation_error():
    schema = {"type": "integer"}
    for _ in range(2000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(AnnotationError, match="nested more than"):
        type_from_schema(schema)


# --- pointers ---------------------------------------------------------------------------------------------------------

POINTERS = [
    (int, "x", ""),
    (list[int], [1, 2, "x"], "/2"),
    (list[list[int]], [[1], [2, "x"]], "/1/1"),
    (tuple[int, str], [1, 2], "/1"),
    (dict[str, int], {"a": "x"}, "/a"),
    (dict[str, int], {"": "x"}, "/"),
    (dict[str, int], {"a/b": "x"}, "/a~1b"),
    (dict[str, int], {"a~b": "x"}, "/a~0b"),
    (dict[str, int], {"~1": "x"}, "/~01"),
    (dict[str, int], {"it's": "x"}, "/it's"),
    (dict[str, int], {"a\"b'c\\d": "x"}, "/a\"b'c\\d"),
    (dict[str, int], {"a.b[0]": "x"}, "/a.b[0]"),
    (dict[str, int], {"ä\n": "x"}, "/ä\n"),
    (dict[int, int], {"5": "x"}, "/5"),
    (dict[int, int], {"five": 1}, "/five"),
    (dict[tuple[int, int], int], [[[1, 2], 3], [[1, "x"], 3]], "/1/0/1"),
    (Point, {"x": 1, "y": "z"}, "/y"),
    (Point, {"y": 1}, ""),
    (list[Point], [{"x": 1}, {"x": "1"}], "/1/x"),
    (Tree, {"value": 1, "kids": [{"value": 2, "kids": [{"value": None}]}]}, "/kids/0/kids/0/value"),
    (list[Tree], [{"value": 1, "kids": [{"value": 2, "kids": [{}]}]}], "/0/kids/0/kids/0"),
    (dict[str, list[Movie]], {"a": [{"title": 1}]}, "/a/0/title"),
    (Box[list[int]], {"inside": [1, "x"]}, "/inside/1"),
    (Model, {"name": "n", "points": [{"x": 1, "y": "z"}]}, "/points/0/y"),
    (Part, {"name": 1}, "/name"),
    (Row, {"a": 1, "b": [{"left": "x"}]}, "/b/0/left"),
    (Point | None, {"x": "1"}, "/x"),
    (list[Colour], ["RED", "GREEN"], "/1"),
    (list[Rights], ["READ", "READ|FLY"], "/1"),
    (list[Literal["a"]], ["a", "b"], "/1"),
    (list[datetime], ["2026-01-02T03:04:05Z", "soon"], "/1"),
    (dict[str, uuid.UUID], {"a": "x"}, "/a"),
    (list[bytes], ["AA==", "?"], "/1"),
    (list[Opaque[object]], ["x"], "/0"),
]


@pytest.mark.parametrize(
    ("annotation", "value", "pointer"), POINTERS, ids=[f"{i}-{p!r}" for i, (_, _, p) in enumerate(POINTERS)]
)
def test_a_mistake_has_the_json_pointer_to_it(annotation, value, pointer):
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(annotation), find)
    assert caught.value.pointer == pointer


@QUICK
@given(st.lists(st.text(max_size=6) | st.integers(0, 20), max_size=5))
def test_a_json_pointer_leads_to_the_mistake_whatever_the_keys_are(steps):
    annotation, value = int, "wrong"
    for step in reversed(steps):
        if isinstance(step, str):
            annotation, value = dict[str, annotation], {step: value}
        else:
            annotation, value = list[annotation], [value]
    with pytest.raises(ParseError) as caught:
        parse_json(value, type_of(annotation), find)
    found = value
    for step in caught.value.pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found[int(key) if isinstance(found, list) else key]
    assert found == "wrong"
