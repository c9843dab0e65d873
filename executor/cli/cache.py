"""`promissory cache`: the results that later runs may take."""

from __future__ import annotations

import json

import click

from promissory.executor.cache.entries import entries
from promissory.executor.cli.output import counted, moment, print_table, say
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import StoreDamage
from promissory.executor.store.mark import require_mark


@click.group()
def command() -> None:
    """List or remove cached results."""


@command.command("ls")
@store_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.argument("task", required=False)
def _list(store: str | None, task: str | None, as_json: bool) -> None:
    """List cached results; with TASK (a name, or its end), those of that task."""
    rows = []
    for key, entry in entries(open_store(store)):
        if entry is None:
            say(f"{key} is damaged, and no run uses it: remove it")
        if entry is not None and (task is None or _is_of(entry.task, task)):
            version = dict(entry.fields)["version"].decode()
            kind = "result" if entry.futures is None else "futures file"
            rows.append(
                [
                    key.rpartition("/")[2][:16],
                    entry.task,
                    version[:16],
                    kind,
                    f"{entry.run_id} {entry.path}",
                    moment(entry.created),
                ]
            )
    rows.sort(key=lambda row: (row[1], row[5]))
    names = ["key", "task", "version", "kind", "made by", "when"]
    if as_json:
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    else:
        print_table(names, rows)


@command.command("rm")
@store_option
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.argument("which", metavar="TASK|KEY", required=False)
def _remove(store: str | None, which: str | None, everything: bool) -> None:
    """Remove cached results: of a task (a name, or its end), or by the beginning of a key, as `ls` shows it. Their
    values go with the next `gc`."""
    if (which is None) is not everything:
        raise click.UsageError("say which: a task, the beginning of a key, or --all")
    opened = open_store(store)
    require_mark(opened)
    removed = 0
    for key, entry in entries(opened):
        name = key.rpartition("/")[2]
        if (
            which is None
            or (entry is not None and _is_of(entry.task, which))
            or (len(which) >= 8 and name.startswith(which))
        ):
            try:
                opened.remove(key)
            except StoreDamage as damage:
                say(str(damage))
                continue
            removed += 1
    if which is not None and not removed:
        raise click.UsageError(
            f"no cached result is of a task {which!r}, or has a key that begins so (8 characters at least); "
            "`promissory cache ls` shows what there is"
        )
    say(f"{counted(removed, 'cached result')} removed")


def _is_of(task: str, wanted: str) -> bool:
    return task == wanted or task.endswith((f":{wanted}", f".{wanted}"))
