"""`promissory export`: a store with one run and all that it refers to."""

from __future__ import annotations

import click

from promissory.executor.cli.output import counted, say
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import new_store, open_store, store_option
from promissory.executor.maintenance.export import export


@click.command()
@store_option
@run_argument
@click.argument("target", metavar="DIR")
def command(run_id: str, target: str, store: str | None) -> None:
    """Copy a run, and all it refers to, into the store DIR (a folder or URL): there it can be looked at and resumed, on
    another machine too."""
    opened = new_store(target)
    copied = export(open_store(store), run_id, opened)
    say(
        f"{counted(copied, 'file')} of run {run_id} are in {opened.url}; "
        f"to go on there: promissory resume {run_id} --store {target}"
    )
