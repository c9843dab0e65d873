"""What a worker speaks to: the listener to its bodies, and the taker of its outcomes."""

from __future__ import annotations

from typing import Any, Protocol


class Listener(Protocol):
    """Takes the output of bodies."""

    def begin(self, path: str) -> None:
        """A body begins."""

    def end(self) -> list[Any] | None:
        """The body has ended. Returns [key, offset, length] of its output, or None. Raises `StoreError`."""


class Taker(Protocol):
    """Takes outcomes one by one: a list, or an object that sends each of them."""

    def append(self, outcome: Any, /) -> None:
        """Take an outcome."""
