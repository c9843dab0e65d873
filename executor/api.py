"""The face: `run`, `start`, `resume`, and the plain call of a workflow."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from executor.changed_code import Change, adopt_current_code
from executor.engines.engine import Engine, engine_named
from executor.errors import InputError, RunExists, RunIsLive, StoreError
from executor.events import tree_of
from executor.execution import Execution, Progress, code_event, resumed_event, write_futures
from executor.handle import Run, default_store, resume_command
from executor.heartbeat import read_beat
from executor.journal import Journal, LostRace
from executor.layout import is_run_id, object_key, plan_key
from executor.limits import Limits
from executor.manifest import new_manifest, read_manifest, write_manifest
from executor.recovery import recover
from executor.scheduler import Scheduler
from executor.store import Store
from planner import compile as compile_plan
from planner.dynamic import Dynamic
from planner.entity import Entity
from planner.plan import Large, Plan, Value
from planner.plan_format import plan_digest
from planner.task import Task
from planner.workflow import Workflow, WorkflowFunction
from typesys.errors import TypeMismatch
from typesys.names import import_name
from typesys.wire import Codec, codec_for

Target = WorkflowFunction[..., Any] | Workflow | Dynamic[..., Any] | Task[..., Any] | Plan
Durability = Literal["disk", "process"]


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
        engine: `inline`, or an engine object.
        max_depth: how deep dynamics may nest.
        max_nodes: how many nodes the run may have.
        max_futures_bytes: how many bytes one futures file may have.
        max_parallelism: how many bodies may run at one time; by default as many as the engine can.
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
    limits = Limits(max_depth, max_nodes, max_futures_bytes)
    prepared = _prepare(target, inputs, store, engine, limits, max_parallelism, run_id, durability, echo, on_progress)
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
    limits = Limits(max_depth, max_nodes, max_futures_bytes)
    prepared = _prepare(target, inputs, store, engine, limits, max_parallelism, run_id, durability, echo, on_progress)
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
        store, engine, max_parallelism, durability, echo, on_progress: as for `run`.

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
    opened = _open_store(store)
    manifest = read_manifest(opened, run_id)
    beat = read_beat(opened, run_id)
    if beat is not None and beat.is_live(opened, run_id) and not take_over:
        raise RunIsLive(
            f"run {run_id} is being worked on by process {beat.pid} of {beat.host}. Wait for it, stop it, or take the run over "
            "(take_over=True, --take-over): it will then stop by itself"
        )
    while True:
        recovered = recover(opened, manifest)
        result = Run(run_id, opened, _codecs(target if target is not None else recovered.plan))
        if recovered.ended is not None and recovered.ended[1] == "SUCCEEDED":
            result._ended, result._outputs = ("SUCCEEDED", ""), recovered.ended[3]
            return result
        scheduler = recovered.scheduler
        scheduler.limits = scheduler.limits.changed(max_depth, max_nodes, max_futures_bytes)
        _refuse_nonsense(scheduler.limits, max_parallelism, durability)
        changes = adopt_current_code(scheduler, strict_code)
        execution = Execution(
            opened, manifest, scheduler, engine_named(engine), max_parallelism=max_parallelism, echo=echo, on_progress=on_progress
        )
        epoch = (0 if recovered.tail is None else recovered.tail.epoch) + 1
        execution.journal = Journal(opened, run_id, epoch, recovered.tail, durability == "disk", execution.committed)
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
    for data in recovered.futures:
        write_futures(opened, run_id, data)
    prepared = _Prepared(result, execution, recovered.plan)
    del recovered, scheduler
    prepared.carry()
    return result


def call(target: Entity[..., Any] | Workflow, values: dict[str, Any]) -> Any:
    """A plain call of a workflow or dynamic: compiled and run in this process, in memory; its native result."""
    store = Store(None)
    prepared = _prepare(cast(Target, target), values, store, "inline", Limits(), None, None, "process", True, None, beat=False)
    prepared.carry()
    return prepared.run.result


# --- preparing -------------------------------------------------------------------------------------------------------------------


class _Prepared:
    """A run that is about to be carried to its end."""

    def __init__(self, run: Run, execution: Execution, plan: Plan) -> None:
        self.run = run
        self._execution = execution
        self._plan = plan  # holds the functions that no import reaches
        run._execution = execution

    def carry(self) -> None:
        """Carry it to its end, here."""
        execution, run = self._execution, self.run
        try:
            ended = execution.run()
        except KeyboardInterrupt as interrupt:
            if run.store.outlives_the_process:
                interrupt.add_note(f"run {run.id} is interrupted and can be resumed: {resume_command(run.id, run.store)}")
            raise
        except StoreError as error:
            if run.store.outlives_the_process:
                error.add_note(f"run {run.id} is interrupted; what was acknowledged is safe. Repair the store, then: {resume_command(run.id, run.store)}")
            raise
        scheduler = execution.scheduler
        if scheduler.failure is not None:
            run._failure = (scheduler.failure.path, scheduler.failure.failure, scheduler.failure.attempt)
        if scheduler.outputs is not None:
            run._outputs = [tree_of(value) for value in scheduler.outputs]
        run._ended = ended

    def carry_in_background(self) -> Run:
        """Carry it to its end in a thread."""

        def work() -> None:
            try:
                self.carry()
            except BaseException as error:  # whoever waits for the run gets it
                self.run._raised = error

        self.run._thread = threading.Thread(target=work, name=f"promissory run {self.run.id}", daemon=True)
        self.run._thread.start()
        return self.run


def _prepare(
    target: Target,
    inputs: Mapping[str, Any] | None,
    store: Store | str | Path | None,
    engine: str | Engine,
    limits: Limits,
    max_parallelism: int | None,
    run_id: str | None,
    durability: Durability,
    echo: bool,
    on_progress: Callable[[Progress], None] | None,
    beat: bool = True,
) -> _Prepared:
    _refuse_nonsense(limits, max_parallelism, durability)
    plan = target if isinstance(target, Plan) else compile_plan(target)
    encoded = encode_inputs(plan, target, inputs or {})
    return prepare_encoded(
        plan,
        encoded,
        _codecs(target),
        store=_open_store(store),
        engine=engine_named(engine),
        limits=limits,
        max_parallelism=max_parallelism,
        run_id=run_id,
        durability=durability,
        echo=echo,
        on_progress=on_progress,
        source=_source(target),
        beat=beat,
    )


def prepare_encoded(
    plan: Plan,
    inputs: dict[str, bytes],
    codecs: Mapping[str, Codec],
    *,
    store: Store,
    engine: Engine,
    limits: Limits,
    max_parallelism: int | None,
    run_id: str | None,
    durability: Durability,
    echo: bool,
    on_progress: Callable[[Progress], None] | None,
    source: tuple[str, ...],
    beat: bool = True,
) -> _Prepared:
    """Write what a run begins with: plan, inputs, manifest. Then it can be carried."""
    if run_id is not None and not is_run_id(run_id):
        raise InputError(f"{run_id!r} can't name a run: letters, digits, '.', '_' and '-' can")
    values: dict[str, Value] = {name: store.put_value(data) for name, data in inputs.items()}
    for literal in plan.literals:
        if isinstance(literal, Large):
            if literal.digest not in plan.blobs:
                raise InputError(f"the plan {plan.name} lacks its large literals: a futures file runs only within its run")
            store.put_object(literal.digest, plan.blobs[literal.digest])
    if durability == "disk":
        named = [value for value in (*values.values(), *plan.literals) if isinstance(value, Large)]
        store.sync([object_key(value.digest) for value in named])
    digest = plan_digest(plan)
    store.put_new(plan_key(digest), plan.to_bytes())
    name = run_id or _new_run_id(plan.name)
    manifest = new_manifest(name, plan.name, digest, values, engine.name, limits, source)
    if not write_manifest(store, manifest):
        raise RunExists(f"the store {store.url} has a run {name!r} already: resume it (promissory resume {name}), or give another name")
    scheduler = Scheduler(limits)
    scheduler.open_root(plan, tuple(values[p.name] for p in plan.inputs))
    execution = Execution(
        store, manifest, scheduler, engine, max_parallelism=max_parallelism, echo=echo, beat=beat, on_progress=on_progress
    )
    execution.journal = Journal(store, name, 1, None, durability == "disk", execution.committed)
    execution.journal.append([resumed_event(1, limits)])
    return _Prepared(Run(name, store, codecs), execution, plan)


def _refuse_nonsense(limits: Limits, max_parallelism: int | None, durability: str) -> None:
    for name, value in (("max_depth", limits.max_depth), ("max_nodes", limits.max_nodes), ("max_futures_bytes", limits.max_futures_bytes)):
        if value.__class__ is not int or value < 0:
            raise InputError(f"{name} is a whole number of at least 0, not {value!r}")
    if max_parallelism is not None and (max_parallelism.__class__ is not int or max_parallelism < 1):
        raise InputError(f"max_parallelism is a whole number of at least 1, not {max_parallelism!r}")
    if durability not in ("disk", "process"):
        raise InputError(f'durability is "disk" or "process", not {durability!r}')


def _new_run_id(workflow: str) -> str:
    name = "".join(c if (c.isalnum() and c.isascii()) or c in "_-" else "-" for c in workflow).strip("-_")[:60] or "run"
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _open_store(store: Store | str | Path | None) -> Store:
    if isinstance(store, Store):
        return store
    return Store(default_store() if store is None else store)


def _codecs(target: Target) -> dict[str, Codec]:
    """The codec of each output by name, with the author's classes where the target has them."""
    if isinstance(target, Plan):
        return {output.name: codec_for(output.type) for output in target.outputs}
    if isinstance(target, Workflow):
        return target.output_codecs
    return {"result": target.signature.result}


def _source(target: Target) -> tuple[str, ...]:
    if not isinstance(target, Entity):
        return ()
    path = Path(target.function.__code__.co_filename)
    return (str(path), str(import_name(path)[1])) if path.is_file() else ()


def encode_inputs(plan: Plan, target: Target, inputs: Mapping[str, Any]) -> dict[str, bytes]:
    """The inputs of a run as bytes, defaults filled in. Raises `InputError` with all that is wrong."""
    codecs = [codec_for(p.type) for p in plan.inputs] if isinstance(target, Plan) else list(target.signature.codecs)
    known = {p.name for p in plan.inputs}
    problems = [f"it has no input {name!r}" for name in inputs if name not in known]
    encoded: dict[str, bytes] = {}
    for parameter, codec in zip(plan.inputs, codecs, strict=True):
        if parameter.name in inputs:
            try:
                encoded[parameter.name] = codec.encode(inputs[parameter.name])
            except TypeMismatch as mismatch:
                problems.append(mismatch.at(parameter.name))
        elif parameter.default is not None:
            encoded[parameter.name] = parameter.default
        else:
            problems.append(f"it needs the input {parameter.name}: {parameter.type}")
    if problems:
        raise InputError(f"{plan.name}{_face(plan)} can't be run: {'; '.join(problems)}")
    return encoded


def _face(plan: Plan) -> str:
    return f"({', '.join(f'{p.name}: {p.type}' for p in plan.inputs)})"
