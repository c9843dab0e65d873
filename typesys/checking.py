"""Run-time check of a value against an annotation, to the last element.

The encoder is the check (`promissory.typesys.wire`). Annotations beyond wire types (protocols, callables, generics of
foreign classes) are checked by typeguard (`promissory.typesys.opaque`).
"""

from __future__ import annotations

from typing import Any

from promissory.typesys.wire import codec_of


def check(value: Any, annotation: Any) -> None:
    """Raise `TypeMismatch`, with the path to the bad element, unless the value is of the annotated type.

    >>> check([1, "a"], list[int])
    Traceback (most recent call last):
        ...
    promissory.errors.TypeMismatch: [1]: expected int, got str
    """
    codec_of(annotation).check(value)
