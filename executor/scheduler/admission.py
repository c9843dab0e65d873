"""Which calls that are ready may start: what they take of processors, memory, graphics processors and pools, and who waits for it. Pure; the scheduler's.

=========== =================================================================================================
state
=========== =================================================================================================
held        what calls in flight have taken of the run's capacity, by (frame id, index), where that is more than a plain call's
parked      calls that are ready and wait for capacity, by what they want
overtaken   how many calls went before one that waits for several processors; after a few, none does any more
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
        """How many of `room` processors a call gets; PARKED if it waits for something else, TOO_WIDE if there are not enough now."""
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
        """Whether more calls may go before those that are set aside, since there are not enough processors for them now."""
        return self.overtaken < _OVERTAKEN and aside < _ASIDE

    def release(self, key: tuple[int, int]) -> None:
        """A call is in flight no more: what it had taken is free."""
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
        """How many calls wait."""
        return sum(len(calls) for calls in list(self.parked.values()))

    @property
    def more_than_plain(self) -> int:
        """How many processors the calls in flight take beside one each."""
        return sum(self.capacity.weight(demand) - 1 for demand in self.held.values())
