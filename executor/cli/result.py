"""`promissory result`: what a run, or one of its nodes, gave."""

from __future__ import annotations

import click

from promissory.executor.cli.output import say
from promissory.executor.cli.results import print_result
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import InputError, NoValue
from promissory.executor.execution.launch import attach
from promissory.executor.history.history import History
from promissory.executor.history.summary import GOES_ON
from promissory.executor.history.values import value_at
from promissory.executor.records.manifest import read_manifest, read_plan


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, always.")
@run_argument
@click.argument("node", required=False)
def command(run_id: str, node: str | None, store: str | None, as_json: bool) -> int:
    """Print what RUN gave, as `run` did; with NODE (a path), what that node gave, an item of a map
    (main/score[17]) or an iteration of a loop (main/fib[=7])."""
    opened = open_store(store)
    if node not in (None, "main", ""):
        try:
            found = value_at(History(opened, run_id, items=True), node)
        except NoValue as error:
            say(f"promissory: {error}")
            return 1
        print_result([("result", found.type, found.data)], as_json, opened)
        return 0
    run = attach(run_id, opened, None, trust=False)
    if run.state in GOES_ON:
        raise InputError(f"run {run_id} is {run.state}, and has no result yet: promissory status {run_id}")
    if run.error is not None:
        say(f"promissory: {run.error}")
        return 1
    outputs = read_plan(opened, read_manifest(opened, run_id)).outputs
    given = zip(outputs, run.encoded_outputs(), strict=False)
    print_result([(output.name, output.type, data) for output, data in given if data is not None], as_json, opened)
    return 0
