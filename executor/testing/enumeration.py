"""Crashes everywhere: a workload is begun again and again, and dies at each operation of its store and at each named
point. After each death it is resumed, and has to be as if it had not died.

These have to hold after any death (rules J1, J2, J4):

- the result is the same, and so are the objects and futures files, to the byte;
- no body of a committed node begins again;
- each node is committed once;
- nothing that the run names is missing or damaged.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import promissory.executor
from promissory.executor.crash_points import POINTS
from promissory.executor.errors import ExecutorError, RunNotFound
from promissory.executor.history.history import History
from promissory.executor.journal import writer as journal
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.maintenance.doctor import examine
from promissory.executor.protocol.events import EXPANDED, NODE_DONE, NODE_FAILED
from promissory.executor.store.keys import OBJECTS, run_key
from promissory.executor.store.store import Store
from promissory.executor.testing.crashes import Crashed, crash_at
from promissory.executor.testing.diary import forget, said
from promissory.executor.testing.faulty_store import Fault, FaultyStore
from promissory.executor.testing.workloads import Workload

RUN_ID = "interrupted"
How = Literal["crash before", "crash after", "tear"]
HOWS: tuple[How, ...] = ("crash before", "crash after", "tear")


class Violation(AssertionError):
    """A result was lost, done twice, or different."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of a run that has to be the same however often the run was interrupted."""

    result: Any
    objects: tuple[str, ...]
    futures: tuple[tuple[str, bytes], ...]


def undisturbed(workload: Workload, url: str) -> Kept:
    """The part that an uninterrupted workload leaves. Raises `Violation` if its result is not the promised one."""
    forget()
    run = promissory.run(workload.target, workload.inputs, store=url, run_id=RUN_ID, echo=False, durability="process")
    if run.state != "SUCCEEDED" or run.result != workload.result:
        raise Violation(f"{workload.name} gives {run.error or run.result}, not {workload.result}")
    return _kept(Store(url), run.result)


def crash_at_operations(
    workload: Workload, new_url: Callable[[], str], how: How, operations: Iterator[int] | None = None
) -> int:
    """Have a workload die at each operation of its store, or at some of them. Returns at how many it died.

    Args:
        workload: the workload.
        new_url: gives the URL of an empty store, each time another one.
        how: "crash before" or "crash after" the operation took effect; "tear": with half of its bytes written.
        operations: the numbers of the operations, from 1 and rising; by default all of them.

    Raises:
        Violation: a condition that has to hold did not; the message says where.
    """
    expected = undisturbed(workload, new_url())
    died = 0
    for number in operations if operations is not None else iter(range(1, 1_000_000)):
        fault = Fault(
            "crash" if how != "tear" else "tear",
            at=number,
            when="after" if how == "crash after" else "before",
            error=_dead,
        )
        if how == "tear":
            fault.verbs = ("put_new", "put", "append")
        url = new_url()
        if not _died(workload, FaultyStore(url, [fault])):
            if fault.seen < number:
                return died
            continue
        died += 1
        check_resumed(workload, url, expected, f"{workload.name}, {how} operation {number}")
    return died


def crash_at_points(workload: Workload, new_url: Callable[[], str], occurrences: int = 3) -> Counter[str]:
    """Have a workload die the first few times at each named point. Returns how often it died. Raises `Violation`."""
    died: Counter[str] = Counter()
    for point in POINTS:
        for occurrence in range(1, occurrences + 1):
            if not die_at(workload, new_url, point, occurrence):
                break
            died[point] += 1
    return died


def die_at(workload: Workload, new_url: Callable[[], str], point: str, occurrence: int) -> int:
    """Have a workload die when it comes to a point for the n-th time. Returns 1, or 0 if it does not come there so
    often. Raises `Violation`."""
    expected, url = undisturbed(workload, new_url()), new_url()
    with crash_at(point, occurrence):
        if not _died(workload, Store(url)):
            return 0
    check_resumed(workload, url, expected, f"{workload.name}, {point}, time {occurrence}")
    return 1


def check_resumed(workload: Workload, url: str, expected: Kept, where: str) -> None:
    """Resume a run that has died, and check that it is as if it had not died. Raises `Violation`."""
    store = Store(url)
    committed, before = _committed_labels(store), said()
    try:
        try:
            run = promissory.resume(RUN_ID, store=store, echo=False, durability="process", take_over=True)
        except RunNotFound:  # the process died before the run had a manifest
            run = promissory.run(
                workload.target, workload.inputs, store=store, run_id=RUN_ID, echo=False, durability="process"
            )
    except ExecutorError as error:
        raise Violation(f"{where}: it can't be resumed: {error}") from error
    if run.state != "SUCCEEDED":
        raise Violation(f"{where}: {run.error}")
    for label, times in (said() - before).items():
        if label in committed:
            raise Violation(f"{where}: {label!r} was committed, and began again {times} times")
    kept = _kept(store, run.result)
    if (
        kept.result != expected.result
        or kept.futures != expected.futures
        or not set(expected.objects) <= set(kept.objects)
    ):
        raise Violation(f"{where}: what it left is different: {_difference(kept, expected)}")
    _check_journal(store, where, workload.fails)


def _difference(kept: Kept, expected: Kept) -> str:
    if kept.result != expected.result:
        return f"{kept.result} instead of {expected.result}"
    there, wanted = (
        {**dict.fromkeys(kept.objects), **dict(kept.futures)},
        {**dict.fromkeys(expected.objects), **dict(expected.futures)},
    )
    missing, more = sorted(wanted.keys() - there.keys()), sorted(there.keys() - wanted.keys())
    other = [key for key in there.keys() & wanted.keys() if there[key] != wanted[key]]
    return f"missing {missing}, too many {more}, other bytes {other}"


def _check_journal(store: Store, where: str, fails: bool) -> None:
    ended: Counter[tuple[int, int] | bytes] = Counter()
    for segment, _ in read_segments(store, RUN_ID, 0, find_end(store, RUN_ID)):
        ended.update((event[1], event[2]) for event in segment.events if event[0] == NODE_DONE)
        # A cycle expands once for each round, each time to another file.
        ended.update(event[4] for event in segment.events if event[0] == EXPANDED and not event[5])
        if not fails and any(event[0] == NODE_FAILED for event in segment.events):
            raise Violation(f"{where}: a node failed for good")
    twice = [key for key, times in ended.items() if times > 1]
    if twice:
        raise Violation(f"{where}: committed twice: {twice}")
    problems = [finding for finding in examine(store, RUN_ID) if finding.severity == "error"]
    if problems:
        raise Violation(f"{where}: {problems}")


def _dead() -> Crashed:
    return Crashed("while it wrote")


def _died(workload: Workload, store: Store) -> bool:
    """Begin a workload that is to die. Returns whether it did."""
    forget()
    with _quiet_threads(), _many_commits():
        try:
            promissory.run(
                workload.target, workload.inputs, store=store, run_id=RUN_ID, echo=False, durability="process"
            )
        except Crashed:
            return True
    return False


@contextmanager
def _many_commits() -> Iterator[None]:
    """A block in which events are committed at once, not after 20 ms: a workload is over in less, and would die before
    its first commit or after its last."""
    before, journal.COMMIT_INTERVAL = journal.COMMIT_INTERVAL, 0.0
    try:
        yield
    finally:
        journal.COMMIT_INTERVAL = before


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """A block in which threads of a process that has died report no error."""
    before = threading.excepthook

    def silent(args: Any) -> None:
        if not issubclass(args.exc_type, Crashed):
            before(args)

    threading.excepthook = silent
    try:
        yield
    finally:
        threading.excepthook = before


def _committed_labels(store: Store) -> set[str]:
    """The labels that the bodies of committed nodes said."""
    try:
        history = History(store, RUN_ID, items=True)
    except RunNotFound:
        return set()
    labels: set[str] = set()
    for row in history.nodes(items=True):
        if row.state in ("SUCCEEDED", "EXPANDED") and row.log is not None:
            key, offset, length = row.log
            labels.update(store.get_range(key, offset, offset + length).decode().splitlines())
    return labels


def _kept(store: Store, result: Any) -> Kept:
    objects = tuple(key for folder in store.list(OBJECTS) for key in store.list(folder))
    names = [key for folder in store.list(run_key(RUN_ID, "futures")) for key in store.list(folder)]
    return Kept(result, objects, tuple((name, store.get(name)) for name in names))
