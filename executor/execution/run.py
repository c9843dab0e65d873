"""`Run`: a caller's handle on a run, live or long over."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, NoReturn, cast

from promissory.executor.code.packages import missing_module
from promissory.executor.errors import (
    JournalError,
    OutputUnavailable,
    RunCancelled,
    RunFailed,
    RunInterrupted,
    RunNotFound,
    RunStalled,
    RunTimeout,
    StoreError,
    UnsafeStore,
    WorkflowCancelled,
)
from promissory.executor.execution.answers import answer
from promissory.executor.execution.result import Result
from promissory.executor.execution.run_reader import RunReader
from promissory.executor.history.history import History
from promissory.executor.history.summary import ENDED_WELL, GOES_ON, Ending, standing_of_run
from promissory.executor.protocol.events import value_of
from promissory.executor.protocol.failure import Failure
from promissory.executor.records.inbox import tell
from promissory.executor.records.manifest import read_manifest
from promissory.executor.scheduler.standing import failed_by_themselves
from promissory.executor.store.lookup import default_store
from promissory.executor.store.store import Store
from promissory.typesys.types import ANY
from promissory.typesys.wire import Codec, codec_for

_LOOK = 0.2
_FAR_LOOK = 5.0
_ANY = codec_for(ANY)
_LIMITS = ("DepthExceeded", "NodesExceeded", "FuturesTooLarge", "IterationLimitExceeded")


def resume_command(run_id: str, store: Store) -> str:
    """The command line that goes on with a run."""
    return go_on_command("resume", run_id, store)


def go_on_command(command: str, run_id: str, store: Store) -> str:
    """The command line that gives a run a command."""
    elsewhere = not _is_default(store)
    return f"promissory {command} {run_id}".rstrip() + (f" --store {shlex.quote(store.url)}" if elsewhere else "")


def _is_default(store: Store) -> bool:
    """Whether a command finds this store without being told."""
    try:
        return store.url == Store(default_store()).url
    except UnsafeStore:
        return False


class Outputs(dict[str, Any]):
    """The outputs of a run by name. Asking for an output that the run can't have raises `OutputUnavailable`."""

    def __init__(self, found: Mapping[str, Any], why: str) -> None:
        super().__init__(found)
        self._why = why

    def __missing__(self, name: str) -> NoReturn:
        raise OutputUnavailable(f"the output {name} is not there: {self._why}", name)


class Cause(NamedTuple):
    """The cause of a run's end.

    Attributes:
        segment: the segment that tells of the end.
        failure: path, failure and attempt of the node that failed first.
        cancelled: path and reason of the task that cancelled the run.
        others: how many other nodes failed.
    """

    segment: int
    failure: tuple[str, Failure, int] | None
    cancelled: tuple[str, str] | None
    others: int = 0


class Run(RunReader, Generic[Result]):
    """A run of a workflow, as `run`, `start`, `resume` and `attach` give it.

    Attributes:
        id: the run's name, which `promissory resume` takes.
        store: the run's store.

    State, outputs and nodes are read when they are asked for. So a run that failed here, and was resumed by another
    process, tells of that.

    >>> from promissory import task
    >>> import promissory
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> ended = promissory.run(inc, {"x": 1}, store="memory://doctest")
    >>> ended.state, ended.outputs, [row.path for row in ended.nodes()]
    ('SUCCEEDED', {'result': 2}, ['main/inc'])
    """

    def __init__(self, run_id: str, store: Store, codecs: Mapping[str, Codec], trust: bool = True) -> None:
        super().__init__(run_id, store, trust)
        self._codecs = codecs
        self._last: Ending | None = None
        self._cause: Cause | None = None

    # --- how it goes ---

    def wait(self, timeout: float | None = None) -> Run[Result]:
        """Wait for the end of a run that goes on in the background or in another process. Returns the run itself.

        Raises:
            TimeoutError: the run has not ended after `timeout` seconds; it goes on.
            Fenced, StoreError: the run's executor had to stop.
        """
        given_up = None if timeout is None else time.monotonic() + timeout
        look = _LOOK
        while self.state in GOES_ON:
            if given_up is not None and time.monotonic() >= given_up:
                raise TimeoutError(f"run {self.id} has not ended after {timeout} s")
            time.sleep(look if given_up is None else max(0.0, min(look, given_up - time.monotonic())))
            look = look if self.store.is_near else min(_FAR_LOOK, 1.5 * look)  # a look at a far store is many requests
        return self

    def pause(self, reason: str = "") -> None:
        """Start nothing new until `unpause`; running bodies may finish. A run of another process has taken note when
        this returns.

        Raises:
            RunIsNotLive: no executor works on the run.
        """
        self._command("pause", reason)

    def unpause(self) -> None:
        """Go on after `pause`. Raises `RunIsNotLive`."""
        self._command("unpause", "")

    def stop(self, reason: str = "stopped by its owner") -> None:
        """Start nothing new, let running bodies finish, and leave the run INTERRUPTED: `resume` goes on with it. Raises
        `RunIsNotLive`."""
        self._command("stop", reason)

    def cancel(self, reason: str = "cancelled by its owner") -> None:
        """Start nothing new, end running bodies where the engine can do that, and end as CANCELLED. A run that has
        ended stays as it is. Raises `RunIsNotLive`."""
        self._command("cancel", reason)

    def _command(self, command: str, reason: str) -> None:
        tell(self.store, self.id, command, reason)

    def answer(self, name: str, value: Any) -> None:
        """Answer a gate: give the value that `wait_for_input(name)` waits for, or say whether `approve(…, name)` may go
        on.

        Args:
            name: the gate's name, or its path.
            value: a value of the type that the gate wants; True or False for an approval.

        Raises:
            RunIsNotLive: the run has ended. An interrupted run takes the answer when it is resumed.
            GateNotFound: no gate of this name waits; the message names the gates that do.
            TypeError: the value is not of the type that the gate wants.
        """
        answer(self.store, self.id, name, value)

    @property
    def state(self) -> str:
        """QUEUED, RUNNING, PAUSED, SUCCEEDED, TERMINATED, FAILED, CANCELLED, STALLED, or INTERRUPTED if its executor is
        gone (rule X8)."""
        return self._stands().state

    @property
    def reason(self) -> str:
        """Why the run ended as it did."""
        return self._stands().reason

    def _stands(self) -> Ending:
        """How the run stands. An end that nothing can follow is read once; any other standing holds as long as no
        segment is newer."""
        if self._last is not None and self._last.state in ENDED_WELL:
            return self._last
        found = standing_of_run(self.store, self.id)
        if self._last is None or self._last.segment != found.segment or found.state in GOES_ON:
            self._last = found
        return self._last

    def _cause_of(self, ending: Ending) -> Cause:
        """The cause of an end, read once for each end."""
        if self._cause is None or self._cause.segment != ending.segment:
            history = History(self.store, self.id)
            failure = history.first_failure() if ending.state == "FAILED" else None
            cancelled = history.cancelled_by() if ending.state == "CANCELLED" else None
            others = max(0, failed_by_themselves(history.scheduler) - 1)
            self._cause = Cause(ending.segment, failure, cancelled, others)
        return self._cause

    @property
    def error(self) -> RunFailed | RunCancelled | WorkflowCancelled | RunInterrupted | None:
        """The error that ended the run; None if none did. Its `__cause__` is the original exception; a `RemoteError`
        with its text, if this process did not submit the run and was not told to trust it."""
        stands = self._stands()
        if stands.state == "INTERRUPTED":
            why = f" ({stands.reason})" if stands.reason else ""
            return RunInterrupted(f"run {self.id} is interrupted{why}: {resume_command(self.id, self.store)}")
        if stands.state == "STALLED":
            return RunStalled(f"run {self.id} is stalled: {stands.reason}", path="main", run_id=self.id)
        if stands.state not in ("FAILED", "CANCELLED"):
            return None
        cause = self._cause_of(stands)
        if stands.state == "CANCELLED":
            if cause.cancelled is None:
                return RunCancelled(f"run {self.id} was cancelled: {stands.reason}")
            node, reason = cause.cancelled
            return WorkflowCancelled(f"{node} cancelled the run{f': {reason}' if reason else ''}", reason, node)
        if cause.failure is None:
            return self._timeout_error(stands.reason)
        path, failure, attempt = cause.failure
        said = f"{failure}" if path.partition("#")[0] in failure.message else f"{path} failed: {failure}"
        if cause.others:
            count = "another node" if cause.others == 1 else f"{cause.others:,} other nodes"
            more = f": promissory status --errors {self.id}" if self.store.outlives_the_process else ""
            said = f"{said}\n  {count} failed, too{more}"
        error = RunFailed(
            f"{said}{self._way_out(failure)}",
            path=path,
            attempt=attempt,
            run_id=self.id,
            remote_traceback=failure.traceback,
        )
        error.__cause__ = failure.exception() if self._trust else failure.stand_in()
        return error

    def _way_out(self, failure: Failure) -> str:
        """How to go on after a failure. A run that was submitted runs the code of then, unless it is told otherwise."""
        if not self.store.outlives_the_process:
            return ""
        command = resume_command(self.id, self.store)
        if failure.kind in _LIMITS:
            return f"\n  run {self.id}; with the limit raised: {command}"
        try:
            manifest = read_manifest(self.store, self.id)
        except (RunNotFound, JournalError, StoreError):  # the store fails, and the failure is to be told all the same
            return f"\n  run {self.id}; repair it, then: {command}"
        module = missing_module(failure.message)
        if module in manifest.packages:
            return f"\n  run {self.id} was submitted with {module} {manifest.packages[module]}; with that: {command}"
        return f"\n  run {self.id}; repair it, then: {command}{' --new-code' if manifest.queue else ''}"

    def _timeout_error(self, reason: str) -> RunTimeout:
        way_out = f"; to go on: {resume_command(self.id, self.store)}" if self.store.outlives_the_process else ""
        return RunTimeout(f"run {self.id}: {reason}{way_out}", path="main", run_id=self.id)

    # --- outputs ---

    @property
    def outputs(self) -> dict[str, Any]:
        """The run's outputs by name, as Python values. Raises the errors of `result`, and `NotTrusted` for a value that
        is a pickle, if this process did not submit the run and was not told to trust it."""
        self.wait()
        error = self.error
        if error is not None:
            raise error
        found = self.encoded_outputs()
        with self._without_pickles():
            return self._decoded_outputs(found)

    def _decoded_outputs(self, found: list[bytes | None]) -> dict[str, Any]:
        if len(found) == 1 and not self._codecs and found[0] is not None:
            # The workflow has no outputs of its own: a task gave this one when it ended the run early.
            return {"result": _ANY.decode(found[0], self.store)}
        there = {
            name: codec.decode(data, self.store)
            for (name, codec), data in zip(self._codecs.items(), found, strict=False)
            if data is not None
        }
        return Outputs(there, self.why_unavailable() if len(there) < len(self._codecs) else "")

    def why_unavailable(self) -> str:
        """Why a run that has ended well lacks an output."""
        stands = self._stands()
        if stands.state == "TERMINATED":
            return f"the run was ended early ({stands.reason})" if stands.reason else "the run was ended early"
        skipped = [
            row for row in self.nodes() if row.state == "SKIPPED" and row.why and not row.why.endswith("was skipped")
        ]
        said = "; ".join(f"{row.path}: {row.why}" for row in skipped[:3])
        return f"what gives it was skipped{f' ({said})' if said else ''}"

    def encoded_outputs(self) -> list[bytes | None]:
        """The run's outputs as they are stored, in order, None for an output that it lacks. None of the author's
        classes is needed."""
        stands = self._stands()
        if stands.outputs is None:
            raise RunFailed(f"run {self.id} is {stands.state} and has no result", path="main", run_id=self.id)
        return [None if tree is None else self.store.get_value(value_of(tree)) for tree in stands.outputs]

    @property
    def result(self) -> Result:
        """The result that the function would have returned: the one output, None if there is none, a dict if there are
        several.

        Raises:
            RunFailed: a node failed; the cause is the original exception.
            RunCancelled: the run was cancelled; WorkflowCancelled, if one of its tasks did that.
            OutputUnavailable: the run ended well, and the node that gives its one output did not run.
            RunInterrupted: the run has not ended, and no executor works on it.
        """
        outputs = self.outputs
        if len(self._codecs) == 1:
            return cast(Result, outputs[next(iter(self._codecs))])
        return cast(Result, outputs or None if self._codecs else outputs.get("result"))

    def __repr__(self) -> str:
        return f"<run {self.id} {self.state}>"
