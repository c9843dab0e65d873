"""The standard streams as a command finds them: missing, closed, of a narrow encoding, or read by nobody any more."""

from __future__ import annotations

import io
import os
import sys

from promissory.executor.worker.descriptors import occupy_closed


def use_any_streams() -> None:
    """Make the standard streams take any text, and have closed descriptors lead nowhere."""
    occupy_closed()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # nobody is to read
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
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
