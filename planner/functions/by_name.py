"""Functions that count by their name: an import of the name gives this very object (rule A12). All others count by
value (`promissory.planner.functions.by_value`)."""

from __future__ import annotations

from types import FunctionType
from typing import Any, cast

from promissory.planner.functions.entity import Entity
from promissory.typesys.names import NotFound, find, import_defines, qualified_name


def entity_at(name: str) -> Entity[..., Any] | None:
    """Find the entity that an import gives under a name, also behind decorators that keep `__wrapped__`.

    None if the thing found is no entity.

    Raises `NotFound`.
    """
    thing = find(name)
    while not isinstance(thing, Entity):
        thing = getattr(thing, "__wrapped__", None)
        if thing is None:
            return None
    return thing


def counts_by_name(entity: Entity[..., Any]) -> bool:
    """Whether an import of an entity's name gives this very entity, here and where its body will run."""
    if entity.is_from_elsewhere or not import_defines(cast(FunctionType, entity.function)):
        return False
    try:
        return entity_at(qualified_name(entity.function)) is entity
    except NotFound:
        return False
