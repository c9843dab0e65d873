"""The scheduler's whole state as bytes, so that a resume costs the frontier and not the history.

A shape stands once, however many frames share it; what follows from the state of the nodes (who still waits, who still needs a value) is counted again.
"""

from __future__ import annotations

from typing import Any, Final

from executor import fields
from executor.errors import JournalError, NotInStore, StoreError
from executor.events import tree_of, value_of
from executor.frame import DONE, OPEN, PENDING, Frame, Repeat, joined, node_identity
from executor.layout import snapshot_key
from executor.limits import Limits
from executor.scheduler import ROOT_IDENTITY, Scheduler, Sleeping, Tries
from executor.store import Store
from planner.plan import Large, Value
from planner.plan_format import shape_bytes, shape_from_bytes
from typesys.canonical import INLINE_LIMIT, digest, pack, unpack, unpack_each
from typesys.errors import FormatError


def dump(scheduler: Scheduler) -> bytes:
    """The state of a scheduler. What is in flight counts as not started."""
    shapes: dict[int, int] = {}
    rows: list[bytes] = []
    repeats: dict[int, int] = {}
    repeat_rows: list[list[Any]] = []
    frames = bytearray()
    for frame in scheduler.frames.values():
        shape = frame.topology.shape
        if id(shape) not in shapes:
            shapes[id(shape)] = len(rows)
            rows.append(shape_bytes(shape))
        repeat = frame.repeat
        if repeat is not None and id(repeat) not in repeats:  # one for many frames of a chain
            repeats[id(repeat)] = len(repeat_rows)
            repeat_rows.append(list(repeat))
        frames += pack(_frame_tree(frame, shapes[id(shape)], None if repeat is None else repeats[id(repeat)]))
    outputs = None if scheduler.outputs is None else [tree_of(value) for value in scheduler.outputs]
    counts = [scheduler.next_frame, scheduler.nodes, scheduler.done_nodes]
    tries = [[*key, *one] for key, one in sorted(scheduler.tries.items())]
    sleeping = [[one.frame.id, one.node, one.delay, one.calendar] for one in sorted(scheduler.sleeping) if one.calendar]
    return pack([rows, repeat_rows, frames, outputs, scheduler.limits.to_tree(), *counts, tries, sleeping])


def _derived(parent: Frame | None, slot: int) -> tuple[bytes, str]:
    """The identity and path that a frame has if no tail call brought it where it is."""
    if parent is None:
        return ROOT_IDENTITY, "main"
    return node_identity(parent.identity, slot), joined(parent.path, parent.topology.name(slot))


def _frame_tree(frame: Frame, shape: int, repeat: int | None) -> list[Any]:
    identity, path = _derived(frame.parent, frame.slot)
    return [
        frame.id,
        None if frame.parent is None else frame.parent.id,
        frame.slot,
        frame.depth,
        shape,
        frame.topology.number,
        [tree_of(value) for value in frame.literals],
        [tree_of(value) for value in frame.inputs],
        None if frame.identity == identity else frame.identity,
        None if frame.path == path else frame.path,
        repeat,
        None if frame.nesting is None else [[name, count] for name, count in sorted(frame.nesting.items())],
        bytes(list(frame.cells[2 * frame.topology.size :])),
        [[index, tree_of(value)] for index, value in (frame.values or {}).items()],
    ]


def put_snapshot(store: Store, run_id: str, data: bytes) -> Value:
    """Store a state in its run's folder; the value that a segment names it by: itself if it is small."""
    if len(data) <= INLINE_LIMIT:
        return data
    name = digest("value", data)
    store.put_same(snapshot_key(run_id, name), data, durable=False)
    return Large(name, len(data))


def drop_snapshot(store: Store, run_id: str, state: Value) -> None:
    """Remove a state that a newer one replaces. What a replay needs is in the segments."""
    if isinstance(state, Large):
        try:
            store.delete(snapshot_key(run_id, state.digest))
        except StoreError:
            return  # it stays, until it is collected


def get_snapshot(store: Store, run_id: str, state: Value) -> bytes:
    """The bytes of a state. Raises `StoreError` if they are not there or damaged."""
    if isinstance(state, bytes):
        return state
    key = snapshot_key(run_id, state.digest)
    try:
        data = store.get(key)
    except NotInStore:
        return store.get_value(state)  # version 1 of the journal has them among the objects
    if digest("value", data) != state.digest:
        raise StoreError(f"{key} in the store {store.url} is damaged: its digest does not match its bytes")
    return data


def values_of(data: bytes) -> list[Value]:
    """The values that a state holds. Raises `JournalError`."""
    try:
        frames, outputs = unpack(data, "a snapshot")[2:4]
        trees = [] if outputs is None else list(outputs)
        for tree in unpack_each(frames, "a snapshot"):
            trees += [*tree[6], *tree[7], *(value for _, value in tree[13])]
        return [value_of(tree) for tree in trees]
    except FormatError:
        raise
    except _WRONG as error:
        raise JournalError("a snapshot", f"is malformed ({type(error).__name__}: {error})") from None


_WRONG: Final = (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError, AssertionError, RecursionError)
"""What building a state out of nonsense may raise: its check sum was right, so somebody meant it."""


def load(data: bytes) -> Scheduler:
    """A scheduler in the state that `dump` wrote. Raises `JournalError`, `FormatError`."""
    try:
        return _loaded(data)
    except FormatError:
        raise
    except _WRONG as error:
        raise JournalError("a snapshot", f"is malformed ({type(error).__name__}: {error})") from None


def _loaded(data: bytes) -> Scheduler:
    rows, repeat_rows, frames, outputs, limits, next_frame, nodes, done_nodes, *waiting = fields.items(unpack(data, "a snapshot"))
    scheduler = Scheduler(Limits(*fields.counts(fields.items(limits, 3))))
    scheduler.next_frame, scheduler.nodes, scheduler.done_nodes = fields.count(next_frame), fields.count(nodes), fields.count(done_nodes)
    shapes = [shape_from_bytes(fields.data(row)) for row in fields.items(rows)]
    repeats: list[Repeat] = [(fields.data(key), fields.count(power), fields.count(since)) for key, power, since in fields.items(repeat_rows)]
    for tree in unpack_each(fields.data(frames), "a snapshot"):
        _load_frame(scheduler, shapes, repeats, fields.items(tree, 14))
    tries, sleeping = waiting or ([], [])  # version 1 of the journal has neither
    scheduler.tries = {(frame, index): Tries(*counts) for frame, index, *counts in (fields.counts(fields.items(one, 5)) for one in fields.items(tries))}
    for number, (frame, index, delay, calendar) in enumerate(fields.items(one, 4) for one in fields.items(sleeping)):
        asleep = Sleeping(0.0, number, scheduler.frames[frame], fields.count(index), fields.seconds(delay), fields.seconds(calendar))
        asleep.frame.state(asleep.node)
        scheduler.sleeping.append(asleep)
    scheduler.outputs = None if outputs is None else tuple(value_of(tree) for tree in fields.items(outputs))
    for frame in scheduler.frames.values():
        scheduler.weighted = scheduler.weighted or frame.topology.code.weighted
        _recount(scheduler, frame)
    return scheduler


def _load_frame(scheduler: Scheduler, shapes: list[Any], repeats: list[Repeat], tree: list[Any]) -> None:
    id, parent, slot, depth, shape, number, literals, inputs, identity, path, repeat, nesting, state, values = tree
    above = None if parent is None else scheduler.frames[fields.count(parent)]
    derived = _derived(above, fields.count(slot))
    topology = scheduler.topologies.get(shapes[fields.count(shape)], fields.count(number))
    frame = Frame(
        fields.count(id),
        above,
        slot,
        fields.count(depth),
        topology,
        tuple(value_of(one) for one in fields.items(literals)),
        tuple(value_of(one) for one in fields.items(inputs)),
        derived[0] if identity is None else fields.data(identity, 16),
        derived[1] if path is None else fields.text(path),
        None if repeat is None else repeats[fields.count(repeat)],
        None if nesting is None else {fields.text(name): fields.count(times) for name, times in fields.items(nesting)},
    )
    if len(fields.data(state)) != topology.size or any(one not in (PENDING, DONE, OPEN) for one in state):
        raise ValueError(f"frame {id} has other nodes than its plan")
    for index, one in enumerate(state):
        frame.set_state(index, one)
    frame.values = {fields.count(index): value_of(one) for index, one in fields.items(values)} or None
    scheduler.frames[id] = frame


def _recount(scheduler: Scheduler, frame: Frame) -> None:
    """What follows from which nodes are done."""
    topology = frame.topology
    size, cells = topology.size, frame.cells
    for index in range(size):
        if frame.state(index) != DONE:
            continue
        frame.remaining -= 1
        for position in range(topology.take_offsets[index], topology.take_offsets[index + 1]):
            cells[size + topology.take_list[position]] -= 1
        for position in range(topology.successor_offsets[index], topology.successor_offsets[index + 1]):
            cells[topology.successor_list[position]] -= 1
    scheduler.ready += [
        (frame, index) for index in range(size - 1, -1, -1) if not cells[index] and frame.state(index) == PENDING
    ]
