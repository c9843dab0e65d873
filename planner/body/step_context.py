"""The context variables that the steps of an awaiting body take from where the body is driven.

A task of an event loop keeps the context of its beginning. Who drives the body, and who listens to what it prints, may
have changed since.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

from promissory.planner.body.context import current_body

_CARRIED: Final[list[ContextVar[Any]]] = [current_body]


def carry_into_steps(variable: ContextVar[Any]) -> None:
    """Have steps see the value that a variable has where the body is driven."""
    if variable not in _CARRIED:
        _CARRIED.append(variable)


def carried_into_steps() -> list[tuple[ContextVar[Any], Any]]:
    """The variables, with their values here."""
    return [(variable, variable.get()) for variable in _CARRIED]
