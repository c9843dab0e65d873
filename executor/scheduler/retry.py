"""Retries: whether and when a failed attempt is made again (rule R1). Pure: the scheduler asks, and keeps the count."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from promissory.executor.protocol.failure import Failure
from promissory.planner.plan.policy import Policy

_BY_DEFAULT: Final = "builtins:Exception"
_NEVER: Final = "promissory.errors:CompileError"
_OF_BODIES: Final = ("exception", "retry", "TaskTimeout")


def retry_delay(policy: Policy, failure: Failure, used: int, identity: bytes) -> float | None:
    """Seconds before the next attempt; None if there is none.

    Args:
        policy: of the call.
        failure: of the attempt that failed.
        used: how many retries the call has had.
        identity: of run and node: the same run and node jitter the same way, in any executor.

    >>> failure = Failure.of_exception(OSError("busy"))
    >>> [retry_delay(Policy(retries=3, retry_delay=(1.0,), backoff=2.0), failure, used, b"") for used in range(4)]
    [1.0, 2.0, 4.0, None]
    """
    if used >= policy.retries or not is_retried(policy, failure):
        return None
    if failure.after is not None:
        return failure.after
    delays = policy.retry_delay
    base = delays[min(used, len(delays) - 1)]
    try:
        delay = base * policy.backoff ** max(0, used - len(delays) + 1)
    except OverflowError:
        delay = _LONGEST if base else 0.0
    if policy.jitter:
        draw = int.from_bytes(
            blake2b(identity + used.to_bytes(8, "big"), digest_size=8, person=b"promissory jit").digest(), "big"
        )
        delay *= 1 + policy.jitter * (2 * draw / (1 << 64) - 1)
    return min(delay, _LONGEST)


_LONGEST: Final = 30 * 86_400.0


def is_retried(policy: Policy, failure: Failure) -> bool:
    """Whether an attempt that failed like this may be made again.

    >>> timeout = Failure.of_executor("TaskTimeout", "late")
    >>> is_retried(Policy(), timeout), is_retried(Policy(), Failure.of_executor("TaskTypeError", "a str"))
    (True, False)
    """
    if failure.kind not in _OF_BODIES or _NEVER in failure.mro:
        return False
    if failure.kind == "retry":
        return True
    wanted = (_BY_DEFAULT,) if policy.retry_on is None else policy.retry_on
    return any(_means(name, one) for name in wanted for one in failure.mro)


def _means(wanted: str, found: str) -> bool:
    """Whether two names stand for one class.

    A class that travelled by value belongs to `__main__` where the body ran, so only the class's own name is compared.
    """
    if wanted == found:
        return True
    by_value = found.startswith(("__main__:", "__mp_main__:")) or "<locals>" in wanted
    return by_value and _own_name(wanted) == _own_name(found)


def _own_name(name: str) -> str:
    return name.rpartition(":")[2].rpartition(".")[2]
