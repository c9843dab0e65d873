"""Lists that are mapped: values that count as lists, and the refusals of values that do not (rule B2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final, NoReturn

from promissory.planner.errors import MapError
from promissory.planner.tracing.promise import Promise
from promissory.typesys.types import AnyType, DictType, FrozenSetType, ListType, SetType, Type, VarTupleType

LISTS: Final = (list, tuple, range)


def check_flat(called: str, name: str, value: Any, lengths: dict[str, int]) -> None:
    """Raise `MapError` unless the argument of `flatten` is a list of lists. Note the number of items, if known."""
    if isinstance(value, Promise):
        type = value._promissory_type
        if not (isinstance(type, ListType) and isinstance(type.item, ListType)):
            raise MapError(
                f"{called}.map({name}=flatten(…)) wants a list of lists, and {value._said()} is {type}",
                way_out="leave flatten away, or annotate it: list[list[…]]",
            )
    elif not isinstance(value, LISTS) or not all(
        isinstance(one._promissory_type, ListType) if isinstance(one, Promise) else isinstance(one, LISTS)
        for one in value
    ):
        raise MapError(
            f"{called}.map({name}=flatten(…)) wants a list of lists",
            way_out="leave flatten away, or give a list whose items are lists",
        )
    elif all(isinstance(one, LISTS) for one in value):
        lengths[name] = sum(map(len, value))


def refuse_unlisted(called: str, name: str, value: Any) -> NoReturn:
    """Raise `MapError` for a value that is no list, with a way out for its kind."""
    kind = value.__class__.__name__
    if isinstance(value, Mapping):
        hint = "map over list(d), list(d.values()) or two lists"
    elif isinstance(value, Set):
        hint = "a set has no order: map over sorted(…)"
    elif isinstance(value, Iterator):
        hint = "how many items it has is not known: map over list(…)"
    else:
        hint = f"give a list, or {name}=unmapped(…) to pass it to every call"
    raise MapError(f"{called}.map({name}=…) wants a list, and was given a {kind}", way_out=hint)


def list_instead(name: str, type: Type) -> str:
    """Suggest a way out where a list is wanted and a promise of another type is given."""
    if isinstance(type, VarTupleType | DictType | SetType | FrozenSetType):
        return "make it a list in a task: list(…)"
    if isinstance(type, AnyType):
        return "annotate it: list[…]"
    return f"give a list, or {name}=unmapped(…) to pass it to every call"


def as_list(value: Any, nested: bool) -> Any:
    """Turn mapped values into lists where they are written down: a `range` or a tuple is as good as a list."""
    if not isinstance(value, LISTS):
        return value
    return [as_list(one, False) for one in value] if nested else list(value)
