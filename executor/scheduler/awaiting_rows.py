"""The rows of a snapshot that tell of async dynamics under way. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import tree_of, value_of
from promissory.executor.scheduler.awaiting import Awaiting, Past, Ref, Stretch, awaiting_of
from promissory.executor.scheduler.cycling import Ended
from promissory.executor.scheduler.frame import FailedNode
from promissory.executor.scheduler.kinds import earlier
from promissory.executor.scheduler.kinds.awaiting import watch_to_its_end
from promissory.executor.scheduler.kinds.kind import ReadFailed
from promissory.executor.scheduler.node_state import OPEN, NodeState
from promissory.executor.scheduler.state import State
from promissory.planner.plan.format import futures_from_bytes
from promissory.planner.plan.model import Value


def dump(state: State) -> list[Any]:
    """The rows of a snapshot."""
    return [_row(*key, one) for key, one in sorted(state.awaits.items())]


def _row(id: int, index: int, one: Awaiting) -> list[Any]:
    past = [
        [ordinal, past.id, [[int(node.state), _value(node.value), _failed(node.failed)] for node in past.nodes]]
        for ordinal, past in sorted(one.past.items())
    ]
    return [
        id,
        index,
        None if one.repeat is None else list(one.repeat),
        one.next,
        past,
        [list(ref) for ref in one.awaited],
        [list(ref) for ref in one.answers],
        [list(stretch) for stretch in one.history],
        sorted([*origin, following] for origin, following in one.told.items()),
        one.due,
        one.last,
        _value(one.result),
        sorted(list(pair) for pair in one.counted.items()),
        one.used,
        one.callee.digest,
    ]


def _value(value: Value | None) -> Any:
    return None if value is None else tree_of(value)


def _failed(failed: FailedNode | None) -> Any:
    return None if failed is None else failed.to_tree()


def load(state: State, rows: list[Any], read_failed: ReadFailed) -> None:
    """Take the rows of a snapshot."""
    for row in rows:
        id, index, repeat, following, past, awaited, answers, history, told, due, last, result, counted, used, code = (
            fields.items(row, 15)
        )
        frame = state.frames[id]
        one = Awaiting(frame, fields.count(index), None)
        if repeat is not None:
            key, power, since = fields.items(repeat, 3)
            one.repeat = (fields.data(key), fields.count(power), fields.count(since))
        state.awaits[id, index] = one
        one.next, one.last, one.used = fields.counts([following, last, used])
        one.callee = replace(one.callee, digest=fields.data(code))
        one.awaited = dict.fromkeys(_refs(awaited))
        one.answers = dict.fromkeys(_refs(answers))
        for now, trees, futures, until in (fields.items(stretch, 4) for stretch in fields.items(history)):
            data = None if futures is None else fields.data(futures)
            told_then = [fields.items(tree) for tree in fields.items(trees)]
            moment = None if until is None else fields.seconds(until)
            one.history.append(Stretch(fields.seconds(now), told_then, data, moment))
        for origin in fields.items(told):
            id_of_origin, node, until = fields.counts(fields.items(origin, 3))
            one.told[id_of_origin, node] = until
        one.due = None if due is None else fields.seconds(due)
        one.result = None if result is None else value_of(result)
        one.counted = dict(_refs(counted))
        shapes = [stretch.futures for stretch in one.history if stretch.futures is not None]
        for ordinal, frame_id, nodes in (fields.items(pair, 3) for pair in fields.items(past)):
            plan, _ = futures_from_bytes(shapes[fields.count(ordinal) - 1])
            one.past[ordinal] = Past(
                fields.count(frame_id),
                state.topologies.get(plan.shape, 0, keeps=True),
                [
                    Ended(
                        NodeState(at),
                        None if tree is None else value_of(tree),
                        None if failed is None else read_failed(failed),
                    )
                    for at, tree, failed in (fields.items(node, 3) for node in fields.items(nodes))
                ],
            )
    for frame in state.frames.values():
        if frame.is_segment:
            one = awaiting_of(state.awaits, frame)
            one.open[frame.stage], frame.told = frame, one.told
    for one in state.awaits.values():
        if one.last:
            watch_to_its_end(state, one)
    for one in state.awaits.values():
        for segment in one.open.values():
            for at in segment.topology.earlier:
                if segment.state(at) == OPEN:
                    earlier.resolve(state, segment, at)


def _refs(trees: Any) -> list[Ref]:
    found = []
    for tree in fields.items(trees):
        ordinal, node = fields.counts(fields.items(tree, 2))
        found.append((ordinal, node))
    return found


def values_in(rows: list[Any]) -> list[Any]:
    """The values that the rows of a snapshot hold, as trees."""
    found = [row[11] for row in rows]
    for row in rows:
        found += [tree for _, _, nodes in row[4] for _, tree, _ in nodes]
        for _, _, futures, _ in row[7]:
            if futures is not None:
                found += [tree_of(value) for value in futures_from_bytes(futures)[0].literals]
    return found
