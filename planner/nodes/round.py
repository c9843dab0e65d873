"""The part of a trace that only the body of a cycle has: what it says of its other rounds (rule C1).

The body is traced once for each round. A node of an earlier round, which may still be running, stands in the graph of a
later one as a node of its own kind (`promissory.planner.plan.specs.Earlier`), so that values, order, skips and failures
go from round to round as they go from node to node.

Calls that were made only to give a default, or only as inputs of a `once` or `every` that has no node in this round,
are left out when the trace ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from promissory.planner.body.cycle import Cycle
from promissory.planner.body.signals import Skip
from promissory.planner.errors import CycleError, Where
from promissory.planner.functions.entity import Entity
from promissory.planner.nodes.branch import conditional
from promissory.planner.plan.interfaces import target_interface
from promissory.planner.plan.model import EARLIER, Graph, Shape, references
from promissory.planner.plan.names import node_names
from promissory.planner.plan.part import emptied, needs_of, only
from promissory.planner.plan.specs import Earlier
from promissory.planner.tracing.expression import Expression
from promissory.planner.tracing.promise import Promise
from promissory.planner.tracing.trace import Trace
from promissory.typesys.types import ANY, BOOL, NONE, Type

MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class _Reach:
    """A node that stands for another round's.

    Attributes:
        what: the entity whose only call is meant, or a node's name.
        where: the author's line.
        is_absent: whether there is no such round, so that the node may stand in orders only.
    """

    what: Any
    where: Where | None
    is_absent: bool


class CycleBody:
    """The part of a trace that only the body of a cycle has.

    Args:
        trace: the trace.
        cycle: the round.
        ordinal: the number of the round, from 1.
        types: the types of nodes that `prev` names by text, as far as an earlier trace has told them.
        held: the names under which earlier rounds have nodes; None if all have that should.
        closing: whether the calls of `once(last=True)` are traced, and nothing else is to run.
    """

    def __init__(
        self,
        trace: Trace,
        cycle: Cycle,
        ordinal: int,
        types: dict[str, Type],
        closing: bool,
        held: frozenset[str] | None = None,
    ) -> None:
        self._there = held
        self.cycle = cycle
        self.ordinal = ordinal
        self.until: Any = None
        self.closes = False
        self.farthest = 0
        self.unknown: set[str] = set()
        self._trace = trace
        self._types = types
        self._closing = closing
        self._reaches: dict[int, _Reach] = {}
        self._spare: set[int] = set()
        self._wanted: set[int] = set()
        self._named: list[Any] = []
        self._last: set[int] = set()
        self._held: dict[int, str] = {}
        self._counts: dict[str, int] = {}

    # --- what the body says ---

    def reach(self, what: Any, distance: int, default: Any, where: Where | None) -> Any:
        """Stand for a node of the round `distance` before."""
        if distance.__class__ is not int or distance < 1:
            self.refuse(
                f"prev({said_of(what)}, {distance!r}) is not in an earlier round",
                where,
                "prev(…, 1) is the round before; what is made in this round is its promise itself",
            )
        self.farthest = max(self.farthest, distance)
        type = self._type_of(what, where)
        self._named.append(what)
        begins = self.ordinal > distance
        if not begins and default is not MISSING and default is not Skip:
            return default
        self._spare.update(_nodes_in(default))
        node = self._trace.add(EARLIER, 0, [], where, Earlier(distance, "", type))
        self._reaches[node] = _Reach(what, where, not begins and default is MISSING)
        return Promise(self._trace, type, node)

    def _type_of(self, what: Any, where: Where | None) -> Type:
        if isinstance(what, Entity):
            return self._types.get(what.name, what.signature.interface.result)
        if not isinstance(what, str):
            said = what._said() if isinstance(what, Promise) else getattr(what, "__name__", type(what).__name__)
            self.refuse(
                f"prev({said}, …) names no node", where, "name what the body calls: prev(assimilate), or prev('a name')"
            )
        if what not in self._types:
            self.unknown.add(what)
        return self._types.get(what, ANY)

    def held(
        self, entity: Any, period: int | None, offset: int, default: Any, where: Where | None
    ) -> Callable[..., Any]:
        """Call an entity in some rounds; in the others its promise stands for the latest one."""
        count = self._counts[entity.name] = self._counts.get(entity.name, 0) + 1
        name = entity.name if count == 1 else f"{entity.name}~{count}"
        behind = self.ordinal - 1 - offset
        runs = behind == 0 if period is None else behind >= 0 and behind % period == 0
        if behind > 0 and not self._closing and self._there is not None and name not in self._there:
            runs = True  # the code of the rounds before did not have it

        def call(*args: Any, **kwargs: Any) -> Any:
            if runs:
                self._spare.update(_nodes_in(default))
                made = entity(*args, **kwargs)
                self._held[made._node()] = name
                return made
            self._spare.update(_nodes_in(args), _nodes_in(kwargs))
            if behind < 0 and default is not MISSING and default is not Skip:
                return default
            self._spare.update(_nodes_in(default))
            result = entity.signature.interface.result
            node = self._trace.add(EARLIER, 0, [], where, Earlier(0, name, result))
            if behind < 0:
                self._reaches[node] = _Reach(entity, where, default is MISSING)
            return Promise(self._trace, result, node)

        return call

    def at_the_end(self, entity: Any, where: Where | None) -> Callable[..., Any]:
        """Call an entity after the last round."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.closes = True
            if self._closing:
                made = entity(*args, **kwargs)
                self._last.add(made._node())
                return made
            self._wanted.update(_nodes_in(args), _nodes_in(kwargs))
            node = self._trace.add(EARLIER, 0, [], where, Earlier(1, "", NONE))
            self._reaches[node] = _Reach(entity, where, True)
            return Promise(self._trace, entity.signature.interface.result, node)

        return call

    def end_when(self, condition: Any, where: Where | None) -> None:
        """End the cycle after the first round in which a condition holds."""
        if self.until is not None:
            self.refuse("until(…) stands twice in a body", where, "join the conditions: until((a > 1) | (b > 1))")
        if isinstance(condition, Expression):
            said: Any = conditional("until").if_(condition).then(True).else_().then(False)
        elif isinstance(condition, bool) or (isinstance(condition, Promise) and condition._promissory_type == BOOL):
            said = condition
        else:
            said = None
            self.refuse(
                f"until({said_of(condition)}) is no condition",
                where,
                "compare: until(p > 3), or give a bool: until(p.done)",
            )
        self.until = said

    def refuse(self, problem: str, where: Where | None, way_out: str) -> NoReturn:
        error = CycleError(problem, where=where, way_out=way_out)
        self._trace.fatal.append(error)
        raise error

    # --- the end of the trace ---

    def close(self, graph: Graph, order: Sequence[int]) -> tuple[Graph, list[int]]:
        """Leave out what this round does not need, and find the nodes that other rounds' stand for.

        Args:
            graph: the graph with all nodes, in the order of their calls.
            order: the order in which they are to stand.

        Returns the graph, and for each of its nodes the number of the call.
        """
        kept = set(order)
        taken = {node for output in graph.outputs for node in references(output.binding)}
        absent = {
            node
            for node, reach in self._reaches.items()
            if reach.is_absent and not self._is_used(node, reach, graph, taken)
        }
        graph = replace(
            graph, after={node: left for node, before in graph.after.items() if (left := _without(before, absent))}
        )
        needs = needs_of(graph) if self._spare or self._last else []
        kept -= absent | self._last
        self._drop_spare(order, kept, taken | self._wanted, needs)
        specs = dict(graph.specs)
        overrides = {node: dict(entries) for node, entries in graph.overrides.items()}
        for node, name in self._held.items():
            overrides.setdefault(node, {})["held"] = name
        graph = replace(graph, overrides=dict(sorted(overrides.items())))
        places = [node for node in order if node in kept]
        names = self._names(only(graph, places))
        by_node = dict(zip(places, names, strict=True))
        called: dict[object, list[str]] = {}
        for node, name in by_node.items():
            called.setdefault(self._trace.target(node), []).append(name)
        for node, reach in self._reaches.items():
            spec = specs[node]
            if node in kept and isinstance(spec, Earlier) and spec.distance and not reach.is_absent:
                meant = self._meant(reach, called, set(names))
                specs[node] = replace(spec, name=meant)
                if isinstance(reach.what, Entity) and meant in names:  # mapped, it gives a list
                    actual = self._result_of(graph, by_node, meant)
                    if actual != spec.result:
                        self._types[reach.what.name] = actual
        for name in self.unknown & set(names):
            self._types[name] = self._result_of(graph, by_node, name)
        graph = replace(graph, specs=specs)
        if self._closing:
            graph, places = self._only_last(graph, order, by_node, needs)
        return only(graph, places), places

    def _drop_spare(self, order: Sequence[int], kept: set[int], taken: set[int], needs: list[set[int]]) -> None:
        """Leave out calls made only for what is not wanted in this round, and the calls made only for those."""
        if not self._spare:
            return
        whole, targets = set(kept), {self._trace.target_of(what) for what in self._named if not isinstance(what, str)}
        while True:
            uses = Counter(before for node in kept for before in needs[node])
            spare = set(self._spare)
            for node in reversed(order):
                if node in spare and node in kept and not uses[node] and node not in taken:
                    kept.discard(node)
                    spare.update(needs[node])
                    uses.subtract(needs[node])
            # What a later round stands for is wanted, too.
            left = {self._trace.target(node) for node in kept}
            missing = {node for node in whole - kept if self._trace.target(node) in targets - left}
            missing |= {node for node in whole - kept if self._trace.given_name(node) in self._named}
            if not missing:
                return
            kept |= whole
            taken = taken | missing

    def _is_used(self, node: int, reach: _Reach, graph: Graph, taken: set[int]) -> bool:
        """Tell whether a node that stands for nothing is used otherwise than in an order, which is a mistake."""
        used = node in taken or any(
            node in references(binding) for index in range(len(graph)) for binding in graph.bindings_of(index)
        )
        if not used:
            return False
        said = said_of(reach.what)
        spec = graph.specs[node]
        if isinstance(spec, Earlier) and spec.result == NONE and not isinstance(reach.what, str) and self.closes:
            problem, way_out = (
                f"once(last=True)({said}) is used in the cycle",
                "it runs after the last round: use it nowhere",
            )
        else:
            problem = f"what stands for {said} of an earlier round is used in round {self.ordinal}, and there is none"
            way_out = "say what comes instead: default=…, or default=Skip to skip what takes it"
        self._trace.problem(CycleError(problem, where=reach.where, way_out=way_out))
        return True

    def _names(self, graph: Graph) -> list[str]:
        session = self._trace.session
        return node_names(Shape(tuple(session.callees), (*session.graphs, graph), 0), len(session.graphs))

    def _meant(self, reach: _Reach, called: dict[object, list[str]], names: set[str]) -> str:
        """The name of the node that `prev` names. It has the same name in each round."""
        if isinstance(reach.what, str):
            if reach.what in names or self._types.get(reach.what) is not None:
                return reach.what
            found: list[str] = []
        else:
            found = called.get(self._trace.target_of(reach.what), [])
            if len(found) == 1:
                return found[0]
        said = said_of(reach.what)
        if found:
            problem = f"prev({said}) may mean {' or '.join(found)}"
            way_out = f"name the node: prev({found[-1]!r}), or give it a name with .with_overrides(name=…)"
        else:
            problem, way_out = f"prev({said}) names nothing that the body calls", "name what it calls in each round"
        self._trace.problem(CycleError(problem, where=reach.where, way_out=way_out))
        return "?"

    def _result_of(self, graph: Graph, names: dict[int, str], name: str) -> Type:
        node = next(one for one, called in names.items() if called == name)
        session = self._trace.session
        return target_interface(Shape(tuple(session.callees), (*session.graphs, graph), 0), graph, node).result

    def _only_last(
        self, graph: Graph, order: Sequence[int], names: dict[int, str], needs: list[set[int]]
    ) -> tuple[Graph, list[int]]:
        """Keep the calls for the last round alone. What they need stands for the nodes of the round before."""
        wanted = {before for node in self._last for before in needs[node]} - self._last
        kinds, specs = bytearray(graph.kinds), dict(graph.specs)
        shape = Shape(tuple(self._trace.session.callees), (*self._trace.session.graphs, graph), 0)
        for node in wanted:
            spec = specs.get(node)
            if isinstance(spec, Earlier):
                specs[node] = replace(spec, distance=spec.distance + 1) if spec.distance else spec
                continue
            result = target_interface(shape, graph, node).result
            specs[node] = Earlier(1, names[node], result)
            kinds[node] = EARLIER
        targets = graph.targets[:]
        for node in wanted:
            targets[node] = 0
        entries = {node: one for node, one in graph.overrides.items() if node in self._last}
        after = {node: before for node, before in graph.after.items() if node in self._last}
        graph = replace(graph, kinds=bytes(kinds), targets=targets, specs=specs, overrides=entries, after=after)
        return emptied(graph, wanted), [node for node in order if node in wanted or node in self._last]


def _without(nodes: Sequence[int], gone: set[int]) -> tuple[int, ...]:
    return tuple(node for node in nodes if node not in gone)


def _nodes_in(value: Any) -> Iterator[int]:
    """List the nodes of the promises in an argument."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Promise):
            node = one._node()
            if node is not None:
                yield node
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            todo += one


def said_of(what: Any) -> str:
    """Name what `prev` was given, as an error message does."""
    if isinstance(what, Entity):
        return what.name
    return what._said() if isinstance(what, Promise) else repr(what)
