"""A run as its journal tells it: frames, nodes and their states, logs, futures files. Reads, never writes; runs no code of the author's.

States of nodes are those of rule X8. A frame's nodes are found by walking down from the root by name, so a text path is never a key.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from executor.errors import JournalError, RunNotFound
from executor.events import CODE, DONE, ENDED, EXPANDED, FAILED, OPENED, PAUSED, RESUMED, RETRIED, UNPAUSED, Meta
from executor.failure import Failure
from executor.frame import joined, node_identity
from executor.heartbeat import Beat, read_beat
from executor.journal import find_end, read_segments
from executor.layout import futures_key, segment_key
from executor.limits import Limits
from executor.manifest import Manifest, read_manifest, read_plan
from executor.recovery import DOES_NOT_FIT
from executor.scheduler import ROOT_IDENTITY
from executor.store import Store
from executor.topology import Topologies
from planner.errors import PlanFormatError
from planner.naming import node_names
from planner.plan import CALL, Plan, Shape, references
from planner.plan_format import futures_from_bytes, plan_from_bytes
from typesys.errors import FormatError

_WHOLE_PATH = 50


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node of a run.

    Attributes:
        path: where it is, for people and for the command line.
        state: as rule X8 names it.
        called: what it calls.
        kind: task, dynamic or plan.
        depth: how many dynamics it is nested in.
        attempts: how often its body was begun; 0 if its outcome came from the cache.
        started: µs since the epoch; 0 if it has not started.
        duration: µs of its last attempt's body.
        worker: who ran it.
        log: (key, offset, length) of what it printed.
        why: of a failure, what it was; of a node that waits for another attempt, why.
        cached: its outcome was taken from the cache.
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


@dataclass(slots=True)
class _Level:
    """A frame as the journal opened it."""

    parent: int
    slot: int
    depth: int
    shape: Shape
    graph: int
    identity: bytes
    remaining: int
    names: list[str] | None = None
    done: dict[int, Meta | None] = field(default_factory=dict)
    failed: dict[int, tuple[Failure, Meta]] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    futures: dict[int, tuple[bytes, Meta]] = field(default_factory=dict)
    tried: list[tuple[int, Failure, Meta]] = field(default_factory=list)


class History:
    """Everything that is committed of a run.

    Args:
        store: where it lies.
        run_id: the run.

    Raises `RunNotFound`, `JournalError`.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store = store
        self.manifest: Manifest = read_manifest(store, run_id)
        self.beat: Beat | None = None
        self.plan: Plan = read_plan(store, self.manifest)
        self.end: tuple[str, str, list[Any] | None] | None = None
        self.ended_at = self.manifest.created
        self.resumes = 0
        self.limits = self.manifest.limits
        self.changed_code: list[str] = []
        self.paused = False
        self._levels: dict[int, _Level] = {}
        self._topologies = Topologies()
        self._segments = 0
        self._open(0, -1, 0, 0, self.plan.shape, 0, ROOT_IDENTITY)
        self.update()

    def update(self) -> None:
        """Read what has been committed since, and the newest beat."""
        self.beat = read_beat(self.store, self.manifest.run_id)
        end = find_end(self.store, self.manifest.run_id)
        for segment, _ in read_segments(self.store, self.manifest.run_id, self._segments, end):
            self.ended_at = segment.time
            key = segment_key(self.manifest.run_id, segment.number)
            try:
                for event in segment.events:
                    self._take(event)
            except FormatError as error:
                raise JournalError(key, f"holds what does not fit the run: {error}") from None
            except DOES_NOT_FIT as error:
                raise JournalError(key, f"has an event that does not fit the run ({type(error).__name__}: {error})") from None
        self._segments = max(self._segments, end)

    @property
    def running(self) -> dict[tuple[int, int], tuple[str, int]]:
        """What runs, as the newest beat has it: (worker, µs since the epoch) by frame and index."""
        if self.beat is None or not self.is_live:
            return {}
        return {(frame, index): (worker, since) for frame, index, worker, since in self.beat.running}

    # --- reading events ---

    def _open(self, id: int, parent: int, slot: int, depth: int, shape: Shape, graph: int, identity: bytes) -> None:
        size = self._topologies.get(shape, graph).size
        self._levels[id] = _Level(parent, slot, depth, shape, graph, identity, size)
        if size == 0:
            self._ended(id)

    def _take(self, event: Any) -> None:
        kind = event[0]
        if kind == DONE:
            level = self._levels[event[1]]
            if event[2] not in level.done:
                level.done[event[2]] = event[4]
                self._one_less(event[1])
        elif kind == EXPANDED:
            plan, _ = futures_from_bytes(event[4])
            level = self._levels[event[1]]
            level.opened[event[2]] = event[3]
            level.futures[event[2]] = (event[4], event[5])
            self._open(event[3], event[1], event[2], level.depth + 1, plan.shape, 0, node_identity(level.identity, event[2]))
        elif kind == OPENED:
            level = self._levels[event[1]]
            level.opened[event[2]] = event[3]
            target = level.shape.graphs[level.graph].targets[event[2]]
            self._open(event[3], event[1], event[2], level.depth, level.shape, target, node_identity(level.identity, event[2]))
        elif kind == FAILED:
            self._levels[event[1]].failed[event[2]] = (Failure.from_tree(event[3]), event[4])
        elif kind == RESUMED:
            self.resumes += 1
            self.limits = Limits(*event[4])
            self.end = None
            self.paused = False
            for level in self._levels.values():
                level.tried += [(index, failure, meta) for index, (failure, meta) in level.failed.items() if meta[2]]
                level.failed.clear()  # what failed is tried again
        elif kind == RETRIED:
            self._levels[event[1]].tried.append((event[2], Failure.from_tree(event[3]), tuple(event[4])))
        elif kind in (PAUSED, UNPAUSED):
            self.paused = kind == PAUSED
        elif kind == CODE:
            self.changed_code.append(event[1])
        elif kind == ENDED:
            self.end = (event[1], event[2], event[3])

    def _one_less(self, id: int) -> None:
        """A node is done; so is whatever stood for a frame in which it was the last."""
        while id >= 0:
            level = self._levels[id]
            level.remaining -= 1
            if level.remaining:
                return
            self._mark_done(level)
            id = level.parent

    def _ended(self, id: int) -> None:
        level = self._levels[id]
        self._mark_done(level)
        self._one_less(level.parent)

    def _mark_done(self, level: _Level) -> None:
        if level.parent >= 0:
            above = self._levels[level.parent]
            above.done.setdefault(level.slot, above.futures[level.slot][1] if level.slot in above.futures else None)

    # --- the run ---

    @property
    def is_live(self) -> bool:
        """Whether an executor may be working on it now."""
        return self.beat is not None and self.beat.is_live(self.store, self.manifest.run_id)

    @property
    def state(self) -> str:
        """The state of the run (rule X8)."""
        if self.end is None and self.is_live:
            return "PAUSED" if self.paused else "RUNNING"
        return self.end[0] if self.end is not None else "INTERRUPTED"

    @property
    def counts(self) -> dict[str, int]:
        """How many nodes are in each state."""
        counts: dict[str, int] = {}
        for row in self.nodes():
            counts[row.state] = counts.get(row.state, 0) + 1
        return counts

    # --- nodes ---

    def nodes(self) -> Iterator[NodeRow]:
        """Every node known so far, frame by frame in the order in which they were opened."""
        for row, _ in self._rows():
            yield row

    def _rows(self) -> Iterator[tuple[NodeRow, tuple[int, int]]]:
        """Every node with its frame and index."""
        running = self.running
        failed_frames = self._frames_with_failures()
        paths: dict[int, str] = {}
        for id, level in self._levels.items():
            paths[id] = self._path(level, paths)
            upstream = self._after_failures(level, failed_frames.get(id, set()))
            for index in range(len(level.shape.graphs[level.graph])):
                yield self._row(level, id, index, paths[id], running, failed_frames.get(id, set()), upstream), (id, index)

    def _names(self, level: _Level) -> list[str]:
        if level.names is None:
            level.names = node_names(level.shape, level.graph)
        return level.names

    def _path(self, level: _Level, paths: dict[int, str]) -> str:
        if level.parent < 0:
            return "main"
        above = self._levels[level.parent]
        name = self._names(above)[level.slot]
        path = paths[level.parent]
        return f"{path}/{name}" if level.depth <= _WHOLE_PATH and "…" not in path else joined(path, name)

    def _frames_with_failures(self) -> dict[int, set[int]]:
        """For each frame, its nodes that failed or hold a frame in which something failed."""
        found: dict[int, set[int]] = {}
        for id, level in self._levels.items():
            for index in level.failed:
                at, slot = id, index
                while at >= 0 and slot not in found.setdefault(at, set()):
                    found[at].add(slot)
                    at, slot = self._levels[at].parent, self._levels[at].slot
        return found

    def _after_failures(self, level: _Level, failed: set[int]) -> set[int]:
        """Nodes that can't start any more because something before them failed."""
        if not failed:
            return set()
        graph = level.shape.graphs[level.graph]
        lost: set[int] = set()
        for index in range(len(graph)):
            before = {one for binding in graph.bindings_of(index) for one in references(binding)} | set(graph.after.get(index, ()))
            if before & (failed | lost):
                lost.add(index)
        return lost

    def _row(
        self, level: _Level, id: int, index: int, path: str, running: dict[tuple[int, int], tuple[str, int]], failed: set[int], upstream: set[int]
    ) -> NodeRow:
        graph = level.shape.graphs[level.graph]
        target = graph.targets[index]
        callee = level.shape.callees[target] if graph.kinds[index] == CALL else None
        kind, called = ("plan", level.shape.graphs[target].name) if callee is None else (callee.kind, callee.name)
        depth = level.depth + (kind == "dynamic")
        where = self._node_path(level, id, index, path)
        if index in level.failed:
            failure, meta = level.failed[index]
            return self._with(meta, where, "FAILED", called, kind, depth, str(failure))
        if index in level.done:
            return self._with(level.done[index], where, "SUCCEEDED", called, kind, depth)
        if index in level.opened:
            meta_of = level.futures[index][1] if index in level.futures else None
            return self._with(meta_of, where, "FAILED" if index in failed else "EXPANDED", called, kind, depth)
        tried = next(((failure, meta) for at, failure, meta in reversed(level.tried) if at == index), None)
        if index in upstream:
            return NodeRow(where, "UPSTREAM_FAILED", called, kind, depth)
        if self.end is not None and self.end[0] in ("FAILED", "CANCELLED"):
            if tried is not None:
                return self._with(tried[1], where, "CANCELLED", called, kind, depth, str(tried[0]))
            return NodeRow(where, "CANCELLED", called, kind, depth)
        if (id, index) in running:
            worker, since = running[id, index]
            attempt = 1 if tried is None else tried[1][3] + 1
            return NodeRow(where, "RUNNING", called, kind, depth, attempt, since, max(0, time.time_ns() // 1000 - since), worker)
        if tried is not None:
            return self._with(tried[1], where, "RETRYING", called, kind, depth, str(tried[0]))
        before = {one for binding in graph.bindings_of(index) for one in references(binding)} | set(graph.after.get(index, ()))
        return NodeRow(where, "READY" if before <= level.done.keys() else "PENDING", called, kind, depth)

    def _with(self, meta: Meta | None, path: str, state: str, called: str, kind: str, depth: int, why: str = "") -> NodeRow:
        if meta is None or not meta[2]:
            return NodeRow(path, state, called, kind, depth, why=why)
        started, duration, worker, attempt, log = meta
        address = None if log is None else (log[0], log[1], log[2])
        return NodeRow(path, state, called, kind, depth, attempt, self.manifest.created + started, duration, worker, address, why, attempt == 0)

    def failed_attempts(self) -> Iterator[NodeRow]:
        """Attempts that were followed by another one, or by a resume."""
        paths: dict[int, str] = {}
        for id, level in self._levels.items():
            paths[id] = self._path(level, paths)
            graph = level.shape.graphs[level.graph]
            for index, failure, meta in level.tried:
                if index < len(graph):
                    callee = level.shape.callees[graph.targets[index]]
                    where = self._node_path(level, id, index, paths[id])
                    yield self._with(meta, where, "FAILED", callee.name, callee.kind, level.depth + (callee.kind == "dynamic"), str(failure))

    def first_failure(self) -> tuple[str, Failure, int] | None:
        """Path, failure and attempt of the node that failed first, as the run's end has it."""
        for id, level in self._levels.items():
            for index, (failure, meta) in level.failed.items():
                return (self.path(id, index) if self.has(id, index) else "main"), failure, meta[3]
        return None

    def row(self, id: int, index: int) -> NodeRow:
        """One node."""
        return next(row for row, key in self._rows() if key == (id, index))

    def has_futures(self, id: int, index: int) -> bool:
        """Whether a node emitted a futures file."""
        return index in self._levels[id].futures

    def inside(self, id: int, index: int) -> list[NodeRow]:
        """The nodes of what a node stands for, however deep."""
        frames = {self._levels[id].opened[index]} if index in self._levels[id].opened else set()
        for other, level in self._levels.items():
            if level.parent in frames:
                frames.add(other)
        return [row for row, key in self._rows() if key[0] in frames]

    # --- what depends on what ---

    def before(self, id: int, index: int) -> list[NodeRow]:
        """The nodes of its frame that a node waits for."""
        level = self._levels[id]
        graph = level.shape.graphs[level.graph]
        needed = {one for binding in graph.bindings_of(index) for one in references(binding)} | set(graph.after.get(index, ()))
        return [row for row, key in self._rows() if key[0] == id and key[1] in needed]

    def frames(self) -> Iterator[int]:
        """The frames in the order in which they were opened."""
        yield from self._levels

    def parent(self, id: int) -> tuple[int, int]:
        """The frame and node that a frame stands for; (-1, 0) of the root."""
        level = self._levels[id]
        return level.parent, level.slot

    def followed_by(self, id: int, index: int) -> set[int]:
        """A node and all (joints too) that can't start before it has succeeded, in its frame."""
        level = self._levels[id]
        topology = self._topologies.get(level.shape, level.graph)
        found, todo = {index}, [index]
        while todo:
            one = todo.pop()
            for position in range(topology.successor_offsets[one], topology.successor_offsets[one + 1]):
                follower = topology.successor_list[position]
                if follower not in found:
                    found.add(follower)
                    todo.append(follower)
        return found

    # --- finding things by path ---

    def find(self, path: str) -> tuple[int, int]:
        """The frame and index of a node by its text path. Raises `RunNotFound` with what is there instead."""
        exact = re.search(r"#(\d+)\.(\d+)$", path)
        if exact:
            id, index = int(exact[1]), int(exact[2])
            if id not in self._levels or index >= len(self._levels[id].shape.graphs[self._levels[id].graph]):
                raise RunNotFound(f"there is no node {exact[0]} in run {self.manifest.run_id}")
            return id, index
        parts = path.strip("/").split("/")
        if parts[0] == "main" and (len(parts) > 1 or "main" not in self._names(self._levels[0])):
            parts = parts[1:]
        id, index = 0, -1
        for position, part in enumerate(parts):
            if position:
                opened = self._levels[id].opened.get(index)
                if opened is None:
                    raise RunNotFound(f"{'/'.join(['main', *parts[:position]])} has no frame of its own in run {self.manifest.run_id}")
                id = opened
            names = self._names(self._levels[id])
            if part not in names:
                shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
                raise RunNotFound(f"there is no node {part!r} in {'/'.join(['main', *parts[:position]])}; there is: {shown or 'none'}")
            index = names.index(part)
        if index < 0:
            raise RunNotFound("the path names the root, not a node")
        return id, index

    def has(self, id: int, index: int) -> bool:
        """Whether the journal has told of a node (or joint) yet; one that a beat names may be newer."""
        return id in self._levels and index < len(self._levels[id].shape.graphs[self._levels[id].graph])

    def is_over(self, id: int, index: int) -> bool:
        """Whether a node's body has ended; a beat may be older than that."""
        level = self._levels[id]
        return index in level.done or index in level.failed or index in level.opened

    def path(self, id: int, index: int) -> str:
        """The path of a node, as `nodes` gives it."""
        chain = []
        level: _Level | None = self._levels[id]
        while level is not None:
            chain.append(level)
            level = self._levels[level.parent] if level.parent >= 0 else None
        path, paths = "main", {-1: "main"}
        for one in reversed(chain):
            path = self._path(one, {**paths, one.parent: path})
        return self._node_path(self._levels[id], id, index, path)

    def _node_path(self, level: _Level, id: int, index: int, path: str) -> str:
        """A node's path; where it would be long it is shortened in the middle, and its frame and index behind `#` make it exact."""
        name = self._names(level)[index]
        return f"{path}/{name}" if level.depth <= _WHOLE_PATH and "…" not in path else f"{joined(path, name)}#{id}.{index}"

    def futures_paths(self) -> list[str]:
        """The paths of all nodes that emitted a futures file."""
        paths: dict[int, str] = {}
        found = []
        for id, level in self._levels.items():
            paths[id] = self._path(level, paths)
            found += [self._node_path(level, id, index, paths[id]) for index in level.futures]
        return found

    def futures(self, path: str) -> tuple[Plan, str]:
        """The futures file of a node, and its key in the store. Raises `RunNotFound` if the node has none."""
        id, index = self.find(path)
        level = self._levels[id]
        if index not in level.futures:
            raise RunNotFound(f"{path} emitted no futures file")
        key = futures_key(self.manifest.run_id, node_identity(level.identity, index))
        try:
            return plan_from_bytes(self.store.get(key)), key
        except (PlanFormatError, OSError):
            return plan_from_bytes(level.futures[index][0]), key  # the journal has its bytes too
