"""The events of a run, as small tuples: the scheduler makes them, the journal keeps them, replay and readers take them.

Each event begins with its kind. Frames are small integers, nodes are indices; a joint has an index behind the nodes'.
`meta` is ``(started µs since the run's creation, duration µs, worker, attempt, log)``; `log` is None or ``(key, offset,
length)``. The attempt is 0 if a cached outcome was taken, so that no body began.

============== ===================================================================================================
kind           fields
============== ===================================================================================================
DONE           frame, index, value, meta
DONE_ROW       frame, first index, [value], [started], [duration], worker: neighbours of one frame without logs, first
               attempts
EXPANDED       frame of the dynamic node, index, id of the frame opened, futures file, whether it is one iteration, meta
OPENED         frame, index, id of the frame opened: a nested plan, a map's next chunk, a fallback
FAILED         frame, index, failure, meta
RESUMED        epoch, host, pid, limits, time: an executor began to work on the run, the first one too
CODE           name of a callable, old digest, new digest: changed since the run began
ENDED          state, reason, outputs by name
SNAPSHOT       the scheduler's whole state, a value; replay begins at the newest
RETRIED        frame, index, failure, meta, delay in s, when it is over (s since the epoch): an attempt failed, another
               one follows
PAUSED         reason, time: nothing new starts
UNPAUSED       time
LOOPED         frame, index, iteration that ended, payload, meta: its next iteration follows
SKIPPED        frame, index, reason, meta
STOPPED_BY     frame, index, reason, meta: a task cancelled the run
CHOSEN         frame of the branch, index, arm or -1, id of the frame opened or -1, meta
ITEMS          frame of the map, index, [count, [part of each list]] of each chunk, meta
GATED          frame, index, when it is over (s since the epoch; 0 for never): a gate waits
COLLAPSED      id of a frame that failed: the node it stands for has failed
SIGNALLED      frame, index, outcome ([kind, payload]), the body's requests of its run, id of the frame opened or -1,
               meta
============== ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from promissory.executor.protocol import decoding as fields
from promissory.planner.plan.model import Value
from promissory.typesys.older_names import name_today

(
    DONE,
    DONE_ROW,
    EXPANDED,
    OPENED,
    FAILED,
    RESUMED,
    CODE,
    ENDED,
    SNAPSHOT,
    RETRIED,
    PAUSED,
    UNPAUSED,
    LOOPED,
    SKIPPED,
    STOPPED_BY,
    CHOSEN,
    ITEMS,
    GATED,
    COLLAPSED,
    SIGNALLED,
) = range(20)

Event = tuple[Any, ...]
Meta = tuple[int, int, str, int, Any]

NO_META: Final[Meta] = (0, 0, "", 1, None)


def compact(events: Iterable[Event]) -> list[Any]:
    """Events as trees for a segment. Neighbours that are done one after the other become one columnar event.

    >>> compact([(DONE, 1, 4, b"a", (10, 2, "w", 1, None)), (DONE, 1, 5, b"b", (12, 2, "w", 1, None))])
    [[1, 1, 4, [b'a', b'b'], [10, 12], [2, 2], 'w']]
    """
    trees: list[Any] = []
    row: list[Any] | None = None
    for event in events:
        if event[0] != DONE:
            row = None
            trees.append(_tree(event))
            continue
        _, frame, index, value, (started, duration, worker, attempt, log) = event
        if log is not None or attempt != 1:
            row = None
            trees.append([DONE, frame, index, tree_of(value), [started, duration, worker, attempt, log]])
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
        return [*event[:4], tree_of(event[4]), event[5]]
    if kind == SIGNALLED:
        outcome, payload = event[3]
        return [*event[:3], [outcome, tree_of(payload) if outcome in ("value", "loop") else payload], *event[4:]]
    return list(event)


def tree_of(value: Value) -> Any:
    """A value as it stands in an event or outcome."""
    return value if isinstance(value, bytes) else [value.digest, value.size]


def with_names_of_today(event: Event) -> Event:
    """An event whose failure names exception classes of this package as they were called before they had public names,
    with their public names."""
    if event[0] not in (FAILED, RETRIED):
        return event
    return (*event[:3], failure_with_names_of_today(event[3]), *event[4:])


def failure_with_names_of_today(tree: list[Any]) -> list[Any]:
    """A failure's tree with the public names of this package's exception classes."""
    if len(tree) < 7:
        return tree
    return [*tree[:5], [name_today(name) for name in tree[5]], *tree[6:]]


def futures_of(event: Event) -> bytes | None:
    """The futures file that an event holds; None if it holds none."""
    if event[0] == EXPANDED:
        return bytes(event[4])
    if event[0] == SIGNALLED:
        outcome, payload = event[3]
        return bytes(payload) if outcome == "futures" else event[4].get("futures") if event[5] >= 0 else None
    return None


OPENING: Final = {EXPANDED: 3, OPENED: 3, CHOSEN: 4, SIGNALLED: 5}
"""The position of the new frame's number in events that open a frame; the number is below 0 if none was opened."""


def begins_iteration(event: Event) -> bool:
    """Whether an event begins a node's next iteration, or the frame that the node emitted for it."""
    kind = event[0]
    return (
        kind == LOOPED
        or (kind == EXPANDED and event[5])
        or (kind == SIGNALLED and (event[3][0] == "loop" or bool(event[4].get("loops"))))
    )


def values_of(event: Event) -> Iterator[Value]:
    """The values that an event names, apart from those of its futures file."""
    kind = event[0]
    if kind == DONE:
        yield event[3]
    elif kind == LOOPED:
        yield event[4]
    elif kind == SIGNALLED and event[3][0] in ("value", "loop"):
        yield event[3][1]
    elif kind == ITEMS:
        for _, parts in event[3]:
            yield from map(value_of, parts)


def meta_of(event: Event) -> Meta | None:
    """The meta of the body whose end an event records; None if it records none."""
    found: Meta | None = event[_META_AT[event[0]]] if event[0] in _META_AT else None
    return found


_META_AT: Final = {
    DONE: 4,
    EXPANDED: 6,
    FAILED: 4,
    RETRIED: 4,
    LOOPED: 5,
    SKIPPED: 4,
    STOPPED_BY: 4,
    CHOSEN: 5,
    ITEMS: 4,
    SIGNALLED: 6,
}


def value_of(tree: Any) -> Value:
    """The value that a tree in an event or outcome stands for. Raises `ValueError` for a tree that stands for none."""
    return tree if tree.__class__ is bytes else fields.value(tree)
