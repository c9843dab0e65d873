"""`promissory inputs`: what a run, or one of its nodes, was given."""

from __future__ import annotations

import json

import click

from promissory.executor.cli.output import say
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import NoValue
from promissory.executor.history.history import History
from promissory.executor.history.values import Typed, inputs_at
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.store.store import Store
from promissory.planner.plan.show import value_text
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import unpack


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print them as one JSON object, which `run --inputs` takes.")
@run_argument
@click.argument("node", required=False)
def command(run_id: str, node: str | None, store: str | None, as_json: bool) -> int:
    """Print the inputs of RUN, a line each; with NODE (a path), those of that node, of an item of a map
    (main/score[17]) or an iteration of a loop (main/fib[=7])."""
    opened = open_store(store)
    try:
        given = _of_run(opened, run_id) if node is None else inputs_at(History(opened, run_id, items=True), node).inputs
    except NoValue as error:
        say(f"promissory: {error}")
        return 1
    if as_json:
        there = {
            name: to_json(unpack(one.data, parts=opened), one.type) for name, one in given.items() if one is not None
        }
        click.echo(json.dumps(there, indent=2, ensure_ascii=False))
        return 0
    for name, one in given.items():
        said = "(no value)" if one is None else f"{value_text(one.data, one.type)} : {one.type}"
        click.echo(f"{name} = {said}")
    return 0


def _of_run(store: Store, run_id: str) -> dict[str, Typed | None]:
    manifest = read_manifest(store, run_id)
    types = {parameter.name: parameter.type for parameter in read_plan(store, manifest).inputs}
    return {name: Typed(store.get_value(value), types[name]) for name, value in manifest.inputs.items()}
