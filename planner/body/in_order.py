"""`asyncio.as_completed`, `asyncio.wait` and `asyncio.TaskGroup` in the order of what they were given, for bodies that
are replayed.

Those of the library go through sets, whose order is another one in another process. In any other event loop they are
what they always were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any, Final

_wait: Final = asyncio.wait
_as_completed: Final = asyncio.as_completed


class InOrder(set[Any]):
    """A set that is iterated in the order in which it was made."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)
        super().__init__(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter([item for item in self._items if item in self])


class Completed:
    """What `as_completed` gives: to be iterated, or iterated asynchronously.

    Args:
        futures: in order.
        timeout: in seconds; None for none.
    """

    def __init__(self, futures: list[asyncio.Future[Any]], timeout: float | None) -> None:
        self._left = len(futures)
        self._todo = dict.fromkeys(futures)
        self._done: asyncio.Queue[asyncio.Future[Any] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self._timer = None if timeout is None else loop.call_later(timeout, self._expire)
        for future in futures:
            future.add_done_callback(self._complete)

    def _complete(self, future: asyncio.Future[Any]) -> None:
        if future in self._todo:
            del self._todo[future]
            self._done.put_nowait(future)
            if not self._todo and self._timer is not None:
                self._timer.cancel()

    def _expire(self) -> None:
        for future in self._todo:
            future.remove_done_callback(self._complete)
            self._done.put_nowait(None)
        self._todo.clear()

    async def _next(self) -> asyncio.Future[Any]:
        future = await self._done.get()
        if future is None:
            raise TimeoutError
        return future

    async def _result(self) -> Any:
        return (await self._next()).result()

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self._left):
            yield self._result()

    async def __aiter__(self) -> AsyncIterator[Any]:
        for _ in range(self._left):
            yield await self._next()


def _is_replayed() -> bool:
    return hasattr(asyncio._get_running_loop(), "body")


def as_completed(fs: Any, *, timeout: float | None = None) -> Any:
    """`asyncio.as_completed`; in a body that is replayed, in the order of what is given."""
    if not _is_replayed():
        return _as_completed(fs, timeout=timeout)
    return Completed(list(dict.fromkeys(asyncio.ensure_future(one) for one in fs)), timeout)


async def wait(fs: Any, *, timeout: float | None = None, return_when: str = asyncio.ALL_COMPLETED) -> Any:
    """`asyncio.wait`; in a body that is replayed, the sets are in the order of what is given."""
    if not _is_replayed():
        return await _wait(fs, timeout=timeout, return_when=return_when)
    given = list(fs)
    done, pending = await _wait(given, timeout=timeout, return_when=return_when)
    return InOrder(one for one in given if one in done), InOrder(one for one in given if one in pending)


class _Tasks(dict[asyncio.Task[Any], None]):
    """The tasks of a group, in the order in which they began: a group that fails cancels them in this order."""

    def add(self, task: asyncio.Task[Any]) -> None:
        """Add a task."""
        self[task] = None

    def discard(self, task: asyncio.Task[Any]) -> None:
        """Remove a task, if it is there."""
        self.pop(task, None)


def _init_group(group: Any) -> None:
    """Make a group; in a body that is replayed its tasks are in order."""
    _init(group)
    if _is_replayed() and getattr(group, "_tasks", None) == set():
        vars(group)["_tasks"] = _Tasks()


_init: Final = asyncio.TaskGroup.__init__


def of_the_library(function: FunctionType) -> list[str]:
    """List the names under which a function, or one in it, uses the library's own, imported before these were there."""
    names, todo = set[str](), [function.__code__]
    while todo:
        code = todo.pop()
        names.update(code.co_names)
        todo += [one for one in code.co_consts if isinstance(one, CodeType)]
    return sorted(name for name in names if _is_the_librarys(function.__globals__.get(name)))


def _is_the_librarys(found: object) -> bool:
    return found is _wait or found is _as_completed


def install() -> None:
    """Have bodies call these."""
    setattr(asyncio.TaskGroup, "__init__", _init_group)  # noqa: B010 — type checkers take no assignment
    for module in (asyncio, asyncio.tasks):
        module.as_completed, module.wait = as_completed, wait  # type: ignore[attr-defined]
