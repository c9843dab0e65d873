"""Parts of values from stores that are far away, kept on this machine (rule V4): a part is fetched once a host, and
mapped by all who read it.

The folder is `PROMISSORY_CACHE_DIR`, else `$XDG_CACHE_HOME/promissory`, else `~/.cache/promissory`. Only its owner may
enter it (mode 0700), so what is in it was checked when it was written, by us. It holds up to 10 GiB; what was not used
for longest goes first. It can be deleted at any time, and a full disk, or a folder that isn't ours, means reading
without it.
"""

from __future__ import annotations

import mmap
import os
import secrets
import stat
from contextlib import suppress
from typing import Final

from promissory.typesys.buffer import PartName

LIMIT: Final = 10 << 30
"""The bytes that the cache holds."""


def folder() -> str | None:
    """The folder of the cache, made if need be; None if there is none that only this user may write to."""
    told = os.environ.get("PROMISSORY_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.join(told or os.path.join(base, "promissory"), "parts")
    if not os.path.isabs(path):
        return None
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except OSError:
        return None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return path if is_ours else None


def cached(name: PartName) -> memoryview | None:
    """The bytes of a part in the cache, mapped copy-on-write; None if it isn't there."""
    place = folder()
    if place is None:
        return None
    path = os.path.join(place, name.digest.hex())
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_size != name.size:
            return None  # a machine died while it was written
        memory = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_COPY))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)
    with suppress(OSError):
        os.utime(path)
    return memory


def path_of(name: PartName) -> str | None:
    """The path of a part in the cache; None if it isn't there."""
    place = folder()
    path = None if place is None else os.path.join(place, name.digest.hex())
    return path if path is not None and os.path.isfile(path) and os.path.getsize(path) == name.size else None


def keep(name: PartName, data: bytes) -> None:
    """Put a part, whose bytes were checked, into the cache. What can't be kept is not."""
    place = folder()
    if place is None or name.size > LIMIT:
        return
    temporary = os.path.join(place, f".tmp-{secrets.token_hex(8)}")
    try:
        _make_room(place, name.size)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, os.path.join(place, name.digest.hex()))
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)


def _make_room(place: str, size: int) -> None:
    """Remove what was not used for longest, until there is room. Who has mapped it keeps it."""
    files = []
    with os.scandir(place) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            files.append((found.st_mtime_ns, found.st_size, entry.path))
    held = sum(length for _, length, _ in files)
    for _, length, path in sorted(files):
        if held + size <= LIMIT:
            return
        with suppress(OSError):
            os.unlink(path)
        held -= length
