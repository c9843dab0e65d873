"""Options for the fields of a record: `--point.x 1`, beside `--point '{"x": 1}'`.

The options of one record are put together as a JSON object would be; a field that is given by its own option goes
before the same field in the record's option or in the document of inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from promissory.planner.plan.model import Parameter
from promissory.typesys.errors import ParseError
from promissory.typesys.names import find
from promissory.typesys.parse import parse_fields, parse_text
from promissory.typesys.types import BoolType, NoneType, RecordType, Type, UnionType

_DEEPEST: Final = 3
_MANY: Final = 64


def field_options(parameter: Parameter) -> Iterator[tuple[str, Type]]:
    """The paths of the fields of an input that is a record, `point.x`, with their types; those of a record that may be
    None too. A record within a record has its own."""
    found = list(_fields(parameter.name.replace("_", "-"), parameter.type, _DEEPEST))
    yield from found[:_MANY]


def _fields(path: str, type: Type, room: int) -> Iterator[tuple[str, Type]]:
    record = record_in(type)
    if record is None or room == 0:
        return
    for field in record.fields:
        yield f"{path}.{field.name}", field.type
        yield from _fields(f"{path}.{field.name}", field.type, room - 1)


def record_in(type: Type) -> RecordType | None:
    """The record that a type is, or is unless it is None."""
    if isinstance(type, UnionType):
        arms = [arm for arm in type.arms if not isinstance(arm, NoneType)]
        return record_in(arms[0]) if len(arms) == 1 else None
    return type if isinstance(type, RecordType) else None


class FieldText(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Text that is parsed as the type of a field. Gives its wire tree."""

    def __init__(self, type: Type) -> None:
        self._type = type
        self.name = "bool" if isinstance(type, BoolType) else str(type)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return _Tree(parse_text(value, self._type, find))
        except ParseError as error:
            self.fail(str(error), param, ctx)


class _Tree:
    """A wire tree that click hands on as it is."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree


def put_together(type: Type, given: dict[str, _Tree], base: Any, at: str = "") -> Any:
    """The wire tree of a record.

    Args:
        type: the input's type.
        given: what was given for fields, by the path below the input.
        base: the wire tree that was given for the whole record; None if there is none.
        at: the path to the record, for errors.

    Raises `ParseError` for fields that are missing.
    """
    if isinstance(type, UnionType):
        record = record_in(type)
        assert record is not None
        arm = type.arms.index(record)
        whole = base[1] if base is not None and base[0] == arm else None
        return [arm, put_together(record, given, whole, at)]
    assert isinstance(type, RecordType)
    inside: dict[str, dict[str, _Tree]] = {}
    for path, tree in given.items():
        name, _, rest = path.partition(".")
        inside.setdefault(name, {})[rest] = tree
    held = {} if base is None else _held(type, base)
    found = dict(held)
    for field in type.fields:
        if field.name in inside:
            own = inside[field.name].pop("", None)
            whole = held.get(field.name) if own is None else own.tree
            found[field.name] = (
                put_together(field.type, inside[field.name], whole, f"{at}.{field.name}")
                if inside[field.name]
                else whole
            )
    return parse_fields(type, found, find, at)


def _held(type: RecordType, tree: Any) -> dict[str, Any]:
    """The trees of the fields in the tree of a whole record."""
    held = {}
    for field, part, one in zip(type.fields, type.parts, tree, strict=False):
        if part is field.type:
            held[field.name] = one
        elif one:
            held[field.name] = one[0]
    return held
