"""`promissory queue`: what waits in the queues of a store, and what is carried."""

from __future__ import annotations

import json
import time
from collections import Counter

import click

from promissory.executor.cli.output import counted, lasted, moment, print_table, say
from promissory.executor.cli.stores import new_store, open_store, store_option
from promissory.executor.errors import JournalError, RunNotFound
from promissory.executor.history.summary import CARRIED, GOES_ON, standing_of_run
from promissory.executor.records.heartbeat import read_beat
from promissory.executor.records.manifest import read_manifest
from promissory.executor.records.queue import DEFAULT, carried, is_queue, queues, waiting
from promissory.executor.records.slots import Limits, read_limits, write_limits
from promissory.executor.store.keys import segment_key
from promissory.executor.store.mark import mark
from promissory.executor.store.store import Store


@click.command()
@store_option
@click.option("--queue", "wanted", multiple=True, help="Only this queue; may be given again.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=None, help="Have at most N runs of the queue be carried; 0: any."
)
@click.option(
    "--owner-limit", type=click.IntRange(min=0), default=None, help="At most N runs of each owner; 0: any number."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(
    store: str | None, wanted: tuple[str, ...], limit: int | None, owner_limit: int | None, as_json: bool
) -> None:
    """List what waits in the queues of a store, in the order in which it is carried out, and what is carried; or set
    how many runs of a queue are carried at one time, over all workers."""
    for queue in wanted:
        if not is_queue(queue):
            raise click.BadParameter(f"{queue!r} can't name a queue", param_hint="--queue")
    if limit is not None or owner_limit is not None:
        for queue in wanted or (DEFAULT,):
            _set(new_store(store, quiet=True), queue, limit, owner_limit)
        return
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


def _set(store: Store, queue: str, limit: int | None, owner_limit: int | None) -> None:
    before = read_limits(store, queue)
    of_an_owner = before.of_an_owner if owner_limit is None else owner_limit or None
    limits = Limits(before.runs if limit is None else limit or None, of_an_owner)
    mark(store)
    write_limits(store, queue, limits)
    runs = "any number of runs" if limits.runs is None else counted(limits.runs, "run")
    each = "any number of them" if limits.of_an_owner is None else str(limits.of_an_owner)
    say(f"of queue {queue}, {runs} may be carried at one time, and of each owner {each}")


def _rows(store: Store, queue: str) -> list[dict[str, object]]:
    found = {one.run_id: _row(store, queue, one.run_id) for one in waiting(store, queue)}
    for run_id in carried(store, queue):
        if run_id not in found:
            found[run_id] = _row(store, queue, run_id)
    rows = [row for row in found.values() if row is not None]
    limits = read_limits(store, queue)
    carried_by = Counter(row["owner"] for row in rows if row["state"] in CARRIED)
    for row in rows:
        if row["state"] != "QUEUED":
            continue
        if limits.runs is not None and carried_by.total() >= limits.runs:
            row["why"] = f"of this queue no more than {counted(limits.runs, 'run')} at one time"
        elif limits.of_an_owner is not None and carried_by[row["owner"]] >= limits.of_an_owner:
            row["why"] = f"of this owner no more than {counted(limits.of_an_owner, 'run')} at one time"
    return rows


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
    if state not in GOES_ON:
        return None
    beat = read_beat(store, run_id)
    if state == "QUEUED":
        has_begun = store.exists(segment_key(run_id, 0))
        why = "its worker is gone: another one will go on with it" if has_begun else "no worker has taken it yet"
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
