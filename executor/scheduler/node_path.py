"""The text of a node's path, which is shortened in the middle where it is long, so that a deep recursion needs no
memory for its paths.
"""

from __future__ import annotations

from typing import Final

_SHOWN_AT_ENDS: Final = 3


def exact(path: str, frame: int, index: int) -> str:
    """A path that names one node alone. A path that is shortened in the middle gets frame and index.

    >>> exact("main/a", 0, 1), exact("main/a/b/…/f/g/h", 7, 0)
    ('main/a', 'main/a/b/…/f/g/h#7.0')
    """
    return f"{path}#{frame}.{index}" if "/…/" in path else path


def joined(path: str, name: str) -> str:
    """A path one step longer, with its middle left out when it is long.

    >>> path = "main"
    >>> for step in "abcdefgh":
    ...     path = joined(path, step)
    >>> path
    'main/a/b/…/f/g/h'
    """
    if path.count("/") < 2 * _SHOWN_AT_ENDS - 1:
        return f"{path}/{name}"
    head, mark, tail = path.partition("/…/")
    if mark:
        longer = f"{head}/…/{tail.partition('/')[2]}/{name}"
        return path if longer == path else longer  # one text for all levels of a deep recursion
    parts = path.split("/")
    return "/".join([*parts[:_SHOWN_AT_ENDS], "…", *parts[1 - _SHOWN_AT_ENDS :], name])
