"""The events of a run, as small tuples: the scheduler makes them, the journal keeps them, replay and readers take them.

Each event begins with its kind. Frames are small integers, nodes are indices; a joint has an index behind the nodes'.
`meta` is ``(started µs since the run's creation, duration µs, worker, attempt, log)``; `log` is None or ``(key, offset,
length)``. The attempt is 0 if a cached outcome was taken, so that no body began.

============== ===================================================================================================
kind           fields
============== ===================================================================================================
NODE_DONE      frame, index, value, meta
DONE_ROW       frame, first index, [value], [started], [duration], worker: neighbours of one frame without logs, first
               attempts
EXPANDED       frame of the dynamic node, index, id of the frame opened, futures file, whether it is one iteration, meta
OPENED         frame, index, id of the frame opened: a nested plan, a map's next chunk, a fallback
NODE_FAILED    frame, index, failure, meta
RESUMED        epoch, host, pid, limits, time: an executor began to work on the run, the first one too
CODE           name of a callable, old digest, new digest: changed since the run began
ENDED          state, reason, outputs by name
SNAPSHOT       the scheduler's whole state, a value; replay begins at the newest
RETRIED        frame, index, failure, meta, delay in s, when it is over (s since the epoch): an attempt failed, another
               one follows
PAUSED         reason, time: nothing new starts
UNPAUSED       time
LOOPED         frame, index, iteration that ended, payload, meta: its next iteration follows
NODE_SKIPPED   frame, index, reason, meta
STOPPED_BY     frame, index, reason, meta: a task cancelled the run
CHOSEN         frame of the branch, index, arm or -1, id of the frame opened or -1, meta
ITEMS          frame of the map, index, [count, [part of each list]] of each chunk, meta
GATED          frame, index, when it is over (s since the epoch; 0 for never): a gate waits
COLLAPSED      id of a frame that failed: the node it stands for has failed
CYCLE_ENDED    frame, index, why: "stop", "until" or "points": a cycle has its value
CYCLES_STOP    number: no round of a cycle goes beyond this number, whatever it was before
AWAITED        frame, index, moment, [node] of whose end the body was told, id of the frame opened or -1, futures file
               or nil, whether the body has ended, [node] for which it waits anew, the moment for which it waits or nil,
               the digest of the body's code from now on or nil, meta: the body of an async dynamic went on as far as it
               could. A moment is in s since the epoch; a node is [number of its segment, index]
SIGNALLED      frame, index, outcome ([kind, payload]), the body's requests of its run, id of the frame opened or -1,
               meta
============== ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any, Final

from promissory.executor.protocol import decoding as fields
from promissory.planner.plan.model import Value
from promissory.typesys.canonical import has_parts
from promissory.typesys.older_names import name_today


class EventKind(IntEnum):
    """The kinds of events. Their numbers stand in journals."""

    NODE_DONE = 0
    DONE_ROW = 1
    EXPANDED = 2
    OPENED = 3
    NODE_FAILED = 4
    RESUMED = 5
    CODE = 6
    ENDED = 7
    SNAPSHOT = 8
    RETRIED = 9
    PAUSED = 10
    UNPAUSED = 11
    LOOPED = 12
    NODE_SKIPPED = 13
    STOPPED_BY = 14
    CHOSEN = 15
    ITEMS = 16
    GATED = 17
    COLLAPSED = 18
    SIGNALLED = 19
    CYCLE_ENDED = 20
    CYCLES_STOP = 21
    AWAITED = 22


NODE_DONE: Final = EventKind.NODE_DONE
DONE_ROW: Final = EventKind.DONE_ROW
EXPANDED: Final = EventKind.EXPANDED
OPENED: Final = EventKind.OPENED
NODE_FAILED: Final = EventKind.NODE_FAILED
RESUMED: Final = EventKind.RESUMED
CODE: Final = EventKind.CODE
ENDED: Final = EventKind.ENDED
SNAPSHOT: Final = EventKind.SNAPSHOT
RETRIED: Final = EventKind.RETRIED
PAUSED: Final = EventKind.PAUSED
UNPAUSED: Final = EventKind.UNPAUSED
LOOPED: Final = EventKind.LOOPED
NODE_SKIPPED: Final = EventKind.NODE_SKIPPED
STOPPED_BY: Final = EventKind.STOPPED_BY
CHOSEN: Final = EventKind.CHOSEN
ITEMS: Final = EventKind.ITEMS
GATED: Final = EventKind.GATED
COLLAPSED: Final = EventKind.COLLAPSED
SIGNALLED: Final = EventKind.SIGNALLED
CYCLE_ENDED: Final = EventKind.CYCLE_ENDED
CYCLES_STOP: Final = EventKind.CYCLES_STOP
AWAITED: Final = EventKind.AWAITED

OF_NODES: Final = frozenset(
    (
        NODE_DONE,
        EXPANDED,
        OPENED,
        NODE_FAILED,
        RETRIED,
        LOOPED,
        NODE_SKIPPED,
        STOPPED_BY,
        CHOSEN,
        ITEMS,
        GATED,
        SIGNALLED,
        CYCLE_ENDED,
        AWAITED,
    )
)
"""The events that tell of a node, whose frame and index are the next two fields."""

Event = tuple[Any, ...]
"""A kind, and the kind's fields. A plain tuple, taken apart by names where it is read: a run makes one for each node,
and a `NamedTuple` costs five times as much to make."""

Meta = tuple[int, int, str, int, Any]
"""When a body began (µs since the run's creation), how long it ran (µs), its worker, attempt and log."""

NO_META: Final[Meta] = (0, 0, "", 1, None)


def compact(events: Iterable[Event]) -> list[Any]:
    """Events as trees for a segment. Neighbours that are done one after the other become one columnar event.

    >>> first = (NODE_DONE, 1, 4, b"a", (10, 2, "w", 1, None))
    >>> [[kind, *row]] = compact([first, (NODE_DONE, 1, 5, b"b", (12, 2, "w", 1, None))])
    >>> kind.name, row
    ('DONE_ROW', [1, 4, [b'a', b'b'], [10, 12], [2, 2], 'w'])
    """
    trees: list[Any] = []
    row: list[Any] | None = None
    for event in events:
        if event[0] != NODE_DONE:
            row = None
            trees.append(_tree(event))
            continue
        _, frame, index, value, (started, duration, worker, attempt, log) = event
        if log is not None or attempt != 1:
            row = None
            trees.append([NODE_DONE, frame, index, tree_of(value), [started, duration, worker, attempt, log]])
        elif row is not None and row[1] == frame and row[6] == worker and row[2] + len(row[3]) == index:
            row[3].append(tree_of(value))
            row[4].append(started)
            row[5].append(duration)
        else:
            row = [DONE_ROW, frame, index, [tree_of(value)], [started], [duration], worker]
            trees.append(row)
    return trees


def _tree(event: Event) -> list[Any]:
    kind = event[0]
    if kind == SNAPSHOT:
        return [SNAPSHOT, tree_of(event[1])]
    if kind == LOOPED:
        _, frame, index, iteration, payload, meta = event
        return [LOOPED, frame, index, iteration, tree_of(payload), meta]
    if kind == SIGNALLED:
        _, frame, index, (outcome, payload), asked, child, meta = event
        told = tree_of(payload) if outcome in ("value", "loop") else payload
        return [SIGNALLED, frame, index, [outcome, told], asked, child, meta]
    return list(event)


def tree_of(value: Value) -> Any:
    """A value as it stands in an event or outcome."""
    return value if isinstance(value, bytes) else value.tree


def with_names_of_today(event: Event) -> Event:
    """An event whose failure names exception classes of this package as they were called before they had public names,
    with their public names."""
    if event[0] not in (NODE_FAILED, RETRIED):
        return event
    kind, frame, index, failure, *more = event
    return (kind, frame, index, failure_with_names_of_today(failure), *more)


def failure_with_names_of_today(tree: list[Any]) -> list[Any]:
    """A failure's tree with the public names of this package's exception classes."""
    if len(tree) < 7:
        return tree
    return [*tree[:5], [name_today(name) for name in tree[5]], *tree[6:]]


def futures_of(event: Event) -> bytes | None:
    """The futures file that an event holds; None if it holds none."""
    if event[0] == EXPANDED:
        _, _, _, _, data, _, _ = event
        return bytes(data)
    if event[0] == AWAITED:
        _, _, _, _, _, _, futures, *_ = event
        return None if futures is None else bytes(futures)
    if event[0] == SIGNALLED:
        _, _, _, (outcome, payload), asked, child, _ = event
        return bytes(payload) if outcome == "futures" else asked.get("futures") if child >= 0 else None
    return None


OPENING: Final = {EXPANDED: 3, OPENED: 3, CHOSEN: 4, SIGNALLED: 5, AWAITED: 5}
"""The position of the new frame's number in events that open a frame; the number is below 0 if none was opened."""


def begins_iteration(event: Event) -> bool:
    """Whether an event begins a node's next iteration, or the frame that the node emitted for it."""
    kind = event[0]
    if kind == EXPANDED:
        _, _, _, _, _, loops, _ = event
        return bool(loops)
    if kind == SIGNALLED:
        _, _, _, (outcome, _), asked, _, _ = event
        return outcome == "loop" or bool(asked.get("loops"))
    return bool(kind == LOOPED)


def values_of(event: Event) -> Iterator[Value]:
    """The values that an event names, apart from those of its futures file."""
    kind = event[0]
    if kind == NODE_DONE:
        _, _, _, value, _ = event
        yield value
    elif kind == LOOPED:
        _, _, _, _, payload, _ = event
        yield payload
    elif kind == SIGNALLED:
        _, _, _, (outcome, payload), _, _, _ = event
        if outcome in ("value", "loop"):
            yield payload
    elif kind == ITEMS:
        _, _, _, chunks, _ = event
        for _, parts in chunks:
            yield from map(value_of, parts)


def may_name_objects(event: Event) -> bool:
    """Whether an event may name objects or parts in the store. Most events are of nodes whose results are small."""
    return event[0] != NODE_DONE or event[3].__class__ is not bytes or has_parts(event[3])


def meta_of(event: Event) -> Meta | None:
    """The meta of the body whose end an event records; None if it records none."""
    found: Meta | None = event[_META_AT[event[0]]] if event[0] in _META_AT else None
    return found


_META_AT: Final = {
    NODE_DONE: 4,
    EXPANDED: 6,
    NODE_FAILED: 4,
    RETRIED: 4,
    LOOPED: 5,
    NODE_SKIPPED: 4,
    STOPPED_BY: 4,
    CHOSEN: 5,
    ITEMS: 4,
    SIGNALLED: 6,
    AWAITED: 11,
}


def value_of(tree: Any) -> Value:
    """The value that a tree in an event or outcome stands for. Raises `ValueError` for a tree that stands for none."""
    return tree if tree.__class__ is bytes else fields.value(tree)
