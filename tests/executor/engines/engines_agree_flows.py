"""Tasks, dynamics and workflows that plans are put together from by `test_engines_agree.py`.

A module of its own, so that worker processes load no test tools.
"""

import sys
from dataclasses import dataclass
from typing import NamedTuple

from promissory import dynamic, task, workflow

LARGE = 3000
"""Length of a list of large numbers whose bytes are an object of their own."""


@dataclass
class Point:
    """Two numbers."""

    x: int
    y: float


@dataclass
class Shape:
    """Records in containers in a record."""

    points: list[Point]
    by_name: dict[str, int]
    pair: tuple[int, float]


class Ends(NamedTuple):
    """The first and the last."""

    first: int
    last: int


# --- tasks ------------------------------------------------------------------------------------------------------------


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def total(values: list[int]) -> int:
    return sum(values) % 1_000_003


@task
def half(x: float) -> float:
    return x / 2


@task
def mean(values: list[float]) -> float:
    return sum(values) / (len(values) or 1)


@task
def numbers(start: int, length: int) -> list[int]:
    return [start % 1000 + 1000 * n for n in range(length)]


@task
def backwards(values: list[int]) -> list[int]:
    """Changes its argument, which is its own."""
    values.reverse()
    values.append(len(values))
    return values


@task
def table(values: list[int]) -> dict[str, int]:
    return {"k": sum(values) % 97, "n": len(values)}


@task
def halves(values: list[int]) -> tuple[list[int], list[int]]:
    return values[::2], values[1::2]


@task
def ends(values: list[int]) -> Ends:
    return Ends(values[0], values[-1]) if values else Ends(0, 0)


@task
def point(x: int, y: float) -> Point:
    return Point(x, y)


@task
def outline(points: list[Point], by_name: dict[str, int], pair: tuple[int, float]) -> Shape:
    return Shape(points, by_name, pair)


@task
def area(shape: Shape) -> float:
    return sum(one.x * one.y for one in shape.points) + sum(shape.by_name.values()) + shape.pair[0] + shape.pair[1]


@task
def text(n: int, times: int) -> str:
    return f"line {n}\n" * times


@task
def length(said: str) -> int:
    return len(said)


@task
def nothing(x: int) -> None:
    return None


# --- dynamics ---------------------------------------------------------------------------------------------------------


@dynamic
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@dynamic
def count_down(n: int, sum: int) -> int:
    """A tail call a level."""
    return sum if n == 0 else count_down(n - 1, add(sum, n))


@workflow
def weighed(values: list[int], n: int) -> int:
    return add(total(backwards(values)), n)


@dynamic
def tree(n: int, values: list[int]) -> int:
    """Hands its list on to two of its kind, and to a workflow."""
    here = weighed(values, n)
    if n == 0:
        return here
    left, right = tree(n - 1, values), tree(n - 1, backwards(values))
    left >> right
    return total([left, here, right])


@dynamic
def spread(values: list[int], n: int) -> list[float]:
    """Promises and plain numbers, ints where floats are wanted."""
    return [add(value, n) for value in values[:3]] + [half(n), n, 0.5]


@dynamic
def shaped(n: int) -> Shape:
    """A record with promises all through it."""
    one = point(n, half(n))
    return Shape([one, Point(add(n), one.y)], {"a": total([n, n]), "b": one.x}, (add(n, n), add(n)))


@dynamic
def plain(n: int) -> int:
    """Creates no node."""
    return n * 7


# --- what fails -------------------------------------------------------------------------------------------------------


class Strange(Exception):
    """One that can't be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@task
def raises(x: int) -> int:
    raise ValueError(f"{x} is not wanted")


@task
def raises_strangely(x: int) -> int:
    raise Strange(x, x + 1)


@task
def leaves(x: int) -> int:
    sys.exit(3)


@task
def lies(x: int) -> int:
    return str(x)


@task
def lies_deep_down(x: int) -> list[Point]:
    return [Point(x, 1.0), Point("one", 1.0)]


@dynamic
def fails_while_tracing(x: int) -> int:
    add(x)
    raise KeyError(x)


@dynamic
def emits_nonsense(x: int) -> int:
    return add("one", x)


@dynamic
def fails_below(x: int) -> int:
    return add(fails_below(x - 1) if x > 0 else raises(x))


@dynamic
def repeats(x: int) -> int:
    return add(repeats(x))


@dynamic
def too_deep(x: int) -> int:
    return add(too_deep(x + 1))


FAILING = (
    raises,
    raises_strangely,
    leaves,
    lies,
    lies_deep_down,
    fails_while_tracing,
    emits_nonsense,
    fails_below,
    repeats,
    too_deep,
)
