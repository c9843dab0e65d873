"""The message that opens a run in a worker process. With it the worker takes on this process's folder, paths,
environment and logging."""

from __future__ import annotations

import logging
import os
import sys

from promissory.executor.code.source_bundle import unpacked_apart
from promissory.executor.engines.engine import Setup
from promissory.executor.engines.processes.messages import Opening


def opening_of(setup: Setup) -> Opening:
    """The opening of a run, as this process is now. The worker's name is filled in when a worker is told.

    A run that was submitted runs the code in its bundle, whatever this process would import (rule Q3).
    """
    root = logging.getLogger()
    opening = Opening(
        setup.store.url if setup.store.outlives_the_process else None,
        setup.run_id,
        setup.epoch,
        "",
        setup.created,
        setup.echo or "",
        setup.log_level,
        _folder(),
        [path or _folder() for path in sys.path],
        list(sys.argv),
        dict(os.environb),
        None if setup.script is None else list(setup.script),
        [list(pair) for pair in setup.modules],
        setup.bundle,
        [root.level, _plain_format(root)] if root.handlers else None,
    )
    return older_opening(opening, setup) if setup.is_pinned and setup.bundle else opening


def older_opening(opening: Opening, setup: Setup) -> Opening:
    """The opening of a process that has the code which the run began with: its imports find the run's bundle first."""
    folder = unpacked_apart(setup.store, setup.bundle)
    return opening._replace(path=[folder, *opening.path], script=None, modules=[])


def _plain_format(root: logging.Logger) -> str:
    """The format of the root logger's records, where any process can use it: a formatter of another class, or fields
    that a filter adds, belong to the module that made them."""
    for handler in root.handlers:
        formatter = handler.formatter
        form = formatter._fmt if type(formatter) is logging.Formatter else None
        if form is not None and _formats_any_record(form):
            return form
    return logging.BASIC_FORMAT


def _formats_any_record(form: str) -> bool:
    try:
        logging.Formatter(form).format(logging.makeLogRecord({}))
    except (ValueError, KeyError):
        return False
    return True


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"
