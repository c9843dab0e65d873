"""From a plan to results: scheduler, journal, engines, store, and the command line."""

from typing import TYPE_CHECKING, Final

if __name__ != "promissory.executor":
    raise ImportError(
        "import promissory.executor: this folder is a part of the package promissory, and not one by itself",
        name=__name__,
    )

from promissory._lazy import lazily

if TYPE_CHECKING:
    from promissory.executor.api import attach as attach
    from promissory.executor.api import rerun as rerun
    from promissory.executor.api import resume as resume
    from promissory.executor.api import run as run
    from promissory.executor.api import start as start
    from promissory.executor.execution.run import Run as Run
    from promissory.executor.store.store import Store as Store

_WHERE: Final = {
    "Run": "promissory.executor.execution.run",
    "Store": "promissory.executor.store.store",
    "attach": "promissory.executor.api",
    "rerun": "promissory.executor.api",
    "resume": "promissory.executor.api",
    "run": "promissory.executor.api",
    "start": "promissory.executor.api",
}

__all__ = [
    "Run",
    "Store",
    "attach",
    "rerun",
    "resume",
    "run",
    "start",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(globals(), _WHERE)
