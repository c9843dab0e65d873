"""The face: `run`, `start`, `attach`, `resume`, `rerun`, and the plain call of a workflow."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack, cast

from promissory.executor.engines.registry import engine_named
from promissory.executor.errors import Fenced, RunExists, RunIsLive
from promissory.executor.execution.code_changes import Change
from promissory.executor.execution.options import Limited, Options, RunOptions, options_of
from promissory.executor.execution.prepare import Target, codecs_of, opened_store, prepare
from promissory.executor.execution.rerun import prepare_rerun
from promissory.executor.execution.run import OwnRun, Run
from promissory.executor.execution.take_over import take_over_run
from promissory.executor.history.summary import ending
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.heartbeat import await_first_beat, is_live, read_beat
from promissory.executor.records.manifest import read_manifest, read_plan
from promissory.executor.scheduler.timeouts import with_timeouts
from promissory.executor.store.store import Store
from promissory.planner.entities.workflow import Workflow
from promissory.planner.errors import user_line
from promissory.planner.functions.entity import Entity


def run(
    target: Target,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Run a workflow to its end, keeping everything in a store.

    Args:
        target: a workflow, dynamic or task, or a compiled plan.
        inputs: its inputs by name, as Python values.
        store: a URL or path; by default `PROMISSORY_STORE`, else `./.promissory`.
        run_id: the run's name; by default the workflow's with the time. Where a run of this name with the same plan and the same inputs is there already, it is that run: waited for if
            somebody works on it, resumed if it was interrupted, given as it is if it has ended.
        engine: `inline`, `threads` or `processes`, or an engine object.
        max_depth: how deep dynamics may nest; by default 100.
        max_nodes: how many nodes the run may have; by default 1,000,000.
        max_futures_bytes: how many bytes one futures file may have; by default 256 MiB.
        max_parallelism: how many bodies may run at one time, over all frames; by default as many as the engine finds sensible here.
        pools: how many calls of each pool (`@task(pool=…)`) may run at one time; a pool that is not named has no limit.
        resources: the memory and graphics processors that tasks may use together; by default what this machine has.
        soft_timeouts: let an engine that can't stop a body (inline, threads) run tasks with time-outs: one that comes late fails when it returns.
        timeout: seconds that the whole run may take. Then nothing new starts, what runs is stopped where that can be done, and the run fails as `RunTimeout`; it can be
            resumed.
        durability: "disk" syncs what it acknowledges; "process" survives the death of processes, not of the machine.
        echo: repeat what tasks print on standard error.
        on_progress: called after each commit, from another thread.
        clock: whose time retries and `timeout` go by; a test gives `promissory.testing.MockClock()`.

    Returns:
        The run, ended: `.result` is what the function would have returned, or raises what went wrong.

    Raises:
        CompileError: the workflow does not compile.
        InputError: the inputs don't fit.
        RunExists: there is another run of this name.
        StoreError, Fenced: the run stopped; it can be resumed.
        KeyboardInterrupt: the run stopped; it can be resumed.

    >>> from promissory import task, workflow
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
    return _begin(target, inputs, store, run_id, options, background=False)


def start(
    target: Target,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Like `run`, but returns at once; the run goes on in a thread of this process.

    Takes what `run` takes. The thread does not keep the process alive: a program that ends without `.wait()` interrupts the run, which can be resumed.

    >>> from promissory import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> start(inc, {"x": 1}, store="memory://doctest").wait(60).result
    2
    """
    return _begin(target, inputs, store, run_id, options, background=True)


def _begin(
    target: Target, inputs: Mapping[str, Any] | None, store: Store | str | Path | None, run_id: str | None, given: RunOptions, background: bool
) -> Run:
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
        there = attach(run_id, store=opened, target=target).wait()  # another process started it at the same moment, and was quicker
        if ending(opened, run_id) is None:
            raise
        return there


def join(run_id: str, store: Store, target: Target | None, options: Options, limits: Limited, background: bool) -> Run:
    """The run of a name that is there already: waited for if somebody works on it, resumed if it was interrupted, given as it is if it has ended."""
    there = attach(run_id, store=store, target=target)
    while ending(store, run_id) is None:
        if is_live(store, run_id) or await_first_beat(store, run_id):
            if background:
                return there
            there.wait()
            continue  # it has ended; or its executor is gone, and it is to be resumed
        try:
            return resume_with(run_id, options, limits, store=store, target=target, background=background)
        except RunIsLive:
            continue  # another process goes on with it
        except Fenced as error:
            if error.segment != 0:
                raise
    return there


def attach(run_id: str, *, store: Store | str | Path | None = None, target: Target | None = None) -> Run:
    """A run that is there already, whoever works on it: to look at it, wait for it, tell it what to do, or have its result.

    Args:
        run_id: the run.
        store: where it lies, as for `run`.
        target: the workflow, if its own classes shall decode the result; by default they are imported by name.

    Raises:
        RunNotFound: the store has no such run.

    >>> from promissory import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> ended = run(inc, {"x": 1}, store="memory://doctest")
    >>> attach(ended.id, store="memory://doctest").result
    2
    """
    opened = opened_store(store)
    manifest = read_manifest(opened, run_id)
    codecs = codecs_of(target) if target is not None else codecs_of(read_plan(opened, manifest))
    return Run(run_id, opened, codecs)


def resume(
    run_id: str,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    take_over: bool = False,
    strict_code: bool = False,
    on_change: Callable[[Change], None] | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Go on with a run whose executor is gone, or which failed: what is committed stays, the rest runs.

    Args:
        run_id: the run.
        target: the workflow, if its own classes shall decode the result; by default they are imported by name.
        take_over: take the run away from an executor that seems to live.
        strict_code: refuse if any code changed since the run began.
        on_change: told of each callable whose code changed.
        options: as for `run`; limits that are not given stay as the run had them last.

    Returns:
        The run, ended, as `run` gives it. One that had succeeded already runs nothing.

    Raises:
        RunNotFound: the store has no such run.
        RunIsLive: its executor seems to live.
        CodeChanged: what is left to run has another interface now.
        JournalError: the journal is damaged; the message names the key.
        StoreError, Fenced, KeyboardInterrupt: the run stopped again; it can be resumed.

    >>> from promissory import task
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
    chosen, limits = options_of(options)
    return resume_with(run_id, chosen, limits, store=store, target=target, take_over=take_over, strict_code=strict_code, on_change=on_change)


def resume_with(
    run_id: str,
    options: Options,
    limits: Limited,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    take_over: bool = False,
    strict_code: bool = False,
    on_change: Callable[[Change], None] | None = None,
    background: bool = False,
) -> Run:
    """`resume` with its options in one."""
    opened = opened_store(store)
    manifest = read_manifest(opened, run_id)
    beat = read_beat(opened, run_id)
    if beat is not None and beat.is_live(opened, run_id) and not take_over:
        raise RunIsLive(
            f"run {run_id} is being worked on by process {beat.pid} of {beat.host}. Wait for it, stop it, or take the run over "
            "(take_over=True, --take-over): it will then stop by itself"
        )
    prepared = take_over_run(opened, manifest, options, limits, target=target, strict_code=strict_code, on_change=on_change)
    if not isinstance(prepared, OwnRun):
        return prepared  # it has succeeded already
    return prepared.carry_in_background() if background else prepared.carry()


def rerun(
    run_id: str,
    from_: str,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    new_run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Run a node of an earlier run, and what depends on it, once more, as a new run; everything else is taken from the earlier one.

    Args:
        run_id: the earlier run; it stays as it is.
        from_: the path of the node, as `nodes()` and `promissory status --nodes` show it.
        target: the workflow, if its own classes shall decode the result.
        new_run_id: the new run's name; by default the workflow's with the time.
        store, options: as for `run`.

    Returns:
        The new run, ended. Its manifest says which run and node it comes from.

    Raises:
        RunNotFound: there is no such run, or no such node in it.
        CodeChanged: what is to run has another interface now.

    >>> from promissory import task, workflow
    >>> factor = [2]
    >>> @task
    ... def times(x: int) -> int:
    ...     return x * factor[0]
    >>> @workflow
    ... def squared(x: int) -> int:
    ...     return times(times(x))
    >>> first = run(squared, {"x": 3}, store="memory://doctest")
    >>> factor[0] = 10
    >>> first.result, rerun(first.id, "main/times~2", store="memory://doctest").result
    (12, 60)
    """
    chosen, limits = options_of(options)
    prepared = prepare_rerun(opened_store(store), run_id, from_, chosen, limits, target=target, new_run_id=new_run_id)
    return prepared.carry()


def call(target: Entity[..., Any] | Workflow, values: dict[str, Any]) -> Any:
    """A plain call of a workflow or dynamic: compiled and run in this process, in memory; its native result."""
    options = Options(engine=engine_named("inline"), durability="process", beat=False, soft_timeouts=True)
    prepared = prepare(cast(Target, target), values, Store(None), Limits(), None, options)
    limited = with_timeouts(prepared.plan.shape)
    if limited:
        where = user_line()
        warnings.warn_explicit(
            f"{', '.join(limited)}: a plain call runs in this process, where a body can't be stopped; one that comes late fails when it returns. "
            "promissory.run(…, engine='processes') keeps time-outs",
            RuntimeWarning,
            "<unknown>" if where is None else where.file,
            0 if where is None else where.line,
        )
    return prepared.carry().result
