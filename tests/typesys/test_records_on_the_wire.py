"""Dataclasses and NamedTuples: taken apart by field and put together again."""

import dataclasses
from collections import namedtuple
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple

import pytest

from promissory.typesys import AnnotationError, FormatError, TypeMismatch, codec_of
from promissory.typesys.canonical import unpack
from promissory.typesys.records import builder, field_names, is_record, reader


@dataclass
class Plain:
    a: int
    b: str = "x"
    c: list[int] = field(default_factory=list)
    kind: ClassVar[str] = "plain"


@dataclass(frozen=True)
class Frozen:
    a: int


@dataclass(frozen=True, slots=True)
class FrozenSlots:
    a: int
    b: "FrozenSlots | None" = None


@dataclass(slots=True)
class Slots:
    a: float


@dataclass(kw_only=True)
class KeywordOnly:
    a: int
    b: int


@dataclass
class Mixed:
    a: int
    _: KW_ONLY
    b: int = 0


@dataclass
class WithInitVar:
    a: int
    scale: InitVar[int]
    total: int = field(init=False)

    def __post_init__(self, scale):
        self.total = self.a * scale


@dataclass
class Derived:
    a: int
    double: int = field(init=False, default=0)

    def __post_init__(self):
        self.double = 2 * self.a


@dataclass
class Empty:
    pass


@dataclass
class Base:
    a: int


@dataclass
class Child(Base):
    b: int = 0


class Point(NamedTuple):
    x: int
    y: float = 0.0


Loose = namedtuple("Loose", "a b")


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)
    by_name: "dict[str, Tree]" = field(default_factory=dict)


@dataclass
class Folder:
    name: str
    entries: "list[Entry]" = field(default_factory=list)


@dataclass
class Entry:
    size: int
    folder: "Folder | None" = None


def travel(value, annotation=None):
    codec = codec_of(annotation or type(value))
    return codec.decode(codec.encode(value))


RECORDS = [
    Plain(1, "b", [1]),
    Frozen(1),
    FrozenSlots(1, FrozenSlots(2)),
    Slots(1.5),
    KeywordOnly(a=1, b=2),
    Mixed(1, b=2),
    WithInitVar(3, 4),
    Derived(5),
    Empty(),
    Child(1, 2),
    Point(1, 2.5),
    Loose(1, ["any", (1,)]),
    Tree(1, [Tree(2, [Tree(3)])], {"x": Tree(4)}),
    Folder("a", [Entry(1, Folder("b", [Entry(2)])), Entry(3)]),
]


@pytest.mark.parametrize("value", RECORDS, ids=[type(value).__name__ for value in RECORDS])
def test_a_record_comes_back_equal_and_of_its_class(value):
    again = travel(value)
    assert again == value
    assert type(again) is type(value)
    assert travel([value, value], list[type(value)]) == [value, value]
    assert travel(value, type(value) | None) == value


@pytest.mark.parametrize("value", RECORDS, ids=[type(value).__name__ for value in RECORDS])
def test_a_record_comes_back_from_any(value):
    again = travel(value, Any)
    assert again == value
    assert type(again) is type(value)


def test_a_record_is_an_array_of_its_fields_in_order():
    assert unpack(codec_of(Plain).encode(Plain(1))) == [1, "x", []]
    assert unpack(codec_of(Point).encode(Point(1))) == [1, 0.0]
    assert unpack(codec_of(Empty).encode(Empty())) == []


def test_a_default_is_a_new_object_each_time():
    first, second = travel(Plain(1)), travel(Plain(1))
    first.c.append(1)
    assert second.c == []


def test_a_field_without_init_is_as_it_was_and_not_derived_again():
    value = Derived(5)
    value.double = 7
    assert travel(value).double == 7


def test_a_frozen_record_is_still_frozen():
    again = travel(FrozenSlots(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.a = 2
    assert hash(again) == hash(FrozenSlots(1))


def test_P4_an_instance_of_another_class_is_refused_even_if_it_looks_the_same():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(Frozen).encode(Slots(1))
    assert str(caught.value) == "expected Frozen, got Slots"
    other = dataclasses.make_dataclass("Frozen", ["a"])
    with pytest.raises(TypeMismatch) as caught:
        codec_of(Frozen).encode(other(1))
    assert str(caught.value) == "expected Frozen, got Frozen (another class of that name)"


def test_two_classes_of_one_name_in_one_annotation_are_refused():
    def make(annotation):
        @dataclass
        class Made:
            value: annotation

        return Made

    first, second = make(int), make(str)
    assert travel(first(1)) == first(1)
    assert travel(second("a")) == second("a")
    with pytest.raises(AnnotationError) as caught:
        codec_of(tuple[first, second])
    name = f"{__name__}:{first.__qualname__}"
    assert (
        str(caught.value) == f"two classes are both called {name}, and a plan tells classes apart by name; rename one"
    )


@pytest.mark.parametrize("tree", [[], [1, "b"], [1, "b", [], 4], 5, None, "abcd"])
def test_a_tree_of_another_shape_is_a_format_error(tree):
    from promissory.typesys.canonical import pack

    with pytest.raises(FormatError):
        codec_of(Plain).decode(pack(tree))


def test_a_record_is_known_by_its_fields():
    assert is_record(Plain) and is_record(Point) and not is_record(tuple) and not is_record(int)
    assert field_names(Plain) == ("a", "b", "c")
    assert field_names(Point) == ("x", "y")


def test_a_record_is_taken_apart_and_built_from_the_fields_that_are_named():
    names = ("a", "b", "c")
    assert reader(Plain, names)(Plain(1)) == [1, "x", []]
    assert reader(Plain, ("a",))(Plain(1)) == [1]
    assert reader(Empty, ())(Empty()) == []
    assert builder(Plain, names)([1, "x", []]) == Plain(1)
    assert builder(Point, ("x", "y"))([1, 2.0]) == Point(1, 2.0)
