"""What every worker runs: a batch of invocations → a batch of outcomes.

A worker finds the code by name and digest, decodes the arguments, calls the function, checks and encodes the result. A plain task gives a value; a dynamic is traced and
gives a futures file. Knows nothing of schedulers, journals or engines.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import Any, Final, Protocol, cast

from executor.carried import Carried
from executor.chunks import UnequalLists, cut, items_of, join
from executor.code import CantTravel, Code, Refused, has_import_name
from executor.crash_points import Crashed, reached
from executor.decide import choose
from executor.errors import StoreError
from executor.events import tree_of, value_of
from executor.failure import Failure
from executor.invocation import (
    ARM,
    CANCEL,
    CUT,
    DECIDE,
    FAILURE,
    FUTURES,
    ITEM,
    ITEMS,
    ITERATION,
    JOINT,
    LOOP,
    OBJECT,
    SKIP,
    UNSTARTED,
    VALUE,
    leaf_key,
    value_argument,
)
from executor.store import Store
from planner.binding import assemble
from planner.context import Body, Context, Requests, current_body
from planner.dynamic import Dynamic, Iteration, expand, plan_of_calls
from planner.entity import Entity
from planner.errors import SignalError
from planner.plan import Large, Plan
from planner.plan_format import FuturesHeader, futures_to_bytes
from planner.signals import Loop, Skip
from planner.task import Task
from planner.tracing import InTaskBody, current
from typesys.canonical import pack, unpack
from typesys.errors import TypeMismatch
from typesys.secret import masked
from typesys.transcode import transcode
from typesys.type_format import type_from_bytes
from typesys.types import ANY, NONE, Type
from typesys.wire import codec_for

_LISTS_KEPT: Final = 8
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


def seed_of(run_id: str, parent: bytes, index: int) -> int:
    """A number made of a node's identity: equal on every attempt and engine."""
    state = blake2b(run_id.encode() + b"\0" + parent + index.to_bytes(8, "big"), digest_size=8, person=b"promissory seed")
    return int.from_bytes(state.digest(), "big") >> 1


def _payload(result: Any) -> bytes:
    """What a body gave `Loop`, as a value that says itself what it is."""
    try:
        return _ANY.encode(result)
    except TypeMismatch as mismatch:
        raise Refused("TaskTypeError", mismatch.at("Loop(…)")) from None


_ANY: Final = codec_for(ANY)


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
        bundle: digest of the run's source bundle; empty if it has none.
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
        bundle: bytes = b"",
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
        self._carried = carried
        self._remote = remote
        self._ships = remote or store.outlives_the_process
        self._before_body = before_body
        self._after_body = after_body
        self._process = os.getpid()
        self._code = Code(store, run_id, bundle)
        self._kept: dict[tuple[str, bytes], Any] = {}
        self._run_id = run_id
        self._shared: list[Any] = []
        self._channel: dict[str, bytes] = {}
        self._items: dict[bytes, list[bytes]] = {}

    def run(self, batch: bytes, outcomes: Taker) -> None:
        """Run a batch, adding each outcome to `outcomes` as it is there, so that an interrupted batch keeps what it has done.

        After a failure, or when bodies turn out to be slow, the rest of the batch is given back unstarted, so that what is done gets committed. Raises
        `StoreError`, which is no node's failure.
        """
        definitions, invocations, carried, shared, channel = unpack(batch, "a batch")
        if self._carried is not None:
            self._carried.bring(carried)
        self.share(shared, channel)
        over, begun = False, time.monotonic()
        for invocation in invocations:
            if over:
                outcomes.append([invocation[1], invocation[2], UNSTARTED, None, 0, 0, self.name, invocation[7], None, None, None])
            else:
                outcome = self._invoke(definitions, invocation)
                over = outcome[2] == FAILURE or time.monotonic() - begun > LONGEST_BATCH
                outcomes.append(outcome)

    def share(self, shared: list[Any], channel: list[Any]) -> None:
        """What the invocations of the batch that follows have in common."""
        self._shared, self._channel = shared, dict(channel)

    def _invoke(self, definitions: list[bytes], invocation: list[Any]) -> list[Any]:
        number, frame, index, arguments, path, place, depth, attempt, timeout, loop = invocation
        asked = None
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
                body_begun = time.monotonic()
                body = Body(partial(self._context, path, place, depth, attempt, timeout, loop))
                token = current_body.set(body)
                try:
                    if entity.kind == "task":
                        status, payload = VALUE, self._call(entity, arguments)
                    else:
                        status, payload = self._expand(cast(Any, entity), arguments, FuturesHeader(place[0], place[1], depth))
                except Loop as signal:
                    status, payload = LOOP, tree_of(self.store.put_value(_payload(signal.result)))
                except Skip as signal:
                    status, payload = SKIP, masked(str(signal.reason))
                finally:
                    current_body.reset(token)
                if body.context is not None and body.context.has_asked:
                    status, payload, asked = self._with_requests(entity, body.context.requests, status, payload, FuturesHeader(place[0], place[1], depth))
                if timeout is not None and time.monotonic() - body_begun > timeout:
                    raise Refused("TaskTimeout", f"{path} took {time.monotonic() - body_begun:.3g} s, and its time-out is {timeout:g} s")
        except (KeyboardInterrupt, StoreError, Crashed):
            self.now = None
            self.capture.end()
            raise
        except Refused as refusal:
            status, payload = FAILURE, Failure.of_executor(refusal.kind, str(refusal)).to_tree()
        except BaseException as error:  # whatever a body raises is its failure, sys.exit() too
            status, payload = FAILURE, Failure.of_exception(error).to_tree()
        ended = time.time_ns() // 1000
        self.now = None
        log = self.capture.end()
        carried = None if self._carried is None else self._carried.taken()
        return [frame, index, status, payload, begun - self.created, ended - begun, self.name, attempt, log, carried, asked]

    # --- bodies ---

    def _context(self, path: str, place: list[Any], depth: int, attempt: int, timeout: float | None, loop: list[Any] | None) -> Context:
        """What a body may know and ask."""
        iteration, payload, allowed = loop or (0, None, None)
        return Context(
            run_id=self._run_id,
            path=path,
            attempt=attempt,
            loop_index=iteration,
            loop_result=None if payload is None else self._bytes_of(payload),
            depth=depth - 1,
            max_iterations=allowed,
            seed=lambda: seed_of(self._run_id, place[0], place[1]),
            deadline=None if timeout is None else time.time() + timeout,
            channel=self._channel,
            in_run=True,
        )

    def _with_requests(self, entity: Entity[..., Any], requests: Requests, status: int, payload: Any, header: FuturesHeader) -> tuple[int, Any, dict[str, Any] | None]:
        """An outcome with what the body asked of its run: cancel > terminate > goto > next iteration > return."""
        if requests.cancel is not None:
            return CANCEL, masked(requests.cancel), None
        if status == SKIP:
            return status, payload, None
        if requests.iterate is not None and requests.terminate is None and requests.goto is None:
            if status in (FUTURES, ITERATION):
                raise SignalError(
                    f"{entity.name} asked for another iteration and made calls",
                    way_out="raise Loop(…) in a dynamic: its iteration is what it emitted",
                )
            status, payload = LOOP, tree_of(self.store.put_value(requests.iterate))
        asked: dict[str, Any] = {}
        if status == ITERATION:
            status, asked["loops"] = FUTURES, True
        if requests.writes:
            asked["writes"] = [list(write) for write in requests.writes]
        if requests.read:
            asked["read"] = True
        if requests.terminate is not None:
            asked["terminate"] = [masked(requests.terminate[0]), requests.terminate[1]]
            if status == LOOP:
                status, payload = VALUE, self._encoded(entity, None) if entity.signature.result.type == NONE else payload
        if requests.names:
            self._add_targets(entity, requests, status, payload, header, asked)
        return status, payload, asked

    def _add_targets(self, entity: Entity[..., Any], requests: Requests, status: int, payload: Any, header: FuturesHeader, asked: dict[str, Any]) -> None:
        if status in (FUTURES, ITERATION) and any(call is not None for call in requests.calls):
            raise SignalError(f"{entity.name} is a dynamic, and asked for another task", way_out="call it in the body: what a dynamic calls runs before what follows")
        if status == LOOP and any(call is not None for call in requests.calls):
            raise SignalError(f"{entity.name} asked for another task and for another iteration", way_out="ask for the task in the last iteration")
        calls: list[tuple[Entity[..., Any], dict[str, Any]]] = []
        asked["next"] = []
        for name, call in zip(requests.names, requests.calls, strict=True):
            number = -1
            if call is not None and call[0].signature.can_be_called_with(call[1]):
                number = len(calls)
                calls.append(call)
            asked["next"].append([name, number, int(call is not None and bool(call[1]))])
        if requests.goto is not None:
            asked["goto"] = requests.goto
        if calls:
            plan = plan_of_calls(entity, calls, self._bytes_of(value_argument(value_of(payload))))
            self._ship_code(plan)
            self._put_literals(plan)
            asked["futures"] = futures_to_bytes(plan, header)

    def _call(self, entity: Entity[..., Any], arguments: list[Any]) -> Any:
        values, _ = self._arguments(entity, arguments)
        reached("worker.before-body")
        token = current.set(InTaskBody(entity.name))
        try:
            result = entity.run_body(values, to_its_end=True) if isinstance(entity, Task) else entity.call_function(values)
        finally:
            current.reset(token)
            self._is_over()
        reached("worker.after-body")
        return self._encoded(entity, result)

    def _is_over(self) -> None:
        """A body has ended. If it forked, and this is the child that came back from it, the child ends here: the parent goes on."""
        if os.getpid() != self._process:
            _end_child(sys.exc_info()[1])
        if self._after_body is not None:
            self._after_body()

    def _expand(self, entity: Dynamic[..., Any], arguments: list[Any], header: FuturesHeader) -> tuple[int, Any]:
        values, encoded = self._arguments(entity, arguments)
        try:
            expansion = expand(entity, values, encoded)
        finally:
            self._is_over()
        plan = expansion.plan if isinstance(expansion, Iteration) else expansion
        if not isinstance(plan, Plan):
            return VALUE, self._encoded(entity, expansion)
        self._ship_code(plan)
        self._put_literals(plan)
        return ITERATION if isinstance(expansion, Iteration) else FUTURES, futures_to_bytes(plan, header)

    def _ship_code(self, expansion: Plan) -> None:
        """Have other workers find the functions that a plan made here calls."""
        for callee, called in zip(expansion.shape.callees, expansion.origin.entities, strict=True):
            if not has_import_name(callee):
                self._kept[callee.name, callee.digest] = called  # no import reaches it, and the plan is about to go
        if self._ships:
            try:
                self._code.ship(zip(expansion.shape.callees, expansion.origin.entities, strict=True), must=self._remote)
            except CantTravel as problem:
                raise Refused("CodeNotFound", str(problem)) from None

    def _put_literals(self, plan: Plan) -> None:
        for literal in plan.literals:
            if isinstance(literal, Large):
                self.store.put_object(literal.digest, plan.blobs[literal.digest])

    def _encoded(self, entity: Entity[..., Any], result: Any) -> Any:
        try:
            data = entity.signature.result.encode(result)
        except TypeMismatch as mismatch:
            said = mismatch.at("result")
            raise Refused("TaskTypeError", f"{entity.name}() returned something else than it declares: {said}") from None
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
        return VALUE, tree_of(self.store.put_value(join(self._bytes_of(argument) for argument in arguments)))

    def _decide(self, arguments: list[Any]) -> int:
        conditions, given = arguments
        operands = [(unpack(self._bytes_of(argument)), type_from_bytes(type)) for argument, type in given]
        try:
            return choose(conditions, operands)
        except TypeMismatch as mismatch:
            raise Refused("TaskTypeError", f"a condition can't be decided: {mismatch}") from None

    def _cut(self, arguments: list[Any]) -> list[Any]:
        names = [name for _, name in arguments]
        try:
            return [[count, [tree_of(self.store.put_value(part)) for part in parts]] for count, parts in cut([self._bytes_of(argument) for argument, _ in arguments])]
        except UnequalLists as unequal:
            said = ", ".join(f"{name} has {length:,}" for name, length in zip(names, unequal.lengths, strict=True))
            raise Refused("UnequalLengths", f"lists that are mapped together have different lengths: {said}. Give lists of one length, or unmapped(…)") from None

    def _bytes_of(self, argument: Any) -> bytes:
        """The bytes of a value that is an argument."""
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
            items = self._items[key] = list(items_of(self._bytes_of(shared)))
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
            raise Refused("TaskTypeError", f"what is given is something else than declared: {mismatch.at('result')}") from None
        return tree_of(self.store.put_value(data))

    # --- arguments ---

    def _arguments(self, entity: Entity[..., Any], arguments: list[Any]) -> tuple[list[Any], list[bytes]]:
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
