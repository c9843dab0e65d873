"""A task that is called as the function it wraps: what stands around its body (rule A2)."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType
from typing import Any

from promissory.planner.active import InTaskBody, current
from promissory.planner.body.context import Body, Context, current_body
from promissory.planner.body.signals import Loop
from promissory.planner.body.threads import inherit_context
from promissory.planner.errors import ContextError, user_line


class PlainCall:
    """The surroundings of one call. The context is one object for the whole call: a task that the body calls, and a
    thread that it starts, have the same one.

    Args:
        name: the task's name.

    Raises (at the end of the block):
        ContextError: the body raised `Loop`, and there is no run that could begin another iteration.
    """

    __slots__ = ("_body", "_body_token", "_name", "_token")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._token: Token[Any] = current.set(InTaskBody(self._name))
        self._body: Body | None = None
        if current_body.get() is None:
            inherit_context()
            self._body = Body(_local_context, None)
            self._body_token = current_body.set(self._body)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        body = self._body
        if body is not None:
            current_body.reset(self._body_token)
            if body.context is not None:
                body.end()
        current.reset(self._token)
        if body is not None and isinstance(error, Loop):  # inside another body, the signal is about that one
            raise ContextError(
                f"{self._name} raised Loop, and a plain call has no run that could begin another iteration",
                where=user_line(),
                way_out="run it: promissory.run(…), or call it in a workflow",
            ) from None


def _local_context(_: object) -> Context:
    return Context()
