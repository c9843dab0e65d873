"""`promissory runs`: the runs of a store."""

from __future__ import annotations

import click

from promissory.executor.cli.options import open_store, store_option
from promissory.executor.cli.output import ago, lasted, print_table, say
from promissory.executor.history.summary import summaries


@click.command()
@store_option
def command(store: str | None) -> None:
    """List the runs of a store, the newest first."""
    opened = open_store(store)
    found = sorted(summaries(opened), key=lambda one: one.created, reverse=True)
    if not found:
        say(f"no runs in {opened.url}")
        return
    rows = [
        [one.run_id, one.workflow, one.state, ago(one.created), lasted(one.duration), f"{one.done:,}/{one.nodes:,}"]
        for one in found
    ]
    print_table(["run", "workflow", "state", "created", "lasted", "nodes"], rows)
