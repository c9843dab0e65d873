"""Merges: a node that takes the first of its inputs whose value is there (rule B1). Pure."""

from __future__ import annotations

from typing import Final

from promissory.executor.protocol.events import NODE_DONE
from promissory.executor.scheduler import completion
from promissory.executor.scheduler.frame import Frame
from promissory.executor.scheduler.kinds.kind import FAILS, Kind, take_done
from promissory.executor.scheduler.propagation import first_there
from promissory.executor.scheduler.state import State


def _begin(state: State, frame: Frame, index: int, now: float, calendar: float) -> None:
    value = first_there(frame, index)
    assert value is not None
    completion.done(state, frame.id, index, value)


MERGES: Final = Kind(events={NODE_DONE: take_done, **FAILS}, begin=_begin)
