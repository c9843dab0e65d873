"""`promissory events`: what happens in a run, as it is committed."""

from __future__ import annotations

import json

import click

from promissory.executor.cli.output import lasted, moment
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.execution.run_reader import RunReader
from promissory.executor.history.run_events import Cursor, RunEvent


class _CursorParameter(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """The cursor of an event."""

    name = "cursor"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(Cursor.from_text(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@store_option
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended, or nobody works on it.")
@click.option("--since", type=_CursorParameter(), help="Only what came after the event with this cursor.")
@click.option("--items", is_flag=True, help="Also events of each item of a map.")
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each event.")
@run_argument
def command(run_id: str, store: str | None, follow: bool, since: str | None, items: bool, as_json: bool) -> None:
    """Print what happens in a run: how it stands, nodes that end or go on, retries, gates, progress of maps.

    Each line of --json has the event's cursor, with which --since goes on later.
    """
    for event in RunReader(run_id, open_store(store), trust=False).events(since, follow=follow, items=items):
        if as_json:
            click.echo(json.dumps(event.to_json(), ensure_ascii=False))
        elif event.kind not in ("log", "frame"):
            click.echo(f"{moment(event.time)}  {event.path}  {_said(event)}")


def _said(event: RunEvent) -> str:
    """An event in words, behind the path of its node."""
    if event.kind == "map":
        return f"{event['done']:,} of {event['total']:,} items"
    if event.kind == "code":
        return f"has other code than when the run began: {event['name']}"
    if event.kind == "retry":
        after = f", the next one in {event['delay']:g} s" if event["delay"] else ""
        return f"attempt {event['attempt']} failed{after}: {event['error']}"
    if event.kind == "gate":
        wants = f" ({event['wants']})" if "wants" in event.details else ""
        return f"{event.state}: {event['waits_for']}{wants}{_until(event)}"
    took = event.get("seconds")
    why = event.get("error") or event.get("reason")
    words = [event.state]
    if event.state == "LOOPING":
        words.append(f"iteration {event['iteration']} follows")
    if event.get("cached"):
        words.append("from the cache")
    elif took is not None and event.state != "EXPANDED":
        words.append(f"in {lasted(round(took * 1e6))}")
    return " ".join(words) + (f": {why}" if why else "")


def _until(event: RunEvent) -> str:
    return f" until {event['until']}" if "until" in event.details else ""
