"""The base of a journal that was trimmed: the segment with which it begins now, which holds a snapshot (rule C5).

A base is a small sealed file, `runs/<run id>/base/<number of the segment>`, put once. It is durable before the first
segment before it is deleted, and segments are deleted oldest first. So a journal whose segment 0 is there was not
trimmed yet, whatever bases there are; one without segment 0 begins at its newest base.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from promissory.executor.errors import JournalError, NotInStore, StoreError
from promissory.executor.store.keys import base_key, run_key, segment_key
from promissory.executor.store.store import Store
from promissory.typesys.canonical import pack_map, seal, unpack_canonical, unseal
from promissory.typesys.errors import FormatError

MAGIC: Final = b"PRMT"
VERSION: Final = 1


def write_base(store: Store, run_id: str, segment: int) -> None:
    """Note durably that a journal may begin with a segment."""
    key = base_key(run_id, segment)
    store.put_same(key, seal(MAGIC, VERSION, 1, pack_map({"segment": segment})))
    store.sync([key])


def first_segment(store: Store, run_id: str) -> int:
    """The number of the segment with which a journal begins: 0, or its base. Raises `JournalError`."""
    if store.exists(segment_key(run_id, 0)):
        return 0
    bases = sorted(store.list(run_key(run_id, "base")), reverse=True)
    for key in bases:
        try:
            _, _, payload = unseal(store.get(key), MAGIC, range(1, VERSION + 1), key)
            entries = unpack_canonical(payload, key)
        except NotInStore:
            continue
        except FormatError as error:
            raise JournalError(key, error.problem, error.offset) from None
        segment = entries.get("segment") if isinstance(entries, dict) else None
        if segment.__class__ is not int or base_key(run_id, segment) != key:
            raise JournalError(key, "is malformed")
        if not store.exists(segment_key(run_id, segment)):
            raise JournalError(segment_key(run_id, segment), f"is missing, and the journal begins with it ({key})")
        return int(segment)
    return 0


def trim(store: Store, run_id: str, base: int, first: int, then: Callable[[], None]) -> None:
    """Have a journal begin with a segment that holds a snapshot, and delete the segments before it, the oldest first.

    Args:
        first: the number of the first segment that is there.
        then: called at the end. A store that fails only leaves more than is needed.
    """
    write_base(store, run_id, base)
    try:
        for number in range(first, base):
            store.remove(segment_key(run_id, number))
        for key in store.list(run_key(run_id, "base")):
            if key < base_key(run_id, base):
                store.remove(key)
    except StoreError:
        return
    then()
