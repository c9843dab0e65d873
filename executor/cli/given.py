"""What is to run, and its inputs, as `run` and `submit` are given them on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import click

from promissory.executor.cli.loading import Runnable, choose, load, runnables
from promissory.executor.cli.workflow_options import inputs_from_command_line, refuse_own_options
from promissory.planner import Plan
from promissory.planner import compile as compile_plan
from promissory.planner.functions.entity import Entity
from promissory.typesys.buffer import Buffer, Pending


class Given(NamedTuple):
    """A plan, its name, its inputs, where its code comes from, and the large buffers of the inputs."""

    plan: Plan
    name: str
    inputs: dict[str, bytes]
    source: tuple[str, ...]
    buffers: list[Buffer]


def given(what: str, arguments: tuple[str, ...], inputs: str | None, command: str) -> Given | None:
    """What a command is to run; None if its workflows were only to be listed.

    Args:
        what: a file, module or plan file.
        arguments: the workflow's name, and its inputs as options.
        inputs: the inputs as JSON or YAML, or a file with these.
        command: the command, for its help.
    """
    if what.startswith("-"):
        raise click.NoSuchOption(what)
    loaded = load(what)
    rest = list(arguments)
    source: tuple[str, ...] = ()
    if isinstance(loaded, Plan):
        plan, documentation, name = loaded, "", loaded.name
        if rest and not rest[0].startswith("-"):
            if rest[0] != name:
                raise click.UsageError(f"the plan holds the workflow {name}, not {rest[0]}")
            rest.pop(0)
        sys.path.insert(0, "")
        source = ("", str(Path.cwd()))
    else:
        named = rest.pop(0) if rest and not rest[0].startswith("-") else None
        try:
            target = choose(loaded, named)
        except click.UsageError:
            refuse_own_options(rest)
            if rest[:1] not in (["--help"], ["-h"]) or not runnables(loaded):
                raise
            click.echo(f"Usage: promissory {command} {what} WORKFLOW [--INPUT VALUE …]\n\nWorkflows of {what}:")
            for one, thing in runnables(loaded).items():
                click.echo(f"  {one}: {_first_line(thing)}")
            return None
        plan, name = compile_plan(target), target.name
        documentation = target.function.__doc__ or "" if isinstance(target, Entity) else ""
        file = getattr(loaded, "__file__", None)
        if file is not None:
            root = Path(file).resolve().parents[loaded.__name__.count(".") + (Path(file).name == "__init__.py")]
            source = (str(Path(file).resolve()), str(root))
    large = Pending()
    encoded = inputs_from_command_line(plan, name, documentation, rest, inputs, large, command)
    return Given(plan, name, encoded, source, large.buffers)


def _first_line(thing: Runnable) -> str:
    documentation = (thing.function.__doc__ or "") if isinstance(thing, Entity) else ""
    return next(iter(documentation.strip().splitlines()), thing.kind)
