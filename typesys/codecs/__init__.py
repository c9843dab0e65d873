"""The registry of type families: Python classes that ride on another wire type.

A family is one entry: which class, under which name, how it becomes a value of a simpler annotation and comes back. A module
of this package declares families and knows nothing else; adding one changes no other file but the list at the end of this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typesys.errors import AnnotationError
from typesys.types import NamedType, Type


@dataclass(frozen=True, slots=True)
class Family:
    """How the values of one class travel.

    `to_wire` gives a value whose wire form is `type.wire`; `from_wire` takes it back. `subclasses` says whether an instance of
    a subclass is welcome (`PosixPath` where `Path` is wanted) or a mistake (`datetime` where `date` is wanted).
    """

    cls: type[Any]
    type: NamedType
    to_wire: Callable[[Any], Any]
    from_wire: Callable[[Any], Any]
    subclasses: bool = False


_by_class: dict[type[Any], Family] = {}
_by_name: dict[str, Family] = {}


def declare(family: Family) -> None:
    """Add a family to the registry; its class and its name must be new."""
    if family.cls in _by_class or family.type.name in _by_name:
        raise AnnotationError(f"a codec for {family.cls.__qualname__} ({family.type.name}) is there already")
    _by_class[family.cls] = family
    _by_name[family.type.name] = family


def family_of(annotation: Any) -> Family | None:
    """The family of exactly this class."""
    return _by_class.get(annotation) if isinstance(annotation, type) else None


def family_of_value(value: Any) -> Family | None:
    """The family that carries this value: that of its class, or of a base that welcomes subclasses."""
    for cls in type(value).__mro__:
        family = _by_class.get(cls)
        if family is not None:
            return family if family.subclasses or cls is type(value) else None
    return None


def family_named(name: str) -> Family:
    """The family of a `NamedType`. Raises `AnnotationError` if this process doesn't know it."""
    try:
        return _by_name[name]
    except KeyError:
        raise AnnotationError(f"no codec is registered for the type {name!r}") from None


def named(name: str, wire: Type) -> NamedType:
    """A `NamedType` for a family."""
    return NamedType(name, wire)


from typesys.codecs import paths, times  # noqa: E402, F401  (each declares its families when imported)
