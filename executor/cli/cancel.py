"""`promissory cancel`: end a run for good."""

from __future__ import annotations

import click

from promissory.executor.cli.output import say
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.execution.cancel import cancel_run


@click.command()
@store_option
@click.option("--reason", default="cancelled from the command line", show_default=True, help="Why, for the record.")
@run_argument
def command(run_id: str, store: str | None, reason: str) -> None:
    """End a run as CANCELLED: nothing new starts, what runs is ended where its engine can do that. Also a run that
    nobody works on."""
    state = cancel_run(open_store(store), run_id, reason)
    say(f"run {run_id} is {state}")
