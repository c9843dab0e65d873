"""The face: `run`, `start`, `submit`, `attach`, `resume`, `rerun`, and the plain call of a workflow.

Each function imports the modules that carry it out when it is called, so a program that only decorates functions, or
sends its workflows elsewhere, pays nothing for the executor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from promissory.executor.execution.code_changes import Change
    from promissory.executor.execution.options import RunOptions
    from promissory.executor.execution.prepare import Target
    from promissory.executor.execution.run import Run
    from promissory.executor.execution.submission import SubmitOptions
    from promissory.executor.store.store import Store
    from promissory.planner.entities.workflow import Workflow
    from promissory.planner.functions.entity import Entity
    from promissory.planner.plan.plan import Plan
    from promissory.planner.tracing.promise import Promise

R = TypeVar("R")


@overload
def run(
    target: Entity[..., Promise[None]],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run[None]: ...
@overload
def run(
    target: Entity[..., R],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run[R]: ...
@overload
def run(
    target: Workflow | Plan,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run: ...
def run(
    target: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Run a workflow to its end, keeping everything in a store.

    Args:
        target: a workflow, dynamic or task, or a compiled plan.
        inputs: the target's inputs by name, as Python values.
        store: a URL or path; by default `PROMISSORY_STORE`, else `./.promissory`.
        run_id: the run's name; by default the workflow's with the time. If a run of this name with the same plan and
            the same inputs exists already, that run is taken: it is waited for if an executor works on it, resumed if
            it was interrupted, and returned as it is if it has ended.
        engine: `inline`, `threads` or `processes`, or an engine object.
        max_depth: how deep dynamics may nest; by default 100.
        keep_cycles: how many rounds of each cycle the run remembers. What came before a snapshot that all of these
            follow leaves the journal for good. By default everything is kept.
        stop: the number that no round of a cycle goes beyond. With it, a resume goes on with a cycle that was stopped
            before; nothing that has run runs again.
        max_nodes: how many nodes the run may have; by default 1,000,000.
        max_futures_bytes: how many bytes one futures file may have; by default 256 MiB.
        max_parallelism: how many bodies may run at one time, over all frames; by default as many as the engine finds
            sensible here.
        pools: how many calls of each pool (`@task(pool=…)`) may run at one time; a pool that is not named has no limit.
        resources: the memory and graphics processors that tasks may use together; by default all that this machine has.
        soft_timeouts: let an engine that can't stop a body (inline, threads) run tasks with time-outs: a body that
            comes late fails when it returns.
        timeout: seconds that the whole run may take. Then nothing new starts, running bodies are stopped where that can
            be done, and the run fails as `RunTimeout`; it can be resumed.
        durability: "disk" syncs data before it is acknowledged; with "process" a run survives the death of processes,
            not of the machine.
        echo: repeat the output of tasks on standard error.
        on_progress: called after each commit, from another thread.
        clock: the clock of retries and `timeout`; a test gives `promissory.testing.MockClock()`.

    Returns:
        The run, ended: `.result` is the result that the function would have returned, or raises the error of the run.

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
    from promissory.executor.execution import launch

    return launch.begin(target, inputs, store, run_id, options, background=False)


@overload
def start(
    target: Entity[..., Promise[None]],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run[None]: ...
@overload
def start(
    target: Entity[..., R],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run[R]: ...
@overload
def start(
    target: Workflow | Plan,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run: ...
def start(
    target: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Like `run`, but returns at once; the run goes on in a thread of this process.

    Takes the arguments of `run`. The thread does not keep the process alive: a program that ends without `.wait()`
    interrupts the run, which can be resumed.

    >>> from promissory import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> start(inc, {"x": 1}, store="memory://doctest").wait(60).result
    2
    """
    from promissory.executor.execution import launch

    return launch.begin(target, inputs, store, run_id, options, background=True)


@overload
def submit(
    target: Entity[..., Promise[None]],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[SubmitOptions],
) -> Run[None]: ...
@overload
def submit(
    target: Entity[..., R],
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[SubmitOptions],
) -> Run[R]: ...
@overload
def submit(
    target: Workflow | Plan,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[SubmitOptions],
) -> Run: ...
def submit(
    target: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    store: Store | str | Path | None = None,
    run_id: str | None = None,
    **options: Unpack[SubmitOptions],
) -> Run:
    """Submit a workflow: its plan, inputs and code are put into a store, and it waits in a queue there until
    `promissory work` carries it out, on this machine or another one.

    The run runs the code that was submitted, whatever lies where it is carried out.

    Args:
        target, inputs, store, run_id: as `run` takes them. The store is one that the workers reach. Submitted again
            under the same name, with the same plan and inputs, it is the same run.
        queue: the queue to wait in; by default "default".
        priority: runs of a higher one are carried out first; by default 0.
        labels: texts by name, which are kept with the run.
        max_depth, max_nodes, max_futures_bytes: the limits of the run, as `run` takes them.

    Returns:
        The run, which is QUEUED. Its `result` is there once a worker has carried it out; `wait` waits for that.

    Raises:
        CompileError: the workflow does not compile.
        InputError: the inputs don't fit, or a function can't travel.
        RunExists: there is another run of this name.
        StoreError: the run may not be submitted. Submit it again, under the same name.

    >>> import tempfile
    >>> from promissory import task
    >>> @task
    ... def inc(x: int) -> int:
    ...     return x + 1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     waiting = submit(inc, {"x": 1}, store=folder, priority=3)
    ...     waiting.state
    'QUEUED'
    """
    from promissory.executor.execution import submission

    return submission.submit(target, inputs, store, run_id, options)


def attach(
    run_id: str, *, store: Store | str | Path | None = None, target: Target | None = None, trust: bool = False
) -> Run:
    """A run that exists already, in any process: to look at it, wait for it, give it commands, or have its result.

    Args:
        run_id: the run.
        store: the run's store, as for `run`.
        target: the workflow, if its own classes shall decode the result; by default they are imported by name.
        trust: load pickles of the run, which run the code that their writer chose. Without it the cause of an error is
            a `RemoteError` with the exception's text, and a result that travels as a pickle raises `NotTrusted`.

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
    from promissory.executor.execution import launch

    return launch.attach(run_id, store, target, trust)


def resume(
    run_id: str,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    take_over: bool = False,
    strict_code: bool = False,
    new_code: bool = False,
    on_change: Callable[[Change], None] | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Go on with a run whose executor is gone, or which failed: committed results stay, the rest runs.

    Args:
        run_id: the run.
        target: the workflow, if its own classes shall decode the result; by default they are imported by name.
        take_over: take the run away from an executor that seems to live.
        strict_code: refuse if any code changed since the run began.
        new_code: have async dynamics that have begun go on with today's code, if it makes the calls that they made.
        on_change: called with each callable whose code changed.
        options: as for `run`; limits that are not given stay as the run had them last.

    Returns:
        The run, ended, as `run` gives it. For a run that had succeeded already nothing runs.

    Raises:
        RunNotFound: the store has no such run.
        RunIsLive: the run's executor seems to live.
        CodeChanged: a callable that is left to run has another interface now; an async dynamic has begun, and its code
            has changed.
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
    from promissory.executor.execution import launch

    return launch.resume(
        run_id,
        options,
        store=store,
        target=target,
        take_over=take_over,
        strict_code=strict_code,
        new_code=new_code,
        on_change=on_change,
    )


def rerun(
    run_id: str,
    from_: str,
    *,
    store: Store | str | Path | None = None,
    target: Target | None = None,
    new_run_id: str | None = None,
    **options: Unpack[RunOptions],
) -> Run:
    """Run a node of an earlier run, and the nodes that depend on it, once more, as a new run. All other results are
    taken from the earlier run.

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
        CodeChanged: a callable that is to run has another interface now.

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
    from promissory.executor.execution import launch

    return launch.rerun(run_id, from_, options, store=store, target=target, new_run_id=new_run_id)


def call(target: Entity[..., Any] | Workflow, values: dict[str, Any]) -> Any:
    """A plain call of a workflow or dynamic, compiled and run in this process, in memory. Returns the native result."""
    from promissory.executor.execution import launch

    return launch.call(target, values)
