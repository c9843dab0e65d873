"""File system paths, as text. The path travels, not the file at it."""

from __future__ import annotations

from pathlib import Path, PurePath

from promissory.typesys.errors import TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import STR

declare(Family(Path, named("pathlib.Path", STR), str, Path, subclasses=True, any_text=True))


def _pure_to_text(path: PurePath) -> str:
    if type(PurePath()).__name__ not in (cls.__name__ for cls in type(path).__mro__):
        raise TypeMismatch(f"a {type(path).__name__} of another system can't travel as text; use str")
    return str(path)


declare(Family(PurePath, named("pathlib.PurePath", STR), _pure_to_text, PurePath, subclasses=True, any_text=True))
