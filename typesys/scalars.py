"""Scalars, checked and taken as they are: the leaves of every encoder."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from promissory.typesys.errors import TypeMismatch
from promissory.typesys.types import LiteralType

Lower = Callable[[Any], Any]


def said(value: Any) -> str:
    """Name a value's class as an error message does."""
    return "None" if value is None else type(value).__name__


def lower_int(value: Any) -> int:
    """Take an int, or a value of a subclass of int, but no bool."""
    if type(value) is int:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if _is_of_numpy(value, "integer"):
        return int(value)
    raise TypeMismatch(f"expected int, got {said(value)}")


def lower_float(value: Any) -> float:
    """Take a float, or an int as a float. NaN is always the same NaN."""
    if type(value) is float:
        return value if value == value else math.nan
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise TypeMismatch("expected float, got an int too large for one") from None
        return number if number == number else math.nan
    if _is_of_numpy(value, "integer", "float32", "float16"):
        return lower_float(float(value))
    raise TypeMismatch(f"expected float, got {said(value)}")


def lower_bool(value: Any) -> bool:
    """Take a bool."""
    if type(value) is bool:
        return value
    if _is_of_numpy(value, "bool_"):
        return bool(value)
    raise TypeMismatch(f"expected bool, got {said(value)}")


def _is_of_numpy(value: Any, *names: str) -> bool:
    """Tell whether a value is a scalar of numpy that is one of Python without loss."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, tuple(getattr(numpy, name) for name in names))


def lower_exact_float(value: Any) -> float:
    """Take a float, and no int."""
    if type(value) is float:
        return value if value == value else math.nan
    raise TypeMismatch(f"expected float, got {said(value)}")


def scalar(wanted: type) -> Lower:
    """Make a function that takes text or bytes, and values of their subclasses as plain ones."""

    def lower(value: Any) -> Any:
        if type(value) is wanted:
            return value
        if isinstance(value, wanted):
            return wanted.__str__(value) if wanted is str else wanted(value)
        raise TypeMismatch(f"expected {wanted.__name__}, got {said(value)}")

    return lower


def exactly(wanted: type) -> Lower:
    """Make a function that takes values of exactly this class."""

    name = "None" if wanted is type(None) else wanted.__name__

    def lower(value: Any) -> Any:
        if type(value) is wanted:
            return value
        raise TypeMismatch(f"expected {name}, got {said(value)}")

    return lower


def literal(type_: LiteralType, values: tuple[Any, ...]) -> Lower:
    """Make a function that takes the values of a literal."""
    allowed = {(type(value), value) for value in values}

    def lower(value: Any) -> Any:
        if isinstance(value, bool | int | str | bytes | None) and (type(value), value) in allowed:
            return value
        raise TypeMismatch(f"expected {type_}, got {value!r}")

    return lower
