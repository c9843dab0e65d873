"""`promissory stop`: stop a run so that it can be resumed."""

from __future__ import annotations

import click

from executor.cli.options import open_store, store_option
from executor.cli.output import say
from executor.handle import go_on_command
from executor.inbox import tell
from executor.manifest import read_manifest


@click.command()
@store_option
@click.option("--reason", default="", help="Why, for the record.")
@click.argument("run_id", metavar="RUN")
def command(run_id: str, store: str, reason: str) -> None:
    """Start nothing new, let what runs finish, and leave the run to be resumed."""
    opened = open_store(store)
    read_manifest(opened, run_id)
    tell(opened, run_id, "stop", reason)
    say(f"run {run_id} is stopped; to go on: {go_on_command('resume', run_id, opened)}")
