"""Queues of submitted runs, in the store (rules Q2 and Q4).

::

    queues/<queue>/waiting/<priority>-<time>-<run id>   the run waits for somebody to carry it
    queues/<queue>/carried/<run id>                     somebody has begun to carry it

A run waits from its submission until it is claimed, and again when its worker gives it back. A key says where to look
and nothing else: whoever finds one asks the run itself how it stands. So one that was left over does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from promissory.executor.records.manifest import Manifest
from promissory.executor.store.forms import is_ours
from promissory.executor.store.keys import QUEUES, carried_key, waiting_folder, waiting_key
from promissory.executor.store.store import Store

DEFAULT: Final = "default"
MOST: Final = 1_000_000
"""The highest priority; the lowest is as far below 0."""
_OPEN: Final = "open"
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Waiting(NamedTuple):
    """A run that waits to be carried: those of a higher priority come first, and then those that came first.

    Attributes:
        created: when the run was submitted, in µs since the epoch.
    """

    queue: str
    priority: int
    created: int
    run_id: str


def is_queue(name: str) -> bool:
    """Whether a text may name a queue.

    >>> is_queue("nightly"), is_queue("../nightly")
    (True, False)
    """
    return _QUEUE.fullmatch(name) is not None


def queues(store: Store) -> list[str]:
    """The queues of a store, as far as anything was ever submitted to them."""
    return [name for key in store.list(QUEUES) if is_queue(name := key.rpartition("/")[2])]


def _key(manifest: Manifest) -> str:
    return waiting_key(manifest.queue, f"{MOST - manifest.priority:07d}-{manifest.created:020d}-{manifest.run_id}")


def open_queue(store: Store, queue: str) -> None:
    """Have a look at a queue in which nothing waits cost one request: of a folder in which there is nothing, libraries
    of object stores ask twice."""
    store.put_new(waiting_key(queue, _OPEN), b"", durable=False)


def enqueue(store: Store, manifest: Manifest) -> None:
    """Have a run wait to be carried. It may wait already."""
    store.put_new(_key(manifest), b"")


def is_waiting(store: Store, manifest: Manifest) -> bool:
    """Whether a run waits to be carried."""
    return store.exists(_key(manifest))


def take_out(store: Store, manifest: Manifest) -> None:
    """A run waits no more."""
    store.remove(_key(manifest))


def waiting(store: Store, queue: str) -> Iterator[Waiting]:
    """The runs that wait in a queue, in the order in which they are to be carried."""
    for key in sorted(store.list(waiting_folder(queue))):
        if not is_ours(key):
            continue
        inverse, _, rest = key.rpartition("/")[2].partition("-")
        created, _, run_id = rest.partition("-")
        if run_id:
            yield Waiting(queue, MOST - int(inverse), int(created), run_id)


def note_carried(store: Store, manifest: Manifest) -> None:
    """Note that somebody carries a run, so that others see to it if that one is gone."""
    store.put_new(carried_key(manifest.queue, manifest.run_id), b"")


def is_carried(store: Store, manifest: Manifest) -> bool:
    """Whether somebody has begun to carry a run, and nobody has noted its end."""
    return store.exists(carried_key(manifest.queue, manifest.run_id))


def is_carried_no_more(store: Store, queue: str, run_id: str) -> None:
    """Nobody needs to see to a run any more."""
    store.remove(carried_key(queue, run_id))


def leave_queue(store: Store, manifest: Manifest) -> None:
    """A run that was submitted is carried by somebody else than a worker now, and is that one's business."""
    take_out(store, manifest)
    is_carried_no_more(store, manifest.queue, manifest.run_id)


def carried(store: Store, queue: str) -> list[str]:
    """The runs of a queue that somebody has begun to carry."""
    return [key.rpartition("/")[2] for key in store.list(carried_key(queue))]
