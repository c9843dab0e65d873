"""The workflows of the stores that commit cd65efc wrote, with today's imports: nothing else may differ, since the digest of a function is taken over its tokens.

What `OLD_STORE_BROKEN` breaks is repaired where it is not set; `OLD_STORE_DIARY` names a file to which each body adds its name.
"""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import PurePath
from typing import Any, NamedTuple, TypedDict

from promissory import (
    Context,
    FailurePolicy,
    Loop,
    NodeFailure,
    Opaque,
    Resources,
    Retry,
    Secret,
    Skip,
    Workflow,
    approve,
    at_least,
    conditional,
    dynamic,
    flatten,
    map_task,
    merge,
    promise,
    sleep,
    task,
    unmapped,
    wait_for_input,
    workflow,
)
from promissory.errors import NoProgress, TaskTypeError, WorkerLost


def note(name: str) -> None:
    """A line in the diary, whole even if other processes write at the same time."""
    diary = os.environ.get("OLD_STORE_DIARY")
    if diary:
        descriptor = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, (name + "\n").encode())
        os.close(descriptor)


def is_broken() -> bool:
    """Whether what fails is still to be repaired."""
    return "OLD_STORE_BROKEN" in os.environ


def dies() -> None:
    """Kill this process, once what was done is committed."""
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


class NotToday(Exception):
    """Raised while something is broken."""


class OurTypeError(TaskTypeError):
    """An error of ours that is one of the executor's."""


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Point:
    x: int
    colour: Colour = Colour.RED
    near: "list[Point]" = field(default_factory=list)


class Pair(NamedTuple):
    first: Point
    second: Decimal


class Movie(TypedDict):
    title: str
    year: int


class Handle:
    """A class without a wire form."""

    def __init__(self, number: int) -> None:
        self.number = number


class Refused(Exception):
    """Made of other arguments than it shows."""

    def __init__(self, point: Point, *, why: str) -> None:
        super().__init__(f"{why}: {point.x}")
        self.point = point
        self.why = why

    def __reduce__(self) -> Any:
        return partial(Refused, why=self.why), (self.point,)


# --- what many use ---


@task
def add(a: int, b: int) -> int:
    note("add")
    return a + b


@task
def fragile(x: int) -> int:
    note("fragile")
    if is_broken():
        raise NotToday("fragile", x)
    return x + 1


@task
def passed(text: str) -> str:
    note("passed")
    if is_broken():
        raise NotToday("passed", text)
    return text


@task
def halve(n: int) -> int:
    note("halve")
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n // 2


@task
def counted(err: NodeFailure) -> int:
    note("counted")
    return -len(err.message)


@task
def told(err: NodeFailure) -> str:
    note("told")
    return f"{err.path} | {err.type} | {err.attempt}"


# --- what travels by value ---


@dynamic
def closure(n: int) -> str:
    note("closure")
    by, words, places = 10, ("fee", "fi"), {"a": [1, 2]}

    def worded(x):
        return f"{words[x % 2]} {x}"

    @task
    def times(x: int) -> int:
        note("times")
        return x * by + len(places["a"])

    @task(retries=1, retry_on=(NotToday,))
    def breaks(ctx: Context, x: int) -> int:
        note("breaks")
        if is_broken():
            raise NotToday("breaks", x, ctx.attempt)
        return x + by

    @task
    def said(x: int) -> str:
        note("said")
        return worded(x)

    return said(times(breaks(times(n))))


@dynamic
def closures(n: int) -> int:
    note("closures")
    last = 2

    @task
    def alarm(err: NodeFailure, n: int) -> None:
        note("alarm")

    @task
    def half(n: int) -> int:
        note("half")
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n // 2

    @task
    def why(err: NodeFailure) -> int:
        note("why")
        return -len(err.type)

    @workflow(on_failure=alarm, failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
    def halved(n: int) -> int:
        return promise(half(n)).on_error(why)

    @task
    def ready(n: int) -> int:
        note("ready")
        if is_broken():
            raise NotToday("ready", n)
        return n

    @dynamic
    def around(ctx: Context, n: int) -> int:
        note("around")
        if ctx.loop_index == last:
            return halved(n)
        raise Loop(ctx.loop_count)

    return around(ready(n))


@dynamic
def tries_by_value(n: int) -> int:
    note("tries_by_value")

    @task(retries=3, retry_on=(TaskTypeError,))
    def local(ctx: Context, x: int) -> int:
        note(f"local {ctx.attempt}")
        if ctx.attempt in (1, 3):
            raise TaskTypeError("the first time")
        if is_broken():
            raise NotToday("local", x)
        if ctx.attempt == 4:
            raise OurTypeError("the second time")
        return x + 1

    @task(retries=1, retry_on=(NotToday, NoProgress))
    def own(ctx: Context, x: int) -> int:
        note(f"own {ctx.attempt}")
        if ctx.attempt == 1:
            raise NotToday("own", x)
        return x + 1

    return own(local(n))


# --- what failed and was handled ---


@workflow
def rescued(n: int) -> int:
    return add(promise(halve(n)).on_error(counted), 100)


@workflow
def rescued_waiting(n: int) -> int:
    return fragile(promise(halve(n)).on_error(counted))


@task
def length(err: NodeFailure) -> int:
    note("length")
    return len(err.message)


@workflow
def recover(err: NodeFailure) -> int:
    return add(fragile(length(err)), length(err))


@workflow
def rescued_within(n: int) -> int:
    return promise(halve(n)).on_error(recover)


@task
def counts_or_dies(err: NodeFailure) -> int:
    note("counts_or_dies")
    if is_broken():
        dies()
    return len(err.type)


@workflow
def rescued_killed(n: int) -> int:
    return add(promise(halve(n)).on_error(counts_or_dies), 1)


@task
def gives(n: int) -> NodeFailure:
    note("gives")
    if n % 2:
        raise LookupError(f"{n} is odd")
    return NodeFailure("nowhere", "none", "all is well")


@task
def kept(err: NodeFailure) -> NodeFailure:
    note("kept")
    return NodeFailure(err.path, err.type, err.message, "", err.attempt)


@workflow
def rescued_record(n: int) -> NodeFailure:
    return promise(gives(n)).on_error(kept)


@task
def path_of(failure: NodeFailure, among: Any) -> str:
    note("path_of")
    if is_broken():
        raise NotToday("path_of", failure)
    return f"{failure.path} {among == [failure]}"


@task
def listed(failure: NodeFailure) -> Any:
    note("listed")
    return [failure]


@workflow
def rescued_record_waiting(n: int) -> str:
    failure = promise(gives(n)).on_error(kept)
    return path_of(failure, listed(failure))


@dynamic
def rescued_levels(n: int) -> int:
    note("rescued_levels")
    if n == 0:
        return fragile(0)
    return add(rescued_levels(n - 1), promise(halve(2 * n + 1)).on_error(counted))


# --- errors ---


@task
def raises(x: int, kind: str) -> int:
    note("raises")
    if is_broken() and kind == "cause":
        raise NotToday("raises", x) from OSError("the network is down")
    if is_broken() and kind == "own":
        raise TaskTypeError(f"{x} is none of ours")
    if is_broken() and kind == "lost":
        raise WorkerLost("as if it were lost", "main/somewhere", 9)
    if is_broken() and kind == "subclass":
        raise OurTypeError(f"{x} is not ours either")
    if is_broken() and kind == "reduced":
        raise Refused(Point(x, Colour.BLUE), why="refused")
    if is_broken() and kind == "holding":
        raise NotToday("holding", NodeFailure("main/before", "OSError", "the network was down"))
    return x * 2


@workflow
def failed(n: int, kind: str) -> int:
    return add(raises(add(n, 1), kind), 1)


@task
def alarm(err: NodeFailure, n: int) -> None:
    note("alarm")


@workflow(on_failure=alarm, failure_policy=FailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def alarmed(n: int) -> list[int]:
    return [fragile(n), add(n, 1)]


@workflow
def nested(n: int) -> int:
    return add(failed(n, "cause"), 1)


# --- gates ---


@task
def printed(title: str, copies: int) -> str:
    note("printed")
    return f"{copies} copies of {title}"


@workflow
def gate(title: str) -> str:
    copies = wait_for_input("copies", type=int)
    allowed = approve(titled(title), "ship", timeout=1_000_000_000)
    text = printed(allowed, copies)
    sleep(0.01) >> text
    return text


@task
def titled(title: str) -> str:
    note("titled")
    return title.title()


# --- the cache ---

WEIGHT = 3


def weight_of(x: int) -> int:
    return x * WEIGHT


@task(cache=True, cache_ignore=("verbose",))
def revenue(region: str, verbose: bool = False) -> int:
    note("revenue")
    return len(region) * 1000


@task(cache=True, cache_version="code")
def weighed(x: int) -> int:
    note("weighed")
    return weight_of(x)


@dynamic(cache=True)
def summed(n: int) -> int:
    note("summed")
    return add(summed(n - 1), n) if n else 0


@workflow
def cached(region: str, verbose: bool) -> int:
    return add(add(revenue(region, verbose), weighed(2)), summed(2))


@workflow
def cached_later(region: str) -> int:
    found = passed(region)
    length = word_length(found)
    return add(add(revenue(found, True), weighed(length)), summed(length))


@task(cache=True, cache_serialize=True)
def alone(x: int) -> int:
    note("alone")
    if is_broken():
        dies()
    return x + 1


@workflow
def leased(n: int) -> int:
    return add(alone(add(n, 1)), 1)


# --- what an attempt leaves, and what ends in the middle ---


@task
def copies_all(ctx: Context, names: list[str]) -> str:
    done = ctx.checkpoint.read(default=[])
    note(f"copies_all {len(done)}")
    for name in names[len(done) :]:
        if name == "c" and is_broken():
            raise NotToday("copies_all", name)
        note(f"copy {name}")
        done = [*done, name]
        ctx.checkpoint.write(done)
    return "".join(done)


@workflow
def checkpointed(names: list[str]) -> str:
    return copies_all(names)


@task
def survives(x: int) -> int:
    note("survives")
    if is_broken():
        dies()
    return x + 1


@workflow
def killed(n: int) -> int:
    return add(survives(add(n, 1)), 1)


# --- limits ---


@task
def joined(a: str, b: str) -> str:
    note("joined")
    return a + b


@dynamic
def down(n: int) -> str:
    note("down")
    return joined(down(n - 1), "x") if n else "o"


@workflow
def deep(n: int) -> str:
    return down(n)


@dynamic
def wheel(n: int) -> str:
    note("wheel")
    if n == 0:
        return "o"
    return joined(wheel(n if is_broken() else n - 1), "x")


@workflow
def turning(n: int) -> str:
    return wheel(n)


@task
def typed(x: int) -> str:
    note("typed")
    found: Any = x
    return found if is_broken() else str(found)


@workflow
def mistyped(x: int) -> str:
    return joined(typed(x), "!")


@task
def exits(x: int) -> str:
    note("exits")
    if is_broken():
        os._exit(7)
    return str(x)


@workflow
def lost(x: int) -> str:
    return joined(exits(x), "!")


@task(timeout=1)
def dawdles(x: int) -> str:
    note("dawdles")
    if is_broken():
        time.sleep(20)
    return str(x)


@workflow
def late(x: int) -> str:
    return joined(dawdles(x), "!")


@task(max_iterations=2)
def endless(ctx: Context, x: int) -> str:
    note("endless")
    raise Loop(x)


@task
def asks_for_nothing(ctx: Context) -> str:
    note("asks_for_nothing")
    where = "nowhere"
    ctx.next_task(where, goto=True)
    return "asked"


@task(resources=Resources(memory="1000TiB"))
def huge(x: int) -> str:
    note("huge")
    return str(x)


@task(retries=1)
def comes_back(x: int) -> str:
    note("comes_back")
    raise Retry(message="not ready")


@task
def all_told(texts: list[str], unequal: list[str], more: list[str]) -> list[str]:
    note("all_told")
    if is_broken() and "wait" in more:
        raise NotToday("all_told")
    return [*texts, *unequal, *more]


@workflow
def limits_handled(n: int, more: list[str]) -> list[str]:
    choice = conditional("way").if_(promise(n) < 0).then(told_of(n)).else_().fail("there is nothing to send")
    texts = [
        promise(down(n)).on_error(told),
        promise(wheel(n)).on_error(told),
        promise(typed(n)).on_error(told),
        promise(exits(n)).on_error(told),
        promise(dawdles(n)).on_error(told),
        promise(endless(n)).on_error(told),
        promise(asks_for_nothing()).on_error(told),
        promise(huge(n)).on_error(told),
        promise(comes_back(n)).on_error(told),
        promise(choice).on_error(told),
        promise(wait_for_input("never", timeout=0.05, type=str)).on_error(told),
    ]
    unequal = promise(map_task(joined)(a=["a", "b"], b=more)).on_error(["of unequal length"])
    return all_told(texts, unequal, more)


@task
def told_of(n: int) -> str:
    note("told_of")
    return str(n)


# --- loops and maps ---


@task(max_iterations=10)
def pages(ctx: Context, count: int) -> list[str]:
    page, items = ctx.loop_result or (0, [])
    note(f"pages {page}")
    if page == 2 and is_broken():
        raise NotToday("pages", page)
    items = [*items, f"page {page}"]
    if page + 1 == count:
        return items
    raise Loop((page + 1, items))


@task
def size(items: list[str]) -> int:
    note("size")
    return len(items)


@workflow
def looped(count: int) -> int:
    return size(pages(count))


@task
def half(n: int) -> int:
    note(f"half {n}")
    if n < 40 and is_broken():
        raise NotToday("half", n)
    return n // 2


@dynamic
def shrink(ctx: Context, n: int) -> int:
    now = ctx.loop_result or n
    note(f"shrink {now}")
    if now < 10:
        return now
    raise Loop(add(half(now), 1))


@workflow
def shrinking(n: int) -> int:
    return add(shrink(n), 100)


@task
def collects(ctx: Context, count: int) -> str:
    note(f"collects {ctx.loop_index}")
    found = ctx.loop_result or []
    if len(found) == 2 and is_broken():
        raise NotToday("collects", len(found))
    if len(found) == count:
        return " ".join(f"{type(one).__name__}" for one in found)
    more = (NodeFailure("main/x", "OSError", "down"), Resources(cpu=2, memory="1GiB"), FailurePolicy.FAIL_IMMEDIATELY, Point(1))
    raise Loop([*found, more[len(found)]])


@workflow
def collecting(count: int) -> str:
    return collects(count)


@task
def score(word: str, weight: int) -> int:
    note(f"score {word}")
    if not word or (is_broken() and word.startswith("f")):
        raise ValueError("no word") if not word else NotToday("score", word)
    return weight * len(word)


@task
def total(scores: list[int | None]) -> int:
    note("total")
    return sum(one for one in scores if one is not None)


@task
def later_total(scores: list[int | None]) -> int:
    note("later_total")
    if is_broken():
        raise NotToday("later_total", scores)
    return sum(one for one in scores if one is not None)


@workflow
def mapped(words: list[str]) -> int:
    return later_total(map_task(partial(score, weight=2), min_success_ratio=0.5)(word=words))


@workflow
def mapped_failed(words: list[str]) -> int:
    return total(map_task(score, concurrency=2, min_success_ratio=0.7)(word=words, weight=unmapped(2)))


@workflow
def scored(word: str) -> int:
    return add(score(word, 1), 1)


@task
def tens(numbers: Sequence[int]) -> list[int]:
    note("tens")
    return [10 * number for number in numbers]


@workflow
def mapped_workflow(words: list[str]) -> list[int]:
    return tens(map_task(scored)(word=words))


# --- attempts ---


@task(retries=3, retry_on=(TaskTypeError,))
def tries(ctx: Context, x: int) -> int:
    note(f"tries {ctx.attempt}")
    if ctx.attempt in (1, 3):
        raise TaskTypeError("the first time")
    if is_broken():
        raise NotToday("tries", x)
    if ctx.attempt == 4:
        raise OurTypeError("the second time")
    return x + 1


@task(retries=1, retry_on=(NotToday, OSError))
def tries_own(ctx: Context, x: int) -> int:
    note(f"tries_own {ctx.attempt}")
    if ctx.attempt == 1:
        raise NotToday("tries_own", x)
    return x + 1


@workflow
def retry_on(n: int) -> int:
    return tries_own(tries(n))


@task(retries=1, retry_delay=timedelta(seconds=2), retry_on=(TaskTypeError,))
def tries_later(ctx: Context, x: int) -> int:
    note(f"tries_later {ctx.attempt}")
    if ctx.attempt == 1:
        raise TaskTypeError("the first time")
    return x + 1


@workflow
def retrying(n: int) -> int:
    return add(tries_later(n), 1)


# --- choices and signals ---


@workflow
def branch(n: int) -> int:
    weight = add(n, 1)
    return conditional("way").if_(weight > 10).then(fragile(weight)).elif_((weight > 0) & (weight <= 10)).then(add(weight, 1)).else_().fail("too light")


@task
def checks(ctx: Context, amount: int) -> int:
    note("checks")
    channel = ctx.channel()
    channel.add("checked", amount)
    channel.append("amounts", amount)
    channel.set("failure", NodeFailure("main/x", "OSError", "down"))
    ctx.next_task(reports, amount=amount)
    return amount


@task
def reports(ctx: Context, amount: int) -> None:
    note("reports")
    ctx.channel().append("amounts", -amount)


@task
def pays(ctx: Context, amount: int) -> str:
    note("pays")
    if is_broken():
        raise NotToday("pays", amount)
    channel = ctx.channel()
    return f"paid {amount}: {channel.get('checked')} {channel.get('amounts')} {channel.get('failure').type}"


@workflow
def signals(amount: int) -> str:
    return pays(checks(amount))


@task
def looks(ctx: Context, amount: int) -> int:
    note("looks")
    if amount > 1000:
        ctx.next_task("by_hand", goto=True)
    return amount


@task
def by_hand() -> str:
    note("by_hand")
    if is_broken():
        raise NotToday("by_hand")
    return "somebody looks at it"


with Workflow("payments") as payments:
    _amount = payments.add_workflow_input("amount", int)
    _paid = told_of(looks(_amount))
    payments.add_workflow_output("looked_at", by_hand())
    payments.add_workflow_output("result", _paid)


@task
def remembered(word: str) -> int:
    note("remembered")
    if word != "fee":
        raise Skip("not known")
    return 3


@workflow
def skipping(word: str) -> int:
    return fragile(merge(remembered(word), word_length(word)))


@task
def word_length(word: str) -> int:
    note("word_length")
    return len(word)


@task
def ends(ctx: Context, how: str) -> str:
    note("ends")
    if how == "terminate":
        ctx.terminate("enough", outputs="ended early")
    elif how == "cancel" and is_broken():
        ctx.cancel("not valid")
    return how


@workflow
def ending(how: str) -> str:
    return joined(ends(how), "!")


@task
def tidies(page: int | None) -> str:
    note("tidies")
    return f"tidied {page}"


@workflow
def triggered(n: int) -> list[str]:
    page = halve(n)
    tidy = promise(tidies(page)).with_overrides(trigger="all_done")
    return [tidy, passed(tidy)]


# --- values of many kinds ---


@task
def values_of(n: int) -> tuple[Point, Pair, Movie, dict[str, date], list[PurePath], set[int], bytes]:
    note("values_of")
    point = Point(n, Colour.BLUE, [Point(n + 1)])
    return point, Pair(point, Decimal("1.50")), {"title": "M", "year": 1931}, {"a": date(2026, 1, 2)}, [PurePath("a/b")], {3, 1, 2}, b"\x00" * 5000


@task
def anything(n: int) -> Any:
    note("anything")
    return [Point(n), Colour.BLUE, (1, {"a": timedelta(seconds=1)}), NodeFailure("main/x", "OSError", "down"), Resources(cpu=2), FailurePolicy.FAIL_IMMEDIATELY, TaskTypeError("an error"), add]


@task
def handled(n: int) -> Opaque[Handle]:
    note("handled")
    return Handle(n)


@task
def weighs(values: tuple[Point, Pair, Movie, dict[str, date], list[PurePath], set[int], bytes], others: Any, handle: Opaque[Handle], token: Secret) -> str:
    note("weighs")
    if is_broken():
        raise NotToday("weighs")
    point, pair, movie, dates, paths, numbers, blank = values
    told_values = f"{point.near[0].x} {pair.second} {movie['title']} {dates['a']} {paths[0]} {sorted(numbers)} {len(blank)}"
    told_others = " ".join(type(one).__name__ for one in others)
    return f"{told_values} | {told_others} | {handle.number} | {len(token.reveal())}"


@workflow
def values(n: int) -> str:
    return weighs(values_of(n), anything(n), handled(n), Secret("OLD_STORE_TOKEN"))


@workflow
def any_value(n: int) -> Any:
    return anything(n)


# --- plans only ---


@task(
    pool="database",
    resources=Resources(cpu=2, memory="1GiB", gpu=1),
    timeout=30,
    retries=5,
    retry_delay=[1, 2.5],
    backoff=2,
    jitter=0.5,
    retry_on=(TaskTypeError, WorkerLost, NotToday, OSError),
    commit="each",
    cache=True,
    cache_version="7",
    cache_ignore=("b",),
    cache_serialize=True,
    max_iterations=9,
)
def governed(a: int, b: int = 1) -> int:
    return a + b


@dynamic(max_depth=7, allow_repeat=True)
def polls(n: int) -> int:
    return polls(n)


@workflow
def policies(n: int) -> int:
    return polls(promise(governed(n)).with_overrides(name="ruled", retries=1, timeout=None, retry_on=(NoProgress,), resources=Resources(cpu=1)))


@workflow
def one_call(n: int = 4) -> int:
    return add(n, b=1)


@workflow
def one_dynamic(n: int) -> int:
    return summed(n)


@workflow
def maps(words: list[str], lines: list[list[str]]) -> list[int | None]:
    lengths = score.map(flatten(lines), unmapped(2))
    many = map_task(scored)(word=words)
    firsts = word_length.map(words)
    sums = map_task(add, zip="shortest")(a=lengths, b=many)
    return map_task(add, concurrency=3, min_success_ratio=0.25)(a=sums, b=firsts)


@task
def sends_extra(ctx: Context, text: str) -> str:
    ctx.next_task("extra")
    return text


@workflow
def triggers(n: int) -> list[str]:
    first, second = halve(n), halve(n)
    any_of = promise(tidies(first)).with_overrides(trigger="any_success", name="any_of")
    some = promise(tidies(second)).with_overrides(trigger=at_least(1))
    extra = promise(tidies(second)).with_overrides(standby=True, name="extra")
    some >> extra
    return [any_of, sends_extra(some)]


@workflow
def literals(n: int) -> list[Any]:
    return [points([Point(1), Point(2, Colour.BLUE)], "long " * 1000), any_point({"a": (1, 2.5, None, True), "p": Point(3)})]


@task
def points(given: list[Point], text: str) -> int:
    return len(given) + len(text)


@task
def any_point(given: Any) -> int:
    return len(given)


@workflow
def gates(n: float, title: str) -> str:
    sleep(promise(n)) >> wait_for_input("copies", timeout=3600, type=int)
    return approve(titled(title), "ship", timeout=10)
