"""Errors about annotations, values and bytes: one class for each kind of mistake."""

from __future__ import annotations

import re
from typing import Any, Final

from promissory._names import publish


class FormatError(ValueError):
    """Bytes that do not have the form that they should have: cut short, damaged, of a newer version, or not canonical.

    `what` names the thing (a plan, a value, a segment), `offset` is the first byte that is wrong.
    """

    def __init__(self, what: str, problem: str, offset: int = 0) -> None:
        self.what = what
        self.problem = problem
        self.offset = offset
        super().__init__(f"{what} {problem} (at byte {offset})")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.problem, self.offset)


class TypeMismatch(TypeError):
    """A value is not of the type that it was declared to have. The error says where in the value.

    `path` leads from the value to the bad element, e.g. ``['rows'][17].price``.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        self.problem = problem
        self.path = path
        super().__init__(problem, path)

    def inside(self, step: str) -> TypeMismatch:
        """Give the same mismatch as seen from one level further out."""
        return TypeMismatch(self.problem, step + self.path)

    def at(self, root: str) -> str:
        """Word the mismatch for a user, with `root` as the name of the whole value.

        >>> TypeMismatch("expected float, got str").inside(".price").inside("[17]").at("result")
        'result[17].price: expected float, got str'
        """
        return f"{root}{self.path}: {self.problem}"

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')}: {self.problem}" if self.path else self.problem


class AnnotationError(TypeError):
    """An annotation that cannot be given a type. The message says what to write instead."""


_STEP: Final = re.compile(r"""\.([^.\[]+)|\[(\d+)\]|\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]""")


class ParseError(ValueError):
    """A text or JSON value that does not fit the type wanted of it.

    Args:
        problem: what is wrong.
        at: the path to it from the whole value, as `.field`, `[0]` or `['key']`; None for a text that is no JSON.
    """

    def __init__(self, problem: str, at: str | None = None) -> None:
        super().__init__(problem if at is None else f"{at.removeprefix('.') or 'value'}: {problem}")
        self.at = at or ""

    @property
    def pointer(self) -> str:
        """The JSON Pointer (RFC 6901) to what is wrong.

        >>> from promissory.errors import ParseError
        >>> ParseError("expected int", ".rows[0]['a/b']").pointer
        '/rows/0/a~1b'
        """
        import ast

        steps = [name or index or ast.literal_eval(key) for name, index, key in _STEP.findall(self.at)]
        return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


class NotTrusted(Exception):
    """A value travels as a pickle, and whoever asked for it has not said that the writer is trusted: loading a pickle
    runs the code that its writer chose."""


class OpaqueWarning(UserWarning):
    """A class without a known wire form travels as a pickle. The warning names the parameter."""


class UntypedWarning(UserWarning):
    """A parameter or result without annotation is `Any`. The warning names it."""


class UncachedContentWarning(UserWarning):
    """A cached task takes a path, which is remembered by its text and not by the content of the file."""


publish(globals())
