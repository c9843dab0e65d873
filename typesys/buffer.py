"""Buffers: the bytes of arrays, columns and files, as they stand in a wire tree.

A buffer of `PART_LIMIT` bytes or more is no part of its value's bytes. It lies beside them as a *part*, named by the
BLAKE3-256 of its bytes, so that it is written straight from the memory in which it lies, and mapped where it is read.
This module owns what a buffer is, and how a part gets its name. Where parts lie is known to whoever is the `Parts`.

BLAKE3: J. O'Connor, J.-P. Aumasson, S. Neves, Z. Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere", 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from promissory.typesys.errors import FormatError

PART_LIMIT: Final = 1 << 16
"""A buffer of at least this many bytes is a part."""
LARGEST_PART: Final = 1 << 30
"""A part has at most this many bytes. A longer buffer is several parts, of which each but the last has as many."""
_STEP: Final = 1 << 20

Write = Callable[[memoryview], Any]


class PartName(NamedTuple):
    """The name of a part: its BLAKE3-256 and its number of bytes."""

    digest: bytes
    size: int


def part_name(tree: Any) -> PartName:
    """Read the name of a part. Raises `ValueError` for what is none."""
    digest, size = tree
    if digest.__class__ is not bytes or len(digest) != 32 or size.__class__ is not int or not 0 < size <= LARGEST_PART:
        raise ValueError("a part is named wrongly")
    return PartName(digest, size)


class Parts(Protocol):
    """A place where parts are kept."""

    @property
    def stays(self) -> bool:
        """Whether a part can still be read later."""

    def keep(self, buffer: Buffer) -> tuple[PartName, ...]:
        """Keep the bytes of a buffer, and name the parts that hold them, in order."""

    def mapped(self, names: tuple[PartName, ...]) -> memoryview:
        """Give the bytes of some parts, one behind the other, in memory that is the caller's own to write to."""

    def path_of(self, names: tuple[PartName, ...]) -> str | None:
        """Give the path of a file of this machine that holds these parts and nothing else; None if there is none."""


class Buffer:
    """Bytes in a wire tree that are not copied into it.

    Attributes:
        size: the number of bytes.
        names: the parts that hold the bytes; none for a buffer that was not kept.
        is_bytes: whether the value is `bytes`, which nobody can write to.
    """

    __slots__ = ("_source", "_write", "is_bytes", "names", "size")

    def __init__(
        self,
        size: int,
        write: Callable[[Write], Any] | None,
        names: tuple[PartName, ...] = (),
        source: Parts | None = None,
        is_bytes: bool = False,
    ) -> None:
        self.size = size
        self.names = names
        self.is_bytes = is_bytes
        self._write = write
        self._source = source

    @classmethod
    def of(cls, memory: Any, is_bytes: bool = False) -> Buffer:
        """Make a buffer of memory that can be read without a copy (contiguous, of any shape).

        >>> bytes(Buffer.of(b"abc").view())
        b'abc'
        """
        view = memoryview(memory).cast("B") if memory is not None and memoryview(memory).nbytes else memoryview(b"")

        def write(into: Write) -> None:
            for begin in range(0, len(view), _STEP):
                into(view[begin : begin + _STEP])

        return cls(len(view), write, is_bytes=is_bytes)

    @classmethod
    def of_parts(cls, names: tuple[PartName, ...], source: Parts | None, is_bytes: bool) -> Buffer:
        """Make a buffer of parts that were kept. From a source that can't be asked later they are read at once."""
        size = sum(name.size for name in names)
        if source is None or source.stays:
            return cls(size, None, names, source, is_bytes)
        held = cls.of(source.mapped(names))
        return cls(size, held._write, names, source, is_bytes)

    def names_in(self, parts: Parts | None) -> tuple[PartName, ...]:
        """Give the names of the parts, if they are kept in a place or the place doesn't matter: it is not said, or not
        known."""
        return self.names if parts is None or self._source is parts or self._source is None else ()

    def write_to(self, into: Write) -> None:
        """Give the bytes piece by piece, in order. The same pieces come each time."""
        if self._write is not None:
            self._write(into)
        elif self.size:
            into(self.view())

    def view(self) -> memoryview:
        """Give the bytes in memory that is the caller's own to write to.

        Raises `FormatError` for the parts of a value that was read without the place where its parts are kept.
        """
        if self._write is None:
            if self._source is None:
                raise FormatError("a value", "has parts that lie in a store, which is not at hand here")
            return self._source.mapped(self.names)
        memory = bytearray()
        self._write(memory.extend)
        return memoryview(memory)

    def path(self) -> str | None:
        """Give the path of a file with these bytes and no others, if there is one on this machine."""
        return None if self._write is not None or self._source is None else self._source.path_of(self.names)

    def content(self) -> bytes:
        """Give the bytes as one object that nobody can write to."""
        if self._write is None:
            return bytes(self.view())
        pieces: list[memoryview] = []
        self._write(pieces.append)
        return b"".join(pieces)

    def __repr__(self) -> str:
        return f"Buffer({self.size} bytes)"


class _NamesOnly:
    """Names parts and keeps none: to see what the bytes of a value would be."""

    stays = True

    def keep(self, buffer: Buffer) -> tuple[PartName, ...]:
        return names_of(buffer)

    def mapped(self, names: tuple[PartName, ...]) -> memoryview:
        raise FormatError("a value", "has parts that lie in a store, which is not at hand here")

    def path_of(self, names: tuple[PartName, ...]) -> str | None:
        return None


class Pending(_NamesOnly):
    """Names parts, and holds their buffers until it is known where they are to be kept.

    Attributes:
        buffers: the buffers, which their owner must not change meanwhile.
    """

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []

    def keep(self, buffer: Buffer) -> tuple[PartName, ...]:
        self.buffers.append(buffer)
        return super().keep(buffer)


INSIDE: Final = _NamesOnly()
"""Has all buffers stand in the bytes of their value, which is then complete in itself."""
NAMES_ONLY: Final = _NamesOnly()


def blake3(data: Any) -> bytes:
    """Give the BLAKE3-256 of some bytes.

    >>> blake3(b"").hex()[:16]
    'af1349b9f5f9a1a6'
    """
    state = new_blake3()
    state.update(data)
    found: bytes = state.digest()
    return found


def new_blake3() -> Any:
    """Make the state of a BLAKE3 to which bytes can be added. The library is loaded when the first is made."""
    from blake3 import blake3 as new

    return new()


def names_of(buffer: Buffer) -> tuple[PartName, ...]:
    """Name the parts of a buffer, each with at most `LARGEST_PART` bytes, without keeping them."""
    if buffer.names:
        return buffer.names
    names: list[PartName] = []
    state, size = new_blake3(), 0

    def take(piece: memoryview) -> None:
        nonlocal state, size
        while size + len(piece) > LARGEST_PART:
            fits = LARGEST_PART - size
            state.update(piece[:fits])
            names.append(PartName(state.digest(), LARGEST_PART))
            state, size, piece = new_blake3(), 0, piece[fits:]
        state.update(piece)
        size += len(piece)

    buffer.write_to(take)
    return (*names, PartName(state.digest(), size))
