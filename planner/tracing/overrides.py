"""Settings that an author gives single nodes of a trace: names, triggers and policies (`with_overrides`, rules R3,
X7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promissory._foreign import meant
from promissory.planner.errors import DecorationError, DuplicateName, OverrideError, Where, user_line
from promissory.planner.functions.entity import Entity, refuse_unknown_inputs
from promissory.planner.functions.version import with_code_version
from promissory.planner.plan.model import PLAN
from promissory.planner.plan.names import NAMES, can_be_a_name
from promissory.planner.plan.policy import OVERRIDABLE, overridden, policy_of
from promissory.planner.plan.triggers import check_trigger
from promissory.planner.tracing.promise import MARKER

if TYPE_CHECKING:
    from promissory.planner.tracing.trace import Trace


class Overrides:
    """The overrides of one trace's nodes. An impossible setting is reported to the trace and not kept."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._entries: dict[int, dict[str, Any]] = {}
        self._named: dict[str, int] = {}
        self.on_duty: set[int] = set()
        """Nodes whose author says that they start by themselves (`standby=False`)."""

    def of(self, node: int) -> dict[str, Any]:
        """Give the overrides of a node."""
        return self._entries.get(node, {})

    def in_order(self) -> dict[int, dict[str, Any]]:
        """Give the overrides as a graph holds them: in the order of the nodes."""
        return {node: dict(entries) for node, entries in sorted(self._entries.items())}

    def add(self, node: int, name: str | None, given: dict[str, Any]) -> None:
        """Change a node's name and settings. Raises `TypeError` for an unknown setting."""
        where = user_line()
        entries: dict[str, Any] = {key: given.pop(key) for key in ("trigger", "standby") if key in given}
        unknown = given.keys() - OVERRIDABLE
        if unknown:
            name, there = sorted(unknown)[0], ["name", "standby", "trigger", *sorted(OVERRIDABLE)]
            said = meant("@task", name) or f"{meant('@task', name, there)}; there are: {', '.join(there)}"
            raise TypeError(f"with_overrides() got an unexpected keyword argument {name!r}{said}")
        entity = self._trace.entity_called(node)
        if given and entity is None:
            said = (
                "a whole workflow"
                if self._trace.kind(node) == PLAN
                else f"{self._trace.called(node)}, which calls no task"
            )
            self._refuse(f"{', '.join(given)} can't be set for {said}", where, "set it for the tasks in it")
            return
        try:
            if "trigger" in entries:
                check_trigger(entries["trigger"])
            if "standby" in entries and entries["standby"].__class__ is not bool:
                raise ValueError(f"standby must be True or False, not {entries['standby']!r}")
            if entries.get("standby") is False:
                del entries["standby"]
                self.on_duty.add(node)
                self.of(node).pop("standby", None)
            settings = policy_of(given).entries(given)
            entries |= settings if entity is None else self._with_code_version(node, entity, settings)
        except ValueError as error:
            self._refuse(str(error), where, "see the arguments of @task")
            return
        except DecorationError as error:
            self._refuse(error.message, where, error.way_out)
            return
        if name is not None:
            if not self._takes_name(node, name, where):
                return
            entries["name"] = name
        if entries:
            self._entries.setdefault(node, {}).update(entries)

    def _refuse(self, message: str, where: Where | None, way_out: str | None) -> None:
        self._trace.problem(OverrideError(message, where=where, way_out=way_out))

    def _takes_name(self, node: int, name: str, where: Where | None) -> bool:
        """Name a node.

        A name that can't be, or that another node of the graph has, is reported, and the answer is False.
        """
        if not can_be_a_name(name) or MARKER in name:
            way_out = f"{NAMES}, not made of a promise"
            self._trace.problem(DuplicateName(f"{name!r} can't be a node's name", where=where, way_out=way_out))
            return False
        self._named.pop(self.of(node).get("name", ""), None)
        if self._named.setdefault(name, node) != node:
            message = f"two nodes of {self._trace.name} are named {name!r}"
            self._trace.problem(DuplicateName(message, where=where, way_out="give each its own name"))
            return False
        return True

    def _with_code_version(self, node: int, entity: Entity[..., Any], entries: dict[str, Any]) -> dict[str, Any]:
        """Add to overrides of the cache the digest of the code, if `cache_version` asks for it (rules R3, A11)."""
        if not entries.keys() & {"cache", "cache_version", "cache_ignore"}:
            return entries
        policy = overridden(entity.policy, {**self.of(node), **entries})
        refuse_unknown_inputs(entity.function, policy)
        if policy.cache:
            versioned = with_code_version(policy, entity.function, entity.identity)
            entries = {**entries, **versioned.entries(["cache_version"])}
        return entries
