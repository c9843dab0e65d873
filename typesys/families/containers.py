"""Containers of the standard library beyond list, dict, tuple and set. Each of them rides on one of those."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from types import MappingProxyType
from typing import Any, cast

from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.types import ANY, INT, NONE, DictType, ListType, TupleType, Type
from promissory.typesys.unions import union


def _of_list(wire: Type) -> tuple[Type, ...]:
    return (cast(ListType, cast(TupleType, wire).items[0]).item,)


def _of_dict(wire: Type) -> tuple[Type, ...]:
    return (cast(DictType, wire).key, cast(DictType, wire).value)


def _key_of_dict(wire: Type) -> tuple[Type, ...]:
    return (cast(DictType, wire).key,)


def _to_deque(parts: tuple[list[Any], int | None]) -> deque[Any]:
    return deque(*parts)


declare(
    Family(
        deque,
        named("collections.deque", TupleType((ListType(ANY), union([INT, NONE])))),
        lambda value: (list(value), value.maxlen),
        _to_deque,
        hashable=False,
        parameters=1,
        inside="[0]",
        generic=lambda item: TupleType((ListType(item), union([INT, NONE]))),
        arguments=_of_list,
    )
)
declare(
    Family(
        OrderedDict,
        named("collections.OrderedDict", DictType(ANY, ANY)),
        dict,
        OrderedDict,
        hashable=False,
        parameters=2,
        generic=DictType,
        arguments=_of_dict,
    )
)
declare(
    Family(
        Counter,
        named("collections.Counter", DictType(ANY, INT)),
        dict,
        Counter,
        hashable=False,
        parameters=1,
        generic=lambda key: DictType(key, INT),
        arguments=_key_of_dict,
    )
)
declare(
    Family(
        MappingProxyType,
        named("types.MappingProxyType", DictType(ANY, ANY)),
        dict,
        MappingProxyType,
        hashable=False,
        parameters=2,
        generic=DictType,
        arguments=_of_dict,
    )
)
