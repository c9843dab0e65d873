"""Gates under way: nodes that wait for a moment or an answer without a worker (rule G1). Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from promissory.executor.protocol.events import DONE as DONE_EVENT
from promissory.executor.protocol.events import GATED, NO_META
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import completion
from promissory.executor.scheduler.frame import OPEN, Frame
from promissory.planner.plan.model import Value
from promissory.planner.plan.specs import Gate
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.types import BOOL, Type
from promissory.typesys.wire import codec_for

if TYPE_CHECKING:
    from promissory.executor.scheduler.state import State

YES = pack(True)
_NOTHING = pack(None)
_KEY: Final = re.compile(r"#(\d+)\.(\d+)$")


class Waiting(NamedTuple):
    """A gate that waits: its node, and the moment of its end (s since the epoch; 0 for ever)."""

    frame: Frame
    node: int
    until: float

    @property
    def spec(self) -> Gate:
        """The gate's specification in the plan."""
        spec = self.frame.topology.graph.specs[self.node]
        assert isinstance(spec, Gate)
        return spec

    @property
    def path(self) -> str:
        """The path of the gate."""
        return self.frame.path_of(self.node)

    @property
    def wants(self) -> Type | None:
        """The type of the answer that the gate waits for; None for a sleep."""
        if self.spec.what == "sleep":
            return None
        return BOOL if self.spec.what == "approve" else self.spec.result


def none_of(type: Type) -> bytes:
    """None, as a value of a type that allows it."""
    return codec_for(type).encode(None)


def begin(scheduler: State, frame: Frame, index: int, now: float, calendar: float) -> None:
    """A gate begins to wait."""
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Gate)
    delay = spec.timeout
    if spec.what == "sleep":
        delay = duration(frame, index)
        if delay == math.inf:
            message = f"{frame.path_of(index)} was told to sleep for a time that is no finite number of seconds"
            scheduler.fail(frame, index, Failure.of_executor("TaskTypeError", message), NO_META)
            return
    until = 0.0 if delay is None else calendar + delay
    scheduler.log.append((GATED, frame.id, index, until))
    wait(scheduler, frame, index, until)
    if delay is not None:
        scheduler.sleep(frame, index, now + delay, delay, until)


def duration(frame: Frame, index: int) -> float:
    """The length of a sleep, in seconds; infinite for a value that is no duration."""
    given = frame.value(frame.topology.plan_inputs[index][0])
    assert isinstance(given, bytes)
    asked = float(unpack(given))
    return max(0.0, asked) if math.isfinite(asked) else math.inf


def wait(scheduler: State, frame: Frame, index: int, until: float) -> None:
    """A gate waits."""
    frame.set_state(index, OPEN)
    scheduler.waiting[frame.id, index] = Waiting(frame, index, until)


def due(scheduler: State, frame: Frame, index: int) -> None:
    """The moment has come: a sleep is over, an answer is late."""
    waiting = scheduler.waiting.pop((frame.id, index))
    if waiting.spec.what == "sleep":
        _done(scheduler, frame, index, _NOTHING)
        return
    message = (
        f"nobody answered {waiting.path} within {waiting.spec.timeout:g} s; allow more time in the workflow, "
        f"or answer sooner: promissory answer RUN {waiting.spec.name} VALUE"
    )
    scheduler.fail(frame, index, Failure.of_executor("GateTimeout", message), NO_META)


def found(scheduler: State, exact: str) -> Waiting | None:
    """The gate with this path, frame and index (`main/ok#0.3`), if it waits for an answer."""
    match = _KEY.search(exact)
    waiting = None if match is None else scheduler.waiting.get((int(match[1]), int(match[2])))
    return waiting if waiting is not None and waiting.wants is not None else None


def answer(scheduler: State, waiting: Waiting, value: Value, sender: str = "") -> None:
    """A gate has its answer: a value of the type that the gate wants."""
    key = (waiting.frame.id, waiting.node)
    if scheduler.waiting.pop(key, None) is None:
        return
    if waiting.spec.what == "input":
        _done(scheduler, waiting.frame, waiting.node, value)
    elif value == YES:
        _done(
            scheduler,
            waiting.frame,
            waiting.node,
            waiting.frame.value(waiting.frame.topology.plan_inputs[waiting.node][0]),
        )
    else:
        message = f"{waiting.path} was rejected{f' by {sender}' if sender else ''}"
        scheduler.fail(waiting.frame, waiting.node, Failure.of_executor("Rejected", message), NO_META)


def _done(scheduler: State, frame: Frame, index: int, value: Value) -> None:
    scheduler.log.append((DONE_EVENT, frame.id, index, value, NO_META))
    completion.complete(scheduler, frame, index, value, False)
