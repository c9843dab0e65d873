"""File system paths, as text. The path travels, not what lies there."""

from __future__ import annotations

from pathlib import Path, PurePath

from typesys.codecs import Family, declare, named
from typesys.types import STR

declare(Family(Path, named("pathlib.Path", STR), str, Path, subclasses=True))
declare(Family(PurePath, named("pathlib.PurePath", STR), str, PurePath, subclasses=True))
