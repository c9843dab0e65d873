"""Failures: a worker's or the scheduler's account of why a node failed, as data that travels and is stored.

The text of an error is never part of an identity. The exception itself travels as a pickle beside the text. The pickle
is loaded only in the process that submitted the run, when that process asks for the result.
"""

from __future__ import annotations

import signal
import traceback
from dataclasses import dataclass, replace
from typing import Any, Final

from promissory.executor.errors import RemoteError, WorkerLost, limit_error
from promissory.planner.body.signals import Retry
from promissory.planner.errors import CompileError, is_authors, is_ours
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
    """

    kind: str
    type_name: str
    message: str
    traceback: str = ""
    pickled: bytes | None = None
    mro: tuple[str, ...] = ()
    after: float | None = None

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
        """The failure of a body that raised."""
        text = authors_traceback(error)
        message = (
            f"the body called sys.exit({error.code!r})"
            if isinstance(error, SystemExit)
            else error.message
            if isinstance(error, Retry)
            else _text(error)
        )
        asks = isinstance(error, Retry)
        after = error.after if isinstance(error, Retry) else None
        return cls(
            "retry" if asks else "exception",
            type(error).__qualname__,
            _shortened(masked(message)),
            _shortened(masked(text)),
            _pickled(error),
            _mro_of(type(error)),
            after,
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
        if self.pickled is not None:
            try:
                loaded = loads(self.pickled)
            except Exception:  # the class can't be imported here, but the text of the exception is still known
                return RemoteError(self.type_name, self.message)
            if isinstance(loaded, BaseException):
                return loaded
        return (
            RemoteError(self.type_name, self.message)
            if self.kind in ("exception", "retry")
            else limit_error(self.kind, self.message)
        )

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}" if self.message else self.type_name

    def to_tree(self) -> list[Any]:
        """The failure's tree, for outcomes and the journal."""
        return [self.kind, self.type_name, self.message, self.traceback, self.pickled, list(self.mro), self.after]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Failure:
        """The failure whose tree `to_tree` gave. Version 1 of the journal has the first five fields."""
        kind, type_name, message, trace, pickled, *rest = tree
        mro, after = rest or ((), None)
        return cls(kind, type_name, message, trace, pickled, tuple(mro), after)


def _mro_of(cls: type) -> tuple[str, ...]:
    return tuple(qualified_name(one) for one in cls.__mro__ if one is not object)


_LONGEST_TEXT: Final = 1 << 16
_LONGEST_PICKLE: Final = 1 << 20


def _shortened(text: str) -> str:
    """The beginning and the end of a text, short enough for every reader of the journal."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters more …\n{text[-half:]}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unsayable:  # the exception's own __str__ raised
        return f"(its text can't be had: {type(unsayable).__name__})"


def _pickled(error: BaseException) -> bytes | None:
    try:
        data = dumps_by_name(error)
        if holds_secret(data):
            return None
        return data if len(data) <= _LONGEST_PICKLE and type(loads(data)) is type(error) else None
    except Exception:  # the exception's own __reduce__ or constructor may raise: the failure then has no pickle
        return None


def authors_traceback(error: BaseException) -> str:
    """The traceback of an error as an author wants to see it: from the author's first line on, without our own lines.

    An error that names its remedy and comes from no line of an author gets no traceback.
    """
    told = traceback.TracebackException.from_exception(error, compact=True)
    _leave_out_ours(told, told.stack, isinstance(error, CompileError))
    return "".join(told.format())


def _leave_out_ours(told: traceback.TracebackException, stack: traceback.StackSummary, teaches: bool) -> None:
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _leave_out_ours(other, other.stack, teaches)
    first = next((at for at, frame in enumerate(stack) if is_authors(frame.filename)), None)
    if first is not None:
        stack[:] = [frame for frame in stack[first:] if not is_ours(frame.filename)]
    elif teaches:
        told.stack = None  # type: ignore[assignment]  # what `format` takes for "there is none"
