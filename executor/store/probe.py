"""The probe of a store: it proves that a key is created at most once. Some servers that speak S3 take no notice of the
condition, so two executors on them could both believe that a run is theirs.

A store is probed once a process, before anything is written there.
"""

from __future__ import annotations

import secrets

from promissory.executor.errors import UnsupportedStore
from promissory.executor.store.store import Store

_proved: set[str] = set()


def probe(store: Store) -> None:
    """Prove that a store creates atomically. Raises `UnsupportedStore` if it does not. A store for a single writer, or
    on this machine, is not asked.

    >>> probe(Store(None))
    """
    if store.is_near or store.is_for_one_writer or store.url in _proved:
        return
    key = f"probe/{secrets.token_hex(8)}"
    first = store.put_new(key, b"1")
    try:
        second = store.put_new(key, b"2")
        if not first or second or store.get(key) != b"1":
            raise UnsupportedStore(
                f"the store {store.url} lets two writers create one key (its server takes no notice of the condition), "
                "so it can't be shared. Use another one; or, "
                f"if only one process at a time will ever work with it, say so: single+{store.url}"
            )
    finally:
        store.remove(key)
    _proved.add(store.url)
