"""The proof that the journal tells the whole state: after every round of the run loop, the invariants are checked, and
the state with which a resume would begin is compared with the scheduler's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from promissory.executor.execution import loop as execution
from promissory.executor.execution.loop import Execution
from promissory.executor.history.recovery import recover
from promissory.executor.scheduler import invariants
from promissory.executor.scheduler.node_state import OPEN
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.snapshot import dump
from promissory.executor.worker import awaiting
from promissory.typesys.canonical import unpack, unpack_each


class NotReplayable(AssertionError):
    """A resume would begin with another state than the run has."""


@contextmanager
def always_replay() -> Iterator[None]:
    """Have every run in this block replay its whole journal after each round, and every body that awaits begin anew at
    each await, if it runs in this process. Slow: for tests.

    Raises:
        NotReplayable: the journal's state is not the scheduler's; the message names the difference.
        Violated: the scheduler's state breaks an invariant (`promissory.executor.scheduler.invariants`).

    >>> from promissory import dynamic, task
    >>> import promissory
    >>> @task
    ... def add(a: int, b: int) -> int:
    ...     return a + b
    >>> @dynamic
    ... def fib(n: int) -> int:
    ...     return n if n < 2 else add(fib(n - 1), fib(n - 2))
    >>> with always_replay():
    ...     promissory.run(fib, {"n": 5}, store="memory://doctest").result
    5
    """
    before, execution.examine = execution.examine, _compare
    anew, awaiting.always_anew = awaiting.always_anew, True
    try:
        yield
    finally:
        execution.examine = before
        awaiting.always_anew = anew


def _compare(execution: Execution) -> None:
    scheduler = execution.scheduler
    invariants.check(scheduler, execution.reuse.set_aside)
    if scheduler.holding:
        return  # outcomes that are held back are in the journal already, and must not be acted on yet
    if (
        scheduler.failing
        or scheduler.dead
        or scheduler.cancelled is not None
        or any(one.failed for one in scheduler.maps.values())
        or any(one.failed for one in scheduler.cycles.values())
        or any(one.failed for one in scheduler.awaits.values())
    ):
        return  # a resume tries such nodes again, so its state differs
    execution.journal.flush()
    replayed = recover(execution.store, execution.manifest, execution.clock).scheduler
    there, again = _state(execution.scheduler), _state(replayed)
    for name in there.keys() | again.keys():
        if there.get(name) != again.get(name):
            raise NotReplayable(f"{name} is {there.get(name)!r}, and a resume would begin with {again.get(name)!r}")


def _state(scheduler: Scheduler) -> dict[str, Any]:
    """The state of a scheduler without the parts that depend on the order in which outcomes came."""
    rows, repeats, frames, outputs, limits, next_frame, nodes, done, tries, _, *more = unpack(
        dump(scheduler), "a snapshot"
    )
    found: dict[str, Any] = {
        "outputs": outputs,
        "limits": limits,
        "next frame": next_frame,
        "nodes": nodes,
        "done nodes": done,
    }
    found["retries"] = [[frame, index, retries] for frame, index, _, retries, *_ in tries if retries]
    for name, table in zip(("loops", "maps", "gates", "channel", "terminated"), more, strict=False):
        found[name] = table or None
    of_growing = more[5] if len(more) > 5 else []
    found["tally"] = None if scheduler.tally is None else scheduler.tally.to_tree()
    found["awaits"] = [_known(*row) for row in of_growing[3]] if len(of_growing) > 3 else None
    for tree in unpack_each(frames, "a snapshot"):
        tree[4], tree[13] = rows[tree[4]], sorted(tree[13])
        tree[10] = None if tree[10] is None else repeats[tree[10]]
        found[f"frame {tree[0]}"] = tree
    for id, index, *_ in found["awaits"] or ():  # whether its moment has come is known by the clock alone
        states = bytearray(found[f"frame {id}"][12])
        states[index] = OPEN
        found[f"frame {id}"][12] = bytes(states)
    return found


def _known(id: int, index: int, repeat: Any, following: int, past: Any, awaited: Any, answers: Any, *rest: Any) -> Any:
    """The row of an async dynamic. What has ended and the body was not told of yet may be in another order."""
    history, told, due, last, _, counted, _, code = rest
    return [id, index, repeat, following, past, sorted([*awaited, *answers]), history, told, due, last, counted, code]
