"""Gates: nodes that wait without holding a worker (rule G1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from promissory.planner.active import current
from promissory.planner.errors import GateError, PromiseError, user_line
from promissory.planner.plan.interfaces import gate_interface
from promissory.planner.plan.model import GATE
from promissory.planner.plan.names import NAMES, can_be_a_name
from promissory.planner.plan.policy import seconds
from promissory.planner.plan.specs import Gate
from promissory.planner.tracing.promise import MARKER, Promise
from promissory.planner.tracing.trace import Trace
from promissory.planner.tracing.value_types import type_of
from promissory.typesys.errors import AnnotationError
from promissory.typesys.infer import Inference
from promissory.typesys.types import NONE
from promissory.typesys.wire import codec_for

T = TypeVar("T")


def sleep(duration: Any) -> Promise[None]:
    """Make a node that ends after a while: `a >> sleep(60) >> b`.

    No worker waits, and a run that is resumed waits only for the rest.

    Args:
        duration: seconds, a timedelta, or a promise of seconds.

    Raises:
        PromiseError: no workflow is being traced (use `time.sleep`).
        GateError: the argument is no duration.

    >>> from promissory import sleep, task, workflow
    >>> @task
    ... def ring() -> str:
    ...     return "ring"
    >>> @workflow
    ... def later() -> str:
    ...     bell = ring()
    ...     sleep(0.01) >> bell
    ...     return bell
    >>> later()
    'ring'
    """
    trace = _trace("sleep", "use time.sleep: this code runs now")
    given: Any = duration if isinstance(duration, Promise) else seconds(duration)
    if not isinstance(given, Promise) and not (isinstance(given, float) and 0 <= given < float("inf")):
        _refuse(
            trace, f"sleep({duration!r}): that is no duration", "give a number of seconds of at least 0, or a timedelta"
        )
    return _add(trace, Gate("sleep", "sleep", NONE), [given])


def wait_for_input(name: str, timeout: float | timedelta | None = None, type: Any = str) -> Any:
    """Make a node that waits for a value from outside: `promissory answer RUN NAME VALUE`, or
    `run.answer(name, value)`.

    Args:
        name: the gate's name in an answer; unique in its workflow.
        timeout: seconds or a timedelta after which the node fails as `GateTimeout`.
        type: the annotation of the value, which is checked before it is taken.

    Raises:
        PromiseError: no workflow is being traced.
        GateError: the name, type or time-out is impossible.

    >>> from promissory import wait_for_input, workflow
    >>> @workflow
    ... def ask() -> int:
    ...     return wait_for_input("age", type=int)
    >>> print(ask.compile())
    plan ask() -> int
      age : int = wait_for_input()
      return age
    """
    trace = _trace("wait_for_input", "use input(): this code runs now")
    inference = Inference()
    try:
        wanted = inference.infer(type)
        codec_for(wanted, inference.classes)
    except AnnotationError as error:
        _refuse(trace, f"wait_for_input({name!r}, type=…): {error}", "give an annotation that a task could have")
    return _add(trace, Gate("input", _name(trace, name), wanted, _timeout(trace, timeout)), [])


def approve(promise: T, name: str, timeout: float | timedelta | None = None) -> T:
    """Make a node that passes its value on once somebody has approved it: `promissory answer RUN NAME yes`.

    With a no the node fails as `Rejected`.

    Args:
        promise: the value that is to be approved; in an async dynamic also one that is known.
        name: the gate's name in an answer; unique in its workflow.
        timeout: seconds or a timedelta after which the node fails as `GateTimeout`.

    Raises:
        PromiseError: no workflow is being traced, or `promise` is none.
        GateError: the name or time-out is impossible.
    """
    trace = _trace("approve", "ask in the program: this code runs now")
    if not isinstance(promise, Promise) and trace.segment is None:
        _refuse(trace, f"approve({promise!r}, …): that is known already", "approve what a call gives")
    result: Any = _add(
        trace, Gate("approve", _name(trace, name), type_of(promise), _timeout(trace, timeout)), [promise]
    )
    return result  # type: ignore[no-any-return]


def _trace(what: str, way_out: str) -> Trace:
    trace = current.get()
    if not isinstance(trace, Trace):
        raise PromiseError(f"{what}() is for workflows, and none is being traced", where=user_line(), way_out=way_out)
    return trace


def _add(trace: Trace, spec: Gate, values: list[Any]) -> Promise[Any]:
    where = user_line()
    interface = gate_interface(spec)
    bindings = [
        trace.binder.bind(value, p.type, f"{spec.name}({p.name}=…)", where)
        for value, p in zip(values, interface.parameters, strict=True)
    ]
    return Promise(trace, interface.result, trace.add(GATE, 0, bindings, where, spec))


def _name(trace: Trace, name: Any) -> str:
    if isinstance(name, str) and any(isinstance(spec, Gate) and spec.name == name for spec in trace.specs):
        _refuse(
            trace,
            f"two gates of {trace.name} are called {name!r}, and an answer would not say which it means",
            "give each its own name",
        )
    if not can_be_a_name(name) or MARKER in name:
        _refuse(trace, f"{name!r} can't be a gate's name", f"{NAMES}, not made of a promise")
    return str(name)


def _timeout(trace: Trace, timeout: Any) -> float | None:
    given = seconds(timeout)
    if given is not None and not (isinstance(given, float) and 0 < given < float("inf")):
        _refuse(trace, f"timeout={timeout!r} is no time-out", "give a number of seconds above 0, or a timedelta")
    return given


def _refuse(trace: Trace, message: str, way_out: str) -> NoReturn:
    error = GateError(message, where=user_line(), way_out=way_out)
    trace.fatal.append(error)
    raise error
