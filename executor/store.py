"""The store: everything that a run is, under one URL, behind a few verbs.

`put_new` is the one primitive that safety rests on: it creates a key with its whole content, or tells that the key is there already, and of two writers at
one time exactly one creates. fsspec's own exclusive mode is check-then-write on local disks (12 of 200 races had two winners), so local files go
through `executor.local_files`; memory holds a lock of this process.

Objects that workers write are not synced one by one: the journal syncs all that a segment names, just before it writes the segment (payload before
pointer, rule J2).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote

from executor.errors import NotInStore, StoreError, UnsupportedStore
from executor.layout import is_log, object_key
from planner.plan import Large, Value
from typesys.canonical import INLINE_LIMIT, digest


class Backend(Protocol):
    """What a kind of storage can do. Keys are relative, with `/`."""

    def put_new(self, key: str, data: bytes, durable: bool) -> bool: ...
    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def get_range(self, key: str, start: int, end: int) -> bytes: ...
    def append(self, key: str, data: bytes) -> int: ...
    def list(self, prefix: str) -> list[str]: ...
    def exists(self, key: str) -> bool: ...
    def delete(self, key: str) -> None: ...
    def sync(self, keys: Iterable[str]) -> None: ...


class Store:
    """Runs, plans and values under one URL.

    Args:
        url: `file:///path`, a plain path, or `memory://name`; None for memory that nobody else sees.

    Every verb raises `StoreError` (with the key) if the storage fails, and `NotInStore` where a key is missing.

    >>> store = Store(None)
    >>> store.put_new("a/b", b"1"), store.put_new("a/b", b"2"), store.get("a/b")
    (True, False, b'1')
    """

    def __init__(self, url: str | Path | None) -> None:
        self.url, self._backend = _backend(url)

    @classmethod
    def carried(cls) -> tuple[Store, Carried]:
        """A store for a worker that shares none with its executor, and what holds its contents (rule J5)."""
        store = cls.__new__(cls)
        store.url, store._backend = "carried by the batch", (backend := Carried())
        return store, backend

    @property
    def outlives_the_process(self) -> bool:
        """Whether another process can find here what this one leaves."""
        return self.url.startswith("file:")

    def put_new(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create a key with its whole content; False, and nothing changed, if it is there already."""
        try:
            return self._backend.put_new(key, data, durable)
        except OSError as error:
            raise self._error("write", key, error) from error

    def put(self, key: str, data: bytes) -> None:
        """Create or replace a key, whole."""
        try:
            self._backend.put(key, data)
        except OSError as error:
            raise self._error("write", key, error) from error

    def get(self, key: str) -> bytes:
        """The content of a key."""
        try:
            return self._backend.get(key)
        except OSError as error:
            raise self._error("read", key, error) from error

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of a key."""
        try:
            return self._backend.get_range(key, start, end)
        except OSError as error:
            raise self._error("read", key, error) from error

    def append(self, key: str, data: bytes) -> int:
        """Add to the end of a key, creating it; gives the offset at which the data begins. For logs: not durable, one writer a key."""
        try:
            return self._backend.append(key, data)
        except OSError as error:
            raise self._error("write", key, error) from error

    def list(self, prefix: str) -> list[str]:
        """The keys directly below a folder, sorted."""
        try:
            return sorted(self._backend.list(prefix))
        except OSError as error:
            raise self._error("list", prefix, error) from error

    def exists(self, key: str) -> bool:
        """Whether a key is there now."""
        try:
            return self._backend.exists(key)
        except OSError as error:
            raise self._error("look for", key, error) from error

    def delete(self, key: str) -> None:
        """Remove a key; nothing happens if it is not there."""
        try:
            self._backend.delete(key)
        except OSError as error:
            raise self._error("delete", key, error) from error

    def sync(self, keys: Iterable[str]) -> None:
        """Make sure that these keys survive the machine's death."""
        try:
            self._backend.sync(keys)
        except OSError as error:
            raise self._error("sync", "new objects", error) from error

    def _error(self, verb: str, key: str, error: OSError) -> StoreError:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and verb in ("read", "sync"):
            return NotInStore(f"{key} is not in the store {self.url}")
        why = error.strerror or str(error) or type(error).__name__
        return StoreError(f"can't {verb} {key} in the store {self.url}: {why}")

    def take_in(self, written: Iterable[tuple[str, bytes]]) -> None:
        """Keep what a worker wrote that shares no store with this process."""
        for key, data in written:
            if is_log(key):
                self.append(key, data)
            else:
                self.put_new(key, data, durable=False)

    # --- values ---

    def put_value(self, data: bytes) -> Value:
        """The value of encoded bytes: themselves if they are few, else the name of an object that now holds them."""
        if len(data) <= INLINE_LIMIT:
            return data
        name = digest("value", data)
        self.put_object(name, data)
        return Large(name, len(data))

    def put_object(self, name: bytes, data: bytes) -> None:
        """Store the bytes of an object under its digest; equal values are stored once."""
        key = object_key(name)
        if not self.put_new(key, data, durable=False) and self.get(key) != data:
            self.put(key, data)  # a machine that died left it half written; its name is its digest, so the whole bytes may replace it

    def get_value(self, value: Value) -> bytes:
        """The encoded bytes of a value. Raises `StoreError` if an object's bytes are not those of its digest."""
        if isinstance(value, bytes):
            return value
        key = object_key(value.digest)
        data = self.get(key)
        if digest("value", data) != value.digest:
            raise StoreError(f"{key} in the store {self.url} is damaged: its digest does not match its bytes")
        return data

    def __repr__(self) -> str:
        return f"Store({self.url!r})"


class Carried:
    """What a batch brought, and what its outcomes take along.

    A log's offsets are those in the executor's store, since only this worker adds to it.
    """

    def __init__(self) -> None:
        self._brought: dict[str, bytes] = {}
        self._logs: dict[str, int] = {}
        self._written: list[list[Any]] = []

    def bring(self, contents: list[list[Any]]) -> None:
        """Have these keys to read from now on, and no others."""
        self._brought = dict(map(tuple, contents))

    def taken(self) -> list[list[Any]]:
        """[key, bytes] of what was written since the last call; parts of a log follow each other."""
        written, self._written = self._written, []
        return written

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        if key not in self._brought:
            self.put(key, data)
        return True

    def put(self, key: str, data: bytes) -> None:
        self._brought[key] = data
        self._written.append([key, data])

    def get(self, key: str) -> bytes:
        try:
            return self._brought[key]
        except KeyError:
            raise FileNotFoundError(key) from None

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return self.get(key)[start:end]

    def append(self, key: str, data: bytes) -> int:
        offset = self._logs.get(key, 0)
        self._logs[key] = offset + len(data)
        self._written.append([key, data])
        return offset

    def list(self, prefix: str) -> list[str]:
        return [key for key in self._brought if key.rpartition("/")[0] == prefix]

    def exists(self, key: str) -> bool:
        return key in self._brought

    def delete(self, key: str) -> None:
        self._brought.pop(key, None)

    def sync(self, keys: Iterable[str]) -> None:
        return


_SHARED: Final = "memory://"


def _backend(url: str | Path | None) -> tuple[str, Backend]:
    if url is None:
        return "memory (private)", _Memory(None)
    text = str(url)
    if not text:
        raise UnsupportedStore("the store has no name: give a folder or a URL")
    if text.startswith(_SHARED):
        return text, _Memory(text.removeprefix(_SHARED))
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in ("file", "local"):
        raise UnsupportedStore(f"the store {text} can't be used: file:// and memory:// are supported, {scheme}:// is not yet")
    from executor.local_files import LocalFiles

    path = Path(unquote(rest) if separator else text).expanduser().absolute()
    return path.as_uri(), LocalFiles(path)


class _Memory:
    """fsspec's memory file system: shared by the whole process under a name, or private."""

    _lock = threading.Lock()

    def __init__(self, name: str | None) -> None:
        from fsspec.implementations.memory import MemoryFileSystem

        self._fs: Any = MemoryFileSystem(global_store=False, skip_instance_cache=True) if name is None else MemoryFileSystem()
        self._root = f"/{name or 'store'}".rstrip("/")

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        path = self._path(key)
        with self._lock:
            if path in self._fs.store:
                return False
            self._fs.pipe_file(path, data)
        return True

    def put(self, key: str, data: bytes) -> None:
        with self._lock:
            self._fs.pipe_file(self._path(key), data)

    def get(self, key: str) -> bytes:
        return bytes(self._fs.cat_file(self._path(key)))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return bytes(self._fs.cat_file(self._path(key), start=start, end=end))

    def append(self, key: str, data: bytes) -> int:
        path = self._path(key)
        with self._lock:
            offset = self._fs.size(path) if path in self._fs.store else 0
            with self._fs.open(path, "ab" if offset else "wb") as file:
                file.write(data)
        return int(offset)

    def list(self, prefix: str) -> list[str]:
        try:
            found = self._fs.ls(self._path(prefix), detail=False)
        except FileNotFoundError:
            return []
        return [path.removeprefix(self._root + "/") for path in found]

    def exists(self, key: str) -> bool:
        return self._path(key) in self._fs.store  # its own exists() looks at every key

    def delete(self, key: str) -> None:
        try:
            self._fs.rm_file(self._path(key))
        except (FileNotFoundError, KeyError):
            return

    def sync(self, keys: Iterable[str]) -> None:
        return
