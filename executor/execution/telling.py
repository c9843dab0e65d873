"""The progress of a run, told to others while it goes on: to the caller's `on_progress`, and to the heartbeat, which
writes it for other processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Final

from promissory.executor.engines.engine import Engine
from promissory.executor.execution.commands import Commands
from promissory.executor.execution.commits import Commits
from promissory.executor.execution.progress import standing_of
from promissory.executor.records.progress import Progress, Standing
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.planner.errors import warn

_SHOWN_RUNNING: Final = 64
_TELL: Final = 0.25
"""Seconds after which the caller is told which bodies run, though nothing was committed."""


class Telling:
    """Tells how one run stands.

    Args:
        scheduler, engine, commits, commands: the run's.
        on_progress: is told after each commit, from the committing thread, and by the run loop when no commit came for
            a while.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        engine: Engine,
        commits: Commits,
        commands: Commands,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._scheduler = scheduler
        self._engine = engine
        self._commits = commits
        self._commands = commands
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._told = 0.0

    def tell(self) -> None:
        """Tell the caller how the run stands. From any thread."""
        if self._on_progress is None:
            return
        with self._lock:
            self._told = time.monotonic()
            try:
                self._on_progress(self._now())
            except Exception as error:  # an error of the caller's function must not stop the run
                self._on_progress = None
                warn(f"on_progress raised {error!r}, and is not called any more", RuntimeWarning, None)

    def tell_if_due(self) -> None:
        """Tell the caller, if nothing was told for a while."""
        if self._on_progress is not None and time.monotonic() - self._told > _TELL:
            self.tell()

    def _now(self) -> Progress:
        scheduler = self._scheduler
        running = []
        for one in self._engine.running():
            frame = scheduler.frames.get(one.frame)
            if frame is not None:
                running.append(
                    (one.worker, frame.path_of(one.index, scheduler.iteration(one.frame, one.index)), one.since)
                )
        done, nodes = self._commits.shown
        stands = replace(standing_of(scheduler), done=done, nodes=nodes or scheduler.known_nodes)
        return Progress(**asdict(stands), expanded=self._commits.expanded, running=tuple(running))

    def look(self) -> tuple[Standing, list[Any], bool]:
        """For the heartbeat: how the run stands, some of the bodies that run, and whether the run was told to end.

        A call that waits in a batch behind another one is not among the running bodies.
        """
        running = [[one.frame, one.index, one.worker, one.since] for one in self._engine.running()[:_SHOWN_RUNNING]]
        return standing_of(self._scheduler), running, self._commands.end_the_run
