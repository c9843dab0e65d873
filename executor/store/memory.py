"""A store in this process's memory: for tests, and for plain calls, which leave nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any


class Memory:
    """fsspec's memory file system: shared by the whole process under a name, or private."""

    near = True
    lasting = False
    grows = True
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

    def is_folder(self, key: str) -> bool:
        return self._path(key) not in self._fs.store

    def leftovers(self) -> list[str]:
        return []

    def changed(self, key: str) -> float:
        modified: float = self._fs.modified(self._path(key)).timestamp()
        return modified

    def exists(self, key: str) -> bool:
        return self._path(key) in self._fs.store  # its own exists() looks at every key

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
