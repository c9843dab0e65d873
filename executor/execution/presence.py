"""The presence of an executor at its run: it holds a seat and beats, so that other processes leave the run alone (rule
J3)."""

from __future__ import annotations

from collections.abc import Callable

from promissory.executor.execution.telling import Telling
from promissory.executor.protocol.seats import Seat
from promissory.executor.records.executors import enrol, leave
from promissory.executor.records.heartbeat import Heartbeat
from promissory.executor.store.store import Store


class Presence:
    """One executor's presence at one run. The seat is taken at once, so it is held before manifest and journal name it.

    Args:
        store: the run's store.
        shown: whether others are told at all; a plain call's run is nobody else's.
    """

    def __init__(self, store: Store, shown: bool) -> None:
        self._store = store
        self._seat: Seat | None = enrol(store) if shown else None
        self._heartbeat: Heartbeat | None = None

    @property
    def is_shown(self) -> bool:
        """Whether other processes see this executor, and may command it."""
        return self._seat is not None

    @property
    def nonce(self) -> bytes | None:
        """The name of this executor in manifests and segments that it writes; None if nobody looks for it."""
        return None if self._seat is None else self._seat.nonce

    def begin(
        self,
        run_id: str,
        epoch: int,
        telling: Telling,
        overtaken: Callable[[], None],
        broken: Callable[[Exception], None],
    ) -> None:
        """Begin to beat; see `Heartbeat`. Raises `StoreError`."""
        if self._seat is not None:
            self._heartbeat = Heartbeat(self._store, run_id, epoch, self._seat, telling.look, overtaken, broken)

    def soon(self) -> None:
        """Beat soon, since other bodies may run than before."""
        if self._heartbeat is not None:
            self._heartbeat.soon()

    def now(self) -> None:
        """Beat at once, since a change has come that other processes wait to see."""
        if self._heartbeat is not None:
            self._heartbeat.now()

    def end(self) -> None:
        """Say in a last beat that the run is left, and leave the seat, also if the beat can't be written."""
        try:
            if self._heartbeat is not None:
                self._heartbeat.close()
        finally:
            if self._seat is not None:
                leave(self._seat)
