"""The event loop of an awaiting dynamic: it does no I/O and has no clock of its own (rule D8).

It runs what is ready, in the order in which it became ready, and never waits. Its time is the run's: the moment at
which the body was last told something. So the same words in the same order have the body do the same again, in another
process and years later. A timer is a durable wait of the run.

The loop keeps to the documented parts of `asyncio` (`AbstractEventLoop`, `Handle`, `Task`, `Future`), so that
`gather`, `TaskGroup`, `as_completed`, `wait_for`, `timeout`, `sleep`, queues and locks work as they are.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Final, NoReturn

from promissory.planner.body import in_order
from promissory.planner.errors import AwaitError, Where, user_line, warn

in_order.install()

_MOST_AWAITS_AT_ITS_END: Final = 1000
LONGEST_STEP: Final = 2.0
"""Seconds after which a body that does not await is told to be holding up others."""


_Ready = tuple[asyncio.Handle, Callable[..., Any], tuple[Any, ...], Context]
_Base: Any = asyncio.AbstractEventLoop
"""Type checkers take the base for abstract; here what a subclass does not have raises `NotImplementedError`."""


class AwaitLoop(_Base):  # type: ignore[misc]
    """Runs the coroutines of one body.

    Args:
        name: of the dynamic, for messages.
        enter: is called before each step, in the step's own context.
        now: the moment at which the body begins, in seconds since the epoch.

    Attributes:
        body: what `promissory.value` asks for values.
    """

    def __init__(self, name: str, enter: Callable[[], Any], now: float) -> None:
        self._name = name
        self._enter = enter
        self._now = now
        self._ready: deque[_Ready] = deque()
        self._timers: list[tuple[float, int, _Ready]] = []
        self._count = 0
        self._is_closed = False
        self._tasks: weakref.WeakValueDictionary[int, asyncio.Task[Any]] = weakref.WeakValueDictionary()
        self.body: Any = None

    # --- what the driver does ---

    def drain(self) -> None:
        """Run what is ready, and what becomes ready by it, until nothing is."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                handle, callback, args, context = self._ready.popleft()
                if handle.cancelled():
                    continue
                begun = time.perf_counter()
                context.run(self._step, callback, args)
                took = time.perf_counter() - begun
                if took > LONGEST_STEP:
                    self._tell_of_holding(took, callback)
        finally:
            asyncio._set_running_loop(outer)

    def _step(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._enter()
        try:
            callback(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except Exception as error:
            self.call_exception_handler({"message": f"a callback of {self._name} raised", "exception": error})

    @property
    def due(self) -> float | None:
        """The moment of the first timer, in seconds since the epoch; None if there is none."""
        while self._timers and self._timers[0][2][0].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _tell_of_holding(self, seconds: float, callback: Callable[..., Any]) -> None:
        """Tell a body that it has held its loop, with the line before which it did."""
        task = getattr(callback, "__self__", None)
        coroutine: Any = task.get_coro() if isinstance(task, asyncio.Task) else None
        frame = None if coroutine is None else coroutine.cr_frame
        warn(
            f"{self._name} has computed for {seconds:.1f} s, and bodies beside it waited: do in a task what takes long",
            RuntimeWarning,
            user_line() if frame is None else Where(frame.f_code.co_filename, frame.f_lineno),
        )

    def set_time(self, now: float) -> None:
        """Let time pass to a moment. It never goes back."""
        self._now = max(self._now, now)

    def fire(self) -> bool:
        """Have the callbacks of timers run whose moment has come. Returns whether there were any."""
        before = len(self._ready)
        while self.due is not None and self._timers[0][0] <= self._now:
            self._ready.append(heapq.heappop(self._timers)[2])
        return len(self._ready) > before

    # --- what asyncio asks for ---

    def time(self) -> float:
        """The moment at which the body was last told something, in seconds since the epoch."""
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Have a callback run after what is ready."""
        context = context or copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append((handle, callback, args, context))
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> NoReturn:
        """Refuse: another thread's word would come at another moment in a replay."""
        self._refuse("a thread")

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Have a callback run after some seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        """Have a callback run at a moment."""
        context = context or copy_context()
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, (timer, callback, args, context)))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: a cancelled timer is passed over when it comes up."""

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        """Run a coroutine, or anything that can be awaited, beside the others."""
        whole = coro if asyncio.iscoroutine(coro) else _awaited(coro)
        task: asyncio.Task[Any] = asyncio.Task(whole, loop=self, name=name, context=context)
        self._count += 1
        self._tasks[self._count] = task
        return task

    def end_tasks(self, but: asyncio.Task[Any], cancels: bool) -> bool:
        """Let the tasks end that the body has left, in the order in which it began them. Returns whether any goes on.

        Args:
            cancels: whether they are to be cancelled first.
        """
        left = [task for task in self._tasks.values() if task is not but and not task.done()]
        if cancels and left:
            for task in left:
                task.cancel()
            self.drain()
        return any(not task.done() for task in left)

    def get_debug(self) -> bool:
        """Without asyncio's debug mode."""
        return False

    def is_running(self) -> bool:
        """Whether one of its steps runs."""
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        """Whether the body has ended."""
        return self._is_closed

    def close(self) -> None:
        """The body has ended, or is let go: its coroutines are closed now, and not when the collector comes by."""
        self._is_closed = True
        self._ready.clear()
        self._timers.clear()
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for task in list(self._tasks.values()):
                coroutine: Any = task.get_coro()
                for _ in range(0 if task.done() else _MOST_AWAITS_AT_ITS_END):
                    with suppress(BaseException):  # a `finally` of a body that goes on elsewhere may do anything
                        coroutine.close()
                        break  # else it awaits in a `finally`
        finally:
            asyncio._set_running_loop(outer)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell of an exception that nobody awaited."""
        error, message = context.get("exception"), str(context.get("message"))
        if not self._is_closed and not message.startswith("Task was destroyed"):  # it goes on elsewhere
            logging.getLogger("asyncio").error("%s: %s", self._name, message, exc_info=error)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """As `call_exception_handler`."""
        self.call_exception_handler(context)

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: no generator is tracked."""

    # --- what it refuses ---

    def _refuse(self, what: str) -> NoReturn:
        raise AwaitError(
            f"{self._name} asked its event loop for {what}, which a replay could not give it again",
            where=user_line(),
            way_out="do it in a task, and await the task's value: await value(read(url))",
        )

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> NoReturn:
        """Refuse threads."""
        self._refuse("a thread")


_OF_THE_WORLD: Final = {
    **dict.fromkeys(
        (
            "create_connection",
            "create_server",
            "create_unix_connection",
            "create_unix_server",
            "create_datagram_endpoint",
            "connect_accepted_socket",
            "getaddrinfo",
            "getnameinfo",
            "sock_connect",
            "sock_recv",
            "sock_recv_into",
            "sock_sendall",
            "sock_sendfile",
            "sock_accept",
            "sock_recvfrom",
            "sock_sendto",
            "sendfile",
            "start_tls",
        ),
        "a connection",
    ),
    **dict.fromkeys(("subprocess_exec", "subprocess_shell"), "a process"),
    **dict.fromkeys(("connect_read_pipe", "connect_write_pipe", "add_reader", "add_writer"), "a file"),
    "add_signal_handler": "a signal",
}
"""What asyncio's loops do with the world outside, by the method that does it."""


def _refusal(what: str) -> Callable[..., NoReturn]:
    def refuse(loop: AwaitLoop, *args: Any, **kwargs: Any) -> NoReturn:
        loop._refuse(what)

    return refuse


for _name, _what in _OF_THE_WORLD.items():
    setattr(AwaitLoop, _name, _refusal(_what))


_CONNECTS: Final = frozenset(("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"))


def _hear(event: str, args: tuple[Any, ...]) -> None:
    """Tell a body that reaches out by itself, which a replay would do again (an audit hook, PEP 578)."""
    if event in _CONNECTS:
        loop = asyncio._get_running_loop()
        if isinstance(loop, AwaitLoop):
            warn(
                f"{loop._name} opens a connection, and a replay would open it again: do it in a task, and await that",
                RuntimeWarning,
                user_line(),
            )


sys.addaudithook(_hear)


async def _awaited(given: Any) -> Any:
    return await given
