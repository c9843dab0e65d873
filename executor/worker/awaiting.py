"""The bodies of async dynamics that wait in a worker, and how a body is brought back where none waits (rule D8).

A body is kept from one await to the next. The body of a worker that is gone is begun anew and told all that it was told
before, and it must make the calls that it had made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from promissory.executor.code.resolver import Refused
from promissory.executor.errors import OutputUnavailable
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import segment_place
from promissory.executor.protocol.messages import AWAITS, CANCEL, FAILURE, VALUE
from promissory.executor.worker.streams import muted, speaker
from promissory.executor.worker.values import Values
from promissory.planner.body.context import Body
from promissory.planner.body.step_context import carry_into_steps
from promissory.planner.entities.dynamic import Dynamic
from promissory.planner.errors import SignalError
from promissory.planner.plan.format import FuturesHeader, digest_without_code, futures_from_bytes, futures_to_bytes
from promissory.planner.plan.plan import Plan
from promissory.typesys.buffer import PartName, Parts, Pending
from promissory.typesys.canonical import opened
from promissory.typesys.secret import masked

_MOST: Final = 256
"""Bodies that are kept in a process. The one that was told something the longest time ago is let go first."""

carry_into_steps(speaker)

always_anew = False
"""Whether no body is kept, so that each is brought back at each await (`promissory.testing.always_replay`)."""


class Kept(NamedTuple):
    """A body that waits: what drives it, and its surroundings, which the author's code may hold."""

    driven: Any
    body: Body
    is_replayed: bool = False


class Bodies:
    """The bodies that wait in this process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Kept] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, frame: int, index: int, number: int) -> Kept | None:
        """The body of a node that was told something so often, if it is here. It is kept no more."""
        with self._lock:
            kept = self._kept.pop((frame, index), None)
        if kept is None or (kept.driven.stretches == number and not always_anew):
            return kept
        _let_go(kept)
        return None

    def keep(self, frame: int, index: int, kept: Kept) -> None:
        """Keep a body that waits."""
        with self._lock:
            self._kept[frame, index] = kept._replace(is_replayed=False)
            old = self._kept.popitem(last=False)[1] if len(self._kept) > _MOST else None
        if old is not None:
            _let_go(old)

    def close(self) -> None:
        """Let all of them go."""
        with self._lock:
            kept, self._kept = self._kept, OrderedDict()
        for one in kept.values():
            _let_go(one)


def _let_go(kept: Kept) -> None:
    with muted():
        kept.driven.close()


class Told(NamedTuple):
    """An invocation of an async dynamic: how often its body was told something, the moment, what has come since, and
    what it was told before (None if the worker is to have the body)."""

    number: int
    now: float
    told: list[list[Any]]
    history: Sequence[Sequence[Any]] | None


class ToldOf(Exception):
    """A body has failed because of a failure that it was told of some time ago."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Brought(Pending):
    """The parts of what a body was told, if they can be had only while the invocation that brought them is carried out:
    the body may look at its value after that, and several workers of one process tell it, each with its own
    contents."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[PartName, bytes] = {}

    def take(self, data: bytes, source: Parts) -> bytes:
        """Read the parts of a value from where they are now. Gives its bytes back."""
        for name in opened(data)[1]:
            self._held[name] = bytes(source.mapped((name,)))
        return data

    def mapped(self, names: tuple[PartName, ...]) -> memoryview:
        return memoryview(bytearray().join(self._held[name] for name in names))


class Wakes:
    """Begins bodies of async dynamics, and tells them what has come.

    Args:
        values: of the worker.
        bodies: the bodies that wait here.
        is_carried: whether values can be fetched only while the invocation that brought them is carried out.
    """

    def __init__(self, values: Values, bodies: Bodies, is_carried: bool) -> None:
        self._values = values
        self._bodies = bodies
        self._is_carried = is_carried

    def brought_back(
        self,
        entity: Dynamic[..., Any],
        arguments: list[Any],
        frame: int,
        index: int,
        told: Told,
        body: Body,
        header: FuturesHeader,
    ) -> Kept | None:
        """The body of a node, as it was after all that it was told before; None if it can't be had here.

        Raises `Refused` if it makes other calls than it had made, and what the body raises.
        """
        from promissory.planner.entities.awaiting import AwaitingBody

        kept = self._bodies.take(frame, index, told.number)
        if kept is not None:
            return kept
        if told.number and told.history is None:
            return None
        values, encoded = self._values.arguments_of(entity, arguments)
        before = [] if told.history is None else told.history[: told.number]
        parts = Brought() if self._is_carried else self._values.parts
        driven = AwaitingBody(entity, values, encoded, before[0][0] if before else told.now, parts)
        body.given().clock = driven.loop.time
        if before:
            with muted():
                try:
                    for number, (now, trees, futures, *_) in enumerate(before):
                        self._replay(entity, driven, number, now, trees, futures, header)
                except BaseException:
                    driven.close()
                    raise
        return Kept(driven, body, bool(before))

    def _replay(
        self,
        entity: Dynamic[..., Any],
        driven: Any,
        number: int,
        now: float,
        trees: list[Any],
        futures: bytes | None,
        header: FuturesHeader,
    ) -> None:
        stretch = driven.go_on(now, self._answers(trees, driven.parts))
        plan = stretch.plan
        if plan is None and futures is None:
            return
        if plan is not None and not stretch.ends and futures_to_bytes(plan, _header(header, driven)) == futures:
            return
        recorded = None if futures is None else futures_from_bytes(futures)[0]
        if (
            plan is None
            or recorded is None
            or stretch.ends
            or digest_without_code(plan) != digest_without_code(recorded)
        ):
            raise Refused("NonDeterminism", _differs(entity, number, plan, recorded))
        # Tasks whose code was changed meanwhile are called as before.

    def tell(self, kept: Kept, told: Told) -> Any:
        """Tell a body what has come. Gives what it did (`promissory.planner.entities.awaiting.Stretch`)."""
        return kept.driven.go_on(told.now, self._answers(told.told, kept.driven.parts))

    def _answers(self, trees: list[list[Any]], parts: Parts) -> list[Any]:
        from promissory.planner.entities.awaiting import Answer

        return [Answer((tree[0], tree[1]), self._given(tree, parts)) for tree in trees]

    def _given(self, tree: list[Any], parts: Parts) -> Any:
        _, _, status, *more = tree
        if status == VALUE:
            argument = more[0]
            if isinstance(parts, Brought):
                return parts.take(self._values.bytes_of(argument), self._values.parts)
            return argument if argument.__class__ is bytes else lambda: self._values.bytes_of(argument)
        if status == FAILURE:
            path, failure = more[0], Failure.from_tree(more[1])
            error = failure.exception()
            error.add_note(f"It was raised in {path}:\n{failure.traceback}" if failure.traceback else f"in {path}")
            return error
        return OutputUnavailable("what was awaited was skipped, so it has no value")


def waiting(
    kept: Kept, told: Told, stretch: Any, header: FuturesHeader, emitted: Callable[[Plan, FuturesHeader], bytes]
) -> tuple[int, Any]:
    """The outcome of a body that waits, or that has ended after it had waited: status and payload. Raises
    `SignalError` if it has asked its run for something."""
    context = kept.body.context
    if context is not None and context.has_asked:
        if context.requests.refused is not None:
            raise context.requests.refused
        if context.requests.cancel is not None:
            return CANCEL, masked(context.requests.cancel)
        raise SignalError(
            "the body of an async dynamic asked its run for something: a replay would ask again",
            where=context.requests.where,
            way_out="have a task ask, and await it",
        )
    futures = None if stretch.plan is None else emitted(stretch.plan, _header(header, kept.driven))
    awaited = [list(ref) for ref in stretch.awaited]
    return AWAITS, [told.now, len(told.told), futures, stretch.ends, awaited, stretch.due]


def _header(of_dynamic: FuturesHeader, driven: Any) -> FuturesHeader:
    """The header of the segment that a body has just emitted."""
    return FuturesHeader(*segment_place(of_dynamic.parent, of_dynamic.index, driven.emitted), of_dynamic.depth)


def _differs(entity: Dynamic[..., Any], number: int, plan: Plan | None, recorded: Plan | None) -> str:
    """Say which call of a replay is the first that was not made so before."""
    here, there = _calls(plan), _calls(recorded)
    first = next((at for at, (now, then) in enumerate(zip(here, there, strict=False)) if now != then), None)
    first = min(len(here), len(there)) if first is None else first
    lines = () if plan is None or not plan.origin.lines else plan.origin.lines[0]
    at = f" at {lines[first]}" if first < len(lines) and lines[first] is not None else ""
    return (
        f"{entity.name}, told the same again, does not do the same. Its call {first + 1} after {number} awaits is now "
        f"{_said(here, first)}{at}; then it was {_said(there, first)}. What it calls may depend on its inputs and on "
        "what it awaited alone: take the time, random numbers and uuids from its context (ctx.now(), ctx.random(), "
        "ctx.uuid4()), and anything else from a task"
    )


def _calls(plan: Plan | None) -> list[str]:
    """The calls of a plan as people read them: name and arguments."""
    return [] if plan is None else [line.partition(" = ")[2] for line in plan.show().splitlines()[1 : 1 + len(plan)]]


def _said(calls: list[str], at: int) -> str:
    return calls[at] if at < len(calls) else "none"
