"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from executor.handle import default_store
from executor.store import Store

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--store URL`."""
    return click.option("--store", default=default_store, help="Where runs are kept: a path or URL.  [PROMISSORY_STORE, else ./.promissory]")(function)


def running_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What `run` and `resume` both take."""
    for option in reversed(
        (
            click.option("--engine", default="inline", show_default=True, help="Who runs the tasks."),
            click.option("--max-depth", type=click.IntRange(min=0), default=None, help="How deep dynamics may nest.  [100]"),
            click.option("--max-nodes", type=click.IntRange(min=1), default=None, help="How many nodes the run may have.  [1,000,000]"),
            click.option("--max-futures-bytes", type=click.IntRange(min=1), default=None, help="Bytes of one futures file.  [256 MiB]"),
            click.option("--max-parallelism", type=click.IntRange(min=1), default=None, help="How many tasks may run at one time."),
            click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, always."),
            click.option("--quiet", is_flag=True, help="No messages, no progress, no echo of what tasks print."),
        )
    ):
        function = option(function)
    return function


def open_store(url: str) -> Store:
    """The store of a `--store` option."""
    return Store(url)
