"""Models that are made of promises: `Point(x=promise, y=3)` in a trace, where `Point` is a model of pydantic or attrs.

The constructor of such a class validates and converts what it is given, and a promise is no value yet. So the classes
that annotations mention take promises as they are: the record is made of the fields without a look at them, and checked
when the values are there (`promissory.typesys.records.validating`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any

from promissory.planner.active import InTaskBody, current
from promissory.planner.functions.plain import HoldsPromise, is_plain
from promissory.typesys.records import by_place, constructor_names, default_of, field_names, fill, is_attrs, is_pydantic


def take_promises(classes: Iterable[Any]) -> None:
    """Have the constructors of these classes take promises, if they are models that would look at them."""
    cls: Any
    for cls in classes:
        is_model = isinstance(cls, type) and (is_pydantic(cls) or is_attrs(cls))
        if is_model and not isinstance(cls.__init__, TakingPromises):
            cls.__init__ = TakingPromises(cls.__init__)


class TakingPromises:
    """A constructor that makes a bare record of promises, and is the class's own for anything else.

    It is an object of a class with a name, and no function in a function: a model of a notebook travels by value, and
    its constructor with it.
    """

    def __init__(self, original: Callable[..., None]) -> None:
        self._original = original
        functools.update_wrapper(self, original)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, instance: Any, /, *args: Any, **kwargs: Any) -> None:
        trace = current.get()
        if trace is None or isinstance(trace, InTaskBody) or not _holds_promise([*args, *kwargs.values()]):
            self._original(instance, *args, **kwargs)
            return
        _fill(instance, type(instance), args, kwargs)


def _holds_promise(values: list[Any]) -> bool:
    try:
        is_plain(values)
    except HoldsPromise:
        return True
    return False


def _fill(instance: Any, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Give an instance the fields that its constructor was given, and the defaults of the others."""
    names = field_names(cls)
    by_parameter = constructor_names(cls)
    places = by_place(cls)
    if len(args) > len(places):
        raise TypeError(f"{cls.__name__} takes {len(places)} fields by place, not {len(args)}: give them by name")
    twice = [name for name in places[: len(args)] if name in kwargs]
    if twice:
        raise TypeError(f"{cls.__name__} got several values for {twice[0]!r}")
    given = {**dict(zip(places, args, strict=False)), **kwargs}
    known = {**{name: name for name in names if is_pydantic(cls)}, **by_parameter}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise TypeError(f"{cls.__name__} has no field {unknown[0]!r}; it has {', '.join(known)}")
    fields = {known[name]: value for name, value in given.items()}
    for name in names:
        if name not in fields:
            fields[name] = default_of(cls, name, fields)
    unset = [name for name in names if name not in {known[one] for one in given}]
    fill(instance, names, [fields[name] for name in names], (unset, None, None))
