"""Plan ⇄ canonical bytes, digest, versions. The normative text is `docs/plan-format.md`.

A plan file and a futures file are one format with another kind in the envelope (`promissory.typesys.canonical.seal`). Reading is bounded by the length of the bytes, runs no
code and imports nothing; anything wrong is a `PlanFormatError` with an offset.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from promissory.planner.errors import CompileError, PlanFormatError
from promissory.planner.plan.model import Callee, Graph, Interface, Large, Output, Parameter, Plan, Shape, Value
from promissory.planner.plan.policy import Policy
from promissory.planner.plan.specs import GATES, Arm, Branch, Gate, Map, Merge, Rescue, Spec
from promissory.planner.plan.verify import verify_literals, verify_shape
from promissory.typesys.canonical import (
    INLINE_LIMIT,
    digest,
    pack,
    pack_map,
    seal,
    unpack,
    unpack_canonical,
    unpack_each,
    unseal,
)
from promissory.typesys.errors import FormatError
from promissory.typesys.older_names import OLDER_NAMES, name_today
from promissory.typesys.type_format import renamed, type_bytes, type_from_bytes
from promissory.typesys.types import Type

MAGIC: Final = b"PRMP"
VERSION: Final = 3
"""Since version 3 things of this package bear their public names."""
_EXTENDED_VERSION: Final = 2
_PLAIN_VERSION: Final = 1
"""What has nothing in it that an earlier version can't say is written as that version."""
_MAY_NAME_OURS: Final = re.compile(rb"promissory|planner\.|executor\.|typesys\.")
"""What bytes hold that have a name of ours in them, of today or of then."""
PLAN_FILE, FUTURES_FILE = 1, 2
_PARAMETER_KINDS: Final = ("positional", "both", "keyword")
_CALLEE_KINDS: Final = ("task", "dynamic")


@dataclass(frozen=True, slots=True)
class FuturesHeader:
    """Who emitted a futures file: the identity of the node's frame, the node's index in it, and the node's depth."""

    parent: bytes
    index: int
    depth: int


# --- writing ---------------------------------------------------------------------------------------------------------------------


class _Types:
    """The table of types of one shape: each once."""

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


def shape_bytes(shape: Shape) -> bytes:
    """The canonical bytes of a shape."""
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
        _CALLEE_KINDS.index(callee.kind),
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
    if _is_extended(graph):
        tree += [
            [[index, *_spec_tree(spec, types)] for index, spec in sorted(graph.specs.items())],
            graph.on_failure,
            graph.runs_on,
        ]
    return tree


def _is_extended(graph: Graph) -> bool:
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


_MOST_MERGED: Final = 1 << 16


def _version(shape: Shape, data: bytes) -> int:
    if _MAY_NAME_OURS.search(data) and _names_ours(data):
        return VERSION
    newer = any(
        _is_extended(graph) or any(entries.keys() & _NEWER_OVERRIDES for entries in graph.overrides.values())
        for graph in shape.graphs
    )
    return _EXTENDED_VERSION if newer else _PLAIN_VERSION


_NEWER_OVERRIDES: Final = frozenset(("trigger", "standby", "max_iterations"))


def _literal_tree(value: Value) -> bytes | list[Any]:
    return value if isinstance(value, bytes) else [value.digest, value.size]


def digest_without_code(plan: Plan) -> bytes:
    """A digest of all of a plan but the digests of its code: equal for plans that differ only in what their functions do."""
    callees = tuple(replace(callee, digest=b"", policy=_without_code(callee.policy)) for callee in plan.shape.callees)
    return plan_digest(replace(plan, shape=replace(plan.shape, callees=callees)))


def _without_code(policy: Policy) -> Policy:
    return replace(policy, cache_version="code") if policy.cache_version.startswith("code ") else policy


def digest_of_file(data: bytes) -> bytes:
    """The digest by which the plan in a file is known: that of its bytes, whatever version they are of. For bytes that were read before."""
    _, shape, literals, _ = unpack_canonical(
        unseal(data, MAGIC, range(1, VERSION + 1), "the plan file")[2], "the plan file"
    )
    return digest("plan", shape, pack(literals))


def plan_digest(plan: Plan) -> bytes:
    """Digest of shape and literals (large ones by their own digest)."""
    return digest("plan", shape_bytes(plan.shape), pack([_literal_tree(value) for value in plan.literals]))


def plan_to_bytes(plan: Plan) -> bytes:
    """The plan file, with its large literals in it."""
    return _sealed(plan, PLAN_FILE, None, _blobs(plan))


def futures_to_bytes(plan: Plan, header: FuturesHeader) -> bytes:
    """The futures file of a dynamic's expansion. Large literals are not in it: they are objects of the store."""
    return _sealed(plan, FUTURES_FILE, header, [])


def _blobs(plan: Plan) -> list[bytes]:
    return [plan.blobs[value.digest] for value in plan.literals if isinstance(value, Large)]


def _sealed(plan: Plan, kind: int, header: FuturesHeader | None, blobs: list[bytes]) -> bytes:
    who = None if header is None else [header.parent, header.index, header.depth]
    shape = shape_bytes(plan.shape)
    return seal(
        MAGIC,
        _version(plan.shape, shape),
        kind,
        pack([who, shape, [_literal_tree(value) for value in plan.literals], blobs]),
    )


# --- reading ---------------------------------------------------------------------------------------------------------------------


def plan_from_bytes(data: bytes) -> Plan:
    """The plan in a plan file or futures file, verified. Raises `PlanFormatError`."""
    plan, _ = read_plan(data)
    return plan


def futures_from_bytes(data: bytes) -> tuple[Plan, FuturesHeader]:
    """The plan in a futures file, and who emitted it. Raises `PlanFormatError`."""
    plan, header = read_plan(data)
    if header is None:
        raise PlanFormatError("the futures file", "is a plan file", offset=6)
    return plan, header


def read_plan(data: bytes) -> tuple[Plan, FuturesHeader | None]:
    """The plan of either kind of file, with the header if it is a futures file. Raises `PlanFormatError`."""
    what = "the plan file"
    try:
        version, kind, payload = unseal(data, MAGIC, range(1, VERSION + 1), what)
        if kind not in (PLAN_FILE, FUTURES_FILE):
            raise FormatError(what, f"has the unknown kind {kind}", offset=6)
        who, shape_data, literals, blobs = _fields(unpack_canonical(payload, what), 4)
        header = None if who is None else _header(who)
        if (header is None) != (kind == PLAN_FILE):
            raise FormatError(what, "has the header of another kind", offset=15)
        values = tuple(_literal(tree) for tree in literals)
        if version < VERSION:
            shape = older_shape_from_bytes(_bytes(shape_data))
        elif _names_ours(_bytes(shape_data)):
            shape = shape_from_bytes(shape_data)
        else:
            raise FormatError(what, f"is not canonical: nothing in it needs version {version}", offset=5)
        plan = Plan(shape, values, _read_blobs(values, blobs, kind))
        verify_literals(plan)
    except FormatError as error:
        raise PlanFormatError(error.what, error.problem, error.offset) from None
    except CompileError as error:
        raise PlanFormatError(what, f"breaks a rule of plans: {error.message}", offset=15) from None
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise PlanFormatError(what, f"is malformed ({type(error).__name__}: {error})", offset=15) from None
    return plan, header


def _header(who: Any) -> FuturesHeader:
    parent, index, depth = _fields(who, 3)
    if len(_bytes(parent)) != 16:
        raise ValueError("the identity of the parent has another length")
    return FuturesHeader(parent, _count(index), _count(depth))


def _read_blobs(values: tuple[Value, ...], blobs: list[bytes], kind: int) -> dict[bytes, bytes]:
    named = [value for value in values if isinstance(value, Large)]
    if kind == FUTURES_FILE:
        if blobs:
            raise FormatError("the futures file", "carries large literals, which are objects of the store", offset=15)
        return {}
    found = {}
    for value, blob in zip(named, blobs, strict=True):
        if digest("value", _bytes(blob)) != value.digest or len(blob) != value.size:
            raise FormatError("the plan file", "holds a large literal whose digest does not match", offset=15)
        found[value.digest] = blob
    return found


@lru_cache(256)
def shape_from_bytes(data: bytes) -> Shape:
    """The shape whose bytes these are, verified; one object for equal bytes."""
    rows, callee_trees, graph_trees, literals = _fields(unpack_canonical(data, "a shape"), 4)
    types = [type_from_bytes(_bytes(row)) for row in rows]
    callees = tuple(_callee(tree, types) for tree in callee_trees)
    shape = Shape(callees, tuple(_graph(tree, types) for tree in graph_trees), _count(literals))
    if shape_bytes(shape) != data:
        raise FormatError("a shape", "is not canonical", offset=0)
    verify_shape(shape)
    return shape


def older_shape_from_bytes(data: bytes) -> Shape:
    """The shape of bytes that may name things of ours as they were called before version 3, with today's names."""
    if not (_MAY_NAME_OURS.search(data) and _names_ours(data)):
        return shape_from_bytes(data)
    return _with_names_of_today(data)


@lru_cache(64)
def _with_names_of_today(data: bytes) -> Shape:
    return shape_from_bytes(_renamed(data, name_today))


@lru_cache(64)
def _names_ours(data: bytes) -> bool:
    """Whether a shape has a name of ours in it, of today or of then: of a class in a type, or of an exception in a policy."""
    names: list[str] = []

    def note(name: str) -> str:
        names.append(name)
        return name

    _renamed(data, note)
    return any(name.startswith(("promissory:", "promissory.errors:")) or name in OLDER_NAMES for name in names)


def _renamed(data: bytes, name_of: Callable[[str], str]) -> bytes:
    """The bytes of a shape with other names of classes."""
    rows, callee_trees, graph_trees, literals = _fields(unpack_canonical(data, "a shape"), 4)
    for callee in callee_trees:
        entries = unpack_canonical(_bytes(callee[4]), "a policy") if callee[4] else {}
        if isinstance(entries.get("retry_on"), list):
            callee[4] = pack_map(
                {
                    **entries,
                    "retry_on": [name_of(name) if isinstance(name, str) else name for name in entries["retry_on"]],
                }
            )
    today = [renamed(type_bytes(type_from_bytes(_bytes(row))), name_of) for row in rows]
    return pack([today, callee_trees, graph_trees, literals])


def _fields(tree: Any, count: int) -> list[Any]:
    if tree.__class__ is not list or len(tree) != count:
        raise ValueError(f"{count} fields were expected")
    return list(tree)


def _bytes(tree: Any) -> bytes:
    if tree.__class__ is not bytes:
        raise ValueError("bytes were expected")
    return bytes(tree)


def _text(tree: Any) -> str:
    if tree.__class__ is not str:
        raise ValueError("text was expected")
    return str(tree)


def _count(tree: Any) -> int:
    if tree.__class__ is not int or tree < 0:
        raise ValueError("a count was expected")
    return int(tree)


def _at(table: Any, index: Any) -> Any:
    return table[_count(index)]


def _literal(tree: Any) -> Value:
    if tree.__class__ is bytes:
        if len(tree) > INLINE_LIMIT:
            raise ValueError("a literal above the inline limit is written inline")
        return bytes(tree)
    name, size = _fields(tree, 2)
    if len(_bytes(name)) != 32 or _count(size) <= INLINE_LIMIT:
        raise ValueError("a large literal is named wrongly")
    return Large(name, size)


def _parameters(trees: Any, types: list[Type]) -> tuple[Parameter, ...]:
    parameters = []
    for tree in trees:
        name, type, default, kind = _fields(tree, 4)
        parameters.append(
            Parameter(
                _text(name), _at(types, type), None if default is None else _bytes(default), _at(_PARAMETER_KINDS, kind)
            )
        )
    return tuple(parameters)


def _callee(tree: Any, types: list[Type]) -> Callee:
    name, code, parameters, result, policy, kind = _fields(tree, 6)
    entries = unpack_canonical(_bytes(policy), "a policy") if policy else {}
    interface = Interface(_parameters(parameters, types), _at(types, result))
    return Callee(_text(name), _bytes(code), interface, Policy.from_map(entries), _at(_CALLEE_KINDS, kind))


def _graph(tree: Any, types: list[Type]) -> Graph:
    extended = tree.__class__ is list and len(tree) == 11
    name, inputs, outputs, kinds, targets, bindings, after, overrides, *more = _fields(tree, 11 if extended else 8)
    specs, on_failure, runs_on = more or ([], None, False)
    if runs_on.__class__ is not bool:
        raise ValueError("a truth was expected")
    return Graph(
        _text(name),
        _parameters(inputs, types),
        tuple(Output(_text(n), _at(types, t), b) for n, t, b in outputs),
        _bytes(kinds),
        array("I", [_count(target) for target in targets]),
        _offsets(_bytes(bindings), len(kinds)),
        bindings,
        {_count(index): tuple(map(_count, nodes)) for index, nodes in after},
        {_count(index): _entries(data) for index, data in overrides},
        {_count(index): _spec(kind, rest, types) for index, kind, *rest in specs},
        None if on_failure is None else _count(on_failure),
        runs_on,
    )


def _spec(kind: Any, rest: list[Any], types: list[Type]) -> Spec:
    if kind == 0:
        over_graph, mapped, concurrency, ratio, flat, shortest = _fields(rest, 6)
        if over_graph.__class__ is not bool or ratio.__class__ is not float or shortest.__class__ is not bool:
            raise ValueError("a map is malformed")
        return Map(
            over_graph,
            _counts(mapped),
            None if concurrency is None else _count(concurrency),
            ratio,
            _counts(flat),
            shortest,
        )
    if kind == 1:
        inputs, arms, result = _fields(rest, 3)
        read = [_fields(arm, 4) for arm in arms]
        return Branch(
            _parameters(inputs, types),
            tuple(
                Arm(condition, None if graph is None else _count(graph), _counts(takes), _text(message))
                for condition, graph, takes, message in read
            ),
            _at(types, result),
        )
    if kind == 2:
        what, name, type, timeout = _fields(rest, 4)
        if timeout is not None and timeout.__class__ is not float:
            raise ValueError("a time-out is no number")
        return Gate(_at(GATES, what), _text(name), _at(types, type), timeout)
    if kind == 3:
        inputs, graph, takes, result = _fields(rest, 4)
        if takes.__class__ is not list or any(one.__class__ is not int or one < -1 for one in takes):
            raise ValueError("positions were expected")
        return Rescue(_parameters(inputs, types), _count(graph), tuple(takes), _at(types, result))
    if kind == 4:
        count, result = _fields(rest, 2)
        if _count(count) > _MOST_MERGED:
            raise ValueError(f"a node merges {count} values")
        return Merge(tuple(Parameter(f"in{index}", _at(types, result)) for index in range(count)), _at(types, result))
    raise ValueError(f"a node of the unknown kind {kind!r}")


def _counts(trees: Any) -> tuple[int, ...]:
    if trees.__class__ is not list:
        raise ValueError("positions were expected")
    return tuple(_count(one) for one in trees)


def _entries(data: Any) -> dict[str, Any]:
    entries = unpack_canonical(_bytes(data), "the overrides of a node")
    if entries.__class__ is not dict:
        raise ValueError("overrides were expected")
    return dict(entries)


def _offsets(bindings: bytes, count: int) -> array[int]:
    """Where each node's bindings begin; also proves that each is canonical."""
    offsets = array("I", [0])
    for tree in unpack_each(bindings, "the bindings"):
        end = offsets[-1] + len(packed := pack(tree))
        if bindings[offsets[-1] : end] != packed:
            raise ValueError("the bindings are not canonical")
        offsets.append(end)
    if len(offsets) != count + 1:
        raise ValueError(f"there are bindings of {len(offsets) - 1} nodes, not of {count}")
    return offsets


# --- definitions -----------------------------------------------------------------------------------------------------------------


@lru_cache(1024)
def callee_bytes(callee: Callee) -> bytes:
    """One callee complete in itself, as it travels to a worker."""
    types = _Types()
    tree = _callee_tree(callee, types)
    return pack([types.rows, tree])


def callee_from_bytes(data: bytes) -> Callee:
    """The callee that `callee_bytes` wrote."""
    rows, tree = _fields(unpack(data, "a callee"), 2)
    return _callee(tree, [type_from_bytes(_bytes(row)) for row in rows])
