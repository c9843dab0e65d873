"""msgspec: the mark of a field that is not set. (Its `Struct`s are records: `promissory.typesys.records`.)"""

from __future__ import annotations

import msgspec

from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import NONE

declare(Family(msgspec.UnsetType, named("msgspec.UnsetType", NONE), lambda mark: None, lambda nothing: msgspec.UNSET))
