"""What values hold, read without a line of their classes' code."""

from __future__ import annotations

import enum
import sys
import types
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any, Final

from promissory.planner.errors import is_authors

Parts = Iterator[tuple[str, Any]]

PLAIN_CONTAINERS: Final = (list, tuple, set, frozenset, dict)
CONTAINERS: Final = (*PLAIN_CONTAINERS, deque, types.MappingProxyType)
SCALARS: Final = (type(None), bool, int, float, complex, str, bytes)


def items(said: str, value: Any) -> Parts:
    """Give what a container holds. The items of a set have no order, and so no number."""
    kind: Any = next(one for one in CONTAINERS if issubclass(type(value), one))  # whose methods are nobody's own
    if kind in (dict, types.MappingProxyType):
        pairs = list(kind.items(value))
        yield from ((said, key) for key, _ in pairs if type(key) not in SCALARS)
        yield from ((f"{said}[{key!r}]" if type(key) in SCALARS else said, one) for key, one in pairs)
        if issubclass(type(value), defaultdict):
            yield said, vars(defaultdict)["default_factory"].__get__(value)
    else:
        ordered = kind not in (set, frozenset)
        yield from ((f"{said}[{at}]" if ordered else said, one) for at, one in enumerate(kind.__iter__(value)))


def state(value: Any) -> Parts:
    """Give what an instance holds, without a line of its class's code."""
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        attributes = {}
    if type(attributes) is dict:
        yield from ((str(name), attributes[name]) for name in sorted(attributes, key=str))
    for cls in type(value).__mro__:
        for name, slot in sorted(vars(cls).items()):
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    yield name, slot.__get__(value, cls)
                # The slot was never set.
                except AttributeError:
                    continue


def classes_within(value: Any) -> list[type]:
    """List the classes of the records and members that plain data holds."""
    todo = [value]
    seen: dict[int, Any] = {}
    found: dict[type, None] = {}
    while todo:
        one = todo.pop()
        kind = type(one)
        if kind in SCALARS or id(one) in seen:
            continue
        seen[id(one)] = one
        if kind in (list, tuple, set, frozenset):
            todo += one
        elif kind is dict:
            todo += [*one, *one.values()]
        else:
            found[kind] = None
            todo += [inner for _, inner in state(one)] if not issubclass(kind, enum.Enum) else []
    return sorted(found, key=lambda cls: (cls.__module__, cls.__qualname__))


def is_of_its_library(value: Any) -> bool:
    """Tell whether an object is one that a library made and gives: a ufunc, a sentinel. The environment's version is
    its own."""
    top = sys.modules.get(type(value).__module__.partition(".")[0])
    file = getattr(top, "__file__", None) or "<frozen>"
    name = getattr(value, "__name__", None)
    return top is not None and not is_authors(file) and type(name) is str and vars(top).get(name) is value
