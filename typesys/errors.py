"""What can be wrong with an annotation, a value, or bytes. One class a kind of mistake."""

from __future__ import annotations

from typing import Any


class FormatError(ValueError):
    """Bytes that are not what they should be: cut short, damaged, of a newer version, or not canonical.

    `what` names the thing (a plan, a value, a segment), `offset` is the first byte where it went wrong.
    """

    def __init__(self, what: str, problem: str, offset: int = 0) -> None:
        self.what = what
        self.problem = problem
        self.offset = offset
        super().__init__(f"{what} {problem} (at byte {offset})")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.problem, self.offset)


class TypeMismatch(TypeError):
    """A value is not of the type it was declared to have; says where in the value.

    `path` leads from the value to the bad element, e.g. ``['rows'][17].price``.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        self.problem = problem
        self.path = path
        super().__init__(problem, path)

    def inside(self, step: str) -> TypeMismatch:
        """The same mismatch seen from one level further out."""
        return TypeMismatch(self.problem, step + self.path)

    def at(self, root: str) -> str:
        """The sentence a user reads, with `root` as the name of the whole value.

        >>> TypeMismatch("expected float, got str").inside(".price").inside("[17]").at("result")
        'result[17].price: expected float, got str'
        """
        return f"{root}{self.path}: {self.problem}"

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')}: {self.problem}" if self.path else self.problem


class AnnotationError(TypeError):
    """An annotation that cannot be given a type: what it is, and what to write instead."""


class ParseError(ValueError):
    """A text or JSON value that does not fit the type wanted of it."""


class OpaqueWarning(UserWarning):
    """A class that nothing knows travels as a pickle; the warning names the parameter."""


class UntypedWarning(UserWarning):
    """A parameter or result without annotation is `Any`; the warning names it."""
