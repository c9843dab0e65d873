"""The options of an executor: `run`, `start`, `resume` and the command line let the caller choose them, beside the
limits. They are no part of the run itself: a resume may choose others."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any, Literal, TypedDict

from promissory.executor.clock import Clock
from promissory.executor.code.import_guard import refuse_outside_bodies
from promissory.executor.engines.engine import Engine
from promissory.executor.engines.registry import engine_named
from promissory.executor.errors import InputError
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.progress import Progress
from promissory.executor.scheduler.capacity import Capacity, capacity_here
from promissory.executor.worker.capture import Echo
from promissory.planner.plan.policy import Resources, seconds

Durability = Literal["disk", "process"]


Limited = tuple[int | None, int | None, int | None]
"""Depth, nodes and bytes of futures files, each None if no limit was given."""


@dataclass(frozen=True, slots=True)
class Said:
    """An option on the command line.

    Attributes:
        help: its text in the list of options.
        least: the smallest number that makes sense.
        default: the default on the command line, if it is another than in Python.
    """

    help: str
    least: int = 1
    default: str | None = None


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `run`, `start`, `resume` and `rerun`, all optional; `promissory.run` describes them.

    The command line makes its options of the arguments that are annotated with `Said`.
    """

    engine: Annotated[str | Engine, Said("Who runs the tasks: processes, threads, inline.", default="processes")]
    max_depth: Annotated[int | None, Said("How deep dynamics may nest.  [100]", least=0)]
    max_nodes: Annotated[int | None, Said("How many nodes the run may have.  [1,000,000]")]
    max_futures_bytes: Annotated[int | None, Said("Bytes of one futures file.  [256 MiB]")]
    max_parallelism: Annotated[int | None, Said("How many tasks may run at one time.")]
    pools: Annotated[
        Mapping[str, int] | None, Said("How many tasks of a pool may run at one time; may be given again.")
    ]
    resources: Annotated[
        Resources | None,
        Said("What tasks may use together, of memory like 16GiB and of graphics processors.  [the machine's]"),
    ]
    stop: Annotated[int | None, Said("No round of a cycle goes beyond this number.", least=-(1 << 62))]
    keep_cycles: Annotated[int | None, Said("Rounds of cycles that the run remembers; earlier ones leave the journal.")]
    soft_timeouts: Annotated[bool, Said("Let an engine that can't stop a task fail it when it comes late.")]
    timeout: Annotated[float | timedelta | None, Said("Seconds that the whole run may take.", least=0)]
    grace: Annotated[float | timedelta, Said("Seconds that running tasks have after SIGTERM or SIGHUP.  [10]", least=0)]
    durability: Annotated[
        Durability, Said("What is acknowledged survives the machine's death, or that of processes.", default="disk")
    ]
    echo: Annotated[
        Echo | None,
        Said("Where what tasks print is shown: as it is, on stderr with the task's path, or nowhere.", default="paths"),
    ]
    log_level: Annotated[str | int | None, Said("Log records of tasks are kept from this level on.  [INFO]")]
    on_progress: Callable[[Progress], None] | None
    clock: Clock | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a run is carried.

    Attributes:
        engine: runs the bodies.
        max_parallelism: how many bodies may run at one time, over all frames; None for as many as the engine finds
            sensible.
        pools: how many calls of each pool may run at one time.
        memory, gpu: bytes and graphics processors that bodies may use together; None for all that this machine has.
        stop: the number that no round of a cycle goes beyond; None for what each cycle says.
        keep_cycles: how many rounds of cycles the journal keeps at least; None for all.
        soft_timeouts: let engines that can't stop a body run a body that has a time-out, and fail it if it comes late.
        timeout: seconds that the whole run may take; None for no limit.
        grace: seconds that running bodies have to finish, once a signal has told this process to end.
        durability: "disk" or "process".
        echo: where the words of bodies are shown; None for `plain` on the engine `inline`, and `paths` elsewhere.
        log_level: the level from which on log records of bodies are kept; None for `PROMISSORY_LOG_LEVEL`, else INFO.
        says: tell of retries and of gates that wait, on standard error.
        on_progress: called after each commit, and now and then between commits.
        plain: this is a plain call: nobody can reach its run, so the terminal is asked for answers, and cached outcomes
            are those of the store that `run` would use.
        beat: say in the store that this executor lives.
        clock: the clock of the run's delays and time-outs; None for the machine's.
    """

    engine: Engine
    max_parallelism: int | None = None
    pools: Mapping[str, int] = field(default_factory=dict)
    memory: int | None = None
    gpu: int | None = None
    stop: int | None = None
    keep_cycles: int | None = None
    soft_timeouts: bool = False
    timeout: float | None = None
    grace: float = 10.0
    durability: Durability = "disk"
    echo: Echo | None = None
    log_level: str | int | None = None
    says: bool = True
    on_progress: Callable[[Progress], None] | None = None
    plain: bool = False
    beat: bool = True
    clock: Clock | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` for an option that makes no sense."""
        wanted = self.max_parallelism
        if wanted is not None and (wanted.__class__ is not int or wanted < 1):
            raise InputError(f"max_parallelism is a whole number of at least 1, not {wanted!r}")
        if self.stop is not None and (self.stop.__class__ is not int or abs(self.stop) >= 1 << 62):
            raise InputError(f"stop (--stop) is the number of a cycle's last round, not {self.stop!r}")
        if self.keep_cycles is not None and (self.keep_cycles.__class__ is not int or self.keep_cycles < 1):
            raise InputError(f"keep_cycles (--keep-cycles) is a whole number of at least 1, not {self.keep_cycles!r}")
        for name, places in self.pools.items():
            if not isinstance(name, str) or places.__class__ is not int or places < 1:
                raise InputError(
                    f"a pool has a name and a whole number of places of at least 1, not {name!r}: {places!r}"
                )
        if self.timeout is not None and (self.timeout.__class__ is not float or not 0 < self.timeout < math.inf):
            raise InputError(f"timeout (--timeout) is a number of seconds above 0, not {self.timeout!r}")
        if self.grace.__class__ is not float or not 0 <= self.grace < math.inf:
            raise InputError(f"grace (--grace) is a number of seconds of at least 0, not {self.grace!r}")
        if self.durability not in ("disk", "process"):
            raise InputError(f'durability is "disk" or "process", not {self.durability!r}')
        if self.echo not in ("plain", "paths", False, None) or self.echo.__class__ is int:
            raise InputError(f'echo is "plain", "paths" or False, not {self.echo!r}')
        level_number(self.log_level)

    @property
    def echoes(self) -> Echo:
        """Where the words of bodies are shown."""
        if self.echo is not None:
            return self.echo
        return "plain" if self.engine.name == "inline" else "paths"

    @property
    def parallel(self) -> int:
        """How many bodies may run at one time."""
        return max(1, self.engine.slots(self.max_parallelism))

    def capacity(self) -> Capacity:
        """The capacity that bodies may use together."""
        return capacity_here(self.parallel, self.memory, self.gpu, self.pools)


def options_of(given: RunOptions) -> tuple[Options, Limited]:
    """The caller's options, checked. Raises `TypeError` for an unknown name, `InputError` for a value that makes no
    sense, `StartedInWorker` where user code is being imported."""
    unknown = given.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"unexpected keyword argument {sorted(unknown)[0]!r}; there are: {', '.join(RunOptions.__annotations__)}"
        )
    refuse_outside_bodies()
    rest: dict[str, Any] = dict(given)
    limits = (rest.pop("max_depth", None), rest.pop("max_nodes", None), rest.pop("max_futures_bytes", None))
    memory, gpu = given_resources(rest.pop("resources", None))
    engine = engine_named(rest.pop("engine", "inline"))
    timeout, grace = seconds(rest.pop("timeout", None)), seconds(rest.pop("grace", None))
    pools = rest.pop("pools", None) or {}
    options = Options(engine=engine, memory=memory, gpu=gpu, timeout=timeout, pools=pools, **rest)
    if grace is not None:
        options = replace(options, grace=grace)
    check_limits(Limits().changed(*limits))
    return options, limits


def level_number(level: str | int | None) -> int:
    """The number of a log level: a number, or a name that `logging` knows. Raises `InputError`."""
    named = os.environ.get("PROMISSORY_LOG_LEVEL") or "INFO" if level is None else level
    if named.__class__ is int and named >= 0:
        return named
    number = logging.getLevelNamesMapping().get(named.upper()) if isinstance(named, str) else None
    if number is None and isinstance(named, str) and named.isdecimal():
        number = int(named)
    if number is None:
        where = "PROMISSORY_LOG_LEVEL" if level is None else "log_level (--log-level)"
        raise InputError(f"{where} is DEBUG, INFO, WARNING, ERROR, CRITICAL or a number, not {named!r}")
    return number


def given_resources(resources: Resources | None) -> tuple[int | None, int | None]:
    """The memory and graphics processors that a caller says there are. A number of 0 was not given."""
    if resources is None:
        return None, None
    if not isinstance(resources, Resources):
        raise InputError(f"resources are given as Resources(…), not {resources!r}")
    return resources.bytes or None, resources.gpu or None


def check_limits(limits: Limits) -> None:
    """Raise `InputError` for a limit that makes no sense."""
    for name, value in (
        ("max_depth", limits.max_depth),
        ("max_nodes", limits.max_nodes),
        ("max_futures_bytes", limits.max_futures_bytes),
    ):
        if value.__class__ is not int or value < 0:
            raise InputError(f"{name} is a whole number of at least 0, not {value!r}")
