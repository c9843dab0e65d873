"""The events of a segment, decoded and checked: a journal may be damaged, so every field of an event is checked.

`promissory.executor.protocol.events` has the kinds of events and their fields, and makes the trees that this module
decodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import (
    AWAITED,
    CHOSEN,
    CODE,
    COLLAPSED,
    CYCLE_ENDED,
    CYCLES_STOP,
    DONE_ROW,
    ENDED,
    EXPANDED,
    GATED,
    ITEMS,
    LOOPED,
    NODE_DONE,
    NODE_FAILED,
    NODE_SKIPPED,
    OPENED,
    PAUSED,
    RESUMED,
    RETRIED,
    SIGNALLED,
    SNAPSHOT,
    STOPPED_BY,
    UNPAUSED,
    Event,
    Meta,
)
from promissory.executor.store.keys import is_log


def spread(trees: Any) -> Iterator[Event]:
    """The events of a segment, one by one; undoes `compact`. Raises `ValueError` for a tree that is no event."""
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
                    NODE_DONE,
                    frame,
                    first + offset,
                    value if value.__class__ is bytes else fields.value(value),
                    (started, duration, worker, 1, None),
                )
        elif isinstance(kind, int) and kind.__class__ is not bool and kind in _CHECKED:
            yield _CHECKED[kind](tree)
        else:
            raise ValueError(f"an event of the unknown kind {fields.shown(kind)}")


def _done(tree: list[Any]) -> Event:
    _, frame, index, value, meta = fields.items(tree, 5)
    return NODE_DONE, fields.count(frame), fields.count(index), fields.value(value), _meta(meta)


def _expanded(tree: list[Any]) -> Event:
    loops = False
    if len(tree) == 6:  # versions 1 and 2 of the journal have no iterations
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
    return NODE_FAILED, fields.count(frame), fields.count(index), _failure(failure), _meta(meta)


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
            if value is not None:  # None stands for an output that the run does not have
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


def _cycle_ended(tree: list[Any]) -> Event:
    _, frame, index, why = fields.items(tree, 4)
    if why not in ("stop", "until", "points"):
        raise ValueError(f"a cycle that ends because of {fields.shown(why)}")
    return CYCLE_ENDED, fields.count(frame), fields.count(index), why


def _cycles_stop(tree: list[Any]) -> Event:
    return CYCLES_STOP, fields.whole(fields.items(tree, 2)[1])


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
    """A body's requests of its run, checked, as `promissory.executor.scheduler.requests` has them. Raises `ValueError`
    for anything else."""
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
    return dict(sorted(asked.items()))  # the keys of a canonical map stand in order


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
        mro, after, *told = rest
        if told:
            fields.counts(fields.items(told, 1))
        for name in fields.items(mro):
            fields.text(name)
        if after is not None:
            fields.seconds(after)
    return list(tree)


def _awaited(tree: list[Any]) -> Event:
    _, frame, index, now, told, child, futures, ends, awaited, due, code, meta = fields.items(tree, 12)
    if child.__class__ is not int or child < -1:
        raise ValueError("a frame whose number is none")
    return (
        AWAITED,
        fields.count(frame),
        fields.count(index),
        fields.seconds(now),
        [fields.counts(fields.items(one, 2)) for one in fields.items(told)],
        child,
        None if futures is None else fields.data(futures),
        fields.truth(ends),
        [fields.counts(fields.items(one, 2)) for one in fields.items(awaited)],
        None if due is None else fields.seconds(due),
        None if code is None else fields.data(code),
        _meta(meta),
    )


_CHECKED: Final[dict[int, Callable[[list[Any]], Event]]] = {
    NODE_DONE: _done,
    EXPANDED: _expanded,
    OPENED: _opened,
    NODE_FAILED: _failed,
    RETRIED: _retried,
    RESUMED: _resumed,
    CODE: _code,
    ENDED: _ended,
    SNAPSHOT: _snapshot,
    PAUSED: _paused,
    UNPAUSED: _unpaused,
    LOOPED: _looped,
    NODE_SKIPPED: _reasoned,
    STOPPED_BY: _reasoned,
    CHOSEN: _chosen,
    ITEMS: _items,
    GATED: _gated,
    COLLAPSED: _collapsed,
    SIGNALLED: _signalled,
    CYCLE_ENDED: _cycle_ended,
    CYCLES_STOP: _cycles_stop,
    AWAITED: _awaited,
}
