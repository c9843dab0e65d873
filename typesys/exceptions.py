"""Exceptions as data: what an exception is made of, and how it is made again without a call of its class (rule X11).

`BaseException.__reduce__` calls the class with `args`, which fails for each class whose constructor makes its text of
other arguments, and runs the constructor's code where nobody expects it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

_HEAP_TYPE: Final = 1 << 9
"""The flag of a class that a Python program made (`Py_TPFLAGS_HEAPTYPE`)."""

_OF_EVERY: Final = frozenset(vars(BaseException)) | {
    "__dict__",
    "__weakref__",
    "exceptions",
    "message",
    "characters_written",
    "obj",
}

_Member = MemberDescriptorType | GetSetDescriptorType


def parts_of(error: BaseException, travels: Callable[[Any], bool]) -> tuple[Any, ...] | None:
    """The arguments with which `exception_of` makes an exception again.

    None for a class with a `__reduce__` of its own: its author knows more of it.

    Args:
        travels: whether a value can be stored; an attribute that can't is left out.
    """
    kind = type(error)
    base = _builtin_base(kind)
    for one in _above(kind):
        if one is base:
            break
        if "__reduce__" in vars(one) or "__reduce_ex__" in vars(one):
            return None
    _, arguments, *_ = base.__reduce__(error)
    if issubclass(kind, BaseExceptionGroup):  # its `args` are those of the author's call
        of_group = BaseExceptionGroup.__dict__
        arguments = of_group["message"].__get__(error), list(of_group["exceptions"].__get__(error))
    state = {name: value for name, value in object.__getattribute__(error, "__dict__").items() if travels(value)}
    members: dict[str, Any] = {}
    for name, member in _members(kind):
        with suppress(AttributeError):  # a slot may be empty
            value = member.__get__(error)
            if value is not None and travels(value):
                members.setdefault(name, value)
    return kind, arguments, BaseException.__dict__["args"].__get__(error), state, members


def exception_of(
    kind: type, arguments: tuple[Any, ...], args: tuple[Any, ...], state: dict[str, Any], members: dict[str, Any]
) -> BaseException:
    """An exception made of its parts. Its class is not called.

    >>> class Odd(Exception):
    ...     def __init__(self, *, code):
    ...         super().__init__(f"code {code}")
    >>> again = exception_of(*parts_of(Odd(code=7), lambda value: True))
    >>> type(again).__name__, str(again)
    ('Odd', 'code 7')
    """
    base = _builtin_base(kind)
    error: BaseException = base.__new__(kind, *arguments)
    with suppress(Exception):  # the author's constructor may never have called this one, and kept what it liked
        base.__init__(error, *arguments)
    BaseException.__dict__["args"].__set__(error, args)
    object.__getattribute__(error, "__dict__").update(state)
    for name, member in _members(kind):
        if name in members:
            with suppress(AttributeError, TypeError):  # some members can only be read
                member.__set__(error, members[name])
    return error


def _above(kind: type) -> tuple[type, ...]:
    above: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return above


def _builtin_base(kind: type) -> Any:
    """The first class above an exception's class that is written in C."""
    return next(one for one in _above(kind) if not one.__flags__ & _HEAP_TYPE)


def _members(kind: type) -> Iterator[tuple[str, _Member]]:
    """The slots of a class and of those above it, and what their C code keeps."""
    for one in _above(kind):
        for name, member in vars(one).items():
            if isinstance(member, MemberDescriptorType | GetSetDescriptorType) and name not in _OF_EVERY:
                yield name, member
