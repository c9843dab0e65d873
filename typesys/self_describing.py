"""Values of `Any`: wire trees that name the kinds of their values.

Scalars stand as they are, since msgpack keeps None, bool, int, float, str and bytes apart. Every other value is an
array that begins with its kind. Records and enums carry the name of their class, which a worker imports when it lifts
the value.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from promissory.typesys.buffer import PART_LIMIT, Buffer
from promissory.typesys.canonical import pack
from promissory.typesys.errors import FormatError, TypeMismatch
from promissory.typesys.families import registry
from promissory.typesys.names import find, qualified_name
from promissory.typesys.opaque import lift_opaque, lower_opaque
from promissory.typesys.records import beside, builder, field_names, is_record, reader
from promissory.typesys.types import ANY, class_name

LIST, TUPLE, DICT, SET, FROZENSET, NAMED, ENUM, RECORD, OPAQUE = range(9)
_PLAIN: Final = frozenset((type(None), bool, int, str))


def lower_any(value: Any) -> Any:
    """Lower any value into a self-describing tree: scalars as they are, everything else as an array that begins with
    its kind."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if value == value else math.nan
    if kind is bytes:
        return large_apart(value)
    if kind is list:
        return [LIST, each(value, lower_any)]
    if kind is tuple:
        return [TUPLE, each(value, lower_any)]
    if kind is dict:
        return [DICT, [(lower_any(key), _inside(f"[{key!r}]", one)) for key, one in value.items()]]
    if kind is set or kind is frozenset:
        return [SET if kind is set else FROZENSET, sorted_once(map(lower_any, value))]
    if isinstance(value, enum.Enum):
        return [ENUM, qualified_name(kind), value.value if isinstance(value, enum.Flag) else value.name]
    if is_record(kind):
        names = field_names(kind)
        try:
            fields = reader(kind, names)(value)
        except AttributeError as error:
            raise TypeMismatch(f"a {kind.__name__} has a field that was never set: {error}") from None
        trees = [_inside(f".{name}", one) for name, one in zip(names, fields, strict=True)]
        apart = beside(value)
        return [
            RECORD,
            class_name(qualified_name(kind)),
            list(names),
            trees,
            *([] if apart is None else [lower_any(apart)]),
        ]
    family = registry.family_of_value(value)
    if family is not None:
        return [NAMED, family.type.name, _family_wire(family).lowered(written(family, value))]
    if registry.discover():
        return lower_any(value)
    return [OPAQUE, lower_opaque(value, None, find)]


def large_apart(value: bytes) -> Any:
    """Give bytes as a tree: as they are, or as a buffer if they are many."""
    return value if len(value) < PART_LIMIT else Buffer.of(value, is_bytes=True)


def whole_bytes(tree: Any) -> bytes:
    """Give the bytes of a tree that `large_apart` made."""
    found: bytes = tree.content() if tree.__class__ is Buffer else tree
    return found


def written(family: registry.Family, value: Any) -> Any:
    """Give the simpler value as which a family's value is written.

    Raises `TypeMismatch` if the family's own code can't write it.
    """
    try:
        return family.to_wire(value)
    except TypeMismatch:
        raise
    # The code of a registered family may raise anything.
    except Exception as error:
        raise TypeMismatch(
            f"a {type(value).__name__} can't be written down: {type(error).__name__}: {error}"
        ) from error


class _FamilyWire:
    """A family's wire type for self-describing values, which have to be written as it."""

    def __init__(self, family: registry.Family) -> None:
        from promissory.typesys.wire import codec_for

        self._codec = codec_for(family.type.wire)

    def lowered(self, value: Any) -> Any:
        from promissory.typesys.transcode import transcode

        return transcode(self._codec.lower(value), self._codec.type, ANY)

    def lifted(self, tree: Any) -> Any:
        from promissory.typesys.transcode import transcode

        try:
            return self._codec.lift_tree(transcode(tree, ANY, self._codec.type))
        except TypeMismatch as mismatch:
            raise FormatError("a value of Any", f"is written as no value of its family is ({mismatch})") from None


@lru_cache(256)
def _family_wire(family: registry.Family) -> _FamilyWire:
    return _FamilyWire(family)


def _inside(step: str, value: Any) -> Any:
    try:
        return lower_any(value)
    except TypeMismatch as mismatch:
        raise mismatch.inside(step) from None


def _found(name: str, fits: Callable[[Any], bool]) -> Any:
    """Find a class by name. Nothing else with that name will do."""
    cls = find(name)
    if not isinstance(cls, type) or not fits(cls):
        raise FormatError("a value of Any", f"names {name}, which is no class of its kind")
    return cls


def lift_any(tree: Any) -> Any:
    """Lift the value of a self-describing tree. Records, enums and opaque values import their classes."""
    if type(tree) is not list:
        return tree.content() if tree.__class__ is Buffer else tree
    kind = tree[0]
    if kind == LIST:
        return [lift_any(one) for one in tree[1]]
    if kind == TUPLE:
        return tuple([lift_any(one) for one in tree[1]])
    if kind == DICT:
        return {lift_any(key): lift_any(one) for key, one in tree[1]}
    if kind == SET:
        return {lift_any(one) for one in tree[1]}
    if kind == FROZENSET:
        return frozenset(lift_any(one) for one in tree[1])
    if kind == NAMED:
        family = registry.family_named(tree[1])
        return family.from_wire(_family_wire(family).lifted(tree[2]))
    if kind == ENUM:
        cls = _found(tree[1], lambda cls: issubclass(cls, enum.Enum))
        return cls(tree[2]) if issubclass(cls, enum.Flag) else cls[tree[2]]
    if kind == RECORD:
        build = builder(_found(class_name(tree[1]), is_record), tuple(tree[2]))
        return build([lift_any(one) for one in tree[3]], *map(lift_any, tree[4:]))
    if kind == OPAQUE:
        return lift_opaque(tree[1])
    raise FormatError("a value of Any", f"has an unknown kind {kind!r}")


def each(values: Iterable[Any], lower: Callable[[Any], Any]) -> list[Any]:
    """Lower every item. A mismatch says which item it was."""
    try:
        return [lower(value) for value in values]
    except TypeMismatch:
        for index, value in enumerate(values):
            try:
                lower(value)
            except TypeMismatch as mismatch:
                raise mismatch.inside(f"[{index}]") from None
        raise


def holds_opaque(tree: Any) -> bool:
    """Tell whether a tree that `lower_any` made holds a pickle anywhere."""
    todo = [tree]
    while todo:
        current = todo.pop()
        if type(current) is not list:
            continue
        kind = current[0]
        if kind == OPAQUE:
            return True
        if kind == DICT:
            todo += [one for pair in current[1] for one in pair]
        elif kind == RECORD:
            todo += [*current[3], *current[4:]]
        elif kind == NAMED:
            todo.append(current[2])
        elif kind != ENUM:
            todo += current[1]
    return False


def way_to_opaque(tree: Any, value: Any) -> tuple[str, str] | None:
    """Give the path to the first pickle in a value, and the name of what was pickled; None if nothing was.

    Args:
        tree: the tree that `lower_any` made of the value.
        value: the value.
    """
    if type(tree) is not list or not holds_opaque(tree):
        return None
    kind = tree[0]
    inside: list[tuple[str, Any, Any]] = []
    if kind in (LIST, TUPLE):
        inside = [(f"[{i}]", one, value[i]) for i, one in enumerate(tree[1])]
    elif kind == DICT:
        inside = [(f"[{key!r}]", one, value[key]) for (_, one), key in zip(tree[1], value, strict=True)]
    elif kind == RECORD:
        inside = [(f".{name}", one, getattr(value, name)) for name, one in zip(tree[2], tree[3], strict=True)]
    for step, one, held in inside:
        found = way_to_opaque(one, held)
        if found is not None:
            return step + found[0], found[1]
    return "", type(value).__name__


def without_buffers(tree: Any) -> Any:
    """Give a tree with the bytes of its buffers in it: members of a set are ordered by their bytes."""
    if tree.__class__ is Buffer:
        return tree.content()
    return [without_buffers(one) for one in tree] if tree.__class__ in (list, tuple) else tree


def sorted_once(trees: Iterable[Any]) -> list[Any]:
    """Give the members of a set: each once, in the order of their bytes."""
    by_bytes = {pack(tree): tree for tree in map(without_buffers, trees)}
    return [by_bytes[key] for key in sorted(by_bytes)]
