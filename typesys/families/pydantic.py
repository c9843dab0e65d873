"""pydantic: its URLs, as their text. (Its models are records: `promissory.typesys.records`.)"""

from __future__ import annotations

from pydantic import networks

from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import STR

_BASES = ("_BaseUrl", "_BaseMultiHostUrl")
for _name, _cls in sorted(vars(networks).items()):
    if isinstance(_cls, type) and any(base.__name__ in _BASES for base in _cls.__mro__[1:]):
        declare(Family(_cls, named(f"pydantic.{_name}", STR), str, _cls))
