"""`promissory gc`: remove the keys to which nothing refers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import click

from promissory.executor.cli.output import counted, say
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.maintenance.garbage import garbage, remove, remove_run
from promissory.executor.records.manifest import read_manifest


class _Age(click.ParamType):  # type: ignore[type-arg]
    """A number with a unit: s, m, h, d."""

    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is no age: write a number with s, m, h or d, like 7d", param, ctx)
        return timedelta(seconds=float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]])


@click.command()
@store_option
@click.option(
    "--older-than", type=_Age(), default="1d", show_default=True, help="Leave alone what is younger: 30m, 12h, 7d."
)
@click.option("--run", "runs", metavar="RUN", multiple=True, help="Remove this run first; may be given again.")
@click.option("--remove", "really", is_flag=True, help="Remove it. Without this, only told.")
@click.option("--quiet", is_flag=True, help="Only the sum.")
def command(store: str | None, older_than: timedelta, runs: tuple[str, ...], really: bool, quiet: bool) -> None:
    """Find what no run and no cached result refers to, and remove it if told to. Not while a run goes on."""
    opened = open_store(store)
    for run_id in runs:
        if really:
            remove_run(opened, run_id)
        else:
            read_manifest(opened, run_id)
        say(f"run {run_id} {'is' if really else 'would be'} removed")
    found = garbage(opened, older_than.total_seconds(), runs)
    if not quiet:
        for one in found:
            click.echo(one.key)
    if really:
        say(f"{counted(remove(opened, found), 'file')} removed")
    else:
        say(f"{counted(len(found), 'file')} could be removed: say --remove")
