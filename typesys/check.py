"""Run-time check of a value against an annotation, to the last element.

For wire types the encoder is the check (`typesys.wire`). What goes beyond them (protocols, callables, generics of foreign classes) is
typeguard's, told to look at every item: by default it looks at the first only, so `[1, "a"]` passes as `list[int]`.
"""

from __future__ import annotations

from typing import Any

from typesys.errors import TypeMismatch


def check(value: Any, annotation: Any) -> None:
    """Raise `TypeMismatch`, with the path to the bad element, unless the value is of the annotated type.

    >>> check([1, "a"], list[int])
    Traceback (most recent call last):
        ...
    typesys.errors.TypeMismatch: [1]: expected int, got str
    """
    from typesys.wire import codec_of

    codec_of(annotation).check(value)


def check_opaque(value: Any, annotation: Any) -> None:
    """Raise `TypeMismatch` unless typeguard accepts the value for an annotation that has no wire form of its own."""
    try:
        if isinstance(annotation, type) and isinstance(value, annotation):
            return
    except TypeError:  # a TypedDict, or a Protocol that isn't made for isinstance: typeguard knows how
        pass
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    try:
        check_type(value, annotation, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError as error:
        raise TypeMismatch(str(error)) from None
