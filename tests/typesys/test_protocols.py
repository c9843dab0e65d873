"""Protocols: `Any` on the wire, asked for when a value is written and again when it is read."""

import enum
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import (
    Annotated,
    Any,
    Generic,
    NamedTuple,
    NotRequired,
    Protocol,
    SupportsAbs,
    SupportsFloat,
    SupportsIndex,
    TypedDict,
    TypeVar,
    runtime_checkable,
)

import pytest

from promissory.typesys import TypeMismatch, assignable, check, codec_of, type_of
from promissory.typesys.canonical import unpack
from promissory.typesys.infer import Inference, mentions_opaque
from promissory.typesys.types import ANY

T = TypeVar("T")


class HasSize(Protocol):
    def size(self) -> int: ...


class HasName(Protocol):
    name: str


class HasBoth(HasSize, HasName, Protocol):
    pass


class Holds(Protocol[T]):
    def first(self) -> T: ...


@runtime_checkable
class Closes(Protocol):
    def close(self) -> None: ...


@dataclass
class Room:
    name: str

    def size(self) -> int:
        return len(self.name)

    def first(self) -> str:
        return self.name[0]


class Door(NamedTuple):
    width: int

    def close(self) -> None:
        pass


class Colour(enum.Enum):
    RED = 1

    def size(self) -> int:
        return self.value


class Explicit(HasSize):
    """A class that says that it follows the protocol is no protocol."""

    def size(self) -> int:
        return 7

    def __eq__(self, other):
        return type(other) is Explicit


@dataclass
class Shelf:
    things: list[HasSize]
    best: HasName | None = None


@dataclass
class Box(Generic[T]):
    item: T


class Label(TypedDict):
    of: HasSize
    more: NotRequired[HasName]


def travel(value, annotation):
    codec = codec_of(annotation)
    return codec.decode(codec.encode(value))


GOOD = [
    (HasSize, Room("a")),
    (HasSize, Colour.RED),
    (HasName, Room("a")),
    (HasName, Colour.RED),
    (HasBoth, Room("a")),
    (Holds[str], Room("a")),
    (Closes, Door(1)),
    (HasSize, Explicit()),
    (SupportsFloat, 1.5),
    (SupportsFloat, 2),
    (SupportsFloat, Decimal("1.0")),
    (SupportsFloat, Fraction(1, 2)),
    (SupportsIndex, 5),
    (SupportsAbs[float], -1.5),
    (SupportsFloat | None, None),
    (SupportsFloat | str, "a"),
    (list[SupportsFloat], [1, 1.5, Decimal(2)]),
    (dict[str, list[SupportsFloat]], {"a": [1.5]}),
    (tuple[HasSize, int], (Room("a"), 1)),
    (tuple[HasName, ...], (Room("a"), Colour.RED)),
    (frozenset[SupportsFloat], frozenset({1, 2.5})),
    (deque[SupportsFloat], deque([1])),
    (Sequence[HasSize], [Room("a")]),
    (Annotated[HasSize, "x"], Room("a")),
    (Shelf, Shelf([Room("a"), Explicit()], Room("b"))),
    (Box[SupportsFloat], Box(1.5)),
    (Label, {"of": Room("a")}),
    (Label, {"of": Room("a"), "more": Room("b")}),
]
IDS = [f"{i}-{getattr(a, '__name__', a)}" for i, (a, _) in enumerate(GOOD)]


@pytest.mark.parametrize(("annotation", "value"), GOOD, ids=IDS)
def test_P4_a_value_that_follows_the_protocol_comes_back_as_what_it_is(annotation, value):
    check(value, annotation)
    again = travel(value, annotation)
    assert again == value
    assert (type(again), repr(again)) == (type(value), repr(value)) or isinstance(value, Explicit | Shelf)


BAD = [
    (HasSize, 5),
    (HasName, Door(1)),
    (HasBoth, Door(1)),
    (Holds[str], Colour.RED),
    (Closes, Room("a")),
    (SupportsFloat, "1.5"),
    (SupportsFloat, None),
    (SupportsIndex, 1.5),
    (SupportsAbs[float], "a"),
    (SupportsFloat | None, "a"),
    (SupportsFloat | str, b"a"),
    (list[SupportsFloat], [1.0, "a"]),
    (list[SupportsFloat], (1.0,)),
    (dict[str, list[SupportsFloat]], {"a": [1.5, "b"]}),
    (tuple[HasSize, int], (5, 1)),
    (tuple[HasSize, int], (Room("a"), "1")),
    (tuple[HasName, ...], (Room("a"), 5)),
    (frozenset[SupportsFloat], frozenset({"a"})),
    (Sequence[HasSize], [Room("a"), 5]),
    (Label, {"of": 5}),
    (Label, {"of": Room("a"), "more": 5}),
]
BAD_IDS = [f"{i}-{getattr(a, '__name__', a)}" for i, (a, _) in enumerate(BAD)]


@pytest.mark.parametrize(("annotation", "value"), BAD, ids=BAD_IDS)
def test_P4_a_value_that_does_not_follow_the_protocol_is_refused_when_it_is_written(annotation, value):
    with pytest.raises(TypeMismatch):
        check(value, annotation)
    with pytest.raises(TypeMismatch):
        codec_of(annotation).encode(value)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(a, v) for a, v in BAD if a in (HasSize, HasName, Closes, SupportsFloat, SupportsIndex)],
    ids=range(6),
)
def test_P4_a_value_of_any_that_does_not_follow_the_protocol_is_refused_when_it_is_read(annotation, value):
    data = codec_of(Any).encode(value)
    with pytest.raises(TypeMismatch):
        codec_of(annotation).decode(data)
    with pytest.raises(TypeMismatch):
        codec_of(list[annotation]).decode(codec_of(list[Any]).encode([value]))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Shelf, Shelf([Room("a"), 5])),
        (Shelf, Shelf([], best=5)),
        (list[Shelf], [Shelf([5])]),
        (dict[str, Shelf], {"a": Shelf([], 5)}),
        (Box[SupportsFloat], Box("a")),
        (list[Box[HasSize]], [Box(5)]),
        (deque[SupportsFloat], deque(["a"])),
        (OrderedDict[str, HasSize], OrderedDict(a=5)),
    ],
    ids=range(8),
)
def test_P4_a_protocol_in_a_record_or_a_container_of_any_kind_is_asked_for_too(annotation, value):
    with pytest.raises(TypeMismatch):
        check(value, annotation)
    with pytest.raises(TypeMismatch):
        codec_of(annotation).encode(value)


def test_P4_the_message_names_the_item_and_what_it_lacks():
    with pytest.raises(TypeMismatch) as caught:
        codec_of(list[SupportsFloat]).encode([1.0, "a"])
    assert (
        str(caught.value)
        == "item 1 of list is not compatible with the SupportsFloat protocol because it has no method named '__float__'"
    )


def test_a_protocol_is_any_on_the_wire():
    for annotation in (HasSize, HasName, SupportsFloat, Holds[str], SupportsFloat | None, Protocol):
        assert type_of(annotation) == ANY
    assert str(type_of(dict[str, list[HasSize]])) == "dict[str, list[Any]]"
    assert codec_of(SupportsFloat).encode(Decimal(1)) == codec_of(Any).encode(Decimal(1))
    assert unpack(codec_of(list[SupportsFloat]).encode([1, 2.5])) == [1, 2.5]


def test_a_protocol_is_known_and_no_pickle():
    inference = Inference()
    inference.infer(dict[str, HasSize | SupportsFloat])
    assert (inference.unknown, inference.classes) == ([], {})
    assert inference.protocols == [HasSize, SupportsFloat]
    assert not mentions_opaque(type_of(Shelf))


def test_a_class_that_follows_a_protocol_is_none():
    assert "Opaque" in str(type_of(Explicit))


def test_P3_anything_may_be_passed_where_a_protocol_is_wanted_and_is_asked_at_run_time():
    assert assignable(type_of(str), type_of(SupportsFloat))
    assert assignable(type_of(SupportsFloat), type_of(float))
