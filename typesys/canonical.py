"""Canonical msgpack and digests.

This module owns the bytes below any meaning: how a tree of plain objects becomes one byte string and no other, how such
a string is digested, and how a file says which kind and version it is and proves that it is whole. It knows nothing of
types, plans or runs.

Why msgpack: it keeps `int` and `float`, `str` and `bytes` apart, and its decoder is C. It is not canonical by
itself, so: maps are written with sorted string keys, integers beyond 64 bits are extension 1 (two's complement,
big-endian, shortest), and NaN is one bit pattern (the encoder of values sees to that). Where canonicity must be
*proved* (plans, headers, journal), the reader packs the tree that it read and compares. Values are proved by
their digest.

Buffers that are parts (`promissory.typesys.buffer`) are extensions 2 (of `bytes`) and 3: an array of [digest, size] of
each part. Long lists (`promissory.typesys.long_lists`) are extension 5. A value that has parts is extension 4 as a
whole: an array of the algorithm and the parts, each once, and the tree's bytes behind it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import msgpack

from promissory.typesys.buffer import INSIDE, PART_LIMIT, Buffer, PartName, Parts, part_name
from promissory.typesys.errors import FormatError
from promissory.typesys.long_lists import (
    LONG,
    PAGE,
    ListCutter,
    LongList,
    body_of,
    from_payload,
    header,
    parts_of,
    to_payload,
)

INLINE_LIMIT: Final = 4096
"""A value of up to this many bytes is written wherever it is named. A larger value is an object, named by its
digest."""

EXT_BIG_INT, EXT_BYTES, EXT_BUFFER, EXT_IN_PARTS, EXT_LONG_LIST = 1, 2, 3, 4, 5
_BLAKE3: Final = 1
"""The algorithm of the names of parts, as a value in parts says it."""
_EXT_CODE_AT: Final = {0xC7: 2, 0xC8: 3, 0xC9: 5}
"""Where the code of an extension stands, by the first byte of the extension."""
_KEEP_BUFFER: Final = 1 << 20
_LISTS: Final = (list, tuple)


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
    except (OverflowError, TypeError):
        packed = _Writing(parts).packed(tree)
    if len(packed) > _KEEP_BUFFER:
        # A packer keeps its largest buffer for ever, so a new one takes its place.
        _packer = _new_packer()
    if len(packed) > LONG and parts is not None and parts is not INSIDE and tree.__class__ in _LISTS:
        return _Writing(parts).packed(tree, packed)
    return packed


class _Writing:
    """The writing of one tree that has buffers, or that may have long lists.

    Args:
        parts: keeps what is large. None leaves it where it is, in the bytes or in its parts.
    """

    def __init__(self, parts: Parts | None) -> None:
        self._parts = parts
        self._keeps = parts is not None and parts is not INSIDE
        self._names: dict[int, tuple[PartName, ...]] = {}
        self._found: dict[PartName, None] = {}
        self._packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass", default=self._written)

    def packed(self, tree: Any, head: bytes = b"") -> bytes:
        try:
            head = head or self._head(tree)
            if self._keeps and len(head) > LONG and tree.__class__ in _LISTS:
                head = self._head(self._shortened(tree))
                return in_parts(head, parts_mentioned(head))
            return in_parts(head, self._found)
        finally:
            del self._packer  # it holds this object, and its large buffer would wait for a collection of cycles

    def _head(self, tree: Any) -> bytes:
        head: bytes = self._packer.pack(tree)
        return head

    def _written(self, one: Any) -> Any:
        """What stands in the bytes for what is no plain object."""
        if one.__class__ is LongList:
            self._found.update(dict.fromkeys((*parts_of(one), *parts_mentioned(one.tail))))
            return msgpack.ExtType(EXT_LONG_LIST, to_payload(one))
        if one.__class__ is int:
            size = (one.bit_length() + 8) // 8
            return msgpack.ExtType(EXT_BIG_INT, one.to_bytes(size, "big", signed=True))
        if one.__class__ is not Buffer:
            raise TypeError(f"a tree can't hold a {type(one).__name__}")
        names = self._names.get(id(one), ()) or one.names_in(self._parts)
        if not names:
            if one.size < PART_LIMIT or self._parts is None or not self._keeps:
                return one.content()
            names = self._names[id(one)] = self._parts.keep(one)
        self._found.update(dict.fromkeys(names))
        return msgpack.ExtType(EXT_BYTES if one.is_bytes else EXT_BUFFER, pack(names))

    def _shortened(self, tree: Any) -> Any:
        """A tree of more than `LONG` bytes with its long lists in blocks, the inner ones first."""
        assert self._parts is not None
        if tree.__class__ not in _LISTS:
            return tree
        cutter = ListCutter(self._parts, self._mentioned)
        items: list[Any] = []
        for begin in range(0, len(tree), PAGE):
            page = list(tree[begin : begin + PAGE])
            data = self._head(page)
            if len(data) > LONG:
                page = [self._shortened(one) if self._is_long(one) else one for one in page]
                data = self._head(page)
            items += page
            cutter.add(len(page), body_of(data, len(page)))
        cut = cutter.finished()
        return self._written(cut) if isinstance(cut, LongList) else items

    def _mentioned(self, data: bytes) -> tuple[PartName, ...]:
        return parts_mentioned(data) if self._found else ()

    def _is_long(self, tree: Any) -> bool:
        return tree.__class__ in _LISTS and len(self._head(tree)) > LONG


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
        names = tuple(map(part_name, listed))
    except _UNREADABLE as error:
        raise FormatError("a value in parts", f"is malformed ({_reason(error)})", 0) from None
    if algorithm != _BLAKE3:
        raise FormatError("a value in parts", f"names them by algorithm {algorithm}, which is not known here", 0)
    return payload[reader.tell() :], names


def long_list_in(head: bytes) -> LongList | None:
    """Give the long list that is all of a tree, by the tree's bytes. Raises `FormatError`."""
    at = _EXT_CODE_AT.get(head[0]) if head else None
    if at is None or len(head) <= at or head[at] != EXT_LONG_LIST:
        return None
    found = unpack(head)
    assert isinstance(found, LongList)
    return found


def parts_mentioned(head: bytes) -> tuple[PartName, ...]:
    """List the parts that a tree mentions, each once, in order. Raises `FormatError`."""
    found: dict[PartName, None] = {}

    def note(code: int, data: bytes) -> Any:
        thing = _extension(code, data, None)
        if isinstance(thing, Buffer):
            found.update(dict.fromkeys(thing.names))
        elif isinstance(thing, LongList):
            found.update(dict.fromkeys((*parts_of(thing), *parts_mentioned(thing.tail))))
        return None

    try:
        msgpack.unpackb(head, strict_map_key=False, unicode_errors="surrogatepass", ext_hook=note)
    except (msgpack.ExtraData, *_UNREADABLE) as error:
        raise _unreadable("a value in parts", head, error) from None
    return tuple(found)


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
    if code == EXT_LONG_LIST:
        one = from_payload(data)
        return one if parts is None else _items_of(one, parts)
    if code not in (EXT_BYTES, EXT_BUFFER):
        return _big_int(code, data)
    names = tuple(map(part_name, msgpack.unpackb(data)))
    if not names:
        raise ValueError("a buffer names no part")
    return Buffer.of_parts(names, parts, code == EXT_BYTES)


def _items_of(one: LongList, parts: Parts) -> list[Any]:
    items: list[Any] = []
    for count, body in one.bodies(parts):
        items += _tree(header(count) + body, "a block of a long list", partial(_extension, parts=parts))
    if len(items) != len(one):
        raise FormatError("a long list", "has blocks with other numbers of items than it says", 0)
    return items


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

    The buffers of a value in parts are read when they are asked for, from `parts`, and its long lists at once. Without
    it, a long list is a `LongList`.

    Raises `FormatError` for anything that is not one complete msgpack item.

    >>> unpack(pack([1, None]))
    [1, None]
    """
    if has_parts(data):
        data, _ = opened(bytes(data))
        return _tree(data, what, _unread if parts is None else partial(_extension, parts=parts))
    return _tree(data, what, _unread)


def _tree(data: bytes | memoryview, what: str, extension: Callable[[int, bytes], Any]) -> Any:
    try:
        return msgpack.unpackb(
            data, use_list=True, strict_map_key=False, unicode_errors="surrogatepass", ext_hook=extension
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
