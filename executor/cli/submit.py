"""`promissory submit`: put a run into a queue of a store, for `promissory work` to carry out."""

from __future__ import annotations

import click

from promissory.executor.cli.given import given
from promissory.executor.cli.output import say
from promissory.executor.cli.stores import new_store, store_option
from promissory.executor.execution.options import RunOptions, options_of
from promissory.executor.execution.run import go_on_command
from promissory.executor.execution.submission import submit_encoded
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.queue import DEFAULT


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, mark, text = pair.partition("=")
        if not mark or not name:
            raise click.BadParameter(f"{pair!r} is no label: write NAME=TEXT, like team=data", param_hint="--label")
        found[name] = text
    return found


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="The workflow's own inputs stand after its name: promissory submit flow.py report --year 2026. "
    "Add --help there to see them.",
)
@store_option
@click.option("--queue", default=DEFAULT, show_default=True, help="The queue to wait in.")
@click.option("--priority", type=int, default=0, show_default=True, help="Runs of a higher one are carried out first.")
@click.option("--label", "labels", multiple=True, metavar="NAME=TEXT", help="A label; may be given again.")
@click.option("--inputs", help="Inputs as a JSON object or YAML mapping, or @file with one.")
@click.option("--run-id", help="The run's name.  [the workflow's, with the time]")
@click.option("--max-depth", type=click.IntRange(min=0), default=None, help="How deep dynamics may nest.  [100]")
@click.option("--max-nodes", type=click.IntRange(min=1), default=None, help="How many nodes it may have.  [1,000,000]")
@click.option("--quiet", is_flag=True, help="Print the run's name and nothing else.")
@click.argument("what", metavar="FILE|MODULE|PLAN")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[WORKFLOW] [--INPUT VALUE …]")
def command(
    what: str,
    arguments: tuple[str, ...],
    store: str | None,
    queue: str,
    priority: int,
    labels: tuple[str, ...],
    inputs: str | None,
    run_id: str | None,
    max_depth: int | None,
    max_nodes: int | None,
    quiet: bool,
) -> int:
    """Submit a run: its plan, inputs and code are stored, and it waits in a queue until a worker carries it out. Its
    name goes to stdout. Submitted again under its name it is the same run."""
    wanted = given(what, arguments, inputs, "submit")
    if wanted is None:
        return 0
    options: RunOptions = {"max_depth": max_depth, "max_nodes": max_nodes}
    opened = new_store(store, quiet)
    name = submit_encoded(
        wanted.plan,
        wanted.inputs,
        store=opened,
        run_id=run_id,
        source=wanted.source,
        buffers=wanted.buffers,
        queue=queue,
        priority=priority,
        labels=_labels(labels),
        limits=Limits().changed(*options_of(options)[1]),
    )
    click.echo(name)
    if not quiet:
        elsewhere = go_on_command("status", name, opened)
        say(f"submitted to queue {queue} in {opened.url}; how it stands: {elsewhere}")
    return 0
