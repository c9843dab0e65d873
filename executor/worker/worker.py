"""The worker: a batch of invocations → a batch of outcomes. Every engine runs this same code.

A worker finds the code by name and digest, decodes the arguments, calls the function, checks and encodes the result. A
plain task gives a value; a dynamic is traced and gives a futures file. The worker knows nothing of schedulers, journals
or engines.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from promissory.executor.clock import PAUSE, since_boot
from promissory.executor.code.resolver import Code, Refused
from promissory.executor.crash_points import Crashed, reached
from promissory.executor.errors import StoreError
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import node_identity, seed_of
from promissory.executor.protocol.messages import CLOSING, FAILURE, GONE, NOT_YET, OVER, SKIP, UNSTARTED, VALUE
from promissory.executor.records.checkpoints import checkpoint_of
from promissory.executor.store.in_band import Carried
from promissory.executor.store.store import Store
from promissory.executor.worker.awaiting import Bodies, Kept, Told, ToldOf, Wakes, waiting
from promissory.executor.worker.emission import Emission
from promissory.executor.worker.forked_body import end_child
from promissory.executor.worker.hearers import Listener, Taker
from promissory.executor.worker.joints import carry_out
from promissory.executor.worker.outcome import EMITTED, LOOPED, RETURNED, SKIPPED, Concluded, Raw, conclude
from promissory.executor.worker.values import Values
from promissory.planner.active import InTaskBody, current
from promissory.planner.body.context import Body, Context, current_body
from promissory.planner.body.signals import Loop, Retry, Signal, Skip
from promissory.planner.entities.cycle import CycleFunction, NotYet, expand_round
from promissory.planner.entities.dynamic import Dynamic, Iteration, expand
from promissory.planner.entities.task import Task
from promissory.planner.errors import SignalError, raised_at
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.format import FuturesHeader
from promissory.planner.plan.plan import Plan
from promissory.typesys.secret import masked

_ENDS_A_BATCH: Final = (FAILURE, UNSTARTED)
LONGEST_BATCH: Final = 0.02
"""Seconds after which a batch ends early."""


class Worker:
    """Runs batches.

    Args:
        store: where objects are read and written.
        run_id: the run.
        name: the worker's name, for the journal.
        created: the time at which the run was created, in µs since the epoch; other times are told relative to it.
        capture: takes the output of bodies.
        epoch: the executor's epoch, which bodies may know.
        bundle: digest of the run's source bundle; empty if it has none.
        is_ending: tells whether the run was told to end.
        carried: holds the store's contents, if the executor's own store can't be reached from here.
        remote: whether the worker runs in another process than the executor, so that functions have to travel.
        before_body: called just before a body begins, with the time-out, whether the body's code was loaded just now,
            and whether the processes that it leaves are to outlive the run.
        after_body: called when a body is over, before anything else happens.
        bodies: the bodies of async dynamics that wait, if several workers share them.

    Attributes:
        now: frame, index and beginning (µs since the epoch) of the running body; None between bodies.
        values: encodes, keeps and fetches the values of calls.
        emitted: makes the futures files of plans that bodies made.
    """

    def __init__(
        self,
        store: Store,
        run_id: str,
        name: str,
        created: int,
        capture: Listener,
        *,
        epoch: int = 0,
        bundle: bytes = b"",
        is_ending: Callable[[], bool] | None = None,
        carried: Carried | None = None,
        remote: bool = False,
        before_body: Callable[[float | None, bool, bool], None] | None = None,
        after_body: Callable[[], None] | None = None,
        bodies: Bodies | None = None,
    ) -> None:
        self.store = store
        self.values = Values(store)
        self.name = name
        self.created = created
        self.capture = capture
        self.now: tuple[int, int, int] | None = None
        self._epoch = epoch
        self._is_ending = is_ending
        self._carried = carried
        self._before_body = before_body
        self._after_body = after_body
        self._process = os.getpid()
        self._code = Code(store, run_id, bundle)
        self.emitted = Emission(store, self._code, remote)
        self._run_id = run_id
        self._channel: dict[str, bytes] = {}
        self._bodies = Bodies() if bodies is None else bodies
        self._wakes = Wakes(self.values, self._bodies, carried is not None)

    def run(self, batch: list[Any], outcomes: Taker, sure: float) -> None:
        """Run a batch (a tree, which is not changed).

        Args:
            sure: when the executor was last sure that the run is its own, in seconds since boot. A batch that has lain
                for longer than a moment is given back: the executor looks, and gives it again (rule J3).

        Each outcome is added to `outcomes` at once, so that an interrupted batch keeps the outcomes that it has. After
        a failure, when bodies turn out to be slow, or when the run is to end, the rest of the batch is given back
        unstarted, so that the outcomes so far get committed. Raises `StoreError`, which is no node's failure.
        """
        definitions, invocations, carried, shared, channel = batch
        if self._carried is not None:
            self._carried.bring(carried)
        if shared or channel or self.values.shared or self._channel:
            self.share(shared, channel)
        over, begun = since_boot() - sure > PAUSE, time.monotonic()
        for invocation in invocations:
            if over:
                outcomes.append(
                    [invocation[1], invocation[2], UNSTARTED, None, 0, 0, self.name, invocation[7], None, None, None]
                )
            else:
                outcome = self._invoke(definitions, invocation)
                over = (
                    outcome[2] in _ENDS_A_BATCH
                    or time.monotonic() - begun > LONGEST_BATCH
                    or (self._is_ending is not None and self._is_ending())
                )
                outcomes.append(outcome)

    def close(self) -> None:
        """Let go of the bodies that wait here."""
        self._bodies.close()

    def share(self, shared: list[Any], channel: list[Any]) -> None:
        """Take the shared lists and the channel of the invocations that follow."""
        self.values.shared, self._channel = shared, dict(channel)

    def _invoke(self, definitions: list[bytes], invocation: list[Any]) -> list[Any]:
        number, frame, index, arguments, path, _, _, attempt, _, _ = invocation
        asked = None
        begun = self._begin(frame, index, path)
        try:
            if number < 0:
                status, payload = carry_out(self.values, number, arguments)
            else:
                definition = definitions[number]
                loaded = self._code.loaded
                entity = self._code.resolve(definition)
                if entity.is_async and entity.kind == "dynamic":
                    status, payload, asked = self._wake(cast(Any, entity), invocation, loaded)
                else:
                    status, payload, asked = self._run_body(entity, invocation, loaded)
        except (KeyboardInterrupt, StoreError, Crashed):
            self.now = None
            self.capture.end()
            raise
        except ToldOf as told:
            status, payload = FAILURE, told.failure.to_tree()
        except Refused as refusal:
            status, payload = FAILURE, Failure.of_executor(refusal.kind, str(refusal)).to_tree()
        except BaseException as error:  # any exception of a body is its failure, that of sys.exit() too
            status, payload = FAILURE, Failure.of_exception(error).to_tree()
        return self._outcome(frame, index, attempt, begun, (status, payload, asked))

    def _begin(self, frame: int, index: int, path: str) -> tuple[int, int]:
        """A call begins. Returns the moment by the clock of the day (µs), and by one that is never set back (ns)."""
        begun = time.time_ns() // 1000
        self.now = (frame, index, begun)
        self.capture.begin(path)
        return begun, time.monotonic_ns()

    def _outcome(self, frame: int, index: int, attempt: int, begun: tuple[int, int], concluded: Concluded) -> list[Any]:
        """The outcome of a call that is over."""
        lasted = (time.monotonic_ns() - begun[1]) // 1000
        status, payload, asked = concluded
        self.now = None
        log = self.capture.end()
        carried = None if self._carried is None else self._carried.taken()
        return [
            frame,
            index,
            status,
            payload,
            begun[0] - self.created,
            lasted,
            self.name,
            attempt,
            log,
            carried,
            asked,
        ]

    # --- bodies ---

    def _run_body(self, entity: Entity[..., Any], invocation: list[Any], loaded: int) -> Concluded:
        """Run the body of a task or dynamic, or trace a round of a cycle."""
        body = Body(self._context, invocation)
        try:
            return self._carry_out(body, entity, invocation, loaded)
        finally:
            body.clean()

    def _carry_out(self, body: Body, entity: Entity[..., Any], invocation: list[Any], loaded: int) -> Concluded:
        arguments, path, place, depth, _, timeout, loop = invocation[3:]
        if self._before_body is not None:
            self._before_body(timeout, loaded != self._code.loaded, entity.policy.keep_children)
        body_begun = 0.0 if timeout is None else time.monotonic()
        signal: Signal | None = None
        token = current_body.set(body)
        try:
            if entity.kind == "task":
                how, result = RETURNED, self._call(entity, arguments)
            elif isinstance(entity, CycleFunction):
                how, result = EMITTED, self._trace_round(entity, arguments, loop)
            else:
                result = self._expand(cast(Any, entity), arguments)
                how = EMITTED if isinstance(result, Plan | Iteration) else RETURNED
        except Loop as raised:
            how, result, signal = LOOPED, raised.result, raised
        except Skip as raised:
            how, result, signal = SKIPPED, raised.reason, raised
        except Retry:
            if body.context is None or not body.context.gives_up:
                raise
            return UNSTARTED, None, None
        finally:
            current_body.reset(token)
            if body.context is not None:
                body.end()
        concluded = self._concluded(entity, body, Raw(how, result, signal), FuturesHeader(place[0], place[1], depth))
        signal = None  # its traceback holds this frame and the body's: without a cycle both are freed at once
        if timeout is not None:
            self._refuse_late(path, timeout, body_begun)
        return concluded

    def _concluded(self, entity: Entity[..., Any], body: Body, raw: Raw, header: FuturesHeader) -> Concluded:
        """The outcome of a body that has ended."""
        requests = None if body.context is None else body.context.requests
        if raw.how == RETURNED and requests is None:
            return VALUE, self.values.encoded(entity, raw.what), None
        if raw.how == EMITTED and not isinstance(raw.what, Plan | Iteration):
            return (OVER, None, None) if raw.what is None else (NOT_YET, raw.what.due, None)
        return conclude(self, entity, raw, requests, header)

    def _refuse_late(self, path: str, timeout: float | None, begun: float) -> None:
        """Raise `Refused` for a body that has taken longer than its time-out."""
        took = time.monotonic() - begun
        if timeout is not None and took > timeout:
            raise Refused("TaskTimeout", f"{path} took {took:.3g} s, and its time-out is {timeout:g} s")

    def _context(self, invocation: list[Any]) -> Context:
        """The context of a body: all that the body may know of its run, and ask of it."""
        path, place, depth, attempt, timeout, loop = invocation[4:]
        iteration, payload, allowed, *_ = loop or (0, None, None)
        return Context(
            run_id=self._run_id,
            path=path,
            attempt=attempt,
            loop_index=iteration,
            loop_result=None if payload is None else self.values.bytes_of(payload),
            depth=depth - 1,
            max_iterations=allowed,
            seed=lambda: seed_of(self._run_id, place[0], place[1]),
            deadline=None if timeout is None else time.time() + timeout,
            channel=self._channel,
            checkpoint=checkpoint_of(self.store, self._run_id, node_identity(place[0], place[1]), self._epoch),
            is_ending=self._is_ending,
            epoch=self._epoch,
            in_run=True,
            parts=self.store,
        )

    def _call(self, entity: Entity[..., Any], arguments: list[Any]) -> Any:
        values, _ = self.values.arguments_of(entity, arguments)
        reached("worker.before-body")
        token = current.set(InTaskBody(entity.name))
        try:
            result = entity.run_body(values) if isinstance(entity, Task) else entity.call_function(values)
        finally:
            current.reset(token)
            self._is_over()
        reached("worker.after-body")
        return result

    def _is_over(self) -> None:
        """Note that a body is over. If the body forked, and this is the child that came back from it, the child ends
        here, because the parent goes on."""
        if os.getpid() != self._process:
            end_child(sys.exc_info()[1])
        if self._after_body is not None:
            self._after_body()

    def _expand(self, entity: Dynamic[..., Any], arguments: list[Any]) -> Any:
        values, encoded = self.values.arguments_of(entity, arguments)
        try:
            return expand(entity, values, encoded)
        finally:
            self._is_over()

    def _wake(self, entity: Dynamic[..., Any], invocation: list[Any], loaded: int) -> Concluded:
        """Begin the body of an async dynamic, or tell it what has come."""
        _, frame, index, arguments, path, place, depth, _, timeout, loop = invocation
        told, header, ends = Told(*loop), FuturesHeader(place[0], place[1], depth), True
        body = Body(self._context, [*invocation[:9], None])
        token = current_body.set(body)
        try:
            kept = self._wakes.brought_back(entity, arguments, frame, index, told, body, header)
            if kept is None:
                return GONE, None, None
            body = kept.body
            current_body.set(body)
            if self._before_body is not None:
                loads = kept.is_replayed or loaded != self._code.loaded
                self._before_body(timeout, loads, entity.policy.keep_children)
            body_begun = time.monotonic()
            stretch = self._tell(entity, kept, told)
            ends = stretch.ends
        except Skip as raised:
            return SKIP, masked(str(raised.reason)), None
        finally:
            current_body.reset(token)
            if body.context is not None and ends:
                body.end()
        self._refuse_late(path, timeout, body_begun)
        if stretch.ends and not told.number:  # it has ended without awaiting, as any dynamic
            raw = Raw(RETURNED, stretch.result) if stretch.plan is None else Raw(EMITTED, stretch.plan)
            return self._concluded(entity, body, raw, header)
        status, payload = waiting(kept, told, stretch, header, self.emitted)
        if not stretch.ends:
            self._bodies.keep(frame, index, kept)
        return status, payload, None

    def _tell(self, entity: Dynamic[..., Any], kept: Kept, told: Told) -> Any:
        try:
            return self._wakes.tell(kept, told)
        except BaseException as error:
            told_before = kept.driven.told_of(error)
            kept.driven.close()
            if told_before is not None and not isinstance(error, Signal):
                raise ToldOf(replace(Failure.of_exception(error), told=told_before)) from error
            if isinstance(error, Loop):
                raise SignalError(
                    f"{entity.name} is async and raised Loop",
                    where=raised_at(error),
                    way_out="write a loop in it: while …: … = await value(…)",
                ) from None
            raise
        finally:
            self._is_over()

    def _trace_round(
        self, entity: CycleFunction[..., Any], arguments: list[Any], loop: list[Any]
    ) -> Plan | NotYet | None:
        iteration, _, _, stop, closing, now, held = loop
        values, encoded = self.values.arguments_of(entity, arguments)
        try:
            return expand_round(
                entity,
                iteration - CLOSING if closing else iteration,
                values,
                encoded,
                stop=stop,
                closing=closing,
                now=None if closing else now,
                held=frozenset(held),
            )
        finally:
            self._is_over()
