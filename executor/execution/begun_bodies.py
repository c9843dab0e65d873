"""The bodies of async dynamics that had begun when a run is resumed. Each goes on with the code that it began with
(rules D8, R6), unless the author moves it to today's code on purpose.

A replay tells a body all that it was told, and runs no task. So it can be tried beforehand whether today's code would
make the calls that were made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from promissory.executor.code.resolver import Refused, imported, stored_code
from promissory.executor.engines.engine import Engine
from promissory.executor.errors import CodeChanged
from promissory.executor.execution.code_changes import fits
from promissory.executor.execution.materialize import batch_of
from promissory.executor.protocol.events import AWAITED, NO_META, Event
from promissory.executor.protocol.messages import GONE
from promissory.executor.scheduler.awaiting import Awaiting, Wake
from promissory.executor.scheduler.calls import Call
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.store import Store
from promissory.executor.worker.awaiting import Bodies, Told, Wakes
from promissory.executor.worker.values import Values
from promissory.planner.body.context import Body, Context
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.model import Callee


def begun(scheduler: Scheduler) -> Iterator[Awaiting]:
    """The async dynamics whose bodies have begun to wait and have not ended."""
    return (one for one in scheduler.awaits.values() if not one.last)


def path_of(body: Awaiting) -> str:
    """The path of an async dynamic."""
    return body.frame.path_of(body.index)


def today(callee: Callee) -> Entity[..., Any] | None:
    """The function that an import finds today; None if it finds none."""
    try:
        return imported(callee)
    except Refused:
        return None


def misfit(store: Store, run_id: str, body: Awaiting, entity: Any) -> str | None:
    """Why a body can't go on with a function, as a replay finds it; None if it can."""
    wake = Wake(len(body.history), body.latest, [], body.history, "")
    invocation = batch_of([Call(body.frame, body.index, wake=wake)], run_id=run_id).content[1][0]
    _, frame, index, arguments, path, place, depth, *_ = invocation
    context = Context(run_id=run_id, path=path, depth=depth - 1, in_run=True)
    header = FuturesHeader(place[0], place[1], depth)
    wakes = Wakes(Values(store), Bodies(), False)
    told = Told(wake.number, wake.now, [], wake.history)
    try:
        kept = wakes.brought_back(entity, arguments, frame, index, told, Body(lambda _: context, None), header)
    except Refused as refusal:
        return str(refusal)
    except Exception as error:  # whatever today's body raises
        return f"it raises {type(error).__name__}: {error}"
    assert kept is not None, GONE
    kept.driven.close()
    return None


class _Todays:
    """The callees of today for those that an older body calls."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], Callee] = {}

    def __call__(self, callees: tuple[Callee, ...]) -> tuple[Callee, ...]:
        return tuple(self._of(callee) for callee in callees)

    def _of(self, callee: Callee) -> Callee:
        key = (callee.name, callee.digest)
        if key not in self._known:
            entity = today(callee)
            current = callee if entity is None else entity.callee()
            # What is gone, or takes other inputs today, runs from the bundle.
            self._known[key] = current if fits(callee.interface, current.interface) else callee
        return self._known[key]


def settle(store: Store, run_id: str, bundle: bytes, scheduler: Scheduler, engine: Engine, moves: bool) -> list[Event]:
    """Decide with which code each body goes on. Returns the events that tell of bodies which are moved to today's.

    Args:
        bundle: the digest of the bundle that the run began with; empty if it has none.
        moves: whether bodies go on with today's code.

    Raises:
        CodeChanged: a body can go on with neither; nothing has run.
    """
    events: list[Event] = []
    stuck: list[str] = []
    todays = _Todays()
    for body in begun(scheduler):
        entity = today(body.callee)
        if entity is None or entity.callee().digest == body.callee.digest:
            continue
        if moves:
            problem = misfit(store, run_id, body, entity)
            if problem is not None:
                raise CodeChanged(f"{path_of(body)} can't go on with today's code: {problem}")
            body.callee = entity.callee()
            at = (body.frame.id, body.index)
            events.append((AWAITED, *at, body.latest, [], -1, None, False, [], body.due, body.callee.digest, NO_META))
        elif stored_code(store, run_id, body.callee) is not None:
            continue  # it was stored by value
        elif engine.remote and bundle:
            body.today = todays
        else:
            stuck.append(path_of(body))
    if stuck:
        raise CodeChanged(
            f"{', '.join(stuck)} has begun, and its code has changed since. It goes on with the code that it began "
            "with: in processes of its own (--engine processes), or if you bring the old file back. To move it to "
            "today's code: resume --new-code; `promissory check --replays` tells beforehand whether that fits"
        )
    return events
