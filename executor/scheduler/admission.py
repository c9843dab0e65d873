"""Admission of ready calls: the processors, memory, graphics processors and pool places that they take or wait for.

Pure; part of the scheduler.

=========== =================================================================================================
state
=========== =================================================================================================
held        the share of the run's capacity that each call in flight has taken, by (frame id, index), where that share
            is more than a plain call's
parked      calls that are ready and wait for capacity, by what they want
overtaken   how many calls went before a call that waits for several processors; after a few, no more calls go before
=========== =================================================================================================
"""

from __future__ import annotations

from collections import deque
from typing import Final

from promissory.executor.scheduler.capacity import PLAIN, Capacity, Demand
from promissory.executor.scheduler.frame import Frame

_OVERTAKEN: Final = 64
_ASIDE: Final = 16
PARKED: Final = 0
TOO_WIDE: Final = -1


class Admission:
    """See the table at the top of the file.

    Args:
        capacity: what bodies that run at one time may use together.
    """

    def __init__(self, capacity: Capacity | None = None) -> None:
        self.capacity = capacity or Capacity(1 << 30, 1 << 62, 1 << 30)
        self.held: dict[tuple[int, int], Demand] = {}
        self.parked: dict[Demand, deque[tuple[Frame, int]]] = {}
        self.overtaken = 0

    def admit(self, frame: Frame, index: int, demand: Demand, room: int) -> int:
        """The number of processors, out of `room`, that a call gets.

        PARKED if the call waits for another resource; TOO_WIDE if too few processors are free now.
        """
        if self.capacity.fits(demand) < 1:
            self.parked.setdefault(demand, deque()).append((frame, index))
            return PARKED
        weight = self.capacity.weight(demand)
        if weight > room:
            return TOO_WIDE
        if weight > 1:
            self.overtaken = 0
        if demand != PLAIN:
            self.capacity.take(demand)
            self.held[frame.id, index] = demand
        return weight

    def is_patient(self, aside: int) -> bool:
        """Whether more calls may overtake the calls that are set aside for lack of free processors."""
        return self.overtaken < _OVERTAKEN and aside < _ASIDE

    def release(self, key: tuple[int, int]) -> None:
        """A call is in flight no more, so the capacity that it had taken is free."""
        demand = self.held.pop(key, None)
        if demand is not None:
            self.capacity.give(demand)

    def unpark(self) -> list[tuple[Frame, int]]:
        """Calls that waited for capacity and are to be tried again, as many as may fit."""
        found = []
        for demand, waiting in list(self.parked.items()):
            found += [waiting.popleft() for _ in range(min(len(waiting), self.capacity.fits(demand)))]
            if not waiting:
                del self.parked[demand]
        return found

    @property
    def waiting(self) -> int:
        """The number of calls that wait."""
        return sum(len(calls) for calls in list(self.parked.values()))

    @property
    def more_than_plain(self) -> int:
        """The number of processors that the calls in flight take beside one each."""
        return sum(self.capacity.weight(demand) - 1 for demand in self.held.values())
