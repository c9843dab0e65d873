"""The launch of runs: they begin, go on, or run a part again, as `promissory.executor.api` offers it.

Preparing a new run, taking a run over and running a part of a run again each write the beginning of a run of this
executor. Each ends in one execution with its journal (`promissory.executor.execution.prepare.new_execution`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from promissory.executor.engines.registry import engine_named
from promissory.executor.errors import Fenced, RunExists, RunIsLive
from promissory.executor.execution.code_changes import Change
from promissory.executor.execution.options import Limited, Options, RunOptions, options_of
from promissory.executor.execution.own_run import OwnRun
from promissory.executor.execution.prepare import Target, codecs_of, opened_store, prepare
from promissory.executor.execution.rerun import prepare_rerun
from promissory.executor.execution.run import Run
from promissory.executor.execution.take_over import take_over_run
from promissory.executor.history.summary import ending, is_being_taken
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.heartbeat import await_first_beat, is_live, read_beat
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.scheduler.timeouts import with_timeouts
from promissory.executor.store.store import Store
from promissory.planner.entities.workflow import Workflow
from promissory.planner.errors import user_line, warn
from promissory.planner.functions.entity import Entity

_LOOK: Final = 0.05


def begin(
    target: Target,
    inputs: Mapping[str, Any] | None,
    store: Store | str | Path | None,
    run_id: str | None,
    given: RunOptions,
    background: bool,
) -> Run:
    """Begin a run, and carry it to its end or leave it to a thread. Raises the errors of `promissory.run`."""
    options, limits = options_of(given)
    opened = opened_store(store)
    try:
        prepared = prepare(target, inputs, opened, Limits().changed(*limits), run_id, options)
    except RunExists as error:
        if not error.is_same:
            raise
        assert run_id is not None
        return join(run_id, opened, target, options, limits, background)
    if background:
        return prepared.carry_in_background()
    try:
        return prepared.carry()
    except Fenced as error:
        if run_id is None or error.segment != 0:
            raise
        # Another process started the run at the same moment, and wrote its first segment first.
        there = attach(run_id, opened, target, trust=True).wait()
        if ending(opened, run_id) is None:
            raise
        return there


def join(run_id: str, store: Store, target: Target | None, options: Options, limits: Limited, background: bool) -> Run:
    """The run of a name that exists already: it is waited for if an executor works on it, resumed if it was
    interrupted, and returned as it is if it has ended."""
    there = attach(run_id, store, target, trust=True)
    while ending(store, run_id) is None:
        if is_live(store, run_id) or await_first_beat(store, run_id):
            if background:
                return there
            there.wait()
            continue  # the run has ended; or its executor is gone, and the run is to be resumed
        try:
            return resume_with(run_id, options, limits, store=store, target=target, background=background)
        except RunIsLive:
            time.sleep(_LOOK)  # another process goes on with the run; its first beat may be still to come
        except Fenced as error:
            if error.segment != 0:
                raise
    return there


def attach(run_id: str, store: Store | str | Path | None, target: Target | None, trust: bool) -> Run:
    """The run of a name. Raises `RunNotFound`."""
    opened = opened_store(store)
    manifest = read_manifest(opened, run_id)
    codecs = codecs_of(target) if target is not None else codecs_of(read_plan(opened, manifest))
    # Memory of this process holds nothing that another process wrote.
    return Run(run_id, opened, codecs, trust or not opened.outlives_the_process)


def resume(
    run_id: str,
    given: RunOptions,
    *,
    store: Store | str | Path | None,
    target: Target | None,
    take_over: bool,
    strict_code: bool,
    new_code: bool,
    on_change: Callable[[Change], None] | None,
) -> Run:
    """Go on with a run. Raises the errors of `promissory.resume`."""
    options, limits = options_of(given)
    return resume_with(
        run_id,
        options,
        limits,
        store=store,
        target=target,
        take_over=take_over,
        strict_code=strict_code,
        new_code=new_code,
        on_change=on_change,
    )


def resume_with(
    run_id: str,
    options: Options,
    limits: Limited,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    take_over: bool = False,
    strict_code: bool = False,
    new_code: bool = False,
    on_change: Callable[[Change], None] | None = None,
    background: bool = False,
) -> Run:
    """`resume` with its options in one."""
    opened = opened_store(store)
    manifest = read_manifest(opened, run_id)
    if not take_over:
        _refuse_live(opened, run_id)
    prepared = take_over_run(
        opened,
        manifest,
        options,
        limits,
        target=target,
        strict_code=strict_code,
        new_code=new_code,
        on_change=on_change,
    )
    if not isinstance(prepared, OwnRun):
        return prepared  # the run has succeeded already
    return prepared.carry_in_background() if background else prepared.carry()


def _refuse_live(store: Store, run_id: str) -> None:
    """Raise `RunIsLive` if an executor works on a run."""
    if is_live(store, run_id):
        beat = read_beat(store, run_id)
        who = "another process" if beat is None else beat.who
    elif is_being_taken(store, run_id):
        who = "another process, which has just taken it"
    else:
        return
    raise RunIsLive(
        f"run {run_id} is being worked on by {who}. Wait for it, stop it, or take the "
        "run over (take_over=True, --take-over): it will then stop by itself"
    )


def rerun(
    run_id: str,
    from_: str,
    given: RunOptions,
    *,
    store: Store | str | Path | None,
    target: Target | None,
    new_run_id: str | None,
) -> Run:
    """Run a part of a run again. Raises the errors of `promissory.rerun`."""
    options, limits = options_of(given)
    return prepare_rerun(
        opened_store(store), run_id, from_, options, limits, target=target, new_run_id=new_run_id
    ).carry()


def call(target: Entity[..., Any] | Workflow, values: dict[str, Any]) -> Any:
    """A plain call of a workflow or dynamic, compiled and run in this process, in memory. Returns the native result."""
    options = Options(engine=engine_named("inline"), durability="process", beat=False, soft_timeouts=True, plain=True)
    prepared = prepare(cast(Target, target), values, Store(None), Limits(), None, options)
    limited = with_timeouts(prepared.plan.shape)
    if limited:
        warn(
            f"{', '.join(limited)}: a plain call runs in this process, where a body can't be stopped; "
            "one that comes late fails when it returns. promissory.run(…, engine='processes') keeps time-outs",
            RuntimeWarning,
            user_line(),
        )
    return prepared.carry().result
