"""`promissory futures`: the futures files of a run, and the plans in them."""

from __future__ import annotations

import click

from promissory.executor.cli.output import say
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.history.history import History


@click.command()
@store_option
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
@run_argument
@click.argument("path", required=False)
def command(run_id: str, path: str | None, store: str | None, mermaid: bool) -> None:
    """List the dynamics that emitted a futures file; with PATH, show that file as a plan."""
    history = History(open_store(store), run_id)
    if path is None:
        for found in history.futures_paths():
            click.echo(found)
        return
    plan, key = history.futures(path)
    say(key)
    click.echo(plan.to_mermaid() if mermaid else plan.show())
