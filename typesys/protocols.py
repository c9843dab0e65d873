"""Values against annotations that mention protocols, which are `Any` on the wire. typeguard decides whether a value
follows a protocol, at every place where an annotation asks for one.

typeguard looks into the containers that it knows. Into the fields of records and into other containers it is led from
here.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin

from promissory.typesys.class_annotations import field_annotations, is_protocol
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.opaque import check_opaque
from promissory.typesys.records import is_record


def check_protocols(value: Any, annotation: Any) -> None:
    """Raise `TypeMismatch` if a value does not follow a protocol that its annotation mentions, at whatever depth."""
    check_opaque(value, annotation)
    _inside(value, annotation)


def _inside(value: Any, annotation: Any) -> None:
    origin, args = get_origin(annotation), get_args(annotation)
    if is_protocol(origin or annotation) or origin in (typing.Union, UnionType):
        check_opaque(value, annotation)
    elif isinstance(origin or annotation, type) and (
        is_record(origin or annotation) or typing.is_typeddict(origin or annotation)
    ):
        hints = field_annotations(origin or annotation, args)
        for name, hint in hints.items():
            if isinstance(value, dict):
                if name in value:
                    _at(f"[{name!r}]", value[name], hint)
            elif hasattr(value, name):
                _at(f".{name}", getattr(value, name), hint)
    elif isinstance(value, Mapping) and len(args) == 2:
        for key, one in value.items():
            _inside(key, args[0])
            _at(f"[{key!r}]", one, args[1])
    elif isinstance(value, tuple) and args and not (len(args) == 2 and args[1] is Ellipsis):
        for index, (one, hint) in enumerate(zip(value, args, strict=False)):
            _at(f"[{index}]", one, hint)
    elif (
        hasattr(value, "__iter__")
        and not isinstance(value, str | bytes)
        and args
        and origin is not None
        and isinstance(origin, type)
    ):
        for index, one in enumerate(value):
            _at(f"[{index}]", one, args[0])


def _at(step: str, value: Any, annotation: Any) -> None:
    try:
        _inside(value, annotation)
    except TypeMismatch as mismatch:
        raise mismatch.inside(step) from None
