"""Secrets travel as their names."""

from __future__ import annotations

from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.secret import Secret
from promissory.typesys.types import STR

declare(Family(Secret, named("Secret", STR), lambda secret: secret.name, Secret, any_text=True))
