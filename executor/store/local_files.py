"""Storage on a local (or network) file system.

A key is created atomically: write a temporary file in the same folder, sync it, `link` it to its name (which fails if
the name is taken), unlink the temporary, sync the folder. So a key appears with its whole content or not at all, and of
two writers one wins, also on NFS.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from promissory.executor.store.backend import Stamp
from promissory.executor.store.forms import FOLDERS, is_leftover
from promissory.executor.store.holding import Held, is_held, is_of_one_kernel
from promissory.executor.store.keys import PARTS
from promissory.typesys.buffer import Write

_log = logging.getLogger("promissory")

_FOLDER_ONLY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINKS = frozenset(
    (
        errno.EPERM,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.EMLINK,
        errno.EXDEV,
        errno.EACCES,
        errno.EINVAL,
    )
)
_NO_SYNC_OF_FOLDERS = frozenset(
    (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EACCES, errno.EISDIR)
)
_TEMPORARY = ".tmp-"


class LocalFiles:
    """Files below a folder. The folder is made when the first key is written."""

    near = True
    lasting = True
    grows = True

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._parts = f"{root}/{PARTS}/"
        self._folders: set[str] = set()
        self._unsynced: dict[str, str] = {}
        self._lasting: set[str] = set()
        self._said_so = False

    def _path(self, key: str) -> str:
        if ".." in key and ".." in key.split("/"):
            raise PermissionError(errno.EPERM, "its name leads out of the store")
        return f"{self._root}/{key}"

    def _in_folder(self, key: str, durable: bool = False) -> tuple[str, str]:
        path = self._path(key)
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._make_folders(folder)
        if durable and self._unsynced:
            self._sync_new_folders()
        return folder, path

    def _make_folders(self, folder: str) -> None:
        """Make a folder and those above it. A folder that a crash forgets takes all its files along, so each is synced
        into its parent before the next key that has to last."""
        missing = []
        one = folder
        while one and not os.path.isdir(one):
            missing.append(one)
            one = one.rpartition("/")[0]
        for one in reversed(missing):
            try:
                os.mkdir(one)
            except FileExistsError:
                continue
            self._unsynced[one] = one.rpartition("/")[0] or "/"
        self._folders.add(folder)

    def _sync_new_folders(self) -> None:
        for made, parent in list(self._unsynced.items()):
            try:
                self._sync_folder(parent)
            except OSError:
                with suppress(OSError):
                    os.rmdir(made)  # the next try makes the folder again, and syncs it
                self._folders.clear()
                raise
            self._unsynced.pop(made, None)

    def _sync_folder(self, folder: str) -> None:
        """Sync a folder, if its file system can: some over a network, and some of virtual machines, can't."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC_OF_FOLDERS:
                raise
            if not self._said_so:
                self._said_so = True
                _log.warning(
                    "the folders of %s can't be synced (%s): the newest files may be missing after a power cut",
                    self._root,
                    error.strerror,
                )

    def _write_temporary(self, folder: str, data: bytes, durable: bool) -> str:
        return self._fill_temporary(folder, lambda take: take(memoryview(data)), durable)

    def _fill_temporary(self, folder: str, write: Callable[[Write], None], durable: bool) -> str:
        temporary = f"{folder}/{_TEMPORARY}{secrets.token_hex(8)}"
        flags, mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._mode(folder)
        try:
            descriptor = os.open(temporary, flags, mode)
        except FileNotFoundError:  # the folder was removed meanwhile
            self._folders.discard(folder)
            self._make_folders(folder)
            descriptor = os.open(temporary, flags, mode)
        try:
            try:
                write(lambda piece: _write_all(descriptor, piece))
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            os.unlink(temporary)
            raise
        return temporary

    def _mode(self, folder: str) -> int:
        """The mode of new files in a folder. Bodies get the paths of parts, which must not be written to."""
        return 0o444 if folder.startswith(self._parts) else 0o644

    def put_new(self, key: str, data: bytes, durable: bool) -> bool:
        folder, path = self._in_folder(key, durable)
        if not durable and self.exists(key):
            return False
        temporary = self._write_temporary(folder, data, durable)
        try:
            os.link(temporary, path)
        except FileExistsError:
            if durable:
                self.sync([key])  # the key's writer may have died before it synced the file, or was refused the sync
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._create_without_links(key, path, data, durable)
        finally:
            os.unlink(temporary)
        if durable:
            self._sync_folder(folder)
        return True

    def _create_without_links(self, key: str, path: str, data: bytes, durable: bool) -> bool:
        """Create a file on a file system without hard links. One writer wins, but a crash may leave a torn file, which
        its check sum shows."""
        try:
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._mode(path.rpartition("/")[0])
            )
        except FileExistsError:
            if durable:
                self.sync([key])
            return False
        try:
            try:
                _write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            os.unlink(path)  # no reader has acted on the file: its end was not written, or may not be kept
            raise
        if durable:
            self._sync_folder(path.rpartition("/")[0])
        return True

    def put(self, key: str, data: bytes) -> None:
        folder, path = self._in_folder(key)
        os.replace(self._write_temporary(folder, data, False), path)

    def put_from(self, key: str, write: Callable[[Write], None]) -> None:
        folder, path = self._in_folder(key)
        os.replace(self._fill_temporary(folder, write, False), path)

    def path_of(self, key: str) -> str:
        return self._path(key)

    def mapped(self, key: str) -> tuple[memoryview, Stamp]:
        """A file's content, mapped copy-on-write. Over a network it is copied: another machine may cut the file."""
        path = self._path(key)
        descriptor = _opened(path)
        try:
            found = os.fstat(descriptor)
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
            if found.st_size and is_of_one_kernel(path):
                return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY)), stamp
            memory = bytearray(found.st_size)
            with open(descriptor, "rb", closefd=False) as file:
                file.readinto(memory)
            return memoryview(memory), stamp
        finally:
            os.close(descriptor)

    def hold(self, key: str) -> Held:
        path = self._path(key)
        os.makedirs(path.rpartition("/")[0], exist_ok=True)  # not synced: a proof of life need not outlive the machine
        return Held(path)

    def is_held(self, key: str, place: int) -> bool | None:
        return is_held(self._path(key), place)

    def get(self, key: str) -> bytes:
        with open(self._path(key), "rb", opener=_opened) as file:
            return file.read()

    def get_range(self, key: str, start: int, end: int) -> bytes:
        with open(self._path(key), "rb", opener=_opened) as file:
            file.seek(start)
            end = min(end, os.fstat(file.fileno()).st_size)  # the caller may have read `end` in a damaged file
            return file.read(max(0, end - start))

    def append(self, key: str, data: bytes) -> int:
        _, path = self._in_folder(key)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        try:
            offset = os.lseek(descriptor, 0, os.SEEK_END)
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)
        return offset

    def is_folder(self, key: str) -> bool:
        try:
            return stat.S_ISDIR(os.lstat(self._path(key)).st_mode)  # a link is no folder of ours
        except (FileNotFoundError, NotADirectoryError):
            return False

    def leftovers(self) -> list[str]:
        found = []
        for top in FOLDERS:
            for folder, _, names in os.walk(f"{self._root}/{top}"):
                left = [name for name in names if name.startswith(_TEMPORARY)]
                found += [os.path.relpath(f"{folder}/{name}", self._root) for name in left]
        return [name for name in found if is_leftover(name)]

    def changed(self, key: str) -> float:
        found = os.lstat(self._path(key))
        if stat.S_ISLNK(found.st_mode):
            raise FileNotFoundError(key)  # this package writes no links
        return found.st_mtime

    def exists(self, key: str) -> bool:
        try:
            os.stat(self._path(key))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def delete(self, key: str) -> None:
        """Remove a file. Its folders are opened one by one and must not be links, so nothing outside is removed, even
        if somebody exchanges a folder for a link at this moment."""
        self._path(key)
        *folders, name = key.split("/")
        try:
            at = os.open(self._root, _FOLDER_ONLY)
        except FileNotFoundError:
            return
        try:
            for folder in folders:
                below = os.open(folder, _FOLDER_ONLY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = below
            if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                raise PermissionError(errno.EPERM, "it is a link, so it is none of promissory's files")
            os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                why = "it lies behind a link, so it is none of promissory's files"
                raise PermissionError(errno.EPERM, why) from None
            raise
        finally:
            os.close(at)

    def list(self, prefix: str) -> list[str]:
        try:
            names = os.listdir(self._path(prefix))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [f"{prefix}/{name}" for name in names if not name.startswith(_TEMPORARY)]

    def sync(self, keys: Iterable[str]) -> None:
        """Sync files and their folders (rule J4).

        A file whose sync is refused with EIO is written anew, because the kernel has marked its pages clean and would
        call the next sync a success (A. Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
        """
        folders: dict[str, None] = {}
        for key in keys:
            path = self._path(key)
            folder = path.rpartition("/")[0]
            descriptor = _opened(path)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                os.replace(self._write_temporary(folder, self.get(key), True), path)
            finally:
                os.close(descriptor)
            folders[folder] = None
        if self._unsynced:
            self._sync_new_folders()
        for folder in folders:
            self._sync_folder(folder)
        self._sync_above(folders)

    def _sync_above(self, folders: Iterable[str]) -> None:
        """Sync the folders above some, once: another process may have made them, and have ended since."""
        parents: dict[str, None] = {}
        for folder in folders:
            while folder not in self._lasting and len(folder) > len(self._root):
                self._lasting.add(folder)
                folder = folder.rpartition("/")[0]
                parents[folder] = None
        for parent in parents:
            self._sync_folder(parent)


def _opened(path: str, _: int = 0) -> int:
    """Open a file to be read. A pipe without a writer would keep a reader waiting for ever, and a folder can be synced
    as if it were the file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
    raise OSError(errno.ENXIO, "it is a pipe or a device, not a file")


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
