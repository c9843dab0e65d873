"""A run as its journal tells it: frames, nodes and their states, logs, futures files. Reads, never writes; runs no code of the author's.

The journal is replayed into a scheduler, and every frame that it ever opened is kept, so that the states of nodes are what the scheduler itself made of them. How they are shown is in
`promissory.executor.history.nodes`, how they are called in `promissory.executor.history.paths`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from promissory.executor.errors import DoesNotFit, JournalError, RunNotFound
from promissory.executor.history.nodes import NodeRow, Rows
from promissory.executor.history.paths import find, frame_path, node_path
from promissory.executor.journal.reader import find_end, read_segments
from promissory.executor.protocol.events import (
    CODE,
    ENDED,
    FAILED,
    ITEMS,
    OPENING,
    PAUSED,
    RESUMED,
    RETRIED,
    SIGNALLED,
    SKIPPED,
    STOPPED_BY,
    UNPAUSED,
    Event,
    Meta,
    begins_iteration,
    futures_of,
    meta_of,
)
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import node_identity
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.heartbeat import Beat, read_beat
from promissory.executor.records.manifest import Manifest, read_manifest, read_plan
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.event_fit import refuse_misfit
from promissory.executor.scheduler.frame import ENDED as ENDED_STATES
from promissory.executor.scheduler.frame import FAILED as FAILED_STATE
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.frame_failure import tell_above
from promissory.executor.scheduler.replay import TOLD, replay
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.keys import futures_key, segment_key
from promissory.executor.store.store import Store
from promissory.planner.errors import PlanFormatError
from promissory.planner.plan.format import futures_from_bytes, plan_from_bytes
from promissory.planner.plan.model import Plan
from promissory.typesys.errors import FormatError
from promissory.typesys.types import Type

__all__ = ["Gate", "History", "NodeRow"]


class Gate(NamedTuple):
    """A gate that waits for an answer: its path, its name, the type of the answer, and its frame and index."""

    path: str
    name: str
    wants: Type
    key: Key


class _Watched(Scheduler):
    """A scheduler that says which frame it opened last."""

    last: Frame | None = None

    def open(self, frame: Frame) -> None:
        self.last = frame
        super().open(frame)


class History:
    """Everything that is committed of a run.

    Args:
        store: where it lies.
        run_id: the run.
        items: whether to remember each item of each map and each iteration of each loop.

    Raises `RunNotFound`, `JournalError`.
    """

    def __init__(self, store: Store, run_id: str, items: bool = False) -> None:
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
        self.scheduler = _Watched(Limits(1 << 62, 1 << 62, 1 << 62), run=run_id.encode())
        self.opened: dict[int, Frame] = {}
        self.parents: dict[int, Key] = {0: (-1, 0)}
        self.children: dict[Key, list[int]] = {}
        self.frame_paths: dict[int, str] = {0: "main"}
        self.frame_iterations: dict[int, int] = {}
        self.metas: dict[Key, Meta] = {}
        self.failed: dict[Key, tuple[Failure, Meta]] = {}
        self.tried: list[tuple[Key, int, Failure, Meta]] = []
        self.spent: dict[Key, int] = {}
        self.sent: dict[Key, list[int]] = {}
        self.reasons: dict[Key, str] = {}
        self.stopped: dict[Key, str] = {}
        self.iterations: dict[Key, int] = {}
        self.iteration_metas: dict[Key, list[Meta]] = {}
        self.emitted: dict[tuple[int, int, int], bytes] = {}
        self._last_try: dict[Key, int] = {}
        self._totals: dict[Key, int] = {}
        self._wants_items = items
        self._segments = 0
        self.scheduler.open_root(
            self.plan, tuple(self.manifest.inputs[parameter.name] for parameter in self.plan.inputs)
        )
        self.opened[0] = self.scheduler.frames.get(0) or Frame(
            0, None, 0, 0, self.scheduler.topologies.get(self.plan.shape, 0), (), (), bytes(16), "main", None, None
        )
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
            except DoesNotFit as error:
                raise JournalError(key, f"has an event that does not fit the run: {error}") from None
        self._segments = max(self._segments, end)

    # --- reading events ---

    def _take(self, event: Event) -> None:
        kind = event[0]
        if kind == RESUMED:
            self._resumed(event)
        elif kind in (PAUSED, UNPAUSED):
            self.paused = kind == PAUSED
        elif kind == CODE:
            self.changed_code.append(event[1])
        elif kind == ENDED:
            self.end = (event[1], event[2], event[3])
            if event[1] == "FAILED":
                tell_above(self.scheduler)
        if kind not in TOLD:
            return
        if len(event) > 2 and kind != RESUMED:
            refuse_misfit(self.scheduler, event)
            if event[2] >= self.opened[event[1]].topology.size:
                raise DoesNotFit(f"frame {event[1]} has no node {event[2]}")
            self._note(event, (event[1], event[2]))
        replay(self.scheduler, event)
        if kind == RESUMED:
            self._note_forgiven()
        self.scheduler.ready.clear()
        self.scheduler.gates_ready.clear()
        self.scheduler.settled.clear()
        self._note_frame(event)

    def _resumed(self, event: Event) -> None:
        self.resumes += 1
        self.limits = Limits(*event[4])
        self.end = None
        self.paused = False
        self.stopped.clear()

    def _note_forgiven(self) -> None:
        """What failed and was not handled is tried again."""
        for key, (failure, meta) in list(self.failed.items()):
            frame = self.opened[key[0]]
            if frame.state(key[1]) == FAILED_STATE or frame.id not in self.scheduler.frames:
                continue
            del self.failed[key]
            if meta[2]:
                self._note_try(key, failure, meta)

    def _note(self, event: Event, key: Key) -> None:
        """What the scheduler does not remember."""
        kind, meta = event[0], meta_of(event)
        if kind == FAILED:
            self.failed[key] = (Failure.from_tree(event[3]), event[4])
        elif kind == RETRIED:
            self._note_try(key, Failure.from_tree(event[3]), event[4])
        elif kind in (SKIPPED, STOPPED_BY):
            self.reasons[key] = event[3]
            if kind == STOPPED_BY:
                self.stopped[key] = event[3]
        elif kind == ITEMS:
            self._totals[key] = sum(count for count, _ in event[3])
        frame = self.opened[key[0]]
        is_remembered = self._wants_items or frame.part is None
        if meta is not None and kind not in (FAILED, RETRIED) and is_remembered:
            self.metas[key] = tuple(meta)
        if meta is not None and meta[2]:
            if is_remembered:
                self.spent[key] = self.spent.get(key, 0) + meta[1]
            if frame.part is not None:
                of_map = self.parents[frame.id]
                self.spent[of_map] = self.spent.get(of_map, 0) + meta[1]
        if kind == SIGNALLED and event[4].get("next"):
            self.sent.setdefault(key, []).extend(node for _, _, node in event[4]["next"] if node >= 0)
        futures = futures_of(event)
        if futures is not None:
            self.emitted[*key, self.iterations.get(key, 0)] = futures
        iteration = self.iterations.get(key, 0)
        at = OPENING.get(kind)
        if at is not None and event[at] >= 0 and iteration:
            self.frame_iterations[event[at]] = iteration
        if begins_iteration(event):
            self.iterations[key] = iteration + 1
            if self._wants_items and meta is not None:
                self.iteration_metas.setdefault(key, []).append(tuple(meta))

    def _note_try(self, key: Key, failure: Failure, meta: Meta) -> None:
        self._last_try[key] = len(self.tried)
        self.tried.append((key, self.iterations.get(key, 0), failure, tuple(meta)))

    def _note_frame(self, event: Event) -> None:
        """The frame that an event has opened."""
        at = OPENING.get(event[0])
        if at is None or event[at] < 0:
            return
        id = event[at]
        frame = self.scheduler.last
        if frame is None or frame.id != id:
            return
        self.opened[id] = frame
        self.parents[id] = (event[1], event[2])
        self.children.setdefault((event[1], event[2]), []).append(id)

    # --- the run ---

    @property
    def running(self) -> dict[Key, tuple[str, int]]:
        """What runs, as the newest beat has it: (worker, µs since the epoch) by frame and index."""
        if self.beat is None or not self.is_live:
            return {}
        return {(frame, index): (worker, since) for frame, index, worker, since in self.beat.running}

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

    def first_failure(self) -> tuple[str, Failure, int] | None:
        """Path, failure and attempt of the node that failed first and was not handled."""
        failed = self.scheduler.failure
        if failed is not None:
            known = self.has(failed.frame, failed.node)
            return (self._path_now(failed.frame, failed.node) if known else failed.path), failed.failure, failed.attempt
        return None

    def _path_now(self, id: int, index: int) -> str:
        """A node's path, with the iteration that it is in."""
        iteration = self.iterations.get((id, index), 0)
        return self.path(id, index) + (f"[={iteration}]" if iteration else "")

    def cancelled_by(self) -> tuple[str, str] | None:
        """Path and reason of the task that cancelled the run, if one did."""
        return next(((self._path_now(*key), reason) for key, reason in self.stopped.items()), None)

    def gates(self) -> Iterator[Gate]:
        """The gates that wait for an answer."""
        for key, waiting in self.scheduler.waiting.items():
            if waiting.wants is not None:
                yield Gate(self.path(*key), waiting.spec.name, waiting.wants, key)

    # --- nodes ---

    def nodes(self, items: bool = False) -> Iterator[NodeRow]:
        """Every node known so far, frame by frame in the order in which they were opened; items of maps and iterations of loops too, if they were remembered and are wanted."""
        for row, _ in Rows(self, items).all():
            yield row

    def row(self, id: int, index: int) -> NodeRow:
        """One node."""
        return Rows(self).of_node(id, index)

    def failed_attempts(self) -> Iterator[NodeRow]:
        """Attempts that were followed by another one, or by a resume."""
        return Rows(self).tried()

    def tries(self, key: Key, iteration: int) -> list[tuple[Failure, Meta]]:
        """The attempts of one iteration that were followed by another one, or by a resume."""
        return [(failure, meta) for one, number, failure, meta in self.tried if (one, number) == (key, iteration)]

    def last_try(self, key: Key) -> tuple[Failure, Meta] | None:
        """The last attempt of a node that was followed by another one."""
        at = self._last_try.get(key)
        return None if at is None else self.tried[at][2:]

    @property
    def items(self) -> dict[Key, tuple[int, int]]:
        """Of each map, how many items have ended and how many there are."""
        maps = self.scheduler.maps
        return {key: (maps[key].ended if key in maps else total, total) for key, total in self._totals.items()}

    def is_expanded(self, key: Key) -> bool:
        """Whether a node that handed its place on is not over yet: what it handed it to still goes on."""
        frames = [id for id in self.children.get(key, ()) if self.opened[id].part is None]
        while frames:
            if frames[-1] in self.scheduler.frames:
                return True
            last = self.opened[frames[-1]]
            frames = [id for index in last.topology.output_nodes for id in self.children.get((last.id, index), ())]
        return False

    def has_futures(self, id: int, index: int) -> bool:
        """Whether a node emitted a futures file."""
        return any(
            (id, index, iteration) in self.emitted for iteration in range(self.iterations.get((id, index), 0) + 1)
        )

    def inside(self, id: int, index: int) -> list[NodeRow]:
        """The nodes of what a node stands for, however deep."""
        frames = set(self.children.get((id, index), ()))
        for other, (parent, _) in self.parents.items():
            if parent in frames:
                frames.add(other)
        rows = Rows(self, items=True)
        return [row for one in sorted(frames) for row, _ in rows.of_frame(one)]

    # --- what depends on what ---

    def before(self, id: int, index: int) -> list[NodeRow]:
        """The nodes of its frame that a node waits for."""
        rows, topology = Rows(self), self.opened[id].topology
        return [rows.of_node(id, one) for one in sorted(topology.before(index)) if one < topology.count]

    def frames(self) -> Iterator[int]:
        """The frames in the order in which they were opened."""
        yield from self.opened

    def parent(self, id: int) -> Key:
        """The frame and node that a frame stands for; (-1, 0) of the root."""
        return self.parents[id]

    def followed_by(self, id: int, index: int) -> set[int]:
        """A node and all (joints too) that can't start before it has succeeded, in its frame, or that it has sent the run to; and what runs if the frame fails."""
        topology = self.opened[id].topology
        found, todo = {index}, [index]
        handler = topology.graph.on_failure
        if handler is not None:
            found.add(handler)
        while todo:
            one = todo.pop()
            for follower in (*topology.followers(one), *self.sent.get((id, one), ())):
                if follower not in found:
                    found.add(follower)
                    todo.append(follower)
        return found

    # --- finding things by path ---

    def find(self, path: str) -> Key:
        """The frame and index of a node by its text path. Raises `RunNotFound` with what is there instead."""
        return find(self, path)[:2]

    def find_iteration(self, path: str) -> tuple[int, int, int | None]:
        """The frame and index of a node by its text path, and the iteration that it names, if it does."""
        return find(self, path)

    def iteration_named(self, path: str) -> str:
        """The suffix of the iteration that a path names; nothing if it names none."""
        iteration = find(self, path)[2]
        return "" if iteration is None else f"[={iteration}]"

    def has(self, id: int, index: int) -> bool:
        """Whether the journal has told of a node (or joint) yet; one that a beat names may be newer."""
        return id in self.opened and index < self.opened[id].topology.count

    def is_over(self, id: int, index: int) -> bool:
        """Whether a node's body has ended; a beat may be older than that."""
        return self.opened[id].state(index) in ENDED_STATES or (id, index) in self.children

    def path(self, id: int, index: int) -> str:
        """The path of a node, as `nodes` gives it."""
        return node_path(self, id, index)

    def frame_path(self, id: int) -> str:
        """The path of what a frame stands for."""
        return frame_path(self, id)

    def futures_paths(self) -> list[str]:
        """The paths of all nodes that emitted futures files."""
        return [
            self.path(id, index) + (f"[={iteration}]" if iteration else "")
            for id, index, iteration in sorted(self.emitted)
        ]

    def futures(self, path: str) -> tuple[Plan, str]:
        """The futures file of a node (of a loop: of the iteration that the path names, else of the first), and its key in the store. Raises `RunNotFound` if the node has none."""
        id, index, iteration = find(self, path)
        key = (id, index, iteration or 0)
        if key not in self.emitted:
            raise RunNotFound(f"{path} emitted no futures file")
        _, header = futures_from_bytes(self.emitted[key])
        name = futures_key(self.manifest.run_id, node_identity(header.parent, header.index))
        try:
            return plan_from_bytes(self.store.get(name)), name
        except (PlanFormatError, OSError):
            return plan_from_bytes(self.emitted[key]), name  # the journal has its bytes too
