"""The overview of a run: its state, its nodes by state and by what they call, what failed, what runs, what it waits
for; and the overview as it is stored. Pure."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeVar

from promissory.executor.history.nodes import NodeRow
from promissory.executor.history.summary import Summary
from promissory.executor.protocol import decoding as fields

_VERSION: Final = 1
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class CallRow:
    """The nodes of a run that call one thing: how many there are, how many succeeded, and the µs in their bodies."""

    kind: str
    called: str
    nodes: int
    succeeded: int
    spent: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A run at a glance.

    Attributes:
        summary: the run in one line.
        segment: the newest segment of the journal that is told of; -1 if nothing was written.
        reason: why the run is in its state.
        resumes: how often an executor took it over.
        changed: the callables whose code changed since it began.
        counts: how many nodes are in each state.
        calls: what the nodes call.
        troubled: nodes that failed, run, loop, or wait for another attempt; `more` others are not told one by one.
        maps: the maps under way: path, ended items, all items.
        gates: the gates that wait for an answer: path, name, the type of the answer.
    """

    summary: Summary
    segment: int
    reason: str = ""
    resumes: int = 0
    changed: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    calls: tuple[CallRow, ...] = ()
    troubled: tuple[NodeRow, ...] = ()
    more: int = 0
    maps: tuple[tuple[str, int, int], ...] = ()
    gates: tuple[tuple[str, str, str], ...] = ()

    def to_bytes(self) -> bytes:
        """The overview as JSON, as it is stored."""
        return json.dumps({"version": _VERSION, **asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Overview:
        """Read a stored overview. Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` for what is none."""
        told = json.loads(data)
        if told.pop("version") != _VERSION:
            raise ValueError("an overview of another version")
        found = cls(
            _of(Summary, told["summary"]),
            fields.whole(told["segment"]),
            fields.text(told["reason"]),
            fields.count(told["resumes"]),
            tuple(fields.text(name) for name in fields.items(told["changed"])),
            {fields.text(state): fields.count(count) for state, count in told["counts"].items()},
            tuple(_of(CallRow, one) for one in fields.items(told["calls"])),
            tuple(_of(NodeRow, one) for one in fields.items(told["troubled"])),
            fields.count(told["more"]),
            tuple(_columns(one, str, int, int) for one in fields.items(told["maps"])),
            tuple(_columns(one, str, str, str) for one in fields.items(told["gates"])),
        )
        if len(told) != len(dataclasses.fields(cls)):
            raise ValueError("an overview of other fields")
        return found


def _of(row: type[R], told: Any) -> R:
    """A row of simple fields from JSON. Raises `ValueError` or another error if it is none."""
    made = {}
    for one in dataclasses.fields(row):  # type: ignore[arg-type]
        value = told[one.name]
        if value.__class__ is list:  # of numbers and texts, whose types nothing depends on but what is printed
            value = _columns(value, *(type(item) for item in value))
        elif value is not None and value.__class__.__name__ != one.type:
            raise ValueError(f"{one.name} is {value!r}")
        made[one.name] = value
    return row(**made)


def _columns(told: Any, *types: type) -> Any:
    """A list from JSON as a tuple of numbers and texts."""
    for item, wanted in zip(fields.items(told, len(types)), types, strict=True):
        if item.__class__ is not wanted or wanted not in (int, str):
            raise ValueError(f"{item!r} is not of type {wanted.__name__}")
    return tuple(told)
