"""The beginning of a run: its plan, inputs, code and manifest are put into the store; then it can be carried."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, cast

from promissory.executor.cache.kept import Kept, kept_for_plain_calls
from promissory.executor.code.resolver import CantTravel, Code
from promissory.executor.code.source_bundle import keep_bundle
from promissory.executor.crash_points import reached
from promissory.executor.engines.engine import Engine, Setup
from promissory.executor.errors import EngineError, InputError, RunExists
from promissory.executor.execution.asking import asks_on_terminal
from promissory.executor.execution.code_changes import Current
from promissory.executor.execution.first_events import resumed_event
from promissory.executor.execution.found_store import found_store
from promissory.executor.execution.loop import Execution
from promissory.executor.execution.main_block_state import tell_main_block_state
from promissory.executor.execution.options import Options, level_number
from promissory.executor.execution.own_run import OwnRun
from promissory.executor.execution.presence import Presence
from promissory.executor.execution.words import Words
from promissory.executor.journal.reader import Tail
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.manifest import Manifest, new_manifest, read_manifest, write_manifest
from promissory.executor.scheduler.scheduler import Scheduler
from promissory.executor.scheduler.timeouts import cant_stop, with_timeouts
from promissory.executor.store.keys import LAST, is_run_id, plan_key
from promissory.executor.store.lookup import keep_out_of_sources
from promissory.executor.store.mark import mark
from promissory.executor.store.probe import probe
from promissory.executor.store.store import Store
from promissory.planner import compile as compile_plan
from promissory.planner.entities.dynamic import Dynamic
from promissory.planner.entities.task import Task
from promissory.planner.entities.workflow import Workflow, WorkflowFunction
from promissory.planner.errors import is_ours
from promissory.planner.functions import registry
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.format import digest_without_code, plan_digest, plan_from_bytes
from promissory.planner.plan.model import Shape, Value
from promissory.planner.plan.plan import Plan
from promissory.typesys.buffer import Buffer, Pending
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.names import import_name, module_name
from promissory.typesys.secret import INSTEAD, revealed_in, revealed_in_any
from promissory.typesys.wire import Codec, codec_for

Target = WorkflowFunction[..., Any] | Workflow | Dynamic[..., Any] | Task[..., Any] | Plan


def prepare(
    target: Target,
    inputs: Mapping[str, Any] | None,
    store: Store | str | Path | None,
    limits: Limits,
    run_id: str | None,
    options: Options,
) -> OwnRun:
    """Compile a target, encode its inputs, and write the beginning of its run."""
    plan = compiled(target)
    if options.stop is not None and not any(callee.kind != "task" for callee in plan.shape.callees):
        raise InputError(f"stop (--stop) says how far cycles go, and {plan.name} has none")
    large = Pending()
    encoded = encode_inputs(plan, target, inputs or {}, large)
    return prepare_encoded(
        plan,
        encoded,
        codecs_of(target),
        store=opened_store(store),
        limits=limits,
        run_id=run_id,
        source=source_of(target),
        options=options,
        buffers=large.buffers,
    )


def compiled(target: Target) -> Plan:
    """The plan of a target."""
    return target if isinstance(target, Plan) else compile_plan(target)


def prepare_encoded(
    plan: Plan,
    inputs: dict[str, bytes],
    codecs: Mapping[str, Codec],
    *,
    store: Store,
    limits: Limits,
    run_id: str | None,
    source: tuple[str, ...],
    options: Options,
    buffers: Iterable[Buffer] = (),
) -> OwnRun:
    """Write the beginning of a run: code that no import reaches, plan, inputs, manifest. Then it can be carried."""
    name = run_name(run_id, plan.name)
    if not options.engine.stops_bodies and not options.soft_timeouts:
        refuse_timeouts(plan.shape, options.engine.name)
    if options.engine.remote:
        tell_main_block_state(plan.origin.entities, options.engine.name)
    digest, values, bundle = put_beginning(
        store, name, plan, inputs, source, buffers, options.engine.remote, options.durability == "disk"
    )
    presence = Presence(store, options.beat)
    with ExitStack() as unless_ready:
        unless_ready.callback(presence.end)
        manifest = new_manifest(
            name,
            plan.name,
            digest,
            values,
            options.engine.name,
            limits,
            source,
            bundle,
            presence.nonce or b"",
            options.stop,
        )
        begin_run(store, manifest, plan)
        reached("run.manifest-written")
        scheduler = Scheduler(limits, run=name.encode())
        scheduler.open_root(plan, tuple(values[p.name] for p in plan.inputs))
        execution = new_execution(store, manifest, scheduler, options, plan, presence)
        execution.begins_with([resumed_event(1, limits)])
        unless_ready.pop_all()
    return OwnRun(name, store, codecs, execution, plan)


def put_beginning(
    store: Store,
    run_id: str,
    plan: Plan,
    inputs: dict[str, bytes],
    source: tuple[str, ...],
    buffers: Iterable[Buffer],
    must: bool,
    durable: bool,
) -> tuple[bytes, dict[str, Value], bytes]:
    """Put all that a manifest names into the store. Returns the plan's digest, the inputs, and the bundle's digest.

    Args:
        must: whether other processes will run the functions, so that one which can't travel is refused.
        durable: whether it is to survive the machine's death.
    """
    probe(store)
    mark(store)
    keep_out_of_sources(store)
    bundle = _keep_code(store, run_id, plan, source, must)
    for buffer in buffers:
        store.keep(buffer)
    values: dict[str, Value] = {name: store.put_value(data) for name, data in inputs.items()}
    if not plan.is_complete:
        raise InputError(f"the plan {plan.name} lacks its large literals: a futures file runs only within its run")
    store.put_literals(plan)
    if durable:
        store.sync([key for value in (*values.values(), *plan.literals) for key in store.keys_of(value)])
    digest = plan_digest(plan)
    store.put_same(plan_key(digest), plan.to_bytes())
    return digest, values, bundle


def begin_run(store: Store, manifest: Manifest, plan: Plan) -> None:
    """Write the manifest of a run. Raises `RunExists`."""
    if not write_manifest(store, manifest):
        difference = _difference(store, manifest, plan)
        raise RunExists(
            f"the store {store.url} has a run {manifest.run_id!r} already{difference}: "
            f"resume it (promissory resume {manifest.run_id}), or give another name",
            is_same=not difference,
        )


def _difference(store: Store, manifest: Manifest, plan: Plan) -> str:
    """The difference between a run that exists already and the one that was to begin, in words; empty if only the
    digests of its code differ (rule R6)."""
    there = read_manifest(store, manifest.run_id)
    if there.plan != manifest.plan and digest_without_code(
        plan_from_bytes(store.get(plan_key(there.plan)))
    ) != digest_without_code(plan):
        return ", of another plan"
    different = [name for name in manifest.inputs if manifest.inputs[name] != there.inputs.get(name)]
    return f", with another {', '.join(different)}" if different else ""


def new_execution(
    store: Store,
    manifest: Manifest,
    scheduler: Scheduler,
    options: Options,
    plan: Plan,
    presence: Presence,
    epoch: int = 1,
    tail: Tail | None = None,
    is_pinned: bool = False,
) -> Execution:
    """An executor's work on a run, with the caller's options. All executions and their journals are made here.

    Args:
        is_pinned: see `Setup`.
    """
    scheduler.admission.capacity = options.capacity()
    if options.stop is not None:
        scheduler.stop_at = options.stop
    scheduler.hard_timeouts = options.engine.stops_bodies or options.soft_timeouts
    setup = Setup(
        store,
        manifest.run_id,
        epoch,
        manifest.created,
        options.echoes,
        level_number(options.log_level),
        options.parallel,
        _script(manifest.source),
        _modules(plan),
        manifest.bundle,
        is_pinned=is_pinned,
    )
    words = Words(manifest.run_id, store, scheduler, tells_gates=not options.plain) if options.says else None
    kept = partial(kept_for_plain_calls, store, words.cached) if options.plain and words else partial(Kept, store)
    asks = asks_on_terminal(store) if options.plain else None
    return Execution(manifest, scheduler, options, setup, presence, tail, kept, words, asks)


def _keep_code(store: Store, run_id: str, plan: Plan, source: tuple[str, ...], must: bool) -> bytes:
    """Store the code that other processes need: functions that no import reaches, and the user's own modules. Returns
    the source bundle's digest."""
    if not (must or store.outlives_the_process):
        return b""
    code = Code(store, run_id, b"")
    try:
        code.ship(zip(plan.shape.callees, plan.origin.entities, strict=False), must=must)
    except CantTravel as problem:
        raise InputError(str(problem)) from problem
    if not store.outlives_the_process:
        return b""
    modules = {
        module_name(entity.function.__module__): entity.function.__code__.co_filename for entity in plan.origin.entities
    }
    if source and source[0]:
        modules.setdefault(import_name(Path(source[0]))[0], source[0])
    return keep_bundle(store, modules)


def _modules(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The names and files of the modules from which this process has the plan's functions. Workers need the files where
    an import of the name alone would find another module."""
    found: dict[str, str] = {}
    for entity in plan.origin.entities:
        name = entity.function.__module__
        file = getattr(sys.modules.get(name), "__file__", None)
        if name not in ("__main__", "__mp_main__") and file:
            found[name] = str(Path(file).resolve())
    return tuple(found.items())


def keep_current_code(store: Store, run_id: str, engine: Engine, current: Current) -> None:
    """Put the functions as this process has them now where workers find them: those of cells that were run again, or of
    a program that defines them anew."""
    code = Code(store, run_id, b"")
    for callee, entity in current:
        registry.remember(callee, entity)
    if engine.remote or store.outlives_the_process:
        try:
            code.ship(current, replacing=True, must=engine.remote)
        except CantTravel as problem:
            raise InputError(str(problem)) from problem


def _script(source: tuple[str, ...]) -> tuple[str, str] | None:
    """The module name and file of the workflow's program: so workers know which file may start runs by itself."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    for file in (main, *source[:1]):
        if file and file.endswith(".py") and Path(file).is_file() and not is_ours(str(Path(file).resolve())):
            return module_name("__main__") if file == main else import_name(Path(file))[0], str(Path(file).resolve())
    return None


def run_name(wanted: str | None, workflow: str) -> str:
    """The name of a new run. Raises `InputError` for a name that can't be one."""
    if wanted is not None:
        if wanted == LAST:
            raise InputError(f"a run can't be called {LAST}: on the command line that is the newest run")
        if not is_run_id(wanted):
            raise InputError(f"{wanted!r} can't name a run: letters, digits, '.', '_' and '-' can")
        return wanted
    name = "".join(c if (c.isalnum() and c.isascii()) or c in "_-" else "-" for c in workflow).strip("-_")[:60] or "run"
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"


def opened_store(store: Store | str | Path | None) -> Store:
    if isinstance(store, Store):
        return store
    return found_store() if store is None else Store(store)


def codecs_of(target: Target) -> dict[str, Codec]:
    """The codec of each output by name, with the author's classes if the target has them."""
    if isinstance(target, Plan):
        return {output.name: codec_for(output.type) for output in target.outputs}
    if isinstance(target, Workflow):
        return target.output_codecs
    return {"result": target.signature.result}


def source_of(target: Target) -> tuple[str, ...]:
    """The file of a target and the folder from which it is imported; nothing if it has no file."""
    if not isinstance(target, Entity):
        return ()
    path = Path(target.function.__code__.co_filename)
    return (str(path), str(import_name(path)[1])) if path.is_file() else ()


def encode_inputs(plan: Plan, target: Target, inputs: Mapping[str, Any], large: Pending) -> dict[str, bytes]:
    """The inputs of a run as bytes, defaults filled in, and in `large` their large buffers.

    Raises `InputError` with every problem.
    """
    if not isinstance(cast("object", inputs), Mapping):
        names = ", ".join(p.name for p in plan.inputs)
        raise InputError(
            f"the inputs of {plan.name} are a mapping of names ({names or 'none'}) to values, not of type "
            f"{type(inputs).__name__}"
        )
    codecs = [codec_for(p.type) for p in plan.inputs] if isinstance(target, Plan) else list(target.signature.codecs)
    known = {p.name for p in plan.inputs}
    problems = [f"it has no input {name!r}" for name in inputs if name not in known]
    encoded: dict[str, bytes] = {}
    for parameter, codec in zip(plan.inputs, codecs, strict=True):
        if parameter.name in inputs:
            try:
                before = len(large.buffers)
                data = codec.encode(inputs[parameter.name], large)
            except TypeMismatch as mismatch:
                problems.append(mismatch.at(parameter.name))
                continue
            if secret := revealed_in(data) or revealed_in_any(large.buffers[before:]):
                problems.append(f"{parameter.name} is stored, and holds the value of Secret({secret!r}): {INSTEAD}")
            encoded[parameter.name] = data
        elif parameter.default is not None:
            encoded[parameter.name] = parameter.default
        else:
            problems.append(f"it needs the input {parameter.name}: {parameter.type}")
    if problems:
        raise InputError(f"{plan.name}{_face(plan)} can't be run: {'; '.join(problems)}")
    return encoded


def _face(plan: Plan) -> str:
    return f"({', '.join(f'{p.name}: {p.type}' for p in plan.inputs)})"


def refuse_timeouts(shape: Shape, engine: str) -> None:
    """Raise `EngineError` if a plan has time-outs."""
    names = with_timeouts(shape)
    if names:
        raise EngineError(cant_stop(names, engine))
