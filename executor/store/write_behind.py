"""Writes behind a commit: futures files and cache entries, for people, tools and later runs. The run itself never waits
for them.

On a near store they are written at once; on a store behind a network, on threads. A write that fails loses nothing,
since the journal holds the same data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from promissory.executor.errors import StoreError
from promissory.executor.store.store import Store

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_log = logging.getLogger("promissory")
_AT_ONE_TIME: Final = 16
_WAITING: Final = 512


def pool(size: int, name: str) -> ThreadPoolExecutor:
    """A pool of `size` threads of this name. The standard library's pool is imported only for a store that is far."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(size, name)


class WriteBehind:
    """Carries out the writes that it is given, several at a time where that helps.

    Args:
        store: the store that is written to.
    """

    def __init__(self, store: Store) -> None:
        self._threads = None if store.is_near else pool(_AT_ONE_TIME, "promissory write")
        self._room = BoundedSemaphore(_WAITING)
        self._failed = False

    def write(self, action: Callable[[], object]) -> None:
        """Have a write carried out. Waits only if very many writes are under way already."""
        if self._threads is None:
            self._do(action)
        else:
            self._room.acquire()
            self._threads.submit(self._do_and_make_room, action)

    def _do_and_make_room(self, action: Callable[[], object]) -> None:
        try:
            self._do(action)
        finally:
            self._room.release()

    def _do(self, action: Callable[[], object]) -> None:
        try:
            action()
        except StoreError as error:
            if not self._failed:
                self._failed = True
                _log.warning("%s. The run goes on: nothing in it depends on this", error)

    def close(self) -> None:
        """Wait for the writes that are under way."""
        if self._threads is not None:
            self._threads.shutdown(wait=True)
