"""`promissory queue`: what waits in the queues of a store, and what is carried."""

from __future__ import annotations

import json
import time

import click

from promissory.executor.cli.output import lasted, moment, print_table, say
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import JournalError, RunNotFound
from promissory.executor.history.summary import standing_of_run
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.queue import carried, queues, waiting
from promissory.executor.store.store import Store


@click.command()
@store_option
@click.option("--queue", "wanted", multiple=True, help="Only this queue; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(store: str | None, wanted: tuple[str, ...], as_json: bool) -> None:
    """List what waits in the queues of a store, in the order in which it is carried out, and what is carried."""
    opened = open_store(store)
    rows = [row for queue in (wanted or queues(opened)) for row in _rows(opened, queue)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        say(f"nothing waits in {opened.url}")
        return
    now = time.time_ns() // 1000
    table = [
        [
            str(row["queue"]),
            str(row["run"]),
            str(row["workflow"]),
            str(row["owner"]),
            str(row["priority"]),
            lasted(now - int(str(row["created_us"]))),
            str(row["state"]),
            str(row["why"]),
        ]
        for row in rows
    ]
    print_table(["queue", "run", "workflow", "owner", "priority", "since", "state", "why"], table)


def _rows(store: Store, queue: str) -> list[dict[str, object]]:
    found = {one.run_id: _row(store, queue, one.run_id) for one in waiting(store, queue)}
    for run_id in carried(store, queue):
        if run_id not in found:
            found[run_id] = _row(store, queue, run_id)
    return [row for row in found.values() if row is not None]


def _row(store: Store, queue: str, run_id: str) -> dict[str, object] | None:
    """What is told of a run; None if it has ended just now."""
    try:
        manifest, state = read_manifest(store, run_id), standing_of_run(store, run_id).state
    except (RunNotFound, JournalError) as error:
        why = str(error)
        return {"queue": queue, "run": run_id, "workflow": "?", "owner": "?", "priority": 0, "state": "DAMAGED"} | {
            "created": None,
            "created_us": time.time_ns() // 1000,
            "labels": {},
            "why": why,
        }
    if state not in ("QUEUED", "RUNNING", "PAUSED", "INTERRUPTED"):
        return None
    beat = read_beat(store, run_id)
    if state == "QUEUED":
        why = "no worker has taken it yet"
    elif state == "INTERRUPTED":
        why = "its worker is gone: another one will take it over"
    else:
        why = f"carried by {beat.who}" if beat is not None else "a worker has just taken it"
    return {
        "queue": queue,
        "run": run_id,
        "workflow": manifest.workflow,
        "owner": manifest.user,
        "priority": manifest.priority,
        "state": state,
        "created": moment(manifest.created),
        "created_us": manifest.created,
        "labels": manifest.labels,
        "why": why,
    }
