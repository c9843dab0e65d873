"""Gates: nodes that wait for a moment or an answer without a worker (rule G1). Pure."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from promissory.executor.errors import DoesNotFit
from promissory.executor.protocol import decoding as fields
from promissory.executor.protocol.events import GATED, NO_META, NODE_DONE, Event
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import completion
from promissory.executor.scheduler.calls import Sleeping
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.kind import FAILS, Kind, ReadFailed
from promissory.executor.scheduler.node_state import OPEN, PENDING
from promissory.executor.scheduler.state import State
from promissory.executor.scheduler.waiting import Waiting
from promissory.planner.plan.model import Value
from promissory.planner.plan.specs import Gate
from promissory.typesys.canonical import pack, unpack

YES: Final = pack(True)
_NOTHING: Final = pack(None)
_KEY: Final = re.compile(r"#(\d+)\.(\d+)$")


def _begin(state: State, frame: Frame, index: int, now: float, calendar: float) -> None:
    spec = _spec(frame, index)
    delay = spec.timeout
    if spec.what == "sleep":
        delay = _duration(frame, index)
        if delay == math.inf:
            message = f"{frame.path_of(index)} was told to sleep for a time that is no finite number of seconds"
            state.fail(frame, index, Failure.of_executor("TaskTypeError", message), NO_META)
            return
    until = 0.0 if delay is None else calendar + delay
    state.log.append((GATED, frame.id, index, until))
    _wait(state, frame, index, until)
    if delay is not None:
        state.sleep(frame, index, now + delay, delay, until)


def _spec(frame: Frame, index: int) -> Gate:
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Gate)
    return spec


def _duration(frame: Frame, index: int) -> float:
    """The length of a sleep, in seconds; infinite for a value that is no duration."""
    given = frame.value(frame.topology.plan_inputs[index][0])
    assert isinstance(given, bytes)
    asked = float(unpack(given))
    return max(0.0, asked) if math.isfinite(asked) else math.inf


def _wait(state: State, frame: Frame, index: int, until: float) -> None:
    frame.set_state(index, OPEN)
    state.waiting[frame.id, index] = Waiting(frame, index, until)


def due(state: State, frame: Frame, index: int) -> None:
    """The moment has come: a sleep is over, an answer is late."""
    waiting = state.waiting.pop((frame.id, index))
    if waiting.spec.what == "sleep":
        _done(state, frame, index, _NOTHING)
        return
    message = (
        f"nobody answered {waiting.path} within {waiting.spec.timeout:g} s; allow more time in the workflow, "
        f"or answer sooner: promissory answer RUN {waiting.spec.name} VALUE"
    )
    state.fail(frame, index, Failure.of_executor("GateTimeout", message), NO_META)


def found(state: State, exact: str) -> Waiting | None:
    """The gate with this path, frame and index (`main/ok#0.3`), if it waits for an answer."""
    match = _KEY.search(exact)
    waiting = None if match is None else state.waiting.get((int(match[1]), int(match[2])))
    return waiting if waiting is not None and waiting.wants is not None else None


def answer(state: State, waiting: Waiting, value: Value, sender: str = "") -> None:
    """A gate has its answer: a value of the type that the gate wants."""
    frame, index = waiting.frame, waiting.node
    if state.waiting.pop((frame.id, index), None) is None:
        return
    if waiting.spec.what == "input":
        _done(state, frame, index, value)
    elif value == YES:
        _done(state, frame, index, frame.value(frame.topology.plan_inputs[index][0]))
    else:
        message = f"{waiting.path} was rejected{f' by {sender}' if sender else ''}"
        state.fail(frame, index, Failure.of_executor("Rejected", message), NO_META)


def _done(state: State, frame: Frame, index: int, value: Value) -> None:
    state.log.append((NODE_DONE, frame.id, index, value, NO_META))
    state.agenda.complete(frame, index, value, False)


# --- replay ---


def _take_done(state: State, frame: Frame, index: int, event: Event) -> None:
    _, id, _, value, meta = event
    if state.waiting.pop((id, index), None) is not None:
        _done(state, frame, index, value)
    else:
        completion.done(state, id, index, value, meta)


def _take_gated(state: State, frame: Frame, index: int, event: Event) -> None:
    _, _, _, until = event
    _wait(state, frame, index, until)
    if until:  # a wait never gets longer than its first length, even if the calendar has changed since
        spec = _spec(frame, index)
        delay = _duration(frame, index) if spec.timeout is None else spec.timeout
        state.sleeping.append(Sleeping(0.0, len(state.sleeping), frame, index, delay, until))


def _check_gated(state: State, frame: Frame, index: int, event: Event) -> None:
    if frame.state(index) != PENDING:
        raise DoesNotFit(f"node {index} of frame {frame.id} waits already")
    if _spec(frame, index).what == "sleep":
        given = frame.value(frame.topology.plan_inputs[index][0])
        if given.__class__ is not bytes or unpack(given).__class__ not in (int, float):
            raise DoesNotFit(f"node {index} of frame {frame.id} is told to sleep for what is no duration")


# --- snapshots ---


def _dump(state: State) -> list[Any]:
    return [[*key, one.until] for key, one in sorted(state.waiting.items())]


def _load(state: State, rows: list[Any], read_failed: ReadFailed) -> None:
    for id, index, until in (fields.items(one, 3) for one in rows):
        state.waiting[id, index] = Waiting(state.frames[id], fields.count(index), fields.seconds(until))


GATES: Final = Kind(
    events={NODE_DONE: _take_done, GATED: _take_gated, **FAILS},
    checks={GATED: _check_gated},
    begin=_begin,
    dump=_dump,
    load=_load,
)
