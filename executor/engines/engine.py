"""The `Engine` protocol, and engines by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from executor.errors import EngineError
from executor.store import Store


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine's workers need to know of the run.

    Attributes:
        store: where objects and logs go.
        run_id: the run.
        epoch: the executor's epoch; logs of different epochs have different names.
        created: when the run was created, in µs since the epoch.
        echo: whether to repeat what bodies print on standard error.
    """

    store: Store
    run_id: str
    epoch: int
    created: int
    echo: bool


class Engine(Protocol):
    """Carries batches to workers.

    `slots` says how many invocations can run at one time. `submit` never blocks; `wait` gives outcomes (trees, as `executor.invocation` has them) as soon
    as there are any, or none after `timeout` seconds. A `KeyboardInterrupt` may come out of `wait`; `salvage` then gives what was done before it.
    """

    name: str
    slots: int

    def open(self, setup: Setup) -> None:
        """Start workers for a run."""

    def submit(self, batch: bytes) -> None:
        """Have a batch run."""

    def wait(self, timeout: float | None) -> list[Any]:
        """Outcomes that have come."""

    def salvage(self) -> list[Any]:
        """Outcomes that `wait` could not give because it was interrupted."""

    def close(self) -> None:
        """End the workers."""


def engine_named(engine: str | Engine) -> Engine:
    """The engine of a name (`inline`), or the engine itself."""
    if not isinstance(engine, str):
        return engine
    if engine == "inline":
        from executor.engines.inline import Inline

        return Inline()
    raise EngineError(f"there is no engine {engine!r}; there is: inline")
