"""`promissory doctor`: the damage of a run, if there is any."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from promissory.executor.cli.output import say
from promissory.executor.cli.runs_by_name import id_of
from promissory.executor.cli.stores import new_store, open_store, store_option
from promissory.executor.maintenance.doctor import examine, is_whole
from promissory.executor.store.mark import mark


@click.command()
@store_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--mark", "marks", is_flag=True, help="Say that the store is one of promissory's, so that it may be cleaned."
)
@click.argument("run_id", metavar="RUN", required=False, callback=id_of)
def command(run_id: str | None, store: str | None, as_json: bool, marks: bool) -> int:
    """Read and check every key of a run, and tell all that is wrong, with what to do about it. Exit code 1 if something
    is lost."""
    if marks:
        opened = new_store(store)
        mark(opened)
        say(f"{opened.url} is marked as a store of promissory's")
    if run_id is None:
        if not marks:
            raise click.UsageError("say which run")
        return 0
    findings = list(examine(open_store(store), run_id))
    whole = is_whole(findings)
    if as_json:
        click.echo(
            json.dumps({"run": run_id, "whole": whole, "findings": [asdict(finding) for finding in findings]}, indent=2)
        )
    else:
        for finding in findings:
            said = finding.problem.removeprefix(f"{finding.key} ")
            click.echo(
                f"{finding.severity:<8}{finding.key} {said}{f'. Way out: {finding.way_out}' if finding.way_out else ''}"
            )
        click.echo(f"run {run_id} is whole" if whole else f"run {run_id} has lost something")
    return 0 if whole else 1
