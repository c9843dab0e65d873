"""Storage in this process's memory: for tests, and for plain calls, which leave nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any


class Private:
    """A table of one store's own. A plain call has such a table, and so loads no file system."""

    near = True
    lasting = False
    grows = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: dict[str, bytes] = {}
        self._changed: dict[str, float] = {}

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        with self._lock:
            if key in self._contents:
                return False
            self._keep(key, data)
        return True

    def put(self, key: str, data: bytes) -> None:
        with self._lock:
            self._keep(key, data)

    def _keep(self, key: str, data: bytes) -> None:
        self._contents[key] = bytes(data)
        self._changed[key] = time.time()

    def get(self, key: str) -> bytes:
        try:
            return self._contents[key]
        except KeyError:
            raise FileNotFoundError(key) from None

    def get_range(self, key: str, start: int, end: int) -> bytes:
        return self.get(key)[start:end]

    def append(self, key: str, data: bytes) -> int:
        with self._lock:
            before = self._contents.get(key, b"")
            self._keep(key, before + data)
        return len(before)

    def is_folder(self, key: str) -> bool:
        return key not in self._contents

    def leftovers(self) -> list[str]:
        return []

    def changed(self, key: str) -> float:
        try:
            return self._changed[key]
        except KeyError:
            raise FileNotFoundError(key) from None

    def exists(self, key: str) -> bool:
        return key in self._contents

    def delete(self, key: str) -> None:
        with self._lock:
            self._contents.pop(key, None)
            self._changed.pop(key, None)

    def sync(self, keys: Iterable[str]) -> None:
        return

    def list(self, prefix: str) -> list[str]:
        with self._lock:
            below = [key for key in self._contents if key.startswith(f"{prefix}/")]
        return list(dict.fromkeys(f"{prefix}/{key[len(prefix) + 1 :].partition('/')[0]}" for key in below))


class Memory:
    """fsspec's memory file system: shared by the whole process under a name."""

    near = True
    lasting = False
    grows = True
    _lock = threading.Lock()

    def __init__(self, name: str) -> None:
        from fsspec.implementations.memory import MemoryFileSystem

        self._fs: Any = MemoryFileSystem()
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

    def is_folder(self, key: str) -> bool:
        return self._path(key) not in self._fs.store

    def leftovers(self) -> list[str]:
        return []

    def changed(self, key: str) -> float:
        modified: float = self._fs.modified(self._path(key)).timestamp()
        return modified

    def exists(self, key: str) -> bool:
        return self._path(key) in self._fs.store  # fsspec's own exists() looks at every key

    def delete(self, key: str) -> None:
        try:
            self._fs.rm_file(self._path(key))
        except (FileNotFoundError, KeyError):
            return

    def sync(self, keys: Iterable[str]) -> None:
        return

    def list(self, prefix: str) -> list[str]:
        try:
            found = self._fs.ls(self._path(prefix), detail=False)
        except FileNotFoundError:
            return []
        return [key for path in found if (key := path.removeprefix(self._root + "/")) != prefix]
