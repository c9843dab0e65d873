"""Which statement of the author's an instruction belongs to: by his source, as lines."""

from __future__ import annotations

import ast
import linecache
import sys
from types import FrameType

from planner.errors import is_authors

Lines = tuple[int, int]


class Statement:
    """The statement of the author's that is being executed when this is made."""

    def __init__(self) -> None:
        self._frame = _authors_frame()
        self._lines = None if self._frame is None else _lines_of(self._frame.f_code.co_filename, self._frame.f_lineno)

    def is_running(self) -> bool:
        """Whether it is still being executed; True where its source is not at hand."""
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
    """The lines of the innermost statement at a line of a file."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
    found: Lines | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            lines = (node.lineno, node.end_lineno or node.lineno)
            if found is None or lines[1] - lines[0] <= found[1] - found[0]:
                found = lines
    return found
