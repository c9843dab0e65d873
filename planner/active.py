"""The activity at the place where code stands: a workflow is traced, a task's body runs, or neither."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any


class InTaskBody:
    """A mark that a task's body is running: tasks are plain functions there, workflows and dynamics can't be called."""

    def __init__(self, name: str) -> None:
        self.name = name


class Unready:
    """The base of what stands for a value that is not there before the run (a promise)."""

    __slots__ = ()

    def _said(self) -> str:
        """The origin of the value, as an error message names it."""
        raise NotImplementedError


current: ContextVar[Any] = ContextVar("promissory_trace", default=None)
"""The trace (`promissory.planner.tracing.trace.Trace`) in which calls are recorded, or an `InTaskBody`."""
