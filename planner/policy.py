"""What a callable declares about its own running. Declared here, acted on by the executor.

====================== ======== ===================================================================================
field                  default  meaning
====================== ======== ===================================================================================
max_depth              None     nesting of this dynamic within itself before it fails as `DepthExceeded` (rule D3)
allow_repeat           False    may call itself with equal inputs on its own chain (polling; rule D10)
timeout                None     seconds that one attempt of the body may take (rule R2)
pool                   None     name of a pool: a run limits how many calls of a pool run at one time
resources              None     what a call needs while it runs
====================== ======== ===================================================================================

Only what differs from the default is written into a plan, so a field added later changes no existing bytes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final

_UNITS: Final = {"": 1, "B": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?")


@dataclass(frozen=True, slots=True)
class Resources:
    """What a task needs while it runs; a run starts no more at one time than there is.

    Args:
        cpu: processors.
        memory: bytes, as a number or as text with a unit (`"2GiB"`, `"500MB"`).
        gpu: graphics processors.

    Raises:
        ValueError: a negative or unreadable amount.

    >>> Resources(memory="2GiB").memory
    2147483648
    """

    cpu: float = 1
    memory: int | str = 0
    gpu: int = 0

    def __post_init__(self) -> None:
        if not _is_amount(self.cpu) or self.cpu <= 0:
            raise ValueError(f"cpu is a number above 0, not {self.cpu!r}")
        if self.gpu.__class__ is not int or self.gpu < 0:
            raise ValueError(f"gpu is a whole number of at least 0, not {self.gpu!r}")
        object.__setattr__(self, "memory", memory_bytes(self.memory))

    @property
    def bytes(self) -> int:
        """The memory."""
        assert isinstance(self.memory, int)
        return self.memory


def memory_bytes(amount: int | str) -> int:
    """An amount of memory in bytes.

    >>> memory_bytes("1.5 GB"), memory_bytes("64Mi"), memory_bytes(100)
    (1500000000, 67108864, 100)
    """
    if isinstance(amount, str):
        match = _AMOUNT.fullmatch(amount.strip())
        if match is None:
            raise ValueError(f"{amount!r} is no amount of memory: a number of bytes, or one with a unit, like '2GiB' or '500MB'")
        whole = float(match[1]) * _UNITS[match[2] or ""]
        if whole >= 1 << 62:
            raise ValueError(f"{amount[:40]!r} is more memory than any machine has")
        return int(whole)
    if amount.__class__ is not int or amount < 0:
        raise ValueError(f"memory is a number of bytes of at least 0, or text like '2GiB', not {amount!r}")
    return amount


def _is_amount(value: Any) -> bool:
    return value.__class__ in (int, float) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class Policy:
    """See the table at the top of the file."""

    max_depth: int | None = None
    allow_repeat: bool = False
    timeout: float | None = None
    pool: str | None = None
    resources: Resources | None = None

    def to_map(self) -> dict[str, Any]:
        """What differs from the defaults."""
        entries = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}
        if self.resources is not None:
            entries["resources"] = [float(self.resources.cpu), self.resources.bytes, self.resources.gpu]
        return entries

    @classmethod
    def from_map(cls, entries: dict[str, Any]) -> Policy:
        """The policy whose map this is. Raises `ValueError` for what it does not know."""
        known = {name: value for name, value in entries.items() if name in cls.__slots__}
        if "resources" in known:
            known["resources"] = Resources(*known["resources"])
        policy = cls(**known)
        if policy.to_map() != entries:
            raise ValueError(f"unknown or redundant policy in {sorted(entries)}")
        policy.check()
        return policy

    def check(self) -> None:
        """Raise `ValueError` for a value out of range."""
        if self.max_depth is not None and (self.max_depth.__class__ is not int or self.max_depth < 1):
            raise ValueError(f"max_depth must be a whole number of at least 1, not {self.max_depth!r}")
        if self.allow_repeat.__class__ is not bool:
            raise ValueError(f"allow_repeat must be True or False, not {self.allow_repeat!r}")
        if self.timeout is not None and (self.timeout.__class__ is not float or not (0 < self.timeout < math.inf)):
            raise ValueError(f"timeout must be a number of seconds above 0, not {self.timeout!r}")
        if self.pool is not None and (not isinstance(self.pool, str) or not self.pool):
            raise ValueError(f"pool must be the name of a pool, not {self.pool!r}")
        if self.resources is not None and not isinstance(self.resources, Resources):
            raise ValueError(f"resources must be Resources(…), not {self.resources!r}")


def seconds(duration: float | timedelta | None) -> float | None:
    """A duration that an author wrote, in seconds; what is no duration stays for `Policy.check` to refuse.

    >>> seconds(timedelta(minutes=1)), seconds(2)
    (60.0, 2.0)
    """
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    return float(duration) if _is_amount(duration) and duration is not None else duration


OVERRIDABLE: Final = frozenset(("timeout", "pool", "resources"))
"""What `.with_overrides(…)` can change for one node."""


def overridden(policy: Policy, entries: dict[str, Any]) -> Policy:
    """A policy with a node's overrides. Raises `ValueError`."""
    changed = {**policy.to_map(), **{name: value for name, value in entries.items() if name in OVERRIDABLE}}
    return Policy.from_map(changed)
