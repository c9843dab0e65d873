"""`promissory logs`: the output and log records of a run's tasks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import click

from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.history.history import History
from promissory.executor.history.logs import Logs, prefix_of

_LOOK: Final = 0.5


@click.command()
@store_option
@click.option("--follow", "-f", is_flag=True, help="Go on as tasks say more, until the run has ended.")
@run_argument
@click.argument("node", required=False)
def command(run_id: str, node: str | None, store: str | None, follow: bool) -> None:
    """Print what tasks said, and the traceback of each attempt that failed; with NODE (a path), of that node and those
    inside it."""
    opened = open_store(store)
    history = History(opened, run_id, items=True)
    prefix = prefix_of(history, node)
    logs = Logs(opened, prefix)
    _print(logs.ended(history), prefix)
    running: dict[tuple[int, int], tuple[str, int]] = {}
    while follow and history.goes_on:
        time.sleep(_LOOK)
        before, running = running, history.running
        history.update()
        _print(logs.ended(history), prefix)
        for key, (worker, since) in history.running.items():
            if (
                before.get(key) == running.get(key) == (worker, since)
                and history.has(*key)
                and not history.is_over(*key)
            ):
                _print(logs.going_on(history, history.path(*key), worker), prefix)
    if follow:
        history.update()
        _print(logs.ended(history), prefix)
    for error in logs.lost.values():
        raise error


def _print(said: Iterable[tuple[str, str]], prefix: str | None) -> None:
    for path, text in said:
        for line in text.splitlines():
            click.echo(line if path == prefix else f"{path} | {line}")
