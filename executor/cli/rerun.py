"""`promissory rerun`: run a node of an earlier run, and what depends on it, once more."""

from __future__ import annotations

from collections.abc import Callable

import click

from promissory.executor.cli.loading import find_code
from promissory.executor.cli.options import Running, running_options
from promissory.executor.cli.output import say
from promissory.executor.cli.run import carry
from promissory.executor.cli.runs_by_name import id_of
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.execution.rerun import prepare_rerun
from promissory.executor.execution.run import Run
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.records.progress import Progress


@click.command()
@running_options
@store_option
@click.option("--from", "from_", required=True, metavar="NODE", help="The node's path, as `status --nodes` shows it.")
@click.option("--run-id", help="The new run's name.  [the workflow's, with the time]")
@click.argument("earlier", metavar="RUN", callback=id_of)
@click.argument("file", required=False)
def command(earlier: str, from_: str, file: str | None, running: Running, store: str | None, run_id: str | None) -> int:
    """Run NODE of an earlier run, and what depends on it, as a new run with today's code; all else is taken from the
    earlier one. FILE is needed only if the workflow's file has moved."""
    opened = open_store(store)
    manifest = read_manifest(opened, earlier)
    plan = read_plan(opened, manifest)
    find_code(manifest, file)

    def begin(on_progress: Callable[[Progress], None] | None) -> Run:
        options, limits = running.options(on_progress)
        prepared = prepare_rerun(opened, earlier, from_, options, limits, new_run_id=run_id)
        if not running.quiet:
            say(f"run {prepared.id} in {opened.url}, from {from_} of run {earlier}")
        return prepared.carry()

    return carry(begin, manifest.workflow, plan, running)
