"""Dataclasses and NamedTuples, taken apart and put together.

A dataclass is rebuilt through its constructor where that takes every field, so that the values which `__post_init__`
derives are there again. Then each field is set to exactly the value that was written, should `__post_init__` have
changed it. Where the constructor can't take every field (`InitVar`, `init=False` without default), the fields are set
on a bare instance, as `copy` and `pickle` do.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any


def is_record(cls: type) -> bool:
    """Tell whether values of this class are written field by field."""
    return dataclasses.is_dataclass(cls) or (issubclass(cls, tuple) and hasattr(cls, "_fields"))


def field_names(cls: type) -> tuple[str, ...]:
    """List the fields of a record class in order.

    >>> from typing import NamedTuple
    >>> class Point(NamedTuple):
    ...     x: int
    ...     y: int
    >>> field_names(Point)
    ('x', 'y')
    """
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    names: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    return names


def reader(cls: type, names: tuple[str, ...]) -> Callable[[Any], list[Any]]:
    """Make a function from an instance to the list of its fields' values."""
    if issubclass(cls, tuple):
        return list
    if not names:
        return lambda value: []
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda value: [get_one(value)]
    get_all = attrgetter(*names)
    return lambda value: list(get_all(value))


def builder(cls: type, names: tuple[str, ...]) -> Callable[[list[Any]], Any]:
    """Make a function from the list of fields' values to an instance."""
    if issubclass(cls, tuple):
        return lambda values: tuple.__new__(cls, values)
    constructible = _constructor_takes(cls) == set(names)

    def build(values: list[Any]) -> Any:
        given = dict(zip(names, values, strict=True))
        instance = cls(**given) if constructible else cls.__new__(cls)
        for name, value in given.items():
            if not constructible or getattr(instance, name, instance) is not value:
                object.__setattr__(instance, name, value)
        return instance

    return build


def _constructor_takes(cls: type) -> set[str]:
    """Name the parameters of the constructor. Empty if it takes arguments without a name of their own."""
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        return set()
    named = all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters)
    return {p.name for p in parameters} if named else set()
