"""Context variables of bodies: a value that a body sets is gone after it, the precision of `decimal` among them."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from decimal import getcontext, setcontext


class ContextVariables:
    """Runs functions in a context of their own, each with the values that were there when `note` was called.

    >>> variables = ContextVariables()
    >>> before = getcontext().prec
    >>> variables.run(lambda: setattr(getcontext(), "prec", 3))
    >>> getcontext().prec == before
    True
    """

    def __init__(self) -> None:
        self.note()

    def note(self) -> None:
        """Remember the values as they are now."""
        self._noted = copy_context()
        # The context of `decimal` is an object that is changed in place, and a copy of all variables holds the same.
        self._decimal = None
        if any(variable.name == "decimal_context" for variable in self._noted):
            self._decimal = getcontext().copy()

    def run(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function."""
        context = self._noted.copy()
        if self._decimal is not None:
            context.run(setcontext, self._decimal.copy())
        context.run(function, *arguments)
