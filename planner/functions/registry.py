"""The callables that this process has seen in a plan, by name and digest (rule A11: never by name alone).

A worker in the process that compiled a plan finds functions here that no import reaches: those defined inside
functions, and those known by a token. Entries are weak: the plan holds its functions, not this table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from promissory.planner.functions.entity import Entity
    from promissory.planner.plan.model import Callee, Interface

_known: WeakValueDictionary[tuple[str, bytes, Interface], Entity[..., Any]] = WeakValueDictionary()


def remember(callee: Callee, entity: Entity[..., Any]) -> None:
    """Note the function that a callee stands for."""
    _known[callee.name, callee.digest, callee.interface] = entity


def forget() -> None:
    """Forget all functions.

    A worker does so between runs: functions of two runs may differ in spite of one name and digest, since the globals
    that they use are not in a digest.
    """
    _known.clear()


def recall(callee: Callee) -> Entity[..., Any] | None:
    """Find the function of exactly this name, digest and interface, if this process has seen it."""
    return _known.get((callee.name, callee.digest, callee.interface))
