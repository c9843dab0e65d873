"""The context of a running task: the facts of its run that it may know, and the requests that it may make (rules S1 to
S8).

A `Context` collects the body's requests. The code that runs the body takes them when the body has ended, and only if it
has not failed. Outside a run there is a context too, for trying a body out: it knows nothing, and a request that needs
a run raises.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promissory._foreign import meant
from promissory.planner.active import InTaskBody, current
from promissory.planner.body.channel import Channel
from promissory.planner.body.checkpoint import Checkpoint
from promissory.planner.body.payload import decoded_payload, encoded_payload
from promissory.planner.body.requests import Requests, Target
from promissory.planner.body.workdir import Workdir
from promissory.planner.errors import ContextError, SignalError, Where, WrongCall, user_line

if TYPE_CHECKING:
    import logging
    from datetime import datetime
    from random import Random
    from uuid import UUID

    from promissory.typesys.buffer import Parts


class Context:
    """The facts that a running task or dynamic may know, and the requests that it may make.

    A first parameter annotated `Context` gets the context, and is no input; `current_context()` gives it anywhere in
    the body.

    Attributes:
        run_id: the name of the run; empty outside a run.
        path: the node's path.
        attempt: the number of the attempt in this iteration, from 1. A lost worker is no attempt (rule R5).
        loop_index: the number of the iteration, from 0 (rule S1).
        loop_result: the data that the iteration before gave `Loop`; None in the first one.
        depth: the number of dynamics around the node.
        max_iterations: the number of iterations that are allowed; None for the run's own limit.
        seed: a number made of the node's identity and iteration: equal on every attempt, engine and resume.
        deadline: the moment at which the time-out ends the attempt, in seconds since the epoch; None without one.
        epoch: the number of the executor that began the body, among all that have worked on the run, from 1; 0 outside
            a run. It grows whenever a run is resumed or taken over, so with the run's name it is a fencing token: a
            service that remembers the highest one that it has seen can refuse a body whose executor was overtaken.
        in_run: whether there is a run.
        gives_up: whether the body was told that its run is ending.
        clock: the clock of a body that awaits, in seconds since the epoch; None for any other.

    >>> from promissory import Context, task
    >>> @task
    ... def greet(ctx: Context, name: str) -> str:
    ...     return f"{name} in iteration {ctx.loop_index}"
    >>> greet("Ada")
    'Ada in iteration 0'
    """

    def __init__(
        self,
        *,
        run_id: str = "",
        path: str = "",
        attempt: int = 1,
        loop_index: int = 0,
        loop_result: bytes | None = None,
        depth: int = 0,
        max_iterations: int | None = None,
        seed: Callable[[], int] | None = None,
        deadline: float | None = None,
        channel: dict[str, bytes] | None = None,
        checkpoint: Checkpoint | None = None,
        is_ending: Callable[[], bool] | None = None,
        epoch: int = 0,
        in_run: bool = False,
        parts: Parts | None = None,
    ) -> None:
        self.run_id = run_id
        self.path = path
        self.attempt = attempt
        self.loop_index = loop_index
        self.depth = depth
        self.max_iterations = max_iterations
        self._seed = seed
        self.deadline = deadline
        self.epoch = epoch
        self.in_run = in_run
        self.requests = Requests()
        self._loop_result = loop_result
        self._parts = parts
        self._values = channel or {}
        self._channel: Channel | None = None
        self._checkpoint = checkpoint
        self._is_ending = is_ending
        self._logger: logging.Logger | None = None
        self._workdir = Workdir(in_run)
        self.gives_up = False
        self.clock: Callable[[], float] | None = None
        self._random: Random | None = None

    if not TYPE_CHECKING:  # type checkers would take any name for one that is there

        def __getattr__(self, name: str) -> Any:
            said = "" if name.startswith("_") else meant("ctx", name, [one for one in dir(self) if one[0] != "_"])
            raise AttributeError(f"the context has no attribute {name!r}{said}", name=name, obj=None)

    @property
    def loop_result(self) -> Any:
        """The data that the iteration before gave `Loop`; None in the first one."""
        return None if self._loop_result is None else decoded_payload(self._loop_result, self._parts)

    @property
    def seed(self) -> int:
        """A number made of the node's identity and iteration. Outside a run it is any number."""
        return int.from_bytes(os.urandom(8), "big") >> 1 if self._seed is None else self._seed()

    @property
    def cancelled(self) -> bool:
        """Whether the run was told to stop or to cancel, or was taken over.

        A body that takes long looks now and then, and ends.

        If the body then raises `Retry`, the resume begins it again, and the attempt does not count. False outside a
        run.
        """
        if self._is_ending is None or not self._is_ending():
            return False
        self.gives_up = True
        return True

    @property
    def checkpoint(self) -> Checkpoint:
        """The data that an earlier attempt left.

        Outside a run the context has a checkpoint of its own, which is gone with the context.
        """
        if self._checkpoint is None:
            kept: list[bytes] = []
            self._checkpoint = Checkpoint(lambda: kept[-1] if kept else None, kept.append)
        return self._checkpoint

    @property
    def has_asked(self) -> bool:
        """Tell whether the body has made a request, or looked at the channel."""
        asked = self.requests
        return (
            bool(asked.names or asked.read)
            or asked.refused is not None
            or asked.iterate is not None
            or asked.terminate is not None
            or asked.cancel is not None
        )

    @property
    def loop_count(self) -> int:
        """The number of the iteration, from 1."""
        return self.loop_index + 1

    @property
    def logger(self) -> logging.Logger:
        """A logger of the node's own. Its records are in the attempt's log (rule X5)."""
        # Only bodies that log need this module.
        import logging

        # `getLogger` would keep a logger for each path for as long as the process lives.
        if self._logger is not None:
            return self._logger
        logger = logging.Logger(f"promissory.{self.path.replace('/', '.') or 'local'}")
        logger.parent = logging.getLogger("promissory")
        self._logger = logger
        return logger

    # --- the same again in a replay ---

    def now(self) -> datetime:
        """The moment. A body that awaits gets the one at which it was last told something, in each replay too."""
        from datetime import UTC, datetime

        return datetime.now(UTC) if self.clock is None else datetime.fromtimestamp(self.clock(), UTC)

    def random(self) -> Random:
        """A source of random numbers. In a run it begins with `seed`, so it gives the same ones to each attempt and in
        each replay."""
        from random import Random

        if self._random is None:
            self._random = Random(self.seed)
        return self._random

    def uuid4(self) -> UUID:
        """A UUID made of `random()`."""
        from uuid import UUID

        return UUID(int=self.random().getrandbits(128), version=4)

    # --- asking ---

    def channel(self) -> Channel:
        """The run's key-value store.

        Outside a run the context has a store of its own, which is gone with the context.
        """
        if self._channel is None:
            self._channel = Channel(self._values, self.requests)
        return self._channel

    def can_iterate(self) -> bool:
        """Tell whether another iteration is allowed (`@task(max_iterations=n)`)."""
        return self.max_iterations is None or self.loop_index + 1 < self.max_iterations

    def next_iteration(self, data: Any = None) -> None:
        """Run the task again when it has ended, as `raise Loop(data)` does, without leaving the body.

        The body's result is dropped (rule S3).

        Raises:
            SignalError: another iteration was asked for, with other data.
        """
        self._needs_run("next_iteration")
        encoded = encoded_payload(data, "next_iteration(…)", self._parts)
        if self.requests.iterate is not None and self.requests.iterate != encoded:
            raise self._refused(
                "next_iteration() was called twice, with different data", where=user_line(), way_out="call it once"
            )
        self.requests.iterate = encoded

    def next_task(self, target: Any, /, *, goto: bool = False, **inputs: Any) -> None:
        """Add work.

        It runs after this task and before the task's successors; with `goto`, instead of those that only follow this
        task (rule S4).

        Args:
            target: a task, dynamic or workflow, called with `inputs`; or the name of a node of this frame that has not
                started, which runs with its own inputs. A task that a node of this frame calls and that gets no inputs
                here stands for that node.
            goto: jump there, and skip this task's own successors that nothing else leads to.

        Raises:
            SignalError: two jumps to different targets; inputs for a node given by name.
            WrongCall: inputs that the target does not take.
        """
        self._needs_run("next_task")
        if isinstance(target, str):
            if inputs:
                raise self._refused(
                    f"next_task({target!r}, …) got inputs, and a node has its own",
                    where=user_line(),
                    way_out="pass the task itself, with inputs",
                )
            name, call = target, None
        elif isinstance(target, Target):
            try:
                target.signature.arguments((), inputs)
            except WrongCall as error:
                error.where = user_line()
                if inputs:
                    raise
            if inputs:
                try:
                    target.arguments((), inputs)
                except WrongCall:
                    raise
                except TypeError as error:
                    raise self._refused(str(error), where=user_line(), way_out="give it inputs of its types") from None
            name, call = target.name, (target, inputs)
        else:
            raise self._refused(
                f"next_task() takes a task or the name of a node, not {target!r}",
                where=user_line(),
                way_out="pass the decorated function",
            )
        if goto and self.requests.goto is not None:
            if self.requests.names[self.requests.goto] == name and self.requests.calls[self.requests.goto] == call:
                return
            first = self.requests.names[self.requests.goto]
            raise self._refused(
                f"next_task(…, goto=True) was called twice, for {first} and {name}",
                where=user_line(),
                way_out="jump to one of them",
            )
        if goto:
            self.requests.goto = len(self.requests.names)
        self.requests.names.append(name)
        self.requests.calls.append(call)

    def terminate(self, reason: str = "", outputs: Any = None) -> None:
        """End the run well when this task has ended: no further node starts, and the run is TERMINATED (rule S5).

        Args:
            reason: the reason, for people.
            outputs: the run's outputs: the value of its one output, or a dict by name of several. An output that is not
                given here has the value that is there by then.

        Raises:
            SignalError: `terminate` was called already, with other arguments.
        """
        self._needs_run("terminate")
        encoded = None if outputs is None else encoded_payload(outputs, "terminate(outputs=…)")
        if self.requests.terminate not in (None, (reason, encoded)):
            raise self._refused(
                "terminate() was called twice, with different words", where=user_line(), way_out="call it once"
            )
        self.requests.terminate = (str(reason), encoded)

    def cancel(self, reason: str = "") -> None:
        """Cancel the run: this task does not complete and stores nothing, no further node starts, the caller gets
        `WorkflowCancelled` (rule S6)."""
        self._needs_run("cancel")
        if self.requests.cancel not in (None, str(reason)):
            raise self._refused(
                "cancel() was called twice, with different reasons", where=user_line(), way_out="call it once"
            )
        self.requests.cancel = str(reason)

    @property
    def workdir(self) -> Path:
        """A scratch folder of this attempt. It is made when it is first asked for, and gone when the attempt has ended
        (outside a run, when the program ends): what is to stay is given back as a `File` or a `Directory`."""
        return self._workdir.path

    def remove_workdir(self) -> None:
        """Remove the scratch folder, if there is one."""
        self._workdir.remove()

    def _refused(self, message: str, *, where: Where | None, way_out: str) -> SignalError:
        """Refuse an impossible request. The refusal counts, even if the body swallows the error."""
        error = SignalError(message, where=where, way_out=way_out)
        self.requests.refused = self.requests.refused or error
        return error

    def _needs_run(self, method: str) -> None:
        trace = current.get()
        if not self.in_run and trace is not None and not isinstance(trace, InTaskBody):
            raise ContextError(
                f"{method}() was called while a workflow is traced, when nothing runs",
                where=user_line(),
                way_out="call it in a task",
            )
        self.requests.note(method)
        if not self.in_run:
            raise ContextError(
                f"{method}() needs a run, and this body was called as a plain function",
                where=user_line(),
                way_out="run it: promissory.run(…), or call it in a workflow",
            )


class Body:
    """A body that runs. Its context is made when the body asks for it, since most bodies do without.

    Attributes:
        context: the context that the body was given, if it has asked.
    """

    __slots__ = ("_make", "_of", "context")

    def __init__(self, make: Callable[[Any], Context], of: Any) -> None:
        self._make = make
        self._of = of
        self.context: Context | None = None

    def given(self) -> Context:
        """Give the body's context."""
        if self.context is None:
            self.context = self._make(self._of)
        return self.context

    def clean(self) -> None:
        """Remove what was only for the body, once its result is kept."""
        if self.context is not None:
            self.context.remove_workdir()

    def end(self) -> None:
        """Note that the body has ended. If somebody has kept its context, the context takes no more requests."""
        assert self.context is not None
        self.context.requests.is_over = True
        self.context.checkpoint.end()


current_body: ContextVar[Body | None] = ContextVar("promissory_body", default=None)
"""The body that runs here."""


def current_context() -> Context:
    """Give the context of the task or dynamic whose body runs here. Outside a run the context knows nothing.

    >>> from promissory import current_context
    >>> current_context().loop_index
    0
    """
    body = current_body.get()
    return Context() if body is None else body.given()
