"""The errors that a run can end with, and those of the executor around it. Each message tells the event, the place and
the way out."""

from __future__ import annotations

import re
from typing import Any

from promissory._names import publish
from promissory.typesys.errors import FormatError


class ExecutorError(Exception):
    """The base class of the executor's errors."""


class RunFailed(ExecutorError):
    """A node failed and nothing handled it.

    Attributes:
        path: the node's path in the run.
        attempt: the number of the attempt that failed, from 1.
        run_id: the run, which `promissory resume` takes once the cause is repaired.
        remote_traceback: the traceback where the body ran, as text.

    The original exception is `__cause__`, of its own type if that can be loaded.
    """

    def __init__(
        self, message: str, *, path: str, attempt: int = 1, run_id: str = "", remote_traceback: str = ""
    ) -> None:
        super().__init__(message)
        self.path = path
        self.attempt = attempt
        self.run_id = run_id
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n\n{self.remote_traceback.rstrip()}" if self.remote_traceback else text


class RunTimeout(RunFailed, TimeoutError):
    """The whole run took longer than it may (rule R2). Committed results stay; the run can be resumed."""


class RunStalled(RunFailed):
    """Nothing of the run can go on: what is left waits for nodes that nothing will start (rule X8).

    The message names what waits for what. A resume tries again, with changed code or a new answer.
    """


class RemoteError(ExecutorError):
    """Stands for an exception whose own class can't be loaded here. `type_name` is that class."""

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(f"{type_name}: {message}" if message else type_name)
        self.type_name = type_name


class TaskTypeError(ExecutorError, TypeError):
    """An input or a result is not of its annotated type (rule P4)."""


class LimitExceeded(ExecutorError):
    """A limit was reached. The message names the limit, the place, and how to raise it (rule D9)."""


class DepthExceeded(LimitExceeded, RecursionError):
    """Dynamics are nested more deeply than the limit allows (rule D3)."""


class NodesExceeded(LimitExceeded):
    """The run has more nodes than the limit allows."""


class FuturesTooLarge(LimitExceeded):
    """A dynamic emitted a futures file larger than the limit allows."""


class IterationLimitExceeded(LimitExceeded):
    """A loop wants more iterations than are allowed (rule S3)."""


class ItemsExceeded(LimitExceeded):
    """A map has more items than are allowed."""


class UnequalLengths(ExecutorError, ValueError):
    """The lists of a map have different lengths (rule B2)."""


class BranchFailed(ExecutorError):
    """A choice came to an arm that fails: `.else_().fail("…")` (rule B1)."""


class SignalRefused(ExecutorError, LookupError):
    """A task made an impossible request of its run: a jump to a node that is not there or has started, a channel's key
    that holds another kind of value (rules S4, S7)."""


class GateNotFound(ExecutorError, LookupError):
    """No gate of that name waits for an answer (rule G1)."""


class GateTimeout(ExecutorError, TimeoutError):
    """A gate got no answer in time (rule G1)."""


class Rejected(ExecutorError):
    """A gate that waited for an approval was rejected (rule G1)."""


class OutputUnavailable(ExecutorError, LookupError):
    """An output that the run can't have: the run was ended early, or the node that gives the output was skipped (rules
    S5, X7).

    Attributes:
        output: the output's name.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class WorkflowCancelled(ExecutorError):
    """A task cancelled its run (rule S6).

    Attributes:
        reason: the reason that the task gave.
        node: the task's path.
        task_id: the task's name.
    """

    def __init__(self, message: str, reason: str = "", node: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.node = node
        self.task_id = re.sub(r"(\[=?\d+\])+$|~\d+$", "", node.rpartition("/")[2])


class NoProgress(LimitExceeded):
    """A dynamic called itself with the inputs that it has itself (rule D10)."""


class AwaitsExceeded(LimitExceeded):
    """A dynamic awaits more often than it may (rule D9)."""


class NonDeterminism(ExecutorError):
    """The body of an async dynamic, told the same again, made other calls than it had made (rule D8)."""


class CodeMismatch(ExecutorError):
    """The code that a worker found is not the code that the plan was made of (rule A11)."""


class CodeNotFound(ExecutorError):
    """A worker can't import a callable of the plan."""


class TaskTimeout(ExecutorError, TimeoutError):
    """A body took longer than its time-out allows (rule R2)."""


class WorkerLost(ExecutorError):
    """The worker ended, again and again, while it ran a node: killed, crashed, or out of memory (rule R5).

    Attributes:
        path: the node.
        signal: the number of the signal that ended the worker; None if it ended by itself.
    """

    def __init__(self, message: str, path: str = "", signal: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.signal = signal

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.path, self.signal)


class ResourcesUnavailable(ExecutorError):
    """A task asks for more than the machine has on which the run goes on."""


class RunCancelled(ExecutorError):
    """The run was cancelled from outside."""


class StoreError(ExecutorError, OSError):
    """The store can't be read or written: it is full, read-only or gone. Acknowledged data is still there; the run can
    be resumed."""

    passes_through_decoding = True  # A part that can't be read is no fault of the value's.


class UnsupportedStore(StoreError):
    """A URL of a kind of storage that can't be used."""


class UnsafeStore(StoreError):
    """A store that was not named, and that others than this user may write."""


class StoreNotFound(StoreError):
    """No run was ever kept in the place that was named, or that was looked for."""


class NoValue(ExecutorError):
    """A node gave no value, or has not had its inputs."""


class NobodyToAsk(ExecutorError):
    """A gate of a plain call waits, and there is no terminal at which somebody could be asked."""


class StoreDamage(StoreError):
    """What lies under a key can't be the file that was written there: it is a folder, a pipe or a socket, or may not be
    read."""


class NotInStore(StoreError, FileNotFoundError):
    """The store has nothing under this key."""


class RunNotFound(ExecutorError, LookupError):
    """The store has no such run."""


class CommandRefused(ExecutorError):
    """A command to a run that goes on was not obeyed, because of another command; the message says which."""


class RunExists(ExecutorError):
    """The store has a run of this name already.

    Attributes:
        is_same: whether it is a run of the same plan with the same inputs.
    """

    def __init__(self, message: str, *, is_same: bool = False) -> None:
        super().__init__(message)
        self.is_same = is_same


class RunInterrupted(ExecutorError):
    """The run has not ended, and no executor works on it: it was stopped, or its executor is gone. It can be
    resumed."""


class RunIsNotLive(ExecutorError):
    """A command was sent to a run that no executor works on."""


class RunIsLive(ExecutorError):
    """Another executor works on this run."""


class Fenced(ExecutorError):
    """Another executor took this run over; nothing that this one writes counts any more (rule J3).

    Attributes:
        segment: the segment's number that the other executor took; 0 if this one had not begun.
        winner: the other executor, in words.
    """

    def __init__(self, message: str, segment: int = -1, winner: str = "") -> None:
        super().__init__(message)
        self.segment = segment
        self.winner = winner


class JournalError(FormatError, ExecutorError):
    """A segment of the journal is damaged or missing."""


class CursorGone(ExecutorError, LookupError):
    """A run's events are not kept from this cursor on, because its journal was trimmed (rule C5); the message names the
    place where they begin. Or the run never came as far."""


class DoesNotFit(ExecutorError, ValueError):
    """An event of a journal can't have happened where it stands: the journal is of another run, or was changed on
    purpose."""


class CodeChanged(ExecutorError):
    """The code changed since the run began, in a way that resume refuses (rule R6)."""


class InputError(ExecutorError, TypeError):
    """The inputs of a run don't fit its workflow."""


class EngineError(ExecutorError):
    """An engine that doesn't exist or can't start here."""


def limit_error(kind: str, message: str) -> ExecutorError:
    """The exception of a failure that the executor itself found, by the name of its class."""
    classes: dict[str, type[Any]] = {
        one.__name__: one
        for one in (
            DepthExceeded,
            NodesExceeded,
            FuturesTooLarge,
            NoProgress,
            NonDeterminism,
            AwaitsExceeded,
            OutputUnavailable,
            CodeMismatch,
            CodeNotFound,
            TaskTypeError,
            TaskTimeout,
            WorkerLost,
            ResourcesUnavailable,
            EngineError,
            IterationLimitExceeded,
            ItemsExceeded,
            UnequalLengths,
            BranchFailed,
            SignalRefused,
            GateTimeout,
            Rejected,
        )
    }
    found = classes.get(kind)
    return RemoteError(kind, message) if found is None else found(message)


publish(globals())
