"""Cutting lists into chunks and joining them again, as bytes: no list is decoded whole (rule B3). Pure.

A chunk ends at a fixed number of items, or at a fixed number of bytes of one list. So the chunks follow from the lists
alone, never from the workers or the engine (rule X3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

import msgpack

from promissory.executor.protocol.limits import MOST_ITEMS
from promissory.typesys.buffer import PartName
from promissory.typesys.canonical import has_parts, in_parts, opened, parts_mentioned
from promissory.typesys.errors import FormatError

MOST_BYTES: Final = 1 << 20


class UnequalLists(ValueError):
    """Lists that are mapped together have different lengths. `lengths` has them in order."""

    def __init__(self, lengths: list[int]) -> None:
        super().__init__("lists of different lengths")
        self.lengths = lengths


def length_of(data: bytes) -> int:
    """The number of items of a list.

    >>> from promissory.typesys.canonical import pack
    >>> length_of(pack([1, 2, 3]))
    3
    """
    head, _ = opened(data)
    reader = msgpack.Unpacker(None, max_buffer_size=len(head) + 1)
    reader.feed(head[:5])
    try:
        return int(reader.read_array_header())
    except (ValueError, msgpack.UnpackException):
        raise FormatError("a list that is mapped", "is no list", 0) from None


def items_of(data: bytes) -> Iterator[bytes]:
    """The bytes of each item of a list. Of a list in parts, each item names its own.

    >>> from promissory.typesys.canonical import pack
    >>> list(items_of(pack([1, "a"])))
    [b'\\x01', b'\\xa1a']
    """
    if has_parts(data):
        for item in items_of(opened(data)[0]):
            yield in_parts(item, parts_mentioned(item))
        return
    reader = msgpack.Unpacker(None, max_buffer_size=max(len(data), 1), read_size=max(len(data), 1))
    reader.feed(data)
    count = reader.read_array_header()
    begin = reader.tell()
    for _ in range(count):
        reader.skip()
        end = reader.tell()
        yield data[begin:end]
        begin = end


def header(count: int) -> bytes:
    """The bytes that stand before the items of a list with `count` items."""
    packer = msgpack.Packer()
    head: bytes = packer.pack_array_header(count)
    return head


def list_of(items: list[bytes]) -> bytes:
    """The list of some items."""
    if not any(map(has_parts, items)):
        return header(len(items)) + b"".join(items)
    heads, named = zip(*map(opened, items), strict=True)
    return in_parts(header(len(items)) + b"".join(heads), chain.from_iterable(named))


class Items(NamedTuple):
    """The items of a list: their number, the bytes of each, and whether any of them has parts."""

    total: int
    each: Iterator[bytes]
    in_parts: bool = False


def listed(data: bytes) -> Items:
    """The items of a list."""
    return Items(length_of(data), items_of(data), has_parts(data))


def flattened(data: bytes) -> Items:
    """The items of the lists in a list.

    >>> from promissory.typesys.canonical import pack
    >>> flattened(pack([[1], [], [2, 3]])).total
    3
    """
    lists = list(items_of(data))
    return Items(sum(map(length_of, lists)), chain.from_iterable(map(items_of, lists)), has_parts(data))


def cut(lists: list[Items], shortest: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """Chunks of lists that are mapped together: the number of items, and that part of each list, as a list.

    Args:
        shortest: whether the items end with the shortest list.

    Raises:
        UnequalLists: the lists have different lengths, and `shortest` is False.

    >>> from promissory.typesys.canonical import pack
    >>> chunks = cut([listed(pack([1, 2])), listed(pack([3, 4]))])
    >>> [(count, [list(items_of(part)) for part in parts]) for count, parts in chunks]
    [(2, [[b'\\x01', b'\\x02'], [b'\\x03', b'\\x04']])]
    """
    lengths = [one.total for one in lists]
    if len(set(lengths)) > 1 and not shortest:
        raise UnequalLists(lengths)
    readers = [one.each for one in lists]
    left = min(lengths)
    while left:
        parts: list[list[bytes]] = [[] for _ in lists]
        sizes = [0] * len(lists)
        count = 0
        while count < min(left, MOST_ITEMS) and (count == 0 or max(sizes) < MOST_BYTES):
            for at, reader in enumerate(readers):
                item = next(reader)
                parts[at].append(item)
                sizes[at] += len(item)
            count += 1
        left -= count
        yield (
            count,
            [
                list_of(part) if one.in_parts else header(count) + b"".join(part)
                for one, part in zip(lists, parts, strict=True)
            ],
        )


def join(lists: Iterable[bytes]) -> bytes:
    """One list of the items of many lists.

    >>> from promissory.typesys.canonical import pack
    >>> join([pack([1]), pack([]), pack([2, 3])]) == pack([1, 2, 3])
    True
    """
    heads, names, total = [], dict[PartName, None](), 0
    for data in lists:
        head, named = opened(data)
        count = length_of(head)
        heads.append(head[len(header(count)) :])
        names.update(dict.fromkeys(named))
        total += count
    return in_parts(header(total) + b"".join(heads), names)
