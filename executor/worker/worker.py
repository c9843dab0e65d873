"""What every worker runs: a batch of invocations → a batch of outcomes.

A worker finds the code by name and digest, decodes the arguments, calls the function, checks and encodes the result. A plain task gives a value; a dynamic is traced and
gives a futures file. Knows nothing of schedulers, journals or engines.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol, cast

from promissory.executor.code.recent import Recent
from promissory.executor.code.resolver import CantTravel, Code, Refused, has_import_name
from promissory.executor.crash_points import Crashed, reached
from promissory.executor.errors import StoreError
from promissory.executor.protocol.events import tree_of
from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.identity import node_identity, seed_of
from promissory.executor.protocol.messages import (
    ARM,
    CUT,
    DECIDE,
    FAILURE,
    ITEM,
    ITEMS,
    JOINT,
    OBJECT,
    UNSTARTED,
    VALUE,
    leaf_key,
)
from promissory.executor.records.checkpoints import checkpoint_of
from promissory.executor.store.in_band import Carried
from promissory.executor.store.store import Store
from promissory.executor.worker.chunking import UnequalLists, cut, flattened, items_of, join, listed
from promissory.executor.worker.conditions import choose
from promissory.executor.worker.outcome import EMITTED, GAVE_UP, LOOPED, RETURNED, SKIPPED, Raw, conclude
from promissory.planner.active import InTaskBody, current
from promissory.planner.body.context import Body, Context, current_body
from promissory.planner.body.signals import Loop, Retry, Signal, Skip
from promissory.planner.entities.dynamic import Dynamic, Iteration, expand
from promissory.planner.entities.task import Task
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.bindings import assemble
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes
from promissory.planner.plan.model import Callee, Large, Plan
from promissory.typesys.canonical import pack, unpack
from promissory.typesys.errors import TypeMismatch
from promissory.typesys.transcode import transcode
from promissory.typesys.type_format import type_from_bytes
from promissory.typesys.types import Type

_LISTS_KEPT: Final = 8
_ENDS_A_BATCH: Final = (FAILURE, UNSTARTED)
_KEPT_FUNCTIONS: Final = 4096
LONGEST_BATCH: Final = 0.02
"""Seconds after which a batch ends early."""


def _end_child(error: BaseException | None) -> None:
    """End a process as Python would end a program that this error ended."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a body may have put anything there
            stream.flush()
    os._exit(code & 0xFF)


class Listener(Protocol):
    """Takes what a body says."""

    def begin(self, path: str) -> None:
        """A body begins."""

    def end(self) -> list[Any] | None:
        """It has ended: [key, offset, length] of what it said, or None. Raises `StoreError`."""


class Taker(Protocol):
    """Takes outcomes one by one: a list, or what sends them."""

    def append(self, outcome: Any, /) -> None:
        """An outcome."""


class Worker:
    """Runs batches.

    Args:
        store: where objects are read and written.
        run_id: the run.
        name: the worker's name, for the journal.
        created: when the run was created, in µs since the epoch; times are told relative to it.
        capture: takes what bodies print.
        epoch: of the executor.
        bundle: digest of the run's source bundle; empty if it has none.
        is_ending: tells whether the run was told to end.
        carried: holds the store's contents, if the executor's own can't be reached from here.
        remote: whether it runs in another process than the executor, so that functions have to travel.
        before_body: told of the time-out just before a body begins, and whether its code has been loaded just now.
        after_body: told when a body is over, before anything else happens.

    Attributes:
        now: frame, index and beginning (µs since the epoch) of what runs; None between bodies.
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
        before_body: Callable[[float | None, bool], None] | None = None,
        after_body: Callable[[], None] | None = None,
    ) -> None:
        self.store = store
        self.name = name
        self.created = created
        self.capture = capture
        self.now: tuple[int, int, int] | None = None
        self._epoch = epoch
        self._is_ending = is_ending
        self._carried = carried
        self._remote = remote
        self._ships = remote or store.outlives_the_process
        self._before_body = before_body
        self._after_body = after_body
        self._process = os.getpid()
        self._code = Code(store, run_id, bundle)
        self._kept = Recent[tuple[str, bytes], tuple[Callee, Entity[..., Any]]](_KEPT_FUNCTIONS)
        self._held: list[Entity[..., Any]] = []
        self._run_id = run_id
        self._shared: list[Any] = []
        self._channel: dict[str, bytes] = {}
        self._items: dict[bytes, list[bytes]] = {}

    def run(self, batch: list[Any], outcomes: Taker) -> None:
        """Run a batch (a tree, which is not changed), adding each outcome to `outcomes` as it is there, so that an interrupted batch keeps what it has done.

        After a failure, when bodies turn out to be slow, or when the run is to end, the rest of the batch is given back unstarted, so that what is done gets committed. Raises
        `StoreError`, which is no node's failure.
        """
        definitions, invocations, carried, shared, channel = batch
        if self._carried is not None:
            self._carried.bring(carried)
        if shared or channel or self._shared or self._channel:
            self.share(shared, channel)
        over, begun = False, time.monotonic()
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

    def share(self, shared: list[Any], channel: list[Any]) -> None:
        """What the invocations of the batch that follows have in common."""
        self._shared, self._channel = shared, dict(channel)

    def _invoke(self, definitions: list[bytes], invocation: list[Any]) -> list[Any]:
        number, frame, index, arguments, path, place, depth, attempt, timeout, _ = invocation
        asked = None
        signal: Signal | None = None
        begun = time.time_ns() // 1000
        self.now = (frame, index, begun)
        self.capture.begin(path)
        try:
            if number < 0:
                status, payload = self.hidden(number, arguments)
            else:
                definition = definitions[number]
                loaded = self._code.loaded
                entity = self._code.resolve(definition)
                if self._before_body is not None:
                    self._before_body(timeout, loaded != self._code.loaded)
                body_begun = 0.0 if timeout is None else time.monotonic()
                body = Body(self._context, invocation)
                token = current_body.set(body)
                try:
                    if entity.kind == "task":
                        how, result = RETURNED, self._call(entity, arguments)
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
                    how, result = GAVE_UP, None
                finally:
                    current_body.reset(token)
                    if body.context is not None:
                        body.end()
                requests = None if body.context is None else body.context.requests
                if how == GAVE_UP:
                    status, payload = UNSTARTED, None
                elif how == RETURNED and requests is None:
                    status, payload = VALUE, self.encoded(entity, result)
                else:
                    status, payload, asked = conclude(
                        self, entity, Raw(how, result, signal), requests, FuturesHeader(place[0], place[1], depth)
                    )
                if timeout is not None and how != GAVE_UP and time.monotonic() - body_begun > timeout:
                    raise Refused(
                        "TaskTimeout",
                        f"{path} took {time.monotonic() - body_begun:.3g} s, and its time-out is {timeout:g} s",
                    )
        except (KeyboardInterrupt, StoreError, Crashed):
            self.now = None
            self.capture.end()
            raise
        except Refused as refusal:
            status, payload = FAILURE, Failure.of_executor(refusal.kind, str(refusal)).to_tree()
        except BaseException as error:  # whatever a body raises is its failure, sys.exit() too
            status, payload = FAILURE, Failure.of_exception(error).to_tree()
        signal = None  # its traceback holds this frame, and all that the body had: without a cycle that goes at once
        ended = time.time_ns() // 1000
        self.now = None
        log = self.capture.end()
        carried = None if self._carried is None else self._carried.taken()
        return [
            frame,
            index,
            status,
            payload,
            begun - self.created,
            ended - begun,
            self.name,
            attempt,
            log,
            carried,
            asked,
        ]

    # --- bodies ---

    def _context(self, invocation: list[Any]) -> Context:
        """What a body may know and ask."""
        path, place, depth, attempt, timeout, loop = invocation[4:]
        iteration, payload, allowed = loop or (0, None, None)
        return Context(
            run_id=self._run_id,
            path=path,
            attempt=attempt,
            loop_index=iteration,
            loop_result=None if payload is None else self.bytes_of(payload),
            depth=depth - 1,
            max_iterations=allowed,
            seed=lambda: seed_of(self._run_id, place[0], place[1]),
            deadline=None if timeout is None else time.time() + timeout,
            channel=self._channel,
            checkpoint=checkpoint_of(self.store, self._run_id, node_identity(place[0], place[1]), self._epoch),
            is_ending=self._is_ending,
            in_run=True,
        )

    def _call(self, entity: Entity[..., Any], arguments: list[Any]) -> Any:
        values, _ = self.arguments_of(entity, arguments)
        reached("worker.before-body")
        token = current.set(InTaskBody(entity.name))
        try:
            result = (
                entity.run_body(values, to_its_end=True) if isinstance(entity, Task) else entity.call_function(values)
            )
        finally:
            current.reset(token)
            self._is_over()
        reached("worker.after-body")
        return result

    def _is_over(self) -> None:
        """A body has ended. If it forked, and this is the child that came back from it, the child ends here: the parent goes on."""
        if os.getpid() != self._process:
            _end_child(sys.exc_info()[1])
        if self._after_body is not None:
            self._after_body()

    def _expand(self, entity: Dynamic[..., Any], arguments: list[Any]) -> Any:
        values, encoded = self.arguments_of(entity, arguments)
        try:
            return expand(entity, values, encoded)
        finally:
            self._is_over()

    def emitted(self, plan: Plan, header: FuturesHeader) -> bytes:
        """The futures file of a plan that was made here, with all that it calls and holds where others find it."""
        self._ship_code(plan)
        for literal in plan.literals:
            if isinstance(literal, Large):
                self.store.put_object(literal.digest, plan.blobs[literal.digest])
        return futures_to_bytes(plan, header)

    def kept(self, data: bytes) -> Any:
        """A value, stored, as it stands in an outcome."""
        return tree_of(self.store.put_value(data))

    def _ship_code(self, expansion: Plan) -> None:
        """Have other workers find the functions that a plan made here calls."""
        for callee, called in zip(expansion.shape.callees, expansion.origin.entities, strict=True):
            if not has_import_name(callee):  # no import reaches it, and the plan is about to go
                dropped = self._kept.put((callee.name, callee.digest), (callee, called))
                if dropped and not self._ships:
                    self._put_away(dropped.values())
        if self._ships:
            try:
                self._code.ship(zip(expansion.shape.callees, expansion.origin.entities, strict=True), must=self._remote)
            except CantTravel as problem:
                raise Refused("CodeNotFound", str(problem)) from None

    def _put_away(self, functions: Iterable[tuple[Callee, Entity[..., Any]]]) -> None:
        """Store functions that may be called yet, and are too many to be held; hold those that can't be stored."""
        for function in functions:
            try:
                self._code.ship([function])
            except CantTravel:
                self._held.append(function[1])

    def encoded(self, entity: Entity[..., Any], result: Any) -> Any:
        """What a body returned, checked and stored, as it stands in an outcome. Raises `Refused`."""
        if isinstance(result, Signal):
            name = type(result).__name__
            raise Refused("TaskTypeError", f"{entity.name} returned {name}(…), which is to be raised: raise {name}(…)")
        try:
            data = entity.signature.result.encode(result)
        except TypeMismatch as mismatch:
            said = mismatch.at("result")
            raise Refused(
                "TaskTypeError", f"{entity.name}() returned something else than it declares: {said}"
            ) from None
        stored = tree_of(self.store.put_value(data))
        reached("worker.value-stored")
        return stored

    # --- what is no code of the author's ---

    def hidden(self, number: int, arguments: list[Any]) -> tuple[int, Any]:
        """Status and payload of what is no body: a joint, a decision, the cutting and joining of lists."""
        if number == JOINT:
            return VALUE, self._joint(arguments)
        if number == DECIDE:
            return ARM, self._decide(arguments)
        if number == CUT:
            return ITEMS, self._cut(arguments)
        return VALUE, tree_of(self.store.put_value(join(self.bytes_of(argument) for argument in arguments)))

    def _decide(self, arguments: list[Any]) -> int:
        conditions, given = arguments
        operands = [(unpack(self.bytes_of(argument)), type_from_bytes(type)) for argument, type in given]
        try:
            return choose(conditions, operands)
        except TypeMismatch as mismatch:
            raise Refused("TaskTypeError", f"a condition can't be decided: {mismatch}") from None

    def _cut(self, arguments: list[Any]) -> list[Any]:
        given, shortest = arguments
        lists = [(flattened if flat else listed)(self.bytes_of(argument)) for argument, _, flat in given]
        try:
            return [
                [count, [tree_of(self.store.put_value(part)) for part in parts]]
                for count, parts in cut(lists, shortest)
            ]
        except UnequalLists as unequal:
            said = ", ".join(
                f"{name} has {length:,}" for (_, name, _), length in zip(given, unequal.lengths, strict=True)
            )
            way_out = 'Give lists of one length, unmapped(…) for what is no list of items, or zip="shortest"'
            raise Refused(
                "UnequalLengths", f"lists that are mapped together have different lengths: {said}. {way_out}"
            ) from None

    def bytes_of(self, argument: Any) -> bytes:
        """The bytes of a value as it stands in an argument or outcome."""
        data: bytes = argument if argument.__class__ is bytes else self.store.get_value(Large(argument[1], argument[2]))
        return data

    def _item(self, argument: list[Any], wanted: Type) -> bytes:
        """The bytes of an item of a list that invocations share."""
        _, number, position, type = argument
        shared = self._shared[number]
        key = shared if shared.__class__ is bytes else shared[1]
        items = self._items.get(key)
        if items is None:
            if len(self._items) >= _LISTS_KEPT:
                self._items.clear()
            items = self._items[key] = list(items_of(self.bytes_of(shared)))
        data = items[position]
        return data if type is None else pack(transcode(unpack(data), type_from_bytes(type), wanted))

    def _joint(self, arguments: list[Any]) -> Any:
        argument, wanted = arguments
        try:
            if argument[0] == ITEM:
                data = self._item(argument, type_from_bytes(wanted))
            else:
                data = pack(self._assembled(argument, type_from_bytes(wanted)))
        except TypeMismatch as mismatch:
            raise Refused(
                "TaskTypeError", f"what is given is something else than declared: {mismatch.at('result')}"
            ) from None
        return tree_of(self.store.put_value(data))

    # --- arguments ---

    def arguments_of(self, entity: Entity[..., Any], arguments: list[Any]) -> tuple[list[Any], list[bytes]]:
        """The values of a call's arguments, and the bytes they were decoded from."""
        values, encoded = [], []
        signature = entity.signature
        for parameter, codec, argument in zip(signature.interface.parameters, signature.codecs, arguments, strict=True):
            if argument.__class__ is bytes:
                data: bytes = argument
                referable = True
            elif argument is None:
                assert parameter.default is not None
                data, referable = parameter.default, True
            elif argument[0] == ITEM:
                data, referable = self._item(argument, parameter.type), False
            elif argument[0] == OBJECT:
                data, referable = self.store.get_value(Large(argument[1], argument[2])), True
            else:
                try:
                    data, referable = pack(self._assembled(argument, parameter.type)), False
                except TypeMismatch as mismatch:
                    raise Refused("TaskTypeError", mismatch.at(f"{entity.name}({parameter.name}=…)")) from None
            try:
                values.append(codec.decode(data))
            except TypeMismatch as mismatch:
                raise Refused("TaskTypeError", mismatch.at(f"{entity.name}({parameter.name}=…)")) from None
            encoded.append(data if referable else b"")
        return values, encoded

    def _assembled(self, argument: list[Any], wanted: Type) -> Any:
        _, binding, sources = argument
        found = {}
        for source, value, type in sources:
            data = value if value.__class__ is bytes else self.store.get_value(Large(value[1], value[2]))
            found[leaf_key(source)] = (data, None if type is None else type_from_bytes(type))

        def leaf(one: Any, target: Type) -> tuple[Any, Type]:
            data, type = found[leaf_key(one)]
            return unpack(data), target if type is None else type

        return assemble(binding, wanted, leaf)
