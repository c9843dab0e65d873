"""A table of recently used entries: bounded, and as quick to ask as a dictionary."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps at least the `size` entries that were used last, and at most twice as many.

    Entries lie in two generations. An entry that is asked for moves to the younger generation. When that is full, the
    older one is dropped and the younger takes its place. So there is no list of all entries by their last use, which
    would have to be kept in order at each look.

    >>> recent = Recent[str, int](2)
    >>> for name in "abcdef":
    ...     dropped = recent.put(name, ord(name))
    >>> recent.get("c"), recent.get("a")
    (99, None)
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value that is kept under a key; None if none is, or not any more."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> dict[K, V]:
        """Keep a value. Returns the entries that are dropped for it."""
        dropped: dict[K, V] = {}
        if len(self._young) >= self._size:
            dropped, self._old, self._young = self._old, self._young, {}
        self._young[key] = value
        dropped.pop(key, None)
        return dropped

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
