"""A run as a person names it: by its id, by the beginning of its id, or as the last one (`last`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from promissory.executor.cli.stores import open_store
from promissory.executor.errors import ExecutorError
from promissory.executor.records.manifest import read_manifest
from promissory.executor.store.keys import LAST, RUNS, is_run_id, run_key
from promissory.executor.store.store import Store
from promissory.typesys.errors import FormatError

_SHOWN: Final = 10


def run_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument RUN to a command that has the option `--store`; the command gets the id of the run."""
    return click.argument("run_id", metavar="RUN", callback=id_of)(function)


def id_of(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """The id of the run that an argument names."""
    return None if given is None else run_named(open_store(context.params["store"]), given)


def run_named(store: Store, given: str) -> str:
    """The id of the run that is meant. What means no run is given back, for the command to say so.

    Raises `click.UsageError` for the beginning of several ids.
    """
    if not given:
        raise click.UsageError("RUN is empty: give the id of a run, the beginning of one id, or `last`")
    if is_run_id(given) and store.exists(run_key(given, "manifest")):
        return given
    ids = sorted(name for key in store.list(RUNS) if is_run_id(name := key.rpartition("/")[2]))
    if given == LAST:
        return max(ids, key=lambda one: _created(store, one), default=given)
    meant = [one for one in ids if one.startswith(given)]
    if len(meant) > 1:
        shown = ", ".join(meant[:_SHOWN]) + (", …" if len(meant) > _SHOWN else "")
        raise click.UsageError(f"{len(meant)} runs begin with {given!r}: {shown}")
    return meant[0] if meant else given


def _created(store: Store, run_id: str) -> int:
    """When a run was created; before all others if its manifest can't be read."""
    try:
        return read_manifest(store, run_id).created
    except (ExecutorError, FormatError):
        return -1
