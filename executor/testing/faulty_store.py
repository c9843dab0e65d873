"""A store with faults: it fails in a way that a test chose, at an operation that the test chose."""

from __future__ import annotations

import fnmatch
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from promissory.executor.store.backend import Backend
from promissory.executor.store.store import Store
from promissory.executor.testing.crashes import Crashed

VERBS: Final = ("put_new", "put", "get", "get_range", "append", "list", "exists", "delete", "changed", "sync")
KINDS: Final = ("fail", "crash", "delay", "tear", "lie", "drop", "duplicate")


@dataclass(slots=True)
class Fault:
    """A fault of a store.

    Args:
        kind: the kind of the fault:

            - "fail": `error` is raised.
            - "crash": the process dies there (`Crashed`).
            - "delay": it takes `seconds` longer.
            - "tear": only the first half is written, and then `error` is raised.
            - "lie": the operation is done, and the opposite is answered (`put_new`, `exists`); of `get`, a byte is
                changed.
            - "drop": the operation is answered as done, and is not done.
            - "duplicate": the operation is done twice, as by a library that asks again; the second answer is given.

        at: the number of the operation that fails, from 1; None for each of them.
        verbs: the operations that count; all by default.
        keys: the pattern of the keys that count, like `runs/*/journal/*`.
        when: "before" the operation took effect, or "after".
        rate: the part of the operations, from 0 to 1, that fails, chosen by the store's seed.
        error: the error that is raised; by default one that passes, so that the store tries again.
        seconds: the length of a delay.
    """

    kind: Literal["fail", "crash", "delay", "tear", "lie", "drop", "duplicate"] = "fail"
    at: int | None = None
    verbs: Sequence[str] = VERBS
    keys: str = "*"
    when: Literal["before", "after"] = "before"
    rate: float = 1.0
    error: Callable[[], BaseException] = field(default=lambda: ConnectionError("the connection was lost"))
    seconds: float = 0.0
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.when not in ("before", "after"):
            raise ValueError(f"a fault is one of {', '.join(KINDS)}, before or after, not {self.kind!r}, {self.when!r}")
        unknown = set(self.verbs) - set(VERBS)
        if unknown:
            raise ValueError(f"there is no operation {sorted(unknown)[0]!r}; there are: {', '.join(VERBS)}")

    def strikes(self, verb: str, key: str, draw: float) -> bool:
        """Whether this operation fails."""
        if verb not in self.verbs or not fnmatch.fnmatch(key, self.keys):
            return False
        self.seen += 1
        return (self.at is None or self.seen == self.at) and draw < self.rate


class FaultyStore(Store):
    """A store with faults, in this process; worker processes open the URL without them.

    Args:
        url: as for `Store`.
        faults: the faults.
        seed: the seed of faults that are left to chance.
        patience: seconds for which an error that passes is tried again.

    Attributes:
        operations: (verb, key) of every operation of the storage, in order.

    >>> store = FaultyStore("memory://doctest", [Fault("duplicate", verbs=["put_new"])])
    >>> store.put_new("mine", b"once")
    False
    >>> store.operations
    [('put_new', 'mine')]
    """

    def __init__(
        self, url: str | Path | None, faults: Iterable[Fault] = (), *, seed: int = 0, patience: float = 5.0
    ) -> None:
        super().__init__(url, patience=patience)
        faulty = _Faulty(self._backend, list(faults), seed)
        self._use(faulty)
        self.operations: list[tuple[str, str]] = faulty.operations


class _Faulty:
    """A storage with faults."""

    def __init__(self, inner: Backend, faults: list[Fault], seed: int) -> None:
        self.near, self.lasting, self.grows = inner.near, inner.lasting, inner.grows
        self.operations: list[tuple[str, str]] = []
        self._inner = inner
        self._faults = faults
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._dead = False

    def _do(
        self,
        verb: str,
        key: str,
        action: Callable[[], Any],
        data: bytes | None = None,
        write: Callable[[bytes], Any] | None = None,
    ) -> Any:
        with self._lock:
            if self._dead:
                raise Crashed(f"{verb} {key}")  # a dead process writes nothing more, on any thread
            self.operations.append((verb, key))
            fault = next((one for one in self._faults if one.strikes(verb, key, self._random.random())), None)
            self._dead = fault is not None and fault.kind == "crash" and fault.when == "before"
        if fault is None:
            return action()
        return self._with(fault, verb, key, action, data, write)

    def _with(
        self,
        fault: Fault,
        verb: str,
        key: str,
        action: Callable[[], Any],
        data: bytes | None,
        write: Callable[[bytes], Any] | None,
    ) -> Any:
        if fault.kind == "tear" and data is not None and write is not None:
            write(data[: len(data) // 2])
            error = fault.error()
            self._dead = isinstance(error, Crashed)
            raise error
        if fault.kind == "drop":
            return (
                True
                if verb == "put_new"
                else False
                if verb == "exists"
                else 0
                if verb == "append"
                else []
                if verb == "list"
                else action()
                if verb.startswith("get")
                else None
            )
        if fault.kind == "duplicate":
            action()
            return action()
        if fault.when == "before":
            self._strike(fault, verb, key)
        try:
            answer = action()
        finally:
            if fault.when == "after":
                self._strike(fault, verb, key)
        return _lied(verb, answer) if fault.kind == "lie" else answer

    def _strike(self, fault: Fault, verb: str, key: str) -> None:
        if fault.kind == "delay":
            time.sleep(fault.seconds)
        elif fault.kind == "crash":
            self._dead = True
            raise Crashed(f"{fault.when} {verb} {key}")
        elif fault.kind in ("fail", "tear"):
            raise fault.error()

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        answer: bool = self._do(
            "put_new",
            key,
            lambda: self._inner.put_new(key, data, durable),
            data,
            lambda part: self._inner.put_new(key, part, durable),
        )
        return answer

    def put(self, key: str, data: bytes) -> None:
        self._do("put", key, lambda: self._inner.put(key, data), data, lambda part: self._inner.put(key, part))

    def get(self, key: str) -> bytes:
        data: bytes = self._do("get", key, lambda: self._inner.get(key))
        return data

    def get_range(self, key: str, start: int, end: int) -> bytes:
        data: bytes = self._do("get_range", key, lambda: self._inner.get_range(key, start, end))
        return data

    def append(self, key: str, data: bytes) -> int:
        offset: int = self._do(
            "append", key, lambda: self._inner.append(key, data), data, lambda part: self._inner.append(key, part)
        )
        return offset

    def exists(self, key: str) -> bool:
        there: bool = self._do("exists", key, lambda: self._inner.exists(key))
        return there

    def changed(self, key: str) -> float:
        moment: float = self._do("changed", key, lambda: self._inner.changed(key))
        return moment

    def delete(self, key: str) -> None:
        self._do("delete", key, lambda: self._inner.delete(key))

    def sync(self, keys: Iterable[str]) -> None:
        wanted = [*keys]
        self._do("sync", wanted[0] if wanted else "", lambda: self._inner.sync(wanted))

    def is_folder(self, key: str) -> bool:
        return self._inner.is_folder(key)

    def leftovers(self) -> list[str]:
        return self._inner.leftovers()

    def list(self, prefix: str) -> list[str]:
        keys: list[str] = self._do("list", prefix, lambda: self._inner.list(prefix))
        return keys


def _lied(verb: str, answer: Any) -> Any:
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, bytes) and answer:
        middle = len(answer) // 2
        return answer[:middle] + bytes([answer[middle] ^ 0x40]) + answer[middle + 1 :]
    return answer
