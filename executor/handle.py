"""Run: what a caller holds of a run, live or long over."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Mapping
from typing import Any

from executor.errors import RunCancelled, RunFailed, RunTimeout
from executor.events import value_of
from executor.execution import Execution
from executor.failure import Failure
from executor.history import History, NodeRow
from executor.store import Store
from planner.plan import Plan
from typesys.wire import Codec

_LIMITS = ("DepthExceeded", "NodesExceeded", "FuturesTooLarge")


def resume_command(run_id: str, store: Store) -> str:
    """What to type to go on with a run."""
    elsewhere = store.url != Store(default_store()).url
    return f"promissory resume {run_id}" + (f" --store {shlex.quote(store.url)}" if elsewhere else "")


def default_store() -> str:
    """Where runs are kept if nothing is said: `PROMISSORY_STORE`, else `./.promissory`."""
    return os.environ.get("PROMISSORY_STORE") or "./.promissory"


class Run:
    """A run of a workflow, as `run`, `start` and `resume` give it.

    Attributes:
        id: its name, which `promissory resume` takes.
        store: where it lies.

    >>> from planner import task
    >>> import executor
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> ended = executor.run(inc, {"x": 1}, store="memory://doctest")
    >>> ended.state, ended.outputs, [row.path for row in ended.nodes()]
    ('SUCCEEDED', {'result': 2}, ['main/inc'])
    """

    def __init__(self, run_id: str, store: Store, codecs: Mapping[str, Codec]) -> None:
        self.id = run_id
        self.store = store
        self._codecs = codecs
        self._thread: threading.Thread | None = None
        self._execution: Execution | None = None
        self._raised: BaseException | None = None
        self._ended: tuple[str, str] | None = None
        self._outputs: list[Any] | None = None
        self._failure: tuple[str, Failure, int] | None = None

    # --- how it goes ---

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end of a run that was started in the background; gives the run itself.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds; it goes on.
            Fenced, StoreError: its executor had to stop.
        """
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"run {self.id} has not ended after {timeout} s")
        if self._raised is not None:
            raise self._raised
        return self

    def cancel(self, reason: str = "cancelled by its owner") -> None:
        """Start nothing new and end as CANCELLED; what runs may finish."""
        if self._execution is not None:
            self._execution.cancel(reason)

    @property
    def state(self) -> str:
        """RUNNING, SUCCEEDED, FAILED, CANCELLED, or INTERRUPTED if its executor is gone (rule X8)."""
        if self._ended is not None:
            return self._ended[0]
        if self._thread is not None and self._thread.is_alive():
            return "RUNNING"
        return "INTERRUPTED"

    @property
    def reason(self) -> str:
        """Why it ended as it did."""
        return "" if self._ended is None else self._ended[1]

    @property
    def error(self) -> RunFailed | RunCancelled | None:
        """What went wrong, if something did. The original exception is its cause."""
        if self.state == "CANCELLED":
            return RunCancelled(f"run {self.id} was cancelled: {self.reason}")
        if self._failure is None:
            return self._timeout_error() if self.state == "FAILED" else None
        path, failure, attempt = self._failure
        said = f"{failure}" if path in failure.message else f"{path} failed: {failure}"
        verb = "with the limit raised" if failure.kind in _LIMITS else "repair it, then"
        way_out = f"\n  run {self.id}; {verb}: {resume_command(self.id, self.store)}" if self.store.outlives_the_process else ""
        error = RunFailed(
            f"{said}{way_out}",
            path=path,
            attempt=attempt,
            run_id=self.id,
            remote_traceback=failure.traceback,
        )
        error.__cause__ = failure.exception()
        return error

    def _timeout_error(self) -> RunTimeout:
        way_out = f"; to go on: {resume_command(self.id, self.store)}" if self.store.outlives_the_process else ""
        return RunTimeout(f"run {self.id}: {self.reason}{way_out}", path="main", run_id=self.id)

    # --- what it gave ---

    @property
    def outputs(self) -> dict[str, Any]:
        """Its outputs by name, as Python. Raises what `result` raises."""
        self.wait()
        error = self.error
        if error is not None:
            raise error
        return {name: codec.decode(data) for (name, codec), data in zip(self._codecs.items(), self.encoded_outputs(), strict=False)}

    def encoded_outputs(self) -> list[bytes]:
        """Its outputs as they are stored, in order; needs none of the author's classes."""
        if self._outputs is None:
            raise RunFailed(f"run {self.id} is {self.state} and has no result", path="main", run_id=self.id)
        return [self.store.get_value(value_of(tree)) for tree in self._outputs]

    @property
    def result(self) -> Any:
        """What the function would have returned: the one output, None if there is none, a dict if there are several.

        Raises:
            RunFailed: a node failed; the cause is the original exception.
            RunCancelled: it was cancelled.
        """
        outputs = self.outputs
        if len(outputs) == 1:
            return next(iter(outputs.values()))
        return outputs or None

    # --- what is known of it ---

    def nodes(self) -> list[NodeRow]:
        """Every node that is committed or known: path, state, attempts, times, depth, worker, why."""
        return list(History(self.store, self.id).nodes())

    def futures(self, path: str | None = None) -> Any:
        """The paths of the nodes that emitted futures files; with a path, that futures file as a `Plan`."""
        history = History(self.store, self.id)
        if path is None:
            return history.futures_paths()
        plan: Plan = history.futures(path)[0]
        return plan

    def __repr__(self) -> str:
        return f"<run {self.id} {self.state}>"
