"""Commands to a run that goes on: obeyed between two rounds of its loop, and acknowledged once their effects are
committed."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from promissory.executor.crash_points import reached
from promissory.executor.journal.writer import Journal
from promissory.executor.protocol.events import PAUSED, UNPAUSED
from promissory.executor.records.inbox import Command
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.store.store import Store
from promissory.typesys.canonical import unpack
from promissory.typesys.errors import FormatError
from promissory.typesys.transcode import fits

_ENDS: Final = ("stop", "cancel")
_log: Final = logging.getLogger("promissory")


Acknowledge = Callable[[str], None]
"""Tells the sender of a command why it was not obeyed, or with "" that it was."""


def _nothing(refused: str) -> None:
    return


def _always() -> bool:
    return True


class Commands:
    """The commands to one run.

    Args:
        store: the store into which answers are put.
        scheduler: the run's scheduler.
        record: records all events so far in the journal.
        tell: tells other processes at once how the run stands.
        announce: tells bodies whether the run is to end.

    Attributes:
        stopped: the reason of a stop; None before one.
        cancelled: the reason of a cancel from outside; None before one.
    """

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        record: Callable[[], None],
        tell: Callable[[], None],
        announce: Callable[[], None],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._record = record
        self._tell = tell
        self._announce = announce
        self._waiting: deque[tuple[Command, Acknowledge, Callable[[], bool]]] = deque()
        self._at_the_end: list[tuple[str, Acknowledge]] = []
        self.stopped: str | None = None
        self.cancelled: str | None = None

    def take(self, command: Command, acknowledge: Acknowledge = _nothing, stands: Callable[[], bool] = _always) -> None:
        """Take a command. From any thread.

        Args:
            acknowledge: called once the command's effect is committed, with the reason why it was not obeyed, or "".
            stands: tells whether the command has not been withdrawn.
        """
        self._waiting.append((command, acknowledge, stands))

    def __bool__(self) -> bool:
        """Whether a command waits."""
        return bool(self._waiting)

    @property
    def end_the_run(self) -> bool:
        """Whether a command that ends the run was obeyed."""
        return bool(self._at_the_end)

    @property
    def is_cancelled(self) -> bool:
        """Whether a command has cancelled the run."""
        return self.cancelled is not None

    @property
    def want_the_end(self) -> bool:
        """Whether a command that ends the run was given, obeyed yet or not."""
        return self.end_the_run or any(command.command in _ENDS for command, _, _ in list(self._waiting))

    def obey(self, journal: Journal) -> None:
        """Obey the waiting commands. A command that ends the run is acknowledged when the run has ended."""
        scheduler = self._scheduler
        obeyed: list[tuple[Acknowledge, str]] = []
        while self._waiting:
            command, acknowledge, stands = self._waiting.popleft()
            if not stands():
                self._announce()
                continue
            now = time.time_ns() // 1000
            if command.command in _ENDS:
                if command.command == "stop":
                    self.stopped = command.reason
                else:
                    self.cancelled = command.reason
                scheduler.stop()
                self._at_the_end.append((command.command, acknowledge))
                self._tell()
                continue
            refused = ""
            if command.command in ("pause", "unpause") and self.end_the_run:
                refused = f"the run was told to {self._end} before it could be told to {command.command}"
            elif command.command == "pause" and not scheduler.paused:
                self._record()
                scheduler.paused = True
                journal.append([(PAUSED, command.reason, now)])
            elif command.command == "unpause" and scheduler.paused:
                scheduler.paused = False
                journal.append([(UNPAUSED, now)])
            elif command.command == "answer":
                refused = self._answer(command)
            obeyed.append((acknowledge, refused))
        if obeyed:
            self._record()
            journal.flush()
            self._tell()
            reached("inbox.obeyed")
            for acknowledge, refused in obeyed:
                acknowledge(refused)

    @property
    def _end(self) -> str:
        """The command that decides the run's end: a cancel goes before a stop."""
        return "stop" if self.cancelled is None else "cancel"

    def close(self) -> None:
        """Acknowledge the commands that ended the run, now that it has ended."""
        reached("inbox.obeyed")
        for command, acknowledge in self._at_the_end:
            acknowledge("" if command == self._end else f"the run was told to {self._end}, too, and did that")

    def _answer(self, command: Command) -> str:
        """Give a gate its answer. Returns why it is not taken, or ""."""
        waiting = self._scheduler.gate(command.gate)
        if waiting is None:
            _log.warning("an answer to %s by %s is not taken: it does not wait any more", command.gate, command.sender)
            return f"{command.gate} does not wait for an answer any more"
        wanted = waiting.wants
        try:
            fitting = wanted is not None and fits(unpack(command.value), wanted)
        except FormatError:
            fitting = False
        if not fitting:
            _log.warning("an answer to %s by %s is not taken: it is no %s", waiting.path, command.sender, wanted)
            return f"{waiting.path} wants {wanted}"
        self._scheduler.answered(waiting, self._store.put_value(command.value), command.sender)
        return ""
