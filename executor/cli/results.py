"""Results and rows as commands print them on stdout: text as it is, records as tables, anything else as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from promissory.executor.cli.output import moment
from promissory.executor.history.nodes import NodeRow
from promissory.typesys.as_json import to_json
from promissory.typesys.buffer import Parts
from promissory.typesys.canonical import unpack
from promissory.typesys.types import ListType, NoneType, RecordType, StrType, Type, VarTupleType


def print_result(outputs: list[tuple[str, Type, bytes]], as_json: bool, parts: Parts) -> None:
    """Print the result of a run on stdout: text as it is, records as a table, anything else as JSON. Large buffers are
    read from `parts`."""
    if len(outputs) == 1:
        _, type, data = outputs[0]
        tree = unpack(data, parts=parts)
        if isinstance(type, StrType) and not as_json:
            click.echo(tree)
        elif isinstance(type, NoneType) and not as_json:
            return
        elif not as_json and _is_table(type):
            _print_records(tree, type)
        else:
            _print_json(to_json(tree, type))
    else:
        _print_json({name: to_json(unpack(data, parts=parts), type) for name, type, data in outputs})


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
        for field, value in zip(type.fields, tree, strict=True):
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
        table.add_row(*[_cell(value, field.type) for field, value in zip(type.item.fields, row, strict=True)])
    return table


def _cell(tree: Any, type: Type) -> str:
    value = to_json(tree, type)
    if isinstance(value, bool) or not isinstance(value, int):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{value:,}"


def json_of(row: NodeRow) -> dict[str, Any]:
    """A row of a node for JSON: moments as ISO 8601 writes them, durations in seconds."""
    tree = asdict(row)
    tree["started"] = moment(row.started) if row.started else None
    for name in ("duration", "spent"):
        tree[f"{name}_seconds"] = tree.pop(name) / 1e6
    return tree
