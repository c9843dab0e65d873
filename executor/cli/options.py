"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import click

from promissory.executor.execution.options import Limited, Options, RunOptions, Said, options_of
from promissory.executor.records.progress import Progress
from promissory.executor.worker.raw_output import raw_output
from promissory.planner.plan.policy import memory_bytes
from promissory.typesys.durations import duration_of

Decorator = Callable[[Any], Any]


class _Pool(click.ParamType):  # type: ignore[type-arg]
    """The places of a pool, written NAME=N."""

    name = "NAME=N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, places = str(value).partition("=")
        if not name or not places.isdecimal() or int(places) < 1:
            self.fail(f"{value!r} is no pool with its places: write NAME=N, like db=2", param, ctx)
        return name, int(places)


class _Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration: seconds, `1h30m`, or ISO 8601. Gives seconds."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = duration_of(str(value)).total_seconds()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no duration: write seconds, 1h30m, or PT1H30M", param, ctx)
        if seconds <= 0:
            self.fail(f"{value!r} is not more than 0 seconds", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class Running:
    """The options of `run`, `resume` and `rerun` that say how to carry a run.

    Attributes:
        given: the options that were given, as `promissory.run` takes them.
        memory, gpu: the bytes and the graphics processors that there are, which may be none; None if not given.
        as_json: print the result as JSON.
        quiet: say nothing.
    """

    given: RunOptions
    memory: int | None
    gpu: int | None
    as_json: bool
    quiet: bool

    def descriptors(self) -> AbstractContextManager[None]:
        """While bodies run in this process, their output below Python must not get into the result's."""
        in_process = self.given.get("engine") in ("inline", "threads")
        return raw_output.lent() if in_process and self.given.get("echo") != "plain" else nullcontext()

    def options(self, on_progress: Callable[[Progress], None] | None) -> tuple[Options, Limited]:
        """The options of the executor, and the run's limits."""
        quiet: RunOptions = {"echo": False} if self.quiet else {}
        options, limits = options_of({**self.given, **quiet, "on_progress": on_progress})
        memory, gpu = (
            options.memory if self.memory is None else self.memory,
            options.gpu if self.gpu is None else self.gpu,
        )
        return replace(options, memory=memory, gpu=gpu, says=not self.quiet), limits


def memory_of(text: str | None) -> int | None:
    """The bytes of a memory size, as the command line gives it."""
    try:
        return None if text is None else memory_bytes(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--memory") from None


def running_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `run`, `resume` and `rerun`, made of `RunOptions`, to a command, which gets `running`."""

    @functools.wraps(function)
    def wrapped(
        *,
        as_json: bool,
        quiet: bool,
        memory: str | None,
        gpu: int | None,
        pools: tuple[tuple[str, int], ...],
        **others: Any,
    ) -> Any:
        given: dict[str, Any] = {name: others.pop(name) for name in RunOptions.__annotations__ if name in others}
        running = Running(cast(RunOptions, {**given, "pools": dict(pools)}), memory_of(memory), gpu, as_json, quiet)
        return function(running=running, **others)

    of_runs = [
        option
        for name, hint in get_type_hints(RunOptions, include_extras=True).items()
        for option in _options(name, hint)
    ]
    ours = [
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, always."),
        click.option("--quiet", is_flag=True, help="No messages, no progress, no echo of what tasks print."),
    ]
    command: Callable[..., Any] = wrapped
    for option in reversed([*of_runs, *ours]):
        command = option(command)
    return command


def _options(name: str, hint: Any) -> list[Decorator]:
    """The options of the command line for one of `RunOptions`; none if the command line has no such option."""
    said = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Said)), None)
    if said is None:
        return []
    flag, wanted = "--" + name.replace("_", "-"), hint.__origin__
    if name == "pools":
        return [click.option("--pool", "pools", type=_Pool(), multiple=True, help=said.help)]
    if name == "echo":
        choice = click.option(
            flag,
            type=click.Choice(["plain", "paths", "none"]),
            default=said.default,
            show_default=True,
            callback=lambda context, parameter, value: False if value == "none" else value,
            help=said.help,
        )
        return [choice]
    if name == "resources":
        memory = click.option(
            "--memory", default=None, help="The memory that tasks may use together, like 16GiB.  [the machine's]"
        )
        return [
            memory,
            click.option(
                "--gpu",
                type=click.IntRange(min=0),
                default=None,
                help="The graphics processors that tasks may use.  [the machine's]",
            ),
        ]
    if wanted is bool:
        return [click.option(flag, is_flag=True, help=said.help)]
    if get_origin(wanted) is Literal:
        return [
            click.option(
                flag, type=click.Choice(get_args(wanted)), default=said.default, show_default=True, help=said.help
            )
        ]
    if str in get_args(wanted):
        return [click.option(flag, default=said.default, show_default=True, help=said.help)]
    if float in get_args(wanted):
        return [click.option(flag, type=_Duration(), default=None, help=said.help)]
    kind = click.INT if said.least < 0 else click.IntRange(min=said.least)
    return [click.option(flag, type=kind, default=None, help=said.help)]
