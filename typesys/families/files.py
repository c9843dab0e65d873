"""Files and directories, as their names and contents."""

from __future__ import annotations

import os
from typing import Any

from promissory.typesys.directories import Directory
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.files import File, FileFormat, format_of
from promissory.typesys.stated import FILE, file_wire, is_file_wire
from promissory.typesys.types import BUFFER, INT, STR, ListType, TupleType, Type


def _to_wire(file: File[Any]) -> tuple[str, str, Any]:
    return file.name, format_of(file.name), file.buffer


def _from_wire(parts: tuple[str, str, Any]) -> File[Any]:
    name, format, buffer = parts
    if format_of(name) != format:
        raise ValueError(f"the file {name} is said to be of the format {format}")
    return File.of_buffer(name, buffer)


def _stated(args: tuple[Any, ...], said: tuple[Any, ...]) -> Type:
    formats = [one.name for one in said if isinstance(one, FileFormat)]
    return file_wire(formats[-1] if formats else None)


def _given(cls: type[Any]) -> Any:
    """What a person writes for a file or a directory: its path."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("give its path")
        try:
            return cls(os.path.expanduser(value))
        except OSError as error:
            raise ValueError(error.strerror or str(error)) from None

    return read


def _shown(thing: File[Any] | Directory) -> str:
    if isinstance(thing, File):
        return f"<file {thing.name} of {thing.size} bytes>"
    return f"<directory {thing.name} with {len(thing.files())} files>"


declare(
    Family(
        File,
        named(FILE, file_wire(None)),
        _to_wire,
        _from_wire,
        stated=_stated,
        is_wire=is_file_wire,
        described=lambda file: f"the file {file.name}",
        any_text=True,
        from_json=_given(File),
        to_json=_shown,
    )
)
declare(
    Family(
        Directory,
        named("Directory", TupleType((STR, ListType(TupleType((STR, STR, INT, STR, BUFFER)))))),
        lambda directory: (directory.name, list(directory.entries)),
        lambda parts: Directory.of_entries(*parts),
        any_text=True,
        from_json=_given(Directory),
        to_json=_shown,
    )
)
