"""Values that were written with an older class, and are read with a newer one; pickles that are read as families."""

import sys
import textwrap
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

np = pytest.importorskip("numpy")
pydantic = pytest.importorskip("pydantic")
attrs = pytest.importorskip("attrs")
msgspec = pytest.importorskip("msgspec")

from promissory import Opaque, type_of  # noqa: E402
from promissory.errors import FormatError, NotTrusted  # noqa: E402
from promissory.typesys import codec_of  # noqa: E402
from promissory.typesys.assignability import is_read_as  # noqa: E402
from promissory.typesys.opaque import dumps, pickles_refused  # noqa: E402
from promissory.typesys.type_format import type_bytes, type_from_bytes  # noqa: E402
from promissory.typesys.wire import codec_for  # noqa: E402

HEAD = """
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar
import attrs, msgspec, pydantic

T = TypeVar("T")
"""
KINDS = {
    "dataclass": ("@dataclass\nclass Thing:", "field(default_factory=list)"),
    "frozen dataclass": ("@dataclass(frozen=True, slots=True)\nclass Thing:", "field(default_factory=list)"),
    "keywords": ("@dataclass(kw_only=True)\nclass Thing:", "field(default_factory=list)"),
    "namedtuple": ("class Thing(NamedTuple):", None),
    "pydantic": ("class Thing(pydantic.BaseModel):", "pydantic.Field(default_factory=list)"),
    "attrs": ("@attrs.define\nclass Thing:", "attrs.field(factory=list)"),
    "frozen attrs": ("@attrs.frozen\nclass Thing:", "attrs.Factory(list)"),
    "msgspec": ("class Thing(msgspec.Struct):", "msgspec.field(default_factory=list)"),
    "msgspec by keywords": ("class Thing(msgspec.Struct, kw_only=True, frozen=True):", "[]"),
}
WITH_FACTORIES = [kind for kind, (_, factory) in KINDS.items() if factory is not None]
each_kind = pytest.mark.parametrize("kind", KINDS)


def thing(kind, *fields):
    """The source of a class; `FACTORY` makes a list anew."""
    head, factory = KINDS[kind]
    return "\n    ".join([head, *(one.replace("FACTORY", factory or "") for one in fields)])


@pytest.fixture
def aged(write_module, monkeypatch):
    """A function (source then, source now, value, annotation) → (the value that is read now, the module of now)."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def read(before, after, value="Thing(a=1, b='x')", annotation="Thing"):
        sys.modules.pop("aged", None)
        old = write_module("aged", HEAD + textwrap.dedent(before))
        codec = codec_of(eval(annotation, vars(old)))
        data = codec.encode(eval(value, vars(old)))
        del sys.modules["aged"]
        new = write_module("aged", HEAD + textwrap.dedent(after))
        return codec_for(type_from_bytes(type_bytes(codec.type))).decode(data), new

    return read


@each_kind
def test_V4_a_field_that_was_added_at_the_end_has_its_default(aged, kind):
    found, new = aged(thing(kind, "a: int", "b: str"), thing(kind, "a: int", "b: str", "c: int = 5"))
    assert (type(found), found) == (new.Thing, new.Thing(a=1, b="x", c=5))


@each_kind
def test_V4_a_field_that_was_added_in_the_middle_has_its_default(aged, kind):
    found, new = aged(
        thing(kind, "a: int", "b: str = ''"), thing(kind, "a: int", "c: int = 5", "d: int = 6", "b: str = ''")
    )
    assert (type(found), found) == (new.Thing, new.Thing(a=1, b="x", c=5, d=6))
    assert (found.a, found.b, found.c, found.d) == (1, "x", 5, 6)


@pytest.mark.parametrize("kind", WITH_FACTORIES)
def test_V4_a_field_that_was_added_is_made_anew_by_its_factory(aged, kind):
    found, new = aged(
        thing(kind, "a: int", "b: str"),
        thing(kind, "a: int", "b: str", "c: list[int] = FACTORY"),
        "[Thing(a=1, b='x'), Thing(a=2, b='y')]",
        "list[Thing]",
    )
    assert found == [new.Thing(a=1, b="x", c=[]), new.Thing(a=2, b="y", c=[])]
    found[0].c.append(1)
    assert found[1].c == []


@each_kind
def test_V4_fields_in_another_order_are_read_by_their_names(aged, kind):
    found, new = aged(thing(kind, "a: int", "b: int"), thing(kind, "b: int", "a: int"), "Thing(a=1, b=2)")
    assert found == new.Thing(a=1, b=2)


@pytest.mark.full(keep=18)
@each_kind
@pytest.mark.parametrize(
    ("annotation", "shape"),
    [
        ("list[Thing]", "[{}]"),
        ("dict[str, list[Thing]]", "{{'k': [{}, {}]}}"),
        ("tuple[int, Thing | None]", "(1, {})"),
        ("list[Any]", "[{}]"),
        ("Any", "{{'k': [{}]}}"),
        ("Any", "{}"),
    ],
)
def test_V4_a_field_that_was_added_has_its_default_wherever_the_record_stands(aged, kind, annotation, shape):
    found, new = aged(
        thing(kind, "a: int", "b: str = ''"),
        thing(kind, "a: int", "c: int = 5", "b: str = ''"),
        shape.format(*["Thing(a=1, b='x')"] * 2),
        annotation,
    )
    assert found == eval(shape.format(*["Thing(a=1, b='x', c=5)"] * 2), vars(new))


@pytest.mark.full(keep=10)
@each_kind
@pytest.mark.parametrize("annotation", ["Thing", "Any", "dict[str, list[Thing]]"])
def test_V4_a_field_that_was_added_without_a_default_is_refused_and_both_versions_are_named(aged, kind, annotation):
    value = "{'k': [Thing(a=1, b='x')]}" if "dict" in annotation else "Thing(a=1, b='x')"
    with pytest.raises(FormatError) as caught:
        aged(thing(kind, "a: int", "b: str"), thing(kind, "a: int", "c: int", "b: str"), value, annotation)
    assert "a Thing was written with the fields a, b; the class has 'c' by now, without a default: it has a, c, b" in (
        str(caught.value)
    )


@pytest.mark.full(keep=10)
@each_kind
@pytest.mark.parametrize("annotation", ["Thing", "Any", "dict[str, list[Thing]]"])
def test_V4_a_field_that_was_removed_is_refused_and_both_versions_are_named(aged, kind, annotation):
    value = "{'k': [Thing(a=1, b='x')]}" if "dict" in annotation else "Thing(a=1, b='x')"
    with pytest.raises(FormatError) as caught:
        aged(thing(kind, "a: int", "b: str"), thing(kind, "a: int", "c: int = 1"), value, annotation)
    assert "a Thing was written with the fields a, b; the class has no 'b' any more: it has a, c" in str(caught.value)


@pytest.mark.full(keep=10)
@each_kind
@pytest.mark.parametrize("annotation", ["Thing", "list[Thing | None]", "dict[str, list[Thing]]"])
def test_V4_a_field_of_another_type_is_refused_and_both_types_are_named(aged, kind, annotation):
    value = {"Thing": "{}", "list[Thing | None]": "[None, {}]"}.get(annotation, "{{'k': [{}]}}")
    with pytest.raises(FormatError) as caught:
        aged(
            thing(kind, "a: int", "b: str"),
            thing(kind, "a: list[int]", "b: str"),
            value.format("Thing(a=1, b='x')"),
            annotation,
        )
    assert "a Thing was written with a: int, and the class has a: list[int] by now (int is not list[int])" in str(
        caught.value
    )


@pytest.mark.full(keep=10)
@each_kind
@pytest.mark.parametrize("wider", ["int | None", "float", "Any"])
def test_V4_a_field_of_a_wider_type_takes_what_was_written(aged, kind, wider):
    found, new = aged(thing(kind, "a: int", "b: str"), thing(kind, f"a: {wider}", "b: str"))
    assert found == new.Thing(a=1, b="x")


@each_kind
def test_V4_a_value_that_was_read_with_a_newer_class_is_written_as_one_of_it(aged, kind):
    found, new = aged(thing(kind, "a: int", "b: str"), thing(kind, "a: float | None", "b: str", "c: int = 5"))
    codec = codec_of(new.Thing)
    assert codec.decode(codec.encode(found)) == new.Thing(a=1, b="x", c=5)


@pytest.mark.parametrize("annotation", ["Thing", "Any"])
def test_V4_a_field_that_a_pydantic_model_has_got_is_none_of_those_that_were_set(aged, annotation):
    found, _ = aged(
        thing("pydantic", "a: int", "b: str = ''"),
        thing("pydantic", "a: int", "b: str = ''", "c: int = 5"),
        "Thing(a=1)",
        annotation,
    )
    assert found.model_fields_set == {"a"}
    assert found.model_dump(exclude_unset=True) == {"a": 1}


def test_V4_the_extra_and_private_values_of_a_model_stay_beside_a_field_that_was_added(aged):
    lines = "model_config = {'extra': 'allow'}", "_seen: int = 0", "a: int"
    found, _ = aged(thing("pydantic", *lines), thing("pydantic", *lines, "c: int = 5"), "Thing(a=1, z=9)")
    assert (found.a, found.c, found.model_extra, found._seen) == (1, 5, {"z": 9}, 0)


def test_V4_a_field_of_pydantic_that_was_added_may_be_made_of_the_others(aged):
    found, _ = aged(
        thing("pydantic", "a: int"),
        thing("pydantic", "a: int", "c: int = pydantic.Field(default_factory=lambda data: data['a'] * 2)"),
        "Thing(a=4)",
    )
    assert (found.a, found.c) == (4, 8)


def test_V4_a_field_of_attrs_that_was_added_may_be_made_of_the_others(aged):
    found, _ = aged(
        thing("attrs", "a: int"),
        thing("attrs", "a: int", "c: int = attrs.Factory(lambda self: self.a * 2, takes_self=True)"),
        "Thing(a=4)",
    )
    assert (found.a, found.c) == (4, 8)


def test_V4_a_private_field_of_attrs_that_was_added_has_its_default(aged):
    found, new = aged(thing("attrs", "_a: int"), thing("attrs", "_a: int", "_c: int = 5"), "Thing(a=4)")
    assert found == new.Thing(a=4, c=5)


@pytest.mark.parametrize("annotation", ["Thing", "Any"])
def test_V4_a_field_that_was_added_and_is_derived_is_derived(aged, annotation):
    found, _ = aged(
        thing("dataclass", "a: int"),
        thing(
            "dataclass",
            "a: int",
            "c: int = field(init=False)",
            "def __post_init__(self):",
            "    self.c = self.a * 2",
        ),
        "Thing(a=4)",
        annotation,
    )
    assert (found.a, found.c) == (4, 8)


def test_V4_an_init_var_that_was_added_does_not_hinder(aged):
    found, _ = aged(
        thing("dataclass", "a: int"), thing("dataclass", "a: int", "how: InitVar[str] = ''", "c: int = 5"), "Thing(a=4)"
    )
    assert (found.a, found.c) == (4, 5)


@pytest.mark.parametrize("annotation", ["Thing[int]", "Any"])
def test_V4_a_generic_record_has_its_new_fields(aged, annotation):
    head = "@dataclass\nclass Thing(Generic[T]):\n    a: T"
    found, new = aged(head, head + "\n    c: int = 5", "Thing(a=1)", annotation)
    assert found == new.Thing(1, 5)


def test_V4_a_record_in_itself_has_its_new_fields_at_every_level(aged):
    head = "@dataclass\nclass Thing:\n    a: int\n    kids: 'list[Thing]' = field(default_factory=list)"
    found, new = aged(head, head + "\n    c: int = 5", "Thing(1, [Thing(2, [Thing(3)])])")
    assert found == new.Thing(1, [new.Thing(2, [new.Thing(3, [], 5)], 5)], 5)


@pytest.mark.parametrize("annotation", ["Thing", "list[Thing]", "Any"])
def test_V4_a_record_of_a_derived_class_has_the_new_fields_of_its_base(aged, annotation):
    base, derived = "@dataclass\nclass Thing:\n    a: int", "\n\n@dataclass\nclass More(Thing):\n    b: int = 0\n"
    value = "[More(1, b=2)]" if "list" in annotation else "More(1, b=2)"
    found, new = aged(base + derived, base + "\n    c: int = 5" + derived, value, annotation)
    assert (found[0] if isinstance(found, list) else found) == new.More(1, c=5, b=2)


INNER = "@dataclass\nclass Inner:\n    a: int"
OUTER = "\n\n@dataclass\nclass Thing:\n    inner: {}\n"


@pytest.mark.parametrize(("annotation", "shape"), [("Inner", "{}"), ("list[Inner]", "[{}]"), ("Any", "{}")])
def test_V4_a_record_inside_another_has_its_new_fields(aged, annotation, shape):
    outer = OUTER.format(annotation)
    found, new = aged(INNER + outer, INNER + "\n    b: int = 5" + outer, f"Thing({shape.format('Inner(1)')})")
    assert found == eval(f"Thing({shape.format('Inner(1, 5)')})", vars(new))


def test_V4_a_record_inside_another_that_lost_a_field_is_named(aged):
    outer = OUTER.format("list[Inner]")
    with pytest.raises(FormatError, match=r"Inner .*a, b"):
        aged(INNER + "\n    b: int = 0" + outer, INNER + outer, "Thing([Inner(1)])")


def test_V4_another_kind_of_class_with_the_same_fields_reads_them(aged):
    found, new = aged(thing("dataclass", "a: int", "b: str"), thing("pydantic", "a: int", "b: str", "c: int = 5"))
    assert found == new.Thing(a=1, b="x", c=5)


# --- what is read as what ---------------------------------------------------------------------------------------------


@dataclass
class Plain:
    a: int


class Named(NamedTuple):
    a: int


class Model(pydantic.BaseModel):
    a: int


@attrs.define
class Part:
    a: int


class Row(msgspec.Struct):
    a: int


READ = [
    (int, int),
    (Any, Any),
    (Plain, Plain),
    (Opaque[object], Plain),
    (Opaque[object], Model),
    (Opaque[object], np.ndarray),
    (Opaque[object], date),
    (list[Opaque[object]], list[np.ndarray]),
    (dict[str, list[Opaque[object]]], dict[str, list[Model]]),
    (tuple[int, Opaque[object]], tuple[int, Part]),
    (tuple[Opaque[object], ...], tuple[Row, ...]),
]
NOT_READ = [
    (int, float),
    (int, Any),
    (Any, int),
    (bool, int),
    (Opaque[object], int),
    (Opaque[object], list[int]),
    (Opaque[object], Any),
    (Plain, Opaque[object]),
    (np.ndarray, Opaque[object]),
    (Plain, Named),
    (date, np.ndarray),
    (list[int], list[float]),
    (list[Opaque[object]], list[int]),
    (list[Opaque[object]], tuple[np.ndarray, ...]),
    (list[Opaque[object]], set[date]),
    (tuple[int, Opaque[object]], tuple[int, Part, Part]),
    (tuple[int, Opaque[object]], tuple[str, Part]),
    (Literal["a"], Literal["b"]),
    (tuple[()], tuple[int]),
]


@pytest.mark.parametrize(("written", "wanted"), READ, ids=[f"{w} as {t}" for w, t in READ])
def test_what_was_a_pickle_is_read_as_what_has_a_wire_form_by_now(written, wanted):
    assert is_read_as(type_of(written), type_of(wanted))


@pytest.mark.parametrize(("written", "wanted"), NOT_READ, ids=[f"{w} as {t}" for w, t in NOT_READ])
def test_other_types_are_not_read_as_each_other(written, wanted):
    assert not is_read_as(type_of(written), type_of(wanted))


# --- pickles ----------------------------------------------------------------------------------------------------------

PICKLED = {
    "array": (np.arange(3), np.ndarray),
    "date": (date(2026, 1, 2), date),
    "path": (Path("a/b"), Path),
    "dataclass": (Plain(1), Plain),
    "namedtuple": (Named(1), Named),
    "pydantic": (Model(a=1), Model),
    "attrs": (Part(1), Part),
    "msgspec": (Row(1), Row),
}
each_pickled = pytest.mark.parametrize("name", PICKLED)


@each_pickled
def test_V4_a_pickle_is_read_by_the_codec_of_what_it_holds(name):
    value, cls = PICKLED[name]
    again = codec_of(cls).decode(codec_of(Opaque[cls]).encode(value))
    assert type(again) is type(value)
    assert np.array_equal(again, value) if cls is np.ndarray else again == value


@each_pickled
def test_V4_pickles_in_containers_are_read_by_the_codec_of_what_they_hold(name):
    value, cls = PICKLED[name]
    data = codec_of(dict[str, list[Opaque[cls] | None]]).encode({"a": [value, None]})
    again = codec_of(dict[str, list[cls | None]]).decode(data)
    assert again["a"][1] is None
    assert np.array_equal(again["a"][0], value) if cls is np.ndarray else again["a"][0] == value


@each_pickled
def test_V4_a_pickle_of_another_class_is_refused(name):
    cls = PICKLED[name][1]
    with pytest.raises(FormatError, match="is the pickle of a str"):
        codec_of(cls).decode(codec_of(Opaque[str]).encode("text"))


@each_pickled
def test_T2_no_pickle_is_loaded_where_pickles_are_refused(name):
    value, cls = PICKLED[name]
    data = codec_of(Opaque[cls]).encode(value)
    for annotation in (Opaque[cls], cls):
        with pickles_refused("ask for it"), pytest.raises(NotTrusted, match="ask for it"):
            codec_of(annotation).decode(data)
    assert codec_of(cls).decode(data) is not None


@each_pickled
def test_T2_what_is_no_pickle_is_read_where_pickles_are_refused(name):
    value, cls = PICKLED[name]
    with pickles_refused("ask for it"):
        again = codec_of(cls).decode(codec_of(cls).encode(value))
    assert np.array_equal(again, value) if cls is np.ndarray else again == value


class Marks:
    """A class whose pickle, when it is loaded, leaves a mark."""

    loaded = 0

    def __reduce__(self):
        return mark, ()


def mark():
    Marks.loaded += 1
    return Marks()


@pytest.mark.parametrize("annotation", [Opaque[Marks], Any, list[Any], Plain, np.ndarray])
def test_T2_a_pickle_that_is_refused_runs_nothing(annotation, monkeypatch):
    monkeypatch.setattr(Marks, "loaded", 0)
    wrapped = annotation == list[Any]
    written = annotation if annotation in (Any, list[Any]) else Opaque[Marks]
    data = codec_of(written).encode([Marks()] if wrapped else Marks())
    with pickles_refused("ask for it"), pytest.raises(NotTrusted):
        codec_of(annotation).decode(data)
    assert Marks.loaded == 0


LIKE_PICKLES = [b"\x80\x05\x95", b"P2\x80", b"\x80\x05\x95\0\0", dumps(5), dumps(bytearray(b"other"))]


@pytest.mark.parametrize("content", LIKE_PICKLES, ids=range(len(LIKE_PICKLES)))
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("shape", ["alone", "any", "list"])
def test_V4_bytes_that_look_like_a_pickle_are_bytes(content, kind, shape):
    annotation = {"alone": kind, "any": Any, "list": list[kind]}[shape]
    value = [kind(content)] if shape == "list" else kind(content)
    with pickles_refused("ask for it"):
        again = codec_of(annotation).decode(codec_of(annotation).encode(value))
    assert bytes(again[0] if shape == "list" else again) == content
