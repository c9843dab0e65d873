"""The message that opens a run in a worker process. With it the worker takes on this process's folder, paths,
environment and logging."""

from __future__ import annotations

import logging
import os
import sys

from promissory.executor.engines.engine import Setup
from promissory.executor.engines.processes.messages import Opening


def opening_of(setup: Setup) -> Opening:
    """The opening of a run, as this process is now. The worker's name is filled in when a worker is told."""
    root = logging.getLogger()
    form = next((handler.formatter._fmt for handler in root.handlers if handler.formatter is not None), None)
    return Opening(
        setup.store.url if setup.store.outlives_the_process else None,
        setup.run_id,
        setup.epoch,
        "",
        setup.created,
        setup.echo,
        _folder(),
        [path or _folder() for path in sys.path],
        list(sys.argv),
        dict(os.environb),
        None if setup.script is None else list(setup.script),
        [list(pair) for pair in setup.modules],
        setup.bundle,
        [root.level, form or logging.BASIC_FORMAT] if root.handlers else None,
    )


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"
