"""Statements of the author's source, as ranges of lines: which of them is being executed."""

from __future__ import annotations

import ast
import linecache
import sys
from functools import lru_cache
from types import FrameType

from promissory.planner.errors import is_authors

Lines = tuple[int, int]


class Statement:
    """The statement of the author's that is being executed when this object is made."""

    def __init__(self) -> None:
        self._frame = _authors_frame()
        self._lines = None if self._frame is None else _lines_of(self._frame.f_code.co_filename, self._frame.f_lineno)

    def is_running(self) -> bool:
        """Tell whether the statement is still being executed. Without its source at hand the answer is True."""
        if self._frame is None or self._lines is None:
            return True
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self._frame:
            frame = frame.f_back
        return frame is not None and self._lines[0] <= frame.f_lineno <= self._lines[1]


def _authors_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_authors(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _lines_of(file: str, line: int) -> Lines | None:
    """Find the lines of the innermost statement at a line of a file."""
    found = [lines for lines in _statements("".join(linecache.getlines(file))) if lines[0] <= line <= lines[1]]
    return min(found, key=lambda lines: lines[1] - lines[0], default=None)


@lru_cache(64)
def _statements(text: str) -> tuple[Lines, ...]:
    """Find the lines of each statement of a source."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    return tuple((node.lineno, node.end_lineno or node.lineno) for node in ast.walk(tree) if isinstance(node, ast.stmt))
