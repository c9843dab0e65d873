"""`register_codec`: a wire form for a user's own class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from promissory.typesys.errors import AnnotationError
from promissory.typesys.families import registry
from promissory.typesys.infer import mentions_opaque, type_of
from promissory.typesys.names import qualified_name
from promissory.typesys.types import OpaqueType

T = TypeVar("T")


def register_codec(
    cls: type[T],
    *,
    wire: Any,
    to_wire: Callable[[T], Any],
    from_wire: Callable[[Any], T],
    name: str | None = None,
    subclasses: bool = False,
    hashable: bool = True,
) -> None:
    """Give a class a wire form: its values become values of a simpler annotation, and come back.

    Call this where the class is defined, or in a function that the entry point group `promissory.codecs` of your
    package names, so that every worker knows the class too.

    Args:
        cls: the class.
        wire: the annotation of the simpler values; any that has a wire form itself.
        to_wire: a value of the class → a value of `wire`.
        from_wire: the other way.
        name: the name of the class in plans; by default `module:Class`, by which a worker can import it. A name that
            was used is never to mean another class.
        subclasses: take instances of subclasses too; they come back as `from_wire` makes them.
        hashable: whether values may be keys of dicts and members of sets.

    Raises:
        AnnotationError: the class has a wire form already (a dataclass, an enum), the name is another class's, or
            `wire` has no wire form.

    >>> from promissory.typesys import codec_of
    >>> class Celsius:
    ...     def __init__(self, degrees):
    ...         self.degrees = degrees
    >>> register_codec(Celsius, wire=float, to_wire=lambda c: c.degrees, from_wire=Celsius, name="doc:Celsius")
    >>> codec = codec_of(list[Celsius])
    >>> [one.degrees for one in codec.decode(codec.encode([Celsius(20.5)]))]
    [20.5]
    """
    if not isinstance(cls, type):
        raise AnnotationError(f"{cls!r} is no class")
    chosen = name or qualified_name(cls)
    _refuse_what_has_a_form(cls, chosen)
    written = type_of(wire)
    if mentions_opaque(written):
        raise AnnotationError(
            f"wire={wire!r} has no wire form itself: say what plain data a {cls.__name__} is written as"
        )
    if name is None and "<locals>" in chosen:
        raise AnnotationError(
            f"{chosen} is defined inside a function, where no worker finds it: define it at module level, or "
            "give a name"
        )
    registry.replace(
        registry.Family(cls, registry.named(chosen, written), to_wire, from_wire, subclasses, hashable, annotation=wire)
    )


def _refuse_what_has_a_form(cls: type[object], name: str) -> None:
    family = registry.family_of(cls)
    if family is not None and family.type.name != name and registry.known(name) is None:
        raise AnnotationError(f"a codec for {cls.__qualname__} ({family.type.name}) is there already")
    if family is None and not isinstance(type_of(cls), OpaqueType):
        raise AnnotationError(
            f"{cls.__qualname__} has a wire form already ({type_of(cls)}): values of it need no codec"
        )
