"""Failures: a worker's or the scheduler's account of why a node failed, as data that travels and is stored.

The text of an error is never part of an identity. The exception itself travels as a pickle beside the text. The pickle
is loaded only in the process that submitted the run, when that process asks for the result.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from promissory.executor.errors import RemoteError, WorkerLost, limit_error
from promissory.executor.protocol.telling import authors_traceback, class_name, classes_above, guarded, text_of
from promissory.planner.body.signals import Retry
from promissory.typesys.names import qualified_name
from promissory.typesys.opaque import dumps_by_name, loads
from promissory.typesys.secret import holds_secret, masked

_WAYS_OUT: Final[dict[int, str]] = {
    signal.SIGKILL: "did it use more memory than there is? Give it less to do at a time, or say what it needs: "
    "@task(resources=Resources(memory=…))",
    signal.SIGSEGV: "a library that it uses crashed",
}
LastWords = tuple[int | None, int | None, str]
"""A worker's end: the signal that ended it or None, its exit code or None, and its last output."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a node failed.

    Attributes:
        kind: "exception" for the body's own, else the name of a class of `promissory.errors`.
        type_name: the exception's class.
        message: the exception's text.
        traceback: where the exception was raised, from the author's code on.
        pickled: the exception, if it can be pickled.
        mro: names (`module:qualname`) of the exception's class and the classes above it, which decide whether the
            failure is worth another attempt.
        after: seconds after which the body asks for another attempt; None if it did not say.
        told: of the body of an async dynamic that failed because of a failure which it was told of: how often it had
            been told something before; None otherwise.
    """

    kind: str
    type_name: str
    message: str
    traceback: str = ""
    pickled: bytes | None = None
    mro: tuple[str, ...] = ()
    after: float | None = None
    told: int | None = None

    @classmethod
    def of_executor(cls, kind: str, message: str) -> Failure:
        """A failure that the executor found, and no body raised."""
        return cls(kind, kind, masked(message), mro=_mro_of(type(limit_error(kind, ""))))

    @classmethod
    def of_lost_worker(cls, path: str, times: int, last_words: LastWords) -> Failure:
        """The failure of a call whose worker ended each time it ran it (rule R5)."""
        number, code, said = last_words
        if number is None:
            how = f"ended by itself with exit code {code}" if code is not None else "was lost"
            way_out = "does it call os._exit()?"
        else:
            how = f"was killed by {_signal_name(number)}"
            way_out = _WAYS_OUT.get(number, "look at what it said")
        message = f"{path}: its worker {how}, {times} times; {way_out}"
        error = WorkerLost(message, path, number)
        return cls("WorkerLost", "WorkerLost", message, _shortened(masked(said)), dumps_by_name(error))

    @classmethod
    def of_exception(cls, error: BaseException) -> Failure:
        """The failure of a body that raised. This can't fail, whatever the exception's own code does (rule X11)."""
        kind = type(error)
        asks = issubclass(kind, Retry)
        return cls(
            "retry" if asks else "exception",
            class_name(kind),
            guarded(lambda: _shortened(masked(_message(error))), "(its text can't be had)"),
            guarded(lambda: _shortened(masked(authors_traceback(error))), "(its traceback can't be had)"),
            guarded(lambda: _pickled(error), None),
            _mro_of(kind),
            guarded(lambda: error.after if isinstance(error, Retry) else None, None),
        )

    def without_budget(self, retries: int) -> Failure:
        """This failure as the last one. If the body asked for another attempt, it says why there is none."""
        if self.kind != "retry":
            return self
        why = f"its {retries} retries are spent" if retries else "it has no retries: @task(retries=…)"
        return replace(
            self, message=f"it asked for another attempt{f' ({self.message})' if self.message else ''}, and {why}"
        )

    def exception(self) -> BaseException:
        """The exception, of its own class if that can be loaded. Loads the pickle."""
        pickled = self.pickled
        if pickled is not None:
            loaded = guarded(lambda: loads(pickled), None)
            if loaded is None:  # the class can't be had here, but the text of the exception is still known
                return RemoteError(self.type_name, self.message)
            if issubclass(type(loaded), BaseException):
                error: BaseException = loaded
                return error
        return self.stand_in()

    def stand_in(self) -> BaseException:
        """An exception with the text of the failure. Loads no pickle, so the class is the exception's own only for
        errors of this package."""
        return (
            RemoteError(self.type_name, self.message)
            if self.kind in ("exception", "retry")
            else limit_error(self.kind, self.message)
        )

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name

    def to_tree(self) -> list[Any]:
        """The failure's tree, for outcomes and the journal."""
        tree = [self.kind, self.type_name, self.message, self.traceback, self.pickled, list(self.mro), self.after]
        return tree if self.told is None else [*tree, self.told]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Failure:
        """The failure whose tree `to_tree` gave. Version 1 of the journal has the first five fields."""
        kind, type_name, message, trace, pickled, *rest = tree
        mro, after, *told = rest or ((), None)
        return cls(kind, type_name, message, trace, pickled, tuple(mro), after, *told)


def _mro_of(kind: type) -> tuple[str, ...]:
    return tuple(
        guarded(partial(qualified_name, one), class_name(one)) for one in classes_above(kind) if one is not object
    )


_LONGEST_TEXT: Final = 1 << 16
_LONGEST_PICKLE: Final = 1 << 20


def _shortened(text: str) -> str:
    """The beginning and the end of a text, short enough for every reader of the journal."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters more …\n{text[-half:]}"


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the body called sys.exit({guarded(lambda: repr(error.code), '…')})"
    return error.message if isinstance(error, Retry) else text_of(error)


def _pickled(error: BaseException) -> bytes | None:
    data = dumps_by_name(error)
    if holds_secret(data) or len(data) > _LONGEST_PICKLE:
        return None
    return data if type(loads(data)) is type(error) else None
