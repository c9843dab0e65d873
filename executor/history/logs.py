"""What the bodies of a run said, in the order in which each worker wrote it, with the traceback of each attempt that
failed (rule V1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from promissory.executor.errors import NotInStore, StoreDamage, StoreError
from promissory.executor.history.history import History, NodeRow
from promissory.executor.store.keys import log_key
from promissory.executor.store.store import Store

_PIECE: Final = 1 << 20


class Logs:
    """The part of each worker's log that was read. A log holds the output of one body after the other, so the part
    behind the last body that ended belongs to the running one.

    Args:
        store: the store of the logs.
        prefix: the path of the node whose words are wanted, with those of the nodes inside it; None for all nodes.

    Attributes:
        lost: why words can't be had that were kept: for each key of a log, the first error.
    """

    def __init__(self, store: Store, prefix: str | None) -> None:
        self._store = store
        self._prefix = prefix
        # Paths inside a first iteration don't name the iteration.
        self._inside = () if prefix is None else (prefix + "/", prefix + "[", prefix.removesuffix("[=0]") + "/")
        self._up_to: dict[str, int] = {}
        self._told: set[tuple[str, int, int]] = set()
        self.lost: dict[str, StoreError] = {}

    def ended(self, history: History) -> Iterator[tuple[str, str]]:
        """The words of attempts that have ended since: the path, and the text."""
        failed = [row for row in errors_of(history) if self._key(row) not in self._told]
        rows = [row for row in (*failed, *_others(history), *history.said_rows()) if self._is_new(row)]
        # In the order of the logs and not of time, because a clock may be set back.
        for row in sorted(rows, key=lambda row: (row.log or ("", 0, 0))[:2]):
            assert row.log is not None
            key, offset, length = row.log
            yield from self._read(_whole_path(row), key, max(offset, self._up_to.get(key, 0)), offset + length)
            yield from self._traceback(row)
        for row in failed:
            yield from self._traceback(row)

    def going_on(self, history: History, path: str, worker: str) -> Iterator[tuple[str, str]]:
        """The whole lines that a body has written so far."""
        key = log_key(history.manifest.run_id, worker)
        begin = self._up_to.get(key, 0)
        try:
            said = self._store.get_range(key, begin, begin + _PIECE)
        except NotInStore:
            return
        whole = said.rfind(b"\n") + 1
        if whole:
            yield from self._read(path, key, begin, begin + whole)

    def _is_new(self, row: NodeRow) -> bool:
        return row.log is not None and row.log[1] + row.log[2] > self._up_to.get(row.log[0], 0)

    def _key(self, row: NodeRow) -> tuple[str, int, int]:
        return row.path, row.attempts, row.started

    def _traceback(self, row: NodeRow) -> Iterator[tuple[str, str]]:
        if row.state != "FAILED" or self._key(row) in self._told:
            return
        self._told.add(self._key(row))
        if row.why and self._is_wanted(row.path):
            yield row.path, told_error(row)

    def _read(self, path: str, key: str, begin: int, end: int) -> Iterator[tuple[str, str]]:
        self._up_to[key] = end
        if self._is_wanted(path):
            try:
                said = self._store.get_range(key, begin, end)
            except (NotInStore, StoreDamage) as error:
                # Tracebacks are in the journal, and the words of other workers in other logs.
                self.lost.setdefault(key, error)
                yield path, f"(what it said is lost: {error})"
            else:
                yield path, said.decode("utf-8", "replace")

    def _is_wanted(self, path: str) -> bool:
        return self._prefix is None or path == self._prefix or path.startswith(self._inside)


def errors_of(history: History) -> list[NodeRow]:
    """The attempts that failed, of nodes, of items and of iterations as far as the history has them: those that were
    tried again first, then those that failed for good; what failed because of something inside it, behind that."""
    last = (row for row in history.nodes(items=True) if row.state == "FAILED" and row.traceback)
    return [*history.failed_attempts(), *_inner_first(last)]


def _inner_first(rows: Iterable[NodeRow]) -> Iterator[NodeRow]:
    """Rows that stand before those inside them, in the order in which those inside come first."""
    around: list[NodeRow] = []
    for row in rows:
        while around and not row.path.startswith((f"{around[-1].path}/", f"{around[-1].path}[")):
            yield around.pop()
        around.append(row)
    yield from reversed(around)


def told_error(row: NodeRow) -> str:
    """What is said of an attempt that failed: its number, the error, where it was raised."""
    trace = row.traceback.rstrip()
    said = f"attempt {row.attempts} failed: {row.why}\n" if row.attempts else f"failed: {row.why}\n"
    return said + (f"{trace}\n" if trace else "")


def prefix_of(history: History, node: str | None) -> str | None:
    """The path of a node as rows have it, for a path that a person typed. Raises `RunNotFound`."""
    return None if node is None else history.path(*history.find(node)) + history.iteration_named(node)


def _others(history: History) -> Iterator[NodeRow]:
    return (row for row in history.nodes(items=True) if row.state != "FAILED" or not row.traceback)


def _whole_path(row: NodeRow) -> str:
    return f"{row.path}[={row.iterations}]" if row.iterations else row.path  # the last iteration of a loop
