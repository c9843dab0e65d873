"""The standing of a run whose scheduler has nothing left to do: its state (rule X8), and the reason. Pure.

Replay, simulation, `doctor` and the run loop ask here, so they can't tell it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.node_state import ENDED, PENDING
from promissory.executor.scheduler.state import State

_NAMED: Final = 20


def failed_by_themselves(state: State) -> int:
    """The number of nodes that failed by themselves, in frames that failed with them."""
    return sum(
        failed.frame == frame.id and failed.node == index
        for frame in state.frames.values()
        if frame.failing is not None
        for index, failed in (frame.failures or {}).items()
    )


def standing(state: State) -> tuple[str, str] | None:
    """The state and the reason in which a run has ended by itself; None if it was stopped from outside.

    Of several ends the first of these counts: a task's cancel, a failure, a termination, success, a stall.
    """
    if state.cancelled is not None:
        return "CANCELLED", state.cancelled[1]
    if state.failure is not None and (state.dead or not state.can_go_on):
        return "FAILED", f"{state.failure.path}: {state.failure.failure}"
    if state.terminated is not None:
        return "TERMINATED", state.terminated[0]
    if state.outputs is not None:
        return "SUCCEEDED", ""
    if not state.stopping and not state.can_go_on:
        return "STALLED", _why(state)
    return None


def _why(state: State) -> str:
    """What waits for what, in a run in which nothing can go on."""
    told = list(islice(_waits(state), _NAMED + 1))
    more = "; and so on" if len(told) > _NAMED else ""
    return "nothing can go on: " + "; ".join(told[:_NAMED]) + more


def _waits(state: State) -> Iterator[str]:
    for frame in state.frames.values():
        topology = frame.topology
        for index in range(topology.count):
            if frame.state(index) != PENDING or index == topology.graph.on_failure:
                continue
            if index in topology.standby and not frame.counts(index):
                yield f"{frame.path_of(index)} is on standby{_for_whom(frame, index)}"
                continue
            before = [one for one in _before(frame, index) if frame.state(one) not in ENDED]
            if before:
                yield f"{frame.path_of(index)} waits for {', '.join(frame.topology.name(one) for one in before[:3])}"


def _for_whom(frame: Frame, index: int) -> str:
    senders = [one for one in frame.topology.senders if one != index and frame.state(one) not in ENDED]
    if not senders:
        return ""
    names = ", ".join(frame.topology.name(one) for one in senders[:3])
    return f", and what could send the run there has not started ({names})"


def _before(frame: Frame, index: int) -> Iterator[int]:
    yield from frame.topology.before(index)
    for one, followers in (frame.more or {}).items():
        if index in followers:
            yield one
