"""Folders for a while: those in which a body works, and at which files of a store are seen under their own names.

A process that is killed removes nothing. So the guard of a worker names a place for all of the worker's folders, and
removes it when the worker has ended, however that was.
"""

from __future__ import annotations

import os

_place: str | None = None


def use_place(folder: str) -> None:
    """Have all scratch folders of this process be made in a folder, which need not exist yet."""
    global _place
    _place = folder


def scratch_folder() -> str:
    """Make a new empty folder, which only this user can enter."""
    import tempfile  # which few programs need

    if _place is None:
        return tempfile.mkdtemp(prefix="promissory-")
    os.makedirs(_place, mode=0o700, exist_ok=True)
    return tempfile.mkdtemp(dir=_place)


def remove_folder(folder: str) -> None:
    """Remove a folder and what is in it, even what may not be written to."""
    import shutil

    for one, _, _ in os.walk(folder):
        os.chmod(one, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
