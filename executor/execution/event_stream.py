"""The stream of a run's events: what `run.events()` gives, to loops and to `async for`."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from promissory.executor.history.follow import Follower
from promissory.executor.history.run_events import RunEvent

_SOONEST: Final = 0.02
_LATEST: Final = 0.5
"""A stream looks again after a pause, in s, that gets longer while nothing comes."""
_AT_ONCE: Final = 1_000


class EventStream:
    """The events of a run, in order, until it has ended or nobody works on it.

    A stream goes on where it was left, and gives each event once. `async for` reads in a thread, and holds no event
    loop up.

    Args:
        follower: reads the events.
        goes_on: tells whether more may come.
        pause: waits for as many seconds, or until something has come.

    Attributes:
        cursor: the place behind the event that was given last; `run.events(since=…)` goes on there.

    >>> from promissory import run, task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> stream = run(inc, {"x": 1}, store="memory://event-stream").events()
    >>> [(event.kind, event.path, event.state) for event in stream]
    [('run', 'main', 'RUNNING'), ('node', 'main/inc', 'SUCCEEDED'), ('run', 'main', 'SUCCEEDED')]
    """

    def __init__(self, follower: Follower, goes_on: Callable[[], bool], pause: Callable[[float], object]) -> None:
        self._goes_on = goes_on
        self._pause = pause
        self._follower = follower
        self._events: Iterator[RunEvent] = iter(())
        self._left: deque[RunEvent] = deque()
        self._is_last = False
        self._is_over = False
        self._waits = _SOONEST
        self.cursor = str(follower.cursor)

    def __iter__(self) -> Iterator[RunEvent]:
        return self

    def __next__(self) -> RunEvent:
        while not self._left:
            if self._is_over:
                raise StopIteration
            self._read()
        return self._given()

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self

    async def __anext__(self) -> RunEvent:
        import asyncio  # a run that nobody follows so is not to wait for this import

        while not self._left:
            if self._is_over:
                raise StopAsyncIteration
            await asyncio.to_thread(self._read)
        return self._given()

    def _given(self) -> RunEvent:
        event = self._left.popleft()
        self.cursor = event.cursor
        return event

    def _read(self) -> None:
        """Read events that are committed; where there are none, wait a while, or note that none will come."""
        for event in self._events:
            self._left.append(event)
            if len(self._left) >= _AT_ONCE:
                return
        if not self._left:
            if self._is_last:
                self._is_over = True
                return
            self._pause(self._waits)
        self._waits = _SOONEST if self._left else min(_LATEST, 1.5 * self._waits)
        # Whoever has ended has committed everything before, so what is read after this question is all.
        self._is_last = not self._goes_on()
        self._events = self._follower.read()
