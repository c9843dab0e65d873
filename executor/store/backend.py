"""The `Backend` protocol, which each kind of storage implements for a store, and the storage that a URL means.

========================= ================ ================================================================
URL                       module           of two writers of one key at one time
========================= ================ ================================================================
`/a/path`, `file://`      `local_files`    one creates (hard link)
`memory://name`           `memory`         one creates (a lock); this process only
`s3://bucket/prefix`      `object_store`   one creates (If-None-Match); needs promissory[s3]
`gs://bucket/prefix`      `object_store`   one creates (ifGenerationMatch=0); needs promissory[gs]
`abfs://container/prefix` `object_store`   one creates (If-None-Match); needs promissory[abfs]
`single+URL`              `object_store`   both may: any fsspec URL, for one writer at a time
========================= ================ ================================================================

Credentials come from the environment, as each library reads them. A URL that holds credentials is refused, since URLs
are stored and shown.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable
from urllib.parse import unquote

from promissory.executor.errors import UnsupportedStore

SINGLE: Final = "single+"
_SHARED_MEMORY: Final = "memory://"
_FAMILIES: Final = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "abfs": "abfs", "abfss": "abfs", "az": "abfs"}
_PASSING: Final = frozenset(
    (
        errno.EAGAIN,
        errno.EINTR,
        errno.EBUSY,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
    )
)


_MISTYPED: Final = re.compile(r"(s3|gs|gcs|abfs|az):/*")


is_asking: Final[ContextVar[bool]] = ContextVar("promissory_is_asking", default=False)
"""Whether this code belongs to a request of a store, on whatever thread: libraries hand the context on."""


class Backend(Protocol):
    """A kind of storage, by its verbs. Keys are relative, with `/`.

    Attributes:
        near: whether a verb takes microseconds, and not a way over a network.
        lasting: whether another process finds the keys that this one leaves.
        grows: whether a key can be added to at its end.
    """

    near: bool
    lasting: bool
    grows: bool

    def put_new(self, key: str, data: bytes, durable: bool) -> bool: ...
    def put(self, key: str, data: bytes) -> None: ...
    def get(self, key: str) -> bytes: ...
    def get_range(self, key: str, start: int, end: int) -> bytes: ...
    def append(self, key: str, data: bytes) -> int: ...
    def is_folder(self, key: str) -> bool: ...
    def leftovers(self) -> list[str]: ...
    def changed(self, key: str) -> float: ...
    def exists(self, key: str) -> bool: ...
    def delete(self, key: str) -> None: ...
    def sync(self, keys: Iterable[str]) -> None: ...
    def list(self, prefix: str) -> list[str]: ...


@runtime_checkable
class WithLocks(Protocol):
    """A kind of storage whose files a process can hold locked, as a proof that it lives."""

    def hold(self, key: str) -> Held: ...
    def is_held(self, key: str, place: int) -> bool | None: ...


Stamp = tuple[int, int, int]
"""By what a file is told from one that took its place: its inode, size and time of change."""


@runtime_checkable
class Streaming(Protocol):
    """A kind of storage whose contents are files of this machine: written piece by piece, and mapped into memory."""

    def put_from(self, key: str, write: Callable[[Callable[[memoryview], Any]], None]) -> None:
        """Create or replace a key with the pieces that `write` gives."""

    def mapped(self, key: str) -> tuple[memoryview, Stamp]:
        """A key's content in memory of the caller's own, copied only where it is written to, and the file's stamp."""

    def path_of(self, key: str) -> str:
        """The path of the file that holds a key's content."""


class Held(Protocol):
    """A key that this process holds (`promissory.executor.store.holding`)."""

    def hold(self, place: int) -> None: ...
    def free(self, place: int) -> None: ...
    def renew(self) -> None: ...
    def close(self) -> None: ...


def is_passing(error: OSError) -> bool:
    """Whether an error of a storage may be gone when the same verb is tried again (rule J6).

    >>> is_passing(TimeoutError()), is_passing(PermissionError(13, "Permission denied"))
    (True, False)
    """
    return (
        isinstance(error, TimeoutError | ConnectionError | InterruptedError | BlockingIOError)
        or error.errno in _PASSING
    )


def backend_of(url: str | Path | None) -> tuple[str, Backend]:
    """The storage that a URL means, and the URL as it is kept. Raises `UnsupportedStore`."""
    from promissory.executor.store.memory import Memory, Private

    if url is None:
        return "memory (private)", Private()
    text = str(url)
    if not text:
        raise UnsupportedStore("the store has no name: give a folder or a URL")
    if text.startswith(_SHARED_MEMORY):
        return text, Memory(text.removeprefix(_SHARED_MEMORY))
    single = text.startswith(SINGLE)
    scheme, separator, rest = text.removeprefix(SINGLE).partition("://")
    if not separator and (mistyped := _MISTYPED.match(text)) and not Path(text).exists():
        raise UnsupportedStore(f"the store {text} is neither a path nor a URL: write {mistyped[1]}://…")
    if separator and scheme not in ("file", "local"):
        return _object_store(text, scheme, single)
    from promissory.executor.store.local_files import LocalFiles

    path = Path(unquote(rest) if separator else text.removeprefix(SINGLE)).expanduser().absolute()
    return path.as_uri(), LocalFiles(path)


def _object_store(url: str, scheme: str, single: bool) -> tuple[str, Backend]:
    rest = url.partition("://")[2]
    before, at, _ = rest.rpartition("@")
    if (at and ":" in before) or "#" in rest or "?" in rest:
        raise UnsupportedStore(
            f"a {scheme}:// store is given with credentials or options in its URL, which is stored and shown: "
            "put them into the environment"
        )
    if not rest.partition("/")[0]:
        raise UnsupportedStore(f"the store {url} names no bucket: write {scheme}://BUCKET/PREFIX")
    if scheme not in _FAMILIES and not single:
        raise UnsupportedStore(
            f"the store {url} can't be shared: {scheme}:// can't create a key so that of two writers one wins. "
            "Use file://, s3://, gs:// or abfs://; or, if only "
            f"one process at a time will ever work with this store, say so: {SINGLE}{url}"
        )
    from promissory.executor.store.object_store import ObjectStore

    return url.rstrip("/"), ObjectStore(url.removeprefix(SINGLE).rstrip("/"), None if single else _FAMILIES.get(scheme))
