"""The progress view on a terminal: how far the run is, the body of each worker and for how long it has run, calls that
wait and calls that were sent again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from promissory.executor.cli.output import counted
from promissory.executor.records.progress import Progress, Standing

_ROWS: Final = 12


@contextmanager
def progress_view(title: str) -> Iterator[Callable[[Progress], None] | None]:
    """A view on stderr if that is a terminal. Gives the function that is to be told how the run stands."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=sys.stderr)  # the stream itself, because a stand-in takes its place while bodies run
    view = View(title)
    with Live(view, console=console, transient=True, redirect_stdout=False, refresh_per_second=8):
        yield view.take


class View:
    """The view that is drawn.

    Args:
        title: the workflow's name.
    """

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[more]}"),
        )
        self._bar = Bar(*columns)
        self._task = self._bar.add_task(title, total=1, more="")
        self._running: tuple[tuple[str, str, int], ...] = ()

    def take(self, progress: Progress) -> None:
        """Show how the run stands now."""
        self._running = progress.running
        done, total = progress.done + progress.items_done, progress.nodes + progress.items
        self._bar.update(self._task, completed=done, total=total, more=beside(progress, progress.expanded))

    def __rich__(self) -> Any:
        from rich.console import Group

        return Group(self._bar, worker_table(self._running)) if self._running else self._bar


def beside(stands: Standing, expanded: int = 0) -> str:
    """The words beside the bar.

    >>> beside(Standing(7, 9, waiting=3, lost=1, retrying=2, gates=1, items_done=40, items=5000), 1200)
    '40 of 5,000 items, 1,200 futures files, 3 wait, 1 gate waits, 2 to be tried again, 1 sent again'
    """
    parts = ["paused"] if stands.paused else []
    parts += [f"{stands.items_done:,} of {stands.items:,} items"] if stands.items else []
    parts += [f"{expanded:,} futures files"] if expanded else []
    parts += [f"{stands.waiting:,} wait"] if stands.waiting else []
    parts += [f"{counted(stands.gates, 'gate')} {'waits' if stands.gates == 1 else 'wait'}"] if stands.gates else []
    parts += [f"{stands.retrying:,} to be tried again"] if stands.retrying else []
    parts += [f"{stands.lost:,} sent again"] if stands.lost else []
    return ", ".join(parts)


def worker_table(running: tuple[tuple[str, str, int], ...]) -> Any:
    """A table of the workers whose bodies have run longest."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2))
    now = time.time()
    for worker, path, since in sorted(running, key=lambda one: one[2])[:_ROWS]:
        table.add_row(
            Text(worker, style="dim"),
            Text(path, overflow="ellipsis", no_wrap=True),
            Text(f"{max(0.0, now - since / 1e6):.1f} s", style="cyan"),
        )
    if len(running) > _ROWS:
        table.add_row("", Text(f"and {len(running) - _ROWS} more"), "")
    return table
