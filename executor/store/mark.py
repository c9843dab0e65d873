"""The mark of a store: a file that says that the folder or bucket is one of ours (rule J8).

Every command that writes a run marks its store first. From a folder without the mark nothing is removed.
"""

from __future__ import annotations

from typing import Final

from promissory.executor.errors import StoreError, StoreNotFound
from promissory.executor.store.keys import RUNS
from promissory.executor.store.store import Store

_KEY: Final = "promissory"
_CONTENT: Final = b'{"format": 1}\n'

_marked: set[str] = set()


def mark(store: Store) -> None:
    """Say that a store is one of ours, if nothing says so yet. Memory holds nothing but ours, and needs no mark.

    >>> mark(Store(None))
    """
    if store.outlives_the_process and store.url not in _marked:
        try:
            store.put_new(_KEY, _CONTENT, durable=False)
        except StoreError as error:
            raise StoreError(
                f"{store.url} can't be made, or takes no file ({error}). Name another place for runs: --store, store=, "
                "or PROMISSORY_STORE"
            ) from error
        if not store.is_near:  # near, a look costs nothing, and finds out that the folder was made anew
            _marked.add(store.url)


def require_store(store: Store) -> None:
    """Raise `StoreNotFound` if no run was ever kept in a place: no mark, and no run of the time before marks."""
    if store.outlives_the_process and not store.exists(_KEY) and not store.list(RUNS):
        raise StoreNotFound(f"there is no store at {store.url}: no run was ever kept there. Say where: --store")


def require_mark(store: Store) -> None:
    """Raise `StoreError` if nothing says that a store is one of ours."""
    if store.outlives_the_process and not store.exists(_KEY):
        raise StoreError(
            f"{store.url} is not marked as a store, so nothing is removed from it. If it is one of promissory's, "
            "mark it: promissory doctor --mark"
        )
