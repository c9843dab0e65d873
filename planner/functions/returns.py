"""Whether a function gives a result, for a function whose author did not say (rule A10)."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable
from typing import Any, Final

_NO_STEP: Final = frozenset(("CACHE", "EXTENDED_ARG", "NOP", "PRECALL"))


def gives_nothing(function: Callable[..., Any]) -> bool:
    """Tell whether each end of a function's body gives None. Of a decorated function that is not known: the decorator
    may give another result.

    >>> def says(x): print(x)
    >>> def twice(x): return 2 * x
    >>> gives_nothing(says), gives_nothing(twice)
    (True, False)
    """
    if not isinstance(function, types.FunctionType) or hasattr(function, "__wrapped__"):
        return False
    before: dis.Instruction | None = None
    for step in dis.get_instructions(function):
        if step.opname == "RETURN_CONST" and step.argval is not None:
            return False
        if step.opname == "RETURN_VALUE" and not (
            before is not None and before.opname == "LOAD_CONST" and before.argval is None
        ):
            return False
        if step.opname not in _NO_STEP:
            before = step
    return True
