"""A table of what was used lately: bounded, and as quick to ask as a dictionary."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps at least the `size` entries that were used last, and at most twice as many.

    Entries lie in two generations. One that is asked for is of the younger; when that is full the older one is dropped and the younger takes its place. So nothing is moved or counted at each
    look, as it would be in a list of all entries by their last use.

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
        """What is kept under a key; None if nothing is, or not any more."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> dict[K, V]:
        """Keep a value. Gives what is dropped for it."""
        dropped: dict[K, V] = {}
        if len(self._young) >= self._size:
            dropped, self._old, self._young = self._old, self._young, {}
        self._young[key] = value
        dropped.pop(key, None)
        return dropped

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
