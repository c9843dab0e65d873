"""The words that a run says on standard error while it goes on: of an attempt that failed and is tried again, and of a
gate that waits, with the command that answers it (rule X5)."""

from __future__ import annotations

import time
from typing import Final

from promissory.executor.cache.entries import Entry
from promissory.executor.execution.run import go_on_command
from promissory.executor.protocol.events import GATED, RETRIED, Event
from promissory.executor.protocol.failure import Failure
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.waiting import Waiting
from promissory.executor.store.store import Store
from promissory.executor.worker.streams import echo
from promissory.typesys.types import BOOL

TOLD: Final = frozenset((RETRIED, GATED))
"""The kinds of events of which there is something to say."""

_EACH: Final = 20
_PAUSE: Final = 1.0
"""Retries are told one by one up to a number, and then at most once in so many seconds: a map may have a million."""
_LONGEST: Final = 200


class Words:
    """Says what happens in one run.

    Args:
        run_id, store: the run.
        scheduler: tells the paths of nodes.
        tells_gates: whether to tell of gates that wait: nobody else asks for their answers.
    """

    def __init__(self, run_id: str, store: Store, scheduler: Scheduler, tells_gates: bool = True) -> None:
        self._tells_gates = tells_gates
        self._cached: set[bytes] = set()
        self._run_id = run_id
        self._store = store
        self._scheduler = scheduler
        self._told = 0
        self._left_out = 0
        self._last = 0.0

    def begin(self) -> None:
        """Tell of the gates that wait already when an executor takes the run up."""
        for waiting in list(self._scheduler.waiting.values()):
            self._tell_gate(waiting)

    def take(self, event: Event) -> None:
        """Tell of one event of the kinds in `TOLD`."""
        if event[0] == RETRIED:
            self._tell_retry(event)
        else:
            _, frame, index, _ = event
            waiting = self._scheduler.waiting.get((frame, index))
            if waiting is not None:
                self._tell_gate(waiting)

    def cached(self, path: str, entry: Entry) -> None:
        """Tell that a cached outcome is used, once for each callable."""
        if entry.fields[0][1] not in self._cached:
            self._cached.add(entry.fields[0][1])
            echo(f"promissory: {path}: cached ({entry.run_id}, {age(time.time() - entry.created / 1e6)} ago)\n")

    def _tell_retry(self, event: Event) -> None:
        _, frame_id, index, tree, meta, delay, _ = event
        frame = self._scheduler.frames.get(frame_id)
        if frame is None:  # its frame has failed in the same moment, and with it the retry
            return
        now = time.monotonic()
        if self._told >= _EACH and now - self._last < _PAUSE:
            self._left_out += 1
            return
        self._told, self._last = self._told + 1, now
        path = frame.path_of(index, self._scheduler.iteration(frame_id, index))
        attempt, budget = meta[3], frame.topology.policy(index).retries
        of = f" of {budget + 1}" if attempt <= budget else ""
        begins = f"in {delay:.3g} s" if delay >= 0.01 else "now"
        more, self._left_out = self._left_out, 0
        echo(
            f"promissory: {path} failed in attempt {attempt}{of} ({first_line(Failure.from_tree(tree))}); "
            f"the next one begins {begins}{f' ({more:,} more retries were not told)' if more else ''}\n"
        )

    def _tell_gate(self, waiting: Waiting) -> None:
        if waiting.wants is None or not self._tells_gates:
            return
        name = waiting.spec.name
        value = "yes" if waiting.wants == BOOL else "VALUE"
        if self._store.outlives_the_process:
            way = go_on_command(f"answer {self._run_id} {name} {value}", "", self._store)
        else:
            way = f"run.answer({name!r}, …)"
        echo(f"promissory: {waiting.path} waits for an answer ({waiting.wants}): {way}\n")


def age(seconds: float) -> str:
    """How long ago something was, as a person says it.

    >>> age(0.2), age(200), age(90_000), age(260_000)
    ('0 seconds', '3 minutes', '25 hours', '3 days')
    """
    for unit, length, enough in (("day", 86_400, 172_800), ("hour", 3_600, 7_200), ("minute", 60, 120)):
        if seconds >= enough:
            return f"{seconds / length:.0f} {unit}s"
    whole = max(0, round(seconds))
    return f"{whole} second{'' if whole == 1 else 's'}"


def first_line(failure: Failure) -> str:
    """The first line of an error, short enough for one line of a terminal.

    >>> first_line(Failure.of_executor("TaskTimeout", "it took long\\nand longer"))
    'TaskTimeout: it took long'
    """
    line = (str(failure).splitlines() or [""])[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
