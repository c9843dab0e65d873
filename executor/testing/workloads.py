"""Workflows to be interrupted: between them they use what a crash could spoil. A feature joins every fault test by adding a workload here.

Each body says a label that no other call of its workload has. It goes to the diary (which survives the process, if `PROMISSORY_DIARY` names a file) and, as output, to the node's log: so a test knows
which bodies began, and which nodes they belong to.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner import Retry, dynamic, task, workflow

_lock = threading.Lock()
_diary: list[str] = []


def say(label: str) -> None:
    """A body begins."""
    file = os.environ.get("PROMISSORY_DIARY")
    with _lock:
        if file:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.write(descriptor, f"{label}\n".encode())
            os.close(descriptor)
        else:
            _diary.append(label)
    print(label)


def said() -> Counter[str]:
    """How often each body has begun."""
    file = os.environ.get("PROMISSORY_DIARY")
    if file:
        return Counter(Path(file).read_text().splitlines() if os.path.exists(file) else ())
    with _lock:
        return Counter(_diary)


def forget() -> None:
    """Begin a new diary."""
    file = os.environ.get("PROMISSORY_DIARY")
    if file:
        Path(file).unlink(missing_ok=True)
    with _lock:
        _diary.clear()


@dataclass(frozen=True, slots=True)
class Workload:
    """Something to be run and interrupted.

    Attributes:
        name: what it is about.
        target: the workflow.
        inputs: its inputs.
        result: what it gives, however often it is interrupted.
    """

    name: str
    target: Any
    result: Any
    inputs: Mapping[str, Any] = field(default_factory=dict)


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


WORKLOADS = (
    Workload("nested", nested, 3 * 4 * 600 * 599 // 2 // 2, {"depth": 2, "size": 600}),
    Workload("retried", retried, 6),
    Workload("cached", cached, 14 + 30 + 14 + 9),
)
"""Every one of them is interrupted everywhere."""
