"""Events of a run, as other programs see them: a public vocabulary, which a new version of the journal leaves as it is.

====== ===============================================================================================================
kind   what it tells
====== ===============================================================================================================
run    the run is RUNNING (an executor began with it, or it goes on after a pause), PAUSED, or has ended. `epoch`,
       `host` and `pid` name the executor, `reason` says why
code   a function has other code than when the run began: `name`
frame  a futures file, nested plan, branch or round was opened at a node: `nodes` in it, `depth` of dynamics around it
node   a node has ended (SUCCEEDED, FAILED, UPSTREAM_FAILED, SKIPPED, CANCELLED), or goes on: EXPANDED (its frame runs),
       LOOPING (the next `iteration` follows), WAITING. If a body ran: `attempt`, `started`, `seconds`, `worker`,
       `cached`. `error` and `traceback` of one that failed, `reason` of one that was skipped. A dynamic whose result is
       that of a dynamic which it called hands its place on to that one, and has no end of its own
retry  an attempt has failed and another one follows: `attempt`, `error`, `traceback`, `delay` in seconds
map    `done` of `total` items of a map have ended; once a segment of the journal, however many items
gate   a gate waits: `waits_for` (input, approve, sleep), the type that it `wants`, `until` when
log    a body has said something: `key` in the store, `offset` and `length` in bytes, `worker`
====== ===============================================================================================================

Kinds and fields are only ever added. A reader passes over what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

VERSION: Final = 1
"""The version of the vocabulary, which every event bears as JSON."""


class Cursor(NamedTuple):
    """A place in a run's events: behind so many events of a segment of its journal.

    >>> Cursor.from_text("12.3"), str(Cursor(0, 4))
    (Cursor(segment=12, events=3), '0.4')
    """

    segment: int
    events: int

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """Read a cursor. Raises `ValueError` for what is none."""
        segment, mark, events = text.partition(".")
        if not (mark and segment.isdecimal() and events.isdecimal() and text.isascii()):
            raise ValueError(f"{text!r} is no cursor: it is taken from an event, and looks like 12.3")
        return cls(int(segment), int(events))

    def __str__(self) -> str:
        return f"{self.segment}.{self.events}"


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One event of a run.

    Attributes:
        cursor: the place behind this event; `run.events(since=cursor)` goes on there.
        time: when it happened, in µs since the epoch.
        kind: run, code, frame, node, retry, map, gate or log.
        path: the path of the node; that of the run is `main`.
        state: the state that the node or run is in from now on; empty for kinds that have none.
        details: more facts, by name, as plain data. See the table at the top of the module.

    >>> event = RunEvent("0.1", 0, "node", "main/inc", "SUCCEEDED", {"attempt": 1})
    >>> event["attempt"], event.get("error")
    (1, None)
    >>> event.to_json()
    {'version': 1, 'cursor': '0.1', 'time': '1970-01-01T00:00:00.000000Z', 'kind': 'node', 'path': 'main/inc',
    'state': 'SUCCEEDED', 'attempt': 1}
    """

    cursor: str
    time: int
    kind: str
    path: str
    state: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.details[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Give a detail, or something else if the event lacks it."""
        return self.details.get(name, default)

    def to_json(self) -> dict[str, Any]:
        """Give the event as plain data, with moments as ISO 8601 writes them."""
        told = {"version": VERSION, "cursor": self.cursor, "time": iso(self.time), "kind": self.kind, "path": self.path}
        if self.state:
            told["state"] = self.state
        return {**told, **self.details}


def iso(microseconds: int) -> str:
    """Write a moment (µs since the epoch) as ISO 8601 does, in UTC.

    >>> iso(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
