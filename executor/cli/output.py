"""The output for people: tables on stdout, messages on stderr."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Final

import click

from promissory.executor.worker.streams import echo

_COLUMN: Final = 11
"""The width that a column has at least, beside the first one."""


def say(message: str) -> None:
    """Write a message on stderr, above the progress view if there is one. An stderr that nothing reads does no harm."""
    echo(f"{message}\n")


def counted(count: int, what: str) -> str:
    """A number with its noun.

    >>> counted(1, "node"), counted(2000, "node")
    ('1 node', '2,000 nodes')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def moment(microseconds: int) -> str:
    """A moment, as ISO 8601 writes it, with the zone of this machine.

    >>> moment(0)
    '-'
    """
    return datetime.fromtimestamp(microseconds // 1_000_000).astimezone().isoformat() if microseconds else "-"


def lasted(microseconds: int) -> str:
    """A duration, as a person says it.

    >>> lasted(1_500), lasted(2_500_000), lasted(3_720_000_000)
    ('1.5 ms', '2.50 s', '1 h 2 min')
    """
    seconds = microseconds / 1e6
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min {int(seconds % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def print_table(headers: list[str], rows: list[list[str]], title: str | None = None) -> None:
    """Print a table on stdout: drawn on a terminal, plain and tab-separated elsewhere."""
    if not sys.stdout.isatty():
        if title:
            click.echo(title)
        for row in [headers, *rows]:
            click.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    first = max((len(row[0]) for row in rows), default=0)  # names of runs and nodes are typed again, so none is cut
    least = first + _COLUMN * len(headers)
    if console.width < least:
        console = Console(width=least)
    table = Table(title=title)
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header is headers[0])
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    console.print(table)
