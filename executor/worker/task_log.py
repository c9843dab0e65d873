"""A worker's log: the output of its bodies, one after the other, in one key of the store; without output nothing is
written (rule X5)."""

from __future__ import annotations

from typing import Any

from promissory.executor.errors import StoreError
from promissory.executor.store.store import Store
from promissory.typesys.secret import masked_bytes


class Log:
    """Appends the output of one body after the other, and tells where each body's output lies.

    Args:
        store: the store of the log.
        key: the worker's log.

    >>> log = Log(Store(None), "runs/r/logs/w")
    >>> log.write(b"one"); log.write(b"two"); log.address()
    ['runs/r/logs/w', 0, 6]
    >>> log.address() is None
    True
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._offset = -1
        self._length = 0
        self._problem: StoreError | None = None
        self._held = b""

    def write(self, data: bytes) -> None:
        """Append a piece of the body's output. A store that can't take it is reported by `address`, not to the body
        that happened to print. Revealed secrets become stars."""
        data, self._held = masked_bytes(self._held + data)
        self._append(data)

    def _append(self, data: bytes) -> None:
        if self._problem is not None or not data:
            return
        try:
            offset = self._store.append(self._key, data)
        except StoreError as problem:
            self._problem = problem
            return
        if self._offset < 0:
            self._offset = offset
        self._length += len(data)

    @property
    def length(self) -> int:
        """The bytes of output since `address` was last asked for."""
        return self._length

    def address(self) -> list[Any] | None:
        """[key, offset, length] of the output since the last call, or None. Raises `StoreError` if it was not kept."""
        if self._held:
            held, self._held = self._held, b""
            self._append(masked_bytes(held, ended=True)[0])
        problem, self._problem = self._problem, None
        offset, length = self._offset, self._length
        self._offset, self._length = -1, 0
        if problem is not None:
            raise problem
        return None if offset < 0 else [self._key, offset, length]
