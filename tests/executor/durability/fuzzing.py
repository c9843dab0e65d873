"""Mutated bytes for every decoder, and what breaks (rules T1, J4).

A library: `test_decoders.py` uses it in bounded form, a soak without bounds.

>>> rounds(seed=1, count=1000)      # doctest: +SKIP
[]

A **decoder** is a reader of bytes that somebody else may have written: its corpus is what the real encoders write,
`decode` reads it, `use` does with what was accepted what its readers do with it. A mutation breaks a decoder if
`decode` raises anything but its one kind of error, or an error whose offset does not lie in the bytes, or if what it
accepted then breaks in its reader's hands. Mutations are a function of corpus, seed and number alone. A check sum is
made anew after most of them, or else it would hide everything.

A soak should give itself a limit of memory (`resource.setrlimit(RLIMIT_AS, …)`), so that a decoder which takes too much
is found.
"""

from __future__ import annotations

import copy
import json
import math
import random
import struct
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple

import msgpack

from promissory import Plan, Store, dynamic, run, task, workflow
from promissory.errors import JournalError, PlanFormatError, RunNotFound, StoreError
from promissory.executor.cache.entries import Entry, entries, entry_from_bytes, entry_to_bytes, read_entry, take_lease
from promissory.executor.history.history import History
from promissory.executor.journal.reader import find_end, keys_named, read_segments
from promissory.executor.journal.segment import Segment, segment_from_bytes, segment_to_bytes
from promissory.executor.protocol.events import EXPANDED, NODE_FAILED, RETRIED, SNAPSHOT
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.heartbeat import Beat, read_beat
from promissory.executor.records.inbox import COMMANDS, Command, command_from_bytes, command_to_bytes
from promissory.executor.records.manifest import Manifest, read_manifest
from promissory.executor.scheduler.cache_key import result_key
from promissory.executor.scheduler.replay import replay, replayed
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump, load, values_of
from promissory.executor.store.keys import bundle_key, cache_entry_key, lease_key, object_key, plan_key, run_key
from promissory.executor.store.store import Store as AnyStore
from promissory.executor.worker.chunking import cut, items_of, join, listed
from promissory.planner.plan.format import futures_from_bytes, plan_digest, read_plan
from promissory.planner.plan.model import Large
from promissory.typesys import codec_of
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.envelope import seal
from promissory.typesys.errors import FormatError, TypeMismatch
from promissory.typesys.names import NotFound
from promissory.typesys.type_format import type_bytes, type_from_bytes

HEADER, CHECK_SUM = struct.Struct(">4sHBQ"), 32
Form = Literal["sealed", "msgpack", "json", "bytes"]


# --- what is mutated: the files of a run that has a bit of everything -------------------------------------------------


@dataclass
class Point:
    x: int
    label: str | None = None


@task(cache=True, cache_version="1")
def double(x: int) -> int:
    return 2 * x


@task(retries=2)
def stumble(x: int) -> list[float]:
    if not _stumbled:
        _stumbled.append(x)
        raise ValueError("once")
    return [float(x)] * 700


@task
def refuse(points: list[Point]) -> int:
    raise ValueError("never")


@dynamic(cache=True, cache_version="1", max_depth=9)
def halves(xs: list[int]) -> int:
    if len(xs) == 1:
        return double(xs[0])
    return pair(halves(xs[: len(xs) // 2]), halves(xs[len(xs) // 2 :]))


@task
def pair(a: int, b: int) -> int:
    return a + b


@workflow
def inner(x: int = 1) -> list[int]:
    return [double(x), pair(x, 2).with_overrides(name="two", retries=3)]


@workflow
def whole(x: int, points: list[Point], label: str = "a") -> list[int]:
    found = inner(x)
    other = inner(found[0])
    sums = halves([x, 1, 2])
    last = stumble(sums)
    other >> last
    return [found[1], sums]


@workflow
def doomed(x: int) -> int:
    return refuse([Point(double(x))])


@workflow
def with_a_large_literal() -> int:
    return halves(list(range(3000)))


_stumbled: list[int] = []


class Made(NamedTuple):
    """A store with runs, and the bytes of what they left."""

    store: AnyStore
    run_ids: tuple[str, ...]


@cache
def made() -> Made:
    """Runs of the workflows above, in a store of this process."""
    _stumbled.clear()
    store = Store(None)
    ids = [
        run(whole, {"x": 3, "points": [Point(1, "p")]}, store=store, run_id="whole").id,
        run(doomed, {"x": 4}, store=store, run_id="doomed").id,
    ]
    return Made(store, tuple(ids))


def _segments() -> tuple[bytes, ...]:
    store, ids = made()
    found = [data for id in ids for _, data in read_segments(store, id, 0, find_end(store, id))]
    one = segment_from_bytes(found[0], "segment")
    return (*found, segment_to_bytes(replace(one, events=((SNAPSHOT, b"state"), (SNAPSHOT, Large(bytes(32), 5000))))))


def _futures() -> tuple[bytes, ...]:
    store, ids = made()
    return tuple(
        event[4]
        for id in ids
        for segment, _ in read_segments(store, id, 0, find_end(store, id))
        for event in segment.events
        if event[0] == EXPANDED
    )


def _snapshots() -> tuple[bytes, ...]:
    """A scheduler's state after each of the events of a run."""
    store, ids = made()
    found = [dump(Scheduler(Limits()))]
    for id in ids:
        manifest = read_manifest(store, id)
        plan = Plan.from_bytes(store.get(plan_key(manifest.plan)))
        scheduler = Scheduler(manifest.limits)
        scheduler.open_root(plan, tuple(manifest.inputs[p.name] for p in plan.inputs))
        for segment, _ in read_segments(store, id, 0, find_end(store, id)):
            for event in segment.events:
                replay(scheduler, event)
                replayed(scheduler)
                found.append(dump(scheduler))
    return tuple(dict.fromkeys(found))


def _entries() -> tuple[bytes, ...]:
    store, _ = made()
    found = [entry_to_bytes(entry) for _, entry in entries(store) if entry is not None]
    one = entry_from_bytes(found[0], "entry")
    return (*found, entry_to_bytes(replace(one, value=Large(bytes(32), 5000), futures=None)))


def _beats() -> tuple[bytes, ...]:
    store, ids = made()
    one = Beat(
        epoch=3,
        host="elsewhere",
        pid=1,
        executor="0123456789abcdef",
        place=1,
        since=1e12,
        time=1e12,
        over=False,
        done=3,
        nodes=9,
        running=[[0, 1, "w", 17]],
        waiting=1,
        retrying=2,
    )
    return (*(store.get(run_key(id, "beat")) for id in ids), json.dumps(asdict(one)).encode())


_VALUES: tuple[tuple[Any, Any], ...] = (
    (int, 2**70),
    (list[int], [1, 2, 300, -5]),
    (dict[str, list[float]], {"a": [1.5], "b": []}),
    (tuple[int, str, bytes], (1, "a", b"b")),
    (set[int], {1, 2, 3}),
    (int | str | None, "x"),
    (list[Point], [Point(1), Point(2, "b")]),
    (Any, {"a": [1, (2, 3), {4}], 5: None}),
)
_PLAIN_VALUES = tuple((annotation, value) for annotation, value in _VALUES if annotation is not Any)
_CODECS = tuple(codec_of(annotation) for annotation, _ in _PLAIN_VALUES)


# --- decoders ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decoder:
    """A reader of bytes.

    Attributes:
        name: of what it reads.
        form: how the bytes are made: sealed msgpack, bare msgpack, JSON, or bytes.
        make: gives the corpus, valid inputs by the real encoders.
        decode: reads.
        errors: the one kind of error it may raise (and what the rules allow beside it).
        use: does with what was accepted what its readers do with it; may raise `errors` too.
    """

    name: str
    form: Form
    make: Callable[[], tuple[bytes, ...]]
    decode: Callable[[bytes], Any]
    errors: tuple[type[BaseException], ...]
    use: Callable[[Any], Any] = lambda decoded: None

    @property
    def corpus(self) -> tuple[bytes, ...]:
        """Valid inputs."""
        return _corpus(self)


@cache
def _corpus(decoder: Decoder) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(decoder.make()))


def _use_plan(read: tuple[Plan, Any]) -> None:
    plan, _ = read
    plan_digest(plan)
    Scheduler(Limits()).open_root(plan, tuple(b"" for _ in plan.inputs))


def _use_segment(segment: Segment) -> None:
    """Its fields have the types that the docstrings of `Segment` and `promissory.executor.protocol.events` tell."""
    for number in (segment.number, segment.epoch, segment.snapshot, segment.time):
        _expect(number, int)
    _expect(segment.nonce, bytes)
    _expect(segment.previous, bytes)
    for event in segment.events:
        _true(event.__class__ is tuple, "an event is no tuple")
        list(keys_named(Store(None), "run", event, as_far_as_known=True))
        if event[0] in (NODE_FAILED, RETRIED):
            str(Failure.from_tree(event[3]))
    segment_to_bytes(segment)


def _use_manifest(manifest: Manifest) -> None:
    for text in (
        manifest.run_id,
        manifest.workflow,
        manifest.engine,
        manifest.user,
        manifest.host,
        manifest.python,
        manifest.promissory,
    ):
        _expect(text, str)
    _true(manifest.run_id == "whole", "it is the manifest of another run, whose journal would be read")
    for text in (*manifest.source, *manifest.parent, *manifest.inputs):
        _expect(text, str)
    _true(manifest.created.__class__ is int, "created is no number")
    for number in manifest.limits.to_tree():
        _expect(number, int)
    plan_key(manifest.plan), bundle_key(manifest.bundle)
    for value in manifest.inputs.values():
        _use_value(value)


def _use_value(value: Any) -> None:
    if isinstance(value, Large):
        _expect(value.digest, bytes)
        _expect(value.size, int)
        object_key(value.digest)
    else:
        _expect(value, bytes)


def _use_entry(entry: Entry) -> None:
    _expect(entry.task, str)
    entry.key.hex()
    _expect(entry.run_id, str)
    _expect(entry.path, str)
    _expect(entry.created, int)
    if entry.value is not None:
        _use_value(entry.value)
    else:
        _expect(entry.futures, bytes)
    entry_to_bytes(entry)


def _use_command(command: Command) -> None:
    _true(command.command in COMMANDS, "an unknown command")
    command_to_bytes(command)


def _use_snapshot(scheduler: Scheduler) -> None:
    """A resume goes on from it: what is ready is taken, and comes back."""
    replayed(scheduler, 0.0, 0.0)
    for call in scheduler.take(100):
        scheduler.returned(call.frame.id, call.node)
    dump(scheduler)


def _use_beat(beat: Beat | None) -> None:
    if beat is not None:
        beat.is_live(made().store, "whole")
        _true(
            all(one.__class__ is int for one in (beat.epoch, beat.pid, beat.done, beat.nodes)),
            "an epoch, a process or a count is no number",
        )
        [(frame, index, worker, since) for frame, index, worker, since in beat.running]


def _expect(value: Any, kind: type) -> None:
    _true(value.__class__ is kind, f"{value.__class__.__name__} where {kind.__name__} is meant")


def _true(holds: bool, what: str) -> None:
    if not holds:
        raise Accepted(what)


class Accepted(Exception):
    """A decoder took what is no such thing."""


def _decode_manifest(data: bytes) -> Manifest:
    store = Store(None)
    store.put(run_key("whole", "manifest"), data)
    return read_manifest(store, "whole")


def _decode_beat(data: bytes) -> Beat | None:
    store = Store(None)
    store.put(run_key("r", "beat"), data)
    return read_beat(store, "r")


def _decode_lease(data: bytes) -> bool:
    store = Store(None)
    store.put(lease_key(bytes(32), 3), data)
    return take_lease(store, bytes(32), "mine", 1)


def _decode_cached(data: bytes) -> Entry | None:
    """As a run looks an entry up: what can't be read counts as none."""
    store = Store(None)
    entry = entry_from_bytes(_corpus(CACHE_ENTRY)[0], "entry")
    key = result_key(entry.fields)
    store.put(cache_entry_key(key), data)
    return read_entry(store, key)


def _decode_values(data: bytes) -> None:
    """As a value of each of some types."""
    for codec in _CODECS:
        try:
            codec.decode(data)
        except (FormatError, TypeMismatch):
            continue


PLAN_FILE = Decoder(
    "plan",
    "sealed",
    lambda: tuple(wf.compile().to_bytes() for wf in (whole, doomed, inner, with_a_large_literal)),
    read_plan,
    (PlanFormatError,),
    _use_plan,
)
FUTURES_FILE = Decoder("futures file", "sealed", _futures, futures_from_bytes, (PlanFormatError,), _use_plan)
SEGMENT = Decoder(
    "journal segment",
    "sealed",
    _segments,
    lambda data: segment_from_bytes(data, "segment"),
    (JournalError, PlanFormatError),
    _use_segment,
)
SNAPSHOT_STATE = Decoder("snapshot", "msgpack", _snapshots, load, (FormatError,), _use_snapshot)
SNAPSHOT_VALUES = Decoder(
    "values of a snapshot",
    "msgpack",
    _snapshots,
    values_of,
    (FormatError,),
    lambda values: [_use_value(one) for one in values],
)
MANIFEST = Decoder(
    "manifest",
    "sealed",
    lambda: (made().store.get(run_key("whole", "manifest")),),
    _decode_manifest,
    (JournalError, RunNotFound),
    _use_manifest,
)
CACHE_ENTRY = Decoder(
    "cache entry", "sealed", _entries, lambda data: entry_from_bytes(data, "entry"), (FormatError,), _use_entry
)
CACHE_LOOKUP = Decoder("cache lookup", "sealed", _entries, _decode_cached, ())
COMMAND = Decoder(
    "inbox command",
    "sealed",
    lambda: tuple(command_to_bytes(Command(one, "why", "me", 17)) for one in COMMANDS),
    lambda data: command_from_bytes(data, "command"),
    (FormatError,),
    _use_command,
)
VALUE = Decoder(
    "value",
    "msgpack",
    lambda: tuple(codec.encode(value) for codec, (_, value) in zip(_CODECS, _PLAIN_VALUES, strict=True)),
    _decode_values,
    (),
)
ANY_VALUE = Decoder(
    "value of Any",
    "msgpack",
    lambda: tuple(codec_of(Any).encode(value) for _, value in _VALUES),
    codec_of(Any).decode,
    (FormatError, TypeMismatch, NotFound),
)
_PARTS = Store(None)
"""A store with the parts of the values in parts."""


def _values_in_parts() -> tuple[bytes, ...]:
    inner = [bytes(70_000), *range(17), *[0] * 150_000]
    values = (bytes(70_000), [0] * 140_000, {"a": [1, inner, b"b" * 65_536]}, [inner])
    return tuple(codec_of(Any).encode(value, _PARTS) for value in values)


def _cut_and_joined(data: bytes) -> bytes:
    chunks = list(cut([listed(data, _PARTS)]))
    items_of(data, _PARTS)
    return join([part for _, (part,) in chunks], _PARTS)


VALUE_IN_PARTS = Decoder(
    "value in parts",
    "msgpack",
    _values_in_parts,
    lambda data: codec_of(Any).decode(data, _PARTS),
    (FormatError, TypeMismatch, NotFound, StoreError),
)
LIST_IN_PARTS = Decoder(
    "list in parts",
    "msgpack",
    lambda: (VALUE_IN_PARTS.corpus[1], VALUE_IN_PARTS.corpus[3]),
    _cut_and_joined,
    (FormatError, StoreError),
)
TREE = Decoder("tree", "msgpack", lambda: VALUE.corpus, unpack, (FormatError,))
TYPE = Decoder(
    "type",
    "msgpack",
    lambda: tuple(type_bytes(codec.type) for codec in _CODECS),
    type_from_bytes,
    (FormatError,),
    lambda type: (str(type), type_bytes(type)),
)
BEAT = Decoder("beat", "json", _beats, _decode_beat, (), _use_beat)
LEASE = Decoder(
    "lease",
    "json",
    lambda: (json.dumps({"run": "other", "epoch": 1, "nonce": "ab"}).encode(), b"{}"),
    _decode_lease,
    (),
)

DECODERS = (
    PLAN_FILE,
    FUTURES_FILE,
    SEGMENT,
    SNAPSHOT_STATE,
    SNAPSHOT_VALUES,
    MANIFEST,
    CACHE_ENTRY,
    CACHE_LOOKUP,
    COMMAND,
    VALUE,
    ANY_VALUE,
    VALUE_IN_PARTS,
    LIST_IN_PARTS,
    TREE,
    TYPE,
    BEAT,
    LEASE,
)


# --- mutations --------------------------------------------------------------------------------------------------------


class Huge(NamedTuple):
    """Raw bytes of msgpack: a header that promises more than there is, or what nests deeply."""

    raw: bytes


_INTERESTING: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, 7, 15, 127, 128, 255, 256, -1, -2, -129),
    *(
        2**31 - 1,
        2**31,
        2**32 - 1,
        2**32,
        2**33,
        2**53,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -(2**63),
        2**64,
        2**70,
        -(2**70),
        10**5000,
    ),
    *(0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 1e308),
    *("", "x", "task", "main", "\ud800", "é" * 40, "../../etc", "os:system", "antigravity:geohash", "x\0y", "a" * 5000),
    *(b"", b"\0", b"\xff", b"\xc0", bytes(16), bytes(32), b"\x90", b"\xdd\xff\xff\xff\xff", b"\x91" * 600, b"a" * 5000),
    *(
        [],
        [[]],
        [0],
        [None, None],
        [0, 1, 2, 3],
        [bytes(32), 5000],
        [bytes(31), -1],
        {},
        {"a": 1},
        {"b": [], "a": {}},
        [0] * 300,
    ),
    *(Huge(b"\x91" * depth + b"\0") for depth in (3, 100, 300, 480, 505, 520, 1000, 5000)),
    *(
        Huge(raw)
        for raw in (
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xdb\x7f\xff\xff\xff",
            b"\xc9\x7f\xff\xff\xff\x01",
            b"\xc1",
        )
    ),
    *(
        Huge(raw)
        for raw in (
            b"\xdc\xff\xff" * 400,
            b"\xd6\xff\0\0\0\0",
            b"\xc7\x00\x01",
            b"\xd4\x05\0",
            b"\x82\xa1a\x01\xa1a\x02",
            b"\x81\x90\x01",
            b"\xd9\x01\xff",
        )
    ),
)


def _raw(tree: Any) -> bytes:
    """Any tree as msgpack: also what the product's own packer would refuse."""
    if isinstance(tree, Huge):
        return tree.raw
    if tree.__class__ is list:
        size = len(tree)
        head = (
            bytes([0x90 | size])
            if size < 16
            else b"\xdc" + struct.pack(">H", size)
            if size < 1 << 16
            else b"\xdd" + struct.pack(">I", size)
        )
        return head + b"".join(map(_raw, tree))
    if tree.__class__ is dict:
        rows = (
            sorted(tree.items(), key=lambda row: row[0].encode("utf-8", "surrogatepass"))
            if all(key.__class__ is str for key in tree)
            else list(tree.items())
        )
        size = len(rows)
        head = bytes([0x80 | size]) if size < 16 else b"\xde" + struct.pack(">H", size)
        return head + b"".join(_raw(key) + _raw(one) for key, one in rows)
    return pack(tree)


def _is_container(tree: Any) -> bool:
    return tree.__class__ in (list, dict)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of what is inside a tree, as much as is worth a choice."""
    found: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo and len(found) < 20_000:
        one = todo.pop()
        keys = range(len(one)) if one.__class__ is list else list(one)
        for key in keys:
            found.append((one, key))
            if _is_container(one[key]):
                todo.append(one[key])
    return found


def _trees_in(data: bytes) -> list[Any] | None:
    """The trees that bytes hold one after another, if they hold nothing else."""
    found = []
    unpacker = msgpack.Unpacker(
        None, max_buffer_size=len(data) + 1, strict_map_key=False, unicode_errors="surrogatepass", ext_hook=_ext
    )
    unpacker.feed(data)
    while unpacker.tell() < len(data):
        try:
            found.append(unpacker.unpack())
        except Exception:
            return None
    return found


def _ext(code: int, data: bytes) -> Any:
    return int.from_bytes(data, "big", signed=True)


def _holds_trees(data: bytes) -> bool:
    trees = _trees_in(data)
    return trees is not None and any(map(_is_container, trees))


def _mutated_inside(data: bytes, random: random.Random, other: list[Any]) -> bytes:
    """Bytes that are themselves msgpack, changed in one place of their trees."""
    trees = _trees_in(data) if data else None
    if not trees or not any(map(_is_container, trees)):
        return _mutated_bytes(data, random, b"")
    _mutate_tree(trees, random, other)
    try:
        return b"".join(map(_raw, trees))
    except RecursionError:
        return b"\x91" * 2000


def _mutate_tree(tree: Any, random: random.Random, other: list[Any]) -> None:
    """Change a tree in one place, in itself."""
    places = _places(tree)
    if not places:
        return
    inside = [place for place in places if place[0][place[1]].__class__ is bytes and len(place[0][place[1]]) > 8]
    if inside and random.random() < 0.5:
        holder, key = random.choice(inside)
        if _holds_trees(holder[key]):
            holder[key] = _mutated_inside(holder[key], random, other)
            return
    holder, key = random.choice(places)
    current = holder[key]
    choice = random.random()
    if current.__class__ is bytes and len(current) > 1 and choice < 0.7:
        holder[key] = _mutated_inside(current, random, other)
    elif current.__class__ is int and choice < 0.4:
        holder[key] = random.choice(
            (current + 1, current - 1, -current, ~current, current << 8, current ^ 1, random.randrange(1 << 20))
        )
    elif choice < 0.65:
        holder[key] = copy.deepcopy(random.choice(_INTERESTING))
    elif choice < 0.75 and other:
        holder[key] = copy.deepcopy(random.choice(other))
    elif choice < 0.8:
        holder[key] = [current]
    elif choice < 0.84 and _is_container(current) and current:
        holder[key] = current[0] if current.__class__ is list else next(iter(current.values()))
    elif holder.__class__ is list:
        what = random.randrange(4)
        if what == 0:
            del holder[key]
        elif what == 1:
            holder.insert(key, copy.deepcopy(current))
        elif what == 2:
            there = random.randrange(len(holder))
            holder[key], holder[there] = holder[there], current
        else:
            holder += [copy.deepcopy(current) for _ in range(random.choice((1, 2, 20)))]
    else:
        del holder[key]
        if random.random() < 0.5:
            holder[random.choice(("", "x", "a" * 40, f"{key}x"))] = current


def _mutated_bytes(data: bytes, random: random.Random, other: bytes) -> bytes:
    """Bytes with one to four changes that know nothing of what they mean."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        at = random.randrange(len(changed) + 1)
        size = min(random.choice((1, 1, 2, 4, 16, 64)), len(changed) - at)
        what = random.randrange(8)
        if what == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif what == 1:
            changed[at:at] = random.randbytes(random.choice((1, 2, 8, 32)))
        elif what == 2:
            del changed[at : at + size]
        elif what == 3:
            changed[at:at] = changed[at : at + size] * random.choice((1, 2, 50))
        elif what == 4 and other:
            begin = random.randrange(len(other))
            changed[at : at + size] = other[begin : begin + size + 8]
        elif what == 5:
            del changed[at:]
        elif what == 6:
            word = _raw(random.choice(_INTERESTING))
            changed[at : at + random.choice((0, size))] = word
        else:
            changed[at : at + size] = random.choice(
                (b"\xff", b"\0", b"\xdd\xff\xff\xff\xff", b"\xcf" + b"\xff" * 8, b"\xc6\0\1\0\0", b"\x7f", b"\x80")
            ) * random.choice((1, 3))
    return bytes(changed)


def _mutated_json(data: bytes, random: random.Random) -> bytes:
    if random.random() < 0.3:
        return _mutated_bytes(data, random, data)
    tree = [json.loads(data)]
    _mutate_tree(tree, random, [])
    try:
        text = json.dumps(tree[0] if tree else [], default=lambda odd: None)
    except ValueError:
        text = '{"epoch": ' + "1" * 5000 + "}"  # a number too long for Python to write
    if random.random() < 0.02:
        text = "[" * 100_000
    return text.encode("utf-8", "surrogatepass")


def mutated(decoder: Decoder, random: random.Random) -> bytes:
    """One mutation of a decoder's corpus."""
    data = random.choice(decoder.corpus)
    if decoder.form == "json":
        return _mutated_json(data, random)
    if decoder.form == "bytes":
        return _mutated_bytes(data, random, random.choice(decoder.corpus))
    payload = data
    if decoder.form == "sealed":
        if random.random() < 0.1:
            return _mutated_bytes(data, random, random.choice(decoder.corpus))  # what the envelope itself has to find
        payload = data[HEADER.size : -CHECK_SUM]
    if random.random() < 0.35:
        payload = _mutated_bytes(payload, random, payload)
    else:
        trees = _trees_in(payload) or []
        other = [
            holder[key]
            for holder, key in _places(_trees_in(random.choice(decoder.corpus)[HEADER.size : -CHECK_SUM]) or [])
        ][:200]
        try:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                _mutate_tree(
                    trees[0] if trees and _is_container(trees[0]) and random.random() < 0.95 else trees, random, other
                )
            payload = b"".join(map(_raw, trees))
        except RecursionError:
            payload = b"\x91" * 100_000
    return payload if decoder.form == "msgpack" else _sealed_again(data, payload, random)


def _sealed_again(data: bytes, payload: bytes, random: random.Random) -> bytes:
    magic, version, kind, _ = HEADER.unpack_from(data)
    if random.random() < 0.03:
        version, kind = random.choice((0, 1, 2, 3, 65535)), random.randrange(256)
    return seal(magic, version, kind, payload)


def mutations(decoder: Decoder, seed: int, count: int) -> Iterator[bytes]:
    """Mutations of a decoder's corpus: the n-th is the same for equal seeds, whatever came before."""
    for number in range(count):
        yield mutated(decoder, random.Random(f"{decoder.name} {seed} {number}"))


# --- what breaks ------------------------------------------------------------------------------------------------------


class Breakage(NamedTuple):
    """A mutation that broke a decoder.

    Attributes:
        decoder: its name.
        number: which of the mutations of the seed it was.
        data: the bytes.
        problem: what was raised, and where in the product.
        accepted: whether `decode` took the bytes, and `use` broke.
    """

    decoder: str
    number: int
    data: bytes
    problem: str
    accepted: bool


def check(decoder: Decoder, data: bytes) -> tuple[str, bool] | None:
    """What is wrong with how a decoder takes these bytes, and whether it had accepted them; None if nothing is."""
    accepted = False
    try:
        decoded = decoder.decode(data)
        accepted = True
        decoder.use(decoded)
    except decoder.errors as error:
        offset = getattr(error, "offset", 0)
        if not accepted and not (offset.__class__ is int and 0 <= offset <= len(data)):
            return f"offset {offset} of {len(data)} bytes", accepted
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return _said(error), accepted
    return None


def _said(error: BaseException) -> str:
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/" not in frame.filename]
    where = f" in {'/'.join(ours[-1].filename.rsplit('/', 2)[-2:])}:{ours[-1].name}" if ours else ""
    return f"{type(error).__name__}: {str(error)[:120]}{where}"


def rounds(seed: int, count: int, decoders: tuple[Decoder, ...] = DECODERS) -> list[Breakage]:
    """Try `count` mutations on each decoder; what broke."""
    found = []
    for decoder in decoders:
        for number, data in enumerate(mutations(decoder, seed, count)):
            problem = check(decoder, data)
            if problem is not None:
                found.append(Breakage(decoder.name, number, data, *problem))
    return found


def summary(breakages: list[Breakage]) -> str:
    """Breakages by decoder and kind, with how often each was seen and its first number."""
    firsts: dict[tuple[str, str, bool], int] = {}
    counts: Counter[tuple[str, str, bool]] = Counter()
    for one in breakages:
        kind, _, where = one.problem.partition(": ")
        key = (one.decoder, f"{kind} {where.rpartition(' in ')[2] if ' in ' in where else where}", one.accepted)
        firsts.setdefault(key, one.number)
        counts[key] += 1
    return "\n".join(
        f"{name}: {problem}{' (after it was accepted)' if accepted else ''}: "
        f"{count} times, first with mutation {firsts[name, problem, accepted]}"
        for (name, problem, accepted), count in sorted(counts.items())
    )


def history_of(store: AnyStore, run_id: str) -> list[Any]:
    """Everything that a reader asks a history for."""
    history = History(store, run_id)
    return [
        history.state,
        list(history.nodes()),
        list(history.failed_attempts()),
        history.first_failure(),
        history.counts,
        list(history.frames()),
    ]
