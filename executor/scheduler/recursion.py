"""Whether a dynamic may run: how deep it is nested, and whether its chain makes progress (rules D3, D10). Pure.

A chain without progress is found by Brent's cycle detection: each frame remembers one key, which is moved up whenever
the chain has become twice as long since (R. P. Brent, "An improved Monte Carlo factorization algorithm", 1980).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from promissory.executor.protocol.failure import Failure
from promissory.executor.protocol.limits import Limits
from promissory.executor.scheduler.frame import Frame, Repeat
from promissory.planner.plan.model import NODE, Value, leaves
from promissory.typesys.canonical import pack


def may_expand(limits: Limits, frame: Frame, index: int) -> tuple[Failure | None, Repeat | None]:
    """The reason why a dynamic may not run, if there is one, and the `Repeat` that its chain is to remember."""
    topology = frame.topology
    callee = topology.callee(index)
    if frame.depth >= limits.max_depth:
        return limits.depth(frame.depth + 1, frame.path_of(index)), None
    if callee.policy.max_depth is not None:
        own = (frame.nesting or {}).get(callee.name, 0) + 1
        path = frame.path_of(index)
        problem = limits.own_depth(callee.short_name, own, callee.policy.max_depth, path)
        if problem is not None:
            return problem, None
    if callee.policy.allow_repeat or not topology.code.keyed[topology.graph.targets[index]]:
        return None, frame.repeat
    key = _call_key(frame, index)
    repeat = frame.repeat
    if repeat is None:
        return None, (key, 1, frame.depth)
    remembered, power, since = repeat
    if remembered == key:
        return _no_progress(frame, index), None
    if frame.depth - since >= power:
        return None, (key, 2 * power, frame.depth)
    return None, repeat


def _call_key(frame: Frame, index: int) -> bytes:
    """The key under which two calls of dynamics are the same: of the callable and the digests of its inputs."""
    topology = frame.topology
    callee = topology.callee(index)
    state = blake2b(callee.digest, digest_size=16)
    state.update(callee.name.encode())
    bindings = topology.plan_inputs.get(index) or topology.graph.bindings_of(index)
    for binding, parameter in zip(bindings, callee.interface.parameters, strict=True):
        if binding is None or frame.misses(binding):
            _add(state, parameter.default or b"")
        elif topology.fits(binding, parameter.type):
            _add(state, frame.value(binding))
        else:
            state.update(pack(binding))
            for leaf in leaves(binding):
                _add(state, frame.value(leaf[1] if leaf.__class__ is list and leaf[0] == NODE else leaf))
    return state.digest()


def _add(state: Any, value: Value) -> None:
    data = value if isinstance(value, bytes) else value.digest
    state.update(len(data).to_bytes(8, "big") + data)


def _no_progress(frame: Frame, index: int) -> Failure:
    callee = frame.topology.callee(index)
    names = ", ".join(p.name for p in callee.interface.parameters) or "none"
    return Failure.of_executor(
        "NoProgress",
        f"{callee.short_name} was called again, inside itself, "
        f"with the inputs it has been called with before ({names}): "
        f"{frame.path_of(index)}. It would go on for ever. Pass something that changes; or, to poll, "
        "`raise Loop(…)` instead of calling it again, or say @dynamic(allow_repeat=True)",
    )
