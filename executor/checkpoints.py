"""What attempts leave for those after them, as it lies in the store (`planner.checkpoint`).

A checkpoint stays until its run is removed: whoever ends well and is not committed before a crash comes back to it.
"""

from __future__ import annotations

from typing import Final

from executor.errors import NotInStore, StoreError
from executor.layout import checkpoint_key
from executor.store import Store
from planner.checkpoint import Checkpoint
from typesys.canonical import seal, unseal
from typesys.errors import FormatError

MAGIC: Final = b"PRMK"
VERSION: Final = 1


def checkpoint_of(store: Store, run_id: str, identity: bytes) -> Checkpoint:
    """The checkpoint of a node, or of one item or iteration of it. Reading and writing raise `StoreError`."""
    key = checkpoint_key(run_id, identity)

    def load() -> bytes | None:
        try:
            data = store.get(key)
        except NotInStore:
            return None
        try:
            return unseal(data, MAGIC, range(VERSION, VERSION + 1), key)[2]
        except FormatError as error:
            raise StoreError(f"{error}. It is a task's checkpoint: delete it, and the task begins at its beginning") from None

    return Checkpoint(load, lambda data: store.put(key, seal(MAGIC, VERSION, 1, data)))
