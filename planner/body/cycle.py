"""`Cycle`: what the body of a cycle knows of the round that is traced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Cycle:
    """One round of a cycle, as the first parameter of its body.

    Attributes:
        number: the number in paths (`forecast@3`): `start`, `start + step` and so on; 1, 2, 3, … where the cycle goes
            by points in time.
        point: what the round is for: the number itself, or the moment in time.
        first: whether no round is before this one.
        last: whether it is known that no round follows. A round that ends the cycle by `until` does not know that.

    >>> Cycle(3, 3, first=False, last=True).number
    3
    """

    number: int
    point: int | datetime
    first: bool
    last: bool
