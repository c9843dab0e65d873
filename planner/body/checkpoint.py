"""Checkpoints: data that an attempt leaves for the next attempt of the same task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promissory.planner.body.payload import decoded_payload, encoded_payload
from promissory.planner.errors import ContextError, user_line


class Checkpoint:
    """The progress of a long body, for the attempt after it: after a failure, a crash of the worker or of the whole
    run.

    Data that is written is stored at once, however the attempt ends, and stays as long as the run does. Each iteration
    of a loop, and each item of a map, has a checkpoint of its own.

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
        load: gives the bytes that were written last; None if nothing was written.
        save: stores bytes.
    """

    def __init__(self, load: Callable[[], bytes | None], save: Callable[[bytes], None]) -> None:
        self._load = load
        self._save = save
        self._is_over = False

    def read(self, default: Any = None) -> Any:
        """Give the data written last, by this attempt or one before it. `default` if nothing was written."""
        data = self._load()
        return default if data is None else decoded_payload(data)

    def write(self, value: Any) -> None:
        """Store plain data in place of the data written before.

        Raises:
            TypeError: the data has no wire form.
            ContextError: the attempt has ended. A thread that it left behind would overwrite the data of the next
                attempt.
        """
        if self._is_over:
            raise ContextError(
                "checkpoint.write(): the body that this context was given to has ended",
                where=user_line(),
                way_out="write while the body runs",
            )
        self._save(encoded_payload(value, "checkpoint.write(…)"))

    def end(self) -> None:
        """Note that the attempt has ended. Nothing more is written."""
        self._is_over = True
