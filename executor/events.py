"""What happened in a run, as small tuples: the scheduler makes them, the journal keeps them, replay and readers take them.

Each begins with its kind. Frames are small integers, nodes are indices; a joint has an index behind the nodes'. `meta` is
``(started µs since the run's creation, duration µs, worker, attempt, log)``; `log` is None or ``(key, offset, length)``. The attempt is 0 where a
cached outcome was taken, so that no body began.

============== ===================================================================================================
kind           fields
============== ===================================================================================================
DONE           frame, index, value, meta
DONE_ROW       frame, first index, [value], [started], [duration], worker: neighbours of one frame without logs, first attempts
EXPANDED       frame of the dynamic node, index, id of the frame opened, futures file, meta
OPENED         frame, index, id of the frame opened: a nested plan
FAILED         frame, index, failure, meta
RESUMED        epoch, host, pid, limits, time: an executor began to work on the run, the first one too
CODE           name of a callable, old digest, new digest: changed since the run began
ENDED          state, reason, outputs by name
SNAPSHOT       the scheduler's whole state, a value; replay begins at the newest
RETRIED        frame, index, failure, meta, delay in s, when it is over (s since the epoch): an attempt failed, another one follows
PAUSED         reason, time: nothing new starts
UNPAUSED       time
============== ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from planner.plan import Large, Value

DONE, DONE_ROW, EXPANDED, OPENED, FAILED, RESUMED, CODE, ENDED, SNAPSHOT, RETRIED, PAUSED, UNPAUSED = range(12)

Event = tuple[Any, ...]
Meta = tuple[int, int, str, int, Any]

NO_META: Final[Meta] = (0, 0, "", 1, None)
_AS_THEY_STAND: Final = frozenset((EXPANDED, OPENED, FAILED, RESUMED, CODE, ENDED, RETRIED, PAUSED, UNPAUSED))


def compact(events: Iterable[Event]) -> list[Any]:
    """Events as trees for a segment; runs of neighbours that are done become one columnar event.

    >>> compact([(DONE, 1, 4, b"a", (10, 2, "w", 1, None)), (DONE, 1, 5, b"b", (12, 2, "w", 1, None))])
    [[1, 1, 4, [b'a', b'b'], [10, 12], [2, 2], 'w']]
    """
    trees: list[Any] = []
    row: list[Any] | None = None
    for event in events:
        if event[0] != DONE:
            row = None
            trees.append([SNAPSHOT, tree_of(event[1])] if event[0] == SNAPSHOT else list(event))
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


def tree_of(value: Value) -> Any:
    """A value as it stands in an event or outcome."""
    return value if isinstance(value, bytes) else [value.digest, value.size]


def spread(trees: Iterable[Any]) -> Iterator[Event]:
    """The events of a segment, one by one; undoes `compact`."""
    for tree in trees:
        kind = tree[0]
        if kind == DONE_ROW:
            _, frame, first, values, starts, durations, worker = tree
            for offset, (value, started, duration) in enumerate(zip(values, starts, durations, strict=True)):
                yield DONE, frame, first + offset, value_of(value), (started, duration, worker, 1, None)
        elif kind == DONE:
            yield DONE, tree[1], tree[2], value_of(tree[3]), tuple(tree[4])
        elif kind == SNAPSHOT:
            yield SNAPSHOT, value_of(tree[1])
        elif kind in _AS_THEY_STAND:
            yield tuple(tree)
        else:
            raise ValueError(f"an event of the unknown kind {kind!r}")


def value_of(tree: Any) -> Value:
    """The value that a tree in an event or outcome stands for."""
    return tree if tree.__class__ is bytes else Large(tree[0], tree[1])
