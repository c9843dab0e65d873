"""The type that values given at one place have together: the arms of a choice, the values of a merge. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from promissory.planner.tracing.promise import Promise
from promissory.typesys.assignability import why_not
from promissory.typesys.errors import AnnotationError
from promissory.typesys.infer import Inference
from promissory.typesys.types import ANY, NONE, DictType, ListType, TupleType, Type
from promissory.typesys.unions import union


def type_of(value: Any) -> Type:
    """Infer the type of a promise, or of a literal, in which promises may stand.

    >>> str(type_of([1, "a"]))
    'list[int | str]'
    """
    if isinstance(value, Promise):
        known: Type = value._promissory_type
        return known
    if value is None:
        return NONE
    if value.__class__ is list:
        return ListType(union([type_of(item) for item in value])) if value else ListType(ANY)
    if value.__class__ is dict and value:
        return DictType(union([type_of(key) for key in value]), union([type_of(item) for item in value.values()]))
    if value.__class__ is tuple and value:
        return TupleType(tuple(type_of(item) for item in value))
    try:
        return Inference().infer(value.__class__)
    except AnnotationError:
        return ANY


def common_type(types: Sequence[Type]) -> Type | None:
    """Find the first of some types that all of them fit, if need be with `None` added to it.

    None if there is no such type.

    >>> from promissory.typesys.types import FLOAT, INT, STR
    >>> str(common_type([INT, FLOAT])), str(common_type([NONE, INT])), common_type([INT, STR])
    ('float', 'int | None', None)
    """
    plain = [one for one in types if one != NONE]
    if not plain:
        return NONE
    for candidate in plain:
        if all(why_not(one, candidate) is None for one in types):
            return candidate
    for candidate in plain:
        optional = union([candidate, NONE])
        if all(why_not(one, optional) is None for one in types):
            return optional
    return None
