"""Maps: a list of what the function gives; with a ratio of items that may fail, `None` among them."""

from functools import partial
from typing import assert_type

from promissory import Context, Promise, dynamic, flatten, map_task, task, unmapped, workflow


@task
def scale(x: int, by: int = 2) -> int:
    return x * by


@task
def name_of(ctx: Context, x: int) -> str:
    return str(x)


@task
def log(text: str) -> None:
    pass


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def known(xs: list[int | None]) -> list[int]:
    return [x for x in xs if x is not None]


@dynamic
async def climb(x: int) -> int:
    return scale(x)


@workflow
def twice(x: int) -> int:
    return scale(scale(x))


@workflow
def flow(xs: list[int]) -> list[str]:
    total(map_task(scale)(xs))
    known(map_task(scale, min_success_ratio=0.5)(xs))
    return name_of.map(scale.map(xs, by=unmapped(3)))


def results(xs: list[int], xss: list[list[int]]) -> None:
    assert_type(map_task(scale)([1, 2]), list[int])
    assert_type(map_task(scale)(x=xs, by=xs), list[int])
    assert_type(map_task(scale, concurrency=4)(xs), list[int])
    assert_type(map_task(scale, 4, zip="shortest")(xs, xs), list[int])
    assert_type(map_task(scale, min_success_ratio=0.5)(xs), list[int | None])
    assert_type(map_task(scale, concurrency=4, min_success_ratio=0.9)(xs), list[int | None])
    assert_type(map_task(partial(scale, by=3))(xs), list[int])
    assert_type(map_task(map_task(scale))(xss), list[list[int]])
    assert_type(map_task(name_of)(xs), list[str])
    assert_type(map_task(climb)(xs), list[int])
    assert_type(map_task(twice)(xs), list[int])
    assert_type(map_task(log)(["a"]), list[Promise[None]])
    assert_type(scale.map(xs), list[int])
    assert_type(scale.map(xs, by=unmapped(10)), list[int])
    assert_type(scale.map(flatten(xss)), list[int])
    assert_type(name_of.map(xs), list[str])
    assert_type(climb.map(xs), list[int])
    assert_type(twice.map(xs), list[int])
    assert_type(map_task(scale)(xs)[0], int)


@workflow
def wrong(xs: list[int]) -> int:
    return map_task(scale)(xs)  # error: a list, not an int


@workflow
def wrong_items(xs: list[int]) -> list[int]:
    return name_of.map(xs)  # error: texts, not ints


@workflow
def holes(xs: list[int]) -> list[int]:
    return map_task(scale, min_success_ratio=0.5)(xs)  # error: items may be None


def refused(xs: list[int]) -> None:
    total(name_of.map(xs))  # error: texts where ints are wanted
    total(map_task(scale, min_success_ratio=0.5)(xs))  # error: items may be None
    scale(scale.map(xs))  # error: a list where an int is wanted
    map_task(3)  # error: an int can't be called
    map_task(scale, min_success_ratio="half")  # error: a ratio is a number
    map_task(scale, concurrency=2.5)  # error: a whole number of items
    map_task(scale, zip=True)  # error: a text says how
    map_task(scale, chunks=3)  # error: no such setting
    map_task()  # error: nothing to call
