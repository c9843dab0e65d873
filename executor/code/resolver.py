"""The resolver of functions: from a callee's name and digest to the function that a worker calls, proved to be the one
that the plan was made of (rule A11).

A worker takes the first of these: a function that this process has seen in a plan; a function that was stored by value;
a function that an import finds; a function that an import finds once the run's source bundle is unpacked. A function
whose code is other than the plan's is never called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from promissory.executor.code.importer import no_runs_begin
from promissory.executor.code.recent import Recent
from promissory.executor.code.source_bundle import unpacked
from promissory.executor.errors import NotInStore
from promissory.executor.store.keys import code_key
from promissory.executor.store.store import Store
from promissory.planner.functions import registry
from promissory.planner.functions.by_name import entity_at
from promissory.planner.functions.by_value import (
    PYTHON,
    CantTravel,
    OtherPython,
    dump_entity,
    load_entity,
    travels_by_value,
)
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.model import BY_VALUE_SIZE, Callee
from promissory.planner.plan.shape_format import callee_from_bytes, interface_digest
from promissory.typesys.names import NotFound
from promissory.typesys.secret import INSTEAD, revealed_in

_KEPT_DEFINITIONS = 4096
_OTHER_PYTHONS = tuple(f"cpython 3.{minor}" for minor in range(11, 20))
_OTHER: Final = "not the function of its name"
"""Stands in a key where the version of Python does, for a function whose name gave another one."""


class Refused(Exception):
    """A call that a worker can't make: the code is missing or other than planned, or a value is of another type."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def code_keys(run_id: str, callee: Callee, python: str) -> tuple[str, ...]:
    """The keys under which a function that travels by value may lie; the first is the one to store it under.

    The other one was used before types were told apart. A function that an import finds is not looked for there.
    """
    kinds = (interface_digest(callee),) if has_import_name(callee) else (interface_digest(callee), b"")
    return tuple(code_key(run_id, callee.name, callee.digest, python, kind) for kind in kinds)


def stored_code(store: Store, run_id: str, callee: Callee) -> bytes | None:
    """A function that a run has stored by value for this version of Python; None if it has not."""
    for key in code_keys(run_id, callee, PYTHON):
        try:
            return store.get(key)
        except NotInStore:
            continue
    return None


class Code:
    """Finds functions for a worker.

    Args:
        store: the store of the code that no import reaches.
        run_id: the run that the code belongs to.
        bundle: digest of the run's source bundle; empty if it has none.

    Attributes:
        loaded: how many functions have been looked for.
    """

    def __init__(self, store: Store, run_id: str, bundle: bytes) -> None:
        self._store = store
        self._run_id = run_id
        self._bundle = bundle
        self.loaded = 0
        self._resolved = Recent[bytes, Entity[..., Any]](_KEPT_DEFINITIONS)
        self._shipped: set[str] = set()

    def resolve(self, definition: bytes) -> Entity[..., Any]:
        """The function that a definition names. Raises `Refused`, as `CodeNotFound` or `CodeMismatch`."""
        known = self._resolved.get(definition)
        if known is None:
            known = self._find(callee_from_bytes(definition))
            self._resolved.put(definition, known)
            self.loaded += 1
        return known

    def _find(self, callee: Callee) -> Entity[..., Any]:
        remembered = registry.recall(callee)
        if remembered is not None:
            return remembered
        entity = self._by_value(callee)
        if entity is not None:
            registry.remember(callee, entity)
            return entity
        if not has_import_name(callee):
            raise Refused(
                "CodeNotFound",
                f"{callee.name} is defined where no import reaches it, and was not stored by value: "
                "it is known only in the process that compiled it",
            )
        return matching(callee, self._imported(callee))

    def _imported(self, callee: Callee) -> Entity[..., Any]:
        try:
            return imported(callee)
        except Refused:
            if not (self._bundle and unpacked(self._store, self._bundle)):
                raise
            return imported(callee)

    def is_of_another_name(self, callee: Callee) -> bool:
        """Whether a function's name gave another one when the run stored it by value."""
        return self._is_stored(callee, _OTHER)

    def _is_stored(self, callee: Callee, python: str) -> bool:
        return any(self._store.exists(key) for key in code_keys(self._run_id, callee, python))

    def _by_value(self, callee: Callee) -> Entity[..., Any] | None:
        data = stored_code(self._store, self._run_id, callee)
        if data is None:
            for python in () if has_import_name(callee) else _OTHER_PYTHONS:
                if python != PYTHON and self._is_stored(callee, python):
                    raise Refused(
                        "CodeMismatch",
                        f"{callee.name} was stored by value by {python}, and this worker is {PYTHON}: "
                        f"run it with {python}",
                    )
            return None
        try:
            return load_entity(data)
        except OtherPython as problem:
            raise Refused("CodeMismatch", f"{callee.name} can't be loaded: {problem}") from None
        except Exception as error:  # loading runs imports of modules that may be missing here, and any __setstate__
            raise Refused(
                "CodeNotFound",
                f"{callee.name} travelled by value and can't be loaded here: {type(error).__name__}: {error}",
            ) from error

    def ship(
        self, functions: Iterable[tuple[Callee, Entity[..., Any]]], replacing: bool = False, must: bool = True
    ) -> None:
        """Store the functions that no import reaches, by value, all or none. With `replacing`, those that an earlier
        executor stored are replaced.

        Raises `CantTravel` for a function that can't travel, unless no other process needs it (`must` is false): then
        it stays here. Raises it also for a function that captured the value of a secret.
        """
        found: dict[str, bytes] = {}
        for callee, entity in functions:
            key = code_keys(self._run_id, callee, PYTHON)[0]
            if key in self._shipped:
                continue
            if len(self._shipped) > _KEPT_DEFINITIONS:
                self._shipped.clear()
            if travels_by_value(callee, entity):
                if "<locals>" not in callee.name and not _is_named(entity):
                    found[code_keys(self._run_id, callee, _OTHER)[0]] = b""
                try:
                    data = dump_entity(entity)
                except CantTravel:
                    if must:
                        raise
                else:
                    if secret := revealed_in(data):
                        raise CantTravel(
                            f"{entity.name} would be stored with what it captured, which holds the value of "
                            f"Secret({secret!r}): {INSTEAD}"
                        )
                    found[key] = data
            self._shipped.add(key)
        for place, data in found.items():
            if not self._store.put_new(place, data) and replacing:
                self._store.put(place, data)


def _is_named(entity: Entity[..., Any]) -> bool:
    """Whether an entity is the one that its module has under its name, in a notebook too."""
    thing: Any = sys.modules.get(entity.function.__module__)
    for part in entity.function.__qualname__.split("."):
        thing = getattr(thing, part, None)
    while thing is not None and not isinstance(thing, Entity):
        thing = getattr(thing, "__wrapped__", None)
    return thing is not None and thing.original is entity.original


def missing_modules_from(store: Store, bundle: bytes, scheduler: Any) -> None:
    """Unpack a run's bundle if a module that the run calls is not there any more."""
    for frame in scheduler.frames.values():
        for callee in frame.topology.code.callees:
            if has_import_name(callee):
                try:
                    imported(callee)
                except Refused:
                    unpacked(store, bundle)
                    return


def has_import_name(callee: Callee) -> bool:
    """Whether an import may find a callee by its name."""
    return (
        "<locals>" not in callee.name
        and len(callee.digest) != BY_VALUE_SIZE
        and not callee.name.startswith("__main__:")
    )


def matching(callee: Callee, entity: Entity[..., Any]) -> Entity[..., Any]:
    """The entity, if it is the one that the plan was made of. Raises `Refused` otherwise."""
    found = entity.callee()
    if found.digest != callee.digest:
        raise Refused(
            "CodeMismatch",
            f"{callee.name} is not the code that the plan was made of: the plan has {callee.digest.hex()[:12]}, "
            f"this worker found {found.digest.hex()[:12]}. Compile again, or bring the module to the plan's version",
        )
    if found.interface != callee.interface:
        raise Refused(
            "CodeMismatch",
            f"{callee.name}{found.interface} was found, but the plan was made of {callee.name}{callee.interface}",
        )
    return entity


def imported(callee: Callee) -> Entity[..., Any]:
    """The entity that an import finds under a callee's name, with any code. Raises `Refused`."""
    if len(callee.digest) == BY_VALUE_SIZE:
        raise Refused(
            "CodeNotFound",
            f"{callee.name} captured something that has no bytes of its own, "
            "so it is known only in the process that compiled it",
        )
    try:
        with no_runs_begin():
            entity = entity_at(callee.name)
    except NotFound as error:
        raise Refused("CodeNotFound", f"{error}. Its module has to be importable where the plan runs") from None
    if entity is None or entity.kind != callee.kind:
        raise Refused("CodeNotFound", f"{callee.name} is not a {callee.kind} here")
    return entity


__all__ = ["CantTravel", "Code", "Refused", "has_import_name", "imported"]
