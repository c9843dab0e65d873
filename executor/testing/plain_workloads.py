"""Workflows that tests interrupt, but those whose plans go on growing (`growing_workloads.py`)."""

from __future__ import annotations

from typing import cast

from promissory import promise
from promissory.executor.testing.diary import said, say
from promissory.planner import (
    Context,
    Loop,
    NodeFailure,
    Retry,
    Skip,
    conditional,
    current_context,
    dynamic,
    map_task,
    merge,
    sleep,
    task,
    workflow,
)

# --- dynamics, nested workflows, values that are put together, tail calls ---


@task
def leaf(name: str, size: int) -> list[int]:
    """A list; a long one is an object of the store."""
    say(f"leaf {name}")
    return list(range(size))


@task
def joined(name: str, parts: list[list[int]]) -> list[int]:
    """The parts, one after the other."""
    say(f"joined {name}")
    return [number for part in parts for number in part]


@workflow
def pair(name: str, size: int) -> list[int]:
    """A nested workflow with an order of its own."""
    first, second = leaf("pair 1", size), leaf("pair 2", size)
    first >> second  # type: ignore[operator]
    return joined("pair", [first, second])


@dynamic
def tree(name: str, depth: int, size: int) -> list[int]:
    """A recursion in width."""
    say(f"tree {name}")
    if depth == 0:
        return leaf(name, size)
    return joined(name, [tree(f"{name}l", depth - 1, size), tree(f"{name}r", depth - 1, size)])


@dynamic
def countdown(n: int) -> int:
    """A chain of tail calls."""
    say(f"countdown {n}")
    return countdown(n - 1) if n else settled(n)


@task
def settled(n: int) -> int:
    """The end of a chain."""
    say(f"settled {n}")
    return n


@task
def total(parts: list[list[int]], end: int) -> int:
    """One number of all."""
    say("total")
    return sum(map(sum, parts)) + end


@workflow
def nested(depth: int, size: int) -> int:
    """All of it."""
    return total([tree("t", depth, size), pair("p", size)], countdown(3))


# --- retries ---


@task(retries=3)
def flaky(n: int) -> int:
    """Fails twice."""
    say(f"flaky {n}")
    if said()[f"flaky {n}"] < 3:
        raise OSError(f"{n} is not there yet")
    return n


@task(retries=2, retry_delay=0.001)
def patient(n: int) -> int:
    """Asks for another attempt once."""
    say(f"patient {n}")
    if said()[f"patient {n}"] < 2:
        raise Retry(after=0.002)
    return n


@dynamic(retries=1)
def hesitant(n: int) -> int:
    """A dynamic whose first trace is thrown away."""
    say(f"hesitant {n}")
    first = flaky(n)
    if said()[f"hesitant {n}"] < 2:
        raise OSError("again")
    return added(first, patient(n))


@task
def added(a: int, b: int) -> int:
    """The sum."""
    say(f"added {a} {b}")
    return a + b


@workflow
def retried() -> int:
    """All of it."""
    return added(hesitant(1), hesitant(2))


# --- the cache ---


@task(cache=True, cache_serialize=True)
def squared(n: int) -> int:
    """A result that others take."""
    say(f"squared {n}")
    return n * n


@dynamic(cache=True)
def sum_of_squares(n: int) -> int:
    """A dynamic whose result and futures file others take."""
    say(f"sum of squares {n}")
    return summed([squared(k) for k in range(n)])


@task(commit="each")
def summed(parts: list[int]) -> int:
    """A result that is stored for good before anything follows."""
    say(f"summed {parts}")
    return sum(parts)


@workflow
def cached() -> int:
    """Equal calls beside each other and after each other."""
    first = sum_of_squares(4)
    second = sum_of_squares(5)
    third = sum_of_squares(4)
    first >> third
    return total([[first, second], [third, squared(3)]], 0)


# --- loops ---


@task
def climbed(limit: int) -> int:
    """A task that loops."""
    index, height = current_context().loop_index, current_context().loop_result or 1
    say(f"climbed {limit} {index}")
    if height > limit:
        return int(height)
    raise Loop(height * 3)


@dynamic
def rounds(n: int) -> int:
    """A dynamic each of whose iterations is a plan."""
    context = current_context()
    say(f"round {context.loop_index}")
    if context.loop_index == n:
        return int(context.loop_result)
    raise Loop(added(context.loop_result or 0, climbed(10 + context.loop_index)))


@workflow
def looped() -> int:
    """Loops beside each other: of a task, of the items of a map, of a dynamic."""
    return total([climbed.map([1, 5, 30]), [rounds(2)]], climbed(100))


# --- maps ---


@dynamic
def halves(n: int) -> int:
    """An item that grows."""
    say(f"halves {n}")
    return added(n, settled(n + 100)) if n % 2 else n


@task
def fragile(n: int) -> int:
    """An item that fails for good, another that is skipped."""
    say(f"fragile {n}")
    if n == 3:
        raise ValueError("three")
    if n == 4:
        raise Skip("four")
    return n


@task
def counted(parts: list[int | None]) -> int:
    """How many are there."""
    say(f"counted {parts}")
    return sum(1 for part in parts if part is not None)


@workflow
def mapped() -> int:
    """Maps over tasks, dynamics, one after the other, with items that fail."""
    grown = map_task(halves, concurrency=2)(n=[1, 2, 3, 4])
    good = map_task(fragile, min_success_ratio=0.5)(n=[1, 2, 3, 4, 5])
    return total([map_task(settled)(n=grown)], counted(good))


# --- signals ---


@task
def sender(ctx: Context, n: int) -> int:
    """Asks for work, and writes to the channel."""
    say(f"sender {n}")
    ctx.channel().add("sent", n)
    ctx.next_task(noted, n=n)
    return n


@task
def noted(ctx: Context, n: int) -> None:
    """The work that was asked for."""
    say(f"noted {n}")
    ctx.channel().append("notes", n)


@task
def jumper(ctx: Context, a: int, b: int) -> int:
    """Goes elsewhere."""
    say("jumper")
    ctx.next_task("refuge", goto=True)
    return int(ctx.channel().get("sent")) + len(ctx.channel().get("notes"))


@task
def passed_over() -> None:
    """Never runs."""
    say("passed over")


@task
def refuge() -> int:
    """Where the jump leads."""
    say("refuge")
    return 1


@workflow
def steered() -> int:
    """Signals beside each other, and a jump."""
    jumped = jumper(sender(1), sender(2))
    promise(jumped) >> passed_over()
    promise(refuge()).with_overrides(name="refuge")
    return jumped


# --- branches and the handling of failures ---


@task
def failing(n: int) -> int:
    """Fails for good."""
    say(f"failing {n}")
    raise ValueError(str(n))


@task
def instead(err: NodeFailure) -> int:
    """Stands in for a task that failed."""
    say(f"instead of {err.path}")
    return 7


@task
def skipping(n: int) -> int:
    """Has nothing to do."""
    say(f"skipping {n}")
    raise Skip("nothing to do")


@workflow
def decided() -> int:
    """Choices, one in an arm of another, a fallback, and a merge with a skipped task."""
    first = merge(skipping(1), settled(4))
    saved = promise(failing(1)).on_error(instead)
    inner = (
        conditional("outer")
        .if_(promise(first) > 3)
        .then(
            conditional("inner").if_(promise(saved) == 7).then(added(first, cast(int, saved))).else_().then(settled(0))
        )
        .else_()
        .fail("never")
    )
    return added(inner, conditional("never").if_(promise(first) < 0).then(settled(99)).else_().then(5))


# --- gates ---


@workflow
def waited() -> int:
    """A gate that waits for a moment between two tasks."""
    first = settled(1)
    promise(first) >> sleep(0.002) >> (second := settled(2))
    return added(first, second)
