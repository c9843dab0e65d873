"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from promissory.executor.engines.registry import engine_named
from promissory.executor.execution.options import Durability, Options
from promissory.executor.execution.run import default_store
from promissory.executor.records.progress import Progress
from promissory.executor.store.store import Store
from promissory.planner.plan.policy import memory_bytes

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Pool(click.ParamType):  # type: ignore[type-arg]
    """NAME=N."""

    name = "NAME=N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, places = str(value).partition("=")
        if not name or not places.isdecimal() or int(places) < 1:
            self.fail(f"{value!r} is no pool with its places: write NAME=N, like db=2", param, ctx)
        return name, int(places)


@dataclass(frozen=True, slots=True)
class Running:
    """What `run` and `resume` were told about how to carry a run.

    Attributes:
        limits: max_depth, max_nodes, max_futures_bytes, each None if nothing was said.
        as_json: print the result as JSON.
        quiet: say nothing.
    """

    engine: str
    limits: tuple[int | None, int | None, int | None]
    max_parallelism: int | None
    pools: dict[str, int]
    memory: int | None
    gpu: int | None
    soft_timeouts: bool
    timeout: float | None
    durability: Durability
    as_json: bool
    quiet: bool

    def options(self, on_progress: Callable[[Progress], None] | None) -> Options:
        """How the run is to be carried."""
        return Options(
            engine=engine_named(self.engine),
            max_parallelism=self.max_parallelism,
            pools=self.pools,
            memory=self.memory,
            gpu=self.gpu,
            soft_timeouts=self.soft_timeouts,
            timeout=self.timeout,
            durability=self.durability,
            echo=not self.quiet,
            on_progress=on_progress,
        )


def memory_of(text: str | None) -> int | None:
    """The memory that there is, as the command line says it."""
    try:
        return None if text is None else memory_bytes(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--memory") from None


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--store URL`."""
    return click.option("--store", default=default_store, help="Where runs are kept: a path or URL.  [PROMISSORY_STORE, else ./.promissory]")(function)


def running_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What `run` and `resume` both take, given to the command as `running`."""

    @functools.wraps(function)
    def wrapped(
        *,
        engine: str,
        max_depth: int | None,
        max_nodes: int | None,
        max_futures_bytes: int | None,
        max_parallelism: int | None,
        pools: tuple[tuple[str, int], ...],
        memory: str | None,
        gpu: int | None,
        soft_timeouts: bool,
        timeout: float | None,
        durability: Durability,
        as_json: bool,
        quiet: bool,
        **others: Any,
    ) -> Any:
        limits = (max_depth, max_nodes, max_futures_bytes)
        running = Running(engine, limits, max_parallelism, dict(pools), memory_of(memory), gpu, soft_timeouts, timeout, durability, as_json, quiet)
        return function(running=running, **others)

    for option in reversed(
        (
            click.option("--engine", default="processes", show_default=True, help="Who runs the tasks: processes, threads, inline."),
            click.option("--max-depth", type=click.IntRange(min=0), default=None, help="How deep dynamics may nest.  [100]"),
            click.option("--max-nodes", type=click.IntRange(min=1), default=None, help="How many nodes the run may have.  [1,000,000]"),
            click.option("--max-futures-bytes", type=click.IntRange(min=1), default=None, help="Bytes of one futures file.  [256 MiB]"),
            click.option("--max-parallelism", type=click.IntRange(min=1), default=None, help="How many tasks may run at one time."),
            click.option("--pool", "pools", type=_Pool(), multiple=True, help="How many tasks of a pool may run at one time; may be given again."),
            click.option("--memory", default=None, help="The memory that tasks may use together, like 16GiB.  [the machine's]"),
            click.option("--gpu", type=click.IntRange(min=0), default=None, help="The graphics processors that tasks may use.  [the machine's]"),
            click.option("--soft-timeouts", is_flag=True, help="Let an engine that can't stop a task fail it when it comes late."),
            click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=None, help="Seconds that the whole run may take."),
            click.option("--durability", type=click.Choice(["disk", "process"]), default="disk", show_default=True, help="What is acknowledged survives the machine's death, or that of processes."),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, always."),
            click.option("--quiet", is_flag=True, help="No messages, no progress, no echo of what tasks print."),
        )
    ):
        wrapped = option(wrapped)
    return wrapped


def open_store(url: str) -> Store:
    """The store of a `--store` option."""
    return Store(url)
