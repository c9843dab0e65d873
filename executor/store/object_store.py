"""Storage in an object store: S3, Google Cloud Storage, Azure Blob Storage; or, for one writer at a time, any other
storage that fsspec knows.

A key is created under a condition that the server checks (`If-None-Match: *`, `ifGenerationMatch=0`), in one request.
So the key appears whole or not at all, and of two writers one wins. The answer that a key is there already is never
taken on trust: the answer to this writer's own creation may have been lost, and a library may have asked again. So the
content is read, and bytes equal to this writer's own count as written by it (a content that two writers may contend for
holds a nonce).

An object can't grow, so a log is a folder of parts, each named by the offset at which it begins.

Every error of the libraries leaves this module as an `OSError`; errors that may pass are `TimeoutError` or
`ConnectionError`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from promissory.executor.store.backend import is_asking
from promissory.executor.store.file_systems import IN_ONE_REQUEST, file_system
from promissory.executor.store.keys import is_log

T = TypeVar("T")
Paths = list[str]
Parts = list[tuple[int, str]]
"""(offset, path) of a log's parts."""

_LOOKED_FOR_FIRST: Final = 1 << 20
_PASSING: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
_AGAIN: Final = frozenset(
    (
        "ConditionalRequestConflict",
        "OperationAborted",
        "SlowDown",
        "RequestTimeout",
        "ServerBusy",
        "OperationTimedOut",
        "InternalError",
    )
)
_CONNECTION_TROUBLE: Final = frozenset(
    (
        "ClientError",  # that of aiohttp; that of botocore is recognised by its response
        "HTTPClientError",
        "EndpointConnectionError",
        "ConnectionClosedError",
        "ServiceRequestError",
        "ServiceResponseError",
        "IncompleteReadError",
        "FSTimeoutError",
        "ProxyError",
        "TransportError",
    )
)


class _BehindTheEnd(OSError):
    """A range begins where an object has ended."""


class ObjectStore:
    """Keys below a bucket and prefix.

    Args:
        url: the bucket and prefix.
        family: `s3`, `gs` or `abfs`; None for a storage that can't create under a condition.
    """

    near = False
    lasting = True
    grows = False

    def __init__(self, url: str, family: str | None) -> None:
        self._family = family
        self._fs, self._root = file_system(url, family)
        self._ends: dict[str, int] = {}
        self._lock = threading.Lock()

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        if self._family is None:
            if self.exists(key):
                return False
            self.put(key, data)
            return True
        if len(data) > _LOOKED_FOR_FIRST and self.exists(key):
            return False
        try:
            whole = IN_ONE_REQUEST[self._family]
            self._ask(lambda: self._fs.pipe_file(self._path(key), data, mode="create", **whole))
        except FileExistsError:
            return self.get(key) == data
        return True

    def put(self, key: str, data: bytes) -> None:
        if self._family is None:
            self._ask(lambda: self._fs.makedirs(self._path(key).rpartition("/")[0], exist_ok=True))
        self._ask(lambda: self._fs.pipe_file(self._path(key), data))

    def get(self, key: str) -> bytes:
        if is_log(key):
            return self._of_parts(key, 0, 1 << 62)
        return bytes(self._ask(lambda: self._fs.cat_file(self._path(key))))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        if is_log(key):
            return self._of_parts(key, start, end)
        if start >= end:
            return b""
        try:
            return bytes(self._ask(lambda: self._fs.cat_file(self._path(key), start=start, end=end)))
        except _BehindTheEnd:
            return b""

    def append(self, key: str, data: bytes) -> int:
        with self._lock:
            offset = self._ends.get(key)
            if offset is None:
                parts = self._parts(key)
                offset = 0 if not parts else parts[-1][0] + len(self._part(parts[-1][1]))
            self.put(f"{key}/{offset:020d}", data)
            self._ends[key] = offset + len(data)
            return offset

    def _part(self, path: str) -> bytes:
        return bytes(self._ask(lambda: self._fs.cat_file(path)))

    def _parts(self, key: str) -> Parts:
        return sorted((int(path.rpartition("/")[2]), path) for path in self._listed(self._path(key)))

    def _of_parts(self, key: str, start: int, end: int) -> bytes:
        parts = self._parts(key)
        if not parts:
            raise FileNotFoundError(key)
        found = []
        for number, (offset, path) in enumerate(parts):
            following = parts[number + 1][0] if number + 1 < len(parts) else 1 << 62
            if offset < end and following > start:
                found.append(self._part(path)[max(0, start - offset) : max(0, end - offset)])
        return b"".join(found)

    def _listed(self, folder: str) -> Paths:
        try:
            found: Paths = self._ask(lambda: self._fs.ls(folder, detail=False, refresh=True))
        except FileNotFoundError:
            return []
        names = [path.strip("/") for path in found]
        return [name for name in names if name != folder.strip("/")]

    def list(self, prefix: str) -> Paths:
        root = self._root.strip("/") + "/"
        return [path.removeprefix(root) for path in self._listed(self._path(prefix))]

    def is_folder(self, key: str) -> bool:
        try:
            return bool(self._ask(lambda: self._fs.info(self._path(key)))["type"] == "directory")
        except FileNotFoundError:
            return False

    def leftovers(self) -> Paths:
        return []

    def changed(self, key: str) -> float:
        modified: float = self._ask(lambda: self._fs.modified(self._path(key))).timestamp()
        return modified

    def exists(self, key: str) -> bool:
        try:
            if self._family == "gs":  # gcsfs's info() asks the server three times
                self._ask(lambda: self._fs.cat_file(self._path(key), start=0, end=1))
            else:
                self._ask(lambda: self._fs.info(self._path(key)))
        except _BehindTheEnd:
            return True
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        try:
            self._ask(lambda: self._fs.rm_file(self._path(key)))
        except FileNotFoundError:
            return

    def sync(self, keys: Iterable[str]) -> None:
        return  # a key is durable once the server has answered

    def _ask(self, action: Callable[[], T]) -> T:
        """The result of an action. Any error of a library becomes an `OSError` whose class says whether it may pass."""
        before = sys.exception()
        token = is_asking.set(True)
        try:
            return action()
        except Exception as error:
            raise _as_os_error(error, self._family, before) from error
        finally:
            is_asking.reset(token)


def _as_os_error(error: Exception, family: str | None, before: BaseException | None = None) -> OSError:
    """The meaning of a library's error. It is found by the server's status and code, which stand in the error or in one
    of its causes, and only then by the error's class.

    Args:
        before: the exception that was being handled when the request began. Python makes it the context of the error,
            and its status is the answer to another request.
    """
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one is not before and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    status, code = next((found for found in map(_answer, chain) if found[0]), (0, ""))
    text = _said(error)
    if status == 416:
        return _BehindTheEnd(text)
    if family == "gs" and not status:
        status = _told_by_gs(error)
    if code in _AGAIN or status in _PASSING or (status == 409 and family == "gs"):
        return TimeoutError(text)
    if status == 412 or code in ("BlobAlreadyExists", "PreconditionFailed"):
        return FileExistsError(text)
    if status == 404 or (not status and isinstance(error, FileNotFoundError)):
        return FileNotFoundError(text)
    if not status and isinstance(error, FileExistsError):
        return FileExistsError(text)
    if status in (401, 403) or type(error).__name__ in (
        "NoCredentialsError",
        "PartialCredentialsError",
        "ClientAuthenticationError",
    ):
        return PermissionError(f"{text} (credentials come from the environment)")
    if not status and any(_is_connection_trouble(each) for each in chain):
        return ConnectionError(text)
    return OSError(text)


def _answer(error: BaseException) -> tuple[int, str]:
    """The HTTP status and the code that the server gave, wherever the library's error keeps them; 0 and "" if none."""
    if type(error).__module__.startswith("aiohttp"):
        return 0, ""  # aiohttp's numbers are its own, and say what is wrong with an answer
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        said, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
        return int(meta.get("HTTPStatusCode", 0)), str(said.get("Code", ""))
    for name in ("status_code", "status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int | str) and str(value).isdecimal():
            code = getattr(error, "error_code", None)
            return int(value), str(getattr(code, "value", code) or "")
    return 0, ""


def _told_by_gs(error: BaseException) -> int:
    """The status of an error that gcsfs tells in words only: it makes a plain OSError of 403, and a ValueError of any
    answer that says "invalid"."""
    if type(error) is OSError and str(error).startswith("Forbidden"):
        return 403
    return 503 if type(error) is ValueError else 0


def _is_connection_trouble(error: BaseException) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or any(
        cls.__name__ in _CONNECTION_TROUBLE for cls in type(error).__mro__
    )


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__
