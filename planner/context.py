"""What a running task may know of its run, and ask of it (rules S1 to S8).

A `Context` collects what the body asks for; whoever runs the body takes that when it has ended, and only if it has not failed. Outside a run there is a context too, for trying a body
out: it knows nothing, and what needs a run raises.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from planner.errors import ContextError, SignalError, Where, WrongCall, user_line
from typesys.canonical import pack, unpack
from typesys.errors import TypeMismatch
from typesys.self_describing import holds_opaque
from typesys.types import ANY
from typesys.wire import codec_for

if TYPE_CHECKING:
    from planner.entity import Entity

_ANY: Final = codec_for(ANY)


@dataclass
class Requests:
    """What a body has asked for so far.

    Attributes:
        calls: entities to be called before what follows, with their inputs; None for those given by name.
        names: for each of them, what it is called.
        goto: which of them is the one to jump to.
        iterate: the payload of another iteration, as bytes.
        terminate: reason and outputs; the outputs are bytes, or bytes by name.
        cancel: the reason.
        writes: of the channel: (operation, key, bytes).
        read: whether the channel was looked at.
        refused: the first request that could not be; it counts also if the body swallowed the error.
        where: the author's line of the last request.
        is_over: whether the body has ended: nothing more can be asked.
    """

    calls: list[tuple[Entity[..., Any], dict[str, Any]] | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    goto: int | None = None
    iterate: bytes | None = None
    terminate: tuple[str, Any] | None = None
    cancel: str | None = None
    writes: list[tuple[str, str, bytes]] = field(default_factory=list)
    read: bool = False
    refused: SignalError | None = None
    where: Where | None = None
    is_over: bool = False

    def note(self, method: str) -> None:
        """Something is asked. Raises `ContextError` if the body has ended."""
        self.where = user_line()
        if self.is_over:
            raise ContextError(f"{method}(): the body that this context was given to has ended", where=self.where, way_out="ask while the body runs")


class Channel:
    """The run's key-value store (rule S7). Reads see what was committed when this attempt began, and the attempt's own writes.

    Writes count when the attempt ends without failing. `set`: the last commit wins; `add` and `append` merge, so that nothing is lost when many write at one time.
    """

    def __init__(self, values: dict[str, bytes], requests: Requests) -> None:
        self._values = dict(values)
        self._requests = requests
        requests.read = True

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, its own copy; `default` if it has none."""
        _check_key(key)
        data = self._values.get(key)
        return default if data is None else _ANY.decode(data)

    def set(self, key: str, value: Any) -> None:
        """Give a key a value: plain data. Raises `TypeError` for what has no wire form."""
        self._write("set", key, encoded_payload(value, f"channel().set({key!r}, …)"))

    def add(self, key: str, amount: float = 1) -> None:
        """Add to a number, which begins at 0. Raises `TypeError` if the key holds something else."""
        if amount.__class__ not in (int, float):
            raise TypeError(f"channel().add({key!r}, …) takes a number, not {amount!r}")
        self._write("add", key, pack(amount))

    def append(self, key: str, value: Any) -> None:
        """Append to a list, which begins empty. Raises `TypeError` if the key holds something else."""
        self._write("append", key, encoded_payload(value, f"channel().append({key!r}, …)"))

    def _write(self, operation: str, key: str, data: bytes) -> None:
        _check_key(key)
        self._requests.note(f"channel().{operation}")
        self._values[key] = merged(self._values.get(key), operation, key, data)
        self._requests.writes.append((operation, key, data))

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def keys(self) -> list[str]:
        """The keys, in order."""
        return sorted(self._values)


def _check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise TypeError(f"a key of the channel is a text, not {key!r}")


def merged(before: bytes | None, operation: str, key: str, data: bytes) -> bytes:
    """What a key holds after a write. Raises `TypeError` if it holds what can't be added or appended to.

    >>> from typesys.canonical import pack, unpack
    >>> unpack(merged(pack(2), "add", "n", pack(3)))
    5
    """
    if operation == "set":
        return data
    held = None if before is None else unpack(before)
    if operation == "add":
        if held is not None and held.__class__ not in (int, float):
            raise TypeError(f"channel().add({key!r}, …): {key!r} holds {_kind_of(held)}, not a number")
        return pack((held or 0) + unpack(data))
    if held is None:
        held = unpack(_ANY.encode([]))
    kind = held[0] if held.__class__ is list and len(held) == 2 else None
    if kind != unpack(_ANY.encode([]))[0]:
        raise TypeError(f"channel().append({key!r}, …): {key!r} holds {_kind_of(held)}, not a list")
    return pack([kind, [*held[1], unpack(data)]])


_KINDS: Final = ("list", "tuple", "dict", "set", "frozenset", "a value of a class", "an enum", "a record", "an object")


def _kind_of(tree: Any) -> str:
    """What a self-describing tree is, without making it."""
    return _KINDS[tree[0]] if tree.__class__ is list else tree.__class__.__name__


def encoded_payload(value: Any, what: str) -> bytes:
    """A value that says itself what it is. Raises `TypeError` for what can only be pickled: others read it, also such that must not load pickles."""
    try:
        tree = _ANY.lower(value)
    except TypeMismatch as mismatch:
        raise TypeError(f"{what}: {mismatch.at('the value')}") from None
    if holds_opaque(tree):
        raise TypeError(f"{what} takes plain data, and {type(value).__name__} has no wire form: give a dataclass, or what it is made of")
    return pack(tree)


class Context:
    """What a running task or dynamic may know and ask. A first parameter annotated `Context` is given it, and is no input; `current_context()` gives it anywhere in the body.

    Attributes:
        run_id: the run; empty outside one.
        path: the node's path.
        attempt: which attempt of this iteration it is, from 1.
        loop_index: which iteration it is, from 0 (rule S1).
        loop_result: what the iteration before gave `Loop`; None in the first one.
        depth: how many dynamics it is nested in.
        max_iterations: how many iterations there may be; None for the run's own limit.
        seed: a number made of the node's identity and iteration: equal on every attempt, engine and resume.
        deadline: when the time-out ends the attempt, in seconds since the epoch; None without one.
        in_run: whether there is a run.

    >>> from planner import Context, task
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
        in_run: bool = False,
    ) -> None:
        self.run_id = run_id
        self.path = path
        self.attempt = attempt
        self.loop_index = loop_index
        self.depth = depth
        self.max_iterations = max_iterations
        self._seed = seed
        self.deadline = deadline
        self.in_run = in_run
        self.requests = Requests()
        self._loop_result = loop_result
        self._values = channel or {}
        self._channel: Channel | None = None

    @property
    def loop_result(self) -> Any:
        """What the iteration before gave `Loop`; None in the first one."""
        return None if self._loop_result is None else _ANY.decode(self._loop_result)

    @property
    def seed(self) -> int:
        """A number made of the node's identity and iteration; outside a run any number."""
        return random.getrandbits(63) if self._seed is None else self._seed()

    @property
    def has_asked(self) -> bool:
        """Whether the body has asked its run for anything, or looked at the channel."""
        asked = self.requests
        return bool(asked.names or asked.read) or asked.refused is not None or asked.iterate is not None or asked.terminate is not None or asked.cancel is not None

    @property
    def loop_count(self) -> int:
        """Which iteration it is, from 1."""
        return self.loop_index + 1

    @property
    def logger(self) -> logging.Logger:
        """A logger of the node's own; what it says is in the attempt's log (rule X5)."""
        return logging.getLogger(f"promissory.{self.path.replace('/', '.') or 'local'}")

    # --- asking ---

    def channel(self) -> Channel:
        """The run's key-value store. Outside a run: one of its own, which is gone with this context."""
        if self._channel is None:
            self._channel = Channel(self._values, self.requests)
        return self._channel

    def can_iterate(self) -> bool:
        """Whether another iteration is allowed (`@task(max_iterations=n)`)."""
        return self.max_iterations is None or self.loop_index + 1 < self.max_iterations

    def next_iteration(self, data: Any = None) -> None:
        """Run me again when I have ended, like `raise Loop(data)` without leaving the body; what the body returns is dropped (rule S3).

        Raises:
            SignalError: there is another iteration asked for, with other data.
        """
        self._needs_run("next_iteration")
        encoded = encoded_payload(data, "next_iteration(…)")
        if self.requests.iterate is not None and self.requests.iterate != encoded:
            raise self._refused("next_iteration() was called twice, with different data", where=user_line(), way_out="call it once")
        self.requests.iterate = encoded

    def next_task(self, target: Any, /, *, goto: bool = False, **inputs: Any) -> None:
        """Add work: it runs after this task and before what follows it; with `goto`, instead of what only follows this task (rule S4).

        Args:
            target: a task, dynamic or workflow, called with `inputs`; or the name of a node of this frame that has not started, which runs with its own inputs.
                A task that a node of this frame calls and that gets no inputs here stands for that node.
            goto: jump there, and skip this task's own successors that nothing else leads to.

        Raises:
            SignalError: two jumps to different targets; inputs for a node given by name.
            WrongCall: inputs that the target does not take.
        """
        from planner.entity import Entity

        self._needs_run("next_task")
        if isinstance(target, str):
            if inputs:
                raise self._refused(f"next_task({target!r}, …) got inputs, and a node has its own", where=user_line(), way_out="pass the task itself, with inputs")
            name, call = target, None
        elif isinstance(target, Entity):
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
            raise self._refused(f"next_task() takes a task or the name of a node, not {target!r}", where=user_line(), way_out="pass the decorated function")
        if goto and self.requests.goto is not None:
            if self.requests.names[self.requests.goto] == name and self.requests.calls[self.requests.goto] == call:
                return
            first = self.requests.names[self.requests.goto]
            raise self._refused(f"next_task(…, goto=True) was called twice, for {first} and {name}", where=user_line(), way_out="jump to one of them")
        if goto:
            self.requests.goto = len(self.requests.names)
        self.requests.names.append(name)
        self.requests.calls.append(call)

    def terminate(self, reason: str = "", outputs: Any = None) -> None:
        """End the run well when this task has ended: nothing new starts, and the run is TERMINATED (rule S5).

        Args:
            reason: why, for people.
            outputs: what the run gives: the value of its one output, or a dict by name of several. What is not given here is what is there by then.

        Raises:
            SignalError: it was called already, with something else.
        """
        self._needs_run("terminate")
        encoded = None if outputs is None else encoded_payload(outputs, "terminate(outputs=…)")
        if self.requests.terminate not in (None, (reason, encoded)):
            raise self._refused("terminate() was called twice, with different words", where=user_line(), way_out="call it once")
        self.requests.terminate = (str(reason), encoded)

    def cancel(self, reason: str = "") -> None:
        """Cancel the run: this task does not complete and stores nothing, nothing new starts, the caller gets `WorkflowCancelled` (rule S6)."""
        self._needs_run("cancel")
        if self.requests.cancel not in (None, str(reason)):
            raise self._refused("cancel() was called twice, with different reasons", where=user_line(), way_out="call it once")
        self.requests.cancel = str(reason)

    def _refused(self, message: str, *, where: Where | None, way_out: str) -> SignalError:
        """What can't be asked: it counts, whatever the body makes of the error."""
        error = SignalError(message, where=where, way_out=way_out)
        self.requests.refused = self.requests.refused or error
        return error

    def _needs_run(self, method: str) -> None:
        from planner.tracing import InTaskBody, current

        trace = current.get()
        if not self.in_run and trace is not None and not isinstance(trace, InTaskBody):
            raise ContextError(f"{method}() was called while a workflow is traced, when nothing runs", where=user_line(), way_out="call it in a task")
        self.requests.note(method)
        if not self.in_run:
            raise ContextError(
                f"{method}() needs a run, and this body was called as a plain function", where=user_line(), way_out="run it: executor.run(…), or call it in a workflow"
            )


class Body:
    """A body that runs. Its context is made when it is asked for: most bodies do without.

    Attributes:
        context: what it was given, if it has asked.
    """

    __slots__ = ("_make", "_of", "context")

    def __init__(self, make: Callable[[Any], Context], of: Any) -> None:
        self._make = make
        self._of = of
        self.context: Context | None = None

    def given(self) -> Context:
        """Its context."""
        if self.context is None:
            self.context = self._make(self._of)
        return self.context

    def end(self) -> None:
        """It has ended: its context, if somebody has kept that, takes nothing more."""
        assert self.context is not None
        self.context.requests.is_over = True


current_body: ContextVar[Body | None] = ContextVar("promissory_body", default=None)
"""The body that runs here."""


def current_context() -> Context:
    """The context of the task or dynamic whose body runs here; outside a run, one that knows nothing.

    >>> from planner import current_context
    >>> current_context().loop_index
    0
    """
    body = current_body.get()
    return Context() if body is None else body.given()
