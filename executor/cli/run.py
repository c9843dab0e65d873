"""`promissory run`: compile a workflow, or take a plan, and carry it to its end."""

from __future__ import annotations

from collections.abc import Callable

import click

from promissory.executor.cli.given import given
from promissory.executor.cli.options import Running, running_options
from promissory.executor.cli.output import say
from promissory.executor.cli.progress import progress_view
from promissory.executor.cli.results import print_result
from promissory.executor.cli.stores import new_store, store_option
from promissory.executor.errors import RunExists, RunInterrupted
from promissory.executor.execution.launch import join
from promissory.executor.execution.prepare import prepare_encoded
from promissory.executor.execution.run import Run
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.progress import Progress
from promissory.planner import Plan


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
    wanted = given(what, arguments, inputs, "run")
    if wanted is None:
        return 0
    plan, name = wanted.plan, wanted.name
    opened = new_store(store, running.quiet)

    def begin(on_progress: Callable[[Progress], None] | None) -> Run:
        options, limited = running.options(on_progress)
        limits = Limits().changed(*limited)
        try:
            prepared = prepare_encoded(
                plan,
                wanted.inputs,
                {},
                store=opened,
                limits=limits,
                run_id=run_id,
                source=wanted.source,
                options=options,
                buffers=wanted.buffers,
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
