"""Secrets travel as their names."""

from __future__ import annotations

from typesys.codecs import Family, declare, named
from typesys.secret import Secret
from typesys.types import STR

declare(Family(Secret, named("Secret", STR), lambda secret: secret.name, Secret))
