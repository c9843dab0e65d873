"""The rows of nodes as people see them: one row a node, in a state of rule X8. Rows are made from a `History`; this
module reads nothing itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promissory.executor.history.states import OVER, state_of
from promissory.executor.scheduler.called import Called, called
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import SKIPPED
from promissory.planner.plan.model import MAP

if TYPE_CHECKING:
    from promissory.executor.history.history import History
    from promissory.executor.protocol.events import Meta


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node of a run.

    Attributes:
        path: the node's text path, for people and for the command line.
        state: the state, as rule X8 names it.
        called: the callable that the node calls.
        kind: task, dynamic, plan, map, branch, gate, rescue or merge.
        depth: how many dynamics it is nested in.
        attempts: how often its body was begun, without the times that its worker was lost; 0 if its outcome came from
            the cache. For a loop: in its current iteration.
        started: µs since the epoch; 0 if it has not started.
        duration: µs of its last attempt's body.
        worker: the worker that ran it.
        log: (key, offset, length) of its output.
        why: the failure of a failed node; the reason of a node that was skipped or waits for another attempt.
        cached: whether its outcome was taken from the cache.
        iterations: how many iterations of a loop have ended; 0 for a node that does not loop.
        rounds: how many rounds of a cycle have begun; 0 for any other node.
        items: how many items of a map have ended, and how many there are; None for any other node.
        spent: µs in bodies, of all its attempts, iterations and items.
        traceback: where a failed attempt raised its error, from the author's code on.
    """

    path: str
    state: str
    called: str
    kind: str
    depth: int
    attempts: int = 0
    started: int = 0
    duration: int = 0
    worker: str = ""
    log: tuple[str, int, int] | None = None
    why: str = ""
    cached: bool = False
    iterations: int = 0
    items: tuple[int, int] | None = None
    spent: int = 0
    traceback: str = ""
    rounds: int = 0


class Rows:
    """The rows of one look at a run.

    Args:
        history: the run, as its journal tells it.
        items: whether each item of a map and each iteration of a loop gets a row of its own.
    """

    def __init__(self, history: History, items: bool = False) -> None:
        self._history = history
        self._items = items
        self._running = history.running
        self._is_over = history.end is not None and history.end[0] in OVER

    def all(self) -> Iterator[tuple[NodeRow, tuple[int, int]]]:
        """Every node with its frame and index, frame by frame in the order in which they were opened."""
        for id in list(self._history.opened):
            yield from self.of_frame(id)

    def of_frame(self, id: int) -> Iterator[tuple[NodeRow, tuple[int, int]]]:
        """The nodes of a frame. Items of a map are among them only if they are wanted."""
        frame = self._history.opened[id]
        if frame.part is not None and not self._items:
            return
        for index in range(frame.topology.count):
            if index in frame.topology.earlier:
                continue  # the node of the earlier round has a row
            if self._items:
                for row in self._iterations(id, index):
                    yield row, (id, index)
            yield self.of_node(id, index), (id, index)

    def of_node(self, id: int, index: int) -> NodeRow:
        """The row of one node."""
        history, key = self._history, (id, index)
        frame = history.opened[id]
        path, (kind, called) = history.path(id, index), _called(frame, index)
        depth = frame.depth + (kind in ("dynamic", "cycle"))
        state, why = state_of(self, frame, index), ""
        meta = history.metas.get(key)
        tried = history.last_try(key)
        if state == "FAILED" and key in history.failed:
            meta, why = history.failed[key][1], str(history.failed[key][0])
        elif state in ("RETRYING", "CANCELLED", "LOOPING") and tried is not None:
            why, meta = str(tried[0]), tried[1]
        elif state in ("SKIPPED", "CANCELLED"):
            why = history.reasons.get(key, "") or self._skipped_with(frame, index)
        elif state == "UPSTREAM_FAILED" and frame.failures and index in frame.failures:
            why = f"{frame.failures[index].path} failed"
        elif state == "RUNNING":
            worker, since = self._running[key]
            attempt = 1 if tried is None else tried[1][3] + 1
            meta = (since - history.manifest.created, max(0, time.time_ns() // 1000 - since), worker, attempt, None)
        elif state in ("READY", "PENDING"):
            meta = None
        if state == "EXPANDED" and not why:
            why = history.awaits(key)
        iterations = history.iterations.get(key, 0)
        row = self._with(meta, path, state, called, kind, depth, why)
        if state == "FAILED" and key in history.failed:
            row = replace(row, traceback=history.failed[key][0].traceback)
        if kind == "cycle":
            names = [history.round_names.get((id, index, number), "") for number in (iterations, iterations - 1)]
            row = replace(row, rounds=max(0, iterations - sum(name == "last" for name in names)))
        elif iterations or frame.topology.kind(index) == MAP:
            row = replace(row, iterations=iterations, items=history.items.get(key))
        spent = 0 if self._items else history.spent.get(key, 0)  # items and iterations have rows of their own
        return replace(row, spent=spent) if spent else row

    def _skipped_with(self, frame: Frame, index: int) -> str:
        """The reason of a skipped node: the skipped node before it."""
        before = [
            one
            for one, takes in frame.topology.before(index).items()
            if takes and frame.state(one) == SKIPPED and one < frame.topology.count
        ]
        return (
            f"{self._history.path(frame.id, before[0])} was skipped" if before and frame.state(index) == SKIPPED else ""
        )

    def _iterations(self, id: int, index: int) -> Iterator[NodeRow]:
        history = self._history
        frame = history.opened[id]
        kind, called = _called(frame, index)
        for number, meta in enumerate(history.iteration_metas.get((id, index), ())):
            yield self._with(
                meta,
                f"{history.path(id, index)}[={number}]",
                "SUCCEEDED",
                called,
                kind,
                frame.depth + (kind in ("dynamic", "cycle")),
                "",
            )

    def is_over(self) -> bool:
        """See `promissory.executor.history.states.Look`, like the functions that follow."""
        return self._is_over

    def has_end(self) -> bool:
        return self._history.end is not None

    def is_open(self, frame: Frame) -> bool:
        return frame.id in self._history.scheduler.frames

    def is_stopped(self, key: Key) -> bool:
        return key in self._history.stopped

    def is_expanded(self, key: Key) -> bool:
        return self._history.is_expanded(key)

    def has_ended(self, key: Key) -> bool:
        return self._history.has_ended(key)

    def is_running(self, key: Key) -> bool:
        return key in self._running and key not in self._history.scheduler.waiting and self._is_of_now(key)

    def was_tried(self, key: Key) -> bool:
        return self._history.last_try(key) is not None

    def has_looped(self, key: Key) -> bool:
        return self._history.iterations.get(key, 0) > 0

    def _is_of_now(self, key: tuple[int, int]) -> bool:
        """Whether the beat's attempt still runs: the journal may be younger than the beat, and tell of its failure."""
        tried = self._history.last_try(key)
        return tried is None or self._running[key][1] >= self._history.manifest.created + tried[1][0] + tried[1][1]

    def _with(self, meta: Meta | None, path: str, state: str, called: str, kind: str, depth: int, why: str) -> NodeRow:
        if meta is None or not meta[2]:
            return NodeRow(path, state, called, kind, depth, why=why)
        started, duration, worker, attempt, log = meta
        address = None if log is None else (log[0], log[1], log[2])
        return NodeRow(
            path,
            state,
            called,
            kind,
            depth,
            attempt,
            self._history.manifest.created + started,
            duration,
            worker,
            address,
            why,
            attempt == 0,
        )

    def said(self) -> Iterator[NodeRow]:
        """A row for each time that the body of an async dynamic said something."""
        for (id, index), meta in self._history.said:
            frame = self._history.opened[id]
            kind, called = _called(frame, index)
            yield self._with(meta, self._history.path(id, index), "EXPANDED", called, kind, frame.depth + 1, "")

    def tried(self) -> Iterator[NodeRow]:
        """Attempts that were followed by another one, or by a resume."""
        for (id, index), iteration, failure, meta in self._history.tried:
            frame = self._history.opened[id]
            if index < frame.topology.count:
                kind, called = _called(frame, index)
                path = self._history.path(id, index) + (f"[={iteration}]" if iteration else "")
                row = self._with(
                    meta, path, "FAILED", called, kind, frame.depth + (kind in ("dynamic", "cycle")), str(failure)
                )
                yield replace(row, traceback=failure.traceback)


def _called(frame: Frame, index: int) -> Called:
    """What a node calls. An item of a map has a row of its own here, so it is what it is."""
    topology = frame.topology
    return called(topology.shape, topology.graph, topology.name, index)
