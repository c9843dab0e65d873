"""`promissory logs`: what the tasks of a run printed and logged."""

from __future__ import annotations

import click

from executor.cli.options import open_store, store_option
from executor.history import History, NodeRow
from executor.store import Store


@click.command()
@store_option
@click.argument("run_id", metavar="RUN")
@click.argument("node", required=False)
def command(run_id: str, node: str | None, store: str) -> None:
    """Print what tasks said; with NODE (a path), what that node and those inside it said."""
    opened = open_store(store)
    history = History(opened, run_id)
    prefix = None
    if node is not None:
        prefix = history.path(*history.find(node))
    for row in sorted((one for one in history.nodes() if one.log is not None), key=lambda one: one.started):
        if prefix is None or row.path == prefix or row.path.startswith(prefix + "/"):
            _print(opened, row, whole=row.path == prefix)


def _print(store: Store, row: NodeRow, whole: bool) -> None:
    assert row.log is not None
    key, offset, length = row.log
    text = store.get_range(key, offset, offset + length).decode("utf-8", "replace")
    for line in text.splitlines():
        click.echo(line if whole else f"{row.path} | {line}")
