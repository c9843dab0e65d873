"""Regular expressions: their sources and their flags."""

from __future__ import annotations

import re
from typing import Any, cast

from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import ANY, BYTES, INT, STR, TupleType, Type
from promissory.typesys.unions import union


def _compiled(parts: tuple[Any, int]) -> Any:
    pattern, flags = parts
    return re.compile(pattern, flags)


def _of(wire: Type) -> tuple[Type, ...]:
    return (cast(TupleType, wire).items[0],)


declare(
    Family(
        re.Pattern,
        named("re.Pattern", TupleType((union([STR, BYTES]), INT))),
        lambda value: (value.pattern, value.flags),
        _compiled,
        parameters=1,
        generic=lambda text: TupleType((union([STR, BYTES]) if text is ANY else text, INT)),
        arguments=_of,
    )
)
