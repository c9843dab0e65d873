"""Calls are typed as what the functions give: tasks, workflows and dynamics alike.

Lines that a checker must refuse say so.
"""

from typing import assert_type

from promissory import Dynamic, Plan, Promise, Task, WorkflowFunction, dynamic, task, workflow


@task
def inc(x: int, by: int = 1) -> int:
    return x + by


@task(strict=True)
def pair(*, seed: int) -> tuple[int, str]:
    return seed, "a"


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@task
def log(text: str) -> None:
    pass


@task
def maybe(x: int) -> int | None:
    return x


@workflow
def flow(x: int, y: int = 2) -> int:
    left, right = pair(seed=x)
    log(right)
    return inc(inc(left), y)


@workflow(strict=True)
def ends(x: int) -> str:
    return inc(x)  # error: an int is returned where a str is declared


@dynamic(max_depth=9, allow_repeat=True)
def fib(n: int) -> int:
    return n if n < 2 else inc(fib(n - 1), fib(n - 2))


def results() -> None:
    assert_type(inc(1), int)
    assert_type(inc(1, by=2), int)
    assert_type(pair(seed=1), tuple[int, str])
    assert_type(fetch("u"), bytes)
    assert_type(maybe(1), int | None)
    assert_type(log("a"), Promise[None])
    assert_type(flow(1), int)
    assert_type(fib(n=3), int)
    assert_type(flow.compile(), Plan)


def kinds() -> tuple[Task[[int, int], int] | None, WorkflowFunction[[int], str], Dynamic[[int], int]]:
    return None, ends, fib


def refused() -> None:
    inc("s")  # error: a str where an int is wanted
    inc()  # error: an argument is missing
    inc(1, 2, 3)  # error: an argument too many
    inc(z=1)  # error: an unknown keyword
    pair(1)  # error: keyword-only
    inc(pair(seed=1))  # error: a tuple where an int is wanted
    inc(pair(seed=1)[1])  # error: the second item is a str
    inc(maybe(1))  # error: it may be None
    flow("a")  # error: workflows are checked
    fib(n="a")  # error: dynamics are checked
    text: str = inc(1)  # error: an int is no str
    log(fetch("u"))  # error: bytes are no str
    inc.compile()  # error: promissory.planner.compile(inc) makes a plan of a task
    task(strict="yes")  # error: strict is a bool
    dynamic(max_depth="9")  # error: max_depth is an int
