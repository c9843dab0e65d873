"""Maps under way (rules B2 to B4). Pure; part of the scheduler.

A map's lists are cut into **chunks** by a worker. A chunk is a frame with a call for each of its items and one joint
that makes the list of the items' results. Chunks are opened one after the other, as there is room for calls, so a map
of a million items holds only some of them at a time. When all chunks have ended, their lists are joined. An item that
fails does not fail its chunk: the frames of chunks with failed items are kept until all items have ended, and then the
map fails, or takes `None` for the failed items.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promissory.executor.protocol.events import FAILED as FAILED_EVENT
from promissory.executor.protocol.events import ITEMS, NO_META, OPENED, Meta, value_of
from promissory.executor.scheduler import completion
from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.frame import FAILED, OPEN, PENDING, SKIPPED, FailedNode, Frame, Part
from promissory.planner.plan.model import Value
from promissory.planner.plan.specs import Map

if TYPE_CHECKING:
    from promissory.executor.scheduler.state import State

EMPTY = b"\x90"
"""An empty list."""
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
        self.under_way: set[tuple[int, int]] = set()
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


def is_settled(scheduler: State, frame: Frame) -> bool:
    """Whether a frame is, or is in, a failed item of a map that does without its failed items."""
    while frame.parent is not None:
        parent = frame.parent
        if parent.part is not None and parent.parent is not None and parent.state(frame.slot) == FAILED:
            mapping = scheduler.maps.get((parent.parent.id, parent.slot))
            return mapping is not None and not mapping.needs_all
        frame = parent
    return False


def begin(scheduler: State, frame: Frame, index: int, chunks: list[Any], meta: Meta) -> None:
    """The lists of a map were cut: (count, [part of each list]) of each chunk, as trees."""
    counts = [count for count, _ in chunks]
    problem = scheduler.limits.items(sum(counts), frame.path_of(index))
    if problem is not None and not scheduler.replaying:
        scheduler.fail(frame, index, problem, meta)
        return
    scheduler.log.append((ITEMS, frame.id, index, chunks, meta))
    frame.set_state(index, OPEN)
    scheduler.maps[frame.id, index] = Mapping(
        frame, index, [(count, [value_of(tree) for tree in parts]) for count, parts in chunks], counts
    )
    if not chunks:
        completion.complete(scheduler, frame, index, EMPTY, True)
    else:
        scheduler.ready.append((frame, index))


def open_next(scheduler: State, frame: Frame, index: int, child: int | None = None) -> None:
    """Open a map's next chunk, if there is one."""
    mapping = scheduler.maps[frame.id, index]
    if mapping.next >= len(mapping.chunks):
        return
    number = mapping.next
    chunk = mapping.chunks[number]
    assert chunk is not None
    count, parts = chunk
    mapping.next, mapping.chunks[number] = number + 1, None
    topology = frame.topology.chunk(index, count)
    given = dict(zip(mapping.spec.mapped, parts, strict=True))
    inputs = tuple(
        given[at] if at in given else b"" if binding is None else frame.value(binding)
        for at, binding in enumerate(frame.topology.plan_inputs[index])
    )
    id = scheduler.new_frame(child)
    scheduler.log.append((OPENED, frame.id, index, id))
    opened = Frame(
        id,
        frame,
        index,
        frame.depth,
        topology,
        frame.literals,
        inputs,
        frame.identity_of(index),
        frame.path_of(index),
        frame.repeat,
        frame.nesting,
    )
    opened.part = Part(number, mapping.first)
    mapping.open[number] = opened
    mapping.first += count
    more = mapping.next < len(mapping.chunks)
    if more and mapping.spec.concurrency is None:
        scheduler.ready.append((frame, index))  # under the chunk's items: the next chunk is opened when they are taken
    scheduler.open(opened)
    if more and mapping.spec.concurrency is not None and not mapping.queue:
        scheduler.ready.append((frame, index))


def _mapping(scheduler: State, frame: Frame) -> Mapping:
    assert frame.parent is not None
    return scheduler.maps[frame.parent.id, frame.slot]


def begin_items(scheduler: State, frame: Frame) -> None:
    """Begin a chunk: its nodes that wait for nothing are ready, as far as the map's concurrency allows."""
    first = frame.topology.first
    if _mapping(scheduler, frame).spec.concurrency is None:
        scheduler.ready += [(frame, index) for index in first]
    else:
        items_are_ready(scheduler, frame, first[::-1])


def items_are_ready(scheduler: State, frame: Frame, indices: list[int]) -> None:
    """Make these nodes of a chunk ready, or queue them while the map's concurrency is used up. The first runs first."""
    before = len(scheduler.ready)
    for index in indices:
        item_is_ready(scheduler, frame, index)
    scheduler.ready[before:] = scheduler.ready[: before - 1 : -1] if before else scheduler.ready[::-1]


def find_under_way(scheduler: State, frame: Frame, asleep: set[tuple[int, int]]) -> None:
    """After a replay: the items of a chunk that have begun and not ended."""
    under_way = _mapping(scheduler, frame).under_way
    under_way.update(
        (frame.id, index)
        for index in range(frame.topology.count)
        if frame.state(index) == OPEN or (frame.id, index) in asleep
    )


def item_is_ready(scheduler: State, frame: Frame, index: int) -> None:
    """Make an item (or a joint of its chunk) ready; an item is queued while the map's concurrency is used up."""
    mapping = _mapping(scheduler, frame)
    limit = mapping.spec.concurrency
    if limit is None or index >= frame.topology.count:
        scheduler.ready.append((frame, index))
    elif len(mapping.under_way) < limit:
        mapping.under_way.add((frame.id, index))
        scheduler.ready.append((frame, index))
    else:
        mapping.queue.append((frame, index))


def item_ended(scheduler: State, frame: Frame, index: int) -> None:
    """An item has ended, well or badly, so another item may begin."""
    mapping = _mapping(scheduler, frame)
    mapping.ended += 1
    if mapping.spec.concurrency is not None:
        mapping.under_way.discard((frame.id, index))
        while mapping.queue and len(mapping.under_way) < mapping.spec.concurrency:
            other, next_one = mapping.queue.popleft()
            mapping.under_way.add((other.id, next_one))
            _make_ready_in_order(scheduler.ready, other, next_one)
        if not mapping.queue and mapping.next < len(mapping.chunks):
            scheduler.ready.append((mapping.frame, mapping.index))
    if frame.mixed:
        _look_at_chunk(scheduler, frame, mapping)


def _make_ready_in_order(ready: list[tuple[Frame, int]], frame: Frame, index: int) -> None:
    """Insert an item so that items begin in their order: the last entry of `ready` is the first to be taken."""

    def goes_before(above: int) -> bool:
        return above <= len(ready) and ready[-above][0] is frame and ready[-above][1] < index

    step = 1
    while goes_before(step):
        step *= 2
    low, high = step // 2, step  # the top `low` entries go before the item; of the top `high`, not all do
    while high - low > 1:
        middle = (low + high) // 2
        if goes_before(middle):
            low = middle
        else:
            high = middle
    ready.insert(len(ready) - low, (frame, index))


def item_ended_badly(scheduler: State, frame: Frame, index: int, state: int, failed: FailedNode | None) -> None:
    """An item failed or was skipped; or a joint failed that makes an item's input or the chunk's list."""
    topology = frame.topology
    assert frame.parent is not None
    if index == topology.size - 1:
        assert failed is not None
        parent, slot = frame.parent, frame.slot
        failing.drop(scheduler, frame)
        endings.fail_node(scheduler, parent, slot, failed)
        return
    _end_in_chunk(frame, index, state, failed)
    item = index
    if index >= topology.count:
        item = next(follower for follower in topology.followers(index) if follower < topology.count)
        if frame.state(item) != PENDING:
            return
        _end_in_chunk(frame, item, state, failed)
    mapping = _mapping(scheduler, frame)
    if failed is not None:
        assert frame.part is not None
        mapping.failed += 1
        number = frame.part.first + item
        if mapping.worst is None or number < mapping.worst[0]:
            mapping.worst = (number, failed)
    item_ended(scheduler, frame, item)


def _end_in_chunk(frame: Frame, index: int, state: int, failed: FailedNode | None) -> None:
    if failed is not None:
        frame.failed(index, failed, state)
    frame.set_state(index, state)
    frame.mixed = True
    frame.remaining -= 1
    if state == SKIPPED:
        frame.drop_taken(index)


def _look_at_chunk(scheduler: State, frame: Frame, mapping: Mapping) -> None:
    """Keep a chunk with items that did not succeed when only the chunk's list is left to make."""
    if frame.remaining > 1:
        return
    assert frame.part is not None
    mapping.kept[frame.part.number] = frame
    _go_on(scheduler, mapping)


def chunk_done(scheduler: State, frame: Frame, value: Value) -> tuple[Frame, int, Value, bool] | None:
    """A chunk has its list. Returns the map's node and value if that list completes the map."""
    mapping = _mapping(scheduler, frame)
    assert frame.part is not None
    mapping.results[frame.part.number] = value
    del mapping.open[frame.part.number]
    return _next(scheduler, mapping)


def _go_on(scheduler: State, mapping: Mapping) -> None:
    ended = _next(scheduler, mapping)
    if ended is not None:
        completion.complete(scheduler, *ended)


def _next(scheduler: State, mapping: Mapping) -> tuple[Frame, int, Value, bool] | None:
    """Go on with a map once all its items have ended. Returns the map's node and value if the map is done.

    The map fails, is skipped, takes None for the items that did not succeed, or joins its lists.
    """
    frame, index = mapping.frame, mapping.index
    if mapping.ended < mapping.total:
        return None
    if mapping.falls_short:
        _fall_short(scheduler, mapping)
        return None
    if mapping.kept:
        kept, mapping.kept = mapping.kept, {}
        if mapping.spec.min_success_ratio >= 1:
            for one in kept.values():
                failing.drop(scheduler, one)
            endings.end(scheduler, frame, index, SKIPPED)
            return None
        for _, one in sorted(kept.items()):
            _drop_inner(scheduler, one)
            joint = one.topology.size - 1
            one.cells[joint] = 0
            scheduler.ready.append((one, joint))
        return None
    if any(value is None for value in mapping.results):
        return None
    if len(mapping.results) == 1:
        value = mapping.results[0]
        assert value is not None
        return frame, index, value, True
    frame.set_state(index, PENDING)
    scheduler.ready.append((frame, index))
    return None


def _drop_inner(scheduler: State, frame: Frame) -> None:
    """Drop the frames of items that failed, since the map does without these items."""
    for inner in frame.inside():
        failing.drop(scheduler, inner)


def _fall_short(scheduler: State, mapping: Mapping) -> None:
    frame, index = mapping.frame, mapping.index
    assert mapping.worst is not None
    failed = mapping.worst[1]
    if mapping.failed > 1:
        message = f"{failed.failure.message} ({mapping.failed:,} of {mapping.total:,} items failed)"
        failed = failed._replace(failure=replace(failed.failure, message=message))
    scheduler.log.append((FAILED_EVENT, frame.id, index, failed.failure.to_tree(), NO_META))
    endings.fail_node(scheduler, frame, index, failed)


def forget(scheduler: State, frame: Frame, index: int) -> None:
    """Drop the frames of a map whose node has ended badly for good."""
    for one in scheduler.maps.pop((frame.id, index)).open.values():
        failing.drop(scheduler, one)


def forgive(scheduler: State) -> None:
    """Begin a resume: failed items are to be tried again if their map can't succeed without these items."""
    forgiven = []
    for mapping in scheduler.maps.values():
        if mapping.failed and mapping.needs_all:
            mapping.failed, mapping.worst = 0, None
            mapping.kept = {number: frame for number, frame in mapping.kept.items() if not frame.failures}
            forgiven.append(mapping)
    begun = {(frame.parent.id, frame.slot) for frame in scheduler.frames.values() if frame.parent is not None}
    for frame in list(scheduler.frames.values()):
        if frame.part is None or not frame.failures or _mapping(scheduler, frame) not in forgiven:
            continue
        for index in frame.failures:
            _mapping(scheduler, frame).ended -= index < frame.topology.count
            frame.set_state(index, OPEN if (frame.id, index) in begun else PENDING)
        frame.failures = None
        frame.recount()


def loaded(scheduler: State) -> None:
    """After a snapshot: maps whose items have all ended go on from there."""
    for frame in scheduler.frames.values():
        if frame.part is not None:
            _mapping(scheduler, frame).open[frame.part.number] = frame
        if (
            frame.part is not None
            and frame.mixed
            and not any(frame.state(index) in (PENDING, OPEN) for index in range(frame.topology.count))
        ):
            _mapping(scheduler, frame).kept[frame.part.number] = frame
    for mapping in list(scheduler.maps.values()):
        _go_on(scheduler, mapping)
