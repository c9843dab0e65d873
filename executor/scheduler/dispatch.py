"""Dispatch: ready nodes become calls for workers, within the run's capacity and limits. Pure; part of the scheduler."""

from __future__ import annotations

from promissory.executor.protocol.events import NO_META
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler.admission import PARKED, TOO_WIDE
from promissory.executor.scheduler.calls import Call, Key
from promissory.executor.scheduler.capacity import demand_of
from promissory.executor.scheduler.consequences import settle, work_off
from promissory.executor.scheduler.frame import Frame, Repeat
from promissory.executor.scheduler.kinds import map
from promissory.executor.scheduler.kinds.awaiting import wake_of
from promissory.executor.scheduler.kinds.table import KINDS
from promissory.executor.scheduler.node_state import OPEN, PENDING
from promissory.executor.scheduler.propagation import may_start
from promissory.executor.scheduler.recursion import may_expand
from promissory.executor.scheduler.state import State


def begin_gates(state: State, now: float, calendar: float) -> None:
    """Begin the gates whose inputs are there.

    Args:
        now: of the run's clock.
        calendar: seconds since the epoch.
    """
    while state.gates_ready and not state.stopping:
        frame, index = state.gates_ready.pop()
        if (
            frame.state(index) == PENDING
            and frame.id in state.frames
            and not (state.failing and not may_start(frame, index))
        ):
            begin = KINDS[frame.topology.kind(index)].begin
            assert begin is not None
            begin(state, frame, index, now, calendar)
            work_off(state)


def calls_to_start(state: State, stack: list[tuple[Frame, int]], count: int, now: float, calendar: float) -> list[Call]:
    """Calls of at most `count` processors. Nodes that need no worker are begun on the way, and may end the run.

    Args:
        stack: `ready`, or `overlapping`; async calls that are met in the former are moved to the latter.
        now: of the run's clock.
        calendar: seconds since the epoch.
    """
    moves = stack is state.ready
    calls: list[Call] = []
    too_wide: list[tuple[Frame, int]] = []
    weighted = state.weighted
    while state.weighted is weighted and count > 0 and not state.stopping:
        if state.unsettled and not stack:
            settle(state)
        if not stack or state.dead:
            break
        frame, index = stack.pop()
        if moves and frame.topology.code.overlaps and frame.topology.overlaps(index):
            state.overlapping.append((frame, index))
            continue
        if not _is_to_start(state, frame, index):
            continue
        topology = frame.topology
        if topology.is_plain(index) and not (state.loops or state.tries):  # most nodes are plain
            state.begin_call(frame, index, frame.repeat)
            calls.append(Call(frame, index))
            count -= 1
            continue
        begin = KINDS[topology.kind(index)].begin
        if begin is not None:
            begin(state, frame, index, now, calendar)
            if state.agenda:
                work_off(state)
            continue
        key = (frame.id, index)
        call, repeat, problem = _call(state, frame, index, key, calendar)
        if problem is None and topology.is_governed(index):
            demand = demand_of(topology.policy(index))
            impossible = state.admission.capacity.never(demand)
            if impossible is None:
                weight = state.admission.admit(frame, index, demand, count)
                if weight == TOO_WIDE:
                    too_wide.append((frame, index))
                    if state.admission.is_patient(len(too_wide)):
                        continue
                    break
                if weight == PARKED:
                    continue
                count -= weight - 1
            else:
                problem = _never(frame.path_of(index), impossible)
        if problem is not None:
            state.fail(frame, index, problem, NO_META)
            work_off(state)
            continue
        state.begin_call(frame, index, repeat)
        calls.append(call)
        count -= 1
    if too_wide:
        state.admission.overtaken += len(calls)
        stack += reversed(too_wide)
    return calls


def _is_to_start(state: State, frame: Frame, index: int) -> bool:
    """Whether a node from the stack is still to be started."""
    at = frame.state(index)
    if at != PENDING or (frame.id, index) in state.in_flight:
        if at == OPEN and state.maps and (frame.id, index) in state.maps and frame.id in state.frames:
            map.has_room(state, frame, index)
            work_off(state)
        return False  # the node has begun or ended already, maybe in the journal that was replayed
    if state.has_dropped and frame.id not in state.frames:
        return False
    return not state.failing or may_start(frame, index)


def _call(
    state: State, frame: Frame, index: int, key: Key, calendar: float
) -> tuple[Call, Repeat | None, Failure | None]:
    """A call, the `Repeat` that its expansion will need, and the failure because of which the call must not start."""
    topology, repeat, problem = frame.topology, frame.repeat, None
    iteration, payload = state.loops[key] if state.loops and key in state.loops else (0, None)
    if topology.is_cycle(index):
        return _round(state, frame, index, key, calendar)
    if topology.awaits(index):
        return _wake(state, frame, index, key, calendar)
    if topology.is_dynamic(index):
        problem, repeat = may_expand(state.limits, frame, index)
    if iteration and problem is None:
        problem = state.limits.iterations(
            iteration, topology.policy(index).max_iterations, topology.callee(index), frame.path_of(index)
        )
    tries = state.tries.get(key) if state.tries else None
    attempt, alone = (1, False) if tries is None else (tries.begun + 1, tries.lost > 0)
    if topology.is_governed(index):
        policy = topology.policy(index)
        cached = policy.cache and key not in state.afresh and (not iteration or topology.is_dynamic(index))
        return Call(frame, index, attempt, policy.timeout, cached, alone, iteration, payload), repeat, problem
    if state.maps and key in state.maps:
        return (
            Call(frame, index, attempt, None, False, alone, joins=tuple(state.maps[key].results)),
            repeat,
            problem,
        )
    return Call(frame, index, attempt, None, False, alone, iteration, payload), repeat, problem


def _round(
    state: State, frame: Frame, index: int, key: Key, calendar: float
) -> tuple[Call, Repeat | None, Failure | None]:
    """The call that traces a cycle's next round, or what runs after its last one."""
    policy, cycle = frame.topology.policy(index), state.cycles.get(key)
    assert policy.cycle is not None
    problem, repeat = may_expand(state.limits, frame, index)
    tries = state.tries.get(key)
    attempt, alone = (1, False) if tries is None else (tries.begun + 1, tries.lost > 0)
    stop = state.stop_at if cycle is None else cycle.stop
    closing = cycle is not None and cycle.closing > 0
    iteration = 1 if cycle is None else cycle.iteration
    held = () if cycle is None else tuple(sorted(cycle.held))
    call = Call(frame, index, attempt, policy.timeout, False, alone, iteration, round=(stop, closing, calendar, held))
    return call, repeat, problem


def _wake(
    state: State, frame: Frame, index: int, key: Key, calendar: float
) -> tuple[Call, Repeat | None, Failure | None]:
    """The call that tells the body of an async dynamic what has come, or has it begin."""
    awaiting, policy = state.awaits.get(key), frame.topology.policy(index)
    problem, repeat = may_expand(state.limits, frame, index) if awaiting is None else (None, awaiting.repeat)
    tries = state.tries.get(key)
    attempt, alone = (1, False) if tries is None else (tries.begun + 1, tries.lost > 0)
    timeout = policy.timeout
    if timeout is not None and awaiting is not None:
        timeout = max(timeout - awaiting.used / 1e6, 1e-3)
    cached = policy.cache and key not in state.afresh and awaiting is None
    wake = wake_of(state, frame, index, calendar)
    return Call(frame, index, attempt, timeout, cached, alone, wake=wake), repeat, problem


def _never(path: str, impossible: str) -> Failure:
    return Failure.of_executor(
        "ResourcesUnavailable",
        f"{path} asks for {impossible}. Ask for less, or say what there is: "
        "run(resources=Resources(…), pools={…}), --memory, --gpu, --pool",
    )
