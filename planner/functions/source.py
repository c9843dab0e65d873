"""The text of a file as it was when a function in it was decorated.

The file may be edited while the process that loaded it goes on.
"""

from __future__ import annotations

import linecache
from types import FunctionType
from weakref import WeakKeyDictionary

_lines: WeakKeyDictionary[FunctionType, list[str]] = WeakKeyDictionary()


def note(function: FunctionType) -> None:
    """Remember the file's lines. Functions of one load of a file share them."""
    filename = function.__code__.co_filename
    # The module may have been loaded again, from a file that changed.
    linecache.checkcache(filename)
    _lines[function] = linecache.getlines(filename, function.__globals__)


def lines(function: FunctionType) -> list[str]:
    """Give the lines of the function's file, as far back as they are known. Empty if the function is in no file."""
    known = _lines.get(function)
    return linecache.getlines(function.__code__.co_filename, function.__globals__) if known is None else known
