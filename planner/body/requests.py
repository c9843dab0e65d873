"""The requests that a body makes of its run (rules S3 to S7), as it made them. They are taken when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from promissory.planner.errors import ContextError, SignalError, Where, user_line


@runtime_checkable
class Target(Protocol):
    """A callable to which a body may send its run by itself: a task, dynamic or workflow. (Entities stand above this
    layer.)"""

    @property
    def name(self) -> str:
        """The target's name."""

    @property
    def signature(self) -> Any:
        """The typed inputs and result."""

    def callee(self) -> Any:
        """Name the target as a plan does."""

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Check the arguments of a call."""


@dataclass
class Requests:
    """The requests that a body has made so far.

    Attributes:
        calls: entities to be called before the task's successors, with their inputs; None for those given by name.
        names: for each of the calls, the name of its target.
        goto: the number of the call that is a jump.
        iterate: the payload of another iteration, as bytes.
        terminate: reason and outputs; the outputs are bytes, or bytes by name.
        cancel: the reason.
        writes: the writes to the channel: (operation, key, bytes).
        read: whether the channel was looked at.
        refused: the first request that was impossible; it counts also if the body swallowed the error.
        where: the author's line of the last request.
        is_over: whether the body has ended. Further requests are then refused.
    """

    calls: list[tuple[Target, dict[str, Any]] | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    goto: int | None = None
    iterate: bytes | None = None
    terminate: tuple[str, Any] | None = None
    cancel: str | None = None
    writes: list[tuple[str, str, bytes]] = field(default_factory=list)
    read: bool = False
    refused: SignalError | None = None
    where: Where | None = None
    is_over: bool = False

    def note(self, method: str) -> None:
        """Note the author's line of a request. Raises `ContextError` if the body has ended."""
        self.where = user_line()
        if self.is_over:
            raise ContextError(
                f"{method}(): the body that this context was given to has ended",
                where=self.where,
                way_out="ask while the body runs",
            )
