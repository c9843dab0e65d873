"""Names of this package in the bytes of a shape: names of before version 3 are replaced by those of today."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from promissory.planner.plan.fields import as_bytes, as_fields
from promissory.planner.plan.model import Shape
from promissory.planner.plan.shape_format import shape_from_bytes
from promissory.typesys.canonical import pack, pack_map, unpack_canonical
from promissory.typesys.older_names import OLDER_NAMES, name_today
from promissory.typesys.type_format import renamed, type_bytes, type_from_bytes

_MAY_NAME_OURS: Final = re.compile(rb"promissory|planner\.|executor\.|typesys\.")
"""Text that every name of this package contains, whether of today or of before version 3."""


def may_name_ours(data: bytes) -> bool:
    """Tell whether `names_ours` may hold. This search of the text costs a fraction of taking the shape apart."""
    return _MAY_NAME_OURS.search(data) is not None


def older_shape_from_bytes(data: bytes) -> Shape:
    """Read a shape in which classes of this package may have the names of before version 3.

    Gives them today's names.
    """
    if not (may_name_ours(data) and names_ours(data)):
        return shape_from_bytes(data)
    return _with_names_of_today(data)


@lru_cache(64)
def _with_names_of_today(data: bytes) -> Shape:
    return shape_from_bytes(_renamed(data, name_today))


@lru_cache(64)
def names_ours(data: bytes) -> bool:
    """Tell whether a shape names a class of this package, by its name of today or of before, in a type or as an
    exception in a policy."""
    names: list[str] = []

    def note(name: str) -> str:
        names.append(name)
        return name

    _renamed(data, note)
    return any(name.startswith(("promissory:", "promissory.errors:")) or name in OLDER_NAMES for name in names)


def _renamed_policy(data: Any, name_of: Callable[[str], str]) -> bytes:
    """Rewrite the bytes of a policy, or of a node's overrides, with other names of exception classes."""
    entries = unpack_canonical(as_bytes(data), "a policy") if data else {}
    if not isinstance(entries.get("retry_on"), list):
        return as_bytes(data)
    names = [name_of(name) if isinstance(name, str) else name for name in entries["retry_on"]]
    return pack_map({**entries, "retry_on": sorted(names) if names != entries["retry_on"] else names})


def _renamed(data: bytes, name_of: Callable[[str], str]) -> bytes:
    """Rewrite the bytes of a shape with other names of classes."""
    rows, callee_trees, graph_trees, literals = as_fields(unpack_canonical(data, "a shape"), 4)
    for callee in callee_trees:
        callee[4] = _renamed_policy(callee[4], name_of)
    for graph in graph_trees:
        graph[7] = [[index, _renamed_policy(entries, name_of)] for index, entries in graph[7]]
    today = [renamed(type_bytes(type_from_bytes(as_bytes(row))), name_of) for row in rows]
    return pack([today, callee_trees, graph_trees, literals])
