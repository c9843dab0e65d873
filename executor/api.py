"""The face: `run`, `start`, `resume`, and the plain call of a workflow."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from executor.bundle import leave_other_bundles
from executor.changed_code import Change, adopt_current_code
from executor.code import missing_modules_from
from executor.engines.engine import Engine, engine_named
from executor.errors import RunIsLive
from executor.execution import Progress, code_event, resumed_event, write_futures
from executor.handle import Run
from executor.heartbeat import read_beat
from executor.journal import Journal, LostRace
from executor.limits import Limits
from executor.loading import refuse_outside_bodies
from executor.manifest import read_manifest
from executor.options import Durability, Options, check_limits, given_resources
from executor.prepare import Prepared, Target, codecs_of, keep_current_code, new_execution, opened_store, prepare
from executor.recovery import recover
from executor.store import Store
from executor.timeouts import refuse_timeouts, with_timeouts
from planner.entity import Entity
from planner.errors import user_line
from planner.policy import Resources, seconds
from planner.workflow import Workflow


def run(
    target: Target,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    engine: str | Engine = "inline",
    max_depth: int = 100,
    max_nodes: int = 1_000_000,
    max_futures_bytes: int = 256 << 20,
    max_parallelism: int | None = None,
    pools: Mapping[str, int] | None = None,
    resources: Resources | None = None,
    soft_timeouts: bool = False,
    timeout: float | timedelta | None = None,
    run_id: str | None = None,
    durability: Durability = "disk",
    echo: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Run a workflow to its end, keeping everything in a store.

    Args:
        target: a workflow, dynamic or task, or a compiled plan.
        inputs: its inputs by name, as Python values.
        store: a URL or path; by default `PROMISSORY_STORE`, else `./.promissory`.
        engine: `inline`, `threads` or `processes`, or an engine object.
        max_depth: how deep dynamics may nest.
        max_nodes: how many nodes the run may have.
        max_futures_bytes: how many bytes one futures file may have.
        max_parallelism: how many bodies may run at one time, over all frames; by default as many as the engine finds sensible here.
        pools: how many calls of each pool (`@task(pool=…)`) may run at one time; a pool that is not named has no limit.
        resources: the memory and graphics processors that tasks may use together; by default what this machine has.
        soft_timeouts: let an engine that can't stop a body (inline, threads) run tasks with time-outs: one that comes late fails when it returns.
        timeout: seconds that the whole run may take. Then nothing new starts, what runs is stopped where that can be done, and the run fails as `RunTimeout`; it can be
            resumed.
        run_id: the run's name; by default the workflow's with the time.
        durability: "disk" syncs what it acknowledges; "process" survives the death of processes, not of the machine.
        echo: repeat what tasks print on standard error.
        on_progress: called after each commit, from another thread.

    Returns:
        The run, ended: `.result` is what the function would have returned, or raises what went wrong.

    Raises:
        CompileError: the workflow does not compile.
        InputError: the inputs don't fit.
        StoreError, Fenced: the run stopped; it can be resumed.
        KeyboardInterrupt: the run stopped; it can be resumed.

    >>> from planner import task, workflow
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> @workflow
    ... def twice(x: int) -> int:
    ...     return inc(inc(x))
    >>> ended = run(twice, {"x": 1}, store="memory://doctest")
    >>> ended.state, ended.result
    ('SUCCEEDED', 3)
    """
    options = _options(engine, max_parallelism, pools, resources, soft_timeouts, timeout, durability, echo, on_progress)
    prepared = prepare(target, inputs, store, Limits(max_depth, max_nodes, max_futures_bytes), run_id, options)
    prepared.carry()
    return prepared.run


def start(
    target: Target,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    engine: str | Engine = "inline",
    max_depth: int = 100,
    max_nodes: int = 1_000_000,
    max_futures_bytes: int = 256 << 20,
    max_parallelism: int | None = None,
    pools: Mapping[str, int] | None = None,
    resources: Resources | None = None,
    soft_timeouts: bool = False,
    timeout: float | timedelta | None = None,
    run_id: str | None = None,
    durability: Durability = "disk",
    echo: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Like `run`, but returns at once; the run goes on in a thread of this process.

    Takes what `run` takes. The thread does not keep the process alive: a program that ends without `.wait()` interrupts the run, which can be resumed.

    >>> from planner import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> start(inc, {"x": 1}, store="memory://doctest").wait(60).result
    2
    """
    options = _options(engine, max_parallelism, pools, resources, soft_timeouts, timeout, durability, echo, on_progress)
    prepared = prepare(target, inputs, store, Limits(max_depth, max_nodes, max_futures_bytes), run_id, options)
    return prepared.carry_in_background()


def resume(
    run_id: str,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    engine: str | Engine = "inline",
    max_depth: int | None = None,
    max_nodes: int | None = None,
    max_futures_bytes: int | None = None,
    max_parallelism: int | None = None,
    pools: Mapping[str, int] | None = None,
    resources: Resources | None = None,
    soft_timeouts: bool = False,
    timeout: float | timedelta | None = None,
    durability: Durability = "disk",
    take_over: bool = False,
    strict_code: bool = False,
    echo: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
    on_change: Callable[[Change], None] | None = None,
) -> Run:
    """Go on with a run whose executor is gone, or which failed: what is committed stays, the rest runs.

    Args:
        run_id: the run.
        target: the workflow, if its own classes shall decode the result; by default they are imported by name.
        max_depth, max_nodes, max_futures_bytes: other limits; by default those that the run had last.
        take_over: take the run away from an executor that seems to live.
        strict_code: refuse if any code changed since the run began.
        on_change: told of each callable whose code changed.
        store, engine, max_parallelism, pools, resources, soft_timeouts, timeout, durability, echo, on_progress: as for `run`.

    Returns:
        The run, ended, as `run` gives it. One that had succeeded already runs nothing.

    Raises:
        RunNotFound: the store has no such run.
        RunIsLive: its executor seems to live.
        CodeChanged: what is left to run has another interface now.
        JournalError: the journal is damaged; the message names the key.
        StoreError, Fenced, KeyboardInterrupt: the run stopped again; it can be resumed.

    >>> from planner import task
    >>> broken = [True]
    >>> @task
    ... def inc(x: int) -> int:
    ...     if broken:
    ...         raise OSError("the network is down")
    ...     return x + 1
    >>> ended = run(inc, {"x": 1}, store="memory://doctest")
    >>> ended.state
    'FAILED'
    >>> broken.clear()
    >>> resume(ended.id, store="memory://doctest").result
    2
    """
    options = _options(engine, max_parallelism, pools, resources, soft_timeouts, timeout, durability, echo, on_progress)
    limits = (max_depth, max_nodes, max_futures_bytes)
    return resume_with(
        run_id, options, limits, store=store, target=target, take_over=take_over, strict_code=strict_code, on_change=on_change
    )


def resume_with(
    run_id: str,
    options: Options,
    limits: tuple[int | None, int | None, int | None],
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    take_over: bool = False,
    strict_code: bool = False,
    on_change: Callable[[Change], None] | None = None,
) -> Run:
    """`resume` with its options in one; `limits` are depth, nodes and bytes, each None for what the run had last."""
    options.check()
    opened = opened_store(store)
    manifest = read_manifest(opened, run_id)
    beat = read_beat(opened, run_id)
    if beat is not None and beat.is_live(opened, run_id) and not take_over:
        raise RunIsLive(
            f"run {run_id} is being worked on by process {beat.pid} of {beat.host}. Wait for it, stop it, or take the run over "
            "(take_over=True, --take-over): it will then stop by itself"
        )
    while True:
        recovered = recover(opened, manifest)
        result = Run(run_id, opened, codecs_of(target if target is not None else recovered.plan))
        if recovered.ended is not None and recovered.ended[1] == "SUCCEEDED":
            result._ended, result._outputs = ("SUCCEEDED", ""), recovered.ended[3]
            return result
        scheduler = recovered.scheduler
        scheduler.limits = scheduler.limits.changed(*limits)
        check_limits(scheduler.limits)
        if not options.engine.stops_bodies and not options.soft_timeouts:
            for frame in scheduler.frames.values():
                refuse_timeouts(frame.topology.shape, options.engine.name)
        leave_other_bundles(manifest.bundle)
        if manifest.bundle:
            missing_modules_from(opened, manifest.bundle, scheduler)
        changes, current = adopt_current_code(scheduler, strict_code)
        execution = new_execution(opened, manifest, scheduler, options, recovered.plan)
        epoch = (0 if recovered.tail is None else recovered.tail.epoch) + 1
        execution.journal = Journal(opened, run_id, epoch, recovered.tail, options.durability == "disk", execution.committed)
        try:
            execution.journal.claim(
                (resumed_event(epoch, scheduler.limits), *(code_event(change.name, change.old, change.new) for change in changes))
            )
        except LostRace:
            continue  # what the old executor has just written counts: read it too
        break
    for change in changes:
        if on_change is not None:
            on_change(change)
    keep_current_code(opened, run_id, options.engine, current)
    for data in recovered.futures:
        write_futures(opened, run_id, data)
    prepared = Prepared(result, execution, recovered.plan)
    del recovered, scheduler
    prepared.carry()
    return result


def _options(
    engine: str | Engine,
    max_parallelism: int | None,
    pools: Mapping[str, int] | None,
    resources: Resources | None,
    soft_timeouts: bool,
    timeout: float | timedelta | None,
    durability: Durability,
    echo: bool,
    on_progress: Callable[[Progress], None] | None,
) -> Options:
    """What a caller of this module chose. Raises `StartedInWorker` where user code is being imported."""
    refuse_outside_bodies()
    memory, gpu = given_resources(resources)
    return Options(
        engine=engine_named(engine),
        max_parallelism=max_parallelism,
        pools=pools or {},
        memory=memory,
        gpu=gpu,
        soft_timeouts=soft_timeouts,
        timeout=seconds(timeout),
        durability=durability,
        echo=echo,
        on_progress=on_progress,
    )


def call(target: Entity[..., Any] | Workflow, values: dict[str, Any]) -> Any:
    """A plain call of a workflow or dynamic: compiled and run in this process, in memory; its native result."""
    options = Options(engine=engine_named("inline"), durability="process", beat=False, soft_timeouts=True)
    prepared = prepare(cast(Target, target), values, Store(None), Limits(), None, options)
    limited = with_timeouts(prepared.plan.shape)
    if limited:
        where = user_line()
        warnings.warn_explicit(
            f"{', '.join(limited)}: a plain call runs in this process, where a body can't be stopped; one that comes late fails when it returns. "
            "executor.run(…, engine='processes') keeps time-outs",
            RuntimeWarning,
            "<unknown>" if where is None else where.file,
            0 if where is None else where.line,
        )
    prepared.carry()
    return prepared.run.result
