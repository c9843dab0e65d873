"""Whether a worker is loading the program that started its run; no run may be started meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_loading: ContextVar[bool] = ContextVar("promissory_loading", default=False)


class StartedWhileLoading(BaseException):
    """A program's own statement starts a run while a worker imports the program. Not for programs to catch."""


@contextmanager
def a_program() -> Iterator[None]:
    """In this block, a worker loads a program."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


def refuse_while_loading() -> None:
    """Raise `StartedWhileLoading` if a worker is loading a program."""
    if _loading.get():
        raise StartedWhileLoading("a run is started by a statement of the program's own, outside any function")
