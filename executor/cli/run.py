"""`promissory run`: compile a workflow, or take a plan, and carry it to its end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from promissory.executor.cli.loading import Runnable, choose, load, runnables
from promissory.executor.cli.options import Running, running_options
from promissory.executor.cli.output import say
from promissory.executor.cli.progress import progress_view
from promissory.executor.cli.results import print_result
from promissory.executor.cli.stores import new_store, store_option
from promissory.executor.cli.workflow_options import inputs_from_command_line, refuse_own_options
from promissory.executor.errors import RunExists, RunInterrupted
from promissory.executor.execution.launch import join
from promissory.executor.execution.prepare import prepare_encoded
from promissory.executor.execution.run import Run
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.progress import Progress
from promissory.planner import Plan
from promissory.planner import compile as compile_plan
from promissory.planner.functions.entity import Entity
from promissory.typesys.buffer import Pending


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="The workflow's own inputs stand after its name: promissory run flow.py report --year 2026. "
    "Add --help there to see them.",
)
@running_options
@store_option
@click.option("--inputs", help="Inputs as a JSON object or YAML mapping, or @file with one.")
@click.option("--run-id", help="The run's name.  [the workflow's, with the time]")
@click.argument("what", metavar="FILE|MODULE|PLAN")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[WORKFLOW] [--INPUT VALUE …]")
def command(
    what: str,
    arguments: tuple[str, ...],
    running: Running,
    store: str | None,
    inputs: str | None,
    run_id: str | None,
) -> int:
    """Run a workflow. The result goes to stdout, everything else to stderr."""
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
            click.echo(f"Usage: promissory run {what} WORKFLOW [--INPUT VALUE …]\n\nWorkflows of {what}:")
            for one, thing in runnables(loaded).items():
                click.echo(f"  {one}: {_first_line(thing)}")
            return 0
        plan, name = compile_plan(target), target.name
        documentation = target.function.__doc__ or "" if isinstance(target, Entity) else ""
        file = getattr(loaded, "__file__", None)
        if file is not None:
            root = Path(file).resolve().parents[loaded.__name__.count(".") + (Path(file).name == "__init__.py")]
            source = (str(Path(file).resolve()), str(root))
    large = Pending()
    encoded = inputs_from_command_line(plan, name, documentation, rest, inputs, large)
    opened = new_store(store, running.quiet)

    def begin(on_progress: Callable[[Progress], None] | None) -> Run:
        options, limited = running.options(on_progress)
        limits = Limits().changed(*limited)
        try:
            prepared = prepare_encoded(
                plan,
                encoded,
                {},
                store=opened,
                limits=limits,
                run_id=run_id,
                source=source,
                options=options,
                buffers=large.buffers,
            )
        except RunExists as error:
            if not error.is_same or run_id is None:
                raise
            if not running.quiet:
                say(f"run {run_id} is there already, in {opened.url}")
            return join(run_id, opened, None, options, limited, background=False)
        if not running.quiet:
            say(f"run {prepared.id} in {opened.url}")
        return prepared.carry()

    return carry(begin, name, plan, running)


def _first_line(thing: Runnable) -> str:
    documentation = (thing.function.__doc__ or "") if isinstance(thing, Entity) else ""
    return next(iter(documentation.strip().splitlines()), thing.kind)


def carry(begin: Callable[[Callable[[Progress], None] | None], Run], name: str, plan: Plan, running: Running) -> int:
    """Carry a run to its end with a progress bar, and print its result or its error. Returns the exit code."""
    with running.descriptors():
        if running.quiet:
            run = begin(None)
        else:
            with progress_view(name) as on_progress:
                run = begin(on_progress)
    error = run.error
    if error is not None:
        say(f"promissory: {error}")
        return 130 if isinstance(error, RunInterrupted) else 1
    outputs = [
        (output.name, output.type, data) for output, data in zip(plan.outputs, run.encoded_outputs(), strict=False)
    ]
    if run.state == "TERMINATED":
        say(f"run {run.id} was ended early{f': {run.reason}' if run.reason else ''}")
    there = [(name, type, data) for name, type, data in outputs if data is not None]
    if there or not outputs:
        print_result(there, running.as_json, run.store)
    elif running.as_json:
        click.echo("null")
    for name, _, data in outputs:
        if data is None:
            say(f"the output {name} is not there: {run.why_unavailable()}")
    return 0
