"""The option `--store`, and the store that it names."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from promissory.executor.errors import StoreNotFound
from promissory.executor.execution.found_store import found_store
from promissory.executor.store.lookup import folder_found
from promissory.executor.store.mark import require_store
from promissory.executor.store.store import Store


def store_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--store URL` to a command."""
    return click.option(
        "--store",
        is_eager=True,  # a run is looked for in it
        help="Where runs are kept: a path or URL.  [PROMISSORY_STORE, else the nearest .promissory here or above]",
    )(function)


def open_store(url: str | None) -> Store:
    """The store of a `--store` option, to look at or go on in. Raises `StoreNotFound`."""
    store = new_store(url)
    if url is None and not os.environ.get("PROMISSORY_STORE") and folder_found() is None:
        raise StoreNotFound(
            "there is no store here: this folder has no .promissory, and none above it has, up to the project's own. "
            "Name the right one: --store"
        )
    require_store(store)
    return store


def new_store(url: str | None, quiet: bool = False) -> Store:
    """The store of a `--store` option, which may have to be made."""
    return found_store(quiet) if url is None else Store(url)
