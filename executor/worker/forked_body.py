"""The end of a child that came back from a body which forked."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress


def end_child(error: BaseException | None) -> None:
    """End a process as Python would end a program in which this error was raised."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a body may have put any object there
            stream.flush()
    os._exit(code & 0xFF)
