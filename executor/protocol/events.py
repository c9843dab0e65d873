"""What happened in a run, as small tuples: the scheduler makes them, the journal keeps them, replay and readers take them.

Each begins with its kind. Frames are small integers, nodes are indices; a joint has an index behind the nodes'. `meta` is
``(started µs since the run's creation, duration µs, worker, attempt, log)``; `log` is None or ``(key, offset, length)``. The attempt is 0 where a
cached outcome was taken, so that no body began.

============== ===================================================================================================
kind           fields
============== ===================================================================================================
DONE           frame, index, value, meta
DONE_ROW       frame, first index, [value], [started], [duration], worker: neighbours of one frame without logs, first attempts
EXPANDED       frame of the dynamic node, index, id of the frame opened, futures file, whether it is one iteration, meta
OPENED         frame, index, id of the frame opened: a nested plan, a map's next chunk, a fallback
FAILED         frame, index, failure, meta
RESUMED        epoch, host, pid, limits, time: an executor began to work on the run, the first one too
CODE           name of a callable, old digest, new digest: changed since the run began
ENDED          state, reason, outputs by name
SNAPSHOT       the scheduler's whole state, a value; replay begins at the newest
RETRIED        frame, index, failure, meta, delay in s, when it is over (s since the epoch): an attempt failed, another one follows
PAUSED         reason, time: nothing new starts
UNPAUSED       time
LOOPED         frame, index, iteration that ended, payload, meta: its next iteration follows
SKIPPED        frame, index, reason, meta
STOPPED_BY     frame, index, reason, meta: a task cancelled the run
CHOSEN         frame of the branch, index, arm or -1, id of the frame opened or -1, meta
ITEMS          frame of the map, index, [count, [part of each list]] of each chunk, meta
GATED          frame, index, when it is over (s since the epoch; 0 for never): a gate waits
COLLAPSED      id of a frame that failed: the node it stands for has failed
SIGNALLED      frame, index, outcome ([kind, payload]), what the body asked of its run, id of the frame opened or -1, meta
============== ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from promissory.executor.protocol import decoding as fields
from promissory.executor.store.keys import is_log
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
    """Events as trees for a segment; runs of neighbours that are done become one columnar event.

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


def spread(trees: Any) -> Iterator[Event]:
    """The events of a segment, one by one; undoes `compact`. Raises `ValueError` for what is no event."""
    for tree in fields.items(trees):
        kind = tree[0] if tree.__class__ is list and tree else None
        if kind == DONE_ROW:
            _, frame, first, values, starts, durations, worker = fields.items(tree, 7)
            fields.count(frame), fields.count(first), fields.text(worker)
            for offset, (value, started, duration) in enumerate(
                zip(fields.items(values), fields.items(starts), fields.items(durations), strict=True)
            ):
                if started.__class__ is not int or duration.__class__ is not int:
                    raise ValueError("a time that is no whole number")
                yield (
                    DONE,
                    frame,
                    first + offset,
                    value if value.__class__ is bytes else fields.value(value),
                    (started, duration, worker, 1, None),
                )
        elif kind.__class__ is int and kind in _CHECKED:
            yield _CHECKED[kind](tree)
        else:
            raise ValueError(f"an event of the unknown kind {fields.shown(kind)}")


def _done(tree: list[Any]) -> Event:
    _, frame, index, value, meta = fields.items(tree, 5)
    return DONE, fields.count(frame), fields.count(index), fields.value(value), _meta(meta)


def _expanded(tree: list[Any]) -> Event:
    loops = False
    if len(tree) == 6:  # versions 1 and 2 of the journal know no iterations
        _, frame, index, child, futures, meta = tree
    else:
        _, frame, index, child, futures, loops, meta = fields.items(tree, 7)
    return (
        EXPANDED,
        fields.count(frame),
        fields.count(index),
        fields.count(child),
        fields.data(futures),
        fields.truth(loops),
        _meta(meta),
    )


def _opened(tree: list[Any]) -> Event:
    _, frame, index, child = fields.items(tree, 4)
    return OPENED, fields.count(frame), fields.count(index), fields.count(child)


def _failed(tree: list[Any]) -> Event:
    _, frame, index, failure, meta = fields.items(tree, 5)
    return FAILED, fields.count(frame), fields.count(index), _failure(failure), _meta(meta)


def _retried(tree: list[Any]) -> Event:
    _, frame, index, failure, meta, delay, due = fields.items(tree, 7)
    return (
        RETRIED,
        fields.count(frame),
        fields.count(index),
        _failure(failure),
        _meta(meta),
        fields.seconds(delay),
        fields.seconds(due),
    )


def _resumed(tree: list[Any]) -> Event:
    _, epoch, host, pid, limits, moment = fields.items(tree, 6)
    return (
        RESUMED,
        fields.count(epoch),
        fields.text(host),
        fields.whole(pid),
        fields.counts(fields.items(limits, 3)),
        fields.whole(moment),
    )


def _code(tree: list[Any]) -> Event:
    _, name, old, new = fields.items(tree, 4)
    return CODE, fields.text(name), fields.data(old), fields.data(new)


def _ended(tree: list[Any]) -> Event:
    _, state, reason, outputs = fields.items(tree, 4)
    if outputs is not None:
        for value in fields.items(outputs):
            if value is not None:  # an output that the run does not have
                fields.value(value)
    return ENDED, fields.text(state), fields.text(reason), outputs


def _snapshot(tree: list[Any]) -> Event:
    return SNAPSHOT, fields.value(fields.items(tree, 2)[1])


def _paused(tree: list[Any]) -> Event:
    _, reason, moment = fields.items(tree, 3)
    return PAUSED, fields.text(reason), fields.whole(moment)


def _unpaused(tree: list[Any]) -> Event:
    return UNPAUSED, fields.whole(fields.items(tree, 2)[1])


def _looped(tree: list[Any]) -> Event:
    _, frame, index, iteration, payload, meta = fields.items(tree, 6)
    return LOOPED, fields.count(frame), fields.count(index), fields.count(iteration), fields.value(payload), _meta(meta)


def _reasoned(tree: list[Any]) -> Event:
    kind, frame, index, reason, meta = fields.items(tree, 5)
    return kind, fields.count(frame), fields.count(index), fields.text(reason), _meta(meta)


def _chosen(tree: list[Any]) -> Event:
    _, frame, index, arm, child, meta = fields.items(tree, 6)
    return CHOSEN, fields.count(frame), fields.count(index), fields.whole(arm), fields.whole(child), _meta(meta)


def _items(tree: list[Any]) -> Event:
    _, frame, index, chunks, meta = fields.items(tree, 5)
    for chunk in fields.items(chunks):
        count, parts = fields.items(chunk, 2)
        fields.count(count)
        for part in fields.items(parts):
            fields.value(part)
    return ITEMS, fields.count(frame), fields.count(index), chunks, _meta(meta)


def _gated(tree: list[Any]) -> Event:
    _, frame, index, due = fields.items(tree, 4)
    return GATED, fields.count(frame), fields.count(index), fields.seconds(due)


def _collapsed(tree: list[Any]) -> Event:
    return COLLAPSED, fields.count(fields.items(tree, 2)[1])


def _signalled(tree: list[Any]) -> Event:
    _, frame, index, outcome, asked, child, meta = fields.items(tree, 7)
    kind, payload = fields.items(outcome, 2)
    if kind not in ("value", "futures", "loop", "skip", "ended") or not isinstance(asked, dict):
        raise ValueError(f"an outcome of the unknown kind {fields.shown(kind)}")
    if kind == "futures":
        fields.data(payload)
    elif kind == "skip":
        fields.text(payload)
    elif kind == "ended" and payload is not None:
        raise ValueError("a value of a body that has none")
    elif kind != "ended":
        payload = fields.value(payload)
    return (
        SIGNALLED,
        fields.count(frame),
        fields.count(index),
        (kind, payload),
        check_asked(asked),
        fields.whole(child),
        _meta(meta),
    )


def check_asked(asked: dict[str, Any]) -> dict[str, Any]:
    """What a body asked of its run, as `promissory.executor.scheduler.requests` has it. Raises `ValueError` for what is none of that."""
    for key, value in asked.items():
        if key == "writes":
            for operation, name, data in (fields.items(one, 3) for one in fields.items(value)):
                if operation not in ("set", "add", "append"):
                    raise ValueError(f"an operation of the unknown kind {fields.shown(operation)}")
                fields.text(name), fields.data(data)
        elif key == "terminate":
            reason, outputs = fields.items(value, 2)
            fields.text(reason)
            if outputs is not None:
                fields.data(outputs)
        elif key == "next":
            for target in fields.items(value):
                name, call, node = fields.items(target, 3)
                fields.text(name), fields.whole(call), fields.whole(node)
        elif key == "goto":
            fields.count(value)
        elif key == "futures":
            fields.data(value)
        elif key in ("loops", "read"):
            fields.truth(value)
        else:
            raise ValueError(f"something unknown is asked: {fields.shown(key)}")
    return dict(sorted(asked.items()))  # a map's keys stand in order


def _meta(tree: Any) -> Meta:
    started, duration, worker, attempt, log = fields.items(tree, 5)
    if log is not None:
        key, offset, length = fields.items(log, 3)
        if not is_log(fields.text(key)) or ".." in key.split("/"):
            raise ValueError(f"{fields.shown(key)} is no log")
        fields.count(offset), fields.count(length)
    return fields.whole(started), fields.whole(duration), fields.text(worker), fields.count(attempt), log


def _failure(tree: Any) -> list[Any]:
    kind, type_name, message, trace, pickled, *rest = fields.items(tree)
    for one in (kind, type_name, message, trace):
        fields.text(one)
    if pickled is not None:
        fields.data(pickled)
    if rest:
        mro, after = rest
        for name in fields.items(mro):
            fields.text(name)
        if after is not None:
            fields.seconds(after)
    return list(tree)


_CHECKED: Final[dict[int, Callable[[list[Any]], Event]]] = {
    DONE: _done,
    EXPANDED: _expanded,
    OPENED: _opened,
    FAILED: _failed,
    RETRIED: _retried,
    RESUMED: _resumed,
    CODE: _code,
    ENDED: _ended,
    SNAPSHOT: _snapshot,
    PAUSED: _paused,
    UNPAUSED: _unpaused,
    LOOPED: _looped,
    SKIPPED: _reasoned,
    STOPPED_BY: _reasoned,
    CHOSEN: _chosen,
    ITEMS: _items,
    GATED: _gated,
    COLLAPSED: _collapsed,
    SIGNALLED: _signalled,
}


def with_names_of_today(event: Event) -> Event:
    """A failure that names exception classes of this package as they were called before they had public names, with today's."""
    if event[0] not in (FAILED, RETRIED):
        return event
    return (*event[:3], failure_with_names_of_today(event[3]), *event[4:])


def failure_with_names_of_today(tree: list[Any]) -> list[Any]:
    """A failure's tree with today's names of exception classes."""
    if len(tree) < 7:
        return tree
    return [*tree[:5], [name_today(name) for name in tree[5]], *tree[6:]]


def futures_of(event: Event) -> bytes | None:
    """The futures file that an event brings, if it brings one."""
    if event[0] == EXPANDED:
        return bytes(event[4])
    if event[0] == SIGNALLED:
        outcome, payload = event[3]
        return bytes(payload) if outcome == "futures" else event[4].get("futures") if event[5] >= 0 else None
    return None


OPENING: Final = {EXPANDED: 3, OPENED: 3, CHOSEN: 4, SIGNALLED: 5}
"""Where the events that open a frame have its number; below 0 if one opens none."""


def begins_iteration(event: Event) -> bool:
    """Whether with an event a node begins its next iteration, or what it has emitted for that."""
    kind = event[0]
    return (
        kind == LOOPED
        or (kind == EXPANDED and event[5])
        or (kind == SIGNALLED and (event[3][0] == "loop" or bool(event[4].get("loops"))))
    )


def values_of(event: Event) -> Iterator[Value]:
    """The values that an event names, beside those of its futures file."""
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
    """When and where the body ran that an event tells of; None if it tells of none."""
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
    """The value that a tree in an event or outcome stands for. Raises `ValueError` for what is none."""
    return tree if tree.__class__ is bytes else fields.value(tree)
