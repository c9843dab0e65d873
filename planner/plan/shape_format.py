"""Shape ⇄ canonical bytes, and callee ⇄ bytes. The normative text is `docs/plan-format.md`.

Reading imports nothing and runs no code. A shape that was read is verified, and is written again to prove that its
bytes are canonical.
"""

from __future__ import annotations

from array import array
from collections import deque
from functools import lru_cache
from typing import Any, Final, Literal

from promissory.planner.plan.fields import as_bytes, as_count, as_counts, as_fields, as_text, entry_at
from promissory.planner.plan.model import Callee, Graph, Interface, Output, Parameter, Shape
from promissory.planner.plan.policy import Policy
from promissory.planner.plan.specs import GATES, Arm, Branch, Earlier, Gate, Map, Merge, Rescue, Spec
from promissory.planner.plan.verify import verify_shape
from promissory.typesys.canonical import digest, pack, pack_map, unpack, unpack_canonical, unpack_each
from promissory.typesys.errors import FormatError
from promissory.typesys.type_format import type_bytes, type_from_bytes
from promissory.typesys.types import Type

_PARAMETER_KINDS: Final = ("positional", "both", "keyword")
_CALLEE_KINDS: Final[tuple[tuple[Literal["task", "dynamic", "cycle"], bool], ...]] = (
    ("task", False),
    ("dynamic", False),
    ("cycle", False),
    ("task", True),
    ("dynamic", True),
)
"""The kinds of callees, each with whether its function is async. Their numbers stand in plans."""
_MOST_MERGED: Final = 1 << 16

# --- writing ----------------------------------------------------------------------------------------------------------


class _Types:
    """The table of types of one shape, in which each type stands once."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self._index: dict[bytes, int] = {}
        self._seen: dict[int, int] = {}

    def __call__(self, type: Type) -> int:
        known = self._seen.get(id(type))
        if known is None:
            row = type_bytes(type)
            known = self._index.get(row)
            if known is None:
                known = self._index[row] = len(self.rows)
                self.rows.append(row)
            self._seen[id(type)] = known
        return known


_RECENT: Final[deque[tuple[Shape, bytes]]] = deque(maxlen=8)
"""The shapes written last, as far as they are small: bodies that go on make plans of one shape again and again."""
_REMEMBERED: Final = 1 << 14


def shape_bytes(shape: Shape) -> bytes:
    """Write a shape as canonical bytes."""
    for known, data in _RECENT:
        if known is shape:
            return data
    data = _shape_bytes(shape)
    if len(data) <= _REMEMBERED:
        _RECENT.appendleft((shape, data))
    return data


def same_shape(shape: Shape) -> Shape:
    """Give the shape itself, or an equal one that was written a moment ago."""
    return next((known for known, _ in _RECENT if known == shape), shape)


def _shape_bytes(shape: Shape) -> bytes:
    types = _Types()
    callees = [_callee_tree(callee, types) for callee in shape.callees]
    graphs = [_graph_tree(graph, types) for graph in shape.graphs]
    return pack([types.rows, callees, graphs, shape.literals])


def _parameters_tree(parameters: tuple[Parameter, ...], types: _Types) -> list[Any]:
    return [[p.name, types(p.type), p.default, _PARAMETER_KINDS.index(p.kind)] for p in parameters]


def _callee_tree(callee: Callee, types: _Types) -> list[Any]:
    return [
        callee.name,
        callee.digest,
        _parameters_tree(callee.interface.parameters, types),
        types(callee.interface.result),
        _policy_bytes(callee.policy),
        _CALLEE_KINDS.index((callee.kind, callee.is_async)),
    ]


@lru_cache(256)
def _policy_bytes(policy: Policy) -> bytes:
    entries = policy.to_map()
    return pack_map(entries) if entries else b""


def _graph_tree(graph: Graph, types: _Types) -> list[Any]:
    tree: list[Any] = [
        graph.name,
        _parameters_tree(graph.inputs, types),
        [[output.name, types(output.type), output.binding] for output in graph.outputs],
        graph.kinds,
        graph.targets.tolist(),
        graph.bindings,
        [[index, list(nodes)] for index, nodes in sorted(graph.after.items())],
        [[index, pack_map(dict(entries))] for index, entries in sorted(graph.overrides.items())],
    ]
    if is_extended(graph):
        tree += [
            [[index, *_spec_tree(spec, types)] for index, spec in sorted(graph.specs.items())],
            graph.on_failure,
            graph.runs_on,
        ]
    return tree


def is_extended(graph: Graph) -> bool:
    """Tell whether a graph says something that version 1 of the format can't.

    Its tree then has 11 fields instead of 8.
    """
    return bool(graph.specs) or graph.on_failure is not None or graph.runs_on


def _spec_tree(spec: Spec, types: _Types) -> list[Any]:
    match spec:
        case Map():
            return [
                0,
                spec.over_graph,
                list(spec.mapped),
                spec.concurrency,
                float(spec.min_success_ratio),
                list(spec.flat),
                spec.shortest,
            ]
        case Branch():
            arms = [[arm.condition, arm.graph, list(arm.takes), arm.message] for arm in spec.arms]
            return [1, _parameters_tree(spec.inputs, types), arms, types(spec.result)]
        case Gate():
            return [2, GATES.index(spec.what), spec.name, types(spec.result), spec.timeout]
        case Rescue():
            return [3, _parameters_tree(spec.inputs, types), spec.graph, list(spec.takes), types(spec.result)]
        case Merge():
            return [4, len(spec.inputs), types(spec.result)]
        case Earlier():
            return [5, spec.distance, spec.name, types(spec.result)]


# --- reading ----------------------------------------------------------------------------------------------------------


@lru_cache(256)
def shape_from_bytes(data: bytes) -> Shape:
    """Read and verify a shape. Equal bytes give one object."""
    rows, callee_trees, graph_trees, literals = as_fields(unpack_canonical(data, "a shape"), 4)
    types = [type_from_bytes(as_bytes(row)) for row in rows]
    callees = tuple(_callee(tree, types) for tree in callee_trees)
    shape = Shape(callees, tuple(_graph(tree, types) for tree in graph_trees), as_count(literals))
    if shape_bytes(shape) != data:
        raise FormatError("a shape", "is not canonical", offset=0)
    verify_shape(shape)
    return shape


def _parameters(trees: Any, types: list[Type]) -> tuple[Parameter, ...]:
    parameters = []
    for tree in trees:
        name, type, default, kind = as_fields(tree, 4)
        parameters.append(
            Parameter(
                as_text(name),
                entry_at(types, type),
                None if default is None else as_bytes(default),
                entry_at(_PARAMETER_KINDS, kind),
            )
        )
    return tuple(parameters)


def _callee(tree: Any, types: list[Type]) -> Callee:
    name, code, parameters, result, policy, kind = as_fields(tree, 6)
    entries = unpack_canonical(as_bytes(policy), "a policy") if policy else {}
    interface = Interface(_parameters(parameters, types), entry_at(types, result))
    return Callee(as_text(name), as_bytes(code), interface, Policy.from_map(entries), *entry_at(_CALLEE_KINDS, kind))


def _graph(tree: Any, types: list[Type]) -> Graph:
    extended = tree.__class__ is list and len(tree) == 11
    name, inputs, outputs, kinds, targets, bindings, after, overrides, *more = as_fields(tree, 11 if extended else 8)
    specs, on_failure, runs_on = more or ([], None, False)
    if runs_on.__class__ is not bool:
        raise ValueError("a truth was expected")
    return Graph(
        as_text(name),
        _parameters(inputs, types),
        tuple(Output(as_text(n), entry_at(types, t), b) for n, t, b in outputs),
        as_bytes(kinds),
        array("I", [as_count(target) for target in targets]),
        _offsets(as_bytes(bindings), len(kinds)),
        bindings,
        {as_count(index): tuple(map(as_count, nodes)) for index, nodes in after},
        {as_count(index): _entries(data) for index, data in overrides},
        {as_count(index): _spec(kind, rest, types) for index, kind, *rest in specs},
        None if on_failure is None else as_count(on_failure),
        runs_on,
    )


def _spec(kind: Any, rest: list[Any], types: list[Type]) -> Spec:
    if kind == 0:
        over_graph, mapped, concurrency, ratio, flat, shortest = as_fields(rest, 6)
        if over_graph.__class__ is not bool or ratio.__class__ is not float or shortest.__class__ is not bool:
            raise ValueError("a map is malformed")
        return Map(
            over_graph,
            as_counts(mapped),
            None if concurrency is None else as_count(concurrency),
            ratio,
            as_counts(flat),
            shortest,
        )
    if kind == 1:
        inputs, arms, result = as_fields(rest, 3)
        read = [as_fields(arm, 4) for arm in arms]
        return Branch(
            _parameters(inputs, types),
            tuple(
                Arm(condition, None if graph is None else as_count(graph), as_counts(takes), as_text(message))
                for condition, graph, takes, message in read
            ),
            entry_at(types, result),
        )
    if kind == 2:
        what, name, type, timeout = as_fields(rest, 4)
        if timeout is not None and timeout.__class__ is not float:
            raise ValueError("a time-out is no number")
        return Gate(entry_at(GATES, what), as_text(name), entry_at(types, type), timeout)
    if kind == 3:
        inputs, graph, takes, result = as_fields(rest, 4)
        if takes.__class__ is not list or any(one.__class__ is not int or one < -1 for one in takes):
            raise ValueError("positions were expected")
        return Rescue(_parameters(inputs, types), as_count(graph), tuple(takes), entry_at(types, result))
    if kind == 4:
        count, result = as_fields(rest, 2)
        if as_count(count) > _MOST_MERGED:
            raise ValueError(f"a node merges {count} values")
        return Merge(
            tuple(Parameter(f"in{index}", entry_at(types, result)) for index in range(count)), entry_at(types, result)
        )
    if kind == 5:
        distance, name, result = as_fields(rest, 3)
        return Earlier(as_count(distance), as_text(name), entry_at(types, result))
    raise ValueError(f"a node of the unknown kind {kind!r}")


def _entries(data: Any) -> dict[str, Any]:
    entries = unpack_canonical(as_bytes(data), "the overrides of a node")
    if entries.__class__ is not dict:
        raise ValueError("overrides were expected")
    return dict(entries)


def _offsets(bindings: bytes, count: int) -> array[int]:
    """Find where each node's bindings begin. This also proves that each binding is canonical."""
    offsets = array("I", [0])
    for tree in unpack_each(bindings, "the bindings"):
        end = offsets[-1] + len(packed := pack(tree))
        if bindings[offsets[-1] : end] != packed:
            raise ValueError("the bindings are not canonical")
        offsets.append(end)
    if len(offsets) != count + 1:
        raise ValueError(f"there are bindings of {len(offsets) - 1} nodes, not of {count}")
    return offsets


# --- callees ----------------------------------------------------------------------------------------------------------


@lru_cache(1024)
def callee_bytes(callee: Callee) -> bytes:
    """Write one callee complete in itself, as it travels to a worker."""
    types = _Types()
    tree = _callee_tree(callee, types)
    return pack([types.rows, tree])


@lru_cache(1024)
def interface_digest(callee: Callee) -> bytes:
    """Digest the names and types that a callee takes and gives, as caches and stored functions tell them apart."""
    parameters = [[one.name, type_bytes(one.type)] for one in callee.interface.parameters]
    return digest("interface", pack([parameters, type_bytes(callee.interface.result), callee.kind]))


def callee_from_bytes(data: bytes) -> Callee:
    """Read a callee that `callee_bytes` wrote."""
    rows, tree = as_fields(unpack(data, "a callee"), 2)
    return _callee(tree, [type_from_bytes(as_bytes(row)) for row in rows])
