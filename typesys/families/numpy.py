"""numpy: arrays, as their buffers; scalars, as the Python values that they are.

An array comes back with its dtype, byte order, shape and memory order, in memory of its own that may be written to. One
whose memory has gaps is written without them. Arrays of objects are refused: they would be pickles.
"""

from __future__ import annotations

import ast
from typing import Any, Final, get_args, get_origin

import numpy as np

from promissory.typesys.buffer import Buffer
from promissory.typesys.errors import AnnotationError, TypeMismatch
from promissory.typesys.families.registry import Family, declare, named
from promissory.typesys.stated import ANY_ARRAY, Shape, array_wire, is_array_wire, stated_of_array
from promissory.typesys.types import ANY, BOOL, BYTES, FLOAT, INT, STR, TupleType, Type

_MOST_SHOWN: Final = 10_000


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Write a dtype. Raises `TypeMismatch` for one whose values are not their bytes."""
    if dtype.hasobject:
        raise TypeMismatch(
            "an array of Python objects has no wire form: give it a dtype of its own, or pass a list (array.tolist())"
        )
    text = dtype.str if dtype.names is None and dtype.subdtype is None else repr(np.lib.format.dtype_to_descr(dtype))
    try:
        found = dtype_of(text)
        same = found == dtype and found.type is dtype.type
    except (TypeError, ValueError, SyntaxError):
        same = False
    if not same:
        raise TypeMismatch(f"an array of dtype {dtype} has no wire form: convert it (array.astype) or use Opaque")
    return text


def dtype_of(text: str) -> np.dtype[Any]:
    """Read a dtype that `dtype_text` wrote."""
    if text[:1] in "[(":
        return np.lib.format.descr_to_dtype(ast.literal_eval(text))
    return np.dtype(text)


def _to_wire(array: np.ndarray[Any, Any]) -> tuple[str, tuple[int, ...], bool, Buffer]:
    text = dtype_text(array.dtype)
    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    memory = array.T if fortran else np.ascontiguousarray(array)
    flat = memory.reshape(-1)
    buffer = Buffer.of(flat.view(np.uint8) if flat.nbytes else None)
    return text, array.shape, fortran, buffer


def _from_wire(parts: tuple[str, tuple[int, ...], bool, Buffer]) -> np.ndarray[Any, Any]:
    text, shape, fortran, buffer = parts
    dtype, order = dtype_of(text), "F" if fortran else "C"
    count = 1
    for size in shape:
        count *= size
    if dtype.hasobject or buffer.size != count * dtype.itemsize:
        raise ValueError(f"{buffer.size} bytes are no array of {shape} {dtype}")
    if not buffer.size:
        return np.ndarray(shape, dtype, bytearray(1), order=order)  # type: ignore[arg-type]
    return np.ndarray(shape, dtype, buffer.view(), order=order)  # type: ignore[arg-type]


def _stated(args: tuple[Any, ...], said: tuple[Any, ...]) -> Type:
    """Read `np.ndarray[shape, np.dtype[…]]`, and `Annotated[np.ndarray, Shape("N", 3), np.float32]`."""
    dtype, shape = None, None
    if args:
        inner = get_args(args[1]) if len(args) > 1 and get_origin(args[1]) is np.dtype else ()
        dtype = _dtype_of_class(inner[0]) if inner else None
        sizes = get_args(args[0])
        if get_origin(args[0]) is tuple and Ellipsis not in sizes:
            shape = [None if size is int else next(iter(get_args(size)), None) for size in sizes]
    for one in said:
        if isinstance(one, Shape):
            shape = [size if isinstance(size, int) else None for size in one.dimensions]
        elif isinstance(one, np.dtype) or (isinstance(one, type) and issubclass(one, np.generic)):
            dtype = _dtype_of_class(one)
    return array_wire(dtype, shape)


def _dtype_of_class(given: Any) -> str | None:
    if isinstance(given, type) and (not issubclass(given, np.generic) or given in _ABSTRACT):
        return None
    if not isinstance(given, type | np.dtype):
        return None  # `Any`, or a type variable
    try:
        return dtype_text(np.dtype(given))
    except (TypeMismatch, TypeError) as problem:
        raise AnnotationError(f"an array is annotated with {given!r}: {problem}") from None


_ABSTRACT: Final = frozenset(
    (np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger, np.inexact, np.floating)
    + (np.complexfloating, np.flexible, np.character, np.str_, np.bytes_, np.void, np.datetime64, np.timedelta64)
)


def _described(array: np.ndarray[Any, Any]) -> str:
    return f"an array of {array.dtype} with the shape {array.shape}"


def _from_json(value: Any, wire: Type) -> np.ndarray[Any, Any]:
    """Read numbers in lists as an array of the stated dtype. Raises `ValueError` where a number would change."""
    array = np.asarray(value)
    text, _ = stated_of_array(wire)
    if text is None:
        return array
    wanted = dtype_of(text)
    found = array.astype(wanted)
    if wanted.kind in "iub" and not np.array_equal(found, array):
        raise ValueError(f"not all of it are numbers of {wanted}")
    return found


def _to_json(array: np.ndarray[Any, Any]) -> Any:
    if array.size > _MOST_SHOWN:
        return f"<an array of {array.dtype} with the shape {array.shape}>"
    from promissory.typesys.as_json import to_json
    from promissory.typesys.self_describing import lower_any

    return to_json(lower_any(array.tolist()), ANY)


declare(
    Family(
        np.ndarray,
        ANY_ARRAY,
        _to_wire,
        _from_wire,
        hashable=False,
        stated=_stated,
        is_wire=is_array_wire,
        described=_described,
        from_json=np.asarray,
        from_json_as=_from_json,
        to_json=_to_json,
    )
)
declare(Family(np.memmap, named("numpy.memmap", ANY_ARRAY.wire), lambda value: _to_wire(np.asarray(value)), _from_wire))


def _declare_scalars() -> None:
    kinds: list[tuple[type[Any], str, Type, Any]] = [
        (np.bool_, "bool", BOOL, bool),
        (np.str_, "str_", STR, str),
        (np.bytes_, "bytes_", BYTES, bytes),
    ]
    for cls in dict.fromkeys(np.dtype(code).type for code in np.typecodes["AllInteger"]):
        kinds.append((cls, cls.__name__, INT, int))
    for cls in (np.float16, np.float32, np.float64):
        kinds.append((cls, cls.__name__, FLOAT, float))
    for cls, name, wire, plain in kinds:
        declare(Family(cls, named(f"numpy.{name}", wire), plain, cls))
    for cls in (np.complex64, np.complex128):
        wire = TupleType((FLOAT, FLOAT))
        make = lambda pair, cls=cls: cls(complex(*pair))  # noqa: E731
        declare(
            Family(
                cls, named(f"numpy.{cls.__name__}", wire), lambda value: (float(value.real), float(value.imag)), make
            )
        )
    for cls in (np.datetime64, np.timedelta64):
        wire = TupleType((STR, INT))
        declare(Family(cls, named(f"numpy.{cls.__name__}", wire), _moment_to_wire, _moment_from_wire))


def _moment_to_wire(value: Any) -> tuple[str, int]:
    return value.dtype.str, int(value.astype(np.int64))


def _moment_from_wire(pair: tuple[str, int]) -> Any:
    return np.array(pair[1], np.int64).astype(np.dtype(pair[0]))[()]


_declare_scalars()
