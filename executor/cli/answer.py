"""`promissory answer`: give a gate its answer."""

from __future__ import annotations

import click

from promissory.executor.cli.loading import classes_of
from promissory.executor.cli.output import say
from promissory.executor.cli.runs_by_name import run_argument
from promissory.executor.cli.stores import open_store, store_option
from promissory.executor.errors import GateNotFound
from promissory.executor.execution.answers import send_answer
from promissory.executor.execution.run import resume_command
from promissory.executor.history.at_a_glance import Gate, gates_of
from promissory.executor.records.manifest import read_manifest
from promissory.typesys.canonical import pack
from promissory.typesys.errors import ParseError
from promissory.typesys.parse import parse_text


@click.command()
@store_option
@run_argument
@click.argument("name", metavar="NAME", required=False)
@click.argument("value", metavar="VALUE", required=False)
def command(run_id: str, name: str | None, value: str | None, store: str | None) -> None:
    """Answer a gate: what `wait_for_input` waits for, or yes or no for what is to be approved. Without NAME, tell which
    gates wait."""
    opened = open_store(store)
    manifest = read_manifest(opened, run_id)
    if name is None:
        gates = gates_of(opened, run_id)[1]
        for gate in gates:
            click.echo(f"{gate.path}: {gate.wants}")
        if not gates:
            say(f"run {run_id} waits for no answer")
        return
    if value is None:
        raise click.UsageError(f"say the answer: promissory answer {run_id} {name} VALUE")
    text = value

    def encode(gate: Gate) -> bytes:
        try:
            return pack(parse_text(text, gate.wants, classes_of(opened, manifest)))
        except ParseError as error:
            raise click.UsageError(f"{gate.path} wants {gate.wants}: {error}") from None

    try:
        taken = send_answer(opened, run_id, name, encode)
    except GateNotFound as error:
        raise click.UsageError(str(error)) from None
    if taken:
        say(f"run {run_id} has the answer for {name}")
    else:
        say(f"nobody works on run {run_id}; it takes the answer when it is resumed: {resume_command(run_id, opened)}")
