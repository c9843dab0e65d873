"""Where the store of runs is looked for, if none is named: `PROMISSORY_STORE`, else the nearest folder `.promissory`
here or above, up to the project's own folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from promissory.executor.errors import UnsafeStore
from promissory.executor.store.store import Store

FOLDER: Final = ".promissory"
_ENDS_A_PROJECT: Final = (".git", "pyproject.toml")
_IGNORED: Final = "# What runs keep is no source.\n*\n"


def default_store() -> str:
    """The store of runs for which none is named. It may not be there yet.

    Raises `UnsafeStore` for a folder that belongs to another user, or that every user may write.
    """
    found = os.environ.get("PROMISSORY_STORE")
    if found:
        return found
    folder = folder_found()
    return f"./{FOLDER}" if folder is None or folder.parent == _here() else str(folder)


def folder_found() -> Path | None:
    """The nearest folder of this name here or above, up to the first folder that has a `.git` or a `pyproject.toml`, or
    is the user's home. Raises `UnsafeStore`."""
    here = _here()
    for folder in [] if here is None else [here, *here.parents]:
        store = folder / FOLDER
        if store.is_dir():
            refuse_unsafe(store)
            return store
        if any((folder / name).exists() for name in _ENDS_A_PROJECT) or folder == _home():
            return None
    return None


def _here() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None  # the working directory was removed


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:
        return None


def is_own(folder: Path) -> bool:
    """Whether a folder belongs to this user, and nobody else may write it."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & stat.S_IWOTH


def refuse_unsafe(folder: Path) -> None:
    """Raise `UnsafeStore` for a folder that belongs to another user, or that every user may write: what lies there may
    be a stranger's code, and a run loads it."""
    if not is_own(folder):
        of = "can be written by every user" if folder.stat().st_uid == os.geteuid() else "belongs to another user"
        raise UnsafeStore(
            f"the store {folder} {of}, so it is not taken unasked. If you trust it, name it: --store {folder}, "
            f"or PROMISSORY_STORE={folder}"
        )


def keep_out_of_sources(store: Store) -> None:
    """Have version control ignore a store that was made in the working directory without having been named."""
    here = _here()
    if here is None or store.url != Store(here / FOLDER).url:
        return
    ignored = here / FOLDER / ".gitignore"
    if not ignored.exists():
        ignored.parent.mkdir(exist_ok=True)
        ignored.write_text(_IGNORED)
