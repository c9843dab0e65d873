"""The standard streams as a command finds them: missing, closed, of a narrow encoding, or read by nobody any more."""

from __future__ import annotations

import io
import os
import sys


def use_any_streams() -> None:
    """Make the standard streams take any text, and occupy descriptors that were closed.

    A file that is opened while descriptor 2 is free becomes standard error, and what a library written in C prints
    there would go into that file. So a closed descriptor leads to nowhere first.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish_output() -> None:
    """Write out what is left in the buffer of stdout. A reader that has read enough is no failure."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)  # or the interpreter fails when it flushes stdout at its end
        os.close(nowhere)
    except ValueError:  # the program closed the stream
        return
