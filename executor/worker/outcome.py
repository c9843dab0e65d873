"""The outcome of a body that has ended, and its requests of its run, by rank: cancel > terminate > goto > next
iteration > return (semantics, "Signals").

A request drops the body's returned value where that is of no use any more, so that a body may fall through after it has
asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from promissory.executor.code.resolver import Refused
from promissory.executor.protocol.messages import (
    CANCEL,
    ENDED,
    FUTURES,
    HAS,
    ITERATION,
    LACKS,
    LOOP,
    NONE_GIVEN,
    SKIP,
    VALUE,
)
from promissory.planner.body.payload import encoded_payload
from promissory.planner.body.requests import Requests
from promissory.planner.body.signals import Signal
from promissory.planner.entities.dynamic import Iteration, plan_of_calls
from promissory.planner.errors import SignalError, Where, raised_at
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.plan import Plan
from promissory.typesys.secret import masked
from promissory.typesys.types import ANY, NONE

if TYPE_CHECKING:
    from promissory.executor.worker.worker import Worker

RETURNED, EMITTED, LOOPED, SKIPPED = range(4)


class Raw(NamedTuple):
    """How a body ended: it RETURNED a value, a dynamic EMITTED an expansion, it raised `Loop` (LOOPED, with the
    payload) or `Skip` (SKIPPED, with the reason).
    """

    how: int
    what: Any
    signal: Signal | None = None

    def where(self, requests: Requests) -> Where | None:
        """The author's line that made an impossible request."""
        return (None if self.signal is None else raised_at(self.signal)) or requests.where


Concluded = tuple[int, Any, dict[str, Any] | None]
"""Status, payload and requests, as `promissory.executor.protocol.messages` has them."""
_NO_REQUESTS: Final = Requests()


def conclude(
    worker: Worker, entity: Entity[..., Any], raw: Raw, requests: Requests | None, header: FuturesHeader
) -> Concluded:
    """The outcome of a body. Raises `Refused` for a result of another type, `SignalError` for conflicting requests."""
    requests = requests or _NO_REQUESTS
    if requests.refused is not None:
        raise requests.refused  # the refusal counts even if the body caught it
    if requests.cancel is not None:
        return CANCEL, masked(requests.cancel), None
    where = raw.where(requests)
    asked: dict[str, Any] = {}
    if requests.writes:
        asked["writes"] = [list(write) for write in requests.writes]
    if requests.read:
        asked["read"] = True
    if requests.terminate is not None:
        asked["terminate"] = [masked(requests.terminate[0]), requests.terminate[1]]
        return (*_last_words(worker, entity, raw), _with_line(asked, requests))
    if raw.how == SKIPPED:
        if requests.names:
            raise SignalError(
                f"{entity.name} asked for another task and raised Skip",
                where=where,
                way_out="return instead, or leave one of them out",
            )
        return SKIP, masked(str(raw.what)), _with_line(asked, requests)
    if raw.how == LOOPED and requests.goto is not None:
        if entity.signature.result.type == NONE:
            raw = Raw(RETURNED, None)
        elif any(call is not None for call in requests.calls):
            raise SignalError(
                f"{entity.name} jumped and raised Loop, so it has no value",
                where=where,
                way_out="return a value: what follows the jump may want it",
            )
        else:
            return (
                *_add_targets(
                    worker,
                    entity,
                    requests,
                    SKIP,
                    f"{entity.name} jumped, and raised Loop: it has no value",
                    header,
                    asked,
                ),
                _with_line(asked, requests),
            )
    if requests.iterate is not None and requests.goto is None:
        if raw.how == EMITTED:
            raise SignalError(
                f"{entity.name} asked for another iteration and made calls",
                where=where,
                way_out="raise Loop(…) in a dynamic: its iteration is what it emitted",
            )
        status, payload = LOOP, worker.values.kept(requests.iterate)
    else:
        status, payload = _plain(worker, entity, raw, header)
    if status == ITERATION and asked:
        status, asked["loops"] = FUTURES, True
    if requests.names:
        status, payload = _add_targets(worker, entity, requests, status, payload, header, asked)
    return status, payload, _with_line(asked, requests)


def _with_line(asked: dict[str, Any], requests: Requests) -> dict[str, Any] | None:
    """The requests, with the author's line for an error; None if there are none."""
    return {**asked, "at": str(requests.where)} if asked and requests.where is not None else asked or None


def _last_words(worker: Worker, entity: Entity[..., Any], raw: Raw) -> tuple[int, Any]:
    """The outcome of a body that ends the run: its value, if it has one of its type."""
    if raw.how == SKIPPED:
        return SKIP, masked(str(raw.what))
    if raw.how == RETURNED:
        try:
            return VALUE, worker.values.encoded(entity, raw.what)
        except Refused:
            return ENDED, None
    return ENDED, None


def _plain(worker: Worker, entity: Entity[..., Any], raw: Raw, header: FuturesHeader) -> tuple[int, Any]:
    if raw.how == LOOPED:
        try:
            return LOOP, worker.values.kept(encoded_payload(raw.what, "Loop(…)", worker.values.parts))
        except TypeError as error:
            at = f"\n  at {raised_at(raw.signal)}" if raw.signal is not None else ""
            raise Refused("TaskTypeError", f"{entity.name} raised {error}{at}") from None
    if raw.how == RETURNED:
        return VALUE, worker.values.encoded(entity, raw.what)
    plan = raw.what.plan if isinstance(raw.what, Iteration) else raw.what
    assert isinstance(plan, Plan)
    return ITERATION if isinstance(raw.what, Iteration) else FUTURES, worker.emitted(plan, header)


def _add_targets(
    worker: Worker,
    entity: Entity[..., Any],
    requests: Requests,
    status: int,
    payload: Any,
    header: FuturesHeader,
    asked: dict[str, Any],
) -> tuple[int, Any]:
    """Add the requested work to `asked`: nodes by name, and a plan of new calls. The plan's result is that of the task,
    or the payload of the task's next iteration. Returns the status and payload with that."""
    if status == FUTURES and any(call is not None for call in requests.calls):
        way_out = "call it in the body: what a dynamic calls runs before what follows"
        raise SignalError(
            f"{entity.name} is a dynamic, and asked for another task", where=requests.where, way_out=way_out
        )
    calls: list[tuple[Entity[..., Any], dict[str, Any]]] = []
    asked["next"] = []
    for name, call in zip(requests.names, requests.calls, strict=True):
        number = -1
        if call is not None and call[0].signature.can_be_called_with(call[1]):
            number = len(calls)
            calls.append((cast(Entity[..., Any], call[0]), call[1]))
        asked["next"].append(
            [
                name,
                number,
                LACKS if call is not None and number < 0 else HAS if call is not None and call[1] else NONE_GIVEN,
            ]
        )
    if requests.goto is not None:
        asked["goto"] = requests.goto
    if not calls:
        return status, payload
    if status == LOOP:
        asked["loops"] = True
        return FUTURES, worker.emitted(plan_of_calls(entity, calls, worker.values.bytes_of(payload), ANY), header)
    asked["futures"] = worker.emitted(
        plan_of_calls(entity, calls, worker.values.bytes_of(payload), entity.signature.result.type), header
    )
    return status, payload
