"""The base of a journal that was trimmed: the segment with which it begins now, which holds a snapshot (rule C5).

A base is a small sealed file, `runs/<run id>/base/<number of the segment>`, put once and never written over. The newest
base counts. It is durable, with all that the segment names, before anything before it is deleted, the oldest first.

Two kinds of segments are never deleted. The first segment of each executor is where an executor that was taken over
looks for its successor: were it gone, a late one could write there again, and would not know that it is fenced. A torn
segment was never written, and nobody may take its number for a free one. So segment 0 always stays.
"""

from __future__ import annotations

from typing import Final

from promissory.executor.errors import JournalError, NotInStore
from promissory.executor.journal.segment import is_torn, segment_from_bytes
from promissory.executor.protocol.events import RESUMED
from promissory.executor.store.keys import base_key, is_segment, run_key, segment_key
from promissory.executor.store.store import Store
from promissory.typesys.canonical import pack_map, unpack_canonical
from promissory.typesys.envelope import seal, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMT"
VERSION: Final = 1
_TRIES: Final = 5


def write_base(store: Store, run_id: str, segment: int) -> None:
    """Note durably that a journal begins with a segment."""
    key = base_key(run_id, segment)
    store.put_same(key, seal(MAGIC, VERSION, 1, pack_map({"segment": segment})))
    store.sync([key])


def first_segment(store: Store, run_id: str) -> int:
    """The number of the segment with which a journal begins: that of the newest base, or 0. Raises `JournalError`."""
    for _ in range(_TRIES):
        bases = store.list(run_key(run_id, "base"))
        if not bases:
            return 0
        key = max(bases)
        try:
            _, _, payload = unseal(store.get(key), MAGIC, range(1, VERSION + 1), key)
            entries = unpack_canonical(payload, key)
        except NotInStore:
            continue  # a newer one took its place just now
        except FormatError as error:
            raise JournalError(error.what, error.problem, error.offset) from None
        segment = entries.get("segment") if isinstance(entries, dict) else None
        if segment.__class__ is not int or base_key(run_id, segment) != key:
            raise JournalError(key, "is malformed")
        return int(segment)
    raise JournalError(run_key(run_id, "base"), "is replaced again and again")


def trim(store: Store, run_id: str, base: int, own: int) -> None:
    """Delete the segments before a base, which is written already, and the bases before it. Raises `StoreError`.

    Args:
        own: the number of this executor's first segment: all after it are its own.
    """
    folder = segment_key(run_id, 0).rpartition("/")[0]
    for key in sorted(key for key in store.list(folder) if is_segment(key) and key < segment_key(run_id, base)):
        if not _stays(store, key, own):
            store.remove(key)
    for key in store.list(run_key(run_id, "base")):
        if key < base_key(run_id, base):
            store.remove(key)


def _stays(store: Store, key: str, own: int) -> bool:
    number = int(key.rpartition("/")[2])
    if number > own:
        return False
    try:
        data = store.get(key)
    except NotInStore:
        return True
    return is_torn(data) or any(event[0] == RESUMED for event in segment_from_bytes(data, key).events)
