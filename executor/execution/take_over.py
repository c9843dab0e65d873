"""Taking a run over: its state is read back from the journal, today's code is adopted, and a new executor writes its
first segment, after which no other may write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from promissory.executor.cache.lookups import keep_all
from promissory.executor.clock import SystemClock
from promissory.executor.code.resolver import Code, missing_modules_from
from promissory.executor.code.source_bundle import leave_other_bundles
from promissory.executor.crash_points import reached
from promissory.executor.errors import Fenced, InputError, RunIsLive
from promissory.executor.execution.begun_bodies import settle
from promissory.executor.execution.code_changes import Change, Current, adopt_current_code
from promissory.executor.execution.commits import write_futures
from promissory.executor.execution.first_events import code_event, resumed_event, stop_events
from promissory.executor.execution.options import Limited, Options, check_limits
from promissory.executor.execution.own_run import OwnRun
from promissory.executor.execution.prepare import Target, codecs_of, keep_current_code, new_execution, refuse_timeouts
from promissory.executor.execution.presence import Presence
from promissory.executor.execution.run import Run
from promissory.executor.history.at_a_glance import forget_overview
from promissory.executor.history.recovery import next_epoch, recover
from promissory.executor.history.summary import ENDED_WELL
from promissory.executor.journal.writer import LostRace
from promissory.executor.protocol.events import Event
from promissory.executor.records.inbox import clear
from promissory.executor.records.manifest import Manifest
from promissory.executor.records.queue import leave_queue
from promissory.executor.store.keys import segment_key
from promissory.executor.store.mark import mark
from promissory.executor.store.probe import probe
from promissory.executor.store.store import Store

_SUBMITTED: Final = (
    "The run was submitted: worker processes (--engine processes) run the code that was submitted, and --new-code goes "
    "on with today's"
)


def take_over_run(
    store: Store,
    manifest: Manifest,
    options: Options,
    limits: Limited,
    *,
    target: Target | None = None,
    strict_code: bool = False,
    new_code: bool = False,
    on_change: Callable[[Change], None] | None = None,
    by_worker: bool = False,
    first: bool = False,
) -> Run:
    """Make a run this executor's own, ready to be carried. A run that has succeeded already is returned as it is.

    A run that was submitted goes on with the code that was submitted (rule Q3): nothing of it is imported here.

    Args:
        by_worker: whether `promissory work` carries the run. Whoever else takes it takes it out of its queue.
        first: whether nobody may have begun with the run before.

    Raises:
        CodeChanged, EngineError, JournalError, StoreError: the run is as it was.
        RunIsLive: another executor took the run over at this moment, and was first.
    """
    run_id = manifest.run_id
    is_pinned = bool(manifest.queue) and options.engine.remote and not new_code
    way_out = "Without --strict-code it would go on" if strict_code else ""
    if manifest.queue and not new_code and not strict_code:
        way_out = _SUBMITTED
    probe(store)
    while True:
        recovered = recover(store, manifest, options.clock or SystemClock(), options.stop)
        codecs = codecs_of(target if target is not None else recovered.plan)
        if first and recovered.tail is not None and recovered.tail.epoch:
            raise RunIsLive(f"run {run_id} was claimed by another executor, which was first")
        if recovered.ended is not None and recovered.ended[1] in ENDED_WELL and not recovered.goes_on:
            if options.stop is not None and not recovered.was_stopped:
                raise InputError(
                    f"run {run_id} has {recovered.ended[1]}, and no cycle of it that was stopped could go on to "
                    f"{options.stop}: only one whose value nothing has taken yet can"
                )
            if options.durability == "disk" and recovered.tail is not None:
                # The executor that wrote the end may have died before it synced the file.
                store.sync([segment_key(run_id, recovered.tail.number)])
            for data in recovered.futures:
                write_futures(store, run_id, data)
            keep_all(store, run_id, recovered.scheduler.settled)
            return Run(run_id, store, codecs)
        scheduler = recovered.scheduler
        scheduler.limits = scheduler.limits.changed(*limits)
        check_limits(scheduler.limits)
        if not options.engine.stops_bodies and not options.soft_timeouts:
            for frame in scheduler.frames.values():
                refuse_timeouts(frame.topology.shape, options.engine.name)
        changes: list[Change] = []
        current: Current = []
        moved: list[Event] = []
        if not is_pinned:
            leave_other_bundles(manifest.bundle)
            if manifest.bundle:
                missing_modules_from(store, manifest.bundle, scheduler)
            changes, current = adopt_current_code(
                scheduler, way_out, Code(store, run_id, manifest.bundle).is_of_another_name
            )
            moved = settle(store, run_id, manifest.bundle, scheduler, options.engine, new_code)
        mark(store)
        epoch = 1 if manifest.queue and recovered.tail is None else next_epoch(recovered)
        presence = Presence(store, options.beat)
        changed = [code_event(change.name, change.old, change.new) for change in changes]
        with ExitStack() as unless_ready:
            unless_ready.callback(presence.end)
            execution = new_execution(
                store, manifest, scheduler, options, recovered.plan, presence, epoch, recovered.tail, is_pinned
            )
            try:
                execution.journal.claim(
                    (resumed_event(epoch, scheduler.limits), *stop_events(options.stop), *changed, *moved)
                )
            except LostRace:
                continue  # the old executor's newest segment counts: read it too
            except Fenced as lost:
                raise RunIsLive(
                    f"run {run_id} was taken over by {lost.winner}, which was first. Wait for it, or stop it"
                ) from None
            reached("resume.claimed")
            clear(store, run_id)
            forget_overview(store, run_id)
            for change in changes:
                if scheduler.tally is not None:
                    scheduler.tally.changed.append(change.name)
                if on_change is not None:
                    on_change(change)
            if manifest.queue and not by_worker:
                leave_queue(store, manifest)
            keep_current_code(store, run_id, options.engine, current)
            for data in recovered.futures:
                write_futures(store, run_id, data)
            execution.continues(recovered)
            unless_ready.pop_all()
            return OwnRun(run_id, store, codecs, execution, recovered.plan)
