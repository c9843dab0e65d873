"""The store: all data of runs, under one URL, behind a few verbs.

Safety rests on one primitive, `put_new`: it creates a key with its whole content, or tells that the key is there
already, and of two writers at one time exactly one creates. fsspec's own exclusive mode is check-then-write on local
disks (12 of 200 races had two winners), so local files go through `promissory.executor.store.local_files`; memory holds
a lock of this process; object stores create under a condition (`promissory.executor.store.object_store`).

An error that may pass by itself (a time-out, a connection reset, a busy server) is waited out: the verb is tried again
with growing delays, and the error never becomes a node's failure (rule J6). A creation that is tried again can lose to
itself: then the content is read, and bytes equal to this writer's own count as written by it.

Objects that workers write are not synced one by one: the journal syncs all objects that a segment names, just before it
writes the segment (payload before pointer, rule J2).
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from promissory.executor.errors import NotInStore, StoreDamage, StoreError
from promissory.executor.store.backend import (
    SINGLE,
    Backend,
    Held,
    WithLocks,
    backend_of,
    is_passing,
)
from promissory.executor.store.forms import is_leftover, is_ours
from promissory.executor.store.in_band import Carried
from promissory.executor.store.keys import is_log, object_key, part_key
from promissory.executor.store.parts import StoredParts
from promissory.planner.plan.model import Large, Value, parts_of
from promissory.planner.plan.plan import Plan
from promissory.typesys.buffer import Buffer, PartName
from promissory.typesys.canonical import INLINE_LIMIT, digest, has_parts, opened

T = TypeVar("T")
Errors = list[OSError]
Listing = list[str]

PATIENCE: Final = 60.0
"""Seconds for which a verb is tried again after an error that may pass."""
_NO_FILE: Final = (errno.EISDIR, errno.ENXIO, errno.ELOOP)
"""The errors of a name that leads to a folder, a pipe, a socket, or a link to itself."""
_FIRST_DELAY: Final = 0.02
_LONGEST_DELAY: Final = 5.0


class Store:
    """Runs, plans and values under one URL.

    Args:
        url: a path, `file:///path`, `s3://bucket/prefix`, `gs://bucket/prefix`, `abfs://container/prefix` or
            `memory://name`; None for memory of its own. `single+URL` makes a store for one writer at a time of any
            other fsspec URL.
        patience: seconds for which an error that may pass by itself (a time-out, a lost connection) is waited out.

    Every verb raises `StoreError` (with the key) if the storage fails, and `NotInStore` where a key is missing.

    Raises:
        UnsupportedStore: such a URL is not known, or its library is not installed.

    >>> store = Store(None)
    >>> store.put_new("a/b", b"1"), store.put_new("a/b", b"2"), store.get("a/b")
    (True, False, b'1')
    """

    def __init__(self, url: str | Path | None, *, patience: float = PATIENCE) -> None:
        self.url, backend = backend_of(url)
        self._patience = patience
        self._use(backend)

    @classmethod
    def carried(cls) -> tuple[Store, Carried]:
        """A store for a worker that shares none with its executor, and the storage of its contents (rule J5)."""
        return cls._over("carried by the batch", backend := Carried(), PATIENCE), backend

    @classmethod
    def _over(cls, url: str, backend: Backend, patience: float) -> Store:
        store = cls.__new__(cls)
        store.url, store._patience = url, patience
        store._use(backend)
        return store

    def _use(self, backend: Backend) -> None:
        self._backend = backend
        self._parts = StoredParts(self.url, backend, self._patiently)

    @property
    def outlives_the_process(self) -> bool:
        """Whether another process can find the keys that this one leaves."""
        return self._backend.lasting

    @property
    def is_near(self) -> bool:
        """Whether a verb takes microseconds, and not a way over a network."""
        return self._backend.near

    @property
    def is_for_one_writer(self) -> bool:
        """Whether only its users' care keeps two writers apart (`single+URL`)."""
        return self.url.startswith(SINGLE)

    def put_new(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create a key with its whole content. Returns False, and changes nothing, if the key is there already."""
        unsure: Errors = []
        created = self._patiently("write", key, lambda: self._backend.put_new(key, data, durable), unsure)
        return created or (bool(unsure) and self.get(key) == data)

    def put(self, key: str, data: bytes) -> None:
        """Create or replace a key, whole."""
        self._patiently("write", key, lambda: self._backend.put(key, data))

    def get(self, key: str) -> bytes:
        """The content of a key."""
        return self._patiently("read", key, lambda: self._backend.get(key))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of a key."""
        return self._patiently("read", key, lambda: self._backend.get_range(key, start, end))

    def append(self, key: str, data: bytes) -> int:
        """Add to the end of a key, which is created if need be. Returns the offset at which the data begins. For logs:
        not durable, one writer a key."""
        return self._patiently("write", key, lambda: self._backend.append(key, data))

    def list(self, prefix: str) -> Listing:
        """The keys and folders directly below a folder, sorted."""
        return sorted(self._patiently("list", prefix, lambda: self._backend.list(prefix)))

    def is_folder(self, key: str) -> bool:
        """Whether a listed name is a folder, not a key."""
        return self._patiently("look at", key, lambda: self._backend.is_folder(key))

    def leftovers(self) -> Listing:
        """The names of temporary files that killed writers left; `delete` removes them."""
        return self._patiently("list", "temporary files", lambda: self._backend.leftovers())

    def changed(self, key: str) -> float:
        """When a key was written, in seconds since the epoch."""
        return self._patiently("read", key, lambda: self._backend.changed(key))

    def exists(self, key: str) -> bool:
        """Whether a key is there now."""
        return self._patiently("look for", key, lambda: self._backend.exists(key))

    def delete(self, key: str) -> None:
        """Remove a key, whatever it is called. Does nothing if the key is not there. Cleaning up is `remove`'s."""
        self._patiently("delete", key, lambda: self._backend.delete(key))

    def remove(self, key: str) -> None:
        """Remove a key of ours. Raises `StoreError` if the key has none of the forms that this package gives (J8)."""
        if not is_ours(key) and not is_leftover(key):
            raise StoreError(f"{key} in the store {self.url} is none of promissory's files: it is not removed")
        self.delete(key)

    def sync(self, keys: Iterable[str]) -> None:
        """Make sure that these keys survive the machine's death."""
        wanted = [*keys]
        self._patiently("sync", wanted[0] if len(wanted) == 1 else "new objects", lambda: self._backend.sync(wanted))

    # --- proofs of life ---

    def hold(self, key: str) -> Held | None:
        """Create a key that this process can hold locked; None if this storage has no locks."""
        backend = self._backend
        if not isinstance(backend, WithLocks):
            return None
        return self._patiently("hold", key, lambda: backend.hold(key))

    def is_held(self, key: str, place: int) -> bool | None:
        """Whether a living process holds a place of a key, counted from 1, or with 0 any of them; None if this storage
        gives no proof."""
        return self._backend.is_held(key, place) if isinstance(self._backend, WithLocks) else None

    def _patiently(self, verb: str, key: str, action: Callable[[], T], unsure: Errors | None = None) -> T:
        """Try an action until it works, or fails for good, or patience ends. `unsure` collects the errors after which
        it is not known whether the action was done."""
        delay = _FIRST_DELAY
        given_up: float | None = None
        while True:
            try:
                return action()
            except OSError as error:
                now = time.monotonic()
                given_up = now + self._patience if given_up is None else given_up
                if not is_passing(error) or now + delay > given_up:
                    raise self._error(verb, key, error) from error
                if unsure is not None:
                    unsure.append(error)
            time.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(2 * delay, _LONGEST_DELAY)

    def _error(self, verb: str, key: str, error: OSError) -> StoreError:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and verb in ("read", "sync"):
            return NotInStore(f"{key} is not in the store {self.url}")
        why = error.strerror or str(error) or type(error).__name__
        if error.errno in _NO_FILE or (error.errno == errno.EACCES and verb == "read"):
            return StoreDamage(f"{key} in the store {self.url} is damaged, since no file can be had there: {why}")
        return StoreError(f"can't {verb} {key} in the store {self.url}: {why}")

    def take_in(self, written: Iterable[tuple[str, bytes]]) -> None:
        """Keep the contents that a worker wrote which shares no store with this process."""
        for key, data in written:
            if is_log(key):
                self.append(key, data)
            else:
                self.put_new(key, data, durable=False)

    # --- values ---

    def put_value(self, data: bytes) -> Value:
        """The value of encoded bytes: the bytes themselves if they are few, else the name of an object with them."""
        if len(data) <= INLINE_LIMIT:
            return data
        name = digest("value", data)
        self.put_object(name, data)
        return Large(name, len(data), has_parts(data))

    def put_object(self, name: bytes, data: bytes) -> None:
        """Store the bytes of an object under its digest; equal values are stored once."""
        self.put_same(object_key(name), data, durable=False)

    def put_same(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Create a key whose name determines its bytes. A key that is there already has the same bytes, unless a
        machine that died left it half written: then it is replaced."""
        if not self.put_new(key, data, durable=durable) and self._backend.near and self.get(key) != data:
            self.put(key, data)
            if durable:
                self.sync([key])

    def get_value(self, value: Value) -> bytes:
        """The encoded bytes of a value. Raises `StoreError` if an object's bytes don't match its digest."""
        if isinstance(value, bytes):
            return value
        key = object_key(value.digest)
        data = self.get(key)
        if digest("value", data) != value.digest:
            raise StoreDamage(f"{key} in the store {self.url} is damaged: its digest does not match its bytes")
        return data

    def put_literals(self, plan: Plan) -> None:
        """Store the large literals that are with a plan, and the parts of its literals."""
        for value in plan.literals:
            if not isinstance(value, bytes):
                self.put_object(value.digest, plan.blobs[value.digest])
        for part in parts_of(plan.literals, plan.blobs):
            self.keep(Buffer.of(plan.blobs[part.digest]))

    def keys_of(self, value: Value, *, as_far_as_known: bool = False) -> Iterator[str]:
        """The keys under which a value lies: its object, if it is one, and its parts.

        An object that is gone or damaged doesn't tell its parts: `StoreError`, or nothing if `as_far_as_known`.
        """
        if not isinstance(value, bytes):
            yield object_key(value.digest)
            if not value.in_parts:
                return
            try:
                value = self.get_value(value)
            except (NotInStore, StoreDamage):
                if as_far_as_known:
                    return
                raise
        for name in opened(value)[1]:
            yield part_key(name.digest)

    def copy_value(self, value: Value, into: Store) -> None:
        """Bring a value to another store. Raises `StoreError` if it is not whole here."""
        data = self.get_value(value)
        for name in opened(data)[1]:
            into.keep(Buffer.of_parts((name,), self, False))
        if not isinstance(value, bytes):
            into.put_object(value.digest, data)

    def has_whole(self, value: Value) -> bool:
        """Whether a value can be had. A near store reads it, as a damaged one would stop whoever takes it."""
        try:
            names = opened(self.get_value(value))[1] if self.is_near or isinstance(value, bytes) else ()
            if self.is_near:
                return all(self._parts.is_whole(name) for name in names)
            return all(self.exists(key) for key in self.keys_of(value))
        except StoreError:
            return False

    # --- parts of values ---

    @property
    def stays(self) -> bool:
        """Whether a part can still be read later; what a batch brought can be read only while it is carried out."""
        return self._parts.stays

    def keep(self, buffer: Buffer) -> tuple[PartName, ...]:
        """Store the bytes of a buffer in parts, straight from where they lie. Equal parts are stored once.

        Raises `TypeMismatch` if they are changed meanwhile.
        """
        return self._parts.keep(buffer)

    def mapped(self, names: tuple[PartName, ...]) -> memoryview:
        """The bytes of some parts, one behind the other, in memory that is the caller's own.

        Raises `StoreError` if a part's bytes don't match its name (rule V4: at its first reading in this process).
        """
        return self._parts.mapped(names)

    def path_of(self, names: tuple[PartName, ...]) -> str | None:
        """The path of the file that holds one part, if it lies on this machine."""
        return self._parts.path_of(names)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"
