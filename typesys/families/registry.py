"""The registry of type families: Python classes that ride on another wire type.

A family is one entry: the class, its name, and the functions between its values and those of a simpler annotation. A
module of this package declares families and knows nothing else; adding one changes no other file but the list at the
end of this one. Users add their own families with `promissory.typesys.register_codec`; those of installed packages are
found by the entry point group `promissory.codecs`.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from promissory.typesys.errors import AnnotationError
from promissory.typesys.names import NotFound, find
from promissory.typesys.types import ARGUMENTS, NamedType, Type

ENTRY_POINTS: Final = "promissory.codecs"
_OF_LIBRARIES: Final = {
    "PIL": ("pillow", "pillow"),
    "numpy": ("numpy", "numpy"),
    "pandas": ("pandas", "pandas"),
    "msgspec": ("msgspec", "msgspec"),
    "polars": ("polars", "polars"),
    "pydantic": ("pydantic", "pydantic"),
    "pyarrow": ("pyarrow", "arrow"),
    "torch": ("torch", "torch"),
}
"""The packages of libraries whose families are declared when one of their classes or names is met first: the family's
module, and the extra that installs the library."""


@dataclass(frozen=True, slots=True)
class Family:
    """The wire form of one class's values.

    `to_wire` gives a value whose wire form is `type.wire`; `from_wire` takes it back. `subclasses` says whether an
    instance of a subclass is welcome (`PosixPath` where `Path` is wanted) or a mistake (`datetime` where `date` is
    wanted).

    A generic family (`deque[int]`) has the number of its arguments in `parameters`. `generic` gives the wire type for
    the arguments' types, and `arguments` finds those in a wire type; `type` is then that of the class without
    arguments. `inside` is the step to the items, which an error's path leaves out; `annotation` is the simpler
    annotation of a registered class.

    `any_text` says that every text is a value of the class (a path), so that a text tells nothing about it.

    `from_json` and `to_json` are there where a person writes a value otherwise than the wire does (a duration). The
    first gives the family's value for one that JSON gave, and raises `ValueError`; the second shows a value as JSON.

    `stated` is there where an annotation may say more of the values than their class (an array's dtype and shape): it
    gives the wire type for the class's arguments and for what `Annotated` adds, and `is_wire` knows all such types.
    `from_json_as` is `from_json` for a value of a stated type, and gets the wire type too. `described` tells in a few
    words what a value is, for the error that one gets which isn't as stated.
    """

    cls: type[Any]
    type: NamedType
    to_wire: Callable[[Any], Any]
    from_wire: Callable[[Any], Any]
    subclasses: bool = False
    hashable: bool = True
    parameters: int = 0
    generic: Callable[..., Type] | None = None
    arguments: Callable[[Type], tuple[Type, ...]] | None = None
    inside: str = ""
    annotation: Any = None
    any_text: bool = False
    from_json: Callable[[Any], Any] | None = None
    to_json: Callable[[Any], Any] | None = None
    from_json_as: Callable[[Any, Type], Any] | None = None
    stated: Callable[[tuple[Any, ...], tuple[Any, ...]], Type] | None = None
    is_wire: Callable[[Type], bool] | None = None
    described: Callable[[Any], str] | None = None

    def rides_on(self, wire: Type) -> bool:
        """Tell whether values of the family may have this wire type."""
        if self.is_wire is not None:
            return self.is_wire(wire)
        if self.generic is None or self.arguments is None:
            return wire == self.type.wire
        try:
            return self.generic(*self.arguments(wire)) == wire
        except (AttributeError, IndexError, TypeError):
            return False

    def type_with(self, wire: Type) -> NamedType:
        """Give the type of this family over another wire type."""
        return NamedType(self.type.name, wire)


_by_class: dict[type[Any], Family] = {}
_by_name: dict[str, Family] = {}
_discovered = False
_lock = threading.RLock()


def declare(family: Family) -> None:
    """Add a family to the registry. Its class and its name must be new."""
    with _lock:
        if family.cls in _by_class or family.type.name in _by_name:
            raise AnnotationError(f"a codec for {family.cls.__qualname__} ({family.type.name}) is there already")
        _by_class[family.cls] = family
        _by_name[family.type.name] = family
        if family.arguments is not None and family.type.name not in ARGUMENTS:
            ARGUMENTS[family.type.name] = family.arguments


def replace(family: Family) -> None:
    """Add a family, or put it in the place of a family for a class of the same name (a module that was loaded
    again)."""
    with _lock:
        old = _by_name.pop(family.type.name, None)
        if old is not None:
            if old.cls.__qualname__ != family.cls.__qualname__ or old.cls.__module__ != family.cls.__module__:
                _by_name[family.type.name] = old
                raise AnnotationError(
                    f"the name {family.type.name!r} stands for {old.cls.__module__}.{old.cls.__qualname__} "
                    "already: give another one"
                )
            _by_class.pop(old.cls, None)
        declare(family)


def _declare_library(package: str) -> bool:
    """Declare the families of a library, if it is one of those that have some. Tells whether any are new.

    Raises `ImportError` if the library isn't installed.
    """
    if package not in _OF_LIBRARIES:
        return False
    with _lock:
        if package in _declared:
            return False
        importlib.import_module(f"promissory.typesys.families.{_OF_LIBRARIES[package][0]}")
        _declared.add(package)
    return True


_declared: set[str] = set()


def family_of(annotation: Any) -> Family | None:
    """Find the family of exactly this class."""
    if not isinstance(annotation, type):
        return None
    family = _by_class.get(annotation)
    if family is None and _declare_library(annotation.__module__.partition(".")[0]):
        family = _by_class.get(annotation)
    return family


def family_of_value(value: Any) -> Family | None:
    """Find the family that carries this value: that of its class, or of a base that welcomes subclasses."""
    for cls in type(value).__mro__:
        family = family_of(cls)
        if family is not None:
            return family if family.subclasses or cls is type(value) else None
    return None


def family_named(name: str) -> Family:
    """Find the family of a `NamedType`.

    A name like `shop:Money` is registered by the module `shop`, which is imported for it.

    Raises `AnnotationError` if nothing in this process registers it.
    """
    family = _by_name.get(name) or _of_library(name)
    if family is None and discover():
        family = _by_name.get(name)
    if family is None and ":" in name:
        try:
            find(name)
        except NotFound as error:
            raise AnnotationError(f"no codec is registered for the type {name!r}: {error}") from None
        family = _by_name.get(name)
    if family is None:
        raise AnnotationError(
            f"no codec is registered for the type {name!r}; the module that calls register_codec has to be "
            "imported, or found by an entry point"
        )
    return family


def _of_library(name: str) -> Family | None:
    package = name.partition(".")[0]
    try:
        return _by_name.get(name) if _declare_library(package) else None
    except ImportError as error:
        library, extra = error.name or package, _OF_LIBRARIES[package][1]
        raise AnnotationError(
            f"a {name} can't be read here, as {library} isn't installed: pip install 'promissory[{extra}]'"
        ) from None


def shown(name: str) -> Family | None:
    """Find the family of a name, to show a value of it. Of libraries, it imports those that are installed."""
    try:
        return _by_name.get(name) or _of_library(name)
    except AnnotationError:
        return None


def known(name: str) -> Family | None:
    """Find the family of a name, if this process knows it already. Imports nothing."""
    return _by_name.get(name)


def is_unhashable(name: str) -> bool:
    """Tell whether values of a family can't be keys or members of a set."""
    family = _by_name.get(name)
    return family is not None and not family.hashable


def discover() -> bool:
    """Load the families of installed packages at the first call. Tells whether this was the first call."""
    global _discovered
    with _lock:
        if _discovered:
            return False
        _discovered = True
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        try:
            loaded = entry.load()
            if callable(loaded):
                loaded()
        except Exception as error:
            raise AnnotationError(
                f"the codecs of {entry.value} (entry point {entry.name!r}) can't be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
    return True


def named(name: str, wire: Type) -> NamedType:
    """Make a `NamedType` for a family."""
    return NamedType(name, wire)
