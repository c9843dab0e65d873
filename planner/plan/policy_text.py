"""A policy as the text of a plan shows it: retries, time-out, cache, pool, resources."""

from __future__ import annotations

from typing import Final

from promissory.planner.plan.policy import Policy, Resources

_UNITS: Final = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def policy_terms(policy: Policy) -> list[str]:
    """Print what a policy says that is not the default, one term a subject.

    >>> from promissory import Resources
    >>> policy_terms(Policy(retries=3, retry_delay=(1.0,), timeout=30.0, pool="db", resources=Resources(memory="2GiB")))
    ['retries 3 after 1 s', 'timeout 30 s', 'pool db', 'resources cpu 1 memory 2 GiB']
    """
    terms = []
    if policy.retries:
        delays = ", ".join(f"{delay:g} s" for delay in policy.retry_delay) if any(policy.retry_delay) else ""
        growing = f" × {policy.backoff:g}" if policy.backoff != 1 else ""
        classes = ", ".join(name.rpartition(":")[2] for name in policy.retry_on or ())
        of = f" of {classes}" if classes else ""
        terms.append(f"retries {policy.retries}{f' after {delays}{growing}' if delays else ''}{of}")
    if policy.timeout is not None:
        terms.append(f"timeout {policy.timeout:g} s")
    if policy.cache:
        ignoring = f" but {', '.join(policy.cache_ignore)}" if policy.cache_ignore else ""
        terms.append(f"cache {_version(policy.cache_version)}{ignoring}{' once' if policy.cache_serialize else ''}")
    if policy.pool is not None:
        terms.append(f"pool {policy.pool}")
    if policy.resources is not None:
        terms.append(f"resources {_resources(policy.resources)}")
    if policy.commit == "each":
        terms.append("commit each")
    if policy.max_iterations is not None:
        terms.append(f"at most {policy.max_iterations} iterations")
    if policy.max_depth is not None:
        terms.append(f"to depth {policy.max_depth}")
    if policy.cycle is not None:
        start, stop, step, active, points = policy.cycle
        end = "" if stop is None else f" to {stop}"
        terms.append(f"{points or f'from {start}{end}'}{f' by {step}' if step != 1 else ''}, {active} at a time")
    if policy.allow_repeat:
        terms.append("may repeat")
    return terms


def _version(version: str) -> str:
    return version if len(version) <= 16 else f"{version[:12]}…"


def _resources(resources: Resources) -> str:
    parts = [f"cpu {resources.cpu:g}"]
    if resources.bytes:
        size, unit = next(((size, unit) for size, unit in _UNITS if resources.bytes % size == 0), (1, "B"))
        parts.append(f"memory {resources.bytes // size} {unit}")
    if resources.gpu:
        parts.append(f"gpu {resources.gpu}")
    return " ".join(parts)
