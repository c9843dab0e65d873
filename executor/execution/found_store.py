"""The store of runs for which none is named, with a word about one that was found above the working directory."""

from __future__ import annotations

import os
from typing import Final

from promissory.executor.store.lookup import default_store
from promissory.executor.store.store import Store
from promissory.executor.worker.streams import echo

_told: Final[set[str]] = set()


def found_store(quiet: bool = False) -> Store:
    """The store of runs for which none is named. One that was found above the working directory is told once,
    unless this is to be `quiet`.

    Raises `UnsafeStore`.
    """
    url = default_store()
    if not quiet and not url.startswith(".") and url != os.environ.get("PROMISSORY_STORE") and url not in _told:
        _told.add(url)
        echo(f"promissory: the store is {url}\n")
    return Store(url)
