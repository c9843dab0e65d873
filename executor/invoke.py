"""What every worker runs: a batch of invocations → a batch of outcomes.

A worker finds the code by name and digest, decodes the arguments, calls the function, checks and encodes the result. A plain task gives a value; a dynamic is traced and
gives a futures file. Knows nothing of schedulers, journals or engines.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, Final

from executor.capture import Capture
from executor.errors import StoreError
from executor.events import tree_of
from executor.failure import Failure
from executor.invocation import FAILURE, FUTURES, JOINT, OBJECT, UNSTARTED, VALUE, leaf_key
from executor.store import Store
from planner import registry
from planner.binding import assemble
from planner.dynamic import Dynamic, expand
from planner.entity import Entity
from planner.plan import BY_VALUE_SIZE, Callee, Large, Plan
from planner.plan_format import FuturesHeader, callee_from_bytes, futures_to_bytes
from planner.task import Task
from planner.tracing import InTaskBody, current
from typesys.canonical import pack, unpack
from typesys.errors import TypeMismatch
from typesys.names import NotFound, find
from typesys.type_format import type_from_bytes
from typesys.types import Type

_KEPT_DEFINITIONS: Final = 4096
LONGEST_BATCH: Final = 0.02
"""Seconds after which a batch ends early."""


class Refused(Exception):
    """A call that the worker can't make: its code is missing or other than planned."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Worker:
    """Runs batches.

    Args:
        store: where objects are read and written.
        name: the worker's name, for the journal.
        created: when the run was created, in µs since the epoch; times are told relative to it.
        capture: takes what bodies print.
    """

    def __init__(self, store: Store, name: str, created: int, capture: Capture) -> None:
        self.store = store
        self.name = name
        self.created = created
        self.capture = capture
        self._resolved: dict[bytes, Entity[..., Any]] = {}
        self._kept: dict[tuple[str, bytes], Any] = {}

    def run(self, batch: bytes, outcomes: list[Any]) -> None:
        """Run a batch, adding each outcome to `outcomes` as it is there, so that an interrupted batch keeps what it has done.

        After a failure, or when bodies turn out to be slow, the rest of the batch is given back unstarted, so that what is done gets committed. Raises
        `StoreError`, which is no node's failure.
        """
        definitions, invocations = unpack(batch, "a batch")
        over, begun = False, time.monotonic()
        for invocation in invocations:
            if over:
                outcomes.append([invocation[1], invocation[2], UNSTARTED, None, 0, 0, self.name, invocation[7], None])
            else:
                outcome = self._invoke(definitions, invocation)
                over = outcome[2] == FAILURE or time.monotonic() - begun > LONGEST_BATCH
                outcomes.append(outcome)

    def _invoke(self, definitions: list[bytes], invocation: list[Any]) -> list[Any]:
        number, frame, index, arguments, path, identity, depth, attempt = invocation
        begun = time.time_ns() // 1000
        self.capture.begin(path)
        try:
            if number == JOINT:
                status, payload = VALUE, self._joint(arguments)
            else:
                entity = self._resolve(definitions[number])
                if isinstance(entity, Dynamic):
                    status, payload = self._expand(entity, arguments, FuturesHeader(identity, index, depth))
                else:
                    status, payload = VALUE, self._call(entity, arguments)
        except (KeyboardInterrupt, StoreError):
            self.capture.end()
            raise
        except Refused as refusal:
            status, payload = FAILURE, Failure.of_executor(refusal.kind, str(refusal)).to_tree()
        except BaseException as error:  # whatever a body raises is its failure, sys.exit() too
            status, payload = FAILURE, Failure.of_exception(error).to_tree()
        log = self.capture.end()
        ended = time.time_ns() // 1000
        return [frame, index, status, payload, begun - self.created, ended - begun, self.name, attempt, log]

    # --- bodies ---

    def _call(self, entity: Entity[..., Any], arguments: list[Any]) -> Any:
        values, _ = self._arguments(entity, arguments)
        token = current.set(InTaskBody(entity.name))
        try:
            result = entity.run_body(values) if isinstance(entity, Task) else entity.call_function(values)
        finally:
            current.reset(token)
        return self._encoded(entity, result)

    def _expand(self, entity: Dynamic[..., Any], arguments: list[Any], header: FuturesHeader) -> tuple[int, Any]:
        values, encoded = self._arguments(entity, arguments)
        expansion = expand(entity, values, encoded)
        if not isinstance(expansion, Plan):
            return VALUE, self._encoded(entity, expansion)
        for callee, called in zip(expansion.shape.callees, expansion.origin.entities, strict=True):
            if "<locals>" in callee.name or len(callee.digest) == BY_VALUE_SIZE:
                self._kept[callee.name, callee.digest] = called  # no import reaches it, and the plan is about to go
        for literal in expansion.literals:
            if isinstance(literal, Large):
                self.store.put_object(literal.digest, expansion.blobs[literal.digest])
        return FUTURES, futures_to_bytes(expansion, header)

    def _encoded(self, entity: Entity[..., Any], result: Any) -> Any:
        try:
            data = entity.signature.result.encode(result)
        except TypeMismatch as mismatch:
            said = mismatch.at("result")
            raise Refused("TaskTypeError", f"{entity.name}() returned something else than it declares: {said}") from None
        return tree_of(self.store.put_value(data))

    def _joint(self, arguments: list[Any]) -> Any:
        argument, wanted = arguments
        try:
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
            elif argument[0] == OBJECT:
                data, referable = self.store.get_value(Large(argument[1], argument[2])), True
            else:
                try:
                    data, referable = pack(self._assembled(argument, parameter.type)), False
                except TypeMismatch as mismatch:
                    raise Refused("TaskTypeError", mismatch.at(f"{entity.name}({parameter.name}=…)")) from None
            values.append(codec.decode(data))
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

    # --- code ---

    def _resolve(self, definition: bytes) -> Entity[..., Any]:
        """The function that a definition names, proved to be the code that the plan was made of."""
        known = self._resolved.get(definition)
        if known is None:
            if len(self._resolved) > _KEPT_DEFINITIONS:
                self._resolved.clear()
            known = self._resolved[definition] = resolve(_callee(definition))
        return known


@lru_cache(1024)
def _callee(definition: bytes) -> Callee:
    return callee_from_bytes(definition)


def resolve(callee: Callee) -> Entity[..., Any]:
    """The function that a callee names: as this process has seen it in a plan, else by import.

    Raises `Refused`, as `CodeNotFound` or `CodeMismatch`.
    """
    remembered = registry.recall(callee)
    if remembered is not None:
        return remembered
    entity = imported(callee)
    found = entity.callee()
    if found.digest != callee.digest:
        raise Refused(
            "CodeMismatch",
            f"{callee.name} is not the code that the plan was made of: the plan has {callee.digest.hex()[:12]}, "
            f"this worker found {found.digest.hex()[:12]}. Compile again, or bring the module to the plan's version",
        )
    if found.interface != callee.interface:
        raise Refused(
            "CodeMismatch", f"{callee.name}{found.interface} was found, but the plan was made of {callee.name}{callee.interface}"
        )
    return entity


def imported(callee: Callee) -> Entity[..., Any]:
    """The entity under a callee's name, whatever its code is now. Raises `Refused`."""
    if len(callee.digest) == BY_VALUE_SIZE:
        raise Refused(
            "CodeNotFound",
            f"{callee.name} captured something that has no bytes of its own, so it is known only in the process that compiled it",
        )
    try:
        entity = find(callee.name)
    except NotFound as error:
        raise Refused("CodeNotFound", f"{error}. Its module has to be importable where the plan runs") from None
    if not isinstance(entity, Entity) or entity.kind != callee.kind:
        raise Refused("CodeNotFound", f"{callee.name} is not a {callee.kind} here")
    return entity


