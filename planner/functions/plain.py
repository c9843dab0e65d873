"""Plain data: values that can be written down without a pickle and without a line of an author's code."""

from __future__ import annotations

import enum
import functools
from typing import Any, Final

from promissory.planner.active import Unready
from promissory.typesys.families import registry
from promissory.typesys.records import field_names, is_record

_SCALARS: Final = frozenset((type(None), bool, int, float, str, bytes))


class HoldsPromise(Exception):
    """A value is a promise, or holds one, which is `promise`."""

    def __init__(self, promise: Unready) -> None:
        super().__init__(promise)
        self.promise = promise


def is_plain(value: Any) -> bool:
    """Whether a value is data throughout. Raises `HoldsPromise`.

    >>> import threading
    >>> is_plain({"a": [1, (2.0, b"")]}), is_plain([threading.Lock()])
    (True, False)
    """
    todo: list[Any] = [value]
    seen: dict[int, Any] = {}
    plain = True
    while todo:
        one = todo.pop()
        kind = type(one)
        if issubclass(kind, Unready):
            raise HoldsPromise(one)
        if kind in _SCALARS or id(one) in seen:
            continue
        seen[id(one)] = one
        if kind in (list, tuple, set, frozenset):
            todo += one
        elif kind is dict:
            todo += [*one, *one.values()]
        elif issubclass(kind, enum.Enum) or _is_of_a_family(one):
            continue
        elif is_record(kind) and _has_plain_attributes(kind):
            todo += [getattr(one, name) for name in field_names(kind)]
        else:
            plain = False
            if kind is functools.partial:
                todo += [one.func, *one.args, *one.keywords.values()]
    return plain


def _has_plain_attributes(kind: type) -> bool:
    """Whether reading an attribute runs no code of the class's author."""
    return not any("__getattr__" in vars(one) or "__getattribute__" in vars(one) for one in kind.__mro__[:-1])


def _is_of_a_family(value: Any) -> bool:
    """Whether a value is of a type that has canonical bytes (a date, an array)."""
    if registry.family_of_value(value) is not None:
        return True
    return registry.discover() and registry.family_of_value(value) is not None
