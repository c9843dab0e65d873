"""How a run is to be carried: what `run`, `start`, `resume` and the command line let the caller choose beside the limits. Not part of the run itself: a resume may choose otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from executor.capacity import Capacity, capacity_here
from executor.engines.engine import Engine
from executor.errors import InputError
from executor.execution import Progress
from executor.limits import Limits
from planner.policy import Resources

Durability = Literal["disk", "process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run is carried.

    Attributes:
        engine: who runs the bodies.
        max_parallelism: how many bodies may run at one time, over all frames; None for as many as the engine finds sensible.
        pools: how many calls of each pool may run at one time.
        memory, gpu: bytes and graphics processors that bodies may use together; None for what this machine has.
        soft_timeouts: let engines that can't stop a body run one that has a time-out, and fail it if it comes late.
        timeout: seconds that the whole run may take; None for no limit.
        durability: "disk" or "process".
        echo: repeat what bodies print on standard error.
        on_progress: told after each commit, and now and then between.
        beat: say in the store that this executor lives.
    """

    engine: Engine
    max_parallelism: int | None = None
    pools: Mapping[str, int] = field(default_factory=dict)
    memory: int | None = None
    gpu: int | None = None
    soft_timeouts: bool = False
    timeout: float | None = None
    durability: Durability = "disk"
    echo: bool = True
    on_progress: Callable[[Progress], None] | None = None
    beat: bool = True

    def check(self) -> None:
        """Raise `InputError` for what makes no sense."""
        wanted = self.max_parallelism
        if wanted is not None and (wanted.__class__ is not int or wanted < 1):
            raise InputError(f"max_parallelism is a whole number of at least 1, not {wanted!r}")
        for name, places in self.pools.items():
            if not isinstance(name, str) or places.__class__ is not int or places < 1:
                raise InputError(f"a pool has a name and a whole number of places of at least 1, not {name!r}: {places!r}")
        if self.timeout is not None and (self.timeout.__class__ is not float or not 0 < self.timeout < math.inf):
            raise InputError(f"timeout (--timeout) is a number of seconds above 0, not {self.timeout!r}")
        if self.durability not in ("disk", "process"):
            raise InputError(f'durability is "disk" or "process", not {self.durability!r}')

    @property
    def parallel(self) -> int:
        """How many bodies may run at one time."""
        return max(1, self.engine.slots(self.max_parallelism))

    def capacity(self) -> Capacity:
        """What bodies may use together."""
        return capacity_here(self.parallel, self.memory, self.gpu, self.pools)


def given_resources(resources: Resources | None) -> tuple[int | None, int | None]:
    """The memory and graphics processors that a caller says there are; what is 0 was not said."""
    if resources is None:
        return None, None
    if not isinstance(resources, Resources):
        raise InputError(f"resources are given as Resources(…), not {resources!r}")
    return resources.bytes or None, resources.gpu or None


def check_limits(limits: Limits) -> None:
    """Raise `InputError` for a limit that makes no sense."""
    for name, value in (("max_depth", limits.max_depth), ("max_nodes", limits.max_nodes), ("max_futures_bytes", limits.max_futures_bytes)):
        if value.__class__ is not int or value < 0:
            raise InputError(f"{name} is a whole number of at least 0, not {value!r}")
