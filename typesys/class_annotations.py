"""Annotations in classes: those of a record's fields, with a generic's arguments put in, and the kinds of classes."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated, Any, TypeVar, get_args, get_origin

from promissory.typesys.errors import AnnotationError


def class_hints(cls: type[Any]) -> dict[str, Any]:
    """Give the annotations of a class, inherited ones too, with names resolved.

    Raises `AnnotationError` for a name that is not known.
    """
    try:
        own = {parameter.__name__: parameter for parameter in getattr(cls, "__type_params__", ())}
        return typing.get_type_hints(cls, localns={**own, cls.__name__: cls}, include_extras=True)
    except NameError as error:
        raise AnnotationError(
            f"a field of {cls.__qualname__} is annotated with a name that is not known: {error}"
        ) from None


def type_variables(cls: type[Any]) -> tuple[Any, ...]:
    """Give the type variables of a generic class, inherited ones too."""
    found: tuple[Any, ...] = getattr(cls, "__parameters__", ()) or getattr(cls, "__type_params__", ())
    return found


def _declared(cls: type[Any], arguments: dict[Any, Any]) -> dict[str, dict[Any, Any]]:
    """Give, for each field, the meanings of the type variables of the class that declares it.

    The meanings of a base class's variables are given where the class inherits from it.
    """
    found: dict[str, dict[Any, Any]] = {}
    for base in getattr(cls, "__orig_bases__", ()) if "__orig_bases__" in vars(cls) else cls.__bases__:
        origin = get_origin(base) or base
        if not isinstance(origin, type) or origin in (object, typing.Generic, tuple, dict):
            continue
        parameters = type_variables(origin)
        given = [substituted(argument, arguments) for argument in get_args(base)] or [Any] * len(parameters)
        found.update(_declared(origin, dict(zip(parameters, given, strict=False))))
    inherited = set(found)
    for name in vars(cls).get("__annotations__", {}):
        if not (
            typing.is_typeddict(cls) and name in inherited
        ):  # A TypedDict's annotations hold those of its bases too.
            found[name] = arguments
    return found


def is_required_key(cls: Any, name: str, hint: Any) -> bool:
    """Tell whether a key of a TypedDict must be there.

    Python doesn't notice `NotRequired` in annotations that are text.
    """
    origin = get_origin(hint)
    while origin is not None and origin in (
        typing.Required,
        typing.NotRequired,
        getattr(typing, "ReadOnly", None),
        Annotated,
    ):
        if origin in (typing.Required, typing.NotRequired):
            return origin is typing.Required
        hint = get_args(hint)[0]
        origin = get_origin(hint)
    return name in cls.__required_keys__


def substituted(hint: Any, arguments: dict[Any, Any]) -> Any:
    """Replace the type variables in an annotation of a generic class."""
    if not arguments:
        return hint
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters:
        return hint
    return hint[tuple(arguments.get(parameter, parameter) for parameter in parameters)]


def is_record_class(cls: type[Any]) -> bool:
    """Tell whether a class is a dataclass, NamedTuple or TypedDict."""
    return (
        dataclasses.is_dataclass(cls)
        or typing.is_typeddict(cls)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )


def is_protocol(cls: Any) -> bool:
    """Tell whether a class is a protocol itself. A class that follows a protocol is none."""
    return bool(getattr(cls, "_is_protocol", False))


def field_annotations(cls: type[Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """Give the annotations of a record's fields, with the arguments of a generic record in the place of its type
    variables."""
    arguments = dict(zip(type_variables(cls), args or (Any,) * len(type_variables(cls)), strict=False))
    known = _declared(cls, arguments)
    return {name: substituted(hint, known.get(name, arguments)) for name, hint in class_hints(cls).items()}
