"""`promissory logs`: the output and log records of a run's tasks."""

from __future__ import annotations

import time
from typing import Final

import click

from promissory.executor.cli.options import open_store, store_option
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.errors import NotInStore
from promissory.executor.history.history import History
from promissory.executor.store.keys import log_key
from promissory.executor.store.store import Store

_LOOK: Final = 0.5
_PIECE: Final = 1 << 20


@click.command()
@store_option
@click.option("--follow", "-f", is_flag=True, help="Go on as tasks say more, until the run has ended.")
@run_argument
@click.argument("node", required=False)
def command(run_id: str, node: str | None, store: str | None, follow: bool) -> None:
    """Print what tasks said; with NODE (a path), what that node and those inside it said."""
    opened = open_store(store)
    history = History(opened, run_id, items=True)
    prefix = None
    if node is not None:
        prefix = history.path(*history.find(node)) + history.iteration_named(node)
    printed = Printed(opened, prefix)
    printed.ended(history)
    running: dict[tuple[int, int], tuple[str, int]] = {}
    while follow and history.is_live:
        time.sleep(_LOOK)
        before, running = running, history.running
        history.update()
        printed.ended(history)
        for key, (worker, since) in history.running.items():
            if (
                before.get(key) == running.get(key) == (worker, since)
                and history.has(*key)
                and not history.is_over(*key)
            ):
                printed.going_on(history, history.path(*key), worker)
    if follow:
        history.update()
        printed.ended(history)


class Printed:
    """The printed part of each worker's log. A log holds the output of one body after the other, so the part behind the
    last body that ended belongs to the running one.

    Args:
        store: the store of the logs.
        prefix: the path of the node to print; None for all nodes.
    """

    def __init__(self, store: Store, prefix: str | None) -> None:
        self._store = store
        self._prefix = prefix
        # Paths inside a first iteration don't name the iteration.
        self._inside = () if prefix is None else (prefix + "/", prefix + "[", prefix.removesuffix("[=0]") + "/")
        self._up_to: dict[str, int] = {}

    def ended(self, history: History) -> None:
        """Print the output of nodes that have ended since."""
        rows = [
            row
            for row in (*history.failed_attempts(), *history.nodes(items=True))
            if row.log is not None and row.log[1] + row.log[2] > self._up_to.get(row.log[0], 0)
        ]
        # In the order of the logs and not of time, because a clock may be set back.
        told = sorted(((*row.log, row) for row in rows if row.log is not None), key=lambda one: one[:2])
        for key, offset, length, row in told:
            path = f"{row.path}[={row.iterations}]" if row.iterations else row.path  # the last iteration of a loop
            self._print(path, key, max(offset, self._up_to.get(key, 0)), offset + length)

    def going_on(self, history: History, path: str, worker: str) -> None:
        """Print the whole lines that a body has written so far."""
        key = log_key(history.manifest.run_id, worker)
        begin = self._up_to.get(key, 0)
        try:
            said = self._store.get_range(key, begin, begin + _PIECE)
        except NotInStore:
            return
        whole = said.rfind(b"\n") + 1
        if whole:
            self._print(path, key, begin, begin + whole)

    def _print(self, path: str, key: str, begin: int, end: int) -> None:
        self._up_to[key] = end
        if self._prefix is not None and path != self._prefix and not path.startswith(self._inside):
            return
        text = self._store.get_range(key, begin, end).decode("utf-8", "replace")
        for line in text.splitlines():
            click.echo(line if path == self._prefix else f"{path} | {line}")
