"""Dispatch: ready nodes become calls for workers, within the run's capacity and limits. Pure; part of the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promissory.executor.protocol.events import NO_META
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler import expansion as opening
from promissory.executor.scheduler import frame_failure as failing
from promissory.executor.scheduler import gates
from promissory.executor.scheduler import maps as mapped
from promissory.executor.scheduler import propagation as endings
from promissory.executor.scheduler.admission import PARKED, TOO_WIDE
from promissory.executor.scheduler.calls import Call, Key
from promissory.executor.scheduler.capacity import demand_of
from promissory.executor.scheduler.frame import DONE, OPEN, PENDING, Frame, Repeat
from promissory.executor.scheduler.recursion import may_expand
from promissory.planner.plan.model import BRANCH, CALL, MAP, MERGE, PLAN, RESCUE

if TYPE_CHECKING:
    from promissory.executor.scheduler.scheduler import Scheduler


def begin_gates(scheduler: Scheduler, now: float, calendar: float) -> None:
    """Begin the gates whose inputs are there.

    Args:
        now: of the run's clock.
        calendar: seconds since the epoch.
    """
    while scheduler.gates_ready and not scheduler.stopping:
        frame, index = scheduler.gates_ready.pop()
        if (
            frame.state(index) == PENDING
            and frame.id in scheduler.frames
            and not (scheduler.failing and not endings.may_start(frame, index))
        ):
            gates.begin(scheduler, frame, index, now, calendar)


def calls_to_start(scheduler: Scheduler, count: int) -> list[Call]:
    """Calls of at most `count` processors. Nodes that need no worker are begun on the way, and may end the run."""
    calls: list[Call] = []
    too_wide: list[tuple[Frame, int]] = []
    weighted = scheduler.weighted
    while scheduler.weighted is weighted and count > 0 and not scheduler.stopping:
        if scheduler.unsettled and not scheduler.ready:
            failing.settle(scheduler)
        if not scheduler.ready or scheduler.dead:
            break
        frame, index = scheduler.ready.pop()
        if not _is_to_start(scheduler, frame, index):
            continue
        topology = frame.topology
        if topology.is_plain(index) and not (scheduler.loops or scheduler.tries):  # most nodes are plain
            scheduler.begin_call(frame, index, frame.repeat)
            calls.append(Call(frame, index))
            count -= 1
            continue
        kind = topology.kind(index)
        if kind > CALL and kind != BRANCH and kind != MAP:
            _begin(scheduler, frame, index, kind)
            continue
        key = (frame.id, index)
        call, repeat, problem = _call(scheduler, frame, index, key)
        if problem is None and topology.is_governed(index):
            demand = demand_of(topology.policy(index))
            impossible = scheduler.admission.capacity.never(demand)
            if impossible is None:
                weight = scheduler.admission.admit(frame, index, demand, count)
                if weight == TOO_WIDE:
                    too_wide.append((frame, index))
                    if scheduler.admission.is_patient(len(too_wide)):
                        continue
                    break
                if weight == PARKED:
                    continue
                count -= weight - 1
            else:
                problem = _never(frame.path_of(index), impossible)
        if problem is not None:
            scheduler.fail(frame, index, problem, NO_META)
            continue
        scheduler.begin_call(frame, index, repeat)
        calls.append(call)
        count -= 1
    if too_wide:
        scheduler.admission.overtaken += len(calls)
        scheduler.ready += reversed(too_wide)
    return calls


def _is_to_start(scheduler: Scheduler, frame: Frame, index: int) -> bool:
    """Whether a node from the stack is still to be started."""
    state = frame.state(index)
    if state != PENDING or (frame.id, index) in scheduler.in_flight:
        if state == OPEN and scheduler.maps and (frame.id, index) in scheduler.maps and frame.id in scheduler.frames:
            mapped.open_next(scheduler, frame, index)
        return False  # the node has begun or ended already, maybe in the journal that was replayed
    if scheduler.has_dropped and frame.id not in scheduler.frames:
        return False
    return not scheduler.failing or endings.may_start(frame, index)


def _call(scheduler: Scheduler, frame: Frame, index: int, key: Key) -> tuple[Call, Repeat | None, Failure | None]:
    """A call, the `Repeat` that its expansion will need, and the failure because of which the call must not start."""
    topology, repeat, problem = frame.topology, frame.repeat, None
    iteration, payload = scheduler.loops[key] if scheduler.loops and key in scheduler.loops else (0, None)
    if topology.is_dynamic(index):
        problem, repeat = may_expand(scheduler.limits, frame, index)
    if iteration and problem is None:
        problem = scheduler.limits.iterations(
            iteration, topology.policy(index).max_iterations, topology.callee(index), frame.path_of(index)
        )
    tries = scheduler.tries.get(key) if scheduler.tries else None
    attempt, alone = (1, False) if tries is None else (tries.begun + 1, tries.lost > 0)
    if topology.is_governed(index):
        policy = topology.policy(index)
        cached = policy.cache and key not in scheduler.afresh and (not iteration or topology.is_dynamic(index))
        return Call(frame, index, attempt, policy.timeout, cached, alone, iteration, payload), repeat, problem
    if scheduler.maps and key in scheduler.maps:
        return (
            Call(frame, index, attempt, None, False, alone, joins=tuple(scheduler.maps[key].results)),
            repeat,
            problem,
        )
    return Call(frame, index, attempt, None, False, alone, iteration, payload), repeat, problem


def _begin(scheduler: Scheduler, frame: Frame, index: int, kind: int) -> None:
    """Begin a node that needs no worker."""
    if kind == PLAN:
        opening.open_nested(scheduler, frame, index)
    elif kind == MERGE:
        value = endings.first_there(frame, index)
        assert value is not None
        scheduler.done(frame.id, index, value)
    else:
        assert kind == RESCUE
        source = frame.topology.rescues(index)
        assert source is not None
        if frame.state(source) == DONE:
            scheduler.done(frame.id, index, frame.value(source))
        else:
            opening.open_fallback(scheduler, frame, index)


def _never(path: str, impossible: str) -> Failure:
    return Failure.of_executor(
        "ResourcesUnavailable",
        f"{path} asks for {impossible}. Ask for less, or say what there is: "
        "run(resources=Resources(…), pools={…}), --memory, --gpu, --pool",
    )
