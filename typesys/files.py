"""Files as values: by their content, not by the place where they lie (rule V3).

A file is made from something that is there (a path, bytes, a stream), and read when it is asked for. What travels is
the content and the name; so an equal file is stored once, and a file outlives the folder from which it was taken.
`promissory.typesys.directories` has directories.
"""

from __future__ import annotations

import io
import os
import stat
import weakref
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
        self.name = checked_name(name or _NAMELESS)

    @classmethod
    def of_buffer(cls, name: str, buffer: Buffer) -> File[Any]:
        """Make a file of content that lies somewhere else."""
        file: File[Any] = cls.__new__(cls)
        file.name, file._buffer, file._path, file._made = checked_name(name), buffer, None, None
        return file

    if not TYPE_CHECKING:

        def __class_getitem__(cls, format: Any) -> Any:
            args = getattr(format, "__args__", None)  # of `Literal["csv"]`
            return Annotated[cls, FileFormat(args[0] if args else format)]

    @property
    def buffer(self) -> Buffer:
        """The content."""
        return buffer_of_path(self._path) if self._buffer is None else self._buffer

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path, or else the content: a closure may hold a file."""
        return File, (self.read_bytes() if self._path is None else self._path, self.name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, File):
            return NotImplemented
        return self.name == other.name and self.size == other.size and self.digest == other.digest

    def __hash__(self) -> int:
        return hash((self.name, self.digest))

    def __repr__(self) -> str:
        return f"<File {self.name}>"


def checked_name(name: str) -> str:
    """Give a name that a file may have. Raises `ValueError`."""
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"a file can't be called {name!r}")
    return name


def buffer_of_path(path: str | None) -> Buffer:
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
