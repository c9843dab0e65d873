"""Files and directories as values: by their content, not by the place where they lie (rule V3).

A value of either class is made from something that is there (a path, bytes, a stream), and read when it is asked for.
What travels is the content and the name; so an equal file is stored once, and a file outlives the folder from which it
was taken.
"""

from __future__ import annotations

import io
import os
import stat
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Generic, Literal, TextIO, cast, overload

from promissory.typesys.buffer import Buffer, Write, names_of
from promissory.typesys.errors import AnnotationError, TypeMismatch
from promissory.typesys.scratch import remove_folder, scratch_folder

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Format = TypeVar("Format", default=Any)
_COMPRESSED: Final = frozenset((".bz2", ".gz", ".lz4", ".xz", ".zip", ".zst"))
_STEP: Final = 1 << 20
_NAMELESS: Final = "file"


class FileFormat:
    """The format that `File["csv"]` asks for: the ending of the file's name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if not isinstance(cast(object, name), str) or not name or "/" in name:
            raise AnnotationError(f"a File is annotated with the ending of its name, as in File['csv'], not {name!r}")
        self.name = name.removeprefix(".").lower()

    def __repr__(self) -> str:
        return f"FileFormat({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileFormat) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def format_of(name: str) -> str:
    """Give the format that a file's name says: its ending in lower case, empty if there is none.

    >>> format_of("rows.CSV"), format_of("all.tar.gz"), format_of("README")
    ('csv', 'tar.gz', '')
    """
    endings = PurePosixPath(name).suffixes
    count = 2 if len(endings) > 1 and endings[-1].lower() in _COMPRESSED else 1
    return "".join(endings[-count:])[1:].lower()


if TYPE_CHECKING:

    class _OfFormat(os.PathLike[str], Generic[Format]):
        """What `File[Literal["csv"]]` is for a type checker."""

else:

    class _OfFormat(os.PathLike):
        """What `File["csv"]` means is `File.__class_getitem__`'s to say where the program runs."""


class File(_OfFormat["Format"]):
    """A file as a value: its content and its name.

    Args:
        source: a path; or bytes; or an open stream, which is read from where it stands.
        name: the name that the file is to have; by default that of the path, or of the stream.

    A path is read when the file is passed on, so it must be there until then. A file of a run is read from its store
    when it is asked for.

    Raises `FileNotFoundError`, `IsADirectoryError` if there is no file at the path.

    >>> file = File(b"a,b", name="rows.csv")
    >>> file.name, file.size, file.read_text()
    ('rows.csv', 3, 'a,b')
    """

    def __init__(self, source: str | os.PathLike[str] | bytes | BinaryIO, name: str | None = None) -> None:
        self._path: str | None = None
        self._made: str | None = None
        if isinstance(source, bytes | bytearray | memoryview):
            self._buffer: Buffer | None = Buffer.of(bytes(source))
        elif isinstance(source, str | os.PathLike):
            self._path = os.path.abspath(os.fspath(source))
            if stat.S_ISDIR(os.stat(self._path).st_mode):
                raise IsADirectoryError(f"{self._path} is a directory: make it a Directory")
            self._buffer = None
            name = name or os.path.basename(self._path)
        else:
            if not hasattr(source, "read"):
                raise TypeError(f"a File is made of a path, of bytes or of a stream, not of {type(source).__name__}")
            given = getattr(source, "name", None)
            name = name or (os.path.basename(given) if isinstance(given, str) else None)
            content = source.read()
            if not isinstance(content, bytes):
                raise TypeError("a File is made of a stream of bytes: open it with mode 'rb'")
            self._buffer = Buffer.of(content)
        self.name = _checked_name(name or _NAMELESS)

    @classmethod
    def of_buffer(cls, name: str, buffer: Buffer) -> File[Any]:
        """Make a file of content that lies somewhere else."""
        file: File[Any] = cls.__new__(cls)
        file.name, file._buffer, file._path, file._made = _checked_name(name), buffer, None, None
        return file

    if not TYPE_CHECKING:

        def __class_getitem__(cls, format: Any) -> Any:
            args = getattr(format, "__args__", None)  # of `Literal["csv"]`
            return Annotated[cls, FileFormat(args[0] if args else format)]

    @property
    def buffer(self) -> Buffer:
        """The content."""
        return _buffer_of_path(self._path) if self._buffer is None else self._buffer

    @property
    def size(self) -> int:
        """The number of bytes."""
        return os.stat(cast(str, self._path)).st_size if self._buffer is None else self._buffer.size

    @property
    def format(self) -> str:
        """The ending of the name, in lower case."""
        return format_of(self.name)

    @property
    def digest(self) -> str:
        """The BLAKE3-256 of the content, in hex; of more than 1 GiB, that of each GiB, joined by `-`."""
        buffer = self.buffer
        return "-".join(name.digest.hex() for name in names_of(buffer))

    def __fspath__(self) -> str:
        """Give a path at which the file lies, to be read only.

        A file of a store on this machine is not copied. The path lasts as long as this object.
        """
        if self._path is not None:
            return self._path
        if self._made is None:
            folder = scratch_folder()
            weakref.finalize(self, remove_folder, folder)
            made = os.path.join(folder, self.name)
            there = self.buffer.path()
            if there is not None:
                os.symlink(there, made)
            else:
                self.copy_to(made)
            self._made = made
        return self._made

    def __str__(self) -> str:
        return self.__fspath__()

    @property
    def path(self) -> Path:
        """The path of `os.fspath(file)`."""
        return Path(self.__fspath__())

    @overload
    def open(
        self, mode: Literal["r", "rt"] = "r", encoding: str | None = None, newline: str | None = None
    ) -> TextIO: ...
    @overload
    def open(self, mode: Literal["rb"]) -> BinaryIO: ...
    def open(self, mode: str = "r", encoding: str | None = None, newline: str | None = None) -> IO[Any]:
        """Open the file for reading: `"r"` for text (UTF-8 unless told otherwise), `"rb"` for bytes."""
        if mode not in ("r", "rt", "rb"):
            raise ValueError(
                f"a File is opened for reading ('r', 'rb'), not {mode!r}: make a new File of what is changed"
            )
        if mode == "rb":
            return open(self.__fspath__(), "rb")
        return open(self.__fspath__(), encoding=encoding or "utf-8", newline=newline)

    def read_bytes(self) -> bytes:
        """Read the whole content."""
        return self.buffer.content()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Read the whole content as text."""
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding).read()

    def copy_to(self, path: str | os.PathLike[str]) -> Path:
        """Write the content to a path; into a folder, under the file's name. Gives the path."""
        target = Path(path)
        if target.is_dir():
            target = target / self.name
        temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
        try:
            with open(temporary, "wb") as file:
                self.buffer.write_to(file.write)
            os.replace(temporary, target)  # so a file that is copied onto itself is not lost
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, File):
            return NotImplemented
        return self.name == other.name and self.size == other.size and self.digest == other.digest

    def __hash__(self) -> int:
        return hash((self.name, self.digest))

    def __repr__(self) -> str:
        return f"<File {self.name}>"


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"a file can't be called {name!r}")
    return name


def _buffer_of_path(path: str | None) -> Buffer:
    """The content of a file that is there now. Whoever reads it twice gets the same twice, or a `TypeMismatch`."""
    path = cast(str, path)
    try:
        before = os.stat(path)
    except OSError as error:
        raise TypeMismatch(f"the file {path} can't be read: {error.strerror}") from None
    if not stat.S_ISREG(before.st_mode):
        raise TypeMismatch(f"{path} is no plain file")

    def write(into: Write) -> None:
        size = 0
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            while piece := file.read(_STEP):
                size += len(piece)
                into(memoryview(piece))
        if (found.st_ino, found.st_mtime_ns, size) != (before.st_ino, before.st_mtime_ns, before.st_size):
            raise TypeMismatch(f"the file {path} was changed while it was read: pass it on when it is finished")

    return Buffer(before.st_size, write)


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
        self.name = _checked_name(name or os.path.basename(self._path) or "directory")

    @classmethod
    def of_entries(cls, name: str, entries: list[Entry]) -> Directory:
        """Make a directory of content that lies somewhere else. Raises `ValueError` if an entry leads out of it."""
        directory = cls.__new__(cls)
        if problem := _problem(entries, name):
            raise ValueError(problem)
        directory.name, directory._path, directory._made = _checked_name(name), None, None
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
                found.append((path, FILE, stat.S_IMODE(mode), "", _buffer_of_path(at)))
            else:
                raise TypeMismatch(f"{path} in the directory {root} is neither a file nor a folder nor a link")
    found.sort(key=lambda one: one[0].split("/"))
    if problem := _problem(found, root):
        raise TypeMismatch(problem)
    return tuple(found)


def _refuse(error: OSError) -> None:
    raise TypeMismatch(f"the directory {error.filename} can't be read: {error.strerror}")
