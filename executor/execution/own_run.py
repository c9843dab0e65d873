"""`OwnRun`: a run that this process carries, in the caller's thread or in one of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from promissory.executor.errors import RunIsNotLive, RunNotFound, StoreError
from promissory.executor.execution.loop import Execution
from promissory.executor.execution.run import Cause, Run, resume_command
from promissory.executor.history.summary import CARRIED, Ending
from promissory.executor.records.inbox import Command
from promissory.executor.scheduler.standing import failed_by_themselves
from promissory.executor.store.store import Store
from promissory.executor.worker.streams import echo
from promissory.planner.plan.plan import Plan
from promissory.typesys.types import Type
from promissory.typesys.wire import Codec


class OwnRun(Run):
    """A run that this process carries, or has carried.

    Args:
        execution: this process's work on the run.
        plan: the run's plan, which holds the functions that no import reaches.
    """

    def __init__(
        self, run_id: str, store: Store, codecs: Mapping[str, Codec], execution: Execution, plan: Plan
    ) -> None:
        super().__init__(run_id, store, codecs)
        self.plan = plan
        self._execution = execution
        self._thread: threading.Thread | None = None
        self._raised: BaseException | None = None
        self._is_over = self._is_left = False

    def carry(self) -> OwnRun:
        """Carry the run to its end, in this thread."""
        execution = self._execution
        try:
            ended = execution.run()
            self._last = ended
        except BaseException as error:
            self._last = Ending("INTERRUPTED", "", None, execution.journal.newest)
            self._say_how_to_go_on(error)
            raise
        finally:
            self._is_over = True
        scheduler, failure = execution.scheduler, None
        if scheduler.failure is not None and ended.state == "FAILED":
            failure = (scheduler.failure.path, scheduler.failure.failure, scheduler.failure.attempt)
        others = max(0, failed_by_themselves(scheduler) - 1)
        self._cause = Cause(self._last.segment, failure, scheduler.cancelled, others)
        if ended.signal is not None:
            if ended.state == "INTERRUPTED":
                echo(f"promissory: run {self.id} is {ended.reason}; to go on: {resume_command(self.id, self.store)}\n")
            raise SystemExit(128 + ended.signal)
        return self

    def _say_how_to_go_on(self, error: BaseException) -> None:
        if not self.store.outlives_the_process:
            return
        command = resume_command(self.id, self.store)
        if isinstance(error, KeyboardInterrupt):
            error.add_note(f"run {self.id} is interrupted and can be resumed: {command}")
        elif isinstance(error, StoreError):
            error.add_note(
                f"run {self.id} is interrupted; what was acknowledged is safe. Repair the store, then: {command}"
            )

    def carry_in_background(self, when_over: Callable[[], None] | None = None) -> OwnRun:
        """Carry the run to its end in a thread of its own.

        Args:
            when_over: is called from that thread when it is over.
        """

        def work() -> None:
            try:
                self.carry()
            except BaseException as error:  # `wait` raises it
                self._raised = error
            self._is_left = True
            if when_over is not None:
                when_over()

        self._thread = threading.Thread(target=work, name=f"promissory run {self.id}", daemon=True)
        self._thread.start()
        return self

    @property
    def is_carried(self) -> bool:
        """Whether this process works on the run."""
        return not self._is_left if self._thread is not None else not self._is_over

    @property
    def raised(self) -> BaseException | None:
        """What stopped a run that was carried in the background before its end."""
        return self._raised

    def wait(self, timeout: float | None = None) -> Run[Any]:
        """Wait for the end of a run that goes on in the background. Returns the run itself; see `Run.wait`."""
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                raise TimeoutError(f"run {self.id} has not ended after {timeout} s")
        if self._raised is not None:
            raise self._raised
        return super().wait(timeout)  # another process may go on with the run

    def answer(self, name: str, value: Any) -> None:
        """Answer a gate; see `Run.answer`."""
        if not self._is_over:
            self._execution.flush()
        super().answer(name, value)

    def _codec(self, type: Type) -> Codec:
        """The codec of a type, with the classes of the functions of this program: an import may not find them."""
        for entity in self.plan.origin.entities:
            codecs: tuple[Codec, ...] = (entity.signature.result, *entity.signature.codecs)
            for codec in codecs:
                if codec.type == type:
                    return codec
        return super()._codec(type)

    def _goes_on(self) -> bool:
        return not self._is_over or super()._goes_on()

    def _pause(self) -> Callable[[float], object]:
        if self._is_over:
            return super()._pause()
        seen = 0

        def wait(seconds: float) -> None:
            nonlocal seen
            seen = self._execution.wait_for_commit(seen, seconds)

        return wait

    def _command(self, command: str, reason: str) -> None:
        if not self._is_over:
            self._execution.command(Command(command, reason, "its own process", time.time_ns() // 1000))
        elif self.state in CARRIED:  # another process goes on with the run
            super()._command(command, reason)
        elif command in ("pause", "unpause"):
            raise RunIsNotLive(f"run {self.id} is {self.state}: there is nobody to {command} it")

    def _stands(self) -> Ending:
        if not self._is_over:
            return Ending("PAUSED" if self._execution.scheduler.paused else "RUNNING", "", None, -1)
        try:
            return super()._stands()
        except (StoreError, RunNotFound):
            assert self._last is not None
            return self._last  # the store still fails: that is why the run had to stop
