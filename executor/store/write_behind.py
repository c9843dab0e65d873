"""What is written after a commit, for people, tools and later runs, and never waited for by the run itself: futures files and cache entries.

Where the store is near it is written at once; where each write is a way over a network, on threads. A write that fails takes nothing away: what it says is in the journal.
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
    """So many threads, of this name. Imported only where a store is far."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(size, name)


class WriteBehind:
    """Writes what it is given, several at a time where that helps.

    Args:
        store: where to.
    """

    def __init__(self, store: Store) -> None:
        self._threads = None if store.is_near else pool(_AT_ONE_TIME, "promissory write")
        self._room = BoundedSemaphore(_WAITING)
        self._failed = False

    def write(self, action: Callable[[], object]) -> None:
        """Have something written. Waits only if very much is being written already."""
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
        """Wait for what is being written."""
        if self._threads is not None:
            self._threads.shutdown(wait=True)
