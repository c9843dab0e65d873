"""Results as tuples: plain ones where a NamedTuple is declared, and annotations that forget the `tuple` (rule A10)."""

from __future__ import annotations

import types
import typing
from typing import Any

from promissory.typesys.wire import Codec


def named_tuple_of(annotation: Any) -> type[Any] | None:
    """Give the NamedTuple class that an annotation says, alone or beside `None`."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arms = [arm for arm in typing.get_args(annotation) if arm is not type(None)]
        annotation = arms[0] if len(arms) == 1 else None
    cls = typing.get_origin(annotation) or annotation
    return cls if isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields") else None


def as_named(cls: type[Any], value: Any) -> Any:
    """Give a plain tuple of the right length as a NamedTuple, and anything else as it is.

    >>> from collections import namedtuple
    >>> as_named(namedtuple("Point", "x y"), (1, 2)), as_named(namedtuple("Point", "x y"), (1,))
    (Point(x=1, y=2), (1,))
    """
    fields: tuple[str, ...] = cls._fields
    return tuple.__new__(cls, value) if type(value) is tuple and len(value) == len(fields) else value


def taking_plain_tuples(codec: Codec, cls: type[Any]) -> Codec:
    """Give a codec that takes a plain tuple, too, where it takes a NamedTuple."""
    lower = codec.lower
    return Codec(codec.type, lambda value: lower(as_named(cls, value)), codec.lift)


def meant_by_container(annotation: Any) -> str | None:
    """Give the type that is meant by `(A, B)`, `[A]`, `{A}` or `{A: B}` as an annotation. None for anything else.

    >>> [meant_by_container(one) for one in ((int, str), [int], {str: [int]}, int)]
    ['tuple[int, str]', 'list[int]', 'dict[str, list[int]]', None]
    """
    kind = type(annotation)
    if kind is tuple:
        return f"tuple[{', '.join(map(_said, annotation)) or '()'}]"
    if kind in (list, set) and len(annotation) == 1:
        return f"{kind.__name__}[{', '.join(map(_said, annotation))}]"
    if kind is dict and len(annotation) == 1:
        return f"dict[{', '.join(f'{_said(key)}, {_said(value)}' for key, value in annotation.items())}]"
    return None


def _said(annotation: Any) -> str:
    if annotation is None or annotation is type(None):
        return "None"
    meant = meant_by_container(annotation)
    if meant is not None:
        return meant
    is_plain = isinstance(annotation, type) and not typing.get_args(annotation)
    return annotation.__qualname__ if is_plain else str(annotation)
