"""Checked access to a tree that was read from bytes.

Each function gives the part that is wanted or raises `ValueError`.
"""

from __future__ import annotations

from typing import Any


def as_fields(tree: Any, count: int) -> list[Any]:
    """Take a tree as a list of so many fields."""
    if tree.__class__ is not list or len(tree) != count:
        raise ValueError(f"{count} fields were expected")
    return list(tree)


def as_list(tree: Any) -> list[Any]:
    """Take a tree as a list of any length. Empty text and an empty map, which could be gone through too, are none."""
    if tree.__class__ is not list:
        raise ValueError("a list was expected")
    return list(tree)


def as_bytes(tree: Any) -> bytes:
    """Take a tree as bytes."""
    if tree.__class__ is not bytes:
        raise ValueError("bytes were expected")
    return bytes(tree)


def as_text(tree: Any) -> str:
    """Take a tree as text."""
    if tree.__class__ is not str:
        raise ValueError("text was expected")
    return str(tree)


def as_count(tree: Any) -> int:
    """Take a tree as a whole number from 0. A bool is none."""
    if tree.__class__ is not int or tree < 0:
        raise ValueError("a count was expected")
    return int(tree)


def entry_at(table: Any, index: Any) -> Any:
    """Give the entry of a table at a position."""
    return table[as_count(index)]


def as_counts(trees: Any) -> tuple[int, ...]:
    """Take a tree as a list of whole numbers from 0."""
    return tuple(as_count(one) for one in as_list(trees))
