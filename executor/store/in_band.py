"""The storage of a worker that shares no store with its executor: contents travel with batches and outcomes (rule
J5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from promissory.executor.store.keys import is_replaced


class Carried:
    """The contents that a batch brought, and those that its outcomes take along.

    A log's offsets are those in the executor's store, since only this worker adds to the log.

    Attributes:
        send: takes a content that may be replaced. That content is stored at once, even if the outcome never comes.
    """

    near = True
    lasting = False
    grows = True

    def __init__(self) -> None:
        self._brought: dict[str, bytes] = {}
        self._logs: dict[str, int] = {}
        self._written: list[list[Any]] = []
        self.send: Callable[[str, bytes], None] | None = None

    def bring(self, contents: list[list[Any]]) -> None:
        """Take the keys that may be read from now on; no others may."""
        self._brought = dict(map(tuple, contents))

    def taken(self) -> list[list[Any]]:
        """[key, bytes] of each content written since the last call; parts of a log follow each other."""
        written, self._written = self._written, []
        return written

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        if key not in self._brought:
            self.put(key, data)
        return True

    def put(self, key: str, data: bytes) -> None:
        self._brought[key] = data
        if self.send is not None and is_replaced(key):
            self.send(key, data)
        else:
            self._written.append([key, data])

    def get(self, key: str) -> bytes:
        try:
            return self._brought[key]
        except KeyError:
            raise FileNotFoundError(key) from None

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return self.get(key)[start:end]

    def append(self, key: str, data: bytes) -> int:
        offset = self._logs.get(key, 0)
        self._logs[key] = offset + len(data)
        self._written.append([key, data])
        return offset

    def is_folder(self, key: str) -> bool:
        return key not in self._brought

    def leftovers(self) -> list[str]:
        return []

    def changed(self, key: str) -> float:
        return 0.0

    def exists(self, key: str) -> bool:
        return key in self._brought

    def delete(self, key: str) -> None:
        self._brought.pop(key, None)

    def sync(self, keys: Iterable[str]) -> None:
        return

    def list(self, prefix: str) -> list[str]:
        return [key for key in self._brought if key.rpartition("/")[0] == prefix]
