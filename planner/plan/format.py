"""Plan ⇄ canonical bytes, digest, versions: plan files and futures files. The normative text is `docs/plan-format.md`.

A plan file and a futures file are one format with another kind in the envelope (`promissory.typesys.canonical.seal`).
The work of reading is bounded by the length of the bytes. Reading runs no code and imports nothing, and answers bytes
that are no plan with a `PlanFormatError` that has an offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from promissory.planner.errors import CompileError, PlanFormatError
from promissory.planner.plan.fields import as_bytes, as_count, as_fields, as_list
from promissory.planner.plan.model import EARLIER, Graph, Large, Shape, Value, is_in_parts, parts_of
from promissory.planner.plan.older_shapes import may_name_ours, names_ours, older_shape_from_bytes
from promissory.planner.plan.plan import Plan
from promissory.planner.plan.policy import Policy
from promissory.planner.plan.shape_format import is_extended, shape_bytes, shape_from_bytes
from promissory.planner.plan.verify import verify_literals
from promissory.typesys.buffer import blake3
from promissory.typesys.canonical import INLINE_LIMIT, digest, has_parts, pack, unpack_canonical
from promissory.typesys.envelope import seal, unseal
from promissory.typesys.errors import FormatError
from promissory.typesys.types import BufferType, Type, walk

MAGIC: Final = b"PRMP"
VERSION: Final = 6
"""Since version 6 values may have parts, and families of types buffers."""
_ASYNC_VERSION: Final = 5
"""Since version 5 tasks and dynamics may be async."""
_CYCLIC_VERSION: Final = 4
"""Since version 4 a plan may have cycles."""
_NAMED_VERSION: Final = 3
"""Since version 3 classes and functions of this package bear their public names."""
_EXTENDED_VERSION: Final = 2
_PLAIN_VERSION: Final = 1
"""A plan is written as the earliest version that can say all that is in the plan."""
PLAN_FILE, FUTURES_FILE = 1, 2


@dataclass(frozen=True, slots=True)
class FuturesHeader:
    """The emitter of a futures file: the identity of the node's frame, the node's index in the frame, and the node's
    depth."""

    parent: bytes
    index: int
    depth: int


# --- writing ----------------------------------------------------------------------------------------------------------


def _version(shape: Shape, data: bytes, literals: tuple[Value, ...]) -> int:
    if any(map(is_in_parts, literals)) or any(map(_holds_buffer, _types(shape))):
        return VERSION
    if any(callee.is_async for callee in shape.callees):
        return _ASYNC_VERSION
    if any(callee.kind == "cycle" for callee in shape.callees) or any(map(_is_of_a_cycle, shape.graphs)):
        return _CYCLIC_VERSION
    if may_name_ours(data) and names_ours(data):
        return _NAMED_VERSION
    if any("sends" in entries for graph in shape.graphs for entries in graph.overrides.values()):
        return _NAMED_VERSION
    newer = any(
        is_extended(graph) or any(entries.keys() & _NEWER_OVERRIDES for entries in graph.overrides.values())
        for graph in shape.graphs
    )
    return _EXTENDED_VERSION if newer else _PLAIN_VERSION


def _types(shape: Shape) -> Iterator[Type]:
    for callee in shape.callees:
        yield callee.interface.result
        yield from (parameter.type for parameter in callee.interface.parameters)
    for graph in shape.graphs:
        yield from (parameter.type for parameter in graph.inputs)
        yield from (output.type for output in graph.outputs)


@lru_cache(4096)
def _holds_buffer(type: Type) -> bool:
    return any(isinstance(one, BufferType) for one in walk(type))


def _is_of_a_cycle(graph: Graph) -> bool:
    return EARLIER in graph.kinds or any("held" in entries for entries in graph.overrides.values())


_NEWER_OVERRIDES: Final = frozenset(("trigger", "standby", "max_iterations"))


def _literal_tree(value: Value) -> bytes | list[Any]:
    return value if isinstance(value, bytes) else list(value.tree)


def digest_without_code(plan: Plan) -> bytes:
    """Give the digest of a plan without the digests of its code: equal for plans that differ only in their functions'
    bodies."""
    callees = tuple(replace(callee, digest=b"", policy=_without_code(callee.policy)) for callee in plan.shape.callees)
    return plan_digest(replace(plan, shape=replace(plan.shape, callees=callees)))


def _without_code(policy: Policy) -> Policy:
    return replace(policy, cache_version="code") if policy.cache_version.startswith("code ") else policy


def digest_of_file(data: bytes) -> bytes:
    """Give the digest by which the plan in a file is known: that of the file's bytes, in whatever version.

    The bytes must have been read before.
    """
    _, shape, literals, _ = unpack_canonical(
        unseal(data, MAGIC, range(1, VERSION + 1), "the plan file")[2], "the plan file"
    )
    return digest("plan", shape, pack(literals))


def plan_digest(plan: Plan) -> bytes:
    """Give the digest of shape and literals. A large literal counts with its own digest."""
    return digest("plan", shape_bytes(plan.shape), pack([_literal_tree(value) for value in plan.literals]))


def plan_to_bytes(plan: Plan) -> bytes:
    """Write the plan file, which holds the plan's large literals."""
    return _sealed(plan, PLAN_FILE, None, _blobs(plan))


def futures_to_bytes(plan: Plan, header: FuturesHeader) -> bytes:
    """Write the futures file of a dynamic's expansion. It holds no large literals: they are objects of the store."""
    return _sealed(plan, FUTURES_FILE, header, [])


def _blobs(plan: Plan) -> list[bytes]:
    """The large literals of a plan, and then the parts of its literals, each once."""
    large = [plan.blobs[value.digest] for value in plan.literals if isinstance(value, Large)]
    return large + [plan.blobs[name.digest] for name in parts_of(plan.literals, plan.blobs)]


def _sealed(plan: Plan, kind: int, header: FuturesHeader | None, blobs: list[bytes]) -> bytes:
    who = None if header is None else [header.parent, header.index, header.depth]
    shape = shape_bytes(plan.shape)
    return seal(
        MAGIC,
        _version(plan.shape, shape, plan.literals),
        kind,
        pack([who, shape, [_literal_tree(value) for value in plan.literals], blobs]),
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def plan_from_bytes(data: bytes) -> Plan:
    """Read and verify the plan of a plan file or futures file. Raises `PlanFormatError`."""
    plan, _ = read_plan(data)
    return plan


def futures_from_bytes(data: bytes) -> tuple[Plan, FuturesHeader]:
    """Read and verify the plan of a futures file, and the node that emitted it. Raises `PlanFormatError`.

    A small file is read once for all who look at it: the scheduler, the journal's commit, and the store behind it.
    """
    return _futures_of_small(data) if len(data) <= _SMALL else _futures(data)


_SMALL: Final = 1 << 14


@lru_cache(512)
def _futures_of_small(data: bytes) -> tuple[Plan, FuturesHeader]:
    return _futures(data)


def _futures(data: bytes) -> tuple[Plan, FuturesHeader]:
    plan, header = read_plan(data)
    if header is None:
        raise PlanFormatError("the futures file", "is a plan file", offset=6)
    return plan, header


def read_plan(data: bytes) -> tuple[Plan, FuturesHeader | None]:
    """Read and verify the plan of either kind of file, with the header of a futures file. Raises `PlanFormatError`."""
    what = "the plan file"
    try:
        version, kind, payload = unseal(data, MAGIC, range(1, VERSION + 1), what)
        if kind not in (PLAN_FILE, FUTURES_FILE):
            raise FormatError(what, f"has the unknown kind {kind}", offset=6)
        who, shape_data, literals, blobs = as_fields(unpack_canonical(payload, what), 4)
        header = None if who is None else _header(who)
        if (header is None) != (kind == PLAN_FILE):
            raise FormatError(what, "has the header of another kind", offset=15)
        values = tuple(_literal(tree) for tree in as_list(literals))
        if version < _NAMED_VERSION:
            shape = older_shape_from_bytes(as_bytes(shape_data))
        else:
            shape = shape_from_bytes(as_bytes(shape_data))
            if _version(shape, shape_data, values) < version:
                raise FormatError(what, f"is not canonical: nothing in it needs version {version}", offset=5)
        plan = Plan(shape, values, _read_blobs(values, as_list(blobs), kind))
        verify_literals(plan)
    except FormatError as error:
        raise PlanFormatError(error.what, error.problem, error.offset) from None
    except CompileError as error:
        raise PlanFormatError(what, f"breaks a rule of plans: {error.message}", offset=15) from None
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise PlanFormatError(what, f"is malformed ({type(error).__name__}: {error})", offset=15) from None
    return plan, header


def _header(who: Any) -> FuturesHeader:
    parent, index, depth = as_fields(who, 3)
    if len(as_bytes(parent)) != 16:
        raise ValueError("the identity of the parent has another length")
    return FuturesHeader(parent, as_count(index), as_count(depth))


def _read_blobs(values: tuple[Value, ...], blobs: list[bytes], kind: int) -> dict[bytes, bytes]:
    named = [value for value in values if isinstance(value, Large)]
    if kind == FUTURES_FILE:
        if blobs:
            raise FormatError("the futures file", "carries large literals, which are objects of the store", offset=15)
        return {}
    found = {}
    for value, blob in zip(named, blobs, strict=False):
        if (
            digest("value", as_bytes(blob)) != value.digest
            or len(blob) != value.size
            or value.in_parts != has_parts(blob)
        ):
            raise FormatError("the plan file", "holds a large literal whose digest does not match", offset=15)
        found[value.digest] = blob
    if len(found) < len({value.digest for value in named}):
        raise ValueError("a large literal is missing")
    for name, blob in zip(parts_of(values, found), blobs[len(named) :], strict=True):
        if len(as_bytes(blob)) != name.size or blake3(blob) != name.digest:
            raise FormatError("the plan file", "holds a part of a literal whose digest does not match", offset=15)
        found[name.digest] = blob
    return found


def _literal(tree: Any) -> Value:
    if tree.__class__ is bytes:
        if len(tree) > INLINE_LIMIT:
            raise ValueError("a literal above the inline limit is written inline")
        return bytes(tree)
    in_parts = len(as_list(tree)) == 3
    name, size, *mark = as_fields(tree, 3 if in_parts else 2)
    if len(as_bytes(name)) != 32 or as_count(size) <= INLINE_LIMIT or mark not in ([], [True]):
        raise ValueError("a large literal is named wrongly")
    return Large(name, size, in_parts)
