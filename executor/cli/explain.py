"""`promissory explain`: why a node ran, was cached, or did not run."""

from __future__ import annotations

import json
import textwrap

import click

from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.history.explain import explain


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@run_argument
@click.argument("node")
def command(run_id: str, node: str, store: str | None, as_json: bool) -> None:
    """Say why NODE (a path) ran, was taken from the cache, or has not run; of a cached task that ran, the first thing
    that differed from an earlier call."""
    found = explain(open_store(store), run_id, node)
    if as_json:
        click.echo(json.dumps({"node": found.path, "state": found.state, "reasons": found.reasons}, indent=2))
        return
    click.echo(f"{found.path}: {found.state}")
    for reason in found.reasons:
        click.echo(textwrap.indent(reason, "  "))
