"""The standard descriptors of a process: a program may have been started without some of them."""

from __future__ import annotations

import os


def occupy_closed() -> None:
    """Have standard descriptors that are closed lead nowhere.

    A file that is opened while descriptor 2 is free becomes standard error, and what a library written in C prints
    there would go into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
