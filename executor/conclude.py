"""What comes of a body that has ended: its outcome, and what it asked of its run, by rank: cancel > terminate > goto > next iteration > return (semantics, "Signals").

What a body asks for drops what it returned where that is of no use any more, so that a body may fall through after it has asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from executor.code import Refused
from executor.invocation import CANCEL, ENDED, FUTURES, ITERATION, LOOP, SKIP, VALUE
from planner.context import Requests, encoded_payload
from planner.dynamic import Iteration, plan_of_calls
from planner.entity import Entity
from planner.errors import SignalError
from planner.plan import Plan
from planner.plan_format import FuturesHeader
from typesys.secret import masked
from typesys.types import NONE

if TYPE_CHECKING:
    from executor.invoke import Worker

RETURNED, EMITTED, LOOPED, SKIPPED = range(4)


class Raw(NamedTuple):
    """How a body ended: it RETURNED a value, a dynamic EMITTED an expansion, it raised `Loop` (LOOPED, with the payload) or `Skip` (SKIPPED, with the reason)."""

    how: int
    what: Any


Concluded = tuple[int, Any, dict[str, Any] | None]
"""Status, payload, and what was asked, as `executor.invocation` has them."""
_NO_REQUESTS: Final = Requests()


def conclude(worker: Worker, entity: Entity[..., Any], raw: Raw, requests: Requests | None, header: FuturesHeader) -> Concluded:
    """The outcome of a body. Raises `Refused` for a result of another type, `SignalError` for what contradicts itself."""
    requests = requests or _NO_REQUESTS
    if requests.refused is not None:
        raise requests.refused  # also if the body swallowed it
    if requests.cancel is not None:
        return CANCEL, masked(requests.cancel), None
    asked: dict[str, Any] = {}
    if requests.writes:
        asked["writes"] = [list(write) for write in requests.writes]
    if requests.read:
        asked["read"] = True
    if requests.terminate is not None:
        asked["terminate"] = [masked(requests.terminate[0]), requests.terminate[1]]
        return (*_last_words(worker, entity, raw), asked)
    if raw.how == SKIPPED:
        if requests.names:
            raise SignalError(f"{entity.name} asked for another task and raised Skip", way_out="return instead, or leave one of them out")
        return SKIP, masked(str(raw.what)), asked or None
    if raw.how == LOOPED and requests.goto is not None:
        if entity.signature.result.type != NONE:
            raise SignalError(f"{entity.name} jumped and raised Loop, so it has no value", way_out="return a value: what follows the jump may want it")
        raw = Raw(RETURNED, None)
    if requests.iterate is not None and requests.goto is None:
        if raw.how == EMITTED:
            raise SignalError(f"{entity.name} asked for another iteration and made calls", way_out="raise Loop(…) in a dynamic: its iteration is what it emitted")
        status, payload = LOOP, worker.kept(requests.iterate)
    else:
        status, payload = _plain(worker, entity, raw, header)
    if status == ITERATION and asked:
        status, asked["loops"] = FUTURES, True
    if requests.names:
        if status == ITERATION:
            status, asked["loops"] = FUTURES, True
        _add_targets(worker, entity, requests, status, payload, header, asked)
    return status, payload, asked or None


def _last_words(worker: Worker, entity: Entity[..., Any], raw: Raw) -> tuple[int, Any]:
    """The outcome of a body that ends the run: its value, if it has one of its type."""
    if raw.how == SKIPPED:
        return SKIP, masked(str(raw.what))
    if raw.how == RETURNED:
        try:
            return VALUE, worker.encoded(entity, raw.what)
        except Refused:
            return ENDED, None
    return ENDED, None


def _plain(worker: Worker, entity: Entity[..., Any], raw: Raw, header: FuturesHeader) -> tuple[int, Any]:
    if raw.how == LOOPED:
        try:
            return LOOP, worker.kept(encoded_payload(raw.what, "Loop(…)"))
        except TypeError as error:
            raise Refused("TaskTypeError", f"{entity.name} raised {error}") from None
    if raw.how == RETURNED:
        return VALUE, worker.encoded(entity, raw.what)
    plan = raw.what.plan if isinstance(raw.what, Iteration) else raw.what
    assert isinstance(plan, Plan)
    return ITERATION if isinstance(raw.what, Iteration) else FUTURES, worker.emitted(plan, header)


def _add_targets(worker: Worker, entity: Entity[..., Any], requests: Requests, status: int, payload: Any, header: FuturesHeader, asked: dict[str, Any]) -> None:
    """The work that was asked for: nodes by name, and a plan of new calls that gives what the task gave."""
    if status == FUTURES and any(call is not None for call in requests.calls):
        raise SignalError(f"{entity.name} is a dynamic, and asked for another task", way_out="call it in the body: what a dynamic calls runs before what follows")
    if status == LOOP and any(call is not None for call in requests.calls):
        raise SignalError(f"{entity.name} asked for another task and for another iteration", way_out="ask for the task in the last iteration")
    calls: list[tuple[Entity[..., Any], dict[str, Any]]] = []
    asked["next"] = []
    for name, call in zip(requests.names, requests.calls, strict=True):
        number = -1
        if call is not None and call[0].signature.can_be_called_with(call[1]):
            number = len(calls)
            calls.append(call)
        asked["next"].append([name, number, int(call is not None and bool(call[1]))])
    if requests.goto is not None:
        asked["goto"] = requests.goto
    if calls:
        asked["futures"] = worker.emitted(plan_of_calls(entity, calls, worker.bytes_of(payload)), header)
