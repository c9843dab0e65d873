"""The output for people: the result and tables on stdout, messages on stderr."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from promissory.executor.worker.capture import echo
from promissory.typesys.as_json import to_json
from promissory.typesys.canonical import unpack
from promissory.typesys.types import ListType, NoneType, RecordType, StrType, Type, VarTupleType


def say(message: str) -> None:
    """Write a message on stderr, above the progress view if there is one. An stderr that nothing reads does no harm."""
    echo(f"{message}\n")


def print_result(outputs: list[tuple[str, Type, bytes]], as_json: bool) -> None:
    """Print the result of a run on stdout: text as it is, records as a table, anything else as JSON."""
    if len(outputs) == 1:
        _, type, data = outputs[0]
        tree = unpack(data)
        if isinstance(type, StrType) and not as_json:
            click.echo(tree)
        elif isinstance(type, NoneType) and not as_json:
            return
        elif not as_json and _is_table(type):
            _print_records(tree, type)
        else:
            _print_json(to_json(tree, type))
    else:
        _print_json({name: to_json(unpack(data), type) for name, type, data in outputs})


def _print_json(value: Any) -> None:
    click.echo(
        json.dumps(
            value,
            indent=2 if isinstance(value, dict | list) and len(json.dumps(value)) > 100 else None,
            ensure_ascii=False,
        )
    )


def _is_table(type: Type) -> bool:
    return isinstance(type, RecordType) or (
        isinstance(type, ListType | VarTupleType) and isinstance(type.item, RecordType)
    )


def _print_records(tree: Any, type: Type) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 100_000)  # a file or pipe gets whole lines
    if isinstance(type, RecordType):
        table = Table(title=str(type), show_header=False)
        table.add_column()
        table.add_column()
        nested: list[tuple[str, Any, Type]] = []
        for field, value in zip(type.fields, tree, strict=False):
            if isinstance(field.type, ListType | VarTupleType) and isinstance(field.type.item, RecordType):
                nested.append((field.name, value, field.type))
            else:
                table.add_row(field.name, _cell(value, field.type))
        console.print(table)
        for name, value, inner in nested:
            console.print(_rows(value, inner, name))
    else:
        console.print(_rows(tree, type, None))


def _rows(tree: Any, type: Type, title: str | None) -> Any:
    from rich.table import Table

    assert isinstance(type, ListType | VarTupleType) and isinstance(type.item, RecordType)
    table = Table(title=title)
    for field in type.item.fields:
        table.add_column(field.name, justify="right" if str(field.type) in ("int", "float") else "left")
    for row in tree:
        table.add_row(*[_cell(value, field.type) for field, value in zip(type.item.fields, row, strict=False)])
    return table


def _cell(tree: Any, type: Type) -> str:
    value = to_json(tree, type)
    if isinstance(value, bool) or not isinstance(value, int):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{value:,}"


def counted(count: int, what: str) -> str:
    """A number with its noun.

    >>> counted(1, "node"), counted(2000, "node")
    ('1 node', '2,000 nodes')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def ago(microseconds: int) -> str:
    """A moment, as a person says it.

    >>> ago(0)
    '-'
    """
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(microseconds / 1e6)) if microseconds else "-"


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
            click.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title)
    for header in headers:
        table.add_column(header)
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    Console().print(table)
