"""`promissory resume`: go on with a run that was interrupted or failed."""

from __future__ import annotations

from collections.abc import Callable

import click

from promissory.executor.cli.loading import find_code
from promissory.executor.cli.options import Running, running_options
from promissory.executor.cli.output import say
from promissory.executor.cli.run import carry
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.execution.code_changes import Change
from promissory.executor.execution.launch import resume_with
from promissory.executor.execution.run import Run
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.records.progress import Progress


@click.command()
@running_options
@store_option
@click.option(
    "--take-over", is_flag=True, help="Take the run from an executor that seems to live; it will stop by itself."
)
@click.option("--strict-code", is_flag=True, help="Refuse if any code changed since the run began.")
@click.option(
    "--new-code", is_flag=True, help="Have async dynamics that have begun go on with today's code, if that fits."
)
@run_argument
@click.argument("file", required=False)
def command(
    run_id: str,
    file: str | None,
    running: Running,
    store: str | None,
    take_over: bool,
    strict_code: bool,
    new_code: bool,
) -> int:
    """Go on with a run: what is committed stays, the rest runs. FILE is needed only if the workflow's file has
    moved."""
    opened = open_store(store)
    manifest = read_manifest(opened, run_id)
    plan = read_plan(opened, manifest)
    find_code(manifest, file)
    if manifest.queue and not new_code and not running.quiet:
        say(f"run {run_id} was submitted, and goes on with the code that it was submitted with (else: --new-code)")

    def changed(change: Change) -> None:
        say(f"{change.name} has changed since the run began: what hasn't run yet runs the new code")

    def begin(on_progress: Callable[[Progress], None] | None) -> Run:
        options, limits = running.options(on_progress)
        return resume_with(
            run_id,
            options,
            limits,
            store=opened,
            take_over=take_over,
            strict_code=strict_code,
            new_code=new_code,
            on_change=changed,
        )

    return carry(begin, manifest.workflow, plan, running)
