"""The guard of imports: while user code is imported to find functions in it, no runs are started.

A worker is in that state whenever it runs no body. A statement of the user's own program or module that would start a
run there is left out (`promissory.executor.code.importer`).
"""

from __future__ import annotations

from contextvars import ContextVar

importing: ContextVar[bool] = ContextVar("promissory_importing", default=False)


class StartedInWorker(BaseException):
    """A module's own statement starts a run while the module is imported to find functions. Not to be caught."""


class _Worker:
    is_one = False
    in_body = False


worker = _Worker()


def refuse_outside_bodies() -> None:
    """Raise `StartedInWorker` where user code is being imported."""
    if importing.get() or (worker.is_one and not worker.in_body):
        raise StartedInWorker("a run is started by a statement of the program's own, outside any function")
