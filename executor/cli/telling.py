"""The commands `pause`, `unpause` and `stop`: each sends a command to a run's executor in another process, and tells
when it was obeyed."""

from __future__ import annotations

import click

from promissory.executor.cli.output import say
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.execution.run import go_on_command
from promissory.executor.history.summary import ENDED_WELL, standing_of_run
from promissory.executor.records.inbox import tell
from promissory.executor.records.manifest import read_manifest


def telling(name: str, help: str, said: str, way_on: str | None = None) -> click.Command:
    """The command that sends a command to a run.

    Args:
        name: the command that is sent.
        help: the text for `--help`.
        said: how the run stands afterwards.
        way_on: the command by which the run goes on afterwards; None if it goes on by itself.
    """

    @click.command(name, help=help)
    @store_option
    @click.option("--reason", default="", help="Why, for the record.")
    @run_argument
    def command(run_id: str, store: str | None, reason: str) -> None:
        opened = open_store(store)
        read_manifest(opened, run_id)
        tell(opened, run_id, name, reason)
        stands = standing_of_run(opened, run_id)
        if stands.state in ENDED_WELL:
            say(f"run {run_id} has ended meanwhile: {stands.state}")
            return
        say(
            f"run {run_id} {said}"
            + (f"; to go on: {go_on_command(way_on, run_id, opened)}" if way_on is not None else "")
        )

    return command
