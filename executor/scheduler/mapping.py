"""A map under way: its chunks, and how many of its items have ended, and how (rules B2 to B4). Pure.

A map's lists are cut into **chunks** by a worker. A chunk is a frame with a call for each of its items and one joint
that makes the list of the items' results. Chunks are opened one after the other, as there is room for calls, so a map
of a million items holds only some of them at a time. When all chunks have ended, their lists are joined. An item that
fails does not fail its chunk: the frames of chunks with failed items are kept until all items have ended, and then the
map fails, or takes `None` for the failed items.
"""

from __future__ import annotations

from collections import deque

from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.node_state import FAILED
from promissory.planner.plan.model import Value
from promissory.planner.plan.specs import Map

_CLOSE = 1e-9


class Mapping:
    """A map under way.

    Attributes:
        frame, index: the node.
        chunks: the number of items of each chunk, and its parts of the lists; None once the chunk is opened.
        next: the chunk to be opened next.
        first: the position of the first item of `next`.
        results: the list that each chunk gave.
        open: the frames of chunks that have not given their list, by the chunk's number.
        kept: the frames of `open` whose items have all ended, but not all well.
        total, ended, failed: numbers of items.
        worst: the failed item of the lowest number, and its failure.
        under_way: items that have begun and not ended, where `concurrency` limits their number.
        queue: items that are ready and wait for other items to end.
    """

    def __init__(
        self, frame: Frame, index: int, chunks: list[tuple[int, list[Value]] | None], counts: list[int]
    ) -> None:
        self.frame = frame
        self.index = index
        self.chunks = chunks
        self.counts = counts
        self.next = 0
        self.first = 0
        self.results: list[Value | None] = [None] * len(chunks)
        self.open: dict[int, Frame] = {}
        self.kept: dict[int, Frame] = {}
        self.total = sum(counts)
        self.ended = 0
        self.failed = 0
        self.worst: tuple[int, FailedNode] | None = None
        self.under_way: set[Key] = set()
        self.queue: deque[tuple[Frame, int]] = deque()

    @property
    def spec(self) -> Map:
        """The map's specification in the plan."""
        spec = self.frame.topology.graph.specs[self.index]
        assert isinstance(spec, Map)
        return spec

    @property
    def needs_all(self) -> bool:
        """Whether the map can't do without the items that failed."""
        return self.falls_short or self.spec.min_success_ratio >= 1

    @property
    def falls_short(self) -> bool:
        """Whether more items have failed than the map allows."""
        return self.failed > 0 and self.total - self.failed < self.spec.min_success_ratio * self.total - _CLOSE

    @property
    def has_more(self) -> bool:
        """Whether chunks are left to be opened."""
        return self.next < len(self.chunks)


Maps = dict[Key, Mapping]


def mapping_of(maps: Maps, chunk: Frame) -> Mapping:
    """The map that a chunk belongs to."""
    assert chunk.parent is not None
    return maps[chunk.parent.id, chunk.slot]


def is_done_without(maps: Maps, frame: Frame) -> bool:
    """Whether a frame is, or is in, a failed item of a map that does without its failed items."""
    while frame.parent is not None:
        parent = frame.parent
        if parent.part is not None and parent.parent is not None and parent.state(frame.slot) == FAILED:
            mapping = maps.get((parent.parent.id, parent.slot))
            return mapping is not None and not mapping.needs_all
        frame = parent
    return False
