"""The tally of a run: what has become of nodes whose frames are open no more, and the time that bodies took, by what
the nodes call. Pure.

A frame that ends is folded into the tally, and what is still open stands in the frames. So a run can be told at a
glance, however many nodes it has behind it, and a snapshot carries what a replay from there could not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from promissory.executor.protocol import decoding as fields
from promissory.executor.scheduler.called import Called
from promissory.executor.scheduler.frame import FailedNode, Frame
from promissory.executor.scheduler.node_state import CANCELLED, DONE, ENDED, FAILED, SKIPPED, NodeState

KEPT: Final = 100
"""The number of failed nodes of ended frames that are remembered one by one."""


class Fallen(NamedTuple):
    """A node of an ended frame that failed: its path, what it calls, how many dynamics it is nested in, and why; None
    if it failed with the frame that it stood for."""

    path: str
    called: Called
    depth: int
    failed: FailedNode | None


class Tally:
    """What is behind a run.

    Attributes:
        states: how many nodes of ended frames are in which state, by what they call.
        spent: the µs in bodies, by what the node calls; those of a map's items count for the map.
        fallen: the first nodes that failed in ended frames.
        more_fallen: how many more there are.
        heirs: nodes that count as DONE and have handed their place on to a frame that is open: their number by what
            they call, by the frame's id.
        changed: the callables whose code changed since the run began.
    """

    def __init__(self) -> None:
        self.states: Counter[tuple[Called, int]] = Counter()
        self.spent: Counter[Called] = Counter()
        self.fallen: list[Fallen] = []
        self.more_fallen = 0
        self.heirs: dict[int, dict[Called, int]] = {}
        self.changed: list[str] = []

    def fold(self, frame: Frame, times: int = 1) -> None:
        """Count the nodes of a frame that is open no more.

        Args:
            times: -1 takes the frame out of the tally, since it is open again.
        """
        self.heirs.pop(frame.id, None)
        if frame.part is not None:
            return
        calls, states = frame.topology.calls, self.states
        if not frame.mixed and not frame.remaining:
            for called, count in calls.counts:
                states[called, DONE] += times * count
            return
        for index in calls.told:
            state, failed = frame.state(index), frame.failures.get(index) if frame.failures else None
            if state not in ENDED:  # there was nothing to handle; or its frame was dropped, and what dooms it with it
                unneeded = index == frame.topology.graph.on_failure and failed is None
                state = SKIPPED if unneeded else CANCELLED if failed is None else FAILED
            states[calls.each[index], state] += times
            if state == FAILED:
                by_itself = failed is not None and (failed.frame, failed.node) == (frame.id, index)
                path = frame.path_of(index)
                self._note(Fallen(path, calls.each[index], frame.depth, failed if by_itself else None), times)

    def _note(self, fallen: Fallen, times: int) -> None:
        if times < 0 and fallen in self.fallen:
            self.fallen.remove(fallen)
        elif times < 0 or len(self.fallen) >= KEPT:
            self.more_fallen += times
        else:
            self.fallen.append(fallen)

    def hand_on(self, frame: Frame, index: int, id: int) -> None:
        """A node hands its frame's place on to another frame."""
        heirs = self.heirs.pop(frame.id, None) or {}
        called = frame.topology.calls.each[index]
        heirs[called] = heirs.get(called, 0) + 1
        self.heirs[id] = heirs

    def to_tree(self) -> list[Any]:
        """The tally as it stands in a snapshot."""
        states = [[*called, state, count] for (called, state), count in sorted(self.states.items()) if count]
        spent = [[*called, time] for called, time in sorted(self.spent.items())]
        fallen = [
            [one.path, *one.called, one.depth, None if one.failed is None else one.failed.to_tree()]
            for one in self.fallen
        ]
        heirs = [[id, [[*called, count] for called, count in sorted(one.items())]] for id, one in self.heirs.items()]
        return [states, spent, fallen, self.more_fallen, heirs, self.changed]

    @classmethod
    def from_tree(cls, tree: Any, read_failed: Callable[[Any], FailedNode]) -> Tally:
        """Read the tally of a snapshot. Raises `ValueError` for what is none."""
        tally = cls()
        states, spent, fallen, more, heirs, changed = fields.items(tree, 6)
        for kind, name, state, count in (fields.items(one, 4) for one in fields.items(states)):
            tally.states[_called(kind, name), NodeState(fields.count(state))] = fields.count(count)
        for kind, name, time in (fields.items(one, 3) for one in fields.items(spent)):
            tally.spent[_called(kind, name)] = fields.count(time)
        for path, kind, name, depth, failed in (fields.items(one, 5) for one in fields.items(fallen)):
            why = None if failed is None else read_failed(failed)
            tally.fallen.append(Fallen(fields.text(path), _called(kind, name), fields.count(depth), why))
        tally.more_fallen = fields.count(more)
        for id, rows in (fields.items(one, 2) for one in fields.items(heirs)):
            counted = (fields.items(row, 3) for row in fields.items(rows))
            tally.heirs[fields.count(id)] = {_called(kind, name): fields.count(count) for kind, name, count in counted}
        tally.changed = [fields.text(name) for name in fields.items(changed)]
        return tally


def _called(kind: Any, name: Any) -> Called:
    return fields.text(kind), fields.text(name)
