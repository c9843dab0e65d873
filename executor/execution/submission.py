"""Submission: a run is put into the store as data (plan, inputs, code) and into a queue; whoever takes it from there
carries it out (rules Q1 and Q3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypedDict

from promissory.executor.code.import_guard import refuse_outside_bodies
from promissory.executor.code.packages import packages_of
from promissory.executor.crash_points import reached
from promissory.executor.errors import InputError, RunExists
from promissory.executor.execution.launch import attach
from promissory.executor.execution.main_block_state import tell_main_block_state
from promissory.executor.execution.options import check_limits
from promissory.executor.execution.prepare import (
    Target,
    begin_run,
    compiled,
    encode_inputs,
    opened_store,
    put_beginning,
    run_name,
    source_of,
)
from promissory.executor.execution.run import Run
from promissory.executor.history.summary import standing_of_run
from promissory.executor.protocol.limits import Limits
from promissory.executor.records.manifest import new_manifest, read_manifest
from promissory.executor.records.queue import DEFAULT, MOST, enqueue, is_queue
from promissory.executor.store.store import Store
from promissory.planner.plan.plan import Plan
from promissory.typesys.buffer import Buffer, Pending
from promissory.typesys.secret import revealed_in

_LONGEST: Final = 256
"""The characters that the name or the text of a label may have."""


class SubmitOptions(TypedDict, total=False):
    """The keyword arguments of `submit`, all optional; `promissory.submit` describes them."""

    queue: str
    priority: int
    labels: Mapping[str, str] | None
    max_depth: int | None
    max_nodes: int | None
    max_futures_bytes: int | None


def submit(
    target: Target,
    inputs: Mapping[str, Any] | None,
    store: Store | str | Path | None,
    run_id: str | None,
    given: SubmitOptions,
) -> Run:
    """Submit a target with its inputs. Raises the errors of `promissory.submit`."""
    unknown = given.keys() - SubmitOptions.__annotations__.keys()
    if unknown:
        raise TypeError(
            f"unexpected keyword argument {sorted(unknown)[0]!r}; there are: {', '.join(SubmitOptions.__annotations__)}"
        )
    refuse_outside_bodies()
    plan = compiled(target)
    large = Pending()
    encoded = encode_inputs(plan, target, inputs or {}, large)
    opened = opened_store(store)
    name = submit_encoded(
        plan,
        encoded,
        store=opened,
        run_id=run_id,
        source=source_of(target),
        buffers=large.buffers,
        queue=given.get("queue", DEFAULT),
        priority=given.get("priority", 0),
        labels=given.get("labels"),
        limits=Limits().changed(given.get("max_depth"), given.get("max_nodes"), given.get("max_futures_bytes")),
    )
    return attach(name, opened, target, trust=True)


def submit_encoded(
    plan: Plan,
    inputs: dict[str, bytes],
    *,
    store: Store,
    run_id: str | None = None,
    source: tuple[str, ...] = (),
    buffers: Iterable[Buffer] = (),
    queue: str = DEFAULT,
    priority: int = 0,
    labels: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> str:
    """Put a run into the store, and have it wait in its queue. Returns its name.

    The run is acknowledged when it waits. Until then it may have to be submitted once more, under its name: what is
    there already is taken.
    """
    wanted = limits or Limits()
    check_limits(wanted)
    _check(queue, priority, labels or {})
    if not store.outlives_the_process:
        raise InputError(
            f"a run is submitted to a store that others reach, and {store.url} is memory of this process: give a "
            "folder, or a URL like s3://bucket/folder"
        )
    name = run_name(run_id, plan.name)
    tell_main_block_state(plan.origin.entities, "processes")
    digest, values, bundle = put_beginning(store, name, plan, inputs, source, buffers, must=True, durable=True)
    manifest = new_manifest(name, plan.name, digest, values, "processes", wanted, source, bundle)
    requires, packages = packages_of(plan.origin.entities)
    manifest = replace(
        manifest, queue=queue, priority=priority, labels=dict(labels or {}), requires=requires, packages=packages
    )
    try:
        begin_run(store, manifest, plan)
    except RunExists as error:
        there = read_manifest(store, name)
        if not error.is_same or run_id is None or not there.queue:
            raise
        manifest = there
    reached("submission.manifest-written")
    if standing_of_run(store, name).state == "QUEUED":
        enqueue(store, manifest)
    return name


def _check(queue: str, priority: int, labels: Mapping[str, str]) -> None:
    """Raise `InputError` for a queue, a priority or labels that make no sense."""
    if not isinstance(queue, str) or not is_queue(queue):
        raise InputError(f"{queue!r} can't name a queue: up to 64 letters, digits, '.', '_' and '-' can")
    if priority.__class__ is not int or abs(priority) > MOST:
        raise InputError(f"priority is a whole number from {-MOST:,} to {MOST:,}, not {priority!r}")
    for label, text in labels.items():
        if not isinstance(label, str) or not isinstance(text, str):
            raise InputError(f"labels are texts by name, not {label!r}: {text!r}")
        if secret := revealed_in(f"{label}={text}".encode("utf-8", "surrogatepass")):
            raise InputError(f"the label {label!r} is stored, and holds the value of Secret({secret!r})")
        if not 0 < len(label) <= _LONGEST or len(text) > _LONGEST:
            raise InputError(f"the label {label[:40]!r} and its text have at most {_LONGEST} characters each")
