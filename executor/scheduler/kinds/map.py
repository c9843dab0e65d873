"""Maps: a worker cuts the lists, chunks of items are opened as there is room, and the chunks' lists are joined. Pure.

See `promissory.executor.scheduler.mapping` for the terms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import (
    COLLAPSED,
    ITEMS,
    NO_META,
    NODE_DONE,
    NODE_FAILED,
    OPENED,
    Event,
    Meta,
    tree_of,
    value_of,
)
from promissory.executor.protocol.limits import MOST_ITEMS
from promissory.executor.scheduler import expansion
from promissory.executor.scheduler.calls import Key
from promissory.executor.scheduler.chunks import chunk_topology
from promissory.executor.scheduler.frame import FailedNode, Frame, Part
from promissory.executor.scheduler.kinds.kind import FAILS, Kind, ReadFailed, take_done
from promissory.executor.scheduler.mapping import Mapping, mapping_of
from promissory.executor.scheduler.node_state import ENDED, OPEN, PENDING, SKIPPED, NodeState
from promissory.executor.scheduler.state import State
from promissory.planner.plan.model import Value
from promissory.planner.plan.specs import Map

_EMPTY: Final = b"\x90"
"""An empty list."""


def spread(state: State, frame_id: int, index: int, chunks: list[Any], meta: Meta = NO_META) -> None:
    """The lists of a map were cut: (count, [part of each list]) of each chunk, as trees."""
    frame = state.take_back(frame_id, index)
    if frame is None:
        return
    counts = [count for count, _ in chunks]
    problem = state.limits.items(sum(counts), frame.path_of(index))
    if problem is not None and not state.replaying:
        state.fail(frame, index, problem, meta)
        return
    state.log.append((ITEMS, frame.id, index, chunks, meta))
    state.spend(frame, index, meta)
    frame.set_state(index, OPEN)
    state.maps[frame.id, index] = Mapping(
        frame, index, [(count, [value_of(tree) for tree in parts]) for count, parts in chunks], counts
    )
    if not chunks:
        state.agenda.complete(frame, index, _EMPTY, True)
    else:
        state.ready.append((frame, index))


def has_room(state: State, frame: Frame, index: int) -> None:
    """There is room for more items of a map whose lists were cut: open the map's next chunk, if its items may begin."""
    mapping = state.maps[frame.id, index]
    if mapping.has_more and not mapping.queue:
        _open_chunk(state, mapping)


def _open_chunk(state: State, mapping: Mapping, child: int | None = None) -> None:
    frame, index, number = mapping.frame, mapping.index, mapping.next
    chunk = mapping.chunks[number]
    assert chunk is not None
    count, parts = chunk
    mapping.next, mapping.chunks[number] = number + 1, None
    given = dict(zip(mapping.spec.mapped, parts, strict=True))
    inputs = tuple(
        given[at] if at in given else b"" if binding is None else frame.value(binding)
        for at, binding in enumerate(frame.topology.plan_inputs[index])
    )
    id = state.new_frame(child)
    state.log.append((OPENED, frame.id, index, id))
    opened = Frame(
        id,
        frame,
        index,
        frame.depth,
        chunk_topology(frame.topology, index, count),
        frame.literals,
        inputs,
        frame.identity_of(index),
        frame.stem_of(index),
        frame.repeat,
        frame.nesting,
    )
    opened.part = Part(number, mapping.first)
    mapping.open[number] = opened
    mapping.first += count
    if mapping.has_more:
        state.ready.append((frame, index))  # under the chunk's items: the next chunk is opened when they are taken
    expansion.open_frame(state, opened)


# --- items ---


def items_are_ready(state: State, frame: Frame, indices: Iterable[int]) -> None:
    """Make nodes of a chunk ready, or queue items while the map's concurrency is used up. The first runs first."""
    mapping = mapping_of(state.maps, frame)
    limit, count = mapping.spec.concurrency, frame.topology.count
    found = []
    for index in indices:
        if limit is None or index >= count:
            found.append((frame, index))
        elif len(mapping.under_way) < limit:
            mapping.under_way.add((frame.id, index))
            found.append((frame, index))
        else:
            mapping.queue.append((frame, index))
    state.ready += reversed(found)


def item_ended(state: State, frame: Frame, index: int) -> None:
    """An item has ended, well or badly, so another item may begin."""
    mapping = mapping_of(state.maps, frame)
    mapping.ended += 1
    limit = mapping.spec.concurrency
    if limit is not None:
        mapping.under_way.discard((frame.id, index))
        while mapping.queue and len(mapping.under_way) < limit:
            other, next_one = mapping.queue.popleft()
            mapping.under_way.add((other.id, next_one))
            _make_ready_in_order(state.ready, other, next_one)
        if not mapping.queue and mapping.has_more:
            state.ready.append((mapping.frame, mapping.index))
    if frame.mixed:
        _look_at_chunk(state, frame, mapping)


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


def end_in_chunk(
    state: State,
    frame: Frame,
    index: int,
    to: NodeState,
    failed: FailedNode | None = None,
    below: Frame | None = None,
) -> None:
    """An item failed or was skipped; or a joint failed that makes an item's input or the chunk's list.

    Args:
        below: the failing frame of the item, if the item fails with it.
    """
    if frame.state(index) in ENDED or frame.id not in state.frames:
        return
    if below is not None:
        state.log.append((COLLAPSED, below.id))
    key = (frame.id, index)
    state.waiting.pop(key, None)
    if to == SKIPPED:
        state.loops.pop(key, None)
    topology = frame.topology
    if index == topology.size - 1:
        assert failed is not None and frame.parent is not None
        state.drop_frame(frame)
        state.agenda.fail(frame.parent, frame.slot, failed)
        return
    _mark(state, frame, index, to, failed)
    item = index
    if index >= topology.count:
        item = next(follower for follower in topology.followers(index) if follower < topology.count)
        if frame.state(item) != PENDING:
            return
        _mark(state, frame, item, to, failed)
    mapping = mapping_of(state.maps, frame)
    if failed is not None:
        assert frame.part is not None
        mapping.failed += 1
        number = frame.part.first + item
        if mapping.worst is None or number < mapping.worst[0]:
            mapping.worst = (number, failed)
    item_ended(state, frame, item)


def _mark(state: State, frame: Frame, index: int, to: NodeState, failed: FailedNode | None) -> None:
    if state.followed is not None:
        state.followed.append((frame, index))
    if failed is not None:
        frame.failed(index, failed, to)
    frame.set_state(index, to)
    frame.mixed = True
    frame.remaining -= 1
    if to == SKIPPED:
        frame.drop_taken(index)


# --- chunks ---


def _look_at_chunk(state: State, frame: Frame, mapping: Mapping) -> None:
    """Keep a chunk with items that did not succeed when only the chunk's list is left to make."""
    if frame.remaining > 1:
        return
    assert frame.part is not None
    mapping.kept[frame.part.number] = frame
    _go_on(state, mapping)


def _answered(state: State, frame: Frame, value: Value | None) -> None:
    """A chunk has its list."""
    mapping = mapping_of(state.maps, frame)
    assert frame.part is not None and value is not None
    mapping.results[frame.part.number] = value
    del mapping.open[frame.part.number]
    _go_on(state, mapping)


def _go_on(state: State, mapping: Mapping) -> None:
    """Go on with a map once all its items have ended.

    The map fails, is skipped, takes None for the items that did not succeed, joins its lists, or is done.
    """
    frame, index = mapping.frame, mapping.index
    if mapping.ended < mapping.total:
        return
    if mapping.falls_short:
        _fall_short(state, mapping)
        return
    if mapping.kept:
        kept, mapping.kept = mapping.kept, {}
        if mapping.spec.min_success_ratio >= 1:
            for one in kept.values():
                state.drop_frame(one)
            state.agenda.end(frame, index, SKIPPED)
            return
        for _, one in sorted(kept.items()):
            for inner in one.inside():
                state.drop_frame(inner)  # the map does without the items that failed in these frames
            joint = one.topology.size - 1
            one.cells[joint] = 0
            state.ready.append((one, joint))
        return
    if any(value is None for value in mapping.results):
        return
    if len(mapping.results) == 1:
        value = mapping.results[0]
        assert value is not None
        state.agenda.complete(frame, index, value, True)
        return
    frame.set_state(index, PENDING)
    state.ready.append((frame, index))


def _fall_short(state: State, mapping: Mapping) -> None:
    frame, index = mapping.frame, mapping.index
    assert mapping.worst is not None
    failed = mapping.worst[1]
    if mapping.failed > 1:
        message = f"{failed.failure.message} ({mapping.failed:,} of {mapping.total:,} items failed)"
        failed = failed._replace(failure=replace(failed.failure, message=message))
    state.log.append((NODE_FAILED, frame.id, index, failed.failure.to_tree(), NO_META))
    state.agenda.fail(frame, index, failed)


# --- replay ---


def _take_items(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, chunks, meta = event
    spread(state, id, index, chunks, meta)


def _take_opened(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, child = event
    mapping = state.maps.get((id, index))
    if mapping is not None and mapping.has_more:
        _open_chunk(state, mapping, child)


def find_under_way(state: State, asleep: Iterable[Key]) -> None:
    """After a replay: the items of maps that have begun and not ended. All others are made ready or queued anew."""
    for mapping in state.maps.values():
        mapping.queue.clear()
        mapping.under_way.clear()
    for frame in state.frames.values():
        if frame.part is not None:
            mapping_of(state.maps, frame).under_way.update(
                (frame.id, index)
                for index in range(frame.topology.count)
                if frame.state(index) == OPEN or (frame.id, index) in asleep
            )


def _check_items(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, chunks, _ = event
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Map)
    if frame.state(index) == OPEN:
        raise DoesNotFit(f"the lists of node {index} of frame {frame.id} were cut before")
    for count, parts in chunks:
        if not 1 <= count <= MOST_ITEMS or len(parts) != len(spec.mapped):
            raise DoesNotFit(f"node {index} of frame {frame.id} maps over other lists")


def _check_opened(state: State, frame: Frame, index: int, event: Event) -> None:
    mapping = state.maps.get((frame.id, index))
    if mapping is None or not mapping.has_more:
        raise DoesNotFit(f"node {index} of frame {frame.id} has no chunk to open")


# --- snapshots ---


def _dump(state: State) -> list[Any]:
    return [_row(key, mapping) for key, mapping in sorted(state.maps.items())]


def _row(key: Key, mapping: Mapping) -> list[Any]:
    chunks = [None if chunk is None else [tree_of(part) for part in chunk[1]] for chunk in mapping.chunks]
    results = [None if value is None else tree_of(value) for value in mapping.results]
    worst = None if mapping.worst is None else [mapping.worst[0], mapping.worst[1].to_tree()]
    return [*key, mapping.counts, chunks, mapping.next, mapping.first, results, mapping.ended, mapping.failed, worst]


def _load(state: State, rows: list[Any], read_failed: ReadFailed) -> None:
    for row in rows:
        id, index, counts, chunks, next_one, first, results, ended, failed, worst = fields.items(row, 10)
        cut: list[tuple[int, list[Value]] | None] = [
            None if chunk is None else (count, [value_of(part) for part in fields.items(chunk)])
            for count, chunk in zip(fields.counts(counts), fields.items(chunks), strict=True)
        ]
        mapping = state.maps[id, index] = Mapping(state.frames[id], fields.count(index), cut, fields.counts(counts))
        mapping.next, mapping.first, mapping.ended, mapping.failed = fields.counts([next_one, first, ended, failed])
        mapping.results = [None if value is None else value_of(value) for value in fields.items(results)]
        mapping.worst = None if worst is None else (fields.count(worst[0]), read_failed(worst[1]))
        if len(mapping.results) != len(cut) or mapping.next > len(cut):
            raise ValueError("a map has other results than chunks")


def loaded(state: State) -> None:
    """After a snapshot: maps whose items have all ended go on from there."""
    for frame in state.frames.values():
        if frame.part is None:
            continue
        mapping = mapping_of(state.maps, frame)
        mapping.open[frame.part.number] = frame
        if frame.mixed and not any(frame.state(one) in (PENDING, OPEN) for one in range(frame.topology.count)):
            mapping.kept[frame.part.number] = frame
    for mapping in list(state.maps.values()):
        _go_on(state, mapping)


MAPS: Final = Kind(
    events={NODE_DONE: take_done, ITEMS: _take_items, OPENED: _take_opened, **FAILS},
    checks={ITEMS: _check_items, OPENED: _check_opened},
    answered=_answered,
    dump=_dump,
    load=_load,
)
