"""Directories as values: the files in them by their content, their modes, and links that stay inside (rule V3)."""

from __future__ import annotations

import os
import stat
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from promissory.typesys.buffer import Buffer, names_of
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.files import File, buffer_of_path, checked_name
from promissory.typesys.scratch import remove_folder, scratch_folder


class Directory(os.PathLike[str]):
    """A directory as a value: the files in it, their modes, and symbolic links that lead to somewhere inside.

    Args:
        source: the path of the directory, which is read when the value is passed on.
        name: the name that it is to have; by default that of the path.

    Raises `FileNotFoundError`, `NotADirectoryError` if there is no directory at the path.
    """

    def __init__(self, source: str | os.PathLike[str], name: str | None = None) -> None:
        self._path: str | None = os.path.abspath(os.fspath(source))
        if not stat.S_ISDIR(os.stat(self._path).st_mode):
            raise NotADirectoryError(f"{self._path} is no directory: make it a File")
        self._entries: tuple[Entry, ...] | None = None
        self._made: str | None = None
        self.name = checked_name(name or os.path.basename(self._path) or "directory")

    @classmethod
    def of_entries(cls, name: str, entries: list[Entry]) -> Directory:
        """Make a directory of content that lies somewhere else. Raises `ValueError` if an entry leads out of it."""
        directory = cls.__new__(cls)
        if problem := _problem(entries, name):
            raise ValueError(problem)
        directory.name, directory._path, directory._made = checked_name(name), None, None
        directory._entries = tuple(entries)
        return directory

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is in the directory: relative path, kind, mode, a link's target, a file's content; sorted by paths.

        Raises `TypeMismatch` for what no value can hold: a link that leads out, a pipe.
        """
        return _entries_at(cast(str, self._path)) if self._entries is None else self._entries

    def files(self) -> dict[str, File[Any]]:
        """The files in the directory and below, by their relative paths."""
        return {
            path: File.of_buffer(path.rpartition("/")[2], content)
            for path, kind, _, _, content in self.entries
            if kind == FILE
        }

    def __truediv__(self, path: str) -> File[Any]:
        """Give one file by its relative path. Raises `FileNotFoundError`."""
        found = next((one for one in self.entries if one[0] == path and one[1] == FILE), None)
        if found is None:
            raise FileNotFoundError(f"there is no file {path} in {self!r}")
        return File.of_buffer(path.rpartition("/")[2], found[4])

    def __iter__(self) -> Iterator[str]:
        return iter([path for path, *_ in self.entries])

    def __fspath__(self) -> str:
        """Give a path at which the directory lies: of one from a store a copy, which lasts as long as this object."""
        if self._path is not None:
            return self._path
        if self._made is None:
            folder = scratch_folder()
            weakref.finalize(self, remove_folder, folder)
            self._made = str(self.copy_to(os.path.join(folder, self.name)))
        return self._made

    def __str__(self) -> str:
        return self.__fspath__()

    @property
    def path(self) -> Path:
        """The path of `os.fspath(directory)`."""
        return Path(self.__fspath__())

    def copy_to(self, path: str | os.PathLike[str]) -> Path:
        """Write the tree to a path at which there is nothing yet. Gives the path."""
        root = Path(path)
        root.mkdir()
        folders: list[tuple[Path, int]] = []
        for name, kind, mode, target, content in self.entries:
            at = root / name
            if kind == FOLDER:
                at.mkdir()
                folders.append((at, mode))
            elif kind == LINK:
                at.symlink_to(target)
            else:
                with open(at, "wb") as file:
                    content.write_to(file.write)
                at.chmod(mode)
        for at, mode in reversed(folders):  # a folder that may not be written to is filled first
            at.chmod(mode)
        return root

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path, or else the content."""
        if self._path is not None:
            return Directory, (self._path, self.name)
        return _of_contents, (self.name, [(*one[:4], one[4].content()) for one in self.entries])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Directory):
            return NotImplemented
        return self.name == other.name and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash((self.name, tuple(self._compared())))

    def _compared(self) -> list[tuple[Any, ...]]:
        return [(*one[:4], *(name for name in names_of(one[4]))) for one in self.entries]

    def __repr__(self) -> str:
        return f"<Directory {self.name}>"


def _of_contents(name: str, entries: list[tuple[str, str, int, str, bytes]]) -> Directory:
    return Directory.of_entries(name, [(*one[:4], Buffer.of(one[4])) for one in entries])


FOLDER, FILE, LINK = "folder", "file", "link"
Entry = tuple[str, str, int, str, Buffer]
"""What lies in a directory: its relative path, kind, mode, target of a link, content of a file."""


def _problem(entries: Sequence[Entry], root: str) -> str:
    """What is wrong with the entries of a directory; an empty text if nothing is. Each stands in a folder of the
    directory, which comes before it, and no link leads out, by whatever way."""
    known: dict[str, Entry] = {}
    for entry in entries:
        path, kind, mode, target, _ = entry
        folder, _, name = path.rpartition("/")
        if path.startswith("/") or name in ("", ".", "..") or "\0" in path + target or path in known:
            return f"{path!r} can't be the name of an entry of the directory {root}"
        if folder and (folder not in known or known[folder][1] != FOLDER):
            return f"{path} is in no folder of the directory {root}"
        if kind not in (FOLDER, FILE, LINK) or not 0 <= mode <= 0o7777 or (kind == LINK) != bool(target):
            return f"{path} in the directory {root} is neither a file nor a folder nor a link"
        known[path] = entry
    for path, kind, _, target, _ in entries:
        if kind == LINK and _leads_out(path, target, known):
            return f"the link {path} leads out of the directory {root}, to {target}"
    return ""


def _leads_out(path: str, target: str, known: Mapping[str, Entry]) -> bool:
    """Whether a link leads out of its directory, also by way of other links."""
    at = path.split("/")[:-1]
    left = target.split("/")
    if target.startswith("/"):
        return True
    for _ in range(_MOST_STEPS):
        if not left:
            return False
        step = left.pop(0)
        if step == "..":
            if not at:
                return True
            at.pop()
        elif step not in ("", "."):
            at.append(step)
            entry = known.get("/".join(at))
            if entry is not None and entry[1] == LINK:
                if entry[3].startswith("/"):
                    return True
                at.pop()
                left = entry[3].split("/") + left
    return False  # a circle of links leads nowhere


_MOST_STEPS: Final = 10_000


def _entries_at(root: str) -> tuple[Entry, ...]:
    nothing = Buffer.of(None)
    found: list[Entry] = []
    for folder, folders, files in os.walk(root, onerror=_refuse):
        for name in [*folders, *files]:
            at = os.path.join(folder, name)
            path = os.path.relpath(at, root)
            mode = os.lstat(at).st_mode
            if stat.S_ISLNK(mode):
                found.append((path, LINK, 0, os.readlink(at), nothing))
            elif stat.S_ISDIR(mode):
                found.append((path, FOLDER, stat.S_IMODE(mode), "", nothing))
            elif stat.S_ISREG(mode):
                found.append((path, FILE, stat.S_IMODE(mode), "", buffer_of_path(at)))
            else:
                raise TypeMismatch(f"{path} in the directory {root} is neither a file nor a folder nor a link")
    found.sort(key=lambda one: one[0].split("/"))
    if problem := _problem(found, root):
        raise TypeMismatch(problem)
    return tuple(found)


def _refuse(error: OSError) -> None:
    raise TypeMismatch(f"the directory {error.filename} can't be read: {error.strerror}")
