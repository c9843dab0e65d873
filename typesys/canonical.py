"""Canonical msgpack, digests, and the sealed envelope that every stored file wears.

This module owns the bytes below any meaning: how a tree of plain objects becomes one byte string and no other, how such
a string is digested, and how a file says which kind and version it is and proves that it is whole. It knows nothing of
types, plans or runs.

Why msgpack: it keeps `int` and `float`, `str` and `bytes` apart, and its decoder is C. It is not canonical by
itself, so: maps are written with sorted string keys, integers beyond 64 bits are extension 1 (two's complement,
big-endian, shortest), and NaN is one bit pattern (the encoder of values sees to that). Where canonicity must be
*proved* (plans, headers, journal), the reader packs the tree that it read and compares. Values are proved by
their digest.

Buffers that are parts (`promissory.typesys.buffer`) are extensions 2 (of `bytes`) and 3: an array of [digest, size] of
each part. A value that has parts is extension 4 as a whole: an array of the algorithm and the parts, each once, and the
tree's bytes behind it.

Envelope (all integers big-endian)::

    0   4  magic, one for each family of files
    4   2  format version
    6   1  kind within the family
    7   8  payload length n
    15  n  payload
    15+n 32 BLAKE2b-256 over everything before it
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import msgpack

from promissory.typesys.buffer import INSIDE, LARGEST_PART, PART_LIMIT, Buffer, PartName, Parts
from promissory.typesys.errors import FormatError

INLINE_LIMIT: Final = 4096
"""A value of up to this many bytes is written wherever it is named. A larger value is an object, named by its
digest."""

EXT_BIG_INT, EXT_BYTES, EXT_BUFFER, EXT_IN_PARTS = 1, 2, 3, 4
_BLAKE3: Final = 1
"""The algorithm of the names of parts, as a value in parts says it."""
_EXT_CODE_AT: Final = {0xC7: 2, 0xC8: 3, 0xC9: 5}
"""Where the code of an extension stands, by the first byte of the extension."""
_HEADER: Final = struct.Struct(">4sHBQ")
_CHECK_SUM_SIZE: Final = 32
_KEEP_BUFFER: Final = 1 << 20


_UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    msgpack.OutOfData,
    msgpack.StackError,
    RecursionError,
    MemoryError,
)


def _new_packer() -> Any:
    """Make the packer for all threads.

    Packing runs no Python code, so the interpreter lock is held from beginning to end.
    """
    return msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass", autoreset=True)


_packer = _new_packer()


def pack(tree: Any, parts: Parts | None = None) -> bytes:
    """Write a tree of None, bool, int, float, str, bytes, list, tuple and `Buffer` as canonical bytes.

    Dictionaries are for `pack_map`, which sorts their keys. Integers may have any size. Large buffers that are not in
    `parts` are given to it. Without it, those that have names keep them, as befits a tree that was read; the others,
    and with `INSIDE` all, stand in the bytes like small ones.

    >>> pack([1, 2.0, "a", 2**70]).hex()
    '9401cb4000000000000000a161c70901400000000000000000'
    """
    global _packer
    try:
        packed: bytes = _packer.pack(tree)
    except OverflowError:
        try:
            packed = _packer.pack(_with_big_ints(tree))
        except TypeError:
            packed = _pack_with_buffers(_with_big_ints(tree), parts)
    except TypeError:
        packed = _pack_with_buffers(tree, parts)
    if len(packed) > _KEEP_BUFFER:
        # A packer keeps its largest buffer for ever, so a new one takes its place.
        _packer = _new_packer()
    return packed


def _pack_with_buffers(tree: Any, parts: Parts | None) -> bytes:
    found: dict[PartName, None] = {}
    kept: dict[int, tuple[PartName, ...]] = {}

    def written(one: Any) -> Any:
        if one.__class__ is not Buffer:
            raise TypeError(f"a tree can't hold a {type(one).__name__}")
        names = kept.get(id(one), ()) or one.names_in(parts)
        if not names:
            if one.size < PART_LIMIT or parts is None or parts is INSIDE:
                return one.content()
            names = kept[id(one)] = parts.keep(one)
        found.update(dict.fromkeys(names))
        return msgpack.ExtType(EXT_BYTES if one.is_bytes else EXT_BUFFER, pack(names))

    packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass", default=written)
    try:
        head: bytes = packer.pack(tree)
    except OverflowError:
        head = packer.pack(_with_big_ints(tree))
    return in_parts(head, found)


def in_parts(head: bytes, names: Iterable[PartName]) -> bytes:
    """Give the bytes of a value whose tree has the bytes `head` and mentions these parts; `head` if there are none."""
    listed = list(dict.fromkeys(names))
    return pack(msgpack.ExtType(EXT_IN_PARTS, pack([_BLAKE3, listed]) + head)) if listed else head


def has_parts(data: bytes | memoryview) -> bool:
    """Tell whether a value has parts, by the first of its bytes.

    >>> has_parts(pack([1, 2]))
    False
    """
    at = _EXT_CODE_AT.get(data[0]) if len(data) else None
    return at is not None and len(data) > at and data[at] == EXT_IN_PARTS


def opened(data: bytes) -> tuple[bytes, tuple[PartName, ...]]:
    """Give the bytes of a value's tree, and the parts that the tree mentions. Raises `FormatError`."""
    if not has_parts(data):
        return data, ()
    return _opened(data[_EXT_CODE_AT[data[0]] + 1 :])


def _opened(payload: bytes) -> tuple[bytes, tuple[PartName, ...]]:
    reader = msgpack.Unpacker(None, max_buffer_size=len(payload) + 1, read_size=max(1, len(payload)))
    reader.feed(payload)
    try:
        algorithm, listed = reader.unpack()
        names = tuple(map(_part_name, listed))
    except _UNREADABLE as error:
        raise FormatError("a value in parts", f"is malformed ({_reason(error)})", 0) from None
    if algorithm != _BLAKE3:
        raise FormatError("a value in parts", f"names them by algorithm {algorithm}, which is not known here", 0)
    return payload[reader.tell() :], names


def _part_name(tree: Any) -> PartName:
    digest, size = tree
    if digest.__class__ is not bytes or len(digest) != 32 or size.__class__ is not int or not 0 < size <= LARGEST_PART:
        raise ValueError("a part is named wrongly")
    return PartName(digest, size)


def parts_mentioned(head: bytes) -> tuple[PartName, ...]:
    """List the parts that a tree mentions, each once, in order. Raises `FormatError`."""
    found: dict[PartName, None] = {}

    def note(code: int, data: bytes) -> Any:
        thing = _extension(code, data, None)
        if isinstance(thing, Buffer):
            found.update(dict.fromkeys(thing.names))
        return None

    try:
        msgpack.unpackb(head, strict_map_key=False, unicode_errors="surrogatepass", ext_hook=note)
    except (msgpack.ExtraData, *_UNREADABLE) as error:
        raise _unreadable("a value in parts", head, error) from None
    return tuple(found)


def _with_big_ints(tree: Any) -> Any:
    if isinstance(tree, int) and not -(1 << 63) <= tree < (1 << 64):
        return msgpack.ExtType(EXT_BIG_INT, tree.to_bytes((tree.bit_length() + 8) // 8, "big", signed=True))
    if isinstance(tree, list | tuple):
        return [_with_big_ints(item) for item in tree]
    return tree


def pack_map(entries: dict[str, Any]) -> bytes:
    """Write a map with string keys as canonical bytes, in bytewise order of the keys.

    >>> pack_map({"b": 1, "a": 2}) == pack_map({"a": 2, "b": 1})
    True
    """
    ordered = sorted(entries.items(), key=lambda entry: entry[0].encode("utf-8", "surrogatepass"))
    parts = [_packer.pack_map_header(len(ordered))]
    for key, value in ordered:
        parts += (pack(key), pack(value))
    return b"".join(parts)


def _extension(code: int, data: bytes, parts: Parts | None) -> Any:
    if code not in (EXT_BYTES, EXT_BUFFER):
        return _big_int(code, data)
    names = tuple(map(_part_name, msgpack.unpackb(data)))
    if not names:
        raise ValueError("a buffer names no part")
    return Buffer.of_parts(names, parts, code == EXT_BYTES)


_unread: Final = partial(_extension, parts=None)


def _big_int(code: int, data: bytes) -> int:
    if code != EXT_BIG_INT:
        raise ValueError(f"unknown extension code {code}")
    number = int.from_bytes(data, "big", signed=True)
    if -(1 << 63) <= number < (1 << 64) or len(data) != (number.bit_length() + 8) // 8:
        raise ValueError("an integer is not in its shortest form")
    return number


def unpack(data: bytes | memoryview, what: str = "value", parts: Parts | None = None) -> Any:
    """Read the tree of some bytes. The work is bounded by the length of the bytes, and runs no code.

    The buffers of a value in parts are read when they are asked for, from `parts`.

    Raises `FormatError` for anything that is not one complete msgpack item.

    >>> unpack(pack([1, None]))
    [1, None]
    """
    if has_parts(data):
        data, _ = opened(bytes(data))
    try:
        return msgpack.unpackb(
            data,
            use_list=True,
            strict_map_key=False,
            unicode_errors="surrogatepass",
            ext_hook=_unread if parts is None else partial(_extension, parts=parts),
        )
    except msgpack.ExtraData as extra:
        raise FormatError(what, "has bytes after its end", offset=len(data) - len(extra.extra)) from None
    except _UNREADABLE as error:
        raise _unreadable(what, data, error) from None


def _unreadable(what: str, data: bytes | memoryview, error: BaseException) -> FormatError:
    reason = _reason(error)
    return FormatError(what, f"is not valid msgpack ({reason})", offset=len(data) if "incomplete" in reason else 0)


def unpack_each(data: bytes, what: str) -> Iterator[Any]:
    """Read the trees whose bytes follow each other. Raises `FormatError`.

    >>> list(unpack_each(pack(1) + pack([2]), "numbers"))
    [1, [2]]
    """
    unpacker = msgpack.Unpacker(
        None, max_buffer_size=len(data) + 1, strict_map_key=False, unicode_errors="surrogatepass", ext_hook=_big_int
    )
    unpacker.feed(data)
    while unpacker.tell() < len(data):
        try:
            yield unpacker.unpack()
        except (ValueError, TypeError, msgpack.OutOfData, msgpack.StackError) as error:
            raise FormatError(what, f"is not valid msgpack ({_reason(error)})", offset=unpacker.tell()) from None


def unpack_canonical(data: bytes, what: str) -> Any:
    """Read a tree as `unpack` does, and prove that the tree has no other bytes."""
    try:
        tree = msgpack.unpackb(
            data,
            strict_map_key=False,
            unicode_errors="surrogatepass",
            ext_hook=_big_int,
            object_pairs_hook=_ordered,
            # With 3 a timestamp is a datetime, which `pack` refuses: no extension is allowed but our own.
            timestamp=3,
        )
    except msgpack.ExtraData as extra:
        raise FormatError(what, "has bytes after its end", offset=len(data) - len(extra.extra)) from None
    except _UNREADABLE as error:
        raise _unreadable(what, data, error) from None
    try:
        canonical = _canonical(tree)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise FormatError(what, f"is not canonical ({_reason(error)})", offset=0) from None
    if canonical != data:
        at = next(
            (i for i, (a, b) in enumerate(zip(canonical, data, strict=False)) if a != b), min(len(canonical), len(data))
        )
        raise FormatError(what, "is not canonical", offset=at)
    return tree


def _ordered(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if any(key.__class__ is not str for key in keys):
        raise ValueError("a key of a map is not text")
    if any(
        a.encode("utf-8", "surrogatepass") >= b.encode("utf-8", "surrogatepass") for a, b in itertools.pairwise(keys)
    ):
        raise ValueError("the keys of a map are not in order")
    return dict(pairs)


def _canonical(tree: Any) -> bytes:
    if isinstance(tree, dict):
        return pack_map(tree)
    return pack(tree)


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) < 200 else text[:200] + "…"


def digest(domain: str, *parts: bytes) -> bytes:
    """Give the BLAKE2b-256 over a domain prefix and the parts: 32 bytes.

    The prefix keeps a value and a plan of equal bytes apart (as redun's hashing does with its record types).

    >>> digest("value", b"x") == digest("plan", b"x")
    False
    """
    state = blake2b(domain.encode() + b"\0", digest_size=32)
    for part in parts:
        state.update(part)
    return state.digest()


def seal(magic: bytes, version: int, kind: int, payload: bytes) -> bytes:
    """Wrap a payload: magic, version and kind in front, a check sum over all of it behind."""
    header = _HEADER.pack(magic, version, kind, len(payload))
    state = blake2b(header, digest_size=_CHECK_SUM_SIZE)
    state.update(payload)
    return b"".join((header, payload, state.digest()))


def is_cut_short(data: bytes) -> bool:
    """Tell whether sealed bytes are fewer than their header says.

    >>> sealed = seal(b"TEST", 1, 1, b"payload")
    >>> is_cut_short(sealed), is_cut_short(sealed[:-1])
    (False, True)
    """
    if len(data) < _HEADER.size:
        return True
    magic, version, kind, length = _HEADER.unpack_from(data)
    if len(data) >= _HEADER.size + length + _CHECK_SUM_SIZE:
        return False
    payload = data[_HEADER.size : -_CHECK_SUM_SIZE]
    return (
        seal(magic, version, kind, payload) != _HEADER.pack(magic, version, kind, len(payload)) + data[_HEADER.size :]
    )  # Otherwise the length itself is damaged.


def unseal(data: bytes, magic: bytes, versions: range, what: str) -> tuple[int, int, bytes]:
    """Give (version, kind, payload) of sealed bytes.

    Raises `FormatError`, with the offset, if the bytes are another kind of file, cut short, longer than their header
    says, changed anywhere, or of a version that this reader does not know.
    """
    if len(data) < _HEADER.size:
        raise FormatError(what, f"is cut short: {len(data)} bytes are less than a header", offset=len(data))
    found, version, kind, length = _HEADER.unpack_from(data)
    if found != magic:
        raise FormatError(what, f"begins with {found!r}, not with {magic!r}: this is some other file", offset=0)
    if version not in versions:
        newest = versions.stop - 1
        way_out = "install a newer promissory to read it" if version > newest else "it was never released"
        raise FormatError(what, f"has format version {version}; this reader knows up to {newest}: {way_out}", offset=4)
    end = _HEADER.size + length
    if len(data) < end + _CHECK_SUM_SIZE:
        raise FormatError(
            what, f"is cut short: {len(data)} of {end + _CHECK_SUM_SIZE} bytes are there", offset=len(data)
        )
    if len(data) > end + _CHECK_SUM_SIZE:
        raise FormatError(what, "has bytes after its end", offset=end + _CHECK_SUM_SIZE)
    if blake2b(memoryview(data)[:end], digest_size=_CHECK_SUM_SIZE).digest() != data[end:]:
        raise FormatError(what, "is damaged: its check sum does not match its bytes", offset=end)
    return version, kind, data[_HEADER.size : end]
