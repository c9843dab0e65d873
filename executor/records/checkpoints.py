"""Checkpoints in the store: data that an attempt leaves for the attempts after it
(`promissory.planner.body.checkpoint`).

Each executor of a run writes a node's checkpoint under a key of its own, by its epoch. A body of an executor that was
taken over may write on, and then replaces nothing that its successor's bodies wrote. A checkpoint stays until its run
is removed: a body that ended well, but was not committed before a crash, comes back to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promissory.executor.errors import NotInStore, StoreError
from promissory.executor.store.forms import is_ours
from promissory.executor.store.keys import CHECKPOINTS, checkpoint_key, checkpoints_folder, run_key
from promissory.executor.store.store import Store
from promissory.planner.body.checkpoint import Checkpoint
from promissory.typesys.envelope import is_cut_short, seal, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMK"
VERSION: Final = 1


def checkpoint_of(store: Store, run_id: str, identity: bytes, epoch: int) -> Checkpoint:
    """The checkpoint of a node, or of one item or iteration of it. Reading and writing raise `StoreError`."""
    key = checkpoint_key(run_id, identity, epoch)

    def load() -> bytes | None:
        return next((content(data, key) for key, data in newest(store, run_id, identity).items()), None)

    return Checkpoint(load, lambda data: store.put(key, seal(MAGIC, VERSION, 1, data)))


def newest(store: Store, run_id: str, identity: bytes) -> dict[str, bytes]:
    """The newest whole version of a checkpoint, sealed, by its key; empty if there is none. A version that a machine
    was writing when it died counts as never written."""
    for key in sorted(store.list(checkpoints_folder(run_id, identity)), reverse=True):
        try:
            data = store.get(key)
        except NotInStore:
            continue
        if not is_torn(data):
            return {key: data}
    return {}


def is_torn(data: bytes) -> bool:
    """Whether bytes are the beginning of a checkpoint that was never written to its end."""
    return MAGIC.startswith(data[:4]) and is_cut_short(data)


def content(data: bytes, key: str) -> bytes:
    """The content of a checkpoint's sealed bytes. Raises `StoreError`, which names the key and a way out."""
    try:
        return unseal(data, MAGIC, range(VERSION, VERSION + 1), key)[2]
    except FormatError as error:
        raise StoreError(
            f"{error}. It is a task's checkpoint: delete it, and the task begins with an older one, or at its beginning"
        ) from None


def checkpoint_keys(store: Store, run_id: str) -> Iterator[str]:
    """The keys of all checkpoints of a run."""
    for shelf in store.list(run_key(run_id, CHECKPOINTS)):
        for folder in store.list(shelf):
            yield from filter(is_ours, store.list(folder))
