"""The lane of async bodies: one event loop in a thread of its own, on which many bodies run side by side.

A body that does not await holds up the others. It is told so, with the line where it stands.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final

from promissory.executor.worker.async_worker import AsyncWorker
from promissory.executor.worker.capture import Capture
from promissory.planner.errors import is_authors

Answer = Callable[[int, list[Any]], None]
"""Takes the number of a batch, and the outcome of its call."""

_HOLDS: Final = 2.0
"""Seconds after which a body that does not await is told."""
_LOOKS: Final = 0.5
_PATIENCE: Final = 2.0
"""Seconds in which cancelled bodies have to end before the lane is left to itself."""


class Seat:
    """A place on the lane: a worker, and who listens to its bodies."""

    def __init__(self, worker: AsyncWorker, capture: Capture) -> None:
        self.worker = worker
        self.capture = capture
        self.path = ""
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()


_seat: Final[ContextVar[Seat | None]] = ContextVar("promissory_seat", default=None)
"""The place of the body that runs in this context."""


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task, and note the body that began it: it ends with the body."""
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
    seat = _seat.get()
    if seat is not None:
        seat.tasks.add(task)
    return task


class Lane:
    """Runs async bodies side by side.

    Args:
        name: of the thread.
        make: makes the worker and the listener of a further place, by its number from 1.
        answer: takes outcomes, in the lane's thread.
        broke: takes an interrupt, or a failure of the store, in the lane's thread.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[int], tuple[AsyncWorker, Capture]],
        answer: Answer,
        broke: Callable[[BaseException], None],
    ) -> None:
        self._make = make
        self._answer = answer
        self._broke = broke
        self._free: list[Seat] = []
        self._taken: dict[asyncio.Task[None], Seat] = {}
        self._seats: list[Seat] = []
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(_make_task)
        self._over = threading.Event()
        self._went = time.monotonic()
        self._told = 0.0
        self._thread = threading.Thread(target=self._run, name=f"promissory {name}", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch, name=f"promissory {name} watch", daemon=True).start()

    def submit(self, number: int, content: list[Any], sure: float) -> None:
        """Have the one call of a batch run."""
        self._loop.call_soon_threadsafe(self._begin, number, content, sure)

    @property
    def running(self) -> list[tuple[int, int, int, str]]:
        """Frame, index, beginning (µs since the epoch) and worker of each body that runs. From any thread."""
        found = []
        for seat in list(self._seats):
            now = seat.worker.now
            if now is not None:
                found.append((*now, seat.worker.name))
        return found

    def close(self) -> None:
        """Cancel the bodies that run, and end."""
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(_PATIENCE)
        self._over.set()

    # --- in the lane's thread ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._note_that_it_goes()
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            for seat in self._seats:
                seat.capture.close()

    def _note_that_it_goes(self) -> None:
        self._went = time.monotonic()
        self._loop.call_later(_LOOKS, self._note_that_it_goes)

    def _begin(self, number: int, content: list[Any], sure: float) -> None:
        seat = self._free.pop() if self._free else self._further()
        seat.path = content[1][0][4]
        task = self._loop.create_task(self._carry_out(seat, number, content, sure))
        self._taken[task] = seat
        task.add_done_callback(self._leave)

    def _further(self) -> Seat:
        worker, capture = self._make(len(self._seats) + 1)
        capture.open()
        seat = Seat(worker, capture)
        self._seats.append(seat)
        return seat

    async def _carry_out(self, seat: Seat, number: int, content: list[Any], sure: float) -> None:
        _seat.set(seat)
        try:
            outcome = await seat.worker.overlap(content, sure)
            await _end_all(seat.tasks)
        except BaseException as error:
            if not self._over.is_set():
                self._broke(error)
            return
        if not self._over.is_set():
            self._answer(number, outcome)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._free.append(self._taken.pop(task))

    def _end(self) -> None:
        self._over.set()
        for task in list(self._taken):
            task.cancel()
        self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        if self._taken:
            await asyncio.wait(list(self._taken), timeout=_PATIENCE)
        self._loop.stop()

    # --- in a thread beside it ---

    def _watch(self) -> None:
        """Tell a body that holds the loop."""
        while not self._over.wait(_LOOKS):
            went = self._went
            if time.monotonic() - went > _HOLDS and went != self._told and self._taken:
                self._told = went
                with suppress(RuntimeError, KeyError):  # the body has just ended
                    self._tell(time.monotonic() - went)

    def _tell(self, seconds: float) -> None:
        task = asyncio.current_task(self._loop)
        seat = next((one for own, one in self._taken.items() if own is task or task in one.tasks), None)
        frame = sys._current_frames().get(self._thread.ident or 0)
        while frame is not None and not is_authors(frame.f_code.co_filename):
            frame = frame.f_back
        if seat is not None:
            seat.capture.record(held(seat.path, seconds, frame), True)


async def _end_all(tasks: weakref.WeakSet[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that a body has left, as `asyncio.run` does."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_PATIENCE)
    tasks.clear()


def held(path: str, seconds: float, frame: FrameType | None) -> str:
    """What is said of a body that holds its loop."""
    at = "" if frame is None else f" at {frame.f_code.co_filename}:{frame.f_lineno}"
    return (
        f"promissory: {path} has held its event loop for {seconds:.0f} s{at}, and all async bodies beside it wait. "
        "Await what takes long, or make it a plain `def` task\n"
    )
