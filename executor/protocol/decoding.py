"""The checks of decoded fields: a field is of its type and within bounds before a decoder uses it (rule T1)."""

from __future__ import annotations

from typing import Any

from promissory.planner.plan.model import Large, Value
from promissory.typesys.canonical import INLINE_LIMIT

DIGEST_SIZE = 32
_LARGEST = 1 << 62


def count(field: Any) -> int:
    """A whole number from 0. Raises `ValueError` for any other field, as each check here does."""
    if field.__class__ is not int or not 0 <= field < _LARGEST:
        raise ValueError(f"a count was expected, not {shown(field)}")
    number: int = field
    return number


def counts(field: Any) -> list[int]:
    """Whole numbers from 0."""
    return [count(one) for one in items(field)]


def whole(field: Any) -> int:
    """A whole number."""
    if field.__class__ is not int or not -_LARGEST < field < _LARGEST:
        raise ValueError(f"a whole number was expected, not {shown(field)}")
    number: int = field
    return number


def truth(field: Any) -> bool:
    """True or false."""
    if field.__class__ is not bool:
        raise ValueError(f"{shown(field)} is neither true nor false")
    return bool(field)


def seconds(field: Any) -> float:
    """A number that is no NaN and not infinite."""
    if field.__class__ is not float or not -1e18 < field < 1e18:
        raise ValueError(f"a number of seconds was expected, not {shown(field)}")
    number: float = field
    return number


def text(field: Any) -> str:
    """Text."""
    if field.__class__ is not str:
        raise ValueError(f"text was expected, not {shown(field)}")
    found: str = field
    return found


def data(field: Any, size: int | None = None) -> bytes:
    """Bytes, of a size if one is given."""
    if field.__class__ is not bytes or (size is not None and len(field) != size):
        raise ValueError(f"{'bytes' if size is None else f'{size} bytes'} were expected, not {shown(field)}")
    found: bytes = field
    return found


def items(field: Any, length: int | None = None) -> list[Any]:
    """A list, of a length if one is given. (A tuple is a list that has not been written yet.)"""
    if field.__class__ not in (list, tuple) or (length is not None and len(field) != length):
        raise ValueError(f"a list{'' if length is None else f' of {length}'} was expected, not {shown(field)}")
    found: list[Any] = field if field.__class__ is list else list(field)
    return found


def value(field: Any) -> Value:
    """A value: bytes, or digest and size of an object."""
    if field.__class__ is bytes:
        found: bytes = field
        return found
    digest, size, *mark = items(field)
    if count(size) <= INLINE_LIMIT:
        raise ValueError("an object that is small enough to stand inline")
    if mark not in ([], [True]):
        raise ValueError(f"digest and size of an object were expected, not {shown(field)}")
    return Large(data(digest, DIGEST_SIZE), size, bool(mark))


def shown(field: Any) -> str:
    """A field for people, in few characters."""
    if field.__class__ in (int, float, str, bytes) and not (field.__class__ is int and field.bit_length() > 64):
        said = repr(field[:16]) if isinstance(field, str | bytes) else repr(field)
        return f"{said}…" if isinstance(field, str | bytes) and len(field) > 16 else said
    return "nothing" if field is None else f"a {type(field).__name__}"
