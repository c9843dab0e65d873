"""The text of an exception, whatever the exception's own code does (rule X11).

An exception is an author's object: its `__str__`, its `__class__`, its notes and its metaclass may raise anything, its
causes may be fifty thousand or lead back to itself, and groups may be nested as deep. The executor tells it all the
same. So its parts are read with the descriptors of `type` and `BaseException`, which a class can't replace; the walk
over causes and groups has a stack of its own, and leaves out the middle; and what runs the author's code is guarded.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from promissory.planner.errors import CompileError, is_authors, is_ours

T = TypeVar("T")

_MOST_CAUSES: Final = 40
_MOST_DEPTH: Final = 10
_MOST_MEMBERS: Final = 15
_MOST_TOLD: Final = 400
_CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def guarded(what: Callable[[], T], otherwise: T) -> T:
    """The result of a function that runs an author's code; `otherwise` if that code raises, be it `SystemExit`."""
    try:
        return what()
    except BaseException:
        return otherwise


def part_of(error: BaseException, name: str) -> Any:
    """An attribute that every exception has, without asking the exception's class."""
    return BaseException.__dict__[name].__get__(error)


def class_name(kind: type) -> str:
    """The qualified name of a class, without asking its metaclass."""
    return str(type.__dict__["__qualname__"].__get__(kind))


def classes_above(kind: type) -> tuple[type, ...]:
    """The classes that a class consists of, itself first, without asking its metaclass."""
    above: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return above


def text_of(error: BaseException) -> str:
    """The text of an exception; why there is none, if its `__str__` raises.

    >>> class Mute(Exception):
    ...     def __str__(self):
    ...         raise SystemExit
    >>> text_of(ValueError("no")), text_of(Mute())
    ('no', "(its text can't be had: SystemExit)")
    """
    try:
        return _plain(str(error))
    except BaseException as unsayable:  # the exception's own `__str__` may raise anything
        return f"(its text can't be had: {class_name(type(unsayable))})"


def _plain(text: str) -> str:
    """The text as a `str` and no class derived from it, whose methods may be an author's."""
    return str.__getitem__(text, slice(None))


class _Line(NamedTuple):
    """A line between exceptions, at a depth of groups."""

    text: str
    depth: int


class _Told(NamedTuple):
    """An exception at a depth of groups; `briefly`, its causes are too many to be read again for each of them."""

    error: BaseException
    depth: int
    briefly: bool


def authors_traceback(error: BaseException) -> str:
    """The traceback of an error as an author wants to see it: from the author's first line on, without our own lines.

    An error that names its remedy and comes from no line of an author gets no traceback.
    """
    teaches = issubclass(type(error), CompileError)
    todo: list[_Line | _Told] = [*_with_causes(error, 0)][::-1]
    lines: list[str] = []
    told = 0
    while todo:
        one = todo.pop()
        if isinstance(one, _Line):
            lines.append(_indented(one.text, one.depth))
            continue
        told += 1
        text = guarded(lambda one=one: _of_one(one, teaches), f"{class_name(type(one.error))}\n")  # type: ignore[misc]
        lines.append(_indented(text, one.depth))
        if issubclass(type(one.error), BaseExceptionGroup):
            todo += [*_members(one.error, one.depth + 1, told < _MOST_TOLD)][::-1]
    return "".join(lines)


def _with_causes(error: BaseException, depth: int) -> Iterator[_Line | _Told]:
    """An exception after the exceptions that led to it, the oldest first."""
    chain: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    one: BaseException | None = error
    words = ""
    while one is not None and id(one) not in seen:
        chain.append((one, words))
        seen.add(id(one))
        cause = part_of(one, "__cause__")
        if cause is not None:
            one, words = cause, _CAUSE
        elif part_of(one, "__suppress_context__"):
            break
        else:
            one, words = part_of(one, "__context__"), _CONTEXT
    chain.reverse()
    briefly = len(chain) > _MOST_CAUSES
    left = len(chain) - _MOST_CAUSES
    for at, (each, follows) in enumerate(chain):
        if briefly and at == _MOST_CAUSES // 2:
            yield _Line(f"\n… {left:,} exceptions more …\n", depth)
        if not briefly or not 0 <= at - _MOST_CAUSES // 2 < left:
            yield _Told(each, depth, briefly)
            if follows:
                yield _Line(follows, depth)


def _members(group: BaseException, depth: int, has_room: bool) -> Iterator[_Line | _Told]:
    """The exceptions of a group, each with its causes."""
    inner = BaseExceptionGroup.__dict__["exceptions"].__get__(group)
    if depth > _MOST_DEPTH or not has_room:
        yield _Line(f"… {len(inner):,} exceptions more …\n", depth)
        return
    for number, one in enumerate(inner[:_MOST_MEMBERS], 1):
        yield _Line(f"---------------- {number} ----------------\n", depth)
        yield from _with_causes(one, depth)
    if len(inner) > _MOST_MEMBERS:
        yield _Line(f"and {len(inner) - _MOST_MEMBERS:,} more exceptions\n", depth)


def _indented(text: str, depth: int) -> str:
    mark = "  " * depth + "| " if depth else ""
    return "".join(mark + line for line in text.splitlines(keepends=True))


def _of_one(told: _Told, teaches: bool) -> str:
    stack = traceback.extract_tb(part_of(told.error, "__traceback__"))
    first = next((at for at, frame in enumerate(stack) if is_authors(frame.filename)), None)
    lines: list[str] = []
    if first is not None:
        stack[:] = [frame for frame in stack[first:] if not is_ours(frame.filename)]
    if stack and not (first is None and teaches):
        lines = ["Traceback (most recent call last):\n", *stack.format()]
    return "".join([*lines, *_last_lines(told)])


def _last_lines(told: _Told) -> list[str]:
    """The class and the text of an exception, with its notes and the place of a syntax error."""
    error = told.error
    text = text_of(error)
    own = [f"{class_name(type(error))}: {text}\n" if text else f"{class_name(type(error))}\n"]
    if told.briefly:  # a `TracebackException` reads the whole chain behind its exception
        return own
    return guarded(lambda: _as_python_tells(error), own)


def _as_python_tells(error: BaseException) -> list[str]:
    told = traceback.TracebackException(type(error), error, None, compact=True, max_group_depth=0, max_group_width=0)
    return [_plain(line) for line in told.format_exception_only()]
