"""Parts of results: items of tuples, fields of records, keys of dicts."""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar, assert_type

from promissory import Promise, promise, task, workflow

T = TypeVar("T")


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Row:
    price: float
    tags: list[str]
    next: "Row | None" = None


@dataclass
class Box(Generic[T]):
    item: T


class Point(NamedTuple):
    x: int
    label: str


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


@task
def pair(x: int) -> tuple[int, str]:
    return x, "a"


@task
def nested(x: int) -> tuple[tuple[int, str], list[float]]:
    return (x, "a"), [1.0]


@task
def row(x: int) -> Row:
    return Row(x, [])


@task
def rows(x: int) -> list[Row]:
    return [Row(x, [])]


@task
def box(x: int) -> Box[int]:
    return Box(x)


@task
def point(x: int) -> Point:
    return Point(x, "a")


@task
def movie(title: str) -> Movie:
    return {"title": title}


@task
def table(x: int) -> dict[str, tuple[int, float]]:
    return {}


@task
def paint(color: Color, mode: Literal["fast", "slow"] = "fast") -> Color:
    return color


@task
def total(x: float) -> float:
    return x


@task
def inc(x: int) -> int:
    return x + 1


@task
def length(text: str) -> int:
    return len(text)


@task
def pages(movies: list[Movie], scores: dict[str, float]) -> int:
    return len(movies)


@workflow
def flow(x: int) -> tuple[int, list[str]]:
    number, text = pair(x)
    total(number)
    total(row(x).price)
    pages([movie(text), {"title": text, "year": inc(x)}], {"a": total(1)})
    paint(paint(Color.RED), "slow")
    return length(text), row(number).tags


@workflow
def made(x: int) -> Row:
    return Row(price=total(x), tags=row(x).tags, next=row(x))


def parts() -> None:
    number, text = pair(1)
    assert_type(number, int)
    assert_type(text, str)
    (first, second), third = nested(1)
    assert_type(first, int)
    assert_type(second, str)
    assert_type(third, list[float])
    assert_type(pair(1)[1], str)
    assert_type(row(1).price, float)
    assert_type(row(1).tags, list[str])
    assert_type(row(1).next, Row | None)
    assert_type(rows(1), list[Row])
    assert_type(box(1), Box[int])
    assert_type(box(1).item, int)
    assert_type(point(1).label, str)
    assert_type(movie("a")["title"], str)
    assert_type(table(1)["a"], tuple[int, float])
    assert_type(paint(Color.RED), Color)
    assert_type(flow(1), tuple[int, list[str]])
    assert_type(made(1).next, Row | None)
    assert_type(promise(row(1)), Promise[Row])


def refused() -> None:
    one, two, three = pair(1)  # error: it has two items
    inc(pair(1)[1])  # error: the second item is a str
    pair(1)[2]  # error: there is no third item
    row(1).cost  # error: a Row has no such field
    length(row(1).price)  # error: a float is no str
    inc(row(1).price)  # error: a float is no int
    inc(row(1).next.price)  # error: there may be no next row
    length(box(1).item)  # error: this box holds an int
    point(1).y  # error: a Point has no such field
    movie("a")["name"]  # error: a Movie has no such key
    inc(table(1)["a"][1])  # error: the second item is a float
    paint("RED")  # error: a text is no Color
    paint(Color.RED, "slowly")  # error: none of the two modes
    pages([{"titel": "a"}], {})  # error: no key of a Movie
    pages([{}], {})  # error: a Movie has a title
    pages((movie("a"),), {})  # error: a tuple is no list
    pages([], {"a": "b"})  # error: scores are numbers
    promise(row(1)).with_overrides(retries="3")  # error: retries are a number


@workflow
def turned(x: int) -> tuple[int, str]:
    number, text = pair(x)
    return text, number  # error: the other way round


@workflow
def wrong_field(x: int) -> Row:
    return Row(price=pair(x)[1], tags=[])  # error: a str is no price


@task
def wrong_result(x: int) -> list[int]:
    return [str(x)]  # error: texts where ints are declared


def defaults() -> None:
    @task
    def wrong_default(x: int = "1") -> int:  # error: a text where an int is declared
        return x
