"""What goes to a worker and what comes back, as bytes: a batch of invocations, a batch of outcomes.

::

    batch      [definitions, invocations, carried]  definitions: callees, complete in themselves (planner.plan_format)
                                                    carried: [key, bytes] of what the worker can't read in a store
    invocation [definition, frame, index, arguments, path, parent identity, depth, attempt, time-out]
               definition -1: a joint; `arguments` is [one argument, bytes of the type that is wanted]
    argument   nil                                  the parameter's default
               bytes                                a value
               [0, digest, size]                    a value that is an object
               [1, binding, [[leaf, value, type]…]] a binding to be assembled from these leaves (type nil: a literal)

    outcome    [frame, index, status, payload, started µs, duration µs, worker, attempt, log, carried]
               carried: [key, bytes] of what the worker can't write to a store; nil where it shares one (rule J5)

============ ==================================================
status       payload
============ ==================================================
VALUE        bytes, or [digest, size]
FUTURES      the futures file
FAILURE      the failure's tree
UNSTARTED    nil: given back, because the batch ended early
LOST         [signal, exit code, last words]: its worker ended while it ran
============ ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from executor.topology import Topology
from planner.plan import NODE, Binding, Value, leaves
from typesys.canonical import pack
from typesys.type_format import type_bytes

VALUE, FUTURES, FAILURE, UNSTARTED, LOST = range(5)
JOINT: Final = -1
OBJECT, ASSEMBLE = range(2)


def unstarted(calls: Iterable[tuple[int, int, int]]) -> list[Any]:
    """The outcomes of (frame, index, attempt)s that no worker has begun."""
    return [[frame, index, UNSTARTED, None, 0, 0, "", attempt, None, None] for frame, index, attempt in calls]


def value_argument(value: Value) -> Any:
    """A value as an argument."""
    return value if isinstance(value, bytes) else [OBJECT, value.digest, value.size]


def assembled_argument(binding: Binding, topology: Topology, value_of: Any) -> Any:
    """A binding with all its leaves' values, to be assembled where the call runs. `value_of` gives a plain binding's value."""
    sources = []
    for leaf in leaves(binding):
        plain = _without_path(leaf)
        type = topology.leaf_type(leaf)
        sources.append([plain, value_argument(value_of(_whole(plain))), None if type is None else type_bytes(type)])
    return [ASSEMBLE, binding, sources]


def _without_path(leaf: Binding) -> Binding:
    return leaf if leaf.__class__ is int else leaf[:2]


def _whole(plain: Binding) -> Binding:
    return plain[1] if plain.__class__ is list and plain[0] == NODE else plain


def leaf_key(leaf: Binding) -> bytes:
    """What a leaf is looked up by among an argument's sources."""
    return pack(leaf if leaf.__class__ is int else leaf[:2])


