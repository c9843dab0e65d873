"""Values of classes that nothing knows: a cloudpickle, checked by typeguard against the annotation.

A pickle is loaded only where user code runs anyway (in workers, and in the process that asks for its result), and its bytes are never
an identity: they differ by hash seed and line number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typesys.errors import FormatError, TypeMismatch


def lower_opaque(value: Any, name: str | None, lookup: Callable[[str], Any]) -> bytes:
    """The pickle of a value; checked against the annotation `name` stands for, if there is one."""
    import cloudpickle

    from typesys.names import NotFound

    if name is not None:
        try:
            annotation = lookup(name)
        except NotFound:
            annotation = None  # the annotation has no importable name (a generic): it was checked where it is known
        if annotation is not None:
            check_opaque(value, annotation)
    try:
        data: bytes = cloudpickle.dumps(value, protocol=5)
    except Exception as error:  # a class's own __reduce__ may raise anything
        if isinstance(error, TypeMismatch) or getattr(error, "passes_through_encoding", False):
            raise
        raise TypeMismatch(f"a {type(value).__name__} can't be written down: {type(error).__name__}: {error}") from error
    return data


def lift_opaque(tree: Any) -> Any:
    """The value of a pickle."""
    import cloudpickle

    if type(tree) is not bytes:
        raise FormatError("an opaque value", "is not a pickle")
    return cloudpickle.loads(tree)


def check_opaque(value: Any, annotation: Any) -> None:
    """Raise `TypeMismatch` unless typeguard accepts the value for an annotation that has no wire form of its own.

    typeguard is told to look at every item: by default it looks at the first only, so `[1, "a"]` passes as `list[int]`.
    """
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
