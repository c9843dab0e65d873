"""Files that a process holds locked: the proof that the process lives (rule J3).

The kernel keeps the lock, so the proof needs no thread, no clock, no process number and no host name. A lock of
`fcntl.lockf` is seen across pid namespaces and containers, is not kept by forks of its process, and is free at the
moment in which the process ends, however it ends. It has one weakness: it is gone as soon as the process closes *any*
descriptor of the file. So a process never opens a file that it holds (`is_held` asks first whether it does), and the
holder takes its locks again at each beat, in case somebody else's code in it has read the file.

A lock that is seen is always a proof of life. A lock that is free proves a death only on a file system that one kernel
alone has mounted: over a network, locks may be kept by each machine for itself.

The lock is one of readers, for which the file is open for reading only: a file that is open for writing would keep its
disk from being mounted read-only. Who asks takes no lock, so nobody's question is in another's way.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

_OF_ONE_KERNEL: Final = frozenset(
    ("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "ntfs3", "overlay", "ramfs")
    + ("reiserfs", "tmpfs", "ufs", "vfat", "xfs", "zfs")
)
"""Types of file systems whose locks are all known to the kernel that is asked."""
_LAYOUTS: Final = {
    "linux": (struct.Struct("@hhqqi0q"), ("type", "whence", "start", "length", "process")),
    "darwin": (struct.Struct("@qqihh0q"), ("start", "length", "process", "type", "whence")),
}
"""How each system lays out `struct flock`."""

_held: dict[tuple[int, int], Held] = {}
"""The files that this process holds, by device and inode. A fork inherits the table, and holds none of them."""
_mounted: dict[int, bool] = {}
"""The devices that were looked up, and whether their file systems are of one kernel."""


class Held:
    """A file of this process, with places that it can hold locked.

    Raises `OSError` if the file can't be made.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._process = os.getpid()
        self._places: set[int] = set()
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for place in self._places:
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
        except BaseException:
            os.close(descriptor)
            raise
        found = os.fstat(descriptor)
        self._descriptor, self._file = descriptor, (found.st_dev, found.st_ino)
        _held[self._file] = self

    def hold(self, place: int) -> None:
        """Hold a place, so that others see that it is held. Raises `OSError` if the file system has no locks."""
        with self._lock:
            fcntl.lockf(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
            self._places.add(place)

    def free(self, place: int) -> None:
        """Hold a place no longer."""
        with self._lock:
            self._places.discard(place)
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def renew(self) -> None:
        """Take the locks again, in case they were lost: a body read the file, or somebody removed it."""
        with self._lock:
            try:
                found = os.stat(self._path)
            except OSError:
                found = None
            if found is not None and (found.st_dev, found.st_ino) == self._file:
                for place in self._places:
                    with suppress(OSError):
                        fcntl.lockf(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, place)
                return
            lost, file = self._descriptor, self._file
            with suppress(OSError):  # the store is gone, or its folder is: the journal finds that out
                self._open()
                _held.pop(file, None)
                os.close(lost)

    def has(self, place: int) -> bool:
        """Whether this process holds a place, or with 0 any."""
        return place in self._places if place else bool(self._places)

    @property
    def is_here(self) -> bool:
        """Whether this process is the one that holds the file, and no fork of it."""
        return self._process == os.getpid()

    def close(self) -> None:
        """Remove the file, and its folder if nothing else is in it."""
        with self._lock:
            with suppress(OSError):  # the store may be gone, or take no writes any more; the lock goes all the same
                os.unlink(self._path)
                os.rmdir(self._path.rpartition("/")[0])
            _held.pop(self._file, None)
            os.close(self._descriptor)


def is_held(path: str, place: int) -> bool | None:
    """Whether a process holds a place of a file, counted from 1, or with 0 any of them; None if that can't be known
    here."""
    try:
        found = os.stat(path)
        own = _held.get((found.st_dev, found.st_ino))
        if own is not None and own.is_here:
            return own.has(place)  # to open and close the file would give the locks up
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False if is_of_one_kernel(path) else None
    except OSError:
        return None
    try:
        held = _is_locked(descriptor, place)
    finally:
        os.close(descriptor)
    return held if held is not False or is_of_one_kernel(path) else None


def _is_locked(descriptor: int, place: int) -> bool | None:
    """Whether another process holds a place (0: any place) of an open file; None if the system doesn't say."""
    if sys.platform not in _LAYOUTS:
        return None
    layout, names = _LAYOUTS[sys.platform]
    asked = {"type": fcntl.F_WRLCK, "whence": os.SEEK_SET, "start": place, "length": 1 if place else 0, "process": 0}
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, layout.pack(*(asked[name] for name in names)))
    except (OSError, struct.error):  # no locks on this file system; or the place is out of bounds
        return None
    return bool(layout.unpack(answer)[names.index("type")] != fcntl.F_UNLCK)


def is_of_one_kernel(path: str) -> bool:
    """Whether no other machine can have mounted the file system of a path. False if that can't be known."""
    there = path
    while there and not os.path.exists(there):
        there = there.rpartition("/")[0]
    try:
        device = os.stat(there or "/").st_dev
    except OSError:
        return False
    if device not in _mounted:
        _mounted[device] = _type_of(there or "/") in _OF_ONE_KERNEL
    return _mounted[device]


def _type_of(path: str) -> str:
    """The type of the file system of a path; empty if the system doesn't tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real = os.path.realpath(path)
    longest, kind = "", ""
    for mount in mounts:
        before, _, after = mount.partition(" - ")
        point = _unescaped(before.split(" ")[4])
        # Of two mounts on one folder the later one counts.
        if len(point) >= len(longest) and (real == point or real.startswith(point.rstrip("/") + "/")):
            longest, kind = point, after.split(" ")[0]
    return kind


def _unescaped(point: str) -> str:
    """A mount point as the kernel wrote it, with spaces and the like as octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point
