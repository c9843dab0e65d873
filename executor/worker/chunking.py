"""Cutting lists into chunks and joining them again, as bytes: no list is decoded (rule B3).

A chunk ends at a fixed number of items, or at a fixed number of bytes of one list. So the chunks follow from the lists
alone, never from the workers or the engine (rule X3). Long lists are read and written block by block.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, NamedTuple

from promissory.executor.protocol.limits import MOST_ITEMS
from promissory.typesys.buffer import PartName, Parts
from promissory.typesys.canonical import has_parts, in_parts, long_list_in, opened, pack, parts_mentioned
from promissory.typesys.errors import FormatError
from promissory.typesys.long_lists import ListCutter, body_of, ends_in, header, items_in
from promissory.typesys.long_lists import length_of as length_of_plain

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
    long = long_list_in(head)
    try:
        return length_of_plain(head) if long is None else len(long)
    except FormatError:
        raise FormatError("a list that is mapped", "is no list", 0) from None


def _bodies_of(data: bytes, parts: Parts) -> Iterator[tuple[int, bytes]]:
    """The items of a list, some at a time: their number, and their bytes, one behind the other."""
    head, _ = opened(data)
    long = long_list_in(head)
    if long is not None:
        yield from ((count, bytes(body)) for count, body in long.bodies(parts))
    else:
        count = length_of_plain(head)
        yield count, body_of(head, count)


def _naming_parts(data: bytes) -> bytes:
    return in_parts(data, parts_mentioned(data))


def items_of(data: bytes, parts: Parts) -> Iterator[bytes]:
    """The bytes of each item of a list. Of a list in parts, each item names its own.

    >>> from promissory.typesys.buffer import INSIDE
    >>> from promissory.typesys.canonical import pack
    >>> list(items_of(pack([1, "a"]), INSIDE))
    [b'\\x01', b'\\xa1a']
    """
    items = chain.from_iterable(items_in(body, count) for count, body in _bodies_of(data, parts))
    return map(_naming_parts, items) if has_parts(data) else items


class Items(NamedTuple):
    """The items of a list: their number, their bytes, some at a time, and whether any of them may have parts."""

    total: int
    bodies: Iterator[tuple[int, bytes]]
    in_parts: bool


def listed(data: bytes, parts: Parts) -> Items:
    """The items of a list."""
    return Items(length_of(data), _bodies_of(data, parts), has_parts(data))


def flattened(data: bytes, parts: Parts) -> Items:
    """The items of the lists in a list.

    >>> from promissory.typesys.buffer import INSIDE
    >>> from promissory.typesys.canonical import pack
    >>> flattened(pack([[1], [], [2, 3]]), INSIDE).total
    3
    """
    lists = list(items_of(data, parts))
    bodies = chain.from_iterable(_bodies_of(one, parts) for one in lists)
    return Items(sum(map(length_of, lists)), bodies, has_parts(data))


class _Reader:
    """Takes items from the front of a list."""

    def __init__(self, bodies: Iterator[tuple[int, bytes]]) -> None:
        self._bodies = bodies
        self._data = b""
        self._ends = [0]
        self._at = 0

    def until(self, most: int, size: int) -> int:
        """The number of the next items, up to `most`, by which they have `size` bytes."""
        while len(self._ends) - 1 - self._at < most:
            begin = self._ends[self._at]
            count, body = next(self._bodies)
            ends = [end - begin for end in self._ends[self._at :]]
            ends += [end + ends[-1] for end in ends_in(body, count)]
            self._data, self._ends, self._at = self._data[begin:] + body, ends, 0
        wanted = self._ends[self._at] + size
        return min(most, bisect_left(self._ends, wanted, self._at + 1, self._at + most + 1) - self._at)

    def take(self, count: int) -> bytes:
        """The bytes of the next items."""
        begin, self._at = self._at, self._at + count
        return self._data[self._ends[begin] : self._ends[self._at]]


def cut(lists: list[Items], shortest: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """Chunks of lists that are mapped together: the number of items, and that part of each list, as a list.

    Args:
        shortest: whether the items end with the shortest list.

    Raises:
        UnequalLists: the lists have different lengths, and `shortest` is False.

    >>> from promissory.typesys.buffer import INSIDE
    >>> from promissory.typesys.canonical import pack
    >>> chunks = cut([listed(pack([1, 2]), INSIDE), listed(pack([3, 4]), INSIDE)])
    >>> [(count, [list(items_of(part, INSIDE)) for part in parts]) for count, parts in chunks]
    [(2, [[b'\\x01', b'\\x02'], [b'\\x03', b'\\x04']])]
    """
    lengths = [one.total for one in lists]
    if len(set(lengths)) > 1 and not shortest:
        raise UnequalLists(lengths)
    readers = [_Reader(one.bodies) for one in lists]
    left = min(lengths)
    while left:
        count = min(reader.until(min(left, MOST_ITEMS), MOST_BYTES) for reader in readers)
        left -= count
        chunk = [header(count) + reader.take(count) for reader in readers]
        yield count, [_naming_parts(part) if one.in_parts else part for one, part in zip(lists, chunk, strict=True)]


def join(lists: Iterable[bytes], parts: Parts) -> bytes:
    """One list of the items of many lists.

    Args:
        lists: the lists.
        parts: has the blocks of the lists, and keeps those of the list.

    >>> from promissory.typesys.buffer import INSIDE
    >>> from promissory.typesys.canonical import pack
    >>> join([pack([1]), pack([]), pack([2, 3])], INSIDE) == pack([1, 2, 3])
    True
    """
    any_in_parts = False

    def mentioned(data: bytes) -> tuple[PartName, ...]:
        return parts_mentioned(data) if any_in_parts else ()

    whole = ListCutter(parts, mentioned)
    for data in lists:
        any_in_parts = any_in_parts or has_parts(data)
        for count, body in _bodies_of(data, parts):
            whole.add(count, body)
    joined = whole.finished()
    return in_parts(joined, mentioned(joined)) if isinstance(joined, bytes) else pack(joined)
