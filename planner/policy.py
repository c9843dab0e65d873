"""What a callable declares about its own running. Declared here, acted on by the executor.

====================== ======== ===================================================================================
field                  default  meaning
====================== ======== ===================================================================================
max_depth              None     nesting of this dynamic within itself before it fails as `DepthExceeded` (rule D3)
allow_repeat           False    may call itself with equal inputs on its own chain (polling; rule D10)
====================== ======== ===================================================================================

Only what differs from the default is written into a plan, so a field added later changes no existing bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Policy:
    """See the table at the top of the file."""

    max_depth: int | None = None
    allow_repeat: bool = False

    def to_map(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    @classmethod
    def from_map(cls, entries: dict[str, Any]) -> Policy:
        """The policy whose map this is. Raises `ValueError` for what it does not know."""
        policy = cls(**{name: value for name, value in entries.items() if name in cls.__slots__})
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
