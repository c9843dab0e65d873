"""The parts of values in a store: large buffers, each under the BLAKE3 of its bytes (rule V4).

A part is written straight from the memory in which it lies, and read as memory of the reader's own: mapped
copy-on-write from a disk of this machine, fetched once a host from a store that is far away. Its bytes are compared
with its name when a process reads it first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from promissory.executor.errors import StoreDamage, StoreError
from promissory.executor.store import part_cache
from promissory.executor.store.backend import Backend, Stamp, Streaming
from promissory.executor.store.in_band import Carried
from promissory.executor.store.keys import part_key
from promissory.typesys.buffer import LARGEST_PART, Buffer, PartName, Write, blake3, names_of, new_blake3
from promissory.typesys.errors import TypeMismatch

_REMEMBERED: Final = 1 << 16
_UNKNOWN: Final = (-1, -1, -1)


class StoredParts:
    """The parts in one store.

    Args:
        url: of the store, for errors.
        backend: the storage.
        patiently: carries a verb out, given what it is called and its key, until it works or fails for good.
    """

    def __init__(self, url: str, backend: Backend, patiently: Callable[[str, str, Callable[[], Any]], Any]) -> None:
        self._url = url
        self._backend = backend
        self._patiently = patiently
        self._whole: dict[str, Stamp | None] = {}

    def _exists(self, key: str) -> bool:
        return bool(self._patiently("look for", key, lambda: self._backend.exists(key)))

    @property
    def stays(self) -> bool:
        """Whether a part can still be read later; what a batch brought can be read only while it is carried out."""
        return not isinstance(self._backend, Carried)

    def keep(self, buffer: Buffer) -> tuple[PartName, ...]:
        """Store the bytes of a buffer in parts, straight from where they lie. Equal parts are stored once."""
        names = names_of(buffer)
        for number, name in enumerate(names):
            key = part_key(name.digest)
            if not self._exists(key) or (self._backend.near and not self.is_whole(name)):
                self._patiently("write", key, partial(self._write_part, key, buffer, number * LARGEST_PART, name.size))
        return names

    def is_whole(self, name: PartName) -> bool:
        """Whether a part that is there has the bytes of its name: a machine that died may have left it half written."""
        try:
            self._mapped(name)
        except StoreError:
            return False
        return True

    def _write_part(self, key: str, buffer: Buffer, begin: int, size: int) -> None:
        def write(into: Write) -> None:
            position = 0

            def take(piece: memoryview) -> None:
                nonlocal position
                wanted = piece[max(0, begin - position) : max(0, begin + size - position)]
                position += len(piece)
                if wanted:
                    into(wanted)

            buffer.write_to(take)

        if isinstance(self._backend, Streaming):
            self._backend.put_from(key, partial(_checked, key, write))
            return
        pieces: list[bytes] = []
        _checked(key, write, lambda piece: pieces.append(bytes(piece)))
        self._backend.put(key, b"".join(pieces))

    def mapped(self, names: tuple[PartName, ...]) -> memoryview:
        """The bytes of some parts, one behind the other, in memory that is the caller's own.

        Raises `StoreError` if a part's bytes don't match its name (rule V4: at its first reading in this process).
        """
        if len(names) == 1:
            return self._mapped(names[0])
        memory = bytearray()
        for name in names:
            memory += self._mapped(name)
        return memoryview(memory)

    def path_of(self, names: tuple[PartName, ...]) -> str | None:
        """The path of the file that holds one part, if it lies on this machine."""
        if len(names) != 1:
            return None
        self._mapped(names[0])
        if not isinstance(self._backend, Streaming):
            return None if self._backend.near else part_cache.path_of(names[0])
        return self._backend.path_of(part_key(names[0].digest))

    def _mapped(self, name: PartName) -> memoryview:
        key = part_key(name.digest)
        if isinstance(self._backend, Streaming):
            backend = self._backend
            memory, stamp = self._patiently("read", key, lambda: backend.mapped(key))
        elif self._backend.near:
            memory, stamp = memoryview(bytearray(self._patiently("read", key, lambda: self._backend.get(key)))), None
        else:
            return self._fetched(name, key)
        if self._whole.get(key, _UNKNOWN) != stamp:
            if len(memory) != name.size or blake3(memory) != name.digest:
                raise StoreDamage(f"{key} in the store {self._url} is damaged: its digest does not match its bytes")
            if len(self._whole) >= _REMEMBERED:
                self._whole.clear()
            self._whole[key] = stamp
        found: memoryview = memory
        return found

    def _fetched(self, name: PartName, key: str) -> memoryview:
        """A part of a store that is far away, from this machine's cache if it is there."""
        memory = part_cache.cached(name)
        if memory is None:
            data: bytes = self._patiently("read", key, lambda: self._backend.get(key))
            if len(data) != name.size or blake3(data) != name.digest:
                raise StoreDamage(f"{key} in the store {self._url} is damaged: its digest does not match its bytes")
            part_cache.keep(name, data)
            memory = part_cache.cached(name)
            return memoryview(bytearray(data)) if memory is None else memory
        return memory


def _checked(key: str, write: Callable[[Write], None], into: Write) -> None:
    """Write the bytes of a part, and see that they are those by which it is named: whoever owns the memory may have
    written to it since. Raises `TypeMismatch`."""
    state = new_blake3()

    def take(piece: memoryview) -> None:
        state.update(piece)
        into(piece)

    write(take)
    if state.hexdigest() != key.rpartition("/")[2]:
        raise TypeMismatch("an array, or another large buffer, was changed while it was written down")
