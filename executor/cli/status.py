"""`promissory status`: how a run stands."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from typing import Any, Final

import click

from promissory.executor.cli.output import counted, lasted, moment, print_table
from promissory.executor.cli.progress import beside, worker_table
from promissory.executor.cli.results import json_of
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.history.at_a_glance import TROUBLED, overview
from promissory.executor.history.history import History, NodeRow
from promissory.executor.history.logs import errors_of, told_error
from promissory.executor.history.overview import Overview
from promissory.executor.records.manifest import Manifest, read_manifest
from promissory.typesys.types import short_name


@click.command()
@store_option
@click.option(
    "--nodes",
    "all_nodes",
    is_flag=True,
    help="Every node, with its state and times; without it, those that failed, run or wait for another attempt.",
)
@click.option("--items", is_flag=True, help="With each item of a map and each iteration of a loop.")
@click.option("--errors", is_flag=True, help="Each attempt that failed, of items too, with its traceback.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--watch",
    is_flag=True,
    help="Look on until the run has ended: what each worker does, what waits; then tell how it stands.",
)
@run_argument
def command(
    run_id: str, store: str | None, all_nodes: bool, items: bool, errors: bool, as_json: bool, watch: bool
) -> None:
    """Tell how a run stands: its state, its nodes by state and by what they call, what failed and what runs."""
    opened = open_store(store)
    if watch:
        _watch(History(opened, run_id), silent=as_json)
    seen = overview(opened, run_id)
    history = History(opened, run_id, items or errors) if all_nodes or items or errors else None
    rows = list(seen.troubled) if history is None else list(history.nodes(items))
    failed = list(errors_of(history)) if history is not None and errors else []
    manifest = read_manifest(opened, run_id)
    if as_json:
        nodes = [json_of(row) for row in (failed if errors else rows)] if all_nodes or errors else None
        click.echo(json.dumps(_json(manifest, seen, nodes), indent=2))
        return
    click.echo(f"run      {manifest.run_id}")
    click.echo(f"workflow {manifest.workflow}")
    if manifest.parent:
        click.echo(f"from     {manifest.parent[1]} of run {manifest.parent[0]}")
    click.echo(f"state    {seen.summary.state}{f' ({_one_line(seen.reason)})' if seen.reason else ''}")
    click.echo(f"created  {moment(manifest.created)} by {manifest.user} on {manifest.host}, Python {manifest.python}")
    click.echo(f"lasted   {lasted(seen.summary.duration)}{f', resumed {seen.resumes} times' if seen.resumes else ''}")
    for name in seen.changed:
        click.echo(f"changed  {name} runs newer code than the run began with")
    counts = sorted(seen.counts.items())
    click.echo("nodes    " + (", ".join(f"{count:,} {state}" for state, count in counts) or "none"))
    for path, ended, total in seen.maps[:_MAPS]:
        click.echo(f"items    {path}: {ended:,} of {total:,}")
    if len(seen.maps) > _MAPS:
        click.echo(f"items    and {counted(len(seen.maps) - _MAPS, 'map')} more")
    for path, name, wants in seen.gates:
        click.echo(f"waits    {path} for {wants}: promissory answer {manifest.run_id} {name} VALUE")
    _print_calls(seen)
    if all_nodes or rows:
        _print_nodes(rows if all_nodes else [row for row in rows if row.state in TROUBLED])
    if seen.more and not all_nodes:
        click.echo(f"and {counted(seen.more, 'node')} more that failed, run or wait for another attempt: --nodes")
    for row in failed:
        click.echo(f"\n{row.path}\n{textwrap.indent(told_error(row).rstrip(), '  ')}")


def _print_nodes(rows: list[NodeRow]) -> None:
    table = [
        [
            row.path,
            row.state,
            str(row.attempts),
            lasted(row.spent or row.duration) if row.started or row.spent else "-",
            row.worker or "-",
            _remark(row),
        ]
        for row in rows
    ]
    print_table(["node", "state", "attempts", "lasted", "worker", "why"], table)


_LOOK: Final = 0.5


def _one_line(text: str) -> str:
    return " ".join(text.split())


_MAPS: Final = 10


def _watch(history: History, silent: bool) -> None:
    """Look on until nobody works on the run, and no worker will: drawn on a terminal, elsewhere a line a change."""
    if sys.stdout.isatty() and not silent:
        from rich.live import Live

        with Live(_drawn(history), transient=True, auto_refresh=False) as live:
            while history.goes_on:
                time.sleep(_LOOK)
                history.update()
                live.update(_drawn(history), refresh=True)
        return
    said = ""
    while history.goes_on:
        line = _line(history)
        if line != said and not silent:
            said = line
            click.echo(line)
        time.sleep(_LOOK)
        history.update()


def _line(history: History) -> str:
    beat = history.beat
    if beat is None or not history.is_live:
        return history.state
    more = beside(beat)
    return (
        f"{history.state} {beat.done:,}/{beat.nodes:,} nodes, {counted(len(beat.running), 'task')} at work"
        f"{f', {more}' if more else ''}"
    )


def _drawn(history: History) -> Any:
    from rich.console import Group
    from rich.text import Text

    running = tuple(
        (worker, history.path(*key), since) for key, (worker, since) in history.running.items() if history.has(*key)
    )
    head = Text(f"{history.manifest.run_id}  {_line(history)}")
    return Group(head, worker_table(running))


def _remark(row: NodeRow) -> str:
    """The remark behind a node: how far it is, and why it is in its state."""
    parts = [f"{row.items[0]:,} of {row.items[1]:,} items"] if row.items is not None else []
    parts += [f"{counted(row.iterations, 'iteration')} before"] if row.iterations else []
    parts += [counted(row.rounds, "round")] if row.rounds else []
    return "; ".join([*parts, *([row.why] if row.why else [])])


def _print_calls(seen: Overview) -> None:
    table = [
        [
            one.kind,
            short_name(one.called) if ":" in one.called else one.called,
            f"{one.nodes:,}",
            f"{one.succeeded:,}",
            lasted(one.spent),
        ]
        for one in seen.calls
    ]
    print_table(["kind", "calls", "nodes", "succeeded", "time in bodies"], table)


def _json(manifest: Manifest, seen: Overview, nodes: list[dict[str, object]] | None) -> dict[str, object]:
    told: dict[str, object] = {
        "run": manifest.run_id,
        "workflow": manifest.workflow,
        "from": {"run": manifest.parent[0], "node": manifest.parent[1]} if manifest.parent else None,
        "state": seen.summary.state,
        "reason": seen.reason,
        "created": moment(manifest.created),
        "lasted_seconds": seen.summary.duration / 1e6,
        "waits": [{"path": path, "name": name, "wants": wants} for path, name, wants in seen.gates],
        "counts": seen.counts,
        "calls": [
            {
                "kind": one.kind,
                "calls": one.called,
                "nodes": one.nodes,
                "succeeded": one.succeeded,
                "seconds_in_bodies": one.spent / 1e6,
            }
            for one in seen.calls
        ],
        "failed": [{"path": row.path, "why": row.why} for row in seen.troubled if row.state == "FAILED" and row.why],
    }
    return told if nodes is None else {**told, "nodes": nodes}
