"""Outcomes of calls that were never answered, because their worker died or was stopped: this process makes them in its
place."""

from __future__ import annotations

from typing import Any, Final

from promissory.executor.engines.engine import Batch, Setup
from promissory.executor.engines.processes.child import WorkerProcess
from promissory.executor.store.keys import log_key
from promissory.executor.worker.capture import with_path
from promissory.executor.worker.streams import show_as
from promissory.executor.worker.task_log import Log
from promissory.typesys.secret import masked, without_rest

_REPEATED: Final = 1 << 16


def outcome_for(setup: Setup, worker: WorkerProcess, batch: Batch, status: int, payload: Any) -> list[Any]:
    """The outcome of a worker's unanswered call. The output of the body is logged, and repeated as far as the worker
    has not repeated it."""
    frame, index, attempt = batch.calls[0]
    log = Log(setup.store, log_key(setup.run_id, worker.name))
    said = b""
    for piece in worker.said():
        log.write(piece)
        said = said + piece if len(said) + len(piece) <= _REPEATED else without_rest((said + piece)[-_REPEATED:])
    if setup.echo and (rest := said[worker.told :] if log.length <= _REPEATED else said):
        text = rest.decode("utf-8", "replace")
        show_as(setup.echo)(masked(text) if setup.echo == "plain" else with_path(batch.path, text.splitlines()))
    return [
        frame,
        index,
        status,
        payload,
        worker.since - setup.created,
        worker.lasted(),
        worker.name,
        attempt,
        log.address(),
        None,
        None,
    ]
