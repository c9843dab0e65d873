"""A first parameter `Context` is no input: the decorated function's calls do without it."""

from datetime import datetime
from logging import Logger
from pathlib import Path
from random import Random
from typing import NoReturn, assert_type
from uuid import UUID

from promissory import Context, Dynamic, Loop, Promise, Retry, Skip, Task, current_context, dynamic, task, workflow


@task
def greet(ctx: Context, name: str) -> str:
    return f"{name} in iteration {ctx.loop_index}"


@task(retries=2, max_iterations=9)
def again(ctx: Context, n: int, by: int = 1) -> int:
    if ctx.can_iterate():
        raise Loop(n + by)
    return n


@task(cache=True)
async def fetch(ctx: Context, url: str) -> bytes:
    return url.encode()


@task
async def tell(ctx: Context, text: str) -> None:
    ctx.logger.info(text)


@task(pool="log")
def note(ctx: Context, text: str) -> None:
    ctx.channel().set("note", text)


@task
def nothing_else(ctx: Context) -> int:
    return ctx.attempt


@dynamic
def spread(ctx: Context, n: int) -> int:
    return again(n, by=ctx.depth)


@dynamic(max_iterations=3)
def looped(ctx: Context, n: int) -> int:
    raise Loop(again(n))


@dynamic(max_depth=5)
async def awaited(ctx: Context, name: str) -> str:
    return greet(name)


@workflow
def flow(name: str) -> str:
    note(name) >> tell(name)
    return awaited(greet(name))


def results() -> None:
    assert_type(greet("a"), str)
    assert_type(greet(name="a"), str)
    assert_type(again(1), int)
    assert_type(again(1, by=2), int)
    assert_type(fetch("u"), bytes)
    assert_type(tell("a"), Promise[None])
    assert_type(note("a"), Promise[None])
    assert_type(nothing_else(), int)
    assert_type(spread(1), int)
    assert_type(looped(n=1), int)
    assert_type(awaited("a"), str)


def kinds() -> tuple[Task[[str], str], Task[[str], bytes], Dynamic[[int], int], Dynamic[[int], int]]:
    return greet, fetch, spread, looped


def facts() -> None:
    ctx = current_context()
    assert_type(ctx, Context)
    assert_type(ctx.run_id, str)
    assert_type(ctx.loop_count, int)
    assert_type(ctx.max_iterations, int | None)
    assert_type(ctx.deadline, float | None)
    assert_type(ctx.cancelled, bool)
    assert_type(ctx.workdir, Path)
    assert_type(ctx.logger, Logger)
    assert_type(ctx.now(), datetime)
    assert_type(ctx.random(), Random)
    assert_type(ctx.uuid4(), UUID)
    assert_type(ctx.channel().keys(), list[str])


def refused(ctx: Context) -> None:
    greet(ctx, "a")  # error: the context is no input
    greet()  # error: the name is missing
    greet(1)  # error: an int is no str
    again("a")  # error: a decorator with options leaves the types as they are
    again(1, step=2)  # error: an unknown keyword
    spread(ctx, 1)  # error: the context is no input of a dynamic either
    looped("a")  # error: an int is wanted
    awaited(1)  # error: async dynamics are checked
    again(greet("a"))  # error: a str where an int is wanted
    fetch(fetch("u"))  # error: bytes are no str
    ctx.loops  # error: the context knows no such fact
    ctx.next_task(again, True)  # error: goto is given by name
    ctx.terminate(3)  # error: a reason is a text
    task(max_iterations="9")  # error: a number is wanted
    task(backoff="2")  # error: a factor is a number
    task(max_depth=3)  # error: only dynamics have a depth
    task(retry=3)  # error: the option is called retries
    dynamic(allow_repeat="no")  # error: a bool is wanted
    Retry(after="1h")  # error: seconds or a timedelta
    Skip(3)  # error: a reason is a text


def ends() -> NoReturn:
    raise Loop({"n": 1}, message="again")
