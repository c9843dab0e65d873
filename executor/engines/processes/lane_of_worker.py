"""The lane of a worker process: its async bodies, what they say, and the bodies of async dynamics that wait in it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any, Literal, cast

from promissory.executor.engines.processes.messages import KEPT, OUTCOME, SAID, STOPPED, Opening
from promissory.executor.store.keys import log_key
from promissory.executor.store.store import Store
from promissory.executor.worker.async_worker import AsyncWorker
from promissory.executor.worker.awaiting import Bodies
from promissory.executor.worker.capture import Capture
from promissory.executor.worker.lane import Lane

Say = Callable[[int, Any], None]
"""Sends a message to the executor."""


class _Shown(io.TextIOBase):
    """A standard stream whose text the executor shows."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def write(self, text: str) -> int:
        if text:
            self._say(SAID, [text, 0])
        return len(text)

    def writable(self) -> bool:
        return True


def lane_of(opening: Opening, say: Say, is_ending: Callable[[], bool]) -> Lane:
    """The lane of this process. What its bodies print is known from the body that printed it, so it is taken above the
    descriptors: the words of programs that a body starts are not among it."""
    if opening.echo:
        sys.stdout, sys.stderr = cast(Any, _Shown(say)), cast(Any, _Shown(say))
    bodies = Bodies()
    echo = cast(Literal["plain", "paths", False], opening.echo or False)

    def make(number: int) -> tuple[AsyncWorker, Capture]:
        name = f"{opening.worker}.{number}"
        carried = None
        if opening.store is None:
            store, carried = Store.carried()
            carried.send = lambda key, data: say(KEPT, [key, data])
        else:
            store = Store(opening.store)
        capture = Capture(store, log_key(opening.run_id, name), echo, opening.log_level)
        worker = AsyncWorker(
            store,
            opening.run_id,
            name,
            opening.created,
            capture,
            epoch=opening.epoch,
            bundle=opening.bundle,
            is_ending=is_ending,
            carried=carried,
            remote=True,
            bodies=bodies,
        )
        return worker, capture

    def answer(number: int, outcome: list[Any]) -> None:
        say(OUTCOME, [number, outcome])

    def broke(error: BaseException) -> None:
        say(STOPPED, [type(error).__name__, str(error)])

    return Lane(opening.worker, make, answer, broke)
