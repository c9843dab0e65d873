"""What an attempt leaves for the next one of the same task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promissory.planner.body.payload import decoded_payload, encoded_payload
from promissory.planner.errors import ContextError, user_line


class Checkpoint:
    """How far a long body has come, for the attempt after it: after a failure, a crash of the worker or of the whole run.

    What is written is stored at once, whatever becomes of the attempt, and stays as long as the run does. Each iteration of a loop, and each item of a map, has its own.

    >>> from promissory import Context, task
    >>> @task(retries=3)
    ... def total(ctx: Context, numbers: list[int]) -> int:
    ...     done, total = ctx.checkpoint.read(default=[0, 0])
    ...     for position in range(done, len(numbers)):
    ...         total += numbers[position]
    ...         ctx.checkpoint.write([position + 1, total])
    ...     return total
    >>> total([1, 2, 3])
    6

    Args:
        load: gives what was written last, as bytes; None if nothing was.
        save: stores bytes.
    """

    def __init__(self, load: Callable[[], bytes | None], save: Callable[[bytes], None]) -> None:
        self._load = load
        self._save = save
        self._is_over = False

    def read(self, default: Any = None) -> Any:
        """What was written last, by this attempt or one before it; `default` if nothing was."""
        data = self._load()
        return default if data is None else decoded_payload(data)

    def write(self, value: Any) -> None:
        """Store plain data in place of what was written before.

        Raises:
            TypeError: it has no wire form.
            ContextError: the attempt has ended; what a thread of it left behind writes would stand in the way of the next one.
        """
        if self._is_over:
            raise ContextError(
                "checkpoint.write(): the body that this context was given to has ended",
                where=user_line(),
                way_out="write while the body runs",
            )
        self._save(encoded_payload(value, "checkpoint.write(…)"))

    def end(self) -> None:
        """The attempt has ended: nothing more is written."""
        self._is_over = True
