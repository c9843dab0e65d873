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
from promissory.executor.history.history import History, NodeRow
from promissory.executor.history.logs import errors_of, told_error
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
    history = History(open_store(store), run_id, items or errors)
    if watch:
        _watch(history, silent=as_json)
    rows = list(history.nodes(items))
    if as_json:
        nodes = [json_of(row) for row in (errors_of(history) if errors else rows)] if all_nodes or errors else None
        _print_json(history, rows, nodes)
        return
    manifest = history.manifest
    click.echo(f"run      {manifest.run_id}")
    click.echo(f"workflow {manifest.workflow}")
    if manifest.parent:
        click.echo(f"from     {manifest.parent[1]} of run {manifest.parent[0]}")
    click.echo(f"state    {history.state}{f' ({_one_line(history.end[1])})' if history.end and history.end[1] else ''}")
    click.echo(f"created  {moment(manifest.created)} by {manifest.user} on {manifest.host}, Python {manifest.python}")
    click.echo(
        f"lasted   {lasted(history.lasted)}{f', resumed {history.resumes - 1} times' if history.resumes > 1 else ''}"
    )
    for name in history.changed_code:
        click.echo(f"changed  {name} runs newer code than the run began with")
    click.echo(
        "nodes    " + (", ".join(f"{count:,} {state}" for state, count in sorted(history.counts.items())) or "none")
    )
    _items(history)
    for gate in history.gates():
        click.echo(f"waits    {gate.path} for {gate.wants}: promissory answer {manifest.run_id} {gate.name} VALUE")
    _by_callee(rows)
    troubled = [row for row in rows if row.state in ("FAILED", "RUNNING", "RETRYING", "LOOPING")]
    if all_nodes or troubled:
        shown = rows if all_nodes else troubled
        table = [
            [
                row.path,
                row.state,
                str(row.attempts),
                lasted(row.spent or row.duration) if row.started or row.spent else "-",
                row.worker or "-",
                _remark(row),
            ]
            for row in shown
        ]
        print_table(["node", "state", "attempts", "lasted", "worker", "why"], table)
    for row in errors_of(history) if errors else ():
        click.echo(f"\n{row.path}\n{textwrap.indent(told_error(row).rstrip(), '  ')}")


_LOOK: Final = 0.5


def _one_line(text: str) -> str:
    return " ".join(text.split())


_MAPS: Final = 10


def _watch(history: History, silent: bool) -> None:
    """Look on until no executor works on the run: drawn on a terminal, elsewhere one line for each change."""
    if sys.stdout.isatty() and not silent:
        from rich.live import Live

        with Live(_drawn(history), transient=True, auto_refresh=False) as live:
            while history.is_live:
                time.sleep(_LOOK)
                history.update()
                live.update(_drawn(history), refresh=True)
        return
    said = ""
    while history.is_live:
        line = _line(history)
        if line != said and not silent:
            said = line
            click.echo(line)
        time.sleep(_LOOK)
        history.update()


def _line(history: History) -> str:
    beat = history.beat
    assert beat is not None
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
    head = Text(f"{history.manifest.run_id}  {_line(history) if history.beat is not None else history.state}")
    return Group(head, worker_table(running))


def _remark(row: NodeRow) -> str:
    """The remark behind a node: how far it is, and why it is in its state."""
    parts = [f"{row.items[0]:,} of {row.items[1]:,} items"] if row.items is not None else []
    parts += [f"{counted(row.iterations, 'iteration')} before"] if row.iterations else []
    parts += [counted(row.rounds, "round")] if row.rounds else []
    return "; ".join([*parts, *([row.why] if row.why else [])])


def _items(history: History) -> None:
    """Print how far the maps are that are under way."""
    under_way = [
        (history.path(*key), *counts) for key, counts in history.items.items() if key in history.scheduler.maps
    ]
    for path, ended, total in under_way[:_MAPS]:
        click.echo(f"items    {path}: {ended:,} of {total:,}")
    if len(under_way) > _MAPS:
        click.echo(f"items    and {counted(len(under_way) - _MAPS, 'map')} more")


def _by_callee(rows: list[NodeRow]) -> None:
    calls: dict[tuple[str, str], list[NodeRow]] = {}
    for row in rows:
        calls.setdefault((row.kind, row.called), []).append(row)
    table = [
        [
            kind,
            short_name(called) if ":" in called else called,
            f"{len(some):,}",
            f"{sum(row.state == 'SUCCEEDED' for row in some):,}",
            lasted(sum(row.spent or row.duration for row in some)),
        ]
        for (kind, called), some in calls.items()
    ]
    print_table(["kind", "calls", "nodes", "succeeded", "time in bodies"], table)


def _print_json(history: History, rows: list[NodeRow], nodes: list[dict[str, object]] | None) -> None:
    manifest = history.manifest
    summary: dict[str, object] = {
        "run": manifest.run_id,
        "workflow": manifest.workflow,
        "from": {"run": manifest.parent[0], "node": manifest.parent[1]} if manifest.parent else None,
        "state": history.state,
        "reason": history.end[1] if history.end else "",
        "created": moment(manifest.created),
        "lasted_seconds": history.lasted / 1e6,
        "waits": [{"path": gate.path, "name": gate.name, "wants": str(gate.wants)} for gate in history.gates()],
        "counts": history.counts,
        "failed": [{"path": row.path, "why": row.why} for row in rows if row.state == "FAILED" and row.why],
    }
    if nodes is not None:
        summary["nodes"] = nodes
    click.echo(json.dumps(summary, indent=2))
