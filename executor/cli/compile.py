"""`promissory compile`: write a workflow's plan to a file."""

from __future__ import annotations

from pathlib import Path

import click

from promissory.executor.cli.loading import choose, load
from promissory.executor.cli.output import counted, say
from promissory.planner import Plan
from promissory.planner import compile as compile_plan


@click.command()
@click.argument("file")
@click.argument("workflow", required=False)
@click.option("-o", "--output", type=click.Path(dir_okay=False), required=True, help="The plan file to write.")
def command(file: str, workflow: str | None, output: str) -> None:
    """Compile a workflow to a plan file, which runs wherever the tasks' code can be imported."""
    loaded = load(file)
    if isinstance(loaded, Plan):
        raise click.UsageError(f"{file} is a plan already")
    plan = compile_plan(choose(loaded, workflow))
    data = plan.to_bytes()
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise click.UsageError(f"can't write {output}: {error.strerror or error}") from None
    say(f"{output}: {counted(len(plan), 'node')}, {counted(len(data), 'byte')}, digest {plan.digest}")
