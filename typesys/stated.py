"""Types that state more of a value than its class: an array's dtype and shape, a file's format. Nothing here needs
numpy.

An array's wire form is a tuple of four: the dtype as text, the shape, whether the buffer is in Fortran's order, and the
buffer. A file's is a tuple of three: its name, its format, and the buffer. What an annotation states stands in the wire
type, in the place of the text and of the numbers. So every array and every file has one wire form, whatever was stated
of it. What is left open is no promise that another type needs: it is looked at when the value is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from promissory.typesys.errors import AnnotationError
from promissory.typesys.types import (
    ARGUMENTS,
    BOOL,
    BUFFER,
    INT,
    STR,
    LiteralType,
    NamedType,
    TupleType,
    Type,
    VarTupleType,
)

ARRAY: Final = "numpy.ndarray"
FILE: Final = "File"
STATED: Final = frozenset((ARRAY, FILE))
_KINDS: Final = {"b": "bool", "c": "complex", "f": "float", "i": "int", "u": "uint"}


@dataclass(frozen=True, slots=True, init=False)
class Shape:
    """The shape that an array must have: in `Annotated[np.ndarray, Shape("N", 3)]`, any number of rows and three
    columns.

    Args:
        dimensions: for each dimension its size, or a name for one of any size.

    >>> Shape("N", 3)
    Shape('N', 3)
    """

    dimensions: tuple[int | str, ...]

    def __init__(self, *dimensions: int | str) -> None:
        for one in dimensions:
            if isinstance(one, bool) or not (isinstance(one, str) or (isinstance(one, int) and one >= 0)):
                raise AnnotationError(f"a dimension of Shape is a size or a name, not {one!r}")
        names = [one for one in dimensions if isinstance(one, str)]
        if len(set(names)) < len(names):
            raise AnnotationError(
                f"{_shape_text(dimensions)} names two dimensions alike, and whether sizes are equal isn't checked: "
                "give each its own name, or its size"
            )
        object.__setattr__(self, "dimensions", dimensions)

    def __repr__(self) -> str:
        return _shape_text(self.dimensions)


def _shape_text(dimensions: tuple[object, ...]) -> str:
    return f"Shape({', '.join(map(repr, dimensions))})"


def array_wire(dtype: str | None, shape: Sequence[int | None] | None) -> TupleType:
    """Give the wire type of arrays.

    Args:
        dtype: the text of the dtype; None for any.
        shape: the sizes, None for one that may be any; None for any shape.
    """
    return TupleType(
        (
            STR if dtype is None else LiteralType((dtype,)),
            VarTupleType(INT)
            if shape is None
            else TupleType(tuple(INT if size is None else LiteralType((size,)) for size in shape)),
            BOOL,
            BUFFER,
        )
    )


ANY_ARRAY: Final = NamedType(ARRAY, array_wire(None, None))


def is_array_wire(wire: Type) -> bool:
    """Tell whether a type is one that `array_wire` gives."""
    match wire:
        case TupleType((dtype, VarTupleType() | TupleType() as shape, rest, buffer)) if (
            rest == BOOL and buffer == BUFFER
        ):
            sizes = [shape.item] if isinstance(shape, VarTupleType) else list(shape.items)
            return (dtype == STR or _is_one(dtype, str)) and all(size == INT or _is_one(size, int) for size in sizes)
    return False


def _is_one(type: Type, kind: type[Any]) -> bool:
    return isinstance(type, LiteralType) and len(type.values) == 1 and type.values[0].__class__ is kind


def array_type_of(tree: Sequence[Any]) -> NamedType:
    """Give the type that states all of one array, by the array's wire tree."""
    return NamedType(ARRAY, array_wire(tree[0], tree[1]))


def stated_of_array(type: Type) -> tuple[Any, list[Any] | None]:
    """Give what the wire type of an array states: dtype and sizes, None for what it leaves open."""
    dtype, shape, _, _ = cast(TupleType, type).items
    sizes = None
    if isinstance(shape, TupleType):
        sizes = [size.values[0] if isinstance(size, LiteralType) else None for size in shape.items]
    return dtype.values[0] if isinstance(dtype, LiteralType) else None, sizes


def type_as_found(name: str, tree: Sequence[Any]) -> NamedType:
    """Give the type that states all of one array or file, by its wire tree."""
    return array_type_of(tree) if name == ARRAY else NamedType(FILE, file_wire(tree[1]))


def why_not_stated(source: NamedType, target: NamedType) -> str | None:
    """Give the reason why an array, or a file, of a type can't be one that is wanted; None if it may be one."""
    if source.name == FILE:
        format, wanted = stated_of_file(source.wire), stated_of_file(target.wire)
        return None if None in (format, wanted) or format == wanted else f"its format is {format}, not {wanted}"
    return _why_not_array(source, target)


def file_wire(format: str | None) -> TupleType:
    """Give the wire type of files, of any format if that is None."""
    return TupleType((STR, STR if format is None else LiteralType((format,)), BUFFER))


def is_file_wire(wire: Type) -> bool:
    """Tell whether a type is one that `file_wire` gives."""
    format = stated_of_file(wire)
    return wire == file_wire(None) or (format is not None and wire == file_wire(format))


def stated_of_file(wire: Type) -> str | None:
    """Give the format that the wire type of a file states; None if it states none."""
    match wire:
        case TupleType((_, LiteralType((str() as format,)), _)):
            return format
    return None


def _why_not_array(source: NamedType, target: NamedType) -> str | None:
    (dtype, sizes), (wanted_dtype, wanted_sizes) = stated_of_array(source.wire), stated_of_array(target.wire)
    if None not in (dtype, wanted_dtype) and dtype != wanted_dtype:
        return f"its dtype is {dtype_name(dtype)}, not {dtype_name(wanted_dtype)}"
    if sizes is None or wanted_sizes is None:
        return None
    if len(sizes) != len(wanted_sizes):
        return f"it has {len(sizes)} dimensions, not {len(wanted_sizes)}"
    for number, (size, wanted) in enumerate(zip(sizes, wanted_sizes, strict=True)):
        if None not in (size, wanted) and size != wanted:
            return f"its dimension {number} is {size}, not {wanted}"
    return None


def dtype_name(text: str) -> str:
    """Give the name by which people know a dtype.

    >>> dtype_name("<f4"), dtype_name(">i2"), dtype_name("<U5")
    ('float32', '>int16', '<U5')
    """
    order, kind, size = text[:1], text[1:2], text[2:]
    if kind not in _KINDS or not size.isdecimal():
        return text
    name = _KINDS[kind] if kind == "b" else f"{_KINDS[kind]}{8 * int(size)}"
    return f">{name}" if order == ">" else name


def _arguments(wire: Type) -> tuple[str, ...]:
    dtype, sizes = stated_of_array(wire)
    if sizes is None:
        return () if dtype is None else (dtype_name(dtype),)
    shape = ", ".join("*" if size is None else str(size) for size in sizes)
    return ("*" if dtype is None else dtype_name(dtype), f"({shape}{',' * (len(sizes) == 1)})")


ARGUMENTS[ARRAY] = _arguments
ARGUMENTS[FILE] = lambda wire: () if (format := stated_of_file(wire)) is None else (repr(format),)
