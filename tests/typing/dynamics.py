"""Async dynamics: `await value(x)` has the type that x has."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import assert_type

from promissory import Dynamic, approve, dynamic, task, value, workflow


@dataclass
class Row:
    price: float
    tags: list[str]


@task
def inc(x: int) -> int:
    return x + 1


@task
def name_of(x: int) -> str:
    return str(x)


@task
def row(x: int) -> Row:
    return Row(x, [])


@task
def pair(x: int) -> tuple[int, str]:
    return x, "a"


@dynamic
async def climb(n: int) -> int:
    assert_type(await value(inc(n)), int)
    assert_type(value(name_of(n)), Awaitable[str])
    assert_type(await value([inc(n), inc(2)]), list[int])
    assert_type(await value({"a": name_of(n)}), dict[str, str])
    assert_type((await value(row(n))).price, float)
    assert_type(await value(row(n).tags), list[str])
    left, right = await value(pair(n))
    assert_type(left, int)
    assert_type(right, str)
    one, other = await asyncio.gather(value(inc(n)), value(name_of(n)))
    assert_type(one, int)
    assert_type(other, str)
    assert_type(await asyncio.wait_for(value(inc(n)), 60), int)
    assert_type(await value(approve(inc(n), "go on")), int)
    for done in asyncio.as_completed([value(inc(n)), value(inc(2))]):
        assert_type(await done, int)
    while n < 10:
        n = await value(inc(n))
    return inc(n)


@dynamic(max_depth=3, cache=True)
async def halved(n: int) -> int:
    return n if n < 2 else await value(halved(n // 2))


@dynamic
async def wrong(n: int) -> int:
    n = await value(name_of(n))  # error: the value is a str
    inc(await value(name_of(n)))  # error: an int is wanted
    inc(value(inc(n)))  # error: it was not awaited
    await inc(n)  # error: an int can't be awaited; value(inc(n)) can
    value()  # error: nothing to wait for
    value(inc(n), inc(n))  # error: one thing at a time; a list of both
    return name_of(n)  # error: a str is returned where an int is declared


@workflow
def flow(n: int) -> int:
    return halved(climb(n))


def results() -> Dynamic[[int], int]:
    assert_type(climb(1), int)
    assert_type(halved(n=1), int)
    assert_type(flow(1), int)
    return climb


def refused() -> None:
    climb("a")  # error: an int is wanted
    climb()  # error: the argument is missing
    climb(climb)  # error: the dynamic itself, not what its call gives
    text: str = halved(3)  # error: an int is no str
