"""The runs that a worker may carry next: in which order they are tried, and which of them are put off because they
can't be carried here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final

from promissory.executor.code.packages import version_of
from promissory.executor.code.recent import Recent
from promissory.executor.errors import JournalError, RunNotFound
from promissory.executor.records.manifest import Manifest, read_manifest
from promissory.executor.records.queue import Waiting, waiting
from promissory.executor.store.store import Store

_COMPARED: Final = 64
"""How many of the runs that are next are compared by owner."""
_KNOWN: Final = 4096
_AGAIN: Final = 30.0
"""Seconds after which a run is looked at again that could not be carried here."""


class Candidates:
    """The runs that wait in some queues of a store.

    Args:
        store: the store.
        queues: the queues.
        warn: tells a person why a run is not carried here.
    """

    def __init__(self, store: Store, queues: Iterable[str], warn: Callable[[str], None]) -> None:
        self.queues = tuple(dict.fromkeys(queues))
        self._store = store
        self._warn = warn
        self._manifests = Recent[str, Manifest](_KNOWN)
        self._refused: dict[str, tuple[str, float]] = {}

    def in_order(self, mine: Collection[Manifest]) -> Iterator[Waiting]:
        """The runs that wait, in the order in which they are to be tried: by priority, then those first of whose owner
        the fewest runs are carried here, then those that came first.

        Args:
            mine: the runs that are carried here.
        """
        names = {manifest.run_id for manifest in mine}
        there = (one for queue in self.queues for one in waiting(self._store, queue))
        wanted = (one for one in there if one.run_id not in names and not self.is_put_off(one.run_id))
        left = sorted(wanted, key=lambda one: (-one.priority, one.created))
        owners = [manifest.user for manifest in mine]
        for _, group in groupby(left, attrgetter("priority")):
            same = list(group)
            for begin in range(0, len(same), _COMPARED):
                compared = same[begin : begin + _COMPARED]
                yield from sorted(compared, key=lambda one: (owners.count(self._owner(one)), one.created))

    def _owner(self, one: Waiting) -> str:
        manifest = self.manifest(one.run_id)
        return "" if manifest is None else manifest.user

    def manifest(self, run_id: str) -> Manifest | None:
        """The manifest of a run; None if it has none that can be read."""
        found = self._manifests.get(run_id)
        if found is None:
            try:
                found = read_manifest(self._store, run_id)
            except (RunNotFound, JournalError) as error:
                self.put_off(run_id, str(error))
                return None
            self._manifests.put(run_id, found)
        return found

    def can_run_here(self, manifest: Manifest) -> bool:
        """Whether the packages are here that a run needs, in the versions that it was submitted with (rule Q3)."""
        for name, wanted in manifest.requires.items():
            there = version_of(name)
            if there != wanted:
                here = f"{there} is installed" if there else "it is not installed"
                self.put_off(manifest.run_id, f"it needs {name} {wanted}, and here {here}: it is left to other workers")
                return False
        return True

    def put_off(self, run_id: str, why: str) -> None:
        """Say once why a run is not carried here, and leave it alone for a while."""
        if run_id not in self._refused or self._refused[run_id][0] != why:
            self._warn(f"{run_id}: {why}")
        if len(self._refused) > _KNOWN:
            self._refused.clear()
        self._refused[run_id] = why, time.monotonic() + _AGAIN

    def is_put_off(self, run_id: str) -> bool:
        """Whether a run could not be carried here a while ago."""
        return run_id in self._refused and self._refused[run_id][1] > time.monotonic()
