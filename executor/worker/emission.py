"""The emission of a plan that a body made: its futures file, and what other workers need to carry it out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from promissory.executor.code.recent import Recent
from promissory.executor.code.resolver import CantTravel, Code, Refused, has_import_name
from promissory.executor.store.store import Store
from promissory.planner.functions.entity import Entity
from promissory.planner.plan.format import FuturesHeader, futures_to_bytes
from promissory.planner.plan.model import Callee, Shape
from promissory.planner.plan.plan import Plan
from promissory.typesys.secret import INSTEAD, revealed_in

_KEPT_FUNCTIONS: Final = 4096


class Emission:
    """Makes the futures files of one worker.

    Args:
        store: where large literals and functions are put.
        code: finds and stores functions.
        remote: whether other workers are other processes than the executor, so that functions have to travel.
    """

    def __init__(self, store: Store, code: Code, remote: bool) -> None:
        self._store = store
        self._code = code
        self._remote = remote
        self._ships = remote or store.outlives_the_process
        self._kept = Recent[tuple[str, bytes], tuple[Callee, Entity[..., Any]]](_KEPT_FUNCTIONS)
        self._held: list[Entity[..., Any]] = []
        self._latest: Shape | None = None

    def __call__(self, plan: Plan, header: FuturesHeader) -> bytes:
        """The futures file of a plan that was made here. The functions that the plan calls, and its large literals, are
        put where other workers find them."""
        if plan.shape is not self._latest:  # a body that goes on calls the same again and again
            self._ship_code(plan)
            self._latest = plan.shape
        self._store.put_literals(plan)
        data = futures_to_bytes(plan, header)
        # Literals were looked at when they were recorded. Names and messages, which stand in the shape, are new here.
        if secret := revealed_in(data):
            raise Refused(
                "TaskTypeError",
                f"{plan.name} made a plan with a name or message that holds the value of Secret({secret!r}): {INSTEAD}",
            )
        return data

    def _ship_code(self, expansion: Plan) -> None:
        """Put the functions that a plan made here calls where other workers find them."""
        for callee, called in zip(expansion.shape.callees, expansion.origin.entities, strict=True):
            if not has_import_name(callee):  # no import finds the function, and only the plan, soon dropped, holds it
                dropped = self._kept.put((callee.name, callee.digest), (callee, called))
                if dropped and not self._ships:
                    self._put_away(dropped.values())
        if self._ships:
            try:
                self._code.ship(zip(expansion.shape.callees, expansion.origin.entities, strict=True), must=self._remote)
            except CantTravel as problem:
                raise Refused("CodeNotFound", str(problem)) from None

    def _put_away(self, functions: Iterable[tuple[Callee, Entity[..., Any]]]) -> None:
        """Store functions that may still be called and are too many to be held. Hold those that can't be stored."""
        for function in functions:
            try:
                self._code.ship([function])
            except CantTravel:
                self._held.append(function[1])
