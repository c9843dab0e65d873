"""Long lists: a list of more than 128 KiB lies in blocks of its items' bytes, each of them a part (rule V4).

Where a list is cut follows from its items alone, and from the front: a list that grew shares all but the end of its
blocks with the list that it was, so that a history to which each turn adds costs about what it holds in the end, and
not a copy a turn. The items that fill no block yet stay with the value, as its *tail*.

Items are counted in pages of 1,024. A full page of less than 16 KiB is one *grain*, else each of its items is one, so
that small items are hardly looked at one by one. A block ends with the grain by which it has 16 KiB. Blocks of that
size are joined as soon as they have 128 KiB together, and those as soon as they have 1 MiB: the levels of a
log-structured merge tree (P. O'Neil, E. Cheng, D. Gawlick, E. O'Neil, "The log-structured merge-tree", 1996), of which
only the result is ever written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

import msgpack

from promissory.typesys.buffer import Buffer, PartName, Parts, part_name
from promissory.typesys.errors import FormatError

LONG: Final = 1 << 17
"""A list whose items have more bytes than this is long."""
PAGE: Final = 1024
"""Items are counted in pages of this many."""
_LEVELS: Final = (1 << 14, 1 << 17, 1 << 20)
"""The bytes with which a block of each level ends."""
_GRAIN: Final = _LEVELS[0]


class Block(NamedTuple):
    """Consecutive items of a list.

    Attributes:
        items: the number of items.
        names: the parts that hold their bytes, one item behind the other. More than one for a single huge item.
        inside: the parts that are mentioned by the items themselves.
    """

    items: int
    names: tuple[PartName, ...]
    inside: tuple[PartName, ...] = ()


@dataclass(frozen=True, slots=True)
class LongList:
    """A long list, as it stands in a tree whose reader has no place to read parts from.

    Attributes:
        blocks: the items but the last.
        tail: the other items, as the bytes of a list.
    """

    blocks: tuple[Block, ...]
    tail: bytes

    def __len__(self) -> int:
        return sum(block.items for block in self.blocks) + length_of(self.tail)

    def bodies(self, parts: Parts) -> Iterator[tuple[int, memoryview | bytes]]:
        """Give the number of items and their bytes, block by block. Raises whatever reading a part raises."""
        for block in self.blocks:
            yield block.items, parts.mapped(block.names)
        count = length_of(self.tail)
        if count:
            yield count, body_of(self.tail, count)


def header(count: int) -> bytes:
    """Give the bytes that stand before the items of a list with `count` items.

    >>> header(2).hex()
    '92'
    """
    head: bytes = msgpack.Packer().pack_array_header(count)
    return head


def length_of(data: bytes) -> int:
    """Give the number of items of a list that is no long one. Raises `FormatError` if the bytes are no list.

    >>> length_of(bytes.fromhex("920102"))
    2
    """
    reader = msgpack.Unpacker(None, max_buffer_size=len(data) + 1)
    reader.feed(data[:5])
    try:
        return int(reader.read_array_header())
    except (ValueError, msgpack.UnpackException):
        raise FormatError("a value", "is no list", 0) from None


def body_of(data: bytes, count: int) -> bytes:
    """Give the bytes of a list's items."""
    return data[len(header(count)) :]


def ends_in(body: bytes, count: int) -> Iterator[int]:
    """Give where each of some items ends, that lie one behind the other. Raises `FormatError` if they are fewer."""
    reader = msgpack.Unpacker(None, max_buffer_size=max(len(body), 1), read_size=max(len(body), 1))
    reader.feed(body)
    skip, tell = reader.skip, reader.tell
    try:
        for _ in range(count):
            skip()
            yield tell()
    except (msgpack.UnpackException, ValueError) as error:
        raise FormatError("a list", f"has other items than it says ({type(error).__name__})", 0) from None


def items_in(body: bytes, count: int) -> Iterator[bytes]:
    """Give the bytes of each of some items that lie one behind the other."""
    begin = 0
    for end in ends_in(body, count):
        yield body[begin:end]
        begin = end


class ListCutter:
    """Cuts a list, which is given from its front, into blocks. Holds some 2 MiB, and what it is given.

    Args:
        parts: keeps the blocks.
        mentioned: gives the parts that the bytes of a list mention.

    Attributes:
        length: the number of items that were given.
        size: the number of their bytes.
    """

    def __init__(self, parts: Parts, mentioned: Callable[[bytes], tuple[PartName, ...]]) -> None:
        self.length = self.size = 0
        self._parts = parts
        self._mentioned = mentioned
        self._kept: list[Block] = []
        # What was not joined yet: grains, blocks of the first level, blocks of the second.
        self._open: list[list[tuple[int, bytes]]] = [[] for _ in _LEVELS]
        self._sizes = [0] * len(_LEVELS)
        # Of a page that is small so far.
        self._held: list[tuple[int, bytes]] = []
        self._in_page = self._page_size = 0

    def add(self, count: int, body: bytes) -> None:
        """Take the next items: their number, and their bytes, one behind the other."""
        self.length += count
        self.size += len(body)
        while count > (room := PAGE - self._in_page):
            *_, end = ends_in(body, room)
            self._fill(room, body[:end])
            count, body = count - room, body[end:]
        self._fill(count, body)

    def finished(self) -> LongList | bytes:
        """Give the list, or its bytes if it is not long."""
        tail_count, tail = _joined([*self._open[0], *self._held])
        if self.size <= LONG:
            count, body = _joined([*self._open[2], *self._open[1], (tail_count, tail)])
            return header(count) + body
        left = [self._keep(*block) for block in (*self._open[2], *self._open[1])]
        return LongList((*self._kept, *left), header(tail_count) + tail)

    def _fill(self, count: int, body: bytes) -> None:
        """Take items of one page."""
        self._in_page += count
        self._page_size += len(body)
        self._held.append((count, body))
        if self._page_size >= _GRAIN:
            for held in self._held:
                self._take_items(*held)
            self._held.clear()
        elif self._in_page == PAGE:
            self._take(*_joined(self._held))
            self._held.clear()
        if self._in_page == PAGE:
            self._in_page = self._page_size = 0

    def _take_items(self, count: int, body: bytes) -> None:
        """Take items of which each is a grain."""
        taken = begin = 0
        enough = _GRAIN - self._sizes[0]
        for number, end in enumerate(ends_in(body, count), start=1):
            if end - begin >= enough:
                self._take(number - taken, body[begin:end])
                taken, begin, enough = number, end, _GRAIN
        if taken < count:
            self._take(count - taken, body[begin:])

    def _take(self, count: int, grain: bytes) -> None:
        """Take grains, of which only the last may end a block."""
        for level, enough in enumerate(_LEVELS):
            self._open[level].append((count, grain))
            self._sizes[level] += len(grain)
            if self._sizes[level] < enough:
                return
            count, grain = _joined(self._open[level])
            self._open[level].clear()
            self._sizes[level] = 0
        self._kept.append(self._keep(count, grain))

    def _keep(self, count: int, body: bytes) -> Block:
        return Block(count, self._parts.keep(Buffer.of(body)), self._mentioned(header(count) + body))


def _joined(pieces: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    if len(pieces) == 1:
        return pieces[0]
    return sum(count for count, _ in pieces), b"".join(body for _, body in pieces)


def to_payload(one: LongList) -> bytes:
    """Write a long list: an array of [count, parts, parts inside] for each block, and the list of the other items."""
    packer = msgpack.Packer(use_bin_type=True)
    head: bytes = packer.pack([block if block.inside else block[:2] for block in one.blocks])
    return head + one.tail


def from_payload(data: bytes) -> LongList:
    """Read a long list. Raises `ValueError` for what is none."""
    reader = msgpack.Unpacker(None, max_buffer_size=len(data) + 1, read_size=max(1, len(data)))
    reader.feed(data)
    blocks = tuple(_block(*tree) for tree in reader.unpack())
    one = LongList(blocks, data[reader.tell() :])
    if not blocks or length_of(one.tail) < 0:
        raise ValueError("a long list has no blocks")
    return one


def _block(count: Any, names: Any, inside: Any = ()) -> Block:
    if count.__class__ is not int or count < 1 or not names:
        raise ValueError("a block of a long list is malformed")
    return Block(count, tuple(map(part_name, names)), tuple(map(part_name, inside)))


def parts_of(one: LongList) -> Iterator[PartName]:
    """Give the parts that a long list has in its blocks, in order."""
    return chain.from_iterable((*block.names, *block.inside) for block in one.blocks)
