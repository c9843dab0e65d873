"""The scheduler's whole state as bytes, so that a resume costs the frontier and not the history.

A shape stands once, however many frames share it. Counts that follow from the states of the nodes (the nodes that
still wait, and the nodes that still need a value) are made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final, TypeVar

from promissory.executor.errors import JournalError
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import Meta, failure_with_names_of_today, tree_of, value_of
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import MOST_ITEMS, Limits
from promissory.executor.scheduler import awaiting_rows
from promissory.executor.scheduler.calls import Sleeping, Tries
from promissory.executor.scheduler.chunks import chunk_topology
from promissory.executor.scheduler.consequences import work_off
from promissory.executor.scheduler.frame import FailedNode, Frame, Part, Repeat
from promissory.executor.scheduler.kinds import cycle, map
from promissory.executor.scheduler.kinds.kind import ReadFailed
from promissory.executor.scheduler.kinds.table import WITH_ROWS
from promissory.executor.scheduler.node_state import NodeState
from promissory.executor.scheduler.replay import find_ready
from promissory.executor.scheduler.scheduler import ROOT_IDENTITY, Scheduler
from promissory.executor.scheduler.tally import Tally
from promissory.planner.plan.model import Value
from promissory.planner.plan.older_shapes import older_shape_from_bytes
from promissory.planner.plan.shape_format import shape_bytes, shape_from_bytes
from promissory.typesys.canonical import pack, unpack, unpack_each
from promissory.typesys.errors import FormatError

S = TypeVar("S", bound=Scheduler)


def has_place_for(scheduler: Scheduler) -> bool:
    """Whether a snapshot can hold the state. What ends a run is no part of it, nor what failed in a round while other
    rounds go on."""
    is_over = scheduler.failing or scheduler.dead or scheduler.cancelled or scheduler.outputs is not None
    is_over = is_over or any(cycle.failed for cycle in scheduler.cycles.values())
    return not (is_over or any(one.failed for one in scheduler.awaits.values()))


def dump(scheduler: Scheduler) -> bytes:
    """The state of a scheduler. A call in flight counts as not started."""
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
        if repeat is not None and id(repeat) not in repeats:  # many frames of a chain share one `Repeat`
            repeats[id(repeat)] = len(repeat_rows)
            repeat_rows.append(list(repeat))
        frames += pack(_frame_tree(frame, shapes[id(shape)], None if repeat is None else repeats[id(repeat)]))
    outputs = (
        None
        if scheduler.outputs is None
        else [None if value is None else tree_of(value) for value in scheduler.outputs]
    )
    counts = [scheduler.next_frame, scheduler.nodes, scheduler.done_nodes]
    tries = [[*key, *one.to_tree()] for key, one in sorted(scheduler.tries.items(), key=itemgetter(0))]
    sleeping = [
        [one.frame.id, one.node, one.delay, one.calendar]
        for one in sorted(scheduler.sleeping)
        if one.calendar and (one.frame.id, one.node) not in scheduler.awaits
    ]
    return pack(
        [rows, repeat_rows, frames, outputs, scheduler.limits.to_tree(), *counts, tries, sleeping, *_more(scheduler)]
    )


def _more(scheduler: Scheduler) -> list[Any]:
    """The fields that were added later, if the state has any of them."""
    rows = [kind.dump(scheduler) for kind in WITH_ROWS if kind.dump is not None]
    channel = [[key, data] for key, data in sorted(scheduler.channel.items())]
    terminated = None if scheduler.terminated is None else list(scheduler.terminated)
    cycles = cycle.dump(scheduler)
    awaits = awaiting_rows.dump(scheduler)
    of_cycles = [scheduler.past_nodes, scheduler.stop_at, cycles, *([awaits] if awaits else [])]
    if scheduler.tally is not None:
        return [*rows, channel, terminated, of_cycles, scheduler.tally.to_tree()]
    more = [*rows, channel, terminated, *([of_cycles] if any(of_cycles) or of_cycles[1] is not None else [])]
    return more if any(more) else []


def _failed(tree: Any) -> FailedNode:
    path, frame, node, failure, attempt, *of_body = fields.items(tree)
    return FailedNode(
        fields.text(path),
        fields.count(frame),
        fields.count(node),
        Failure.from_tree(failure),
        fields.count(attempt),
        *[_meta(one) for one in fields.items(of_body, min(1, len(of_body)))],
    )


def _tries(begun: Any, retries: Any, lost: Any, *last: Any) -> Tries:
    why, meta = last or (None, None)
    known = None if why is None else (fields.text(why), _meta(meta))
    return Tries(fields.count(begun), fields.count(retries), fields.count(lost), known)


def _meta(tree: Any) -> Meta:
    started, duration, worker, attempt, log = fields.items(tree, 5)
    return fields.whole(started), fields.whole(duration), fields.text(worker), fields.count(attempt), log


def _older_failed(tree: Any) -> FailedNode:
    path, frame, node, failure, attempt = fields.items(tree, 5)
    return _failed([path, frame, node, failure_with_names_of_today(failure), attempt])


def _derived(parent: Frame | None, slot: int) -> tuple[bytes, str]:
    """The identity and path that a frame has if no tail call put the frame in its place."""
    if parent is None:
        return ROOT_IDENTITY, "main"
    return parent.identity_of(slot), parent.stem_of(slot)


def _frame_tree(frame: Frame, shape: int, repeat: int | None) -> list[Any]:
    identity, path = _derived(frame.parent, frame.slot)
    tree = [
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
    part = None if frame.part is None or frame.topology.chunk_of is None else [*frame.part, *frame.topology.chunk_of]
    failures = [[index, one.to_tree()] for index, one in sorted((frame.failures or {}).items())]
    more = [[index, list(followers)] for index, followers in sorted((frame.more or {}).items())]
    extra: list[Any] = [
        part,
        frame.loop,
        frame.exempt,
        frame.signalled,
        failures,
        more,
        sorted(frame.awake or ()),
        sorted(frame.jumped or ()),
    ]
    if frame.stage:
        extra += [frame.stage, True] if frame.is_segment else [frame.stage]
    return [*tree, extra] if extra != [None, False, False, False, [], [], [], []] else tree


def values_of(data: bytes) -> list[Value]:
    """The values that a state holds. Raises `JournalError`."""
    try:
        whole = unpack(data, "a snapshot")
        frames, outputs = whole[2:4]
        trees = [] if outputs is None else list(outputs)
        for tree in unpack_each(frames, "a snapshot"):
            trees += [*tree[6], *tree[7], *(value for _, value in tree[13])]
        if len(whole) > 10:
            trees += [payload for _, _, _, payload in whole[10]]
            for _, _, _, chunks, _, _, results, *_ in whole[11]:
                trees += [*results, *(part for chunk in chunks if chunk is not None for part in chunk)]
        if len(whole) > 15:
            trees += cycle.values_in(whole[15][2])
            if len(whole[15]) > 3:
                trees += awaiting_rows.values_in(whole[15][3])
        return [value_of(tree) for tree in trees if tree is not None]
    except FormatError:
        raise
    except _WRONG as error:
        raise JournalError("a snapshot", f"is malformed ({type(error).__name__}: {error})") from None


_WRONG: Final = (
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    AssertionError,
    RecursionError,
)
"""The exceptions that a state built from nonsense may raise: its check sum was right, so the nonsense is deliberate."""


def load(data: bytes, names_are_older: bool = False) -> Scheduler:
    """A scheduler in the state that `dump` wrote. Raises `JournalError`, `FormatError`.

    Args:
        names_are_older: whether it may name things of this package as they were called before they had public names.
    """
    return load_into(data, Scheduler, names_are_older)


def load_into(data: bytes, make: Callable[[Limits], S], names_are_older: bool = False) -> S:
    """`load` into a scheduler of another class.

    Args:
        make: makes the scheduler.
    """
    try:
        scheduler = _loaded(data, names_are_older, make)
        map.loaded(scheduler)
        work_off(scheduler)
        find_ready(scheduler, {(one.frame.id, one.node) for one in scheduler.sleeping})
    except FormatError:
        raise
    except _WRONG as error:
        raise JournalError("a snapshot", f"is malformed ({type(error).__name__}: {error})") from None
    return scheduler


def _loaded(data: bytes, names_are_older: bool, make: Callable[[Limits], S]) -> S:
    rows, repeat_rows, frames, outputs, limits, next_frame, nodes, done_nodes, *waiting = fields.items(
        unpack(data, "a snapshot")
    )
    scheduler = make(Limits(*fields.counts(fields.items(limits, 3))))
    scheduler.next_frame, scheduler.nodes, scheduler.done_nodes = (
        fields.count(next_frame),
        fields.count(nodes),
        fields.count(done_nodes),
    )
    read_shape = older_shape_from_bytes if names_are_older else shape_from_bytes
    read_failed = _older_failed if names_are_older else _failed
    shapes = [read_shape(fields.data(row)) for row in fields.items(rows)]
    repeats: list[Repeat] = [
        (fields.data(key), fields.count(power), fields.count(since)) for key, power, since in fields.items(repeat_rows)
    ]
    for tree in unpack_each(fields.data(frames), "a snapshot"):
        _load_frame(scheduler, shapes, repeats, fields.items(tree), read_failed)
    tries, sleeping, *more = waiting or ([], [])  # version 1 of the journal has neither
    scheduler.tries = {
        (fields.count(frame), fields.count(index)): _tries(*counts)
        for frame, index, *counts in (fields.items(one) for one in fields.items(tries))
    }
    for number, (frame, index, delay, calendar) in enumerate(fields.items(one, 4) for one in fields.items(sleeping)):
        asleep = Sleeping(
            0.0, number, scheduler.frames[frame], fields.count(index), fields.seconds(delay), fields.seconds(calendar)
        )
        asleep.frame.state(asleep.node)
        scheduler.sleeping.append(asleep)
    scheduler.outputs = (
        None if outputs is None else tuple(None if tree is None else value_of(tree) for tree in fields.items(outputs))
    )
    for frame in scheduler.frames.values():
        scheduler.weighted = scheduler.weighted or frame.topology.code.weighted
        scheduler.timed = scheduler.timed or frame.topology.code.timed
        frame.recount()
    scheduler.tally = None
    if len(more) > len(WITH_ROWS) + 3:
        scheduler.tally = Tally.from_tree(more.pop(), read_failed)
    if more:
        _load_more(scheduler, read_failed, *more)
    return scheduler


def _load_more(scheduler: Scheduler, read_failed: ReadFailed, *more: Any) -> None:
    of_cycles: list[Any] = [0, None, []]
    if len(more) > len(WITH_ROWS) + 2:  # since version 5 of the journal, in runs with cycles
        *more, of_cycles = more  # type: ignore[assignment]
    *rows, channel, terminated = fields.items(list(more), len(WITH_ROWS) + 2)
    past, stop, cycles, *awaits = fields.items(of_cycles)
    scheduler.stop_at = None if stop is None else fields.whole(stop)
    scheduler.past_nodes = fields.count(past)
    cycle.load(scheduler, fields.items(cycles), read_failed)
    for rows_of_awaits in awaits:  # since bodies may await
        awaiting_rows.load(scheduler, fields.items(rows_of_awaits), read_failed)
    for kind, of_kind in zip(WITH_ROWS, rows, strict=True):
        if kind.load is not None:
            kind.load(scheduler, fields.items(of_kind), read_failed)
    scheduler.channel = {
        fields.text(key): fields.data(data) for key, data in (fields.items(one, 2) for one in fields.items(channel))
    }
    if terminated is not None:
        reason, outputs = fields.items(terminated, 2)
        scheduler.terminated = (fields.text(reason), None if outputs is None else fields.data(outputs))


def _load_frame(
    scheduler: Scheduler,
    shapes: list[Any],
    repeats: list[Repeat],
    tree: list[Any],
    read_failed: ReadFailed,
) -> None:
    id, parent, slot, depth, shape, number, literals, inputs, identity, path, repeat, nesting, state, values, *rest = (
        tree
    )
    if len(rest) > 1:
        raise ValueError(f"a frame of {len(tree)} fields")
    extra = list(fields.items(rest[0])) if rest else [None, False, False, False, [], [], [], []]
    is_segment = fields.truth(extra.pop()) if len(extra) == 10 else False
    stage = fields.count(extra.pop()) if len(extra) == 9 else 0
    part, loop, exempt, signalled, failures, more, awake, jumped = fields.items(extra, 8)
    above = None if parent is None else scheduler.frames[fields.count(parent)]
    derived = _derived(above, fields.count(slot))
    topology = scheduler.topologies.get(shapes[fields.count(shape)], fields.count(number), keeps=stage > 0)
    if part is not None:
        at, first, node, count = fields.counts(fields.items(part, 4))
        if above is None or count > MOST_ITEMS:
            raise ValueError("a chunk of no map")
        topology = chunk_topology(above.topology, node, count)
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
    if part is not None:
        frame.part = Part(at, first)
    frame.stage, frame.told = stage, {} if is_segment else None
    frame.loop, frame.exempt = fields.truth(loop), fields.truth(exempt)
    frame.failures = {
        fields.count(index): read_failed(one)
        for index, one in (fields.items(pair, 2) for pair in fields.items(failures))
    } or None
    frame.more = {
        fields.count(index): dict.fromkeys(fields.counts(ones))
        for index, ones in (fields.items(pair, 2) for pair in fields.items(more))
    } or None
    frame.awake, frame.jumped = set(fields.counts(awake)) or None, set(fields.counts(jumped)) or None
    frame.signalled = fields.truth(signalled)
    if len(fields.data(state)) != topology.size or any(one >= len(NodeState) for one in state):
        raise ValueError(f"frame {id} has other nodes than its plan")
    frame.set_states(state)
    frame.values = {fields.count(index): value_of(one) for index, one in fields.items(values)} or None
    scheduler.add_frame(frame)
