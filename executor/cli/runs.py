"""`promissory runs`: the runs of a store."""

from __future__ import annotations

import json

import click

from promissory.executor.cli.output import lasted, moment, print_table, say
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.history.at_a_glance import summaries
from promissory.executor.history.summary import Summary

STATES = (
    "QUEUED",
    "RUNNING",
    "PAUSED",
    "STALLED",
    "INTERRUPTED",
    "SUCCEEDED",
    "TERMINATED",
    "FAILED",
    "CANCELLED",
    "DAMAGED",
)


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES, case_sensitive=False),
    multiple=True,
    help="Only runs in this state; may be given again.",
)
@click.option("--workflow", help="Only runs of this workflow.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="Only so many, the newest.")
def command(store: str | None, as_json: bool, states: tuple[str, ...], workflow: str | None, limit: int | None) -> None:
    """List the runs of a store, the newest first."""
    opened = open_store(store)
    wanted = [
        one
        for one in summaries(opened)
        if (not states or one.state in states) and (workflow is None or one.workflow == workflow)
    ]
    found = sorted(wanted, key=lambda one: one.created, reverse=True)[:limit]
    if as_json:
        click.echo(json.dumps([_json(one) for one in found], indent=2))
        return
    if not found:
        say(f"no {'such ' if states or workflow else ''}runs in {opened.url}")
        return
    rows = [
        [one.run_id, one.workflow, one.state, moment(one.created), lasted(one.duration), f"{one.done:,}/{one.nodes:,}"]
        for one in found
    ]
    print_table(["run", "workflow", "state", "created", "lasted", "nodes"], rows)


def _json(one: Summary) -> dict[str, object]:
    return {
        "run": one.run_id,
        "workflow": one.workflow,
        "state": one.state,
        "created": moment(one.created) if one.created else None,
        "lasted_seconds": one.duration / 1e6,
        "done": one.done,
        "nodes": one.nodes,
    }
