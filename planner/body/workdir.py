"""The scratch folder of an attempt."""

from __future__ import annotations

import atexit
import weakref
from pathlib import Path

from promissory.typesys.scratch import remove_folder, scratch_folder


class Workdir:
    """A folder that is made when it is first asked for.

    Args:
        in_run: whether it is a run's to remove it. What a plain call gives may lie in it, so its folder is removed when
            the program ends.
    """

    def __init__(self, in_run: bool) -> None:
        self._in_run = in_run
        self._made: str | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        if self._made is None:
            self._made = scratch_folder()
            if self._in_run:
                weakref.finalize(self, remove_folder, self._made)
            else:
                atexit.register(remove_folder, self._made)
        return Path(self._made)

    def remove(self) -> None:
        """Remove the folder, if it was made in a run."""
        if self._made is not None and self._in_run:
            remove_folder(self._made)
