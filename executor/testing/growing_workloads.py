"""Workflows that tests interrupt, and whose plans go on growing: rounds of a cycle, segments of bodies that await."""

from __future__ import annotations

import asyncio
from typing import cast

from promissory import Cycle, cycle, every, once, prev, promise, until, value
from promissory.executor.testing.diary import say
from promissory.executor.testing.plain_workloads import added, instead, joined, leaf, settled
from promissory.planner import Skip, dynamic, map_task, task, workflow

# --- cycles ---


@task
def prepared(n: int) -> int:
    """Runs in the first round only."""
    say(f"prepared {n}")
    return n


@task
def grown(round: int, before: int, by: int) -> int:
    """Takes what the round before gave."""
    say(f"grown {round}")
    return before + by


@task
def risky(round: int, n: int) -> int:
    """Fails for good in the second round."""
    say(f"risky {round}")
    if round == 2:
        raise ValueError(str(round))
    return n + 1


@task
def ripe(n: int) -> int:
    """An item of a map in a round."""
    say(f"ripe {n}")
    return n


@task
def reported(n: int) -> None:
    """Runs after the last round."""
    say(f"reported {n}")


@cycle(max_active=2)
def counting(c: Cycle, limit: int) -> int:
    """Rounds that take values, orders and failures from each other, and end by a condition."""
    by = once()(prepared)(10)
    size = grown(c.number, prev(grown, default=settled(0)), by)
    seen = every(2)(leaf)(f"round {c.number}", 3)
    risk = promise(risky(c.number, size))
    promise(prev("ripe", default=Skip)) >> risk
    both = map_task(ripe)(n=[size, cast(int, risk.on_error(instead))])
    once(last=True)(reported)(size)
    until(promise(joined(f"round {c.number}", [seen, both])).with_overrides(name="both")[3] > limit)
    return size


@workflow
def cycled() -> int:
    """A cycle between two tasks."""
    return added(counting(settled(25)), 1)


# --- bodies that await ---


@task
async def fetched(n: int) -> int:
    """An async task."""
    await asyncio.sleep(0)
    say(f"fetched {n}")
    return n


@task
def spoilt(n: int) -> int:
    """Fails for good."""
    say(f"spoilt {n}")
    raise ValueError(str(n))


@task
def counted(label: str, n: int) -> int:
    """A number of its own."""
    say(f"counted {label}")
    return n


@dynamic
async def deeper(n: int) -> int:
    """Awaits inside a body that awaits."""
    first = await value(counted(f"deeper {n}", n))
    return counted(f"deepest {n}", first + 1)


@dynamic
async def going_on(limit: int) -> int:
    """Awaits one value, many, a failure, a moment, and hands on what it has not awaited."""
    early = counted("early", 7)
    found = await value(fetched(1))
    while found < limit:
        step = counted(f"step {found}", 2)
        both = await asyncio.gather(value(deeper(10 * found)), value(step))
        found += both[1]
    try:
        await value(spoilt(found))
    except ValueError:
        await asyncio.sleep(0.002)
    parts = await value(leaf("awaited", 600))
    listed = await value(map_task(fetched)([n + 100 for n in range(3)]))
    return added(counted("late", found + len(parts) + sum(listed)), early)


@workflow
def awaited() -> int:
    """A body that awaits, between two tasks."""
    return added(going_on(settled(5)), 1)
