"""`promissory show`: a plan as text or as a Mermaid chart."""

from __future__ import annotations

from pathlib import Path

import click

from promissory.executor.cli.loading import choose, is_file, load
from promissory.executor.cli.runs_by_name import run_named
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import StoreNotFound
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.planner import Plan
from promissory.planner import compile as compile_plan


@click.command()
@store_option
@click.option("--mermaid", is_flag=True, help="As a Mermaid flowchart.")
@click.option("--code", is_flag=True, help="Also where each callable is found, and the digest of its code.")
@click.argument("what", metavar="PLAN|RUN|FILE")
@click.argument("workflow", required=False)
def command(what: str, workflow: str | None, mermaid: bool, code: bool, store: str | None) -> None:
    """Show the plan of a plan file, of a run, or of a workflow in a Python file."""
    plan = _plan(what, workflow, store)
    click.echo(plan.to_mermaid() if mermaid else plan.show(code))


def _plan(what: str, workflow: str | None, store: str | None) -> Plan:
    if is_file(Path(what)):
        loaded = load(what)
        return loaded if isinstance(loaded, Plan) else compile_plan(choose(loaded, workflow))
    try:
        opened = open_store(store)
    except StoreNotFound as error:
        raise click.UsageError(f"there is no file {what!r}, and no run either: {error}") from None
    return read_plan(opened, read_manifest(opened, run_named(opened, what)))
