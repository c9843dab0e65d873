"""Workflows over the less usual types, for `test_more_types.py`.

A module of its own, so that worker processes load no test tools.
"""

import enum
import re
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, NewType, NotRequired, Protocol, SupportsFloat, TypedDict, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from promissory import dynamic, register_codec, task, workflow

T = TypeVar("T")
N = TypeVar("N", bound=Decimal)
UserId = NewType("UserId", int)


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    A = 1
    B = 4


class Celsius:
    """A class with a codec of its own."""

    def __init__(self, degrees):
        self.degrees = degrees

    def __eq__(self, other):
        return type(other) is Celsius and other.degrees == self.degrees

    def __hash__(self):
        return hash(self.degrees)


register_codec(Celsius, wire=float, to_wire=lambda one: one.degrees, from_wire=Celsius)


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


@dataclass
class Box(Generic[T]):
    item: T
    more: list[T] = field(default_factory=list)


class Pair(NamedTuple, Generic[T]):
    a: T
    b: T


@dataclass
class Node(Generic[T]):
    value: T
    next: "Node[T] | None" = None


class Page(TypedDict, Generic[T]):
    items: list[T]
    next: NotRequired[T]


class HasDegrees(Protocol):
    degrees: float


@dataclass
class Everything:
    amount: Decimal
    part: Fraction
    wave: complex
    who: UUID
    steps: range
    data: bytearray
    view: memoryview
    queue: deque[int]
    order: OrderedDict[str, Fraction]
    words: Counter[str]
    fixed: MappingProxyType[str, list[int]]
    pattern: re.Pattern[str]
    zone: ZoneInfo
    offset: timezone
    access: Access
    mode: Mode | None
    movie: Movie
    box: Box[Decimal]
    pair: Pair[Access]
    chain: Node[int]
    page: Page[Box[int]]
    user: UserId
    warm: Celsius
    by_key: dict[Decimal | UUID, set[Fraction]]
    anything: Any


def example() -> Everything:
    """A value of every type."""
    return Everything(
        amount=Decimal("1.50"),
        part=Fraction(-1, 3),
        wave=1.5 - 2j,
        who=UUID("12345678-1234-5678-1234-567812345678"),
        steps=range(10, 0, -3),
        data=bytearray(b"\x00\xff"),
        view=memoryview(b"view"),
        queue=deque([1, 2], maxlen=3),
        order=OrderedDict(b=Fraction(1), a=Fraction(2)),
        words=Counter("aba"),
        fixed=MappingProxyType({"k": [1, 2]}),
        pattern=re.compile("a+", re.IGNORECASE),
        zone=ZoneInfo("Europe/Berlin"),
        offset=timezone(timedelta(hours=1), "CET"),
        access=Access.READ | Access.WRITE,
        mode=Mode.A,
        movie={"title": "M"},
        box=Box(Decimal("1.0"), [Decimal("1.00")]),
        pair=Pair(Access.READ, Access(0)),
        chain=Node(1, Node(2)),
        page={"items": [Box(1)], "next": Box(2, [3])},
        user=UserId(7),
        warm=Celsius(20.5),
        by_key={Decimal("0.5"): {Fraction(1, 2)}, UUID(int=1): set()},
        anything=[Decimal("2.0"), {"queue": deque([1]), "mode": Mode.B}, Celsius(1.0), Pair(range(2), bytearray(b"x"))],
    )


@task
def turned(x: Everything) -> Everything:
    """Asks that each value is of its class, and changes what can be changed."""
    assert type(x.amount) is Decimal and type(x.part) is Fraction and type(x.who) is UUID and type(x.steps) is range
    x.data[0] = 7
    x.queue.append(3)
    x.queue.append(4)
    x.order.move_to_end("b")
    x.words.update("b")
    x.fixed["k"].append(3)
    assert x.pattern.fullmatch("AA") and x.zone.key == "Europe/Berlin" and x.offset.tzname(None) == "CET"
    x.access &= ~Access.READ
    x.mode = Mode.A | Mode.B
    x.movie["year"] = 1931
    x.chain.next.next = Node(3)
    x.page["items"].append(x.page.pop("next"))
    x.warm = Celsius(x.warm.degrees + 1)
    x.by_key[x.amount] = {x.part}
    x.anything[1]["queue"].append(2)
    return x


@task
def apart(
    amount: Decimal,
    part: Fraction,
    wave: complex,
    who: UUID,
    steps: range,
    data: bytearray,
    queue: deque[int],
    order: OrderedDict[str, Fraction],
    words: Counter[str],
    access: Access,
    movie: Movie,
    box: Box[Decimal],
    pair: Pair[Access],
    page: Page[Box[int]],
    user: UserId,
    warm: Celsius,
) -> list[str]:
    """What each input is, as text."""
    shown = [
        amount,
        part,
        wave,
        who,
        steps,
        data,
        queue,
        order,
        words,
        access,
        movie,
        box,
        pair,
        page,
        user,
        warm.degrees,
    ]
    return [repr(one) for one in shown]


@task
def total(numbers: list[SupportsFloat]) -> float:
    return sum(map(float, numbers))


@task
def degrees(one: HasDegrees) -> float:
    return one.degrees


@task
def first(values: list[N]) -> N:
    return values[0]


@task
def remake(movie: Movie, item: Decimal) -> Page[Box[Decimal]]:
    return {"items": [Box(item, [Decimal(movie.get("year", 0))])]}


@dynamic
def deeper(node: Node[int], levels: int) -> Node[int]:
    if not levels:
        return node
    return deeper(Node(levels, node), levels - 1)


class Report(NamedTuple):
    all: Everything
    texts: list[str]
    total: float
    degrees: float
    first: Decimal
    pages: list[Page[Box[Decimal]]]
    chain: Node[int]


@workflow
def everything(x: Everything, start: Decimal, tag: Any) -> Report:
    made = turned(x)
    texts = apart(
        made.amount,
        x.part,
        made.wave,
        made.who,
        made.steps,
        made.data,
        made.queue,
        made.order,
        made.words,
        made.access,
        {"title": made.movie["title"], "year": made.movie["year"]},
        Box(start, [made.amount]),
        Pair(made.access, x.pair.a),
        {"items": [x.page["next"]]},
        made.user,
        made.warm,
    )
    pages = [remake({"title": "N"}, start), remake(made.movie, made.box.item)]
    chain = deeper(made.chain, 2)
    return Report(
        turned(x),
        texts,
        total([made.amount, made.part, 1, tag]),
        degrees(made.warm),
        first([start, made.amount]),
        pages,
        chain,
    )


@workflow
def inputs(
    amount: Decimal,
    movie: Movie,
    box: Box[int],
    access: Access,
    queue: deque[int],
    number: SupportsFloat,
    warm: Celsius,
    words: Counter[str] = Counter("ab"),
    pair: Pair[float] = Pair(1, 2.5),
) -> tuple[Decimal, Movie, Box[int], Access, deque[int], SupportsFloat, Celsius, Counter[str], Pair[float]]:
    return amount, movie, box, access, queue, number, warm, words, pair
