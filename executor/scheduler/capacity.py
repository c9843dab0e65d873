"""The capacity that concurrent bodies share: processors, memory, graphics processors, and the places of pools.

A call without `resources` takes one processor. A call that wants more processors than the run may use takes all of
them, alone. Memory, graphics processors and pools are not stretched that way: a demand that can never be met is an
error.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from promissory.planner.plan.policy import Policy


class Demand(NamedTuple):
    """The capacity that one call takes while its body runs."""

    pool: str | None
    processors: int
    memory: int
    gpu: int


PLAIN = Demand(None, 1, 0, 0)


def demand_of(policy: Policy) -> Demand:
    """The demand of a call with this policy."""
    resources = policy.resources
    if resources is None:
        return Demand(policy.pool, 1, 0, 0)
    return Demand(policy.pool, math.ceil(resources.cpu), resources.bytes, resources.gpu)


@dataclass(slots=True)
class Capacity:
    """The run's capacity, and the part of the capacity that is taken.

    Attributes:
        processors: how many bodies of one processor may run at one time.
        memory: bytes.
        gpu: graphics processors.
        pools: places by pool; a pool that is not named has as many as are wanted.

    >>> capacity = Capacity(processors=4, memory=100, gpu=0, pools={"db": 1})
    >>> first = Demand("db", 1, 60, 0)
    >>> capacity.take(first); capacity.fits(first)
    0
    >>> capacity.give(first); capacity.fits(first)
    1
    >>> capacity.never(Demand(None, 1, 200, 0))
    '200 bytes of memory, and there are 100'
    """

    processors: int
    memory: int
    gpu: int
    pools: Mapping[str, int] = field(default_factory=dict)
    _memory: int = 0
    _gpu: int = 0
    _places: dict[str, int] = field(default_factory=dict)

    def never(self, demand: Demand) -> str | None:
        """The part of a demand that can't be met even if nothing else runs; None if all of it can."""
        if demand.memory > self.memory:
            return f"{demand.memory:,} bytes of memory, and there are {self.memory:,}"
        if demand.gpu > self.gpu:
            return f"{demand.gpu} gpu, and there are {self.gpu}"
        if demand.pool is not None and self.pools.get(demand.pool, 1) < 1:
            return f"a place in the pool {demand.pool!r}, which has none"
        return None

    def fits(self, demand: Demand) -> int:
        """How often a demand can be met now. Processors are not counted here: they are the room that a caller has."""
        times = 1 << 30
        if demand.memory:
            times = min(times, (self.memory - self._memory) // demand.memory)
        if demand.gpu:
            times = min(times, (self.gpu - self._gpu) // demand.gpu)
        if demand.pool is not None and demand.pool in self.pools:
            times = min(times, self.pools[demand.pool] - self._places.get(demand.pool, 0))
        return times

    def take(self, demand: Demand) -> None:
        """A call begins."""
        self._memory += demand.memory
        self._gpu += demand.gpu
        if demand.pool is not None:
            self._places[demand.pool] = self._places.get(demand.pool, 0) + 1

    def give(self, demand: Demand) -> None:
        """A call has ended."""
        self._memory -= demand.memory
        self._gpu -= demand.gpu
        if demand.pool is not None:
            self._places[demand.pool] -= 1

    def weight(self, demand: Demand) -> int:
        """The number of bodies' places that a demand takes."""
        return min(demand.processors, self.processors)


def capacity_here(processors: int, memory: int | None, gpu: int | None, pools: Mapping[str, int]) -> Capacity:
    """The capacity of this machine, where the caller did not say otherwise."""
    return Capacity(
        processors, _memory() if memory is None else memory, _graphics() if gpu is None else gpu, dict(pools)
    )


def _memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's if that is less."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 1 << 62
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            whole = min(whole, int(Path(limit).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return whole


def _graphics() -> int:
    """The number of graphics processors that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
