"""A run as its journal tells it: frames, nodes and their states, logs, futures files. Reads, never writes; runs no code
of the author's.

The tables that the journal fills are in `promissory.executor.history.record`, the rows of nodes in
`promissory.executor.history.nodes`, and their text paths in `promissory.executor.history.paths`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from promissory.executor.errors import RunNotFound
from promissory.executor.history.nodes import NodeRow, Rows
from promissory.executor.history.paths import find, frame_path, node_path, round_frame
from promissory.executor.history.record import Record
from promissory.executor.history.summary import is_being_taken, waits_for_a_worker
from promissory.executor.protocol.events import Meta
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import node_identity
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.node_state import ENDED as ENDED_STATES
from promissory.executor.store.keys import futures_key
from promissory.planner.errors import PlanFormatError
from promissory.planner.plan.format import futures_from_bytes, plan_from_bytes
from promissory.planner.plan.plan import Plan

__all__ = ["History", "NodeRow"]

_SHOWN: Final = 3


class History(Record):
    """Everything that is committed of a run, as readers ask for it.

    Takes the same arguments as `Record`, and raises the same errors.
    """

    # --- the run ---

    @property
    def running(self) -> dict[Key, tuple[str, int]]:
        """The running bodies by frame and index, from the newest beat: (worker, beginning in µs since the epoch)."""
        if self.beat is None or not self.is_live:
            return {}
        return {(frame, index): (worker, since) for frame, index, worker, since in self.beat.running}

    @property
    def is_live(self) -> bool:
        """Whether an executor may be working on the run now. One that has just taken it over has not beaten yet."""
        run_id = self.manifest.run_id
        if self.beat is not None and self.beat.is_live(self.store, run_id):
            return True
        return self.end is None and is_being_taken(self.store, run_id)

    @property
    def is_queued(self) -> bool:
        """Whether a worker will take the run, on which nobody works now."""
        if not self.manifest.queue or self.end is not None or self.is_live:
            return False
        return waits_for_a_worker(self.store, self.manifest, self.beat, self._segments > 0)

    @property
    def goes_on(self) -> bool:
        """Whether somebody works on the run, or a worker will."""
        return self.is_live or self.is_queued

    @property
    def state(self) -> str:
        """The state of the run (rule X8)."""
        if self.is_queued:
            return "QUEUED"
        if self.end is None and self.is_live:
            return "PAUSED" if self.paused else "RUNNING"
        return self.end[0] if self.end is not None else "INTERRUPTED"

    @property
    def lasted(self) -> int:
        """The µs from the run's creation to its end, to this moment, or to the last sign of its executor."""
        last = self.ended_at
        if self.is_queued or (self.end is None and self.is_live):
            last = time.time_ns() // 1000
        elif self.end is None and self.beat is not None:
            last = max(last, int(self.beat.time * 1e6))
        return max(0, last - self.manifest.created)

    @property
    def counts(self) -> dict[str, int]:
        """The number of nodes in each state."""
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
        return self.path(id, index) + (self.opened[id].topology.suffix(index, iteration) if iteration else "")

    def cancelled_by(self) -> tuple[str, str] | None:
        """Path and reason of the task that cancelled the run, if one did."""
        return next(((self._path_now(*key), reason) for key, reason in self.stopped.items()), None)

    # --- nodes ---

    def nodes(self, items: bool = False) -> Iterator[NodeRow]:
        """Every node known so far, frame by frame in the order in which they were opened. Items of maps and iterations
        of loops are among them if they were remembered and are wanted."""
        for row, _ in Rows(self, items).all():
            yield row

    def row(self, id: int, index: int) -> NodeRow:
        """The row of one node."""
        return Rows(self).of_node(id, index)

    def failed_attempts(self) -> Iterator[NodeRow]:
        """Attempts that were followed by another one, or by a resume."""
        return Rows(self).tried()

    def said_rows(self) -> Iterator[NodeRow]:
        """A row for each time that the body of an async dynamic said something."""
        return Rows(self).said()

    def awaits(self, key: Key) -> str:
        """For what the body of an async dynamic waits; "" if it waits for nothing."""
        known = self.scheduler.awaits.get(key)
        if known is None or known.last:
            return ""
        frames = {self.segments[id]: id for id in self.children.get(key, ()) if id in self.segments}
        nodes = [self.path(frames[ordinal], index) for ordinal, index in islice(known.awaited, _SHOWN)]
        more = len(known.awaited) - len(nodes)
        nodes += [f"{more} more"] if more else []
        if known.due is not None:
            nodes.append(f"the moment {datetime.fromtimestamp(known.due, UTC).isoformat(timespec='seconds')}")
        return f"awaits {', '.join(nodes)}" if nodes else ""

    def tries(self, key: Key, iteration: int) -> list[tuple[Failure, Meta]]:
        """The attempts of one iteration that were followed by another one, or by a resume."""
        return [(failure, meta) for one, number, failure, meta in self.tried if (one, number) == (key, iteration)]

    def last_try(self, key: Key) -> tuple[Failure, Meta] | None:
        """The last attempt of a node that was followed by another one."""
        at = self._last_try.get(key)
        return None if at is None else self.tried[at][2:]

    @property
    def items(self) -> dict[Key, tuple[int, int]]:
        """For each map, how many items have ended and how many there are."""
        maps = self.scheduler.maps
        return {key: (maps[key].ended if key in maps else total, total) for key, total in self._totals.items()}

    def is_expanded(self, key: Key) -> bool:
        """Whether a node that expanded is not over yet, because the frame that took its place still goes on."""
        frames = [id for id in self.children.get(key, ()) if self.opened[id].part is None]
        while frames:
            if frames[-1] in self.scheduler.frames:
                return True
            last = self.opened[frames[-1]]
            frames = [id for index in last.topology.output_nodes for id in self.children.get((last.id, index), ())]
        return False

    def has_futures(self, id: int, index: int) -> bool:
        """Whether a node emitted a futures file."""
        count = max(self.iterations.get((id, index), 0) + 1, self.segment_counts.get((id, index), 0))
        return any((id, index, iteration) in self.emitted for iteration in range(count))

    def inside(self, id: int, index: int) -> list[NodeRow]:
        """The nodes of the frames that a node stands for, however deep."""
        frames = set(self.children.get((id, index), ()))
        for other, (parent, _) in self.parents.items():
            if parent in frames:
                frames.add(other)
        rows = Rows(self, items=True)
        return [row for one in sorted(frames) for row, _ in rows.of_frame(one)]

    # --- dependencies ---

    def before(self, id: int, index: int) -> list[NodeRow]:
        """The nodes that a node waits for, in its frame."""
        rows, topology = Rows(self), self.opened[id].topology
        return [rows.of_node(id, one) for one in sorted(topology.before(index)) if one < topology.count]

    def frames(self) -> Iterator[int]:
        """The frames in the order in which they were opened."""
        yield from self.opened

    def parent(self, id: int) -> Key:
        """The frame and node that a frame stands for; (-1, 0) of the root."""
        return self.parents[id]

    def followed_by(self, id: int, index: int) -> set[int]:
        """A node, the nodes of its frame (joints too) that can't start before it has succeeded or that it has sent the
        run to, and the handler that runs if the frame fails."""
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
        """The frame and index of a node by its text path. Raises `RunNotFound`, which names the nodes that exist."""
        return find(self, path)[:2]

    def find_iteration(self, path: str) -> tuple[int, int, int | None]:
        """The frame and index of a node by its text path, and the iteration that the path names, or None."""
        return find(self, path)

    def iteration_named(self, path: str) -> str:
        """The suffix of the iteration that a path names; empty if it names none."""
        iteration = find(self, path)[2]
        return "" if iteration is None else f"[={iteration}]"

    def has(self, id: int, index: int) -> bool:
        """Whether the journal has told of a node (or joint) yet. A node that a beat names may be newer."""
        return id in self.opened and index < self.opened[id].topology.count

    def is_over(self, id: int, index: int) -> bool:
        """Whether a node's body has ended. A beat that still names it may be older."""
        return self.opened[id].state(index) in ENDED_STATES or (id, index) in self.children

    def path(self, id: int, index: int) -> str:
        """The path of a node, as `nodes` gives it."""
        return node_path(self, id, index)

    def frame_path(self, id: int) -> str:
        """The path of the node that a frame stands for."""
        return frame_path(self, id)

    def futures_paths(self) -> list[str]:
        """The paths of all nodes that emitted futures files."""
        return [self.path(*key[:2]) + self._suffix(key) for key in sorted(self.emitted)]

    def _suffix(self, key: tuple[int, int, int]) -> str:
        """The end of the path of the round, segment or iteration that emitted a futures file."""
        if key in self.round_names:
            return f"@{self.round_names[key]}"
        sign = "+" if self.opened[key[0]].topology.awaits(key[1]) else "="
        return f"[{sign}{key[2]}]" if key[2] else ""

    def futures(self, path: str) -> tuple[Plan, str]:
        """The futures file of a node, and its key in the store. For a loop or cycle it is that of the iteration or
        round that the path names, else of the first. Raises `RunNotFound` if the node has none."""
        id, index, iteration = find(self, path)
        key = (id, index, iteration or 0)
        if self.opened[id].topology.is_cycle(index):
            frame = round_frame(self, path)
            named = self.round_names.get((id, index, 1)) if frame is None else self.rounds[frame]
            key = next((one for one, name in self.round_names.items() if one[:2] == key[:2] and name == named), key)
        if key not in self.emitted:
            raise RunNotFound(f"{path} emitted no futures file")
        _, header = futures_from_bytes(self.emitted[key])
        name = futures_key(self.manifest.run_id, node_identity(header.parent, header.index))
        try:
            return plan_from_bytes(self.store.get(name)), name
        except (PlanFormatError, OSError):
            return plan_from_bytes(self.emitted[key]), name  # the journal holds the same bytes
