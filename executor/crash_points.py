"""Crash points: named places at which a test may have the process die (`promissory.testing.crash_at`). In a run that is
no test, passing a point costs a comparison.

================================ =========================================================================
point                            state of the run at the point
================================ =========================================================================
run.manifest-written             the run exists; its journal has nothing
journal.objects-synced           the objects that a segment names are durable; the segment is not written
journal.segment-written          the segment is written; nothing has been told of it
journal.committed                the listener has been told; callers that wait have not
snapshot.written                 the state is stored; no segment names it
futures.before-write             a futures file is committed; its file is not written
cache.before-write               a result is committed; no cache entry has it
cache.written                    the entry is there; a lease on it, if there is one, is still held
resume.claimed                   the run was taken over; nothing new has run
inbox.obeyed                     a command has taken effect; it still lies in the inbox
run.ended                        the end is committed; nothing has been told of it
worker.before-body               arguments are decoded; the body has not begun
worker.after-body                the body has ended; nothing of it is stored
worker.value-stored              its value is stored; no outcome tells of it
================================ =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

POINTS: Final = (
    "run.manifest-written",
    "journal.objects-synced",
    "journal.segment-written",
    "journal.committed",
    "snapshot.written",
    "futures.before-write",
    "cache.before-write",
    "cache.written",
    "resume.claimed",
    "inbox.obeyed",
    "run.ended",
    "worker.before-body",
    "worker.after-body",
    "worker.value-stored",
)


class Crashed(BaseException):
    """The process would have died here. No code handles this exception."""


watcher: Callable[[str], None] | None = None


def reached(point: str) -> None:
    """Note that the process has come to a point."""
    if watcher is not None:
        watcher(point)
