"""`RunReader`: what is kept of a run, as Python values, rows and events (rule V1), live or long over, from the store
alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from promissory.executor.execution.event_stream import EventStream
from promissory.executor.history.follow import Follower
from promissory.executor.history.history import History, NodeRow
from promissory.executor.history.logs import Logs, errors_of, prefix_of
from promissory.executor.history.recovery import as_committed
from promissory.executor.history.run_events import Cursor
from promissory.executor.history.summary import GOES_ON, standing_of_run
from promissory.executor.history.values import Typed, inputs_at, value_at
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.store.store import Store
from promissory.planner.body.payload import decoded_payload
from promissory.planner.plan.plan import Plan
from promissory.typesys.opaque import pickles_refused
from promissory.typesys.types import Type
from promissory.typesys.wire import Codec, codec_for


class RunReader:
    """Reads what is kept of a run.

    Args:
        run_id: the run.
        store: its store.
        trust: whether pickles in it may be loaded.
    """

    def __init__(self, run_id: str, store: Store, trust: bool) -> None:
        self.id = run_id
        self.store = store
        self._trust = trust

    def _without_pickles(self) -> AbstractContextManager[None]:
        """A block in which no pickle is loaded, unless this process may trust the run (rule T2)."""
        if self._trust:
            return nullcontext()
        return pickles_refused(f"attach({self.id!r}, trust=True), if you trust all who may write to {self.store.url}")

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs that the run was given, by name, as Python values."""
        manifest = read_manifest(self.store, self.id)
        types = {parameter.name: parameter.type for parameter in read_plan(self.store, manifest).inputs}
        return {
            name: self._decoded(Typed(self.store.get_value(value), types[name]))
            for name, value in manifest.inputs.items()
        }

    def value(self, path: str) -> Any:
        """The value that a node gave, or an item of a map (`main/score[17]`), as Python; of an iteration of a loop that
        another one followed (`main/fib[=7]`), the data that it handed on.

        Raises:
            RunNotFound: there is no such node.
            NoValue: the node gave no value; the message says how it stands.
        """
        return self._decoded(value_at(History(self.store, self.id, items=True), path))

    def inputs_of(self, path: str) -> dict[str, Any]:
        """The inputs that a node was given, by name, as Python; without those that had no value.

        Raises:
            RunNotFound: there is no such node.
            NoValue: not all of its inputs are there yet.
        """
        given = inputs_at(History(self.store, self.id, items=True), path).inputs
        return {name: self._decoded(one) for name, one in given.items() if one is not None}

    @property
    def channel(self) -> dict[str, Any]:
        """The run's key-value store, as far as it is committed."""
        found = as_committed(self.store, read_manifest(self.store, self.id)).scheduler.channel
        return {key: decoded_payload(data) for key, data in found.items()}

    def errors(self) -> list[NodeRow]:
        """Each attempt that failed, of nodes, items and iterations: path, number, error (`why`), traceback, times."""
        return errors_of(History(self.store, self.id, items=True))

    def logs(self, path: str | None = None) -> str:
        """What bodies said, and the traceback of each attempt that failed; of one node and those inside it, or of all.
        Raises `RunNotFound`."""
        history = History(self.store, self.id, items=True)
        prefix = prefix_of(history, path)
        said = Logs(self.store, prefix).ended(history)
        return "".join(
            f"{line}\n" if at == prefix else f"{at} | {line}\n" for at, text in said for line in text.splitlines()
        )

    def _decoded(self, found: Typed) -> Any:
        with self._without_pickles():
            return self._codec(found.type).decode(found.data, self.store)

    def _codec(self, type: Type) -> Codec:
        """The codec of a type, whose classes are imported by name."""
        return codec_for(type)

    # --- nodes and futures files ---

    def nodes(self, *, items: bool = False) -> list[NodeRow]:
        """Every node that is committed or known: path, state, attempts, times, depth, worker, why.

        Args:
            items: also give a row to each item of a map (`score[17]`) and to each ended iteration of a loop
                (`fib[=7]`).
        """
        return list(History(self.store, self.id, items).nodes(items))

    def futures(self, path: str | None = None) -> Any:
        """The paths of the nodes that emitted futures files. With a path, the futures file of that node as a `Plan`."""
        history = History(self.store, self.id)
        if path is None:
            return history.futures_paths()
        plan: Plan = history.futures(path)[0]
        return plan

    # --- events ---

    def events(self, since: str | None = None, *, follow: bool = True, items: bool = False) -> EventStream:
        """What happens in the run, in order, for `for` and `async for`: what is committed, and what comes until the run
        has ended or nobody works on it.

        Args:
            since: the cursor of an event; what came up to it is left out. None for the beginning.
            follow: whether to wait for what comes; False gives what is committed now.
            items: whether each item of a map has events of its own. A cursor goes with what was wanted here.

        Raises:
            ValueError: `since` is no cursor.
            CursorGone: the run's journal was trimmed, and does not go back to the cursor; or never came as far.

        >>> from promissory import run, task
        >>> @task
        ... def inc(x: int) -> int:
        ...     return x + 1
        >>> ended = run(inc, {"x": 1}, store="memory://events")
        >>> first, *others = ended.events()
        >>> [event.path for event in ended.events(since=first.cursor)] == [event.path for event in others]
        True
        """
        follower = Follower(self.store, self.id, None if since is None else Cursor.from_text(since), items)
        return EventStream(follower, self._goes_on if follow else _not, self._pause())

    def _goes_on(self) -> bool:
        """Whether somebody works on the run."""
        return standing_of_run(self.store, self.id).state in GOES_ON

    def _pause(self) -> Callable[[float], object]:
        """What waits for as many seconds, or until something is committed."""
        return time.sleep


def _not() -> bool:
    return False
