"""Fields of a record that a person left out: their values are those that the class itself gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promissory.typesys.errors import ParseError
from promissory.typesys.names import NotFound
from promissory.typesys.records import constructor_names, field_names, is_derived, is_model, said_by_model
from promissory.typesys.types import RecordType, class_name
from promissory.typesys.wire import codec_for

Classes = Callable[[str], Any]
"""Finds a class by its name, or raises `NotFound`."""


def left_out(type: RecordType, given: dict[str, Any], at: str, classes: Classes | None) -> dict[str, Any]:
    """Give the trees of the fields that were left out.

    An instance is made of the fields that were given, since a default may be made by a factory, or derived from other
    fields in `__post_init__`.

    Args:
        type: the record.
        given: the trees of the fields that were given, by name.
        at: the path to the record, for errors.
        classes: finds the class; None where classes of authors may not be imported.

    Raises `ParseError` for a field that the class has no default for.
    """
    missing = [field for field in type.fields if field.name not in given]
    needed = [field.name for field in missing if field.required]
    said = f"{type} needs the field"
    if classes is None and needed:
        raise ParseError(f"{said} {needed[0]!r}", at)
    if classes is None:
        raise ParseError(
            f"{said} {missing[0].name!r} (its class has a default, which is not known here: write it out)", at
        )
    try:
        cls = classes(class_name(type.name))
    except NotFound as error:
        hint = f" (its default can't be looked up: {error}: write it out)" if not needed else ""
        raise ParseError(f"{said} {missing[0].name!r}{hint}", at) from None
    needed = [name for name in needed if not is_derived(cls, name)]
    if needed:
        raise ParseError(f"{said} {needed[0]!r}", at)
    if {field.name for field in type.fields} != set(field_names(cls)):
        raise ParseError(f"{said} {missing[0].name!r} (its class has other fields by now: write it out)", at)
    try:
        known = {
            field.name: codec_for(field.type).lift_tree(given[field.name])
            for field in type.fields
            if field.name in given
        }
        instance = cls(**{name: value for name, value in known.items() if not is_derived(cls, name)})
        return {field.name: codec_for(field.type).lower(getattr(instance, field.name)) for field in missing}
    # The class is the author's, and its constructor may raise anything.
    except Exception as error:
        raise ParseError(f"{type} can't be made of what was given: {said_by_model(error)}", at) from None


def of_model(type: RecordType, given: dict[str, Any], at: str, classes: Classes | None) -> list[Any] | None:
    """Have a model be made of the fields that were given: its validators see them, and its defaults fill in the others.
    Gives None for a record that is no model, or whose class is not known here.

    Raises `ParseError` for what the model refuses.
    """
    try:
        cls = None if classes is None or type.kind == "typeddict" else classes(class_name(type.name))
    except NotFound:
        cls = None
    if cls is None or not is_model(cls):
        return None
    parameters = {field: parameter for parameter, field in constructor_names(cls).items()}
    try:
        known = {
            parameters[field.name]: codec_for(field.type).lift_tree(given[field.name])
            for field in type.fields
            if field.name in given and field.name in parameters
        }
        found: list[Any] = codec_for(type).lowered(cls(**known))
    # The class is the author's, and its constructor may raise anything.
    except Exception as error:
        raise ParseError(f"{type} can't be made of what was given: {said_by_model(error)}", at) from None
    return found
